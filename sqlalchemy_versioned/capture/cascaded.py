"""Rows that the database changes along with others, as they are found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Column, Table

from .._typing import new_dict
from ..database.keys import Key
from ..model.spec import VersionSpec

__all__ = ["Cascaded", "Values"]

#: Values of some columns, by the keys of rows.
Values = dict[Key, dict[Column[Any], Any]]


@dataclass(slots=True)
class Cascaded:
    """Rows of versioned tables that the database deletes or changes along with others."""

    deleted: dict[VersionSpec, list[Key]] = field(default_factory=new_dict)
    #: Rows that lose what they refer to.
    updated: dict[VersionSpec, list[Key]] = field(default_factory=new_dict)
    #: Rows that follow what they refer to; they are looked up again when they have done so.
    following: dict[VersionSpec, list[Key]] = field(default_factory=new_dict)
    #: Tables of which rows get keys that cannot be known beforehand.
    unknown: dict[VersionSpec, None] = field(default_factory=new_dict)
    #: What rows that are updated had in columns which others follow.
    values: dict[Table, Values] = field(default_factory=new_dict)

    def __bool__(self) -> bool:
        return bool(self.deleted or self.updated)

    def without(self, others: Mapping[VersionSpec, Collection[Key]]) -> Cascaded:
        """Return all but some rows."""

        def left(found: Mapping[VersionSpec, list[Key]]) -> dict[VersionSpec, list[Key]]:
            rest = {s: [k for k in keys if k not in others.get(s, ())] for s, keys in found.items()}
            return {spec: keys for spec, keys in rest.items() if keys}

        return replace(
            self,
            deleted=left(self.deleted),
            updated=left(self.updated),
            following=left(self.following),
        )

    def extend(self, other: Cascaded) -> None:
        """Add further rows."""
        for mine, theirs in (
            (self.deleted, other.deleted),
            (self.updated, other.updated),
            (self.following, other.following),
        ):
            for spec, keys in theirs.items():
                known = mine.get(spec, ())
                mine[spec] = list(dict.fromkeys((*known, *keys)))
        self.unknown.update(other.unknown)
        for table, values in other.values.items():
            self.values.setdefault(table, {}).update(values)
