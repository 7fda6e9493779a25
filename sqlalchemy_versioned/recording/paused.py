"""Leaving out what a session writes: ``with paused(session):``."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, literal, select
from sqlalchemy.orm import Session, SessionTransaction

from .. import _sqlalchemy
from ..database.sessions import awaited_as, sync_session
from ..triggers.settings import PAUSED
from .telling import build_setting

__all__ = ["FOLLOWED", "PAUSED_CONNECTIONS", "is_paused", "paused"]

#: The key of ``Session.info`` that counts how many blocks the session is in.
_PAUSED = "sqlalchemy_versioned_paused"
#: The key of ``Session.info`` that has the connections on which triggers were told so.
PAUSED_CONNECTIONS = "sqlalchemy_versioned_paused_connections"
#: The key of ``Connection.info`` that has the session which was paused on the connection.
_PAUSED_BY = "sqlalchemy_versioned_paused_by"
#: The key of ``Session.info`` of a session of ours: the ``info`` of the connection that it is for,
#: of which another session may be in use.
FOLLOWED = "sqlalchemy_versioned_followed"


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
    for connection in _sqlalchemy.begun_connections(found):
        _note(found, None, connection)
    if found.info[_PAUSED] == 1:
        event.listen(found, "after_begin", _note)
    try:
        yield
        found.flush()
    finally:
        found.info[_PAUSED] -= 1
        if not is_paused(found):
            event.remove(found, "after_begin", _note)
            _resume(found)


def _note(session: Session, _: SessionTransaction | None, connection: Connection) -> None:
    """Let managers that do not hear of the session know of it by its connection."""
    _sqlalchemy.info_of(connection)[_PAUSED_BY] = weakref.ref(session)


def _resume(session: Session) -> None:
    """Let triggers record again what the session's transaction writes."""
    told = set(session.info.get(PAUSED_CONNECTIONS, ()))
    begun = _sqlalchemy.begun_connections(session)
    told.update(each for each in begun if PAUSED_CONNECTIONS in _sqlalchemy.info_of(each))
    for connection in told:
        # After an error the transaction can only be rolled back, and what it was told with it.
        if session.is_active and not connection.closed and connection.in_transaction():
            connection.execute(select(build_setting(PAUSED, literal(""))))


def is_paused(session: Session) -> bool:
    """Tell whether nothing that *session* writes is recorded at present."""
    followed = session.info.get(FOLLOWED)
    if followed is None:
        return bool(session.info.get(_PAUSED))
    noted = followed.get(_PAUSED_BY)
    holder = None if noted is None else noted()
    if holder is None or not is_paused(holder):
        return False
    # It may have given the connection back since.
    begun = _sqlalchemy.begun_connections(holder)
    return any(_sqlalchemy.info_of(each) is followed for each in begun)
