"""Change records: what they say, which are found, how they are dumped, and what is refused."""

import json
import math
import pickle
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    ForeignKey,
    Integer,
    LargeBinary,
    Numeric,
    StaticPool,
    String,
    create_engine,
    insert,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy.types import TypeDecorator

from sqlalchemy_versioned import (
    ChangeRecord,
    ClassNotVersioned,
    FieldChange,
    ImproperlyConfigured,
    InvalidArgumentType,
    Operation,
    TransactionBase,
    TransactionFactory,
    VersioningError,
    as_of,
    blame,
    deleted,
    flatten,
    get_changes,
    select_changes,
    transaction_class,
    version_class,
)
from sqlalchemy_versioned.changes.plain import plain_value
from sqlalchemy_versioned.database.sessions import opened_session
from sqlalchemy_versioned.model.lookup import spec_of
from tests.models import Models, build_base

NOW = datetime.now(timezone.utc)


def told(record):
    """Return what a record says of fields, without the key."""
    return {c.field: (c.old, c.new) for c in record.changes if c.field != "id"}


def operations(records):
    """Return the letters of the operations of records."""
    return "".join(record.operation.code for record in records)


def numbers_of(session, cls):
    """Return the transactions there are, oldest first."""
    Transaction = transaction_class(cls)
    return list(session.scalars(select(Transaction).order_by(Transaction.id)))


@pytest.fixture
def article(session, blog):
    """An article that was committed as 'a', and changed to 'b'."""
    return make(session, blog.Article)


@pytest.fixture
def tag(session, blog):
    """A tag, which has nothing but a key and a name, with the same life."""
    return make(session, blog.Tag)


def make(session, cls):
    """Commit an object as 'a', change it to 'b', and return it."""
    obj = cls(name="a")
    session.add(obj)
    session.commit()
    obj.name = "b"
    session.commit()
    return obj


# -- what records say --------------------------------------------------------------------------


@pytest.mark.strategies
def test_records_of_a_life(session, blog, tag):
    """An insertion gives values, an update has what differs, and a deletion takes the values."""
    number = tag.id
    session.delete(tag)
    session.commit()

    deletion, update, insertion = get_changes(blog.Tag, session)

    assert insertion.operation is Operation.INSERT
    assert insertion.changes == (FieldChange("id", None, number), FieldChange("name", None, "a"))
    assert update.changes == (FieldChange("name", "a", "b"),)
    assert deletion.operation is Operation.DELETE
    assert deletion.changes == (FieldChange("id", number, None), FieldChange("name", "b", None))
    assert {(record.object_type, record.object_id) for record in (insertion, update, deletion)} == {
        ("tag", number)
    }


def test_record_tells_the_transaction(session, blog, versioning):
    """When, and what else is known of the transaction, is in each record."""
    unit = versioning.unit_of_work(session)
    transaction = unit.create_transaction(session, remote_addr="::1")
    session.add(blog.Tag(name="a"))
    session.commit()

    (record,) = get_changes(blog.Tag, session)

    assert (record.transaction, record.issued_at) == (transaction.id, transaction.issued_at)
    assert record.issued_at.utcoffset() == timedelta(0)
    assert record.context == {"remote_addr": "::1"}
    assert record.user_id is None


@pytest.mark.strategies
def test_row_that_comes_back_is_new(session, blog, tag):
    """An insertion tells all values, whatever a row of the same key was before."""
    key = tag.id
    session.delete(tag)
    session.commit()
    session.add(blog.Tag(id=key, name="b"))
    session.commit()

    record = get_changes(blog.Tag, session, limit=1)[0]

    assert (record.operation, told(record)) == (Operation.INSERT, {"name": (None, "b")})


def test_deletion_takes_what_was_committed(session, blog, tag):
    """A change that was deleted in its own transaction is in no record."""
    tag.name = "c"
    session.flush()
    session.delete(tag)
    session.commit()

    assert told(get_changes(blog.Tag, session)[0]) == {"name": ("b", None)}


@pytest.mark.strategies
def test_versions_without_a_difference_have_no_record(session, blog, tag):
    """Others write versions that differ from the one before in nothing."""
    Version = version_class(blog.Tag)
    transaction = transaction_class(blog.Tag)(id=99, issued_at=NOW)
    values = {"id": tag.id, "name": "b", "transaction_id": 99, "operation_type": 1}
    session.add(transaction)
    session.flush()
    session.execute(insert(Version).values(**values))

    assert operations(get_changes(blog.Tag, session)) == "UI"


