"""Events in: what SQLAlchemy tells about flushes and transactions, handed to the unit of work.

Listeners sit on the sessions that were named and on versioned classes.  Nothing is decided here
beyond "which rows did this flush touch".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update, event, inspect
from sqlalchemy.orm import Mapper, Session, SessionTransaction, UOWTransaction

from . import _sqlalchemy
from .operation import Operation
from .recording import Changes
from .spec import ClassSpec, Hierarchy, VersionSpec
from .touched import ClassReader, bare_key
from .unit_of_work import Surroundings, UnitOfWork, sync_session

__all__ = ["Tracker"]


class Flush:
    """One flush of one session, from its beginning to its end."""

    def __init__(self, session: Session, context: UOWTransaction) -> None:
        self.session = session
        self.context = context
        #: The base mappers of which images were taken before rows were deleted.
        self.imaged: set[Mapper[Any]] = set()
        #: What happened to rows of association tables.
        self.links: dict[Hierarchy, _Work] = {}
        #: Whether anything is recorded of it.
        self.is_recorded = False
        #: Whether the transaction's id may be older than the locks on the rows.
        self.is_early = False

    def is_due(self, mapper: Mapper[Any]) -> bool:
        """Tell whether images of a mapper's rows are still to be taken."""
        if mapper.base_mapper not in self.imaged:
            return True
        return _sqlalchemy.has_post_updates(self.context, mapper)


