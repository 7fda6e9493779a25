"""Version tables and the specs that describe them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Index, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.sql.schema import BLANK_SCHEMA

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..model.lookup import MANAGERS, TABLES
from ..model.masks import flag_name
from ..model.naming import cut_name, index_name, name_indexes, version_table_name
from ..model.spec import ColumnPair, VersionSpec
from ..options import Options, Strategy
from .columns import (
    build_bookkeeping_columns,
    build_flag,
    build_id_column,
    build_stamp_columns,
    build_version_column,
)
from .context_columns import build_version_context
from .live_ids import find_live_id
from .table_checks import check_context, check_table

__all__ = [
    "build_flags",
    "build_table_spec",
    "index_columns",
]


def build_table_spec(
    table: Table,
    *,
    options: Options,
    key: Sequence[Column[Any]],
    attribute_keys: Mapping[Column[Any], str],
    transaction_table: Table,
    manager: Any = None,
    masked_keys: Mapping[Column[Any], str] = MappingProxyType({}),
    add_columns: Callable[[Table], Iterable[Column[Any]]] = lambda table: (),
    base: VersionSpec | None = None,
    kind: Any = None,
) -> VersionSpec:
    """Build the version table of *table* and return the spec of both.

    :param key: the columns by which rows are recognised.
    :param attribute_keys: for each column that is kept, the key of its version column.
    :param manager: who versions the table, for look-ups.
    :param masked_keys: for each masked column, the key of its attribute.
    :param add_columns: returns further columns, for plugins.
    :param base: the base-most table of its objects, if it is another.
    :param kind: what tells classes apart.
    :raises ImproperlyConfigured: if a name is taken.
    """
    live_id = find_live_id(table, options, base)
    attribute_keys = {c: name for c, name in attribute_keys.items() if c is not live_id}
    check_table(table, options, attribute_keys, key=key, base=base)
    primary = set(table.primary_key.columns) | set(key)
    copies = _build_copies(table, options, attribute_keys, primary)
    own = _build_bookkeeping(table, options, attribute_keys, is_base=base is None)
    masked = build_flags(table, masked_keys, {*copies, *masked_keys})
    added = [*build_stamp_columns(options), *(pair.version for pair in masked), *add_columns(table)]
    place = [*(copies[column] for column in _in_key_order(table, primary)), own.transaction]
    columns = [*copies.values(), *own.columns(), *added]
    version_table = _build_table(table, options, columns, own.primary_key(place))
    own.index_rows(version_table, place if key else [])
    pairs = {column: ColumnPair(column, copied) for column, copied in copies.items()}
    spec = own.begin_spec(options)(
        parent_table=table,
        version_table=version_table,
        transaction_table=transaction_table,
        pairs=tuple(pairs.values()),
        key=tuple(pairs[column] for column in key),
        ignored=frozenset(c for c, name in attribute_keys.items() if name in options.ignore),
        added=tuple(added),
        base=base,
        kind=pairs.get(kind),
        live_id_column=live_id,
        masked=masked,
    )
    return _registered(spec, manager)


def _registered(spec: VersionSpec, manager: Any) -> VersionSpec:
    """Let the spec of a table, and who versions it, be looked up."""
    info = spec.parent_table.metadata.info
    info.setdefault(TABLES, {})[spec.parent_table] = spec
    info.setdefault(MANAGERS, {})[spec.parent_table] = manager
    return spec


def _build_copies(
    table: Table,
    options: Options,
    attribute_keys: Mapping[Column[Any], str],
    primary: Collection[Column[Any]],
) -> dict[Column[Any], Column[Any]]:
    """Build the version columns of those that are kept."""
    return {
        column: build_version_column(
            column,
            key=attribute_keys[column],
            is_key=column in primary,
            key_is_primary=options.strategy.merges,
        )
        for column in table.columns
        if column in attribute_keys
    }


@dataclass(frozen=True, slots=True)
class _Bookkeeping:
    """The columns of a version table that tell of versions, by what they tell."""

    transaction: Column[Any]
    end: Column[Any] | None
    operation: Column[Any]
    #: What tells events apart, where nothing is merged.
    number: Column[Any] | None
    #: Whether versions keep what is said of them, each for itself.
    keeps_context: bool
    context: tuple[Column[Any], ...]

    def columns(self) -> list[Column[Any]]:
        """Return all of them, in the order in which tables have them."""
        found = (self.transaction, self.end, self.operation, self.number, *self.context)
        return [column for column in found if column is not None]

    def primary_key(self, place: list[Column[Any]]) -> list[Column[Any]]:
        """Return what tells versions apart, where *place* tells rows and transactions apart."""
        return place if self.number is None else [self.number]

    def index_rows(self, version_table: Table, place: list[Column[Any]]) -> None:
        """Have the versions of a row found by its place, where no primary key is for that."""
        if self.number is not None and place:
            index_columns(version_table, [*place, self.number])

    def begin_spec(self, options: Options) -> partial[VersionSpec]:
        """Say of a version table what is the same whatever it has copies of."""
        return partial(
            VersionSpec,
            transaction_column=self.transaction,
            end_column=self.end,
            operation_column=self.operation,
            id_column=self.number,
            context_columns=self.context,
            variables=options.session_variables if self.keeps_context else (),
            strategy=options.strategy,
            keeps_unchanged=options.record_unchanged,
            is_native=options.native_versioning,
        )


def _build_bookkeeping(
    table: Table, options: Options, attribute_keys: Mapping[Column[Any], str], *, is_base: bool
) -> _Bookkeeping:
    """Build what is no copy.

    :param is_base: whether the table is the base-most of its objects.
    :raises ImproperlyConfigured: if a session variable is called like another column.
    """
    has_end = options.strategy is Strategy.VALIDITY
    transaction, *end, operation = build_bookkeeping_columns(options, has_end=has_end)
    merges = options.strategy.merges
    number = None if merges else build_id_column(options, is_numbered=is_base)
    keeps_context = is_base and not merges
    context = build_version_context(table, options) if keeps_context else []
    check_context(table, options, attribute_keys, context)
    return _Bookkeeping(
        transaction, end[0] if end else None, operation, number, keeps_context, tuple(context)
    )


def build_flags(
    table: Table, masked_keys: Mapping[Column[Any], str], taken: Iterable[Column[Any]]
) -> tuple[ColumnPair, ...]:
    """Build the flags for masked columns.

    :raises ImproperlyConfigured: if one would be called like a column of the table.
    """
    names = {name for column in taken for name in (column.name, column.key)}
    pairs: list[ColumnPair] = []
    for column, key in masked_keys.items():
        flag = build_flag(column, name=cut_name(flag_name(column.name)), key=flag_name(key))
        if names.intersection((flag.name, flag.key)):
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} has a column {flag.name!r}, which the flag for the "
                f"masked column {column.name!r} would be called; name the column otherwise"
            )
        pairs.append(ColumnPair(column, flag))
    return tuple(pairs)


def index_columns(table: Table, columns: Sequence[Column[Any]]) -> None:
    """Give a version table an index on *columns*, with a name that every database takes."""
    Index(index_name(table, columns), *columns)


def _in_key_order(table: Table, primary: set[Column[Any]]) -> list[Column[Any]]:
    """Return the key columns as the primary key has them, the others as the table has them."""
    own = dict.fromkeys(table.primary_key.columns)
    return [*own, *[c for c in table.columns if c in primary and c not in own]]


def _build_table(
    table: Table, options: Options, columns: list[Column[Any]], primary_key: list[Column[Any]]
) -> Table:
    name = version_table_name(table, options)
    schema = options.version_schema or table.schema
    metadata: MetaData = table.metadata
    if _key_of(name, schema) in metadata.tables:
        raise ImproperlyConfigured(
            f"Table {table.fullname!r} cannot be versioned: its version table would be called "
            f"{name!r}, and there is a table of that name; if it was read from a database, let "
            "reflect() or automap leave it out, by only=…, or else set another 'table_name'"
        )
    version_table = _sqlalchemy.ShortAliasTable(
        name,
        metadata,
        *columns,
        PrimaryKeyConstraint(*primary_key),
        schema=schema or BLANK_SCHEMA,
        quote=table.name.quote,  # type: ignore[attr-defined]
        **_text_options(table),
    )
    name_indexes(version_table)
    return version_table


def _text_options(table: Table) -> dict[str, Any]:
    """Return by which options a MySQL table compares text: keys must compare alike in both."""
    wanted = ("charset", "default_charset", "collate", "default_collate", "engine")
    return {
        name: value
        for name, value in table.dialect_kwargs.items()
        if name.partition("_")[0] in ("mysql", "mariadb") and name.partition("_")[2] in wanted
    }


def _key_of(name: str, schema: str | None) -> str:
    return name if schema is None else f"{schema}.{name}"
