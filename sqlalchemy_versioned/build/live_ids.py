"""Columns of versioned tables that have the id of the newest version of each row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, Table, Uuid

from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from ..options import Options

__all__ = ["find_live_id"]


def find_live_id(table: Table, options: Options, base: VersionSpec | None) -> Column[Any] | None:
    """Return the column of *table* that is to have the id of the newest version, if one is.

    :param base: the base-most table of its objects, if it is another; that has the column.
    :raises ImproperlyConfigured: if there is no such column, or it cannot have the id.
    """
    name = options.revision_id_column_name
    if name is None or base is not None:
        return None
    found = next((column for column in table.columns if column.name == name), None)
    if found is None:
        raise ImproperlyConfigured(
            f"Table {table.fullname!r} has no column {name!r}, which revision_id_column_name asks "
            "for; declare it there"
        )
    _check(found, table, options)
    return found


def _check(found: Column[Any], table: Table, options: Options) -> None:
    """Refuse a column that cannot have the id."""
    is_number = options.version_id_type == "integer"
    if not isinstance(found.type, Integer if is_number else Uuid):
        raise ImproperlyConfigured(
            f"{found} is of type {found.type!r}, and version_id_type is "
            f"{options.version_id_type!r}; declare it with the type "
            f"{'BigInteger' if is_number else 'Uuid'}"
        )
    if found.primary_key or not table.primary_key.columns:
        raise ImproperlyConfigured(
            f"{found} cannot have the id of the newest version: rows are recognised by their "
            "primary key, which must be another column"
        )
    if not (found.nullable or found.default is not None or found.server_default is not None):
        raise ImproperlyConfigured(
            f"{found} is not nullable and has no default, but a row is there before its version "
            "has an id; let it be nullable"
        )
