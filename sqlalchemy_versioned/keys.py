"""Sets of row keys as parameters of a statement: as few of them as the database can take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, any_, bindparam, func, select, tuple_, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

from .dialects import can_select_from_target, native_type

__all__ = ["Key", "KeyParameters", "KeySets", "Style"]

#: A row's key: the value of its one key column, or a tuple of several.
Key = Any


class Style(Enum):
    """How a set of keys is given to the database."""

    #: A single key, by its plain values.
    ONE = "one"
    #: One array for each key column (PostgreSQL).
    ARRAY = "array"
    #: One JSON text (SQLite), where every key is a number or plain text.
    JSON = "json"
    #: A parameter for each value, in chunks below the driver's limit.
    LIST = "list"


class KeySets:
    """Builds conditions on named sets of keys, in one style.

    :param columns: the key columns.
    """

    def __init__(self, columns: Sequence[Column[Any]], style: Style) -> None:
        self._columns = tuple(columns)
        self._style = style

    def member(self, columns: Sequence[ColumnElement[Any]], name: str) -> ColumnElement[bool]:
        """Match rows whose *columns* are in the set *name*."""
        if self._style is Style.ONE:
            values = zip(columns, self.values(name), strict=True)
            return and_(*[column == value for column, value in values])
        subject: Any = columns[0] if len(columns) == 1 else tuple_(*columns)
        if self._style is Style.LIST:
            listed: ColumnElement[bool] = subject.in_(bindparam(name, expanding=True))
            return listed
        if self._style is Style.ARRAY and len(columns) == 1:
            return columns[0] == any_(_array(name, columns[0]))
        found: ColumnElement[bool] = subject.in_(select(*self.rows(name)))
        return found

    def values(self, name: str) -> list[ColumnElement[Any]]:
        """Return the columns of the only key of a set."""
        return [
            bindparam(f"{name}_{place}", type_=column.type)
            for place, column in enumerate(self._columns)
        ]

    def rows(self, name: str) -> list[ColumnElement[Any]]:
        """Return the columns of a table that has the keys of a set as its rows."""
        if self._style is Style.ONE:
            return self.values(name)
        if self._style is Style.JSON:
            table = func.json_each(bindparam(name, type_=types.String())).table_valued("value")
            if len(self._columns) == 1:
                return [table.c.value]
            places = range(len(self._columns))
            return [func.json_extract(table.c.value, f"$[{place}]") for place in places]
        if len(self._columns) == 1:
            arrays = [_array(name, self._columns[0])]
        else:
            arrays = [_array(f"{name}_{i}", column) for i, column in enumerate(self._columns)]
        names = [f"k{place}" for place in range(len(self._columns))]
        return list(func.unnest(*arrays).table_valued(*names).render_derived().c)


class KeyParameters:
    """Chooses the style for sets of keys, and makes parameters of them.

    :param columns: the key columns.
    """

    def __init__(self, columns: Sequence[Column[Any]], dialect: Dialect) -> None:
        self._columns = tuple(columns)
        self._dialect = dialect
        self._to_database = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
        limit = getattr(dialect, "insertmanyvalues_max_parameters", 2000)
        self._most = max(1, (min(limit, 30_000) - 10) // len(columns))
        self._takes_arrays = dialect.name == "postgresql" and all(map(_fits_array, columns))

    def style(self, sets: Mapping[str, list[Key]]) -> Style:
        """Return the style in which *sets* can be given."""
        if len(sets) == 1 and all(len(keys) == 1 for keys in sets.values()):
            return Style.ONE
        if self._takes_arrays:
            return Style.ARRAY
        if self._dialect.name == "sqlite" and all(map(self._fits_json, sets.values())):
            return Style.JSON
        return Style.LIST

    def can_look_up(self, keys: list[Key]) -> bool:
        """Tell whether *keys* can stand beside the table they are keys of, in an update of it."""
        style = self.style({"keys": keys})
        if style is Style.ONE:
            return can_select_from_target(self._dialect)
        return style is not Style.LIST

    def chunks(
        self, keys: list[Key], sets: Mapping[str, list[Key]]
    ) -> Iterator[dict[str, list[Key]]]:
        """Split *keys*, and *sets* of some of them, into what one statement can take."""
        everything = {"keys": keys, **sets}
        if not keys:
            return
        is_small = sum(map(len, everything.values())) <= self._most
        if is_small or self.style(everything) is not Style.LIST:
            yield everything
            return
        size = max(1, self._most // (1 + len(sets)))
        members = {name: set(some) for name, some in sets.items()}
        for start in range(0, len(keys), size):
            part = keys[start : start + size]
            some = {name: [k for k in part if k in found] for name, found in members.items()}
            yield {"keys": part, **some}

    def parameters(self, sets: Mapping[str, list[Key]], style: Style) -> dict[str, Any]:
        """Return the statement parameters for *sets*."""
        if style is Style.JSON:
            return {name: json.dumps(self._stored(keys)) for name, keys in sets.items()}
        if style is Style.ONE:
            return {
                f"{name}_{place}": value
                for name, keys in sets.items()
                for place, value in enumerate(keys[0] if len(self._columns) > 1 else keys)
            }
        if style is Style.LIST or len(self._columns) == 1:
            return dict(sets)
        return {
            f"{name}_{place}": [key[place] for key in keys]
            for name, keys in sets.items()
            for place in range(len(self._columns))
        }

    def _stored(self, keys: list[Key]) -> list[Any]:
        """Return *keys* as the driver would get them."""
        if len(self._columns) == 1:
            process = self._to_database[0]
            return keys if process is None else [process(key) for key in keys]
        return [
            [v if p is None else p(v) for v, p in zip(key, self._to_database, strict=True)]
            for key in keys
        ]

    def _fits_json(self, keys: list[Key]) -> bool:
        flat = self._stored(keys)
        if len(self._columns) > 1:
            flat = [value for key in flat for value in key]
        # Lone surrogates and NUL do not survive JSON.
        return all(type(v) is int or (isinstance(v, str) and v.isprintable()) for v in flat)


def _array(name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return bindparam(name, type_=postgresql.ARRAY(column.type, dimensions=1))


def _fits_array(column: Column[Any]) -> bool:
    kinds = (types.Integer, types.String, types.Uuid, types.Numeric, types.Date, types.DateTime)
    type_ = native_type(column)
    return isinstance(type_, kinds) and not isinstance(type_, types.Enum)
