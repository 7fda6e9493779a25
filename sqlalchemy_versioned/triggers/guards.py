"""What refuses other changes of history than those of its writers: the option ``append_only``.

Triggers on version tables and on the tables of transactions fail every UPDATE, DELETE and TRUNCATE,
but for what the functions that record do, and what :mod:`.upkeep` has announced.  Both are believed
of those only who act as the owner of the table.  Rows of a transaction that it has written itself,
which are no history yet, it may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from ..model.naming import cut_name
from .elements import Element, write_function
from .settings import UPKEEP
from .spec import Event
from .text import Text, fill, stamped

__all__ = [
    "REFUSED",
    "CreateGuard",
    "GuardSpec",
    "build_guard",
    "build_guard_creation",
    "build_guard_removal",
    "guard_body",
    "write_guard_trigger",
]

#: The SQLSTATE of what is refused; the standard leaves such to implementations.
REFUSED = "VH001"

GUARD = """
DECLARE
    versioned_xid bigint;
BEGIN
    -- Of what {current}() numbers.
    IF (pg_trigger_depth() > 1 OR NULLIF(current_setting('{upkeep}', true), '') IS NOT NULL)
        AND pg_has_role(
            current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'MEMBER'
        )
    THEN
        {let_through}
    END IF;
    {unless_own}
    RAISE EXCEPTION USING
        ERRCODE = '{refused}',
        MESSAGE = TG_OP || ' is refused: ' || TG_TABLE_NAME || ' is append-only history',
        HINT = 'What looks after history is in sqlalchemy_versioned.maintenance.';
END
"""

LET_THROUGH = "RETURN NULL;"

LET_ROWS_THROUGH = """
IF TG_OP = 'UPDATE' THEN
    RETURN NEW;
END IF;
RETURN OLD;
"""

#: A row that is seen, and whose writer goes on, was written by this very transaction.
UNLESS_OWN = """
IF TG_LEVEL = 'ROW' THEN
    versioned_xid := OLD.xmin::text::bigint
        | ((pg_current_xact_id()::text::bigint >> 32) << 32);
    IF pg_xact_status(versioned_xid::text::xid8) = 'in progress' THEN
        {let_through}
    END IF;
END IF;
"""

GUARD_TRIGGER = """
CREATE TRIGGER {trigger} BEFORE {event} ON {table}
FOR EACH {each} EXECUTE FUNCTION {function}()
"""

_EVENTS = (Event.UPDATE, Event.DELETE, Event.TRUNCATE)


@dataclass(frozen=True, slots=True, eq=False)
class GuardSpec:
    """The function and the triggers that guard one table of history."""

    table: Table
    #: The name of the function that tells the transaction that goes on.
    current: str
    #: Whether rows are looked at one by one: a transaction may change those it has written.
    by_row: bool
    function: str
    #: The name of the trigger for each event.
    triggers: Mapping[Event, str]


def build_guard(table: Table, current: str, *, by_row: bool) -> GuardSpec:
    """Name what guards a table."""
    name = f"{table.name}_versioned_guard"
    return GuardSpec(
        table=table,
        current=current,
        by_row=by_row,
        function=cut_name(name),
        triggers={event: cut_name(f"{name}_{event.value.lower()}") for event in _EVENTS},
    )


class CreateGuard(Element):
    """Make the function, or replace it."""

    spec: GuardSpec


class DropGuard(Element):
    """Remove the function."""

    spec: GuardSpec


class CreateGuardTrigger(Element):
    """Call it before what is refused; *part* is the :class:`.Event`."""

    spec: GuardSpec


class DropGuardTrigger(Element):
    """Remove the trigger of one :class:`.Event`."""

    spec: GuardSpec


def guard_body(spec: GuardSpec) -> str:
    """Return the body of the function, as the database keeps it."""
    let_through = fill(LET_ROWS_THROUGH) if spec.by_row else LET_THROUGH
    unless_own = fill(UNLESS_OWN, let_through=let_through) if spec.by_row else ""
    slots = {"current": spec.current, "upkeep": UPKEEP, "refused": REFUSED}
    return stamped(fill(GUARD, let_through=let_through, unless_own=unless_own, **slots))


def write_guard_trigger(name: str, event: Event, table: str, function: str, *, by_row: bool) -> str:
    """Return the statement that has a function called before what is refused.

    :param name: the name of the trigger; as all names quoted where it must be.
    """
    return fill(
        GUARD_TRIGGER,
        trigger=name,
        event=event.value,
        table=table,
        each="ROW" if by_row and event is not Event.TRUNCATE else "STATEMENT",
        function=function,
    )


def _function(element: Element, text: Text) -> str:
    return text.beside(element.spec.table, element.spec.function)


@compiles(CreateGuard, "postgresql")
def _create_guard(element: CreateGuard, compiler: DDLCompiler, **kw: Any) -> str:
    name = _function(element, element.text(compiler))
    return write_function(name, guard_body(element.spec), acts_for_owner=False)


@compiles(DropGuard, "postgresql")
def _drop_guard(element: DropGuard, compiler: DDLCompiler, **kw: Any) -> str:
    return f"DROP FUNCTION IF EXISTS {_function(element, element.text(compiler))}()"


@compiles(CreateGuardTrigger, "postgresql")
def _create_trigger(element: CreateGuardTrigger, compiler: DDLCompiler, **kw: Any) -> str:
    spec, event, text = element.spec, element.part, element.text(compiler)
    name, table = text.name(spec.triggers[event]), text.table(spec.table)
    return write_guard_trigger(name, event, table, _function(element, text), by_row=spec.by_row)


@compiles(DropGuardTrigger, "postgresql")
def _drop_trigger(element: DropGuardTrigger, compiler: DDLCompiler, **kw: Any) -> str:
    spec, text = element.spec, element.text(compiler)
    name = text.name(spec.triggers[element.part])
    return f"DROP TRIGGER IF EXISTS {name} ON {text.table(spec.table)}"


def build_guard_creation(
    spec: GuardSpec, *, default_schema: str | None = None
) -> list[ExecutableDDLElement]:
    """Return the statements that guard a table, or renew what guards it."""
    schema = {"default_schema": default_schema}
    made: list[ExecutableDDLElement] = [CreateGuard(spec, **schema)]
    for event in spec.triggers:
        made += [DropGuardTrigger(spec, event, **schema), CreateGuardTrigger(spec, event, **schema)]
    return made


def build_guard_removal(
    spec: GuardSpec, *, default_schema: str | None = None
) -> list[ExecutableDDLElement]:
    """Return the statements that guard a table no more."""
    schema = {"default_schema": default_schema}
    dropping: list[ExecutableDDLElement] = [
        DropGuardTrigger(spec, event, **schema) for event in spec.triggers
    ]
    return [*dropping, DropGuard(spec, **schema)]
