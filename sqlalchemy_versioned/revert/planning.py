"""Making a plan: everything is read and checked, nothing is changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import Mapper, RelationshipProperty, Session, object_session

from .._typing import mapper_of, type_of
from ..exc import ReverterException
from ..model.lookup import class_of, find_spec, spec_telling_of
from ..model.mapping import root_mapper
from ..model.spec import ClassSpec
from .columns import column_of
from .deletions import Deletions
from .handover import plan_releases
from .insertions import plan_insertions
from .links import plan_links
from .live import find_live, find_stored
from .missing import ON_MISSING, Missing
from .nodes import Node, Objects, is_deletion, key_of
from .one_sided import find_one_sided
from .paths import pair_keys, parse_paths, remote_keys
from .references import References
from .relations import Relations
from .stale import find_stale
from .steps import Delete, Restore, RevertPlan, SetValues, Step, Target
from .values import values_of

__all__ = ["build_plan", "session_of"]


def build_plan(version: Any, relations: Any, on_missing: str) -> RevertPlan:
    """Return the plan of reverting *version*; see :func:`.revert_plan`."""
    spec, session = _checked_spec(version), session_of(version)
    if on_missing not in ON_MISSING:
        known = ", ".join(map(repr, ON_MISSING))
        raise ReverterException(f"on_missing is {on_missing!r}; choose one of {known}")
    tree = parse_paths(spec, relations)
    # Planning changes nothing, not even what is stored.
    with session.no_autoflush:
        if is_deletion(version):
            return _plan_deletion(session, spec, version)
        objects = Objects(session)
        at: int = getattr(version, spec.transaction_key)
        root = objects.add([version], spec, tree)[id(version)]
        found = Relations(objects, at, on_missing)
        found.follow([root], tree)
        deleted = _place_surplus(objects, found)
        references = References(
            objects,
            deleted=[target.live for target in deleted],
            missing=Missing(objects, at, on_missing),
        )
        # Deletions come after: what is restored for a reference may be what was about to go.
        references.settle()
        _check_classes(objects)
        _check_shown(objects)
        deletions = Deletions(objects, deleted, found.links)
        deletions.find()
        steps = [step for node in objects.nodes if (step := _column_step(session, node))]
        rows, unlinked = plan_links(session, found.rows, found.removed)
        others, releases = plan_releases(session, steps, deleted)
        related = [*references.links, *found.links]
        related += find_one_sided(objects, related)
        links, first = plan_insertions(references, steps, related)
        stale = find_stale(objects, related)
        return RevertPlan(
            target=root.target,
            steps=(*others, *steps, *links, *stale, *rows, *map(Delete, deleted)),
            releases=tuple(filter(None, (unlinked, *deletions.release(releases), *first))),
        )


def session_of(version: Any) -> Session:
    """Return the session that *version* is in.

    :raises ReverterException: if it is in none.
    """
    session = object_session(version)
    if session is None:
        raise ReverterException(
            f"{version!r} is in no session, so there is nothing to revert in; add it to one"
        )
    return session


def _checked_spec(version: Any) -> ClassSpec:
    spec = find_spec(version)
    if spec is None or class_of(version) is not spec.version_class or isinstance(version, type):
        raise ReverterException(
            f"{version!r} is no version, and cannot be reverted; give one, such as obj.versions[0]"
        )
    return spec


def _plan_deletion(session: Session, spec: ClassSpec, version: Any) -> RevertPlan:
    identity = key_of(version)
    live = find_live(session, spec, [identity], ()).get(identity)
    if live is None:
        _refuse_hidden(session, spec, {identity: Target(spec.parent_class, identity, None)})
        return RevertPlan(target=None, steps=())
    return RevertPlan(target=None, steps=(Delete(Target(type_of(live), identity, live)),))


def _check_classes(objects: Objects) -> None:
    """Refuse to restore objects whose keys other classes of their hierarchies have taken."""
    groups: dict[ClassSpec, dict[Any, Node]] = {}
    for node in objects.nodes:
        mapper: Mapper[Any] = inspect(node.spec.parent_class)
        if node.target.live is None and node.past is not None:
            _refuse_left_out(node, mapper)
        root = root_mapper(mapper)
        base = find_spec(root.class_)
        # An object of the class itself would have been found as the live one.
        if node.target.live is None and base is not None and root is not mapper:
            groups.setdefault(base, {})[node.target.identity] = node
    for spec, nodes in groups.items():
        for identity, taken in find_live(objects.session, spec, nodes, ()).items():
            raise ReverterException(
                f"{nodes[identity].target} cannot be restored: its key belongs to {taken!r} now; "
                "delete that first"
            )


def _refuse_left_out(node: Node, mapper: Mapper[Any]) -> None:
    """Refuse to restore an object of a class of which only the superclass has versions."""
    column = mapper.polymorphic_on
    kind = None if not isinstance(column, Column) else mapper.get_property_by_column(column).key
    was = mapper.polymorphic_map.get(getattr(node.past, kind)) if kind is not None else None
    if was is not None and spec_telling_of(was) is node.spec and was.class_ is not mapper.class_:
        raise ReverterException(
            f"{node.target} cannot be restored: it was a {was.class_.__name__}, which is not "
            "versioned, so that history does not tell all of it; create it again"
        )


def _check_shown(objects: Objects) -> None:
    """Refuse to restore objects that are there, where the session does not show them."""
    groups: dict[ClassSpec, dict[Any, Target]] = {}
    for node in objects.nodes:
        if node.target.live is None:
            groups.setdefault(node.spec, {})[node.target.identity] = node.target
    for spec, targets in groups.items():
        _refuse_hidden(objects.session, spec, targets)


def _refuse_hidden(session: Session, spec: ClassSpec, targets: dict[Any, Target]) -> None:
    for identity in find_stored(session, spec, targets):
        raise ReverterException(
            f"{targets[identity]} cannot be reverted: its row is there, but this session does not "
            "show it, as one with an event do_orm_execute that hides rows; revert in a session "
            "that shows it"
        )


def _column_step(session: Session, node: Node) -> Step | None:
    values, live = values_of(session, node), node.target.live
    if live is None or live in session.deleted:
        return Restore(node.target, values)
    return SetValues(node.target, values) if values else None


# -- what is related now, and was not -----------------------------------------------------------


def _place_surplus(objects: Objects, found: Relations) -> list[Target]:
    """Put objects that are related now where history has them; return those to delete."""
    deleted: dict[int, Target] = {}
    for relationship, live, version in found.surplus:
        if version is not None:
            objects.add_partly(version, live, remote_keys(relationship))
        elif relationship.uselist or not _unlink(objects, relationship, live):
            deleted[id(live)] = objects.target_of(live)
    # Another way through the relations may have found that it was there, and where.
    return [target for target in deleted.values() if objects.node_of(target) is None]


def _unlink(objects: Objects, relationship: RelationshipProperty[Any], live: Any) -> bool:
    """Empty the foreign key of an object that was not there; tell whether it can stay so."""
    mapper = mapper_of(type_of(live))
    _, keys = pair_keys(relationship)
    columns = [column_of(mapper, key) for key in keys]
    # Without its parent it cannot be, by the word of the mapper or of the table.
    if relationship.cascade.delete_orphan or not all(column.nullable for column in columns):
        return False
    objects.add_unlinked(live, keys)
    return True
