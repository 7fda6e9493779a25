"""The tables of one manager that are versioned without a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.orm import registry as orm_registry

from .. import _sqlalchemy
from .._typing import is_table
from ..build.classes import forget_mapped_class
from ..build.core import build_reader, core_attribute_keys, said_in_info, settle_types
from ..build.named import check_users
from ..build.pipeline import Round
from ..build.registry import Registry, forget
from ..build.table_changes import extend_table_spec
from ..capture.recorder import Target
from ..exc import ImproperlyConfigured, InvalidArgumentType
from ..model.lookup import MANAGERS, check_has_key
from ..model.spec import ClassSpec, VersionSpec
from ..options import Options
from .scope import Scope

__all__ = ["CoreTables"]


class CoreTables:
    """The tables of one manager that are versioned without a class.

    :param manager: noted on what is built; not asked for anything.
    :param built: returns what the manager has built.
    :param begin: begins a run of the pipeline.
    :param scope: what the manager is for.
    :param is_on: tells whether the manager records what does not say otherwise.
    """

    def __init__(
        self,
        manager: Any,
        built: Callable[[], Registry],
        begin: Callable[[], Round],
        *,
        scope: Scope,
        is_on: Callable[[], bool],
    ) -> None:
        self._manager = manager
        self._scope = scope
        self._built = built
        self._begin = begin
        self._is_on = is_on
        self._said: dict[Table, dict[str, Any]] = {}
        self._options: dict[Table, Options] = {}
        #: The columns that each table had when its version table got its own.
        self._columns: dict[Table, frozenset[Column[Any]]] = {}
        #: Tables with columns that foreign keys have given no type so far.
        self._waiting: list[VersionSpec] = []
        self._readers: dict[Table, ClassSpec] = {}
        #: Where classes are mapped that nobody sees, and by which tables without a class are found.
        self._registries: dict[MetaData, orm_registry] = {}

    # -- what there is -----------------------------------------------------------------------

    @property
    def tables(self) -> list[Table]:
        """The tables that have version tables, the oldest first."""
        return list(self._built().cores)

    @property
    def options(self) -> list[Options]:
        """What the options of the tables have come to."""
        return list(self._options.values())

    @property
    def said(self) -> list[dict[str, Any]]:
        """What was said of the tables."""
        return list(self._said.values())

    def options_of(self, table: Table) -> Options:
        """Return what the options of a table have come to."""
        return self._options[table]

    @property
    def targets(self) -> dict[Table, Target]:
        """What is recorded of the tables that have no class by now."""
        registry = self._built()
        return {
            table: Target(
                hierarchy,
                hierarchy.root,
                self._checks(table),
                self._options[table].capture,
            )
            for table, hierarchy in registry.cores.items()
            if self.has(table)
        }

    @property
    def immutable(self) -> list[Table]:
        """Those of which nobody but the library may write the versions."""
        return [table for table in self.targets if self._options[table].immutable_versions]

    def has(self, table: Table) -> bool:
        """Tell whether a table is versioned, and has no class by now."""
        registry = self._built()
        is_other = table in registry.tables or table in registry.associations
        return table in registry.cores and not is_other

    def registry_of(self, metadata: MetaData) -> orm_registry:
        """Return a registry for classes of ours, of which one is found by its ``MetaData``."""
        if metadata not in self._registries:
            self._registries[metadata] = orm_registry(metadata=metadata)
        return self._registries[metadata]

    def is_recorded(self, table: Table) -> bool:
        """Tell whether writes to a table are recorded, now."""
        said = self._said.get(table, {}).get("versioning")
        return self._is_on() if said is None else bool(said)

    def _checks(self, table: Table) -> Callable[[], bool]:
        def is_on() -> bool:
            if not self.is_recorded(table):
                return False
            self._check_columns(table)
            return True

        return is_on

    def _check_columns(self, table: Table) -> None:
        known = self._columns[table]
        if len(table.columns) != len(known):
            new = [column.key for column in table.columns if column not in known]
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} has other columns than when it was versioned, and of "
                f"{', '.join(new)} nothing would be kept; call versioned_table() for it again, and "
                "add what is new to its version table in the database"
            )

    # -- declaring and building --------------------------------------------------------------

    def add(self, table: Any, said: Mapping[str, Any]) -> None:
        """Note that an application wants a table versioned, with options.

        :raises InvalidArgumentType: if it is no table.
        :raises ImproperlyConfigured: if something else is said of it elsewhere.
        """
        if not is_table(table):
            raise InvalidArgumentType(f"{table!r} is no table; give a Table, or version the class")
        if table.info.get("versioned") is False:
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} says that it is not versioned, by info['versioned']; "
                "take that out"
            )
        registry = self._built()
        owner = table.metadata.info.get(MANAGERS, {}).get(table, self._manager)
        is_core = table in registry.cores
        is_built = not is_core and (table in registry.tables or table in registry.associations)
        if owner is not self._manager or (is_built and said):
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} is versioned already, by a class, by a relationship or "
                "by another manager; give its options there"
            )
        if not is_built:
            self.declare(table, said)

    def find(self, *made: Table) -> bool:
        """Note the tables of which the info says that they are versioned; tell if there are any.

        :param made: tables that have just been made; those that there are unless given.
        """
        found = False
        for table in made or self._scope.tables():
            said = said_in_info(table)
            if said is None or table in self._built().tables or not self._scope.has_table(table):
                continue
            self.declare(table, said)
            found = True
        return found

    def declare(self, table: Table, said: Mapping[str, Any]) -> None:
        """Note that a table is versioned, with options.

        :raises ImproperlyConfigured: if other options were said before.
        """
        known = self._said.get(table)
        if known is not None and said and known != dict(said):
            raise ImproperlyConfigured(
                f"Table {table.fullname!r} is versioned with the options {known!r} already; what "
                f"is said now is {dict(said)!r}: say it once"
            )
        if known is None:
            self._said[table] = dict(said)

    def unfinished(self) -> list[Table]:
        """Return the tables that were declared, or got columns, since they were last built."""
        cores = self._built().cores
        new = [table for table in self._said if table not in cores]
        return [*new, *(t for t in cores if len(t.columns) != len(self._columns[t]))]

    def build(self, table: Table) -> None:
        """Build what belongs to a table, or follow columns that were appended to it."""
        if table in self._built().cores:
            self._extend(table)
        else:
            self._build(table)

    def _build(self, table: Table) -> None:
        mark = self._built().mark()
        try:
            options = self._begin().tables.build_core(table, self._said[table])
        except BaseException:
            # What is wrong with it may be put right, and said again.
            del self._said[table]
            forget(self._built().split(mark))
            raise
        self._options[table], self._columns[table] = options, frozenset(table.columns)
        self.registry_of(table.metadata)
        if options.create_tables:
            self._wait_for_types(table)

    def _wait_for_types(self, table: Table) -> None:
        self._waiting.append(self._built().cores[table].root)
        self.settle()

    def _extend(self, table: Table) -> None:
        spec, options = self._built().cores[table].root, self._options[table]
        keys = core_attribute_keys(table, options)
        new = {c: key for c, key in keys.items() if spec.version_column(c) is None}
        added = self._begin().tables.added_columns(None, table, new) if new else ()
        extend_table_spec(spec, keys, ignored=options.ignore, added=added)
        self._columns[table] = frozenset(table.columns)
        self._wait_for_types(table)
        self._forget_reader(table)

    def settle(self) -> None:
        """Follow what tables learn from one that was just made."""
        self._waiting = [spec for spec in self._waiting if not settle_types(spec)]

    def check_users(self, transaction_class: type[Any]) -> None:
        """Refuse tables that name users whom transactions would not know.

        :raises ImproperlyConfigured: for the first of them.
        """
        for table, hierarchy in self._built().cores.items():
            columns = {pair.version.key: pair.version for pair in hierarchy.root.pairs}
            owner = f"versioned_table({table.fullname!r})"
            check_users(self._options[table], columns, transaction_class, owner=owner)

    # -- reading -----------------------------------------------------------------------------

    def reader(self, table: Table, transaction_class: type[Any]) -> ClassSpec:
        """Return the spec by which the versions of a table are read.

        :raises IncompleteHistory: if the table has no key.
        """
        check_has_key(self._built().cores[table].root)
        if table not in self._readers:
            hierarchy = self._built().cores[table]
            self._readers[table] = build_reader(
                hierarchy.root,
                hierarchy,
                self._options[table],
                transaction_class=transaction_class,
                registry=self.registry_of(table.metadata),
            )
        return self._readers[table]

    def _forget_reader(self, table: Table) -> None:
        if table in self._readers:
            cls = self._readers.pop(table).version_class
            forget_mapped_class(cls, self.registry_of(table.metadata))

    def forget(self) -> None:
        """Let go of everything, also of what was said."""
        for each in self._registries.values():
            _sqlalchemy.forget_registry(each)
        for collection in (self._said, self._options, self._columns, self._readers):
            collection.clear()
        self._waiting.clear()
        self._registries.clear()