def test_first_version_that_is_known(session, blog):
    """Of a row that was there before its history, the values before are unknown."""
    session.add(transaction_class(blog.Article)(id=7, issued_at=NOW))
    session.flush()
    values = {"id": 1, "name": "a", "transaction_id": 7}
    Version = version_class(blog.Tag)
    session.execute(insert(Version).values(operation_type=1, **values))
    session.execute(insert(Version).values({**values, "id": 2, "operation_type": 2}))

    records = get_changes(blog.Tag, session, sort_by="object_id", descending=False)

    assert [told(record) for record in records] == [{"name": (None, "a")}, {"name": ("a", None)}]


def test_row_that_came_back_unseen(session, blog):
    """An update after a deletion is of a row that nobody saw come back."""
    session.add_all(transaction_class(blog.Tag)(id=n, issued_at=NOW) for n in (1, 2, 3))
    session.flush()
    for number, operation in ((1, 0), (2, 2), (3, 1)):
        values = {"id": 1, "name": "a", "transaction_id": number, "operation_type": operation}
        session.execute(insert(version_class(blog.Tag)).values(values))

    record = get_changes(blog.Tag, session, limit=1)[0]

    assert (record.operation, told(record)) == (Operation.UPDATE, {"name": (None, "a")})


def test_what_is_not_committed_is_among_the_changes(session, blog, article):
    """Records are of what the session sees, flushed or not."""
    article.name = "c"
    with session.no_autoflush:
        assert operations(get_changes(blog.Article, session)) == "UI"

    assert told(get_changes(blog.Article, session)[0]) == {"name": ("b", "c")}
    pending = blog.Article(name="x")
    session.add(pending)
    assert operations(get_changes(blog.Article, session, object_ids=pending)) == "I"


def test_scoped_session_will_do(tables, session, blog, article):
    """Whatever stands for a session can be asked."""
    registry = scoped_session(lambda: session)

    assert operations(get_changes(blog.Article, registry)) == "UI"


def test_label(Base, open_session):
    """Records call objects as their class says, be it in their rows, dumps or subclasses."""

    class Vehicle(Base):
        __tablename__ = "vehicle"
        __versioned__ = {"label": "Vehicle"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}

    class Car(Vehicle):
        __versioned__ = {"label": "Car"}
        __mapper_args__ = {"polymorphic_identity": "car"}

    class Bus(Vehicle):
        __mapper_args__ = {"polymorphic_identity": "bus"}

    session = open_session(Base)
    session.add_all([Vehicle(id=1), Car(id=2), Bus(id=3)])
    session.commit()

    records = get_changes(Vehicle, session, sort_by="object_id", descending=False)

    assert [record.object_type for record in records] == ["Vehicle", "Car", "Vehicle"]
    assert [row.object_type for row in flatten(records[1:2])] == ["Car", "Car"]
    assert records[1].to_dict()["object_type"] == "Car"


def test_class_without_history(session, blog):
    """Of what was never changed there are no records, in whatever way they are asked for."""
    assert get_changes(blog.Tag, session) == []
    assert get_changes(blog.Tag, session, object_ids=[1], relations=["articles"], limit=3) == []


# -- inheritance -------------------------------------------------------------------------------


def build_animals(Base):
    """Declare animals by joined, and vehicles by single-table inheritance."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

    class Dog(Animal):
        __tablename__ = "dog"
        id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        breed: Mapped[str]
        __mapper_args__ = {"polymorphic_identity": "dog"}

    class Vehicle(Base):
        __tablename__ = "vehicle"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}

    class Car(Vehicle):
        breed: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "car"}

    return Models(Base, Animal, Dog, Vehicle, Car)


@pytest.mark.parametrize(
    ("base", "heir", "labels"),
    [("Animal", "Dog", ["animal", "dog"]), ("Vehicle", "Car", ["vehicle", "vehicle"])],
)
class TestInheritance:
    """Objects of subclasses, asked for by either class."""

    @pytest.fixture
    def models(self, keep):
        """A hierarchy of each kind."""
        return keep(build_animals)

    def test_fields_of_the_subclass(self, models, session, base, heir, labels):
        """Records of a class have its subclasses' objects, with the fields of their class."""
        one, other = getattr(models, base)(name="x"), getattr(models, heir)(name="y", breed="b")
        session.add_all([one, other])
        session.commit()
        other.breed = "c"
        session.commit()
        order = {"sort_by": "transaction_id", "descending": False}

        first, second, update = get_changes(getattr(models, base), session, **order)

        assert [first.object_type, second.object_type] == labels
        assert "breed" not in told(first)
        assert told(second)["breed"] == (None, "b")
        assert told(update) == {"breed": ("b", "c")}
        heirs = get_changes(getattr(models, heir), session, **order)
        assert heirs == [second, update]
        assert get_changes(getattr(models, base), session, fields=["breed"], limit=1) == [update]


