"""What the conditions of statements say: of keys, of parameters, and for how long.

Questions only: nothing here knows what is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, Column, ColumnElement, UnaryExpression, bindparam
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, ClauseList, False_, Grouping, Null, True_

from .. import _sqlalchemy
from .._typing import PARAMETER, replaced
from ..database.keys import Key, bare_key

__all__ = [
    "conjuncts",
    "equality",
    "is_lasting",
    "key_of",
    "value_of",
    "with_value",
    "with_values",
]

#: What conditions are made of that nothing but a write can make say something else.
_LASTING: Any = (
    BinaryExpression,
    BindParameter,
    ClauseList,
    Column,
    False_,
    Grouping,
    Null,
    True_,
    UnaryExpression,
)


def is_lasting(condition: ColumnElement[bool]) -> bool:
    """Tell whether a condition says the same of a row as long as nobody writes."""
    for each in visitors.iterate(condition):
        if not isinstance(each, _LASTING) or getattr(each, "callable", None) is not None:
            return False
        if isinstance(getattr(each, "operator", None), operators.custom_op):
            return False
    return True


def conjuncts(criteria: Iterable[Any]) -> Iterator[Any]:
    """Yield the conditions that all hold, one by one."""
    for each in criteria:
        if getattr(each, "operator", None) is operators.and_:
            yield from conjuncts(each.clauses)
        else:
            yield each


def equality(condition: Any) -> tuple[Column[Any], BindParameter[Any]] | None:
    """Return the column and the value that a condition says are equal, if it says that."""
    if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
        return None
    for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if isinstance(one, Column) and isinstance(other, BindParameter):
            return _sqlalchemy.plain_column(one), other
    return None


def key_of(wanted: Sequence[BindParameter[Any]], values: Mapping[str, Any]) -> Key:
    """Return the key that a set of parameters tells."""
    return bare_key([value_of(parameter, values) for parameter in wanted])


def with_value(value: Any, values: Mapping[str, Any]) -> Any:
    """Return what a set of parameters gives for *value*; itself unless it is a parameter."""
    return value_of(value, values) if isinstance(value, PARAMETER) else value


def value_of(parameter: BindParameter[Any], values: Mapping[str, Any]) -> Any:
    """Return the value that a set of parameters gives, or else the parameter's own."""
    return values.get(parameter.key, parameter.effective_value)


def with_values(clause: Any, values: Mapping[str, Any], *, are_ours: bool = False) -> Any:
    """Return *clause* with the values of its named parameters in it.

    :param are_ours: whether the names begin with a prefix of ours, and shall be told by it.
    """

    def replace(element: Any, **_: Any) -> Any:
        if not isinstance(element, PARAMETER) or element.key not in values:
            return None
        name: str | None = element.key if are_ours else None
        value = values[element.key]
        return bindparam(name, value, element.type, expanding=element.expanding, unique=True)

    return replaced(clause, replace)
