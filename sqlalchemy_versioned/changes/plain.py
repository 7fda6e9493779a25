"""Values as JSON can hold them, for dumps of change records.

Nothing is refused: what JSON has no word for becomes text that a reader can make sense of.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from enum import Enum
from typing import Any

__all__ = ["plain_value"]


def plain_value(value: Any) -> Any:
    """Return *value* as ``json.dumps`` takes it.

    Numbers, texts, lists and dicts stay what they are.  Moments become ISO 8601, bytes base64, an
    enum's member its value, a set a sorted list, and everything else, as UUIDs and decimals, its
    ``str()``; so do the numbers that are none, such as ``nan``.

    >>> from decimal import Decimal
    >>> plain_value({"price": Decimal("1.50"), "tags": {"b", "a"}, "raw": b"hi"})
    {'price': '1.50', 'tags': ['a', 'b'], 'raw': 'aGk='}
    >>> plain_value(float("nan"))
    'nan'
    """
    if isinstance(value, Enum):
        return plain_value(value.value)
    if value is None or isinstance(value, (bool, int)):
        return value
    for kinds, convert in _CONVERTERS:
        if isinstance(value, kinds):
            return convert(value)
    return str(value)


def _plain_float(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(value)


def _plain_bytes(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {_plain_key(key): plain_value(each) for key, each in value.items()}


def _plain_key(key: Any) -> str:
    plain = plain_value(key)
    return plain if isinstance(plain, str) else str(plain)


def _plain_list(value: Iterable[Any]) -> list[Any]:
    return [plain_value(each) for each in value]


def _plain_set(value: Iterable[Any]) -> list[Any]:
    # Members of several kinds have no order of their own.
    return sorted(_plain_list(value), key=lambda each: (type(each).__name__, str(each)))


_CONVERTERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (float, _plain_float),
    (str, str),
    ((date, time), lambda value: value.isoformat()),
    ((bytes, bytearray, memoryview), _plain_bytes),
    (Mapping, _plain_mapping),
    ((list, tuple), _plain_list),
    ((set, frozenset), _plain_set),
)
