"""What the rows of a page of change records have, and where: written once, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, Select

from ..model.spec import ClassSpec

__all__ = ["BuiltChanges", "Columns", "Fields", "Layout", "Place"]


class Place(NamedTuple):
    """Where a row has what versions hold in a column."""

    own: int
    #: Where it has what the version before held.
    former: int
    #: Where it says that both are the same; ``None`` for columns that cannot differ.
    same: int | None
    #: Whether both are flags that stand for values which are not told.
    is_masked: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a row.

    It has the transaction (id, moment, ``facts``), the key of the object, the operation, the
    operation of the version before, the discriminator, then what :class:`Columns` tell, and what
    the object is called, if that is not its key.
    """

    #: Names of what is known of a transaction beside id and moment.
    facts: tuple[str, ...]
    key_size: int

    def fact(self, name: str) -> int:
        """Return where something is that is known of the transaction."""
        return 2 + self.facts.index(name)

    @property
    def key(self) -> slice:
        """Where the key of the object is."""
        start = 2 + len(self.facts)
        return slice(start, start + self.key_size)

    @property
    def operation(self) -> int:
        """Where the operation is, before that of the version before."""
        return 2 + len(self.facts) + self.key_size

    @property
    def discriminator(self) -> int:
        """Where it is said of which class the object is."""
        return self.operation + 2

    @property
    def columns(self) -> int:
        """Where columns begin."""
        return self.operation + 3


class Columns:
    """The version columns whose values rows have.

    A row has the values of all, then what the version before held in those that may differ, then
    whether it was the same.
    """

    def __init__(
        self, start: int, own: Sequence[Column[Any]], differing: Sequence[Column[Any]]
    ) -> None:
        self.own = own
        self.differing = differing
        self._start = start
        # Types may compare columns in a way of their own, so that no list finds them.
        self._own = {column: place for place, column in enumerate(own)}
        self._differing = {column: place for place, column in enumerate(differing)}

    def place(self, column: Column[Any], *, is_masked: bool = False) -> Place:
        """Return where rows have a column."""
        own = self._start + self._own[column]
        if column not in self._differing:
            return Place(own, own, None)
        former = self._start + len(self.own) + self._differing[column]
        return Place(own, former, former + len(self.differing), is_masked)


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """What a row has of an object of one class."""

    spec: ClassSpec
    columns: tuple[tuple[str, Place], ...]
    #: Relationships, with the columns that name the target.
    references: tuple[tuple[str, tuple[Place, ...]], ...]

    @property
    def differing(self) -> tuple[tuple[str, Place], ...]:
        """The columns that an update may have changed."""
        return tuple(each for each in self.columns if each[1].same is not None)


@dataclass(frozen=True, slots=True, eq=False)
class BuiltChanges:
    """A statement that reads changes, and what its rows are made of."""

    statement: Select[Any]
    layout: Layout
    #: Those of the facts that are the key of the user.
    user: tuple[str, ...]
    #: The fields of each class by its discriminator.
    fields: Mapping[Any, Fields]
    #: The fields of all other objects.
    others: Fields
    #: The relationships that rows beside the object tell of, and whether they have one member.
    memberships: Mapping[str, bool]
    #: Whether the last column has what the object is called by.
    is_named: bool
