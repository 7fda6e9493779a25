"""Columns that PostgreSQL computes when they are read, of which triggers see no values."""

from __future__ import annotations

from sqlalchemy import Connection, text

from ..exc import ImproperlyConfigured
from .schemas import is_mock, schema_on
from .spec import TriggerSpec

__all__ = ["check_columns"]

_VIRTUAL = text(
    "SELECT a.attname FROM pg_catalog.pg_attribute AS a"
    " JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relname = :table AND n.nspname = :schema AND a.attgenerated = 'v'"
)


def check_columns(connection: Connection, spec: TriggerSpec, default_schema: str | None) -> None:
    """Refuse a table of which versions keep such columns.

    The table knows which are computed; whether they are stored is up to the database.

    :param default_schema: where tables are that name no schema.
    :raises ImproperlyConfigured: if it is one.
    """
    table = spec.spec.parent_table
    kept = {pair.parent.name for pair in spec.spec.pairs if pair.parent.computed is not None}
    if not kept or is_mock(connection):
        return
    schema = schema_on(connection, table.schema, default_schema)
    found = connection.scalars(_VIRTUAL, {"schema": schema, "table": table.name})
    if refused := sorted(kept.intersection(found)):
        raise ImproperlyConfigured(
            f"{table.fullname} is to be recorded by triggers, to which PostgreSQL gives no values "
            f"of columns that are computed when they are read, as {', '.join(refused)}; say "
            "persisted=True there, or exclude them from versions, or leave out native=True"
        )
