"""Threads that share a manager, an engine and its connections do not meet in history."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.orm import Session

from sqlalchemy_versioned import (
    Operation,
    paused,
    transaction_class,
    version_class,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.model.lookup import table_spec_of
from tests.databases import LOCK_TIMEOUT

THREADS = 32

INSERT, UPDATE, DELETE = Operation


@pytest.fixture
def engine(database):
    """An engine with far fewer connections than there are threads."""
    engine = database.create_engine(pool_size=4, max_overflow=0)
    yield engine
    engine.dispose()


@pytest.fixture
def in_threads():
    """Call a function in many threads, all of which begin at once."""

    def run(function):
        start = threading.Barrier(THREADS, timeout=LOCK_TIMEOUT)

        def begin(number):
            start.wait()
            return function(number)

        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(begin, range(1, THREADS + 1)))

    return run


def chains(session, cls):
    """Return the versions of each object, oldest first."""
    version = version_class(cls)
    found = {}
    for each in session.scalars(select(version).order_by(version.transaction_id)):
        found.setdefault(each.id, []).append(each)
    return found


def assert_chain(versions):
    """Check that each version ends where the next begins."""
    if hasattr(versions[0], "end_transaction_id"):
        begins = [version.transaction_id for version in versions]
        assert [version.end_transaction_id for version in versions] == [*begins[1:], None]


@pytest.mark.strategies
def test_many_threads_on_few_connections(tables, models, in_threads):
    """Each transaction has the rows of its own thread, whoever had the connection before."""

    def write(number):
        # Each transaction begins with a write: SQLite lets nobody write who has read before.
        with Session(tables, expire_on_commit=False) as session:
            session.add(models.Article(id=number, name="undone", tags=[models.Tag(name="t")]))
            session.flush()
            session.rollback()
            article = models.Article(id=number, name=f"{number}")
            session.add_all([article, models.Author(id=number, name="a")])
            with session.begin_nested():
                session.flush()
            session.commit()
            article.name = f"{number} changed"
            session.commit()

    in_threads(write)
    with Session(tables) as session:
        found = chains(session, models.Article)
        assert sorted(found) == list(range(1, THREADS + 1))
        for number, versions in found.items():
            assert [v.name for v in versions] == [f"{number}", f"{number} changed"]
            assert_chain(versions)
            assert [v.tags for v in versions] == [[], []]
            for version in versions:
                changed = version.transaction.changed_entities
                assert {v.id for some in changed.values() for v in some} == {number}
        assert len(session.scalars(select(transaction_class(models.Tag).id)).all()) == 2 * THREADS


def test_pausing_in_one_thread_only(tables, models, in_threads):
    """A session that is paused says nothing about those of other threads."""

    def write(number):
        with Session(tables) as session:
            if number % 2:
                with paused(session):
                    session.add(models.Tag(id=number, name="t"))
                    session.flush()
            else:
                session.add(models.Tag(id=number, name="t"))
            session.commit()

    in_threads(write)
    with Session(tables) as session:
        assert sorted(chains(session, models.Tag)) == list(range(2, THREADS + 1, 2))


def test_first_use_of_everything_at_once(tables, models, in_threads):
    """Statements and look-ups that are made when first needed may be needed by all at once."""

    def write(number):
        with Session(tables) as session:
            author = models.Author(id=number, name="a")
            session.add(author)
            session.flush()
            names = [version.name for version in author.versions]
            session.commit()
            return names, table_spec_of(models.article_tag)

    results = in_threads(write)

    assert [names for names, _ in results] == [["a"]] * THREADS
    assert len({id(spec) for _, spec in results}) == 1


def test_first_writers_of_a_table_without_a_class(versioning, engine, in_threads):
    """Whoever writes first finds the Transaction class made, once."""
    metadata = MetaData()
    page = versioned_table(Table("page", metadata, Column("id", Integer, primary_key=True)))
    metadata.create_all(engine)
    versioning.record_engine(engine)

    def write(number):
        with engine.begin() as connection:
            connection.execute(insert(page).values(id=number))

    in_threads(write)
    with Session(engine) as session:
        found = session.execute(
            select(version_table(page).c.id, version_table(page).c.transaction_id)
        )
        assert len({number for number, _ in found}) == THREADS
        assert len(session.scalars(select(transaction_class(page).id)).all()) == THREADS


def test_session_that_changes_threads(tables, models):
    """A session may be used by one thread after another, in one transaction."""
    with Session(tables) as session:
        article = models.Article(id=1, name="a")
        steps = [
            lambda: session.add(article),
            session.flush,
            lambda: setattr(article, "name", "b"),
            session.flush,
            lambda: article.tags.append(models.Tag(id=1, name="t")),
            session.commit,
        ]
        for step in steps:
            thread = threading.Thread(target=step)
            thread.start()
            thread.join()

        assert [(v.operation_type, v.name) for v in article.versions] == [(INSERT, "b")]
        assert [t.id for t in article.versions[0].tags] == [1]


def test_engines_are_let_go(database, tables, models):
    """An engine that was recorded on is collected when the application has done with it."""
    engine = database.create_engine()
    with Session(engine) as session:
        session.add(models.Article(name="a", tags=[models.Tag(name="t")]))
        session.commit()
    engine.dispose()
    held = weakref.ref(engine)
    del engine, session
    gc.collect()

    assert held() is None
