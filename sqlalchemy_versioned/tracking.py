"""Events in: what SQLAlchemy tells about flushes and transactions, handed to the unit of work.

Listeners sit on the sessions that were named and on versioned classes.  Nothing is decided here
beyond "which rows did this flush touch".
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update, event, inspect
from sqlalchemy.orm import Mapper, Session, SessionTransaction, UOWTransaction

from . import _sqlalchemy
from .flushes import Flush, LinkTable, Work, collect_work
from .loaded import (
    expire_all_versions,
    expire_versions,
    has_loaded_versions,
    watch_versions,
)
from .recording import Changes
from .spec import ClassSpec, Hierarchy
from .touched import ClassReader
from .unit_of_work import Surroundings, UnitOfWork, sync_session

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
        self._listeners: list[tuple[Any, str, Any]] = []
        self._engines: weakref.WeakSet[Engine] = weakref.WeakSet()
        # The flush itself lives as long as SQLAlchemy's, so that one that fails leaves nothing.
        self._name = f"sqlalchemy_versioned_{id(self)}"
        self._flush: ContextVar[weakref.ref[Flush] | None] = ContextVar(
            "sqlalchemy_versioned_flush"
        )

    # -- listening ---------------------------------------------------------------------------

    def listen_to_sessions(self, target: Any) -> None:
        """Record what the sessions of *target* write: a Session class, a factory or a session."""
        self._listen(target, "before_flush", self._before_flush)
        self._listen(target, "after_flush", self._after_flush)
        self._listen(target, "after_begin", self._after_begin)
        self._listen(target, "after_commit", self._after_commit)
        self._listen(target, "after_rollback", self._after_rollback)
        self._listen(target, "after_transaction_end", self._after_transaction_end)

    def track_class(self, spec: ClassSpec) -> None:
        """Record what happens to the objects of a class."""
        mapper: Mapper[Any] = inspect(spec.parent_class)
        self._readers[mapper] = ClassReader(spec)
        self._listen(mapper, "before_delete", self._before_delete)
        for target, name, listener in watch_versions(spec.version_class):
            self._listen(target, name, listener)

    def track_associations(self, tables: Mapping[Table, Hierarchy]) -> None:
        """Record what relationships write to association tables."""
        mapped = {mapper.local_table: reader.spec for mapper, reader in self._readers.items()}
        for table, hierarchy in tables.items():
            self._associations[table] = LinkTable(hierarchy, mapped.get(table))

    def stop(self) -> None:
        """Take every listener off again."""
        for target, name, listener in self._listeners:
            if event.contains(target, name, listener):
                event.remove(target, name, listener)
        for engine in list(self._engines):
            event.remove(engine, "before_execute", self._before_execute)
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
            unit = found.info[self] = UnitOfWork(found, self._surroundings, self.unit_of_work)
        current: UnitOfWork = unit
        return current

    def _after_begin(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        if self._associations:
            self._watch(_sqlalchemy.root_engine(connection))

    def _after_commit(self, session: Session) -> None:
        unit, savepoint = session.info.get(self), session.get_nested_transaction()
        if unit is not None and savepoint is not None:
            unit.released(savepoint)

    def _after_rollback(self, session: Session) -> None:
        unit = session.info.get(self)
        if unit is not None and session.get_nested_transaction() is None:
            unit.discard()

    def _after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
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
            self._take_images(flush, work, locks=True)

    def _after_flush(self, session: Session, context: UOWTransaction) -> None:
        flush: Flush | None = context.attributes.pop(self._name, None)
        if flush is None:
            return
        self._flush.set(flush.outer)
        for work in self._collect(flush, flush.is_due):
            self._take_images(flush, work)
        for link, work in flush.links.items():
            assert work.connection is not None
            link.settle(work.changes[link.spec], work.connection)
            self._take_images(flush, work)
        if flush.is_recorded:
            unit = self.unit_of_work(session)
            unit.finish()
            for hierarchy, keys in flush.touched:
                expire_versions(session, hierarchy, keys)
            self._surroundings.plugins().call("after_create_version_objects", unit, session)

    def _collect(self, flush: Flush, is_wanted: Callable[[Mapper[Any]], bool]) -> list[Work]:
        readers = {
            mapper: reader
            for mapper in _sqlalchemy.flushed_mappers(flush.context)
            if (reader := self._readers.get(mapper))
            and self._is_on(reader.spec)
            and is_wanted(mapper)
        }
        if not readers:
            return []
        plugins = self._surroundings.plugins().overriding("version_values")
        return collect_work(flush.context, readers, plugins)

    def _begin(self, flush: Flush, *, is_early: bool) -> None:
        """Make sure there is a transaction, and tell plugins of the flush."""
        unit, plugins = self.unit_of_work(flush.session), self._surroundings.plugins()
        flush.is_recorded = True
        # An id that is drawn now is later than all locks, unless there are more to come.
        flush.is_early = unit.ensure_transaction(is_wanted=is_early) or is_early
        plugins.call("before_flush", unit, flush.session)

    def _take_images(self, flush: Flush, work: Work, *, locks: bool = False) -> None:
        session = flush.session
        if not flush.is_recorded:
            self._begin(flush, is_early=False)
        flush.is_early |= locks
        unit, plugins = self.unit_of_work(session), self._surroundings.plugins()
        if not flush.is_imaged:
            flush.is_imaged = True
            plugins.call("before_create_version_objects", unit, session)
        if has_loaded_versions(session):
            keys = [changes.keys() for changes in work.changes.values()]
            flush.touched += [(work.hierarchy, some) for some in keys]
        connection = work.connection
        if connection is None:
            connection = session.connection(bind_arguments={"mapper": work.mapper})
        unit.take_images(
            work.hierarchy, work.changes, connection, is_early=flush.is_early, locks=locks
        )

    # -- association tables ------------------------------------------------------------------

    def _watch(self, engine: Engine) -> None:
        if engine not in self._engines:
            event.listen(engine, "before_execute", self._before_execute)
            self._engines.add(engine)

    def _before_execute(
        self,
        connection: Connection,
        statement: Any,
        multiparams: Any,
        params: Any,
        execution_options: Mapping[str, Any],
    ) -> None:
        """Note the links that a relationship is about to write."""
        if not isinstance(statement, (Insert, Update, Delete)):
            return
        link = self._associations.get(cast("Table", statement.table))
        flush = None if link is None else self._current_flush()
        if link is None or flush is None or link.is_of_class(execution_options):
            return
        if not self._are_links_on():
            return
        sets = _sqlalchemy.statement_parameters(multiparams, params)
        if not link.understands(statement, sets):
            return
        changes = link.changes(statement, sets, connection)
        if changes.deleted:
            gone = Changes(deleted=changes.deleted)
            changes.deleted = []
            work = Work(link.hierarchy, None, connection, {link.spec: gone})
            self._take_images(flush, work, locks=True)
        work = flush.links.setdefault(link, Work(link.hierarchy, None, connection))
        work.changes.setdefault(link.spec, Changes()).extend(changes)
