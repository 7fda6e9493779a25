"""What recognises statements that sessions must record, by where they are executed.

Where triggers record some tables, sessions record the others; elsewhere they record all.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table

from ..database.dialects import has_statement_triggers
from .capture import Capture
from .recorder import Target
from .session_recorder import SessionRecorder

__all__ = ["Captures"]


class Captures:
    """What recognises statements, for databases with triggers and for others."""

    def __init__(self, recorder: SessionRecorder, name: str) -> None:
        #: Knows all tables.
        self.of_all: Capture = Capture(recorder, name)
        self._beside_triggers = Capture(recorder, name)
        #: Whether triggers record some table, where there are any.
        self._has_native = False

    def watch(self, targets: Mapping[Table, Target]) -> None:
        """Record writes to further tables."""
        self.of_all.watch(targets)
        others = {table: each for table, each in targets.items() if not each.spec.is_native}
        self._beside_triggers.watch(others)
        self._has_native |= len(others) < len(targets)

    def clear(self) -> None:
        """Let go of all tables."""
        self.of_all.clear()
        self._beside_triggers.clear()
        self._has_native = False

    def on(self, connection: Connection) -> Capture:
        """Return what recognises the statements of a connection."""
        if self._has_native and has_statement_triggers(connection.dialect):
            return self._beside_triggers
        return self.of_all
