"""Versions with those before and after them, and the ends that follow from that."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Update, func, select, update

from ..model.spec import VersionSpec
from .ranges import EVERYTHING, Range, is_within

__all__ = ["Neighbours", "build_end_repair", "rows_with_neighbours"]


class Neighbours(NamedTuple):
    """The rows of a version table with what was before and after each.

    A version is identified by its transaction, or by its id where it has one.
    """

    clause: FromClause
    key: list[ColumnElement[Any]]
    identifier: ColumnElement[Any]
    operation: ColumnElement[int]
    previous: ColumnElement[Any]
    previous_operation: ColumnElement[int]
    next: ColumnElement[Any]


def rows_with_neighbours(table: VersionSpec, *criteria: ColumnElement[bool]) -> Neighbours:
    """Select the rows of a version table with those before and after each.

    :param criteria: what the keys of the rows must match.
    """
    window: Any = {
        "partition_by": [pair.version for pair in table.key],
        "order_by": table.place,
    }
    identifier, operation = table.identifier, table.operation_column
    # All of them under names of ours, so that none can be that of a column of the key.
    keys = {f"key_{place}": pair.version for place, pair in enumerate(table.key)}
    others = {
        "identifier": identifier,
        "operation": operation,
        "previous": func.lag(identifier).over(**window),
        "previous_operation": func.lag(operation, type_=operation.type).over(**window),
        "next": func.lead(identifier).over(**window),
    }
    # The underscore keeps them from being words of SQL.
    rows: Any = select(*[each.label(f"{name}_") for name, each in (keys | others).items()])
    rows = rows.where(*criteria).subquery(f"{table.prefix}rows")
    columns: list[Any] = list(rows.c)
    return Neighbours(rows, columns[: len(keys)], *columns[len(keys) :])


def build_end_repair(table: VersionSpec, within: Range = EVERYTHING) -> Update:
    """End each version where the next one begins; the table must have an end column."""
    assert table.end_column is not None
    key = [pair.version for pair in table.key]
    rows = rows_with_neighbours(table, is_within(key, within))
    return (
        update(table.version_table)
        .where(
            *[key == p.version for key, p in zip(rows.key, table.key, strict=True)],
            rows.identifier == table.transaction_column,
            table.end_column.is_distinct_from(rows.next),
        )
        .values({table.end_column: rows.next})
    )
