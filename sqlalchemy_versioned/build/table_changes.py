"""What becomes of a version table, or of its spec, after it was built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Table

from ..exc import ImproperlyConfigured
from ..model.lookup import MANAGERS, TABLES
from ..model.naming import name_indexes
from ..model.spec import ColumnPair, VersionSpec
from .columns import build_version_column
from .tables import build_flags

__all__ = ["extend_table_spec", "forget_table_spec", "set_linked", "with_key"]


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
    flags = build_flags(spec.parent_table, new_masks, (*attribute_keys, *masked_keys))
    known = {pair.parent for pair in spec.pairs}
    new = {c: key for c, key in attribute_keys.items() if c not in known}
    copies = [
        ColumnPair(c, build_version_column(c, key=key, is_key=False)) for c, key in new.items()
    ]
    for pair in copies:
        spec.version_table.append_column(pair.version)
    name_indexes(spec.version_table)
    appended = _append_missing(spec.version_table, [*(pair.version for pair in flags), *added])
    _grow(
        spec,
        pairs=(*spec.pairs, *copies),
        ignored=spec.ignored | {c for c, key in new.items() if key in ignored},
        masked=(*spec.masked, *flags),
        added=(*spec.added, *appended),
    )


def _append_missing(table: Table, columns: Iterable[Column[Any]]) -> list[Column[Any]]:
    """Append columns to a version table that it does not have, and return those."""
    appended: list[Column[Any]] = []
    for column in columns:
        if column.key not in table.c:
            table.append_column(column)
            appended.append(column)
    return appended


def _grow(spec: VersionSpec, **values: Any) -> None:
    # Specs are frozen for their readers, who hold them by identity; the table has grown beneath.
    for name, value in values.items():
        object.__setattr__(spec, name, value)


def set_linked(spec: VersionSpec, columns: tuple[Column[Any], ...]) -> None:
    """Let the spec of a table that holds links say so; it may have been made for a class."""
    _grow(spec, linked=columns)


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
    """Undo :func:`.build_table_spec`."""
    metadata = spec.parent_table.metadata
    for name in (TABLES, MANAGERS):
        known = metadata.info.get(name, {})
        known.pop(spec.parent_table, None)
        if not known:
            metadata.info.pop(name, None)
    metadata.remove(spec.version_table)
