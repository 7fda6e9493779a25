"""What "valid at", "previous" and "next" mean: the only place where strategies differ.

Every function returns a SQL expression; the *entity* it is about is a version class or an alias of
one.  :func:`.rows.rows_valid_at` says "valid at" of tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_

from ..operation import Operation
from ..spec import ClassSpec
from .newest import has_not_ended, newest_transaction

__all__ = [
    "is_alive",
    "is_latest",
    "is_row_of",
    "next_of",
    "previous_of",
    "transaction_of",
    "valid_at",
]


def transaction_of(spec: ClassSpec, entity: Any) -> Any:
    """Return the attribute of *entity* that holds the transaction id."""
    return getattr(entity, spec.transaction_key)


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
    transaction = transaction_of(spec, entity)
    if spec.end_key is not None:
        end = getattr(entity, spec.end_key)
        return and_(transaction <= at, has_not_ended(end, at))
    return and_(transaction <= at, transaction == _newest(spec, entity, lambda own: own <= at))


def is_latest(spec: ClassSpec, entity: Any) -> ColumnElement[bool]:
    """Match the newest version of each object."""
    if spec.end_key is not None:
        latest: ColumnElement[bool] = getattr(entity, spec.end_key).is_(None)
        return latest
    latest = transaction_of(spec, entity) == _newest(spec, entity)
    return latest


def previous_of(spec: ClassSpec, entity: Any, transaction: Any) -> ColumnElement[bool]:
    """Match the versions of all objects that came before *transaction*."""
    before: ColumnElement[bool] = transaction_of(spec, entity) < transaction
    return before


def next_of(spec: ClassSpec, entity: Any, transaction: Any) -> ColumnElement[bool]:
    """Match the versions of all objects that came after *transaction*."""
    after: ColumnElement[bool] = transaction_of(spec, entity) > transaction
    return after


def _newest(
    spec: ClassSpec,
    entity: Any,
    condition: Callable[[ColumnElement[int]], ColumnElement[bool]] | None = None,
) -> ScalarSelect[int]:
    """Return the last transaction of the object of *entity*; its root table has them all."""
    key = [getattr(entity, key) for key in spec.key]
    return newest_transaction(spec.root, key, condition)
