"""What makes and removes the functions of a transaction table, as DDL elements."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from .elements import Element, write_function
from .spec import TransactionSpec, TransactionStep
from .text import Text
from .transactions import build_transaction_function

__all__ = [
    "CreateTransactionFunction",
    "DropTransactionFunction",
    "ProtectTransactionFunction",
    "build_transaction_creation",
    "build_transaction_removal",
    "transaction_body",
]


class CreateTransactionFunction(Element):
    """Make a function that writes transactions; *part* is the :class:`.TransactionStep`."""

    spec: TransactionSpec


class ProtectTransactionFunction(Element):
    """Let nobody else call the function."""

    spec: TransactionSpec


class DropTransactionFunction(Element):
    """Remove the function of one :class:`.TransactionStep`."""

    spec: TransactionSpec


def transaction_body(
    spec: TransactionSpec, step: TransactionStep, text: Text, compiler: DDLCompiler
) -> str:
    """Return the body of the function of one step, as the database keeps it."""
    return text.stamped(build_transaction_function(spec, step, text, compiler.dialect))


def _signature(element: Element, text: Text) -> tuple[str, str]:
    """Return the name and the types of the arguments of a transaction's function."""
    spec, step = element.spec, element.part
    takes = step in (TransactionStep.MOVE, TransactionStep.RELEASE)
    return text.beside(spec.table, spec.functions[step]), "bigint" if takes else ""


@compiles(CreateTransactionFunction, "postgresql")
def _create_function(element: CreateTransactionFunction, compiler: DDLCompiler, **kw: Any) -> str:
    text = element.text(compiler)
    name, types = _signature(element, text)
    body = transaction_body(element.spec, element.part, text, compiler)
    arguments = f"versioned_old {types}" if types else ""
    return write_function(name, body, arguments=arguments, returns="bigint")


@compiles(ProtectTransactionFunction, "postgresql")
def _protect_function(element: ProtectTransactionFunction, compiler: DDLCompiler, **kw: Any) -> str:
    name, types = _signature(element, element.text(compiler))
    return f"REVOKE ALL ON FUNCTION {name}({types}) FROM PUBLIC"


@compiles(DropTransactionFunction, "postgresql")
def _drop_function(element: DropTransactionFunction, compiler: DDLCompiler, **kw: Any) -> str:
    name, types = _signature(element, element.text(compiler))
    return f"DROP FUNCTION IF EXISTS {name}({types})"


def build_transaction_creation(
    spec: TransactionSpec, *, default_schema: str | None = None
) -> list[ExecutableDDLElement]:
    """Return the statements that make the functions of a transaction table, or renew them."""
    return [
        kind(spec, step, default_schema=default_schema)
        for step in TransactionStep
        for kind in (CreateTransactionFunction, ProtectTransactionFunction)
    ]


def build_transaction_removal(
    spec: TransactionSpec, *, default_schema: str | None = None
) -> list[ExecutableDDLElement]:
    """Return the statements that remove the functions of a transaction table."""
    return [
        DropTransactionFunction(spec, step, default_schema=default_schema)
        for step in TransactionStep
    ]
