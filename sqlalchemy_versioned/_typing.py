"""What type checkers are to know where SQLAlchemy's own declarations leave it open.

These are functions and classes of SQLAlchemy and Python under other names, with the types that they
have for us.  Classes, columns and values of applications are ``Any`` to us, and of that strict
checkers make unknown types wherever a function has several signatures, or a class has parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnClause,
    Select,
    Table,
    bindparam,
    inspect,
    literal_column,
    select,
)
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.sql.visitors import replacement_traverse

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement

__all__ = [
    "COLUMN",
    "ITERABLE",
    "LISTS",
    "MAPPING",
    "PARAMETER",
    "STATE",
    "TABLE",
    "TUPLE",
    "Processor",
    "find_mapper",
    "is_array",
    "is_column",
    "is_table",
    "mapper_of",
    "new_dict",
    "new_list",
    "new_set",
    "replaced",
    "select_rows",
    "sql_literal",
    "sql_parameter",
    "type_of",
]

#: Classes to ask ``isinstance()`` about what is ``Any``, and shall stay that.
COLUMN: Any = Column
ITERABLE: Any = Iterable
LISTS: Any = (list, tuple, set, frozenset)
MAPPING: Any = Mapping
PARAMETER: Any = BindParameter
STATE: Any = InstanceState
TABLE: Any = Table
TUPLE: Any = tuple

#: What makes the fields of dataclasses.
new_dict: Callable[[], dict[Any, Any]] = dict
new_list: Callable[[], list[Any]] = list
new_set: Callable[[], set[Any]] = set

#: ``inspect()`` of a mapped class.
mapper_of: Callable[[Any], Mapper[Any]] = inspect

#: ``inspect(…, raiseerr=False)`` of a class that may be mapped.
find_mapper: Callable[..., Mapper[Any] | None] = inspect

#: ``type()`` of an object of an application.
type_of: Callable[[object], type[Any]] = type

#: ``select()`` of expressions that are not known one by one.
select_rows: Callable[..., Select[Any]] = select

#: ``literal_column()`` of no type in particular.
sql_literal: Callable[[str], ColumnClause[Any]] = literal_column

#: ``bindparam()`` of no type in particular.
sql_parameter: Callable[..., BindParameter[Any]] = bindparam


class Processor(Protocol):
    """What a type makes of the values that go into the database, or come out of it."""

    def __call__(self, value: Any) -> Any: ...


def is_table(subject: object) -> TypeGuard[Table]:
    """Tell whether something is a ``Table``."""
    return isinstance(subject, Table)


def is_column(subject: object) -> TypeGuard[Column[Any]]:
    """Tell whether something is a ``Column``."""
    return isinstance(subject, Column)


def is_array(subject: object) -> TypeGuard[ARRAY[Any]]:
    """Tell whether a type is an ``ARRAY``."""
    return isinstance(subject, ARRAY)


def replaced(expression: Any, replace: Callable[..., Any]) -> Any:
    """Return *expression* with the parts that *replace* gives; ``replacement_traverse()``."""
    return replacement_traverse(cast("ClauseElement", expression), {}, replace)
