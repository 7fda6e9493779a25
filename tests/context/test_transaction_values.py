"""Who and why, in the row of a transaction."""

import pickle
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Enum,
    Integer,
    Numeric,
    String,
    Text,
    Uuid,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import configure_mappers, mapped_column

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    InvalidArgument,
    InvalidArgumentType,
    MissingSessionVariable,
    Plugin,
    UnknownOption,
    flatten,
    get_changes,
    make_versioned,
    transaction_class,
    transaction_context,
    versioning_manager,
)
from sqlalchemy_versioned.plugins import TransactionMetaPlugin
from tests.models import build_base

REASON = Column("reason", String(200))
LONG = Column("long_text", Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"))


def declare(Base, name="Article", **body):
    """Declare a class with an id and a name, versioned unless told otherwise."""
    namespace = {
        "__tablename__": name.lower(),
        "__versioned__": {},
        "id": mapped_column(Integer, primary_key=True),
        "name": mapped_column(String(50)),
    }
    return type(name, (Base,), namespace | body)


@pytest.fixture
def User(Base):
    """A class of users."""
    return declare(Base, "User", __versioned__=None)


@pytest.fixture
def Article(Base, User):
    """A versioned class."""
    return declare(Base)


@pytest.fixture
def opened(open_session, Base, User, Article):
    """A session on the tables of both, with a user."""
    session = open_session(Base)
    session.add(User(id=7, name="Ann"))
    session.commit()
    return session


def write(session, Article, **context):
    """Write an article in a transaction of its own, and return the transaction."""
    with transaction_context(**context):
        article = Article(name="a")
        session.add(article)
        session.commit()
    return article.versions[-1].transaction


# -- users -------------------------------------------------------------------------------------


def test_user_as_an_object_or_a_key(opened, Article, User):
    """Both name the user; an expired object and one of another session are not read for it."""
    user = opened.get(User, 7)
    opened.expire(user)
    assert write(opened, Article, user=user).user is user
    assert write(opened, Article, user=7).user_id == 7
    opened.expunge(user)
    opened.expire_all()
    assert write(opened, Article, user=user).user_id == 7


def test_user_that_is_nobody(opened, Article):
    """None is NULL, whatever is said around, and 0 is somebody."""
    with transaction_context(user=7):
        assert write(opened, Article, user=None).user_id is None
    assert write(opened, Article, user=0).user_id == 0


def test_user_that_is_new(opened, Article, User):
    """One that the flush is to write first is known all the same."""
    user = User(name="Bob")
    opened.add(user)

    transaction = write(opened, Article, user=user)
    assert transaction.user_id == user.id is not None
    with pytest.raises(InvalidArgument, match="in no session"):
        write(opened, Article, user=User(name="Carl"))


@pytest.mark.parametrize("wrong", [(1, 2), {"id": 7}, object(), True, "x", [], "article"])
def test_user_that_is_none(opened, Article, wrong):
    """What cannot be the key of a user, and other objects, are refused with what is wanted."""
    wrong = Article(name="x") if wrong == "article" else wrong
    if wrong == {"id": 7}:
        assert write(opened, Article, user=wrong).user_id == 7
        return
    with pytest.raises((InvalidArgument, InvalidArgumentType), match=r"give|takes values of"):
        write(opened, Article, user=wrong)
    opened.rollback()
    assert opened.scalars(select(Article)).all() == []


def test_key_of_several_columns(Base, open_session):
    """It is given in the order of the key, by name, or as the object."""
    keys = {
        "tenant": mapped_column(String(9), primary_key=True),
        "id": mapped_column("number", Integer, primary_key=True, autoincrement=False),
    }
    User, Article = declare(Base, "User", __versioned__=None, **keys), declare(Base)
    session = open_session(Base)
    user = User(tenant="t", id=0)
    session.add(user)
    session.commit()

    for given in ((0, "t"), {"id": 0, "tenant": "t"}, user):
        transaction = write(session, Article, user=given)
        assert (transaction.user_tenant, transaction.user_id) == ("t", 0)
        assert transaction.user is user
    write(session, Article, user=(1, "t"))
    write(session, Article)
    for given in (user, (0, "t"), [user], [(0, "t"), (2, "t")]):
        found = get_changes(Article, session, user_ids=given)
        assert [record.user_id for record in found] == [(0, "t")] * 3
        assert "user_tenant" not in found[0].context
    found = get_changes(Article, session, user_ids=[None, (1, "t")])
    assert [record.user_id for record in found] == [None, (1, "t")]
    with pytest.raises(InvalidArgumentType, match="has 2 columns"):
        get_changes(Article, session, user_ids=[1])
    with pytest.raises(InvalidArgumentType, match="primary key: id, tenant"):
        write(session, Article, user="t")


def test_uuid_of_a_user_of_another_base(versioning, open_session):
    """A UUID is taken as such or as text; the class need not share a base with the models."""
    One, Two = build_base(), build_base()
    User = declare(Two, "Person", __versioned__=None, id=mapped_column(Uuid, primary_key=True))
    Article = declare(One)
    versioning.user_cls = User
    open_session(Two)
    session = open_session(One)
    key = uuid4()

    for given in (key, str(key), User(id=key)):
        assert write(session, Article, user=given).user_id == key


def test_order_of_who_knows(versioning, opened, Article):
    """The context comes first, then what was given to make_versioned(), then plugins."""

    class Web(Plugin):
        def transaction_args(self, uow, session):
            return {"user_id": 3, "remote_addr": "::1"}

    transaction = write(opened, Article)
    assert transaction.user_id is None
    versioning.plugins.append(Web())
    assert write(opened, Article).user_id == 3
    answers = [None, 2, 2]
    make_versioned(current_user=lambda: answers.pop())
    assert write(opened, Article).user_id == 2
    transaction = write(opened, Article, user=1)
    assert (transaction.user_id, transaction.remote_addr) == (1, "::1")
    assert write(opened, Article, remote_addr="::2").remote_addr == "::2"
    assert write(opened, Article).user_id == 3


def test_what_is_given_wins(versioning, opened, Article):
    """What create_transaction() is given is what was meant."""
    with transaction_context(user=7, remote_addr="::1"):
        unit = versioning.unit_of_work(opened)
        made = unit.create_transaction(user=None, remote_addr="::2")
        opened.commit()
    assert (made.user_id, made.remote_addr) == (None, "::2")


def test_current_user_that_is_no_function(versioning, opened, Article):
    """What cannot be called, or must be awaited, is refused."""

    async def wait():
        return 7

    for wrong in (7, wait):
        with pytest.raises(ImproperlyConfigured, match="give a function without arguments"):
            make_versioned(current_user=wrong)
    make_versioned(current_user=lambda: wait())
    with pytest.raises(InvalidArgumentType, match="which nobody awaits"):
        write(opened, Article)


@pytest.mark.options(current_user=lambda: 7, user_cls=None)
def test_current_user_without_a_place(Article):
    """A user who could not be kept is refused when mappers are configured."""
    with pytest.raises(ImproperlyConfigured, match="no place for users"):
        configure_mappers()


@pytest.mark.options(user_cls=None, transaction_columns=[Column("user_id", String(20))])
def test_user_without_a_class(open_session, Base):
    """A column of that name keeps the key."""
    User, Article = declare(Base, "User", __versioned__=None), declare(Base)
    session = open_session(Base)
    user = User(name="Ann")
    session.add(user)
    session.commit()

    assert write(session, Article, user="ann@example").user_id == "ann@example"
    assert write(session, Article, user=user).user_id == str(user.id)


# -- columns -----------------------------------------------------------------------------------

COLUMNS = [
    REASON,
    Column("ticket", Integer),
    Column("token", Uuid),
    Column("day", Date),
    Column("more", JSON),
    Column("long_text", Text),
]


@pytest.mark.options(transaction_columns=COLUMNS)
@pytest.mark.strategies
def test_columns_of_transactions(opened, Article):
    """They keep what is said by their names, as their types have it."""
    token, more = uuid4(), {"a": [1, None]}
    transaction = write(
        opened, Article, reason="typo", ticket=5, token=token, day=date(2026, 1, 2), more=more
    )
    found = [getattr(transaction, c.key) for c in COLUMNS]
    assert found == ["typo", 5, token, date(2026, 1, 2), more, None]
    transaction = write(opened, Article, reason=UUID(int=5), ticket="6", day="2026-01-02")
    assert transaction.reason == str(UUID(int=5))
    assert (transaction.ticket, transaction.day) == (6, date(2026, 1, 2))


@pytest.mark.options(transaction_columns=[LONG, REASON])
def test_hostile_values(opened, Article):
    """Quotes, other alphabets and a megabyte are stored as they are."""
    for value in ("O'Brien", "'); DROP TABLE article; --", "%s :x {0}", "日本 🎈", "x" * 2**20):
        assert write(opened, Article, long_text=value).long_text == value
    for value in ("x" * 201, "a\ud800", object(), b"x", ["x"]):
        with pytest.raises((InvalidArgument, InvalidArgumentType), match="reason"):
            write(opened, Article, reason=value)
        opened.rollback()
    assert len(opened.scalars(select(Article)).all()) == 5


@pytest.mark.options(
    transaction_columns=[
        Column("number", Integer),
        Column("day", Date),
        Column("price", Numeric(10, 2)),
        Column("is_test", Boolean),
        Column("kind", Enum("a", "b", name="kind_of_change")),
        Column("more", JSON),
    ]
)
def test_values_of_the_wrong_kind(opened, Article):
    """A statement is refused before it is executed, whatever the type of the column."""
    wrong = [
        *[("number", each) for each in (2**70, True, "x", 1.5)],
        *[("day", each) for each in ("yesterday", 5)],
        *[("price", each) for each in ("cheap", True, [])],
        *[("is_test", each) for each in ("yes", 1)],
        *[("kind", each) for each in ("c", 5)],
        ("more", object()),
    ]
    for name, value in wrong:
        with (
            transaction_context(**{name: value}),
            pytest.raises((InvalidArgument, InvalidArgumentType), match=name),
        ):
            opened.execute(insert(Article).values(name="a"))
        opened.commit()
    assert opened.scalars(select(Article)).all() == []
    transaction = write(opened, Article, number="5", price="1.50", is_test="true", kind="b")
    found = (transaction.number, transaction.price, transaction.is_test, transaction.kind)
    assert found == (5, Decimal("1.50"), True, "b")


@pytest.mark.options(transaction_columns=[REASON])
def test_nul(opened, Article, engine):
    """It is stored where the database can, and refused where not."""
    if engine.dialect.name == "postgresql":
        with pytest.raises(InvalidArgument, match="has a NUL"):
            write(opened, Article, reason="a\0b")
    else:
        assert write(opened, Article, reason="a\0b").reason == "a\0b"


def test_what_has_no_place(opened, Article, engine):
    """It is refused before anything is written, with where to put it; None needs no place."""
    for statement in (insert(Article).values(name="b"), update(Article).values(name="b")):
        with (
            transaction_context(reason="typo"),
            pytest.raises(InvalidArgument, match=r"Column\('reason', …\)\], or the plugin"),
        ):
            opened.execute(statement)
        opened.commit()
    with pytest.raises(InvalidArgument, match="numbered by the database"):
        write(opened, Article, id=5)
    opened.rollback()
    with engine.connect() as connection, transaction_context(reason="typo"):
        with pytest.raises(InvalidArgument, match="no place"):
            connection.execute(insert(Article).values(name="b"))
        connection.commit()
    assert opened.scalars(select(Article)).all() == []
    assert write(opened, Article, reason=None, impersonated_by=None).user_id is None


def test_nothing_versioned_is_written(opened, User):
    """Then nobody asks whether what is said has a place."""
    with transaction_context(reason="typo"):
        opened.add(User(name="Bob"))
        opened.commit()


@pytest.mark.options(transaction_columns=[REASON])
@pytest.mark.strategies("validity", "subquery")
def test_transaction_meta_takes_the_rest(Base, open_session, engine, count_statements):
    """What there is no column for is kept there, however the transaction begins."""
    versioning_manager.plugins = [TransactionMetaPlugin()]
    Article = declare(Base)
    session = open_session(Base)
    said = {"user": 7, "ticket": "T-1", "day": date(2026, 1, 2), "is_test": True, "none": None}
    transaction = write(session, Article, reason="typo", **said)
    meta = {"user": "7", "ticket": "T-1", "day": "2026-01-02", "is_test": "true"}
    assert (transaction.reason, transaction.meta) == ("typo", meta)
    with transaction_context(ticket="T-2"):
        article = session.scalars(select(Article)).one()
        article.name = "b"
        session.flush()
        article.name = "a"
        session.commit()
        session.execute(insert(Article).values(name="c"))
        made = versioning_manager.unit_of_work(session).create_transaction()
        session.commit()
    assert made.meta == {"ticket": "T-2"}
    cls = transaction_class(Article)
    assert session.scalar(text("SELECT count(*) FROM transaction_meta")) == 6
    assert [dict(t.meta) for t in session.scalars(select(cls).order_by(cls.id))] == [
        meta,
        {"ticket": "T-2"},
        {"ticket": "T-2"},
    ]
    with count_statements(engine) as statements:
        records = get_changes(Article, session, descending=False)
    assert len(statements) == 2
    assert [(r.reason, r.impersonated_by, r.context.get("ticket")) for r in records] == [
        ("typo", None, "T-1"),
        (None, None, "T-2"),
    ]
    with pytest.raises(InvalidArgumentType, match=r"'more' is \{\}"):
        write(session, Article, more={})


@pytest.mark.options(transaction_columns=[REASON, Column("impersonated_by", Integer)])
def test_change_records(opened, Article, User):
    """They tell who, why, and who acted for them; these may be given as objects, too."""
    with pytest.raises(InvalidArgument, match=r"primary key is \(None,\)"):
        write(opened, Article, impersonated_by=User(name="Bob"))
    opened.rollback()
    write(opened, Article, user=7, reason="typo", impersonated_by=opened.get(User, 7))
    (record,) = get_changes(Article, opened, user_ids=[7])
    for told in (record, *flatten([record])):
        assert (told.user_id, told.reason, told.impersonated_by) == (7, "typo", 7)
    assert record.to_dict()["context"] == {
        "remote_addr": None,
        "reason": "typo",
        "impersonated_by": 7,
    }


@pytest.mark.options(transaction_columns=[REASON])
def test_context_adds_no_statement(opened, Article, engine, count_statements):
    """A commit of one object sends the same statements with and without a context."""
    counts = []
    # With the first object it is looked up that there are triggers, where they record.
    for context in ({}, {}, {"user": 7, "reason": "typo"}):
        with transaction_context(**context), count_statements(engine) as statements:
            opened.add(Article(name="a"))
            opened.commit()
        counts.append(len(statements))
    assert counts[1] == counts[2]


@pytest.mark.options(transaction_columns=[Column("reason", String(200), nullable=False)])
def test_a_column_that_must_have_a_value(opened, Article, mode):
    """Nothing is written without it, by whatever way; the empty string is a value."""
    assert write(opened, Article, reason="").reason == ""
    missing = mode.pick(MissingSessionVariable, IntegrityError)
    by_triggers = "'reason' is not said|null value in column \"reason\""
    match = mode.pick("'reason' is not said", by_triggers)
    for statement in (insert(Article).values(name="b"), update(Article).values(name="b")):
        with pytest.raises(missing, match=match):
            opened.execute(statement)
        opened.commit()
    with pytest.raises(IntegrityError, match=match):
        write(opened, Article)
    opened.rollback()
    assert opened.scalars(select(Article.name)).all() == ["a"]


def test_the_error_can_be_sent():
    """It is pickled with what it says."""
    error = MissingSessionVariable("'reason' is not said")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# -- declaration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transaction_columns": ["reason"]}, "columns that have a name"),
        ({"transaction_columns": [Column(String)]}, "that have a name"),
        ({"transaction_columns": [Column("x", Integer, primary_key=True)]}, "no primary key"),
        ({"transaction_columns": [REASON, REASON]}, "'reason' more than once"),
        ({"transaction_columns": [REASON], "session_variables": [REASON]}, "in one of them"),
        ({"transaction_columns": [Column("issued_at", Integer)]}, "have 'issued_at' already"),
        ({"session_variables": [Column("entity_names", Integer)]}, "'entity_names' already"),
        ({"session_variable_prefix": "a b"}, "give a word"),
        ({"session_variable_namespace": ""}, "give a word"),
    ],
)
def test_columns_that_cannot_be(Base, Article, options, message):
    """They are refused when mappers are configured, and leave no table."""
    make_versioned(**options)
    with pytest.raises(ImproperlyConfigured, match=message):
        configure_mappers()
    assert "transaction" not in Base.metadata.tables


