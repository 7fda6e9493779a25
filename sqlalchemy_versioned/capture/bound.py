"""Values that statements give to columns, as conditions compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam, cast, type_coerce
from sqlalchemy.engine import Dialect

from ..database.dialects import shows_casts_as_kept

__all__ = ["as_kept", "bound_values"]


def bound_values(values: Mapping[Column[Any], Any]) -> dict[Column[Any], Any]:
    """Bind values to the types of their columns; expressions stay what they are."""
    return {
        column: value if isinstance(value, ColumnElement) else bindparam(None, value, column.type)
        for column, value in values.items()
    }


def as_kept(value: ColumnElement[Any], column: Column[Any], dialect: Dialect) -> ColumnElement[Any]:
    """Have a value come back from the database as if the column had it."""
    # One that stands alone takes the type of no column by itself.
    typed = type_coerce(value, column.type)
    return cast(typed, column.type) if shows_casts_as_kept(column, dialect) else typed
