"""Ranges of keys: how long tables are gone through a part at a time.

A range lies after one key, up to and including another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
)

from .._typing import select_rows
from ..model.spec import VersionSpec
from .rows import as_stored

__all__ = ["EVERYTHING", "Range", "is_within", "live_key", "select_range_end", "select_rest"]

#: The keys between which is looked: after the first, up to the second; ``None`` is open.
Range = tuple[Sequence[Any] | None, Sequence[Any] | None]

#: The range of all keys.
EVERYTHING: Range = (None, None)


def select_range_end(spec: VersionSpec, after: Sequence[Any] | None, size: int) -> Select[Any]:
    """Select the key that ends a range of *size* rows, of those there are and those there were."""
    keys = _keys(spec, after, size)
    return select(*keys.c).order_by(*keys.c).offset(size - 1).limit(1)


def select_rest(spec: VersionSpec, after: Sequence[Any] | None, size: int) -> Select[Any]:
    """Select how many rows the last range has, which has less than *size*."""
    return select(func.count()).select_from(_keys(spec, after, size))


def _keys(spec: VersionSpec, after: Sequence[Any] | None, size: int) -> FromClause:
    """Select more keys than a range has, without reading those that come after it."""

    def first(columns: list[ColumnElement[Any]]) -> Select[Any]:
        labels = [column.label(f"k{n}") for n, column in enumerate(columns)]
        found = select(*labels).where(is_within(columns, (after, None))).distinct()
        some = found.order_by(*labels).limit(size).subquery()
        return select_rows(*some.c)

    # Each side ends after *size* keys, so that the union reads no more than twice as many.
    live = first(live_key(spec))
    kept = first([pair.version for pair in spec.key])
    return live.union(kept).subquery()


def live_key(spec: VersionSpec) -> list[ColumnElement[Any]]:
    """Return the key columns of the parent table, with the values that versions have."""
    return [type_coerce(as_stored(pair.parent), pair.version.type) for pair in spec.key]


def is_within(key: Sequence[ColumnElement[Any]], within: Range) -> ColumnElement[bool]:
    """Match the keys of a range."""
    after, until = within
    conditions: list[ColumnElement[bool]] = [true()]
    if after is not None:
        conditions.append(_is_beyond(key, after))
    if until is not None:
        conditions.append(not_(_is_beyond(key, until)))
    return and_(*conditions)


def _is_beyond(key: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Match keys that come after another; an index on the key serves its first column."""
    column, value = key[0], literal(values[0], key[0].type)
    if len(key) == 1:
        return column > value
    rest = _is_beyond(key[1:], values[1:])
    # Row values would say it in one, but few databases use an index for them, and some lack them.
    return and_(column >= value, or_(column > value, rest))
