"""How far foreign keys carry what is done to the rows of a table, as the metadata tells.

``ON DELETE`` and ``ON UPDATE`` with ``CASCADE``, ``SET NULL`` or ``SET DEFAULT`` count, over any
number of tables, versioned or not, and in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Table

from ..database.foreign_keys import ACTS, Changed, Edge, acting_keys
from ..model.spec import VersionSpec
from .textual_writes import TextualActs

__all__ = ["Reach"]


class Reach:
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

    def spec_of(self, table: Table) -> VersionSpec | None:
        """Return how a table is versioned, if it is."""
        return self._specs.get(table)

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
                further = [(each, False) for each in self.followed_by(edge.table, edge.own)]
            waiting += [each for each in further if each not in seen]
            seen.update(further)
        return False

    # -- updates -----------------------------------------------------------------------------

    def acts_on_update(self, table: Table, changed: Changed = None) -> bool:
        """Tell whether changing columns of a table may do something to versioned rows."""
        return table in self._on_update and any(self._first_edges(table, changed))

    def followed_by(self, table: Table, changed: Changed) -> Iterator[Edge]:
        """Yield the foreign keys by which others follow columns of a table, if they are changed."""
        for edge in self._on_update.get(table, ()):
            if edge.is_touched(changed):
                yield edge

    def _first_edges(self, table: Table, changed: Changed) -> Iterator[Edge]:
        for edge in self.followed_by(table, changed):
            if not edge.is_inheritance:
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
            for further in self.followed_by(edge.table, edge.own):
                if further not in found:
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
        return any(self.followed_by(edge.table, edge.own))
