"""The unit of work of a session: its transaction, from its beginning to its end."""

import asyncio
import gc
import threading
import weakref

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from sqlalchemy_versioned import ImproperlyConfigured, transaction_class, version_class
from tests.leftovers import find_units_of_work


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage(keeper):
    """Let tests that look for garbage go through what is made here, and nothing that is older."""
    keeper.let_go()
    gc.collect()
    gc.freeze()


@pytest.fixture
def unit(session, versioning):
    """The unit of work of the test's session."""
    return versioning.unit_of_work(session)


def transactions(session, models):
    """Return the transactions there are."""
    return session.scalars(select(transaction_class(models.Article)).order_by("id")).all()


def ids(session, models):
    """Return the transactions of all versions of articles."""
    version = version_class(models.Article)
    return session.scalars(select(version.transaction_id).order_by(version.transaction_id)).all()


def test_no_transaction_without_changes(session, models, unit):
    """A session that has written nothing versioned has no transaction."""
    models.factories.Category()
    session.flush()

    assert unit.current_transaction is None
    assert transactions(session, models) == []


def test_current_transaction(session, models, unit):
    """The transaction of the versions is an object of the session."""
    article = models.factories.Article()
    session.flush()

    assert unit.current_transaction is article.versions[0].transaction
    assert unit.current_transaction in session


def test_current_transaction_that_was_loaded_before(session, models, unit):
    """An object that a query has loaded is the one that is returned."""
    models.factories.Article()
    session.flush()
    (loaded,) = transactions(session, models)

    assert unit.current_transaction is loaded


def test_explicit_transaction_is_kept_when_empty(session, models, unit):
    """A transaction that was asked for stays, whatever is changed."""
    unit.create_transaction(session, remote_addr="127.0.0.1")
    session.commit()

    assert [each.remote_addr for each in transactions(session, models)] == ["127.0.0.1"]


def test_second_transaction_is_current(session, models, unit):
    """Created twice, the second transaction gets the versions."""
    unit.create_transaction(session)
    second = unit.create_transaction(session)
    models.factories.Article()
    session.commit()

    assert len(transactions(session, models)) == 2
    assert ids(session, models) == [second.id]


def test_unknown_attribute_is_refused(session, unit):
    """A misspelt attribute of a transaction is named with those there are."""
    with pytest.raises(ImproperlyConfigured, match=r"no attribute 'remote'.*remote_addr"):
        unit.create_transaction(session, remote="x")


def test_another_session_is_refused(session, tables, unit):
    """A unit of work belongs to one session."""
    with Session(tables) as other, pytest.raises(ImproperlyConfigured, match="another session"):
        unit.create_transaction(other)


def test_attributes_set_later(session, models, unit):
    """What is set on the transaction afterwards is written with the session."""
    models.factories.Article()
    session.flush()
    unit.current_transaction.remote_addr = "later"
    session.commit()

    assert transactions(session, models)[0].remote_addr == "later"


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_each_transaction_of_a_session_has_its_own(session, models, versioning, end):
    """After the end of a transaction there is a new unit of work."""
    models.factories.Article()
    session.flush()
    before = versioning.unit_of_work(session)
    getattr(session, end)()

    assert before.current_transaction is None
    assert versioning.unit_of_work(session) is not before


def test_unit_kept_over_a_commit(session, models, unit):
    """A unit of work that was kept too long still creates the session's transaction."""
    unit.create_transaction(session)
    session.commit()
    second = unit.create_transaction(session)
    models.factories.Article()
    session.commit()

    assert ids(session, models) == [second.id]


def test_rolled_back_transaction_leaves_the_session(session, models, unit):
    """The object of a transaction whose row was rolled back is no longer in the session."""
    models.factories.Article()
    session.flush()
    rolled_back = unit.current_transaction
    session.rollback()
    models.factories.Article()
    session.commit()

    assert rolled_back not in session
    assert len(transactions(session, models)) == 1


def test_change_that_is_undone_leaves_no_transaction(session, models):
    """An object that came and went leaves neither version nor transaction."""
    article = models.factories.Article()
    session.flush()
    session.delete(article)
    session.commit()

    assert ids(session, models) == []
    assert transactions(session, models) == []


