"""Conditions on rows of version tables, as the statements of the writer need them.

The counterpart of :mod:`.conditions` for tables instead of classes; ``versioned_tx`` is
the parameter for the transaction that is being written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Enum,
    FromClause,
    String,
    and_,
    bindparam,
    cast,
    exists,
    func,
    not_,
    select,
)

from ..dialects import SameValue
from ..operation import Operation
from ..spec import ColumnPair, VersionSpec

__all__ = [
    "as_stored",
    "bound_tx",
    "differs_elsewhere",
    "newest_before",
    "newest_other",
    "restores_previous",
    "same_image_exists",
    "same_key",
]


def bound_tx(spec: VersionSpec) -> ColumnElement[int]:
    """Return the parameter ``versioned_tx``."""
    return bindparam("versioned_tx", type_=spec.transaction_column.type)


def same_key(spec: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    """Match *rows* of the version table that are of the row of the parent table."""
    return and_(*[rows.c[pair.version.key] == as_stored(pair.parent) for pair in spec.key])


def as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a parent column as its version column holds it: enums are kept as text."""
    return cast(column, String) if isinstance(column.type, Enum) else column


def newest_before(
    spec: VersionSpec, keys: Sequence[ColumnElement[Any]], source: FromClause
) -> ColumnElement[int]:
    """Return the last transaction before this one that has a version of a row.

    One step back in the primary key, however long the history; a look for an open end would read
    all of it.

    :param keys: the row's key, columns of *source*.
    """
    return _newest(spec, keys, source, lambda transaction: transaction < bound_tx(spec))


def newest_other(
    spec: VersionSpec, keys: Sequence[ColumnElement[Any]], source: FromClause
) -> ColumnElement[int]:
    """Return the last other transaction that has a version of a row, as :func:`newest_before`."""
    return _newest(spec, keys, source, lambda transaction: transaction != bound_tx(spec))


def _newest(
    spec: VersionSpec,
    keys: Sequence[ColumnElement[Any]],
    source: FromClause,
    condition: Callable[[ColumnElement[int]], ColumnElement[bool]],
) -> ColumnElement[int]:
    other = spec.version_table.alias()
    transaction = other.c[spec.transaction_column.key]
    same = [other.c[p.version.key] == key for p, key in zip(spec.key, keys, strict=True)]
    greatest: ColumnElement[int] = (
        select(func.max(transaction))
        .where(*same, condition(transaction))
        .correlate(source)
        .scalar_subquery()
    )
    return greatest


def _compared(spec: VersionSpec) -> list[ColumnPair]:
    keys = {pair.parent for pair in spec.key}
    return [p for p in spec.pairs if p.parent not in keys and p.parent not in spec.ignored]


def same_image_exists(spec: VersionSpec, source: FromClause) -> ColumnElement[bool]:
    """Match rows of the parent table whose newest version is just like them."""
    rows = spec.version_table.alias()
    newest = newest_other(spec, [as_stored(pair.parent) for pair in spec.key], source)
    return (
        exists()
        .select_from(rows)
        .where(
            same_key(spec, rows),
            rows.c[spec.transaction_column.key] == newest,
            rows.c[spec.operation_column.key] != Operation.DELETE,
            *[SameValue(rows.c[p.version.key], p.parent) for p in _compared(spec)],
        )
        .correlate(source)
    )


def restores_previous(spec: VersionSpec, own: FromClause) -> ColumnElement[bool]:
    """Match own versions that are just like the version before."""
    before = spec.version_table.alias()
    keys = [own.c[pair.version.key] for pair in spec.key]
    return (
        exists()
        .select_from(before)
        .where(
            *[before.c[p.version.key] == key for p, key in zip(spec.key, keys, strict=True)],
            before.c[spec.transaction_column.key] == newest_before(spec, keys, own),
            before.c[spec.operation_column.key] != Operation.DELETE,
            *[SameValue(before.c[p.version.key], own.c[p.version.key]) for p in _compared(spec)],
        )
        .correlate(own)
    )


def differs_elsewhere(
    other: VersionSpec, spec: VersionSpec, own: FromClause
) -> ColumnElement[bool]:
    """Match own versions whose object differs from what it was in another table."""
    theirs = other.version_table.alias()
    return (
        exists()
        .select_from(theirs)
        .where(
            *[
                theirs.c[there.version.key] == own.c[here.version.key]
                for there, here in zip(other.key, spec.key, strict=True)
            ],
            theirs.c[other.transaction_column.key] == bound_tx(other),
            not_(restores_previous(other, theirs)),
        )
        .correlate(own)
    )
