"""Flushes, followed from before their first statement until after their last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, Table
from sqlalchemy.orm import InstanceState, Mapper, Session, UOWTransaction

from .. import _sqlalchemy
from ..database.dialects import has_concurrent_writers
from ..database.keys import Key, bare_key
from ..model.spec import ClassSpec, VersionSpec
from ..reading.loaded import (
    expire_versions,
    has_loaded_versions,
    leave_versions,
    versions_of_other_classes,
)
from ..recording.changes import Changes
from ..recording.paused import is_paused
from ..recording.recording import Recording
from ..recording.unit_of_work import UnitOfWork
from .captures import Captures
from .conflicts import may_change_rows
from .flush_behind import FlushBehind
from .flush_refusals import refuse_left_rows
from .flush_work import classes_of_added, collect_work
from .flushed_classes import FlushedClasses
from .flushes import Flush
from .going_on import GoingOn
from .native import end_events
from .session_recorder import SessionRecorder
from .touched import ClassReader
from .tracked import Tracked
from .work import Work

__all__ = ["FlushEvents"]


class FlushEvents:
    """Records what flushes write."""

    def __init__(
        self, recorder: SessionRecorder, captures: Captures, tracked: Tracked, name: str
    ) -> None:
        self._recorder = recorder
        self._surroundings = recorder.surroundings
        self._sessions = recorder.sessions
        self._tracked = tracked
        self._classes = FlushedClasses(recorder.surroundings, tracked)
        self._behind = FlushBehind(recorder.surroundings, captures)
        self._going_on = GoingOn(name)

    def before_flush(self, session: Session, context: UOWTransaction) -> None:
        """Begin to follow a flush."""
        self._going_on.begin(session, context)
        if any(self._surroundings.plugins.call("is_session_modified", session)):
            self._begin(self._going_on.of(context), None, is_early=True)

    def current_flush(self) -> Flush | None:
        """Return the innermost flush that is going on."""
        return self._going_on.current()

    def before_deletions(
        self, flush: Flush, connection: Connection, base_mapper: Mapper[Any], table: Any
    ) -> None:
        """Take the images of a hierarchy while the rows to be deleted are still there.

        :param table: the first to lose rows, or another of them.
        """
        if base_mapper in flush.imaged:
            self._behind.look_again(flush, connection, table)
            return
        flush.imaged.add(base_mapper)
        # Images of rows that go with others which are still to be deleted say that they are there.
        flush.moved.update(flush.going)
        for work in self._collect(flush, self._classes.of_hierarchy(flush, base_mapper)):
            gone = {spec: [*each.deleted, *each.given] for spec, each in work.changes.items()}
            born = [spec for spec, each in work.changes.items() if each.inserted]
            self._recorder.keep_first_state(connection, work.hierarchy, gone, born=born)
            absent = self._take_images(flush, work, locks=True).absent
            flush.absent.update(absent)
            for spec, keys in gone.items():
                left = [key for key in keys if key not in absent.get(spec, ())]
                flush.going.setdefault((connection, spec.parent_table), []).extend(left)
                self._behind.record(flush, connection, spec.parent_table, keys)

    def before_others(self, connection: Connection, statement: Any) -> None:
        """Record the rows that a flush has inserted, before a statement changes them in its midst.

        Nobody would know otherwise that they were not there before the transaction.
        """
        flush = self.current_flush()
        if flush is None or not may_change_rows(statement, connection.dialect):
            return
        if self._recorder.session_of(connection) is not flush.session:
            return
        flush.is_interrupted |= bool(flush.connections)
        if not flush.has_born:
            return
        flush.has_born = False
        unit = self._sessions.unit_of_work(flush.session)
        for work in self._collect(flush, self._classes.due(flush)):
            for spec, changes in work.changes.items():
                work.changes[spec] = changes.born(unit.operations(spec))
            if any(work.changes.values()):
                self._take_images(flush, work)
                # What the flush is still to write locks further rows.
                flush.is_early = True

    def before_updates(
        self, flush: Flush, connection: Connection, base_mapper: Mapper[Any]
    ) -> None:
        """Keep the state of rows that are changed for the first time since they are recorded."""
        if base_mapper in flush.updated:
            return
        flush.updated.add(base_mapper)
        readers = self._classes.of_hierarchy(flush, base_mapper)
        joined = {m: each for m, each in readers.items() if each.spec.hierarchy.is_joined}
        if joined:
            refuse_left_rows(readers, self._classes.switched(flush, base_mapper))
            if has_concurrent_writers(connection.dialect):
                self._hold_objects(flush, connection, joined)
        for mapper, reader in readers.items():
            if self._behind.may_change_first(connection, reader.spec.tables):
                self._keep_first_states(flush, connection, mapper, reader.spec)

    def _hold_objects(
        self, flush: Flush, connection: Connection, readers: Mapping[Mapper[Any], ClassReader]
    ) -> None:
        """Lock the objects that a flush updates, if it leaves out the base-most table of some.

        All of them, and before it writes: flushes write table by table, in the order of keys, and
        who locked otherwise might wait for one in a circle.
        """
        found: dict[VersionSpec, dict[Key, bool]] = {}
        for mapper, reader in readers.items():
            written = reader.writes_base(flush.context, mapper)
            found.setdefault(reader.spec.root, {}).update(written)
        for root, keys in found.items():
            if not all(keys.values()):
                self._surroundings.hold(connection, root, list(keys))
            flush.held.setdefault(root, set()).update(keys)

    def _keep_first_states(
        self, flush: Flush, connection: Connection, mapper: Mapper[Any], spec: ClassSpec
    ) -> None:
        """Keep the first states of the objects of a class, and of rows that refer to them."""
        switched = self._classes.switched(flush, mapper.base_mapper)
        added = _sqlalchemy.added_states(flush.context)
        keys = [
            bare_key(state.key[1])
            for state, is_deleted, _ in _sqlalchemy.flushed_states(flush.context, mapper)
            if state.key is not None and state not in added
            if not is_deleted or state in switched
        ]
        if not keys:
            return
        firsts = dict.fromkeys(spec.tables, keys)
        self._recorder.keep_first_state(connection, spec.hierarchy, firsts)
        for table in spec.tables:
            self._behind.keep(flush, connection, table.parent_table, keys)

    def note_expressed(
        self, mapper: Mapper[Any], connection: Connection, state: InstanceState[Any]
    ) -> None:
        """Note attributes that are set to expressions, of which a flush leaves nothing."""
        flush, reader = self.current_flush(), self._tracked.readers.get(mapper)
        if flush is not None and reader is not None:
            expressed = reader.expressed(state)
            if expressed:
                flush.expressed[state] = expressed

    def after_flush(self, session: Session, context: UOWTransaction) -> None:
        """Record what a flush has written."""
        flush = self._going_on.end(context)
        if flush is None:
            return
        works = self._collect(flush, self._classes.due(flush))
        for work in works:
            self._doubt(flush, work)
            self._behind.leave_gone(flush, work)
            self._take_images(flush, work)
        for link, work in flush.links.items():
            link.settle(work)
            self._take_images(flush, work)
        # Among the rows that follow others are some that the flush has inserted.
        for work in works:
            if self._behind.is_followed(work):
                self._behind.follow(flush, self._connection_of(flush, work), work)
        self._behind.settle(flush)
        self._leave_versions(session, context)
        if flush.is_left_to_triggers:
            end_events(flush)
            self._recorder.follow_triggers(session)
        unit = flush.unit
        if unit is not None:
            unit.finish()
            for hierarchy, keys in flush.touched:
                expire_versions(session, hierarchy, keys, since=unit.oldest_id)
            self._surroundings.plugins.call("after_create_version_objects", unit, session)

    def _leave_versions(self, session: Session, context: UOWTransaction) -> None:
        unit = self._sessions.current(session)
        if unit is None or not has_loaded_versions(session):
            return
        others = versions_of_other_classes(session, classes_of_added(context))
        if others:
            leave_versions(session, others, since=unit.oldest_id)

    def _doubt(self, flush: Flush, work: Work) -> None:
        """Doubt changes of which nothing may be left to tell since others were recorded."""
        for changes in work.changes.values():
            if flush.has_imaged(work.mapper):
                changes.look_again()
            elif flush.is_interrupted and not work.hierarchy.root.strategy.merges:
                changes.doubtful.update(changes.updated)

    def after_flush_postexec(self, session: Session, context: UOWTransaction) -> None:
        """Set what objects could not be given while they were flushed."""
        unit = self._sessions.current(session)
        if unit is not None:
            unit.set_later()
            self._recorder.expire_live_ids(session)

    def _connection_of(self, flush: Flush, work: Work) -> Connection:
        if work.connection is not None:
            return work.connection
        for spec in work.changes:
            known = flush.connections.get(spec.parent_table)
            if known is not None:
                return known
        assert work.mapper is not None
        return flush.session.connection(bind_arguments={"mapper": work.mapper})

    def _collect(self, flush: Flush, readers: Mapping[Mapper[Any], ClassReader]) -> list[Work]:
        """Return what a flush does with the objects that *readers* are for."""
        if not readers:
            return []
        plugins = self._surroundings.plugins
        return collect_work(flush, readers, self._recorder.added_values, plugins)

    def _begin(self, flush: Flush, writing: Connection | None, *, is_early: bool) -> UnitOfWork:
        """Make sure there is a transaction, and tell plugins of the flush."""
        unit = flush.unit = self._sessions.unit_of_work(flush.session)
        # An id that is drawn now is later than all locks, unless there are more to come.
        flush.is_early = unit.ensure_transaction(writing, is_wanted=is_early) or is_early
        self._surroundings.plugins.call("before_flush", unit, flush.session)
        return unit

    def _take_images(self, flush: Flush, work: Work, *, locks: bool = False) -> Recording:
        session, connection = flush.session, self._connection_of(flush, work)
        unit = flush.unit or self._begin(flush, connection, is_early=False)
        flush.is_early |= locks
        if not flush.is_imaged:
            flush.is_imaged = True
            self._surroundings.plugins.call("before_create_version_objects", unit, session)
        recording = unit.take_images(
            work.hierarchy,
            work.changes,
            connection,
            is_early=flush.is_early,
            locks=locks,
            held=flush.held.get(work.hierarchy.root, ()),
        )
        if has_loaded_versions(session):
            are_certain = recording.are_keys_certain
            keys = [changes.keys() for changes in work.changes.values()] if are_certain else [None]
            flush.touched += [(work.hierarchy, some) for some in keys]
        return recording

    def note_links(self, connection: Connection, statement: Any, sets: Any) -> bool:
        """Note the links that a relationship is about to write."""
        table = cast("Table", statement.table)
        link = self._tracked.associations.get(table)
        flush = None if link is None else self.current_flush()
        if link is None or flush is None or not link.understands(statement, sets):
            return False
        if not self._tracked.is_link_on(table) or is_paused(flush.session):
            return True
        changes = link.changes(statement, sets, connection)
        gone = [*changes.deleted, *changes.given, *changes.departed]
        self._recorder.keep_first_state(connection, link.hierarchy, {link.spec: gone})
        if changes.deleted:
            going = Changes(deleted=changes.deleted)
            changes.deleted = []
            work = Work(link.hierarchy, None, connection, {link.spec: going})
            self._take_images(flush, work, locks=True)
        work = flush.links.setdefault(link, Work(link.hierarchy, None, connection))
        noted = work.changes.setdefault(link.spec, Changes())
        work.standing |= link.standing(changes, noted.inserted, connection)
        noted.extend(changes)
        flush.moved.update(flush.going)
        return True