def test_transaction_that_was_seen_is_kept(session, models, unit):
    """Whoever holds the transaction may refer to it, so it stays."""
    article = models.factories.Article()
    session.flush()
    seen = unit.current_transaction
    session.delete(article)
    session.commit()

    assert transactions(session, models) == [seen]


def test_undone_inside_a_savepoint_that_is_rolled_back(session, models):
    """The transaction is there again, with its versions, and goes on."""
    article = models.factories.Article(name="a")
    session.flush()
    savepoint = session.begin_nested()
    session.delete(article)
    session.flush()
    savepoint.rollback()
    article.name = "b"
    session.commit()

    assert len(transactions(session, models)) == 1
    assert [(v.name, v.operation_type) for v in article.versions] == [("b", 0)]


def test_transaction_begun_inside_a_savepoint_that_is_rolled_back(session, models):
    """A later flush begins another, and no version points to the one that is gone."""
    savepoint = session.begin_nested()
    models.factories.Article()
    session.flush()
    savepoint.rollback()
    models.factories.Article()
    session.commit()

    assert ids(session, models) == [each.id for each in transactions(session, models)]


def test_first_flush_inside_a_released_savepoint(session, models):
    """The transaction goes on after the savepoint."""
    with session.begin_nested():
        article = models.factories.Article(name="a")
        session.flush()
    article.name = "b"
    session.commit()

    assert [v.name for v in article.versions] == ["b"]
    assert len(transactions(session, models)) == 1


@pytest.mark.parametrize("is_second", [False, True], ids=["first change", "second change"])
@pytest.mark.parametrize("name", ["undone", "other"])
def test_change_after_a_rolled_back_savepoint(session, models, is_second, name):
    """Nothing is left of what was recorded inside; what follows is recorded, if it is the same."""
    article = models.factories.Article(name="a")
    session.commit()
    if is_second:
        article.name = "b"
        session.flush()
    savepoint = session.begin_nested()
    article.name = "undone"
    session.flush()
    savepoint.rollback()
    article.name = name
    session.commit()

    assert [(v.name, v.operation_type) for v in article.versions] == [("a", 0), (name, 1)]
    assert ids(session, models) == [each.id for each in transactions(session, models)]


def test_scoped_session(tables, models, versioning):
    """A scoped session is known by the session behind it."""
    scoped = scoped_session(sessionmaker(tables))
    created = versioning.unit_of_work(scoped).create_transaction(scoped)
    scoped.add(models.Article(name="a"))
    scoped.commit()

    assert ids(scoped, models) == [created.id]
    scoped.remove()


def test_scoped_session_on_a_connection(tables, models, versioning):
    """Each commit ends its unit of work, although the connection and its transaction go on."""
    with tables.connect() as connection, connection.begin():
        scoped = scoped_session(sessionmaker(connection, join_transaction_mode="rollback_only"))
        article, units = models.Article(), []
        scoped.add(article)
        for name in "ab":
            units.append(versioning.unit_of_work(scoped))
            article.name = name
            scoped.commit()

        assert [unit.current_transaction for unit in units] == [None, None]
        first, second = ids(scoped, models)
        assert first < second
        assert set(find_units_of_work()) >= set(units)
        del units
        scoped.remove()
        gc.collect()
        assert find_units_of_work() == []


@pytest.mark.parametrize("order", ["close, commit", "commit, close"])
def test_outer_transaction_that_is_committed_directly(tables, models, order):
    """A session that never ended its own transaction leaves nothing behind for the next one."""
    with tables.connect() as connection:
        for name in "ab":
            outer = connection.begin()
            session = Session(connection, join_transaction_mode="rollback_only")
            session.add(models.Article(name=name))
            session.flush()
            ends = {"close": session.close, "commit": outer.commit}
            for end in order.split(", "):
                ends[end]()
            del session, ends
            gc.collect()
            assert find_units_of_work() == []
    with Session(tables) as session:
        first, second = ids(session, models)
        assert first < second
        assert [each.id for each in transactions(session, models)] == [first, second]


def test_connection_that_is_lost(tables, models):
    """A session whose connection is gone hinders no other, in whichever thread it ends."""

    def write():
        with Session(tables) as session:
            session.add(models.Article(name="b"))
            session.flush()
            session.rollback()
            session.add(models.Article(name="c"))
            session.commit()

    with Session(tables) as lost:
        lost.add(models.Article(name="a"))
        lost.flush()
        lost.connection().invalidate()
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        lost.rollback()
        assert [each.name for each in lost.scalars(select(version_class(models.Article)))] == ["c"]


