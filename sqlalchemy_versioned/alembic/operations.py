"""What migrations can do to history beside changing tables: ``op.align_versions()`` and others.

Every operation is a value that knows how it is written in a migration, and what undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import Executable

from ..database.dialects import has_statement_triggers
from ..query.neighbours import build_end_repair
from ..recording.ours import OURS
from ..triggers.upkeep import build_upkeep
from .given import check_columns, check_name
from .names import HistoryNames
from .rendering import render_by_itself
from .statements import build_filling, build_restoring
from .types import is_generated

__all__ = [
    "AlignVersionsOp",
    "HistoryOp",
    "OnDowngrade",
    "UpdateEndsOp",
    "connection_of",
    "execute",
    "keywords_for",
]


class OnDowngrade(ops.ModifyTableOps):
    """Does nothing, but for its reverse: for what only a downgrade needs."""

    def __init__(self, back: MigrateOperation | None = None) -> None:
        super().__init__("", [])
        self.back = back

    def reverse(self) -> Any:
        """Return what the downgrade needs."""
        return OnDowngrade() if self.back is None else self.back


class HistoryOp(MigrateOperation):
    """An operation on one history."""

    #: Its name in ``op``.
    name: str
    #: What is written of the history, in this order; those after the star as keywords.
    positional: tuple[str, ...] = ("table", "version_table")
    keywords: Mapping[str, str]

    def __init__(self, names: HistoryNames) -> None:
        if "table" in self.positional:
            check_name("table", names.table)
        self.names = names

    def reverse(self) -> MigrateOperation:
        """Do nothing: what it has written goes with its columns and tables."""
        return OnDowngrade()

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Say what differs, for ``compare_metadata()``."""
        return (self.name, self.names.schema, self.names.table, self.names.version_table)

    def arguments(self) -> list[str]:
        """Return what is written in the call."""
        defaults = HistoryNames(version_table="x")
        said = [repr(getattr(self.names, field)) for field in self.positional]
        for field, keyword in self.keywords.items():
            value = getattr(self.names, field)
            if value != getattr(defaults, field):
                said.append(f"{keyword}={list(value) if _is_list(value) else value!r}")
        return said

    def render(self, prefix: str) -> str:
        """Return the call."""
        return f"{prefix}{self.name}({', '.join(self.arguments())})"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


#: How the names of a history are given to operations.
_KEYWORDS = {
    "columns": "columns",
    "key": "key",
    "schema": "schema",
    "version_schema": "version_schema",
    "transaction_column": "transaction_column_name",
    "end_column": "end_transaction_column_name",
    "operation_column": "operation_type_column_name",
    "operation_format": "operation_type_format",
    "id_column": "version_id_column_name",
    "generated": "generated",
}


def keywords_for(*fields: str) -> dict[str, str]:
    """Return how names are given to an operation that takes *fields*, and where all tables are."""
    taken = {*fields, "key", "version_schema", "transaction_column", "operation_column"}
    return {field: word for field, word in _KEYWORDS.items() if field in taken}


@Operations.register_operation("update_end_transaction_ids")
class UpdateEndsOp(HistoryOp):
    """Lets versions end where the next ones begin.

    >>> UpdateEndsOp(HistoryNames("article_version")).render("op.")
    "op.update_end_transaction_ids('article_version')"
    """

    name = "update_end_transaction_ids"
    positional: tuple[str, ...] = ("version_table",)
    keywords: Mapping[str, str] = keywords_for("end_column")

    @classmethod
    def update_end_transaction_ids(
        cls,
        operations: Operations,
        version_table_name: str,
        *,
        key: Sequence[str] | None = None,
        version_schema: str | None = None,
        transaction_column_name: str = "transaction_id",
        end_transaction_column_name: str = "end_transaction_id",
        operation_type_column_name: str = "operation_type",
    ) -> None:
        """Let each version end where the next one of its row begins.

        For histories that had no ends, because their strategy was ``'subquery'``, or because
        others wrote them.

        :param version_table_name: the table of the versions; *version_schema* is its schema.
        :param key: the columns by which rows are recognised; unless given, the primary key but
            for the transaction.
        :param transaction_column_name: as the option of this name.
        :param end_transaction_column_name: as the option of this name.
        :param operation_type_column_name: as the option of this name.
        """
        # Without it, there would be nothing to do.
        check_name("end_transaction_column_name", end_transaction_column_name)
        names = HistoryNames(
            version_table=version_table_name,
            key=key,
            version_schema=version_schema,
            transaction_column=transaction_column_name,
            end_column=end_transaction_column_name,
            operation_column=operation_type_column_name,
        )
        operations.invoke(cls(names))


