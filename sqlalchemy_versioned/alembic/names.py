"""Histories as migrations know them: by names, because the models of today are not those of then.

A migration runs years after it was written.  What it says of a table and its versions is turned
into a :class:`.VersionSpec`, for which the statements of the library can be built: of the tables
that the database has, or, where only SQL is written, of the names alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, MetaData, SmallInteger, String, Table
from sqlalchemy.exc import NoSuchTableError, OperationalError
from sqlalchemy.types import TypeEngine

from .. import _sqlalchemy
from ..build.columns import transaction_id_type
from ..database.dialects import is_text
from ..exc import ImproperlyConfigured, InvalidArgument
from ..model.naming import cut_name
from ..model.spec import ColumnPair, VersionSpec
from ..options import DEFAULTS, Strategy
from .given import check_columns, check_name
from .types import is_generated

__all__ = ["HistoryNames", "reflect"]

_OPERATION_TYPES: dict[str, TypeEngine[Any]] = {"number": SmallInteger(), "code": String()}


@dataclass(frozen=True, slots=True)
class HistoryNames:
    """The names by which a migration calls a table and its versions.

    :raises InvalidArgument: if a name is empty, or a column is named twice.
    :raises InvalidArgumentType: if there is one name where a list belongs.
    """

    version_table: str
    #: ``None`` where only versions matter.
    table: str | None = None
    #: The columns by which rows are recognised; ``None`` for those of the primary key.
    key: Sequence[str] | None = None
    #: The other columns that matter; ``None`` for those that both tables have.
    columns: Sequence[str] | None = None
    schema: str | None = None
    #: The schema of the version table.
    version_schema: str | None = None
    transaction_column: str = DEFAULTS.transaction_column_name
    #: ``None`` if versions have no end.
    end_column: str | None = DEFAULTS.end_transaction_column_name
    operation_column: str = DEFAULTS.operation_type_column_name
    #: How operations are stored, where that cannot be looked up.
    operation_format: str = DEFAULTS.operation_type_format
    #: The ids of versions, where each event has one.
    id_column: str | None = None
    #: Those of the columns that the database alone gives values, so that rows cannot be given any.
    generated: Sequence[str] = ()
    #: Columns of the table that are looked at, and are not kept.
    read: Sequence[str] = ()
    #: What tells the classes of objects apart, if that is kept.
    kind: str | None = None

    def __post_init__(self) -> None:
        for name in ("version_table", "transaction_column", "operation_column"):
            check_name(name, getattr(self, name))
        for name in ("table", "schema", "version_schema", "end_column", "id_column", "kind"):
            check_name(name, getattr(self, name), or_none=True)
        if self.operation_format not in tuple(_OPERATION_TYPES):
            raise InvalidArgument(
                f"operation_type_format is {self.operation_format!r}; choose from "
                f"{', '.join(map(repr, _OPERATION_TYPES))}"
            )
        if self.kind is not None and self.table is None:
            raise InvalidArgument(
                f"what tells the classes of {self.version_table!r} apart is {self.kind!r}, of a "
                "table that is not named; give the base-most table, too: base_table_name"
            )
        for name in ("key", "columns", "generated"):
            check_columns(name, getattr(self, name), or_none=name != "generated")

    @classmethod
    def of(cls, spec: VersionSpec, *, columns: Sequence[str] | None = None) -> HistoryNames:
        """Return the names of what a spec describes."""
        end = None if spec.end_column is None else spec.end_column.name
        generated = {str(c.name) for c in spec.parent_table.columns if is_generated(c)}
        return cls(
            version_table=str(spec.version_table.name),
            table=str(spec.parent_table.name),
            key=[str(pair.parent.name) for pair in spec.key],
            columns=columns,
            schema=spec.parent_table.schema,
            version_schema=spec.version_table.schema,
            transaction_column=spec.transaction_column.name,
            end_column=end,
            operation_column=spec.operation_column.name,
            operation_format="code" if is_text(spec.operation_column) else "number",
            id_column=None if spec.id_column is None else spec.id_column.name,
            generated=tuple(name for name in columns or () if name in generated),
        )

    def spec(self, connection: Connection | None) -> VersionSpec:
        """Return a spec of the tables by these names.

        :param connection: where they are looked up; ``None`` to believe what was said.
        :raises InvalidArgument: if the database has no such table, or, without one, if not
            everything was said.
        :raises ImproperlyConfigured: if a table has no such column.
        """
        if connection is None:
            return self._spec(*self._said_tables())
        return self._spec(*self._found_tables(connection))

    def _said_tables(self) -> tuple[Table, Table]:
        if self.key is None or (self.table is not None and self.columns is None):
            raise InvalidArgument(
                f"the columns of {self.version_table!r} cannot be looked up while SQL is written "
                "for later (--sql); give key=[...] and columns=[...]"
            )
        names = [*dict.fromkeys([*self.key, *(self.columns or ())])]
        ours: list[Column[Any]] = [
            Column(self.transaction_column, transaction_id_type()),
            Column(self.operation_column, _OPERATION_TYPES[self.operation_format]),
        ]
        ours += [Column(name, transaction_id_type()) for name in self._optional]
        kept: list[Column[Any]] = [Column(name) for name in names]
        versions = _sqlalchemy.ShortAliasTable(
            self.version_table, MetaData(), *kept, *ours, schema=self.version_schema
        )
        live: list[Column[Any]] = [Column(name) for name in dict.fromkeys([*names, *self.read])]
        parent = Table(self._parent_name, MetaData(), *live, schema=self.schema)
        return parent, versions

    @property
    def _optional(self) -> list[str]:
        return [name for name in (self.end_column, self.id_column) if name is not None]

    @property
    def _strategy(self) -> Strategy:
        if self.id_column is not None:
            return Strategy.APPEND
        return Strategy.SUBQUERY if self.end_column is None else Strategy.VALIDITY

    @property
    def _parent_name(self) -> str:
        # A name that no statement writes, where only versions matter.
        return self.table or cut_name(f"{self.version_table}_parent")

    def _found_tables(self, connection: Connection) -> tuple[Table, Table]:
        versions = reflect(connection, self.version_table, self.version_schema)
        needed = [self.transaction_column, self.operation_column, *self._optional]
        _check_columns(versions, [*needed, *(self.key or ()), *(self.columns or ())])
        if self.table is None:
            primary = [c for c in versions.primary_key if c.name != self.transaction_column]
            names = list(self.key or [c.name for c in primary])
            live: list[Column[Any]] = [
                Column(name, versions.c[name].type, primary_key=True) for name in names
            ]
            return Table(self._parent_name, MetaData(), *live), versions
        parent = reflect(connection, self.table, self.schema)
        _check_columns(parent, [*(self.key or ()), *(self.columns or ()), *self.read])
        return parent, versions

    def _spec(self, parent: Table, versions: Table) -> VersionSpec:
        key = self._key_in(parent)
        both = [column.name for column in parent.c if column.name in versions.c]
        names = dict.fromkeys([*key, *(both if self.columns is None else self.columns)])
        pairs = {name: ColumnPair(parent.c[name], versions.c[name]) for name in names}

        def column(name: str | None) -> Column[Any] | None:
            return None if name is None else versions.c[name]

        return VersionSpec(
            parent_table=parent,
            version_table=versions,
            transaction_table=versions,
            pairs=tuple(pairs.values()),
            key=tuple(pairs[name] for name in key),
            transaction_column=versions.c[self.transaction_column],
            end_column=column(self.end_column),
            operation_column=versions.c[self.operation_column],
            strategy=self._strategy,
            ignored=frozenset(),
            id_column=column(self.id_column),
            kind=None if self.kind is None else pairs[self.kind],
        )

    def _key_in(self, parent: Table) -> list[str]:
        key = list(self.key or [str(column.name) for column in parent.primary_key])
        if not key:
            raise InvalidArgument(
                f"table {self.table or self.version_table!r} has no primary key; give key=[...], "
                "the columns by which its rows are recognised"
            )
        return key


def reflect(connection: Connection, name: str, schema: str | None) -> Table:
    """Return a table as the database has it.

    :raises InvalidArgument: if there is none.
    """
    try:
        return Table(name, MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
    except (NoSuchTableError, OperationalError) as error:
        # SQLite says so of schemas; others may be away.
        if isinstance(error, OperationalError) and (not schema or error.connection_invalidated):
            raise
        raise InvalidArgument(
            f"the database has no table {name!r}"
            + (f" in the schema {schema!r}" if schema else "")
            + "; create it before, and give the name it has at this point of the migrations"
        ) from error


def _check_columns(table: Table, names: Iterable[str]) -> None:
    missing = [name for name in dict.fromkeys(names) if name not in table.c]
    if missing:
        raise ImproperlyConfigured(
            f"table {table.fullname!r} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(repr(column.name) for column in table.c)}"
        )
