"""What a run of autogenerate knows: the histories of the models, and what the database has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation
from sqlalchemy import MetaData, Table
from sqlalchemy.engine import Dialect

from .. import _sqlalchemy
from ..model.lookup import TABLES, find_spec
from ..model.spec import VersionSpec
from ..options import Options
from .names import HistoryNames
from .operations import AlignVersionsOp

__all__ = ["Found", "metadata_of"]

_Place = tuple[str | None, str]


def metadata_of(autogen_context: AutogenContext) -> list[MetaData]:
    """Return what ``target_metadata`` is."""
    said: Any = autogen_context.metadata
    return [said] if isinstance(said, MetaData) else list(said or ())


class Found:
    """What is known, and what is to be done before and after all that Alembic has found itself.

    What comes first in an upgrade comes last in a downgrade.
    """

    def __init__(self, autogen_context: AutogenContext) -> None:
        self.context = autogen_context
        self.dialect: Dialect = autogen_context.dialect
        self.first: list[MigrateOperation] = []
        self._last: list[MigrateOperation] = []
        self._aligned: dict[VersionSpec, list[str]] = {}
        self.by_parent: dict[_Place, VersionSpec] = {}
        self.by_version: dict[_Place, VersionSpec] = {}
        self.transactions: dict[_Place, Table] = {}
        #: The version tables that are dropped and created again, with all that hangs on them.
        self.remade: set[_Place] = set()
        #: Where version tables were that are moved.
        self.moved: set[_Place] = set()
        for metadata in metadata_of(autogen_context):
            for table, spec in metadata.info.get(TABLES, {}).items():
                self.by_parent[self.place(table)] = spec
                self.by_version[self.place(spec.version_table)] = spec
                self.transactions[self.place(spec.transaction_table)] = spec.transaction_table

    @property
    def tables(self) -> Iterable[Table]:
        """The tables of the models, and those of history."""
        return [t for each in metadata_of(self.context) for t in each.tables.values()]

    def place(self, table: Any) -> _Place:
        """Return where a table is, or that of an operation."""
        name = table.name if isinstance(table, Table) else table.table_name
        schema = table.schema
        return (None if schema == self.dialect.default_schema_name else schema, str(name))

    def is_meant(self, table: Table) -> bool:
        """Tell whether migrations are about a table: ``env.py`` may leave some to others."""
        name = str(table.name)
        parents: Any = {"schema_name": table.schema}
        return self.context.run_name_filters(
            name, "table", parents
        ) and self.context.run_object_filters(table, name, "table", False, None)

    def columns_of(self, table: Table) -> Mapping[str, Any]:
        """Return what the database says of the columns of a table; nothing if it has none."""
        # The one of Alembic, which remembers what it has read.
        inspector = self.context.inspector
        if not inspector.has_table(table.name, schema=table.schema):
            return {}
        found = inspector.get_columns(table.name, schema=table.schema)
        return {column["name"]: column for column in found}

    def primary_key_of(self, table: Table) -> list[str]:
        """Return the columns of the primary key that a table has in the database."""
        found = self.context.inspector.get_pk_constraint(table.name, schema=table.schema)
        return list(found["constrained_columns"])

    def has_sequence(self, name: str, schema: str | None) -> bool:
        """Tell whether the database has a sequence."""
        if not self.dialect.supports_sequences:
            return False
        return self.context.inspector.has_sequence(name, schema=schema)

    @cached_property
    def end_names(self) -> set[str]:
        """How columns are called in which versions end."""
        specs = (find_spec(mapper.class_) for mapper in _sqlalchemy.all_mappers())
        # What the models have no more was called as their options say now, or by default.
        said = [Options(), *(spec.options for spec in specs if spec is not None)]
        return {options.end_transaction_column_name for options in said}

    def align(self, spec: VersionSpec, column: str) -> None:
        """Align a column that was added to a table or to its versions."""
        columns = self._aligned.setdefault(spec, [])
        if column not in columns:
            columns.append(column)

    def add_last(self, operation: MigrateOperation) -> None:
        """Do something when tables are as they shall be."""
        self._last.append(operation)

    @property
    def last(self) -> Iterable[MigrateOperation]:
        """What is to be done in the end."""
        aligned = (
            AlignVersionsOp(HistoryNames.of(spec, columns=columns))
            for spec, columns in self._aligned.items()
        )
        return [*self._last, *aligned]
