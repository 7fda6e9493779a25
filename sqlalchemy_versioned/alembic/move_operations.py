"""What lets history go on in a table of another name or schema: ``op.move_versions()``."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import text

from ..database.dialects import has_statement_triggers
from ..database.table_moves import write_table_move
from .given import check_name
from .named_operations import default_schema_of
from .rendering import render_by_itself

__all__ = ["MoveVersionsOp"]

_Place = tuple[str | None, str]


@Operations.register_operation("move_versions")
class MoveVersionsOp(MigrateOperation):
    """Gives a version table another name, or another schema.

    >>> MoveVersionsOp((None, "article_version"), ("history", "article")).render("op.")
    "op.move_versions('article_version', 'article', new_schema='history')"
    """

    name = "move_versions"

    def __init__(self, old: _Place, new: _Place) -> None:
        for kind, (schema, table) in (("the table", old), ("the new table", new)):
            check_name(kind, table)
            check_name(f"the schema of {kind}", schema, or_none=True)
        self.old = old
        self.new = new

    def reverse(self) -> MigrateOperation:
        """Move it back."""
        return MoveVersionsOp(self.new, self.old)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Say what differs, for ``compare_metadata()``."""
        return (self.name, *self.old, *self.new)

    def render(self, prefix: str) -> str:
        """Return the call."""
        said = [repr(self.old[1]), repr(self.new[1])]
        schemas = {"schema": self.old[0], "new_schema": self.new[0]}
        said += [f"{key}={value!r}" for key, value in schemas.items() if value is not None]
        return f"{prefix}{self.name}({', '.join(said)})"

    @classmethod
    def move_versions(
        cls,
        operations: Operations,
        version_table_name: str,
        new_table_name: str,
        *,
        schema: str | None = None,
        new_schema: str | None = None,
    ) -> None:
        """Give a version table another name, or another schema, with all that is in it.

        :param version_table_name: what it is called; *schema* is its schema.
        :param new_table_name: what it shall be called; *new_schema* is the schema it shall be in.
        :raises InvalidArgument: if the database cannot move tables between schemas.
        """
        operations.invoke(cls((schema, version_table_name), (new_schema, new_table_name)))


@Operations.implementation_for(MoveVersionsOp)
def _move(operations: Operations, operation: MoveVersionsOp) -> None:
    dialect = operations.migration_context.dialect
    default = default_schema_of(operations) if has_statement_triggers(dialect) else None
    statements = write_table_move(dialect, operation.old, operation.new, default_schema=default)
    for statement in statements:
        operations.execute(text(statement.replace(":", r"\:")))


render_by_itself(MoveVersionsOp)
