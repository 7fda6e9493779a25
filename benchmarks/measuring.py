"""Clocks and counters, with the garbage collector held still."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


class Stopwatch:
    """Seconds between two points, on the wall and of this process alone."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._processor = time.process_time()

    @property
    def wall(self) -> float:
        """Seconds gone by, the database and the disk included."""
        return time.perf_counter() - self._wall

    @property
    def processor(self) -> float:
        """Seconds this process has been busy."""
        return time.process_time() - self._processor


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Start a watch; nothing is collected until the block ends.

    When a collection happens depends on what went before. Without any, a
    library that makes many objects is favoured, never ours.
    """
    gc.collect()
    gc.disable()
    try:
        yield Stopwatch()
    finally:
        gc.enable()


class StatementCounter:
    """Counts the statements that reach a cursor, those of ``BEGIN`` apart."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            self.count += 1


@contextmanager
def counted_statements(engine: Engine) -> Iterator[StatementCounter]:
    """Count the statements on *engine* inside the block."""
    counter = StatementCounter()
    event.listen(engine, "before_cursor_execute", counter)
    try:
        yield counter
    finally:
        event.remove(engine, "before_cursor_execute", counter)


def peak_memory() -> int:
    """Return the most bytes this process has held at any time."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
