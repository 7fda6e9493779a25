"""What autogenerate finds about triggers: which are missing, stale, disabled or left over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Connection
from sqlalchemy.sql.compiler import DDLCompiler

from ..database.dialects import has_statement_triggers, without_doubled_percents
from ..model.naming import cut_name
from ..triggers.catalogue import StoredTrigger, stored_functions, stored_triggers
from ..triggers.ddl import recorder_body, transaction_body
from ..triggers.guards import GuardSpec, guard_body
from ..triggers.native_tables import guards, transaction_specs, trigger_specs
from ..triggers.schemas import default_schema
from ..triggers.spec import Event, TransactionStep
from ..triggers.text import Text, unstamped
from .found import Found, metadata_of
from .trigger_operations import (
    CreateFunctionOp,
    CreateTriggerOp,
    DropFunctionOp,
    DropTriggerOp,
    ReplaceFunctionOp,
    ReplaceTriggerOp,
)
from .triggers import ROWS, SCHEMA, STATEMENTS, Function, Names, TableTriggers

__all__ = ["TriggerChanges", "compare_triggers"]

_Place = tuple[str, str]


class TriggerChanges:
    """What is to be done to triggers, before and after all else."""

    def __init__(self) -> None:
        self.first: list[MigrateOperation] = []
        self.last: list[MigrateOperation] = []


def compare_triggers(
    autogen_context: AutogenContext, found: Found, upgrade_ops: ops.UpgradeOps
) -> TriggerChanges:
    """Compare the triggers of a database with those that the models ask for.

    Triggers of tables that are changed are taken off before, and made again when all is done.
    """
    changes, connection = TriggerChanges(), autogen_context.connection
    if connection is None or not has_statement_triggers(autogen_context.dialect):
        return changes
    schema = default_schema(connection) or "public"
    names = Names.of(autogen_context.dialect, schema)
    present, wanted = _Present(connection, names), _Wanted(found, names)
    changed = {found.place(op) for op in upgrade_ops.ops if isinstance(op, ops.ModifyTableOps)}
    dropped = {found.place(op) for op in upgrade_ops.ops if isinstance(op, ops.DropTableOp)}
    places = {(where or schema, name) for where, name in {*dropped, *found.moved}}
    # Triggers are taken off before their function goes, and made after it has come.
    _compare_functions(changes, present, wanted)
    changed_places = {(where or schema, name) for where, name in changed}
    remade = {(where or schema, name) for where, name in found.remade}
    _compare_tables(changes, present, wanted, changed_places, remade)
    _leave_nothing(changes, present, wanted, places)
    return changes


class _Present:
    """What the database has."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._names = names
        self.functions: dict[_Place, Function] = {}
        self.tables: dict[_Place, TableTriggers] = {}
        self.is_asleep: set[_Place] = set()
        for schema, name, body, arguments, returns in stored_functions(connection):
            kept = Function(name, self._text(body), self._schema(schema), arguments, returns)
            self.functions[schema, name] = kept
        for each in stored_triggers(connection):
            if each.is_for_rows and not each.comes_before:
                # The sentry of a partitioned table comes and goes with the others.
                continue
            place = (each.schema, each.table)
            called = self.functions[each.function_schema, each.function]
            new = TableTriggers(each.table, called, {}, self._schema(each.schema))
            known = self.tables.get(place, new)
            triggers = {**known.triggers, **dict.fromkeys(each.events, each.name)}
            self.tables[place] = replace(
                known, triggers=triggers, guards=known.guards or _guards(each)
            )
            if not each.is_enabled:
                self.is_asleep.add(place)

    def _schema(self, schema: str) -> str | None:
        return None if schema == self._names.default else schema

    def _text(self, body: str) -> str:
        """Return a body as migrations write it, which makes the same again."""
        shown = self._names.anywhere(unstamped(body))
        return shown if self._names.body(shown) == body else body


def _guards(trigger: StoredTrigger) -> str:
    """Return what a trigger guards, if it does; one that records comes after, but for TRUNCATE."""
    if not trigger.comes_before or Event.TRUNCATE.value in trigger.events:
        return ""
    return ROWS if trigger.is_for_rows else STATEMENTS


