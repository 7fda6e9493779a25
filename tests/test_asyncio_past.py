"""The past, read through an ``AsyncSession``."""

import asyncio
from datetime import datetime, timezone

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from sqlalchemy_versioned import IncompleteHistory, ReadOnlySnapshot, VersioningError
from sqlalchemy_versioned import asyncio as versioned
from sqlalchemy_versioned.asyncio import AsyncSnapshot
from tests.awaited import LEFT_BEHIND, build_shelf, is_refused, write

pytestmark = [
    pytest.mark.needs("async"),
    pytest.mark.usefixtures("refused_awaits"),
    *LEFT_BEHIND,
]


@pytest.fixture
def models(keep):
    """Authors and articles whose attributes can be awaited."""
    return keep(build_shelf)


@pytest.fixture
def run(database, tables, models):
    """Await a function of a session, the models, a transaction and the past as of it.

    An article was called "a" then, and its author Ada; by now they are "b" and Bea.
    """

    async def main(function):
        engine = database.create_async_engine()
        try:
            async with AsyncSession(engine, expire_on_commit=False) as session:
                _, transactions = await write(session, models)
                first = transactions.first()
                async with versioned.as_of(session, first) as past:
                    await function(session, first, past)
        finally:
            await engine.dispose()

    return lambda function: asyncio.run(main(function))


def test_statements(run, models):
    """Statements give what was there then, however they are executed."""
    Article = models.Article
    wanted = select(Article.name)

    async def read(session, first, past):
        assert (await past.execute(wanted)).all() == [("a",)]
        assert (await past.scalars(wanted)).all() == ["a"]
        assert await past.scalar(select(func.max(Article.name))) == "a"
        assert (await past.get(Article, 1)).name == "a"
        assert (await past.get_one(Article, 1)).name == "a"
        assert await past.get(Article, 2) is None
        assert await past.run_sync(lambda sync: sync.get(Article, 1).author.name) == "Ada"
        assert await session.scalar(wanted) == "b"

    run(read)


def test_streams(run, models):
    """Results are streamed, with what is loaded along."""
    statement = select(models.Article).options(selectinload(models.Article.author))

    async def read(session, first, past):
        rows = [row async for row in await past.stream(select(models.Article.name))]
        assert rows == [("a",)]
        articles = await past.stream_scalars(statement)
        assert [article.author.name async for article in articles] == ["Ada"]

    run(read)


@pytest.mark.parametrize("load", [joinedload, selectinload])
def test_eager_loading(run, models, load):
    """What is loaded with the statement is there without waiting."""
    statement = select(models.Author).options(load(models.Author.articles))

    async def read(session, first, past):
        author = (await past.scalars(statement)).unique().one()
        assert (author.name, [article.name for article in author.articles]) == ("Ada", ["a"])

    run(read)


def test_lazy_loading(run, models):
    """Relationships are awaited, or refreshed; behind a plain attribute nothing can wait."""

    async def read(session, first, past):
        article = await past.get(models.Article, 1)
        with is_refused():
            article.author  # noqa: B018
        assert (await article.awaitable_attrs.author).name == "Ada"
        author = await past.get(models.Author, 1)
        assert author is article.author
        await past.refresh(author, ["articles"])
        assert author.articles == [article]
        past.expire_all()
        assert await author.awaitable_attrs.name == "Ada"

    run(read)


def test_awaited(run, models):
    """The past can be awaited, for as long as it is wanted."""

    async def read(session, first, _):
        past = await versioned.as_of(session, datetime.now(timezone.utc))
        article = await past.get(models.Article, 1)
        assert isinstance(past, AsyncSnapshot)
        assert past.bind is None
        assert past.moment.transaction_id > first.id
        assert repr(past) == f"<AsyncSnapshot as of transaction {past.moment.transaction_id}>"
        await past.close()
        assert article not in past

    run(read)


