"""The order in which versioning is built, once mappers are configured: the only statement of it.

    declared classes -> options -> transaction class -> version tables -> association tables
    -> version classes -> specs -> relationships

The pipeline fills the :class:`.Registry` it is given; running it again with classes that were
declared later adds to what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from .._typing import is_table, mapper_of
from ..exc import ImproperlyConfigured
from ..hooks import PluginCollection, TableBuilder
from ..model.lookup import MANAGER, SPEC
from ..model.mapping import (
    is_many_to_many,
    key_columns,
    primary_key_attributes,
    root_mapper,
    superclass_mappers,
    table_chain,
)
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..options import Options
from .attributes import (
    attribute_keys,
    kept_columns,
    masked_attributes,
    masked_keys,
)
from .chosen import ChosenOptions
from .classes import place_beside
from .core import check_core_options, check_key, core_attribute_keys, core_masked_keys
from .inheritance import has_rows, map_version_class, superclass_versions
from .named import check_names, check_users, index_names
from .registry import VERSION_CLASS, Registry
from .relationships import PARENT_VERSIONS, attach_parent_relationships, attach_relationships
from .table_checks import check_links_key
from .tables import build_table_spec, extend_table_spec, set_linked, with_key
from .transaction_copies import copy_transaction_table

__all__ = ["Round"]


class Round:
    """One run of the pipeline over classes that have been declared since the last.

    :param options: what was said to the manager.
    :param manager: handed to plugins, and put on classes; not asked for anything.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        options: Mapping[str, Any],
        plugins: PluginCollection,
        manager: Any,
    ) -> None:
        self.registry = registry
        self.plugins = plugins
        self.manager = manager
        self._chosen = ChosenOptions(registry, options, plugins)
        self._earlier = set(registry.tables)

    def run(self, classes: Iterable[type[Any]]) -> list[ClassSpec]:
        """Build everything for *classes* and return their specs."""
        # Superclasses first: subclasses extend their tables and derive from their version classes.
        mappers = self._ordered(classes)
        self.plugins.call("after_build_tx_class", self.manager)
        chosen = [m for m in mappers if self._chosen.choose(m, exposed=mappers[m]).versioning]
        stored = [mapper for mapper in chosen if self._chosen.of(mapper).create_tables]
        for mapper in stored:
            self._build_tables(mapper)
        earlier = list(self.registry.classes.values())
        for mapper in (*stored, *[mapper_of(spec.parent_class) for spec in earlier]):
            self._build_associations(mapper)
        if not self._chosen.manager.create_models:
            return []
        specs = [self._build_class(mapper, exposed=mappers[mapper]) for mapper in chosen]
        for spec in specs:
            # After all classes are there, because relationships lead from any to any.
            attach_parent_relationships(spec)
        for spec in (*specs, *self._extended(earlier)):
            attach_relationships(spec, self.registry.classes, self.registry.associations)
        for spec in specs:
            self.plugins.call("after_version_class_built", spec.parent_class, spec.version_class)
        self.plugins.call("after_build_models", self.manager)
        return specs

    # -- what to build -----------------------------------------------------------------------

    def _ordered(self, classes: Iterable[type[Any]]) -> dict[Mapper[Any], bool]:
        """Return the mappers to build, superclasses first; false for those only implied."""
        wanted: dict[Mapper[Any], None] = dict.fromkeys(map(inspect, classes))
        ordered: dict[Mapper[Any], bool] = {}
        for mapper in sorted(wanted, key=lambda m: sum(1 for _ in m.iterate_to_root())):
            for above in reversed(list(superclass_mappers(mapper))):
                if above.class_ not in self.registry.classes and has_rows(above):
                    ordered.setdefault(above, above in wanted)
        return ordered

    # -- tables ------------------------------------------------------------------------------

    def _build_tables(self, mapper: Mapper[Any]) -> None:
        chain = table_chain(mapper)
        for table in chain:
            known = self.registry.tables.get(table)
            if known is None:
                self.registry.tables[table] = self._build_table(mapper, table)
            # Built in this round, it has seen all subclasses there are.
            elif table in self._earlier:
                self._extend_table(mapper, known)
        specs = tuple(self.registry.tables[table] for table in chain)
        self._chosen.check_mode(mapper, specs)
        self.registry.hierarchy_of(chain[0]).add_chain(specs)

    def _build_table(self, mapper: Mapper[Any], table: Table) -> VersionSpec:
        key = key_columns(mapper, table)
        known = self.registry.cores.get(table) or self.registry.associations.get(table)
        if table in self.registry.associations:
            check_links_key(mapper.class_, self.registry.associations[table].root, key)
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
        return build_table_spec(
            table,
            options=self._chosen.of(mapper),
            key=key,
            attribute_keys=keys,
            transaction_table=self._transaction_table(table),
            manager=self.manager,
            masked_keys=masked_keys(mapper, table, self._chosen.of),
            add_columns=lambda parent: self.added_columns(mapper.class_, parent, keys),
            base=self.registry.tables.get(table_chain(mapper)[0]),
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

    def _transaction_table(self, table: Table) -> Table:
        known = self.registry.transaction_tables
        if self.registry.transaction_class is None:
            # Of tables without a class, which do without that class, too, until it is needed.
            if table.metadata not in known:
                known[table.metadata] = self.manager.build_transaction_table(table.metadata)
            return known[table.metadata]
        home = self.registry.transaction_table
        if table.metadata is home.metadata:
            return home
        if table.metadata not in known:
            known[table.metadata] = copy_transaction_table(home, table.metadata)
        return known[table.metadata]

    def added_columns(
        self, model: type[Any] | None, table: Table, kept: Mapping[Column[Any], str]
    ) -> list[Column[Any]]:
        """Return what plugins add to a version table.

        :param model: the class, or ``None`` for a table without one.
        :param kept: the columns that are kept, and the keys of their version columns.
        """
        columns: list[Column[Any]] = []
        builder = TableBuilder(self.manager, model, table, kept)
        self.plugins.call("after_build_version_table_columns", builder, columns)
        return columns

    # -- tables without a class ----------------------------------------------------------------

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
        hierarchy = Hierarchy()
        spec = build_table_spec(
            table,
            options=options,
            key=tuple(table.primary_key.columns),
            attribute_keys=keys,
            transaction_table=self._transaction_table(table),
            manager=self.manager,
            masked_keys=core_masked_keys(table, options),
            add_columns=lambda parent: self.added_columns(None, parent, keys),
        )
        index_names(options, {p.version.key: p.version for p in spec.pairs}, [spec])
        hierarchy.add_chain((spec,))
        self.registry.cores[table] = hierarchy
        return options

    # -- association tables ------------------------------------------------------------------

    def _build_associations(self, mapper: Mapper[Any]) -> None:
        for key in _mirrored_relationships(mapper, self._chosen.of(mapper)):
            relationship = mapper.relationships[key]
            table = relationship.secondary
            if not is_many_to_many(relationship) or not is_table(table):
                continue
            if table not in self.registry.associations:
                columns = _sqlalchemy.association_columns(relationship)
                hierarchy = Hierarchy()
                # What foreign keys do to links is recorded then, whichever side it comes from.
                is_native = self._chosen.is_native(mapper, relationship.mapper)
                spec = self._build_association(table, columns, is_native=is_native)
                hierarchy.add_chain((spec,))
                self.registry.associations[table] = hierarchy

    def _build_association(
        self, table: Table, linked: tuple[Column[Any], ...], *, is_native: bool
    ) -> VersionSpec:
        key = _link_key(table, linked)
        core = self.registry.cores.get(table)
        known = self.registry.tables.get(table) or (None if core is None else core.root)
        if known is not None:
            # The table has a history beside this: one history, in which links find their rows.
            set_linked(known, linked)
            return known if known.key else with_key(known, key)
        keys = {column: column.key for column in table.columns}
        spec = build_table_spec(
            table,
            options=replace(
                self._chosen.manager, revision_id_column_name=None, native_versioning=is_native
            ),
            key=key,
            attribute_keys=keys,
            transaction_table=self._transaction_table(table),
            manager=self.manager,
            add_columns=lambda parent: self.added_columns(None, parent, keys),
        )
        set_linked(spec, linked)
        return spec

    # -- classes -----------------------------------------------------------------------------

    def _build_class(self, mapper: Mapper[Any], *, exposed: bool) -> ClassSpec:
        options = self._chosen.of(mapper)
        chain = tuple(self.registry.tables[table] for table in table_chain(mapper))
        columns = kept_columns(mapper, chain)
        if exposed:
            firsts = {key: group[0] for key, group in columns.items()}
            owner = mapper.class_.__name__
            check_names(options, firsts, owner=owner)
            check_users(options, firsts, self.registry.transaction_class, owner=owner)  # type: ignore[arg-type]
            index_names(options, firsts, chain)
        root = chain[0]
        spec = ClassSpec(
            parent_class=mapper.class_,
            version_class=map_version_class(
                mapper, chain, columns, options=options, known=self.registry.classes
            ),
            transaction_class=self.registry.transaction_class,  # type: ignore[arg-type]
            options=options,
            hierarchy=self.registry.hierarchy_of(root.parent_table),
            tables=chain,
            columns=tuple(columns),
            key=primary_key_attributes(mapper),
            transaction_key=root.transaction_column.key,
            end_key=None if root.end_column is None else root.end_column.key,
            operation_key=root.operation_column.key,
            id_key=None if root.id_column is None else root.id_column.key,
            masked=masked_attributes(mapper, chain),
            relationships=_mirrored_relationships(mapper, options),
            exposed=exposed,
            superclasses=superclass_versions(mapper, self.registry.classes),
        )
        self.registry.classes[mapper.class_] = spec
        self._mark(spec)
        return spec

    def _extended(self, earlier: Iterable[ClassSpec]) -> Iterator[ClassSpec]:
        """Take in relationships that classes have got since they were built, such as backrefs.

        :returns: specs of those classes, with the new relationships only.
        """
        for spec in earlier:
            mapper: Mapper[Any] = inspect(spec.parent_class)
            keys = _mirrored_relationships(mapper, spec.options)
            new = tuple(key for key in keys if key not in spec.relationships)
            if new:
                whole = replace(spec, relationships=keys)
                self.registry.classes[spec.parent_class] = whole
                for cls in (spec.parent_class, spec.version_class):
                    type.__setattr__(cls, SPEC, whole)
                yield replace(spec, relationships=new)

    def _mark(self, spec: ClassSpec) -> None:
        """Put the spec where look-ups find it."""
        cls, version_class = spec.parent_class, spec.version_class
        type.__setattr__(version_class, SPEC, spec)
        type.__setattr__(version_class, MANAGER, self.manager)
        editing = self.plugins.overriding("after_construct_changeset")
        type.__setattr__(
            version_class,
            "__changeset_hooks__",
            tuple(plugin.after_construct_changeset for plugin in editing),
        )
        type.__setattr__(cls, SPEC, spec)
        if spec.exposed:
            type.__setattr__(cls, MANAGER, self.manager)
            place_beside(version_class, cls, attribute=VERSION_CLASS)


def _link_key(table: Table, linked: tuple[Column[Any], ...]) -> tuple[Column[Any], ...]:
    """Return the columns by which the rows of an association table are recognised."""
    primary = tuple(table.primary_key.columns)
    # Several relationships may share a table; what they have in common is its whole key.
    if primary and set(primary) <= set(linked):
        return primary
    # A row may be one of several of its link, and SQLite gives its number to another link.
    return tuple(dict.fromkeys((*primary, *linked)))


def _mirrored_relationships(mapper: Mapper[Any], options: Options) -> tuple[str, ...]:
    """Return the keys of the relationships that versions have as well."""
    return tuple(
        relationship.key
        for relationship in mapper.relationships
        if not options.is_excluded(relationship.key) and relationship.key != PARENT_VERSIONS
    )
