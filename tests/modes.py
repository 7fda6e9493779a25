"""What each mode promises, where the two of them differ, for tests that run in both.

Most tests assert what is the same, and know of no mode.  Where sessions refuse a write that
triggers record, or the number of statements is another, the fixture ``mode`` has the expectation.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import IntegrityError

T = TypeVar("T")


@dataclass(frozen=True)
class Mode:
    """Who records what a test writes: sessions, or the triggers of its database."""

    is_native: bool

    def pick(self, by_sessions: T, by_triggers: T) -> T:
        """Return what is expected if sessions record, or if triggers do."""
        return by_triggers if self.is_native else by_sessions

    def escapes(self, match: str | None = None) -> AbstractContextManager[Any]:
        """Expect a write that sessions cannot know: they refuse it, and triggers record it."""
        from sqlalchemy_versioned import CaptureError

        return nullcontext() if self.is_native else pytest.raises(CaptureError, match=match)

    def is_behind(self) -> AbstractContextManager[Any]:
        """Expect that numbers which are behind the history are refused, by whoever records."""
        from sqlalchemy_versioned import CaptureError

        error = self.pick(CaptureError, IntegrityError)
        return pytest.raises(error, match="is behind the history")

    def install(self, metadata: MetaData, engine: Engine) -> None:
        """Have what an application adds to tables that it has not made just now."""
        from sqlalchemy_versioned.triggers import install_triggers

        if self.is_native:
            install_triggers(metadata, engine)

    @contextmanager
    def unseen(self, engine: Engine) -> Iterator[Any]:
        """Give a cursor of the driver, and let nobody record what it writes."""
        connection = engine.raw_connection()
        cursor = connection.cursor()
        if self.is_native:
            cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        connection.commit()
        connection.close()
