"""Statements that find what is wrong with the history of one table, in ranges of its keys.

Each selects faults of some kinds, and nothing where history is right.  A range lies after one key,
up to and including another.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
)

from .._typing import select_rows
from ..database.expressions import SameValue
from ..model.operation import BEFORE_RECORDING, Operation
from ..model.spec import VersionSpec
from .left_out import LeftOut, is_meant, is_told
from .newest import of_key
from .ranges import Range, is_within, live_key
from .rows import as_stored, same_key

__all__ = [
    "select_broken_chains",
    "select_different_rows",
    "select_missing_deletions",
    "select_orphans",
    "select_unrecorded_keys",
]


def select_broken_chains(
    spec: VersionSpec, within: Range, left_out: LeftOut | None = None
) -> Select[Any]:
    """Select versions that do not end where the next one begins, or cannot follow the one before.

    After the key come the transaction, where the version ends and where the next one begins, its
    operation and that of the version before, and a flag for each of the two faults.
    """
    rows = _with_neighbours(spec, within, left_out)
    broken = rows.c.ended.is_distinct_from(rows.c.followed)
    if spec.may_lack_ends or spec.end_column is None:
        # Links that were recorded by others have no ends at all.
        broken = and_(broken, rows.c.ended.is_not(None))
    impossible = _is_impossible(rows) if _is_unique(spec) else false()
    flags = [
        case((fault, 1), else_=0).label(name)
        for fault, name in ((broken, "is_broken"), (impossible, "is_impossible"))
    ]
    return select_rows(*rows.c, *flags).where(or_(broken, impossible)).order_by(*rows.c)


def _with_neighbours(spec: VersionSpec, within: Range, left_out: LeftOut | None) -> FromClause:
    """Select all versions, each with where the next one begins and what the one before is."""
    key, operation = [pair.version for pair in spec.key], spec.operation_column
    window: Any = {"partition_by": key, "order_by": spec.place}
    preceded: Any = func.lag(operation, type_=operation.type).over(**window)
    if left_out is not None:
        # Statements record them and flushes do not, so that anything may follow.
        preceded = case((is_told(spec, spec.version_table, left_out), preceded))
    ended: Any = null()
    followed: Any = null()
    if spec.end_column is not None:
        ended = spec.end_column
        followed = func.lead(spec.transaction_column).over(**window)
    return (
        select(
            *[column.label(f"k{n}") for n, column in enumerate(key)],
            spec.transaction_column.label("began"),
            ended.label("ended"),
            followed.label("followed"),
            operation.label("operation"),
            preceded.label("preceded"),
        )
        .where(is_within(key, within))
        .subquery()
    )


def _is_unique(spec: VersionSpec) -> bool:
    """Tell whether there cannot be two rows of one key, as of links that have none."""
    primary = set(spec.parent_table.primary_key.columns)
    return not spec.may_lack_ends or (bool(primary) and primary <= {p.parent for p in spec.key})


def _is_impossible(rows: FromClause) -> ColumnElement[bool]:
    """Match versions that cannot follow the one before: only what is gone comes, and only that."""
    operation, preceded = rows.c.operation, rows.c.preceded
    # Before a first version is NULL, which matches neither: nobody knows what was there.
    return or_(
        and_(operation == Operation.INSERT, preceded != Operation.DELETE),
        and_(operation != Operation.INSERT, preceded == Operation.DELETE),
    )


def select_different_rows(
    spec: VersionSpec, within: Range, left_out: LeftOut | None = None
) -> Select[Any]:
    """Select rows that are not as their newest version says.

    After the key come the transaction of that version, its operation, and for each column that is
    kept whether it differs.
    """
    key, versions = live_key(spec), spec.version_table.alias()
    # What is ignored may have changed since.
    differs = [
        literal(0)
        if p.parent in spec.ignored
        else case((SameValue(versions.c[p.version.key], p.parent), 0), else_=1)
        for p in spec.pairs
    ]
    operation = versions.c[spec.operation_column.key]
    began = versions.c[spec.transaction_column.key].label("began")
    wrong = or_(began.is_(None), operation == Operation.DELETE, *[flag == 1 for flag in differs])
    return (
        select(
            *[column.label(f"k{n}") for n, column in enumerate(key)],
            began,
            operation.label("operation"),
            *[flag.label(f"differs_{n}") for n, flag in enumerate(differs)],
        )
        .select_from(_with_newest(spec, within, versions))
        .where(is_within(key, within), wrong, is_meant(left_out))
        .order_by(*key)
    )


def _with_newest(spec: VersionSpec, within: Range, versions: FromClause) -> FromClause:
    """Join the rows of the parent table with the newest version of each, if there is one."""
    newest = _newest(spec, within)
    same = [newest.c[f"k{n}"] == as_stored(pair.parent) for n, pair in enumerate(spec.key)]
    joined = spec.parent_table.outerjoin(newest, and_(*same))
    return joined.outerjoin(versions, _is_newest(spec, versions, newest))


def _is_newest(spec: VersionSpec, versions: FromClause, newest: FromClause) -> ColumnElement[bool]:
    """Match the version that is the newest of its row."""
    key = [newest.c[f"k{n}"] for n, _ in enumerate(spec.key)]
    is_this = versions.c[spec.identifier.key] == newest.c.identifier
    return and_(*of_key(spec, versions, key), is_this)


def select_missing_deletions(
    spec: VersionSpec, within: Range, left_out: LeftOut | None = None
) -> Select[Any]:
    """Select rows that are gone, of which the newest version is no deletion."""
    newest, versions = _newest(spec, within), spec.version_table.alias()
    # As the database compares keys, which ignores letter case in some collations.
    there = exists().select_from(spec.parent_table).where(same_key(spec, versions))
    shown = [newest.c[f"k{n}"] for n, _ in enumerate(spec.key)]
    return (
        select(*shown, newest.c.began)
        .select_from(newest.join(versions, _is_newest(spec, versions, newest)))
        .where(
            versions.c[spec.operation_column.key] != Operation.DELETE,
            not_(there.correlate(versions)),
            is_told(spec, versions, left_out),
        )
        .order_by(*shown)
    )


def select_orphans(spec: VersionSpec, within: Range) -> Select[Any]:
    """Select versions of transactions that do not exist."""
    key = [pair.version for pair in spec.key]
    # A class of the application's own may call it otherwise than ``id``.
    number = next(iter(spec.transaction_table.primary_key.columns))
    known = exists().where(number == spec.transaction_column).correlate(spec.version_table)
    return (
        select(*key, spec.transaction_column)
        .where(
            is_within(key, within),
            spec.transaction_column != BEFORE_RECORDING,
            not_(known),
        )
        .order_by(*key, spec.transaction_column)
    )


def select_unrecorded_keys(
    spec: VersionSpec, within: Range, left_out: LeftOut | None = None
) -> Select[Any]:
    """Select the keys of rows that have no version."""
    versions = spec.version_table.alias()
    recorded = exists().where(same_key(spec, versions)).correlate(spec.parent_table)
    key = live_key(spec)
    return select(*[pair.parent for pair in spec.key]).where(
        is_within(key, within), not_(recorded), is_meant(left_out)
    )


def _newest(spec: VersionSpec, within: Range) -> FromClause:
    """Select the newest version of each row: its transaction, and what identifies it."""
    key, name = [pair.version for pair in spec.key], f"{spec.prefix}newest"
    labels = [column.label(f"k{n}") for n, column in enumerate(key)]
    if spec.id_column is None:
        # An index answers a maximum for each key without a sort, as a window would need.
        newest = func.max(spec.transaction_column)
        greatest = [newest.label("began"), newest.label("identifier")]
        found: Select[Any] = select(*labels, *greatest)
        return found.where(is_within(key, within)).group_by(*key).subquery(name)
    last: Any = func.row_number().over(
        partition_by=key, order_by=[column.desc() for column in spec.place]
    )
    began, identifier = spec.transaction_column.label("began"), spec.identifier.label("identifier")
    columns: list[Any] = [*labels, began, identifier, last.label("place")]
    rows = select(*columns).where(is_within(key, within)).subquery()
    return select(rows).where(rows.c.place == 1).subquery(name)