# -- which are found ---------------------------------------------------------------------------


def test_fields(session, blog, article):
    """Records are of those that changed one of the fields, and tell of no other."""
    article.content = "x"
    session.commit()

    assert operations(get_changes(blog.Article, session, fields="name")) == "UI"
    found = get_changes(blog.Article, session, fields=[blog.Article.content])
    assert [told(record) for record in found] == [{"content": (None, "x")}]
    assert get_changes(blog.Article, session, fields=[]) == []


def test_objects(session, blog, article):
    """Objects are named by key, by list, or by themselves; an object that is new has none."""
    others = blog.factories.Article.create_batch(2)
    session.commit()
    keys = [article.id, others[0].id]

    for one in (article.id, [article.id], article, (article,), {"id": article.id}):
        assert operations(get_changes(blog.Article, session, object_ids=one)) == "UI"
    assert operations(get_changes(blog.Article, session, object_ids=article.versions[0])) == "UI"
    assert operations(get_changes(blog.Article, session, object_ids=keys)) == "IUI"
    assert get_changes(blog.Article, session, object_ids=blog.Article()) == []
    assert get_changes(blog.Article, session, object_ids=[]) == []


def test_any_number_of_objects_is_one_statement(session, blog, article, engine, count_statements):
    """Sets of objects are not bounded by how many parameters a statement can have."""
    with count_statements(engine) as statements:
        found = get_changes(blog.Article, session, object_ids=range(40_000))

    assert (len(found), statements.count) == (2, 1)


def build_pairs(Base):
    """Declare a class with a key of two columns."""

    class Pair(Base):
        __tablename__ = "pair"
        __versioned__ = {}
        left: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        right: Mapped[str] = mapped_column(String(50), primary_key=True)
        name: Mapped[str]

    return Models(Base, Pair)


class TestCompositeKeys:
    """Keys of several columns."""

    @pytest.fixture
    def models(self, keep):
        """A class with a key of two columns."""
        return keep(build_pairs)

    def test_keys_are_tuples(self, models, session):
        """A tuple is one key, and a list of tuples are several."""
        pairs = [models.Pair(left=n, right=r, name="x") for n, r in ((1, "a"), (1, "b"), (2, "a"))]
        session.add_all(pairs)
        session.commit()

        def found(object_ids):
            records = get_changes(models.Pair, session, object_ids=object_ids, descending=False)
            return [record.object_id for record in records]

        assert found(None) == [(1, "a"), (1, "b"), (2, "a")]
        assert found((1, "b")) == found({"right": "b", "left": 1}) == [(1, "b")]
        assert found([(1, "b"), (2, "a")]) == found(((1, "b"), (2, "a"))) == [(1, "b"), (2, "a")]
        assert found(pairs[0]) == [(1, "a")]
        (record,) = get_changes(models.Pair, session, object_ids=(2, "a"))
        assert record.to_dict()["object_id"] == [2, "a"]
        for wrong in ((1,), [1], [(1, "a", 2)], {"left": 1}, [("a", 1)]):
            with pytest.raises(InvalidArgumentType, match="object_ids has"):
                found(wrong)


def test_moments_are_included(session, blog, article):
    """Both ends belong to what is asked for, whatever their time zone; either may be open."""
    first, last = (each.issued_at for each in numbers_of(session, blog.Article))
    zone = timezone(timedelta(hours=9))

    def found(*between):
        return operations(get_changes(blog.Article, session, between=between))

    assert found(first, last) == found(None, None) == found(first.astimezone(zone), None) == "UI"
    assert found(first, first) == found(None, first) == "I"
    assert found(first + timedelta(microseconds=1), last) == "U"
    assert found(last + timedelta(microseconds=1), None) == ""


class Noted(Session):
    """Sessions of which those are known that were closed."""

    closed = 0

    def close(self):
        """Note it."""
        Noted.closed += 1
        super().close()


def factories(engine):
    """Return what can open a session, by what it is."""
    make = sessionmaker(engine, class_=Noted)

    def generate():
        session = make()
        try:
            yield session
        finally:
            session.close()

    return {
        "sessionmaker": make,
        "scoped_session": scoped_session(make),
        "function": lambda: make(),
        "generator": generate,
        "context manager": contextmanager(generate),
    }


