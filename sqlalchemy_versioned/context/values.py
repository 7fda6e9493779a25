"""What is said of what a connection writes now, and how columns take it.

To the context come the session variables of the connection's transaction, which hold until it ends
and follow its savepoints.  Whoever writes a row that tells who and why asks :func:`said_on`, and
:func:`column_values` for the values of its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import JSON, Column, Connection, Enum, Integer, String, event
from sqlalchemy.engine import Dialect

from .. import _sqlalchemy
from ..database.dialects import integer_bits, refuses_nul, stored_type
from ..database.kinds import taken_type
from ..exc import InvalidArgument, InvalidArgumentType, MissingSessionVariable, VersioningError
from .transaction_context import values_in_force

__all__ = [
    "check_given",
    "column_values",
    "keep_variables",
    "plain_text",
    "row_values",
    "said_on",
    "storable",
    "variables_of",
]

#: The key of ``Connection.info`` that has the session variables of its transaction.
_VARIABLES = "sqlalchemy_versioned_variables"


# -- what is said ----------------------------------------------------------------------------


def said_on(connection: Connection) -> Mapping[str, Any]:
    """Return what is said of what *connection* writes now, not to be changed."""
    said, variables = values_in_force(), variables_of(connection)
    return {**said, **variables} if variables else said


def variables_of(connection: Connection) -> Mapping[str, Any]:
    """Return the session variables of the transaction of *connection*."""
    variables: _Variables | None = _sqlalchemy.info_of(connection).get(_VARIABLES)
    if variables is None or variables.transaction is not connection.get_transaction():
        return {}
    return variables.values()


def keep_variables(connection: Connection, values: Mapping[str, Any]) -> None:
    """Let *values* be said until the transaction of *connection*, or its savepoint, is rolled back.

    :param connection: one that is in a transaction.
    """
    info, transaction = _sqlalchemy.info_of(connection), connection.get_transaction()
    variables: _Variables | None = info.get(_VARIABLES)
    if variables is None or variables.transaction is not transaction:
        variables = info[_VARIABLES] = _Variables(transaction)
        # Listeners stay with the connection, for its next transactions.
        if not event.contains(connection, "commit", _forget):
            for name, listener in _LISTENERS.items():
                event.listen(connection, name, listener)
    variables.keep(values, _sqlalchemy.savepoints_of(connection))


class _Variables:
    """The session variables of one transaction, in layers that follow savepoints."""

    def __init__(self, transaction: Any) -> None:
        self.transaction = transaction
        #: Savepoints by name, outermost first, with what was said since they were set.
        self._layers: list[tuple[str | None, dict[str, Any]]] = [(None, {})]

    def values(self) -> dict[str, Any]:
        merged = {key: value for _, values in self._layers for key, value in values.items()}
        return {key: value for key, value in merged.items() if value is not None}

    def keep(self, values: Mapping[str, Any], savepoints: Sequence[str]) -> None:
        """Take further values, which go with the innermost of *savepoints*."""
        for savepoint in savepoints[len(self._layers) - 1 :]:
            self._layers.append((savepoint, {}))
        self._layers[-1][1].update(values)

    def take(self, savepoint: str) -> list[dict[str, Any]]:
        """Take away what was said since a savepoint was set."""
        names = [name for name, _ in self._layers]
        place = names.index(savepoint) if savepoint in names else len(names)
        taken, self._layers = self._layers[place:], self._layers[:place]
        return [values for _, values in taken]

    def release(self, savepoint: str) -> None:
        """Let what was said since a savepoint was set hold for what is around it."""
        for values in self.take(savepoint):
            self._layers[-1][1].update(values)


def _forget(connection: Connection, *details: Any) -> None:
    _sqlalchemy.info_of(connection).pop(_VARIABLES, None)


def _release(connection: Connection, name: str, context: Any) -> None:
    _tell(connection, lambda variables: variables.release(name))


def _roll_back(connection: Connection, name: str, context: Any) -> None:
    _tell(connection, lambda variables: variables.take(name))


def _tell(connection: Connection, tell: Callable[[_Variables], object]) -> None:
    variables = _sqlalchemy.info_of(connection).get(_VARIABLES)
    if variables is not None:
        tell(variables)


_LISTENERS: Mapping[str, Callable[..., None]] = {
    "commit": _forget,
    "rollback": _forget,
    "commit_twophase": _forget,
    "rollback_twophase": _forget,
    "release_savepoint": _release,
    "rollback_savepoint": _roll_back,
}


# -- as columns take it ----------------------------------------------------------------------


def column_values(
    columns: Iterable[Column[Any]], said: Mapping[str, Any], dialect: Dialect
) -> dict[str, Any]:
    """Return the values of *columns*, by key; what is not said is not among them.

    :param said: as :func:`said_on` returns it.
    :raises MissingSessionVariable: if a column that is not nullable has none.
    :raises InvalidArgument: if a column cannot hold what is said.
    """
    found: dict[str, Any] = {}
    for column in columns:
        value = storable(column, said.get(column.key), dialect=dialect)
        check_given(column, value)
        if value is not None or column.key in said:
            found[column.key] = value
    return found


def row_values(columns: Iterable[Column[Any]], connection: Connection) -> dict[str, Any]:
    """Return the values of *columns* of a row that a connection writes now, by key.

    What is not said has the default that Python gives it.
    """
    columns = tuple(columns)
    values = column_values(columns, said_on(connection), connection.dialect)
    return {c.key: values[c.key] if c.key in values else _default_of(c) for c in columns}


def _default_of(column: Column[Any]) -> Any:
    """Return the value that Python gives to a column where nothing is said."""
    default: Any = column.default
    if default is None:
        return None
    return default.arg if default.is_scalar else default.arg(None)


def check_given(column: Column[Any], value: Any, *, takes_empty: bool = False) -> None:
    """Refuse to write without a value that must be said.

    :param takes_empty: whether the empty string is one.
    :raises MissingSessionVariable: if it is missing.
    """
    if column.nullable or not (value is None or (value == "" and not takes_empty)):
        return
    if value is None and (column.default is not None or column.server_default is not None):
        return
    found = "is not said" if value is None else "is empty"
    raise MissingSessionVariable(
        f"{column.key!r} {found}, and nothing may be written without it; say it with "
        f"transaction_context({column.key}=…) or set_session_variables(session, {column.key}=…)"
    )


def storable(column: Column[Any], value: Any, *, dialect: Dialect, name: str | None = None) -> Any:
    """Return *value* as *column* takes it.

    :param name: what it is called where it was said.
    :raises InvalidArgument: if the column cannot hold it.
    :raises InvalidArgumentType: if it is of the wrong kind.
    """
    if value is None:
        return None
    name = name or column.key
    wanted = taken_type(column.type)
    if wanted is None:
        _check_binding(column, value, name, dialect)
    elif isinstance(value, bool) is not (wanted is bool) or not isinstance(value, wanted):
        value = _converted(column, wanted, value, name)
    if isinstance(value, str):
        _check_text(column, value, name)
        return plain_text(name, value, dialect)
    if isinstance(value, int) and isinstance(column.type, Integer):
        bits = integer_bits(column.type, dialect)
        if not -(2**bits) <= value < 2**bits:
            raise InvalidArgument(f"{name!r} is {value}; {column} holds numbers of {bits} bits")
    return value


def _check_text(column: Column[Any], text: str, name: str) -> None:
    type_ = column.type
    if isinstance(type_, Enum) and text not in type_.enums:
        raise InvalidArgument(f"{name!r} is {text!r:.80}; {column} takes {', '.join(type_.enums)}")
    length = type_.length if isinstance(type_, String) else None
    if length is not None and len(text) > length:
        raise InvalidArgument(
            f"{name!r} has {len(text)} characters; {column} holds {length}: say less, or give the "
            "column more"
        )


def _check_binding(column: Column[Any], value: Any, name: str, dialect: Dialect) -> None:
    """Refuse a value that a type cannot give to its database, before any is given."""
    process = column.type.dialect_impl(dialect).bind_processor(dialect)
    try:
        given = value if process is None else process(value)
        if isinstance(stored_type(column, dialect), JSON) and hasattr(given, "obj"):
            # psycopg is given a wrapper, and would write the JSON only while it executes.
            _sqlalchemy.json_writer(dialect)(given.obj)
    except VersioningError:
        raise
    except Exception as error:
        # Types raise what they like.
        raise InvalidArgument(f"{name!r} is {value!r:.80}; {column}: {error}") from error


def _converted(column: Column[Any], wanted: type[Any], value: Any, name: str) -> Any:
    """Return a value of the kind that a column takes."""
    if wanted is str:
        return _as_text(name, value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted in (float, Decimal) and (is_number or isinstance(value, Decimal)):
        return value
    if not isinstance(value, str) or wanted not in _FROM_TEXT:
        _refuse(name, value, f"{column} takes values of type {wanted.__name__}")
    try:
        return _FROM_TEXT[wanted](value)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise InvalidArgument(
            f"{name!r} is {value!r:.80}; {column} takes values of type {wanted.__name__}"
        ) from error


_FROM_TEXT: Mapping[type[Any], Callable[[str], Any]] = {
    bool: {"true": True, "false": False}.__getitem__,
    int: int,
    float: float,
    Decimal: Decimal,
    UUID: UUID,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
}


def _as_text(name: str, value: Any) -> str:
    """Return a value as text.

    :param name: what it is called.
    :raises InvalidArgumentType: if there is no one way to write it.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float, Decimal, UUID)):
        return str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    _refuse(name, value, "give a text, a number, a UUID, a date or a time")


def plain_text(name: str, value: Any, dialect: Dialect | None = None) -> str:
    """Return a value as text that a database can hold.

    :param dialect: ``None`` for text that every database can hold.
    :raises InvalidArgument: if it has NUL, or half of a surrogate pair.
    :raises InvalidArgumentType: if there is no one way to write it.
    """
    text = _as_text(name, value)
    if "\0" in text and (dialect is None or refuses_nul(dialect)):
        raise InvalidArgument(f"{name!r} has a NUL, which cannot be stored; take it out")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument(
                f"{name!r} is no text that can be stored: {error.reason} at {error.start}"
            ) from error
    return text


def _refuse(name: str, value: Any, wanted: str) -> NoReturn:
    raise InvalidArgumentType(
        f"{name!r} is {value!r:.80}, of type {type(value).__name__}; {wanted}"
    )
