"""What the database itself does to other rows when rows are deleted or get other keys.

Known from the foreign keys of the metadata: ``ON DELETE`` and ``ON UPDATE`` with ``CASCADE``,
``SET NULL`` or ``SET DEFAULT``, over any number of tables, versioned or not.  The rows are looked
up while they still refer to those that go; whether they went as well is looked up afterwards, as
a database may be told to ignore its foreign keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    MetaData,
    Select,
    Table,
    exists,
    select,
)

from .dialects import locks_one_table
from .keys import Key, KeyConditions, KeyParameters
from .spec import VersionSpec

__all__ = ["Cascaded", "Cascades"]

_ACTS = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


@dataclass(slots=True)
class Cascaded:
    """Rows of versioned tables that the database deletes or changes along with others."""

    deleted: dict[VersionSpec, list[Key]] = field(default_factory=dict)
    updated: dict[VersionSpec, list[Key]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.deleted or self.updated)

    def extend(self, other: Cascaded) -> None:
        """Add further rows."""
        for mine, theirs in ((self.deleted, other.deleted), (self.updated, other.updated)):
            for spec, keys in theirs.items():
                mine.setdefault(spec, []).extend(keys)


@dataclass(frozen=True, slots=True)
class _Edge:
    """A foreign key, followed from the rows it refers to."""

    constraint: ForeignKeyConstraint
    table: Table

    @property
    def pairs(self) -> list[tuple[Column[Any], Column[Any]]]:
        """The columns of the table with the columns that they refer to."""
        return [(each.parent, each.column) for each in self.constraint.elements]

    @property
    def deletes(self) -> bool:
        """Whether rows go with those that they refer to."""
        return _action(self.constraint.ondelete) == "CASCADE"


def _action(said: str | None) -> str:
    return " ".join((said or "").upper().split())


class Cascades:
    """The foreign keys behind versioned tables.

    :param specs: the versioned tables.
    :param related: returns the other tables that share objects with one.
    """

    def __init__(
        self,
        specs: Mapping[Table, VersionSpec],
        related: Callable[[VersionSpec], tuple[VersionSpec, ...]],
    ) -> None:
        self._specs = specs
        self._related = related
        edges = [edge for edge in _edges(specs) if not self._is_inheritance(edge)]
        self._on_delete = self._useful(e for e in edges if _action(e.constraint.ondelete) in _ACTS)
        self._on_update = self._useful(e for e in edges if _action(e.constraint.onupdate) in _ACTS)

    def _useful(self, edges: Iterable[_Edge]) -> dict[Table, list[_Edge]]:
        """Return the foreign keys by the table they refer to, those that lead to versions."""
        remaining = list(edges)
        reached = set(self._specs)
        while more := {_referred(e) for e in remaining if e.table in reached} - reached:
            reached |= more
        found: dict[Table, list[_Edge]] = {}
        for edge in remaining:
            if edge.table in reached:
                found.setdefault(_referred(edge), []).append(edge)
        return found

    def _is_inheritance(self, edge: _Edge) -> bool:
        """Tell whether a foreign key joins the tables of one object, which go together."""
        spec, referred = self._specs.get(edge.table), self._specs.get(_referred(edge))
        if spec is None or referred is None or referred not in self._related(spec):
            return False
        return {mine for mine, _ in edge.pairs} == {pair.parent for pair in spec.key}

    def acts_on_delete(self, table: Table) -> bool:
        """Tell whether deleting rows of a table may do something to versioned rows."""
        return table in self._on_delete

    @property
    def tables(self) -> set[Table]:
        """The tables of which deletions may do something to versioned rows."""
        return set(self._on_delete)

    def key_of(self, table: Table) -> list[Column[Any]]:
        """Return the columns by which the rows of a table are told apart."""
        spec = self._specs.get(table)
        if spec is not None:
            return [pair.parent for pair in spec.key]
        return list(table.primary_key.columns) or list(table.columns)

    def remaining(self, connection: Connection, spec: VersionSpec, keys: list[Key]) -> list[Key]:
        """Return which rows are there."""
        own = self.key_of(spec.parent_table)
        found: list[Key] = []
        for part in KeyParameters(own, connection.dialect).sets(keys).chunks():
            member = KeyConditions(own, part.style).member(own, "keys")
            result = connection.execute(select(*own).where(member), part.parameters())
            found += [row[0] if len(own) == 1 else tuple(row) for row in result]
        return found

    def acts_on_update(self, table: Table) -> bool:
        """Tell whether other keys for rows of a table may do something to versioned rows."""
        return table in self._on_update

    def of_deleted(self, connection: Connection, table: Table, keys: list[Key]) -> Cascaded:
        """Return what deleting rows is going to do; locks the rows."""
        found = Cascaded()
        seen: dict[Table, set[Key]] = {table: set(keys)}
        waiting = [(table, keys)]
        while waiting:
            referred, gone = waiting.pop()
            for edge in self._on_delete.get(referred, ()):
                rows = self._referring(connection, edge, gone)
                new = [key for key in rows if key not in seen.setdefault(edge.table, set())]
                self._add(found.deleted if edge.deletes else found.updated, edge.table, new)
                if edge.deletes and new:
                    seen[edge.table].update(new)
                    waiting.append((edge.table, new))
        return found

    def behind(self, table: Table) -> list[VersionSpec]:
        """Return the tables of which rows may be changed along with updates of a table."""
        tables = [edge.table for edge in self._on_update.get(table, ())]
        return [self._specs[each] for each in tables if each in self._specs]

    def referring(
        self, connection: Connection, table: Table, keys: list[Key]
    ) -> dict[VersionSpec, list[Key]]:
        """Return the rows that refer to rows about to be updated; locks them."""
        found: dict[VersionSpec, list[Key]] = {}
        for edge in self._on_update.get(table, ()):
            self._add(found, edge.table, self._referring(connection, edge, keys))
        return found

    def of_updated(
        self, connection: Connection, table: Table, moved: Mapping[Key, Key]
    ) -> dict[VersionSpec, dict[Key, Key]]:
        """Return which rows may have been changed along with rows that were updated.

        :param moved: for the key of each row that was updated, the key that it had before.
        :returns: the same, for the rows of each versioned table that refer to them.
        """
        found: dict[VersionSpec, dict[Key, Key]] = {}
        waiting = [(table, dict(moved))]
        while waiting:
            referred, rows = waiting.pop()
            for edge in self._on_update.get(referred, ()):
                followed = self._followed(connection, edge, rows)
                spec = self._specs.get(edge.table)
                if spec is not None and followed:
                    found.setdefault(spec, {}).update(followed)
                further = {key: before for key, before in followed.items() if key != before}
                if further and edge.table is not referred:
                    waiting.append((edge.table, further))
        return found

    def _followed(
        self, connection: Connection, edge: _Edge, moved: Mapping[Key, Key]
    ) -> dict[Key, Key]:
        """Return the keys of rows that refer to *moved* by now, with those they had before."""
        key, own = self.key_of(_referred(edge)), self.key_of(edge.table)
        refers_to_key = {theirs for _, theirs in edge.pairs} <= set(key)
        if refers_to_key:
            moved = {now: before for now, before in moved.items() if now != before}
        if not moved:
            return {}
        rows = self._referring(connection, edge, list(moved))
        follows = {mine: theirs for mine, theirs in edge.pairs if mine in own}
        if not (refers_to_key and follows):
            return {row: row for row in rows}
        return {row: _former(row, own, follows, key, moved) for row in rows}

    def _add(self, found: dict[VersionSpec, list[Key]], table: Table, keys: list[Key]) -> None:
        spec = self._specs.get(table)
        if spec is not None and keys:
            found.setdefault(spec, []).extend(keys)

    def _referring(self, connection: Connection, edge: _Edge, keys: list[Key]) -> list[Key]:
        """Return the keys of the rows that refer to rows with *keys*."""
        referred, own = _referred(edge), self.key_of(edge.table)
        rows = referred.alias("versioned_referred")
        columns = [rows.c[column.key] for column in self.key_of(referred)]
        found: list[Key] = []
        for part in KeyParameters(self.key_of(referred), connection.dialect).sets(keys).chunks():
            member = KeyConditions(self.key_of(referred), part.style).member(columns, "keys")
            same = [mine == rows.c[theirs.key] for mine, theirs in edge.pairs]
            statement = select(*own).where(exists().where(*same, member).correlate(edge.table))
            locked = _locked(statement, edge.table, connection)
            result = connection.execute(locked, part.parameters())
            found += [row[0] if len(own) == 1 else tuple(row) for row in result]
        return found


def _former(
    row: Key,
    own: list[Column[Any]],
    follows: Mapping[Column[Any], Column[Any]],
    key: list[Column[Any]],
    moved: Mapping[Key, Key],
) -> Key:
    """Return the key that a row had before the one it refers to was moved."""
    values = list(row) if len(own) > 1 else [row]
    now = {theirs: values[own.index(mine)] for mine, theirs in follows.items()}
    for after, before in moved.items():
        new = dict(zip(key, after if len(key) > 1 else (after,), strict=True))
        if all(new[column] == value for column, value in now.items()):
            old = dict(zip(key, before if len(key) > 1 else (before,), strict=True))
            for mine, theirs in follows.items():
                values[own.index(mine)] = old[theirs]
            break
    return values[0] if len(own) == 1 else tuple(values)


def _locked(statement: Select[Any], table: Table, connection: Connection) -> Select[Any]:
    return statement.with_for_update(of=table if locks_one_table(connection.dialect) else None)


def _referred(edge: _Edge) -> Table:
    return edge.constraint.referred_table


def _edges(specs: Iterable[Table]) -> Iterator[_Edge]:
    collections: dict[MetaData, None] = dict.fromkeys(table.metadata for table in specs)
    for metadata in collections:
        for table in metadata.tables.values():
            for constraint in table.foreign_key_constraints:
                if constraint.ondelete or constraint.onupdate:
                    yield _Edge(constraint, table)
