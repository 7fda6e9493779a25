"""INSERTs of rows some of which may be there already, as each database spells them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Executable, Table, case, func
from sqlalchemy import insert as generic_insert
from sqlalchemy.engine import Dialect

__all__ = [
    "build_insert_of_missing",
    "build_insert_or_mark",
    "build_upsert",
    "has_insert_or_mark",
    "has_upsert",
]


def has_upsert(dialect: Dialect) -> bool:
    """Tell whether :func:`build_upsert` knows the dialect."""
    return dialect.name in ("sqlite", "postgresql", "mysql", "mariadb")


def has_insert_or_mark(dialect: Dialect) -> bool:
    """Tell whether :func:`build_insert_or_mark` is for the dialect.

    SQLite counts each row once, inserted or not, and lets nobody else write meanwhile.  An INSERT
    that SQLAlchemy compiles anew each time, as 2.0 does, costs more than the statement it saves.
    """
    if dialect.name != "sqlite":
        return False
    cls = getattr(sys.modules.get("sqlalchemy.dialects.sqlite"), "Insert", None)
    return bool(getattr(cls, "inherit_cache", False))


def build_upsert(
    dialect: Dialect,
    table: Table,
    *,
    names: Sequence[Column[Any]],
    source: Any,
    replaced: Sequence[Column[Any]],
) -> Executable:
    """Build an ``INSERT … SELECT`` that replaces columns of rows that are there already."""
    insert = _insert_of(dialect)
    statement: Any = insert(table).from_select(names, source, include_defaults=False)
    if dialect.name in ("mysql", "mariadb"):
        new = {column.key: func.values(column) for column in replaced}
        replacing: Executable = statement.on_duplicate_key_update(new)
        return replacing
    upsert: Executable = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={column.key: statement.excluded[column.key] for column in replaced},
    )
    return upsert


def build_insert_of_missing(
    dialect: Dialect, table: Table, names: Sequence[Column[Any]], source: Any
) -> Executable:
    """Build an ``INSERT … SELECT`` that leaves rows alone which are there already."""
    insert = _insert_of(dialect)
    statement: Any = insert(table).from_select(names, source, include_defaults=False)
    if dialect.name in ("mysql", "mariadb"):
        statement = statement.prefix_with("IGNORE")
    elif hasattr(statement, "on_conflict_do_nothing"):
        statement = statement.on_conflict_do_nothing()
    missing: Executable = statement
    return missing


def build_insert_or_mark(
    table: Table,
    names: Sequence[Column[Any]],
    source: Any,
    *,
    mark: Column[Any],
    required: Column[Any],
) -> Executable:
    """Build an ``INSERT … SELECT`` of new rows, and of rows that are there and get a *mark*.

    A row without a mark that is there all the same is an error, as any INSERT of it would be.

    :param required: a column that cannot be NULL, by which it becomes one.
    """
    statement: Any = _insert("sqlite")(table).from_select(names, source, include_defaults=False)
    new = statement.excluded
    kept = case((new[mark.key].is_not(None), new[required.key]))
    marking: Executable = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={mark.key: new[mark.key], required.key: kept},
    )
    return marking


def _insert_of(dialect: Dialect) -> Any:
    """Return the ``insert()`` of a dialect, which is imported already."""
    return _insert({"mariadb": "mysql"}.get(dialect.name, dialect.name))


def _insert(package: str) -> Any:
    module = sys.modules.get(f"sqlalchemy.dialects.{package}")
    return getattr(module, "insert", generic_insert)
