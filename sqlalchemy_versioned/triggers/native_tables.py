"""What a ``MetaData`` knows of its tables that triggers record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.orm import configure_mappers

from .. import _sqlalchemy
from .._typing import is_table
from ..exc import ClassNotVersioned, ImproperlyConfigured, InvalidArgumentType
from ..model.spec import Hierarchy, VersionSpec
from .guards import GuardSpec, build_guard
from .spec import (
    TransactionSpec,
    TransactionStep,
    TriggerSpec,
    Variable,
    build_transaction_spec,
    build_trigger_spec,
)

__all__ = [
    "NativeTable",
    "add_native",
    "check_metadata",
    "forget_natives",
    "guards",
    "native_tables",
    "transaction_specs",
    "trigger_spec_named",
    "trigger_spec_of",
    "trigger_specs",
]

#: The key of ``MetaData.info`` that has them.
_NATIVE = "sqlalchemy_versioned.native"

#: What is said of a name that is not among them.
_UNKNOWN = (
    "is recorded by triggers; call make_versioned(native=True) before the models are declared"
)


@dataclass(frozen=True, slots=True, eq=False)
class NativeTable:
    """A table that triggers record."""

    spec: VersionSpec
    hierarchy: Hierarchy
    truncates: bool = True
    #: What fills columns of its transactions.
    variables: tuple[Variable, ...] = ()
    #: Columns that refer to its transactions without a foreign key.
    referring: tuple[Column[Any], ...] = ()
    #: What fills columns of its versions.
    version_variables: tuple[Variable, ...] = ()
    #: Whether its history is guarded, and that of its transactions.
    is_append_only: bool = False
    #: Further tables whose rows belong to its transactions.
    beside: tuple[Table, ...] = ()


def add_native(native: NativeTable) -> None:
    """Let a table be known to its ``MetaData`` as one that triggers record."""
    table = native.spec.parent_table
    table.metadata.info.setdefault(_NATIVE, {})[table] = native


def forget_natives(metadata: MetaData) -> None:
    """Undo :func:`add_native` for all tables of a ``MetaData``."""
    metadata.info.pop(_NATIVE, None)


def native_tables(metadata: MetaData) -> dict[Table, NativeTable]:
    """Return the tables of a ``MetaData`` that triggers record."""
    found: dict[Table, NativeTable] = metadata.info.get(_NATIVE, {})
    return found


# -- what describes their triggers -----------------------------------------------------------------


def trigger_specs(metadata: MetaData) -> list[TriggerSpec]:
    """Return what describes the triggers of each table that has them."""
    return [_trigger_spec(native) for native in native_tables(metadata).values()]


def _trigger_spec(native: NativeTable) -> TriggerSpec:
    return build_trigger_spec(
        native.spec,
        native.hierarchy,
        _transaction_spec(native),
        truncates=native.truncates,
        variables=native.version_variables,
    )


def _transaction_spec(native: NativeTable) -> TransactionSpec:
    return build_transaction_spec(
        native.spec.transaction_table, native.variables, referring=native.referring
    )


def transaction_specs(metadata: MetaData) -> list[TransactionSpec]:
    """Return what describes the functions of each table of transactions."""
    natives = native_tables(metadata).values()
    # Of one manager all have the same variables, so any of them tells.
    tables = {each.spec.transaction_table: each for each in natives}
    return [_transaction_spec(each) for each in tables.values()]


def guards(metadata: MetaData) -> list[GuardSpec]:
    """Return what guards the tables of histories that are append-only."""
    found: dict[Table, GuardSpec] = {}
    numbering = {each.table: each.functions for each in transaction_specs(metadata)}
    for native in native_tables(metadata).values():
        if native.is_append_only:
            name = numbering[native.spec.transaction_table][TransactionStep.CURRENT]
            versions = native.spec.version_table
            found[versions] = build_guard(versions, name, by_row=False)
            for table in (native.spec.transaction_table, *native.beside):
                found[table] = build_guard(table, name, by_row=True)
    return list(found.values())


# -- looked up for somebody who names them ---------------------------------------------------------


def trigger_spec_of(table: Any) -> TriggerSpec:
    """Return how triggers record a table.

    :raises ClassNotVersioned: if they do not.
    :raises InvalidArgumentType: if it is no table.
    """
    if not is_table(table):
        raise InvalidArgumentType(f"{table!r} is no Table; give one, such as Article.__table__")
    configure_mappers()
    native = native_tables(table.metadata).get(table)
    if native is None:
        raise ClassNotVersioned(_unknown("table", table.fullname))
    return _trigger_spec(native)


def trigger_spec_named(metadata: MetaData | None, name: str, *, is_version: bool) -> TriggerSpec:
    """Return how triggers record the table of a name.

    :param metadata: where it is, if not wherever something is versioned.
    :param is_version: whether it is its version table that has the name.
    :raises ClassNotVersioned: if they record no such table.
    :raises InvalidArgumentType: if *metadata* is none.
    """
    for known in _known_metadata(metadata):
        for spec in trigger_specs(known):
            table = spec.spec.version_table if is_version else spec.spec.parent_table
            if name in (table.name, table.fullname):
                return spec
    raise ClassNotVersioned(_unknown("version table" if is_version else "table", name))


def _known_metadata(given: MetaData | None) -> list[MetaData]:
    """Return each ``MetaData`` that has tables which triggers record."""
    if given is not None:
        _check_kind(given)
        return [given]
    configure_mappers()
    return [metadata for metadata in _sqlalchemy.all_metadata() if native_tables(metadata)]


def check_metadata(metadata: MetaData) -> None:
    """Refuse a ``MetaData`` of which triggers record nothing.

    :raises ImproperlyConfigured: if they do not.
    :raises InvalidArgumentType: if it is none.
    """
    _check_kind(metadata)
    configure_mappers()
    if not native_tables(metadata):
        raise ImproperlyConfigured(f"no table of this MetaData {_UNKNOWN}")


def _check_kind(metadata: Any) -> None:
    if not isinstance(metadata, MetaData):
        raise InvalidArgumentType(f"{metadata!r} is no MetaData; give one, such as Base.metadata")


def _unknown(kind: str, name: str) -> str:
    return f"no {kind} {name!r} {_UNKNOWN}"
