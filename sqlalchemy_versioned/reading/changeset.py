"""What differs between two versions, or between an object and what the database has of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import InstanceState, Session

from .._typing import mapper_of
from ..database.sessions import awaited_as, sync_session
from ..model.arguments import state_of
from ..model.counterparts import is_versioned
from ..model.lookup import spec_of
from ..model.masks import MASKED
from ..model.spec import ClassSpec

__all__ = [
    "changeset",
    "difference",
    "is_modified",
    "is_modified_or_deleted",
    "is_session_modified",
    "versioned_objects",
]


def difference(
    spec: ClassSpec, old: Any | None, new: Any | None, masked: Iterable[str] = ()
) -> dict[str, list[Any]]:
    """Return ``{name: [old, new]}`` for the attributes in which two versions differ.

    Of a version that is missing, ``None`` stands for each value.  A deletion has the last values
    that were stored, and so differs from the version before it in nothing.

    :param masked: the masked attributes in which they do.
    """
    columns = mapper_of(spec.version_class).column_attrs
    changes: dict[str, list[Any]] = {}
    for key in spec.columns:
        before = None if old is None else getattr(old, key)
        after = None if new is None else getattr(new, key)
        if not _is_equal(columns[key].columns[0], before, after):
            changes[key] = [before, after]
    values = [None if version is None else MASKED for version in (old, new)]
    return changes | {key: list(values) for key in masked}


def _is_equal(column: Any, one: Any, other: Any) -> bool:
    """Compare as the type of *column* does."""
    if one is other:
        return True
    if one is None or other is None:
        return False
    try:
        return bool(column.type.compare_values(one, other))
    except (TypeError, ValueError):
        # Arrays compare element by element and have no one truth; they count as changed.
        return False


@awaited_as("changeset(…)")
def changeset(obj: Any) -> dict[str, list[Any]]:
    """Return the unflushed changes of *obj* as ``{name: [new, old]}``.

    Mind the order: a version's ``changeset`` has the old value first, as it always had.  Of a
    relationship the added and the removed object is given, the first where there are several.
    Old values that were not loaded are read from the database, with one statement.

    :raises InvalidArgumentType: if it is no object of a mapped class.

    >>> article.name = "Second draft"
    >>> changeset(article)
    {'name': ['Second draft', 'Final']}
    """
    state = state_of(obj)
    if state.session is not None and obj in state.session.deleted:
        return _deletion(state)
    changes: dict[str, list[Any]] = {}
    # Not only what is kept: it is asked of any object, and names what was set.
    for key in [*state.mapper.column_attrs.keys(), *state.mapper.relationships.keys()]:
        history = state.attrs[key].history
        if history.added or history.deleted:
            changes[key] = [_first(history.added), _first(history.deleted)]
    return _with_stored(state, changes)


def _with_stored(state: InstanceState[Any], changes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Fill in the old values of columns that were set before they had been loaded."""
    columns = {prop.key: prop.columns[0] for prop in state.mapper.column_attrs}
    unknown = [key for key in changes if key in columns and not state.attrs[key].history.deleted]
    if not unknown or state.session is None or not state.persistent:
        return changes
    stored = _stored(state, unknown)
    for key in unknown:
        changes[key][1] = stored[key]
        # The same value was set again, of which the flush makes nothing either.
        if _is_equal(columns[key], changes[key][0], stored[key]):
            del changes[key]
    return changes


def _stored(state: InstanceState[Any], keys: list[str]) -> dict[str, Any]:
    """Read attributes from the row of an object, leaving the object alone."""
    cls, session = state.mapper.class_, state.session
    assert session is not None
    primary = [state.mapper.get_property_by_column(c).key for c in state.mapper.primary_key]
    statement = select(*[getattr(cls, key) for key in keys]).where(
        *[getattr(cls, k) == v for k, v in zip(primary, state.identity or (), strict=True)]
    )
    # Or the row would have the new values when it is read.
    with session.no_autoflush:
        row = session.execute(statement).first()
    return dict.fromkeys(keys) if row is None else dict(zip(keys, row, strict=True))


def _deletion(state: InstanceState[Any]) -> dict[str, list[Any]]:
    keys = {state.mapper.get_property_by_column(column).key for column in state.mapper.primary_key}
    assert state.session is not None
    # Or the row would be gone when what is not loaded is read.
    with state.session.no_autoflush:
        values = {prop.key: state.attrs[prop.key].value for prop in state.mapper.column_attrs}
    return {k: [None, v] for k, v in values.items() if k not in keys and v is not None}


def _first(values: Any) -> Any:
    return values[0] if values else None


def is_modified(obj: Any) -> bool:
    """Tell whether flushing *obj* would make a version of it.

    A value that is set before the former one was loaded counts as a change; the flush may find
    that it is none.

    :raises ClassNotVersioned: if its class is not versioned.
    :raises InvalidArgumentType: if it is a class.

    >>> is_modified(article)
    False
    """
    spec, state = spec_of(obj), state_of(obj)
    kept = (*spec.columns, *spec.masked)
    columns = [key for key in kept if key not in spec.options.ignore]
    # A foreign key is written by the flush, from the object that is assigned.
    keys = [*columns, *_local_relationships(columns, state)]
    return any(state.attrs[key].history.has_changes() for key in keys)


def _local_relationships(columns: list[str], state: InstanceState[Any]) -> list[str]:
    """Return the relationships whose change alters one of these columns of the object itself."""
    kept = {column for key in columns for column in state.mapper.column_attrs[key].columns}
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
    """Tell whether flushing *session* would make a version of any object.

    :raises ImproperlyConfigured: if *session* is no session.

    >>> is_session_modified(session)
    False
    """
    asked = sync_session(session)
    waiting = [*asked.new, *asked.deleted, *asked.dirty]
    return any(is_modified_or_deleted(obj) for obj in waiting)


def versioned_objects(session: Session) -> Iterator[Any]:
    """Yield the versioned objects of *session*, new and loaded.

    :raises ImproperlyConfigured: if *session* is no session.

    >>> list(versioned_objects(session)) == [article]
    True
    """
    return (obj for obj in sync_session(session) if is_versioned(obj))
