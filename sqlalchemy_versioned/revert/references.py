"""What foreign keys that are put back refer to: live objects, restored ones, or nothing.

Objects that are restored because something refers to them have foreign keys themselves, so this
goes on until nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty

from .._typing import mapper_of
from ..model.lookup import find_spec
from ..model.spec import ClassSpec
from .columns import column_of
from .live import find_by
from .lone_keys import LoneKeys
from .missing import Missing
from .nodes import Node, Objects, Reference
from .paths import is_reference, pair_keys
from .staying import StayingRows
from .steps import SetScalar, Target

__all__ = ["References"]

_Value = tuple[Any, ...]


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
        self._staying = StayingRows(objects, self._deleted)
        self._missing = missing
        self._lone = LoneKeys(objects, staying=self._staying, missing=missing)

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
            self.found += self._lone.settle(fresh)

    # -- relationships -----------------------------------------------------------------------

    def _relationships(
        self, nodes: Iterable[Node]
    ) -> Iterable[tuple[RelationshipProperty[Any], list[Node]]]:
        groups: dict[RelationshipProperty[Any], list[Node]] = {}
        for node in nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            for relationship in mapper.relationships:
                if is_reference(relationship) and self._has_moved(relationship, node):
                    groups.setdefault(relationship, []).append(node)
        return groups.items()

    def _settle(self, relationship: RelationshipProperty[Any], nodes: list[Node]) -> None:
        here, there = pair_keys(relationship)
        cls = relationship.mapper.class_
        wanted = {id(node): tuple(node.value(key) for key in here) for node in nodes}
        values = [value for value in wanted.values() if None not in value]
        targets = self._targets(relationship.mapper, there, values)
        missing = [value for value in values if value not in targets]
        hidden = self._hidden(relationship.mapper, there, missing)
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

    def _hidden(
        self, mapper: Mapper[Any], keys: tuple[str, ...], values: list[_Value]
    ) -> set[_Value]:
        """Return those of some values that rows have which the session does not show."""
        columns = [column_of(mapper, key) for key in keys]
        return self._staying.values(mapper.class_, columns, values)

    def _has_moved(self, relationship: RelationshipProperty[Any], node: Node) -> bool:
        """Tell whether *node* refers to something else than it should."""
        here, there = pair_keys(relationship)
        if not node.keys.issuperset(here):
            return False
        wanted, is_gone = tuple(map(node.value, here)), self._objects.is_gone(node)
        if is_gone and any(value is not None for value in wanted):
            return True
        live = node.target.live
        # Until a flush, an assignment of the application is known to the relationship only.
        if live is not None and _is_assigned(live, relationship):
            referred = getattr(live, relationship.key)
            now = tuple(None if referred is None else getattr(referred, key) for key in there)
            return now != wanted
        return not is_gone and self._objects.has_others(node, here)

    # -- the present -------------------------------------------------------------------------

    def present(self) -> Iterator[Reference]:
        """Yield what stored objects of the plan refer to now, as far as that is in the plan."""
        for node in self._objects.nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            live = node.target.live
            if live is None or not inspect(live).persistent:
                continue
            for relationship in mapper.relationships:
                if is_reference(relationship):
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


def _is_assigned(live: Any, relationship: RelationshipProperty[Any]) -> bool:
    state: InstanceState[Any] = inspect(live)
    return state.attrs[relationship.key].history.has_changes()


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
