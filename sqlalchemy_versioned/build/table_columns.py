"""Which columns of a table are kept, by what the classes say that are mapped to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.visitors import iterate

from ..exc import ImproperlyConfigured
from ..model.mapping import column_properties, key_columns
from ..options import Options

__all__ = ["attribute_keys", "check_masked", "masked_keys"]


def attribute_keys(
    mapper: Mapper[Any], table: Table, options_of: Callable[[Mapper[Any]], Options]
) -> dict[Column[Any], str]:
    """Return the columns of *table* to keep, with the keys their version columns get.

    :param options_of: returns the options of a mapper.  The base-most class that maps a column
        decides whether it is kept, because all of a hierarchy share the table.
    """
    named = _named_columns(mapper, table, options_of)
    needed = _needed_columns(mapper, table)

    def is_left_out(column: Column[Any], key: str, options: Options) -> bool:
        # What is not included is left out, but what is needed must be named to be refused.
        if column in needed and options.is_selective and key not in options.mask:
            return False
        return options.is_left_out(key)

    # A system column (PostgreSQL's xmin) is the database's own, and no table can have it.
    kept = {
        column: key
        for column, (key, options) in named.items()
        if not (is_left_out(column, key, options) or column.system)
    }
    # Subclasses may call different columns of a shared table the same; then keys are the columns'
    # own.
    if len(set(kept.values())) < len(kept):
        kept = {column: column.key for column in kept}
    for column in needed:
        if column not in kept:
            raise ImproperlyConfigured(
                f"{mapper.class_.__name__}: {column.name!r} cannot be excluded, because versions "
                "are recognised by it; take it out of 'exclude' or 'mask'"
            )
    return kept


def masked_keys(
    mapper: Mapper[Any], table: Table, options_of: Callable[[Mapper[Any]], Options]
) -> dict[Column[Any], str]:
    """Return the masked columns of *table*, with the keys of their attributes.

    :param options_of: as for :func:`attribute_keys`.
    :raises ImproperlyConfigured: if a column could change without its being known.
    """
    named = _named_columns(mapper, table, options_of)
    masked = {c: key for c, (key, options) in named.items() if options.is_masked(key)}
    counters = {each.version_id_col for each in _owners(mapper, table)}
    check_masked(masked, owner=mapper.class_.__name__, counters=counters)
    return masked


def check_masked(
    masked: Mapping[Column[Any], str],
    *,
    owner: str,
    counters: Collection[Any] = (),
) -> None:
    """Refuse to mask columns that could change without its being known.

    :param owner: whose columns they are, for the message.
    :param counters: columns that count updates.
    :raises ImproperlyConfigured: for the first of them.
    """
    for column, key in masked.items():
        reason = "it changes with every update" if column in counters else _why_unknown(column)
        if reason is not None:
            raise ImproperlyConfigured(
                f"{owner}: {key!r} cannot be masked, because {reason}, and only "
                "its value would tell that it did; exclude it, or take it out of 'mask'"
            )


def _why_unknown(column: Column[Any]) -> str | None:
    """Return how a column changes without being set, if it does."""
    if column.foreign_keys:
        return "the database changes a foreign key along with other rows"
    names = ("computed", "onupdate", "server_onupdate")
    if any(getattr(column, name, None) is not None for name in names):
        return "it changes by itself"
    return None


def _named_columns(
    mapper: Mapper[Any], table: Table, options_of: Callable[[Mapper[Any]], Options]
) -> dict[Column[Any], tuple[str, Options]]:
    """Return the columns of *table*, each with its attribute and the options that decide on it."""
    named: dict[Any, tuple[str, Options]] = {}
    for owner in _owners(mapper, table):
        for prop in column_properties(owner):
            for column in prop.columns:
                # The base-most class comes first, and decides.
                if column.table is table and column not in named:
                    named[column] = (prop.key, options_of(owner))
    options = options_of(mapper)
    return {column: named.get(column, (column.key, options)) for column in table.columns}


def _owners(mapper: Mapper[Any], table: Table) -> list[Mapper[Any]]:
    """Return the mappers of *table*, base-most first."""
    return [m for m in mapper.self_and_descendants if m.local_table is table] or [mapper]


def _needed_columns(mapper: Mapper[Any], table: Table) -> dict[Column[Any], None]:
    """Return the columns of *table* by which objects, and their classes, are told apart."""
    needed = [*key_columns(mapper, table)]
    if mapper.polymorphic_on is not None:
        # Without it, versions would be loaded as the wrong class.
        needed += [c for c in _columns_in(mapper.polymorphic_on) if c.table is table]
    return dict.fromkeys(needed)


def _columns_in(expression: Any) -> list[Column[Any]]:
    return [element for element in iterate(expression) if isinstance(element, Column)]
