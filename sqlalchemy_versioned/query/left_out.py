"""Rows and versions of classes that are not recorded, in tables of some that are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, exists, false, func, not_, true

from ..model.spec import VersionSpec

__all__ = ["LeftOut", "Others", "is_meant", "is_told", "same_object"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a table that belong to classes which are not recorded, beside some that are."""

    #: Matches them in the parent table.
    live: ColumnElement[bool]
    #: The base-most table of their objects.
    root: VersionSpec
    #: The version column of that table that tells classes apart, if it is kept.
    told_by: Column[Any] | None
    #: What it says of them.
    identities: tuple[Any, ...]

    def kept(self, spec: VersionSpec, versions: FromClause) -> ColumnElement[bool]:
        """Match versions of them, which statements that know no classes have made."""
        # Versions that do not keep the discriminator cannot be told apart; all of them are meant.
        if self.told_by is None:
            return false()
        base = self.root.version_table.alias()
        return (
            exists()
            .where(
                *same_object(spec, versions, self.root, base),
                base.c[self.told_by.key].in_(self.identities),
            )
            .correlate(versions)
        )


@dataclass(frozen=True, slots=True)
class Others:
    """Objects of classes that have no rows in one table of a hierarchy."""

    #: The version column of the base-most table that tells classes apart.
    told_by: Column[Any]
    #: What it says of them.
    identities: tuple[Any, ...]

    def are_in(self, versions: FromClause) -> ColumnElement[bool]:
        """Match versions of them in the base-most table."""
        return func.coalesce(versions.c[self.told_by.key].in_(self.identities), false())


def is_meant(left_out: LeftOut | None) -> ColumnElement[bool]:
    """Match rows of classes that are recorded."""
    # A row without a discriminator is of no class that is left out; NULL would leave it out.
    return true() if left_out is None else not_(func.coalesce(left_out.live, false()))


def is_told(
    spec: VersionSpec, versions: FromClause, left_out: LeftOut | None
) -> ColumnElement[bool]:
    """Match versions of classes that are recorded."""
    return true() if left_out is None else not_(left_out.kept(spec, versions))


def same_object(
    spec: VersionSpec, rows: FromClause, root: VersionSpec, base: FromClause
) -> list[ColumnElement[bool]]:
    """Match versions of one object in two tables of its hierarchy."""
    return [
        base.c[theirs.version.key] == rows.c[ours.version.key]
        for theirs, ours in zip(root.key, spec.key, strict=True)
    ]