@pytest.mark.shared_out
@pytest.mark.parametrize("kind", ["sessionmaker", "function", "generator", "context manager"])
def test_a_session_is_opened_where_none_is_given(kind, versioning, Base, engine, open_session):
    """It is asked once, and closed, whatever comes of it."""
    versioning.options["session_factory"] = factories(engine)[kind]

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    session.add(Page(id=1))
    session.commit()
    Noted.closed = 0

    assert [record.object_id for record in get_changes(Page, limit=5)] == [1]
    assert Noted.closed == 1
    with pytest.raises(InvalidArgumentType):
        get_changes(Page, limit="5")
    assert Noted.closed == 2


def test_the_session_of_a_thread_is_not_closed(versioning, Base, engine, open_session):
    """A registry makes another session for it than the one that is being used."""
    versioning.options["session_factory"] = sessions = factories(engine)["scoped_session"]

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    open_session(Base)
    page = Page(id=1)
    sessions.add(page)

    assert get_changes(Page) == []
    assert page in sessions.new
    sessions.remove()


def test_no_session_and_nothing_to_open_one(blog, versioning):
    """The option that does is named; what is no factory is told when it is said or asked."""
    with pytest.raises(ImproperlyConfigured, match=r"session_factory=sessionmaker\(engine\)"):
        get_changes(blog.Article)
    factory = sessionmaker(class_=AsyncSession)
    with (
        pytest.raises(ImproperlyConfigured, match=r"which gave .*AsyncSession"),
        opened_session(factory),
    ):
        pass


@pytest.mark.options(time_zone="Asia/Tokyo")
def test_moments_without_a_time_zone(session, blog, article):
    """They are meant in the time zone of the manager, if it has one."""
    first, last = (each.issued_at for each in numbers_of(session, blog.Article))
    tokyo = timezone(timedelta(hours=9))

    def found(*between):
        naive = [moment.astimezone(tokyo).replace(tzinfo=None) for moment in between]
        return operations(get_changes(blog.Article, session, between=tuple(naive)))

    assert found(first, last) == "UI"
    assert found(first, first) == "I"
    assert get_changes(blog.Article, session, between=(None, first.replace(tzinfo=None))) == []


def test_transactions_and_operations(session, blog, article):
    """Transactions are given as such or by id, operations by member, number or letter."""
    first, last = numbers_of(session, blog.Article)

    for one in (last, last.id, [last.id]):
        assert operations(get_changes(blog.Article, session, transaction=one)) == "U"
    assert operations(get_changes(blog.Article, session, transaction=[first, last])) == "UI"
    for one in (Operation.UPDATE, 1, "U", ["U", "D"]):
        assert operations(get_changes(blog.Article, session, operations=one)) == "U"
    assert operations(get_changes(blog.Article, session, operations=["I", 1])) == "UI"


def build_users(Base):
    """Declare users who write notes."""

    class User(Base):
        __tablename__ = "user"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    return Models(Base, User, Note)


class TestUsers:
    """Who did it."""

    @pytest.fixture
    def models(self, keep):
        """Users and notes."""
        return keep(build_users)

    def test_users(self, models, session, versioning):
        """Records tell the user, and are found by users, by their keys, or by having none."""
        users = [models.User(id=number) for number in (0, 1)]
        session.add_all(users)
        session.commit()
        for user in (*users, None):
            unit = versioning.unit_of_work(session)
            unit.create_transaction(session, user_id=user and user.id)
            session.add(models.Note())
            session.commit()

        def found(user_ids):
            records = get_changes(models.Note, session, user_ids=user_ids, descending=False)
            return [record.user_id for record in records]

        assert found(None) == [0, 1, None]
        assert found(0) == found(users[0]) == [0]
        assert found([1, None]) == [1, None]
        assert found([None]) == [None]
        assert found([]) == []
        with pytest.raises(InvalidArgumentType, match="user_ids has '1', of type str"):
            found("1")


def test_pages_cut_records_and_not_fields(session, blog):
    """Limits count records; pages that follow each other have all of them, once."""
    for name in "abcde":
        session.add(blog.Tag(name=name))
        session.commit()
    every = get_changes(blog.Tag, session)

    pages = [get_changes(blog.Tag, session, limit=2, offset=start) for start in (0, 2, 4)]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [record for page in pages for record in page] == every
    assert get_changes(blog.Tag, session, offset=4) == every[4:]
    assert get_changes(blog.Tag, session, limit=0) == []


