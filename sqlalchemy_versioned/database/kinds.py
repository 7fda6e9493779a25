"""What kinds of values columns take, as far as their types say so and mean it."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["exact_type", "taken_type"]

#: Kinds that take nothing else for themselves; numbers of one kind stand for another's.
_EXACT = frozenset({int, str, bytes, UUID, date, datetime, time})
#: Kinds of which it is known what else they take.
_KNOWN = _EXACT | {bool, float, Decimal}


def exact_type(type_: TypeEngine[Any]) -> type[Any] | None:
    """Return what the values of a type are, if it takes nothing else."""
    found = taken_type(type_)
    return found if found in _EXACT else None


def taken_type(type_: TypeEngine[Any]) -> type[Any] | None:
    """Return what the values of a type are, or ``None`` if only the type knows what it takes."""
    if isinstance(type_, TypeDecorator):
        return None
    try:
        found: type[Any] = type_.python_type
    except NotImplementedError:
        return None
    return found if found in _KNOWN else None
