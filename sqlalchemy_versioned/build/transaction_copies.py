"""Transaction tables: where they belong, and one for each further ``MetaData`` than the first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData, Sequence, Table
from sqlalchemy.sql.schema import BLANK_SCHEMA

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured
from ..model.naming import name_indexes
from .transaction_base import TransactionBase

__all__ = ["check_place", "copy_transaction_table", "extend_transaction_table"]


def copy_transaction_table(table: Table, metadata: MetaData) -> Table:
    """Return the transaction table of another ``MetaData``, without foreign keys.

    Models on several bases may live in several databases; each gets the transactions of the
    versions it holds.  In one database, whichever is created first must do for both.

    :raises ImproperlyConfigured: if there is another table of that name.
    """
    check_place(table.key, metadata)
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


def check_place(key: str, metadata: MetaData) -> None:
    """Make sure that no table is where that of transactions belongs.

    :param key: what the ``MetaData`` calls it.
    :raises ImproperlyConfigured: if there is one.
    """
    taken = metadata.tables.get(key)
    if taken is not None:
        raise ImproperlyConfigured(
            f"There is a table {key!r} already, and versioning makes one of its own; "
            f"{_remedy_for(taken)}"
        )


def _remedy_for(taken: Table) -> str:
    """Tell what to do about a table that is where that of transactions belongs."""
    classes = [each.class_ for each in _sqlalchemy.all_mappers() if each.local_table is taken]
    if any(issubclass(cls, TransactionBase) for cls in classes):
        return (
            "another manager has made it for the same base; let one manager version a base, by "
            "make_versioned(mapper=Base, manager=…), or give each a MetaData"
        )
    return (
        "if it was read from a database, let reflect() or automap leave it out, and version tables "
        "too, by only=…; if it is another, set versioning_manager.transaction_cls = "
        "TransactionFactory(table_name=…) before mappers are configured"
    )


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
