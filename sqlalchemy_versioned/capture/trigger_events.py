"""Statements that triggers record: what they are told before one, and what it has brought about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from .. import _sqlalchemy
from ..recording.paused import is_paused
from .flush_events import FlushEvents
from .flushes import Flush
from .native import Triggers
from .recorder import Target
from .session_recorder import SessionRecorder

__all__ = ["TriggerEvents"]


class TriggerEvents:
    """Has triggers and sessions know of each other, statement by statement."""

    def __init__(self, recorder: SessionRecorder, flushes: FlushEvents, name: str) -> None:
        self._recorder = recorder
        self._sessions = recorder.sessions
        self._surroundings = recorder.surroundings
        self._flushes = flushes
        self._told = f"{name}_triggered"
        #: The triggers that there are to be told.
        self.known: Triggers = Triggers(recorder.surroundings.schemas)

    def tell(self, connection: Connection, targets: Sequence[Target]) -> None:
        """Tell triggers what they must know before they record a statement."""
        flush = self._flushes.current_flush() if targets else None
        session = self._session_of(connection, flush) if targets else None
        if session is None:
            return
        if flush is not None and flush.session is not session:
            flush = None
        unit = self._sessions.unit_of_work(session)
        if flush is not None and not (flush.is_left_to_triggers or is_paused(session)):
            flush.is_left_to_triggers = True
            if flush.unit is None:
                unit.ensure_transaction(connection, is_wanted=False)
                self._surroundings.plugins.call("before_flush", unit, session)
        self.known.tell(targets, connection, session, unit, flush=flush)
        if flush is None:
            _sqlalchemy.info_of(connection)[self._told] = True
            self._sessions.listen_to_connection(connection, after_cursor_execute=self._after)

    def _session_of(self, connection: Connection, flush: Flush | None) -> Session | None:
        # Several sessions may have been given the connection.
        if flush is not None and flush.session.bind is connection:
            return flush.session
        return self._sessions.session_of(connection)

    def _after(self, connection: Connection, *args: Any) -> None:
        """Follow what triggers have done along with the statement that they were told of."""
        is_told = _sqlalchemy.info_of(connection).pop(self._told, False)
        session = self._sessions.session_of(connection) if is_told else None
        if session is not None:
            self._recorder.follow_triggers(session)
            self._recorder.expire_live_ids(session)
