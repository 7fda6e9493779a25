"""Foreign keys by which a database acts by itself, each followed from the rows it refers to.

Facts of the metadata only; :mod:`..capture.reach` follows them, and :mod:`..capture.cascades` looks
up the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.exc import NoReferenceError

__all__ = ["ACTS", "Changed", "Edge", "acting_keys", "referring_tables"]

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
    for constraint in _keys_beside(tables):
        if constraint.ondelete or constraint.onupdate:
            yield constraint


def referring_tables(tables: Collection[Table]) -> dict[Table, set[Table]]:
    """Return the tables that refer to others, by these, as far as they lead to some tables.

    Whatever is done along with deletions: ``TRUNCATE … CASCADE`` empties them.
    """
    referring: dict[Table, set[Table]] = {}
    for constraint in _keys_beside(tables):
        # A key may lead to a table that is declared later, or never.
        with suppress(NoReferenceError):
            referring.setdefault(constraint.referred_table, set()).add(constraint.table)
    reached = set(tables)
    while more := {t for t, others in referring.items() if others & reached} - reached:
        reached |= more
    return {t: others & reached for t, others in referring.items() if others & reached}


def _keys_beside(tables: Iterable[Table]) -> Iterator[ForeignKeyConstraint]:
    """Yield the foreign keys of the metadata of some tables."""
    collections: dict[MetaData, None] = dict.fromkeys(table.metadata for table in tables)
    for metadata in collections:
        for table in metadata.tables.values():
            yield from table.foreign_key_constraints


def _action(said: str | None) -> str:
    # PostgreSQL may be told which columns to empty.
    return " ".join((said or "").partition("(")[0].upper().split())


def _changes_by_itself(column: Column[Any]) -> bool:
    names = ("computed", "onupdate", "server_onupdate")
    return any(getattr(column, name, None) is not None for name in names)
