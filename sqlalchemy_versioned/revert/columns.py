"""What columns take, and when two of their values are the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement
from sqlalchemy.orm import ColumnProperty, Mapper

from ..database.key_conditions import key_expression

__all__ = [
    "changes_by_itself",
    "column_of",
    "differs",
    "have_one_of",
    "is_filled",
    "is_made",
    "is_same",
    "keys_of",
]


def column_of(mapper: Mapper[Any], key: str) -> Column[Any]:
    """Return the column that an attribute stands for."""
    prop: ColumnProperty[Any] = mapper.column_attrs[key]
    column = prop.columns[0]
    assert isinstance(column, Column)
    return column


def keys_of(mapper: Mapper[Any], columns: Iterable[Any]) -> tuple[str, ...]:
    """Return the attributes that stand for columns."""
    return tuple(mapper.get_property_by_column(column).key for column in columns)


def differs(mapper: Mapper[Any], key: str, one: Any, other: Any) -> bool:
    """Tell whether two values of an attribute are different."""
    return not is_same(column_of(mapper, key), one, other)


def is_same(column: Column[Any], one: Any, other: Any) -> bool:
    """Tell whether two values of a column are the same."""
    if one is other:
        return True
    try:
        return bool(column.type.compare_values(one, other))
    except (TypeError, ValueError):
        # SQL expressions and arrays have no one truth.
        return False


def have_one_of(columns: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> ColumnElement[bool]:
    """Match rows of which some columns have one of *values*."""
    listed: Any = [value[0] for value in values] if len(columns) == 1 else values
    condition: ColumnElement[bool] = key_expression(columns).in_(listed)
    return condition


def is_made(column: Column[Any]) -> bool:
    """Tell whether the database makes the values of a column, and takes no others."""
    if column.computed is not None:
        return True
    return column.identity is not None and bool(column.identity.always)


def changes_by_itself(mapper: Mapper[Any], key: str) -> bool:
    """Tell whether an UPDATE that does not set an attribute changes its column."""
    return column_of(mapper, key).onupdate is not None


def is_filled(column: Column[Any]) -> bool:
    """Tell whether a new row can do without a value for a column."""
    made = (column.default, column.server_default, column.computed, column.identity)
    if column.nullable or any(each is not None for each in made):
        return True
    return column is column.table.autoincrement_column
