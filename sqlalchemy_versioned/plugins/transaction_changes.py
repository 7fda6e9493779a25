"""Which classes a transaction changed objects of, kept beside it.

After each flush the plugin looks at what is recorded, and writes a row for each class: the names of
one transaction by one statement; a further flush first reads what there is.  So a savepoint that is
rolled back and changes that came to nothing leave no name.  ``Transaction.changed_entities`` then
looks for versions of these classes only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Table, delete, insert, inspect, select
from sqlalchemy.orm import Mapper, relationship

from .._typing import is_column, mapper_of
from ..build.columns import transaction_id_type
from ..build.transaction_base import TransactionBase
from ..exc import ImproperlyConfigured
from ..model.lookup import spec_telling_of
from ..model.mapping import root_mapper
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..triggers.entity_names import NAMES, EntityNames
from .beside import ModelPlugin, exact_text

__all__ = ["TransactionChangesPlugin"]


class TransactionChangesPlugin(ModelPlugin):
    """Records the name of each class of which a transaction changed objects.

    ``Transaction.changes`` lists rows with an ``entity_name``; of an association table it is the
    name of the table.

    :param table_name: the name of its table, for applications that have one of the usual name.

    >>> TransactionChangesPlugin().table_name
    'transaction_changes'
    """

    is_known_to_triggers = True
    name = "TransactionChanges"
    table_name = "transaction_changes"
    option_names: tuple[str, ...] = ("transaction_changes",)

    def __init__(self, table_name: str | None = None) -> None:
        super().__init__(table_name)
        self._classes: dict[VersionSpec, ClassSpec] = {}
        self._shared: dict[Hierarchy, list[ClassSpec]] = {}
        #: The names that were written of it.
        self._written: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
        #: The tables of which triggers are told something.
        self._told: list[Table] = []
        #: The transactions of which something may be written, by unit of work.
        self._begun: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def build_columns(self, transaction: Mapper[Any]) -> list[Column[Any]]:
        """Return the columns of the table."""
        return [
            Column("transaction_id", transaction_id_type(), primary_key=True, autoincrement=False),
            Column("entity_name", exact_text(), primary_key=True),
        ]

    def attach(self, same: Any) -> None:
        """Give transactions ``changes``."""
        table = self.model_class.__table__
        self.add_property(
            "changes",
            relationship(
                self.model_class,
                primaryjoin=same,
                foreign_keys=[table.c.transaction_id],
                order_by=[table.c.entity_name],
                viewonly=True,
            ),
        )
        if issubclass(self._transaction_class, TransactionBase):
            type.__setattr__(self._transaction_class, "_recorded_names", _names_of)

    def after_version_class_built(self, parent_cls: type[Any], version_cls: type[Any]) -> None:
        """Let the class be found from what it says."""
        parent_cls.__versioned__["transaction_changes"] = self.model_class

    def after_build_models(self, manager: Any) -> None:
        """Find out which table has the objects of which class."""
        specs = [inspect(cls).class_.__version_spec__ for cls in manager.version_class_map]
        self._classes = {spec.tables[-1]: spec for spec in specs}
        self._shared = {}
        for spec in specs:
            self._shared.setdefault(spec.hierarchy, []).append(spec)
        self._tell_triggers()

    def _tell_triggers(self) -> None:
        """Let triggers know what to call the objects that they record."""
        native = {h: specs for h, specs in self._shared.items() if h.root.is_native}
        if not native:
            return
        transactions = inspect(self._transaction_class).local_table
        self._tell(transactions, self.model_class.__table__)
        for hierarchy, specs in native.items():
            if hierarchy.root.transaction_table is not transactions:
                raise ImproperlyConfigured(
                    f"{hierarchy.root.parent_table.fullname} has another MetaData than the "
                    f"transactions, and {type(self).__name__} keeps names beside these; leave the "
                    "plugin out, or native=True"
                )
            names = self._name_hierarchy(hierarchy, specs)
            for each in hierarchy.tables:
                self._tell(each.version_table, names)

    def _tell(self, table: Table, told: Any) -> None:
        table.info[NAMES] = told
        self._told.append(table)

    def _name_hierarchy(self, hierarchy: Hierarchy, specs: list[ClassSpec]) -> EntityNames:
        table, root = self.model_class.__table__, hierarchy.root
        names = tuple(spec.parent_class.__name__ for spec in specs)
        mapper = root_mapper(mapper_of(specs[0].version_class))
        if len(specs) == 1:
            return EntityNames(table, root, names)
        if mapper.polymorphic_on is None:
            rest = [spec for spec in specs if spec.tables[-1] is not root]
            rest.sort(key=lambda spec: -len(spec.tables))
            first = [spec.parent_class.__name__ for spec in specs if spec.tables[-1] is root]
            tables = tuple((spec.tables[-1], spec.parent_class.__name__) for spec in rest)
            return EntityNames(table, root, (*first, *names), tables=tables)
        discriminator: Any = mapper.polymorphic_on
        if not is_column(discriminator):
            raise ImproperlyConfigured(
                f"{names[0]} has an expression as polymorphic_on, of which triggers cannot tell "
                f"names for {type(self).__name__}; leave the plugin out, or native=True"
            )
        kinds = {
            kind: found.class_.__version_spec__.parent_class.__name__
            for kind, found in mapper.polymorphic_map.items()
            if root_mapper(found) is mapper
        }
        return EntityNames(table, root, tuple(kinds.values()), discriminator, kinds)

    def before_take_apart(self, manager: Any) -> None:
        """Take the class and all that leads to it away."""
        if "_recorded_names" in vars(self._transaction_class or object):
            type.__delattr__(self._transaction_class, "_recorded_names")
        while self._told:
            self._told.pop().info.pop(NAMES, None)
        self._classes, self._shared = {}, {}
        super().before_take_apart(manager)

    # -- recording -----------------------------------------------------------------------------

    def after_create_version_objects(self, uow: Any, session: Any) -> None:
        """Write the names that are new, and remove those of which nothing is left."""
        tx = uow.transaction_id
        table, connection = self.model_class.__table__, self.connection(session)
        if tx is None:
            return
        wanted = set(self._names(uow, session, tx))
        there: set[str] = set()
        if self._begun.get(uow) == tx:
            found = select(table.c.entity_name).where(table.c.transaction_id == tx)
            there = set(connection.scalars(found))
        self._begun[uow] = tx
        # Other names are written by triggers.
        own = self._written.setdefault(uow, set())
        if new := sorted(wanted - there):
            own.update(new)
            rows = [{"transaction_id": tx, "entity_name": name} for name in new]
            connection.execute(insert(table), rows)
        if gone := there & own - wanted:
            of_it = table.c.transaction_id == tx
            connection.execute(delete(table).where(of_it, table.c.entity_name.in_(gone)))
        if new or gone:
            self.read_again(session, tx, "changes")

    def _names(self, uow: Any, session: Any, tx: int) -> Iterator[str]:
        seen: set[Hierarchy] = set()
        for table in uow.recorded_tables():
            spec = self._classes.get(table)
            if spec is None:
                if not any(table in hierarchy.tables for hierarchy in self._shared):
                    yield table.parent_table.name
            elif len(self._shared[spec.hierarchy]) == 1:
                yield spec.parent_class.__name__
            elif spec.hierarchy not in seen:
                seen.add(spec.hierarchy)
                yield from self._names_within(spec.hierarchy, uow, session, tx)

    def _names_within(self, hierarchy: Hierarchy, uow: Any, session: Any, tx: int) -> Iterator[str]:
        """Tell apart the classes of a hierarchy: by what their versions say of their class."""
        specs = self._shared[hierarchy]
        mapper = root_mapper(mapper_of(specs[0].version_class))
        if mapper.polymorphic_on is None:
            for spec in specs:
                yield from self._name_by_tables(spec, specs, uow)
            return
        root = hierarchy.root
        kinds = select(mapper.polymorphic_on).where(root.transaction_column == tx).distinct()
        bind = {"bind_arguments": {"mapper": mapper_of(specs[0].parent_class)}}
        known = mapper_of(specs[0].parent_class).polymorphic_map
        for kind in session.connection(**bind).scalars(kinds):
            found = spec_telling_of(known.get(kind))
            if found is not None:
                yield found.parent_class.__name__

    def _name_by_tables(self, spec: ClassSpec, specs: list[ClassSpec], uow: Any) -> Iterator[str]:
        """Yield the name of a class, if a row was changed that no subclass has."""
        own = uow.operations(spec.tables[-1]).keys()
        below = [each for each in specs if issubclass(each.parent_class, spec.parent_class)]
        others = [uow.operations(each.tables[-1]).keys() for each in below if each is not spec]
        if set(own).difference(*others):
            yield spec.parent_class.__name__


def _names_of(transaction: Any) -> set[str] | None:
    """Return what is recorded; of transactions that are older than the plugin, nothing is."""
    return {change.entity_name for change in transaction.changes} or None
