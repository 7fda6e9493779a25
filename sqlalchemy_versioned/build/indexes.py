"""Indexes of version tables beside those of their keys: for what versions are found by.

A relationship finds the versions that it leads to by their foreign keys.  A parent table can do
without an index on them as long as it is small; its version table is not.  See
``docs/decisions/0008-foreign-keys-that-relationships-use.rst``.  Change records find objects by
what they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import RelationshipProperty

from .. import _sqlalchemy
from ..model.lookup import TABLES
from ..model.spec import Hierarchy, VersionSpec
from .adaption import columns_in
from .tables import index_columns

__all__ = ["ensure_index", "index_foreign_keys"]


def index_foreign_keys(
    live: RelationshipProperty[Any], associations: Mapping[Table, Hierarchy]
) -> None:
    """Index the foreign keys by which the versions of a relationship are found.

    :param live: the relationship between live objects.
    """
    by_spec: dict[VersionSpec, list[Column[Any]]] = {}
    for column in _found_by(live):
        spec = _spec_of(column.table, associations)
        kept = {} if spec is None else {pair.parent: pair.version for pair in spec.pairs}
        if spec is not None and column in kept:
            by_spec.setdefault(spec, []).append(kept[column])
    for spec, columns in by_spec.items():
        ensure_index(spec, columns)


def _found_by(live: RelationshipProperty[Any]) -> list[Column[Any]]:
    """Return the foreign keys that are compared with what the versions start from."""
    compared = {_sqlalchemy.plain_column(column) for column in columns_in(live.primaryjoin)}
    pairs: Any = live.local_remote_pairs
    far = dict.fromkeys(_sqlalchemy.plain_column(there) for _, there in pairs)
    return [column for column in far if column in compared and column.foreign_keys]


def _spec_of(table: Any, associations: Mapping[Table, Hierarchy]) -> VersionSpec | None:
    if table in associations:
        return associations[table].root
    specs: Mapping[Table, VersionSpec] = table.metadata.info.get(TABLES, {})
    return specs.get(table)


def _is_indexed(table: Table, columns: list[Column[Any]]) -> bool:
    wanted = set(columns)
    ways = [list(table.primary_key.columns), *[list(index.columns) for index in table.indexes]]
    return any(set(way[: len(wanted)]) == wanted for way in ways)


def ensure_index(spec: VersionSpec, columns: list[Column[Any]]) -> None:
    """Index columns, unless an index or the primary key begins with them."""
    if not _is_indexed(spec.version_table, columns):
        # The transaction narrows the versions of rows that many refer to.
        index_columns(spec.version_table, [*columns, spec.transaction_column])
