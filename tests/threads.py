"""Threads that write beside a test."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["run_at_once", "waiting"]


def run_at_once(function: Callable[[Any], object], arguments: Iterable[Any]) -> None:
    """Run a function in one thread for each argument, and return when all have ended."""
    threads = [threading.Thread(target=function, args=(each,)) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def waiting(function: Callable[[], object], *, seconds: float = 0.3) -> Iterator[None]:
    """Let a thread wait for a lock of this one, which lets it go inside of the block.

    :param seconds: how long it takes until the thread waits.
    """
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(seconds)
    yield
    thread.join()
