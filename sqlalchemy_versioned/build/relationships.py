"""Relationships of version classes: to the live object, the transaction and to other versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, and_, inspect
from sqlalchemy.orm import Mapper, foreign, relationship, remote

from .. import _sqlalchemy
from ..collection import VersionsAttribute
from ..spec import ClassSpec, VersionSpec

__all__ = [
    "PARENT_VERSIONS",
    "attach_parent_relationships",
    "attach_relationships",
    "detach_parent_relationships",
]

#: The mapped relationship behind ``Article.versions``.
PARENT_VERSIONS = "_versions"


def attach_parent_relationships(spec: ClassSpec) -> None:
    """Give a class its ``versions``, and its version class ``version_parent`` and ``transaction``.

    Subclasses inherit all three from the topmost class.  Names that the application uses for
    something else stay the application's.
    """
    parent: Mapper[Any] = inspect(spec.parent_class)
    version: Mapper[Any] = inspect(spec.version_class)
    if spec.superclasses and PARENT_VERSIONS in parent.attrs:
        return
    parent.add_property(PARENT_VERSIONS, _versions(spec))
    if not hasattr(spec.parent_class, "versions") or _is_ours(spec.parent_class):
        type.__setattr__(spec.parent_class, "versions", VersionsAttribute(PARENT_VERSIONS))
    for key, build in (("version_parent", _version_parent), ("transaction", _transaction)):
        if key not in version.attrs:
            version.add_property(key, build(spec))


def detach_parent_relationships(spec: ClassSpec, mapper: Mapper[Any] | None) -> None:
    """Undo :func:`attach_parent_relationships` on the parent class."""
    if isinstance(vars(spec.parent_class).get("versions"), VersionsAttribute):
        type.__delattr__(spec.parent_class, "versions")
    if mapper is not None and PARENT_VERSIONS in mapper.attrs:
        _sqlalchemy.remove_property(mapper, PARENT_VERSIONS)


def _is_ours(cls: type[Any]) -> bool:
    for each in cls.__mro__:
        if "versions" in vars(each):
            return isinstance(vars(each)["versions"], VersionsAttribute)
    return False


def _same_row(spec: ClassSpec) -> list[tuple[Any, Any]]:
    return [
        (getattr(spec.parent_class, key), getattr(spec.version_class, key)) for key in spec.key
    ]


def _versions(spec: ClassSpec) -> Any:
    pairs = _same_row(spec)
    return relationship(
        spec.version_class,
        primaryjoin=and_(*[live == remote(foreign(version)) for live, version in pairs]),
        order_by=getattr(spec.version_class, spec.transaction_key),
        viewonly=True,
        uselist=True,
    )


def _version_parent(spec: ClassSpec) -> Any:
    pairs = _same_row(spec)
    return relationship(
        spec.parent_class,
        primaryjoin=and_(*[remote(live) == foreign(version) for live, version in pairs]),
        viewonly=True,
        uselist=False,
    )


def _transaction(spec: ClassSpec) -> Any:
    own = getattr(spec.version_class, spec.transaction_key)
    return relationship(
        spec.transaction_class,
        primaryjoin=remote(spec.transaction_class.id) == foreign(own),
        viewonly=True,
        uselist=False,
    )


def attach_relationships(
    spec: ClassSpec,
    classes: Mapping[type[Any], ClassSpec],
    associations: Mapping[Table, VersionSpec],
) -> None:
    """Give a version class the relationships of its parent class, as of its transaction."""
