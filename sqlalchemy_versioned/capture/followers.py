"""Rows that have followed others, found when they have done so: ``ON UPDATE CASCADE``."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table

from ..database.foreign_keys import Changed, Edge
from ..database.keys import Key, bare_key, key_values
from ..model.spec import VersionSpec
from .cascaded import Values
from .reach import Reach
from .rows_behind import referring_rows

__all__ = ["Followers"]


class Followers:
    """The rows that may have followed updated rows of one table, directly or not.

    :param moved: for the key of each row that was updated, the key that it had before.
    :param values: what the rows had in other columns that are followed, by those keys.
    """

    def __init__(
        self,
        reach: Reach,
        connection: Connection,
        table: Table,
        moved: Mapping[Key, Key],
        values: Values,
    ) -> None:
        self._reach = reach
        self._connection = connection
        self._table = table
        #: What rows had before in columns that are followed, by the keys that they have now.
        self._formers: dict[Table, Values] = {table: self._starts(moved, values)}
        #: The rows that each foreign key has led to.
        self._seen: dict[Edge, set[Key]] = {}

    def _starts(self, moved: Mapping[Key, Key], values: Values) -> Values:
        key, starts = self._reach.key_of(self._table), Values()
        for now, before in moved.items():
            # Only the parts of the key that differ are followed by anybody.
            pairs = zip(key, key_values(now), key_values(before), strict=True)
            starts[now] = {column: old for column, new, old in pairs if new != old}
            starts[now].update(values.get(before, {}))
        return starts

    def find(self, changed: Changed) -> dict[VersionSpec, dict[Key, Key]]:
        """Return the rows of versioned tables by the keys that they have now, with those they had.

        :param changed: the columns of the first table that were changed.
        """
        found: dict[VersionSpec, dict[Key, Key]] = {}
        waiting = [(self._table, list(self._formers[self._table]), changed)]
        while waiting:
            table, keys, changed = waiting.pop()
            for edge in self._reach.followed_by(table, changed):
                if edge.empties or (edge.is_inheritance and table is self._table):
                    continue
                if rows := self._followed(edge, keys):
                    waiting.append((edge.table, rows, edge.own))
                    if spec := self._reach.spec_of(edge.table):
                        found.setdefault(spec, {}).update(self._keys_before(edge.table, rows))
        return found

    def _followed(self, edge: Edge, keys: list[Key]) -> list[Key]:
        """Return the rows that refer to rows by now, and note what they had before."""
        parents, here = self._formers[edge.referred], self._formers.setdefault(edge.table, {})
        seen = self._seen.setdefault(edge, set())
        own, key = self._reach.key_of(edge.table), self._reach.key_of(edge.referred)
        if edge.refers_to <= set(key):
            # Rows whose key is as it was are followed by nobody.
            keys = [each for each in keys if parents[each]]
        found: list[Key] = []
        for row, parent in referring_rows(self._connection, edge, own, key, keys) if keys else ():
            had = parents[parent]
            before = {mine: had[theirs] for mine, theirs in edge.pairs if theirs in had}
            known = here.setdefault(row, {})
            if row not in seen or any(known.get(c, known) != v for c, v in before.items()):
                known.update(before)
                found.append(row)
        seen.update(found)
        return found

    def _keys_before(self, table: Table, rows: list[Key]) -> dict[Key, Key]:
        own, formers = self._reach.key_of(table), self._formers[table]
        pairs = {row: zip(own, key_values(row), strict=True) for row in rows}
        return {
            row: bare_key([formers[row].get(column, now) for column, now in pair])
            for row, pair in pairs.items()
        }
