"""Added columns, several databases: what a recording does beyond images of rows."""

from contextlib import suppress

import pytest
from sqlalchemy import Boolean, Column, create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import transaction_class, version_class
from sqlalchemy_versioned.hooks import Plugin
from tests.models import build_base


class Flags(Plugin):
    """Adds a column to version tables that tells whether the name was set."""

    def after_build_version_table_columns(self, table_builder, columns):
        """Add a flag for the name."""
        if "name" in table_builder.parent_table.c:
            flag = Column("name_mod", Boolean, nullable=False, default=False)
            columns.append(flag)

    def version_values(self, spec, state, operation):
        """Say that the name was set, if it was."""
        if "name" in state.mapper.attrs and state.attrs.name.history.has_changes():
            return {"name_mod": True}
        return {}


#: What the plugin does by itself, triggers cannot.
by_sessions = pytest.mark.options(native=False)


@pytest.fixture
def flagged(versioning, request):
    """The blog, with flags; tables and a session come after it."""
    versioning.plugins.append(Flags())
    return request.getfixturevalue("blog")


@pytest.fixture
def models(flagged):
    """The flagged blog."""
    return flagged


def flags(session, models):
    """Return the name and flag of each version, in order."""
    version = version_class(models.Article)
    statement = select(version.name, version.name_mod).order_by(version.transaction_id, version.id)
    return [tuple(row) for row in session.execute(statement)]


@by_sessions
def test_added_values_differ_by_object(session, models):
    """Each row gets the values of its own object; the others get the default."""
    one, two = models.factories.Article(name="a"), models.factories.Article(name="b")
    session.commit()
    one.name, two.content = "c", "new"
    session.commit()

    assert flags(session, models)[2:] == [("c", True), ("b", False)]


@by_sessions
def test_added_values_accumulate(session, models):
    """Over the flushes of one transaction, what was said of a row stays said."""
    article = models.factories.Article(name="a")
    session.commit()
    article.name = "b"
    session.flush()
    article.content = "new"
    session.commit()

    assert flags(session, models)[1:] == [("b", True)]


@by_sessions
def test_added_values_of_a_rolled_back_savepoint(session, models):
    """What was said in a savepoint goes with it."""
    article = models.factories.Article(name="a")
    session.commit()
    article.content = "new"
    session.flush()
    savepoint = session.begin_nested()
    article.name = "b"
    session.flush()
    savepoint.rollback()
    article.content = "newer"
    session.commit()

    assert flags(session, models)[1:] == [("a", False)]


@by_sessions
@pytest.mark.parametrize("size", [1, 200])
def test_added_values_cost_no_statements(session, models, database, tables, count_statements, size):
    """Rows that differ in their values are still written by one statement."""
    articles = models.factories.Article.create_batch(size)
    session.commit()
    # Once there is a look for rows without versions.
    articles[0].name = "a"
    session.commit()
    for article in articles[::2]:
        article.name = "b"
    for article in articles[1::2]:
        article.content = "c"
    with count_statements(tables) as statements:
        session.flush()

    # Where a look that writes locks others out, there are two apart.
    looks = 2 if database.has("locked_gaps") else 0
    assert statements.on("article_version").count <= 2 + looks


# -- several databases -------------------------------------------------------------------------


@pytest.fixture
def two(versioning, tmp_path):
    """Two models on bases and databases of their own, and a session on both."""
    bases = [build_base(), build_base()]

    class Here(bases[0]):
        __tablename__ = "here"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class There(bases[1]):
        __tablename__ = "there"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    engines = [create_engine(f"sqlite:///{tmp_path}/{n}.db") for n in (1, 2)]
    for base, engine in zip(bases, engines, strict=True):
        base.metadata.create_all(engine)
    with Session(binds=dict(zip(bases, engines, strict=True))) as session:
        yield Here, There, session, engines
    for base, engine in zip(bases, engines, strict=True):
        engine.dispose()
        base.registry.dispose(cascade=True)


def transactions_on(engine, cls):
    """Return the numbers of the transactions that a database knows."""
    table = transaction_class(cls).__table__
    with engine.connect() as connection:
        return list(connection.scalars(select(table.c.id).order_by(table.c.id)))


def versions_of(session, cls):
    """Return name and transaction of each version."""
    version = version_class(cls)
    statement = select(version.name, version.transaction_id).order_by(version.transaction_id)
    return [tuple(row) for row in session.execute(statement)]


def test_versions_beside_their_rows(two):
    """Each database holds its versions, and a transaction of the same number for them."""
    Here, There, session, engines = two
    session.add_all([Here(id=1, name="a"), There(id=1, name="b")])
    session.commit()

    ((_, number),) = versions_of(session, Here)
    assert versions_of(session, There) == [("b", number)]
    session.rollback()
    assert [transactions_on(engine, Here) for engine in engines] == [[number], [number]]


def test_second_database_later(two):
    """A database that is written in a later flush gets the transaction then."""
    Here, There, session, engines = two
    session.add(Here(id=1, name="a"))
    session.flush()
    session.add(There(id=1, name="b"))
    session.commit()

    assert transactions_on(engines[0], Here) == transactions_on(engines[1], There)


def test_second_database_gets_what_was_added(two, versioning):
    """The transaction is copied as it is stored by then, not as it was begun."""
    Here, There, session, engines = two
    session.add(Here(id=1, name="a"))
    session.flush()
    versioning.unit_of_work(session).current_transaction.remote_addr = "added"
    session.flush()
    session.add(There(id=1, name="b"))
    session.commit()

    with engines[1].connect() as connection:
        table = transaction_class(There).__table__
        assert connection.scalars(select(table.c.remote_addr)).all() == ["added"]


@pytest.mark.parametrize("depth", [1, 2])
def test_savepoint_around_the_first_write_of_a_database(two, depth):
    """A copy that is rolled back is made again, in whichever savepoint it was made."""
    Here, There, session, engines = two
    session.add(Here(id=1, name="a"))
    session.flush()
    savepoints = [session.begin_nested() for _ in range(depth)]
    session.add(There(id=1, name="b"))
    for savepoint in reversed(savepoints[1:]):
        savepoint.commit()
    session.flush()
    savepoints[0].rollback()
    session.add(There(id=2, name="c"))
    session.commit()

    assert transactions_on(engines[0], Here) == transactions_on(engines[1], There)


def test_rollback_on_both_sides(two):
    """A rollback leaves nothing in either database, and the next transaction is whole."""
    Here, There, session, engines = two
    session.add_all([Here(id=1, name="a"), There(id=1, name="b")])
    session.flush()
    session.rollback()
    session.add(There(id=1, name="c"))
    session.commit()

    assert versions_of(session, Here) == []
    ((name, number),) = versions_of(session, There)
    session.rollback()
    assert name == "c"
    assert number in transactions_on(engines[1], There)


@by_sessions
def test_version_of_the_number_that_a_transaction_gets(session, models):
    """What is there under the number of the transaction stays; the change fails or has another."""
    article = models.factories.Article(name="a")
    session.commit()
    versions = version_class(models.Article).__table__
    first = session.execute(select(versions)).mappings().one()
    lost = {**first, "name": "lost", "transaction_id": first["transaction_id"] + 1}
    session.execute(versions.insert(), lost)
    session.execute(versions.update().values(end_transaction_id=None))
    session.commit()
    article.name = "b"
    with suppress(IntegrityError):
        session.commit()
    session.rollback()

    names = session.scalars(select(versions.c.name).order_by(versions.c.transaction_id)).all()
    assert names[:2] == ["a", "lost"]
    assert ("b" in names) == (article.name == "b")
