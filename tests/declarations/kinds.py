"""The types of random columns, and a few values of each, so that they meet again."""

import enum
import random
import uuid
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    PickleType,
    String,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.ext.mutable import MutableDict

__all__ = ["KEY_TYPES", "TYPES", "Colour", "MutableDict", "Point", "Reversed", "draw_value"]


class Colour(enum.Enum):
    """Names and values differ, and neither is in the order of the alphabet."""

    RED = "r"
    GREEN = "g"
    BLUE = "b"


@dataclass(frozen=True)
class Point:
    """A value of two columns."""

    x: int | None
    y: int | None


class Reversed(TypeDecorator[str]):
    """Text that is stored backwards."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Turn it round."""
        return value and value[::-1]

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        """Turn it back."""
        return value and value[::-1]


#: What primary keys consist of, as source text.
KEY_TYPES = ("Integer", "String(20)", "Uuid", "Date", "Numeric(6, 2)", "Enum(Colour)")
#: What other columns have.
TYPES = (
    *("Integer", "String(20)", "Boolean", "Date", "DateTime", "Numeric(6, 2)", "Enum(Colour)"),
    *("JSON", "JSON", "PickleType", "LargeBinary", "Reversed", "Uuid"),
    "Float",
)

#: The first type that fits has the values; types that others derive from come later.
VALUES: tuple[tuple[type, tuple[Any, ...]], ...] = (
    (Reversed, ("abc", "cba", "été")),
    (Enum, tuple(Colour)),
    (Boolean, (True, False)),
    (PickleType, ([1, 2], {"a": Point(1, 2)}, "plain")),
    (JSON, ({"a": 1}, {"a": [1, {"b": None}]}, {})),
    (Uuid, tuple(uuid.UUID(int=number << 96) for number in range(1, 6))),
    (DateTime, (datetime(2001, 2, 3, 4, 5, 6), datetime(1999, 12, 31))),
    (Date, tuple(date(2020, 1, day) for day in range(1, 6))),
    (Float, (0.5, 2.0)),
    (Numeric, tuple(Decimal(number) / 4 for number in range(1, 6))),
    (LargeBinary, (b"a", b"\x00\xff")),
    (Integer, (1, 2, 3, 4, 5)),
    (String, ("a", "b", "c", "d e", "f'\"%")),
)


def draw_value(chance: random.Random, type_: Any) -> Any:
    """Return a value of *type_*, one that nobody else has in hand."""
    values = next(values for known, values in VALUES if isinstance(type_, known))
    return deepcopy(chance.choice(values))
