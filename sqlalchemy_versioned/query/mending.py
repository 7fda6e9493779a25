"""Statements that mend what :mod:`.verify` finds: transactions that are lost, and split objects.

Nothing is made up: what is written was said by another version of the same object, and what nobody
knows stays empty.  Of two operations nobody knows which is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Insert,
    Select,
    and_,
    exists,
    insert,
    not_,
    select,
    true,
    tuple_,
)

from .._typing import select_rows
from ..model.operation import Operation
from ..model.spec import VersionSpec
from .hierarchies import select_left_out_versions, select_split_objects
from .left_out import LeftOut, Others
from .newest import newest_version, of_key
from .ranges import Range
from .verify import select_missing_deletions, select_orphans

__all__ = [
    "build_base_copies",
    "build_copies",
    "build_lost_transactions",
    "can_be_empty",
    "lock_last_versions",
]


def can_be_empty(spec: VersionSpec) -> bool:
    """Tell whether a transaction may say nothing but its number."""
    columns = spec.transaction_table.columns
    return all(c.primary_key or c.nullable or c.server_default is not None for c in columns)


def build_lost_transactions(spec: VersionSpec, within: Range) -> Insert:
    """Write the transactions that versions are of and that do not exist; no one knows their time.

    The columns of the table must be allowed to be empty.
    """
    # SQL Server refuses an order in a subquery, and the others need none.
    lost = select_orphans(spec, within).order_by(None).subquery()
    number = list(lost.c)[-1]
    (own,) = spec.transaction_table.primary_key
    return insert(spec.transaction_table).from_select(
        [own], select(number).distinct(), include_defaults=False
    )


def lock_last_versions(
    spec: VersionSpec, within: Range, left_out: LeftOut | None = None
) -> Select[Any]:
    """Select and lock the newest versions of rows that are gone without a deletion.

    Of such a row nothing else is left to lock; whoever brings it back ends this version.
    """
    gone = select_missing_deletions(spec, within, left_out).order_by(None).subquery()
    place = [*[pair.version for pair in spec.key], spec.transaction_column]
    return (
        select_rows(*place)
        .where(tuple_(*place).in_(select_rows(*gone.c)))
        .order_by(*place)
        .with_for_update()
    )


def build_base_copies(
    spec: VersionSpec, root: VersionSpec, within: Range, others: Others | None = None
) -> Insert:
    """Write versions that the base-most table lacks, as its row was before: nothing was said of it.

    :param spec: another table of the objects, which has these versions.
    :param others: objects that have no rows in that; one that was among them has become another.
    """
    missing = select_split_objects(spec, root, within).order_by(None).subquery()
    *key, number = missing.c
    base = root.version_table.alias()
    there = exists().where(_is_version(root, base, key, number)).correlate(missing)
    before = root.version_table.alias()
    source = (
        _copied(root, before, number, root.operation(Operation.UPDATE))
        .select_from(missing.join(before, _is_newest_before(root, before, key, number)))
        # The base may have it and say something else, which no copy mends.
        .where(not_(there), true() if others is None else not_(others.are_in(before)))
    )
    return _insert(root, source)


def build_copies(
    spec: VersionSpec, root: VersionSpec, within: Range, others: Others | None = None
) -> Insert:
    """Write versions that the base-most table has and another lacks, as its row was before.

    :param others: objects that have no rows in that; nobody knows what became of the row of one
        that has been among them since.
    """
    missing = select_left_out_versions(spec, root, within, others).order_by(None).subquery()
    *key, number = missing.c
    before, base = spec.version_table.alias(), root.version_table.alias()
    source = (
        _copied(spec, before, number, base.c[root.operation_column.key])
        .select_from(missing.join(before, _is_newest_before(spec, before, key, number)))
        .join(base, _is_version(root, base, key, number))
    )
    if others is not None:
        since = root.version_table.alias()
        at = since.c[root.transaction_column.key]
        was_another = exists().where(
            *of_key(root, since, key),
            at > before.c[spec.transaction_column.key],
            at <= number,
            others.are_in(since),
        )
        source = source.where(not_(was_another.correlate_except(since)))
    return _insert(spec, source)


def _is_version(
    spec: VersionSpec, rows: FromClause, key: Sequence[ColumnElement[Any]], number: Any
) -> ColumnElement[bool]:
    return and_(*of_key(spec, rows, key), rows.c[spec.transaction_column.key] == number)


def _is_newest_before(
    spec: VersionSpec, rows: FromClause, key: Sequence[ColumnElement[Any]], number: Any
) -> ColumnElement[bool]:
    """Match the version of a row that was the newest before transaction *number*."""
    newest = newest_version(spec, key, lambda each: each.c[spec.transaction_column.key] < number)
    # From a deletion nothing can be known of what came after it.
    alive = rows.c[spec.operation_column.key] != Operation.DELETE
    return and_(_is_version(spec, rows, key, newest), alive)


def _copied(
    spec: VersionSpec, rows: FromClause, number: Any, operation: ColumnElement[Any]
) -> Select[Any]:
    return select_rows(*[rows.c[pair.version.key] for pair in spec.pairs], number, operation)


def _insert(spec: VersionSpec, source: Select[Any]) -> Insert:
    names: list[Any] = [pair.version for pair in spec.pairs]
    names += [spec.transaction_column, spec.operation_column]
    return insert(spec.version_table).from_select(names, source, include_defaults=False)
