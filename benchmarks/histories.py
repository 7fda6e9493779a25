"""Histories of any size, written straight into the tables by the database.

The rows are what a library would have written for as many flushes of a hundred
objects each. Everything is one ``INSERT … SELECT`` per table, so a million
versions take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    String,
    Table,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    select,
)

from benchmarks.databases import unobserved
from benchmarks.libraries import Models

#: Objects that change together in one transaction.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """How many objects there are, and how many versions each of them has."""

    objects: int
    versions: int

    @property
    def batches(self) -> int:
        """Transactions it takes to change every object once."""
        return -(-self.objects // BATCH)

    @property
    def transactions(self) -> int:
        """Transactions in the whole history."""
        return self.batches * self.versions


def wide(versions: int) -> Shape:
    """Ten versions of each object, and objects to make up *versions*."""
    return Shape(objects=versions // 10, versions=10)


def deep(versions: int) -> Shape:
    """A thousand objects whose histories make up *versions*."""
    return Shape(objects=1_000, versions=versions // 1_000)


def write_history(engine: Engine, models: Models, shape: Shape) -> None:
    """Fill the live table and, where there are any, the tables of history."""
    with unobserved(engine) as connection:
        _write_articles(connection, models, shape)
        if models.version_table is not None:
            _write_transactions(connection, models.transaction_table, shape)
            _write_versions(connection, models.version_table, shape)
        advance_sequences(connection, shape)
    analyze(engine)


def analyze(engine: Engine) -> None:
    """Let the planner know what is in the tables."""
    if _is_sqlite(engine):
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        return
    # A vacuum too, which would otherwise come while we measure.
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _is_sqlite(engine: Engine | Connection) -> bool:
    return engine.dialect.name == "sqlite"


def _write_articles(connection: Connection, models: Models, shape: Shape) -> None:
    objects = series("objects", 1, shape.objects)
    values = _values(objects.c.n, literal(shape.versions))
    write_rows(connection, models.Article.__table__, values, select().select_from(objects))


def _write_transactions(connection: Connection, table: Table | None, shape: Shape) -> None:
    assert table is not None
    numbers = series("numbers", 1, shape.transactions)
    issued_at = datetime.now(timezone.utc)
    values = {
        "id": numbers.c.n,
        "issued_at": literal(issued_at, table.c.issued_at.type),
    }
    write_rows(connection, table, values, select().select_from(numbers))


def _write_versions(connection: Connection, table: Table, shape: Shape) -> None:
    """Write the versions in the order in which time would have written them."""
    objects = series("objects", 1, shape.objects)
    numbers = series("numbers", 1, shape.versions)
    number = numbers.c.n
    transaction = (number - 1) * shape.batches + (objects.c.n - 1) // BATCH + 1
    values = _values(objects.c.n, number) | {
        "transaction_id": transaction,
        "end_transaction_id": case(
            (number < shape.versions, transaction + shape.batches), else_=null()
        ),
        "operation_type": case((number == 1, 0), else_=1),
    }
    source = select().select_from(numbers.join(objects, literal(True)))
    write_rows(connection, table, values, source.order_by(transaction, objects.c.n))


def _values(key: ColumnElement[int], number: ColumnElement[int]) -> dict[str, Any]:
    """Give what version *number* of object *key* holds."""
    name = "article " + cast(key, String) + ", version " + cast(number, String)
    return {"id": key, "name": name, "content": name, "views": number}


def write_rows(
    connection: Connection, table: Table, values: dict[str, Any], source: Select[Any]
) -> None:
    statement = source.add_columns(*(value.label(f"value_{key}") for key, value in values.items()))
    connection.execute(insert(table).from_select(list(values), statement))


def series(name: str, first: int, last: int) -> CTE:
    """Count from *first* to *last*, on any database."""
    series = select(literal(first, Integer).label("n")).cte(name, recursive=True)
    return series.union_all(select(series.c.n + 1).where(series.c.n < last))


def advance_sequences(connection: Connection, shape: Shape) -> None:
    """Have every sequence go on above the keys that were written past it."""
    if _is_sqlite(connection):
        return
    highest = max(shape.objects, shape.transactions)
    names = connection.exec_driver_sql(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename) FROM pg_sequences"
    )
    for name in names.scalars().all():
        connection.execute(select(func.setval(name, highest)))
