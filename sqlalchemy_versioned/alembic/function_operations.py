"""What migrations do to functions that triggers of several tables call.

``op.create_version_function()`` and others, for the functions that write transactions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alembic.operations import MigrateOperation, Operations

from .named_operations import NamedOp
from .triggers import Function, Names

__all__ = ["CreateFunctionOp", "DropFunctionOp", "ReplaceFunctionOp"]


class _FunctionOp(NamedOp):
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
