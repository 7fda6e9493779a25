"""Transactions that must not be committed: rows were written, and recording them has failed.

A flush that fails is rolled back by SQLAlchemy, and a transaction in which PostgreSQL met an error
by PostgreSQL.  What a statement of the application has written stays where a database goes on after
errors, or the error is none of the database; whoever catches it could commit rows without versions.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event

from .. import _sqlalchemy
from ..exc import CaptureError

__all__ = ["Failures"]


_UNKNOWN = (
    "a savepoint was rolled back of which the session does not know; set savepoints by "
    "session.begin_nested(), not on its connection"
)


class Failures:
    """The connections on which recording has failed, until they are rolled back."""

    def __init__(self) -> None:
        #: What went wrong, and the savepoints that take back what was written, by connection.
        self._noted: WeakKeyDictionary[Connection, tuple[str, set[str]]] = WeakKeyDictionary()

    @contextmanager
    def noting(self, connection: Connection) -> Generator[None, None, None]:
        """Let a transaction not be committed if the block fails, which records what it writes."""
        try:
            yield
        except BaseException as error:
            self.note(connection, error)
            raise

    def note(self, connection: Connection, error: BaseException) -> None:
        """Let the transaction of a connection not be committed any more."""
        # What commits by itself is committed; what is lost is rolled back.
        if connection.closed or connection.invalidated or not connection.in_transaction():
            return
        if _sqlalchemy.commits_by_itself(connection) or connection in self._noted:
            return
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        self._note(connection, reason, _sqlalchemy.savepoints_of(connection))

    def note_lost(self, connection: Connection, savepoint: str) -> None:
        """Let a transaction not be committed of which a savepoint took versions with it."""
        if connection not in self._noted:
            around = [each for each in _sqlalchemy.savepoints_of(connection) if each != savepoint]
            self._note(connection, _UNKNOWN, around)

    def _note(self, connection: Connection, reason: str, savepoints: Iterable[str]) -> None:
        self._noted[connection] = reason, set(savepoints)
        for name, listener in self._listeners():
            if not event.contains(connection, name, listener):
                event.listen(connection, name, listener)

    def _listeners(self) -> list[tuple[str, Any]]:
        return [
            ("commit", self._refuse_commit),
            ("prepare_twophase", self._refuse_prepare),
            ("commit_twophase", self._refuse_prepared),
            ("rollback", self._rolled_back),
            ("rollback_twophase", self._rolled_back),
            ("rollback_savepoint", self._savepoint_rolled_back),
            ("release_savepoint", self._savepoint_released),
        ]

    def _refuse_commit(self, connection: Connection) -> None:
        if connection in self._noted:
            reason = self._noted[connection][0]
            # SQLAlchemy does not roll back what it takes for committed.
            _sqlalchemy.roll_back(connection)
            self._refuse(reason)

    def _refuse_prepare(self, connection: Connection, xid: Any) -> None:
        if connection in self._noted:
            self._refuse(self._noted[connection][0])

    def _refuse_prepared(self, connection: Connection, xid: Any, is_prepared: bool) -> None:
        if connection in self._noted:
            reason = self._noted[connection][0]
            _sqlalchemy.roll_back_two_phases(connection, xid, is_prepared)
            self._refuse(reason)

    def _refuse(self, reason: str) -> NoReturn:
        raise CaptureError(
            "this transaction has written rows of versioned tables whose versions could not be "
            f"recorded ({reason}); it cannot be committed, so roll it back, and write them again"
        )

    def _rolled_back(self, connection: Connection, *args: Any) -> None:
        self._noted.pop(connection, None)

    def _savepoint_rolled_back(self, connection: Connection, name: str, context: Any) -> None:
        if connection in self._noted and name in self._noted[connection][1]:
            del self._noted[connection]

    def _savepoint_released(self, connection: Connection, name: str, context: Any) -> None:
        if connection in self._noted:
            self._noted[connection][1].discard(name)