@Operations.register_operation("align_versions")
class AlignVersionsOp(HistoryOp):
    """Lets rows and their newest versions say the same of columns that were just added.

    >>> names = HistoryNames("article_version", table="article", columns=["name"])
    >>> AlignVersionsOp(names).render("op.")
    "op.align_versions('article', 'article_version', columns=['name'])"
    """

    name = "align_versions"
    keywords: Mapping[str, str] = keywords_for(
        "columns", "schema", "operation_format", "id_column", "generated"
    )

    @classmethod
    def align_versions(
        cls,
        operations: Operations,
        table_name: str,
        version_table_name: str,
        *,
        columns: Sequence[str],
        key: Sequence[str] | None = None,
        schema: str | None = None,
        version_schema: str | None = None,
        transaction_column_name: str = "transaction_id",
        operation_type_column_name: str = "operation_type",
        operation_type_format: str = "number",
        version_id_column_name: str | None = None,
        generated: Sequence[str] = (),
    ) -> None:
        """Let rows and their newest versions say the same of columns that were just added.

        Where a newest version holds a value, because the table had the column once, the row gets
        it back; where it holds none, it gets that of the row.  Older versions stay as they are.

        :param table_name: the table; *schema* is its schema.
        :param version_table_name: the table of its versions; *version_schema* is its schema.
        :param columns: the columns that were added.
        :param key: the columns by which rows are recognised; unless given, the primary key.
        :param transaction_column_name: as the option of this name.
        :param operation_type_column_name: as the option of this name.
        :param operation_type_format: as the option of this name; with a connection, it is found by
            itself.
        :param version_id_column_name: as the option of this name, for the strategy ``'append'``.
        :param generated: those of *columns* that the database computes, which no row is given;
            with a connection, they are found by themselves.
        """
        check_columns("columns", columns)
        names = HistoryNames(
            version_table=version_table_name,
            table=table_name,
            key=key,
            columns=columns,
            schema=schema,
            version_schema=version_schema,
            transaction_column=transaction_column_name,
            end_column=None,
            operation_column=operation_type_column_name,
            operation_format=operation_type_format,
            id_column=version_id_column_name,
            generated=generated,
        )
        operations.invoke(cls(names))


# -- what they do ------------------------------------------------------------------------------


@Operations.implementation_for(UpdateEndsOp)
def _update_ends(operations: Operations, operation: UpdateEndsOp) -> None:
    _change_history(operations, build_end_repair(operation.names.spec(connection_of(operations))))


@Operations.implementation_for(AlignVersionsOp)
def _align(operations: Operations, operation: AlignVersionsOp) -> None:
    spec = operation.names.spec(connection_of(operations))
    for pair in spec.pairs:
        if pair not in spec.key:
            name = str(pair.parent.name)
            if name not in operation.names.generated and not is_generated(pair.parent):
                execute(operations, build_restoring(spec, pair))
            _change_history(operations, build_filling(spec, pair))


def connection_of(operations: Operations) -> Any:
    """Return where tables can be looked up; ``None`` while SQL is written for later."""
    context = operations.migration_context
    return None if context.as_sql else context.connection


def _change_history(operations: Operations, statement: Executable) -> None:
    """Execute a statement that is let through where history is append-only."""
    is_told = has_statement_triggers(operations.migration_context.dialect)
    if is_told:
        operations.execute(build_upkeep())
    execute(operations, statement)
    if is_told:
        operations.execute(build_upkeep(is_over=True))


def execute(operations: Operations, statement: Executable) -> None:
    """Execute a statement that recording takes no notice of."""
    # Options that Alembic is given would stay on the connection.
    operations.execute(statement.execution_options(**OURS))


render_by_itself(HistoryOp)
