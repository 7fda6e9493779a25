"""Statements that are being executed, with what was found out about them before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Session

from .._typing import new_dict, new_list, new_set
from ..database.keys import Key
from .cascaded import Cascaded
from .keyless import KeylessWrite
from .recorder import Target
from .writes import Write

__all__ = ["KeylessPending", "Pending", "Waiting"]


@dataclass(slots=True)
class Pending:
    """A statement that is being executed."""

    statement: Any
    write: Write
    table: Table
    #: ``None`` for a table that is not versioned and has others behind it.
    target: Target | None
    session: Session
    #: The rows that it is going to change, with what their keys are going to be.
    moved: dict[Key, Key] = field(default_factory=new_dict)
    #: What the database is going to do along with it.
    cascaded: Cascaded = field(default_factory=Cascaded)
    #: Whether the application did not ask for the rows that come back.
    is_ours: bool = False
    #: Whether the statement returns the keys of the rows that it has changed.
    tells_itself: bool = False
    #: The sets of parameters, if they are not those that the application gave.
    sets: Sequence[Mapping[str, Any]] | None = None
    #: The columns that it may change of rows that are there.
    changed: set[Column[Any]] = field(default_factory=new_set)
    #: The columns that it gives to rows that it makes, where that is to be known.
    given: set[Column[Any]] = field(default_factory=new_set)
    #: The rows that an INSERT may meet.
    met: list[Key] = field(default_factory=new_list)

    def tables(self) -> list[Table]:
        """Return the tables that the rows of the statement are in, by the same keys."""
        if self.target is None:
            return [self.table]
        return [spec.parent_table for spec in self.target.specs()]


@dataclass(slots=True)
class KeylessPending:
    """A statement that is being executed on a table without a key."""

    statement: Any
    write: KeylessWrite
    target: Target
    session: Session


#: Statements that are being executed, each in the midst of the one before.
Waiting = list[Pending | KeylessPending]
