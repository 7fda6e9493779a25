"""Leaving out what a session writes: ``with paused(session):``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from .surroundings import sync_session

__all__ = ["is_paused", "paused"]

#: The key of ``Session.info`` that counts how many blocks the session is in.
_PAUSED = "sqlalchemy_versioned_paused"


@contextmanager
def paused(session: Any) -> Iterator[None]:
    """Record nothing that *session* writes inside the block; other sessions go on.

    What is pending is flushed first, and recorded; what is pending at the end is flushed as well,
    and is not.

    :param session: a Session, a ``scoped_session``, or an ``AsyncSession`` inside of
        ``run_sync()``.

    >>> with paused(session):
    ...     article.name = "Not worth a version"
    >>> article.versions[-1].name
    'Final'
    """
    found = sync_session(session)
    found.flush()
    found.info[_PAUSED] = found.info.get(_PAUSED, 0) + 1
    try:
        yield
        found.flush()
    finally:
        found.info[_PAUSED] -= 1


def is_paused(session: Session) -> bool:
    """Tell whether nothing that *session* writes is recorded at present."""
    return bool(session.info.get(_PAUSED))
