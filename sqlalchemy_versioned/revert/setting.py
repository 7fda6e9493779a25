"""Columns set to what was stored, whatever validators, types and defaults would make of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Null, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import flag_modified, set_attribute, set_committed_value

from .. import _sqlalchemy
from ..exc import ReverterException, VersioningError
from .columns import changes_by_itself, differs

__all__ = ["refusals_told", "set_nulls", "set_silently", "set_values"]

_UNSET: Any = object()


def set_values(obj: Any, values: Mapping[str, Any]) -> None:
    """Set columns that have other values, as an application would."""
    state: InstanceState[Any] = inspect(obj)
    for key, value in values.items():
        now = state.dict.get(key, _UNSET)
        # SQL's NULL is set last, past the types: see set_nulls().
        if isinstance(value, Null):
            continue
        # Setting what is there already would be a change to the flush, and to modification
        # flags.
        if now is _UNSET or differs(state.mapper, key, now, value):
            with refusals_told(state, key):
                set_attribute(obj, key, value)
            _insist(state, key, value)
        elif key not in state.committed_state and changes_by_itself(state.mapper, key):
            flag_modified(obj, key)


def _insist(state: InstanceState[Any], key: str, value: Any) -> None:
    """Put back what was stored where a validator has made something else of it.

    What it does with values was done when this one was first set, and is not to be done twice.
    """
    now = state.dict.get(key)
    # Mutable types wrap values, and some cannot be compared.
    if differs(state.mapper, key, now, value) and not _sqlalchemy.is_mutable(now):
        set_silently(state.obj(), {key: value})


def set_nulls(obj: Any, values: Mapping[str, Any]) -> None:
    """Set what has to be NULL, whatever a default or a type would make of ``None``.

    Last of all, because mutable types expect values.
    """
    set_silently(obj, {key: value for key, value in values.items() if isinstance(value, Null)})


def set_silently(obj: Any, values: Mapping[str, Any]) -> None:
    """Set attributes past their events, which expect values of the application's own."""
    state: InstanceState[Any] = inspect(obj)
    for key, value in values.items():
        set_committed_value(obj, key, value)
        if state.persistent:
            flag_modified(obj, key)


@contextmanager
def refusals_told(state: InstanceState[Any], key: str) -> Generator[None, None, None]:
    """Say how the session is left where a validator, or a listener, refuses what there was.

    It cannot be asked before: what it does with a value is not to be done twice.
    """
    try:
        yield
    except (SQLAlchemyError, VersioningError):
        raise
    except Exception as error:
        raise ReverterException(
            f"{state.class_.__name__}.{key} refuses what there was: {error!r}; roll the session "
            "back, in which a part of the revert is done, and let a validator take what was stored"
        ) from error
