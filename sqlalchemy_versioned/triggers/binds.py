"""The connection behind what somebody gives for one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from ..database.dialects import has_statement_triggers
from ..exc import ImproperlyConfigured

__all__ = ["connection_of"]


def connection_of(bind: Any) -> AbstractContextManager[Connection]:
    """Return the connection behind an engine, a connection or a session.

    :raises ImproperlyConfigured: if it is none of these, or no PostgreSQL.
    """
    if isinstance(bind, Engine):
        found: Any = bind.begin()
    elif isinstance(bind, Connection):
        found = nullcontext(bind)
    elif isinstance(bind, Session):
        found = nullcontext(bind.connection())
    else:
        raise ImproperlyConfigured(
            f"{bind!r} is no bind; give an engine, a connection or a session, and asynchronous "
            "ones inside of run_sync()"
        )
    dialect = bind.get_bind().dialect if isinstance(bind, Session) else bind.dialect
    if not has_statement_triggers(dialect):
        raise ImproperlyConfigured(
            f"{dialect.name} has no triggers for this; native recording needs PostgreSQL"
        )
    connection: AbstractContextManager[Connection] = found
    return connection
