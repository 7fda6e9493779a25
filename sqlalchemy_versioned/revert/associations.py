"""Association tables whose rows say more than what they link: a position, a role, a surrogate key.

A relationship fills the columns that link and leaves the others to their defaults.  What they held
is in the history of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, null
from sqlalchemy.orm import RelationshipProperty

from .. import _sqlalchemy
from .._typing import is_table
from ..model.lookup import table_spec_of
from .columns import is_made

__all__ = ["Association", "Key", "Row", "association_of", "link_columns"]

Key = tuple[Any, ...]
Row = dict[Column[Any], Any]


@dataclass(frozen=True, slots=True)
class Association:
    """A versioned association table with columns besides those that link."""

    table: Table
    #: The columns that relationships fill, in the order of the table.
    link: tuple[Column[Any], ...]
    #: The columns that are kept and can be put back.
    more: tuple[Column[Any], ...]

    @property
    def surrogate(self) -> frozenset[Column[Any]]:
        """The primary key, if it says nothing of what is linked."""
        primary = frozenset(self.table.primary_key.columns)
        return primary if primary.isdisjoint(self.link) else frozenset()

    def expressions(self, find: Callable[[Column[Any]], Any]) -> list[ColumnElement[Any]]:
        """Return what to select for :meth:`row`.

        :param find: gives what stands for a column.
        """
        found = [find(column) for column in (*self.link, *self.more)]
        # SQL NULL and the JSON value null are both loaded as None.
        return [*found, *[each.is_(None) for each in found if each.type.should_evaluate_none]]

    def row(self, selected: Sequence[Any]) -> Row:
        """Return the values of a row, by column."""
        columns = (*self.link, *self.more)
        row = dict(zip(columns, selected, strict=False))
        nulls = [column for column in columns if column.type.should_evaluate_none]
        for column, is_null in zip(nulls, selected[len(columns) :], strict=True):
            if is_null:
                row[column] = null()
        return row

    def key(self, row: Mapping[Column[Any], Any]) -> Key:
        """Return what a row links."""
        return tuple(row[column] for column in self.link)


def association_of(relationship: RelationshipProperty[Any]) -> Association | None:
    """Return the association table of a relationship, if it has columns to put back."""
    table = relationship.secondary
    if not is_table(table):
        return None
    spec, filled = table_spec_of(table), {*_sqlalchemy.association_columns(relationship)}
    more = tuple(
        column
        for column in table.c
        if column not in filled and not is_made(column) and spec.version_column(column) is not None
    )
    return Association(table, tuple(c for c in table.c if c in filled), more) if more else None


def link_columns(
    relationship: RelationshipProperty[Any], owner: Any, member: Any
) -> dict[Column[Any], Any]:
    """Return what the columns that link hold between two live objects."""
    pairs: Any = relationship.synchronize_pairs
    near = [(owner, relationship.parent, pair) for pair in pairs]
    far: Any = relationship.secondary_synchronize_pairs or ()
    return {
        column: getattr(obj, mapper.get_property_by_column(source).key)
        for obj, mapper, (source, column) in (
            *near,
            *[(member, relationship.mapper, pair) for pair in far],
        )
    }
