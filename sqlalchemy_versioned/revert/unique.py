"""Which columns of a table must be unique, and which rows have some values of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, Column, Index, Table, UniqueConstraint, select
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapper, Session

from ..exc import ReverterException
from .columns import have_one_of, keys_of
from .live import chunks

__all__ = ["Unique", "can_clash", "clash", "rows_with", "uniques_of"]

_Value = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Unique:
    """Columns of which no two rows of a table may have the same values."""

    #: Says which database the table is in, where a session has several.
    mapper: Mapper[Any]
    table: Table
    columns: tuple[Column[Any], ...]
    #: The constraint, if it is one.
    constraint: UniqueConstraint | None = None

    def keys(self, mapper: Mapper[Any]) -> tuple[str, ...]:
        """Return the attributes that stand for the columns."""
        return keys_of(mapper, self.columns)

    def dialect(self, session: Session) -> Dialect:
        """Return the dialect of the database."""
        return session.get_bind(self.mapper).dialect


def uniques_of(mapper: Mapper[Any], table: Table) -> Iterator[Unique]:
    """Yield what must be unique at the end of each statement; not the primary key."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and constraint.initially != "DEFERRED":
            yield Unique(mapper, table, tuple(constraint.columns), constraint)
    for index in table.indexes:
        # An expression, or a condition, cannot be compared with values without the database.
        if index.unique and _is_plain(index):
            yield Unique(mapper, table, tuple(index.columns))


def _is_plain(index: Index) -> bool:
    """Tell whether an index is about all rows, and about columns."""
    kwargs = index.kwargs
    is_partial = any(key.endswith("_where") and kwargs[key] is not None for key in kwargs)
    return not is_partial and all(isinstance(each, Column) for each in index.expressions)


def can_clash(value: Iterable[Any]) -> bool:
    """Tell whether other rows may have the same values: none is NULL, and all are known."""
    # SQL expressions are computed by the flush, so nobody knows what they will be.
    return not any(each is None or isinstance(each, ClauseElement) for each in value)


def rows_with(
    session: Session, unique: Unique, values: Iterable[_Value], also: Sequence[Column[Any]]
) -> Iterator[tuple[_Value, _Value]]:
    """Yield those of *values* that stored rows have, with the columns *also* of these rows."""
    columns, width, place = unique.columns, len(unique.columns), {"mapper": unique.mapper}
    for some in chunks(values):
        statement = select(*columns, *also).where(have_one_of(columns, some))
        rows = session.execute(statement, bind_arguments=place)
        yield from ((tuple(row[:width]), tuple(row[width:])) for row in rows)


def clash(who: object, unique: Unique, value: _Value, holder: _Value) -> ReverterException:
    """Return the error of a value that a row has which keeps it."""
    pairs = zip(unique.columns, value, strict=True)
    said = ", ".join(f"{column.name} = {each!r}" for column, each in pairs)
    key = holder[0] if len(holder) == 1 else holder
    return ReverterException(
        f"{who} cannot be reverted: it had {said}, which is unique and belongs to row {key!r} of "
        f"{unique.table.fullname!r} now; change or delete that first"
    )
