"""Statements that remove versions which say nothing new, and mend the ends of those that stay.

A version is redundant if it is an UPDATE and every table of its object has the values of the
version before.  Under joined inheritance rows are removed from the leaves to the root, so that
the root still tells what came before what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    FromClause,
    Select,
    Subquery,
    Update,
    and_,
    delete,
    exists,
    func,
    literal_column,
    not_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import aliased

from ..dialects import SameValue
from ..operation import Operation
from ..spec import ClassSpec, VersionSpec
from .rows import as_stored

__all__ = ["build_end_repairs", "build_redundancy_locks", "build_removals"]


def build_removals(spec: ClassSpec) -> Iterator[Delete]:
    """Build one statement for each table, to be executed in this order; the root comes last."""
    for table in reversed(spec.hierarchy.tables):
        place = [*[pair.version for pair in table.key], table.transaction_column]
        yield delete(table.version_table).where(tuple_(*place).in_(_select_redundant(spec)))


def build_end_repairs(spec: ClassSpec) -> Iterator[Update]:
    """Build statements that end each version where the next one begins."""
    for table in spec.hierarchy.tables:
        if table.end_column is None:
            continue
        rows = _rows_with_neighbours(table)
        yield (
            update(table.version_table)
            .where(
                *[rows.c[p.version.key] == p.version for p in table.key],
                rows.c[table.transaction_column.key] == table.transaction_column,
                table.end_column.is_distinct_from(rows.c.next_),
            )
            .values({table.end_column: rows.c.next_})
        )


def build_redundancy_locks(spec: ClassSpec) -> Iterator[Select[Any]]:
    """Build statements that lock the rows of which versions will be removed.

    Whoever changes a row locks it before its versions; so nobody ends a version while it is
    being removed.
    """
    for table in spec.hierarchy.tables:
        keys = _select_redundant(spec).subquery()
        primary = [as_stored(pair.parent) for pair in table.key]
        places = list(keys.c)[: len(primary)]
        locked = (
            select(*primary)
            .where(tuple_(*primary).in_(select(*places)))
            .order_by(*primary)
            .with_for_update(of=table.parent_table)
        )
        yield select(func.count()).select_from(locked.subquery())


def _select_redundant(spec: ClassSpec) -> Select[Any]:
    """Select the keys and transactions of the versions that say nothing new."""
    root = spec.root
    rows = _rows_with_neighbours(root)
    keys = [rows.c[pair.version.key] for pair in root.key]
    statement = select(*keys, rows.c[root.transaction_column.key]).where(
        rows.c[root.operation_column.key] == Operation.UPDATE,
        rows.c.previous_operation_ != Operation.DELETE,
        *[not_(_differs(table, root, rows)) for table in spec.hierarchy.tables],
    )
    if spec.superclasses:
        statement = statement.where(_is_of_class(spec, rows))
    # MySQL refuses to read the table that it deletes from, unless it must be read beforehand.
    return select(*statement.subquery().c)


def _rows_with_neighbours(table: VersionSpec) -> Subquery:
    """Select the rows of a version table with the transactions before and after each."""
    window: Any = {
        "partition_by": [pair.version for pair in table.key],
        "order_by": table.transaction_column,
    }
    own, operation = table.transaction_column, table.operation_column
    return select(
        *[pair.version for pair in table.key],
        own,
        operation,
        func.lag(own).over(**window).label("previous_"),
        func.lag(operation).over(**window).label("previous_operation_"),
        func.lead(own).over(**window).label("next_"),
    ).subquery()


def _differs(table: VersionSpec, root: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    """Match *rows* that brought something new to a table."""
    own, before = table.version_table.alias(), table.version_table.alias()
    transaction = table.transaction_column.key
    same = exists().where(
        _is_at(table, before, root, rows, rows.c.previous_),
        *[SameValue(before.c[p.version.key], own.c[p.version.key]) for p in _compared(table)],
    )
    return exists().where(
        _is_at(table, own, root, rows, rows.c[transaction]), not_(same.correlate(own, rows))
    )


def _is_at(
    table: VersionSpec, found: FromClause, root: VersionSpec, rows: FromClause, at: Any
) -> ColumnElement[bool]:
    """Match what a table *found* for the object of *rows* at a transaction."""
    pairs = zip(table.key, root.key, strict=True)
    return and_(
        *[found.c[here.version.key] == rows.c[there.version.key] for here, there in pairs],
        found.c[table.transaction_column.key] == at,
    )


def _compared(table: VersionSpec) -> Iterator[Any]:
    keys = {pair.parent for pair in table.key}
    return (pair for pair in table.pairs if pair.parent not in keys)


def _is_of_class(spec: ClassSpec, rows: FromClause) -> ColumnElement[bool]:
    """Match rows of objects of a subclass: their first version is never removed."""
    version = aliased(spec.version_class, flat=True)
    pairs = zip(spec.key, spec.root.key, strict=True)
    return (
        select(literal_column("1"))
        .select_from(version)
        .where(*[getattr(version, key) == rows.c[p.version.key] for key, p in pairs])
        .correlate(rows)
        .exists()
    )
