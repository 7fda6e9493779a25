"""Session variables: what one transaction says of itself, where triggers read it, too.

On PostgreSQL they are settings of the transaction, ``audit.reason`` and the like, which end with it
by themselves.  On every database they are said as by the context, until the transaction ends or a
savepoint that was set before is rolled back.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Select, String, bindparam, func, true
from sqlalchemy.exc import DBAPIError, UnboundExecutionError
from sqlalchemy.orm import Session

from .. import _sqlalchemy
from .._typing import select_rows
from ..database.dialects import has_settings
from ..database.sessions import awaited_as, sync_session
from ..exc import ImproperlyConfigured, InvalidArgument
from .values import keep_variables, plain_text, variables_of

__all__ = ["build_statement", "set_variables", "variables_set"]


def build_statement(values: Mapping[str, Any], *, namespace: str) -> Select[Any]:
    """Build a statement that sets variables until the end of a transaction, on PostgreSQL.

    :raises InvalidArgument: if a name cannot be that of a variable, or a value is no text.
    """
    return select_rows(*[_setting(name, value, namespace) for name, value in values.items()])


def _setting(name: str, value: Any, namespace: str) -> Any:
    if not (name.isidentifier() and name.isascii()):
        raise InvalidArgument(
            f"{name!r} cannot be the name of a session variable; use letters, digits and "
            "underscores"
        )
    # A setting that was set once cannot be unset; readers take the empty string for nothing.
    text = "" if value is None else plain_text(name, value)
    return func.set_config(
        bindparam(None, f"{namespace}.{name}", type_=String()),
        bindparam(None, text, type_=String()),
        true(),
    ).label(name)


@awaited_as("set_session_variables(…)")
def set_variables(subject: Any, values: Mapping[str, Any], *, namespace: str) -> None:
    """Set variables of the transaction of a session or connection; see :mod:`.session_variables`.

    :raises ImproperlyConfigured: if *subject* is neither, or has no transaction.
    :raises InvalidArgument: if a name cannot be that of a variable, or a value is no text.
    """
    statement = build_statement(values, namespace=namespace)
    if not values:
        return
    connection = _connection_of(subject)
    if _sqlalchemy.commits_by_itself(connection):
        raise ImproperlyConfigured(
            f"{connection!r} commits each statement by itself, and session variables end with "
            "their transaction; use a connection without the isolation level AUTOCOMMIT"
        )
    if not connection.in_transaction():
        connection.begin()
    if has_settings(connection.dialect):
        connection.execute(statement)
    keep_variables(connection, values)


@contextmanager
def variables_set(
    subject: Any, values: Mapping[str, Any], *, namespace: str
) -> Generator[None, None, None]:
    """Have variables set inside a block, and what they were before after it.

    :raises ImproperlyConfigured: if *subject* has no transaction.
    :raises InvalidArgument: if a name cannot be that of a variable, or a value is no text.
    """
    connection = _connection_of(subject)
    said = variables_of(connection)
    before = {name: said.get(name) for name in values}
    set_variables(connection, values, namespace=namespace)
    transaction = connection.get_transaction()
    try:
        yield
        # What was changed inside is written inside.
        if not isinstance(getattr(subject, "sync_connection", subject), Connection):
            sync_session(subject).flush()
    finally:
        if transaction is not None and transaction is connection.get_transaction():
            # After an error it may only be rolled back, and what was set goes with it.
            with suppress(DBAPIError):
                set_variables(connection, before, namespace=namespace)


@awaited_as("session_variables(…)")
def _connection_of(subject: Any) -> Connection:
    found = getattr(subject, "sync_connection", subject)
    if isinstance(found, Connection):
        return found
    session: Session = sync_session(subject)
    try:
        return session.connection()
    except UnboundExecutionError as error:
        raise ImproperlyConfigured(
            f"{session!r} has a database for each class, and session variables are those of one; "
            "give session.connection(bind_arguments={'mapper': …})"
        ) from error
