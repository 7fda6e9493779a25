"""Values that statements give to columns, as conditions compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam

__all__ = ["bound_values"]


def bound_values(values: Mapping[Column[Any], Any]) -> dict[Column[Any], Any]:
    """Bind values to the types of their columns; expressions stay what they are."""
    return {
        column: value if isinstance(value, ColumnElement) else bindparam(None, value, column.type)
        for column, value in values.items()
    }
