"""Names of columns and relationships that callers ask for, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..exc import InvalidArgument, InvalidArgumentType
from ..model.spec import ClassSpec
from ..query.images import family_of
from .values import several

__all__ = ["column_names", "field_names", "relation_names"]


def field_names(spec: ClassSpec, fields: Any) -> tuple[str, ...] | None:
    """Return the fields asked for, in the order of the class and its subclasses.

    :raises InvalidArgument: if one of them is no column that is kept, or masked.
    """
    if fields is None:
        return None
    family = family_of(spec)
    known = dict.fromkeys(key for each in family for key in (*each.columns, *each.masked))
    asked = _names("fields", fields, known, kind=_kept_column(spec))
    return tuple(key for key in known if key in asked)


def column_names(spec: ClassSpec, columns: Any) -> tuple[str, ...]:
    """Return the attributes of columns of a class or its subclasses, each once.

    :raises InvalidArgument: if one of them is no column that is kept, or none is given.
    """
    known = dict.fromkeys(key for each in family_of(spec) for key in each.columns)
    names = _names("columns", columns, known, kind=_kept_column(spec))
    if not names:
        raise InvalidArgument(f"columns is {columns!r}; name at least one of {', '.join(known)}")
    return names


def relation_names(spec: ClassSpec, relations: Any) -> tuple[str, ...]:
    """Return the names of relationships, each once.

    :raises InvalidArgument: if one of them is no relationship of the class.
    """
    if relations is None:
        return ()
    known = dict.fromkeys(key for each in family_of(spec) for key in each.relationships)
    kind = f"relationship of {spec.parent_class.__name__} that is versioned"
    return _names("relations", relations, known, kind=kind)


def _kept_column(spec: ClassSpec) -> str:
    return f"column of {spec.parent_class.__name__} that is kept in history"


def _names(argument: str, given: Any, known: Iterable[str], *, kind: str) -> tuple[str, ...]:
    """Return names, each once, of which all must be known."""
    names = dict.fromkeys(_name(argument, each) for each in several(given))
    for name in names:
        if name not in known:
            raise InvalidArgument(
                f"{argument} has {name!r}, which is no {kind}; those are: "
                f"{', '.join(known) or 'none'}"
            )
    return tuple(names)


def _name(argument: str, value: Any) -> str:
    name = value if isinstance(value, str) else getattr(value, "key", None)
    if not isinstance(name, str):
        raise InvalidArgumentType(
            f"{argument} has {value!r}; give the names of attributes, or the attributes of the "
            "class"
        )
    return name
