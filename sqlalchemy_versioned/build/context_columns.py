"""The columns that are filled from the context: further ones of transactions, session variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..options import Options

__all__ = ["build_transaction_columns", "build_variable_columns", "check_columns"]


def build_variable_columns(options: Options) -> list[Column[Any]]:
    """Return new columns for session variables; their keys are the names of the variables."""
    columns = []
    for said in options.session_variables:
        column = _sqlalchemy.copied_column(said)
        column.name = f"{options.session_variable_prefix}{said.name}"
        columns.append(column)
    return columns


def build_transaction_columns(options: Options) -> list[Column[Any]]:
    """Return new columns for what transactions are to keep of the context.

    :raises ImproperlyConfigured: if two of them have one name.
    """
    columns = [_sqlalchemy.copied_column(said) for said in options.transaction_columns]
    # Under this strategy each version has them itself.
    if options.strategy.value != "append":
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
                f"{transaction_class.__name__} has none; declare it there"
            )
