"""What differs between two versions, or between an object and what the database has of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Session

from .lookup import find_spec, is_versioned, spec_of
from .spec import ClassSpec

__all__ = [
    "changeset",
    "difference",
    "is_modified",
    "is_modified_or_deleted",
    "is_session_modified",
    "versioned_objects",
]


def difference(spec: ClassSpec, old: Any | None, new: Any | None) -> dict[str, list[Any]]:
    """Return ``{name: [old, new]}`` for the attributes in which two versions differ.

    Of a version that is missing, ``None`` stands for each value.  A deletion has the last values
    that were stored, and so differs from the version before it in nothing.
    """
    changes = {}
    for key in spec.columns:
        before, after = getattr(old, key, None), getattr(new, key, None)
        if before is not after and not _equal(before, after):
            changes[key] = [before, after]
    return changes


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):
        # Arrays compare element by element and have no one truth; they count as changed.
        return False


def changeset(obj: Any) -> dict[str, list[Any]]:
    """Return the unflushed changes of *obj* as ``{name: [new, old]}``.

    Mind the order: a version's ``changeset`` has the old value first, as it always had.  Of a
    relationship the added and the removed object is given, the first where there are several.

    >>> article.name = "Third"
    >>> changeset(article)
    {'name': ['Third', 'Second']}
    """
    state: InstanceState[Any] = inspect(obj)
    if state.session is not None and obj in state.session.deleted:
        return _deletion(state)
    changes = {}
    for key in [*state.mapper.column_attrs.keys(), *state.mapper.relationships.keys()]:
        history = state.attrs[key].history
        if history.added or history.deleted:
            changes[key] = [_first(history.added), _first(history.deleted)]
    return changes


def _deletion(state: InstanceState[Any]) -> dict[str, list[Any]]:
    keys = {state.mapper.get_property_by_column(column).key for column in state.mapper.primary_key}
    values = {prop.key: state.attrs[prop.key].value for prop in state.mapper.column_attrs}
    return {k: [None, v] for k, v in values.items() if k not in keys and v is not None}


def _first(values: Any) -> Any:
    return values[0] if values else None


def is_modified(obj: Any) -> bool:
    """Tell whether flushing *obj* would make a version of it.

    :raises ClassNotVersioned: if its class is not versioned.

    >>> is_modified(article)
    False
    """
    spec = spec_of(obj)
    state: InstanceState[Any] = inspect(obj)
    keys = [*spec.columns, *_local_relationships(spec, state)]
    return any(state.attrs[key].history.has_changes() for key in keys)


def _local_relationships(spec: ClassSpec, state: InstanceState[Any]) -> list[str]:
    """Return the relationships whose change alters a kept column of the object itself."""
    kept = {column for key in spec.columns for column in state.mapper.attrs[key].columns}
    return [
        relationship.key
        for relationship in state.mapper.relationships
        if not relationship.viewonly
        and relationship.direction.name == "MANYTOONE"
        and kept & set(relationship.local_columns)
    ]


def is_modified_or_deleted(obj: Any) -> bool:
    """Tell whether *obj* is versioned and waits to be inserted, updated or deleted.

    >>> is_modified_or_deleted(article)
    False
    """
    state = inspect(obj, raiseerr=False)
    session = None if state is None else getattr(state, "session", None)
    if session is None or not is_versioned(obj):
        return False
    return obj in session.new or obj in session.deleted or is_modified(obj)


def is_session_modified(session: Session) -> bool:
    """Tell whether flushing *session* would make a version of anything.

    >>> is_session_modified(session)
    False
    """
    waiting = [*session.new, *session.deleted, *session.dirty]
    return any(is_modified_or_deleted(obj) for obj in waiting)


def versioned_objects(session: Session) -> Any:
    """Yield the versioned objects of *session*, new and loaded.

    >>> list(versioned_objects(session)) == [article]
    True
    """
    for obj in session:
        if find_spec(obj) is not None and is_versioned(obj):
            yield obj
