"""Relationships of version classes: to the live object, the transaction and other versions.

:func:`attach_parent_relationships` links a class and its versions; :func:`attach_relationships`
gives a version class what its parent class has, as of the transaction of each version.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Table, and_, event, inspect
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Mapper,
    RelationshipProperty,
    foreign,
    relationship,
    remote,
)
from sqlalchemy.orm.descriptor_props import ConcreteInheritedProperty

from .. import _sqlalchemy
from .._typing import type_of
from ..exc import ImproperlyConfigured, ReadOnlyRelationship, RelationshipNotVersioned
from ..model.lookup import find_spec
from ..model.spec import ClassSpec, Hierarchy
from ..options import Options
from ..reading.versions_attribute import VersionsAttribute
from .adaption import CannotFollow
from .attributes import other_name, synonym_target
from .indexes import index_foreign_keys
from .merging import NOT_MERGED
from .mirror import build_mirror

__all__ = [
    "PARENT_VERSIONS",
    "attach_parent_relationships",
    "attach_relationships",
    "detach_parent_relationships",
    "mirrored_relationships",
]

#: The mapped relationship behind ``Article.versions``.
PARENT_VERSIONS = "_recorded_versions"


def mirrored_relationships(mapper: Mapper[Any], options: Options) -> tuple[str, ...]:
    """Return the keys of the relationships that versions have as well."""
    return tuple(
        relationship.key
        for relationship in mapper.relationships
        if not options.is_excluded(relationship.key) and relationship.key != PARENT_VERSIONS
    )


# -- a class and its versions ----------------------------------------------------------------


def attach_parent_relationships(spec: ClassSpec) -> None:
    """Give a class its ``versions``, and its version class ``version_parent`` and ``transaction``.

    Subclasses inherit all three from the topmost class, unless they are concrete.  Names that the
    application uses for something else stay the application's.
    """
    parent: Mapper[Any] = inspect(spec.parent_class)
    version: Mapper[Any] = inspect(spec.version_class)
    if spec.exposed and not _has_property(parent, PARENT_VERSIONS):
        parent.add_property(PARENT_VERSIONS, _versions(spec))
        # An attribute of the application's own by that name stays; versions_of() serves it.
        if not hasattr(spec.parent_class, "versions") or _is_ours(spec.parent_class):
            # Past the metaclass, which would take it for something to map.
            type.__setattr__(spec.parent_class, "versions", VersionsAttribute(PARENT_VERSIONS))
    for key, build in (("version_parent", _version_parent), ("transaction", _transaction)):
        if not _is_used(spec, version, key):
            version.add_property(key, build(spec))


def detach_parent_relationships(spec: ClassSpec, mapper: Mapper[Any] | None) -> None:
    """Undo :func:`attach_parent_relationships` on the parent class."""
    if isinstance(vars(spec.parent_class).get("versions"), VersionsAttribute):
        type.__delattr__(spec.parent_class, "versions")
    if mapper is not None and mapper.has_property(PARENT_VERSIONS):
        _sqlalchemy.remove_property(mapper, PARENT_VERSIONS)


def _has_property(mapper: Mapper[Any], key: str) -> bool:
    """Tell whether *mapper* has a property that it can use.

    A concrete class has placeholders for what its superclass has, which refuse every use.
    """
    if not mapper.has_property(key):
        return False
    return not isinstance(mapper.get_property(key), ConcreteInheritedProperty)


def _is_used(spec: ClassSpec, version: Mapper[Any], key: str) -> bool:
    """Tell whether a version class, or a subclass that would inherit from it, has the name."""
    if _has_attribute(version, key):
        return True
    for mapper in version.self_and_descendants:
        heir = find_spec(mapper.class_)
        if heir is None or heir.root is not spec.root:
            continue
        if key in heir.relationships or _has_attribute(mapper, key):
            return True
    return False


def _has_attribute(mapper: Mapper[Any], key: str) -> bool:
    """Tell whether the class of *mapper* has a property of that name, or a hybrid attribute."""
    if mapper.has_property(key):
        return _has_property(mapper, key)
    # A concrete class finds attributes of classes above the one above it, which it does not map.
    found = mapper.all_orm_descriptors.get(key)
    return found is not None and not isinstance(found, InstrumentedAttribute)


def _is_ours(cls: type[Any]) -> bool:
    for each in cls.__mro__:
        if "versions" in vars(each):
            return isinstance(vars(each)["versions"], VersionsAttribute)
    return False


def _same_row(spec: ClassSpec) -> list[tuple[Any, Any]]:
    # Of a union of concrete classes, attributes are columns of the union.
    return [(pair.parent, pair.version) for pair in spec.root.key]


def _versions(spec: ClassSpec) -> Any:
    pairs = _same_row(spec)
    return relationship(
        spec.version_class,
        primaryjoin=and_(*[live == remote(foreign(version)) for live, version in pairs]),
        order_by=[getattr(spec.version_class, key) for key in spec.place],
        viewonly=True,
        cascade=NOT_MERGED,
        uselist=True,
    )


def _version_parent(spec: ClassSpec) -> Any:
    pairs = _same_row(spec)
    return relationship(
        spec.parent_class,
        primaryjoin=and_(*[remote(live) == foreign(version) for live, version in pairs]),
        viewonly=True,
        cascade=NOT_MERGED,
        uselist=False,
    )


def _transaction(spec: ClassSpec) -> Any:
    own = getattr(spec.version_class, spec.transaction_key)
    return relationship(
        spec.transaction_class,
        primaryjoin=remote(spec.transaction_class.id) == foreign(own),
        viewonly=True,
        cascade=NOT_MERGED,
        uselist=False,
    )


# -- versions and other versions -------------------------------------------------------------


def attach_relationships(
    spec: ClassSpec,
    classes: Mapping[type[Any], ClassSpec],
    associations: Mapping[Table, Hierarchy],
) -> None:
    """Give a version class the relationships of its parent class, as of its transaction.

    What cannot be followed into the past raises when it is read, and says why.
    """
    parent: Mapper[Any] = inspect(spec.parent_class)
    version: Mapper[Any] = inspect(spec.version_class)
    for key in spec.relationships:
        live = parent.relationships[key]
        # The version class of a superclass has it already, and it is inherited.
        if live.parent is not parent and _has_property(version, key):
            continue
        _check_name(spec, key)
        try:
            mirror = build_mirror(live, spec, classes, associations)
        except CannotFollow as reason:
            type.__setattr__(spec.version_class, key, UnreadableRelationship(live, str(reason)))
        else:
            version.add_property(key, mirror)
            index_foreign_keys(live, associations)
            _refuse_changes(getattr(spec.version_class, key))
    _attach_synonyms(parent, version)


def _attach_synonyms(parent: Mapper[Any], version: Mapper[Any]) -> None:
    """Give a version class the other names of its relationships."""
    for prop in parent.synonyms:
        key = synonym_target(prop)
        if version.has_property(key) and not version.has_property(prop.key):
            version.add_property(prop.key, other_name(key))


def _check_name(spec: ClassSpec, key: str) -> None:
    if key in spec.bookkeeping:
        name = spec.parent_class.__name__
        raise ImproperlyConfigured(
            f"{name} has a relationship {key!r}, which is also the name of a column of its "
            "version table; give that another name with the option 'transaction_column_name', "
            "'end_transaction_column_name' or 'operation_type_column_name', or exclude the "
            "relationship"
        )


class UnreadableRelationship:
    """Stands where a version has no relationship although its parent class has one."""

    def __init__(self, live: RelationshipProperty[Any], reason: str) -> None:
        self._name = str(live)
        self._reason = reason

    def __get__(self, version: Any | None, owner: type[Any]) -> Any:
        raise RelationshipNotVersioned(
            f"{self._name} cannot be followed from {owner.__name__}: {self._reason}; "
            "query the version classes instead"
        )

    def __set__(self, version: Any, value: Any) -> None:
        self.__get__(version, type_of(version))


def _refuse_changes(attribute: Any) -> None:
    for name in ("set", "append", "remove", "bulk_replace"):
        # What is view-only can be set without an error, and would be lost without a word.
        event.listen(attribute, name, partial(_refuse_change, attribute.key), propagate=True)


def _refuse_change(key: str, version: Any, *values: Any) -> None:
    # The initiator has another key where a version is set on a live object that refers back.
    raise ReadOnlyRelationship(
        f"{type(version).__name__}.{key} cannot be changed: it tells what history holds; use "
        "live objects instead"
    )