class Tracker:
    """The listeners of one manager.

    :param surroundings: what its units of work need.
    :param is_on: tells whether recording is switched on for a class.
    """

    def __init__(self, surroundings: Surroundings, *, is_on: Callable[[ClassSpec], bool]) -> None:
        self._surroundings = surroundings
        self._is_on = is_on
        self._readers: dict[Mapper[Any], ClassReader] = {}
        self._associations: dict[Table, Hierarchy] = {}
        self._listeners: list[tuple[Any, str, Any]] = []
        self._engines: list[tuple[Engine, Any]] = []
        self._flush: ContextVar[Flush | None] = ContextVar("sqlalchemy_versioned_flush")

    # -- listening ---------------------------------------------------------------------------

    def listen_to_sessions(self, target: Any) -> None:
        """Record what the sessions of *target* write: a Session class, a factory or a session."""
        self._listen(target, "before_flush", self._before_flush)
        self._listen(target, "after_flush", self._after_flush)
        self._listen(target, "after_begin", self._after_begin)
        self._listen(target, "after_commit", self._after_commit)
        self._listen(target, "after_transaction_end", self._after_transaction_end)

    def track_class(self, spec: ClassSpec) -> None:
        """Record what happens to the objects of a class."""
        mapper: Mapper[Any] = inspect(spec.parent_class)
        self._readers[mapper] = ClassReader(spec)
        self._listen(mapper, "before_delete", self._before_delete)

    def track_associations(self, tables: Mapping[Table, Hierarchy]) -> None:
        """Record what relationships write to association tables."""
        self._associations.update(tables)

    def stop(self) -> None:
        """Take every listener off again."""
        for target, name, listener in self._listeners:
            if event.contains(target, name, listener):
                event.remove(target, name, listener)
        for engine, listener in self._engines:
            event.remove(engine, "before_execute", listener)
        self._listeners.clear()
        self._engines.clear()
        self._readers.clear()
        self._associations.clear()

    def _listen(self, target: Any, name: str, listener: Any) -> None:
        event.listen(target, name, listener)
        self._listeners.append((target, name, listener))

    # -- units of work -----------------------------------------------------------------------

    def unit_of_work(self, session: Any) -> UnitOfWork:
        """Return the unit of work of the session's current transaction."""
        found = sync_session(session)
        unit = found.info.get(self)
        if unit is None:
            unit = found.info[self] = UnitOfWork(found, self._surroundings)
        current: UnitOfWork = unit
        return current

    def _after_begin(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        if self._associations:
            self._watch(connection.engine)

    def _after_commit(self, session: Session) -> None:
        unit, savepoint = session.info.get(self), session.get_nested_transaction()
        if unit is not None and savepoint is not None:
            unit.released(savepoint)

    def _after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        unit = session.info.get(self)
        if unit is None:
            return
        if transaction.nested:
            unit.ended(transaction)
        elif transaction.parent is None:
            del session.info[self]

    # -- flushes -----------------------------------------------------------------------------

    def _before_flush(self, session: Session, context: UOWTransaction, instances: Any) -> None:
        self._flush.set(Flush(session, context))

    def _current_flush(self, session: Session | None = None) -> Flush | None:
        flush = self._flush.get(None)
        if flush is None or not _sqlalchemy.is_flushing(flush.session):
            return None
        return flush if session is None or flush.session is session else None

    def _before_delete(self, mapper: Mapper[Any], connection: Connection, target: Any) -> None:
        """Take the images of a hierarchy while the rows to be deleted are still there."""
        flush = self._current_flush()
        if flush is None or mapper.base_mapper in flush.imaged:
            return
        flush.imaged.add(mapper.base_mapper)
        for work in self._collect(flush, lambda each: each.base_mapper is mapper.base_mapper):
            self._take_images(flush, work, connection, locks=True)

    def _after_flush(self, session: Session, context: UOWTransaction) -> None:
        flush = self._flush.get(None)
        if flush is None or flush.context is not context:
            return
        self._flush.set(None)
        for work in [*self._collect(flush, flush.is_due), *flush.links.values()]:
            connection = work.connection
            if connection is None:
                connection = session.connection(bind_arguments={"mapper": work.mapper})
            self._take_images(flush, work, connection)
        if flush.is_recorded:
            unit = self.unit_of_work(session)
            unit.finish()
            self._surroundings.plugins().call("after_create_version_objects", unit, session)

    def _take_images(
        self, flush: Flush, work: _Work, connection: Connection, *, locks: bool = False
    ) -> None:
        unit, plugins = self.unit_of_work(flush.session), self._surroundings.plugins()
        if not flush.is_recorded:
            flush.is_recorded = True
            # An id that is drawn now is later than all locks, unless deletes are still to come.
            flush.is_early = unit.ensure_transaction() or locks
            plugins.call("before_flush", unit, flush.session)
            plugins.call("before_create_version_objects", unit, flush.session)
        unit.take_images(
            work.hierarchy, work.changes, connection, is_early=flush.is_early, locks=locks
        )

    # -- which rows --------------------------------------------------------------------------

    def _collect(self, flush: Flush, wanted: Callable[[Mapper[Any]], bool]) -> list[_Work]:
        """Return what a flush did with the objects of the mappers that are *wanted*."""
        found: dict[Hierarchy, _Work] = {}
        for mapper in _sqlalchemy.flushed_mappers(flush.context):
            reader = self._readers.get(mapper)
            if reader is None or not self._is_on(reader.spec) or not wanted(mapper):
                continue
            changes = reader.changes(flush.context, mapper)
            if not changes:
                continue
            self._add_values(flush, mapper, reader, changes)
            spec = reader.spec
            work = found.setdefault(spec.hierarchy, _Work(spec.hierarchy, mapper))
            for table in spec.tables:
                work.changes.setdefault(table, Changes()).extend(changes)
        return list(found.values())

    def _add_values(
        self,
        flush: Flush,
        mapper: Mapper[Any],
        reader: ClassReader,
        changes: Changes,
    ) -> None:
        """Ask plugins for the values of columns that they have added."""
        plugins = self._surroundings.plugins().overriding("version_values")
        if not plugins:
            return
        kinds = dict.fromkeys(changes.inserted, Operation.INSERT)
        kinds |= dict.fromkeys(changes.updated, Operation.UPDATE)
        kinds |= dict.fromkeys(changes.deleted, Operation.DELETE)
        for state, is_deleted, _ in _sqlalchemy.flushed_states(flush.context, mapper):
            key = bare_key(state.key[1]) if is_deleted and state.key else reader.key_of(state)
            if key in kinds:
                values: dict[str, Any] = {}
                for plugin in plugins:
                    values.update(plugin.version_values(reader.spec, state, kinds[key]))
                if values:
                    changes.added[key] = values

    # -- association tables ------------------------------------------------------------------

    def _watch(self, engine: Engine) -> None:
        if all(watched is not engine for watched, _ in self._engines):
            event.listen(engine, "before_execute", self._before_execute)
            self._engines.append((engine, self._before_execute))

    def _before_execute(
        self,
        connection: Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Any,
    ) -> None:
        """Note the links that a relationship is about to write."""
        if not isinstance(statement, (Insert, Update, Delete)):
            return
        table: Any = statement.table
        hierarchy = self._associations.get(table)
        flush = None if hierarchy is None else self._current_flush()
        if hierarchy is None or flush is None:
            return
        work = flush.links.setdefault(hierarchy, _Work(hierarchy, None, connection))
        spec = hierarchy.root
        changes = work.changes.setdefault(spec, Changes())
        sets = _sqlalchemy.statement_parameters(multiparams, params)
        if isinstance(statement, Insert):
            changes.inserted += [_link_key(spec, each) for each in sets]
        elif isinstance(statement, Update):
            changes.departed += [_link_key(spec, each, prefix="old_") for each in sets]
            changes.inserted += [_link_key(spec, each) for each in sets]
        elif spec.is_all_key:
            changes.given += [_link_key(spec, each) for each in sets]
        else:
            gone = Changes(deleted=[_link_key(spec, each) for each in sets])
            work = _Work(hierarchy, None, connection, {spec: gone})
            self._take_images(flush, work, connection, locks=True)


@dataclass(slots=True)
class _Work:
    """The changes to the tables of one hierarchy."""

    hierarchy: Hierarchy
    mapper: Mapper[Any] | None
    connection: Connection | None = None
    changes: dict[VersionSpec, Changes] = field(default_factory=dict)


def _link_key(spec: VersionSpec, parameters: Any, *, prefix: str = "") -> Any:
    return bare_key(tuple(parameters[prefix + pair.parent.key] for pair in spec.key))
