"""What migrations do to sequences that number transactions: ``op.create_version_sequence()``.

Nothing is done on databases that have no sequences.
"""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Sequence
from sqlalchemy.schema import CreateSequence, DropSequence

from .given import check_name
from .rendering import render_by_itself

__all__ = ["CreateSequenceOp", "DropSequenceOp"]


class _SequenceOp(MigrateOperation):
    """An operation on the sequence that numbers transactions."""

    name: str

    def __init__(self, sequence: str, *, schema: str | None = None) -> None:
        check_name("sequence", sequence)
        check_name("schema", schema, or_none=True)
        self.sequence = sequence
        self.schema = schema

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Say what differs, for ``compare_metadata()``."""
        return (self.name, self.schema, self.sequence)

    def render(self, prefix: str) -> str:
        """Return the call."""
        schema = "" if self.schema is None else f", schema={self.schema!r}"
        return f"{prefix}{self.name}({self.sequence!r}{schema})"

    @property
    def numbers(self) -> Sequence:
        """The sequence."""
        return Sequence(self.sequence, schema=self.schema)


@Operations.register_operation("create_version_sequence")
class CreateSequenceOp(_SequenceOp):
    """Makes the sequence that numbers transactions, where the database has sequences."""

    name = "create_version_sequence"

    def reverse(self) -> MigrateOperation:
        """Remove it again."""
        return DropSequenceOp(self.sequence, schema=self.schema)

    @classmethod
    def create_version_sequence(
        cls, operations: Operations, sequence_name: str, *, schema: str | None = None
    ) -> None:
        """Make the sequence that numbers transactions; nothing where there are no sequences.

        :param sequence_name: the name of the transaction table and ``_id_seq``.
        """
        operations.invoke(cls(sequence_name, schema=schema))


@Operations.register_operation("drop_version_sequence")
class DropSequenceOp(_SequenceOp):
    """Removes the sequence that numbers transactions."""

    name = "drop_version_sequence"

    def reverse(self) -> MigrateOperation:
        """Make it again."""
        return CreateSequenceOp(self.sequence, schema=self.schema)

    @classmethod
    def drop_version_sequence(
        cls, operations: Operations, sequence_name: str, *, schema: str | None = None
    ) -> None:
        """Remove the sequence that numbers transactions; nothing where there are no sequences.

        :param sequence_name: the name of the transaction table and ``_id_seq``.
        """
        operations.invoke(cls(sequence_name, schema=schema))


@Operations.implementation_for(CreateSequenceOp)
def _create_sequence(operations: Operations, operation: CreateSequenceOp) -> None:
    _execute(operations, CreateSequence(operation.numbers))


@Operations.implementation_for(DropSequenceOp)
def _drop_sequence(operations: Operations, operation: DropSequenceOp) -> None:
    _execute(operations, DropSequence(operation.numbers))


def _execute(operations: Operations, statement: CreateSequence | DropSequence) -> None:
    context = operations.migration_context
    name = context.dialect.name
    # That MariaDB has sequences, SQLAlchemy learns by a connection.
    if context.dialect.supports_sequences or (context.as_sql and name == "mariadb"):
        operations.execute(statement)
    elif context.as_sql and name == "mysql":
        # Without a connection it may be MariaDB all the same, which alone reads such a comment.
        operations.execute(f"/*M!100300 {statement.compile(dialect=context.dialect)} */")


render_by_itself(_SequenceOp)
