"""Versions written in the transaction of a session: what those who notice writes ask for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session

from .. import _sqlalchemy
from ..context.values import column_values, said_on
from ..database.keys import Key
from ..model.operation import Operation
from ..model.spec import Hierarchy, VersionSpec
from ..reading.loaded import expire_all_versions, expire_versions, has_loaded_versions
from ..recording.changes import Changes
from ..recording.paused import is_paused
from ..recording.surroundings import Surroundings
from .failures import Failures
from .sessions import Sessions
from .tracked import Tracked

__all__ = ["SessionRecorder"]


class SessionRecorder:
    """Records by the units of work of sessions; the :class:`.Recorder` there is."""

    def __init__(self, surroundings: Surroundings, sessions: Sessions, tracked: Tracked) -> None:
        self.surroundings = surroundings
        self.sessions = sessions
        self._tracked = tracked
        #: Transactions that recording has failed in.
        self.failures: Failures = Failures()

    def session_of(self, connection: Connection) -> Session | None:
        """Return the session that a connection is recorded in, or ``None`` if it is not."""
        return self.sessions.session_of(connection)

    def is_paused(self, session: Session) -> bool:
        """Tell whether nothing is recorded in a session at present."""
        return is_paused(session)

    def is_stored_on(self, session: Session, connection: Connection, table: Table) -> bool:
        """Tell whether a connection may lead to the database that has a versioned table."""
        # Who chooses databases otherwise may choose any.
        if type(session).get_bind is not Session.get_bind:
            return True
        try:
            # Any class of the table will do; sessions choose databases by class before they do by
            # table.
            mapper = next(iter(self._tracked.mappers.get(table, ())), None)
            bind = session.get_bind(mapper, clause=table)
        except UnboundExecutionError:
            return False
        return _sqlalchemy.root_engine_of(bind.engine) is _sqlalchemy.root_engine(connection)

    def is_stored_by(self, connection: Connection, table: Table) -> bool:
        """Tell the same of the session that a connection is recorded in, if there is one."""
        session = self.session_of(connection)
        return session is not None and self.is_stored_on(session, connection, table)

    def prepare(self, session: Session, connection: Connection, spec: VersionSpec | None) -> None:
        """Refuse what could not be recorded because of what is said of it."""
        self.sessions.unit_of_work(session).prepare(connection)
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
        written: VersionSpec | None = None,
    ) -> Mapping[VersionSpec, set[Key]]:
        """Write the versions of what a statement has changed, or is going to delete.

        :param written: the table whose rows were changed, if that is one; others tell along.
        :returns: rows that were to be deleted and are not there, by table.
        """
        # Of rows about to be deleted there may be some versions already.
        with self.noting(connection):
            unit, plugins = self.sessions.unit_of_work(session), self.surroundings.plugins
            # They are locked by the very statement that reads the number.
            is_early = unit.ensure_transaction(connection, is_wanted=False) or locks
            plugins.call("before_create_version_objects", unit, session)
            touched = [each.keys() for each in changes.values()]
            recording = unit.take_images(
                hierarchy,
                changes,
                connection,
                is_early=is_early,
                locks=locks,
                held=None if written is hierarchy.root else (),
            )
            unit.finish()
            self.expire_live_ids(session)
            # Going through all objects of a session for each statement would be felt.
            if has_loaded_versions(session):
                since = unit.oldest_id
                for keys in touched:
                    expire_versions(session, hierarchy, keys, since=since)
            plugins.call("after_create_version_objects", unit, session)
            return recording.absent

    def noting(self, connection: Connection) -> AbstractContextManager[None]:
        """Let a transaction not be committed if the block fails, which goes on with recording."""
        return self.failures.noting(connection)

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
        unit, plugins = self.sessions.unit_of_work(session), self.surroundings.plugins
        unit.ensure_transaction(connection, is_wanted=False)
        plugins.call("before_create_version_objects", unit, session)
        unit.write_rows(spec, operation, rows, connection)
        unit.finish()
        plugins.call("after_create_version_objects", unit, session)

    def keep_first_state(
        self,
        connection: Connection,
        hierarchy: Hierarchy,
        keys: Mapping[VersionSpec, list[Key]],
        *,
        born: Collection[VersionSpec] = (),
    ) -> None:
        """Write versions of rows that have none, before they are changed for the first time.

        :param born: the tables with rows that were inserted and are still to be recorded.
        """
        for spec in hierarchy.tables:
            if keys.get(spec):
                self.surroundings.keep_first_state(connection, spec, keys[spec], born=born)

    def may_lack_versions(self, connection: Connection, spec: VersionSpec) -> bool:
        """Tell whether some row of a table may have no version."""
        return self.surroundings.may_lack_versions(connection, spec)

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
            for plugin in self.surroundings.plugins.overriding("column_values"):
                values |= plugin.column_values(spec, columns, operation)
        return values

    def split_upserted(
        self, session: Session, connection: Connection, spec: VersionSpec, keys: list[Key]
    ) -> tuple[list[Key], list[Key]]:
        """Tell rows that were new from rows that were there."""
        writer = self.surroundings.writer(spec, (), connection)
        there = set(writer.alive(connection, keys))
        return [k for k in keys if k not in there], [k for k in keys if k in there]

    def expire_live_ids(self, session: Session) -> None:
        """Have objects read anew what their rows have got after they were written."""
        # Hardly anybody has such columns; nobody else should pay for a look at all objects.
        if not self._tracked.live_ids:
            return
        for instance in session.identity_map.values():
            for cls, key in self._tracked.live_ids.items():
                if isinstance(instance, cls):
                    session.expire(instance, [key])

    def follow_triggers(self, session: Session) -> None:
        """Look at what triggers have written, as far as anybody has seen it before."""
        expire_all_versions(session)
        self.sessions.unit_of_work(session).find_transaction()
