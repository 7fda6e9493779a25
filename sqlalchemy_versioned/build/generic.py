"""Generic relationships on versions: to what the object referred to at the time.

``generic_relationship()`` of SQLAlchemy-Utils keeps the name of a class in one column and the key
of an object in others.  Versions keep these columns like any; a generic relationship of a version
reads them and leads to the version, or to the live object where the other class is not versioned.

SQLAlchemy-Utils takes long to import, so only a class that uses it brings it in.
"""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import ColumnElement, and_, not_
from sqlalchemy.ext.hybrid import Comparator, hybrid_property
from sqlalchemy.orm import Mapper, object_session
from sqlalchemy.orm.exc import DetachedInstanceError, UnmappedColumnError

from .._typing import mapper_of, type_of
from ..exc import ReadOnlyRelationship, RelationshipNotVersioned
from ..model.lookup import ensure_bound, find_spec, spec_of
from ..model.mapping import class_named
from ..model.operation import Operation
from ..model.spec import ClassSpec
from ..query.history import FRESH, select_version_at

__all__ = ["build_generic", "is_generic"]


def is_generic(descriptor: Any) -> bool:
    """Tell whether a hybrid attribute is a generic relationship."""
    module = sys.modules.get("sqlalchemy_utils.generic")
    kind = getattr(module, "GenericRelationship", None)
    return kind is not None and isinstance(_relationship_of(descriptor), kind)


def _relationship_of(descriptor: Any) -> Any:
    return getattr(getattr(descriptor, "fget", None), "__self__", None)


def build_generic(descriptor: Any, key: str, mapper: Mapper[Any]) -> hybrid_property[Any]:
    """Build the attribute that versions have in place of a generic relationship.

    :param key: its name.
    :param mapper: the mapper of the parent class.
    """
    live = _relationship_of(descriptor)
    discriminator, *ids = [_key_of(column, mapper) for column in (live.discriminator, *live.ids)]

    def get(version: Any) -> Any:
        _check_kept(type_of(version), key, [discriminator, *ids])
        name = getattr(version, discriminator)
        return None if name is None else _find(version, name, [getattr(version, i) for i in ids])

    def refuse(version: Any, value: Any) -> None:
        raise ReadOnlyRelationship(
            f"{type(version).__name__}.{key} cannot be changed: it tells what history holds; "
            "change the live object instead"
        )

    def compare(version_class: type[Any]) -> Any:
        _check_kept(version_class, key, [discriminator, *ids])
        return _GenericComparator(
            getattr(version_class, discriminator), [getattr(version_class, i) for i in ids]
        )

    get.__name__ = key
    # The comparator is made for each class that has the attribute.
    make: Any = compare
    built: hybrid_property[Any] = hybrid_property(get, refuse, custom_comparator=make)
    return built


def _key_of(column: Any, mapper: Mapper[Any]) -> str:
    """Return the attribute for which a generic relationship was given *column*."""
    if isinstance(column, str):
        return column
    if isinstance(column, hybrid_property):
        return column.__name__
    try:
        return mapper.get_property_by_column(column).key
    except UnmappedColumnError:
        # A declarative class copies the columns of its mixins.
        return str(column.key)


def _check_kept(version_class: type[Any], key: str, attributes: list[str]) -> None:
    for name in attributes:
        if not hasattr(version_class, name):
            raise RelationshipNotVersioned(
                f"{version_class.__name__}.{key} cannot be followed: {name!r} is excluded from "
                "versioning"
            )


def _find(version: Any, name: str, identity: list[Any]) -> Any:
    """Return what an object of the class *name* was at the transaction of a version."""
    spec, session = spec_of(version), object_session(version)
    if session is None:
        raise DetachedInstanceError(f"{version!r} is in no session; its references need one")
    target = class_named(spec.parent_class, name)
    if target is None:
        return None
    found = find_spec(target)
    if found is None or not found.exposed:
        return session.get(target, tuple(identity))
    ensure_bound(session, found)
    at = getattr(version, spec.transaction_key)
    statement = select_version_at(found, _in_order(target, identity, found), at)
    then: Any = session.scalars(statement, execution_options=FRESH).first()
    if then is None or getattr(then, found.operation_key) is Operation.DELETE:
        return None
    return then


def _key_names(cls: type[Any]) -> list[str]:
    """Return the key of a class as SQLAlchemy-Utils has it: in the order of the columns."""
    import sqlalchemy_utils  # pyright: ignore[reportMissingTypeStubs]

    untyped: Any = sqlalchemy_utils
    return list(untyped.get_primary_keys(cls))


def _in_order(target: type[Any], identity: list[Any], spec: ClassSpec) -> list[Any]:
    """Return a key in the order of the spec."""
    values = dict(zip(_key_names(target), identity, strict=True))
    return [values[key] for key in spec.key]


class _GenericComparator(Comparator[Any]):
    """Compares generic relationships of versions with live objects, versions and classes."""

    def __init__(self, discriminator: ColumnElement[Any], ids: list[ColumnElement[Any]]) -> None:
        super().__init__(discriminator)
        self._discriminator = discriminator
        self._ids = ids

    def __eq__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        if other is None:
            return self._discriminator.is_(None)
        cls = _live_class(type_of(other))
        values = [getattr(other, key) for key in _key_names(cls)]
        same = [column == value for column, value in zip(self._ids, values, strict=True)]
        return and_(self._discriminator == cls.__name__, *same)

    def __ne__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        same: ColumnElement[bool] = self == other
        return not_(same)

    def is_type(self, other: type[Any]) -> ColumnElement[bool]:
        """Match what refers to objects of a class or its subclasses."""
        mappers = mapper_of(_live_class(other)).self_and_descendants
        return self._discriminator.in_([mapper.class_.__name__ for mapper in mappers])


def _live_class(cls: type[Any]) -> type[Any]:
    spec = find_spec(cls)
    return cls if spec is None else spec.parent_class
