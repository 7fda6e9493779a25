"""What type checkers are to know where SQLAlchemy's own declarations leave it open.

These are SQLAlchemy's and Python's functions under other names, with the types that they have for
us.  Classes and columns of applications are ``Any`` to us, and of ``Any`` a strict checker makes
unknown types as soon as a function has several signatures, or a class has parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

from sqlalchemy import Column, ColumnClause, Select, Table, inspect, literal_column, select
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.visitors import replacement_traverse

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

__all__ = [
    "Processor",
    "is_column",
    "is_mapping",
    "is_table",
    "mapper_of",
    "replaced",
    "select_rows",
    "sql_literal",
    "type_of",
]

#: ``inspect()`` of a mapped class.
mapper_of: Callable[[Any], Mapper[Any]] = inspect

#: ``type()`` of an object of an application.
type_of: Callable[[object], type[Any]] = type

#: ``select()`` of expressions that are not known one by one.
select_rows: Callable[..., Select[Any]] = select

#: ``literal_column()`` of no type in particular.
sql_literal: Callable[[str], ColumnClause[Any]] = literal_column


class Processor(Protocol):
    """What a type makes of the values that go into the database, or come out of it."""

    def __call__(self, value: Any) -> Any: ...


def is_table(subject: object) -> TypeGuard[Table]:
    """Tell whether something is a ``Table``."""
    return isinstance(subject, Table)


def is_mapping(subject: object) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether something is a ``Mapping``."""
    return isinstance(subject, Mapping)


def is_column(subject: object) -> TypeGuard[Column[Any]]:
    """Tell whether something is a ``Column``."""
    return isinstance(subject, Column)


def replaced(expression: Any, replace: Callable[..., Any]) -> Any:
    """Return *expression* with the parts that *replace* gives; ``replacement_traverse()``."""
    return replacement_traverse(cast("ClauseElement", expression), {}, replace)
