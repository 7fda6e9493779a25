"""How migrations do what they say by names and text, where the database has such triggers.

Nothing is done on databases where sessions record.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent, indent
from typing import Any

from alembic.operations import MigrateOperation, Operations

from ..database.dialects import has_statement_triggers
from ..triggers.schemas import default_schema
from .rendering import render_by_itself
from .triggers import Names

__all__ = ["NamedOp", "default_schema_of"]


class NamedOp(MigrateOperation):
    """An operation that is written as a call with names and keywords."""

    name: str

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Return the one that comes first, and the keywords."""
        raise NotImplementedError

    def statements(self, names: Names) -> Iterable[str]:
        """Return what it does."""
        raise NotImplementedError

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Say what differs, for ``compare_metadata()``."""
        first, keywords = self.arguments()
        return (self.name, keywords.get("schema"), first)

    def render(self, prefix: str) -> str:
        """Return the call."""
        first, keywords = self.arguments()
        said = [repr(first)]
        for key, value in keywords.items():
            if value:
                said.append(f"{key}={_body(value) if key == 'body' else repr(value)}")
        return f"{prefix}{self.name}(\n    " + ",\n    ".join(said) + "\n)"


def _body(body: str) -> str:
    """Return the body of a function as it is read best, if that says the same."""
    shown = indent(body.strip("\n"), "    ")
    is_same = dedent(shown) == body and "\\" not in body and '"""' not in body
    if is_same and not any(line != line.rstrip() for line in body.splitlines()):
        return f'"""\n{shown}\n    """'
    lines = body.splitlines(keepends=True)
    return "(\n        " + "\n        ".join(map(repr, lines)) + "\n    )"


def default_schema_of(operations: Operations) -> str:
    """Return where tables are that name no schema, in PostgreSQL."""
    if operations.migration_context.as_sql:
        return "public"
    return default_schema(operations.get_bind()) or "public"


@Operations.implementation_for(NamedOp)
def _run(operations: Operations, operation: NamedOp) -> None:
    context = operations.migration_context
    if not has_statement_triggers(context.dialect):
        return
    names = Names.of(context.dialect, default_schema_of(operations))
    for statement in operation.statements(names):
        if context.as_sql:
            context.impl.static_output(statement + context.impl.command_terminator)
        else:
            # Percent signs are what they are.
            options = {"no_parameters": True}
            operations.get_bind().exec_driver_sql(statement, execution_options=options)


render_by_itself(NamedOp)
