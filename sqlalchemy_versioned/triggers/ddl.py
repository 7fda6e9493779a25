"""What makes and removes the triggers of a table, as DDL elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from .appender import Appender
from .elements import Element, write_function
from .one_row import OneRowRecorder
from .part_appender import PartAppender
from .partitions import sentry_name, write_spreading
from .recorder import Recorder
from .spec import Event, TriggerSpec
from .text import Text, fill

__all__ = [
    "CreateRecorder",
    "CreateTrigger",
    "DropByName",
    "DropRecorder",
    "DropTrigger",
    "ProtectRecorder",
    "SpreadTriggers",
    "build_creation",
    "build_removal",
    "recorder_body",
    "write_trigger",
    "write_triggers_of_partitions",
]

CREATE_TRIGGER = """
CREATE TRIGGER {trigger} {moment} {event} ON {table}
{transition_tables}
FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""

_TRANSITION_TABLES = {
    Event.INSERT: "REFERENCING NEW TABLE AS versioned_new",
    Event.UPDATE: "REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new",
    Event.DELETE: "REFERENCING OLD TABLE AS versioned_old",
    # The rows are there before it only.
    Event.TRUNCATE: "",
}


class CreateRecorder(Element):
    """Make the function that the triggers of a table call, or replace it."""

    spec: TriggerSpec


class ProtectRecorder(Element):
    """Let nobody else have triggers that call the function, which writes what it is told."""

    spec: TriggerSpec


class DropRecorder(Element):
    """Remove the function."""

    spec: TriggerSpec


class CreateTrigger(Element):
    """Call the function after each statement of a kind; *part* is the :class:`.Event`."""

    spec: TriggerSpec


class DropTrigger(Element):
    """Remove the trigger of one :class:`.Event`."""

    spec: TriggerSpec


class SpreadTriggers(Element):
    """Give the triggers of a table to its partitions as well."""

    spec: TriggerSpec


def write_trigger(name: str, event: Event, table: str, function: str) -> str:
    """Return the statement that has a function called after, or before, statements of a kind.

    :param name: the name of the trigger; as all names quoted where it must be.
    """
    return fill(
        CREATE_TRIGGER,
        trigger=name,
        moment="BEFORE" if event is Event.TRUNCATE else "AFTER",
        event=event.value,
        table=table,
        transition_tables=_TRANSITION_TABLES[event],
        function=function,
    )


def write_triggers_of_partitions(
    table: str, function: str, sentry: str, triggers: Mapping[Event, str]
) -> str:
    """Return the statement that gives the triggers of a table to its partitions as well.

    :param triggers: the names of the triggers.
    """
    place = "versioned_place"
    made = [write_trigger(name, event, place, function) for event, name in triggers.items()]
    return write_spreading(table, function, sentry, made, place=place)


def recorder_body(spec: TriggerSpec, text: Text) -> str:
    """Return the body of the function of a table, as the database keeps it."""
    kind: type[Recorder] = OneRowRecorder
    if not spec.spec.strategy.merges:
        kind = PartAppender if spec.related else Appender
    return text.stamped(kind(spec, text).body())


def _recorder_name(spec: TriggerSpec, text: Text) -> str:
    return text.beside(spec.spec.parent_table, spec.function)


@compiles(CreateRecorder, "postgresql")
def _create_recorder(element: CreateRecorder, compiler: DDLCompiler, **kw: Any) -> str:
    text = element.text(compiler)
    name = _recorder_name(element.spec, text)
    return write_function(name, recorder_body(element.spec, text))


@compiles(ProtectRecorder, "postgresql")
def _protect_recorder(element: ProtectRecorder, compiler: DDLCompiler, **kw: Any) -> str:
    name = _recorder_name(element.spec, element.text(compiler))
    return f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC"


@compiles(DropRecorder, "postgresql")
def _drop_recorder(element: DropRecorder, compiler: DDLCompiler, **kw: Any) -> str:
    # With the triggers of partitions, and of what was one.
    name = _recorder_name(element.spec, element.text(compiler))
    return f"DROP FUNCTION IF EXISTS {name}() CASCADE"


@compiles(CreateTrigger, "postgresql")
def _create_trigger(element: CreateTrigger, compiler: DDLCompiler, **kw: Any) -> str:
    spec, event, text = element.spec, element.part, element.text(compiler)
    trigger, table = text.name(spec.triggers[event]), text.table(spec.spec.parent_table)
    return write_trigger(trigger, event, table, _recorder_name(spec, text))


@compiles(SpreadTriggers, "postgresql")
def _spread_triggers(element: SpreadTriggers, compiler: DDLCompiler, **kw: Any) -> str:
    spec, text = element.spec, element.text(compiler)
    return write_triggers_of_partitions(
        text.table(spec.spec.parent_table),
        _recorder_name(spec, text),
        text.name(sentry_name(spec.function)),
        {event: text.name(name) for event, name in spec.triggers.items()},
    )


@compiles(DropTrigger, "postgresql")
def _drop_trigger(element: DropTrigger, compiler: DDLCompiler, **kw: Any) -> str:
    spec, text = element.spec, element.text(compiler)
    table = text.table(spec.spec.parent_table)
    return f"DROP TRIGGER IF EXISTS {text.name(spec.triggers[element.part])} ON {table}"


class DropByName(ExecutableDDLElement):
    """Drop a trigger, or without a table a function, that no model asks for any more."""

    def __init__(self, schema: str, name: str, table: str | None) -> None:
        self.schema, self.name, self.table = schema, name, table


@compiles(DropByName, "postgresql")
def _drop_by_name(element: DropByName, compiler: DDLCompiler, **kw: Any) -> str:
    quote = compiler.preparer.quote_identifier
    schema, name = quote(element.schema), quote(element.name)
    if element.table is None:
        return f"DROP FUNCTION {schema}.{name}"
    return f"DROP TRIGGER {name} ON {schema}.{quote(element.table)}"


def build_creation(
    spec: TriggerSpec, *, default_schema: str | None = None
) -> list[ExecutableDDLElement]:
    """Return the statements that give a table its triggers, or renew them."""
    schema = {"default_schema": default_schema}
    made: list[ExecutableDDLElement] = [
        CreateRecorder(spec, **schema),
        ProtectRecorder(spec, **schema),
    ]
    for event in Event:
        made += [DropTrigger(spec, event, **schema), CreateTrigger(spec, event, **schema)]
    return [*made, SpreadTriggers(spec, **schema)]


def build_removal(
    spec: TriggerSpec, *, default_schema: str | None = None
) -> list[ExecutableDDLElement]:
    """Return the statements that take the triggers off a table."""
    schema = {"default_schema": default_schema}
    dropping: list[ExecutableDDLElement] = [DropTrigger(spec, event, **schema) for event in Event]
    return [*dropping, DropRecorder(spec, **schema)]
