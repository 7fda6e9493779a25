"""The version tables that one round makes: of classes, of tables alone, and of associations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from .._typing import is_table
from ..exc import ImproperlyConfigured
from ..hooks import PluginCollection, TableBuilder
from ..model.mapping import is_many_to_many, key_columns, root_mapper, table_chain
from ..model.spec import Hierarchy, VersionSpec
from ..options import Options
from .chosen import ChosenOptions
from .core import check_core_options, check_key, core_attribute_keys, core_masked_keys
from .named import check_names, index_names
from .registry import Registry
from .relationships import mirrored_relationships
from .table_changes import extend_table_spec, set_linked, with_key
from .table_checks import check_links_key
from .table_columns import attribute_keys, masked_keys
from .tables import build_table_spec
from .transaction_copies import copy_transaction_table

__all__ = ["TableRound"]


class TableRound:
    """Makes version tables, as far as the registry does not have them.

    :param chosen: the options of classes and tables.
    :param manager: handed to plugins, and noted on tables; asked for a transaction table only
        where there is no Transaction class yet.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        chosen: ChosenOptions,
        plugins: PluginCollection,
        manager: Any,
    ) -> None:
        self._registry = registry
        self._chosen = chosen
        self._plugins = plugins
        self._manager = manager
        self._earlier = set(registry.tables)

    # -- of classes --------------------------------------------------------------------------

    def build_of_class(self, mapper: Mapper[Any]) -> None:
        """Build, or extend, the version tables of what a class is mapped to."""
        chain = table_chain(mapper)
        for table in chain:
            known = self._registry.tables.get(table)
            if known is None:
                self._registry.tables[table] = self._build_table(mapper, table)
            # Built in this round, it has seen all subclasses there are.
            elif table in self._earlier:
                self._extend_table(mapper, known)
        specs = tuple(self._registry.tables[table] for table in chain)
        self._chosen.check_mode(mapper, specs)
        self._registry.hierarchy_of(chain[0]).add_chain(specs)

    def _build_table(self, mapper: Mapper[Any], table: Table) -> VersionSpec:
        key = key_columns(mapper, table)
        known = self._registry.cores.get(table) or self._registry.associations.get(table)
        if table in self._registry.associations:
            check_links_key(mapper.class_, self._registry.associations[table].root, key)
        if known is not None:
            # One history, whoever came first: a relationship that uses the table too, or the table.
            if masked := masked_keys(mapper, table, self._chosen.of):
                raise ImproperlyConfigured(
                    f"{mapper.class_.__name__}: {min(masked.values())!r} cannot be masked, because "
                    "the table is versioned without the class; mask it there, or configure both "
                    "together"
                )
            return with_key(known.root, key)
        keys = attribute_keys(mapper, table, self._chosen.of)
        return self._begin_spec(table, keys, mapper.class_)(
            options=self._chosen.of(mapper),
            key=key,
            masked_keys=masked_keys(mapper, table, self._chosen.of),
            base=self._registry.tables.get(table_chain(mapper)[0]),
            kind=root_mapper(mapper).polymorphic_on,
        )

    def _extend_table(self, mapper: Mapper[Any], spec: VersionSpec) -> None:
        """Keep columns that a single-table subclass has added since the table was built."""
        owner = next(m for m in mapper.iterate_to_root() if m.local_table is spec.parent_table)
        while owner.inherits is not None and owner.inherits.local_table is owner.local_table:
            owner = owner.inherits
        keys = attribute_keys(owner, spec.parent_table, self._chosen.of)
        new = {c: key for c, key in keys.items() if spec.version_column(c) is None}
        extend_table_spec(
            spec,
            keys,
            ignored=self._chosen.of(mapper).ignore,
            masked_keys=masked_keys(owner, spec.parent_table, self._chosen.of),
            added=self.added_columns(mapper.class_, spec.parent_table, new) if new else (),
        )

    # -- of tables without a class -------------------------------------------------------------

    def build_core(self, table: Table, said: Mapping[str, Any]) -> Options:
        """Build the version table of a table that no class need be mapped to.

        :param said: the options of the table.
        :returns: what they come to.
        """
        owner = f"versioned_table({table.fullname!r})"
        check_core_options(table, said, owner=owner)
        options = self._chosen.own(said, owner=owner)
        check_key(table, options, owner=owner)
        if not options.create_tables:
            return options
        keys = core_attribute_keys(table, options)
        check_names(options, keys.values(), owner=owner)
        spec = self._begin_spec(table, keys)(
            options=options,
            key=tuple(table.primary_key.columns),
            masked_keys=core_masked_keys(table, options),
        )
        index_names(options, {p.version.key: p.version for p in spec.pairs}, [spec])
        self._registry.cores[table] = _alone(spec)
        return options

    # -- of associations -----------------------------------------------------------------------

    def build_of_links(self, mapper: Mapper[Any]) -> None:
        """Build the version tables of the associations that a class has relationships by."""
        known = self._registry.associations
        for key in mirrored_relationships(mapper, self._chosen.of(mapper)):
            relationship = mapper.relationships[key]
            table = relationship.secondary
            if is_many_to_many(relationship) and is_table(table) and table not in known:
                columns = _sqlalchemy.association_columns(relationship)
                # What foreign keys do to links is recorded then, whichever side it comes from.
                is_native = self._chosen.is_native(mapper, relationship.mapper)
                known[table] = _alone(self._build_association(table, columns, is_native=is_native))

    def _build_association(
        self, table: Table, linked: tuple[Column[Any], ...], *, is_native: bool
    ) -> VersionSpec:
        key = _link_key(table, linked)
        core = self._registry.cores.get(table)
        known = self._registry.tables.get(table) or (None if core is None else core.root)
        if known is not None:
            # The table has a history beside this: one history, in which links find their rows.
            set_linked(known, linked)
            return known if known.key else with_key(known, key)
        keys = {column: column.key for column in table.columns}
        options = replace(
            self._chosen.manager, revision_id_column_name=None, native_versioning=is_native
        )
        spec = self._begin_spec(table, keys)(options=options, key=key)
        set_linked(spec, linked)
        return spec

    # -- of all of them ------------------------------------------------------------------------

    def _begin_spec(
        self, table: Table, kept: Mapping[Column[Any], str], model: type[Any] | None = None
    ) -> partial[VersionSpec]:
        """Say of a version table what is the same whatever it is built for."""
        return partial(
            build_table_spec,
            table,
            attribute_keys=kept,
            transaction_table=self._transaction_table(table),
            manager=self._manager,
            add_columns=lambda parent: self.added_columns(model, parent, kept),
        )

    def _transaction_table(self, table: Table) -> Table:
        """Return the transaction table beside a table, which is made if there is none yet."""
        metadata, known = table.metadata, self._registry.transaction_tables
        # Tables without a class do without a Transaction class, too, until it is needed.
        has_class = self._registry.transaction_class is not None
        home = self._registry.transaction_table if has_class else None
        if home is not None and home.metadata is metadata:
            return home
        if metadata not in known:
            known[metadata] = (
                self._manager.build_transaction_table(metadata)
                if home is None
                else copy_transaction_table(home, metadata)
            )
        return known[metadata]

    def added_columns(
        self, model: type[Any] | None, table: Table, kept: Mapping[Column[Any], str]
    ) -> list[Column[Any]]:
        """Return what plugins add to a version table.

        :param model: the class, or ``None`` for a table without one.
        :param kept: the columns that are kept, and the keys of their version columns.
        """
        columns: list[Column[Any]] = []
        builder = TableBuilder(self._manager, model, table, kept)
        self._plugins.call("after_build_version_table_columns", builder, columns)
        return columns


def _alone(spec: VersionSpec) -> Hierarchy:
    """Return the hierarchy of a table that shares its objects with no other."""
    hierarchy = Hierarchy()
    hierarchy.add_chain((spec,))
    return hierarchy


def _link_key(table: Table, linked: tuple[Column[Any], ...]) -> tuple[Column[Any], ...]:
    """Return the columns by which the rows of an association table are recognised."""
    primary = tuple(table.primary_key.columns)
    # Several relationships may share a table; what they have in common is its whole key.
    if primary and set(primary) <= set(linked):
        return primary
    # A row may be one of several of its link, and SQLite gives its number to another link.
    return tuple(dict.fromkeys((*primary, *linked)))
