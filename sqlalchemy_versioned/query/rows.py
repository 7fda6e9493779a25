"""Conditions on rows of version tables: the counterpart of :mod:`.conditions` for tables.

All but :func:`rows_valid_at` are for the statements of the writer; *tx* is their parameter for the
transaction that is being written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Enum,
    FromClause,
    ScalarSelect,
    Select,
    String,
    and_,
    cast,
    exists,
    false,
    not_,
    or_,
    select,
)

from .._typing import sql_literal
from ..database.dialects import is_text, native_type
from ..database.expressions import SameValue
from ..model.operation import Operation
from ..model.spec import ColumnPair, VersionSpec
from .newest import has_not_ended, newest_version, of_key, row_key, through_key

__all__ = [
    "as_stored",
    "compared_columns",
    "differs_elsewhere",
    "holds_values",
    "newest_before",
    "newest_other",
    "pairs_that_may_differ",
    "restores_previous",
    "rows_valid_at",
    "same_image_exists",
    "same_key",
]


def rows_valid_at(spec: VersionSpec, rows: FromClause, at: Any) -> ColumnElement[bool]:
    """Match the rows of a version table that were the newest of theirs at transaction *at*.

    Those may be deletions.  A row whose end is written needs no look at other versions.  Where no
    end is, or it may be missing, the row must have the greatest transaction; this costs one step in
    the primary key for each row that is not ruled out before.

    :param rows: the version table or an alias of it.

    >>> from sqlalchemy_versioned.model.lookup import spec_of
    >>> spec = spec_of(Article).root
    >>> rows = spec.version_table.alias()
    >>> session.scalars(select(rows.c.name).where(rows_valid_at(spec, rows, first.id))).all()
    ['Draft']
    """
    # Implied by the newest version; lets an index narrow the rows before the subquery runs.
    started = rows.c[spec.transaction_column.key] <= at
    is_newest = rows.c[spec.identifier.key] == _newest_until(spec, rows, at)
    if spec.end_column is None:
        return and_(started, is_newest)
    end = rows.c[spec.end_column.key]
    valid = and_(started, has_not_ended(end, at))
    if not spec.may_lack_ends:
        return valid
    return and_(valid, or_(end.is_not(None), is_newest))


def _newest_until(spec: VersionSpec, rows: FromClause, at: Any) -> ScalarSelect[Any]:
    key, transaction = row_key(spec), spec.transaction_column.key
    values = [rows.c[column.key] for column in key]
    return newest_version(spec, values, lambda own: own.c[transaction] <= at, key=key)


def same_key(spec: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    """Match *rows* of the version table that are of the row of the parent table."""
    return and_(*[rows.c[pair.version.key] == as_stored(pair.parent) for pair in spec.key])


def as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a parent column as its version column holds it: enums are kept as text."""
    return cast(column, String) if isinstance(native_type(column), Enum) else column


def newest_before(
    spec: VersionSpec,
    key: Sequence[ColumnElement[Any]],
    tx: ColumnElement[int],
    *,
    locks: bool = False,
    sorts: bool = False,
) -> ScalarSelect[int]:
    """Return the last transaction before *tx* that has a version of the row *key*.

    A look for an open end would read all of its history.

    :param locks: read what is committed, not what a snapshot shows.
    :param sorts: see :func:`.newest_version`.
    """
    number = spec.transaction_column.key
    return newest_version(spec, key, lambda rows: rows.c[number] < tx, locks=locks, sorts=sorts)


def newest_other(
    spec: VersionSpec,
    key: Sequence[ColumnElement[Any]],
    tx: ColumnElement[int],
    *,
    locks: bool = False,
) -> ScalarSelect[Any]:
    """Return what identifies the version that the row *key* had before what is being written.

    Where versions merge, that is one of a transaction other than *tx*.

    :param locks: read what is committed, not what a snapshot shows.
    """
    if not spec.strategy.merges:
        return newest_version(spec, key, locks=locks)
    transaction = spec.transaction_column.key
    return newest_version(spec, key, lambda rows: rows.c[transaction] != tx, locks=locks)


def pairs_that_may_differ(spec: VersionSpec) -> list[ColumnPair]:
    """Return the columns in which versions of one row may differ."""
    # Matching keys can differ in letter case.
    keys = {pair.parent for pair in spec.key if not is_text(pair.parent)}
    return [pair for pair in spec.pairs if pair.parent not in keys]


def _compared(spec: VersionSpec) -> list[ColumnPair]:
    return [pair for pair in pairs_that_may_differ(spec) if pair.parent not in spec.ignored]


def compared_columns(spec: VersionSpec) -> list[Column[Any]]:
    """Return the parent columns whose change makes a version."""
    return [pair.parent for pair in _compared(spec)]


def holds_values(
    spec: VersionSpec, versions: FromClause, values: Mapping[Column[Any], ColumnElement[Any]]
) -> ColumnElement[bool]:
    """Match versions, but deletions, that have just the *values* of a row, by parent column."""
    return and_(
        versions.c[spec.operation_column.key] != Operation.DELETE,
        *[SameValue(versions.c[p.version.key], values[p.parent]) for p in _compared(spec)],
    )


def same_image_exists(
    spec: VersionSpec, source: FromClause, tx: ColumnElement[int], *, locks: bool = False
) -> ColumnElement[bool]:
    """Match rows of the parent table whose newest version is just like them.

    :param locks: read what is committed, not what a snapshot shows.
    """
    rows = spec.version_table.alias()
    key = [as_stored(pair.parent) for pair in spec.key]
    same: Select[Any] = select(sql_literal("1")).where(
        same_key(spec, rows),
        rows.c[spec.identifier.key] == newest_other(spec, key, tx, locks=locks),
        holds_values(spec, rows, {p.parent: p.parent for p in _compared(spec)}),
    )
    same = through_key(spec, rows, same).correlate(source)
    return (same.with_for_update(read=True) if locks else same).exists()


def restores_previous(
    spec: VersionSpec, own: FromClause, tx: ColumnElement[int], *, locks: bool = False
) -> ColumnElement[bool]:
    """Match own versions that are just like the version before.

    :param locks: read what is committed, not what a snapshot shows.
    """
    before = spec.version_table.alias()
    keys = [own.c[pair.version.key] for pair in spec.key]
    like_own: Select[Any] = (
        select(sql_literal("1"))
        .select_from(before)
        .where(
            *of_key(spec, before, keys),
            before.c[spec.transaction_column.key] == newest_before(spec, keys, tx, locks=locks),
            before.c[spec.operation_column.key] != Operation.DELETE,
            *[SameValue(before.c[p.version.key], own.c[p.version.key]) for p in _compared(spec)],
            # Whether a masked column has its former value again is not known.
            *[own.c[pair.version.key] == false() for pair in spec.masked],
        )
        .correlate(own)
    )
    return (like_own.with_for_update(read=True) if locks else like_own).exists()


def differs_elsewhere(
    other: VersionSpec,
    spec: VersionSpec,
    own: FromClause,
    tx: ColumnElement[int],
    *,
    locks: bool = False,
) -> ColumnElement[bool]:
    """Match own versions whose object differs from what it was in another table.

    :param locks: read what is committed, not what a snapshot shows.
    """
    theirs = other.version_table.alias()
    return (
        exists()
        .select_from(theirs)
        .where(
            *[
                theirs.c[there.version.key] == own.c[here.version.key]
                for there, here in zip(other.key, spec.key, strict=True)
            ],
            theirs.c[other.transaction_column.key] == tx,
            not_(restores_previous(other, theirs, tx, locks=locks)),
        )
        .correlate(own)
    )
