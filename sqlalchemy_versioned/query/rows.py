"""Conditions on rows of version tables, as the statements of the writer need them.

The counterpart of :mod:`.conditions` for tables instead of classes; ``tx`` is the parameter for
the transaction that is being written.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, exists, func, not_, select

from ..dialects import SameValue
from ..operation import Operation
from ..spec import ColumnPair, VersionSpec

__all__ = [
    "bound_tx",
    "differs_elsewhere",
    "is_open",
    "restores_previous",
    "same_image_exists",
    "same_key",
]


def bound_tx(spec: VersionSpec) -> ColumnElement[int]:
    """Return the parameter ``tx``."""
    return bindparam("tx", type_=spec.transaction_column.type)


def same_key(spec: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    """Match *rows* of the version table that are of the row of the parent table."""
    return and_(*[rows.c[pair.version.key] == pair.parent for pair in spec.key])


def is_open(spec: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    """Match the newest row of another transaction than this one."""
    transaction = rows.c[spec.transaction_column.key]
    if spec.end_column is not None:
        return and_(transaction != bound_tx(spec), rows.c[spec.end_column.key].is_(None))
    other = spec.version_table.alias()
    newest = (
        select(func.max(other.c[spec.transaction_column.key]))
        .where(
            *[other.c[pair.version.key] == rows.c[pair.version.key] for pair in spec.key],
            other.c[spec.transaction_column.key] != bound_tx(spec),
        )
        .correlate_except(other)
        .scalar_subquery()
    )
    return transaction == newest


def _compared(spec: VersionSpec) -> list[ColumnPair]:
    keys = {pair.parent for pair in spec.key}
    return [p for p in spec.pairs if p.parent not in keys and p.parent not in spec.ignored]


def same_image_exists(spec: VersionSpec, source: FromClause) -> ColumnElement[bool]:
    """Match rows of the parent table whose newest version is just like them."""
    rows = spec.version_table.alias()
    return (
        exists()
        .select_from(rows)
        .where(
            same_key(spec, rows),
            is_open(spec, rows),
            rows.c[spec.operation_column.key] != Operation.DELETE,
            *[SameValue(rows.c[p.version.key], p.parent) for p in _compared(spec)],
        )
        .correlate(source)
    )


def restores_previous(spec: VersionSpec, own: FromClause) -> ColumnElement[bool]:
    """Match own versions that are just like the version before."""
    before = spec.version_table.alias()
    transaction = before.c[spec.transaction_column.key]
    if spec.end_column is not None:
        is_previous = before.c[spec.end_column.key] == bound_tx(spec)
    else:
        is_previous = is_open(spec, before)
    return (
        exists()
        .select_from(before)
        .where(
            *[before.c[p.version.key] == own.c[p.version.key] for p in spec.key],
            transaction < bound_tx(spec),
            is_previous,
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
