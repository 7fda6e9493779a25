"""How triggers are told of what they cannot know: by settings of the database transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    cast,
    func,
    literal,
    select,
    true,
)
from sqlalchemy import Text as LongText

__all__ = ["Telling", "build_setting"]


class Telling:
    """Tells values of columns of one table, as an object of JSON that the database makes.

    A statement is kept for each set of columns, because SQLAlchemy recognises it sooner than
    another like it; values are its parameters.

    :param setting: the name of the setting that has them.
    """

    def __init__(self, setting: str, table: Table) -> None:
        self._setting = setting
        self._table = table
        self._built: dict[tuple[str, ...], Select[Any]] = {}

    def tell(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Tell *values*, by the keys of their columns."""
        keys = tuple(values)
        statement = self._built.get(keys)
        if statement is None:
            statement = self._built[keys] = self._build(keys)
        connection.execute(statement, values)

    def _build(self, keys: tuple[str, ...]) -> Select[Any]:
        pairs: list[ColumnElement[Any]] = []
        for key in keys:
            column = self._table.c[key]
            value = cast(bindparam(key, type_=column.type), column.type)
            pairs += [cast(literal(column.name), LongText), value]
        return select(build_setting(self._setting, func.jsonb_build_object(*pairs)))


def build_setting(name: str, value: ColumnElement[Any]) -> ColumnElement[str]:
    """Set a setting until the end of the transaction, or of the savepoint if that is undone."""
    return func.set_config(name, cast(value, LongText), true())