class _Wanted:
    """What the models ask for."""

    def __init__(self, found: Found, names: Names) -> None:
        dialect: Any = without_doubled_percents(found.dialect)
        compiler: DDLCompiler = dialect.ddl_compiler(dialect, None)
        writer = Text(compiler, SCHEMA)
        self.functions: dict[_Place, Function] = {}
        self.tables: dict[_Place, TableTriggers] = {}
        for metadata in metadata_of(found.context):
            for spec in transaction_specs(metadata):
                if not found.is_meant(spec.table):
                    continue
                schema = spec.table.schema
                for step, name in spec.functions.items():
                    body = names.anywhere(unstamped(transaction_body(spec, step, writer, compiler)))
                    takes = step in (TransactionStep.MOVE, TransactionStep.RELEASE)
                    arguments = "versioned_old bigint" if takes else ""
                    made = Function(name, body, schema, arguments, "bigint")
                    self.functions[schema or names.default, name] = made
            for trigger in trigger_specs(metadata):
                table = trigger.spec.parent_table
                body = names.anywhere(unstamped(recorder_body(trigger, writer)))
                triggers = {event.value: name for event, name in trigger.triggers.items()}
                function = Function(trigger.function, body, table.schema)
                place = (table.schema or names.default, str(table.name))
                if found.is_meant(table):
                    made_on = TableTriggers(str(table.name), function, triggers, table.schema)
                    self.tables[place] = made_on
            for guard in guards(metadata):
                if found.is_meant(guard.table):
                    self._add_guard(guard, names)
        self.known = {
            (table.schema or names.default, str(table.name))
            for metadata in metadata_of(found.context)
            for table in metadata.tables.values()
            if found.is_meant(table)
        }

    def _add_guard(self, guard: GuardSpec, names: Names) -> None:
        table, schema = str(guard.table.name), guard.table.schema
        function = Function(guard.function, unstamped(guard_body(guard)), schema)
        triggers = {event.value: name for event, name in guard.triggers.items()}
        looks_at = ROWS if guard.by_row else STATEMENTS
        made = TableTriggers(table, function, triggers, schema, looks_at)
        self.tables[schema or names.default, table] = made


def _compare_functions(changes: TriggerChanges, present: _Present, wanted: _Wanted) -> None:
    for place, function in wanted.functions.items():
        before = present.functions.get(place)
        if before is None:
            changes.last.append(CreateFunctionOp(function))
        elif before.body != function.body:
            changes.last.append(ReplaceFunctionOp(function, before))


def _compare_tables(
    changes: TriggerChanges,
    present: _Present,
    wanted: _Wanted,
    changed: Collection[_Place],
    remade: Collection[_Place],
) -> None:
    for place, triggers in wanted.tables.items():
        before = present.tables.get(place)
        if before is None:
            changes.last.append(CreateTriggerOp(triggers))
        elif place in remade or place in present.is_asleep or not _are_same(before, triggers):
            if place in changed or place in remade:
                changes.first.append(DropTriggerOp(before))
                changes.last.append(CreateTriggerOp(triggers))
            else:
                changes.last.append(ReplaceTriggerOp(triggers, before))


def _are_same(one: TableTriggers, other: TableTriggers) -> bool:
    return (
        one.triggers == other.triggers
        and one.function.name == other.function.name
        and one.function.body == other.function.body
        and one.guards == other.guards
    )


def _leave_nothing(
    changes: TriggerChanges, present: _Present, wanted: _Wanted, dropped: Collection[_Place]
) -> None:
    """Remove triggers of tables that are not recorded by them any more, and what they called."""
    # Triggers of tables that the models do not know may be of another application in the database.
    known = {*wanted.known, *dropped}
    for place, triggers in present.tables.items():
        if place not in wanted.tables and place in known:
            changes.first.append(DropTriggerOp(triggers))
    steps = {
        (schema, cut_name(f"{table}_versioned_{step.value}"))
        for schema, table in known
        for step in TransactionStep
    }
    for place, function in present.functions.items():
        if place in steps and place not in wanted.functions:
            changes.first.append(DropFunctionOp(function))