def test_order(session, blog):
    """Records come by time, transaction, object or operation, in either direction."""
    one, other = blog.factories.Tag.create_batch(2)
    session.commit()
    one.name = "x"
    session.commit()
    session.delete(other)
    session.commit()
    keys = {one.id: "1", 2: "2"}

    def found(**order):
        records = get_changes(blog.Tag, session, **order)
        return [keys.get(record.object_id, "2") + record.operation.code for record in records]

    assert found() == found(sort_by="transaction_id") == ["2D", "1U", "2I", "1I"]
    assert found(descending=False) == ["1I", "2I", "1U", "2D"]
    assert found(sort_by="object_id", descending=False) == ["1I", "1U", "2I", "2D"]
    assert found(sort_by="operation") == ["2D", "1U", "2I", "1I"]


# -- what is refused ---------------------------------------------------------------------------

NAIVE = datetime(2020, 1, 1)
BEFORE_ALL = datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
WRONG = {
    "naive": ({"between": (NAIVE, None)}, ValueError, "no time zone"),
    "before all": ({"between": (BEFORE_ALL, None)}, ValueError, "no moment in UTC"),
    "no pair": ({"between": NOW}, TypeError, "give a pair"),
    "no moment": ({"between": ("2020-01-01", None)}, TypeError, "of type str"),
    "a date": ({"between": (date(2020, 1, 1), None)}, TypeError, "of type date"),
    "backwards": ({"between": (NOW, NOW - timedelta(1))}, ValueError, "earlier moment first"),
    "direction": ({"descending": "asc"}, TypeError, "give True or False"),
    "order": ({"sort_by": "name"}, ValueError, "choose from 'issued_at', 'transaction_id'"),
    "limit": ({"limit": -1}, ValueError, "limit is -1"),
    "limit of a kind": ({"limit": 1.5}, TypeError, "limit is 1.5"),
    "limit True": ({"limit": True}, TypeError, "limit is True"),
    "offset": ({"offset": -3}, ValueError, "offset is -3"),
    "key": (
        {"object_ids": 1.0},
        TypeError,
        "1.0, of type float; article.id has values of type int",
    ),
    "one of keys": ({"object_ids": [1, "2"]}, TypeError, "'2', of type str"),
    "truth": ({"object_ids": True}, TypeError, "True, of type bool"),
    "tuples": ({"object_ids": [(1, 2)]}, TypeError, "the primary key of Article is id"),
    "operation": ({"operations": "X"}, ValueError, r"INSERT \(0, 'I'\)"),
    "operation number": ({"operations": [3]}, ValueError, "operations has 3"),
    "operation kind": ({"operations": 1.0}, TypeError, "operations has 1.0"),
    "transaction": ({"transaction": "1"}, TypeError, "transaction is '1'; give a Transaction"),
    "field": (
        {"fields": ["nmae"]},
        ValueError,
        "'nmae', which is no column of Article .*: id, nam",
    ),
    "field kind": ({"fields": [1]}, TypeError, "fields has 1"),
    "relation": ({"relations": ["name"]}, ValueError, "'name', which is no relationship of Art"),
    "relation kind": ({"relations": 3}, TypeError, "relations has 3"),
}


