"""The rows that a table held at a transaction, and whether history tells of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, not_, null, select

from .. import _sqlalchemy
from ..database.expressions import AsDeclared
from ..model.lookup import check_has_key
from ..model.operation import Operation
from ..model.spec import VersionSpec
from .newest import comes_before, place_in
from .rows import rows_valid_at, same_key

__all__ = ["select_reach", "select_rows_at"]


def select_rows_at(
    spec: VersionSpec, at: ColumnElement[int], retired: Iterable[str] = ()
) -> Select[Any]:
    """Select the rows that a table held at transaction *at*, with its columns by name.

    Columns of which nothing is kept are NULL.

    :param retired: names of columns that the table has no more, but its versions have.
    :raises IncompleteHistory: if the table has no key.
    """
    check_has_key(spec)
    rows = spec.version_table.alias()
    kept = {parent: rows.c[version.key] for parent, version in spec.known_columns.items()}
    columns = [
        AsDeclared(kept.get(column, null()), column).label(column.name)
        for column in spec.parent_table.columns
    ]
    columns += [_sqlalchemy.column_of(rows, name).label(name) for name in retired]
    alive = rows.c[spec.operation_column.key] != Operation.DELETE
    return select(*columns).where(rows_valid_at(spec, rows, at), alive)


def select_reach(spec: VersionSpec, at: int) -> Select[bool, bool]:
    """Select whether history is silent about rows of a table at transaction *at*.

    It is about rows that have no version, and about those whose first version is later and no
    insertion: they were there before.
    """
    versions, first = spec.version_table.alias(), spec.version_table.alias()
    rows = spec.version_table.alias()
    transaction, place = spec.transaction_column.key, place_in(spec, rows)
    unrecorded = (
        exists()
        .select_from(spec.parent_table)
        .where(not_(exists().where(same_key(spec, versions)).correlate(spec.parent_table)))
    )
    same = [first.c[pair.version.key] == rows.c[pair.version.key] for pair in spec.key]
    earlier = exists().where(*same, comes_before(place_in(spec, first), place)).correlate(rows)
    # Rows whose first version is an update were there before, and nobody knows how.
    known_late = (
        exists()
        .select_from(rows)
        .where(
            rows.c[transaction] > at,
            rows.c[spec.operation_column.key] != Operation.INSERT,
            not_(earlier),
        )
    )
    return select(unrecorded, known_late)
