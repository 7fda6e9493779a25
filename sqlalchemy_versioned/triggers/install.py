"""Triggers in a database: made and removed with their tables, by hand, and checked.

A :class:`TriggerInstaller` has ``create_all()`` and ``drop_all()`` do it for the tables of one
manager.  What it knows of a ``MetaData`` is kept there, for the functions that are given one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Column, Connection, MetaData, Table, event, text
from sqlalchemy.orm import configure_mappers
from sqlalchemy.schema import ExecutableDDLElement

from .. import _sqlalchemy
from .._typing import is_table
from ..database.dialects import has_statement_triggers, without_doubled_percents
from ..exc import ClassNotVersioned, ImproperlyConfigured, InvalidArgumentType
from ..model.spec import Hierarchy, VersionSpec
from .binds import connection_of
from .ddl import (
    build_creation,
    build_removal,
    build_transaction_creation,
    build_transaction_removal,
)
from .guards import GuardSpec, build_guard, build_guard_creation, build_guard_removal
from .schemas import default_schema, is_mock
from .spec import (
    TransactionSpec,
    TransactionStep,
    TriggerSpec,
    Variable,
    build_transaction_spec,
    build_trigger_spec,
)
from .virtual import check_columns

__all__ = [
    "NativeTable",
    "TriggerInstaller",
    "create_trigger",
    "drop_trigger",
    "install_triggers",
    "sync_trigger",
    "trigger_ddl",
    "uninstall_triggers",
]

#: The key of ``MetaData.info`` that has the tables which triggers record.
NATIVE = "sqlalchemy_versioned.native"


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


def native_tables(metadata: MetaData) -> dict[Table, NativeTable]:
    """Return the tables of a ``MetaData`` that triggers record."""
    found: dict[Table, NativeTable] = metadata.info.get(NATIVE, {})
    return found


def trigger_spec_of(table: Table) -> TriggerSpec | None:
    """Return how triggers record a table, or ``None`` if they do not."""
    native = native_tables(table.metadata).get(table)
    if native is None:
        return None
    return build_trigger_spec(
        native.spec,
        native.hierarchy,
        build_transaction_spec(
            native.spec.transaction_table, native.variables, referring=native.referring
        ),
        truncates=native.truncates,
        variables=native.version_variables,
    )


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
            spec = native.spec
            metadata = spec.parent_table.metadata
            metadata.info.setdefault(NATIVE, {})[spec.parent_table] = native
            self._metadata.add(metadata)
            # Tables can be made one by one as well, by ``Table.create()``.
            followed = (metadata, *_tables_of(spec), *native.beside) if creates else ()
            for target in followed:
                self._listen(target, "after_create", self._after_create)
                self._listen(target, "before_drop", self._before_drop)

    def stop(self) -> None:
        """Let go of all tables; triggers that are in a database stay there."""
        for target, name, listener in self._listeners:
            event.remove(target, name, listener)
        for metadata in self._metadata:
            metadata.info.pop(NATIVE, None)
        self._listeners.clear()
        self._metadata.clear()

    def _listen(self, target: Any, name: str, listener: Any) -> None:
        # Transactions are shared by all tables, and would have it once for each.
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)
            self._listeners.append((target, name, listener))

    def _after_create(self, target: Any, connection: Connection, **kw: Any) -> None:
        tables = _tables_in_question(target, kw)
        if not tables or not has_statement_triggers(connection.dialect):
            return
        metadata = target if isinstance(target, MetaData) else target.metadata
        specs = [
            spec
            for spec in trigger_specs(metadata)
            if spec.spec.parent_table in tables
            # A table that is versioned later has been there before its versions.
            or (spec.spec.version_table in tables and _exists(connection, spec.spec.parent_table))
        ]
        transactions = [
            spec
            for spec in transaction_specs(metadata)
            if tables.intersection((spec.table, *(each.version_table for each in spec.versions)))
        ]
        guarded = [guard for guard in guards(metadata) if guard.table in tables]
        _create(connection, transactions, specs, guarded)

    def _before_drop(self, target: Any, connection: Connection, **kw: Any) -> None:
        tables = _tables_in_question(target, kw)
        if not tables or not has_statement_triggers(connection.dialect):
            return
        metadata = target if isinstance(target, MetaData) else target.metadata
        schema = default_schema(connection)
        for spec in trigger_specs(metadata):
            if tables.intersection((spec.spec.parent_table, spec.spec.version_table)):
                _execute(connection, build_removal(spec, default_schema=schema))
        for guard in guards(metadata):
            if guard.table in tables:
                _execute(connection, build_guard_removal(guard, default_schema=schema))
        for transaction in transaction_specs(metadata):
            versions = {each.version_table for each in transaction.versions}
            if transaction.table in tables:
                removal = build_transaction_removal(transaction, default_schema=schema)
                _execute(connection, removal)
            # The functions name all version tables, and would fail for one that is gone.
            elif tables & versions and _exists(connection, transaction.table):
                left = build_transaction_spec(
                    transaction.table,
                    transaction.variables,
                    referring=transaction.referring,
                    without=tables,
                )
                _execute(connection, build_transaction_creation(left, default_schema=schema))


def _tables_of(spec: VersionSpec) -> tuple[Table, ...]:
    return (spec.parent_table, spec.version_table, spec.transaction_table)


def _tables_in_question(target: Any, kw: Mapping[str, Any]) -> set[Table]:
    """Return the tables that are being made or dropped, or nothing if we hear of all later."""
    if isinstance(target, MetaData):
        return set(kw.get("tables") or ())
    # ``create_all()`` tells of each table, too, before the others that its triggers need are there.
    return set() if kw.get("_is_metadata_operation") else {target}


def trigger_specs(metadata: MetaData) -> list[TriggerSpec]:
    """Return what describes the triggers of each table that has them."""
    found = [trigger_spec_of(table) for table in native_tables(metadata)]
    return [spec for spec in found if spec is not None]


def transaction_specs(metadata: MetaData) -> list[TransactionSpec]:
    """Return what describes the functions of each table of transactions."""
    natives = native_tables(metadata).values()
    # Of one manager all have the same variables, so any of them tells.
    tables = {each.spec.transaction_table: each for each in natives}
    return [
        build_transaction_spec(table, each.variables, referring=each.referring)
        for table, each in tables.items()
    ]


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


def _exists(connection: Connection, table: Table) -> bool:
    if is_mock(connection):
        return False
    schema = _sqlalchemy.translated_schema(connection.get_execution_options(), table.schema)
    return connection.dialect.has_table(connection, table.name, schema)


def _creation(
    transactions: Iterable[TransactionSpec],
    specs: Iterable[TriggerSpec],
    guarded: Iterable[GuardSpec],
    schema: str | None,
) -> Iterator[ExecutableDDLElement]:
    for transaction in transactions:
        yield from build_transaction_creation(transaction, default_schema=schema)
    for spec in specs:
        yield from build_creation(spec, default_schema=schema)
    for guard in guarded:
        yield from build_guard_creation(guard, default_schema=schema)


def _create(
    connection: Connection,
    transactions: Iterable[TransactionSpec],
    specs: Collection[TriggerSpec],
    guarded: Iterable[GuardSpec],
) -> None:
    if not is_mock(connection):
        # Two who replace a function at once are not made to wait: one of them fails.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('sqlalchemy_versioned'))"))
    schema = default_schema(connection)
    for spec in specs:
        check_columns(connection, spec, schema)
    _execute(connection, _creation(transactions, specs, guarded, schema))


def _removal(metadata: MetaData, schema: str | None) -> Iterator[ExecutableDDLElement]:
    for spec in trigger_specs(metadata):
        yield from build_removal(spec, default_schema=schema)
    for guard in guards(metadata):
        yield from build_guard_removal(guard, default_schema=schema)
    for transaction in transaction_specs(metadata):
        yield from build_transaction_removal(transaction, default_schema=schema)


def _execute(connection: Connection, elements: Iterable[ExecutableDDLElement]) -> None:
    for element in elements:
        connection.execute(element)


# -- by hand ---------------------------------------------------------------------------------------


def install_triggers(metadata: MetaData, bind: Any = None) -> str | None:
    """Give all tables their triggers that are to be recorded natively; renew those that are there.

    ``create_all()`` does it by itself; this is for tables that are there already.

    :param metadata: the ``MetaData`` of the tables.
    :param bind: an engine, a connection or a session, whose transaction is left open.
    :returns: without a bind, the statements, each ended by a semicolon.
    :raises ImproperlyConfigured: if no table of it is recorded natively, the database is not
        PostgreSQL, or a version would keep a column that is computed when it is read.
    :raises InvalidArgumentType: if *metadata* is none.

    >>> install_triggers(blog.metadata, engine)
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ImproperlyConfigured: no table of this MetaData is recorded by
    triggers; call make_versioned(native=True) before the models are declared
    """
    check_metadata(metadata)
    transactions, specs = transaction_specs(metadata), trigger_specs(metadata)
    if bind is None:
        return _as_text(_creation(transactions, specs, guards(metadata), None))
    with connection_of(bind) as connection:
        _create(connection, transactions, specs, guards(metadata))
    return None


def uninstall_triggers(metadata: MetaData, bind: Any = None) -> str | None:
    """Take the triggers off all tables, and remove their functions; nothing is recorded any more.

    :param metadata: the ``MetaData`` of the tables.
    :param bind: an engine, a connection or a session, whose transaction is left open.
    :returns: without a bind, the statements, each ended by a semicolon.
    :raises ImproperlyConfigured: if no table of it is recorded natively, or the database is not
        PostgreSQL.
    :raises InvalidArgumentType: if *metadata* is none.

    >>> uninstall_triggers(blog.metadata)
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ImproperlyConfigured: no table of this MetaData is recorded by...
    """
    check_metadata(metadata)
    if bind is None:
        return _as_text(_removal(metadata, None))
    with connection_of(bind) as connection:
        _execute(connection, _removal(metadata, default_schema(connection)))
    return None


def trigger_ddl(table: Table) -> tuple[list[str], list[str]]:
    """Return the statements that give a table its triggers, and those that take them off.

    The functions that all tables share, those of the transaction table, are not among them; see
    :func:`install_triggers`.

    :param table: a table that is recorded natively.
    :raises ClassNotVersioned: if it is not.
    :raises InvalidArgumentType: if it is no table.

    >>> creation, removal = trigger_ddl(Article.__table__)
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ClassNotVersioned: no table 'article' is recorded by triggers; call...
    """
    spec = _spec_of(table)
    creation = list(_creation((), [spec], _guards_of(spec), None))
    return _compiled(creation), _compiled(_removal_of(spec))


def sync_trigger(session: Any, table_name: str, metadata: MetaData | None = None) -> None:
    """Renew the triggers of one table, for migrations that change it.

    :param session: a session or a connection, whose transaction is left open.
    :param table_name: the name of the *version* table.
    :param metadata: where to look for it, if not wherever something is versioned.
    :raises ClassNotVersioned: if no table of that name has versions that triggers write.

    >>> sync_trigger(session, "article_version")
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ClassNotVersioned: no version table 'article_version' is recorded...
    """
    spec = _named(metadata, table_name, is_version=True)
    with connection_of(session) as connection:
        _renew(connection, spec)


def create_trigger(session: Any, table: Table, **kw: Any) -> None:
    """Give one table its triggers, or renew them.

    :param session: a session or a connection, whose transaction is left open.
    :param table: a table that is recorded by triggers.
    :param kw: taken for compatibility; the options of the table say how it is recorded.
    :raises ClassNotVersioned: if it is not.
    :raises InvalidArgumentType: if it is no table.

    >>> create_trigger(session, Article.__table__)
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ClassNotVersioned: no table 'article' is recorded by triggers; call...
    """
    spec = _spec_of(table)
    with connection_of(session) as connection:
        _renew(connection, spec)


def drop_trigger(session: Any, table_name: str, metadata: MetaData | None = None) -> None:
    """Take the triggers off one table; writes of others than this library are not recorded then.

    :param session: a session or a connection, whose transaction is left open.
    :param table_name: the name of the table.
    :param metadata: where to look for it, if not wherever something is versioned.
    :raises ClassNotVersioned: if no table of that name is recorded by triggers.

    >>> drop_trigger(session, "article")
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ClassNotVersioned: no table 'article' is recorded by triggers; call...
    """
    spec = _named(metadata, table_name, is_version=False)
    with connection_of(session) as connection:
        _execute(connection, _removal_of(spec, default_schema(connection)))


def _spec_of(table: Any) -> TriggerSpec:
    if not is_table(table):
        raise InvalidArgumentType(f"{table!r} is no Table; give one, such as Article.__table__")
    configure_mappers()
    spec = trigger_spec_of(table)
    if spec is None:
        raise ClassNotVersioned(_unknown("table", table.fullname))
    return spec


def _unknown(kind: str, name: str) -> str:
    return (
        f"no {kind} {name!r} is recorded by triggers; call make_versioned(native=True) before "
        "the models are declared"
    )


def _known_metadata(given: MetaData | None) -> list[MetaData]:
    """Return each ``MetaData`` that has tables which triggers record."""
    if given is not None:
        _check_kind(given)
        return [given]
    configure_mappers()
    return [metadata for metadata in _sqlalchemy.all_metadata() if native_tables(metadata)]


def _named(metadata: MetaData | None, name: str, *, is_version: bool) -> TriggerSpec:
    for known in _known_metadata(metadata):
        for spec in trigger_specs(known):
            table = spec.spec.version_table if is_version else spec.spec.parent_table
            if name in (table.name, table.fullname):
                return spec
    raise ClassNotVersioned(_unknown("version table" if is_version else "table", name))


def check_metadata(metadata: MetaData) -> None:
    """Refuse a ``MetaData`` of which triggers record nothing.

    :raises ImproperlyConfigured: if they do not.
    :raises InvalidArgumentType: if it is none.
    """
    _check_kind(metadata)
    configure_mappers()
    if not native_tables(metadata):
        raise ImproperlyConfigured(
            "no table of this MetaData is recorded by triggers; call make_versioned(native=True) "
            "before the models are declared"
        )


def _check_kind(metadata: Any) -> None:
    if not isinstance(metadata, MetaData):
        raise InvalidArgumentType(f"{metadata!r} is no MetaData; give one, such as Base.metadata")


def _renew(connection: Connection, spec: TriggerSpec) -> None:
    _create(connection, [spec.transaction], [spec], _guards_of(spec))


def _guards_of(spec: TriggerSpec) -> list[GuardSpec]:
    """Return what guards the versions of one table, if anything does."""
    table = spec.spec.parent_table
    return [each for each in guards(table.metadata) if each.table is spec.spec.version_table]


def _removal_of(spec: TriggerSpec, schema: str | None = None) -> list[ExecutableDDLElement]:
    """Return what takes the triggers off one table, and the guard off its versions."""
    removal = build_removal(spec, default_schema=schema)
    for guard in _guards_of(spec):
        removal += build_guard_removal(guard, default_schema=schema)
    return removal


def _compiled(elements: Iterable[ExecutableDDLElement]) -> list[str]:
    kind: Any = URL.create("postgresql").get_dialect()
    dialect = without_doubled_percents(kind())
    return [str(element.compile(dialect=dialect)) for element in elements]


def _as_text(elements: Iterable[ExecutableDDLElement]) -> str:
    return "".join(f"{statement};\n" for statement in _compiled(elements))
