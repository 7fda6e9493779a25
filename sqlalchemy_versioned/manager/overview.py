"""What one manager versions, for whoever asks: nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, MetaData, Table, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.orm import registry as orm_registry

from .. import _sqlalchemy
from .._typing import mapper_of
from ..build.context_columns import build_transaction_columns
from ..build.core import said_of
from ..build.home import first_class_in
from ..build.inheritance import declarative_base_of, has_rows
from ..build.registry import Registry
from ..exc import ImproperlyConfigured
from ..model.counterparts import is_switched_on
from ..model.lookup import SPEC, bind_arguments_of
from ..model.spec import ClassSpec
from ..options import Options
from .cores import CoreTables
from .late_attributes import LateAttributes
from .scope import Scope, is_in
from .settings import Settings

__all__ = ["Overview"]


class Overview(Settings):
    """What a manager knows of its classes and tables; the manager itself puts it together."""

    _registry: Registry
    _scope: Scope
    _cores: CoreTables
    _late_attributes: LateAttributes
    #: The mapper of the first versioned class, in whose registry and ``MetaData`` transactions are.
    _first: Mapper[Any] | None

    # -- for applications --------------------------------------------------------------------

    @property
    def version_class_map(self) -> dict[type[Any], type[Any]]:
        """Version classes by parent class."""
        return {s.parent_class: s.version_class for s in self._exposed()}

    @property
    def parent_class_map(self) -> dict[type[Any], type[Any]]:
        """Parent classes by version class."""
        return {s.version_class: s.parent_class for s in self._exposed()}

    @property
    def association_tables(self) -> set[Any]:
        """The association tables whose rows are versioned."""
        return set(self._registry.associations)

    @property
    def association_version_tables(self) -> set[Any]:
        """The version tables of :attr:`association_tables`."""
        return {h.root.version_table for h in self._registry.associations.values()}

    @property
    def declarative_base(self) -> type[Any] | None:
        """The declarative base of the first versioned class; ``None`` if it has none."""
        return None if self._first is None else declarative_base_of(self._first)

    @property
    def registry(self) -> orm_registry:
        """The registry of the first versioned class; one of ours where there are tables alone."""
        if self._first is None and self._cores.tables:
            return self._cores.registry_of(self.metadata)
        return self._home.registry

    @property
    def metadata(self) -> MetaData:
        """The ``MetaData`` of the first versioned class or table: the transactions are in it."""
        if self._first is None and self._cores.tables:
            return self._cores.tables[0].metadata
        return next(iter(self._home.tables)).metadata  # type: ignore[attr-defined, no-any-return]

    @property
    def context_columns(self) -> list[Column[Any]]:
        """New columns for what transactions are to keep of the context, as the options say."""
        return build_transaction_columns(self._build_options())

    @property
    def objects_name_users(self) -> bool:
        """Whether users are named by attributes of some versioned class or table."""
        classes = (said_of(inspect(cls)) or {} for cls in self._pending())
        said = [self.options, *self._cores.said, *classes]
        return any(each.get("user_id_attribute") for each in said)

    # -- for the rest of the package -----------------------------------------------------------

    @property
    def begun_transaction_table(self) -> Table | None:
        """The transaction table in :attr:`metadata`, if tables without a class have needed it."""
        return self._registry.transaction_tables.get(self.metadata)

    def bind_arguments(self) -> Iterator[dict[str, Any]]:
        """Yield what tells a session the databases of what is versioned."""
        yield from (bind_arguments_of(spec) for spec in self._registry.classes.values())
        yield from ({"clause": table} for table in self._cores.tables)

    def has_core_table(self, table: Table) -> bool:
        """Tell whether a table is versioned without a class."""
        return self._cores.has(table)

    def is_recorded(self, table: Table) -> bool:
        """Tell whether a versioned table is recorded, and not switched off."""
        classes = [spec for spec in self._exposed() if spec.has_table(table)]
        if classes:
            # A statement on a table that classes share records the rows of all of them.
            return any(map(is_switched_on, classes))
        return self._is_kept(table) and self._cores.is_recorded(table)

    def _is_kept(self, table: Table) -> bool:
        """Tell whether versions of a table are written, and not only there for other programs."""
        registry = self._registry
        if registry.classes or table in registry.cores:
            return True
        links = registry.associations.get(table)
        spec = registry.tables.get(table) if links is None else links.root
        return spec is not None and spec.is_native

    # -- for the manager -----------------------------------------------------------------------

    def _awaits(self, metadata: MetaData) -> bool:
        """Tell whether something is versioned in a ``MetaData`` that is not built yet."""
        return self._is_on() and (
            self._awaits_users(metadata)
            or any(is_in(mapper, metadata) for mapper in self._waiting(metadata))
            # Mappers that are asked for relationships have the others configured.
            or self._late_attributes.are_relationships()
        )

    def _awaits_users(self, metadata: MetaData) -> bool:
        """Tell whether transactions, which know no users so far, may have to.

        Those of tables alone know none; where there are classes, they may.
        """
        if self._registry.transaction_class is not None:
            return False
        is_begun = any(table.metadata is metadata for table in self._cores.tables)
        return is_begun and first_class_in(metadata) is not None

    def _waiting(self, metadata: MetaData) -> Iterator[Mapper[Any]]:
        """Yield the classes of which something may be versioned that is not yet."""
        yield from map(mapper_of, self._pending())
        if any(is_in(mapper_of(cls), metadata) for cls in self._registry.classes):
            # Classes that are not versioned may come with links to these.
            yield from (each for each in _sqlalchemy.all_mappers() if not each.configured)

    def _options_in_use(self) -> Iterator[Options]:
        yield from (spec.options for spec in self._registry.classes.values())
        yield from self._cores.options

    @property
    def _home(self) -> Mapper[Any]:
        if self._first is None:
            raise ImproperlyConfigured(
                "no versioned class is known yet; call configure_mappers() after declaring one"
            )
        return self._first

    def _exposed(self) -> Iterator[ClassSpec]:
        return (spec for spec in self._registry.classes.values() if spec.exposed)

    def _pending(self) -> Iterator[type[Any]]:
        for mapper in _sqlalchemy.all_mappers():
            cls = mapper.class_
            if (
                SPEC in vars(cls)
                or cls is self.transaction_cls
                or not self._scope.has_class(mapper)
            ):
                continue
            said = said_of(mapper)
            if said is not None and said.get("versioning", True) and has_rows(mapper):
                yield cls
