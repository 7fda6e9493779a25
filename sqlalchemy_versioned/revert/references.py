"""What foreign keys that are put back refer to: live objects, restored ones, or nothing.

Objects that are restored because something refers to them have foreign keys themselves, so this
goes on until nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, inspect, select
from sqlalchemy.orm import (
    MANYTOONE,
    InstanceState,
    Mapper,
    RelationshipProperty,
    Session,
)

from .._typing import mapper_of, type_of
from ..model.lookup import find_spec
from ..model.spec import ClassSpec
from .columns import column_of, differs, have_one_of
from .live import chunks, find_by
from .missing import Missing, class_behind
from .nodes import Node, Objects
from .paths import is_plain, pair_keys
from .steps import SetScalar, Target

__all__ = ["Reference", "References"]

_Value = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What an object of the plan is to refer to, or refers to now."""

    source: Node
    #: The foreign key.
    keys: tuple[str, ...]
    target: Target
    #: The key of the relationship that stands for it, if there is one.
    relationship: str | None


class References:
    """The many-to-one side of a plan.

    :param deleted: the live objects that the plan deletes.
    :param missing: what to do about objects that are not there.
    """

    def __init__(self, objects: Objects, *, deleted: Iterable[Any], missing: Missing) -> None:
        self.links: list[SetScalar] = []
        self.found: list[Reference] = []
        self._objects = objects
        self._session = objects.session
        self._deleted = [*deleted, *objects.session.deleted]
        self._missing = missing

    def settle(self) -> None:
        """Find what the foreign keys of all nodes refer to.

        :raises ReverterException: if there is nothing, and no way to do without.
        :raises IncompleteHistory: if something is to be restored that is not known.
        """
        settled = 0
        # Targets that are restored become nodes, which refer to others again.
        while fresh := self._objects.nodes[settled:]:
            settled += len(fresh)
            for relationship, nodes in self._relationships(fresh):
                self._settle(relationship, nodes)
            for constraint, nodes in self._constraints(fresh):
                self._settle_constraint(constraint, nodes)

    # -- relationships -----------------------------------------------------------------------

    def _relationships(
        self, nodes: Iterable[Node]
    ) -> Iterable[tuple[RelationshipProperty[Any], list[Node]]]:
        groups: dict[RelationshipProperty[Any], list[Node]] = {}
        for node in nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            for relationship in mapper.relationships:
                if _is_reference(relationship) and self._has_moved(relationship, node):
                    groups.setdefault(relationship, []).append(node)
        return groups.items()

    def _settle(self, relationship: RelationshipProperty[Any], nodes: list[Node]) -> None:
        here, there = pair_keys(relationship)
        cls = relationship.mapper.class_
        wanted = {id(node): tuple(node.value(key) for key in here) for node in nodes}
        values = [value for value in wanted.values() if None not in value]
        targets = self._targets(relationship.mapper, there, values)
        columns = [column_of(relationship.mapper, key) for key in there]
        hidden = self._stored(cls, columns, [value for value in values if value not in targets])
        for node in nodes:
            value = wanted[id(node)]
            target = targets.get(value)
            if value in hidden:
                self._missing.refuse_hidden(node, here, cls.__name__)
            # A key with an empty part refers to nothing, as SQL has it.
            if target is None and None not in value:
                self._missing.do_without(node, here, cls, cls.__name__)
            self.links.append(SetScalar(node.target, relationship.key, target))
            if target is not None:
                self.found.append(Reference(node, here, target, relationship.key))

    def _targets(
        self, mapper: Mapper[Any], keys: tuple[str, ...], values: list[_Value]
    ) -> dict[_Value, Target]:
        # Objects of the plan first: they are to have the keys that the plan gives them, not those
        # they have.
        found = {
            tuple(node.value(key) for key in keys): node.target
            for node in self._objects.nodes
            if mapper_of(node.spec.parent_class).isa(mapper) and node.keys.issuperset(keys)
        }
        missing = [value for value in values if value not in found]
        for value, live in find_by(self._session, mapper.class_, keys, missing).items():
            # Who is about to go cannot be referred to, though its row is still there.
            if not any(live is each for each in self._deleted):
                found[value] = self._objects.target_of(live)
        missing = [value for value in missing if value not in found]
        return found | self._missing.restore(mapper.class_, keys, missing)

    def _has_moved(self, relationship: RelationshipProperty[Any], node: Node) -> bool:
        """Tell whether *node* refers to something else than it should."""
        here, there = pair_keys(relationship)
        if not node.keys.issuperset(here):
            return False
        live = node.target.live
        is_gone = live is None or live in self._session.deleted
        if is_gone and any(node.value(key) is not None for key in here):
            return True
        state: InstanceState[Any] | None = None if live is None else inspect(live)
        # Until a flush, an assignment of the application is known to the relationship only.
        if state is None or not state.attrs[relationship.key].history.has_changes():
            return not is_gone and self._differs(node, here)
        referred = getattr(live, relationship.key)
        now = tuple(None if referred is None else getattr(referred, key) for key in there)
        return now != tuple(node.value(key) for key in here)

    def _differs(self, node: Node, keys: Iterable[str]) -> bool:
        live, mapper = node.target.live, mapper_of(node.spec.parent_class)
        if live is None or live in self._session.deleted:
            return True
        return any(differs(mapper, key, getattr(live, key), node.value(key)) for key in keys)

    # -- the present -------------------------------------------------------------------------

    def present(self) -> Iterator[Reference]:
        """Yield what stored objects of the plan refer to now, as far as that is in the plan."""
        for node in self._objects.nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            live = node.target.live
            if live is None or not inspect(live).persistent:
                continue
            for relationship in mapper.relationships:
                if _is_reference(relationship):
                    referred = self._referred_now(relationship, live)
                    if referred is not None:
                        here, _ = pair_keys(relationship)
                        yield Reference(node, here, referred.target, relationship.key)

    def _referred_now(self, relationship: RelationshipProperty[Any], live: Any) -> Node | None:
        loaded = inspect(live).dict.get(relationship.key)
        # It may be newer than the foreign key, which the flush sets.
        if loaded is not None:
            return self._objects.node_of(self._objects.target_of(loaded))
        spec = find_spec(relationship.mapper.class_)
        identity = None if spec is None else _identity_by(relationship, spec, live)
        # Nodes are found by primary key; a reference to another unique column orders nothing here.
        return None if spec is None or identity is None else self._objects.find(spec, identity)

    # -- foreign keys that no relationship stands for ----------------------------------------

    def _constraints(
        self, nodes: Iterable[Node]
    ) -> Iterable[tuple[ForeignKeyConstraint, list[Node]]]:
        groups: dict[ForeignKeyConstraint, list[Node]] = {}
        for node in nodes:
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
        return not covered and self._differs(node, keys)

    def _settle_constraint(self, constraint: ForeignKeyConstraint, nodes: list[Node]) -> None:
        table = constraint.referred_table
        wanted: dict[int, tuple[tuple[str, ...], _Value]] = {}
        for node in nodes:
            keys = _keys_of(inspect(node.spec.parent_class), constraint) or ()
            wanted[id(node)] = keys, tuple(node.value(key) for key in keys)
        values = [value for _, value in wanted.values() if None not in value]
        known = self._referred_to(constraint, values)
        for node in nodes:
            keys, value = wanted[id(node)]
            if None not in value and value not in known:
                self._missing.do_without(node, keys, class_behind(table), table.name)
            elif (target := known.get(value)) is not None:
                self.found.append(Reference(node, keys, target, None))

    def _referred_to(
        self, constraint: ForeignKeyConstraint, values: list[_Value]
    ) -> dict[_Value, Target | None]:
        """Return which values there are, with the objects of the plan that have them."""
        known: dict[_Value, Target | None] = {}
        columns = [element.column for element in constraint.elements]
        for node in self._objects.nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            if constraint.referred_table in mapper.tables:
                keys = [mapper.get_property_by_column(column).key for column in columns]
                if node.keys.issuperset(keys):
                    known[tuple(node.value(key) for key in keys)] = node.target
        cls = class_behind(constraint.referred_table)
        missing = [value for value in values if value not in known]
        # That they are there is enough: rows that the plan does not touch need no target.
        known |= dict.fromkeys(self._stored(cls, columns, missing))
        missing = [value for value in values if value not in known]
        if cls is None or not missing:
            return known
        keys = [mapper_of(cls).get_property_by_column(column).key for column in columns]
        return known | self._missing.restore(cls, keys, missing)

    def _stored(
        self, cls: type[Any] | None, columns: list[Column[Any]], values: list[_Value]
    ) -> set[_Value]:
        """Return which values rows have that stay, be they shown to the session or not."""
        stored: set[_Value] = set()
        for some in chunks(values):
            stored |= _existing(self._session, cls, columns, some)
        return stored - self._gone(columns[0].table, columns) if stored else stored

    def _gone(self, table: Any, columns: Iterable[Any]) -> set[_Value]:
        """Return values of rows that are still there, and about to be deleted."""
        gone: set[_Value] = set()
        for each in self._deleted:
            mapper = mapper_of(type_of(each))
            is_kept = self._objects.node_of(self._objects.target_of(each)) is not None
            if table in mapper.tables and not is_kept:
                keys = [mapper.get_property_by_column(column).key for column in columns]
                gone.add(tuple(getattr(each, key) for key in keys))
        return gone


def _is_reference(relationship: RelationshipProperty[Any]) -> bool:
    return (
        relationship.direction is MANYTOONE
        and not relationship.viewonly
        and is_plain(relationship.primaryjoin)
    )


def _identity_by(
    relationship: RelationshipProperty[Any], spec: ClassSpec, live: Any
) -> tuple[Any, ...] | None:
    """Return the primary key that a foreign key of *live* has, whichever table it refers to.

    :param spec: the spec of the class that it refers to.
    :returns: the key, in the order of the class; ``None`` if it refers to other columns.
    """
    here, _ = pair_keys(relationship)
    pairs = zip(relationship.local_remote_pairs or (), here, strict=True)
    values = {remote: getattr(live, key) for (_, remote), key in pairs}
    for table in spec.tables:
        key = [pair.parent for pair in table.key]
        if values.keys() == {*key}:
            return tuple(values[column] for column in key)
    return None


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


def _existing(
    session: Session, cls: type[Any] | None, columns: list[Column[Any]], values: list[_Value]
) -> set[_Value]:
    place = {} if cls is None else {"mapper": mapper_of(cls)}
    rows = session.execute(
        select(*columns).where(have_one_of(columns, values)), bind_arguments=place
    )
    return {tuple(row) for row in rows}
