"""Carrying out a plan: ordinary attribute sets, adds and deletes in the caller's session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import ONETOMANY, InstanceState, Mapper, RelationshipProperty, Session
from sqlalchemy.orm.attributes import set_attribute, set_committed_value

from .._typing import mapper_of
from .attaching import attach_members, attach_one, detach_others
from .deferral import DeferConstraint
from .link_values import keep_until_flush
from .live import is_unloadable, related_to
from .paths import pair_keys
from .pending import drop_pending, remove_member
from .setting import refusals_told, set_nulls, set_silently, set_values
from .steps import (
    Defer,
    Delete,
    Reload,
    Restore,
    RevertPlan,
    SetCollection,
    SetLink,
    SetScalar,
    SetValues,
    Step,
    Target,
    Unlink,
    Vacate,
)

__all__ = ["apply_plan"]


def apply_plan(session: Session, plan: RevertPlan) -> Any | None:
    """Carry out *plan* and return the object it is about, or ``None`` if that is deleted.

    Nothing is flushed but what the plan releases.
    """
    # A query in between would flush half of the plan, and fail where the other half was to come.
    with session.no_autoflush:
        return _Application(session).run(plan)


class _Application:
    """One plan being carried out, and the objects it restores."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._restored: dict[int, Any] = {}

    def run(self, plan: RevertPlan) -> Any | None:
        self._prepare(plan)
        # Once now, so that releases do not flush what is cached, and once when all is written.
        reloads = _those(plan.steps, Reload)
        for reload in reloads:
            if reload.target.live is not None:
                self._reload(reload.target.live, reload.key)
        for release in plan.releases:
            self._release(release)
        columns = _those(plan.steps, (Restore, SetValues))
        self._write_and_link(columns, _those(plan.steps, (SetScalar, SetCollection)))
        self._delete_and_link(plan)
        # Listeners find objects as they will be.
        self._load()
        for reload in reloads:
            self._reload(self._object(reload.target), reload.key)
        for step in columns:
            set_nulls(self._object(step.target), step.values)
        return None if plan.target is None else self._object(plan.target)

    def _prepare(self, plan: RevertPlan) -> None:
        """Let constraints wait, and let nothing be deleted that is restored."""
        for step in plan.steps:
            if isinstance(step, Defer):
                place = {"mapper": mapper_of(step.target.cls)}
                self._session.execute(DeferConstraint(step.constraint), bind_arguments=place)
        for step in plan.steps:
            if isinstance(step, Restore) and step.target.live is not None:
                # Or a release would flush its deletion.
                self._session.add(step.target.live)

    def _write_and_link(
        self,
        columns: Iterable[Restore | SetValues],
        links: Iterable[SetScalar | SetCollection],
    ) -> None:
        for link in links:
            # Before columns are set: a keyed collection finds its members by their old values.
            self._detach(link)
        for step in columns:
            self._write(step)
        for link in links:
            self._attach(link)
        for step in columns:
            # Collections that number or name their members may have changed columns.
            set_values(self._object(step.target), step.values)

    def _delete_and_link(self, plan: RevertPlan) -> None:
        for step in plan.steps:
            if isinstance(step, Delete):
                self._delete(step.target.live)
            elif isinstance(step, SetLink):
                self._set_link(step)

    def _object(self, target: Target) -> Any:
        return self._restored[id(target)] if target.live is None else target.live

    # -- columns -----------------------------------------------------------------------------

    def _release(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Delete):
                self._delete(step.target.live)
            elif isinstance(step, (Restore, SetValues)):
                self._write(step)
                set_nulls(self._object(step.target), step.values)
            elif isinstance(step, Vacate):
                set_silently(step.target.live, step.values)
            elif isinstance(step, Unlink):
                self._unlink(step)
        self._session.flush()

    def _write(self, step: Restore | SetValues) -> None:
        target = step.target
        if isinstance(step, Restore):
            if target.live is None and id(target) not in self._restored:
                mapper: Mapper[Any] = inspect(target.cls)
                # As loading does: the application's __init__ is not for rows that exist.
                self._restored[id(target)] = mapper.class_manager.new_instance()
                self._forget_stale(mapper, target)
            self._session.add(self._object(target))
        set_values(self._object(target), step.values)

    def _forget_stale(self, mapper: Mapper[Any], target: Target) -> None:
        """Let go of an object whose row was deleted behind the session's back."""
        key = mapper.identity_key_from_primary_key(target.identity or ())
        stale = self._session.identity_map.get(key)
        if stale is not None:
            self._session.expunge(stale)

    def _delete(self, obj: Any) -> None:
        state: InstanceState[Any] = inspect(obj)
        # It was never stored: a deletion would be refused, and nothing is to be recorded.
        if state.pending:
            drop_pending(self._session, obj, self._delete)
        elif state.persistent:
            self._disown(obj)
            self._session.delete(obj)

    def _disown(self, obj: Any) -> None:
        """Take those out of what a deletion cascades to who belong to something else by now.

        Without events, which would empty their foreign keys or delete them as orphans.
        """
        # Each once: children may be their own ancestors.
        found, waiting = {id(obj)}, [obj]
        while waiting:
            for each in self._own_children(waiting.pop()):
                if id(each) not in found:
                    found.add(id(each))
                    waiting.append(each)

    def _own_children(self, obj: Any) -> Iterator[Any]:
        """Leave *obj* those of its children whose foreign keys lead to it, and yield them."""
        state: InstanceState[Any] = inspect(obj)
        for relationship in state.mapper.relationships:
            if not _deletes_children(relationship, state):
                continue
            members = related_to(self._session, obj, relationship)
            # Foreign keys are set by now; the collections may still be those of before.
            own = [each for each in members if _is_child(obj, each, relationship)]
            if len(own) < len(members):
                value: Any = own if relationship.uselist else None
                set_committed_value(obj, relationship.key, value)
            yield from own

    def _load(self) -> None:
        """Tell restored objects that they were loaded, as ``Session.merge()`` does."""
        for obj in self._restored.values():
            state: InstanceState[Any] = inspect(obj)
            state.manager.dispatch.load(state, None)

    # -- links -------------------------------------------------------------------------------

    def _unlink(self, step: Unlink) -> None:
        owner, relationship = step.target.live, _relationship(step)
        for member in step.members:
            if relationship.uselist:
                remove_member(owner, relationship, member.live)
            else:
                set_attribute(owner, step.key, None)

    def _set_link(self, step: SetLink) -> None:
        keep_until_flush(
            self._session,
            _relationship(step),
            (self._object(step.target), self._object(step.member)),
            values=step.values,
            is_stored=step.is_stored,
        )

    def _detach(self, link: SetScalar | SetCollection) -> None:
        owner = link.target.live
        if owner is not None and isinstance(link, SetCollection):
            members = [member.live for member in link.members]
            detach_others(self._session, owner, _relationship(link), members)

    def _attach(self, link: SetScalar | SetCollection) -> None:
        owner, relationship = self._object(link.target), _relationship(link)
        with refusals_told(inspect(owner), link.key):
            if isinstance(link, SetScalar):
                value = None if link.value is None else self._object(link.value)
                attach_one(owner, relationship, value)
            else:
                members = [self._object(member) for member in link.members]
                attach_members(self._session, owner, relationship, members)

    def _reload(self, owner: Any, key: str) -> None:
        state: InstanceState[Any] = inspect(owner)
        if state.persistent:
            self._session.expire(owner, [key])
        elif key in state.dict:
            set_committed_value(owner, key, None)


def _those(steps: Iterable[Step], kind: Any) -> list[Any]:
    return [step for step in steps if isinstance(step, kind)]


def _relationship(link: SetScalar | SetCollection | SetLink | Unlink) -> RelationshipProperty[Any]:
    mapper: Mapper[Any] = inspect(link.target.cls)
    return mapper.relationships[link.key]


def _deletes_children(relationship: RelationshipProperty[Any], state: InstanceState[Any]) -> bool:
    """Tell whether deleting an object makes the session delete its children."""
    if relationship.direction is not ONETOMANY or not relationship.cascade.delete:
        return False
    if relationship.viewonly or is_unloadable(relationship):
        return False
    return not relationship.passive_deletes or relationship.key in state.dict


def _is_child(parent: Any, child: Any, relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether the foreign key of *child* says that it belongs to *parent*."""
    here, there = pair_keys(relationship)
    return [getattr(parent, key) for key in here] == [getattr(child, key) for key in there]
