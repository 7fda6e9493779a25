"""What Python gives to the columns of a row that the library writes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, FromClause, Insert, Sequence, Table, insert

from .._typing import is_table
from ..triggers.settings import VALUES
from ..triggers.spec import moment_column
from .stamps import utc_now
from .telling import Telling

__all__ = ["Defaults", "number_column"]


class Defaults:
    """What Python gives to new rows of one table that the database numbers; found out once.

    It does not follow columns that the table gets later.
    """

    def __init__(self, table: FromClause) -> None:
        assert is_table(table)
        self.table: Table = table
        #: What writes a row, kept because SQLAlchemy recognises it sooner than another like it.
        self.insert: Insert = insert(table)
        #: The keys of columns that tell when a row is written, unless somebody says it.
        self.moments: frozenset[str] = _moments(table)
        #: What tells triggers of a row.
        self.telling = Telling(VALUES, table)
        number = number_column(table)
        #: The key of the column that numbers rows.
        self.key: str = number.key
        #: The sequence that it has its numbers from, if it says so.
        self.numbers: Sequence | None = (
            number.default if isinstance(number.default, Sequence) else None
        )
        self._is_numbered = len(table.primary_key) == 1 and table.autoincrement_column is not None
        self._made: dict[str, Callable[[], Any]] = {}
        #: The columns of which only SQLAlchemy can tell the default.
        self._unknown: set[str] = set()
        for column in table.columns:
            default: Any = column.default
            if default is None or (self._is_numbered and column is number):
                continue
            make = _maker(default)
            if make is None:
                self._unknown.add(column.key)
            else:
                self._made[column.key] = make

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return *values* with those of other columns.

        ``None`` if only SQLAlchemy can tell them, or the database does not number the row.
        """
        if not self._is_numbered or self.key in values:
            return None
        if self._unknown and not self._unknown <= values.keys():
            return None
        complete = dict(values)
        for key in self._made:
            if key not in complete:
                complete[key] = self._made[key]()
        return complete


def number_column(rows: FromClause) -> Column[Any]:
    """Return the column that numbers transactions, of their table or an alias of it."""
    number: Any = next(iter(rows.primary_key))
    column: Column[Any] = number
    return column


def _moments(table: Table) -> frozenset[str]:
    column = moment_column(table)
    is_made = column is not None and getattr(column.default, "is_callable", False)
    return frozenset([column.key] if column is not None and is_made else ())


def _maker(default: Any) -> Callable[[], Any] | None:
    if default.is_scalar:
        return lambda: default.arg
    if default.is_callable and (default.arg is utc_now or _takes_nothing(default.arg)):
        return lambda: default.arg(None)
    return None


def _takes_nothing(default: Any) -> bool:
    # SQLAlchemy wraps functions that do not want the context of the statement.
    code = getattr(getattr(default, "__wrapped__", None), "__code__", None)
    return code is not None and code.co_argcount == 0
