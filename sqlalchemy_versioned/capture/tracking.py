"""Events in: what SQLAlchemy tells about flushes and transactions, handed to the unit of work.

Listeners sit on the sessions that were named and on versioned classes.  What flushes and statements
mean is for others to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Table, event, inspect
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    Session,
    SessionTransaction,
    UOWTransaction,
)

from .. import _sqlalchemy
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..reading.loaded import watch_versions
from ..reading.past_objects import refuse_past_objects, watch_unkept
from ..recording.changes import Changes
from ..recording.surroundings import Surroundings
from ..recording.unit_of_work import UnitOfWork
from .captures import Captures
from .flush_events import FlushEvents
from .links import LinkTable
from .recorder import Target
from .session_recorder import SessionRecorder
from .sessions import Sessions
from .statement_events import StatementEvents
from .touched import ClassReader
from .tracked import Tracked

__all__ = ["Tracker"]


class Tracker:
    """The listeners of one manager.

    :param surroundings: what its units of work need.
    :param is_on: tells whether recording is switched on for a class.
    :param are_links_on: tells whether it is for association tables.
    :param build_late: builds what waits for its mappers to be configured, if anything does.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        is_on: Callable[[ClassSpec], bool],
        are_links_on: Callable[[], bool],
        build_late: Callable[[], None],
    ) -> None:
        name = f"sqlalchemy_versioned_{id(self)}"
        self._listeners: list[tuple[Any, str, Any]] = []
        self._tracked = Tracked(is_on=is_on, are_links_on=are_links_on)
        #: The sessions that are recorded, with their units of work.
        self.sessions: Sessions = Sessions(surroundings, name)
        self._recorder = SessionRecorder(surroundings, self.sessions, self._tracked)
        self._captures = Captures(self._recorder, name)
        self._flushes = FlushEvents(self._recorder, self._captures, self._tracked, name)
        self._statements = StatementEvents(
            self._recorder, self._captures, self._flushes, self._tracked, name, build_late
        )

    def listen_to_sessions(self, target: Any) -> None:
        """Record what the sessions of *target* write: a Session class, a factory or a session."""
        # Of all sessions: then a connection that none has is nobody's.
        self.sessions.hears_all |= target is Session
        self._listen(target, "before_attach", self._before_attach, raw=True)
        self._listen(target, "before_flush", self._before_flush)
        self._listen(target, "after_flush", self._flushes.after_flush)
        self._listen(target, "after_flush_postexec", self._flushes.after_flush_postexec)
        self._listen(target, "after_begin", self._after_begin)
        self._listen(target, "after_commit", self.sessions.after_commit)
        self._listen(target, "after_rollback", self.sessions.after_rollback)
        self._listen(target, "after_transaction_end", self.sessions.after_transaction_end)

    def track_class(self, spec: ClassSpec) -> None:
        """Record what happens to the objects of a class."""
        mapper: Mapper[Any] = inspect(spec.parent_class)
        reader = self._tracked.readers[mapper] = ClassReader(spec)
        if reader.has_added:
            # Listeners are called for each object: nobody else should pay for that.
            self._listen(mapper, "before_insert", self._flushes.note_expressed, raw=True)
            self._listen(mapper, "before_update", self._flushes.note_expressed, raw=True)
        for target, name, listener in (*watch_versions(spec.version_class), *watch_unkept(spec)):
            self._listen(target, name, listener)
        live_id = spec.root.live_id_column
        if live_id is not None:
            self._tracked.live_ids[spec.parent_class] = mapper.get_property_by_column(live_id).key
        targets: dict[Table, Target] = {}
        for table in spec.tables:
            self._tracked.mappers.setdefault(table.parent_table, []).append(mapper)
            self._tracked.histories.update((table.version_table, table.transaction_table))
            targets[table.parent_table] = self._tracked.target_of(spec.hierarchy, table)
        self._watch_targets(targets)
        if spec.options.immutable_versions:
            self._statements.guard.watch(spec.tables)

    def track_tables(
        self, targets: Mapping[Table, Target], *, immutable: Iterable[Table] = ()
    ) -> None:
        """Record what statements write to tables without a class.

        :param immutable: those of which nobody else may write the versions.
        """
        self._tracked.cores.update(targets)
        for target in targets.values():
            spec = target.spec
            self._tracked.histories.update((spec.version_table, spec.transaction_table))
        self._watch_targets(targets)
        self._statements.guard.watch(targets[table].spec for table in immutable)

    def _watch_targets(self, targets: Mapping[Table, Target]) -> None:
        self._captures.watch(targets)
        native = {table: target for table, target in targets.items() if target.spec.is_native}
        self._statements.triggers.known.watch(native)

    def track_associations(self, tables: Mapping[Table, Hierarchy], *, are_immutable: bool) -> None:
        """Record what relationships write to association tables.

        :param are_immutable: whether nobody else may write their versions.
        """
        readers = self._tracked.readers
        mapped = {mapper.local_table: reader.spec for mapper, reader in readers.items()}
        for table, hierarchy in tables.items():
            link = self._tracked.associations[table] = LinkTable(hierarchy, mapped.get(table))
            self._tracked.histories.add(link.spec.version_table)
            if table not in self._tracked.mappers:
                self._watch_targets({table: self._target_of(table, link)})
            if are_immutable:
                self._statements.guard.watch([link.spec])

    def _target_of(self, table: Table, link: LinkTable) -> Target:
        core = self._tracked.cores.get(table)
        if core is None:
            return Target(link.hierarchy, link.spec, self._tracked.are_links_on, "raise")
        # What was said of the table by itself holds for its links.
        return replace(core, hierarchy=link.hierarchy, spec=link.spec)

    def stop(self) -> None:
        """Take every listener off again."""
        for target, name, listener in self._listeners:
            if event.contains(target, name, listener):
                event.remove(target, name, listener)
        self._listeners.clear()
        self.sessions.clear()
        self._tracked.clear()
        self._captures.clear()
        self._statements.stop()

    def _listen(self, target: Any, name: str, listener: Any, **options: bool) -> None:
        event.listen(target, name, listener, **options)
        self._listeners.append((target, name, listener))

    def _before_attach(self, session: Session, state: InstanceState[Any]) -> None:
        refuse_past_objects(session, state)

    def _after_begin(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        # What is not built yet is when the session writes.
        if self._tracked.histories or _sqlalchemy.has_new_mappers():
            self._statements.watch(connection)
            self.sessions.begun(session, connection)

    def _before_flush(self, session: Session, context: UOWTransaction, instances: Any) -> None:
        if not self.sessions.has_begun(session):
            # What was begun before it was listened to, or before anything was versioned.
            for connection in _sqlalchemy.begun_connections(session):
                self._statements.watch(connection)
                self.sessions.begun(session, connection)
        self._flushes.before_flush(session, context)

    def unit_of_work(self, session: Any) -> UnitOfWork:
        """Return the unit of work of the session's current transaction."""
        return self.sessions.unit_of_work(session)

    def record_engine(self, engine: Engine) -> None:
        """Record what the connections of an engine write, also those that no session has."""
        self.sessions.record_engine(_sqlalchemy.root_engine_of(engine))
        self._statements.watch_engine(engine)

    def record(
        self,
        session: Session,
        connection: Connection,
        hierarchy: Hierarchy,
        changes: Mapping[VersionSpec, Changes],
    ) -> None:
        """Write the versions of what somebody has changed by other means."""
        self._recorder.record(session, connection, hierarchy, changes, locks=False)
