"""Relationships to children that are in memory, and that nobody tells of the columns put back.

They would read as before until they are expired, and the next revert in the same transaction would
take them for what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import MANYTOONE, ONETOMANY, InstanceState, Mapper, RelationshipProperty

from .nodes import Node, Objects
from .paths import is_plain, other_sides, pair_keys
from .steps import Reload, SetCollection, SetScalar

__all__ = ["find_stale"]


def find_stale(objects: Objects, links: Iterable[SetScalar | SetCollection]) -> list[Reload]:
    """Return what has to be read again of parents, former and new ones.

    :param links: what the plan does to relationships; these say by themselves what they have.
    """
    known = {(link.target, link.key) for link in links}
    groups: dict[Mapper[Any], list[Node]] = {}
    for node in objects.nodes:
        groups.setdefault(inspect(node.spec.parent_class), []).append(node)
    found = {
        (objects.target_of(owner), relationship.key): None
        for mapper, nodes in groups.items()
        for relationship in _untold(mapper)
        for owner in _owners(objects, relationship, nodes)
    }
    return [Reload(target, key) for target, key in found if (target, key) not in known]


def _untold(mapper: Mapper[Any]) -> Iterator[RelationshipProperty[Any]]:
    """Yield the relationships to objects of *mapper* that hear nothing of what these refer to."""
    for each in mapper.registry.mappers:
        for relationship in each.relationships:
            if relationship.direction is not ONETOMANY or not mapper.isa(relationship.mapper):
                continue
            if is_plain(relationship.primaryjoin) and not _is_told(relationship, mapper):
                yield relationship


def _is_told(relationship: RelationshipProperty[Any], mapper: Mapper[Any]) -> bool:
    for other in other_sides(relationship, mapper):
        told: Any = other.back_populates
        if other.direction is MANYTOONE and getattr(told, "key", told) == relationship.key:
            return True
    return False


def _owners(
    objects: Objects, relationship: RelationshipProperty[Any], nodes: Iterable[Node]
) -> Iterator[Any]:
    """Yield the loaded parents whose children come or go."""
    here, there = pair_keys(relationship)
    moving = [n for n in nodes if n.keys.issuperset(there) and objects.has_others(n, there)]
    values = {tuple(map(node.value, there)) for node in moving}
    values |= {
        tuple(getattr(node.target.live, key) for key in there)
        for node in moving
        if node.target.live is not None
    }
    for obj in objects.session.identity_map.values() if values else ():
        if isinstance(obj, relationship.parent.class_):
            state: InstanceState[Any] = inspect(obj)
            # What the application has changed there, and not flushed, is its own.
            is_settled = relationship.key in state.dict and not (
                state.attrs[relationship.key].history.has_changes()
            )
            if is_settled and tuple(state.dict.get(key) for key in here) in values:
                yield obj
