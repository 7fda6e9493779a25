"""Keys of any kind in one column, as text that tells what they are."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any

from sqlalchemy import String, types
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from .._typing import TUPLE
from ..exc import InvalidArgumentType

__all__ = ["KeyType"]

#: How values that JSON does not have are written and read; the more special type first.
_NAMED: dict[str, tuple[type[Any], Any, Any]] = {
    "uuid": (uuid.UUID, str, uuid.UUID),
    "datetime": (
        datetime.datetime,
        datetime.datetime.isoformat,
        datetime.datetime.fromisoformat,
    ),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}


class KeyType(types.TypeDecorator[Any]):
    """Keeps the key of any object as JSON; of several columns, it is a tuple."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = String(255)
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        """Tell keys apart that differ by case."""
        is_loose = dialect.name in ("mysql", "mariadb")
        return dialect.type_descriptor(String(255, "utf8mb4_bin" if is_loose else None))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Store JSON."""
        return None if value is None else json.dumps(_plain(value), ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Load the key."""
        # Whoever made the table for numbers alone, as SQLAlchemy-Continuum does, has them as such.
        if value is None or isinstance(value, int):
            return value
        return _restored(json.loads(value))


# Of Any, checkers would make list[Unknown] and the like.
_DICT: Any = dict
_LIST: Any = list


def _plain(value: Any) -> Any:
    if value is None or type(value) in (int, str, bool, float):
        return value
    if isinstance(value, TUPLE):
        return [_plain(each) for each in value]
    for name, (kind, write, _) in _NAMED.items():
        if isinstance(value, kind):
            return {name: write(value)}
    known = ", ".join(["int", "str", "bool", "float", *(k.__name__ for k, _, _ in _NAMED.values())])
    raise InvalidArgumentType(
        f"{value!r} is part of the key of an object that an activity refers to, and activities "
        f"keep no {type(value).__name__}; they keep {known}; give ActivityPlugin a 'key_type' of "
        "your own"
    )


def _restored(value: Any) -> Any:
    if isinstance(value, _LIST):
        return tuple(_restored(each) for each in value)
    if isinstance(value, _DICT):
        ((name, text),) = value.items()
        return _NAMED[name][2](text)
    return value
