"""What migrations do to triggers: ``op.create_version_trigger()`` and others.

Nothing is done on databases where sessions record, which have no such triggers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import dedent, indent
from typing import Any

from alembic.operations import MigrateOperation, Operations

from ..database.dialects import has_statement_triggers
from ..triggers.schemas import default_schema
from .rendering import render_by_itself
from .triggers import Function, Names, TableTriggers

__all__ = [
    "CreateFunctionOp",
    "CreateTriggerOp",
    "DropFunctionOp",
    "DropTriggerOp",
    "ReplaceFunctionOp",
    "ReplaceTriggerOp",
    "default_schema_of",
]


class _NamedOp(MigrateOperation):
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


# -- functions that triggers of several tables call ----------------------------------------------


class _FunctionOp(_NamedOp):
    def __init__(self, function: Function, before: Function | None = None) -> None:
        self.function = function
        #: What it was before, for a downgrade.
        self.before = before

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Return what the function is called and what it does."""
        said = ("schema", "arguments", "returns", "body")
        return self.function.name, {name: getattr(self.function, name) for name in said}

    def statements(self, names: Names) -> Iterable[str]:
        """Make the function, or renew it."""
        return self.function.creation(names)


@Operations.register_operation("create_version_function")
class CreateFunctionOp(_FunctionOp):
    """Makes a function that the triggers of several tables call."""

    name = "create_version_function"

    def reverse(self) -> MigrateOperation:
        """Remove it again."""
        return DropFunctionOp(self.function)

    @classmethod
    def create_version_function(
        cls,
        operations: Operations,
        function_name: str,
        *,
        body: str,
        arguments: str = "",
        returns: str = "bigint",
        schema: str | None = None,
    ) -> None:
        """Make a function that the triggers of several tables call: what writes transactions.

        :param function_name: its name.
        :param body: what it does; ``versioned_default_schema`` stands for the schema of tables
            that name none.
        :param arguments: what it takes, as in SQL.
        :param returns: the type that it returns.
        :param schema: where it is.
        """
        operations.invoke(cls(Function(function_name, body, schema, arguments, returns)))


@Operations.register_operation("replace_version_function")
class ReplaceFunctionOp(_FunctionOp):
    """Gives such a function another body."""

    name = "replace_version_function"

    def reverse(self) -> MigrateOperation:
        """Give it the one of before."""
        if self.before is None:
            raise ValueError("what the function was before is not known; write the downgrade")
        return ReplaceFunctionOp(self.before, self.function)

    @classmethod
    def replace_version_function(
        cls,
        operations: Operations,
        function_name: str,
        *,
        body: str,
        arguments: str = "",
        returns: str = "bigint",
        schema: str | None = None,
    ) -> None:
        """Give a function that the triggers of several tables call another body.

        Parameters are those of ``create_version_function``.
        """
        operations.invoke(cls(Function(function_name, body, schema, arguments, returns)))


@Operations.register_operation("drop_version_function")
class DropFunctionOp(_FunctionOp):
    """Removes such a function."""

    name = "drop_version_function"

    def reverse(self) -> MigrateOperation:
        """Make it again."""
        return CreateFunctionOp(self.function)

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Return what the function is called."""
        said = {"schema": self.function.schema, "arguments": self.function.arguments}
        return self.function.name, said

    def statements(self, names: Names) -> Iterable[str]:
        """Remove it."""
        return self.function.removal(names)

    @classmethod
    def drop_version_function(
        cls,
        operations: Operations,
        function_name: str,
        *,
        arguments: str = "",
        schema: str | None = None,
    ) -> None:
        """Remove a function that the triggers of several tables called.

        :param function_name: its name.
        :param arguments: what it takes, as in SQL.
        :param schema: where it is.
        """
        operations.invoke(cls(Function(function_name, "", schema, arguments)))


# -- triggers ------------------------------------------------------------------------------------


class _TriggerOp(_NamedOp):
    def __init__(self, triggers: TableTriggers, before: TableTriggers | None = None) -> None:
        self.triggers = triggers
        #: What they were before, for a downgrade.
        self.before = before

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Return the table, the names and what the function does."""
        function = self.triggers.function
        return self.triggers.table, {
            "schema": self.triggers.schema,
            "function": function.name,
            "triggers": dict(self.triggers.triggers),
            "body": function.body,
            "guards": self.triggers.guards,
        }

    def statements(self, names: Names) -> Iterable[str]:
        """Make them."""
        return self.triggers.creation(names)


def _triggers(
    table: str,
    schema: str | None,
    function: str,
    triggers: Mapping[str, str],
    body: str = "",
    guards: str = "",
) -> TableTriggers:
    return TableTriggers(table, Function(function, body, schema), triggers, schema, guards)


