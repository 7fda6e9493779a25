"""What is recorded, and where: the facts about versioned tables and classes, said once.

Specs are made when mappers are configured (:mod:`..build.pipeline`) and only read afterwards, by
the writer, the queries, the version objects and the reverter.  A :class:`VersionSpec` describes a
table, whether or not a class is mapped to it; a :class:`ClassSpec` describes a class and points to
the specs of its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Integer, Table, literal_column
from sqlalchemy.sql.elements import ColumnElement

from .._typing import new_dict
from ..database.dialects import is_text
from ..database.names import free_prefix
from ..options import Options, Strategy
from .operation import Operation

__all__ = ["ClassSpec", "ColumnPair", "Hierarchy", "VersionSpec"]


@dataclass(frozen=True, slots=True, eq=False)
class ColumnPair:
    """A column of a parent table and the version column that keeps its values."""

    parent: Column[Any]
    version: Column[Any]


@dataclass(frozen=True, slots=True, eq=False)
class VersionSpec:
    """How one table is versioned."""

    parent_table: Table
    version_table: Table
    #: The transaction table that lives beside the version table, in the same ``MetaData``.
    transaction_table: Table
    #: Every column that is kept, in the order of the parent table.
    pairs: tuple[ColumnPair, ...]
    #: The columns by which a row is recognised, in the order of the mapper's primary key.
    key: tuple[ColumnPair, ...]
    transaction_column: Column[Any]
    #: ``None`` where the strategy has no end column.
    end_column: Column[Any] | None
    operation_column: Column[Any]
    strategy: Strategy
    #: Parent columns whose change alone makes no version.
    ignored: frozenset[Column[Any]]
    #: The parent columns that say what a row links, if relationships write such rows.
    linked: tuple[Column[Any], ...] = ()
    #: Columns that are added to the version table, flags for masked columns and those of plugins.
    added: tuple[Column[Any], ...] = ()
    #: Parent columns whose values are not kept, each with the flag that tells of their change.
    masked: tuple[ColumnPair, ...] = ()
    #: The id of a version; ``None`` where its key and its transaction tell it from others.
    id_column: Column[Any] | None = None
    #: The base-most table of its objects, which numbers their versions; ``None`` if that is itself.
    base: VersionSpec | None = None
    #: What tells the classes of its objects apart, if that is a column that is kept.
    kind: ColumnPair | None = None
    #: The column of the parent table that has the id of the newest version, if there is one.
    live_id_column: Column[Any] | None = None
    #: What the context and session variables must, or may, say for each version.
    variables: tuple[Column[Any], ...] = ()
    #: The columns of the version table that keep it, in the same order.
    context_columns: tuple[Column[Any], ...] = ()
    #: Whether an update that leaves a row as it was is recorded.
    keeps_unchanged: bool = False
    #: Whether triggers record the table, in databases that have them.
    is_native: bool = False

    @property
    def may_lack_ends(self) -> bool:
        """Whether ends may be missing: links that others have recorded have none."""
        return bool(self.linked)

    @property
    def bookkeeping(self) -> tuple[Column[Any], ...]:
        """The columns of the version table that no parent column stands behind."""
        end = () if self.end_column is None else (self.end_column,)
        number = () if self.id_column is None else (self.id_column,)
        return (self.transaction_column, *end, self.operation_column, *number)

    @property
    def place(self) -> tuple[Column[Any], ...]:
        """The columns that put the versions of one row in order, and tell them apart."""
        if self.id_column is None:
            return (self.transaction_column,)
        return (self.transaction_column, self.id_column)

    @property
    def identifier(self) -> Column[Any]:
        """The column that tells the versions of one row apart."""
        return self.place[-1]

    @property
    def is_numbered(self) -> bool:
        """Whether the database gives ids to versions by itself."""
        number = self.id_column
        return self.base is None and number is not None and isinstance(number.type, Integer)

    @property
    def is_stamped(self) -> bool:
        """Whether ids are made of a stamp; the tables of subclasses have those of the base."""
        return self.base is None and self.id_column is not None and not self.is_numbered

    @property
    def key_is_primary(self) -> bool:
        """Whether the key and the transaction identify a version row."""
        key = {pair.version for pair in self.key} | {self.transaction_column}
        return key == set(self.version_table.primary_key.columns)

    @property
    def known_columns(self) -> dict[Column[Any], Column[Any]]:
        """The parent columns of whose past something is known, each with what tells it."""
        known = {pair.parent: pair.version for pair in self.pairs}
        if self.live_id_column is not None and self.id_column is not None:
            known[self.live_id_column] = self.id_column
        return known

    @property
    def key_index(self) -> str | None:
        """The name of the index that leads from a key through the versions of its row."""
        if self.key_is_primary:
            return "PRIMARY"
        wanted = {*[pair.version for pair in self.key], *self.place}
        for index in self.version_table.indexes:
            if set(index.columns) == wanted:
                return index.name
        return None

    @property
    def may_have_twins(self) -> bool:
        """Whether several rows may be one in history, as plain links without a primary key are.

        Where nothing is merged, each is an event.
        """
        return self._is_keyless and self.is_all_key

    @property
    def may_have_rivals(self) -> bool:
        """Whether rows that differ may be one in history, as links that have more columns are."""
        return self._is_keyless and not self.is_all_key

    @property
    def _is_keyless(self) -> bool:
        return self.strategy.merges and not self.parent_table.primary_key.columns

    @property
    def is_all_key(self) -> bool:
        """Whether rows consist of their key alone, as plain links do."""
        return {pair.parent for pair in self.key} == set(self.parent_table.columns)

    @property
    def stamps(self) -> tuple[Column[Any], ...]:
        """The added columns that get their values whenever a version is written."""
        return tuple(c for c in self.added if c.default is not None and not c.default.is_scalar)

    def operation(self, operation: Operation) -> ColumnElement[Any]:
        """Return an operation as versions have it, as a piece of the statement's text."""
        column = self.operation_column
        stored = repr(operation.code) if is_text(column) else str(int(operation))
        return literal_column(stored, column.type)

    @property
    def prefix(self) -> str:
        """How names in statements begin that are ours, as no name of the two tables does."""
        return free_prefix(self.parent_table, self.version_table)

    def follow_transactions(self, before: Table, now: Table) -> None:
        """Let the spec have another transaction table in place of one that it had before."""
        if self.transaction_table is before:
            # Specs are frozen for their readers, who hold them by identity.
            object.__setattr__(self, "transaction_table", now)

    def version_column(self, parent_column: ColumnElement[Any]) -> Column[Any] | None:
        """Return the column that keeps *parent_column*, or ``None`` if it is not kept."""
        for pair in self.pairs:
            if pair.parent is parent_column:
                return pair.version
        return None


