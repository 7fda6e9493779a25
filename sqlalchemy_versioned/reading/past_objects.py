"""Objects that were loaded from the past: where they must not go, and what they do not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NoReturn

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, Session

from .. import _sqlalchemy
from ..exc import IncompleteHistory, ReadOnlySnapshot
from ..model.spec import ClassSpec
from ..query.past_tables import find_unkept
from .moments import Moment

__all__ = [
    "name_of",
    "past_options",
    "refuse_past_lookups",
    "refuse_past_objects",
    "refuse_together",
    "watch_unkept",
]

#: What tells the statements of a snapshot from others.
_OF_SNAPSHOT = "sqlalchemy_versioned_snapshot"


def refuse_past_objects(session: Session, state: InstanceState[Any]) -> None:
    """Refuse an object that was loaded from the past in a session of the present."""
    # A merge that loads nothing gives its new object the key alone.
    for moment in (state.identity_token, *(state.key or ())):
        if isinstance(moment, Moment):
            raise ReadOnlySnapshot(
                f"{name_of(state)} was loaded as it was at {moment}, and cannot be used in another "
                "session; load it there, or revert() it to a version"
            )


def refuse_together(moment: Moment) -> NoReturn:
    """Refuse to link an object of the past with one of another session."""
    raise ReadOnlySnapshot(
        f"an object that is shown as it was at {moment} cannot be used in another session, nor "
        "one of another session beside it; load it there, or revert() it to a version"
    )


def past_options(moment: Moment) -> dict[str, Any]:
    """Return the execution options of what a session of the past executes."""
    return {"identity_token": moment, _OF_SNAPSHOT: True}


def refuse_past_lookups(execution_options: Mapping[str, Any]) -> None:
    """Refuse to look for an object of the past in a session of the present, as merging does."""
    moment = _sqlalchemy.identity_token(execution_options)
    if isinstance(moment, Moment) and _OF_SNAPSHOT not in execution_options:
        raise ReadOnlySnapshot(
            f"an object was loaded as it was at {moment}, and cannot be merged into another "
            "session; revert() it to a version"
        )


def watch_unkept(spec: ClassSpec) -> list[tuple[Any, str, Any]]:
    """Return the listeners, as arguments of ``event.listen()``, that hide excluded columns.

    Reading one of an object of the past raises, instead of giving the NULL that was loaded.
    """
    mapper: Mapper[Any] = inspect(spec.parent_class)
    props = mapper.column_attrs
    keys = [prop.key for prop in props if find_unkept(prop.columns[0]) is not None]
    made = [each.key for each in mapper.composites if {p.key for p in each.props} & {*keys}]

    def hide(instance: Any, *args: Any) -> None:
        # A rolled back object is gone by the time it is expired, if nobody else holds it.
        state: InstanceState[Any] | None = None if instance is None else inspect(instance)
        token: Any = None if state is None else state.identity_token
        if state is not None and isinstance(token, Moment):
            _hide(state, keys, made)

    return [(mapper.class_, name, hide) for name in ("load", "refresh", "expire") if keys]


def _hide(state: InstanceState[Any], keys: Iterable[str], made: Iterable[str]) -> None:
    """Let an object of the past refuse to tell some columns, and what is made of them."""
    for key in keys:
        _sqlalchemy.refuse_reading(state, key, partial(_refuse_unkept, key))
    for key in made:
        # What was made of NULL is made anew when it is read, by what refuses.
        state.dict.pop(key, None)


def name_of(state: InstanceState[Any]) -> str:
    """Return what errors call an object."""
    identity = state.identity
    key = "(new)" if identity is None else ", ".join(map(str, identity))
    return f"{state.class_.__name__} {key}"


def _refuse_unkept(key: str, state: InstanceState[Any], passive: Any) -> NoReturn:
    raise IncompleteHistory(
        f"{state.class_.__name__}.{key} is excluded from history, or masked, so that its past is "
        "not known; read it from the live object"
    )
