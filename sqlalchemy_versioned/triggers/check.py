"""Whether a database has its triggers as they must be, by the hash that each function carries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Connection, MetaData
from sqlalchemy.schema import ExecutableDDLElement

from .. import _sqlalchemy
from ..database.dialects import without_doubled_percents
from .binds import connection_of
from .catalogue import TablesBelow, stored_functions, stored_triggers
from .ddl import CreateRecorder
from .guards import CreateGuard, GuardSpec
from .native_tables import check_metadata, guards, native_tables, transaction_specs, trigger_specs
from .partitions import sentry_name
from .schemas import default_schema, schema_on
from .spec import TransactionStep, TriggerSpec
from .text import digest_of
from .transaction_ddl import CreateTransactionFunction

__all__ = ["TriggerFault", "TriggerState", "check_triggers"]

_BODY = re.compile(r"AS (\$versioned_*\$)(?P<body>.*)\1\Z", re.DOTALL)


class TriggerState(str, Enum):
    """What is wrong with a trigger or its function.

    >>> TriggerState("stale") is TriggerState.STALE
    True
    """

    #: It is not there.
    MISSING = "missing"
    #: It is another than the models ask for, or was changed by hand.
    STALE = "stale"
    #: It is there, and does not fire.
    DISABLED = "disabled"
    #: It is there, and no model asks for it.
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class TriggerFault:
    """Something about triggers that is not as it must be.

    >>> trigger = ("trigger", "public", "article", "article_versioned_insert")
    >>> print(TriggerFault(TriggerState.MISSING, *trigger))
    missing trigger public.article_versioned_insert on public.article
    """

    state: TriggerState
    #: ``"function"`` or ``"trigger"``.
    kind: str
    schema: str
    #: The table that a trigger is on; ``None`` for functions.
    table: str | None
    name: str

    def __str__(self) -> str:
        on = "" if self.table is None else f" on {self.schema}.{self.table}"
        return f"{self.state.value} {self.kind} {self.schema}.{self.name}{on}"


def check_triggers(metadata: MetaData, bind: Any) -> list[TriggerFault]:
    """Compare the triggers that a database has with those that it must have.

    :param metadata: the ``MetaData`` of the tables.
    :param bind: an engine, a connection or a session.
    :returns: what is wrong, functions first; nothing if all is well.
    :raises ImproperlyConfigured: if no table of it is recorded by triggers, or the database is not
        PostgreSQL.

    >>> for fault in check_triggers(blog.metadata, session):
    ...     print(fault)
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ImproperlyConfigured: no table of this MetaData is recorded by...
    """
    check_metadata(metadata)
    with connection_of(bind) as connection:
        found = _Found(connection)
        wanted = _Wanted(metadata, connection)
        for other in _sqlalchemy.all_metadata():
            if other is not metadata and native_tables(other):
                found.leave_out(_Wanted(other, connection), but=wanted)
    return [*_compare_functions(wanted, found), *_compare_triggers(wanted, found)]


class _Found:
    """What a database has of ours."""

    def __init__(self, connection: Connection) -> None:
        self.functions = {
            (each.schema, each.name): each.body for each in stored_functions(connection)
        }
        self.triggers = {
            (each.schema, each.table, each.name): (
                each.is_enabled,
                (each.function_schema, each.function),
            )
            for each in stored_triggers(connection)
        }

    def leave_out(self, others: _Wanted, *, but: _Wanted) -> None:
        """Leave out what is there for another ``MetaData``."""
        for place in others.functions.keys() - but.functions.keys():
            self.functions.pop(place, None)
        for named in others.triggers.keys() - but.triggers.keys():
            self.triggers.pop(named, None)


class _Wanted:
    """What it must have."""

    def __init__(self, metadata: MetaData, connection: Connection) -> None:
        self._connection = connection
        self._default_schema = default_schema(connection)
        self._below = TablesBelow(connection)
        self._translated = connection.get_execution_options().get("schema_translate_map")
        self._dialect = without_doubled_percents(connection.dialect)
        self.functions: dict[tuple[str, str], str] = {}
        self.triggers: dict[tuple[str, str, str], tuple[str, str]] = {}
        #: What the functions of our transaction tables are called in those that call them.
        self.callers: list[str] = []
        for transaction in transaction_specs(metadata):
            schema = self._schema_of(transaction.table.schema)
            for step, name in transaction.functions.items():
                element = CreateTransactionFunction(
                    transaction, step, default_schema=self._default_schema
                )
                self.functions[schema, name] = self._body(element)
            # Another schema may have functions of the same names.
            called = (schema, transaction.functions[TransactionStep.CURRENT])
            quote = self._dialect.identifier_preparer.quote
            self.callers.append(f"{'.'.join(map(quote, called))}()")
        for spec in trigger_specs(metadata):
            self._add(spec)
        for guard in guards(metadata):
            self._add_guard(guard)

    def _add_guard(self, guard: GuardSpec) -> None:
        schema = self._schema_of(guard.table.schema)
        function = (schema, guard.function)
        element = CreateGuard(guard, default_schema=self._default_schema)
        self.functions[function] = self._body(element)
        for name in guard.triggers.values():
            self.triggers[schema, guard.table.name, name] = function

    def _add(self, spec: TriggerSpec) -> None:
        table = spec.spec.parent_table
        schema = self._schema_of(table.schema)
        function = (schema, spec.function)
        element = CreateRecorder(spec, default_schema=self._default_schema)
        self.functions[function] = self._body(element)
        for owner, table_name in [(schema, table.name), *self._below.of(schema, table.name)]:
            for name in spec.triggers.values():
                self.triggers[owner, table_name, name] = function
        if (schema, table.name) in self._below.partitioned:
            self.triggers[schema, table.name, sentry_name(spec.function)] = function

    def _schema_of(self, schema: str | None) -> str:
        return schema_on(self._connection, schema, self._default_schema)

    def _body(self, element: ExecutableDDLElement) -> str:
        statement = _sqlalchemy.compile_ddl(element, self._dialect, self._translated)
        found = _BODY.search(statement)
        assert found is not None
        return found["body"]


def _compare_functions(wanted: _Wanted, found: _Found) -> Iterator[TriggerFault]:
    for place, body in wanted.functions.items():
        if place not in found.functions:
            yield _function_fault(TriggerState.MISSING, place)
        elif _is_stale(found.functions[place], body):
            yield _function_fault(TriggerState.STALE, place)
    for place, body in found.functions.items():
        if place not in wanted.functions and _is_ours(body, wanted.callers):
            yield _function_fault(TriggerState.ORPHAN, place)


def _is_stale(body: str, wanted: str) -> bool:
    """Tell whether a function does not have the hash that is wanted, or not that of its body."""
    return digest_of(body) != digest_of(wanted) or digest_of(body, anew=True) != digest_of(body)


def _is_ours(body: str, callers: Iterable[str]) -> bool:
    """Tell whether a function writes to one of our transaction tables."""
    return any(caller in body for caller in callers)


def _function_fault(state: TriggerState, place: tuple[str, str]) -> TriggerFault:
    schema, name = place
    return TriggerFault(state, "function", schema, None, name)


def _compare_triggers(wanted: _Wanted, found: _Found) -> Iterator[TriggerFault]:
    for place, function in wanted.triggers.items():
        if place not in found.triggers:
            yield _trigger_fault(TriggerState.MISSING, place)
            continue
        is_enabled, called = found.triggers[place]
        if called != function:
            yield _trigger_fault(TriggerState.STALE, place)
        elif not is_enabled:
            yield _trigger_fault(TriggerState.DISABLED, place)
    for place, (_, called) in found.triggers.items():
        body = found.functions.get(called, "")
        is_ours = called in wanted.functions or _is_ours(body, wanted.callers)
        if place not in wanted.triggers and is_ours:
            yield _trigger_fault(TriggerState.ORPHAN, place)


def _trigger_fault(state: TriggerState, place: tuple[str, str, str]) -> TriggerFault:
    schema, table, name = place
    return TriggerFault(state, "trigger", schema, table, name)
