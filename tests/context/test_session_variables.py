"""Session variables: what one transaction says of itself."""

from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Column, String, Text, Uuid, func, insert, inspect, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session, scoped_session

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    InvalidArgument,
    InvalidArgumentType,
    MissingSessionVariable,
    make_versioned,
    paused,
    session_variables,
    session_variables_statement,
    set_session_variables,
    transaction_class,
    transaction_context,
    version_class,
    versioning_manager,
)
from sqlalchemy_versioned.maintenance import baseline, verify
from tests.context.test_transaction_values import declare

pytestmark = pytest.mark.options(
    session_variables=[Column("username", Text), Column("app_uuid", Uuid)]
)
REQUIRED = pytest.mark.options(session_variables=[Column("username", String(50), nullable=False)])


@pytest.fixture
def Article(Base):
    """A versioned class."""
    return declare(Base)


@pytest.fixture
def opened(open_session, Base, Article):
    """A session on its tables."""
    return open_session(Base)


def said(session, Article):
    """Return what transactions say, in order."""
    cls = transaction_class(Article)
    return session.scalars(select(cls.username).order_by(cls.id)).all()


@pytest.mark.strategies("validity", "subquery")
def test_they_hold_for_a_transaction(opened, Article):
    """The transaction keeps them, and the next has none."""
    for scoped in (opened, scoped_session(lambda: opened)):
        set_session_variables(scoped, username="O'Brien", app_uuid=UUID(int=5))
        article = Article(name="a")
        opened.add(article)
        opened.commit()
        transaction = article.versions[0].transaction
        assert (transaction.username, transaction.app_uuid) == ("O'Brien", UUID(int=5))
        opened.add(Article(name="b"))
        opened.commit()
    assert said(opened, Article) == ["O'Brien", None, "O'Brien", None]


@pytest.mark.options(strategy="append")
def test_they_hold_for_a_block(opened, Article):
    """What is written inside has them; then what was said before is in force again."""
    set_session_variables(opened, username="a")
    opened.execute(insert(Article).values(name="1"))
    with session_variables(opened, username="b", app_uuid=UUID(int=5)):
        opened.execute(insert(Article).values(name="2"))
        with session_variables(opened.connection(), username="c"):
            opened.execute(insert(Article).values(name="3"))
        opened.add(Article(name="4"))
    opened.add(Article(name="5"))
    opened.commit()
    with session_variables(opened, username="d"):
        opened.add(Article(name="6"))
        opened.commit()
        opened.execute(insert(Article).values(name="7"))

    cls = version_class(Article)
    rows = opened.execute(select(cls.name, cls.username, cls.app_uuid).order_by(cls.name)).all()

    told = {name: (username, bool(app_uuid)) for name, username, app_uuid in rows}
    assert told == {
        "1": ("a", False),
        "2": ("b", True),
        "3": ("c", True),
        "4": ("b", True),
        "5": ("a", False),
        "6": ("d", False),
        "7": (None, False),
    }


def test_a_block_does_not_hide_errors(opened, engine):
    """A transaction that can only be rolled back is told nothing more."""
    with (
        engine.connect() as connection,
        pytest.raises(DBAPIError, match="nothing_there"),
        session_variables(connection, username="a"),
    ):
        connection.execute(select(func.nothing_there()))


@pytest.mark.needs("settings")
def test_a_block_sets_what_triggers_read(opened, engine):
    """Settings of the transaction are put back as well."""
    setting = select(func.current_setting("audit.username", True))
    with engine.connect() as connection:
        set_session_variables(connection, username="a")
        with session_variables(connection, username="b"):
            assert connection.scalar(setting) == "b"
        assert connection.scalar(setting) == "a"


def test_they_go_with_what_is_rolled_back(opened, Article, engine):
    """They are gone with their transaction, and with a savepoint that was set before."""
    set_session_variables(opened, username="a")
    opened.rollback()
    with transaction_context(username="context"):
        opened.add(Article())
        opened.commit()
        set_session_variables(opened, username="b")
        with opened.begin_nested() as savepoint:
            set_session_variables(opened, username="c")
            opened.begin_nested()
            set_session_variables(opened, username="d", app_uuid=None)
            savepoint.rollback()
        opened.add(Article())
        opened.commit()
        with opened.begin_nested() as savepoint:
            set_session_variables(opened, username="e")
            savepoint.rollback()
        opened.add(Article())
        opened.commit()
        with opened.begin_nested():
            set_session_variables(opened, username="f")
            with opened.begin_nested():
                set_session_variables(opened, username="g")
        opened.add(Article())
        opened.commit()
        set_session_variables(opened, username="h")
        set_session_variables(opened, username=None)
        opened.add(Article())
        opened.commit()
    assert said(opened, Article) == ["context", "b", "context", "g", "context"]


