"""What one manager has built, and how all of it is taken apart again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.orm import Mapper

from .._typing import find_mapper, is_table
from ..model.lookup import MANAGER, SPEC
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from .classes import displace, forget_mapped_class
from .relationships import detach_parent_relationships
from .table_changes import forget_table_spec
from .transaction import forget_transaction_table

__all__ = ["TRANSACTION_CLASS", "VERSION_CLASS", "Registry", "forget"]

#: The attribute of a parent class where its version class is found if a module has no room for it.
VERSION_CLASS = "__version_class__"
#: The same for the Transaction class, on the declarative base.
TRANSACTION_CLASS = "__transaction_class__"

_NOTHING: Any = object()
_COLLECTIONS = ("classes", "tables", "hierarchies", "associations", "cores", "transaction_tables")


class Registry:
    """What one manager has built."""

    def __init__(self) -> None:
        self.classes: dict[type[Any], ClassSpec] = {}
        self.tables: dict[Table, VersionSpec] = {}
        self.hierarchies: dict[Table, Hierarchy] = {}
        #: Association tables that are versioned, each a hierarchy by itself.
        self.associations: dict[Table, Hierarchy] = {}
        #: Tables that are versioned without a class.
        self.cores: dict[Table, Hierarchy] = {}
        self.transaction_class: type[Any] | None = None
        #: The class that the Transaction class was placed beside, if it was.
        self.transaction_owner: type[Any] | None = None
        #: Whether the Transaction class is of our making.
        self.makes_transactions = False
        #: The transaction table of each ``MetaData``, as far as it is of our making.
        self.transaction_tables: dict[MetaData, Table] = {}
        #: What ``__versioned__`` was on classes themselves, before they got a copy of their own.
        self._said: dict[type[Any], Any] = {}

    @property
    def transaction_table(self) -> Table:
        """The table of the Transaction class."""
        mapper: Mapper[Any] = inspect(self.transaction_class)
        table = mapper.local_table
        assert is_table(table)
        return table

    def hierarchy_of(self, root: Table) -> Hierarchy:
        """Return the hierarchy whose base-most table is *root*."""
        return self.hierarchies.setdefault(root, Hierarchy())

    def mark(self) -> dict[str, set[Any]]:
        """Return what there is now, for :meth:`split`."""
        there = {name: set(getattr(self, name)) for name in _COLLECTIONS}
        return {**there, "transaction_class": {self.transaction_class}}

    def split(self, mark: dict[str, set[Any]]) -> Registry:
        """Take out what was built since *mark*, and return it."""
        late = Registry()
        for name in _COLLECTIONS:
            everything, found = getattr(self, name), getattr(late, name)
            for key in [key for key in everything if key not in mark[name]]:
                found[key] = everything.pop(key)
        # A class that was mapped to a table which has its history without it.
        late.tables = {t: spec for t, spec in late.tables.items() if t not in self.cores}
        if self.transaction_class not in mark["transaction_class"]:
            for name in ("transaction_class", "transaction_owner", "makes_transactions"):
                setattr(late, name, getattr(self, name))
                setattr(self, name, getattr(Registry(), name))
        return late

    def set_said(self, cls: type[Any], said: dict[str, Any]) -> None:
        """Give a class a ``__versioned__`` of its own."""
        self._said.setdefault(cls, vars(cls).get("__versioned__", _NOTHING))
        type.__setattr__(cls, "__versioned__", said)

    def restore_said(self) -> None:
        """Let ``__versioned__`` be what the application wrote."""
        for cls, said in self._said.items():
            if said is not _NOTHING:
                type.__setattr__(cls, "__versioned__", said)
            elif "__versioned__" in vars(cls):
                type.__delattr__(cls, "__versioned__")
        self._said.clear()


def forget(registry: Registry) -> None:
    """Undo everything that was built into *registry*; models and their tables stay."""
    for spec in reversed(list(registry.classes.values())):
        _forget_class(spec)
    tables = dict(registry.tables)
    for table, hierarchy in (*registry.associations.items(), *registry.cores.items()):
        tables.setdefault(table, hierarchy.root)
    for table_spec in tables.values():
        forget_table_spec(table_spec)
    _forget_transaction_class(registry)
    for table in registry.transaction_tables.values():
        forget_transaction_table(table)
    registry.restore_said()


def _forget_class(spec: ClassSpec) -> None:
    parent = spec.parent_class
    mapper = find_mapper(parent, raiseerr=False)
    displace(spec.version_class, parent, attribute=VERSION_CLASS)
    for name in (SPEC, MANAGER):
        if name in vars(parent):
            type.__delattr__(parent, name)
    detach_parent_relationships(spec, mapper)
    version_mapper = find_mapper(spec.version_class, raiseerr=False)
    if version_mapper is not None:
        forget_mapped_class(spec.version_class, version_mapper.registry)


def _forget_transaction_class(registry: Registry) -> None:
    cls = registry.transaction_class
    if cls is None or not registry.makes_transactions:
        return
    displace(cls, registry.transaction_owner, attribute=TRANSACTION_CLASS)
    mapper = find_mapper(cls, raiseerr=False)
    if mapper is not None:
        forget_mapped_class(cls, mapper.registry)
