"""``article.versions``: what it answers, and what it asks the database for."""

import gc
import itertools
import pickle
import uuid
from datetime import date, datetime, timedelta, timezone

import pytest
from sqlalchemy import Integer, String, Uuid, select
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, selectinload
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy.schema import CreateSchema

from sqlalchemy_versioned import (
    ClassNotVersioned,
    InvalidArgumentType,
    VersioningError,
    count_versions,
    transaction_class,
    version_class,
    versions_of,
)

pytestmark = pytest.mark.strategies()


def write_articles(session, blog):
    """Write an article that is called a, b, c, d and e, and another."""
    article, other = (blog.Article(name=name, content="Some content") for name in ("a", "another"))
    session.add_all([article, other])
    session.commit()
    for name in "bcde":
        article.name = name
        session.commit()


@pytest.fixture
def article(session, blog, write):
    """An article with the versions a, b, c, d and e."""
    write(write_articles)
    article = session.get(blog.Article, 1)
    session.expire(article)
    return article


def names(versions):
    """Return the names of versions in one word."""
    return "".join(version.name for version in versions)


def test_oldest_comes_first(article):
    """Versions come in the order of their transactions."""
    assert names(article.versions) == "abcde"
    assert names(article.versions.all()) == "abcde"
    assert article.versions.first().name == "a"


@pytest.mark.parametrize("place", [0, 1, 4, -1, -2, -5])
def test_index_is_that_of_a_list(article, place):
    """An index, negative ones too, finds what it finds in a list."""
    assert article.versions[place] is article.versions.all()[place]


def test_narrowed_versions_are_not_pickled(article):
    """A statement cannot go along; the error tells what can."""
    with pytest.raises(InvalidArgumentType, match="pickle the list of its versions"):
        pickle.dumps(article.versions.filter_by(name="a"))


@pytest.mark.parametrize("place", [5, -6])
def test_index_out_of_range_is_refused(article, place):
    """The error tells how many versions there are."""
    with pytest.raises(IndexError, match=f"no version {place}; it has 5 versions"):
        article.versions[place]


def test_slice_is_that_of_a_list(article):
    """A slice gives the list that a list would give."""
    versions = article.versions.all()
    ends = (None, 0, 2, 5, 9, -1, -2, -3, -9)

    for place in itertools.starmap(slice, itertools.product(ends, ends, (None, 2, -1))):
        assert article.versions[place] == versions[place], place


def test_collection_is_a_sequence(article, session, blog):
    """What can be asked of a sequence can be asked of it."""
    versions = article.versions
    last = versions[-1]
    another = session.scalars(select(blog.Article).filter_by(name="another")).one()

    assert (len(versions), versions.count(), bool(versions)) == (5, 5, True)
    assert last in versions
    assert another.versions[0] not in versions
    assert article not in versions
    assert versions.index(last) == 4
    assert versions.count(last) == 1
    assert names(reversed(versions)) == "edcba"


@pytest.mark.strategies("validity", "subquery")
def test_length_is_counted_anew(article, session, blog):
    """The length is that of now, also while versions are gone through."""
    versions = article.versions
    for _ in versions:
        article.name += "x"
        session.flush()

        assert len(versions) == 6
    assert len(list(versions)) == 6


def test_other_indexes_are_refused(article):
    """Only whole numbers and slices of them are places."""
    for place in ("a", slice(1.5), slice("a", None), slice(None, None, 0.5)):
        with pytest.raises(InvalidArgumentType, match="is no place in <VersionCollection of Art"):
            article.versions[place]


def test_collection_can_be_narrowed(article, blog):
    """Filters, orders and options give collections again."""
    Version = version_class(blog.Article)
    versions = article.versions.filter(Version.name > "b")

    assert names(versions) == "cde"
    assert versions.count() == 3
    assert names(versions.order_by(Version.name.desc())[:2]) == "ed"
    assert versions.order_by(Version.name.desc())[-1].name == "c"
    assert article.versions.filter_by(name="d")[-1].name == "d"
    assert article.versions.filter_by(name="x").first() is None
    assert not article.versions.filter_by(name="x")


