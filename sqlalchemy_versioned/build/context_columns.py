"""The columns that are filled from the context: further ones of transactions, session variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..options import Options

__all__ = [
    "build_transaction_columns",
    "build_variable_columns",
    "build_version_context",
    "check_columns",
]


def build_variable_columns(options: Options) -> list[Column[Any]]:
    """Return new columns for session variables; their keys are the names of the variables."""
    columns: list[Column[Any]] = []
    for said in options.session_variables:
        column = _sqlalchemy.copied_column(said)
        column.name = f"{options.session_variable_prefix}{said.name}"
        columns.append(column)
    return columns


def build_version_context(table: Table, options: Options) -> list[Column[Any]]:
    """Return new columns for what versions of *table* are to keep of the context.

    They may be empty: nobody has said anything of what a row was before it was recorded.

    :raises ImproperlyConfigured: if the database would give them values.
    """
    columns = build_variable_columns(options)
    for column in columns:
        if _is_given_by_database(column):
            raise ImproperlyConfigured(
                f"Table {table.fullname!r}: the session variable {column.key!r} has a default of "
                "the database, which no version would get; give it a value or a function as its "
                "default"
            )
        column.nullable = True
    return columns


def _is_given_by_database(column: Column[Any]) -> bool:
    default: Any = column.default
    is_made_here = default is None or default.is_scalar or default.is_callable
    return not is_made_here or column.server_default is not None or column.computed is not None


def build_transaction_columns(options: Options) -> list[Column[Any]]:
    """Return new columns for what transactions are to keep of the context.

    :raises ImproperlyConfigured: if two of them have one name.
    """
    columns = [_sqlalchemy.copied_column(said) for said in options.transaction_columns]
    # Under this strategy each version has them itself.
    if options.strategy.merges:
        columns += build_variable_columns(options)
    keys = [column.key for column in columns]
    for key in keys:
        if keys.count(key) > 1:
            raise ImproperlyConfigured(
                f"make_versioned(): {key!r} is in transaction_columns and in session_variables; "
                "name it in one of them"
            )
    return columns


def check_columns(transaction_class: type[Any], columns: Iterable[Column[Any]]) -> None:
    """Refuse a Transaction class of the application's own that lacks columns which are asked for.

    :raises ImproperlyConfigured: if it does.
    """
    mapper: Mapper[Any] = inspect(transaction_class)
    for column in columns:
        if column.key not in mapper.column_attrs:
            raise ImproperlyConfigured(
                f"make_versioned() asks for a column {column.key!r} of transactions, and "
                f"{transaction_class.__name__} has none; declare it there, or ask before mappers "
                "are configured"
            )