@pytest.mark.parametrize(("asked", "kind", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(asked, kind, message, session, blog, engine, count_statements):
    """What cannot be meant is refused before anything is sent, and the message says why."""
    with count_statements(engine) as statements, pytest.raises(kind, match=message) as error:
        get_changes(blog.Article, session, **asked)

    assert isinstance(error.value, VersioningError)
    assert statements.count == 0


def test_users_need_a_user_class(session, blog):
    """Without a user class, nobody knows who it was."""
    with pytest.raises(ImproperlyConfigured, match="user_cls"):
        get_changes(blog.Article, session, user_ids=1)


def test_wrong_subjects(session, blog, article):
    """Changes are asked of versioned classes, in sessions."""
    with pytest.raises(ClassNotVersioned):
        get_changes(blog.Category, session)
    with pytest.raises(InvalidArgumentType, match="object_ids="):
        get_changes(article, session)
    with pytest.raises(ImproperlyConfigured, match="is no session"):
        get_changes(blog.Article, "session")
    other = blog.Tag(id=1)
    with pytest.raises(InvalidArgumentType, match="the primary key of Article"):
        get_changes(blog.Article, session, object_ids=other)
    stranger = transaction_class(blog.Article)()
    with pytest.raises(InvalidArgumentType, match="give a Transaction that is in the database"):
        get_changes(blog.Article, session, transaction=stranger)


# -- dumps -------------------------------------------------------------------------------------


class Colour(Enum):
    """Kept by its name."""

    RED = "red"


class Point:
    """A value of the application's own."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)

    def __str__(self):
        return f"{self.x}/{self.y}"


class PointType(TypeDecorator):
    """Keeps points as text."""

    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value if value is None else str(value)

    def process_result_value(self, value, dialect):
        return value if value is None else Point(*map(int, value.split("/")))


VALUES = {
    "price": (Decimal("1.50"), "1.50"),
    "when": (datetime(2020, 1, 2, 3, 4, 5), "2020-01-02T03:04:05"),
    "day": (date(2020, 1, 2), "2020-01-02"),
    "at": (time(3, 4), "03:04:00"),
    "number": (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "raw": (b"\x00\xff", "AP8="),
    "colour": (Colour.RED, "red"),
    "data": ({"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
    "point": (Point(1, 2), "1/2"),
    "flag": (False, False),
    "size": (0.5, 0.5),
}


def build_things(Base):
    """Declare a class with a column of each type."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
        when: Mapped[datetime | None]
        day: Mapped[date | None]
        at: Mapped[time | None]
        number: Mapped[UUID | None]
        raw: Mapped[bytes | None] = mapped_column(LargeBinary(100))
        colour: Mapped[Colour | None]
        data: Mapped[dict | None] = mapped_column(JSON)
        point: Mapped[Point | None] = mapped_column(PointType)
        flag: Mapped[bool | None]
        size: Mapped[float | None]

    return Models(Base, Thing)


class TestValues:
    """Values of every type."""

    @pytest.fixture
    def models(self, keep):
        """A class with a column of each type."""
        return keep(build_things)

    def test_values_are_typed_and_dumps_are_plain(self, models, session):
        """Records hold values as objects have them, and dump what JSON can hold."""
        thing = models.Thing(**{name: value for name, (value, _) in VALUES.items()})
        session.add(thing)
        session.commit()
        session.delete(thing)
        session.commit()

        deletion, insertion = get_changes(models.Thing, session)

        typed = {name: value for name, (value, _) in VALUES.items()}
        assert {name: new for name, (_, new) in told(insertion).items()} == typed
        assert {name: old for name, (old, _) in told(deletion).items()} == typed
        dumped = json.loads(insertion.to_json())
        assert dumped == insertion.to_dict()
        plain = {change["field"]: change["new"] for change in dumped["changes"]}
        assert {name: plain[name] for name in VALUES} == {n: p for n, (_, p) in VALUES.items()}

    @pytest.mark.strategies
    def test_empty_json_is_no_value(self, models, session):
        """A null inside JSON is loaded as None, and to come from or to it is no change."""
        thing = models.Thing(data=None)
        session.add(thing)
        session.commit()
        thing.data = {"a": 1}
        session.commit()
        thing.data = None
        session.commit()
        session.delete(thing)
        session.commit()

        found = get_changes(models.Thing, session, fields=["data"], descending=False)

        assert [told(r)["data"] for r in found] == [(None, {"a": 1}), ({"a": 1}, None)]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Decimal("NaN"), "NaN"),
        (datetime(2020, 1, 1, tzinfo=timezone.utc), "2020-01-01T00:00:00+00:00"),
        (timedelta(days=1, seconds=2), "1 day, 0:00:02"),
        ({3, 1, "x"}, [1, 3, "x"]),
        (frozenset({b"a"}), ["YQ=="]),
        ((1, (2, {"k": Colour.RED})), [1, [2, {"k": "red"}]]),
        ({1: math.nan, None: {"x"}, Colour.RED: memoryview(b"a")}, None),
        (Operation.UPDATE, 1),
        (Point(1, 2), "1/2"),
        ("\ud800", "\ud800"),
        (True, True),
    ],
)
def test_every_value_has_a_plain_form(value, plain):
    """Nothing that can be a value keeps a record from being dumped."""
    found = plain_value(value)

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert plain is None or found == plain


def test_dump_of_a_record(session, blog, article):
    """A dump has everything under the names of the record."""
    record = get_changes(blog.Article, session, limit=1)[0]

    assert record.to_dict() == {
        "object_type": "article",
        "object_id": article.id,
        "operation": "UPDATE",
        "issued_at": record.issued_at.isoformat(),
        "transaction": record.transaction,
        "user_id": None,
        "context": {"remote_addr": None},
        "changes": [{"field": "name", "old": "a", "new": "b"}],
    }


def test_flat_rows(session, blog, tag):
    """flatten() gives one row for each field, with all that its record says."""
    records = get_changes(blog.Tag, session)

    rows = flatten(records)

    assert [(row.field, row.old, row.new) for row in rows] == [
        ("name", "a", "b"),
        ("id", None, tag.id),
        ("name", None, "a"),
    ]
    assert json.loads(rows[0].to_json()) == {
        **{n: v for n, v in records[0].to_dict().items() if n != "changes"},
        **{"field": "name", "old": "a", "new": "b"},
    }
    assert flatten([]) == []
    for wrong in (records[0], rows, "records"):
        with pytest.raises(InvalidArgumentType, match="give a list of change records"):
            flatten(wrong)


