"""Version tables and the specs that describe them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Index, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.sql.schema import BLANK_SCHEMA

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..model.lookup import MANAGERS, TABLES
from ..model.masks import flag_name
from ..model.naming import cut_name, name_indexes, version_table_name
from ..model.spec import ColumnPair, VersionSpec
from ..options import STAMPS, Options, Strategy
from .columns import (
    build_bookkeeping_columns,
    build_flag,
    build_id_column,
    build_stamp_columns,
    build_version_column,
)
from .context_columns import build_version_context
from .live_ids import find_live_id

__all__ = [
    "build_table_spec",
    "expect_missing_ends",
    "extend_table_spec",
    "forget_table_spec",
    "index_columns",
    "with_key",
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
) -> VersionSpec:
    """Build the version table of *table* and return the spec of both.

    :param key: the columns by which rows are recognised.
    :param attribute_keys: for each column that is kept, the key of its version column.
    :param manager: who versions the table, for look-ups.
    :param masked_keys: for each masked column, the key of its attribute.
    :param add_columns: returns further columns, for plugins.
    :param base: the base-most table of its objects, if it is another.
    :raises ImproperlyConfigured: if a name is taken.
    """
    live_id = find_live_id(table, options, base)
    attribute_keys = {c: name for c, name in attribute_keys.items() if c is not live_id}
    has_end = options.strategy is Strategy.VALIDITY
    _check_clashes(table, options, attribute_keys, has_end=has_end)
    _check_key(key)
    _check_base(table, options, base)
    # A surrogate key alone does not tell links apart: SQLite gives it to another link.
    primary = set(table.primary_key.columns) | set(key)
    merges = options.strategy.merges
    copies = {
        column: build_version_column(
            column,
            key=attribute_keys[column],
            is_key=column in primary,
            key_is_primary=merges,
        )
        for column in table.columns
        if column in attribute_keys
    }
    bookkeeping = build_bookkeeping_columns(options, has_end=has_end)
    number = None if merges else build_id_column(options, is_numbered=base is None)
    numbers = [] if number is None else [number]
    keeps_context = number is not None and base is None
    context = build_version_context(table, options) if keeps_context else []
    _check_context(table, options, attribute_keys, context)
    masked = _build_flags(table, masked_keys, {*copies, *masked_keys})
    flags = [pair.version for pair in masked]
    added = [*build_stamp_columns(options), *flags, *add_columns(table)]
    columns = [*copies.values(), *bookkeeping, *numbers, *context, *added]
    place = [*(copies[c] for c in _in_key_order(table, primary)), bookkeeping[0]]
    version_table = _version_table(
        table, options, columns, primary_key=place if number is None else [number]
    )
    if number is not None and key:
        index_columns(version_table, [*place, number])
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
        id_column=number,
        base=base,
        live_id_column=live_id,
        variables=options.session_variables if keeps_context else (),
        context_columns=tuple(context),
        keeps_unchanged=options.record_unchanged,
        masked=masked,
    )
    table.metadata.info.setdefault(TABLES, {})[table] = spec
    table.metadata.info.setdefault(MANAGERS, {})[table] = manager
    return spec


def _build_flags(
    table: Table, masked_keys: Mapping[Column[Any], str], taken: Iterable[Column[Any]]
) -> tuple[ColumnPair, ...]:
    """Build the flags for masked columns.

    :raises ImproperlyConfigured: if one would be called like a column of the table.
    """
    names = {name for column in taken for name in (column.name, column.key)}
    pairs = []
    for column, key in masked_keys.items():
        flag = build_flag(column, name=cut_name(flag_name(column.name)), key=flag_name(key))
        if names.intersection((flag.name, flag.key)):
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} has a column {flag.name!r}, which the flag for the "
                f"masked column {column.name!r} would be called; name the column otherwise"
            )
        pairs.append(ColumnPair(column, flag))
    return tuple(pairs)


def extend_table_spec(
    spec: VersionSpec,
    attribute_keys: Mapping[Column[Any], str],
    *,
    ignored: Iterable[str],
    masked_keys: Mapping[Column[Any], str] = MappingProxyType({}),
    added: Iterable[Column[Any]] = (),
) -> None:
    """Keep columns that were added to a parent table after its version table was built.

    :param attribute_keys: for each column that is kept, the key of its version column.
    :param ignored: keys of those whose change alone makes no version.
    :param masked_keys: for each masked column, the key of its attribute.
    :param added: what plugins add along with them; of a column that is there already, nothing.
    """
    flagged = {pair.parent for pair in spec.masked}
    new_masks = {c: key for c, key in masked_keys.items() if c not in flagged}
    flags = _build_flags(spec.parent_table, new_masks, (*attribute_keys, *masked_keys))
    known = {pair.parent for pair in spec.pairs}
    pairs = list(spec.pairs)
    for column, key in attribute_keys.items():
        if column not in known:
            copied = build_version_column(column, key=key, is_key=False)
            spec.version_table.append_column(copied)
            pairs.append(ColumnPair(column, copied))
    new = {c for c, key in attribute_keys.items() if c not in known and key in ignored}
    name_indexes(spec.version_table)
    # Specs are frozen for their readers, who hold them by identity; the table has grown beneath.
    object.__setattr__(spec, "pairs", tuple(pairs))
    object.__setattr__(spec, "ignored", spec.ignored | new)
    object.__setattr__(spec, "masked", (*spec.masked, *flags))
    for column in (*(pair.version for pair in flags), *added):
        if column.key not in spec.version_table.c:
            spec.version_table.append_column(column)
            object.__setattr__(spec, "added", (*spec.added, column))


def index_columns(table: Table, columns: Sequence[Column[Any]]) -> None:
    """Give a version table an index on *columns*, with a name that every database takes."""
    name = cut_name("_".join(["ix", table.name, *[column.name for column in columns]]))
    # Old databases take shorter names still, of which SQLAlchemy cuts those of its own making.
    Index(_sqlalchemy.own_name(name), *columns)


def expect_missing_ends(spec: VersionSpec) -> None:
    """Let the spec of a table that holds links say so; it may have been made for a class."""
    object.__setattr__(spec, "may_lack_ends", True)


def with_key(spec: VersionSpec, key: Sequence[Column[Any]]) -> VersionSpec:
    """Return the spec of a table whose rows are recognised by *key*, columns of the parent table.

    :raises ImproperlyConfigured: if nothing is kept of one of them.
    """
    if key == tuple(pair.parent for pair in spec.key):
        return spec
    pairs = {pair.parent: pair for pair in spec.pairs}
    for column in key:
        if column not in pairs:
            raise ImproperlyConfigured(
                f"{column} cannot be excluded, because versions are recognised by it; take it out "
                "of 'exclude'"
            )
    return replace(spec, key=tuple(pairs[column] for column in key))


def forget_table_spec(spec: VersionSpec) -> None:
    """Undo :func:`build_table_spec`."""
    metadata = spec.parent_table.metadata
    for name in (TABLES, MANAGERS):
        known = metadata.info.get(name, {})
        known.pop(spec.parent_table, None)
        if not known:
            metadata.info.pop(name, None)
    metadata.remove(spec.version_table)


def _in_key_order(table: Table, primary: set[Column[Any]]) -> list[Column[Any]]:
    """Return the key columns as the primary key has them, the others as the table has them."""
    own = list(table.primary_key.columns)
    return own + [c for c in table.columns if c in primary and c not in own]


def _version_table(
    table: Table, options: Options, columns: list[Column[Any]], *, primary_key: list[Column[Any]]
) -> Table:
    name = version_table_name(table, options)
    schema = options.version_schema or table.schema
    metadata: MetaData = table.metadata
    if _key_of(name, schema) in metadata.tables:
        raise ImproperlyConfigured(
            f"Table {table.fullname!r} cannot be versioned: its version table would be called "
            f"{name!r}, and there is a table of that name; set another 'table_name'"
        )
    version_table = Table(
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


def _check_context(
    table: Table,
    options: Options,
    attribute_keys: Mapping[Column[Any], str],
    context: Iterable[Column[Any]],
) -> None:
    """Refuse session variables that are called like something else in a version table."""
    taken = {*options.bookkeeping_names, *attribute_keys.values()}
    taken.update(column.name for column in attribute_keys)
    for column in context:
        if taken & {column.key, column.name}:
            raise ImproperlyConfigured(
                f"Table {table.fullname!r}: the session variable {column.key!r} is called like "
                "another column of its version table; call it otherwise, or set the option "
                "'session_variable_prefix'"
            )


def _check_base(table: Table, options: Options, base: VersionSpec | None) -> None:
    """Refuse tables of one object that would number its versions differently."""
    if base is None:
        return
    said = None if options.strategy.merges else options.version_id_type
    above = None if base.id_column is None else "integer" if base.is_numbered else "uuid"
    if said != above:
        raise ImproperlyConfigured(
            f"Table {table.fullname!r} has rows of objects that begin in "
            f"{base.parent_table.fullname!r}, but another 'strategy' or 'version_id_type'; "
            "an event has one id in all tables of an object: say the same of all classes"
        )


def _check_key(key: Sequence[Column[Any]]) -> None:
    """Refuse keys whose sets no statement could be given: SQLAlchemy has no tuples of such."""
    expressed = [column for column in key if _sqlalchemy.has_bind_expression(column.type)]
    if expressed and len(key) > 1:
        raise ImproperlyConfigured(
            f"{expressed[0]} is one of several key columns, and its type has a bind_expression(); "
            "rows with such a key could not be found: convert the values in process_bind_param(), "
            "or let it be the only key column"
        )


def _check_clashes(
    table: Table, options: Options, attribute_keys: Mapping[Column[Any], str], *, has_end: bool
) -> None:
    said = {
        options.transaction_column_name: "transaction_column_name",
        options.operation_type_column_name: "operation_type_column_name",
    }
    if not options.strategy.merges:
        said[options.version_id_column_name] = "version_id_column_name"
    stamps = zip(options.stamp_names, STAMPS, strict=True)
    said.update({name: option for name, option in stamps if name is not None})
    if has_end:
        said[options.end_transaction_column_name] = "end_transaction_column_name"
    for column, key in attribute_keys.items():
        option = said.get(column.name) or said.get(key)
        if option is not None:
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} has a column {column.name!r} with the key {key!r}, and "
                f"its version table has a column of that name itself; set the option {option!r} "
                "to another name"
            )