@pytest.mark.parametrize("name", ["transaction_columns", "session_variables"])
def test_columns_of_a_class(Base, name):
    """A class cannot have what all classes share."""
    Article = declare(Base, __versioned__={name: [REASON]})
    with pytest.raises(ImproperlyConfigured, match=rf"{Article.__name__}.*make_versioned\(\)"):
        configure_mappers()


@pytest.mark.options(transaction_columns=[REASON])
def test_transaction_class_of_ones_own(Base, Article, versioning):
    """It must have the columns that are asked for."""
    versioning.transaction_cls = declare(Base, "Revision", __versioned__=None)
    with pytest.raises(ImproperlyConfigured, match="Revision has none; declare it there"):
        configure_mappers()


@pytest.mark.options(strategy="append", session_variables=[REASON])
def test_variables_of_versions_that_have_none(Base):
    """What transactions do not keep, and neither the versions of a class, is refused."""
    Article = declare(Base, __versioned__={"strategy": "validity"})
    with pytest.raises(ImproperlyConfigured, match=rf"{Article.__name__}.*'validity'.*'append'"):
        configure_mappers()


def test_columns_that_are_asked_for_too_late(Article):
    """When there are transactions, they get no more columns; so nothing is taken for kept."""
    configure_mappers()
    with pytest.raises(ImproperlyConfigured, match="say it before mappers are configured"):
        make_versioned(session_variables=[REASON])


def test_misspelt_option(versioning):
    """It is refused, with the known ones."""
    with pytest.raises(UnknownOption, match=r"session_variables, .*transaction_columns, "):
        make_versioned(transaction_column=[REASON])


def test_default_table_is_as_ever(Base):
    """Without options there is no column that other libraries' databases lack."""
    Article = declare(Base)
    configure_mappers()
    assert list(transaction_class(Article).__table__.c.keys()) == ["id", "issued_at", "remote_addr"]
