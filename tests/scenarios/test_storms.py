"""Whatever comes over many writers of a few rows, history has no fault.

``VERSIONED_TEST_STORM`` is how many transactions each writer tries, and
``VERSIONED_TEST_STORM_SEED`` what they draw from; ``make soak`` sets both.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import bindparam, delete, event, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned.maintenance import verify
from tests.storms import CONFLICTS, ROWS, Storm, Writer, WriterOfBoth, populate
from tests.threads import waiting

TRANSACTIONS = int(os.environ.get("VERSIONED_TEST_STORM", "5"))
SEED = int(os.environ.get("VERSIONED_TEST_STORM_SEED", random.randrange(10**6)))

servers = pytest.mark.needs("isolation_levels")
LEVELS = [
    pytest.param("READ COMMITTED", marks=servers),
    pytest.param("REPEATABLE READ", marks=servers),
    "SERIALIZABLE",
]

# SQLAlchemy warns of rows that another transaction has deleted by then, and of savepoints that
# the database has rolled back.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture
def models(blog):
    """The blog."""
    return blog


@pytest.fixture
def engine(database):
    """An engine of its own, whose connections may be lost."""
    engine = database.create_engine(pool_size=10)
    yield engine
    engine.dispose()


def check(engine, models):
    """History says what there is, and each row's is one chain."""
    print(f"seed {SEED}")
    # A connection may still be about to be killed.
    engine.dispose()
    with Session(engine) as session:
        assert verify(session, batch_size=3) == []


@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
def test_threads(tables, models, versioning, level):
    """Eight threads that write, fail, are killed and try again leave a whole history."""
    populate(tables, models)
    engine = tables.execution_options(isolation_level=level)
    storm = Storm(engine, models, versioning, Writer)
    storm.run(range(SEED, SEED + 8), TRANSACTIONS)

    check(tables, models)
    assert storm.committed > TRANSACTIONS


@pytest.fixture
def both(Base, engine):
    """Pages, which triggers record, and notes, which sessions do."""

    def declare(table, is_native):
        class Thing(Base):
            __tablename__ = table
            __versioned__ = {"native": is_native, "append_only": is_native}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]
            content: Mapped[str | None]

        return Thing

    Page, Note = declare("page", is_native=True), declare("note", is_native=False)
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(cls(id=key, name="0") for cls in (Page, Note) for key in ROWS)
        session.commit()
    return SimpleNamespace(Page=Page, Note=Note)


@pytest.mark.needs("triggers")
@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
def test_threads_of_both_modes(both, engine, versioning, level):
    """So do threads whose transactions triggers record in part, and sessions in part."""
    storm = Storm(engine.execution_options(isolation_level=level), both, versioning, WriterOfBoth)
    storm.run(range(SEED, SEED + 8), TRANSACTIONS)

    check(engine, both)
    assert storm.committed > TRANSACTIONS


