"""Triggers made and removed by hand, of tables that are there already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import URL, Connection, MetaData, Table
from sqlalchemy.schema import ExecutableDDLElement

from ..database.dialects import without_doubled_percents
from .binds import connection_of
from .installation import Installation, execute, installation_of
from .native_tables import check_metadata, guards, trigger_spec_named, trigger_spec_of
from .schemas import default_schema
from .spec import TriggerSpec

__all__ = [
    "create_trigger",
    "drop_trigger",
    "install_triggers",
    "sync_trigger",
    "trigger_ddl",
    "uninstall_triggers",
]


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
    installation = installation_of(metadata)
    if bind is None:
        return _as_text(installation.creation(None))
    with connection_of(bind) as connection:
        installation.create(connection)
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
    installation = installation_of(metadata)
    if bind is None:
        return _as_text(installation.removal(None))
    with connection_of(bind) as connection:
        execute(connection, installation.removal(default_schema(connection)))
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
    own = _own_installation(trigger_spec_of(table))
    return _compiled(own.creation(None)), _compiled(own.removal(None))


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
    spec = trigger_spec_named(metadata, table_name, is_version=True)
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
    spec = trigger_spec_of(table)
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
    own = _own_installation(trigger_spec_named(metadata, table_name, is_version=False))
    with connection_of(session) as connection:
        execute(connection, own.removal(default_schema(connection)))


def _own_installation(spec: TriggerSpec) -> Installation:
    """Return what one table has for itself: its triggers, and the guard of its versions."""
    metadata, versions = spec.spec.parent_table.metadata, spec.spec.version_table
    return Installation(
        tables=[spec], guards=[each for each in guards(metadata) if each.table is versions]
    )


def _renew(connection: Connection, spec: TriggerSpec) -> None:
    replace(_own_installation(spec), transactions=[spec.transaction]).create(connection)


def _compiled(elements: Iterable[ExecutableDDLElement]) -> list[str]:
    kind: Any = URL.create("postgresql").get_dialect()
    dialect = without_doubled_percents(kind())
    return [str(element.compile(dialect=dialect)) for element in elements]


def _as_text(elements: Iterable[ExecutableDDLElement]) -> str:
    return "".join(f"{statement};\n" for statement in _compiled(elements))
