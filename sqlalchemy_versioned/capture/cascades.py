"""What the database itself does to other rows when rows are deleted or get other keys.

Known from the foreign keys of the metadata: ``ON DELETE`` and ``ON UPDATE`` with ``CASCADE``,
``SET NULL`` or ``SET DEFAULT``, over any number of tables, versioned or not, and in circles.  The
rows are looked up while they still refer to those that go; whether they went as well is looked up
afterwards, as a database may be told to ignore its foreign keys.  Rows that follow another key or
value are looked up when they do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Column, Connection, ForeignKeyConstraint, Table, select

from .._typing import new_dict
from ..database.dialects import locks_one_table
from ..database.foreign_keys import ACTS, Changed, Edge, acting_keys
from ..database.keys import Key, KeyConditions, KeyParameters, bare_key, key_values
from ..model.spec import VersionSpec
from .textual_writes import TextualActs

__all__ = ["Cascaded", "Cascades", "Values"]

#: Values of some columns, by the keys of rows.
Values = dict[Key, dict[Column[Any], Any]]


@dataclass(slots=True)
class Cascaded:
    """Rows of versioned tables that the database deletes or changes along with others."""

    deleted: dict[VersionSpec, list[Key]] = field(default_factory=new_dict)
    #: Rows that lose what they refer to.
    updated: dict[VersionSpec, list[Key]] = field(default_factory=new_dict)
    #: Rows that follow what they refer to; they are looked up again when they have done so.
    following: dict[VersionSpec, list[Key]] = field(default_factory=new_dict)
    #: Tables of which rows get keys that cannot be known beforehand.
    unknown: dict[VersionSpec, None] = field(default_factory=new_dict)
    #: What rows that are updated had in columns which others follow.
    values: dict[Table, Values] = field(default_factory=new_dict)

    def __bool__(self) -> bool:
        return bool(self.deleted or self.updated)

    def without(self, others: Mapping[VersionSpec, Collection[Key]]) -> Cascaded:
        """Return all but some rows."""

        def left(found: Mapping[VersionSpec, list[Key]]) -> dict[VersionSpec, list[Key]]:
            rest = {s: [k for k in keys if k not in others.get(s, ())] for s, keys in found.items()}
            return {spec: keys for spec, keys in rest.items() if keys}

        return replace(
            self,
            deleted=left(self.deleted),
            updated=left(self.updated),
            following=left(self.following),
        )

    def extend(self, other: Cascaded) -> None:
        """Add further rows."""
        for mine, theirs in (
            (self.deleted, other.deleted),
            (self.updated, other.updated),
            (self.following, other.following),
        ):
            for spec, keys in theirs.items():
                known = mine.get(spec, ())
                mine[spec] = list(dict.fromkeys((*known, *keys)))
        self.unknown.update(other.unknown)
        for table, values in other.values.items():
            self.values.setdefault(table, {}).update(values)


@dataclass(frozen=True, slots=True)
class _Step:
    """Rows that are changed, and where."""

    table: Table
    keys: list[Key]
    changed: Changed
    #: Whether they lose their values rather than get others.
    empties: bool


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
        edges = [Edge(each, each.table, self._is_inheritance(each)) for each in acting_keys(specs)]
        followed = [edge for edge in edges if edge.on_update in ACTS]
        self._on_update = self._useful(followed, set(specs))
        # A row that loses what it refers to may be followed by others in turn.
        ends = {*specs, *self._on_update}
        self._on_delete = self._useful([e for e in edges if e.on_delete in ACTS], ends)

    def _useful(self, edges: Iterable[Edge], reached: set[Table]) -> dict[Table, list[Edge]]:
        """Return the foreign keys by the table they refer to, those that lead to versions."""
        remaining = list(edges)
        # Backwards from versioned tables: what leads to none of them need not be asked about.
        while more := {e.referred for e in remaining if e.table in reached} - reached:
            reached |= more
        found: dict[Table, list[Edge]] = {}
        for edge in remaining:
            if edge.table in reached:
                found.setdefault(edge.referred, []).append(edge)
        return found

    def _is_inheritance(self, constraint: ForeignKeyConstraint) -> bool:
        """Tell whether a foreign key joins the tables of one object, which go together."""
        spec = self._specs.get(constraint.table)
        referred = self._specs.get(constraint.referred_table)
        if spec is None or referred is None or referred not in self._related(spec):
            return False
        # A foreign key of another column may join the same two tables, and acts by itself.
        own = {each.parent for each in constraint.elements}
        return own == {pair.parent for pair in spec.key}

    def key_of(self, table: Table) -> list[Column[Any]]:
        """Return the columns by which the rows of a table are told apart."""
        spec = self._specs.get(table)
        if spec is not None:
            return [pair.parent for pair in spec.key]
        return list(table.primary_key.columns) or list(table.columns)

    def remaining(self, connection: Connection, spec: VersionSpec, keys: list[Key]) -> list[Key]:
        """Return which rows are there."""
        return self.taken(connection, spec.parent_table, keys)

    def taken(self, connection: Connection, table: Table, keys: list[Key]) -> list[Key]:
        """Return which keys of a table are taken, versioned or not."""
        return [key for key, _ in self._read(connection, table, keys, [])]

    def _read(
        self, connection: Connection, table: Table, keys: list[Key], columns: list[Column[Any]]
    ) -> Iterator[tuple[Key, list[Any]]]:
        """Yield the keys of rows that are there, with the values of some columns."""
        own = self.key_of(table)
        for part in KeyParameters(own, connection.dialect).sets(keys).chunks():
            member = KeyConditions(own, part.style).member(own, "keys")
            statement = select(*_labelled(own, "key"), *_labelled(columns, "value")).where(member)
            for row in connection.execute(statement, part.parameters()):
                yield bare_key(row[: len(own)]), list(row[len(own) :])

    def named(self, name: str) -> list[Table]:
        """Return the tables of a name that others refer to, in any schema."""
        referred = {**self._on_delete, **self._on_update}
        return [table for table in referred if table.name.lower() == name.lower()]

    def reached(self, table: Table) -> list[VersionSpec]:
        """Return the tables of which rows may be changed or deleted along with those of a table."""
        found: dict[Table, None] = {}
        waiting = [table]
        while waiting:
            referred = waiting.pop()
            edges = (*self._on_delete.get(referred, ()), *self._on_update.get(referred, ()))
            new = dict.fromkeys(edge.table for edge in edges if edge.table not in found)
            found |= new
            waiting += new
        return [self._specs[each] for each in found if each in self._specs]

    def textual_acts(self) -> TextualActs:
        """Return what finds SQL text that may bring about a change of versioned rows."""
        return TextualActs(
            [table for table in self._on_delete if self.acts_on_delete(table)],
            {
                table: {c.name for edge in edges for c in edge.refers_to}
                for table in self._on_update
                if (edges := list(self._first_edges(table, None)))
            },
        )

    # -- deletions ---------------------------------------------------------------------------

    def acts_on_delete(self, table: Table) -> bool:
        """Tell whether deleting rows of a table may do something to rows of other objects."""
        return any(not edge.is_inheritance for edge in self._on_delete.get(table, ()))

    def of_deleted(self, connection: Connection, table: Table, keys: list[Key]) -> Cascaded:
        """Return what deleting rows is going to do; locks the rows."""
        found = Cascaded()
        seen: dict[Table, set[Key]] = {table: set(keys)}
        waiting = [(table, keys)]
        emptied: list[_Step] = []
        while waiting:
            referred, gone = waiting.pop()
            for edge in self._on_delete.get(referred, ()):
                # The other tables of an object are asked about by themselves.
                if edge.is_inheritance and referred is table:
                    continue
                rows = self._referring(connection, edge, gone)
                # Rows may refer to each other in a circle, or be reached by several ways.
                new = [key for key in rows if key not in seen.setdefault(edge.table, set())]
                if edge.deletes and new:
                    self._add(found.deleted, edge.table, new)
                    seen[edge.table].update(new)
                    waiting.append((edge.table, new))
                elif new:
                    self._add_emptied(found, edge, new)
                    emptied.append(_Step(edge.table, new, edge.own, empties=True))
        self._follow(connection, emptied, found)
        for spec, some in found.updated.items():
            # Who is emptied by one foreign key and deleted by another is deleted.
            found.updated[spec] = [k for k in some if k not in seen.get(spec.parent_table, ())]
        return found

    def may_move_keys_on_delete(self, table: Table) -> bool:
        """Tell whether rows behind may get other keys when rows of a table are deleted."""
        waiting = [(edge, edge.deletes) for edge in self._on_delete.get(table, ())]
        seen = set(waiting)
        while waiting:
            edge, deletes = waiting.pop()
            if not deletes and not edge.own.isdisjoint(self.key_of(edge.table)):
                return True
            if deletes:
                further = [(each, each.deletes) for each in self._on_delete.get(edge.table, ())]
            else:
                edges = self._on_update.get(edge.table, ())
                further = [(each, False) for each in edges if each.is_touched(edge.own)]
            waiting += [each for each in further if each not in seen]
            seen.update(further)
        return False

    # -- updates -----------------------------------------------------------------------------

    def acts_on_update(self, table: Table, changed: Changed = None) -> bool:
        """Tell whether changing columns of a table may do something to versioned rows."""
        return table in self._on_update and any(self._first_edges(table, changed))

    def _first_edges(self, table: Table, changed: Changed) -> Iterator[Edge]:
        for edge in self._on_update.get(table, ()):
            if not edge.is_inheritance and edge.is_touched(changed):
                yield edge

    def behind(self, table: Table, changed: Changed = None) -> list[VersionSpec]:
        """Return the tables of which rows may be changed along with updates of a table."""
        tables = dict.fromkeys(edge.table for edge in self._behind(table, changed))
        return [self._specs[each] for each in tables if each in self._specs]

    def _behind(self, table: Table, changed: Changed) -> Iterable[Edge]:
        found: dict[Edge, None] = dict.fromkeys(self._first_edges(table, changed))
        waiting = list(found)
        while waiting:
            edge = waiting.pop()
            for further in self._on_update.get(edge.table, ()):
                if further not in found and further.is_touched(edge.own):
                    found[further] = None
                    waiting.append(further)
        return found

    def must_look_first(self, table: Table, changed: Changed = None) -> bool:
        """Tell whether what an update does to others cannot be told from what there is after it."""
        # Afterwards nothing tells any more what the rows referred to.
        if any(edge.empties for edge in self._behind(table, changed)):
            return True
        return any(
            not edge.refers_to <= set(self.key_of(table)) and self._is_followed(edge)
            for edge in self._first_edges(table, changed)
        )

    def _is_followed(self, edge: Edge) -> bool:
        """Tell whether more depends on what the rows of a table refer to."""
        if not edge.own.isdisjoint(self.key_of(edge.table)):
            return True
        return any(each.is_touched(edge.own) for each in self._on_update.get(edge.table, ()))

    def referring(
        self, connection: Connection, table: Table, keys: list[Key], changed: Changed = None
    ) -> Cascaded:
        """Return what updating rows may do to others; locks them."""
        found = Cascaded()
        self._follow(connection, [_Step(table, keys, changed, empties=False)], found, table)
        followed = dict.fromkeys(
            theirs for edge in self._first_edges(table, changed) for theirs in edge.refers_to
        )
        # Keys are known; what else is followed must be read while the rows still have it.
        columns = [column for column in followed if column not in self.key_of(table)]
        if columns:
            found.values[table] = {
                key: dict(zip(columns, values, strict=True))
                for key, values in self._read(connection, table, keys, columns)
            }
        return found

    def _follow(
        self,
        connection: Connection,
        waiting: list[_Step],
        found: Cascaded,
        start: Table | None = None,
    ) -> None:
        """Find rows that refer to what is going to be changed, and those that refer to them."""
        seen: dict[tuple[Edge, bool], set[Key]] = {}
        while waiting:
            step = waiting.pop()
            for edge in self._on_update.get(step.table, ()):
                if not edge.is_touched(step.changed):
                    continue
                if edge.is_inheritance and step.table is start:
                    continue
                empties = step.empties or edge.empties
                known = seen.setdefault((edge, empties), set())
                rows = [k for k in self._referring(connection, edge, step.keys) if k not in known]
                if not rows:
                    continue
                known.update(rows)
                if empties:
                    self._add_emptied(found, edge, rows)
                else:
                    self._add(found.following, edge.table, rows)
                waiting.append(_Step(edge.table, rows, edge.own, empties))

    def of_updated(
        self,
        connection: Connection,
        table: Table,
        moved: Mapping[Key, Key],
        changed: Changed = None,
        values: Values | None = None,
    ) -> dict[VersionSpec, dict[Key, Key]]:
        """Return which rows may have followed rows that were updated.

        :param moved: for the key of each row that was updated, the key that it had before.
        :param values: what the rows had in other columns that are followed, by those keys.
        :returns: the same, for the rows of each versioned table that refer to them.
        """
        key = self.key_of(table)
        start: Values = {}
        for now, before in moved.items():
            # Only the parts of the key that differ are followed by anybody.
            pairs = zip(key, key_values(now), key_values(before), strict=True)
            start[now] = {c: old for c, new, old in pairs if new != old}
            start[now].update((values or {}).get(before, {}))
        formers = {table: start}
        waiting = [_Step(table, list(moved), changed, empties=False)]
        found: dict[VersionSpec, dict[Key, Key]] = {}
        seen: dict[Edge, set[Key]] = {}
        while waiting:
            step = waiting.pop()
            for edge in self._on_update.get(step.table, ()):
                is_own = edge.is_inheritance and step.table is table
                if is_own or edge.empties or not edge.is_touched(step.changed):
                    continue
                known = seen.setdefault(edge, set())
                rows = self._followed(connection, edge, step.keys, formers, known)
                if rows:
                    waiting.append(_Step(edge.table, rows, edge.own, empties=False))
                    self._note(found, edge.table, rows, formers[edge.table])
        return found

    def _followed(
        self,
        connection: Connection,
        edge: Edge,
        keys: list[Key],
        formers: dict[Table, Values],
        seen: set[Key],
    ) -> list[Key]:
        """Return the rows that refer to rows by now, and note what they had before."""
        parents = formers[edge.referred]
        if edge.refers_to <= set(self.key_of(edge.referred)):
            # Rows whose key is as it was are followed by nobody.
            keys = [key for key in keys if parents[key]]
        found: list[Key] = []
        here = formers.setdefault(edge.table, {})
        for row, parent in self._pairs(connection, edge, keys) if keys else ():
            had = parents[parent]
            before = {mine: had[theirs] for mine, theirs in edge.pairs if theirs in had}
            known = here.setdefault(row, {})
            if row not in seen or any(known.get(c, known) != v for c, v in before.items()):
                known.update(before)
                found.append(row)
        seen.update(found)
        return found

    def _note(
        self,
        found: dict[VersionSpec, dict[Key, Key]],
        table: Table,
        rows: list[Key],
        formers: Values,
    ) -> None:
        spec, own = self._specs.get(table), self.key_of(table)
        if spec is None:
            return
        for row in rows:
            before = [formers[row].get(c, now) for c, now in zip(own, key_values(row), strict=True)]
            found.setdefault(spec, {})[row] = bare_key(before)

    # -- both --------------------------------------------------------------------------------

    def _add(self, found: dict[VersionSpec, list[Key]], table: Table, keys: list[Key]) -> None:
        spec = self._specs.get(table)
        if spec is not None and keys:
            known = found.get(spec, ())
            found[spec] = list(dict.fromkeys((*known, *keys)))

    def _add_emptied(self, found: Cascaded, edge: Edge, keys: list[Key]) -> None:
        self._add(found.updated, edge.table, keys)
        spec = self._specs.get(edge.table)
        if spec is not None and not edge.own.isdisjoint(self.key_of(edge.table)):
            found.unknown[spec] = None

    def _referring(self, connection: Connection, edge: Edge, keys: list[Key]) -> list[Key]:
        """Return the keys of the rows that refer to rows with *keys*."""
        return [row for row, _ in self._pairs(connection, edge, keys)]

    def _pairs(
        self, connection: Connection, edge: Edge, keys: list[Key]
    ) -> Iterator[tuple[Key, Key]]:
        """Yield the keys of the rows that refer to rows with *keys*, each with its row's."""
        key, own = self.key_of(edge.referred), self.key_of(edge.table)
        rows = edge.referred.alias("versioned_referred")
        columns = [rows.c[column.key] for column in key]
        same = [mine == rows.c[theirs.key] for mine, theirs in edge.pairs]
        of = edge.table if locks_one_table(connection.dialect) else None
        for part in KeyParameters(key, connection.dialect).sets(keys).chunks():
            member = KeyConditions(key, part.style).member(columns, "keys")
            shown = (*_labelled(own, "key"), *_labelled(columns, "referred"))
            statement = select(*shown).where(*same, member).with_for_update(of=of)
            for row in connection.execute(statement, part.parameters()).all():
                yield bare_key(row[: len(own)]), bare_key(row[len(own) :])


def _labelled(columns: Iterable[Any], word: str) -> list[Any]:
    return [column.label(f"{word}_{place}") for place, column in enumerate(columns)]
