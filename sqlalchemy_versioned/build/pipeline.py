"""The order in which versioning is built, once mappers are configured: the only statement of it.

    declared classes -> options -> transaction class -> version tables -> version classes
    -> specs -> relationships -> association tables

The pipeline is given a :class:`Registry` to fill and returns nothing; running it again with
classes that were declared later adds to what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import CompositeProperty, Mapper, SynonymProperty
from sqlalchemy.orm import composite as orm_composite
from sqlalchemy.orm import synonym as orm_synonym
from sqlalchemy.sql.visitors import replacement_traverse

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..hooks import PluginCollection, TableBuilder
from ..lookup import MANAGER, SPEC
from ..mapping import (
    column_properties,
    is_many_to_many,
    key_columns,
    primary_key_attributes,
    superclass_mappers,
    table_chain,
)
from ..options import Options, build_options
from ..spec import ClassSpec, Hierarchy, VersionSpec
from ..version import Version
from .classes import build_mapped_class, forget_mapped_class, place_beside
from .relationships import (
    PARENT_VERSIONS,
    attach_parent_relationships,
    attach_relationships,
    detach_parent_relationships,
)
from .tables import build_table_spec, forget_table_spec
from .transaction import copy_transaction_table

__all__ = ["Registry", "Round"]


class Registry:
    """What one manager has built."""

    def __init__(self) -> None:
        self.classes: dict[type[Any], ClassSpec] = {}
        self.tables: dict[Table, VersionSpec] = {}
        self.hierarchies: dict[Table, Hierarchy] = {}
        #: Association tables, with the columns by which their rows are recognised.
        self.associations: dict[Table, Hierarchy] = {}
        self.transaction_class: type[Any] | None = None
        self.is_transaction_class_ours = False

    @property
    def transaction_table(self) -> Table:
        """The table of the Transaction class."""
        mapper: Mapper[Any] = inspect(self.transaction_class)  # type: ignore[assignment]
        table = mapper.local_table
        assert isinstance(table, Table)
        return table

    def hierarchy_of(self, root: Table) -> Hierarchy:
        """Return the hierarchy whose base-most table is *root*."""
        return self.hierarchies.setdefault(root, Hierarchy())


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
        self.options = options
        self.plugins = plugins
        self.manager = manager
        self.manager_options = self._build_options({}, owner="make_versioned()")

    def run(self, classes: Iterable[type[Any]]) -> list[ClassSpec]:
        """Build everything for *classes* and return their specs."""
        mappers = self._ordered(classes)
        self.plugins.call("after_build_tx_class", self.manager)
        chosen = {mapper: self._options_of(mapper, exposed) for mapper, exposed in mappers.items()}
        chosen = {mapper: options for mapper, options in chosen.items() if options.versioning}
        if not self.manager_options.create_tables:
            return []
        for mapper, options in chosen.items():
            self._build_tables(mapper, options)
        if not self.manager_options.create_models:
            return []
        specs = [
            self._build_class(mapper, options, exposed=mappers[mapper])
            for mapper, options in chosen.items()
        ]
        self._build_associations(specs)
        for spec in specs:
            attach_parent_relationships(spec)
        for spec in specs:
            attach_relationships(spec, self.registry.classes, self.registry.associations)
        for spec in specs:
            self.plugins.call("after_version_class_built", spec.parent_class, spec.version_class)
        self.plugins.call("after_build_models", self.manager)
        return specs

    # -- what to build -----------------------------------------------------------------------

    def _ordered(self, classes: Iterable[type[Any]]) -> dict[Mapper[Any], bool]:
        """Return the mappers to build, superclasses first; false for those only implied."""
        wanted = {inspect(cls) for cls in classes}
        ordered: dict[Mapper[Any], bool] = {}
        for mapper in sorted(wanted, key=lambda m: sum(1 for _ in m.iterate_to_root())):
            for above in reversed(list(superclass_mappers(mapper))):
                if above.class_ not in self.registry.classes and above not in ordered:
                    ordered[above] = above in wanted
        return ordered

    def _options_of(self, mapper: Mapper[Any], exposed: bool) -> Options:
        cls = mapper.class_
        said = dict(getattr(cls, "__versioned__", None) or {}) if exposed else {}
        if exposed:
            # Mixins share one dict among their classes; each class gets its own.
            type.__setattr__(cls, "__versioned__", said)
        options = self._build_options(said, owner=f"{cls.__name__}.__versioned__")
        _check_keys(mapper, said)
        return options

    def _build_options(self, said: Mapping[str, Any], *, owner: str) -> Options:
        return build_options(self.options, said, owner=owner, also=self.plugins.option_names)

    # -- tables ------------------------------------------------------------------------------

    def _build_tables(self, mapper: Mapper[Any], options: Options) -> None:
        chain = table_chain(mapper)
        for table in chain:
            if table not in self.registry.tables:
                self.registry.tables[table] = self._build_table(mapper, table, options)
        specs = tuple(self.registry.tables[table] for table in chain)
        self.registry.hierarchy_of(chain[0]).add_chain(specs)

    def _build_table(self, mapper: Mapper[Any], table: Table, options: Options) -> VersionSpec:
        keys = _attribute_keys(mapper, table, options)
        return build_table_spec(
            table,
            options=options,
            key=key_columns(mapper, table),
            attribute_keys=keys,
            transaction_table=self._transaction_table(table),
            add_columns=lambda parent: self._added_columns(mapper.class_, parent),
        )

    def _transaction_table(self, table: Table) -> Table:
        return copy_transaction_table(self.registry.transaction_table, table.metadata)

    def _added_columns(self, model: type[Any] | None, table: Table) -> list[Column[Any]]:
        columns: list[Column[Any]] = []
        builder = TableBuilder(self.manager, model, table)
        self.plugins.call("after_build_version_table_columns", builder, columns)
        return columns

    # -- classes -----------------------------------------------------------------------------

    def _build_class(self, mapper: Mapper[Any], options: Options, *, exposed: bool) -> ClassSpec:
        cls = mapper.class_
        chain = tuple(self.registry.tables[table] for table in table_chain(mapper))
        above = [m.class_ for m in superclass_mappers(mapper)][1:]
        above_versions = tuple(self.registry.classes[c].version_class for c in above)
        columns = _kept_columns(mapper, chain)
        version_class = self._map_version_class(mapper, options, chain, columns)
        root = chain[0]
        spec = ClassSpec(
            parent_class=cls,
            version_class=version_class,
            transaction_class=self.registry.transaction_class,  # type: ignore[arg-type]
            options=options,
            hierarchy=self.registry.hierarchy_of(root.parent_table),
            tables=chain,
            columns=tuple(columns),
            key=primary_key_attributes(mapper),
            transaction_key=root.transaction_column.key,
            end_key=None if root.end_column is None else root.end_column.key,
            operation_key=root.operation_column.key,
            relationships=_mirrored_relationships(mapper, options),
            exposed=exposed,
            superclasses=above_versions,
        )
        type.__setattr__(version_class, SPEC, spec)
        type.__setattr__(version_class, MANAGER, self.manager)
        type.__setattr__(cls, SPEC, spec)
        if exposed:
            type.__setattr__(cls, MANAGER, self.manager)
            place_beside(version_class, cls)
        self.registry.classes[cls] = spec
        return spec

    def _map_version_class(
        self,
        mapper: Mapper[Any],
        options: Options,
        chain: tuple[VersionSpec, ...],
        columns: Mapping[str, list[Column[Any]]],
    ) -> type[Any]:
        superclass = None if mapper.inherits is None else mapper.inherits.class_
        above = self.registry.classes.get(superclass) if superclass else None
        own = chain[-1]
        shares_table = above is not None and not mapper.concrete and above.tables[-1] is own
        properties = _version_properties(mapper, chain, columns)
        mapped = {c for group in properties.values() if isinstance(group, list) for c in group}
        return build_mapped_class(
            _version_class_name(mapper.class_, self.manager_options),
            bases=_version_bases(options) if above is None else (above.version_class,),
            declarative_base=_declarative_base(mapper, options) if above is None else None,
            registry=mapper.registry,
            table=None if shares_table else own.version_table,
            properties=properties,
            module=mapper.class_.__module__,
            exclude_properties=[c.key for c in own.version_table.c if c not in mapped],
            **_inheritance_arguments(mapper, chain, above),
        )

    # -- association tables ------------------------------------------------------------------

    def _build_associations(self, specs: Iterable[ClassSpec]) -> None:
        for spec in specs:
            mapper: Mapper[Any] = inspect(spec.parent_class)
            for key in spec.relationships:
                relationship = mapper.relationships[key]
                table = relationship.secondary
                if not is_many_to_many(relationship) or not isinstance(table, Table):
                    continue
                if table in self.registry.associations:
                    continue
                columns = _sqlalchemy.association_columns(relationship)
                hierarchy = Hierarchy()
                hierarchy.add_chain((self._build_association(table, columns),))
                self.registry.associations[table] = hierarchy

    def _build_association(self, table: Table, key: tuple[Column[Any], ...]) -> VersionSpec:
        # Several relationships may share a table; what they have in common is its whole key.
        primary = tuple(table.primary_key.columns)
        recognised = primary if primary and set(primary) <= set(key) else key
        mapped = self.registry.tables.get(table)
        if mapped is not None:
            # A versioned class has the table too: one history, in which links find their rows.
            pairs = {pair.parent: pair for pair in mapped.pairs}
            return replace(mapped, key=tuple(pairs[column] for column in recognised))
        return build_table_spec(
            table,
            options=self.manager_options,
            key=recognised,
            attribute_keys={column: column.key for column in table.columns},
            transaction_table=self._transaction_table(table),
            add_columns=lambda parent: self._added_columns(None, parent),
        )


# -- undoing ---------------------------------------------------------------------------------


def forget(registry: Registry) -> None:
    """Undo everything that was built into *registry*; models and their tables stay."""
    for spec in reversed(list(registry.classes.values())):
        _forget_class(spec)
    tables = dict(registry.tables)
    for table, hierarchy in registry.associations.items():
        tables.setdefault(table, hierarchy.root)
    for table_spec in tables.values():
        forget_table_spec(table_spec)
        metadata = table_spec.parent_table.metadata
        if table_spec.transaction_table.key in metadata.tables:
            metadata.remove(table_spec.transaction_table)


def forget_transaction_class(registry: Registry) -> None:
    """Undo the building of the Transaction class."""
    cls = registry.transaction_class
    mapper: Mapper[Any] | None = inspect(cls, raiseerr=False)
    if cls is None or mapper is None:
        return
    table = mapper.local_table
    forget_mapped_class(cls, mapper.registry)
    if isinstance(table, Table):
        table.metadata.remove(table)
        table.metadata._sequences.pop(f"{table.name}_id_seq", None)


def _forget_class(spec: ClassSpec) -> None:
    parent = spec.parent_class
    mapper: Mapper[Any] | None = inspect(parent, raiseerr=False)
    for name in (SPEC, MANAGER):
        if name in vars(parent):
            type.__delattr__(parent, name)
    detach_parent_relationships(spec, mapper)
    version_mapper: Mapper[Any] | None = inspect(spec.version_class, raiseerr=False)
    if version_mapper is not None:
        forget_mapped_class(spec.version_class, version_mapper.registry)


# -- columns ---------------------------------------------------------------------------------


def _attribute_keys(mapper: Mapper[Any], table: Table, options: Options) -> dict[Column[Any], str]:
    """Return the columns of *table* to keep, with the keys their version columns get."""
    names: dict[Column[Any], str] = {}
    owners = [m for m in mapper.self_and_descendants if m.local_table is table] or [mapper]
    for owner in owners:
        for prop in column_properties(owner):
            for column in prop.columns:
                if column.table is table:
                    names.setdefault(column, prop.key)  # type: ignore[arg-type]
    kept = {c: names.get(c, c.key) for c in table.columns if not _is_left_out(c, names, options)}
    if len(set(kept.values())) < len(kept):
        kept = {column: column.key for column in kept}
    _check_kept(mapper, table, kept)
    return kept


def _is_left_out(column: Column[Any], names: Mapping[Column[Any], str], options: Options) -> bool:
    return options.is_excluded(names.get(column, column.key))


def _check_kept(mapper: Mapper[Any], table: Table, kept: Mapping[Column[Any], str]) -> None:
    needed = [*key_columns(mapper, table)]
    if isinstance(mapper.polymorphic_on, Column) and mapper.polymorphic_on.table is table:
        needed.append(mapper.polymorphic_on)
    for column in needed:
        if column not in kept:
            raise ImproperlyConfigured(
                f"{mapper.class_.__name__}: {column.name!r} cannot be excluded, because versions "
                "are recognised by it; take it out of 'exclude'"
            )


def _check_keys(mapper: Mapper[Any], said: Mapping[str, Any]) -> None:
    """Refuse keys of ``exclude``, ``include`` and ``ignore`` that no class here has."""
    known = {prop.key for m in mapper.self_and_descendants for prop in m.attrs}
    for above in mapper.iterate_to_root():
        known |= {prop.key for m in above.self_and_descendants for prop in m.attrs}
    for name in ("exclude", "include", "ignore"):
        for key in said.get(name, ()):
            if key not in known:
                raise ImproperlyConfigured(
                    f"{mapper.class_.__name__}.__versioned__[{name!r}] names {key!r}, which is "
                    f"no attribute; attributes are {', '.join(sorted(known))}"
                )


def _kept_columns(
    mapper: Mapper[Any], chain: tuple[VersionSpec, ...]
) -> dict[str, list[Column[Any]]]:
    """Return for each attribute of the version class the version columns it stands for."""
    kept: dict[str, list[Column[Any]]] = {}
    for prop in column_properties(mapper):
        versions = [
            version
            for column in prop.columns
            for spec in chain
            if (version := spec.version_column(column)) is not None
        ]
        if versions:
            kept[prop.key] = versions
    return kept


def _version_properties(
    mapper: Mapper[Any],
    chain: tuple[VersionSpec, ...],
    columns: Mapping[str, list[Column[Any]]],
) -> dict[str, Any]:
    """Return the properties of the version class: columns, and names for them."""
    properties: dict[str, Any] = {key: list(group) for key, group in columns.items()}
    root = chain[0]
    for key, of in (
        (root.transaction_column.key, lambda spec: spec.transaction_column),
        (root.operation_column.key, lambda spec: spec.operation_column),
        ("" if root.end_column is None else root.end_column.key, lambda spec: spec.end_column),
    ):
        if key:
            properties[key] = [of(spec) for spec in reversed(chain) if of(spec) is not None]
    for spec in chain:
        properties.update({column.key: [column] for column in spec.added})
    for prop in mapper.attrs:
        if isinstance(prop, SynonymProperty) and prop.name in columns:
            properties[prop.key] = orm_synonym(prop.name)
        elif isinstance(prop, CompositeProperty):
            keys = [part.key for part in prop.props]
            if all(key in columns for key in keys):
                properties[prop.key] = orm_composite(prop.composite_class, *keys)
    return properties


# -- classes ---------------------------------------------------------------------------------


def _version_class_name(cls: type[Any], options: Options) -> str:
    name = f"{cls.__name__}Version"
    if options.use_module_name:
        name = "".join(part.title() for part in cls.__module__.split(".")) + name
    return name


def _version_bases(options: Options) -> tuple[type[Any], ...]:
    return (*(options.base_classes or ()), Version)


def _declarative_base(mapper: Mapper[Any], options: Options) -> type[Any] | None:
    return None if options.base_classes else declarative_base_of(mapper)


def declarative_base_of(mapper: Mapper[Any]) -> type[Any] | None:
    """Return the declarative base of a mapped class, or ``None`` if it has none."""
    bases = [
        cls
        for cls in mapper.class_.__mro__
        if getattr(cls, "registry", None) is mapper.registry
        and inspect(cls, raiseerr=False) is None
    ]
    return bases[-1] if bases else None


def _inheritance_arguments(
    mapper: Mapper[Any], chain: tuple[VersionSpec, ...], above: ClassSpec | None
) -> dict[str, Any]:
    """Return the mapper arguments by which version classes inherit as parent classes do."""
    arguments: dict[str, Any] = {"polymorphic_identity": mapper.polymorphic_identity}
    if mapper.polymorphic_load is not None:
        arguments["polymorphic_load"] = mapper.polymorphic_load
    if mapper.with_polymorphic is not None and mapper.with_polymorphic[1] is None:
        wanted = mapper.with_polymorphic[0]
        if wanted == "*":
            arguments["with_polymorphic"] = "*"
    if above is None:
        if mapper.polymorphic_on is not None and not mapper.concrete:
            arguments["polymorphic_on"] = adapt_to_versions(mapper.polymorphic_on, chain)
        return arguments
    arguments["inherits"] = above.version_class
    if mapper.concrete:
        return {"inherits": above.version_class, "concrete": True, **_concrete(arguments)}
    own, upper = chain[-1], above.tables[-1]
    if own is not upper and mapper.inherit_condition is not None:
        same_row = adapt_to_versions(mapper.inherit_condition, chain)
        arguments["inherit_condition"] = same_row & (
            own.transaction_column == upper.transaction_column
        )
    return arguments


def _concrete(arguments: Mapping[str, Any]) -> dict[str, Any]:
    # A concrete hierarchy is told apart by table; it has no discriminator without a union.
    return {key: value for key, value in arguments.items() if key == "polymorphic_load"}


def adapt_to_versions(expression: Any, chain: Iterable[VersionSpec]) -> Any:
    """Return *expression* with parent columns replaced by version columns.

    :raises ImproperlyConfigured: if it needs a column that is not kept.
    """
    specs = {spec.parent_table: spec for spec in chain}

    def replace(element: Any, **_: Any) -> Any:
        if isinstance(element, Column) and element.table in specs:
            version = specs[element.table].version_column(element)
            if version is None:
                raise ImproperlyConfigured(
                    f"{element} is excluded, but {expression} needs it; take it out of 'exclude'"
                )
            return version
        return None

    return replacement_traverse(expression, {}, replace)


def _mirrored_relationships(mapper: Mapper[Any], options: Options) -> tuple[str, ...]:
    """Return the keys of the relationships that versions have as well."""
    return tuple(
        relationship.key
        for relationship in mapper.relationships
        if not options.is_excluded(relationship.key) and relationship.key != PARENT_VERSIONS
    )
