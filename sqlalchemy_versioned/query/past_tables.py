"""Which versioned table a statement names, and of which of its columns history keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Table, TableClause

from .. import _sqlalchemy
from ..model.lookup import TABLES
from ..model.spec import VersionSpec

__all__ = ["find_table_spec", "find_unkept", "retired_columns"]

# Of Any, checkers would make more of it than it is.
_TABLE: Any = TableClause


def find_unkept(element: Any, spec_of: Callable[[Any], VersionSpec | None] | None = None) -> Any:
    """Return a column in an expression of which history keeps nothing, or ``None``."""
    find = spec_of or find_table_spec
    for column in _sqlalchemy.columns_in(element):
        spec = find(column.table)
        if spec is None or column.name in retired_columns(spec, column.table):
            continue
        if column.name not in {known.name for known in spec.known_columns}:
            return column
    return None


def retired_columns(spec: VersionSpec, table: Any) -> list[str]:
    """Return the names of the columns of a table, as a statement names it, that it has no more.

    The table of the models has none; another of its name, made by ``table()``, may have.
    """
    if table is spec.parent_table or not isinstance(table, _TABLE):
        return []
    present = {column.name for column in spec.parent_table.columns}
    return [column.name for column in table.columns if column.name not in present]


def find_table_spec(table: Any, default_schema: str | None = None) -> VersionSpec | None:
    """Return the spec of a versioned table, or of one that goes by its name.

    A second ``Table`` of a versioned table, reflected or made by ``table()``, reads the same rows.
    One that a class is mapped to is what it is: it may be in another database.

    :param default_schema: where tables without a schema are.
    """
    if not isinstance(table, _TABLE):
        return None
    if isinstance(table, Table):
        own: dict[Any, VersionSpec] = table.metadata.info.get(TABLES, {})
        if table in own or any(spec.version_table is table for spec in own.values()):
            return own.get(table)
    if any(mapper.local_table is table for mapper in _sqlalchemy.all_mappers()):
        return None

    def place(named: Any) -> tuple[str, str | None]:
        # A table without a schema and one that names the default schema are the same.
        return named.name, named.schema or default_schema

    wanted = place(table)
    return next((spec for parent, spec in _all_specs() if place(parent) == wanted), None)


def _all_specs() -> Iterator[tuple[Table, VersionSpec]]:
    for metadata in _sqlalchemy.all_metadata():
        yield from metadata.info.get(TABLES, {}).items()
