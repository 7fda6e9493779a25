"""Which session a connection is recorded in, and the unit of work of each.

A connection that no session has gets one of its own, which follows its transaction.
"""

from __future__ import annotations

import weakref
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, SessionTransaction, SessionTransactionOrigin

from .. import _sqlalchemy
from ..database.sessions import sync_session
from ..reading.loaded import expire_all_versions, leave_versions, versions_inside
from ..recording.paused import FOLLOWED
from ..recording.surroundings import Surroundings
from ..recording.unit_of_work import UnitOfWork

__all__ = ["Sessions"]


class Sessions:
    """The sessions of one manager that write, and their units of work.

    :param name: what is kept of them with connections is called so.
    """

    def __init__(self, surroundings: Surroundings, name: str) -> None:
        self._surroundings = surroundings
        self._name = name
        #: Whether all sessions are heard of; then a connection that none has is nobody's.
        self.hears_all: bool = False
        #: Engines of which connections are recorded although no session has them.
        self._recorded: weakref.WeakSet[Engine] = weakref.WeakSet()
        #: How much sessions had written when savepoints were set, by connection and depth.
        self._writes_before: weakref.WeakKeyDictionary[Connection, dict[int, int | None]] = (
            weakref.WeakKeyDictionary()
        )

    def record_engine(self, engine: Engine) -> None:
        """Record what the connections of an engine write, also those that no session has."""
        self._recorded.add(engine)

    def clear(self) -> None:
        """Hear of none any more."""
        self.hears_all = False
        self._recorded.clear()

    def unit_of_work(self, session: Any) -> UnitOfWork:
        """Return the unit of work of the session's current transaction."""
        found = sync_session(session)
        unit = found.info.get(self)
        if unit is None:
            unit = found.info[self] = UnitOfWork(found, self._surroundings, self.unit_of_work)
        current: UnitOfWork = unit
        return current

    def after_commit(self, session: Session) -> None:
        """Keep what was recorded in a savepoint that is released."""
        unit, savepoint = session.info.get(self), session.get_nested_transaction()
        if unit is not None and savepoint is not None:
            unit.released(savepoint)

    def after_rollback(self, session: Session) -> None:
        """Drop what was recorded in a transaction that is rolled back."""
        unit = session.info.get(self)
        if unit is not None and session.get_nested_transaction() is None:
            unit.discard()

    def after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        """Let the unit of work end with its transaction, or drop what a savepoint takes back."""
        # Each flush ends one.
        if transaction.origin is SessionTransactionOrigin.SUBTRANSACTION:
            return
        if not transaction.nested:
            for info in session.info.pop(self._name, ()):
                info.pop(self._name, None)
        unit = session.info.get(self)
        if unit is None:
            return
        if transaction.nested:
            undone = versions_inside(session)
            # Triggers know the id, and would be asked for it.
            since = unit.oldest_id if undone else None
            if unit.ended(transaction):
                leave_versions(session, undone, since=since)
                expire_all_versions(session)
        else:
            del session.info[self]
            unit.end(may_go_on=not isinstance(session, _ConnectionSession))

    def session_of(self, connection: Connection) -> Session | None:
        """Return the session that a connection is recorded in, or ``None`` if it is not."""
        session = self._noted_on(connection)
        if session is not None and session.in_transaction():
            return session
        if self.hears_all or _sqlalchemy.root_engine(connection) in self._recorded:
            session = _ConnectionSession(connection)
            _sqlalchemy.info_of(connection)[self] = session
            if not self.has_begun(session):
                # It is heard of where all sessions are, and not where some are named.
                self.begun(session, connection)
            self.listen_to_connection(
                connection,
                commit=self._ended,
                rollback=self._ended,
                rollback_savepoint=self._savepoint_rolled_back,
                release_savepoint=self._savepoint_released,
            )
            return session
        return None

    def has_begun(self, session: Session) -> bool:
        """Tell whether a session is known to write by some connection."""
        return self._name in session.info

    def begun(self, session: Session, connection: Connection) -> None:
        """Note that a session writes by a connection from now on."""
        info = _sqlalchemy.info_of(connection)
        info[self._name] = weakref.ref(session)
        session.info.setdefault(self._name, []).append(info)

    def current(self, session: Session) -> UnitOfWork | None:
        """Return the unit of work of a session, if it has begun one."""
        found: UnitOfWork | None = session.info.get(self)
        return found

    def lose(self, connection: Connection) -> None:
        """Drop what was recorded on a connection whose transaction the database has rolled back."""
        session = self.session_of(connection)
        if session is not None and session.info.get(self) is not None:
            session.info[self].lose(connection)
            expire_all_versions(session)

    def savepoint_set(self, connection: Connection) -> None:
        """Note how much the session of a connection has written before a savepoint, if it has one.

        What follows a connection follows its savepoints.
        """
        session, writes = self._known_on(connection), None
        if session is not None:
            unit = self.current(session)
            writes = 0 if unit is None else unit.writes
        # It has no name yet.
        depth = len(_sqlalchemy.savepoints_of(connection))
        self._writes_before.setdefault(connection, {})[depth] = writes

    def loses_unknown(self, connection: Connection) -> bool:
        """Tell whether a savepoint takes back versions of a session that has not set it."""
        depth = len(_sqlalchemy.savepoints_of(connection)) - 1
        before = self._writes_before.get(connection, {}).get(depth)
        session = None if before is None else self._known_on(connection)
        unit = None if session is None else self.current(session)
        if session is None or unit is None or unit.writes == before:
            return False
        return not _sqlalchemy.is_savepoint_of(session, connection.get_nested_transaction())

    def _known_on(self, connection: Connection) -> Session | None:
        """Return the session of the application that writes by a connection, if there is one."""
        session = self._noted_on(connection)
        return None if isinstance(session, _ConnectionSession) else session

    def _noted_on(self, connection: Connection) -> Session | None:
        """Return the session that has begun to write by a connection, if it is still there."""
        reference = _sqlalchemy.info_of(connection).get(self._name)
        session: Session | None = None if reference is None else reference()
        return session

    def listen_to_connection(self, connection: Connection, **listeners: Any) -> None:
        """Listen to one connection, once; every event that engines tell costs each connection."""
        for name, listener in listeners.items():
            if not event.contains(connection, name, listener):
                event.listen(connection, name, listener)

    def _ended(self, connection: Connection) -> None:
        session = _sqlalchemy.info_of(connection).pop(self, None)
        if session is not None:
            transaction = session.get_transaction()
            session.close()
            self.after_transaction_end(session, transaction)

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
        self.info[FOLLOWED] = _sqlalchemy.info_of(connection)
        self._followed = connection
        self.connection()

    def get_nested_transaction(self) -> Any:
        """Return the savepoint that the connection is in."""
        return self._followed.get_nested_transaction()
