"""What the caller's session has now: rows, pending objects and collections.

Reading changes nothing in the session, and flushes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    RelationshipProperty,
    Session,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
)
from sqlalchemy.orm.collections import collection_adapter

from .. import _sqlalchemy
from ..database.keys import as_asked
from ..model.spec import ClassSpec
from .columns import column_of, have_one_of
from .past import is_one_of, subclass_options

__all__ = [
    "chunks",
    "find_by",
    "find_live",
    "find_stored",
    "identity_of",
    "is_unloadable",
    "related_to",
]

#: How many keys one statement is given; well below what every driver can take.
CHUNK = 400


def chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Split *items* into lists of what one statement can take, each item once."""
    unique = list(dict.fromkeys(items))
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]


def identity_of(obj: Any) -> tuple[Any, ...] | None:
    """Return the primary key of the row of *obj*, or that it will have if it is pending."""
    state: InstanceState[Any] = inspect(obj)
    if state.identity is not None:
        return state.identity
    values = tuple(state.mapper.primary_key_from_instance(obj))
    return None if any(value is None for value in values) else values


def find_live(
    session: Session, spec: ClassSpec, identities: Iterable[tuple[Any, ...]], keys: Iterable[str]
) -> dict[tuple[Any, ...], Any]:
    """Return the live objects of some primary keys, pending ones included.

    :param keys: relationships to load with them.
    """
    wanted, cls, options = set(identities), spec.parent_class, _options(spec, keys)

    def look_for(some: list[Any]) -> Iterator[tuple[Any, Any]]:
        statement = select(cls).where(is_one_of(spec, cls, some)).options(*options)
        # Eager joins of collections, which a mapper may ask for, repeat rows.
        return ((identity_of(obj), obj) for obj in session.scalars(statement).unique())

    found = _found_by(look_for, wanted)
    # No query finds what waits for a flush.
    for obj in _pending(session, cls):
        if (identity := identity_of(obj)) in wanted:
            found[identity] = obj
    return found


def find_stored(
    session: Session, spec: ClassSpec, identities: Iterable[tuple[Any, ...]]
) -> set[tuple[Any, ...]]:
    """Return those of some primary keys that rows have, be they shown to the session or not.

    What applications add to statements of objects, by ``with_loader_criteria()``, is not added to
    those of tables.
    """
    mapper: Mapper[Any] = inspect(spec.parent_class)
    columns = [column_of(mapper, key) for key in spec.key]

    def look_for(some: list[Any]) -> Iterator[tuple[Any, Any]]:
        statement = select(*columns).where(have_one_of(columns, some))
        rows = session.execute(statement, bind_arguments={"mapper": mapper})
        return ((tuple(row), row) for row in rows)

    return set(_found_by(look_for, identities))


def _found_by(look_for: Callable[[list[Any]], Any], keys: Iterable[Any]) -> dict[Any, Any]:
    """Return what is found by keys, as they are given, with as many to a statement as it takes."""
    return {key: found for some in chunks(keys) for key, found in as_asked(look_for, some)}


def _pending(session: Session, cls: type[Any]) -> Iterator[Any]:
    return (obj for obj in session.new if isinstance(obj, cls))


def _options(spec: ClassSpec, keys: Iterable[str]) -> list[Any]:
    mapper: Mapper[Any] = inspect(spec.parent_class)
    options = subclass_options(mapper)
    for prop in mapper.column_attrs:
        if prop.deferred and prop.key in spec.columns:
            options.append(undefer(getattr(spec.parent_class, prop.key)))
    for each in mapper.self_and_descendants:
        for key in keys:
            relationship = each.relationships.get(key)
            if relationship is not None and relationship.parent is each:
                options += _loading(relationship)
    return options


def _loading(relationship: RelationshipProperty[Any]) -> list[Any]:
    if is_unloadable(relationship):
        return []
    # Of links of a class two tables below its base, SQLAlchemy 2.1 warns when it selects by keys.
    is_far = relationship.secondary is not None and len(relationship.parent.tables) > 2
    load = subqueryload if is_far else selectinload
    return [load(getattr(relationship.parent.class_, relationship.key))]


def is_unloadable(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether a relationship is never in memory as a whole."""
    return relationship.lazy in ("dynamic", "write_only")


def find_by(
    session: Session, cls: type[Any], keys: Sequence[str], values: Iterable[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Any]:
    """Return live objects by the values of some attributes; those to be deleted are left out."""
    columns = [getattr(cls, key) for key in keys]
    wanted: list[Any] = list(values)

    def value_of(obj: Any) -> tuple[Any, ...]:
        return tuple(getattr(obj, key) for key in keys)

    def look_for(some: list[Any]) -> Iterator[tuple[Any, Any]]:
        statement = select(cls).where(have_one_of(columns, some))
        return ((value_of(obj), obj) for obj in session.scalars(statement).unique())

    found: dict[tuple[Any, ...], Any] = {}
    for value, obj in _found_by(look_for, wanted).items():
        attributes = inspect(obj).attrs
        is_changed = any(attributes[key].history.has_changes() for key in keys)
        found[value_of(obj) if is_changed else value] = obj
    for obj in _pending(session, cls):
        found.setdefault(value_of(obj), obj)
    return {
        value: found[value]
        for value in wanted
        if value in found and found[value] not in session.deleted
    }


def related_to(session: Session, obj: Any, relationship: RelationshipProperty[Any]) -> list[Any]:
    """Return the objects that a relationship of *obj* refers to now, unflushed changes included."""
    if is_unloadable(relationship):
        return _queried(session, obj, relationship)
    value = _sqlalchemy.related_value(obj, relationship.key)
    if value is None:
        return []
    return list(collection_adapter(value)) if relationship.uselist else [value]


def _queried(session: Session, obj: Any, relationship: RelationshipProperty[Any]) -> list[Any]:
    state: InstanceState[Any] = inspect(obj)
    history = state.attrs[relationship.key].history
    stored: list[Any] = []
    if state.persistent:
        attribute = getattr(relationship.parent.class_, relationship.key)
        related = select(relationship.mapper.class_).where(with_parent(obj, attribute))
        stored = list(session.scalars(related).unique())
    # By identity throughout: mapped dataclasses compare by value.
    gone = set(map(id, [*(history.deleted or ()), *(history.added or ())]))
    return [*[each for each in stored if id(each) not in gone], *(history.added or ())]
