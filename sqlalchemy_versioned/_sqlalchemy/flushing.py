"""Flushes, and the states of objects in them."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    Session,
    SessionTransaction,
    SessionTransactionOrigin,
    UOWTransaction,
)
from sqlalchemy.orm.base import NO_VALUE, PASSIVE_NO_INITIALIZE, LoaderCallableStatus
from sqlalchemy.sql import ClauseElement

__all__ = [
    "added_states",
    "deletes_switched_rows",
    "flushed_mappers",
    "flushed_states",
    "has_changed",
    "has_post_updates",
    "is_expression",
    "is_flushing",
    "is_going_on",
    "is_mutable",
    "is_of_mapper",
    "is_value",
    "may_switch_rows",
    "original_values",
]


def flushed_states(
    flush_context: UOWTransaction, mapper: Mapper[Any]
) -> Iterator[tuple[InstanceState[Any], bool, bool]]:
    """Yield what a flush did with the objects of *mapper*.

    Each is told by its state, whether its row is deleted, and whether it was only looked at for
    the sake of others.  Uses ``UOWTransaction.mappers`` and ``.states``.
    """
    untyped: Any = flush_context
    states = untyped.states
    for state in untyped.mappers[mapper]:
        yield state, *states[state]


def added_states(flush_context: UOWTransaction) -> Container[InstanceState[Any]]:
    """Return the objects that a flush adds, until after it.  Uses ``Session._new``.

    Some have a key already: SQLAlchemy gives one to what it asks for defaults that the INSERT did
    not return.
    """
    untyped: Any = flush_context
    added: Mapping[InstanceState[Any], Any] = untyped.session._new
    return added


def flushed_mappers(flush_context: UOWTransaction) -> Iterable[Mapper[Any]]:
    """Return the mappers that a flush concerns.  Uses ``UOWTransaction.mappers``."""
    untyped: Any = flush_context
    mappers: Mapping[Mapper[Any], Any] = untyped.mappers
    # They come in the order of a set; the same objects are to be recorded by the same statements.
    return mappers if len(mappers) < 2 else sorted(mappers, key=_name_of)


def _name_of(mapper: Mapper[Any]) -> str:
    return mapper.class_.__qualname__


def has_post_updates(flush_context: UOWTransaction, mapper: Mapper[Any]) -> bool:
    """Tell whether rows were updated once more at the end of a flush (``post_update``)."""
    untyped: Any = flush_context
    updated = untyped.post_update_states
    return bool(updated) and any(m.base_mapper is mapper.base_mapper for m in updated)


#: Whether an object is deleted, of a value of ``UOWTransaction.states``.
_is_deleted: Callable[[tuple[bool, bool]], bool] = itemgetter(0)


def may_switch_rows(flush_context: UOWTransaction) -> bool:
    """Tell whether a flush may give rows of objects that it deletes to new ones.

    That needs some of either.  Uses ``Session._new`` and ``UOWTransaction.states``, where orphans
    are as well, of which ``Session.deleted`` knows nothing.
    """
    untyped: Any = flush_context
    return bool(untyped.session._new) and any(map(_is_deleted, untyped.states.values()))


def deletes_switched_rows(flush_context: UOWTransaction, base_mapper: Mapper[Any]) -> bool:
    """Tell whether a flush deletes rows all the same that it has given to new objects.

    It does where it writes objects one by one, because they may refer to each other in circles.
    Uses ``UOWTransaction.cycles``, which it has when it executes its first statement.
    """
    untyped: Any = flush_context
    return any(
        type(action).__name__.endswith("DeleteAll") and action.mapper is base_mapper
        for action in getattr(untyped, "cycles", ())
    )


def is_going_on(context: UOWTransaction) -> bool:
    """Tell whether its session is inside the flush of *context*.

    One that has failed is over, also while a bulk method says that the session flushes.  Uses
    ``Session._flushing``, ``Session._transaction``, and ``UOWTransaction.transaction``, which it
    has after ``before_flush``: a subtransaction, as bulk methods begin one.
    """
    session: Session = context.session
    own: SessionTransaction | None = getattr(context, "transaction", None)
    if not session._flushing:
        return False
    if own is not None:
        return own.is_active
    current = session._transaction
    return current is None or current.origin is not SessionTransactionOrigin.SUBTRANSACTION


def is_flushing(session: Session) -> bool:
    """Tell whether *session* is inside a flush.  Uses ``Session._flushing``."""
    return session._flushing


#: Returns the attributes of an object changed since the last flush, with their former values.  Uses
#: ``InstanceState.committed_state``; made of nothing but C, as it is asked for every object.
original_values: Callable[[InstanceState[Any]], Mapping[str, Any]] = attrgetter("committed_state")


def has_changed(state: InstanceState[Any], key: str, before: Any) -> bool:
    """Tell whether an attribute has another value than *before*, of :func:`original_values`.

    Uses the mark of attributes that had none: they need no comparison.
    """
    if before is NO_VALUE and key in state.dict:
        return True
    return state.get_history(key, PASSIVE_NO_INITIALIZE).has_changes()


def is_expression(value: Any) -> bool:
    """Tell whether an attribute is set to something that the database is to compute."""
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


def is_of_mapper(execution_options: Mapping[str, Any], mapper: Mapper[Any]) -> bool:
    """Tell whether a statement writes objects of *mapper*, and not links of a relationship.

    Uses ``Mapper._compiled_cache``, which only the former are given.
    """
    cache = execution_options.get("compiled_cache")
    base: Any = mapper.base_mapper
    return cache is not None and cache is base._compiled_cache


def is_value(before: Any) -> bool:
    """Tell whether there was a value, of :func:`original_values`."""
    return not isinstance(before, LoaderCallableStatus)


def is_mutable(value: Any) -> bool:
    """Tell whether a value is of ``sqlalchemy.ext.mutable``.

    That listens to all mappers once it is imported, so it is not imported here.
    """
    mutable = sys.modules.get("sqlalchemy.ext.mutable")
    return mutable is not None and isinstance(value, mutable.MutableBase)
