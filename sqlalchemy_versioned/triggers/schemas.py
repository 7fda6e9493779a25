"""Where a table is in a database: in its schema after translation, or in the default one."""

from __future__ import annotations

from sqlalchemy import Connection, text

from .. import _sqlalchemy

__all__ = ["default_schema", "schema_on"]


def default_schema(connection: Connection) -> str | None:
    """Return where tables are made that name no schema."""
    # The dialect knows what it was when the first connection was made.
    schema: str | None = connection.scalar(text("SELECT current_schema()"))
    return schema


def schema_on(connection: Connection, schema: str | None, default: str | None = None) -> str:
    """Return what a schema of the metadata is called in the database.

    :param default: where tables are that name none; asked for if it must be known.
    """
    translated = _sqlalchemy.translated_schema(connection.get_execution_options(), schema)
    return translated or default or default_schema(connection) or "public"
