"""Statements that remove versions which say nothing new.

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
    and_,
    delete,
    exists,
    false,
    func,
    not_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased

from .._typing import select_rows, sql_literal
from ..database.expressions import SameValue
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from .neighbours import Neighbours, rows_with_neighbours
from .rows import as_stored, pairs_that_may_differ

__all__ = ["build_redundancy_locks", "build_removals"]


def build_removals(spec: ClassSpec) -> Iterator[Delete]:
    """Build one statement for each table, to be executed in this order; the root comes last."""
    # The root last: what is redundant is read from it.
    for table in reversed(spec.hierarchy.tables):
        place = [*[pair.version for pair in table.key], table.identifier]
        yield delete(table.version_table).where(tuple_(*place).in_(_select_redundant(spec)))


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
            # In one order, so that two who do this at the same time do not wait for each other in a
            # circle.
            .order_by(*primary)
            .with_for_update(of=table.parent_table)
        )
        yield select(func.count()).select_from(locked.subquery())


def _select_redundant(spec: ClassSpec) -> Select[Any]:
    """Select the keys and transactions of the versions that say nothing new."""
    rows = rows_with_neighbours(spec.root)
    statement = select(*rows.key, rows.identifier).where(
        rows.operation == Operation.UPDATE,
        # After a deletion the row came into being again, which is something new.
        rows.previous_operation != Operation.DELETE,
        *[not_(_differs(table, rows)) for table in spec.hierarchy.tables],
    )
    # A table that is shared has rows of other classes, too, which nobody asked about.
    if spec.superclasses:
        statement = statement.where(_is_of_class(spec, rows))
    # MySQL refuses to read the table that it deletes from, unless it must be read beforehand.
    return select_rows(*statement.subquery().c)


def _differs(table: VersionSpec, rows: Neighbours) -> ColumnElement[bool]:
    """Match *rows* that brought something new to a table."""
    own, before = table.version_table.alias(), table.version_table.alias()
    kept = [pair.version.key for pair in pairs_that_may_differ(table)]
    same = exists().where(
        _is_at(table, before, rows, rows.previous),
        *[SameValue(before.c[key], own.c[key]) for key in kept],
        *[own.c[pair.version.key] == false() for pair in table.masked],
    )
    return exists().where(
        _is_at(table, own, rows, rows.identifier), not_(same.correlate(own, rows.clause))
    )


def _is_at(table: VersionSpec, found: FromClause, rows: Neighbours, at: Any) -> ColumnElement[bool]:
    """Match what a table *found* for the object of *rows* at a transaction."""
    pairs = zip(table.key, rows.key, strict=True)
    return and_(
        *[found.c[pair.version.key] == key for pair, key in pairs],
        found.c[table.identifier.key] == at,
    )


def _is_of_class(spec: ClassSpec, rows: Neighbours) -> ColumnElement[bool]:
    """Match rows of objects of a subclass: their first version is never removed."""
    version = aliased(spec.version_class, flat=True)
    pairs = zip(spec.key, rows.key, strict=True)
    return (
        select(sql_literal("1"))
        .select_from(version)
        .where(*[getattr(version, name) == key for name, key in pairs])
        .correlate(rows.clause)
        .exists()
    )
