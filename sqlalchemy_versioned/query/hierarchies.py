"""Statements that find where the tables of one hierarchy say different things of an object.

Each selects versions in a range of keys, and nothing where the tables agree.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    exists,
    func,
    not_,
    or_,
    select,
    true,
)

from .._typing import select_rows
from ..model.operation import Operation
from ..model.spec import VersionSpec
from .left_out import Others, same_object
from .newest import comes_after, comes_before, place_in
from .ranges import Range, is_within

__all__ = ["select_left_out_versions", "select_split_objects"]


def select_split_objects(spec: VersionSpec, root: VersionSpec, within: Range) -> Select[Any]:
    """Select versions of objects of which the base-most table says something else, or nothing."""
    key = [pair.version for pair in spec.key]
    base = root.version_table.alias()
    operation = base.c[root.operation_column.key]
    said = exists().where(
        *same_object(spec, spec.version_table, root, base),
        base.c[root.identifier.key] == spec.identifier,
        # An object that has become one of another class is inserted, or deleted, in some tables.
        or_(operation == spec.operation_column, operation == Operation.UPDATE),
    )
    return (
        select(*key, spec.transaction_column)
        .where(is_within(key, within), not_(said.correlate(spec.version_table)))
        .order_by(*key, spec.transaction_column)
    )


def select_left_out_versions(
    spec: VersionSpec, root: VersionSpec, within: Range, others: Others | None = None
) -> Select[Any]:
    """Select versions in the base-most table that *spec* should have, and has not."""
    rows, followed, preceded = _with_places_around(spec, within)
    base = root.version_table.alias()
    began, place = place_in(spec, rows), place_in(root, base)
    number = base.c[root.transaction_column.key]
    operation = rows.c[spec.operation_column.key]
    is_between = and_(
        operation != Operation.DELETE,
        comes_after(place, began),
        or_(followed[0].is_(None), comes_before(place, followed)),
    )
    # What begins with no insertion was there before, and lacks all that the base says of then.
    is_before = and_(
        operation != Operation.INSERT,
        preceded.is_(None),
        comes_before(place, began),
        true() if others is None else not_(others.are_in(base)),
    )
    keys = [rows.c[pair.version.key] for pair in spec.key]
    joined = rows.join(base, and_(*same_object(spec, rows, root, base)))
    return (
        select_rows(*keys, number)
        .select_from(joined)
        .where(or_(is_between, is_before))
        .order_by(*keys, number)
    )


def _with_places_around(
    spec: VersionSpec, within: Range
) -> tuple[FromClause, list[ColumnElement[Any]], ColumnElement[Any]]:
    """Select all versions; return them, the place of the next one, and what the one before is."""
    key = [pair.version for pair in spec.key]
    window: Any = {"partition_by": key, "order_by": spec.place}
    # Beside columns of the key, which may be called whatever does not begin so.
    names = [f"{spec.prefix}followed_{n}" for n, _ in enumerate(spec.place)]
    followed = [
        func.lead(column).over(**window).label(name)
        for column, name in zip(spec.place, names, strict=True)
    ]
    preceded = func.lag(spec.identifier).over(**window).label(f"{spec.prefix}preceded")
    rows = (
        select(*key, *spec.place, spec.operation_column, *followed, preceded)
        .where(is_within(key, within))
        .subquery()
    )
    return rows, [rows.c[name] for name in names], rows.c[preceded.name]
