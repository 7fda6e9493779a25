"""Letting unique values change hands.

A flush inserts first, then updates in the order of keys, then deletes; databases check unique
constraints at each statement.  So a row that is to take a value which another row of the plan
still holds would fail.  Such holders let go first, in flushes of their own: by being deleted, by
NULL, by the value they are to have anyway, or, where values go round in a circle, by a value that
nobody has.  All flushes of a transaction make one version, so history shows none of it.

A constraint that can be deferred is deferred instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import Mapper, Session

from .._typing import mapper_of, type_of
from ..exc import ReverterException
from ..model.lookup import table_spec_of
from .columns import is_made
from .live import identity_of
from .spare import find_spare
from .steps import Defer, Delete, Restore, SetValues, Step, Target, Vacate
from .unique import Unique, can_clash, clash, rows_with, uniques_of

__all__ = ["plan_releases"]

_Value = tuple[Any, ...]
_Writing = Restore | SetValues


@dataclass(slots=True, eq=False)
class _Handover:
    """A value that *holder* has and has to let go of."""

    unique: Unique
    value: _Value
    holder: Target
    step: _Writing | None


def plan_releases(
    session: Session, steps: Sequence[Step], deleted: Sequence[Target]
) -> tuple[list[Step], list[tuple[Step, ...]]]:
    """Return what to do besides *steps*, and what is flushed before them, flush by flush.

    :param deleted: the objects that the plan deletes.
    :raises ReverterException: if a value belongs to a row that keeps it, or no row can let go.
    """
    writing = [step for step in steps if isinstance(step, (Restore, SetValues))]
    handovers: list[_Handover] = []
    others: list[Step] = []
    wanted: dict[Unique, list[_Value]] = {}
    for unique, concerned in _uniques(writing).items():
        claims = {v: s.target for s in concerned if (v := _new_value(unique, s)) is not None}
        wanted[unique] = list(claims)
        found = list(_handovers(session, unique, claims, writing=writing, deleted=deleted))
        # Deferred, the database looks at the end, when all values are where they belong.
        if found and _can_defer(session, unique):
            others.append(Defer(found[0].holder, unique.constraint))  # type: ignore[arg-type]
        else:
            handovers += found
    rounds = list(_rounds(session, handovers, wanted))
    return [*others, *_resets(rounds, writing)], rounds


def _uniques(steps: Iterable[_Writing]) -> dict[Unique, list[_Writing]]:
    """Return the unique columns that *steps* write."""
    found: dict[Unique, list[_Writing]] = {}
    for step in steps:
        mapper: Mapper[Any] = inspect(step.target.cls)
        for table in mapper.tables:
            for unique in uniques_of(mapper.base_mapper, table):  # type: ignore[arg-type]
                columns = unique.columns
                if _is_mapped(mapper, columns) and step.values.keys() & set(unique.keys(mapper)):
                    found.setdefault(unique, []).append(step)
    return found


def _is_mapped(mapper: Mapper[Any], columns: Iterable[Column[Any]]) -> bool:
    mapped = {column for prop in mapper.column_attrs for column in prop.columns}
    return mapped.issuperset(columns)


def _new_value(unique: Unique, step: _Writing) -> _Value | None:
    """Return the values that a row is to have; ``None`` where nothing can be equal to them."""
    live = step.target.live
    value = tuple(
        step.values[key] if key in step.values or live is None else getattr(live, key)
        for key in unique.keys(inspect(step.target.cls))
        if key in step.values or live is not None
    )
    is_complete = len(value) == len(unique.columns)
    return value if is_complete and can_clash(value) else None


def _can_defer(session: Session, unique: Unique) -> bool:
    """Tell whether the database can check a constraint at the end of the transaction."""
    constraint = unique.constraint
    if constraint is None or not constraint.deferrable or constraint.name is None:
        return False
    # Of the databases that are run, no other defers what is unique.
    return unique.dialect(session).name == "postgresql"


# -- who holds it -------------------------------------------------------------------------------


def _handovers(
    session: Session,
    unique: Unique,
    claims: dict[_Value, Target],
    *,
    writing: Sequence[_Writing],
    deleted: Sequence[Target],
) -> Iterator[_Handover]:
    holders = _Holders(session, unique.table, writing=writing, deleted=deleted)
    key = [pair.parent for pair in table_spec_of(unique.table).key]
    for value, identity in rows_with(session, unique, claims, key):
        claimer = claims.get(value)
        # It is the row's own; or the database takes for the same what is not equal here.
        if claimer is None or claimer.identity == identity:
            continue
        handover = holders.handover(unique, value, identity)
        if handover is None:
            raise clash(claimer, unique, value, identity)
        yield handover


class _Holders:
    """Who has the rows of a table that are about to let go of values, by primary key."""

    def __init__(
        self,
        session: Session,
        table: Table,
        *,
        writing: Sequence[_Writing],
        deleted: Sequence[Target],
    ) -> None:
        self._steps = {s.target.identity: s for s in writing if _has(s.target, table)}
        leaving = {
            identity_of(obj): Target(type_of(obj), identity_of(obj), obj)
            for obj in session.deleted
            if table in mapper_of(type_of(obj)).tables and identity_of(obj) not in self._steps
        }
        going = {target.identity: target for target in deleted if _has(target, table)}
        self._going = leaving | going

    def handover(self, unique: Unique, value: _Value, identity: _Value) -> _Handover | None:
        """Return how a row comes to let go of a value, or ``None`` if it keeps it."""
        going, step = self._going.get(identity), self._steps.get(identity)
        if going is not None:
            return _Handover(unique, value, going, None)
        if step is None or _new_value(unique, step) == value:
            return None
        return _Handover(unique, value, step.target, step)


def _has(target: Target, table: Table) -> bool:
    mapper: Mapper[Any] = inspect(target.cls)
    return table in mapper.tables


# -- letting go ---------------------------------------------------------------------------------


def _rounds(
    session: Session, handovers: list[_Handover], wanted: dict[Unique, list[_Value]]
) -> Iterator[tuple[Step, ...]]:
    at_once: list[Step] = []
    waiting: list[_Handover] = []
    for handover in handovers:
        step = _step_by_itself(handover)
        if step is None:
            waiting.append(handover)
        else:
            at_once.append(step)
    if at_once:
        yield tuple(at_once)
    while waiting:
        held = {(each.unique, each.value) for each in waiting}
        free = [h for h in waiting if (h.unique, _final(h)) not in held]
        if free:
            yield tuple(SetValues(h.holder, _unique_values(h)) for h in free)
        else:
            chosen, values = _vacate(session, waiting, wanted)
            yield (Vacate(chosen.holder, values),)
            free = [chosen]
        waiting = [handover for handover in waiting if handover not in free]


def _columns(handover: _Handover, *, changed: bool) -> Iterator[tuple[str, Column[Any]]]:
    """Yield the columns that can hold something else for a moment, with their attributes.

    :param changed: those that the plan changes, or those that it leaves alone.
    """
    assert handover.step is not None
    keys = handover.unique.keys(inspect(handover.holder.cls))
    for key, column in zip(keys, handover.unique.columns, strict=True):
        is_changed = key in handover.step.values
        if is_changed is changed and not column.primary_key and not is_made(column):
            yield key, column


def _step_by_itself(handover: _Handover) -> Step | None:
    """Return how a row can let go whatever the others do, if it can."""
    if handover.step is None:
        return Delete(handover.holder)
    key = _nullable_key(handover)
    return None if key is None else Vacate(handover.holder, {key: None})


def _nullable_key(handover: _Handover) -> str | None:
    columns = _columns(handover, changed=True)
    return next((key for key, column in columns if column.nullable), None)


def _final(handover: _Handover) -> _Value | None:
    assert handover.step is not None
    return _new_value(handover.unique, handover.step)


def _unique_values(handover: _Handover) -> dict[str, Any]:
    assert handover.step is not None
    keys = handover.unique.keys(inspect(handover.holder.cls))
    return {key: handover.step.values[key] for key in keys if key in handover.step.values}


def _vacate(
    session: Session, waiting: Sequence[_Handover], wanted: dict[Unique, list[_Value]]
) -> tuple[_Handover, dict[str, Any]]:
    """Return a row of a circle, and a value that no row has.

    :raises ReverterException: if there is none.
    """
    for changed in (True, False):
        for each in waiting:
            for key, column in _columns(each, changed=changed):
                if column.nullable:
                    return each, {key: None}
                spare = None if column.foreign_keys else _spare(session, each, column, wanted)
                if spare is not None:
                    return each, {key: spare}
    first = waiting[0]
    names = ", ".join(column.name for column in first.unique.columns)
    raise ReverterException(
        f"{first.holder} cannot be reverted: rows of {first.unique.table.fullname!r} would "
        f"exchange values of {names}, which is unique and has no value to spare; make it nullable, "
        "or its constraint deferrable, where the database can"
    )


def _spare(
    session: Session,
    handover: _Handover,
    column: Column[Any],
    wanted: dict[Unique, list[_Value]],
) -> Any | None:
    unique = handover.unique
    place = next(n for n, each in enumerate(unique.columns) if each is column)
    held = zip(unique.columns, handover.value, strict=True)
    return find_spare(
        session,
        unique,
        column,
        others={other: value for other, value in held if other is not column},
        wanted=[value[place] for value in wanted[unique]],
    )


def _resets(rounds: Iterable[tuple[Step, ...]], steps: Iterable[_Writing]) -> Iterator[SetValues]:
    """Yield what puts back what rows give up for a moment, and the plan leaves alone."""
    changed = {step.target: step.values for step in steps}
    for step in (step for some in rounds for step in some):
        if isinstance(step, Vacate):
            kept = step.values.keys() - changed.get(step.target, {}).keys()
            if kept:
                yield SetValues(step.target, {key: getattr(step.target.live, key) for key in kept})
