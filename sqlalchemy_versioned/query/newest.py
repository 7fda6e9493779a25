"""How the version of a moment is told from the others of its row: by its place, or by its end.

What is asked of a moment is answered by the newest version before it.  Versions of a row are in the
order of their transactions, and of their ids where one transaction has several.  An index leads
through them in this order, so that is one step back in it, however long the history.  An end says
the same without a look at other versions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge, gt, le, lt
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
)

from ..model.spec import VersionSpec

__all__ = [
    "comes_after",
    "comes_before",
    "has_not_ended",
    "index_hint",
    "newest_version",
    "of_key",
    "place_in",
    "row_key",
    "through_key",
]

_Comparison = Callable[[Any, Any], ColumnElement[bool]]


def newest_version(
    spec: VersionSpec,
    values: Sequence[Any],
    condition: Callable[[FromClause], ColumnElement[bool]] | None = None,
    *,
    key: Sequence[Column[Any]] | None = None,
    locks: bool = False,
    sorts: bool = False,
) -> ScalarSelect[Any]:
    """Return what identifies the newest version of a row, as a subquery.

    It reads an alias of the version table; all else that it names is of the statement around it.

    :param values: the key of the row.
    :param condition: narrows the versions, given the alias.
    :param key: the columns of the version table that hold *values*, if not those of the spec.
    :param locks: read what is committed, not what a snapshot shows.
    :param sorts: ask for the first of the sorted transactions, which PostgreSQL plans faster than
        their maximum; where versions have ids, that is always done.
    """
    rows = spec.version_table.alias()
    columns = [pair.version for pair in spec.key] if key is None else key
    same = [rows.c[column.key] == value for column, value in zip(columns, values, strict=True)]
    *_, identifier = place = place_in(spec, rows)
    newest: Select[Any] = select(func.max(identifier))
    if sorts or len(place) > 1:
        # Few databases have a maximum of UUIDs, and the transaction comes first.
        newest = select(identifier).order_by(*[each.desc() for each in place])
        newest = newest.limit(literal_column("1"))
    newest = through_key(spec, rows, newest).where(*same)
    if condition is not None:
        newest = newest.where(condition(rows))
    if locks:
        # InnoDB's snapshots lack what was committed since; reads that lock see it.
        newest = newest.with_for_update(read=True)
    # Whatever the statement around it has; the alias alone is its own.
    return newest.correlate_except(rows).scalar_subquery()


def place_in(spec: VersionSpec, rows: FromClause) -> list[ColumnElement[Any]]:
    """Return the columns of *rows* of a version table that put the versions of a row in order."""
    return [rows.c[column.key] for column in spec.place]


def comes_before(
    one: Sequence[Any], other: Sequence[Any], *, or_is: bool = False
) -> ColumnElement[bool]:
    """Match what is at place *one* before what is at place *other*, of the same row.

    :param or_is: match what is at *other* itself as well.
    """
    return _compares(one, other, lt, le if or_is else lt)


def comes_after(one: Sequence[Any], other: Sequence[Any]) -> ColumnElement[bool]:
    """Match what is at place *one* after what is at place *other*, of the same row."""
    return _compares(one, other, gt, gt)


def _compares(
    one: Sequence[Any], other: Sequence[Any], strictly: _Comparison, at_last: _Comparison
) -> ColumnElement[bool]:
    """Compare places: by the last column where the transactions are the same."""
    transaction, *number = one
    bound, *last = other
    if not number:
        return at_last(transaction, bound)
    loosely = le if strictly is lt else ge
    # The first comparison is implied, and is what an index is read by.
    return and_(
        loosely(transaction, bound),
        or_(strictly(transaction, bound), at_last(number[0], last[0])),
    )


def through_key(spec: VersionSpec, rows: FromClause, statement: Select[Any]) -> Select[Any]:
    """Have *statement* find versions by the index that begins with the key of their row.

    In a small table InnoDB prefers the index on transactions, and then locks the end of it, where
    everyone writes.

    :param rows: the alias of the version table that it reads.
    """
    hint = index_hint(spec)
    for dialect in ("mysql", "mariadb") if hint else ():
        statement = statement.with_hint(rows, hint, dialect)
    return statement


def index_hint(spec: VersionSpec) -> str:
    """Return what has MySQL find versions so; nothing where there is no such index."""
    name = spec.key_index
    # A hint is text, and only some drivers want the percent signs of a text twice.
    if name is None or "%" in name:
        return ""
    quoted = name.replace("`", "``")
    return f"FORCE INDEX (`{quoted}`)"


def has_not_ended(end: ColumnElement[Any], at: Any) -> ColumnElement[bool]:
    """Match versions whose *end* is missing, or later than transaction *at*."""
    return or_(end.is_(None), end > at)


def of_key(spec: VersionSpec, rows: FromClause, key: Sequence[Any]) -> list[ColumnElement[bool]]:
    """Match *rows* of the version table that are of the row with this *key*."""
    return [rows.c[pair.version.key] == value for pair, value in zip(spec.key, key, strict=True)]


def row_key(spec: VersionSpec) -> list[Column[Any]]:
    """Return the columns of a version table that tell the rows of its parent table apart."""
    if spec.id_column is not None:
        # Only what rows are recognised by cannot be NULL in a version.
        return [pair.version for pair in spec.pairs if not pair.version.nullable]
    return [pair.version for pair in spec.key]
