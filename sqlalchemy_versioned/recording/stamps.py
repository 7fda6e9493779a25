"""The present moment, as rows have it: by itself, or as the beginning of a UUID."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime, timezone
from typing import Any

__all__ = ["build_uuid", "stamp", "utc_now"]

# Whatever is done to the clock afterwards, a process sees one order.
_STARTED = time.time_ns() - time.monotonic_ns()

#: How many parts of a millisecond twelve bits tell apart.
_PARTS = 4096


def stamp() -> str:
    """Return the first sixteen digits of a UUID of version 7, made now.

    >>> len(stamp())
    16
    """
    whole, rest = divmod(_STARTED + time.monotonic_ns(), 1_000_000)
    return f"{whole:012x}7{rest * _PARTS // 1_000_000:03x}"


def build_uuid(begun: str) -> uuid.UUID:
    """Return a UUID that begins so and is random otherwise.

    >>> build_uuid("0189abcdef017123").version
    7
    """
    return uuid.UUID(f"{begun}8{os.urandom(8).hex()[1:]}")


def utc_now(context: Any) -> datetime:
    """Return the present moment, aware and in UTC.

    :param context: the execution that wants it.  Of a function without arguments SQLAlchemy keeps a
        function around it, with which no table can be pickled.
    """
    return datetime.now(timezone.utc)
