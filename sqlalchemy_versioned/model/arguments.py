"""What several functions are given by callers, checked: numbers, objects and functions to call.

What is wrong is said by the name of the argument, with what to give instead.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState

from .._typing import STATE
from ..exc import InvalidArgument, InvalidArgumentType

__all__ = ["check_function", "check_number", "state_of"]


def check_number(name: str, value: Any, *, least: int, or_none: bool = False) -> None:
    """Refuse what is no whole number, or too small a one.

    :raises InvalidArgument: if it is less than *least*.
    :raises InvalidArgumentType: if it is no number.
    """
    if or_none and value is None:
        return
    rest = ", or None" if or_none else ""
    # A truth value is an int for Python, and no number for anybody.
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgumentType(f"{name} is {value!r}; give a whole number{rest}")
    if value < least:
        raise InvalidArgument(f"{name} is {value}; give {least} or more{rest}")


def check_function(name: str, value: Any) -> None:
    """Refuse what cannot be called, or would have to be awaited; ``None`` is no function.

    :raises InvalidArgumentType: if it is either.
    """
    if value is not None and (not callable(value) or iscoroutinefunction(value)):
        raise InvalidArgumentType(
            f"{name} is {value!r}; give a function that need not be awaited, or None"
        )


def state_of(obj: Any) -> InstanceState[Any]:
    """Return the state of an object.

    :raises InvalidArgumentType: if it is no object of a mapped class.
    """
    state = inspect(obj, raiseerr=False)
    if not isinstance(state, STATE):
        raise InvalidArgumentType(f"{obj!r} is no object of a mapped class; give one")
    return state  # type: ignore[no-any-return]
