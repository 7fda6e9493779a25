"""Where rows of subclasses begin that are older than their history: where their objects do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, FromClause, and_, case, exists, not_, or_

from .. import _sqlalchemy
from ..database.expressions import SameValue
from ..model.operation import Operation
from ..model.spec import VersionSpec
from .newest import comes_before, of_key, place_in
from .rows import as_stored

__all__ = ["Beginning", "beginning_of"]


class Beginning(NamedTuple):
    """The versions of objects in the base-most table along which a row of a subclass has some."""

    versions: FromClause
    #: Matches them with the rows: all since the object came for the last time, as what it is now.
    are_of_row: ColumnElement[bool]
    #: What the versions of the row have as their bookkeeping.
    told: dict[Column[Any], ColumnElement[Any]]


def beginning_of(spec: VersionSpec, base: VersionSpec) -> Beginning:
    """Return where rows of a subclass begin: an object begins, and is changed, in all its tables.

    :param base: the base-most table of the object.
    """
    key = [as_stored(pair.parent) for pair in spec.key]
    versions, earlier = base.version_table.alias(), base.version_table.alias()
    pairs = zip(spec.bookkeeping, base.bookkeeping, strict=True)
    told: dict[Column[Any], ColumnElement[Any]] = {o: versions.c[t.key] for o, t in pairs}
    # The object may have been one of another class before, without a row here.
    has_come = exists().where(
        _is_of_present_life(base, earlier, key),
        comes_before(place_in(base, earlier), place_in(base, versions)),
    )
    there = (has_come.correlate_except(earlier), told[spec.operation_column])
    told[spec.operation_column] = case(there, else_=spec.operation(Operation.INSERT))
    return Beginning(versions, _is_of_present_life(base, versions, key), told)


def _is_of_present_life(
    spec: VersionSpec, versions: FromClause, key: Sequence[ColumnElement[Any]]
) -> ColumnElement[bool]:
    """Match *versions* of the object *key* since it came for the last time, as what it is now.

    :param spec: the base-most table of the object.
    """
    other, live = spec.version_table.alias(), _sqlalchemy.short_alias(spec.parent_table)
    is_other = other.c[spec.operation_column.key] == spec.operation(Operation.DELETE)
    if spec.kind is not None:
        # As an object of another class it had rows in other tables.
        row = [as_stored(live.c[p.parent.key]) == k for p, k in zip(spec.key, key, strict=True)]
        kind = SameValue(other.c[spec.kind.version.key], live.c[spec.kind.parent.key])
        changed = exists().where(*row, not_(kind)).correlate_except(live)
        is_other = or_(is_other, changed)
    ended = exists().where(
        *of_key(spec, other, key),
        comes_before(place_in(spec, versions), place_in(spec, other), or_is=True),
        is_other,
    )
    return and_(*of_key(spec, versions, key), not_(ended.correlate_except(other)))
