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

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from .._typing import mapper_of
from ..hooks import PluginCollection
from ..model.lookup import MANAGER, SPEC
from ..model.mapping import primary_key_attributes, superclass_mappers, table_chain
from ..model.spec import ClassSpec
from .attributes import kept_columns, masked_attributes
from .chosen import ChosenOptions
from .classes import place_beside
from .inheritance import has_rows, map_version_class, superclass_versions
from .named import check_names, check_users, index_names
from .registry import VERSION_CLASS, Registry
from .relationships import attach_parent_relationships, attach_relationships, mirrored_relationships
from .table_round import TableRound

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
        #: What makes the version tables; for tables without a class there is nothing else to do.
        self.tables = TableRound(registry, chosen=self._chosen, plugins=plugins, manager=manager)

    def run(self, classes: Iterable[type[Any]]) -> list[ClassSpec]:
        """Build everything for *classes* and return their specs."""
        # Superclasses first: subclasses extend their tables and derive from their version classes.
        mappers = self._ordered(classes)
        self.plugins.call("after_build_tx_class", self.manager)
        chosen = [m for m in mappers if self._chosen.choose(m, exposed=mappers[m]).versioning]
        earlier = list(self.registry.classes.values())
        self._build_tables(chosen, earlier)
        if not self._chosen.manager.create_models:
            return []
        specs = [self._build_class(mapper, exposed=mappers[mapper]) for mapper in chosen]
        self._attach_relationships(specs, earlier)
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

    def _build_tables(self, chosen: Iterable[Mapper[Any]], earlier: Iterable[ClassSpec]) -> None:
        stored = [mapper for mapper in chosen if self._chosen.of(mapper).create_tables]
        for mapper in stored:
            self.tables.build_of_class(mapper)
        # Links come after all classes: their table may be one that a class is mapped to.
        for mapper in (*stored, *[mapper_of(spec.parent_class) for spec in earlier]):
            self.tables.build_of_links(mapper)

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
            relationships=mirrored_relationships(mapper, options),
            exposed=exposed,
            superclasses=superclass_versions(mapper, self.registry.classes),
        )
        self.registry.classes[mapper.class_] = spec
        self._mark(spec)
        return spec

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

    # -- relationships -----------------------------------------------------------------------

    def _attach_relationships(self, specs: list[ClassSpec], earlier: Iterable[ClassSpec]) -> None:
        # After all classes are there, because relationships lead from any to any.
        for spec in specs:
            attach_parent_relationships(spec)
        for spec in (*specs, *self._extended(earlier)):
            attach_relationships(spec, self.registry.classes, self.registry.associations)

    def _extended(self, earlier: Iterable[ClassSpec]) -> Iterator[ClassSpec]:
        """Take in relationships that classes have got since they were built, such as backrefs.

        :returns: specs of those classes, with the new relationships only.
        """
        for spec in earlier:
            mapper: Mapper[Any] = inspect(spec.parent_class)
            keys = mirrored_relationships(mapper, spec.options)
            new = tuple(key for key in keys if key not in spec.relationships)
            if new:
                whole = replace(spec, relationships=keys)
                self.registry.classes[spec.parent_class] = whole
                for cls in (spec.parent_class, spec.version_class):
                    type.__setattr__(cls, SPEC, whole)
                yield replace(spec, relationships=new)
