"""Connections, engines and savepoints."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, NestedTransaction
from sqlalchemy.engine import ExecutionContext

__all__ = [
    "commits_by_itself",
    "error_number",
    "has_missed_rows",
    "info_of",
    "roll_back",
    "roll_back_two_phases",
    "root_engine",
    "root_engine_of",
    "savepoint_around",
    "savepoints_of",
    "statement_parameters",
]


def root_engine(connection: Connection) -> Engine:
    """Return the engine behind those made by ``execution_options()``.

    Uses ``OptionEngine._proxied``.
    """
    engine = connection.engine
    return engine if type(engine) is Engine else root_engine_of(engine)


def root_engine_of(engine: Engine) -> Engine:
    """Return the engine behind one that was made by ``execution_options()``."""
    behind: Any = engine
    while hasattr(behind, "_proxied"):
        behind = behind._proxied
    root: Engine = behind
    return root


def info_of(connection: Connection) -> dict[Any, Any]:
    """Return ``Connection.info``; of a connection that is lost, an empty one.

    Uses ``Connection._dbapi_connection``: none where it is closed or invalidated.
    """
    held = connection._dbapi_connection
    return {} if held is None else held.info


def savepoints_of(connection: Connection) -> list[str]:
    """Return the names of the savepoints that a connection is in, outermost first.

    Uses ``NestedTransaction._savepoint`` and ``_previous_nested``.
    """
    names: list[str] = []
    nested: Any = connection.get_nested_transaction()
    while nested is not None:
        names.append(nested._savepoint)
        nested = nested._previous_nested
    return names[::-1]


def roll_back(connection: Connection) -> None:
    """Roll back the transaction of a connection, which SQLAlchemy is about to commit.

    Uses ``Connection._rollback_impl()``.
    """
    connection._rollback_impl()


def roll_back_two_phases(connection: Connection, xid: Any, is_prepared: bool) -> None:
    """Roll back one that would be committed in two phases.

    Uses ``Connection._rollback_twophase_impl()``.
    """
    connection._rollback_twophase_impl(xid, is_prepared)


def commits_by_itself(connection: Connection) -> bool:
    """Tell whether a connection commits each statement.

    Uses ``Connection._is_autocommit_isolation()``.
    """
    return connection._is_autocommit_isolation()


def error_number(dialect: Any, error: BaseException) -> int | None:
    """Return the number that MySQL or MariaDB gave an error, wherever the driver keeps it.

    Uses ``MySQLDialect._extract_error_code()``.
    """
    is_from_driver = isinstance(error, dialect.loaded_dbapi.Error) and error.args
    number: int | None = dialect._extract_error_code(error) if is_from_driver else None
    return number


def statement_parameters(
    multiparams: Sequence[Any] | Any, params: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return the parameter sets that ``before_execute`` was given, as a list."""
    if multiparams:
        return list(multiparams)
    return [params] if params else []


def has_missed_rows(context: ExecutionContext) -> bool:
    """Tell whether an UPDATE or DELETE that was executed has found fewer rows than it was to.

    It was to find one for each set of parameters; not every database tells how many it has.  Uses
    ``DefaultExecutionContext.compiled_parameters``, and ``.rowcount``, which stays when the cursor
    is closed.
    """
    executed: Any = context
    return executed.rowcount not in (-1, len(executed.compiled_parameters))


def savepoint_around(savepoint: Any) -> Any:
    """Return the savepoint in which another was set, of a session or of a connection.

    Uses ``NestedTransaction._previous_nested``.
    """
    if isinstance(savepoint, NestedTransaction):
        return savepoint._previous_nested
    around = savepoint.parent
    while around is not None and not around.nested:
        around = around.parent
    return around
