"""What the row of a transaction holds where triggers write it, as SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, Sequence
from sqlalchemy.engine import Dialect

from ..database.dialects import stored_type
from .spec import TransactionSpec
from .text import Text

__all__ = [
    "INVOKER",
    "epoch_of",
    "next_number",
    "now",
    "told_of_row",
    "value_at_first",
    "value_when_moved",
    "written_row",
]

#: Who has sent the statement: a function that acts for its owner is asked by another.
INVOKER = (
    "CASE current_setting('role') WHEN 'none' THEN session_user::text"
    " ELSE current_setting('role') END"
)


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


def value_when_moved(
    column: Column[Any], spec: TransactionSpec, text: Text, dialect: Dialect
) -> str:
    """Return what a column of a row holds that is written anew, after what has overtaken it."""
    kept = text.column("t", column)
    if column is not spec.moment:
        return kept
    return f"CASE WHEN versioned_stamped THEN {now(column, dialect)} ELSE {kept} END"


def told_of_row(spec: TransactionSpec, text: Text) -> str:
    """Return what is to be known of a new row: its number, and when it was written."""
    number = text.columns(None, [spec.number])
    return f"{number}, {'NULL' if spec.moment is None else epoch_of(spec.moment, None, text)}"


def epoch_of(column: Column[Any], alias: str | None, text: Text) -> str:
    """Return a moment in a form that no setting of the connection changes."""
    column_text = text.columns(alias, [column])
    return f"extract(epoch FROM {column_text})"


def now(column: Column[Any], dialect: Dialect) -> str:
    """Return the present moment, as a column keeps it."""
    type_ = stored_type(column, dialect)
    # ``clock_timestamp()``, not ``now()``: that is when the transaction began, perhaps long before.
    is_aware = isinstance(type_, DateTime) and type_.timezone
    return "clock_timestamp()" if is_aware else "clock_timestamp() AT TIME ZONE 'UTC'"
