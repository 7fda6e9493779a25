"""Triggers that come and go with their tables, by ``create_all()`` and ``drop_all()``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, MetaData, Table, event

from .. import _sqlalchemy
from ..database.dialects import has_statement_triggers
from ..model.spec import VersionSpec
from .installation import Installation, execute
from .native_tables import (
    NativeTable,
    add_native,
    forget_natives,
    guards,
    transaction_specs,
    trigger_specs,
)
from .schemas import default_schema, is_mock
from .spec import TransactionSpec, build_transaction_spec

__all__ = ["TriggerInstaller"]


class TriggerInstaller:
    """Makes and removes the triggers of one manager's tables together with these."""

    def __init__(self) -> None:
        self._listeners: list[tuple[Any, str, Any]] = []
        self._metadata: set[MetaData] = set()

    def follow(self, tables: Iterable[NativeTable], *, creates: bool) -> None:
        """Know further tables, and install triggers with them.

        :param creates: whether triggers come and go with tables, or somebody else makes them.
        """
        for native in tables:
            add_native(native)
            metadata = native.spec.parent_table.metadata
            self._metadata.add(metadata)
            # Tables can be made one by one as well, by ``Table.create()``.
            followed = (metadata, *_tables_of(native.spec), *native.beside) if creates else ()
            for target in followed:
                self._listen(target, "after_create", self._after_create)
                self._listen(target, "before_drop", self._before_drop)

    def stop(self) -> None:
        """Let go of all tables; triggers that are in a database stay there."""
        for target, name, listener in self._listeners:
            event.remove(target, name, listener)
        for metadata in self._metadata:
            forget_natives(metadata)
        self._listeners.clear()
        self._metadata.clear()

    def _listen(self, target: Any, name: str, listener: Any) -> None:
        # Transactions are shared by all tables, and would have it once for each.
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)
            self._listeners.append((target, name, listener))

    def _after_create(self, target: Any, connection: Connection, **kw: Any) -> None:
        if tables := _tables_in_question(target, connection, kw):
            _coming_with(tables, _metadata_of(target), connection).create(connection)

    def _before_drop(self, target: Any, connection: Connection, **kw: Any) -> None:
        if not (tables := _tables_in_question(target, connection, kw)):
            return
        metadata, schema = _metadata_of(target), default_schema(connection)
        execute(connection, _going_with(tables, metadata).removal(schema))
        left = list(_transactions_left(tables, metadata, connection))
        execute(connection, Installation(transactions=left).creation(schema))


def _tables_of(spec: VersionSpec) -> tuple[Table, ...]:
    return (spec.parent_table, spec.version_table, spec.transaction_table)


def _metadata_of(target: Any) -> MetaData:
    metadata: MetaData = target if isinstance(target, MetaData) else target.metadata
    return metadata


def _tables_in_question(target: Any, connection: Connection, kw: Mapping[str, Any]) -> set[Table]:
    """Return the tables that are being made or dropped, as far as they can have triggers."""
    if not has_statement_triggers(connection.dialect):
        return set()
    if isinstance(target, MetaData):
        return set(kw.get("tables") or ())
    # ``create_all()`` tells of each table, too, before the others that its triggers need are there.
    return set() if kw.get("_is_metadata_operation") else {target}


def _coming_with(tables: set[Table], metadata: MetaData, connection: Connection) -> Installation:
    """Return what is made along with tables."""
    return Installation(
        transactions=[
            spec
            for spec in transaction_specs(metadata)
            if tables.intersection((spec.table, *_version_tables(spec)))
        ],
        tables=[
            spec
            for spec in trigger_specs(metadata)
            if spec.spec.parent_table in tables
            # A table that is versioned later has been there before its versions.
            or (spec.spec.version_table in tables and _exists(connection, spec.spec.parent_table))
        ],
        guards=[guard for guard in guards(metadata) if guard.table in tables],
    )


def _going_with(tables: set[Table], metadata: MetaData) -> Installation:
    """Return what is removed along with tables."""
    return Installation(
        transactions=[spec for spec in transaction_specs(metadata) if spec.table in tables],
        tables=[
            spec
            for spec in trigger_specs(metadata)
            if tables.intersection((spec.spec.parent_table, spec.spec.version_table))
        ],
        guards=[guard for guard in guards(metadata) if guard.table in tables],
    )


def _transactions_left(
    tables: set[Table], metadata: MetaData, connection: Connection
) -> Iterator[TransactionSpec]:
    """Yield what must be made anew because tables of versions go without their transactions.

    The functions name all version tables, and would fail for one that is gone.
    """
    for spec in transaction_specs(metadata):
        if spec.table in tables or tables.isdisjoint(_version_tables(spec)):
            continue
        if _exists(connection, spec.table):
            yield build_transaction_spec(
                spec.table, spec.variables, referring=spec.referring, without=tables
            )


def _version_tables(spec: TransactionSpec) -> set[Table]:
    return {each.version_table for each in spec.versions}


def _exists(connection: Connection, table: Table) -> bool:
    if is_mock(connection):
        return False
    schema = _sqlalchemy.translated_schema(connection.get_execution_options(), table.schema)
    return connection.dialect.has_table(connection, table.name, schema)
