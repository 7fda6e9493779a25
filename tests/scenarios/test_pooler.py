"""Behind PgBouncer in transaction mode nothing passes from one client to the next."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, String, create_engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, configure_mappers

from sqlalchemy_versioned import (
    paused,
    set_session_variables,
    transaction_class,
    transaction_context,
    version_class,
)
from tests.pooler import run_pooler

OPTIONS = {
    "user_cls": "Author",
    "transaction_columns": [Column("reason", String(50))],
    "session_variables": [Column("ticket", Integer, nullable=False)],
}
NATIVE = pytest.mark.options(native=True, **OPTIONS)
BY_SESSIONS = pytest.mark.options(native=False, **OPTIONS)

pytestmark = pytest.mark.needs("poolers")

#: More clients than connections of the server.
CLIENTS, CONNECTIONS = 4, 2


@pytest.fixture
def pooler(database, engine, blog):
    """The URL of a pooler before the database, which has the tables of the blog."""
    configure_mappers()
    blog.metadata.create_all(engine)
    with run_pooler(database.url, size=CONNECTIONS) as url:
        yield url


def write(session, blog, name, **said):
    """Write an article, with what is said of it, and leave the transaction open."""
    with transaction_context(**said):
        session.add(blog.Article(name=name))
        session.flush()
    return session.scalar(text("SELECT pg_backend_pid()"))


def write_without_library(engine, name):
    """Write an article as other programs do: first without what must be said, then with it."""
    statement = f"INSERT INTO article (name) VALUES ('{name}')"
    connection = engine.raw_connection()
    with pytest.raises(engine.dialect.loaded_dbapi.IntegrityError, match="ticket"):
        connection.cursor().execute(statement)
    connection.rollback()
    cursor = connection.cursor()
    cursor.execute("SELECT set_config('audit.ticket', '7', true)")
    cursor.execute(statement)
    connection.commit()
    connection.close()


def write_in_turn(engine, blog, *, is_native=True):
    """Have several clients write at once; return the connections of the server they were on."""
    clients = [Session(engine) for _ in range(CLIENTS)]
    used = set()
    for number in range(2 * CLIENTS):
        first, second = clients[number % CLIENTS], clients[(number + 1) % CLIENTS]
        set_session_variables(first, ticket=number)
        used.add(write(first, blog, f"{number}a", reason=f"because {number}", user=number + 1))
        used.add(write(second, blog, f"{number}b", ticket=100 + number))
        first.add(blog.Article(name=f"{number}c"))
        first.commit()
        with paused(second):
            second.add(blog.Article(name="not recorded"))
        second.commit()
        if is_native:
            write_without_library(engine, f"{number}d")
        with pytest.raises(IntegrityError, match="ticket"):
            write(first, blog, "refused", reason="none")
        first.rollback()
    for client in clients:
        client.close()
    return used


def check(blog, engine, used, *, is_native=True):
    """Each version belongs to the transaction of its client, with what that client has said."""
    version, transaction = version_class(blog.Article), transaction_class(blog.Article)
    said = (transaction.reason, transaction.user_id, transaction.ticket)
    found = select(version.name, transaction.id, *said).join(version.transaction)
    with Session(engine) as session:
        rows = {name: (number, tuple(said)) for name, number, *said in session.execute(found)}
    assert len(used) == CONNECTIONS
    expected = {}
    for number in range(2 * CLIENTS):
        expected |= dict.fromkeys(
            (f"{number}a", f"{number}c"), (f"because {number}", number + 1, number)
        )
        expected[f"{number}b"] = (None, None, 100 + number)
        if is_native:
            expected[f"{number}d"] = (None, None, 7)
    assert {name: said for name, (_, said) in rows.items()} == expected
    assert len({number for number, _ in rows.values()}) == (6 if is_native else 4) * CLIENTS
    assert rows["0a"][0] == rows["0c"][0]


@pytest.mark.parametrize(
    ("driver", "is_native"),
    [
        pytest.param("psycopg2", True, marks=NATIVE),
        pytest.param("psycopg2", False, marks=BY_SESSIONS),
        pytest.param("psycopg", True, marks=NATIVE),
    ],
)
def test_clients_share_connections(blog, engine, pooler, driver, is_native):
    """What one client says is said for its transaction; what must be said is missed by the next."""
    # What a client prepares is on a connection that another may have by then.
    arguments = {"prepare_threshold": None} if driver == "psycopg" else {}
    other = create_engine(pooler.set(drivername=f"postgresql+{driver}"), connect_args=arguments)

    used = write_in_turn(other, blog, is_native=is_native)

    other.dispose()
    check(blog, engine, used, is_native=is_native)


@NATIVE
def test_asynchronous_clients_share_connections(blog, engine, pooler):
    """The same holds of asyncpg, which keeps no statements and gives each a name of its own."""

    async def main():
        other = create_async_engine(
            pooler.set(drivername="postgresql+asyncpg"),
            connect_args={
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": lambda: f"versioned_{uuid4()}",
            },
        )
        async with other.connect() as connection:
            used = await connection.run_sync(lambda _: write_in_turn(other.sync_engine, blog))
        await other.dispose()
        return used

    check(blog, engine, asyncio.run(main()))
