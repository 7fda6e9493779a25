"""Triggers for the tables that one manager versions, made along with these tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Table, inspect

from ..build.context_columns import build_transaction_columns
from ..build.registry import Registry
from ..hooks import PluginCollection
from ..model.spec import Hierarchy, VersionSpec
from ..options import Options
from ..recording.transaction_row import referring_columns
from ..triggers.installer import TriggerInstaller
from ..triggers.native_tables import NativeTable
from ..triggers.spec import Variable
from .cores import CoreTables
from .native_checks import (
    check_append_only,
    check_modes,
    check_plugins,
    check_spec,
    check_subclasses,
)

__all__ = ["NativeVersioning"]


class NativeVersioning:
    """Has triggers record what one manager versions, as far as options say so.

    :param registry: returns what is versioned by classes and relationships.
    :param cores: the tables without a class.
    :param plugins: returns the plugins.
    :param options: returns what was said to the manager, checked.
    """

    def __init__(
        self,
        *,
        registry: Callable[[], Registry],
        cores: CoreTables,
        plugins: Callable[[], PluginCollection],
        options: Callable[[], Options],
    ) -> None:
        self._registry = registry
        self._cores = cores
        self._plugins = plugins
        self._options = options
        #: Whether triggers record some table.
        self.has_tables: bool = False
        self._installer = TriggerInstaller()

    def stop(self) -> None:
        """Let no triggers be made any more."""
        self._installer.stop()
        self.has_tables = False

    def install(self) -> None:
        """Let triggers be made with the tables that they record."""
        self.has_tables = any(self._tables())
        if not self.has_tables:
            return
        self.check()
        cls = self._registry().transaction_class
        referring = [] if cls is None else referring_columns(inspect(cls))
        creates = self._options().create_triggers
        self._installer.follow(self._tables(referring), creates=creates)

    def check_plugins(self) -> None:
        """Refuse plugins that do what triggers cannot, where they record all that says no more.

        :raises ImproperlyConfigured: if there are such.
        """
        if self._options().native_versioning:
            check_plugins(self._plugins())

    def check(self) -> None:
        """Refuse what triggers cannot record.

        :raises ImproperlyConfigured: if something is of that kind.
        """
        tables = list(self._tables())
        if tables:
            check_plugins(self._plugins())
        check_subclasses(self._registry().classes, {native.spec.parent_table for native in tables})
        for native in tables:
            check_spec(native.spec)
            if native.is_append_only:
                for table in (native.spec.transaction_table, *native.beside):
                    check_append_only(table)
        check_modes(self._hierarchies())

    def _hierarchies(self) -> dict[Table, Hierarchy]:
        """Return all versioned tables, each with those that objects share with it."""
        registry = self._registry()
        found = {**registry.cores, **registry.associations}
        for hierarchy in registry.hierarchies.values():
            found.update({spec.parent_table: hierarchy for spec in hierarchy.tables})
        return found

    def _tables(self, referring: Sequence[Column[Any]] = ()) -> Iterator[NativeTable]:
        """Yield the tables that triggers record.

        :param referring: columns that refer to transactions without a foreign key.
        """
        registry, options, said = self._registry(), self._options(), self._said()
        space = options.session_variable_namespace
        variables = _variables(
            build_transaction_columns(options), options.session_variables, space=space
        )
        beside = [table for plugin in self._plugins() for table in plugin.history_tables]
        for table, hierarchy in self._hierarchies().items():
            spec = registry.tables.get(table, hierarchy.root)
            if not spec.is_native:
                continue
            own, said_of_it = (spec.base or spec).variables, said.get(spec, options)
            yield NativeTable(
                spec,
                hierarchy,
                truncates=said_of_it.truncate == "record",
                variables=variables,
                referring=tuple(c for c in referring if c.table.metadata is table.metadata),
                version_variables=_variables(own, own, space=space),
                is_append_only=said_of_it.append_only,
                beside=tuple(t for t in beside if t.metadata is table.metadata),
            )

    def _said(self) -> dict[VersionSpec, Options]:
        """Return the options of what is versioned by itself, and not along with relationships."""
        registry = self._registry()
        said = {spec: each.options for each in registry.classes.values() for spec in each.tables}
        cores = registry.cores.items()
        said.update({each.root: self._cores.options_of(table) for table, each in cores})
        return said


def _variables(
    columns: Iterable[Column[Any]], said: Iterable[Column[Any]], *, space: str
) -> tuple[Variable, ...]:
    """Return the settings that fill columns.

    :param said: the session variables, which tell what must be given.
    :param space: what the names of settings begin with.
    """
    required = {column.key for column in said if not column.nullable}
    return tuple(Variable(c.key, f"{space}.{c.key}", c.key in required) for c in columns)
