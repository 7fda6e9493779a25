"""What is asked for of statements: the shape of images, and the row of a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Insert,
    Table,
    bindparam,
    insert,
    select,
)
from sqlalchemy import Sequence as Numbers

from ..model.operation import Operation

__all__ = ["Insertion", "Shape", "Transaction"]


class Shape(NamedTuple):
    """What distinguishes the statements that take images."""

    #: The one operation, or ``None`` for several.
    operation: Operation | None
    #: Which rows are filtered: ``""`` none, ``"changed"``, ``"listed"`` (the changed of some),
    #: ``"unopened"`` (those that no open version is in the way of).
    condition: str
    replaces: bool
    locks: bool
    #: Whether rows that are nothing but their key come along.
    gives: bool = False
    #: The values given of added columns: the key of the column, and which rows have the value,
    #: as the name of a set of keys, or ``None`` for all.
    added: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Insertion:
    """A row of a table that is about to be written, numbered by the database.

    :param values: what is known of it, defaults included, by the key of the column.
    :param numbers: the sequence that it gets its number from, if a column says so.
    """

    table: Table
    values: Mapping[str, Any]
    numbers: Numbers | None

    def statement(self, prefix: str) -> Insert:
        """Insert the row, with named parameters."""
        named: dict[Any, Any] = {**self._named(prefix)}
        if self.numbers is not None:
            (number,) = self.table.primary_key
            named[number] = self.numbers.next_value()
        return insert(self.table).values(named)

    def following(self, prefix: str, number: ColumnElement[int]) -> Insert:
        """Insert the row once for each row that *number* is a column of, and with that number."""
        named = self._named(prefix)
        names: list[Any] = [*self.table.primary_key, *named]
        labelled = [value.label(column.name) for column, value in named.items()]
        source = select(number, *labelled)
        return insert(self.table).from_select(names, source, include_defaults=False)

    def _named(self, prefix: str) -> dict[Column[Any], BindParameter[Any]]:
        columns = self.table.c
        return {
            columns[key]: bindparam(f"{prefix}begun_{key}", type_=columns[key].type)
            for key in self.values
        }

    def parameters(self, prefix: str) -> dict[str, Any]:
        """Return the parameters that these statements need."""
        return {f"{prefix}begun_{key}": value for key, value in self.values.items()}


class Transaction(Protocol):
    """The transaction that is recorded."""

    @property
    def id(self) -> int:
        """Its number, drawn when it is first asked for."""
        ...

    def insertion(self, connection: Connection) -> Insertion | None:
        """Return how to write it through *connection* along with something else.

        ``None`` if it is written, or must be written alone.
        """
        ...

    def begun(self, insertion: Insertion, number: int) -> None:
        """Note that it was written so."""
