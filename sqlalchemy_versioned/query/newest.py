"""How the version of a moment is told from the others of its row: by transaction, or by its end.

What is asked of a moment is answered by the newest version before it.  The primary key of a version
table ends in the transaction, so that is one step back in it, however long the history.  An end
says the same without a look at other versions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    func,
    literal_column,
    or_,
    select,
)

from ..spec import VersionSpec

__all__ = ["has_not_ended", "newest_transaction", "row_key", "through_key"]


def newest_transaction(
    spec: VersionSpec,
    values: Sequence[Any],
    condition: Callable[[ColumnElement[int]], ColumnElement[bool]] | None = None,
    *,
    key: Sequence[Column[Any]] | None = None,
    locks: bool = False,
    sorts: bool = False,
) -> ScalarSelect[int]:
    """Return the greatest transaction that has a version of a row, as a subquery.

    It reads an alias of the version table; all else that it names is of the statement around it.

    :param values: the key of the row.
    :param condition: narrows the transactions, given their column.
    :param key: the columns of the version table that hold *values*, if not those of the spec.
    :param locks: read what is committed, not what a snapshot shows.
    :param sorts: ask for the first of the sorted transactions, which PostgreSQL plans faster than
        their maximum.
    """
    rows = spec.version_table.alias()
    transaction = rows.c[spec.transaction_column.key]
    columns = [pair.version for pair in spec.key] if key is None else key
    same = [rows.c[column.key] == value for column, value in zip(columns, values, strict=True)]
    wanted = select(transaction if sorts else func.max(transaction))
    greatest = through_key(spec, rows, wanted).where(*same)
    if sorts:
        greatest = greatest.order_by(transaction.desc()).limit(literal_column("1"))
    if condition is not None:
        greatest = greatest.where(condition(transaction))
    if locks:
        greatest = greatest.with_for_update(read=True)
    return greatest.correlate_except(rows).scalar_subquery()


def through_key(spec: VersionSpec, rows: FromClause, statement: Select[Any]) -> Select[Any]:
    """Have *statement* find versions by the primary key of their table.

    In a small table InnoDB prefers the index on transactions, and then locks the end of it, where
    everyone writes.

    :param rows: the alias of the version table that it reads.
    """
    if spec.key_is_primary:
        for dialect in ("mysql", "mariadb"):
            statement = statement.with_hint(rows, "FORCE INDEX (PRIMARY)", dialect)
    return statement


def has_not_ended(end: ColumnElement[Any], at: Any) -> ColumnElement[bool]:
    """Match versions whose *end* is missing, or later than transaction *at*."""
    return or_(end.is_(None), end > at)


def row_key(spec: VersionSpec) -> list[Column[Any]]:
    """Return the columns of a version table that tell the rows of its parent table apart.

    For links in a table with a surrogate key that is more than their two ends: a row that is moved
    to other ends, as the row of an association object can be, stays one row.
    """
    primary = [c for c in spec.version_table.primary_key if c is not spec.transaction_column]
    return primary or [pair.version for pair in spec.key]