class Hierarchy:
    """The tables whose rows make up objects together: one, or more under joined inheritance.

    It grows when a subclass is declared after its superclass was configured.
    """

    def __init__(self) -> None:
        self.tables: tuple[VersionSpec, ...] = ()
        #: Whether some objects have rows in several of them.
        self.is_joined = False
        self._related: dict[VersionSpec, tuple[VersionSpec, ...]] = {}

    @property
    def root(self) -> VersionSpec:
        """The base-most table: it has a row for every object."""
        return self.tables[0]

    def related(self, spec: VersionSpec) -> tuple[VersionSpec, ...]:
        """Return the other tables that a row of *spec* may share an object with."""
        return self._related.get(spec, ())

    def above(self, spec: VersionSpec) -> list[VersionSpec]:
        """Return the tables of superclasses, base-most first."""
        others = self.related(spec)
        return [each for each in self.tables[: self.tables.index(spec)] if each in others]

    def add_chain(self, chain: tuple[VersionSpec, ...]) -> None:
        """Add the tables of one class, base-most first."""
        for spec in chain:
            others = dict.fromkeys((*self._related.get(spec, ()), *chain))
            others.pop(spec)
            self._related[spec] = tuple(others)
        self.tables = tuple(dict.fromkeys((*self.tables, *chain)))
        self.is_joined = len(self.tables) > 1


@dataclass(frozen=True, slots=True, eq=False)
class ClassSpec:
    """How one class is versioned."""

    parent_class: type[Any]
    version_class: type[Any]
    transaction_class: type[Any]
    options: Options
    hierarchy: Hierarchy
    #: The tables of the class, base-most first.
    tables: tuple[VersionSpec, ...]
    #: Attribute keys of the columns that are kept; the same on parent and version class.
    columns: tuple[str, ...]
    #: Attribute keys of the primary key, in the order of the mapper.
    key: tuple[str, ...]
    transaction_key: str
    end_key: str | None
    operation_key: str
    #: ``None`` where the strategy has no id column.
    id_key: str | None = None
    #: Attribute keys of masked columns, each with that of the flag on the version class.
    masked: Mapping[str, str] = field(default_factory=new_dict)
    #: Relationship keys that the version class has.
    relationships: tuple[str, ...] = ()
    #: ``False`` for superclasses that are versioned only because a subclass is.
    exposed: bool = True
    #: Whether there is no class, but a table alone: then the classes are of our making.
    is_core: bool = False
    #: The version classes of superclasses, nearest first.
    superclasses: tuple[type[Any], ...] = field(default=())
    #: Statements that read its changes, by shape; kept here so that they end with the spec.
    built: dict[Any, Any] = field(default_factory=new_dict, repr=False)

    @property
    def root(self) -> VersionSpec:
        """The spec of the base-most table."""
        return self.tables[0]

    @property
    def name_key(self) -> str | None:
        """The attribute that change records call objects by; ``None`` if it is their key."""
        key = self.options.object_id_attribute
        return None if key is None or self.key == (key,) else key

    def has_table(self, table: Table) -> bool:
        """Tell whether objects of the class have rows in a table."""
        return any(spec.parent_table is table for spec in self.tables)

    @property
    def label(self) -> str:
        """What change records call the objects of the class."""
        return self.options.label or str(self.tables[-1].parent_table.name)

    @property
    def bookkeeping(self) -> frozenset[str]:
        """Attribute keys on the version class that no parent attribute stands behind."""
        keys = (self.transaction_key, self.end_key, self.operation_key, self.id_key, *self.context)
        return frozenset(key for key in keys if key is not None)

    @property
    def context(self) -> tuple[str, ...]:
        """Attribute keys of what versions keep of the context."""
        return tuple(column.key for column in self.root.context_columns)

    @property
    def place(self) -> tuple[str, ...]:
        """Attribute keys that put the versions of one object in order, and tell them apart."""
        number = () if self.id_key is None else (self.id_key,)
        return (self.transaction_key, *number)
