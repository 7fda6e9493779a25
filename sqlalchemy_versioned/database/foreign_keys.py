"""Foreign keys by which a database acts by itself, each followed from the rows it refers to.

Facts of the metadata only; :mod:`..capture.reach` follows them, and :mod:`..capture.cascades` looks
up the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table

__all__ = ["ACTS", "Changed", "Edge", "acting_keys"]

#: What ``ON DELETE`` and ``ON UPDATE`` say where something is done.
ACTS = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})

#: The columns that a statement may change; ``None`` for any.
Changed = Collection[Column[Any]] | None


@dataclass(frozen=True)
class Edge:
    """A foreign key, followed from the rows it refers to."""

    constraint: ForeignKeyConstraint
    table: Table
    #: Whether it joins the tables of one object.
    is_inheritance: bool = False

    @cached_property
    def pairs(self) -> list[tuple[Column[Any], Column[Any]]]:
        """The columns of the table with the columns that they refer to."""
        return [(each.parent, each.column) for each in self.constraint.elements]

    @cached_property
    def referred(self) -> Table:
        """The table it refers to."""
        return self.constraint.referred_table

    @cached_property
    def own(self) -> frozenset[Column[Any]]:
        """The columns of the table."""
        return frozenset(mine for mine, _ in self.pairs)

    @cached_property
    def refers_to(self) -> frozenset[Column[Any]]:
        """The columns that it refers to."""
        return frozenset(theirs for _, theirs in self.pairs)

    @cached_property
    def on_delete(self) -> str:
        """What is done when rows are deleted that it refers to."""
        return _action(self.constraint.ondelete)

    @cached_property
    def on_update(self) -> str:
        """What is done when what it refers to is changed."""
        return _action(self.constraint.onupdate)

    @property
    def deletes(self) -> bool:
        """Whether rows go with those that they refer to."""
        return self.on_delete == "CASCADE"

    @property
    def empties(self) -> bool:
        """Whether rows lose what they refer to when that is changed."""
        return self.on_update != "CASCADE"

    def is_touched(self, changed: Changed) -> bool:
        """Tell whether changes of some columns may change what it refers to."""
        if changed is None:
            return True
        return any(each in changed or _changes_by_itself(each) for each in self.refers_to)


def acting_keys(tables: Iterable[Table]) -> Iterator[ForeignKeyConstraint]:
    """Yield the foreign keys of the metadata of some tables that make a database act."""
    collections: dict[MetaData, None] = dict.fromkeys(table.metadata for table in tables)
    for metadata in collections:
        for table in metadata.tables.values():
            for constraint in table.foreign_key_constraints:
                if constraint.ondelete or constraint.onupdate:
                    yield constraint


def _action(said: str | None) -> str:
    # PostgreSQL may be told which columns to empty.
    return " ".join((said or "").partition("(")[0].upper().split())


def _changes_by_itself(column: Column[Any]) -> bool:
    names = ("computed", "onupdate", "server_onupdate")
    return any(getattr(column, name, None) is not None for name in names)
