"""Conditions on named sets of row keys, for which :mod:`.keys` makes the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    and_,
    any_,
    bindparam,
    cast,
    func,
    select,
    tuple_,
    type_coerce,
    types,
)
from sqlalchemy.engine import Dialect

from .._typing import sql_parameter
from .dialects import is_named, is_native_enum, native_type
from .keys import Style

__all__ = ["KeyConditions", "key_expression"]


def key_expression(columns: Sequence[ColumnElement[Any]]) -> Any:
    """Return key columns as one expression, which can be looked for in a list or a SELECT."""
    # SQLite knows no tuple of one.
    return columns[0] if len(columns) == 1 else tuple_(*columns)


class KeyConditions:
    """Builds conditions on named sets of keys, in one style.

    :param columns: the key columns.
    :param prefix: what stands before the names of sets in the names of parameters; where a
        statement writes, that of the spec.
    :param casts: whether a parameter that is text for *columns* must be made an enum for others,
        and has one type wherever it stands.
    """

    def __init__(
        self,
        columns: Sequence[Column[Any]],
        style: Style,
        prefix: str = "",
        *,
        casts: bool = False,
    ) -> None:
        self._columns = tuple(columns)
        self._style = style
        self._prefix = prefix
        self._casts = casts

    def member(self, columns: Sequence[ColumnElement[Any]], name: str) -> ColumnElement[bool]:
        """Match rows whose *columns* are in the set *name*."""
        if self._style is Style.ONE:
            pairs = zip(columns, self.values(name), strict=True)
            return and_(*[column == self._given_for(column, value) for column, value in pairs])
        subject = key_expression(columns)
        if self._style is Style.LIST:
            values: Any = sql_parameter(f"{self._prefix}{name}", expanding=True)
            listed: ColumnElement[bool] = subject.in_(values)
            return listed
        if self._style is Style.ARRAY and len(columns) == 1:
            return columns[0] == any_(_array(f"{self._prefix}{name}", columns[0]))
        found: ColumnElement[bool] = subject.in_(select(*self.rows(name)))
        return found

    def values(self, name: str) -> list[ColumnElement[Any]]:
        """Return the columns of the only key of a set."""
        values: list[ColumnElement[Any]] = [
            bindparam(f"{self._prefix}{name}_{place}", type_=column.type)
            for place, column in enumerate(self._columns)
        ]
        return [_typed(value) for value in values] if self._casts else values

    def _given_for(
        self, column: ColumnElement[Any], value: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """Return a parameter as it can be compared with a column."""
        is_kept = is_native_enum(native_type(column)) and not is_native_enum(native_type(value))
        return cast(value, column.type) if self._casts and is_kept else value

    def rows(self, name: str) -> list[ColumnElement[Any]]:
        """Return the columns of a table that has the keys of a set as its rows."""
        if self._style is Style.ONE:
            return self.values(name)
        parameter = f"{self._prefix}{name}"
        if self._style is Style.JSON:
            text = bindparam(parameter, type_=types.String())
            table = func.json_each(text).table_valued("value")
            if len(self._columns) == 1:
                return [table.c.value]
            places = range(len(self._columns))
            return [func.json_extract(table.c.value, f"$[{place}]") for place in places]
        if len(self._columns) == 1:
            arrays = [_array(parameter, self._columns[0])]
        else:
            arrays = [_array(f"{parameter}_{i}", column) for i, column in enumerate(self._columns)]
        names = [f"k{place}" for place in range(len(self._columns))]
        return list(func.unnest(*arrays).table_valued(*names).render_derived().c)


def _typed(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a parameter that has one type wherever it stands.

    SQLAlchemy tells drivers that one is text behind a decorator; a decorated enum has two.
    """
    impl = getattr(value.type, "impl_instance", None)
    is_deep = isinstance(impl, types.TypeDecorator) and is_named(native_type(value), "string")
    # CITEXT and the like would compare otherwise as plain text.
    return type_coerce(cast(value, types.String()), value.type) if is_deep else value


def _array(name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    # Imported by whoever uses PostgreSQL; too slow to import for others.
    from sqlalchemy.dialects.postgresql import ARRAY

    if isinstance(column.type, types.Integer):
        return bindparam(name, type_=_Numbers(column.type))
    return bindparam(name, type_=ARRAY(column.type, dimensions=1))


class _Numbers(types.TypeDecorator[Any]):
    """An array of whole numbers, which drivers that take a text for it are given as one.

    psycopg2 would write an expression of each number, which PostgreSQL reads slower than it
    executes all the rest.
    """

    impl = types.ARRAY
    cache_ok = True

    def __init__(self, number: types.Integer) -> None:
        super().__init__(number, dimensions=1)
        self.number = number

    def bind_processor(self, dialect: Dialect) -> Any:
        """Return what writes the text, where that is taken."""
        if dialect.driver in ("psycopg2", "psycopg"):
            return _array_text
        return self.impl_instance.dialect_impl(dialect).bind_processor(dialect)


def _array_text(numbers: Iterable[Any]) -> str:
    return f"{{{','.join(['NULL' if each is None else str(each) for each in numbers])}}}"
