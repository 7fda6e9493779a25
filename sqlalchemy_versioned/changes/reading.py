"""Rows become records: what the statements of :mod:`..query.changes` return, as values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..model.masks import MASKED
from ..model.operation import Operation
from ..query.change_rows import BuiltChanges, Fields, Place
from .records import ChangeRecord, FieldChange

__all__ = ["Members", "Relations", "identity", "read_members", "read_records"]

#: By relationship, and by key of the owner and transaction: who was lost, and who was gained.
Members = Mapping[str, Mapping[tuple[Any, ...], tuple[list[Any], list[Any]]]]


#: Places of columns, by field.
_Columns = Sequence[tuple[str, Place]]


class Relations(NamedTuple):
    """What is told of relationships."""

    #: Those that were asked for, in order.
    names: Sequence[str]
    #: What happened to members, as :func:`read_members` returns it.
    members: Members
    #: Those that have one member at most.
    scalars: frozenset[str]


def read_records(
    built: BuiltChanges,
    rows: Sequence[Any],
    relations: Relations,
    further: Mapping[int, dict[str, Any]],
) -> list[ChangeRecord]:
    """Return the records that rows of a page are.

    :param further: by transaction, what the context says that is kept beside it.
    """
    return list(_Reader(built, relations, further).read(rows))


def read_members(
    rows: Sequence[Any], key_size: int
) -> dict[tuple[Any, ...], tuple[list[Any], list[Any]]]:
    """Return who was lost and who was gained, by key of the owner and transaction."""
    found: dict[tuple[Any, ...], tuple[list[Any], list[Any]]] = {}
    for row in rows:
        place, is_gain = tuple(row[: key_size + 1]), row[key_size + 1]
        lost, gained = found.setdefault(place, ([], []))
        (gained if is_gain else lost).append(identity(row[key_size + 2 :]))
    return found


def identity(values: Sequence[Any]) -> Any:
    """Return a key as records have it: a value, or a tuple; ``None`` if it names nobody."""
    if len(values) == 1:
        return values[0]
    return None if None in values else tuple(values)


class _Reader:
    def __init__(
        self,
        built: BuiltChanges,
        relations: Relations,
        further: Mapping[int, dict[str, Any]],
    ) -> None:
        self._built = built
        self._relations, self._members, self._scalars = relations
        self._further = further
        self._tells_apart = built.others.spec.id_key is not None
        self._key, self._operation = built.layout.key, built.layout.operation

    def read(self, rows: Sequence[Any]) -> Iterator[ChangeRecord]:
        built, layout = self._built, self._built.layout
        user = [layout.fact(name) for name in built.user]
        context = [(name, layout.fact(name)) for name in layout.facts if name not in built.user]
        key, at_operation, at_discriminator = layout.key, layout.operation, layout.discriminator
        reads = {each: self._changes_of(each) for each in (*built.fields.values(), built.others)}
        further = self._further
        is_named = built.is_named
        for row in rows:
            fields = built.fields.get(row[at_discriminator], built.others)
            operation = row[at_operation]
            yield ChangeRecord(
                fields.spec.label,
                row[-1] if is_named else identity(row[key]),
                # An object that has no version of its own there was changed beside its row.
                Operation.UPDATE if operation is None else operation,
                _aware(row[1]),
                row[0],
                identity([row[at] for at in user]) if user else None,
                {name: row[at] for name, at in context} | further.get(row[0], {}),
                tuple(reads[fields](row)),
            )

    def _changes_of(self, fields: Fields) -> Callable[[Any], list[FieldChange]]:
        """Return what reads the changes of objects of one class; it runs for every row."""
        at_operation, at_before = self._operation, self._operation + 1
        columns, differing, references = fields.columns, fields.differing, fields.references

        def read(row: Any) -> list[FieldChange]:
            operation, had_row = row[at_operation], _was_there(row[at_before])
            if operation is None:
                return []
            if operation is Operation.DELETE:
                return _lost(columns, row, had_row=had_row)
            # What has come without an insertion was not recorded before.
            is_update = operation is Operation.UPDATE and had_row
            return _changed(differing, row) if is_update else _gained(columns, row)

        if not self._relations:
            return read
        return lambda row: [*read(row), *self._relation_changes(references, row)]

    def _relation_changes(
        self, references: Sequence[tuple[str, tuple[Place, ...]]], row: Any
    ) -> Iterator[FieldChange]:
        targets = dict(references)
        for name in self._relations:
            if name in targets:
                old, new = self._targets(targets[name], row)
                change = None if old == new else FieldChange(name, old, new)
            else:
                change = self._member_change(name, row)
            if change is not None:
                yield change

    def _targets(self, places: Sequence[Place], row: Any) -> tuple[Any, Any]:
        """Return whom an object pointed to, and whom it points to now."""
        operation, before = row[self._operation], row[self._operation + 1]
        if operation is None:
            return None, None
        own = identity([row[place.own] for place in places])
        former = identity([row[place.former] for place in places]) if _was_there(before) else None
        if operation is Operation.INSERT:
            return None, own
        if operation is Operation.UPDATE:
            return former, own
        # A deletion holds the last values of its row, which no other version may have.
        return (own if before is None else former), None

    def _member_change(self, name: str, row: Any) -> FieldChange | None:
        if self._tells_apart and row[self._operation] is not None:
            # Where each event is a record of its own, those of members are others.
            return None
        place = (*row[self._key], row[0])
        found = self._members.get(name, {}).get(place)
        if found is None:
            return None
        lost, gained = found
        if name not in self._scalars:
            return FieldChange(name, lost, gained)
        return FieldChange(name, *[each[0] if each else None for each in (lost, gained)])


def _was_there(before: Operation | None) -> bool:
    """Tell whether an object was there, by the operation of its version before."""
    return before is not None and before is not Operation.DELETE


def _changed(differing: _Columns, row: Any) -> list[FieldChange]:
    return [
        FieldChange(name, _told(row[at.former], at), _told(row[at.own], at))
        for name, at in differing
        if not row[at.same]
    ]


def _lost(columns: _Columns, row: Any, *, had_row: bool) -> list[FieldChange]:
    return [
        FieldChange(name, _told(last, at), None)
        for name, at in columns
        if (last := row[at.former if had_row else at.own]) is not None
    ]


def _gained(columns: _Columns, row: Any) -> list[FieldChange]:
    return [
        FieldChange(name, None, _told(new, at))
        for name, at in columns
        if (new := row[at.own]) is not None
    ]


def _told(value: Any, at: Place) -> Any:
    """Return what is told of a value."""
    return MASKED if at.is_masked else value


def _aware(moment: datetime | None) -> datetime | None:
    # A Transaction class of the application's own may load what it stores, which is UTC.
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=timezone.utc)