def test_options_are_obeyed(article, blog, session, engine, count_statements):
    """A loader option loads what it says along with the versions."""
    Version = version_class(blog.Article)
    versions = article.versions.options(selectinload(Version.transaction))
    session.expire_all()

    with count_statements(engine) as statements:
        ids = [version.transaction.id for version in versions]

    assert len(set(ids)) == 5
    assert statements.on("article_version").count <= 2
    assert versions.count() == 5


def test_statement_can_be_refined(article, session):
    """select() is an ordinary statement."""
    statement = article.versions.select().limit(2)

    assert names(session.scalars(statement)) == "ab"


def test_moment_can_be_given_in_three_ways(article, session, blog):
    """at() takes a transaction, its id or a moment."""
    version = article.versions[2]
    transaction = version.transaction

    for when in (transaction, transaction.id, transaction.issued_at):
        assert article.versions.at(when) is version
    assert article.versions.at(0) is None
    assert article.versions.at(10**6).name == "e"
    assert article.versions.at(datetime(2000, 1, 1, tzinfo=timezone.utc)) is None
    zone = timezone(timedelta(hours=9))
    assert article.versions.at(transaction.issued_at.astimezone(zone)) is version


@pytest.mark.parametrize("when", [datetime(2030, 1, 1), True, "yesterday", None])
def test_unclear_moment_is_refused(article, when):
    """A datetime without a zone is no moment, and neither is a text."""
    with pytest.raises(VersioningError, match="no point in history"):
        article.versions.at(when)


def test_moments_of_no_transaction(article):
    """A Transaction that was never stored is refused; a number beyond all is after everything."""
    with pytest.raises(VersioningError, match="no point in history; give a Transaction that is in"):
        article.versions.at(transaction_class(article)())
    assert article.versions.at(2**70) is article.versions[-1]
    assert article.versions.at(-(2**70)) is None


def test_deletion_is_the_last_version(article, session, blog):
    """A deleted object answers until its session lets go of it."""
    session.delete(article)
    session.flush()

    assert (article.versions.count(), article.versions[-1].operation_type) == (6, 2)


def test_transient_object_has_no_versions(blog, session):
    """What was never stored has no history, and no statement is needed to say so."""
    article = blog.Article(name="x")

    assert article.versions.all() == []
    assert article.versions[0:3] == []
    assert (len(article.versions), article.versions.at(1)) == (0, None)
    with pytest.raises(IndexError):
        article.versions[0]


def test_pending_object_is_flushed_first(blog, session):
    """Asking a pending object flushes it, as every query would."""
    article = blog.factories.Article(name="x")
    versions = article.versions

    assert names(versions) == "x"


def test_pending_object_without_autoflush_is_left_pending(blog, session):
    """Where nothing is flushed by itself, a pending object has no versions yet."""
    article = blog.factories.Article(name="x")
    with session.no_autoflush:
        assert article.versions.count() == 0
        assert article.versions.all() == []

    assert article in session.new


def test_changes_are_flushed_as_the_session_says(article, session):
    """The versions include unflushed changes exactly if queries do."""
    article.name = "f"
    with session.no_autoflush:
        assert article.versions[-1].name == "e"

    assert article.versions[-1].name == "f"


def test_detached_object_is_refused(article, session):
    """Without a session nothing can be read, which is no empty history."""
    session.expunge(article)

    for ask in (len, list, bool, count_versions, lambda versions: versions[0]):
        with pytest.raises(DetachedInstanceError, match="is in no session"):
            ask(article.versions if ask is not count_versions else article)


def test_only_objects_have_versions(article, blog):
    """A class has no history, and a version none of its own."""
    for wrong in (blog.Article, article.versions[0]):
        with pytest.raises(InvalidArgumentType, match="is no object of Article"):
            count_versions(wrong)


