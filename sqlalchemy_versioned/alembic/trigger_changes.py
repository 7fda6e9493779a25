"""What autogenerate finds about triggers: which are missing, stale, disabled or left over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import DDLCompiler

from ..database.dialects import has_statement_triggers, without_doubled_percents
from ..model.naming import cut_name
from ..triggers.catalogue import StoredTrigger, stored_functions, stored_triggers
from ..triggers.ddl import recorder_body
from ..triggers.guards import GuardSpec, guard_body
from ..triggers.native_tables import guards, transaction_specs, trigger_specs
from ..triggers.schemas import default_schema
from ..triggers.spec import Event, TransactionSpec, TransactionStep, TriggerSpec
from ..triggers.text import Text, unstamped
from ..triggers.transaction_ddl import transaction_body
from .found import Found, metadata_of
from .function_operations import CreateFunctionOp, DropFunctionOp, ReplaceFunctionOp
from .trigger_operations import CreateTriggerOp, DropTriggerOp, ReplaceTriggerOp
from .triggers import ROWS, SCHEMA, STATEMENTS, Function, Names, Place, TableTriggers

__all__ = ["TriggerChanges", "compare_triggers"]

#: The functions that are told of a transaction beside the one that goes on.
_OF_ANOTHER = frozenset({TransactionStep.MOVE, TransactionStep.RELEASE})


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
    names = Names.of(autogen_context.dialect, default_schema(connection) or "public")
    present, wanted = _Present(connection, names), _Wanted(found, names)

    def places_of(kind: type[Any]) -> set[Place]:
        operations = [each for each in upgrade_ops.ops if isinstance(each, kind)]
        return {names.place(*found.place(each)) for each in operations}

    remade = {names.place(*each) for each in found.remade}
    moved = {names.place(*each) for each in found.moved}
    # Triggers are taken off before their function goes, and made after it has come.
    _compare_functions(changes, present, wanted)
    _compare_tables(changes, present, wanted, places_of(ops.ModifyTableOps), remade)
    _leave_nothing(changes, present, wanted, places_of(ops.DropTableOp) | moved)
    return changes


class _Present:
    """What the database has."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._names = names
        self.functions: dict[Place, Function] = {}
        self.tables: dict[Place, TableTriggers] = {}
        self.is_asleep: set[Place] = set()
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
        self.functions: dict[Place, Function] = {}
        self.tables: dict[Place, TableTriggers] = {}
        self.known = {
            names.place(table.schema, str(table.name))
            for table in found.tables
            if found.is_meant(table)
        }
        writing = _Writing(found.dialect, names)
        for metadata in metadata_of(found.context):
            for spec in transaction_specs(metadata):
                if found.is_meant(spec.table):
                    for function in writing.functions(spec):
                        self.functions[names.place(function.schema, function.name)] = function
            for table, triggers in writing.triggers(metadata):
                if found.is_meant(table):
                    self.tables[names.place(triggers.schema, triggers.table)] = triggers


class _Writing:
    """Writes functions and triggers of the models as migrations have them."""

    def __init__(self, dialect: Dialect, names: Names) -> None:
        # What is written into a migration is never given to a driver as it is.
        plain: Any = without_doubled_percents(dialect)
        self._compiler: DDLCompiler = plain.ddl_compiler(plain, None)
        self._text = Text(self._compiler, SCHEMA)
        self._names = names

    def functions(self, spec: TransactionSpec) -> Iterator[Function]:
        """Yield the functions that write one kind of transactions."""
        for step, name in spec.functions.items():
            body = self._anywhere(transaction_body(spec, step, self._text, self._compiler))
            arguments = "versioned_old bigint" if step in _OF_ANOTHER else ""
            yield Function(name, body, spec.table.schema, arguments, "bigint")

    def triggers(self, metadata: MetaData) -> Iterator[tuple[Table, TableTriggers]]:
        """Yield what records tables, and what guards them; with the table each time."""
        for recorder in trigger_specs(metadata):
            table, body = recorder.spec.parent_table, recorder_body(recorder, self._text)
            yield table, self._on(table, recorder, body)
        for guard in guards(metadata):
            looks_at = ROWS if guard.by_row else STATEMENTS
            yield guard.table, self._on(guard.table, guard, guard_body(guard), guards=looks_at)

    def _on(
        self, table: Table, said: TriggerSpec | GuardSpec, body: str, *, guards: str = ""
    ) -> TableTriggers:
        function = Function(said.function, self._anywhere(body), table.schema)
        triggers = {event.value: name for event, name in said.triggers.items()}
        return TableTriggers(str(table.name), function, triggers, table.schema, guards)

    def _anywhere(self, body: str) -> str:
        return self._names.anywhere(unstamped(body))


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
    changed: Collection[Place],
    remade: Collection[Place],
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
    changes: TriggerChanges, present: _Present, wanted: _Wanted, dropped: Collection[Place]
) -> None:
    """Remove triggers of tables that are not recorded by them any more, and what they called."""
    # Triggers of tables that the models do not know may be of another application in the database.
    known = {*wanted.known, *dropped}
    for place, triggers in present.tables.items():
        if place not in wanted.tables and place in known:
            changes.first.append(DropTriggerOp(triggers))
    # A table that is dropped takes its triggers with it, and leaves the functions that they called.
    steps = {
        (schema, cut_name(f"{table}_versioned_{step.value}"))
        for schema, table in known
        for step in TransactionStep
    }
    for place, function in present.functions.items():
        if place in steps and place not in wanted.functions:
            changes.first.append(DropFunctionOp(function))
