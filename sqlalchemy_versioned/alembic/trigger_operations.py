"""What migrations do to the triggers of a table: ``op.create_version_trigger()`` and others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from alembic.operations import MigrateOperation, Operations

from .named_operations import NamedOp
from .triggers import Function, Names, TableTriggers

__all__ = ["CreateTriggerOp", "DropTriggerOp", "ReplaceTriggerOp"]


class _TriggerOp(NamedOp):
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
        called = Function(function, body, schema)
        operations.invoke(cls(TableTriggers(table_name, called, triggers, schema, guards)))


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
        now = TableTriggers(table_name, Function(function, body, schema), triggers, schema, guards)
        old = replace(
            now,
            function=Function(replaced_function or function, "", schema),
            triggers=replaced_triggers or triggers,
            guards="",
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
        called = Function(function, "", schema)
        operations.invoke(cls(TableTriggers(table_name, called, triggers, schema)))
