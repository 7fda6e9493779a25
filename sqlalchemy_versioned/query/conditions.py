"""What "valid at", "previous" and "next" mean: the only place where strategies differ.

Every function returns a SQL expression; the *entity* it is about is a version class or an alias of
one.  :func:`.rows.rows_valid_at` says "valid at" of tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, and_

from ..model.operation import Operation
from ..model.spec import ClassSpec
from .newest import comes_after, comes_before, has_not_ended, newest_version

__all__ = [
    "is_alive",
    "is_latest",
    "is_row_of",
    "leads_to",
    "next_of",
    "place_of",
    "previous_of",
    "transaction_of",
    "until_of",
    "valid_at",
]


def transaction_of(spec: ClassSpec, entity: Any) -> Any:
    """Return the attribute of *entity* that holds the transaction id."""
    return getattr(entity, spec.transaction_key)


def place_of(spec: ClassSpec, entity: Any) -> list[Any]:
    """Return the attributes of *entity* that put the versions of an object in order."""
    return [getattr(entity, key) for key in spec.place]


def is_alive(spec: ClassSpec, entity: Any) -> ColumnElement[bool]:
    """Match versions that are no deletions."""
    alive: ColumnElement[bool] = getattr(entity, spec.operation_key) != Operation.DELETE
    return alive


def is_row_of(spec: ClassSpec, entity: Any, identity: Sequence[Any]) -> ColumnElement[bool]:
    """Match the versions of the object with the primary key *identity*."""
    return and_(
        *[getattr(entity, key) == value for key, value in zip(spec.key, identity, strict=True)]
    )


def same_object(spec: ClassSpec, one: Any, other: Any) -> ColumnElement[bool]:
    """Match versions of one and the same object."""
    return and_(*[getattr(one, key) == getattr(other, key) for key in spec.key])


def valid_at(spec: ClassSpec, entity: Any, at: Any) -> ColumnElement[bool]:
    """Match the version of each object that was the newest at transaction *at*.

    That may be a deletion; see :func:`is_alive`.
    """
    started = transaction_of(spec, entity) <= at
    if spec.end_key is not None:
        end = getattr(entity, spec.end_key)
        return and_(started, has_not_ended(end, at))
    transaction = spec.root.transaction_column.key
    newest = _newest(spec, entity, lambda rows: rows.c[transaction] <= at)
    return and_(started, place_of(spec, entity)[-1] == newest)


def leads_to(spec: ClassSpec, entity: Any, at: Any) -> ColumnElement[bool]:
    """Match versions of one object, the newest of which is that of transaction *at*.

    The primary key, read backwards, leads there at once under every strategy; the end column would
    have to be looked up in each version before.  But an object that has superclasses may have been
    one of another class in between, and then has none.
    """
    return valid_at(spec, entity, at) if spec.superclasses else transaction_of(spec, entity) <= at


def is_latest(spec: ClassSpec, entity: Any) -> ColumnElement[bool]:
    """Match the newest version of each object."""
    if spec.end_key is not None:
        latest: ColumnElement[bool] = getattr(entity, spec.end_key).is_(None)
        return latest
    latest = place_of(spec, entity)[-1] == _newest(spec, entity)
    return latest


def previous_of(spec: ClassSpec, entity: Any, place: Sequence[Any]) -> ColumnElement[bool]:
    """Match the versions of an object that came before *place*."""
    return comes_before(place_of(spec, entity), place)


def until_of(spec: ClassSpec, entity: Any, place: Sequence[Any]) -> ColumnElement[bool]:
    """Match the version of an object at *place*, and those that came before it."""
    return comes_before(place_of(spec, entity), place, or_is=True)


def next_of(spec: ClassSpec, entity: Any, place: Sequence[Any]) -> ColumnElement[bool]:
    """Match the versions of an object that came after *place*."""
    return comes_after(place_of(spec, entity), place)


def _newest(
    spec: ClassSpec,
    entity: Any,
    condition: Callable[[FromClause], ColumnElement[bool]] | None = None,
) -> ScalarSelect[Any]:
    """Return what identifies the last version of the object of *entity*; its root table has all."""
    key = [getattr(entity, key) for key in spec.key]
    return newest_version(spec.root, key, condition)
