"""What kinds of values columns take, as far as their types say so and mean it."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["exact_type"]

#: Kinds that take nothing else for themselves; numbers of one kind stand for another's.
_EXACT = frozenset({int, str, bytes, UUID, date, datetime, time})


def exact_type(type_: TypeEngine[Any]) -> type[Any] | None:
    """Return what the values of a type are, if it takes nothing else."""
    if isinstance(type_, TypeDecorator):
        return None
    try:
        found: type[Any] = type_.python_type
    except NotImplementedError:
        return None
    return found if found in _EXACT else None
