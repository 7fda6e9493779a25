"""Following relationships into the past, level by level.

Each level costs a fixed number of statements, however many objects it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import MANYTOMANY, MANYTOONE, InstanceState, RelationshipProperty

from ..exc import IncompleteHistory, ReverterException
from ..model.lookup import find_spec, shared_spec_of
from .associations import Row, association_of, link_columns
from .links import Link
from .live import chunks, identity_of, related_to
from .nodes import Node, Objects, is_deletion, key_of
from .origins import origins_of
from .past import Crossing
from .paths import Tree, is_plain, pair_keys, relationship_of
from .steps import SetCollection, SetScalar, Target

__all__ = ["Relations"]


class Relations:
    """What following relationships adds to a plan.

    :param objects: where the objects that are met become nodes.
    :param at: the transaction whose state is to be restored.
    :param on_missing: what to do about links to objects that no longer exist.
    """

    def __init__(self, objects: Objects, at: int, on_missing: str) -> None:
        self.links: list[SetCollection | SetScalar] = []
        #: What is related now and was not: with the version that says where it belonged, or
        #: ``None`` if it did not exist.
        self.surplus: list[tuple[RelationshipProperty[Any], Any, Any | None]] = []
        #: The links that are to be, and those that are to go, whose rows say more.
        self.rows: list[Link] = []
        self.removed: list[Link] = []
        self._objects = objects
        self._session = objects.session
        self._at = at
        self._on_missing = on_missing
        self._followed: set[tuple[int, str]] = set()

    def follow(self, nodes: Iterable[Node], tree: Tree) -> None:
        """Follow the relationships of *tree* from *nodes*, then those of its branches."""
        # Several ways may lead to one object.
        unique = list({id(node): node for node in nodes}.values())
        for key, branch in tree.items():
            groups: dict[RelationshipProperty[Any], list[Node]] = {}
            for node in unique:
                relationship = relationship_of(node.spec.parent_class, key)
                if relationship is not None:
                    groups.setdefault(relationship, []).append(node)
            for relationship, group in groups.items():
                self._follow(relationship, group, branch)

    def _follow(
        self, relationship: RelationshipProperty[Any], nodes: list[Node], branch: Tree
    ) -> None:
        related, rows = self._read(relationship, nodes)
        targets = self._reach(relationship, related, branch)
        fresh = [n for n in nodes if (id(n), relationship.key) not in self._followed]
        # Circles end here: an object is linked once, however often it is reached.
        self._followed |= {(id(node), relationship.key) for node in fresh}
        if relationship.direction is MANYTOONE:
            return
        members = {
            id(node): [targets[id(each)] for each in some if id(each) in targets]
            for node, some in related
        }
        self._link(relationship, fresh, members)
        self._add_rows(relationship, fresh, targets, rows)

    def _reach(
        self,
        relationship: RelationshipProperty[Any],
        related: list[tuple[Node, list[Any]]],
        branch: Tree,
    ) -> dict[int, Target]:
        """Put what was related into the plan, and go on from there.

        :returns: the targets, by the ids of versions, or of live objects of unversioned classes.
        """
        spec = find_spec(relationship.mapper.class_)
        if spec is None:
            # Objects that have no history can be linked as they are, and nothing of them put back.
            live = [each for _, objects in related for each in objects]
            return {id(each): self._objects.target_of(each) for each in live}
        reached = self._objects.add(_alive(related), spec, branch)
        self.follow(reached.values(), branch)
        return {place: node.target for place, node in reached.items()}

    # -- the past ----------------------------------------------------------------------------

    def _read(
        self, relationship: RelationshipProperty[Any], nodes: list[Node]
    ) -> tuple[list[tuple[Node, list[Any]]], list[tuple[Node, Any, Row]]]:
        """Return what was related to each node: versions, or live rows of unversioned classes.

        And the links, whose rows say more.
        """
        crossing = Crossing(relationship, self._at)
        found: dict[int, list[Any]] = {id(node): [] for node in nodes}
        rows: list[tuple[Node, Any, Row]] = []
        for node, related, *link in self._rows(crossing.select_related, relationship, nodes):
            if related is None:
                self._refuse_unknown_object(relationship, node)
                continue
            found[id(node)].append(related)
            if crossing.association is not None:
                rows.append((node, related, crossing.association.row(link)))
        # A reference is told by the object's own version; its target is asked for when it is
        # settled.
        if relationship.direction is not MANYTOONE:
            for node, *_ in self._rows(crossing.select_unknown, relationship, nodes):
                _refuse(relationship, node, "the history of something related to it begins later")
        return [(node, _once(found[id(node)])) for node in nodes], rows

    def _rows(
        self,
        select: Callable[[Sequence[tuple[Any, ...]]], Any],
        relationship: RelationshipProperty[Any],
        nodes: list[Node],
    ) -> Iterable[tuple[Any, ...]]:
        """Yield the rows of a statement about *nodes*, the node in place of its key."""
        by_key = {key_of(node.past): node for node in nodes}
        width = len(shared_spec_of(relationship.parent).key)
        fresh = find_spec(relationship.mapper.class_) is not None
        for some in chunks(by_key):
            # Versions are overwritten by statements the session does not see.
            options = {"populate_existing": fresh}
            for row in self._session.execute(select(some), execution_options=options):
                yield (by_key[tuple(row[:width])], *row[width:])

    def _refuse_unknown_object(self, relationship: RelationshipProperty[Any], node: Node) -> None:
        """Refuse a link to an object of which nothing is known."""
        is_versioned = find_spec(relationship.mapper.class_) is not None
        if not is_plain(_far_join(relationship)):
            return
        if relationship.direction is MANYTOONE:
            here, _ = pair_keys(relationship)
            if is_versioned and all(getattr(node.past, key) is not None for key in here):
                _refuse(relationship, node, "nothing is known of the object it referred to")
        elif is_versioned:
            _refuse(relationship, node, "nothing is known of an object it was linked to")
        elif self._on_missing != "null":
            raise ReverterException(
                f"{node.target}.{relationship.key} was linked to a "
                f"{relationship.mapper.class_.__name__} that no longer exists, and whose class is "
                "not versioned; create it again, or pass on_missing='null' to do without the link"
            )

    # -- the present -------------------------------------------------------------------------

    def _link(
        self,
        relationship: RelationshipProperty[Any],
        nodes: list[Node],
        members: dict[int, list[Target]],
    ) -> None:
        surplus: list[tuple[Node, Any]] = []
        for node in nodes:
            wanted = members[id(node)]
            live = node.target.live
            now = [] if live is None else related_to(self._session, live, relationship)
            kept = {id(target.live) for target in wanted if target.live is not None}
            # By identity: restored objects have no live one yet, and cannot be surplus.
            surplus += [(node, each) for each in now if id(each) not in kept]
            self.links.append(_link_step(relationship, node, wanted))
        if relationship.direction is not MANYTOMANY:
            self._add_surplus(relationship, surplus)
            return
        self._check_links(relationship, surplus)
        association = association_of(relationship)
        if association is None:
            return
        for node, live in surplus:
            row = link_columns(relationship, node.target.live, live)
            self.removed.append(
                Link(association, relationship, node.target, self._objects.target_of(live), row)
            )

    def _add_rows(
        self,
        relationship: RelationshipProperty[Any],
        nodes: list[Node],
        targets: dict[int, Target],
        rows: Iterable[tuple[Node, Any, Row]],
    ) -> None:
        association = association_of(relationship)
        for node, related, row in rows:
            if association is not None and node in nodes and id(related) in targets:
                target = targets[id(related)]
                self.rows.append(Link(association, relationship, node.target, target, row))

    def _check_links(
        self, relationship: RelationshipProperty[Any], surplus: list[tuple[Node, Any]]
    ) -> None:
        """Refuse to remove links of which history does not say that they were made later."""
        # A link that was never flushed cannot have been there then.
        stored = [(node, live) for node, live in surplus if not _is_added(relationship, node, live)]
        if not stored:
            return
        nodes = list({id(node): node for node, _ in stored}.values())
        crossing = Crossing(relationship, self._at)
        rows = self._rows(crossing.select_ever_linked, relationship, nodes)
        known = {(id(node), tuple(identity)) for node, *identity in rows}
        for node, live in stored:
            if (id(node), identity_of(live)) not in known:
                _refuse(relationship, node, f"the link to {self._objects.target_of(live)} has none")

    def _add_surplus(
        self, relationship: RelationshipProperty[Any], surplus: list[tuple[Node, Any]]
    ) -> None:
        spec = shared_spec_of(relationship.mapper)
        origins = origins_of(self._session, spec, [live for _, live in surplus], self._at)
        for node, live in surplus:
            if id(live) not in origins:
                _refuse(
                    relationship,
                    node,
                    f"whether {self._objects.target_of(live)} belonged to it then is not known",
                )
            self.surplus.append((relationship, live, origins[id(live)]))


def _alive(related: list[tuple[Node, list[Any]]]) -> list[Any]:
    return [v for _, versions in related for v in versions if not is_deletion(v)]


def _far_join(relationship: RelationshipProperty[Any]) -> Any:
    join = relationship.secondaryjoin
    return relationship.primaryjoin if join is None else join


def _once(items: list[Any]) -> list[Any]:
    """Drop repetitions, by identity; two rows may make the same link."""
    return list({id(item): item for item in items}.values())


def _link_step(
    relationship: RelationshipProperty[Any], node: Node, members: list[Target]
) -> SetCollection | SetScalar:
    if relationship.uselist:
        return SetCollection(node.target, relationship.key, tuple(members))
    return SetScalar(node.target, relationship.key, members[0] if members else None)


def _is_added(relationship: RelationshipProperty[Any], node: Node, live: Any) -> bool:
    """Tell whether a link was made in this session and is not flushed yet."""
    state: InstanceState[Any] = inspect(node.target.live)
    added = state.attrs[relationship.key].history.added or ()
    return any(each is live for each in added)


def _refuse(relationship: RelationshipProperty[Any], node: Node, why: str) -> None:
    raise IncompleteHistory(
        f"{node.target}.{relationship.key} cannot be reverted, because history does not reach "
        f"back far enough: {why}. Nothing was changed; leave {relationship.key!r} out of "
        "relations to revert the rest"
    )
