"""Version tables and the specs that describe them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table

from ..exc import ImproperlyConfigured
from ..lookup import TABLES
from ..options import Options, Strategy
from ..spec import ColumnPair, VersionSpec
from .columns import build_bookkeeping_columns, build_version_column

__all__ = ["build_table_spec", "cut_name", "forget_table_spec"]

#: The shortest limit of the supported databases (PostgreSQL) that a name must keep.
MAX_NAME = 63


def cut_name(name: str) -> str:
    """Return *name*, cut to what every supported database takes, and still unique.

    >>> cut_name("article_version")
    'article_version'
    >>> len(cut_name("x" * 80))
    63
    """
    if len(name.encode()) <= MAX_NAME:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8]
    room = MAX_NAME - len(digest) - 1
    return f"{name.encode()[:room].decode(errors='ignore')}_{digest}"


def build_table_spec(
    table: Table,
    *,
    options: Options,
    key: Sequence[Column[Any]],
    attribute_keys: Mapping[Column[Any], str],
    transaction_table: Table,
    add_columns: Callable[[Table], Iterable[Column[Any]]] = lambda table: (),
) -> VersionSpec:
    """Build the version table of *table* and return the spec of both.

    :param key: the columns by which rows are recognised.
    :param attribute_keys: for each column that is kept, the key of its version column.
    :param add_columns: returns further columns, for plugins.
    :raises ImproperlyConfigured: if a name is taken.
    """
    _check_clashes(table, options, attribute_keys)
    primary = set(table.primary_key.columns) or set(key)
    copies = {
        column: build_version_column(
            column, key=attribute_keys[column], is_key=column in primary
        )
        for column in table.columns
        if column in attribute_keys
    }
    has_end = options.strategy is Strategy.VALIDITY
    bookkeeping = build_bookkeeping_columns(options, has_end=has_end)
    added = list(add_columns(table))
    version_table = _version_table(table, options, [*copies.values(), *bookkeeping, *added])
    pairs = tuple(ColumnPair(column, copied) for column, copied in copies.items())
    by_parent = {pair.parent: pair for pair in pairs}
    spec = VersionSpec(
        parent_table=table,
        version_table=version_table,
        transaction_table=transaction_table,
        pairs=pairs,
        key=tuple(by_parent[column] for column in key),
        transaction_column=bookkeeping[0],
        end_column=bookkeeping[1] if has_end else None,
        operation_column=bookkeeping[-1],
        strategy=options.strategy,
        ignored=frozenset(c for c, name in attribute_keys.items() if name in options.ignore),
        added=tuple(added),
    )
    table.metadata.info.setdefault(TABLES, {})[table] = spec
    return spec


def forget_table_spec(spec: VersionSpec) -> None:
    """Undo :func:`build_table_spec`."""
    metadata = spec.parent_table.metadata
    metadata.info.get(TABLES, {}).pop(spec.parent_table, None)
    metadata.remove(spec.version_table)


def _version_table(table: Table, options: Options, columns: list[Column[Any]]) -> Table:
    name = cut_name(options.version_table_name(table.name))
    schema = options.version_schema or table.schema
    if _key_of(name, schema) in table.metadata.tables:
        raise ImproperlyConfigured(
            f"Table {table.fullname!r} cannot be versioned: its version table would be called "
            f"{name!r}, and there is a table of that name; set another 'table_name'"
        )
    metadata: MetaData = table.metadata
    primary = PrimaryKeyConstraint(*[c for c in columns if c.primary_key])
    return Table(name, metadata, *columns, primary, schema=schema, quote=table.name.quote)  # type: ignore[attr-defined]


def _key_of(name: str, schema: str | None) -> str:
    return name if schema is None else f"{schema}.{name}"


def _check_clashes(
    table: Table, options: Options, attribute_keys: Mapping[Column[Any], str]
) -> None:
    said = {
        options.transaction_column_name: "transaction_column_name",
        options.end_transaction_column_name: "end_transaction_column_name",
        options.operation_type_column_name: "operation_type_column_name",
    }
    for column, key in attribute_keys.items():
        option = said.get(column.name) or said.get(key)
        if option is not None:
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} has a column {column.name!r}, which is also the name "
                f"of a column of its version table; set the option {option!r} to another name"
            )
