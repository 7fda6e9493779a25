"""Rows that an INSERT may meet: which it may change or remove instead of adding another.

Known from the unique constraints and indexes of the table, and from what is inserted.  Rather too
many rows are found than too few: a column that gets its value in the database is not looked at.
Nothing is executed or recorded here; see :mod:`.capture`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Select,
    Table,
    UniqueConstraint,
    and_,
    exists,
    false,
    or_,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors

from .. import _sqlalchemy
from .._typing import COLUMN, replaced
from ..database.dialects import locks_one_table
from .bound import bound_values

__all__ = ["Conflicts", "is_replacing", "may_change_rows"]

#: How many rows one look is for.
_CHUNK = 100


def may_change_rows(statement: Any, dialect: Dialect) -> bool:
    """Tell whether a statement may change rows that are there, or remove them."""
    if not isinstance(statement, Insert) or _sqlalchemy.may_meet_rows(statement):
        return True
    return is_replacing(statement, _sqlalchemy.written_table(statement), dialect)


def is_replacing(statement: Any, table: Table, dialect: Dialect) -> bool:
    """Tell whether an INSERT removes the rows that it meets, as SQLite's ``OR REPLACE`` does.

    A table may say so as well, for all that is inserted into it.
    """
    if dialect.name != "sqlite":
        return False
    return _sqlalchemy.has_prefix(statement, "REPLACE") or "REPLACE" in _said_on_conflict(table)


def _said_on_conflict(table: Table) -> Iterator[str]:
    for constraint in table.constraints:
        yield str(constraint.dialect_options["sqlite"]["on_conflict"]).upper()
    for column in table.columns:
        for word in ("primary_key", "unique"):
            said = column.dialect_options["sqlite"][f"on_conflict_{word}"]
            yield str(said).upper()


class Conflicts:
    """The rows that an INSERT may meet.

    :param key: the columns by which the rows of the table are told apart.
    :param sets: the sets of parameters it is given, none for a statement that has its values.
    """

    def __init__(
        self, key: Sequence[Column[Any]], statement: Any, sets: Sequence[Mapping[str, Any]]
    ) -> None:
        self._key = list(key)
        self._table: Table = _sqlalchemy.written_table(statement)
        self._statement = statement
        self._sets = sets

    def select_rows(self, dialect: Dialect) -> Iterator[Select[Any]]:
        """Select the keys of the rows, and lock them."""
        of = self._table if locks_one_table(dialect) else None
        for condition in self._conditions():
            yield select(*self._key).where(condition).with_for_update(of=of)

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        source = _sqlalchemy.inserted_select(self._statement)
        if source is not None:
            names, query = source
            rows = query.subquery("versioned_inserted")
            given = {self._table.c[n]: c for n, c in zip(names, rows.c, strict=False)}
            same = self._same_as(given)
            # A reference to the table within the subquery is one of its own.
            yield exists().where(same).correlate(self._table)
            return
        rows_given = _sqlalchemy.inserted_values(self._statement, self._sets)
        for start in range(0, len(rows_given), _CHUNK):
            part = rows_given[start : start + _CHUNK]
            yield or_(false(), *[self._same_as(self._bound(each)) for each in part])

    def _bound(self, values: Mapping[Column[Any], Any]) -> dict[Column[Any], Any]:
        found: dict[Column[Any], Any] = {}
        for column in self._table.columns:
            default: Any = column.default
            if column in values:
                found[column] = values[column]
            elif default is not None and default.is_scalar:
                found[column] = default.arg
        return bound_values(found)

    def _same_as(self, given: Mapping[Column[Any], Any]) -> ColumnElement[bool]:
        """Match rows that have what is unique in common with a new one."""
        alternatives: list[ColumnElement[bool]] = []
        for expressions in self._unique():
            known = [each for each in expressions if _columns_in(each) <= set(given)]
            is_empty = any(_is_null(c, given) for each in expressions for c in _columns_in(each))
            if known and not is_empty:
                alternatives.append(and_(*[each == _replaced(each, given) for each in known]))
        return or_(false(), *alternatives)

    def _unique(self) -> Iterator[Sequence[Any]]:
        """Yield what must not be the same in two rows."""
        yield list(self._table.primary_key.columns)
        for constraint in self._table.constraints:
            if isinstance(constraint, UniqueConstraint):
                yield list(constraint.columns)
        for index in self._table.indexes:
            if index.unique:
                yield list(index.expressions)


def _is_null(column: Column[Any], given: Mapping[Column[Any], Any]) -> bool:
    """Tell whether a new row has nothing in a column, and so is like no other there."""
    if column in given:
        return False
    made = (column.default, column.server_default, column.computed, column.identity)
    return all(each is None for each in made) and not column.primary_key


def _columns_in(expression: Any) -> set[Column[Any]]:
    return {each for each in visitors.iterate(expression) if isinstance(each, Column)}


def _replaced(expression: Any, given: Mapping[Column[Any], Any]) -> Any:
    """Return *expression* with the values of the new row in the place of columns."""

    def replace(element: Any, **_: Any) -> Any:
        return given.get(element) if isinstance(element, COLUMN) else None

    return replaced(expression, replace)
