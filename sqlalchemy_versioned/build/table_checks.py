"""What no version table can be made of, refused before it is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from ..options import STAMPS, Options, Strategy

__all__ = ["check_context", "check_links_key", "check_table"]


def check_table(
    table: Table,
    options: Options,
    attribute_keys: Mapping[Column[Any], str],
    *,
    key: Sequence[Column[Any]],
    base: VersionSpec | None,
) -> None:
    """Refuse what a version table could not be made of."""
    _check_clashes(table, options, attribute_keys)
    _check_key(key)
    _check_base(table, options, base)


def check_context(
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


def check_links_key(cls: type[Any], links: VersionSpec, key: Sequence[Column[Any]]) -> None:
    """Refuse a class that comes late to a table of links, and knows its rows by another key.

    Relationships of versions are joined by the key that links were given before.
    """
    known = [pair.parent for pair in links.key]
    if set(key) != set(known):
        raise ImproperlyConfigured(
            f"{cls.__name__} is mapped to {links.parent_table.fullname!r}, of which versions tell "
            f"the rows of a relationship apart by {_names(known)} since mappers were configured, "
            f"and by {_names(key)} had they known the class; declare it before mappers are "
            "configured for the first time"
        )


def _names(columns: Iterable[Column[Any]]) -> str:
    return ", ".join(column.key for column in columns)


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
    table: Table, options: Options, attribute_keys: Mapping[Column[Any], str]
) -> None:
    """Refuse columns that are called like what a version table adds."""
    said = {
        options.transaction_column_name: "transaction_column_name",
        options.operation_type_column_name: "operation_type_column_name",
    }
    if not options.strategy.merges:
        said[options.version_id_column_name] = "version_id_column_name"
    stamps = zip(options.stamp_names, STAMPS, strict=True)
    said.update({name: option for name, option in stamps if name is not None})
    if options.strategy is Strategy.VALIDITY:
        said[options.end_transaction_column_name] = "end_transaction_column_name"
    for column, key in attribute_keys.items():
        option = said.get(column.name) or said.get(key)
        if option is not None:
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} has a column {column.name!r} with the key {key!r}, and "
                f"its version table has a column of that name itself; set the option {option!r} "
                "to another name"
            )
