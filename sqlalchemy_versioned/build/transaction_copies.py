"""Transaction tables beside that of the Transaction class: one for each further ``MetaData``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData, Sequence, Table
from sqlalchemy.sql.schema import BLANK_SCHEMA

from ..exc import ImproperlyConfigured
from ..model.naming import name_indexes

__all__ = ["copy_transaction_table", "extend_transaction_table"]


def copy_transaction_table(table: Table, metadata: MetaData) -> Table:
    """Return the transaction table of another ``MetaData``, without foreign keys.

    Models on several bases may live in several databases; each gets the transactions of the
    versions it holds.  In one database, whichever is created first must do for both.

    :raises ImproperlyConfigured: if there is another table of that name.
    """
    if table.key in metadata.tables:
        raise ImproperlyConfigured(
            f"There is a table {table.fullname!r} beside versioned tables, and versioning needs "
            "one of its own there; set versioning_manager.transaction_cls = "
            "TransactionFactory(table_name=…) before mappers are configured"
        )
    columns = [_copy_column(column, metadata) for column in table.columns]
    indexes = [
        Index(None, *[column.key for column in index.columns])
        for index in table.indexes
        if len(index.columns) > 1
    ]
    copied = Table(table.name, metadata, *columns, *indexes, schema=table.schema or BLANK_SCHEMA)
    name_indexes(copied)
    return copied


def extend_transaction_table(table: Table, home: Table) -> None:
    """Add to the transaction table of another ``MetaData`` what that of the class has got since."""
    for column in home.columns:
        if column.key not in table.c:
            table.append_column(_copy_column(column, table.metadata))
    name_indexes(table)


def _copy_column(column: Column[Any], metadata: MetaData) -> Column[Any]:
    sequence = column.default if isinstance(column.default, Sequence) else None
    copied = () if sequence is None else (_copy_sequence(sequence, metadata),)
    return Column(
        column.name,
        column.type,
        *copied,
        key=column.key,
        primary_key=column.primary_key,
        nullable=column.nullable,
        autoincrement=column.autoincrement,
        index=column.index,
    )


def _copy_sequence(sequence: Sequence, metadata: MetaData) -> Sequence:
    return Sequence(sequence.name, schema=sequence.schema or BLANK_SCHEMA, metadata=metadata)
