"""Attributes that mean something to change records, found in the versions that keep them.

A class may say by which attribute its objects are called, if not by their primary key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, or_, select, tuple_

from .._typing import mapper_of
from ..database.keys import KeyConditions, Style
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from .newest import newest_version

__all__ = ["had_name", "name_at", "name_column", "version_column"]


def version_column(spec: ClassSpec, key: str) -> Column[Any]:
    """Return the column of a version table that keeps an attribute of a class, or its flag."""
    # Of a masked attribute, its flag is all there is.
    found = spec.masked.get(key, key)
    column: Any = mapper_of(spec.version_class).column_attrs[found].columns[0]
    kept: Column[Any] = column
    return kept


def name_column(spec: ClassSpec) -> Column[Any] | None:
    """Return the version column of what objects are called by; ``None`` if that is their key."""
    return None if spec.name_key is None else version_column(spec, spec.name_key)


def had_name(spec: ClassSpec, key: Sequence[Any], style: Style) -> ColumnElement[bool]:
    """Match keys of objects of which some version is called by one of the set ``names``."""
    column, table = _kept_in(spec)
    rows = table.version_table.alias()
    is_named = KeyConditions([column], style).member([rows.c[column.key]], "names")
    keys = select(*[rows.c[pair.version.key] for pair in table.key]).where(is_named)
    subject: Any = key[0] if len(key) == 1 else tuple_(*key)
    found: ColumnElement[bool] = subject.in_(keys)
    return found


def name_at(
    spec: ClassSpec, key: Sequence[Any], transaction: ColumnElement[Any]
) -> ColumnElement[Any]:
    """Return what an object was called at a transaction."""
    column, table = _kept_in(spec)
    rows = table.version_table.alias()

    def tells(other: Any) -> ColumnElement[bool]:
        # A plugin may have emptied what a deletion keeps.
        is_kept = other.c[table.operation_column.key] != Operation.DELETE
        is_told = or_(is_kept, other.c[column.key].is_not(None))
        return and_(other.c[table.transaction_column.key] <= transaction, is_told)

    newest: Any = newest_version(table, key, tells)
    same = [rows.c[p.version.key] == value for p, value in zip(table.key, key, strict=True)]
    name = select(rows.c[column.key]).where(*same, rows.c[table.identifier.key] == newest)
    return name.correlate_except(rows).scalar_subquery()


def _kept_in(spec: ClassSpec) -> tuple[Column[Any], VersionSpec]:
    """Return the column of names, and the table that has it."""
    column = name_column(spec)
    assert column is not None
    return column, next(each for each in spec.tables if each.version_table is column.table)
