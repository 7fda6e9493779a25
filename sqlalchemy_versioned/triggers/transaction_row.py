"""What the row of a transaction holds where triggers write it, as SQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Column, DateTime, Sequence
from sqlalchemy.engine import Dialect

from ..database.dialects import native_type, stored_type
from ..query.history import CLOCKS
from .spec import TransactionSpec
from .text import Text

__all__ = [
    "INVOKER",
    "next_number",
    "now",
    "tells_moment",
    "value_at_first",
    "value_when_moved",
    "written_row",
]

#: Who has sent the statement: a function that acts for its owner is asked by another.
INVOKER = (
    "CASE current_setting('role') WHEN 'none' THEN session_user::text"
    " ELSE current_setting('role') END"
)

#: The same of moments that were written as of moments that are asked for.
_NEAR = f"interval '{CLOCKS // timedelta(minutes=1)} minute'"


def written_row(columns: str, values: str, source: str) -> str:
    """Return what an INSERT puts into a table that may have nothing but what numbers its rows."""
    return f"({columns}) SELECT {values} FROM {source}" if columns else "DEFAULT VALUES"


def next_number(spec: TransactionSpec, text: Text) -> str | None:
    """Return what numbers a row, unless the table does it by itself."""
    sequence = spec.number.default
    if not isinstance(sequence, Sequence):
        return None
    name = text.beside(sequence, sequence.name).replace("'", "''")
    return f"nextval('{name}')"


def value_at_first(column: Column[Any], text: Text, dialect: Dialect) -> str | None:
    """Return what a column of a new row is to hold: what is said, or what is known."""
    said = text.column("s", column)
    known = {
        "issued_at": now(column, dialect),
        # Of an application it is the address of its server, and no news.
        "remote_addr": "CASE WHEN versioned_said IS NULL THEN host(inet_client_addr()) END",
        "client_addr": "host(inet_client_addr())",
        "db_user": INVOKER,
        "application_name": "NULLIF(current_setting('application_name'), '')",
    }.get(column.name)
    if known is None:
        known = text.default(column)
    if known is None and column.default is not None and column.default.is_scalar:
        known = text.value(column.default.arg, column)  # type: ignore[attr-defined]
    return said if known is None else f"coalesce({said}, {known})"


def value_when_moved(column: Column[Any], text: Text, dialect: Dialect) -> str:
    """Return what a column of a row holds that is written anew, after what has overtaken it."""
    kept = text.column("t", column)
    if column.name != "issued_at" or not tells_moment(column):
        return kept
    # What is not of about this transaction, the application has said.
    present = now(column, dialect)
    began = present.replace("clock_timestamp", "transaction_timestamp")
    near = f"{kept} BETWEEN ({began}) - {_NEAR} AND ({present}) + {_NEAR}"
    return f"CASE WHEN {near} THEN {present} ELSE {kept} END"


def tells_moment(column: Column[Any]) -> bool:
    """Tell whether a column says when a version was written, and not by which user."""
    return isinstance(native_type(column), DateTime)


def now(column: Column[Any], dialect: Dialect) -> str:
    """Return the present moment, as a column keeps it."""
    type_ = stored_type(column, dialect)
    # ``clock_timestamp()``, not ``now()``: that is when the transaction began, perhaps long before.
    is_aware = isinstance(type_, DateTime) and type_.timezone
    return "clock_timestamp()" if is_aware else "clock_timestamp() AT TIME ZONE 'UTC'"
