"""Many who write at the same time, each in their own name."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from sqlalchemy import Column, Integer, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    Versioned,
    get_transaction_context,
    set_session_variables,
    set_transaction_context,
    transaction_class,
    transaction_context,
    version_class,
)
from sqlalchemy_versioned import asyncio as versioned

pytestmark = pytest.mark.options(
    user_cls=None,
    transaction_columns=[Column("user_id", Integer), Column("reason", String(20))],
)


@pytest.fixture
def Article(Base):
    """A class of articles, each written in somebody's name, or in nobody's."""

    class Article(Versioned, Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        number: Mapped[int]

    configure_mappers()
    return Article


@pytest.fixture
def told(Article, engine):
    """Read who wrote the article of each number, and why."""
    Article.metadata.create_all(engine)

    def read():
        version, transaction = version_class(Article), transaction_class(Article)
        found = select(version.number, transaction.user_id, transaction.reason)
        joined = found.join(transaction, transaction.id == version.transaction_id)
        with Session(engine) as session:
            return {number: tuple(said) for number, *said in session.execute(joined)}

    return read


def expected(number):
    """Return what the transaction of one of those below is to say."""
    return [(number, "block"), (number, "task"), (number, "variable"), (None, None)][number % 4]


@pytest.mark.needs("async", "concurrent_writers")
def test_two_hundred_tasks_over_ten_connections(database, Article, told):
    """What a task says stays in it, on whichever connection, and with whatever fails beside it."""

    async def write(engine, number):
        kind = number % 4
        block = transaction_context(user=number, reason="block") if kind == 0 else nullcontext()
        async with AsyncSession(engine) as session:
            with block:
                await session.execute(select(1))
                if kind == 1:
                    set_transaction_context(user=number, reason="task")
                if kind == 2:
                    await versioned.set_session_variables(session, user=number, reason="variable")
                session.add(Article(number=number))
                await session.flush()
                if number % 10 == 9:
                    return await session.rollback()
                await asyncio.sleep(0)
                known = await session.run_sync(lambda _: get_transaction_context().get("user"))
                assert known == (number if kind < 2 else None)
            await session.commit()

    async def main():
        engine = database.create_async_engine(pool_size=10, max_overflow=0)
        await asyncio.gather(*[write(engine, number) for number in range(200)])
        await engine.dispose()

    asyncio.run(main())
    assert told() == {number: expected(number) for number in range(200) if number % 10 != 9}


@pytest.mark.needs("async")
def test_what_is_said_in_run_sync(database, Article, told):
    """It is said in the task that runs it, and a job that is started there ends with its block."""

    async def main():
        engine = database.create_async_engine()
        ended = asyncio.Event()

        async def job():
            await ended.wait()
            async with AsyncSession(engine) as session:
                session.add(Article(number=3))
                await session.commit()

        async with AsyncSession(engine) as session:
            with transaction_context(user=0, reason="block"):
                started = asyncio.create_task(job())
                session.add(Article(number=0))
                await session.commit()
            await session.run_sync(lambda _: set_transaction_context(user=1, reason="task"))
            session.add(Article(number=1))
            await session.commit()
        ended.set()
        await started
        await engine.dispose()

    asyncio.run(main())
    assert told() == {number: expected(number) for number in (0, 1, 3)}


@pytest.mark.needs("concurrent_writers")
def test_threads_of_a_pool(database, Article, told):
    """What one job says in a block is not said by the next on the same thread or connection."""
    engine = database.create_engine(pool_size=4, max_overflow=0)

    def write(number):
        kind = number % 4
        said = {"user": number, "reason": "block" if kind == 0 else "task"}
        block = transaction_context(**said) if kind < 2 else nullcontext()
        with Session(engine) as session, block:
            if kind == 2:
                set_session_variables(session, user=number, reason="variable")
            session.add(Article(number=number))
            session.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    engine.dispose()
    assert told() == {number: expected(number) for number in range(40)}
