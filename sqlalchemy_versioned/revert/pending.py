"""Deleting objects that were never flushed: they leave as if they had not been added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import ONETOMANY, InstanceState, RelationshipProperty, Session, object_session
from sqlalchemy.orm.attributes import set_attribute
from sqlalchemy.orm.collections import collection_adapter

from .. import _sqlalchemy
from .live import is_unloadable, related_to
from .paths import pair_keys

__all__ = ["drop_pending", "remove_member"]


def drop_pending(session: Session, obj: Any, delete: Callable[[Any], None]) -> None:
    """Take a pending object out of *session*, and out of what refers to it.

    :param delete: called for each object that its deletion cascades to.
    """
    state: InstanceState[Any] = inspect(obj)
    # Out first, so that no event takes it for an object whose changes are to be flushed.
    session.expunge(obj)
    for relationship in state.mapper.relationships:
        if not relationship.viewonly:
            _unlink(session, obj, relationship, delete)


def _unlink(
    session: Session,
    obj: Any,
    relationship: RelationshipProperty[Any],
    delete: Callable[[Any], None],
) -> None:
    for member in related_to(session, obj, relationship):
        if relationship.uselist:
            remove_member(obj, relationship, member)
        else:
            set_attribute(obj, relationship.key, None)
        if relationship.direction is ONETOMANY and object_session(member) is not None:
            if relationship.cascade.delete:
                delete(member)
            else:
                _empty(member, pair_keys(relationship)[1])


def _empty(member: Any, keys: tuple[str, ...]) -> None:
    """Empty the foreign key of *member*, as the deletion of its parent does."""
    for key in keys:
        set_attribute(member, key, None)


def remove_member(owner: Any, relationship: RelationshipProperty[Any], member: Any) -> None:
    """Remove *member* from a collection, as the application would."""
    if is_unloadable(relationship):
        getattr(owner, relationship.key).remove(member)
    else:
        collection = _sqlalchemy.related_value(owner, relationship.key)
        collection_adapter(collection).remove_with_event(member)