def test_left_in_the_end(run, models):
    """After the block nothing is in it; the session of the present goes on as it was."""

    async def read(session, first, _):
        article = await session.get(models.Article, 1)
        article.name = "c"
        async with versioned.as_of(session, first) as past:
            old = await past.get(models.Article, 1)
        assert old not in past
        assert article in session.dirty
        await session.commit()
        assert await session.scalar(select(models.Article.name)) == "c"

    run(read)


def test_several_moments(run, models):
    """The past of the past is that of the session behind it, and both are open."""

    async def read(session, first, past):
        async with versioned.as_of(past, first.id + 1) as later:
            articles = [await each.get(models.Article, 1) for each in (past, later, session)]
            assert [article.name for article in articles] == ["a", "b", "b"]
            assert len({id(article) for article in articles}) == 3

    run(read)


def test_writing_is_refused(run, models):
    """Nothing is written through the past, and nothing comes into it."""
    Article = models.Article

    async def read(session, first, past):
        article = await past.get(Article, 1)
        for ask in (
            lambda: past.delete(article),
            lambda: past.merge(Article(name="c")),
            lambda: past.begin_nested().start(),
            lambda: past.connection(),
            lambda: past.execute(insert(Article).values(name="c")),
            lambda: past.execute(select(Article).with_for_update()),
        ):
            with pytest.raises(ReadOnlySnapshot):
                await ask()
        with pytest.raises(ReadOnlySnapshot):
            past.add(Article(name="c"))
        with pytest.raises(ReadOnlySnapshot):
            article.name = "c"
        await past.commit()
        assert await session.scalar(select(func.count()).select_from(Article)) == 1

    run(read)


def test_objects_of_the_past_elsewhere(run, models):
    """Objects of the past stay there."""

    async def read(session, first, past):
        article = await past.get(models.Article, 1)
        with pytest.raises(ReadOnlySnapshot, match="cannot be used in another session"):
            session.add(article)
        with pytest.raises(ReadOnlySnapshot, match="cannot be merged"):
            await session.merge(article)
        with pytest.raises(InvalidRequestError, match="not persistent within this Session"):
            await session.refresh(article)
        past.expunge(article)
        with pytest.raises(ReadOnlySnapshot, match="cannot be used in another session"):
            session.add(article)

    run(read)


def test_versions_of_objects_of_the_past(run, models):
    """The object that was loaded from the past has the versions that the object has."""

    async def read(session, first, past):
        article = await past.get(models.Article, 1)
        assert await versioned.count_versions(article) == 2
        assert (await versioned.versions(article).at(past.moment.transaction_id)).name == "a"

    run(read)


def test_no_point_in_history(run):
    """Whatever is no moment is refused when the past is opened."""
    early = datetime(1999, 1, 1, tzinfo=timezone.utc)

    async def read(session, first, past):
        for when, reason in ((99, "there is no transaction 99"), ("today", "no point in history")):
            with pytest.raises(VersioningError, match=reason):
                await versioned.as_of(session, when)
        with pytest.raises(IncompleteHistory, match="history begins after"):
            await versioned.as_of(session, early)
        with pytest.raises(IncompleteHistory):
            async with versioned.as_of(session, early):
                pass
        assert await versioned.as_of(session, early, on_incomplete="ignore")

    run(read)


def test_incomplete_history(run, models):
    """A table of whose rows history does not tell is refused where it is read."""

    async def read(session, first, past):
        async with versioned.paused(session):
            await session.execute(insert(models.Author).values(name="Unrecorded"))
        await session.commit()
        with pytest.raises(IncompleteHistory, match="author"):
            await past.scalars(select(models.Author))
        with pytest.raises(IncompleteHistory, match="author"):
            await (await past.get(models.Article, 1)).awaitable_attrs.author
        async with versioned.as_of(session, first, on_incomplete="ignore") as ignoring:
            assert (await ignoring.scalars(select(models.Author.name))).all() == ["Ada"]

    run(read)
