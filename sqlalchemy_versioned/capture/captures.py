"""What recognises statements that sessions must record, by where they are executed.

Where triggers record some tables, sessions record the others; elsewhere they record all.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table

from .capture import Capture
from .recorder import Target
from .session_recorder import SessionRecorder

__all__ = ["Captures"]


class Captures:
    """What recognises statements, for databases with triggers and for others."""

    def __init__(self, recorder: SessionRecorder, name: str) -> None:
        self._surroundings = recorder.surroundings
        #: Knows all tables.
        self.of_all: Capture = Capture(recorder, name)
        self._beside_triggers = Capture(recorder, name)

    def watch(self, targets: Mapping[Table, Target]) -> None:
        """Record writes to further tables."""
        self.of_all.watch(targets)
        self._beside_triggers.watch(
            {table: target for table, target in targets.items() if not target.spec.is_native}
        )

    def clear(self) -> None:
        """Let go of all tables."""
        self.of_all.clear()
        self._beside_triggers.clear()

    def on(self, connection: Connection) -> Capture:
        """Return what recognises the statements of a connection."""
        is_native = self._surroundings.leaves_to_triggers(connection.dialect)
        return self._beside_triggers if is_native else self.of_all
