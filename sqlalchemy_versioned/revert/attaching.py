"""Links set as they shall be, by the collections and attributes that applications see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import (
    MANYTOMANY,
    MANYTOONE,
    ONETOMANY,
    InstanceState,
    Mapper,
    RelationshipProperty,
    Session,
)
from sqlalchemy.orm.attributes import set_attribute, set_committed_value
from sqlalchemy.orm.collections import collection_adapter

from .. import _sqlalchemy
from .live import is_unloadable, related_to
from .paths import other_sides, pair_keys
from .pending import remove_member

__all__ = ["attach_members", "attach_one", "detach_others"]


def detach_others(
    session: Session, owner: Any, relationship: RelationshipProperty[Any], members: Sequence[Any]
) -> None:
    """Take out of a collection whoever is none of *members*.

    Before columns are set, because a keyed collection finds its members by their old values.
    """
    wanted = set(map(id, members))
    surplus = [each for each in related_to(session, owner, relationship) if id(each) not in wanted]
    if relationship.direction is MANYTOMANY:
        for each in surplus:
            remove_member(owner, relationship, each)
    # Of a write-only collection only what this session has added can be taken out.
    elif is_unloadable(relationship):
        added = set(map(id, inspect(owner).attrs[relationship.key].history.added or ()))
        for each in surplus:
            if id(each) in added:
                remove_member(owner, relationship, each)


def attach_members(
    session: Session, owner: Any, relationship: RelationshipProperty[Any], members: list[Any]
) -> None:
    """Let a collection have *members*, in their order if it has one."""
    if is_unloadable(relationship):
        _attach_unloaded(session, owner, relationship, members)
        return
    if relationship.direction is not MANYTOMANY:
        _drop_others(owner, relationship, members)
    now = set(map(id, related_to(session, owner, relationship)))
    # Members have their new values, but still stand under the keys that the old ones gave.
    collection = _sqlalchemy.related_value(owner, relationship.key)
    _rename(collection)
    for member in members:
        if id(member) not in now:
            # The adapter knows how to add to lists, sets and dicts alike; events set the other
            # side.
            collection_adapter(collection).append_with_event(member)
    _order(collection, members)


def attach_one(owner: Any, relationship: RelationshipProperty[Any], value: Any | None) -> None:
    """Let a relationship to one lead to *value*."""
    state: InstanceState[Any] = inspect(owner)
    key = relationship.key
    is_changed = state.attrs[key].history.has_changes()
    if not is_changed and _leads_to(owner, relationship, value):
        return
    if relationship.direction is ONETOMANY:
        # The foreign key of the former one says where that belongs.  To take it out by an event
        # would have the flush empty that key, or delete an orphan.
        set_committed_value(owner, key, None)
        if value is not None:
            set_attribute(owner, key, value)
    elif value is None and _is_said_by_columns(owner, relationship):
        if is_changed:
            _take_back(owner, relationship)
        set_committed_value(owner, key, None)
    else:
        set_attribute(owner, key, value)


def _leads_to(owner: Any, relationship: RelationshipProperty[Any], value: Any | None) -> bool:
    """Tell whether a relationship leads to *value*, and the other side knows of that."""
    # One that is not loaded follows the columns, which are set by now.
    if relationship.direction is MANYTOONE and relationship.key not in inspect(owner).dict:
        return False
    return value is not None and _sqlalchemy.related_value(owner, relationship.key) is value


def _is_said_by_columns(owner: Any, relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether a reference to nothing is left to the columns, which are set by now.

    An event may have the flush delete an orphan, and would have it empty all columns of the foreign
    key, also those that other keys have in common with it.
    """
    if relationship.direction is not MANYTOONE:
        return False
    here, _ = pair_keys(relationship)
    is_partial = any(getattr(owner, key) is not None for key in here)
    return is_partial or _may_orphan(inspect(owner).mapper)


def _take_back(owner: Any, relationship: RelationshipProperty[Any]) -> None:
    """Take *owner* out of the other side as well, where it has come and is not flushed yet."""
    former = _sqlalchemy.related_value(owner, relationship.key)
    if former is None:
        return
    state: InstanceState[Any] = inspect(former)
    for other in other_sides(relationship, state.mapper):
        if is_unloadable(other):
            continue
        # What has come to a collection that is not loaded is known of when it is.
        value = _sqlalchemy.related_value(former, other.key)
        if not _has_added(state, other, owner):
            continue
        if other.uselist:
            collection_adapter(value).remove_without_event(owner)
        else:
            set_committed_value(former, other.key, None)


def _has_added(
    state: InstanceState[Any], relationship: RelationshipProperty[Any], member: Any
) -> bool:
    added = state.attrs[relationship.key].history.added or ()
    return any(each is member for each in added)


def _attach_unloaded(
    session: Session, owner: Any, relationship: RelationshipProperty[Any], members: list[Any]
) -> None:
    now = set(map(id, related_to(session, owner, relationship)))
    may_be_stored = relationship.direction is not MANYTOMANY and inspect(owner).persistent
    leaving = set(map(id, inspect(owner).attrs[relationship.key].history.deleted or ()))
    for member in members:
        # What is stored already comes by its foreign key, if that is not about to be emptied.
        is_stored = may_be_stored and inspect(member).persistent and id(member) not in leaving
        if id(member) not in now and not is_stored:
            getattr(owner, relationship.key).add(member)


def _drop_others(
    owner: Any, relationship: RelationshipProperty[Any], members: Sequence[Any]
) -> None:
    """Take other objects out of a one-to-many collection, without events.

    Their foreign keys say where they belong.  An event would have the flush empty them, or delete
    orphans.
    """
    state: InstanceState[Any] = inspect(owner)
    now = list(collection_adapter(_sqlalchemy.related_value(owner, relationship.key)))
    history = state.attrs[relationship.key].history
    # Nobody is to go, and nothing is pending: members that are missing are appended.
    if not history.has_changes() and not {*map(id, now)} - {*map(id, members)}:
        return
    added = set(map(id, history.added or ()))
    present = set(map(id, now)) - added
    # What was added and not flushed would be inserted with this parent; it is appended anew.
    kept = [member for member in members if id(member) in present]
    set_committed_value(owner, relationship.key, kept)


def _rename(collection: Any) -> None:
    """Put the members of a keyed collection under their present keys, without events."""
    keyfunc = getattr(collection, "keyfunc", None)
    plain: Any = dict
    if isinstance(collection, plain) and keyfunc is not None:
        members = {keyfunc(member): member for member in collection.values()}
        # Methods of plain dicts, because those of the collection fire events.
        if [*members] != [*collection]:
            plain.clear(collection)
            plain.update(collection, members)


def _order(collection: Any, members: Sequence[Any]) -> None:
    """Put a list into the order of *members*, without events."""
    plain: Any = list
    if isinstance(collection, plain) and [*map(id, collection)] != [*map(id, members)]:
        plain.__setitem__(collection, slice(None), members)


def _may_orphan(mapper: Mapper[Any]) -> bool:
    """Tell whether an object of *mapper* that loses its parent may be deleted for it."""
    return any(
        relationship.cascade.delete_orphan and mapper.isa(relationship.mapper)
        for each in mapper.registry.mappers
        for relationship in each.relationships
    )