def test_processes(tables, models, database, mode):
    """So do four processes."""
    populate(tables, models)
    tables.dispose()
    url = database.url.render_as_string(hide_password=False)
    recorder = mode.pick("sessions", "triggers")
    done = subprocess.run(
        [sys.executable, "-m", "tests.storms", url, str(SEED), str(2 * TRANSACTIONS), recorder],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr
    check(tables, models)
    assert int(done.stdout) > TRANSACTIONS


def delete_object(session, models):
    """Delete it as an object."""
    session.delete(session.get(models.Article, 1))
    session.flush()


def delete_objects(session, models):
    """Delete it with others, one of which this transaction has written before."""
    articles = session.scalars(select(models.Article).order_by(models.Article.id)).all()
    articles[2].name = "before"
    session.flush()
    for article in (articles[0], articles[2], articles[3]):
        session.delete(article)
    session.flush()


def delete_by_key(session, models):
    """Delete it by its key."""
    session.execute(delete(models.Article).where(models.Article.id == 1))


def delete_by_name(session, models):
    """Delete it by something else."""
    session.execute(delete(models.Article).where(models.Article.name != "other"))


def delete_several(session, models):
    """Delete it with others, with several sets of parameters."""
    table = models.Article.__table__
    statement = delete(table).where(table.c.id == bindparam("key"))
    session.connection().execute(statement, [{"key": 1}, {"key": 4}])


def delete_several_by_name(session, models):
    """Do so by something else."""
    table = models.Article.__table__
    statement = delete(table).where(table.c.name == bindparam("given"))
    session.connection().execute(statement, [{"given": "0"}, {"given": "again"}])


DELETIONS = [
    delete_object,
    delete_objects,
    delete_by_key,
    delete_by_name,
    delete_several,
    delete_several_by_name,
]
#: All where a statement sees what others have committed meanwhile; elsewhere one of them will do.
DELETIONS_AT_LEVELS = [
    *[("READ COMMITTED", remove) for remove in DELETIONS],
    ("REPEATABLE READ", delete_by_name),
    ("SERIALIZABLE", delete_by_name),
]


@pytest.fixture
def unlinked(tables, models):
    """The articles, without links."""
    populate(tables, models)
    with Session(tables) as session:
        session.execute(delete(models.article_tag))
        session.commit()


@servers
@pytest.mark.strategies
@pytest.mark.parametrize(("level", "remove"), DELETIONS_AT_LEVELS)
def test_deletion_of_what_comes_back(tables, models, unlinked, level, remove):
    """A deletion that waits for a row to be deleted and added again deletes nothing unrecorded."""
    engine = tables.execution_options(isolation_level=level)

    def wait():
        with Session(engine) as session, contextlib.suppress(*CONFLICTS):
            remove(session, models)
            session.commit()

    with Session(engine) as first:
        first.delete(first.get(models.Article, 1))
        first.flush()
        first.add(models.Article(id=1, name="again"))
        first.flush()
        with waiting(wait, seconds=0.15):
            first.commit()

    check(tables, models)


@servers
@pytest.mark.strategies
@pytest.mark.parametrize("remove", DELETIONS)
def test_deletion_of_what_comes_later(tables, models, unlinked, remove):
    """Nor does one before which another transaction adds the row that was gone."""
    engine = tables.execution_options(isolation_level="READ COMMITTED")
    done = []

    def interfere(connection, cursor, statement, *others):
        if statement.startswith("DELETE FROM article ") and not done:
            done.append(statement)
            with Session(engine) as other:
                other.add(models.Article(id=1, name="again"))
                other.commit()

    with Session(engine) as session:
        articles = [session.get(models.Article, 1)]
        with Session(engine) as other:
            other.execute(delete(models.Article).where(models.Article.id == 1))
            other.commit()
        event.listen(engine, "before_cursor_execute", interfere)
        with contextlib.suppress(*CONFLICTS):
            remove(session, models)
            session.commit()

    assert done
    assert len(articles) == 1
    check(tables, models)


@pytest.mark.needs("deadlocks_end_all")
@pytest.mark.strategies
def test_deadlock_in_savepoint(tables, models, unlinked, versioning):
    """What is recorded after a database has rolled back more than a savepoint is complete."""
    both = threading.Barrier(2, timeout=20)

    def rename(session, key, name):
        session.execute(update(models.Article).where(models.Article.id == key).values(name=name))

    def hinder():
        with Session(tables) as other:
            for key in (2, 3, 4, 5):
                rename(other, key, "o")
            both.wait()
            rename(other, 1, "o")
            other.commit()

    other = threading.Thread(target=hinder)
    with Session(tables) as session:
        versioning.unit_of_work(session).create_transaction(remote_addr="10.0.0.1")
        rename(session, 1, "a")
        other.start()
        both.wait()
        with pytest.raises(DBAPIError), session.begin_nested():
            rename(session, 2, "a")
        other.join()
        session.get(models.Article, 3).name = "after"
        session.commit()

    check(tables, models)
    with Session(tables) as session:
        version = session.get(models.Article, 3).versions[-1]
        assert (version.name, version.transaction.remote_addr) == ("after", "10.0.0.1")
        assert session.get(models.Article, 1).versions[-1].name == "o"
