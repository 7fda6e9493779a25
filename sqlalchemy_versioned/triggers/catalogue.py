"""What the catalogue of a database says of functions and triggers that are ours."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from .spec import Event
from .text import STAMP

__all__ = [
    "DescribedTrigger",
    "StoredFunction",
    "StoredTrigger",
    "TablesBelow",
    "described_triggers",
    "stored_functions",
    "stored_triggers",
]

_FUNCTIONS = text(
    "SELECT n.nspname, p.proname, p.prosrc, pg_catalog.pg_get_function_arguments(p.oid),"
    " pg_catalog.format_type(p.prorettype, NULL) FROM pg_catalog.pg_proc AS p"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace"
    " WHERE strpos(p.prosrc, :stamp) > 0"
)

_FOUND = (
    " FROM pg_catalog.pg_trigger AS t"
    " JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
    " JOIN pg_catalog.pg_namespace AS tn ON tn.oid = c.relnamespace"
    " JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace"
    # Triggers for rows are copied to partitions.
    " WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND strpos(p.prosrc, :stamp) > 0"
)

# Drivers do not agree on what a "char" such as tgenabled is in Python: asyncpg has bytes.
_COLUMNS = (
    "tn.nspname, c.relname, t.tgname, t.tgtype, t.tgenabled IN ('O', 'A'), n.nspname, p.proname"
)

_TRIGGERS = text(f"SELECT {_COLUMNS}{_FOUND} ORDER BY t.tgname")

_DESCRIBED = text(
    "SELECT pg_catalog.pg_get_triggerdef(t.oid), pg_catalog.pg_get_functiondef(p.oid),"
    f" {_COLUMNS}{_FOUND} AND tn.nspname = :schema AND c.relname = :table ORDER BY t.tgname"
)

#: What the bits of ``pg_trigger.tgtype`` mean.
_FOR_ROWS, _BEFORE = 1, 2
_EVENTS = {4: Event.INSERT, 16: Event.UPDATE, 8: Event.DELETE, 32: Event.TRUNCATE}

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
    #: Whether what applications do fires it.
    is_enabled: bool
    function_schema: str
    function: str

    @property
    def events(self) -> tuple[str, ...]:
        """What it is fired by."""
        return tuple(event.value for bit, event in _EVENTS.items() if self.kind & bit)

    @property
    def is_for_rows(self) -> bool:
        """Whether it is fired for each row, and not once for a statement."""
        return bool(self.kind & _FOR_ROWS)

    @property
    def comes_before(self) -> bool:
        """Whether it is fired before what it is fired by."""
        return bool(self.kind & _BEFORE)


class DescribedTrigger(NamedTuple):
    """A trigger, and the statements that would make it and its function."""

    trigger: StoredTrigger
    definition: str
    function_definition: str


def stored_functions(connection: Connection) -> list[StoredFunction]:
    """Return the functions that are ours."""
    return [StoredFunction(*row) for row in connection.execute(_FUNCTIONS, {"stamp": STAMP})]


def stored_triggers(connection: Connection) -> list[StoredTrigger]:
    """Return the triggers that call one of them, by name."""
    return [StoredTrigger(*row) for row in connection.execute(_TRIGGERS, {"stamp": STAMP})]


def described_triggers(connection: Connection, schema: str, table: str) -> list[DescribedTrigger]:
    """Return those of one table, by name, with what would make them."""
    named = {"stamp": STAMP, "schema": schema, "table": table}
    rows = connection.execute(_DESCRIBED, named)
    return [DescribedTrigger(StoredTrigger(*row[2:]), *row[:2]) for row in rows]


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
