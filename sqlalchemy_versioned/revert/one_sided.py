"""Children that the application has added to a parent, or taken out, and not flushed yet.

Where no relationship of the child knows, the flush would set its foreign key after all, whatever a
plan puts back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import MANYTOONE, ONETOMANY, InstanceState, RelationshipProperty

from .live import related_to
from .nodes import Objects
from .paths import is_plain, other_sides, pair_keys
from .steps import SetCollection, SetScalar

__all__ = ["find_one_sided"]

_Link = SetScalar | SetCollection


def find_one_sided(objects: Objects, links: Iterable[_Link]) -> list[_Link]:
    """Return what parents have to be told, so that their children are as the plan has them.

    :param links: what the plan does to relationships; it is not done twice.
    """
    known = {(link.target, link.key) for link in links}
    session = objects.session
    return [
        link
        for owner in (*session.dirty, *session.new)
        for link in _links_of(objects, owner)
        if (link.target, link.key) not in known
    ]


def _links_of(objects: Objects, owner: Any) -> Iterator[_Link]:
    state: InstanceState[Any] = inspect(owner)
    for relationship in filter(_is_of_children, state.mapper.relationships):
        history = state.attrs[relationship.key].history
        added, removed = _known(history.added), _known(history.deleted)
        # Of whom the plan says nothing, the application may do what it likes.
        gone = [each for each in added if _belongs(objects, owner, relationship, each) is False]
        back = [each for each in removed if _belongs(objects, owner, relationship, each)]
        if gone or back:
            yield _link(objects, owner, relationship, gone=gone, back=back)


def _is_of_children(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether a flush sets foreign keys of others by a relationship, which decide it alone."""
    if relationship.direction is not ONETOMANY or relationship.viewonly:
        return False
    return is_plain(relationship.primaryjoin)


def _known(members: Iterable[Any] | None) -> list[Any]:
    return [each for each in members or () if each is not None]


def _link(
    objects: Objects,
    owner: Any,
    relationship: RelationshipProperty[Any],
    *,
    gone: list[Any],
    back: list[Any],
) -> _Link:
    left = set(map(id, gone))
    now = related_to(objects.session, owner, relationship)
    members = [objects.target_of(each) for each in (*now, *back) if id(each) not in left]
    target = objects.target_of(owner)
    if relationship.uselist:
        return SetCollection(target, relationship.key, tuple(members))
    return SetScalar(target, relationship.key, members[-1] if members else None)


def _belongs(
    objects: Objects, owner: Any, relationship: RelationshipProperty[Any], member: Any
) -> bool | None:
    """Tell whether the plan gives *member* to *owner*; ``None`` if it says nothing of that."""
    here, there = pair_keys(relationship)
    node = objects.node_of(objects.target_of(member))
    if node is None or not node.keys.issuperset(there) or _is_told(relationship, member):
        return None
    value = [node.value(key) for key in there]
    return None not in value and value == [getattr(owner, key) for key in here]


def _is_told(relationship: RelationshipProperty[Any], member: Any) -> bool:
    """Tell whether a relationship of *member* to its parent has changed as well."""
    state: InstanceState[Any] = inspect(member)
    return any(
        state.attrs[each.key].history.has_changes()
        for each in other_sides(relationship, state.mapper)
        if each.direction is MANYTOONE
    )
