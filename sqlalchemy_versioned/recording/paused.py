"""Leaving out what a session writes: ``with paused(session):``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from ..database.sessions import awaited_as, sync_session
from ..triggers.settings import PAUSED
from .telling import build_setting

__all__ = ["PAUSED_CONNECTIONS", "is_paused", "paused"]

#: The key of ``Session.info`` that counts how many blocks the session is in.
_PAUSED = "sqlalchemy_versioned_paused"
#: The key of ``Session.info`` that has the connections on which triggers were told so.
PAUSED_CONNECTIONS = "sqlalchemy_versioned_paused_connections"


@contextmanager
def paused(session: Any) -> Generator[None, None, None]:
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
    awaited_as("paused(…)")(found.flush)()
    found.info[_PAUSED] = found.info.get(_PAUSED, 0) + 1
    try:
        yield
        found.flush()
    finally:
        found.info[_PAUSED] -= 1
        if not is_paused(found):
            _resume(found)


def _resume(session: Session) -> None:
    """Let triggers record again what the session's transaction writes."""
    for connection in list(session.info.get(PAUSED_CONNECTIONS, ())):
        # After an error the transaction can only be rolled back, and what it was told with it.
        if session.is_active and not connection.closed and connection.in_transaction():
            connection.execute(select(build_setting(PAUSED, literal(""))))


def is_paused(session: Session) -> bool:
    """Tell whether nothing that *session* writes is recorded at present."""
    return bool(session.info.get(_PAUSED))
