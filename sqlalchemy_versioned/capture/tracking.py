"""Events in: what SQLAlchemy tells about flushes and transactions, handed to the unit of work.

Listeners sit on the sessions that were named and on versioned classes.  Nothing is decided here
beyond "which rows did this flush touch".
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Engine,
    Insert,
    Table,
    TextClause,
    Update,
    event,
    inspect,
)
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
)

from .. import _sqlalchemy
from ..context.values import column_values, said_on
from ..database.dialects import has_rolled_back
from ..database.keys import Key
from ..database.sessions import sync_session
from ..model.operation import Operation
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..reading.loaded import (
    expire_all_versions,
    expire_versions,
    has_loaded_versions,
    watch_versions,
)
from ..reading.snapshot import refuse_past_lookups, refuse_past_objects, watch_unkept
from ..recording.paused import is_paused
from ..recording.recording import Changes, Recording
from ..recording.statements import is_ours
from ..recording.surroundings import Surroundings
from ..recording.unit_of_work import UnitOfWork
from .capture import Capture
from .cascades import Cascaded
from .flushes import Flush, LinkTable, Work, collect_work
from .immutable import Guard
from .native import Triggers, refusal_of
from .recorder import Target
from .touched import ClassReader, bare_key

__all__ = ["Tracker"]


class Tracker:
    """The listeners of one manager.

    :param surroundings: what its units of work need.
    :param is_on: tells whether recording is switched on for a class.
    :param are_links_on: tells whether it is for association tables.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        is_on: Callable[[ClassSpec], bool],
        are_links_on: Callable[[], bool],
    ) -> None:
        self._surroundings = surroundings
        self._is_on = is_on
        self._are_links_on = are_links_on
        self._readers: dict[Mapper[Any], ClassReader] = {}
        self._associations: dict[Table, LinkTable] = {}
        self._mappers: dict[Table, list[Mapper[Any]]] = {}
        #: The classes of which objects have the id of their newest version, with the attribute.
        self._live_ids: dict[type[Any], str] = {}
        #: The tables that only we write.
        self._histories: set[Any] = set()
        self._listeners: list[tuple[Any, str, Any]] = []
        self._hears_all = False
        #: Engines of which connections are recorded although no session has them.
        self._recorded: weakref.WeakSet[Engine] = weakref.WeakSet()
        self._engines: weakref.WeakSet[Engine] = weakref.WeakSet()
        # The flush itself lives as long as SQLAlchemy's, so that one that fails leaves nothing.
        self._name = f"sqlalchemy_versioned_{id(self)}"
        self._flush: ContextVar[weakref.ref[Flush] | None] = ContextVar(
            "sqlalchemy_versioned_flush"
        )
        self._triggered = f"{self._name}_triggered"
        self._capture = Capture(self, self._name)
        self._guard = Guard()
        self._triggers = Triggers()

    # -- listening ---------------------------------------------------------------------------

    def listen_to_sessions(self, target: Any) -> None:
        """Record what the sessions of *target* write: a Session class, a factory or a session."""
        # Of all sessions: then a connection that none has is nobody's.
        self._hears_all |= target is Session
        self._listen(target, "before_attach", self._before_attach)
        self._listen(target, "do_orm_execute", self._do_orm_execute)
        self._listen(target, "before_flush", self._before_flush)
        self._listen(target, "after_flush", self._after_flush)
        self._listen(target, "after_flush_postexec", self._after_flush_postexec)
        self._listen(target, "after_begin", self._after_begin)
        self._listen(target, "after_commit", self._after_commit)
        self._listen(target, "after_rollback", self._after_rollback)
        self._listen(target, "after_transaction_end", self._after_transaction_end)

    def track_class(self, spec: ClassSpec) -> None:
        """Record what happens to the objects of a class."""
        mapper: Mapper[Any] = inspect(spec.parent_class)
        self._readers[mapper] = ClassReader(spec)
        self._listen(mapper, "before_update", self._before_update)
        if self._readers[mapper].has_added:
            self._listen(mapper, "before_insert", self._before_insert)
        self._listen(mapper, "before_delete", self._before_delete)
        for target, name, listener in (*watch_versions(spec.version_class), *watch_unkept(spec)):
            self._listen(target, name, listener)
        live_id = spec.root.live_id_column
        if live_id is not None:
            self._live_ids[spec.parent_class] = mapper.get_property_by_column(live_id).key
        targets = {}
        for table in spec.tables:
            self._mappers.setdefault(table.parent_table, []).append(mapper)
            self._histories.update((table.version_table, table.transaction_table))
            targets[table.parent_table] = Target(
                spec.hierarchy, table, lambda: self._is_on(spec), spec.options.capture
            )
        self._watch_targets(targets)
        if spec.options.immutable_versions:
            self._guard.watch(spec.tables)

    def track_tables(
        self, targets: Mapping[Table, Target], *, immutable: Iterable[Table] = ()
    ) -> None:
        """Record what statements write to tables without a class.

        :param immutable: those of which nobody else may write the versions.
        """
        for target in targets.values():
            self._histories.update((target.spec.version_table, target.spec.transaction_table))
        self._watch_targets(targets)
        self._guard.watch(targets[table].spec for table in immutable)

    def _watch_targets(self, targets: Mapping[Table, Target]) -> None:
        self._capture.watch(targets)
        self._triggers.watch(targets)

    def track_associations(self, tables: Mapping[Table, Hierarchy], *, are_immutable: bool) -> None:
        """Record what relationships write to association tables.

        :param are_immutable: whether nobody else may write their versions.
        """
        mapped = {mapper.local_table: reader.spec for mapper, reader in self._readers.items()}
        for table, hierarchy in tables.items():
            link = self._associations[table] = LinkTable(hierarchy, mapped.get(table))
            self._histories.add(link.spec.version_table)
            target = Target(link.hierarchy, link.spec, self._are_links_on, "raise")
            if table not in self._mappers:
                self._watch_targets({table: target})
            if are_immutable:
                self._guard.watch([link.spec])

    def stop(self) -> None:
        """Take every listener off again."""
        for target, name, listener in self._listeners:
            if event.contains(target, name, listener):
                event.remove(target, name, listener)
        for engine in list(self._engines):
            for name, listener in self._engine_listeners():
                event.remove(engine, name, listener)
        self._listeners.clear()
        self._engines.clear()
        self._recorded.clear()
        self._hears_all = False
        self._readers.clear()
        self._associations.clear()
        self._mappers.clear()
        self._live_ids.clear()
        self._histories.clear()
        self._capture.clear()
        self._guard.clear()
        self._triggers.clear()

    def _listen(self, target: Any, name: str, listener: Any) -> None:
        event.listen(target, name, listener)
        self._listeners.append((target, name, listener))

    # A function that two managers listened with would be gone when one of them stops.

    def _before_attach(self, session: Session, instance: Any) -> None:
        refuse_past_objects(session, instance)

    def _do_orm_execute(self, state: ORMExecuteState) -> None:
        refuse_past_lookups(state)

    # -- units of work -----------------------------------------------------------------------

    def unit_of_work(self, session: Any) -> UnitOfWork:
        """Return the unit of work of the session's current transaction."""
        found = sync_session(session)
        unit = found.info.get(self)
        if unit is None:
            unit = found.info[self] = UnitOfWork(found, self._surroundings, self.unit_of_work)
        current: UnitOfWork = unit
        return current

    def _after_begin(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        if not self._histories:
            return
        self.watch(_sqlalchemy.root_engine(connection))
        info = _sqlalchemy.info_of(connection)
        info[self._name] = weakref.ref(session)
        session.info.setdefault(self._name, []).append(info)

    def _after_commit(self, session: Session) -> None:
        unit, savepoint = session.info.get(self), session.get_nested_transaction()
        if unit is not None and savepoint is not None:
            unit.released(savepoint)

    def _after_rollback(self, session: Session) -> None:
        unit = session.info.get(self)
        if unit is not None and session.get_nested_transaction() is None:
            unit.discard()

    def _after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            for info in session.info.pop(self._name, ()):
                info.pop(self._name, None)
        unit = session.info.get(self)
        if unit is None:
            return
        if transaction.nested:
            if unit.ended(transaction):
                expire_all_versions(session)
        elif transaction.parent is None:
            del session.info[self]
            unit.end()

    # -- flushes -----------------------------------------------------------------------------

    def _before_flush(self, session: Session, context: UOWTransaction, instances: Any) -> None:
        outer = self._current_flush()
        if outer is not None and outer.session is session:
            outer = None
        flush = context.attributes[self._name] = Flush(session, context, outer)
        self._flush.set(weakref.ref(flush))
        if any(self._surroundings.plugins().call("is_session_modified", session)):
            self._begin(flush, is_early=True)

    def _current_flush(self) -> Flush | None:
        """Return the innermost flush that is going on."""
        reference = self._flush.get(None)
        flush = None if reference is None else reference()
        while flush is not None and not _sqlalchemy.is_flushing(flush.session):
            flush = None if flush.outer is None else flush.outer()
        return flush

    def _before_delete(self, mapper: Mapper[Any], connection: Connection, target: Any) -> None:
        """Take the images of a hierarchy while the rows to be deleted are still there."""
        flush = self._current_flush()
        if flush is None or mapper.base_mapper in flush.imaged:
            return
        flush.imaged.add(mapper.base_mapper)
        for work in self._collect(flush, lambda each: each.base_mapper is mapper.base_mapper):
            gone = {spec: [*each.deleted, *each.given] for spec, each in work.changes.items()}
            self.keep_first_state(connection, work.hierarchy, gone)
            absent = self._take_images(flush, work, locks=True).absent
            flush.absent.update(absent)
            for spec, keys in gone.items():
                left = [key for key in keys if key not in absent.get(spec, ())]
                flush.going.setdefault((connection, spec.parent_table), []).extend(left)
                self._record_cascaded(flush, connection, spec.parent_table, keys)

    def _before_update(self, mapper: Mapper[Any], connection: Connection, target: Any) -> None:
        """Keep the state of rows that are changed for the first time since they are recorded."""
        flush = self._current_flush()
        if flush is not None:
            self._note_expressed(flush, mapper, target)
        if flush is None or mapper.base_mapper in flush.first_kept or is_paused(flush.session):
            return
        flush.first_kept.add(mapper.base_mapper)
        if self._surroundings.leaves_to_triggers(connection.dialect):
            return
        if flush.session.connection_callable is None:
            flush.connections[mapper] = connection
        for each in list(_sqlalchemy.flushed_mappers(flush.context)):
            reader = self._readers.get(each)
            if reader is None or each.base_mapper is not mapper.base_mapper:
                continue
            specs = reader.spec.tables
            if not self._is_on(reader.spec) or not self._may_change_first(connection, specs):
                continue
            keys = [
                bare_key(state.key[1])
                for state, is_deleted, _ in _sqlalchemy.flushed_states(flush.context, each)
                if state.key is not None and not is_deleted
            ]
            if keys:
                self.keep_first_state(connection, reader.spec.hierarchy, dict.fromkeys(specs, keys))
                for spec in specs:
                    found = self._capture.behind.keep_referring(connection, spec.parent_table, keys)
                    flush.cascaded.setdefault(connection, Cascaded()).extend(found)

    def _before_insert(self, mapper: Mapper[Any], connection: Connection, target: Any) -> None:
        flush = self._current_flush()
        if flush is not None:
            self._note_expressed(flush, mapper, target)

    def _note_expressed(self, flush: Flush, mapper: Mapper[Any], target: Any) -> None:
        """Note attributes that are set to expressions, of which a flush leaves nothing."""
        reader = self._readers.get(mapper)
        if reader is not None and reader.has_added:
            state: InstanceState[Any] = inspect(target)
            expressed = reader.expressed(state)
            if expressed:
                flush.expressed[state] = expressed

    def _may_change_first(self, connection: Connection, specs: Sequence[VersionSpec]) -> bool:
        """Tell whether an update may be the first change of a row, or of one that refers to it."""
        cascades = self._capture.cascades
        return any(
            self.may_lack_versions(connection, spec) or cascades.acts_on_update(spec.parent_table)
            for spec in specs
        )

    def _record_cascaded(
        self, flush: Flush, connection: Connection, table: Table, keys: list[Key]
    ) -> None:
        cascades = self._capture.cascades
        if keys and cascades.acts_on_delete(table):
            found = cascades.of_deleted(connection, table, keys)
            self._capture.behind.record(flush.session, connection, found)
            flush.cascaded.setdefault(connection, Cascaded()).extend(found)

    def _after_flush(self, session: Session, context: UOWTransaction) -> None:
        flush: Flush | None = context.attributes.pop(self._name, None)
        if flush is None:
            return
        self._flush.set(flush.outer)
        for work in self._collect(flush, flush.is_due):
            if not work.hierarchy.root.strategy.merges and flush.has_imaged(work.mapper):
                for changes in work.changes.values():
                    changes.look_again()
            self._take_images(flush, work)
            self._follow_updated(flush, work)
        for link, work in flush.links.items():
            assert work.connection is not None
            link.settle(work.changes[link.spec], work.connection)
            self._take_images(flush, work)
        self._settle_deletions(flush)
        self._settle_cascaded(flush)
        if flush.is_left_to_triggers:
            self._follow_triggers(session)
        if flush.is_recorded:
            unit = self.unit_of_work(session)
            unit.finish()
            for hierarchy, keys in flush.touched:
                expire_versions(session, hierarchy, keys)
            self._surroundings.plugins().call("after_create_version_objects", unit, session)

    def _after_flush_postexec(self, session: Session, context: UOWTransaction) -> None:
        unit = session.info.get(self)
        if unit is not None:
            unit.set_later()
            if self._live_ids:
                self._expire_live_ids(session)

    def _expire_live_ids(self, session: Session) -> None:
        """Have objects read anew what their rows have got after they were written."""
        for instance in session.identity_map.values():
            for cls, key in self._live_ids.items():
                if isinstance(instance, cls):
                    session.expire(instance, [key])

    def _settle_deletions(self, flush: Flush) -> None:
        """Record that rows are there which the flush was to delete."""
        for connection, table in flush.kept:
            keys = flush.going.get((connection, table), [])
            if keys:
                self._capture.changes.settle_deletion(flush.session, connection, table, keys)

    def _settle_cascaded(self, flush: Flush) -> None:
        for connection, found in flush.cascaded.items():
            self._capture.behind.settle(flush.session, connection, found)

    def _follow_updated(self, flush: Flush, work: Work) -> None:
        for spec, changes in work.changes.items():
            if self._capture.cascades.acts_on_update(spec.parent_table):
                moved = {key: key for key in changes.updated} | changes.former
                if moved:
                    connection = self._connection_of(flush, work)
                    cascaded = flush.cascaded.get(connection, Cascaded())
                    self._capture.behind.follow_updated(
                        flush.session,
                        connection,
                        spec.parent_table,
                        moved,
                        values=cascaded.values.get(spec.parent_table),
                    )

    def _connection_of(self, flush: Flush, work: Work) -> Connection:
        if work.connection is not None:
            return work.connection
        assert work.mapper is not None
        known = flush.connections.get(work.mapper)
        if known is not None:
            return known
        return flush.session.connection(bind_arguments={"mapper": work.mapper})

    def _collect(self, flush: Flush, is_wanted: Callable[[Mapper[Any]], bool]) -> list[Work]:
        if is_paused(flush.session):
            return []
        readers = {
            mapper: reader
            for mapper in _sqlalchemy.flushed_mappers(flush.context)
            if (reader := self._readers.get(mapper))
            and self._is_on(reader.spec)
            and is_wanted(mapper)
            and not self._leaves_to_triggers(flush.session, mapper)
        }
        if not readers:
            return []
        plugins = self._surroundings.plugins().overriding("version_values")
        return collect_work(flush.context, readers, self.added_values, plugins, flush.expressed)

    # -- triggers ------------------------------------------------------------------------------

    def _leaves_to_triggers(self, session: Session, mapper: Mapper[Any]) -> bool:
        return self._surroundings.leaves_to_triggers(session.get_bind(mapper).dialect)

    def _tell_triggers(self, connection: Connection, targets: list[Target]) -> None:
        """Tell triggers what they must know before they record a statement."""
        session = self.session_of(connection) if targets else None
        if session is None:
            return
        self._triggers.tell(targets, connection, session, self.unit_of_work(session))
        flush = self._current_flush()
        if flush is not None and flush.session is session:
            flush.is_left_to_triggers = True
        else:
            _sqlalchemy.info_of(connection)[self._triggered] = True
            self._listen_to_connection(connection, after_cursor_execute=self._after_triggers)

    def _after_triggers(self, connection: Connection, *args: Any) -> None:
        """Follow what triggers have done along with the statement that they were told of."""
        is_told = _sqlalchemy.info_of(connection).pop(self._triggered, False)
        session = self.session_of(connection) if is_told else None
        if session is not None:
            self._follow_triggers(session)

    def _follow_triggers(self, session: Session) -> None:
        """Look at what triggers have written, as far as anybody has seen it before."""
        expire_all_versions(session)
        self.unit_of_work(session).find_transaction()

    def _begin(self, flush: Flush, *, is_early: bool) -> None:
        """Make sure there is a transaction, and tell plugins of the flush."""
        unit, plugins = self.unit_of_work(flush.session), self._surroundings.plugins()
        flush.is_recorded = True
        # An id that is drawn now is later than all locks, unless there are more to come.
        flush.is_early = unit.ensure_transaction(is_wanted=is_early) or is_early
        plugins.call("before_flush", unit, flush.session)

    def _take_images(self, flush: Flush, work: Work, *, locks: bool = False) -> Recording:
        session = flush.session
        if not flush.is_recorded:
            self._begin(flush, is_early=False)
        flush.is_early |= locks
        unit, plugins = self.unit_of_work(session), self._surroundings.plugins()
        if not flush.is_imaged:
            flush.is_imaged = True
            plugins.call("before_create_version_objects", unit, session)
        connection = self._connection_of(flush, work)
        recording = unit.take_images(
            work.hierarchy, work.changes, connection, is_early=flush.is_early, locks=locks
        )
        if has_loaded_versions(session):
            are_certain = recording.are_keys_certain
            keys = [changes.keys() for changes in work.changes.values()] if are_certain else [None]
            flush.touched += [(work.hierarchy, some) for some in keys]
        return recording

    # -- statements --------------------------------------------------------------------------

    def record_engine(self, engine: Engine) -> None:
        """Record what the connections of an engine write, also those that no session has."""
        self._recorded.add(engine)
        self.watch(engine)

    def watch(self, engine: Engine) -> None:
        """Listen to what is executed on the connections of an engine."""
        if engine not in self._engines:
            for name, listener in self._engine_listeners():
                event.listen(engine, name, listener, retval=name == "before_execute")
            self._engines.add(engine)

    def _engine_listeners(self) -> list[tuple[str, Any]]:
        return [
            ("before_execute", self._before_execute),
            ("before_cursor_execute", self._before_cursor_execute),
            ("handle_error", self._handle_error),
        ]

    def _listen_to_connection(self, connection: Connection, **listeners: Any) -> None:
        """Listen to one connection, once; every event that engines tell costs each connection."""
        for name, listener in listeners.items():
            if not event.contains(connection, name, listener):
                event.listen(connection, name, listener)

    def _before_execute(
        self,
        connection: Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Mapping[str, Any],
    ) -> tuple[Any, Any, Any]:
        if _sqlalchemy.is_lambda(statement):
            actual = _sqlalchemy.resolved(statement)
            statement = actual if isinstance(actual, (Insert, Update, Delete)) else statement
        is_write = isinstance(statement, (Insert, Update, Delete))
        if is_write and self._guard:
            is_stored = partial(self._is_stored_on, connection)
            self._guard.check_statement(statement, execution_options, is_stored)
        is_recorded = is_write and not is_ours(execution_options)
        if self._surroundings.leaves_to_triggers(connection.dialect):
            if is_recorded and statement.table not in self._histories:
                targets = self._triggers.targets_of(statement, self._capture.cascades)
                self._tell_triggers(connection, targets)
        elif is_recorded and statement.table not in self._histories:
            sets = _sqlalchemy.statement_parameters(multiparams, params)
            others: Sequence[Mapping[str, Any]] | None = None
            flush = self._flush_of(statement, execution_options)
            if flush is not None:
                statement, others = flush.without_absent(statement, sets)
                if isinstance(statement, Insert):
                    found = self._capture.inserts.replaced(
                        flush.session, connection, statement, sets
                    )
                    if found:
                        flush.cascaded.setdefault(connection, Cascaded()).extend(found)
                elif isinstance(statement, Delete):
                    self._listen_to_connection(connection, after_execute=self._after_execute)
            elif not self._note_links(connection, statement, sets):
                statement, others = self._capture.before(
                    connection, statement, sets, execution_options
                )
                if self._capture.awaits(connection):
                    self._listen_to_connection(connection, after_execute=self._after_execute)
            if others is not None:
                return statement, others, {}
        return statement, multiparams, params

    def _flush_of(self, statement: Any, execution_options: Mapping[str, Any]) -> Flush | None:
        """Return the flush that is going on, if a statement writes objects of it."""
        for mapper in self._mappers.get(statement.table, ()):
            if _sqlalchemy.is_of_mapper(execution_options, mapper):
                return self._current_flush()
        return None

    def _note_links(self, connection: Connection, statement: Any, sets: Any) -> bool:
        """Note the links that a relationship is about to write."""
        link = self._associations.get(cast("Table", statement.table))
        flush = None if link is None else self._current_flush()
        if link is None or flush is None or not link.understands(statement, sets):
            return False
        if not self._are_links_on() or is_paused(flush.session):
            return True
        changes = link.changes(statement, sets, connection)
        gone = [*changes.deleted, *changes.given, *changes.departed]
        self.keep_first_state(connection, link.hierarchy, {link.spec: gone})
        if changes.deleted:
            going = Changes(deleted=changes.deleted)
            changes.deleted = []
            work = Work(link.hierarchy, None, connection, {link.spec: going})
            self._take_images(flush, work, locks=True)
        work = flush.links.setdefault(link, Work(link.hierarchy, None, connection))
        work.changes.setdefault(link.spec, Changes()).extend(changes)
        return True

    def _after_execute(
        self,
        connection: Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Any,
        result: Any,
    ) -> None:
        if not isinstance(statement, (Insert, Update, Delete)):
            return
        flush = self._flush_of(statement, execution_options)
        if flush is None:
            self._capture.after(connection, statement, result)
        elif isinstance(statement, Delete):
            sets = _sqlalchemy.statement_parameters(multiparams, params)
            flush.note_deletion(connection, statement.table, len(sets), result.rowcount)

    def _before_cursor_execute(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        compiled = None if context is None else context.compiled
        is_stored = partial(self._is_stored_on, connection)
        is_native = self._surroundings.leaves_to_triggers(connection.dialect)
        if compiled is None or isinstance(compiled.statement, TextClause):
            if is_native:
                self._tell_triggers(connection, self._triggers.targets_in_text(statement))
            else:
                self._capture.refusals.check_text(connection, statement)
            self._guard.check_text(statement, is_stored)
        elif getattr(compiled, "ctes", None):
            if is_native:
                self._tell_triggers(connection, self._triggers.targets_in_ctes(compiled.ctes))
            else:
                self._capture.refusals.check_ctes(connection, compiled.ctes)
            if self._guard:
                self._guard.check_ctes(compiled.ctes, context.execution_options, is_stored)

    def _handle_error(self, context: Any) -> BaseException | None:
        connection: Connection | None = context.connection
        if connection is None:
            return None
        is_lost = not _sqlalchemy.commits_by_itself(connection) and has_rolled_back(
            connection, context.original_exception
        )
        self._capture.failed(connection, is_lost=is_lost)
        session = self.session_of(connection) if is_lost else None
        if session is not None and session.info.get(self) is not None:
            session.info[self].lose(connection)
            expire_all_versions(session)
        return refusal_of(context.original_exception, context.statement, context.parameters)

    # -- what capture asks for -----------------------------------------------------------------

    def session_of(self, connection: Connection) -> Session | None:
        """Return the session that a connection is recorded in, or ``None`` if it is not."""
        info = _sqlalchemy.info_of(connection)
        reference = info.get(self._name)
        session: Session | None = None if reference is None else reference()
        if session is not None and session.in_transaction():
            return session
        if self._hears_all or _sqlalchemy.root_engine(connection) in self._recorded:
            session = info[self] = _ConnectionSession(connection)
            self._listen_to_connection(
                connection,
                commit=self._ended,
                rollback=self._ended,
                rollback_savepoint=self._savepoint_rolled_back,
                release_savepoint=self._savepoint_released,
            )
            return session
        return None

    def is_paused(self, session: Session) -> bool:
        """Tell whether nothing is recorded in a session at present."""
        return is_paused(session)

    def is_stored_on(self, session: Session, connection: Connection, table: Table) -> bool:
        """Tell whether a connection may lead to the database that has a versioned table."""
        # Who chooses databases otherwise may choose any.
        if type(session).get_bind is not Session.get_bind:
            return True
        try:
            bind = session.get_bind(next(iter(self._mappers.get(table, ())), None), clause=table)
        except UnboundExecutionError:
            return False
        return _sqlalchemy.root_engine_of(bind.engine) is _sqlalchemy.root_engine(connection)

    def _is_stored_on(self, connection: Connection, table: Table) -> bool:
        """Tell the same of the session that a connection is recorded in, if there is one."""
        session = self.session_of(connection)
        return session is not None and self.is_stored_on(session, connection, table)

    def prepare(self, session: Session, connection: Connection, spec: VersionSpec | None) -> None:
        """Refuse what could not be recorded because of what is said of it."""
        self.unit_of_work(session).prepare(connection)
        variables = () if spec is None else (spec.base or spec).variables
        if variables:
            column_values(variables, said_on(connection), connection.dialect)

    def record(
        self,
        session: Session,
        connection: Connection,
        hierarchy: Hierarchy,
        changes: Mapping[VersionSpec, Changes],
        *,
        locks: bool,
    ) -> Mapping[VersionSpec, set[Key]]:
        """Write the versions of what a statement has changed, or is going to delete.

        :returns: rows that were to be deleted and are not there, by table.
        """
        unit, plugins = self.unit_of_work(session), self._surroundings.plugins()
        is_early = unit.ensure_transaction(is_wanted=False) or locks
        plugins.call("before_create_version_objects", unit, session)
        touched = [each.keys() for each in changes.values()]
        recording = unit.take_images(hierarchy, changes, connection, is_early=is_early, locks=locks)
        unit.finish()
        if self._live_ids:
            self._expire_live_ids(session)
        if has_loaded_versions(session):
            for keys in touched:
                expire_versions(session, hierarchy, keys)
        plugins.call("after_create_version_objects", unit, session)
        return recording.absent

    def record_rows(
        self,
        session: Session,
        connection: Connection,
        spec: VersionSpec,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """Write versions of rows of a table without a key.

        :param rows: what they hold, by the key of the version column.
        """
        if not rows:
            return
        unit, plugins = self.unit_of_work(session), self._surroundings.plugins()
        unit.ensure_transaction(is_wanted=False)
        plugins.call("before_create_version_objects", unit, session)
        unit.write_rows(spec, operation, rows, connection)
        unit.finish()
        plugins.call("after_create_version_objects", unit, session)

    def keep_first_state(
        self, connection: Connection, hierarchy: Hierarchy, keys: Mapping[VersionSpec, list[Key]]
    ) -> None:
        """Write versions of rows that have none, before they are changed for the first time."""
        for spec in hierarchy.tables:
            if keys.get(spec):
                self._surroundings.keep_first_state(connection, spec, keys[spec])

    def may_lack_versions(self, connection: Connection, spec: VersionSpec) -> bool:
        """Tell whether some row of a table may have no version."""
        return self._surroundings.may_lack_versions(connection, spec)

    def added_values(
        self,
        specs: Sequence[VersionSpec],
        columns: Collection[ColumnElement[Any]],
        operation: Operation,
    ) -> Mapping[str, Any]:
        """Return the values of columns that are no copies, for rows of which *columns* were set."""
        values: dict[str, Any] = {}
        for spec in specs:
            if operation is not Operation.DELETE:
                values |= {pair.version.key: True for pair in spec.masked if pair.parent in columns}
            for plugin in self._surroundings.plugins().overriding("column_values"):
                values |= plugin.column_values(spec, columns, operation)
        return values

    def split_upserted(
        self, session: Session, connection: Connection, spec: VersionSpec, keys: list[Key]
    ) -> tuple[list[Key], list[Key]]:
        """Tell rows that were new from rows that were there."""
        writer = self._surroundings.writer(spec, (), connection)
        there = set(writer.alive(connection, keys))
        return [k for k in keys if k not in there], [k for k in keys if k in there]

    # -- connections that no session has -------------------------------------------------------

    def _ended(self, connection: Connection) -> None:
        session = _sqlalchemy.info_of(connection).pop(self, None)
        if session is not None:
            session.close()

    def _savepoint_rolled_back(self, connection: Connection, name: Any, context: Any) -> None:
        session = _sqlalchemy.info_of(connection).get(self)
        unit = None if session is None else session.info.get(self)
        if unit is not None:
            unit.ended(connection.get_nested_transaction())

    def _savepoint_released(self, connection: Connection, name: Any, context: Any) -> None:
        session = _sqlalchemy.info_of(connection).get(self)
        unit = None if session is None else session.info.get(self)
        if unit is not None:
            unit.released(connection.get_nested_transaction())
            unit.ended(connection.get_nested_transaction())


class _ConnectionSession(Session):
    """A session that follows the transaction of a connection which nobody gave to a session."""

    def __init__(self, connection: Connection) -> None:
        if not connection.in_transaction():
            connection.begin()
        super().__init__(bind=connection, autoflush=False, join_transaction_mode="rollback_only")
        self._followed = connection
        self.connection()

    def get_nested_transaction(self) -> Any:
        """Return the savepoint that the connection is in."""
        return self._followed.get_nested_transaction()
