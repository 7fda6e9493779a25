"""Where a table is in a database: in its schema after translation, or in the default one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from .. import _sqlalchemy

__all__ = ["default_schema", "is_mock", "schema_on"]


def default_schema(connection: Connection) -> str | None:
    """Return where tables are made that name no schema; ``None`` where nothing is executed."""
    if is_mock(connection):
        return None
    # The dialect knows what it was when the first connection was made.
    schema: str | None = connection.scalar(text("SELECT current_schema()"))
    return schema


def is_mock(connection: Any) -> bool:
    """Tell whether statements are only written down, so that nothing can be asked."""
    return not isinstance(connection, Connection)


def schema_on(connection: Connection, schema: str | None, default: str | None = None) -> str:
    """Return what a schema of the metadata is called in the database.

    :param default: where tables are that name none; asked for if it must be known.
    """
    translated = _sqlalchemy.translated_schema(connection.get_execution_options(), schema)
    return translated or default or default_schema(connection) or "public"
