"""What databases spell differently: comparing stored values, replacing rows, being overtaken.

Below everything that builds statements; nothing here knows what versioning is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, Column, Executable, Table, func, types
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

__all__ = [
    "SameValue",
    "build_upsert",
    "can_select_from_target",
    "has_concurrent_writers",
    "has_upsert",
    "locks_what_is_missing",
    "native_type",
    "numbers_may_recur",
]


class SameValue(FunctionElement[bool]):
    """Two columns of one type hold exactly the same value, or both hold NULL.

    Stricter than ``IS NOT DISTINCT FROM`` where a collation or a type takes different values
    for equal, and usable where a type has no equality (``json``, ``xml``).
    """

    name = "same_value"
    inherit_cache = True
    type = Boolean()


# Types of which PostgreSQL has an equality that tells every two images apart.
_COMPARABLE = (
    types.Integer,
    types.Numeric,
    types.Boolean,
    types.Date,
    types.Time,
    types.DateTime,
    types.Interval,
    types.LargeBinary,
    types.Uuid,
    postgresql.JSONB,
)


@compiles(SameValue)
def _same_value(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = element.clauses
    return f"({compiler.process(left.is_not_distinct_from(right), **kw)})"


@compiles(SameValue, "sqlite")
def _same_value_sqlite(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({left} COLLATE BINARY IS {right})"


@compiles(SameValue, "postgresql")
def _same_value_postgresql(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    if not all(_compares_exactly(clause, compiler.dialect) for clause in element.clauses):
        # Text compares byte by byte under "C"; citext, json, xml and enums need the cast.
        left, right = (f'CAST({side} AS TEXT) COLLATE "C"' for side in (left, right))
    return f"({left} IS NOT DISTINCT FROM {right})"


def _compares_exactly(column: ColumnElement[Any], dialect: Dialect) -> bool:
    type_ = stored_type(column, dialect)
    if isinstance(type_, (types.Enum, postgresql.CITEXT)):
        return False
    # Only a collation that a column names itself can take different texts for equal.
    return isinstance(type_, _COMPARABLE) or (
        isinstance(type_, types.String) and type_.collation is None
    )


@compiles(SameValue, "mysql")
@compiles(SameValue, "mariadb")
def _same_value_mysql(element: SameValue, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    stored = [stored_type(clause, compiler.dialect) for clause in element.clauses]
    if any(isinstance(type_, (types.String, types.JSON)) for type_ in stored):
        # The default collations take 'a' and 'A' for equal, and ignore spaces at the end.
        left, right = (f"CAST({side} AS BINARY)" for side in (left, right))
    return f"({left} <=> {right})"


def stored_type(column: ColumnElement[Any], dialect: Dialect) -> types.TypeEngine[Any]:
    """Return the type of *column* on one database, behind decorators and variants."""
    type_ = column.type.dialect_impl(dialect)
    while isinstance(type_, types.TypeDecorator):
        type_ = type_.load_dialect_impl(dialect).dialect_impl(dialect)
    return type_


def native_type(column: ColumnElement[Any]) -> types.TypeEngine[Any]:
    """Return the type of *column* behind decorators."""
    type_: types.TypeEngine[Any] = column.type
    while isinstance(type_, types.TypeDecorator):
        type_ = type_.impl_instance
    return type_


def has_concurrent_writers(dialect: Dialect) -> bool:
    """Tell whether two transactions may write at the same time; SQLite has one writer."""
    return dialect.name != "sqlite"


def can_select_from_target(dialect: Dialect) -> bool:
    """Tell whether an UPDATE may read the table it changes in a subquery; MySQL refuses."""
    return dialect.name not in ("mysql", "mariadb")


def locks_what_is_missing(dialect: Dialect) -> bool:
    """Tell whether looking for rows that do not exist locks others out of making them.

    InnoDB locks the gap that it finds, in every statement that writes.
    """
    return dialect.name in ("mysql", "mariadb")


def numbers_may_recur(dialect: Dialect, table: Table) -> bool:
    """Tell whether the database may number a new row like one that was deleted.

    SQLite does, unless the table says AUTOINCREMENT.
    """
    return dialect.name == "sqlite" and not table.dialect_options["sqlite"]["autoincrement"]


def has_upsert(dialect: Dialect) -> bool:
    """Tell whether :func:`build_upsert` knows the dialect."""
    return dialect.name in ("sqlite", "postgresql", "mysql", "mariadb")


def build_upsert(
    dialect: Dialect,
    table: Table,
    *,
    names: Sequence[Column[Any]],
    source: Any,
    replaced: Sequence[Column[Any]],
) -> Executable:
    """Build an ``INSERT … SELECT`` that replaces columns of rows that are there already."""
    if dialect.name in ("mysql", "mariadb"):
        statement: Any = mysql.insert(table).from_select(names, source, include_defaults=False)
        new = {column.key: func.values(column) for column in replaced}
        replacing: Executable = statement.on_duplicate_key_update(new)
        return replacing
    insert: Any = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).from_select(names, source, include_defaults=False)
    upsert: Executable = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={column.key: statement.excluded[column.key] for column in replaced},
    )
    return upsert
