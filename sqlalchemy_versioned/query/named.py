"""Attributes that mean something to change records, found in the versions that keep them.

A class may say by which attribute its objects are called, if not by their primary key, and which
one names the user who has written them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, and_, case, func, or_, select

from .._typing import mapper_of
from ..database.key_conditions import KeyConditions, key_expression
from ..database.keys import Style
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from .newest import newest_version, of_key

__all__ = [
    "Writer",
    "had_name",
    "name_at",
    "name_column",
    "table_of",
    "user_column",
    "user_of",
    "version_column",
]


class Writer(NamedTuple):
    """What a version tells of who has written it; all NULL where there is no version."""

    operation: ColumnElement[Any]
    #: The user that the object named then.
    named: ColumnElement[Any]


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


def user_column(spec: ClassSpec) -> Column[Any] | None:
    """Return the version column that names the user; ``None`` if none does."""
    key = spec.options.user_id_attribute
    return None if key is None else version_column(spec, key)


def user_of(
    user: ColumnElement[Any], is_said: ColumnElement[Any], writer: Writer
) -> ColumnElement[Any]:
    """Return who has written a version.

    What is said of the transaction comes first, then what the object names, then what the
    application answers when it is asked.

    :param user: the user of the transaction.
    :param is_said: whether somebody has said so; NULL where that is not known.
    """
    # A deletion keeps whom the row has named last, which need not be who deletes it.
    names_nobody = or_(writer.operation.is_(None), writer.operation == Operation.DELETE)
    return case(
        (or_(is_said, names_nobody), user),
        (is_said.is_(None), func.coalesce(user, writer.named)),
        else_=func.coalesce(writer.named, user),
    )


def had_name(spec: ClassSpec, key: Sequence[Any], style: Style) -> ColumnElement[bool]:
    """Match keys of objects of which some version is called by one of the set ``names``."""
    column, table = _named_in(spec)
    rows = table.version_table.alias()
    is_named = KeyConditions([column], style).member([rows.c[column.key]], "names")
    keys = select(*[rows.c[pair.version.key] for pair in table.key]).where(is_named)
    found: ColumnElement[bool] = key_expression(key).in_(keys)
    return found


def name_at(
    spec: ClassSpec, key: Sequence[Any], transaction: ColumnElement[Any]
) -> ColumnElement[Any]:
    """Return what an object was called at a transaction."""
    column, table = _named_in(spec)
    rows = table.version_table.alias()

    def tells(other: Any) -> ColumnElement[bool]:
        # A plugin may have emptied what a deletion keeps.
        is_kept = other.c[table.operation_column.key] != Operation.DELETE
        is_told = or_(is_kept, other.c[column.key].is_not(None))
        return and_(other.c[table.transaction_column.key] <= transaction, is_told)

    newest: Any = newest_version(table, key, tells)
    name = select(rows.c[column.key]).where(
        *of_key(table, rows, key), rows.c[table.identifier.key] == newest
    )
    return name.correlate_except(rows).scalar_subquery()


def _named_in(spec: ClassSpec) -> tuple[Column[Any], VersionSpec]:
    """Return the column of names, and the table that has it."""
    column = name_column(spec)
    assert column is not None
    return column, table_of(spec, column)


def table_of(spec: ClassSpec, column: Column[Any]) -> VersionSpec:
    """Return the table of a class that has a version column."""
    return next(each for each in spec.tables if each.version_table is column.table)
