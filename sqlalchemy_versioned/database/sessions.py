"""The session behind what applications hold, and the connection that it numbers transactions on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session

from ..exc import ImproperlyConfigured

__all__ = ["numbering_connection", "sync_session"]


def sync_session(session: Any) -> Session:
    """Return the session behind a scoped or asynchronous one.

    :raises ImproperlyConfigured: if *session* is no session.
    """
    if isinstance(session, Session):
        return session
    # Known by what they have: importing sqlalchemy.ext.asyncio needs greenlet, which
    # synchronous applications do without.
    found = session() if hasattr(session, "registry") else session
    found = getattr(found, "sync_session", found)
    if not isinstance(found, Session):
        raise ImproperlyConfigured(
            f"{session!r} is no session; give a Session, a scoped_session or an AsyncSession"
        )
    return found


def numbering_connection(
    session: Session, transaction_class: type[Any], others: Iterable[dict[str, Any]]
) -> Connection:
    """Return the connection on which transactions are numbered.

    :param others: bind arguments of what is versioned, one of which a session may know the database
        of where it does not know that of the Transaction class.
    """
    try:
        return session.connection(bind_arguments={"mapper": inspect(transaction_class)})
    except UnboundExecutionError:
        for arguments in others:
            try:
                return session.connection(bind_arguments=arguments)
            except UnboundExecutionError:
                continue
        raise
