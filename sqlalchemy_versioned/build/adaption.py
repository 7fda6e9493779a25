"""Conditions of live relationships, said of versions instead.

Every column of a condition is replaced by the version column that keeps its values, and keeps its
marks (``remote()``, ``foreign()``).  What cannot be said of versions raises :class:`CannotFollow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnClause, SelectBase, TextClause
from sqlalchemy.orm import Mapper, foreign, remote
from sqlalchemy.sql.visitors import iterate

from .. import _sqlalchemy
from .._typing import replaced
from ..model.spec import ClassSpec, VersionSpec

__all__ = ["CannotFollow", "Side", "adapt", "columns_in"]


class CannotFollow(Exception):
    """A relationship cannot be followed from a version; the message completes "because"."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two classes that a relationship connects.

    :param spec: ``None`` where the class is not versioned, and stands for itself.
    """

    mapper: Mapper[Any]
    spec: ClassSpec | None

    @property
    def tables(self) -> tuple[VersionSpec, ...]:
        """The specs of the tables of the class; none if it is not versioned."""
        return () if self.spec is None else self.spec.tables

    def has(self, column: Any) -> bool:
        """Tell whether *column* belongs to the class."""
        return bool(self.mapper.persist_selectable.c.contains_column(column))

    def find(self, column: Any) -> Any:
        """Return what stands for *column* among versions.

        :raises CannotFollow: if nothing does.
        """
        if not self.has(column):
            raise CannotFollow(
                f"its condition uses {column}, which belongs to neither of the two classes"
            )
        if self.spec is None:
            return column
        versions: Mapping[Any, Any] = {p.parent: p.version for t in self.tables for p in t.pairs}
        if column not in versions:
            raise CannotFollow(f"its condition uses {column}, which is excluded from versioning")
        return versions[column]


def adapt(expression: Any, find: Callable[[Any], Any], *, keep_marks: bool = True) -> Any:
    """Return a copy of *expression* in which *find* has replaced the columns.

    :param keep_marks: whether columns keep the marks that a relationship put on them.
    :raises CannotFollow: if it holds something whose columns cannot be told.
    """

    def replace(element: Any, **_: Any) -> Any:
        if isinstance(element, (SelectBase, TextClause)):
            raise CannotFollow("its condition holds a subquery or text")
        if not isinstance(element, ColumnClause):
            return None
        if element.table is None:
            raise CannotFollow(f"its condition holds the bare column {element}")
        found = find(element)
        return _marked(found, like=element) if keep_marks else found

    return replaced(expression, replace)


def _marked(column: Any, *, like: Any) -> Any:
    marks = _sqlalchemy.relationship_marks(like)
    if "foreign" in marks:
        column = foreign(column)
    return remote(column) if "remote" in marks else column


def columns_in(expression: Any) -> list[Any]:
    """Return the columns in *expression*, with their marks."""
    return [element for element in iterate(expression) if isinstance(element, ColumnClause)]
