"""What refers to rows that a plan deletes.

Objects of the plan let go first where no relationship has the flush do it in that order.  Rows that
are not in the plan would be left referring to nothing, so the plan is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Table, inspect, not_, select
from sqlalchemy.orm import Mapper, RelationshipProperty

from .._typing import mapper_of, type_of
from ..database.dialects import refuses_rows_of_themselves
from ..exc import ReverterException
from .columns import column_of, have_one_of, keys_of
from .foreign_keys import is_ordered, is_seen_to, referring_to
from .live import chunks
from .nodes import Objects
from .steps import Delete, SetCollection, SetScalar, SetValues, Step, Target, Vacate

__all__ = ["Deletions"]

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """A foreign key of an object of the plan, which refers to one that is deleted."""

    source: Target
    target: Target
    keys: tuple[str, ...]
    #: What the foreign key is to be; of objects that are deleted as well, nothing.
    values: dict[str, Any]
    #: Whether a relationship has one flush do both in the right order.
    is_ordered: bool


class Deletions:
    """The deletions of a plan.

    :param deleted: the objects that are deleted.
    :param links: what is done to relationships.
    """

    def __init__(
        self,
        objects: Objects,
        deleted: Sequence[Target],
        links: Iterable[SetScalar | SetCollection],
    ) -> None:
        self._objects = objects
        self._links = [(link.target, _relationships(link.target)[link.key]) for link in links]
        self._session = objects.session
        self._deleted = {id(target.live): target for target in deleted}
        #: Of objects that stay, and of objects that are deleted as well.
        self._leaving: list[_Reference] = []
        self._going: list[_Reference] = []

    def find(self) -> None:
        """Find what refers to the objects.

        :raises ReverterException: if something does that would go on.
        """
        groups: dict[tuple[Mapper[Any], ForeignKeyConstraint], list[Target]] = {}
        for target in self._deleted.values():
            mapper: Mapper[Any] = inspect(target.cls)
            for constraint in referring_to(mapper):
                groups.setdefault((mapper, constraint), []).append(target)
        for (mapper, constraint), targets in groups.items():
            for obj, row, target in self._rows(mapper, constraint, targets):
                self._settle(constraint, obj, row, target)

    def release(self, releases: Sequence[Sequence[Step]]) -> list[tuple[Step, ...]]:
        """Return what is flushed first, and *releases* after it.

        :param releases: what has to let go of unique values, flush by flush.  Objects that are
            deleted for that are deleted together with all others.
        """
        early = {s.target: s for steps in releases for s in steps if isinstance(s, Delete)}
        # First of all, or no order of the others would be right.
        circles = self._break_circles()
        leaving = [each for each in self._leaving if early or not each.is_ordered]
        rounds = [tuple(map(_let_go, [*leaving, *circles])), *self._one_after_another()]
        if early:
            rounds.append(tuple(map(Delete, dict.fromkeys((*early, *self._deleted.values())))))
        rounds += [tuple(s for s in steps if not isinstance(s, Delete)) for steps in releases]
        return [steps for steps in rounds if steps]

    # -- order -------------------------------------------------------------------------------

    def _break_circles(self) -> list[_Reference]:
        """Take references out until no circle is left, and return them."""
        broken: list[_Reference] = []
        circling = _in_circles(self._going)
        while circling:
            # One that cannot be empty is left to the database, which may check at the end, or
            # refuse.
            chosen = next((each for each in circling if _nullable_key(each)), circling[0])
            broken.append(chosen)
            circling = _in_circles([each for each in circling if each is not chosen])
        self._going = [each for each in self._going if each not in broken]
        return [each for each in broken if _nullable_key(each)]

    def _one_after_another(self) -> Iterator[tuple[Step, ...]]:
        """Yield deletions, flush by flush, that no relationship puts in order."""
        # A flush deletes in the order of relationships, and knows no other foreign keys.
        early = {each.source for each in self._going if not each.is_ordered}
        fresh = early
        while fresh:
            fresh = {each.source for each in self._going if each.target in fresh} - early
            early |= fresh
        while early:
            referred = {each.target for each in self._going if each.source in early}
            free = [target for target in self._deleted.values() if target in early - referred]
            yield tuple(map(Delete, free))
            early = early.difference(free)

    # -- looking -----------------------------------------------------------------------------

    def _rows(
        self, mapper: Mapper[Any], constraint: ForeignKeyConstraint, targets: Iterable[Target]
    ) -> Iterator[tuple[Any, tuple[_Row, _Row], Target]]:
        """Yield what refers to some objects of *mapper* by a foreign key.

        :returns: the object, if it is about to change; its foreign and primary key; and what it
            refers to.
        """
        table: Any = constraint.table
        here, primary = list(constraint.columns), list(table.primary_key.columns)
        there = [element.column for element in constraint.elements]
        referred = {_values(target.live, there): target for target in targets}
        known = self._known(table, primary)
        # Links that are objects as well are told as such.
        left = [] if known else [*self._unlinked(table)]
        for some in chunks(value for value in referred if None not in value):
            statement = select(*here, *primary).where(have_one_of(here, some), *left)
            for row in self._session.execute(statement, bind_arguments={"mapper": mapper}):
                value, key = tuple(row[: len(here)]), tuple(row[len(here) :])
                # Rows that no object stands for are told by their values.
                yield known.get(key), (value, key), referred[value]

    def _unlinked(self, table: Table) -> Iterator[ColumnElement[bool]]:
        """Yield what leaves out the links that relationships remove, of an association table."""
        owners: dict[RelationshipProperty[Any], list[Any]] = {}
        going = [(t, each) for t in self._deleted.values() for each in _relationships(t)]
        for target, each in (*going, *self._links):
            if target.live is not None and _removes_links(each, table):
                owners.setdefault(each, []).append(target.live)
        for relationship, some in owners.items():
            pairs: Any = relationship.synchronize_pairs
            values = [_values(owner, [source for source, _ in pairs]) for owner in some]
            yield not_(have_one_of([column for _, column in pairs], values))

    def _known(self, table: Table, primary: Sequence[Any]) -> dict[_Row, Any]:
        """Return the objects that have rows in a table and are about to change, by its key."""
        nodes = (node.target.live for node in self._objects.nodes)
        going = (target.live for target in self._deleted.values())
        session = self._session
        return {
            _values(obj, primary): obj
            # Only these may say something else than their rows do.
            for obj in (*session.dirty, *session.deleted, *nodes, *going)
            if obj is not None and table in mapper_of(type_of(obj)).tables
        }

    def _settle(
        self, constraint: ForeignKeyConstraint, obj: Any, row: tuple[_Row, _Row], target: Target
    ) -> None:
        """Have an object let go of *target*.

        :param obj: the object that refers to it, if it is known.
        :param row: its foreign key and its primary key.
        :raises ReverterException: if it does not.
        """
        value, key = row
        lets_go = obj is not None and self._lets_go(constraint, obj, value, target)
        if not lets_go and not is_seen_to(target, constraint):
            raise _still_referred_to(constraint, value, key, target)

    def _lets_go(
        self, constraint: ForeignKeyConstraint, obj: Any, value: _Row, target: Target
    ) -> bool:
        """Tell whether an object is about to let go of *target*; note what has to be done for it.

        :param value: its foreign key, as its row has it.
        """
        keys = _keys(obj, constraint.columns)
        with_order = is_ordered(obj, target, constraint)
        if id(obj) in self._deleted:
            if obj is not target.live or with_order or self._refuses_own(target):
                source = self._deleted[id(obj)]
                self._going.append(_Reference(source, target, keys, {}, with_order))
            return True
        node = self._objects.node_of(self._objects.target_of(obj))
        if node is not None and node.keys.issuperset(keys):
            before = dict(zip(keys, value, strict=True))
            values = {each: node.value(each) for each in keys if node.value(each) != before[each]}
            if values:
                self._leaving.append(_Reference(node.target, target, keys, values, with_order))
            return bool(values)
        # The application has it let go already; the flush will tell the database.
        return obj in self._session.deleted or _values(obj, constraint.columns) != value

    def _refuses_own(self, target: Target) -> bool:
        """Tell whether the database refuses to delete a row that refers to itself."""
        dialect = self._session.get_bind(inspect(target.cls)).dialect
        return refuses_rows_of_themselves(dialect)


def _in_circles(references: list[_Reference]) -> list[_Reference]:
    """Return those references that are in circles, or on the way from one to another."""
    while True:
        sources = {each.source for each in references}
        referred = {each.target for each in references}
        inner = [r for r in references if r.source in referred and r.target in sources]
        if len(inner) == len(references):
            return inner
        # Whoever nobody refers to, or who refers to nobody, is in no circle; peel them off again.
        references = inner


def _removes_links(relationship: RelationshipProperty[Any], table: Table) -> bool:
    """Tell whether a relationship removes its links from an association table by itself."""
    if relationship.viewonly or relationship.passive_deletes:
        return False
    return relationship.secondary is table


def _relationships(target: Target) -> Any:
    return mapper_of(target.cls).relationships


def _still_referred_to(
    constraint: ForeignKeyConstraint, value: _Row, key: _Row, target: Target
) -> ReverterException:
    pairs = zip(constraint.columns, value, strict=True)
    said = ", ".join(f"{column.name} = {each!r}" for column, each in pairs)
    name = key[0] if len(key) == 1 else key
    return ReverterException(
        f"{target} was not there then, but cannot be deleted: row {name!r} of "
        f"{constraint.table.fullname!r} refers to it by {said}; change or delete that first"
    )


def _let_go(reference: _Reference) -> Step:
    key = _nullable_key(reference)
    if key is not None:
        return Vacate(reference.source, {key: None})
    return SetValues(reference.source, reference.values)


def _nullable_key(reference: _Reference) -> str | None:
    """Return an attribute of a foreign key that can be empty for a moment."""
    mapper: Mapper[Any] = inspect(reference.source.cls)
    for key in reference.values or reference.keys:
        column = column_of(mapper, key)
        if column.nullable and not column.primary_key:
            return key
    return None


def _keys(obj: Any, columns: Iterable[Any]) -> tuple[str, ...]:
    return keys_of(mapper_of(type_of(obj)), columns)


def _values(obj: Any, columns: Iterable[Any]) -> _Row:
    return tuple(getattr(obj, key) for key in _keys(obj, columns))
