"""The triggers that a table has in a database, as they are there, whatever the models say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from .._typing import is_table
from ..exc import InvalidArgument, InvalidArgumentType
from .binds import connection_of
from .catalogue import DescribedTrigger, described_triggers
from .schemas import schema_on

__all__ = ["InstalledTrigger", "inspect_triggers"]


@dataclass(frozen=True, slots=True)
class InstalledTrigger:
    """A trigger of this library that a database has.

    >>> InstalledTrigger.__match_args__[:3]
    ('schema', 'table', 'name')
    """

    schema: str
    table: str
    name: str
    #: What fires it: ``'INSERT'``, ``'UPDATE'``, ``'DELETE'``, ``'TRUNCATE'``.
    events: tuple[str, ...]
    #: ``'BEFORE'`` or ``'AFTER'`` that.
    timing: str
    #: Whether it is fired for each row, and not once for a statement.
    is_for_rows: bool
    #: Whether what applications do fires it.
    is_enabled: bool
    function_schema: str
    #: The name of the function that it calls.
    function: str
    #: The statement that makes such a trigger.
    definition: str
    #: The statement that makes such a function.
    function_definition: str


def inspect_triggers(bind: Any, table: Table | str) -> list[InstalledTrigger]:
    """Return the triggers of this library that a table has in a database.

    Those of a versioned table record it, those of a version table guard it.  Whether they are as
    the models want them, :func:`check_triggers` tells.

    :param bind: an engine, a connection or a session.
    :param table: a table, versioned or not, or its name, after that of its schema and a dot if that
        is not the current one.
    :returns: the triggers by name; nothing if there are none.
    :raises InvalidArgument: if the database has no such table.
    :raises InvalidArgumentType: if *table* is neither a table nor a name.
    :raises ImproperlyConfigured: if the database is not PostgreSQL.

    >>> inspect_triggers(engine, "article")
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ImproperlyConfigured: sqlite has no triggers for this; native...
    """
    schema, name = _place(table)
    with connection_of(bind) as connection:
        schema = schema_on(connection, schema)
        if not connection.dialect.has_table(connection, name, schema):
            raise InvalidArgument(
                f"there is no table {name!r} in the schema {schema!r} of this database; give the "
                "name of one that is there, with its schema if need be"
            )
        return [_installed(each) for each in described_triggers(connection, schema, name)]


def _place(table: Any) -> tuple[str | None, str]:
    if is_table(table):
        return table.schema, table.name
    if not isinstance(table, str):
        raise InvalidArgumentType(
            f"table is {table!r}; give a Table, such as Article.__table__, or the name of one"
        )
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _installed(described: DescribedTrigger) -> InstalledTrigger:
    trigger = described.trigger
    return InstalledTrigger(
        schema=trigger.schema,
        table=trigger.table,
        name=trigger.name,
        events=trigger.events,
        timing="BEFORE" if trigger.comes_before else "AFTER",
        is_for_rows=trigger.is_for_rows,
        is_enabled=trigger.is_enabled,
        function_schema=trigger.function_schema,
        function=trigger.function,
        definition=described.definition,
        function_definition=described.function_definition,
    )
