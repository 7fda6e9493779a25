"""What the triggers of a table are called, and what they record.

A :class:`TriggerSpec` is made from a :class:`.VersionSpec` when its DDL is wanted, because specs
grow while classes are declared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

from sqlalchemy import Column, DateTime, Table
from sqlalchemy.exc import NoReferenceError

from ..database.dialects import native_type
from ..model.lookup import TABLES, table_specs
from ..model.naming import FUNCTION, TRIGGER, conventional_name, cut_name
from ..model.spec import Hierarchy, VersionSpec

__all__ = [
    "EMPTIED",
    "Event",
    "TransactionSpec",
    "TransactionStep",
    "TriggerSpec",
    "Variable",
    "build_transaction_spec",
    "build_trigger_names",
    "build_trigger_spec",
    "moment_column",
    "step_name",
    "tells_moment",
]


#: The key of ``Column.info`` of version columns that deletions leave empty.
EMPTIED = "sqlalchemy_versioned.emptied"


class Event(str, Enum):
    """What a trigger is fired by."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRUNCATE = "TRUNCATE"


class TransactionStep(str, Enum):
    """What is done to the row of a transaction, each by a function of its own."""

    #: Return the number of the transaction that goes on, or NULL.
    CURRENT = "current"
    #: Write a row, and return its number.
    BEGIN = "begin"
    #: Give the transaction a later number, and return it.
    MOVE = "move"
    #: Remove the row if it has come to nothing.
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Variable:
    """A column of transactions that a setting of the database transaction fills."""

    #: The key of the column.
    key: str
    #: The name of the setting.
    setting: str
    #: Whether a write without it is refused.
    is_required: bool


@dataclass(frozen=True, slots=True, eq=False)
class TransactionSpec:
    """The functions of one transaction table."""

    table: Table
    #: The tables of versions that refer to it.
    versions: tuple[VersionSpec, ...]
    #: The columns of other tables that refer to it by foreign keys.
    referring: tuple[Column[Any], ...]
    #: The columns that settings fill where no application says otherwise.
    variables: tuple[Variable, ...]
    #: The name of the function for each step.
    functions: Mapping[TransactionStep, str]
    #: Whether several ``MetaData`` have a table of this name, which may be one in the database.
    is_shared: bool = False

    @property
    def number(self) -> Column[Any]:
        """The column that numbers transactions."""
        number: Column[Any] = next(iter(self.table.primary_key.columns))
        return number

    @property
    def moment(self) -> Column[Any] | None:
        """The column that tells when a transaction was written."""
        return moment_column(self.table)


@dataclass(frozen=True, slots=True, eq=False)
class TriggerSpec:
    """The function and the triggers of one versioned table."""

    spec: VersionSpec
    #: The other tables that objects have rows in, under joined inheritance.
    related: tuple[VersionSpec, ...]
    transaction: TransactionSpec
    #: The name of the function; it is in the schema of the table, as the triggers are.
    function: str
    #: The name of the trigger for each event.
    triggers: Mapping[Event, str]
    #: Whether TRUNCATE is recorded, and not refused.
    truncates: bool = True
    #: The columns of versions that settings fill where no application says otherwise.
    variables: tuple[Variable, ...] = ()

    @property
    def tables(self) -> tuple[VersionSpec, ...]:
        """The table itself and the related ones."""
        return (self.spec, *self.related)


def build_trigger_spec(
    spec: VersionSpec,
    hierarchy: Hierarchy,
    transaction: TransactionSpec,
    *,
    truncates: bool = True,
    variables: Iterable[Variable] = (),
) -> TriggerSpec:
    """Name the function and the triggers of one versioned table.

    The keys ``version.function`` and ``version.trigger`` of ``MetaData.naming_convention`` name
    them; a trigger has its event appended.
    """
    table = spec.parent_table
    return TriggerSpec(
        spec=spec,
        related=hierarchy.related(spec),
        transaction=transaction,
        function=conventional_name(table, FUNCTION, default=f"{table.name}_versioned"),
        triggers=build_trigger_names(table),
        truncates=truncates,
        variables=tuple(variables),
    )


def build_trigger_names(table: Table) -> dict[Event, str]:
    """Return what the triggers of a table are called."""
    name = conventional_name(table, TRIGGER, default=f"{table.name}_versioned")
    return {event: cut_name(f"{name}_{event.value.lower()}") for event in Event}


def build_transaction_spec(
    table: Table,
    variables: Iterable[Variable] = (),
    *,
    referring: Iterable[Column[Any]] = (),
    without: Collection[Table] = (),
) -> TransactionSpec:
    """Name the functions of a transaction table, and find what refers to it.

    :param variables: the columns that settings fill.
    :param referring: columns that refer to it without a foreign key.
    :param without: tables that are about to go.
    """
    namesakes = [table, *_namesakes(table)]
    versions = {
        spec.version_table.fullname: spec
        for each in reversed(namesakes)
        for spec in _specs_on(each)
        if spec.version_table not in without
    }
    references = (*chain.from_iterable(map(_referring, namesakes)), *referring)
    columns = {str(c): c for c in references if c.table not in without}
    is_shared = len(namesakes) > 1
    # The functions are one in the database: whichever MetaData they are made for, in one order.
    if is_shared:
        versions, columns = dict(sorted(versions.items())), dict(sorted(columns.items()))
    return TransactionSpec(
        table=table,
        versions=tuple(versions.values()),
        variables=tuple(v for v in variables if v.key in table.c),
        referring=tuple(columns.values()),
        functions={step: step_name(table, step) for step in TransactionStep},
        is_shared=is_shared,
    )


def _specs_on(table: Table) -> list[VersionSpec]:
    """Return the specs of versions that refer to a transaction table."""
    specs: Iterable[VersionSpec] = table.metadata.info.get(TABLES, {}).values()
    return [spec for spec in specs if spec.transaction_table is table]


def _namesakes(table: Table) -> list[Table]:
    """Return the transaction tables of other ``MetaData`` that are called like one."""
    others = {spec.transaction_table for spec in table_specs()} - {table}
    return [each for each in others if each.fullname == table.fullname]


def moment_column(table: Table) -> Column[Any] | None:
    """Return the column in which triggers say when a transaction was written, if it has one."""
    column = next((c for c in table.columns if c.name == "issued_at"), None)
    return None if column is None or not tells_moment(column) else column


def tells_moment(column: Column[Any]) -> bool:
    """Tell whether a column says when something was written, and not by which user."""
    return isinstance(native_type(column), DateTime)


def step_name(table: Table, step: TransactionStep) -> str:
    """Return what the function of a transaction table for one step is called."""
    return cut_name(f"{table.name}_versioned_{step.value}")


def _referring(table: Table) -> Iterable[Column[Any]]:
    numbers = set(table.primary_key.columns)
    for other in table.metadata.tables.values():
        for key in other.foreign_keys:
            if key.parent.table is not table and _target(key) in numbers:
                yield key.parent


def _target(key: Any) -> Any:
    # A key may lead to a table that is declared later, or never.
    try:
        return key.column
    except NoReferenceError:
        return None