@Operations.register_operation("create_version_trigger")
class CreateTriggerOp(_TriggerOp):
    """Gives a table its triggers."""

    name = "create_version_trigger"

    def reverse(self) -> MigrateOperation:
        """Take them off again."""
        return DropTriggerOp(self.triggers)

    @classmethod
    def create_version_trigger(
        cls,
        operations: Operations,
        table_name: str,
        *,
        function: str,
        triggers: Mapping[str, str],
        body: str,
        schema: str | None = None,
        guards: str = "",
    ) -> None:
        """Give a table the triggers that record it, and make the function that they call.

        :param table_name: the table; *schema* is its schema, and that of the function.
        :param function: the name of the function.
        :param triggers: the name of the trigger for each event: INSERT, UPDATE, DELETE, TRUNCATE.
        :param body: what the function does; ``versioned_default_schema`` stands for the schema of
            tables that name none.
        :param guards: what they refuse, if they guard a table of history that is append-only:
            ``"statements"``, or ``"rows"`` that another transaction has written.
        """
        operations.invoke(cls(_triggers(table_name, schema, function, triggers, body, guards)))


@Operations.register_operation("replace_version_trigger")
class ReplaceTriggerOp(_TriggerOp):
    """Gives a table other triggers."""

    name = "replace_version_trigger"

    def reverse(self) -> MigrateOperation:
        """Give it those of before."""
        if self.before is None:
            raise ValueError("what the triggers were before is not known; write the downgrade")
        return ReplaceTriggerOp(self.before, self.triggers)

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Return the table, the names, what the function does, and what was called otherwise."""
        table, keywords = super().arguments()
        before = self.before or self.triggers
        if before.function.name != self.triggers.function.name:
            keywords["replaced_function"] = before.function.name
        if set(before.triggers.values()) - set(self.triggers.triggers.values()):
            keywords["replaced_triggers"] = dict(before.triggers)
        return table, keywords

    def statements(self, names: Names) -> Iterable[str]:
        """Remove what was there, and make what shall be."""
        for old in (self.triggers, self.before):
            if old is not None:
                yield from old.trigger_removal(names)
        if self.before is not None and self.before.function.name != self.triggers.function.name:
            yield from self.before.function.removal(names)
        yield from self.triggers.creation(names)

    @classmethod
    def replace_version_trigger(
        cls,
        operations: Operations,
        table_name: str,
        *,
        function: str,
        triggers: Mapping[str, str],
        body: str,
        schema: str | None = None,
        replaced_function: str | None = None,
        replaced_triggers: Mapping[str, str] | None = None,
        guards: str = "",
    ) -> None:
        """Give a table other triggers, or their function another body.

        Parameters are those of ``create_version_trigger``, and:

        :param replaced_function: what the function was called, if otherwise.
        :param replaced_triggers: what the triggers were called, if otherwise.
        """
        now = _triggers(table_name, schema, function, triggers, body, guards)
        old = _triggers(
            table_name, schema, replaced_function or function, replaced_triggers or triggers
        )
        operations.invoke(cls(now, old))


@Operations.register_operation("drop_version_trigger")
class DropTriggerOp(_TriggerOp):
    """Takes the triggers off a table."""

    name = "drop_version_trigger"

    def reverse(self) -> MigrateOperation:
        """Make them again."""
        return CreateTriggerOp(self.triggers)

    def arguments(self) -> tuple[str, dict[str, Any]]:
        """Return the table and the names."""
        table, keywords = super().arguments()
        said = ("schema", "function", "triggers")
        return table, {name: keywords[name] for name in said}

    def statements(self, names: Names) -> Iterable[str]:
        """Remove them."""
        return self.triggers.removal(names)

    @classmethod
    def drop_version_trigger(
        cls,
        operations: Operations,
        table_name: str,
        *,
        function: str,
        triggers: Mapping[str, str],
        schema: str | None = None,
    ) -> None:
        """Take the triggers off a table, and remove the function that they called.

        :param table_name: the table; *schema* is its schema, and that of the function.
        :param function: the name of the function.
        :param triggers: the name of the trigger for each event.
        """
        operations.invoke(cls(_triggers(table_name, schema, function, triggers)))


# -- what they do --------------------------------------------------------------------------------


def default_schema_of(operations: Operations) -> str:
    """Return where tables are that name no schema, in PostgreSQL."""
    if operations.migration_context.as_sql:
        return "public"
    return default_schema(operations.get_bind()) or "public"


@Operations.implementation_for(_FunctionOp)
@Operations.implementation_for(_TriggerOp)
def _run(operations: Operations, operation: _NamedOp) -> None:
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


render_by_itself(_FunctionOp, _TriggerOp)
