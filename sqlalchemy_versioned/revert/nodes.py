"""The objects of a plan while it is being made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from .._typing import mapper_of, new_dict, type_of
from ..exc import ReverterException
from ..model.lookup import find_spec, shared_spec_of, spec_of
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .columns import differs
from .live import find_live, identity_of
from .paths import Tree
from .steps import Target

__all__ = ["Node", "Objects", "Reference", "is_deletion", "key_of"]


@dataclass(slots=True, eq=False)
class Node:
    """An object whose columns are put back."""

    target: Target
    spec: ClassSpec
    #: The version that says how it was.
    past: Any
    #: The attributes to put back; of an object that is only unlinked, its foreign keys.
    keys: frozenset[str]
    #: Values that take the place of those of the version.
    overrides: dict[str, Any] = field(default_factory=new_dict)

    def value(self, key: str) -> Any:
        """Return the value that an attribute is to have."""
        return self.overrides[key] if key in self.overrides else getattr(self.past, key)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What an object of the plan is to refer to, or refers to now."""

    source: Node
    #: The foreign key.
    keys: tuple[str, ...]
    target: Target
    #: The key of the relationship that stands for it, if there is one.
    relationship: str | None


def key_of(version: Any) -> tuple[Any, ...]:
    """Return the primary key of the object that *version* is of."""
    return tuple(getattr(version, key) for key in spec_of(version).key)


def is_deletion(version: Any) -> bool:
    """Tell whether *version* says that its object was deleted."""
    return bool(getattr(version, spec_of(version).operation_key) == Operation.DELETE)


class Objects:
    """The objects of one plan: a single target, and at most one node, for each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._nodes: dict[Any, Node] = {}
        self._targets: dict[int, Target] = {}
        self._by_target: dict[int, Node] = {}

    @property
    def nodes(self) -> list[Node]:
        """The nodes, those added first coming first."""
        return list(self._nodes.values())

    def target_of(self, live: Any) -> Target:
        """Return the target that stands for a live object."""
        if id(live) not in self._targets:
            self._targets[id(live)] = Target(type_of(live), identity_of(live), live)
        return self._targets[id(live)]

    def node_of(self, target: Target) -> Node | None:
        """Return the node of *target*, if its columns are put back."""
        return self._by_target.get(id(target))

    def is_gone(self, node: Node) -> bool:
        """Tell whether the object of a node is not there, or about to be deleted."""
        live = node.target.live
        return live is None or live in self.session.deleted

    def has_others(self, node: Node, keys: Iterable[str]) -> bool:
        """Tell whether an object has other values than it is to have, or is gone."""
        live, mapper = node.target.live, mapper_of(node.spec.parent_class)
        return self.is_gone(node) or any(
            differs(mapper, key, getattr(live, key), node.value(key)) for key in keys
        )

    def find(self, spec: ClassSpec, identity: tuple[Any, ...]) -> Node | None:
        """Return the node of the object of a class that has a primary key."""
        return self._nodes.get((spec.hierarchy, identity))

    def add(self, versions: Iterable[Any], spec: ClassSpec, tree: Tree) -> dict[int, Node]:
        """Return nodes for *versions*, by the id of the version.

        :param spec: the spec of a class that all their objects are of.
        :param tree: the relationships that are to be followed from them.
        """
        by_key = {key_of(version): version for version in versions}
        live = find_live(self.session, spec, by_key, tree)
        return {
            id(version): self._node(version, live, keys=frozenset(spec_of(version).columns))
            for version in by_key.values()
        }

    def add_partly(self, version: Any, live: Any, keys: frozenset[str]) -> Node:
        """Return a node for *live* of which only some attributes are put back."""
        identity = key_of(version)
        return self._node(version, {identity: live}, keys=keys)

    def add_unlinked(self, live: Any, keys: Iterable[str]) -> None:
        """Add a node for *live* of which the attributes *keys* are emptied."""
        spec, target = shared_spec_of(live), self.target_of(live)
        where = (spec.hierarchy, target.identity or id(live))
        node = self._nodes.get(where) or self._add(where, Node(target, spec, None, frozenset()))
        node.overrides.update(dict.fromkeys(keys))
        node.keys = frozenset(node.overrides)

    def _node(
        self, version: Any, live: Mapping[tuple[Any, ...], Any], *, keys: frozenset[str]
    ) -> Node:
        spec, identity = spec_of(version), key_of(version)
        where = (spec.hierarchy, identity)
        node = self._nodes.get(where)
        if node is None:
            found = live.get(identity)
            if found is not None and find_spec(found) not in (None, spec):
                raise ReverterException(
                    f"{Target(spec.parent_class, identity, None)} cannot be reverted: its key "
                    f"belongs to {found!r} now; delete that first"
                )
            target = (
                Target(spec.parent_class, identity, None)
                if found is None
                else self.target_of(found)
            )
            node = self._add(where, Node(target, spec, version, keys))
        node.keys |= keys
        return node

    def _add(self, where: Any, node: Node) -> Node:
        self._nodes[where] = self._by_target[id(node.target)] = node
        return node
