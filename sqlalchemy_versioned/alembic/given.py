"""What operations of migrations are given, checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._typing import LISTS
from ..exc import InvalidArgument, InvalidArgumentType

__all__ = ["check_columns", "check_name", "check_text"]


def check_name(kind: str, name: Any, *, or_none: bool = False) -> None:
    """Refuse what cannot be a name.

    :raises InvalidArgument: if it is empty, or no text.
    """
    if or_none and name is None:
        return
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"{kind} is {name!r}; give the name that it has in the database")


def check_text(kind: str, text: Any) -> None:
    """Refuse what is no text; it may be empty.

    :raises InvalidArgumentType: if it is none.
    """
    if not isinstance(text, str):
        raise InvalidArgumentType(f"{kind} is {text!r}; give a text")


def check_columns(
    kind: str, names: Any, *, among: Iterable[str] | None = None, or_none: bool = False
) -> None:
    """Refuse what is no list of names of columns.

    :param among: the names that there are, where that is known.
    :raises InvalidArgumentType: if it is none.
    :raises InvalidArgument: if it names a column twice, or one that there is not.
    """
    if or_none and names is None:
        return
    if not isinstance(names, LISTS) or not all(isinstance(each, str) for each in names):
        shown = repr(names) if isinstance(names, str) else "'id'"
        raise InvalidArgumentType(
            f"{kind} is {names!r}; give a list of names of columns, such as [{shown}]"
        )
    if len(set(names)) != len(names):
        raise InvalidArgument(f"{kind} is {names!r}; name each column once")
    if among is not None:
        _check_known(kind, names, list(among))


def _check_known(kind: str, names: Iterable[str], among: list[str]) -> None:
    other = [each for each in names if each not in among]
    if other:
        raise InvalidArgument(
            f"{kind} has {', '.join(map(repr, other))}; choose of "
            f"{', '.join(map(repr, dict.fromkeys(among)))}"
        )
