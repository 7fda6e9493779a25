"""What the catalogue of a database says of functions and triggers that are ours."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from .text import STAMP

__all__ = [
    "StoredFunction",
    "StoredTrigger",
    "TablesBelow",
    "stored_functions",
    "stored_triggers",
]

_FUNCTIONS = text(
    "SELECT n.nspname, p.proname, p.prosrc, pg_catalog.pg_get_function_arguments(p.oid),"
    " pg_catalog.format_type(p.prorettype, NULL) FROM pg_catalog.pg_proc AS p"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace"
    " WHERE strpos(p.prosrc, :stamp) > 0"
)

_TRIGGERS = text(
    "SELECT tn.nspname, c.relname, t.tgname, t.tgtype, t.tgenabled, n.nspname, p.proname"
    " FROM pg_catalog.pg_trigger AS t"
    " JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
    " JOIN pg_catalog.pg_namespace AS tn ON tn.oid = c.relnamespace"
    " JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace"
    # Triggers for rows are copied to partitions.
    " WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND strpos(p.prosrc, :stamp) > 0"
    " ORDER BY t.tgname"
)

_TABLES_BELOW = text(
    "SELECT an.nspname, a.relname, a.relkind = 'p', n.nspname, c.relname"
    " FROM pg_catalog.pg_class AS a"
    " JOIN pg_catalog.pg_namespace AS an ON an.oid = a.relnamespace"
    " LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhparent = a.oid"
    " LEFT JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid"
    " LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE a.relkind = 'p' OR a.relkind = 'r' AND c.oid IS NOT NULL"
    " ORDER BY n.nspname, c.relname"
)


class StoredFunction(NamedTuple):
    """A function that the database has."""

    schema: str
    name: str
    body: str
    arguments: str
    returns: str


class StoredTrigger(NamedTuple):
    """A trigger that the database has, and the function that it calls."""

    schema: str
    table: str
    name: str
    #: The bits of ``pg_trigger.tgtype``.
    kind: int
    #: ``pg_trigger.tgenabled``.
    enabled: str
    function_schema: str
    function: str


def stored_functions(connection: Connection) -> list[StoredFunction]:
    """Return the functions that are ours."""
    return [StoredFunction(*row) for row in connection.execute(_FUNCTIONS, {"stamp": STAMP})]


def stored_triggers(connection: Connection) -> list[StoredTrigger]:
    """Return the triggers that call one of them, by name."""
    return [StoredTrigger(*row) for row in connection.execute(_TRIGGERS, {"stamp": STAMP})]


class TablesBelow:
    """The partitions of tables, and what inherits from tables, in a database."""

    def __init__(self, connection: Connection) -> None:
        #: The tables that are partitioned, by schema and name.
        self.partitioned: set[tuple[str, str]] = set()
        self._below: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for schema, name, is_partitioned, *below in connection.execute(_TABLES_BELOW):
            if is_partitioned:
                self.partitioned.add((schema, name))
            if below[0] is not None:
                self._below.setdefault((schema, name), []).append((below[0], below[1]))

    def of(self, schema: str, name: str) -> list[tuple[str, str]]:
        """Return the tables below a table, and those below them."""
        found: dict[tuple[str, str], None] = {}
        waiting = list(self._below.get((schema, name), ()))
        while waiting:
            place = waiting.pop(0)
            found[place] = None
            waiting += self._below.get(place, ())
        return list(found)
