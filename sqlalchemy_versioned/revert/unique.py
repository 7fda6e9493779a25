"""Letting unique values change hands.

A flush inserts first, then updates in the order of keys, then deletes; databases check unique
constraints at each statement.  So a row that is to take a value which another row of the plan
still holds would fail.  Such holders let go first, in flushes of their own: by being deleted, by
NULL, by the value they are to have anyway, or, where values go round in a circle, by a value that
nobody has.  All flushes of a transaction make one version, so history shows none of it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Column,
    Enum,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    inspect,
    select,
    tuple_,
)
from sqlalchemy.orm import Mapper, Session

from ..exc import ReverterException
from ..lookup import table_spec_of
from .live import chunks, identity_of
from .steps import Delete, Restore, SetValues, Step, Target

__all__ = ["plan_releases"]

_Value = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Unique:
    """Columns of which no two rows may have the same values."""

    table: Table
    columns: tuple[Column[Any], ...]

    def keys(self, mapper: Mapper[Any]) -> tuple[str, ...]:
        return tuple(mapper.get_property_by_column(column).key for column in self.columns)


@dataclass(slots=True, eq=False)
class _Handover:
    """A value that *holder* has and has to let go of."""

    unique: _Unique
    value: _Value
    holder: Target
    step: SetValues | Restore | None


def plan_releases(
    session: Session, steps: Sequence[Step], deleted: Sequence[Target]
) -> tuple[tuple[Step, ...], ...]:
    """Return what has to be flushed before *steps*, in one flush after another.

    :param deleted: the objects that the plan deletes.
    :raises ReverterException: if a value belongs to a row that keeps it.
    """
    writing = [step for step in steps if isinstance(step, (Restore, SetValues))]
    handovers: list[_Handover] = []
    for unique, concerned in _uniques(writing).items():
        claims = {v: s.target for s in concerned if (v := _new_value(unique, s)) is not None}
        handovers += _handovers(session, unique, claims, writing=writing, deleted=deleted)
    return tuple(_rounds(handovers))


def _uniques(steps: Iterable[Restore | SetValues]) -> dict[_Unique, list[Restore | SetValues]]:
    """Return the unique columns that *steps* write."""
    found: dict[_Unique, list[Restore | SetValues]] = {}
    for step in steps:
        mapper: Mapper[Any] = inspect(step.target.cls)
        for table in mapper.tables:
            for columns in _unique_columns(table):  # type: ignore[arg-type]
                unique = _Unique(table, columns)  # type: ignore[arg-type]
                if _is_mapped(mapper, columns) and step.values.keys() & set(unique.keys(mapper)):
                    found.setdefault(unique, []).append(step)
    return found


def _unique_columns(table: Table) -> Iterator[tuple[Column[Any], ...]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint) and constraint.initially != "DEFERRED":
            yield tuple(constraint.columns)
    for index in table.indexes:
        if index.unique and _is_plain(index):
            yield tuple(index.columns)


def _is_plain(index: Index) -> bool:
    """Tell whether an index is about all rows, and about columns."""
    kwargs = index.kwargs
    is_partial = any(key.endswith("_where") and kwargs[key] is not None for key in kwargs)
    return not is_partial and all(isinstance(each, Column) for each in index.expressions)


def _is_mapped(mapper: Mapper[Any], columns: Iterable[Column[Any]]) -> bool:
    mapped = {column for prop in mapper.column_attrs for column in prop.columns}
    return mapped.issuperset(columns)


def _new_value(unique: _Unique, step: Restore | SetValues) -> _Value | None:
    """Return the values that a row is to have; ``None`` where nothing can be equal to them."""
    live = step.target.live
    value = tuple(
        step.values[key] if key in step.values or live is None else getattr(live, key)
        for key in unique.keys(inspect(step.target.cls))
        if key in step.values or live is not None
    )
    is_complete = len(value) == len(unique.columns)
    if not is_complete or any(v is None or isinstance(v, ClauseElement) for v in value):
        return None
    return value


# -- who holds it -------------------------------------------------------------------------------


def _handovers(
    session: Session,
    unique: _Unique,
    claims: dict[_Value, Target],
    *,
    writing: Sequence[Restore | SetValues],
    deleted: Sequence[Target],
) -> Iterator[_Handover]:
    steps = {step.target.identity: step for step in writing if _has(step.target, unique.table)}
    going = {target.identity: target for target in deleted if _has(target, unique.table)}
    leaving = {
        identity_of(obj): Target(type(obj), identity_of(obj), obj)
        for obj in session.deleted
        if unique.table in inspect(type(obj)).tables and identity_of(obj) not in steps
    }
    for value, identity in _stored(session, unique, claims):
        claimer = claims.get(value)
        if claimer is None or claimer.identity == identity:
            continue
        holder = going.get(identity) or leaving.get(identity)
        step = None if holder else steps.get(identity)
        if holder is None and (step is None or _new_value(unique, step) == value):
            raise _clash(unique, value, claimer, identity)
        yield _Handover(unique, value, holder or step.target, step)  # type: ignore[union-attr]


def _has(target: Target, table: Table) -> bool:
    mapper: Mapper[Any] = inspect(target.cls)
    return table in mapper.tables


def _stored(
    session: Session, unique: _Unique, values: Iterable[_Value]
) -> Iterator[tuple[_Value, _Value]]:
    """Yield values, and the keys of the rows that have them in the database."""
    key = [pair.parent for pair in table_spec_of(unique.table).key]
    columns, width = unique.columns, len(unique.columns)
    subject: Any = columns[0] if width == 1 else tuple_(*columns)
    for some in chunks(values):
        listed: Any = [value[0] for value in some] if width == 1 else some
        rows = session.execute(select(*columns, *key).where(subject.in_(listed)))
        yield from ((tuple(row[:width]), tuple(row[width:])) for row in rows)


def _clash(unique: _Unique, value: _Value, claimer: Target, identity: _Value) -> ReverterException:
    pairs = zip(unique.columns, value, strict=True)
    said = ", ".join(f"{column.name} = {each!r}" for column, each in pairs)
    key = identity[0] if len(identity) == 1 else identity
    return ReverterException(
        f"{claimer} cannot be reverted: it had {said}, which is unique and belongs to row {key!r} "
        f"of {unique.table.fullname!r} now; change or delete that first"
    )


# -- letting go ---------------------------------------------------------------------------------


def _rounds(handovers: list[_Handover]) -> Iterator[tuple[Step, ...]]:
    at_once: list[Step] = []
    waiting: list[_Handover] = []
    for handover in handovers:
        if handover.step is None:
            at_once.append(Delete(handover.holder))
        elif (key := _nullable_key(handover)) is not None:
            at_once.append(SetValues(handover.holder, {key: None}))
        else:
            waiting.append(handover)
    if at_once:
        yield tuple(at_once)
    while waiting:
        held = {(each.unique, each.value) for each in waiting}
        free = [h for h in waiting if (h.unique, _final(h)) not in held]
        if free:
            yield tuple(SetValues(h.holder, _unique_values(h)) for h in free)
        else:
            free = waiting[:1]
            yield (SetValues(free[0].holder, _placeholder(free[0])),)
        waiting = [handover for handover in waiting if handover not in free]


def _nullable_key(handover: _Handover) -> str | None:
    keys = handover.unique.keys(inspect(handover.holder.cls))
    for key, column in zip(keys, handover.unique.columns, strict=True):
        if column.nullable and not column.primary_key:
            return key
    return None


def _final(handover: _Handover) -> _Value | None:
    assert handover.step is not None
    return _new_value(handover.unique, handover.step)


def _unique_values(handover: _Handover) -> dict[str, Any]:
    assert handover.step is not None
    keys = handover.unique.keys(inspect(handover.holder.cls))
    return {key: handover.step.values[key] for key in keys if key in handover.step.values}


def _placeholder(handover: _Handover) -> dict[str, Any]:
    """Return a value that no row has, for a column that takes one.

    :raises ReverterException: if there is no such column.
    """
    keys = handover.unique.keys(inspect(handover.holder.cls))
    for key, column in zip(keys, handover.unique.columns, strict=True):
        value = None if column.foreign_keys else _unused(column)
        if value is not None:
            return {key: value}
    names = ", ".join(column.name for column in handover.unique.columns)
    raise ReverterException(
        f"{handover.holder} cannot be reverted: rows of {handover.unique.table.fullname!r} would "
        f"exchange values of {names}, which is unique and has no value to spare; make it nullable, "
        "or its constraint INITIALLY DEFERRED"
    )


def _unused(column: Column[Any]) -> Any:
    type_ = column.type
    if isinstance(type_, String) and not isinstance(type_, Enum):
        return uuid.uuid4().hex[: type_.length]
    if isinstance(type_, Integer):
        # Within the smallest of the integer types.
        return -random.randrange(1, 2**15)
    if isinstance(type_, Uuid):
        return uuid.uuid4() if type_.as_uuid else uuid.uuid4().hex
    return None
