"""Statements that shorten history without making it tell what was not.

What is known to be missing must show.  A history that begins with anything but an insertion says
that there was something before; so the oldest version that is left of a row is never its
insertion, unless nothing is removed before it.  Of rows that are gone, their deletion stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    UniqueConstraint,
    Update,
    and_,
    case,
    delete,
    exists,
    func,
    not_,
    null,
    or_,
    select,
    tuple_,
    update,
)

from .._typing import select_rows, sql_literal
from ..database.expressions import SameValue
from ..database.key_conditions import KeyConditions
from ..database.keys import Style
from ..model.operation import Operation
from ..model.spec import ColumnPair, VersionSpec
from .neighbours import rows_with_neighbours
from .newest import comes_before, of_key, place_in
from .ranges import Range, is_within
from .rows import same_key

__all__ = [
    "build_mark",
    "build_prunings",
    "build_redaction",
    "hold_oldest",
    "unique_columns",
]


def build_prunings(
    tables: Sequence[VersionSpec], within: Range, *, before: int | None, keep: int | None
) -> Iterator[Delete]:
    """Build one statement for each table of a hierarchy, to be executed in this order.

    :param tables: the tables, base-most first.
    :param before: a transaction; what was valid at it stays, and so does everything later.
    :param keep: how many of the newest versions of each row stay at least.
    """
    root, *others = tables
    key = [pair.version for pair in root.key]
    is_removed = tuple_(*key, root.identifier).in_(_select_removed(root, within, before, keep))
    # Said twice, the range keeps a database from looking at all of the table for each part.
    yield delete(root.version_table).where(is_within(key, within), is_removed)
    # What others commit in between might be counted, so the others follow what is left of that.
    for table in others:
        yield delete(table.version_table).where(
            is_within([pair.version for pair in table.key], within), _is_before(table, root)
        )


def _is_before(table: VersionSpec, root: VersionSpec) -> ColumnElement[bool]:
    """Match versions that are older than all that the base-most table has of their objects."""
    told = root.version_table.alias()
    key = [pair.version for pair in table.key]
    of_object = exists().where(*of_key(root, told, key)).correlate_except(told)
    until = comes_before(place_in(root, told), table.place, or_is=True)
    return and_(of_object, not_(of_object.where(until)))


def _select_removed(
    spec: VersionSpec, within: Range, before: int | None, keep: int | None
) -> Select[Any]:
    """Select the keys of the versions to remove, with what identifies them."""
    key, transaction = [pair.version for pair in spec.key], spec.transaction_column
    newest_first = [column.desc() for column in spec.place]
    number: Any = func.row_number().over(partition_by=key, order_by=newest_first)
    labels = [column.label(f"key_{place}_") for place, column in enumerate(key)]
    rows = (
        select(
            *labels,
            transaction.label("transaction_"),
            spec.identifier.label("identifier_"),
            spec.operation_column.label("operation_"),
            number.label("number_"),
        )
        .where(is_within(key, within))
        .subquery()
    )
    keys = [rows.c[label.name] for label in labels]
    last = select(*keys, func.min(rows.c.number_).label("last_")).group_by(*keys)
    last = last.where(rows.c.operation_ != Operation.INSERT)
    if before is not None:
        # The newest of these was valid then, and stays.
        last = last.where(rows.c.transaction_ <= before)
    if keep is not None:
        last = last.where(rows.c.number_ >= keep)
    kept = last.subquery()
    same = [column == kept.c[label.name] for column, label in zip(keys, labels, strict=True)]
    removed = select(*keys, rows.c.identifier_).where(*same, rows.c.number_ > kept.c.last_)
    # MySQL refuses to read the table that it deletes from, unless it must be read beforehand.
    return select_rows(*removed.subquery().c)


def hold_oldest(transactions: Table, number: str) -> Select[Any]:
    """Select the smallest id of the transactions, and lock that row.

    :param number: the key of the column that has it.
    """
    column = transactions.c[number]
    return select(column).order_by(column).limit(1).with_for_update()


def unique_columns(table: Table) -> Iterator[Column[Any]]:
    """Yield the columns of a table that no two rows may have in common, beside its key."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield from constraint.columns
    for index in table.indexes:
        if index.unique:
            yield from index.columns


def build_mark(transactions: Table, number: str, oldest: int) -> Insert | Update:
    """Give the oldest transaction another id, below zero; if there is none such, a copy of it.

    Connections that have found a history complete remember it together with the oldest id.  What is
    unique is left out of the copy.
    """
    column = transactions.c[number]
    if oldest < 0:
        return update(transactions).where(column == oldest).values({column: oldest - 1})
    left_out = set(unique_columns(transactions)) - {column}
    # No database lets a computed column be written.
    copied = [c for c in transactions.columns if c.computed is None and c not in left_out]
    values: list[Any] = [sql_literal("-1") if each is column else each for each in copied]
    source = select_rows(*values).where(column == oldest)
    return transactions.insert().from_select(copied, source, include_defaults=False)


def build_redaction(spec: VersionSpec, columns: Sequence[ColumnPair], style: Style) -> Update:
    """Empty columns of the versions of some rows, but where they say what a row is.

    The rows are the set ``keys``.

    :param style: how that is given.
    """
    key = [pair.version for pair in spec.key]
    rows = rows_with_neighbours(spec, KeyConditions(key, style, spec.prefix).member(key, "keys"))
    is_last = and_(rows.next.is_(None), spec.operation_column != Operation.DELETE)
    told = {pair.version: and_(is_last, _is_of_row(spec, pair)) for pair in columns}
    return (
        update(spec.version_table)
        .where(
            *[own == each for own, each in zip(key, rows.key, strict=True)],
            spec.identifier == rows.identifier,
            # Rows that are empty already are left alone, and not counted.
            or_(*[and_(column.is_not(None), not_(stays)) for column, stays in told.items()]),
        )
        .values({column: case((stays, column), else_=null()) for column, stays in told.items()})
    )


def _is_of_row(spec: VersionSpec, pair: ColumnPair) -> ColumnElement[bool]:
    """Match versions with the value of a column that the row has.

    What is ignored may have changed since, and so may what nobody has recorded.
    """
    row = select(sql_literal("1")).select_from(spec.parent_table)
    same = same_key(spec, spec.version_table), SameValue(pair.version, pair.parent)
    return row.where(*same).correlate(spec.version_table).exists()
