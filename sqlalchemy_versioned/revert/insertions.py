"""What has to be inserted before something else can refer to it.

A flush inserts in the order that relationships ask for.  Where a foreign key has no relationship,
nothing asks; where objects refer to each other in a circle, it is refused.  Such objects are
restored in flushes of their own, one of a circle referring to nothing yet, and what closes the
circle is set when all are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, inspect, null
from sqlalchemy.orm import ONETOMANY, Mapper

from ..exc import ReverterException
from .columns import column_of
from .nodes import Reference
from .references import References
from .steps import Reload, Restore, SetCollection, SetScalar, SetValues, Step, Target

__all__ = ["plan_insertions"]


#: By child and parent, the relationships of the parent that link them.
_Memberships = dict[tuple[Target, Target], list[str]]


def plan_insertions(
    references: References, steps: Sequence[Step], links: Sequence[SetScalar | SetCollection]
) -> tuple[list[SetScalar | SetCollection | Reload], list[tuple[Step, ...]]]:
    """Return *links* as they can be flushed, and what has to be restored first, flush by flush.

    :param steps: what is done to columns.
    :param links: what is done to relationships.
    :raises ReverterException: if objects refer to each other, and none can do without.
    """
    graph = _Graph([*references.found, *references.present()], _memberships(links))
    graph.break_circles()
    told = dict.fromkeys(
        (each.source.target, each.relationship)
        for each in graph.told
        if each.relationship is not None
    )
    told |= dict.fromkeys(graph.untold)
    settled = [link for link in links if (link.target, link.key) not in told]
    by_target = {step.target: step for step in steps}
    rounds = [
        tuple(graph.restored(by_target.get(target) or SetValues(target, {})) for target in some)
        for some in graph.rounds()
    ]
    return [*settled, *[Reload(target, key) for target, key in told]], rounds


def _memberships(links: Iterable[SetScalar | SetCollection]) -> _Memberships:
    """Return which objects follow others because these have them as children."""
    found: _Memberships = {}
    for link in links:
        mapper: Mapper[Any] = inspect(link.target.cls)
        relationship = mapper.relationships[link.key]
        # With post_update the flush puts nothing in order.
        if relationship.direction is not ONETOMANY or relationship.post_update:
            continue
        members = link.members if isinstance(link, SetCollection) else (link.value,)
        for member in members:
            if member is not None:
                found.setdefault((member, link.target), []).append(link.key)
    return found


def _is_new(target: Target) -> bool:
    """Tell whether an object has yet to be inserted."""
    return target.live is None or bool(inspect(target.live).pending)


class _Graph:
    """Objects, and what they refer to.

    :param memberships: children and their parents, as relationships of the parents link them.
    """

    def __init__(self, references: Iterable[Reference], memberships: _Memberships) -> None:
        #: References that columns make alone; the flush is not told of the relationships.
        self.told: list[Reference] = []
        #: Relationships to children that the flush is not told of, either, with their owners.
        self.untold: list[tuple[Target, str]] = []
        self._memberships = memberships
        self._references: dict[Target, list[Reference]] = {}
        for each in references:
            # The flush puts nothing in order for the sake of a foreign key alone.
            is_linked = (
                each.relationship is not None or (each.source.target, each.target) in memberships
            )
            if is_linked or _is_new(each.target):
                self._references.setdefault(each.source.target, []).append(each)

    # -- circles -----------------------------------------------------------------------------

    def break_circles(self) -> None:
        """Take references out until no circle is left.

        :raises ReverterException: if rows cannot be inserted without them.
        """
        # One reference at a time: taking out one may open several circles.
        while circle := self._find_circle():
            chosen = next(filter(self._can_wait, circle), None)
            if chosen is not None:
                self._tell(chosen)
            elif any(_is_new(each.target) for each in circle):
                names = ", ".join(str(each.target) for each in circle)
                raise ReverterException(
                    f"{circle[0].target} cannot be reverted: {names} refer to each other, and no "
                    "foreign key of theirs can be empty until all are there; make one nullable"
                )
            else:
                # All are there, so that columns can say it.
                self._release(circle[0])
                self._tell(circle[0])

    def _release(self, reference: Reference) -> None:
        """Leave a child, and all that its parent has beside it, to the columns."""
        pair = reference.source.target, reference.target
        left = [(pair[1], key) for key in self._memberships.get(pair, ())]
        self.untold += left
        for (_, parent), keys in self._memberships.items():
            keys[:] = [key for key in keys if (parent, key) not in left]

    def _tell(self, reference: Reference) -> None:
        """Leave a reference to the columns, and all that its relationship refers to."""
        left: list[Reference] = []
        for each in self._references[reference.source.target]:
            is_same = each.relationship == reference.relationship is not None
            (self.told if each is reference or is_same else left).append(each)
        self._references[reference.source.target] = left

    def _find_circle(self) -> list[Reference]:
        """Return references each of which begins where the one before ends; none, if none do."""
        # Depth first, with a stack of its own: chains of objects may be longer than Python's.
        done: set[Target] = set()
        for start in self._references:
            path: list[Reference] = []
            places = {start: 0}
            waiting = [iter(self._references[start])]
            while waiting:
                reference = next(waiting[-1], None)
                if reference is None:
                    waiting.pop()
                    left = path.pop().target if path else start
                    done.add(left)
                    del places[left]
                # It is on the path, so what lies between is the circle.
                elif reference.target in places:
                    return [*path[places[reference.target] :], reference]
                elif reference.target not in done:
                    path.append(reference)
                    places[reference.target] = len(path)
                    waiting.append(iter(self._references.get(reference.target, ())))
        return []

    def _can_wait(self, reference: Reference) -> bool:
        """Tell whether a reference can be made when the rows are there."""
        source, target = reference.source.target, reference.target
        if source is target:
            return True
        # The parent's relationship would have the flush write the key again, in its own order.
        if self._memberships.get((source, target)):
            return False
        return not _is_new(source) or _is_deferred(reference) or bool(_nullable_keys(reference))

    # -- what comes first --------------------------------------------------------------------

    def rounds(self) -> list[list[Target]]:
        """Return the new objects that have to be inserted first, flush by flush."""
        waiting = self._first()
        rounds: list[list[Target]] = []
        while waiting:
            ready = [target for target in waiting if waiting.isdisjoint(self._follows(target))]
            rounds.append(ready)
            # Ends, because no circle is left: some target always follows nobody who waits.
            waiting = waiting.difference(ready)
        return rounds

    def _follows(self, target: Target) -> Iterator[Target]:
        return (each.target for each in self._references.get(target, ()) if _is_new(each.target))

    def _first(self) -> set[Target]:
        """Return the new objects that no relationship has inserted in time."""
        left = [*self._references.values()]
        found = {each.target for some in left for each in some if not self._is_asked_for(each)}
        for each in self.told:
            if each.source.target is not each.target:
                found |= {each.source.target, each.target}
        found = {target for target in found if _is_new(target)}
        # What they refer to has to be there before them, and so on.
        fresh = found
        while fresh:
            fresh = {each for target in fresh for each in self._follows(target)} - found
            found |= fresh
        return found

    def _is_asked_for(self, reference: Reference) -> bool:
        """Tell whether a relationship has the flush insert in the order of a reference."""
        if self._memberships.get((reference.source.target, reference.target)):
            return True
        if reference.relationship is None:
            return False
        mapper: Mapper[Any] = inspect(reference.source.spec.parent_class)
        # With post_update it would insert without the key; but the key is set.
        return not mapper.relationships[reference.relationship].post_update

    def restored(self, step: Step) -> Step:
        """Return *step* without the references that circles were broken at."""
        keys = {
            key
            for each in self.told
            if each.source.target is step.target and each.target is not step.target
            for key in _nullable_keys(each)
        }
        if not keys or not isinstance(step, (Restore, SetValues)):
            return step
        return replace(step, values={**step.values, **dict.fromkeys(keys, null())})


def _columns(reference: Reference) -> dict[str, Column[Any]]:
    mapper: Mapper[Any] = inspect(reference.source.spec.parent_class)
    return {key: column_of(mapper, key) for key in reference.keys}


def _is_deferred(reference: Reference) -> bool:
    """Tell whether the database checks a foreign key at the end of the transaction."""
    keys = {key for column in _columns(reference).values() for key in column.foreign_keys}
    return any(
        key.constraint is not None and key.constraint.initially == "DEFERRED" for key in keys
    )


def _nullable_keys(reference: Reference) -> list[str]:
    columns = _columns(reference).items()
    return [key for key, each in columns if each.nullable and not each.primary_key]
