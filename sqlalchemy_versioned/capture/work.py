"""What is to be recorded of the tables of one hierarchy, as it is collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Mapper

from .._typing import new_dict, new_set
from ..database.keys import Key
from ..model.spec import Hierarchy, VersionSpec
from ..recording.changes import Changes

__all__ = ["Work"]


@dataclass(slots=True)
class Work:
    """The changes to the tables of one hierarchy."""

    hierarchy: Hierarchy
    mapper: Mapper[Any] | None
    connection: Connection | None = None
    changes: dict[VersionSpec, Changes] = field(default_factory=new_dict)
    #: Whether anything is to be recorded.
    is_telling: bool = False
    #: Rows that were there before, of what was linked.
    standing: set[Key] = field(default_factory=new_set)