def test_connections(opened, Article, engine):
    """A connection that no session has says the same, and keeps nothing for who has it next."""
    versioning_manager.record_engine(engine)
    with engine.connect() as connection:
        set_session_variables(connection, username="a")
        connection.execute(insert(Article).values(name="a"))
        connection.commit()
        connection.execute(update(Article).values(name="b"))
        connection.commit()
        set_session_variables(connection, username="c")
    with engine.begin() as connection:
        connection.execute(update(Article).values(name="c"))
    assert said(opened, Article) == ["a", None, None]


@REQUIRED
@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("is_reused", [False, True])
def test_what_must_be_said(opened, Article, engine, mode, is_reused):
    """Without it, or if it is empty, nothing is written, on whatever connection."""
    engine.dispose()
    missing = mode.pick(MissingSessionVariable, IntegrityError)
    match = mode.pick("'username' is", r"username'? is ")
    if is_reused:
        set_session_variables(opened, username="a")
        opened.add(Article(name="a"))
        opened.commit()
    for values in ({}, {"username": None}, {"username": ""}):
        set_session_variables(opened, **values)
        with pytest.raises(IntegrityError, match=match):
            opened.execute(insert(Article).values(name="b"))
        opened.commit()
        set_session_variables(opened, **values)
        opened.add(Article(name="b"))
        with pytest.raises(missing, match=match):
            opened.commit()
        opened.rollback()
    assert len(opened.scalars(select(Article)).all()) == len(said(opened, Article)) == is_reused


@REQUIRED
@pytest.mark.strategies
def test_what_was_there_before(opened, Article):
    """Nobody has to say who wrote rows that were there already."""
    with paused(opened):
        opened.add(Article(name="a"))
        opened.commit()
    assert baseline(opened, Article) == 1
    opened.commit()
    assert verify(opened, Article) == []


@REQUIRED
def test_what_is_too_long(opened, Article):
    """It is refused, and nothing is cut."""
    set_session_variables(opened, username="x" * 51)
    with pytest.raises(InvalidArgument, match="51 characters"):
        opened.execute(insert(Article).values(name="a"))


@pytest.mark.options(session_variable_prefix="audit_")
def test_prefix(Article, opened):
    """The column may be called otherwise than the variable."""
    cls = transaction_class(Article)
    assert inspect(cls).attrs.username.columns[0].name == "audit_username"
    set_session_variables(opened, username="a")
    opened.add(Article())
    opened.commit()
    assert said(opened, Article) == ["a"]


@pytest.mark.needs("settings")
def test_settings(opened, Article, engine):
    """PostgreSQL has them as settings, word for word, until the transaction ends."""

    def read(name="audit.username"):
        return opened.scalar(select(func.current_setting(name, True)))

    assert read() is None
    hostile = "O'Brien'); DROP TABLE article; -- %s :x \\ 日本" + "x" * 2**20
    set_session_variables(opened, username=hostile)
    assert read() == hostile
    opened.rollback()
    assert not read()
    values = {"a": 1, "b": Decimal("1.50"), "c": UUID(int=1), "d": True, "e": None}
    opened.execute(session_variables_statement(**values))
    found = [read(f"audit.{name}") for name in values]
    assert found == ["1", "1.50", str(UUID(int=1)), "true", ""]


@pytest.mark.needs("settings")
@pytest.mark.options(native=False)
def test_settings_of_another_namespace(opened, Article, engine):
    """What they begin with can be said at any time, as triggers do not know it yet."""
    make_versioned(session_variable_namespace="app")
    set_session_variables(opened, username="a")
    assert opened.scalar(select(func.current_setting("app.username"))) == "a"


def test_what_cannot_be_said(opened, engine):
    """Names and values that could not be read again are refused, before anything is sent."""
    for wrong in ({"a b": 1}, {"é": 1}, {"a.b": 1}, {"a": "\0"}, {"a": "\ud800"}):
        with pytest.raises(InvalidArgument):
            session_variables_statement(**wrong)
    with pytest.raises(InvalidArgumentType, match=r"'a' is \{\}"):
        set_session_variables(opened, a={})
    with pytest.raises(ImproperlyConfigured, match="is no session"):
        set_session_variables(5, a=1)
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection, pytest.raises(ImproperlyConfigured, match="by itself"):
        set_session_variables(connection, a=1)
    with pytest.raises(ImproperlyConfigured, match=r"give session\.connection"):
        set_session_variables(Session(), a=1)
