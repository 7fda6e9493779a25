"""Mappers, registries and what is instrumented: finding them, and taking them apart."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import MetaData, Sequence, Table
from sqlalchemy.orm import (
    CompositeProperty,
    Mapper,
    clsregistry,
    instrumentation,
    mapperlib,
    registry,
)

__all__ = [
    "all_mappers",
    "all_metadata",
    "composite_arguments",
    "configure_again",
    "dispose_class",
    "find_kinds",
    "forget_class_name",
    "forget_registry",
    "forget_sequence",
    "has_new_mappers",
    "mapped_metadata",
    "named_class",
    "register_class_name",
    "remove_property",
]


def all_mappers() -> Iterator[Mapper[Any]]:
    """Yield every mapper of the process, in the order in which they were made.

    Uses ``mapperlib._mapper_registries`` and ``registry._managers``: what is public of them are
    sets, in which order is lost.
    """
    for reg in list(mapperlib._mapper_registries):
        for manager in list(reg._managers):
            if manager.is_mapped:
                yield manager.mapper


def all_metadata() -> list[MetaData]:
    """Return every ``MetaData`` that a registry has, or a mapped table is in.

    Uses ``mapperlib._mapper_registries``.
    """
    own = [reg.metadata for reg in list(mapperlib._mapper_registries)]
    return list(dict.fromkeys([*own, *mapped_metadata()]))


def mapped_metadata() -> list[MetaData]:
    """Return every ``MetaData`` that a mapped table is in."""
    tables = [mapper.local_table for mapper in all_mappers()]
    return list(dict.fromkeys(table.metadata for table in tables if isinstance(table, Table)))


def composite_arguments(prop: CompositeProperty[Any]) -> dict[str, Any]:
    """Return what a composite was given besides its class and columns, to make another one.

    Uses ``return_none_on``, which SQLAlchemy has since 2.1.
    """
    names = ("comparator_factory", "return_none_on")
    return {name: getattr(prop, name) for name in names if hasattr(prop, name)}


def forget_registry(reg: registry) -> None:
    """Dispose a registry, and let :func:`all_metadata` not know it any more."""
    reg.dispose()
    mapperlib._mapper_registries.pop(reg, None)


def has_new_mappers() -> bool:
    """Tell whether there are mappers that nobody has configured.

    Uses ``mapperlib._mapper_registries`` and ``registry._new_mappers``, by which
    ``configure_mappers()`` knows whether there is something to do.
    """
    return any(reg._new_mappers for reg in list(mapperlib._mapper_registries))


def configure_again(reg: registry) -> None:
    """Let the next ``configure_mappers()`` run its events although nothing is new.

    Uses ``registry._flag_new_mapper()``.
    """
    mapper = next((manager.mapper for manager in list(reg._managers)), None)
    if mapper is not None:
        reg._flag_new_mapper(mapper)


def dispose_class(cls: type[Any]) -> None:
    """Unmap *cls*.  Uses ``registry._dispose_manager_and_mapper()``, as ``dispose()`` does."""
    manager = instrumentation.opt_manager_of_class(cls)
    if manager is None or not manager.is_mapped:
        return
    mapper = manager.mapper
    _disinherit(mapper)
    reg = mapper.registry
    reg._dispose_manager_and_mapper(manager)
    reg._managers.pop(manager, None)


def _disinherit(mapper: Mapper[Any]) -> None:
    """Let the superclass of *mapper* forget it.  Uses ``Mapper._inheriting_mappers``."""
    superclass = mapper.inherits
    if superclass is None:
        return
    heirs: Any = superclass._inheriting_mappers
    heirs._storage[:] = [ref for ref in heirs._storage if ref() is not mapper]
    for above in superclass.iterate_to_root():
        above._expire_memoizations()


def remove_property(mapper: Mapper[Any], key: str) -> None:
    """Take a property off *mapper* and its subclasses; SQLAlchemy can only add them."""
    for each in mapper.self_and_descendants:
        each._props.pop(key, None)
        each._init_properties.pop(key, None)
        _uninstrument(each.class_manager, key)
        each._expire_memoizations()
        each.__dict__.pop("_polymorphic_properties", None)


def _uninstrument(manager: Any, key: str) -> None:
    """Do as ``ClassManager.uninstrument_attribute()``, past declarative's ``__delattr__``."""
    if key in manager.local_attrs:
        del manager.local_attrs[key]
        manager.originals.pop(key, None)
        if key in vars(manager.class_):
            type.__delattr__(manager.class_, key)
    manager.pop(key, None)
    manager._reset_memoizations()


class _Kinds(dict[Any, Mapper[Any]]):
    """The mappers of a hierarchy by identity, and what else stands for one that has none."""

    def __init__(self, known: dict[Any, Mapper[Any]], find: Callable[[Any], Any]) -> None:
        super().__init__(known)
        self._find = find

    def __missing__(self, identity: Any) -> Mapper[Any]:
        found: Mapper[Any] | None = self._find(identity)
        if found is None:
            raise KeyError(identity)
        return found


def find_kinds(mapper: Mapper[Any], find: Callable[[Any], Mapper[Any] | None]) -> None:
    """Let rows of an identity that no mapper below *mapper* has be loaded by another of them.

    Replaces ``Mapper.polymorphic_map``, which mappers that inherit share.

    :param mapper: the base-most one, before others inherit from it.
    :param find: returns the mapper for an identity; whenever one is met, as classes may come later.
    """
    mapper.polymorphic_map = _Kinds(mapper.polymorphic_map, find)


def forget_sequence(metadata: MetaData, sequence: Sequence) -> None:
    """Take a sequence out of its ``MetaData``.  Uses ``MetaData._sequences``."""
    metadata._sequences.pop(sequence._key, None)


def named_class(reg: registry, name: str) -> type[Any] | None:
    """Return the class that a declarative registry knows as *name*.

    Several classes of one name give the first.  Uses ``registry._class_registry``.
    """
    found = reg._class_registry.get(name)
    if isinstance(found, clsregistry._MultipleClassMarker):
        found = next((ref() for ref in found.contents if ref() is not None), None)
    return found if isinstance(found, type) else None


def register_class_name(reg: registry, name: str, cls: type[Any]) -> None:
    """Let relationships and ``registry`` look-ups find *cls* as *name*."""
    for function in ("add_class", "_add_class"):
        if hasattr(clsregistry, function):
            getattr(clsregistry, function)(name, cls, reg._class_registry)


def forget_class_name(reg: registry, name: str, cls: type[Any]) -> None:
    """Undo :func:`register_class_name`."""
    # Renamed with an underscore in SQLAlchemy 2.1.
    for function in ("remove_class", "_remove_class"):
        if hasattr(clsregistry, function):
            getattr(clsregistry, function)(name, cls, reg._class_registry)