def test_records_are_values(session, blog, article):
    """Records can be kept, compared and pickled."""
    records = get_changes(blog.Article, session)

    assert pickle.loads(pickle.dumps(records)) == records == get_changes(blog.Article, session)
    with pytest.raises(AttributeError):
        records[0].operation = Operation.DELETE
    assert isinstance(records[0], ChangeRecord)


# -- statements --------------------------------------------------------------------------------


def test_one_statement(session, blog, engine, count_statements):
    """However many records there are, and whatever is asked, one statement reads them."""
    blog.factories.Article.create_batch(20)
    session.commit()
    with count_statements(engine) as statements:
        assert len(get_changes(blog.Article, session)) == 20
        get_changes(blog.Article, session, fields=["name"], limit=3, between=(None, NOW))

    assert statements.count == 2


def test_statement_can_be_executed_elsewhere(session, tables, blog, article):
    """select_changes() gives the statement, and makes records of its rows, without a session."""
    for dialect in (None, tables.dialect):
        query = select_changes(blog.Article, object_ids=[article.id], limit=1, dialect=dialect)
        with tables.connect() as connection:
            rows = connection.execute(query.statement, query.parameters).all()

        assert query.records(rows) == get_changes(blog.Article, session, limit=1)


def test_only_pages_are_read_from_their_end(blog, versioning):
    """SQLite is told to go through transactions for a page, and for nothing else."""
    configure_mappers()
    texts = [
        str(select_changes(blog.Article, **asked).statement.compile(dialect=sqlite.dialect()))
        for asked in ({"limit": 1}, {}, {"operations": "U"}, {"limit": 1, "sort_by": "object_id"})
    ]
    assert ["= +transaction_1.id" in text for text in texts] == [True, False, False, False]


def test_any_fields_can_be_asked_for(blog):
    """What is kept of statements is bounded, and does not go wrong where it is given up."""
    configure_mappers()
    names = ["id", "name", "content", "description", "author_id", "category_id"]
    masks = range(2 ** len(names))
    fields = [[name for place, name in enumerate(names) if mask >> place & 1] for mask in masks]
    asked = [
        {"fields": some, "sort_by": sort_by}
        for some in fields
        for sort_by in ("issued_at", "transaction_id", "object_id", "operation")
    ]
    first = [str(select_changes(blog.Article, **each).statement) for each in asked[:9]]

    for each in asked:
        select_changes(blog.Article, **each)

    assert len(spec_of(blog.Article).built) <= 200
    assert [str(select_changes(blog.Article, **each).statement) for each in asked[:9]] == first


# -- blame -------------------------------------------------------------------------------------


@pytest.mark.strategies
def test_blame(session, blog, article, engine, count_statements):
    """Each column leads to the transaction that set it last; what was never set, to the first."""
    for content in ("x", "y", None):
        article.content = content
        session.commit()
    first, second, *_, last = numbers_of(session, blog.Article)
    session.refresh(article)
    with count_statements(engine) as statements:
        found = blame(article)

    assert statements.count == 1
    expected = dict.fromkeys(["id", "description", "author_id", "category_id"], first)
    assert found == {**expected, "name": second, "content": last}
    assert found["name"] in session


def test_blame_of_a_class(blog):
    """Only of an object it can be told who set its columns."""
    with pytest.raises(InvalidArgumentType, match="is no object of a mapped class"):
        blame(blog.Article)


def test_blame_of_a_version(session, blog, article):
    """Asked of a version, blame knows nothing of what came later."""
    first, second = numbers_of(session, blog.Article)

    assert blame(article.versions[0])["name"] is first
    assert blame(article.versions[1])["name"] is second


def test_blame_of_what_is_gone(session, blog, article):
    """A deletion sets nothing, and what was before it is forgotten when the row comes back."""
    key = article.id
    article.name = "c"
    session.flush()
    session.delete(article)
    session.commit()
    version = session.scalars(deleted(blog.Article)).one()
    assert blame(version)["name"] is numbers_of(session, blog.Article)[1]
    back = blog.Article(id=key, name="b")
    session.add(back)
    session.commit()

    assert set(blame(back).values()) == {numbers_of(session, blog.Article)[-1]}


def test_blame_without_versions(session, blog, article):
    """What was never stored has nobody to blame, and what is in no session cannot be asked."""
    session.add(pending := blog.Article(name="x"))
    with session.no_autoflush:
        assert blame(pending) == {}
    with pytest.raises(DetachedInstanceError):
        blame(blog.Article())
    with pytest.raises(ClassNotVersioned):
        blame(blog.Category())


