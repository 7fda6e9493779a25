"""What a manager is for: everything, or what some bases, registries and MetaData have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import Mapper
from sqlalchemy.orm import registry as orm_registry

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..model.lookup import MANAGER

__all__ = ["Scope", "is_in", "manager_of"]


#: What a manager can be for: ``Mapper`` and base classes are classes.
_TARGETS: Any = (type, orm_registry, MetaData)


class Scope:
    """The classes and tables that a manager is for.

    What one manager is for by name is not for another that is for all.

    :param manager: noted on base classes and on ``MetaData``; not asked for anything.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._targets: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._targets)

    def add(self, target: Any) -> None:
        """Take in ``Mapper``, a base class, a registry or a ``MetaData``.

        :raises ImproperlyConfigured: if it is something else.
        """
        if not isinstance(target, _TARGETS):
            raise ImproperlyConfigured(
                f"mapper is {target!r}; give Mapper for all classes, or a base class, a registry "
                "or a MetaData"
            )
        if any(known is target for known in self._targets):
            return
        self._targets.append(target)
        if isinstance(target, type) and target is not Mapper:
            type.__setattr__(target, MANAGER, self._manager)
        metadata = _metadata_of(target)
        if metadata is not None:
            metadata.info[MANAGER] = self._manager

    def clear(self) -> None:
        """Be for nothing any more."""
        for target in self._targets:
            metadata = _metadata_of(target)
            if metadata is not None and metadata.info.get(MANAGER) is self._manager:
                del metadata.info[MANAGER]
            if isinstance(target, type) and vars(target).get(MANAGER) is self._manager:
                type.__delattr__(target, MANAGER)
        self._targets.clear()

    def has_class(self, mapper: Mapper[Any]) -> bool:
        """Tell whether a mapped class is the manager's."""
        owner = getattr(mapper.class_, MANAGER, self._manager)
        return owner is self._manager and any(_covers(each, mapper) for each in self._targets)

    def has_table(self, table: Table) -> bool:
        """Tell whether a table is the manager's."""
        return manager_of(table, self._manager) is self._manager and any(
            target is Mapper or _metadata_of(target) is table.metadata for target in self._targets
        )

    def tables(self) -> Iterator[Table]:
        """Yield the tables that it has, as far as classes or names lead to them."""
        named = [each for target in self._targets if (each := _metadata_of(target)) is not None]
        for metadata in dict.fromkeys([*_sqlalchemy.mapped_metadata(), *named]):
            yield from filter(self.has_table, list(metadata.tables.values()))


def manager_of(table: Any, default: Any) -> Any:
    """Return the manager that a table is for by name, or the one that is for all others."""
    metadata: MetaData | None = getattr(table, "metadata", None)
    return default if metadata is None else metadata.info.get(MANAGER, default)


def _covers(target: Any, mapper: Mapper[Any]) -> bool:
    if isinstance(target, orm_registry):
        return mapper.registry is target
    if isinstance(target, MetaData):
        return is_in(mapper, target)
    if target is Mapper:
        return True
    return isinstance(target, type) and issubclass(mapper.class_, target)


def is_in(mapper: Mapper[Any], metadata: MetaData) -> bool:
    """Tell whether a class is mapped to a table of a ``MetaData``."""
    return any(getattr(table, "metadata", None) is metadata for table in mapper.tables)


def _metadata_of(target: Any) -> MetaData | None:
    """Return the ``MetaData`` of what is not for all."""
    found = target if isinstance(target, MetaData) else getattr(target, "metadata", None)
    return found if isinstance(found, MetaData) else None
