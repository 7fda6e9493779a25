"""Giving a table another name or another schema, in the words of each database."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from ..exc import InvalidArgument

__all__ = ["write_table_move"]

_Place = tuple[str | None, str]


def write_table_move(
    dialect: Dialect, old: _Place, new: _Place, *, default_schema: str | None = None
) -> list[str]:
    """Return the statements that move a table, with its indexes and triggers.

    :param old: its schema, if it names one, and its name; *new* is the same.
    :param default_schema: where tables are that name none; asked for where that must be said.
    :raises InvalidArgument: if the database cannot move tables between schemas.

    >>> from sqlalchemy.dialects import mysql
    >>> write_table_move(mysql.dialect(), (None, "a"), ("more", "b"))
    ['RENAME TABLE a TO more.b']
    """
    preparer: Any = dialect.identifier_preparer
    if dialect.name in ("mysql", "mariadb"):
        return [f"RENAME TABLE {_named(preparer, old)} TO {_named(preparer, new)}"]
    statements: list[str] = []
    if old[0] != new[0]:
        if dialect.name != "postgresql":
            raise InvalidArgument(
                f"{dialect.name} cannot move {old[1]!r} from the schema {old[0]!r} to {new[0]!r}; "
                "copy its rows into a table that you create there"
            )
        schema = preparer.quote_schema(new[0] or default_schema or "public")
        statements.append(f"ALTER TABLE {_named(preparer, old)} SET SCHEMA {schema}")
    if old[1] != new[1]:
        here = _named(preparer, (new[0], old[1]))
        statements.append(f"ALTER TABLE {here} RENAME TO {preparer.quote(new[1])}")
    return statements


def _named(preparer: IdentifierPreparer, place: _Place) -> str:
    schema, name = place
    quoted = preparer.quote(name)
    return quoted if schema is None else f"{preparer.quote_schema(schema)}.{quoted}"