def test_collection_keeps_its_object(article, session, blog):
    """An object that nobody else holds answers all the same."""
    number = article.id
    del article
    session.expunge_all()
    gc.collect()

    assert session.get(blog.Article, number).versions[0].name == "a"


@pytest.mark.parametrize("key", [("x", 1), ("' OR 1=1 --", 2)])
def test_keys_of_any_kind_identify(Base, engine, key):
    """Keys of several columns, some of other names than their attributes, identify by value."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}

        code: Mapped[str] = mapped_column("the code", String(20), primary_key=True)
        number: Mapped[int] = mapped_column("_number", primary_key=True, autoincrement=False)
        uid: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
        day: Mapped[date] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        more = {"uid": uuid.uuid4(), "day": date(2020, 2, 29)}
        things = [
            Thing(code=code, number=number, name="a", **more)
            for code, number in [("x", 1), ("' OR 1=1 --", 2)]
        ]
        session.add_all(things)
        session.commit()
        thing = session.get(Thing, (*key, *more.values()))
        thing.name = "b"
        session.commit()

        assert (count_versions(thing), thing.versions[-1].name) == (2, "b")
        assert thing.versions[-1].previous is thing.versions[0]
        assert sum(count_versions(each) for each in things) == 3


@pytest.mark.needs("schemas")
def test_versions_in_a_schema(Base, engine):
    """Tables of one name in two schemas have versions of their own."""

    def declare(schema):
        body = {"__tablename__": "thing", "__versioned__": {}, "__table_args__": {"schema": schema}}
        body |= {"id": mapped_column(Integer, primary_key=True), "name": mapped_column(String(9))}
        return type(f"Thing{schema or ''}", (Base,), body)

    classes = declare(None), declare("one")
    configure_mappers()
    with engine.begin() as connection:
        connection.execute(CreateSchema("one"))
        Base.metadata.create_all(connection)
    with Session(engine) as session:
        here, there = (cls(id=1, name="a") for cls in classes)
        session.add_all([here, there])
        session.commit()
        there.name = "b"
        session.commit()

        assert (count_versions(here), count_versions(there)) == (1, 2)
        assert names(there.versions) == "ab"


def test_versions_cannot_be_assigned(article):
    """History is recorded, not set."""
    with pytest.raises(AttributeError, match="recorded by flushes"):
        article.versions = []


def test_class_attribute_joins(article, session, blog):
    """Article.versions is a relationship for statements."""
    statement = select(blog.Article.id).join(blog.Article.versions)

    assert session.scalars(statement).all().count(article.id) == 5


def test_unversioned_class_is_refused(blog, session):
    """The versions of an unversioned object cannot be asked for."""
    with pytest.raises(ClassNotVersioned):
        versions_of(blog.Category())


def test_each_question_is_one_statement(article, engine, count_statements):
    """Whatever is asked, one statement answers it."""
    questions = [
        *(len, bool, list, lambda v: list(reversed(v)), lambda v: v.at(10**6)),
        *(lambda v: v[-1], lambda v: v[2], lambda v: v[-3:], lambda v: v[1:3]),
    ]
    versions = article.versions

    with count_statements(engine) as statements:
        for ask in questions:
            ask(versions)

    assert statements.count == len(questions)


def test_last_version_reads_one_row(article, engine, count_statements):
    """The last version is found from the end of the primary key."""
    with count_statements(engine) as statements:
        _ = article.versions[-1]

    sql = " ".join(statements.on("article_version")[-1].statement.split())
    assert "ORDER BY article_version.transaction_id DESC" in sql
    assert "LIMIT" in sql


def test_count_of_versions(article, blog, session):
    """count_versions() counts the versions of one object; transient ones have none."""
    assert count_versions(article) == 5
    assert count_versions(blog.Article()) == 0


def test_counting_flushes_nothing(article, session):
    """count_versions() tells what is in the database."""
    article.name = "f"

    assert count_versions(article) == 5
    assert article in session.dirty
