"""What foreign keys that are put back refer to: live objects, restored ones, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ForeignKeyConstraint, inspect, select, tuple_
from sqlalchemy.orm import (
    MANYTOONE,
    InstanceState,
    Mapper,
    RelationshipProperty,
    Session,
)

from ..exc import ReverterException
from .live import chunks, find_by
from .nodes import Node, Objects
from .paths import is_plain, pair_keys
from .steps import SetScalar, Target
from .values import column_of, differs

__all__ = ["References"]

_Value = tuple[Any, ...]


class References:
    """The many-to-one side of a plan.

    :param deleted: ids of the live objects that the plan deletes.
    :param on_missing: ``'raise'`` or ``'null'``.
    """

    def __init__(self, objects: Objects, *, deleted: frozenset[int], on_missing: str) -> None:
        self.links: list[SetScalar] = []
        self._objects = objects
        self._session = objects.session
        self._deleted = deleted
        self._on_missing = on_missing
        self._nodes = objects.nodes

    def settle(self) -> None:
        """Find what the foreign keys of all nodes refer to.

        :raises ReverterException: if there is nothing, and no way to do without.
        """
        for relationship, nodes in self._relationships():
            self._settle(relationship, nodes)
        for constraint, nodes in self._constraints():
            self._settle_constraint(constraint, nodes)

    # -- relationships -----------------------------------------------------------------------

    def _relationships(self) -> Iterable[tuple[RelationshipProperty[Any], list[Node]]]:
        groups: dict[RelationshipProperty[Any], list[Node]] = {}
        for node in self._nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            for relationship in mapper.relationships:
                if _is_reference(relationship) and _has_moved(relationship, node):
                    groups.setdefault(relationship, []).append(node)
        return groups.items()

    def _settle(self, relationship: RelationshipProperty[Any], nodes: list[Node]) -> None:
        here, there = pair_keys(relationship)
        wanted = {id(node): tuple(node.value(key) for key in here) for node in nodes}
        values = [value for value in wanted.values() if None not in value]
        targets = self._targets(relationship.mapper, there, values)
        for node in nodes:
            target = targets.get(wanted[id(node)])
            if target is None and None not in wanted[id(node)]:
                self._do_without(node, here, relationship.mapper.class_.__name__)
            self.links.append(SetScalar(node.target, relationship.key, target))

    def _targets(
        self, mapper: Mapper[Any], keys: tuple[str, ...], values: list[_Value]
    ) -> dict[_Value, Target]:
        found = {
            tuple(node.value(key) for key in keys): node.target
            for node in self._nodes
            if inspect(node.spec.parent_class).isa(mapper) and node.keys.issuperset(keys)
        }
        missing = [value for value in values if value not in found]
        for value, live in find_by(self._session, mapper.class_, keys, missing).items():
            if id(live) not in self._deleted:
                found[value] = self._objects.target_of(live)
        return found

    # -- foreign keys that no relationship stands for ----------------------------------------

    def _constraints(self) -> Iterable[tuple[ForeignKeyConstraint, list[Node]]]:
        groups: dict[ForeignKeyConstraint, list[Node]] = {}
        for node in self._nodes:
            for table in node.spec.tables:
                for constraint in table.parent_table.foreign_key_constraints:
                    if self._is_open(constraint, node):
                        groups.setdefault(constraint, []).append(node)
        return groups.items()

    def _is_open(self, constraint: ForeignKeyConstraint, node: Node) -> bool:
        mapper: Mapper[Any] = inspect(node.spec.parent_class)
        if constraint.referred_table in mapper.tables and _is_key(mapper, constraint):
            # The link between the tables of one object.
            return False
        keys = _keys_of(mapper, constraint)
        if keys is None or not node.keys.issuperset(keys):
            return False
        covered = any(
            _is_reference(each) and set(keys) <= set(pair_keys(each)[0])
            for each in mapper.relationships
        )
        return not covered and _differ(mapper, node, keys)

    def _settle_constraint(self, constraint: ForeignKeyConstraint, nodes: list[Node]) -> None:
        wanted = {}
        for node in nodes:
            keys = _keys_of(inspect(node.spec.parent_class), constraint) or ()
            wanted[id(node)] = keys, tuple(node.value(key) for key in keys)
        values = [value for _, value in wanted.values() if None not in value]
        known = self._referred_to(constraint, values)
        for node in nodes:
            keys, value = wanted[id(node)]
            if None not in value and value not in known:
                self._do_without(node, keys, constraint.referred_table.name)

    def _referred_to(self, constraint: ForeignKeyConstraint, values: list[_Value]) -> set[_Value]:
        known = set()
        columns = [element.column for element in constraint.elements]
        for node in self._nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            if constraint.referred_table in mapper.tables:
                keys = [mapper.get_property_by_column(column).key for column in columns]
                if node.keys.issuperset(keys):
                    known.add(tuple(node.value(key) for key in keys))
        for some in chunks(value for value in values if value not in known):
            known |= _existing(self._session, columns, some)
        return known

    # -- nothing there -----------------------------------------------------------------------

    def _do_without(self, node: Node, keys: tuple[str, ...], name: str) -> None:
        """Leave a foreign key empty.

        :raises ReverterException: if that was not asked for, or cannot be.
        """
        mapper: Mapper[Any] = inspect(node.spec.parent_class)
        value = ", ".join(f"{key} = {node.value(key)!r}" for key in keys)
        said = f"{node.target} cannot be reverted: {value} refers to a {name} that is not there"
        if self._on_missing == "raise":
            raise ReverterException(
                f"{said} any more; revert that one first, name the relationship in relations, or "
                "pass on_missing='null' to leave it empty"
            )
        empty = [
            key
            for key in keys
            if column_of(mapper, key).nullable and not column_of(mapper, key).primary_key
        ]
        if not empty:
            raise ReverterException(
                f"{said} any more, and it takes no NULL; revert that one first, or name the "
                "relationship in relations"
            )
        node.overrides.update(dict.fromkeys(empty))


def _is_reference(relationship: RelationshipProperty[Any]) -> bool:
    return (
        relationship.direction is MANYTOONE
        and not relationship.viewonly
        and is_plain(relationship.primaryjoin)
    )


def _has_moved(relationship: RelationshipProperty[Any], node: Node) -> bool:
    """Tell whether *node* refers to something else than it should."""
    here, there = pair_keys(relationship)
    if not node.keys.issuperset(here):
        return False
    live = node.target.live
    if live is None:
        return any(node.value(key) is not None for key in here)
    state: InstanceState[Any] = inspect(live)
    if not state.attrs[relationship.key].history.has_changes():
        return _differ(node.spec.parent_class.__mapper__, node, here)
    referred = getattr(live, relationship.key)
    now = tuple(None if referred is None else getattr(referred, key) for key in there)
    return now != tuple(node.value(key) for key in here)


def _differ(mapper: Mapper[Any], node: Node, keys: Iterable[str]) -> bool:
    live = node.target.live
    return live is None or any(
        differs(mapper, key, getattr(live, key), node.value(key)) for key in keys
    )


def _is_key(mapper: Mapper[Any], constraint: ForeignKeyConstraint) -> bool:
    properties = [mapper.get_property_by_column(column) for column in mapper.primary_key]
    primary = {column for prop in properties for column in prop.columns}
    return primary.issuperset(constraint.columns)


def _keys_of(mapper: Mapper[Any], constraint: ForeignKeyConstraint) -> tuple[str, ...] | None:
    """Return the attributes of a foreign key, or ``None`` if the class lacks one."""
    mapped = {column for prop in mapper.column_attrs for column in prop.columns}
    if not mapped.issuperset(constraint.columns):
        return None
    return tuple(mapper.get_property_by_column(column).key for column in constraint.columns)


def _existing(session: Session, columns: list[Any], values: list[_Value]) -> set[_Value]:
    subject = columns[0] if len(columns) == 1 else tuple_(*columns)
    listed: Any = [value[0] for value in values] if len(columns) == 1 else values
    return {tuple(row) for row in session.execute(select(*columns).where(subject.in_(listed)))}
