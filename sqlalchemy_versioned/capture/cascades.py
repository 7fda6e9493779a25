"""What the database itself does to other rows when rows are deleted or get other keys.

The rows are looked up while they still refer to those that go; whether they went as well is looked
up afterwards, as a database may be told to ignore its foreign keys.  Rows that follow another key
or value are looked up when they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Table

from ..database.foreign_keys import Changed, Edge
from ..database.keys import Key
from ..model.spec import VersionSpec
from .cascaded import Cascaded, Values
from .followers import Followers
from .reach import Reach
from .rows_behind import read_rows, referring_rows

__all__ = ["Cascades"]


@dataclass(frozen=True, slots=True)
class _Step:
    """Rows that are changed, and where."""

    table: Table
    keys: list[Key]
    changed: Changed
    #: Whether they lose their values rather than get others.
    empties: bool


class Cascades(Reach):
    """Looks up the rows behind; see :class:`.Reach` for the parameters."""

    def remaining(self, connection: Connection, spec: VersionSpec, keys: list[Key]) -> list[Key]:
        """Return which rows are there."""
        return self.taken(connection, spec.parent_table, keys)

    def taken(self, connection: Connection, table: Table, keys: list[Key]) -> list[Key]:
        """Return which keys of a table are taken, versioned or not."""
        return [key for key, _ in read_rows(connection, self.key_of(table), keys, [])]

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

    # -- updates -----------------------------------------------------------------------------

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
                for key, values in read_rows(connection, self.key_of(table), keys, columns)
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
            for edge in self.followed_by(step.table, step.changed):
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
        return Followers(self, connection, table, moved, values or {}).find(changed)

    # -- both --------------------------------------------------------------------------------

    def _add(self, found: dict[VersionSpec, list[Key]], table: Table, keys: list[Key]) -> None:
        spec = self.spec_of(table)
        if spec is not None and keys:
            known = found.get(spec, ())
            found[spec] = list(dict.fromkeys((*known, *keys)))

    def _add_emptied(self, found: Cascaded, edge: Edge, keys: list[Key]) -> None:
        self._add(found.updated, edge.table, keys)
        spec = self.spec_of(edge.table)
        if spec is not None and not edge.own.isdisjoint(self.key_of(edge.table)):
            found.unknown[spec] = None

    def _referring(self, connection: Connection, edge: Edge, keys: list[Key]) -> list[Key]:
        """Return the keys of the rows that refer to rows with *keys*."""
        own, key = self.key_of(edge.table), self.key_of(edge.referred)
        return [row for row, _ in referring_rows(connection, edge, own, key, keys)]