def test_binds_of_live_classes(tables, blog):
    """A session that has a database for a class alone finds what is beside its table there."""
    with Session(binds={blog.Tag: tables}) as session:
        tag = make(session, blog.Tag)
        assert operations(get_changes(blog.Tag, session)) == "UI"
        assert blame(tag)["id"].id < blame(tag)["name"].id


@pytest.fixture
def two_databases(engine, versioning):
    """Two classes of two bases, and a session that has a database for each."""
    Bases = [build_base(), build_base()]
    classes = []
    for Base, name in zip(Bases, ("One", "Other"), strict=True):
        body = {"id": mapped_column(Integer, primary_key=True), "name": mapped_column(String(9))}
        classes.append(type(name, (Base,), {"__tablename__": "t", "__versioned__": {}, **body}))
    configure_mappers()
    other = create_engine("sqlite://", poolclass=StaticPool)
    for Base, each in zip(Bases, (engine, other), strict=True):
        Base.metadata.create_all(each)
    with Session(binds=dict(zip(Bases, (engine, other), strict=True))) as session:
        yield session, *classes
    other.dispose()
    for Base in Bases:
        Base.registry.dispose(cascade=True)


def test_two_databases(two_databases):
    """Versions are read with the transactions beside them, wherever those were numbered."""
    session, One, Other = two_databases
    tables = [spec_of(cls).root.transaction_table for cls in (One, Other)]
    indexed = [[tuple(index.columns.keys()) for index in table.indexes] for table in tables]
    assert indexed == [[("issued_at", "id")]] * 2
    one = make(session, One)
    other = make(session, Other)

    for obj in (one, other):
        update, insertion = get_changes(type(obj), session)
        found = blame(obj)
        assert found["name"].id == update.transaction
        assert found["id"].id == insertion.transaction
        assert found["name"].issued_at == update.issued_at


# -- databases of others -----------------------------------------------------------------------


class Factory(TransactionFactory):
    """Makes transactions as applications write them that came here with theirs."""

    def create_class(self, manager):
        class Transaction(manager.declarative_base, TransactionBase):
            __tablename__ = "transaction"
            id: Mapped[int] = mapped_column(primary_key=True)
            issued_at: Mapped[datetime] = mapped_column(default=lambda: NAIVE)
            why: Mapped[str] = mapped_column("reason", String(50), default="unknown")

        return Transaction


def test_transactions_of_ones_own(Base, versioning, engine):
    """Moments that are kept without a time zone are UTC, and columns go by their attributes."""
    versioning.transaction_cls = Factory()

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    configure_mappers()
    Base.metadata.create_all(engine)
    moment = NAIVE.replace(tzinfo=timezone.utc)
    with Session(engine) as session:
        session.add(Thing())
        session.commit()
        elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
        (record,) = get_changes(Thing, session, between=(elsewhere, elsewhere))

    assert (record.issued_at, record.context) == (moment, {"why": "unknown"})


def test_transactions_that_tell_nothing(Base, versioning, engine):
    """Transactions that do not tell when are in the order of their ids."""

    class Revision(Base):
        __tablename__ = "revision"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        things = relationship("Thing", remote_side=id)
        up_id: Mapped[int | None] = mapped_column(ForeignKey("thing.id"))
        below = relationship("Thing", overlaps="things")

    versioning.transaction_cls = Revision
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for number in (1, 2):
            session.add(Thing(id=number, up_id=None if number == 1 else 1))
            session.commit()
        records = get_changes(Thing, session, relations=["below"], limit=3)

        assert [(r.object_id, r.issued_at, r.context) for r in records] == [
            (2, None, {}),
            (1, None, {}),
            (1, None, {}),
        ]
        assert [r.object_id for r in get_changes(Thing, session)] == [2, 1]
        with pytest.raises(ImproperlyConfigured, match="Revision has no issued_at"):
            get_changes(Thing, session, between=(NOW, None))
        for ask in (session.get(Thing, 1).versions.at, partial(as_of, session)):
            with pytest.raises(ImproperlyConfigured, match="Revision has no issued_at"):
                ask(NOW)


def test_index_on_moments_is_not_needed(session, tables, blog, article):
    """Transaction tables that others have made have no index on issued_at."""
    table = transaction_class(blog.Article).__table__
    (index,) = [i for i in table.indexes if i.columns.keys() == ["issued_at", "id"]]
    session.commit()
    index.drop(tables)
    try:
        assert operations(get_changes(blog.Article, session, limit=2)) == "UI"
    finally:
        session.commit()
        index.create(tables)