def test_no_session(versioning):
    """Anything that is no session is refused."""
    with pytest.raises(ImproperlyConfigured, match="3 is no session"):
        versioning.unit_of_work(3)


@pytest.mark.needs("async")
def test_async_session(database, tables, models, versioning):
    """What an AsyncSession writes is recorded, in the transaction it asked for."""
    from sqlalchemy.ext.asyncio import AsyncSession

    async def write():
        engine = database.create_async_engine()
        async with AsyncSession(engine) as session:
            unit = versioning.unit_of_work(session)
            await session.run_sync(lambda s: unit.create_transaction(s, remote_addr="here"))
            article = models.Article(name="a", tags=[models.Tag(name="t")])
            session.add(article)
            await session.commit()
            article.name = "b"
            await session.commit()
            await session.delete(article)
            await session.commit()
        await engine.dispose()

    asyncio.run(write())
    with Session(tables) as session:
        versions = session.scalars(select(version_class(models.Article)).order_by("transaction_id"))
        assert [(v.name, v.operation_type) for v in versions] == [("a", 0), ("b", 1), ("b", 2)]
        assert transactions(session, models)[0].remote_addr == "here"


ENDS = {
    "commit and close": lambda session: (session.commit(), session.close()),
    "close": Session.close,
    "rollback": Session.rollback,
    "savepoint left open": lambda session: (session.begin_nested(), session.close()),
    "invalidated": Session.invalidate,
    "never ended": lambda session: None,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_nothing_is_kept_of_a_session_that_ended(tables, models, versioning, end):
    """However a session ends, it goes, with its unit of work, objects and versions."""
    session = Session(tables)
    article = models.Article(name="a", tags=[models.Tag(name="t")])
    session.add(article)
    session.flush()
    unit = versioning.unit_of_work(session)
    things = [session, unit, unit.current_transaction, article, article.versions[0]]
    held = [weakref.ref(each) for each in [*things, session.get_transaction()]]
    end(session)
    del session, article, unit, things
    gc.collect()

    assert [each() for each in held] == [None] * len(held)


def test_nothing_is_kept_of_a_session_that_failed(tables, models, versioning):
    """Neither unit of work nor session outlives an exception."""

    def fail(session):
        with session:
            session.add(models.Article(name="a"))
            session.flush()
            raise LookupError

    session = Session(tables)
    with pytest.raises(LookupError):
        fail(session)
    assert versioning._tracker.sessions not in session.info
    del session
    gc.collect()

    assert find_units_of_work() == []


@pytest.mark.needs("async")
def test_nothing_is_kept_of_a_cancelled_task(database, tables, models):
    """A task that is cancelled after a flush leaves no unit of work."""
    from sqlalchemy.ext.asyncio import AsyncSession

    async def write(engine):
        async with AsyncSession(engine) as session:
            session.add(models.Article(name="a"))
            await session.flush()
            await asyncio.sleep(60)

    async def cancel():
        engine = database.create_async_engine()
        task = asyncio.create_task(write(engine))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await engine.dispose()

    asyncio.run(cancel())
    gc.collect()

    assert find_units_of_work() == []


@pytest.mark.needs("async", "concurrent_writers")
def test_task_that_is_cancelled_while_it_waits(database, tables, models):
    """A flush that is cancelled while it waits for a lock leaves nothing, and hinders nobody."""
    from sqlalchemy.ext.asyncio import AsyncSession

    async def write(engine, article):
        async with AsyncSession(engine) as session:
            (await session.get(models.Article, 1)).name = article
            await session.commit()

    async def cancel():
        engine = database.create_async_engine()
        async with AsyncSession(engine) as holder:
            holder.add(models.Article(id=1, name="a"))
            await holder.commit()
            (await holder.get(models.Article, 1)).name = "b"
            await holder.flush()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(write(engine, "never"), 0.3)
            await holder.commit()
        await write(engine, "c")
        await engine.dispose()

    asyncio.run(cancel())
    gc.collect()
    assert find_units_of_work() == []
    with Session(tables) as session:
        assert [v.name for v in session.get(models.Article, 1).versions] == ["a", "b", "c"]
