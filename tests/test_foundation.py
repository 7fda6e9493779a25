"""What the fixtures promise to the other tests."""

import asyncio
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event, func, inspect, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from tests.databases import UnknownDatabase, has_capabilities, select_databases
from tests.leftovers import list_listeners
from tests.models import Models, build_base, build_blog

POSTGRESQL_URL = "VERSIONED_TEST_POSTGRESQL_URL"


@pytest.fixture
def models():
    """The blog, unversioned, so that this module tests nothing but the fixtures."""
    return build_blog(build_base())


def test_every_test_module_is_collected(pytestconfig):
    """No directory of tests has a name that pytest passes over."""
    here = Path(__file__).parent
    names = {part for path in here.rglob("test_*.py") for part in path.relative_to(here).parts}

    patterns = pytestconfig.getini("norecursedirs")

    assert [name for name in names if any(fnmatch(name, each) for each in patterns)] == []


def test_default_databases_need_no_server():
    """Without any setting the suite runs on SQLite and the embedded server."""
    assert select_databases({}) == ["sqlite", "embedded"]


def test_a_url_adds_a_database():
    """Giving the URL of a server is enough to run on it as well."""
    names = select_databases({POSTGRESQL_URL: "postgresql://somewhere"})

    assert names == ["sqlite", "embedded", "postgresql"]


def test_databases_can_be_selected():
    """A list of names restricts the databases and sets their order."""
    assert select_databases({"VERSIONED_TEST_DATABASES": "embedded, sqlite"}) == [
        "embedded",
        "sqlite",
    ]


def test_selecting_a_server_without_url_is_refused():
    """A database that cannot be had is an error, not a silent omission."""
    with pytest.raises(UnknownDatabase, match=POSTGRESQL_URL):
        select_databases({"VERSIONED_TEST_DATABASES": "postgresql"})


def test_unknown_capability_is_refused():
    """A misspelt capability does not deselect everything."""
    with pytest.raises(UnknownDatabase, match="known ones: arrays"):
        has_capabilities("sqlite", ["aray"])


@pytest.mark.needs("schemas", "arrays")
def test_databases_without_a_capability_are_deselected(database):
    """A test marked with needs runs only where all of them are met."""
    assert database.has("schemas", "arrays")
    assert database.name != "sqlite"


def test_each_process_has_its_own_database(database):
    """Workers and runs can use one server at the same time."""
    assert database.url.database.rpartition("/")[2].startswith(("versioned_test_", "test.db"))


def test_database_is_empty(engine):
    """A test finds no table of an earlier one."""
    assert inspect(engine).get_table_names() == []


def test_wiping_ends_what_is_left_open(database, engine):
    """A connection that a test forgot does not keep its tables alive."""
    forgotten = engine.connect()
    Table("leftover", MetaData(), Column("id", Integer)).create(forgotten)
    forgotten.commit()

    database.wipe()

    forgotten.invalidate()
    assert inspect(forgotten).get_table_names() == []
    forgotten.close()


@pytest.mark.needs("savepoints")
def test_savepoints_roll_back(session, models):
    """Only what happened inside a rolled-back savepoint is undone."""
    models.factories.Tag(name="kept")
    session.flush()
    with session.begin_nested() as savepoint:
        models.factories.Tag(name="undone")
        session.flush()
        savepoint.rollback()

    assert session.scalars(select(models.Tag.name)).all() == ["kept"]


def test_transactions_are_real(session, models, engine):
    """What is not committed is not seen by another session."""
    models.factories.Tag()
    session.flush()

    with Session(engine) as other:
        assert other.scalar(select(func.count(models.Tag.id))) == 0


@pytest.mark.needs("async")
def test_async_engine_uses_the_same_database(database, session, models):
    """The asynchronous engine sees what the synchronous one committed."""
    models.factories.Tag(name="seen")
    session.commit()

    async def read():
        engine = database.create_async_engine()
        async with engine.connect() as connection:
            names = (await connection.scalars(select(models.Tag.name))).all()
        await engine.dispose()
        return names

    assert asyncio.run(read()) == ["seen"]


def test_blog_factories_fill_in_what_is_missing(session, models):
    """A factory needs only the values a test is about."""
    article = models.factories.Article(author=models.factories.Author(), comments=[])
    models.factories.Comment(article=article)
    models.factories.Article(name="x", tags=[models.factories.Tag()])

    session.commit()

    assert article.name == "Article 0"
    assert article.description == "No description"
    assert [comment.content for comment in article.comments] == ["Comment 0"]


def test_factory_can_be_made_for_any_class(session, models, make_factory):
    """A model without a declared factory gets one where it is needed."""
    categories = make_factory(models.Category, name="c")

    session.flush()

    assert [categories().name, categories(name="d").name] == ["c", "d"]


def test_factory_without_declarations():
    """Every class given to Models has a factory, also where nothing is declared for it."""
    Base = build_base()

    class Thing(Base):
        __tablename__ = "thing"
        id: Mapped[int] = mapped_column(primary_key=True)

    models = Models(Base, Thing)
    models.factories.session = Session()

    assert models.factories.Thing(id=1).id == 1


def test_statements_are_counted_by_table(session, models, engine, count_statements):
    """Recorded statements can be told apart by the table they name."""
    models.factories.Tag.create_batch(2)
    with count_statements(engine) as statements, session.begin_nested():
        session.flush()
        session.execute(text("SELECT count(*) FROM article_tag"))

    assert statements.count == len(statements)
    assert statements.on("tag").starting("INSERT").count >= 1
    assert statements.on("article_tag").count == 1


def test_listeners_left_behind_are_noticed():
    """The check after each test sees a listener on every session of the process."""

    def listener(session):
        """Do nothing."""

    before = list_listeners()
    event.listen(Session, "after_commit", listener)
    left = list_listeners() - before
    event.remove(Session, "after_commit", listener)

    assert [(target, name) for target, name, *_ in left] == [("Session", "after_commit")]
    assert list_listeners() == before


def test_importing_the_fixtures_does_not_import_the_library():
    """The fixtures import the library only for the tests that need it."""
    code = "import sys, tests.conftest; sys.exit('sqlalchemy_versioned' in sys.modules)"

    ran = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False)

    assert ran.returncode == 0
