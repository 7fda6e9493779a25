"""Keys that Python and the database do not tell apart alike: letter case, padding, decorators."""

import enum
import random
import uuid
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    BINARY,
    CHAR,
    Column,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    PickleType,
    String,
    Table,
    Time,
    TypeDecorator,
    Uuid,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlalchemy_versioned import ImproperlyConfigured, Operation, vacuum, version_class
from sqlalchemy_versioned.maintenance import verify

INSERT, UPDATE, DELETE = Operation


class Folded(TypeDecorator):
    """Text that is stored, and comes back, in lower case."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value.lower()


class FoldedThere(TypeDecorator):
    """Text that the database itself stores in lower case."""

    impl = String(20)
    cache_ok = True

    def bind_expression(self, bindvalue):
        return func.lower(bindvalue)


class Guid(TypeDecorator):
    """A UUID that is handed to PostgreSQL as text, and comes back from its driver as what it is."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect):
        native = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.UUID() if native else BINARY(16))

    def process_bind_param(self, value, dialect):
        return str(value) if dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value, dialect):
        return value if isinstance(value, UUID) else UUID(bytes=value)


class Color(enum.Enum):
    """Values that are stored by their names."""

    RED = 1
    BLUE = 2


#: Text of which some databases do not tell letter case apart.
CASELESS = String(20).with_variant(String(20, collation="NOCASE"), "sqlite")

#: A type, and two values that are stored in another form than they are given in.
FORMS = [
    pytest.param(Folded(), "Ann", "Bob", id="decorator"),
    pytest.param(FoldedThere(), "Ann", "Bob", id="expression"),
    pytest.param(CHAR(5), "ann", "bob", id="padding"),
    pytest.param(Integer(), "1", "2", id="text"),
    pytest.param(DateTime(), datetime(2020, 1, 1, 0, 0, 0, 7), datetime(2021, 1, 1), id="fraction"),
    pytest.param(
        DateTime()
        .with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")
        .with_variant(postgresql.TIMESTAMP(precision=3), "postgresql"),
        datetime(2020, 1, 1, 0, 0, 0, 123789),
        datetime(2021, 1, 1),
        id="precision",
        marks=pytest.mark.needs("decimals"),
    ),
    pytest.param(Time(), time(10, 20, 30, 600000), time(10, 20, 31), id="time of day"),
    pytest.param(
        Time()
        .with_variant(mysql.TIME(fsp=3), "mysql", "mariadb")
        .with_variant(postgresql.TIME(precision=3), "postgresql"),
        time(10, 20, 30, 123789),
        time(10, 20, 31),
        id="precision of times",
    ),
    pytest.param(Interval(), timedelta(seconds=1.6), timedelta(seconds=-1.6), id="interval"),
    pytest.param(
        Numeric(10, 2),
        Decimal("1.005"),
        Decimal("2.499"),
        id="scale",
        marks=pytest.mark.needs("decimals"),
    ),
    pytest.param(
        Numeric(40, 10),
        Decimal("123456789012345678901234567890.5"),
        Decimal("2.5"),
        id="digits",
        marks=pytest.mark.needs("decimals"),
    ),
    pytest.param(Double(asdecimal=True), Decimal("1.25"), Decimal("1.5"), id="float as a decimal"),
    pytest.param(Guid(), UUID(int=1), UUID(int=2), id="uuid in a decorator"),
    pytest.param(
        Uuid(), str(UUID(int=1)), UUID(int=2), id="uuid", marks=pytest.mark.needs("native_uuids")
    ),
    pytest.param(Uuid(as_uuid=False), UUID(int=10).hex, str(UUID(int=2)), id="uuid as text"),
    pytest.param(Enum(Color), "RED", Color.BLUE, id="enum"),
]


def declare_page(Base, type_):
    """Return a class with a key of a type."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[Any] = mapped_column(type_, primary_key=True, autoincrement=False)
        text: Mapped[str] = mapped_column(String(20))

    return Page


def history(session, cls):
    """Return what is recorded of a class: key, text and operation of each version."""
    version = version_class(cls)
    statement = select(version.key, version.text, version.operation_type)
    return [tuple(row) for row in session.execute(statement.order_by(version.transaction_id))]


@pytest.mark.parametrize(("type_", "given", "other"), FORMS)
def test_reloaded_in_the_same_transaction(Base, open_session, type_, given, other):
    """A row is one row although it comes back under another form of its key."""
    Page = declare_page(Base, type_)
    session = open_session(Base)
    session.add_all([Page(key=given, text="a"), Page(key=other, text="a")])
    session.flush()
    session.expunge_all()
    for page in session.scalars(select(Page)):
        page.text = "b"
    session.commit()

    assert [row[1:] for row in history(session, Page)] == [("b", INSERT)] * 2


@pytest.mark.parametrize(("type_", "given", "other"), FORMS)
def test_reloaded_later(Base, open_session, type_, given, other):
    """Rows are found by any form of their keys, when they are made and when they are changed."""
    Page = declare_page(Base, type_)
    session = open_session(Base)
    session.add_all([Page(key=given, text="a"), Page(key=other, text="a")])
    session.commit()
    session.expunge_all()
    for page in session.scalars(select(Page)):
        page.text = "b"
    session.commit()

    rows = [row[1:] for row in history(session, Page)]
    assert rows == [("a", INSERT)] * 2 + [("b", UPDATE)] * 2


@pytest.mark.parametrize(("type_", "given", "other"), FORMS)
def test_assigned_by_a_statement(Base, open_session, type_, given, other):
    """A row that a statement gives another key has a version under the form that it is kept in."""
    Page = declare_page(Base, type_)
    session = open_session(Base)
    session.add(Page(key=given, text="a"))
    session.commit()
    session.execute(update(Page).where(Page.text == "a").values(key=other))
    session.commit()

    (page,) = session.scalars(select(Page))
    assert [version.operation_type for version in page.versions] == [INSERT]
    assert sorted(row[2] for row in history(session, Page)) == [INSERT, INSERT, DELETE]
    assert verify(session) == []


@pytest.mark.needs("insert_returning")
@pytest.mark.parametrize(
    ("type_", "keys"),
    [(Uuid(), [UUID(int=1), UUID(int=2)]), (Numeric(6, 2), [Decimal("0.5"), Decimal("1.25")])],
    ids=["uuid", "numeric"],
)
@pytest.mark.parametrize("of_class", [True, False], ids=["class", "table"])
def test_keys_that_are_returned(Base, open_session, type_, keys, of_class):
    """Keys that an application has returned are taken as what they are."""

    class Token(Base):
        __tablename__ = "token"
        __versioned__ = {}
        id: Mapped[Any] = mapped_column(type_, primary_key=True)
        value: Mapped[Any] = mapped_column(PickleType)

    session = open_session(Base)
    rows = [{"id": key, "value": [1]} for key in keys]
    statement = insert(Token if of_class else Token.__table__).values(rows)
    made = session.scalars(statement.returning(Token.id, Token.value)).all()
    session.commit()

    versions = session.scalars(select(version_class(Token))).all()
    assert sorted(made) == keys == sorted(version.id for version in versions)
    assert verify(session) == []


@pytest.mark.needs("insert_returning")
def test_keys_that_statements_of_classes_return(Base, open_session):
    """Keys that SQLAlchemy has made of what the driver returned are taken as they are."""

    class Token(Base):
        __tablename__ = "token"
        __versioned__ = {}
        id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        text: Mapped[str] = mapped_column(String(20))

    session = open_session(Base)
    statement = insert(Token).returning(Token.id, sort_by_parameter_order=True)
    made = session.scalars(statement, [{"text": "a"}, {"text": "b"}]).all()
    session.commit()

    found = session.execute(select(version_class(Token).id, version_class(Token).text))
    assert {text: key for key, text in found} == dict(zip("ab", made, strict=True))


@pytest.mark.parametrize("type_", [Folded(), FoldedThere()], ids=["decorator", "expression"])
def test_loaded_versions_of_another_form(Base, open_session, type_):
    """Versions that are held learn of changes, whatever form of its key an object has."""
    Page = declare_page(Base, type_)
    session = open_session(Base)
    page = Page(key="Ann", text="a")
    session.add(page)
    session.commit()
    version = page.versions[0]
    assert version.end_transaction_id is None
    page.text = "b"
    session.flush()

    assert version.end_transaction_id == page.versions[1].transaction_id


def test_expression_in_a_key_of_several_columns(Base, open_session):
    """A key whose rows could not be found is refused when mappers are configured."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        number: Mapped[int] = mapped_column(primary_key=True)
        key: Mapped[str] = mapped_column(FoldedThere, primary_key=True)

    with pytest.raises(ImproperlyConfigured, match=r"page\.key"):
        open_session(Base)


@pytest.mark.needs("numbers_unasked")
@pytest.mark.filterwarnings("ignore:Column 'part.id' is marked:sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("sets", [{}, [{"name": "a"}, {"name": "b"}]], ids=["one", "many"])
def test_keys_that_nobody_asks_for(Base, open_session, sets):
    """A row whose key SQLAlchemy does not learn from the database is recorded under it."""

    class Whole(Base):
        __tablename__ = "whole"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Part(Base):
        __tablename__ = "part"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(ForeignKey("whole.id"), primary_key=True)
        name: Mapped[str | None]

    session = open_session(Base)
    session.add_all([Whole(id=1), Whole(id=2)])
    session.flush()
    session.execute(Part.__table__.insert(), sets)
    session.commit()

    versions = session.scalars(select(version_class(Part))).all()
    rows = session.scalars(select(Part)).all()
    assert [(v.id, v.name) for v in versions] == [(row.id, row.name) for row in rows] != []


# -- letter case -----------------------------------------------------------------------------


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.needs("caseless_text")
@pytest.mark.parametrize("is_old", [False, True])
def test_letter_case_of_a_key(Base, open_session, is_old):
    """A row whose key is changed in letter case alone is the same row, updated."""
    Page = declare_page(Base, CASELESS)
    session = open_session(Base)
    page = Page(key="ann", text="a")
    session.add(page)
    if is_old:
        session.commit()
    session.flush()
    page.key = "Ann"
    session.commit()

    rows = history(session, Page)
    assert rows == ([("ann", "a", INSERT)] if is_old else []) + [
        ("Ann", "a", UPDATE if is_old else INSERT)
    ]
    assert page.versions[-1].key == "Ann"
    assert page.versions.count() == len(rows)
    # The version says something new, if only that.
    assert vacuum(session, Page) == 0


@pytest.mark.needs("caseless_text")
def test_letter_case_there_and_back(Base, open_session):
    """A key that is spelt again as it was leaves nothing."""
    Page = declare_page(Base, CASELESS)
    session = open_session(Base)
    page = Page(key="ann", text="a")
    session.add(page)
    session.commit()
    page.key = "Ann"
    session.flush()
    page.key = "ann"
    session.commit()

    assert history(session, Page) == [("ann", "a", INSERT)]
    assert page.versions[0].end_transaction_id is None


@pytest.mark.needs("caseless_text")
def test_letter_case_of_links(Base, open_session):
    """A link is one link, however the key that it holds is spelt by now."""
    link = Table(
        "link",
        Base.metadata,
        Column("page_key", CASELESS, ForeignKey("page.key", onupdate="CASCADE"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[str] = mapped_column(CASELESS, primary_key=True)
        tags: Mapped[list[Tag]] = relationship(secondary=link)

    session = open_session(Base)
    page = Page(key="ann", tags=[Tag(id=1), Tag(id=2)])
    session.add(page)
    session.flush()
    page.key = "Ann"
    session.flush()
    del page.tags[0]
    session.commit()

    versions = Base.metadata.tables["link_version"].c
    rows = session.execute(select(versions.tag_id, versions.operation_type)).all()
    assert rows == [(2, INSERT)]


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.needs("caseless_text")
def test_letter_case_is_put_back(Base, open_session):
    """A version of a row whose key is spelt otherwise by now is put back with its spelling."""
    Page = declare_page(Base, CASELESS)
    session = open_session(Base)
    page = Page(key="ann", text="a")
    session.add_all([page, Page(key="bob", text="b")])
    session.commit()
    page.key, page.text = "Ann", "c"
    session.commit()
    page.versions[0].revert()
    session.commit()

    assert (page.key, page.text) == ("ann", "a")
    assert history(session, Page)[-1] == ("ann", "a", UPDATE)
    assert verify(session) == []


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.needs("caseless_text")
@pytest.mark.parametrize("changed", ["spelling", "alias", "alias of another spelling"])
def test_letter_case_where_rows_follow(Base, open_session, changed):
    """Rows that follow a key or value are recorded however those are spelt."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[str] = mapped_column(CASELESS, primary_key=True)
        alias: Mapped[str] = mapped_column(CASELESS, unique=True)

    class Line(Base):
        __tablename__ = "line"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        page_key: Mapped[str] = mapped_column(ForeignKey("page.key", onupdate="CASCADE"))
        alias: Mapped[str] = mapped_column(ForeignKey("page.alias", onupdate="CASCADE"))

    session = open_session(Base)
    pages = [Page(key="ann", alias="x"), Page(key="bob", alias="y")]
    session.add_all(pages)
    session.flush()
    session.add_all([Line(id=1, page_key="Ann", alias="X"), Line(id=2, page_key="BOB", alias="y")])
    session.commit()
    if changed == "spelling":
        pages[0].key = "ANN"
    elif changed == "alias":
        pages[0].alias = "z"
    else:
        # Another session spells the key otherwise, which this one does not hear of.
        other = open_session(Base)
        other.get(Page, "ann").key = "ANN"
        other.commit()
        pages[0].alias = "z"
    session.commit()

    lines = session.scalars(select(Line).order_by(Line.id)).all()
    for line in lines:
        newest = line.versions[-1]
        assert (newest.page_key, newest.alias) == (line.page_key, line.alias)
    assert [line.alias for line in lines] == ["X" if changed == "spelling" else "z", "y"]
    assert lines[1].versions.count() == 1
    assert verify(session) == []


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.needs("caseless_text")
def test_letter_case_at_random(Base, open_session):
    """Whatever happens to keys, the newest version of each row is the row, to the letter."""
    Page = declare_page(Base, CASELESS)
    session = open_session(Base)
    version = version_class(Page)
    chance = random.Random(5)
    for number in range(60):
        for _ in range(chance.randint(1, 4)):
            pages = {page.key.lower(): page for page in session.scalars(select(Page))}
            key = chance.choice(["ann", "Ann", "ANN", "bob", "Bob"])
            page = pages.get(key.lower())
            action = chance.choice(["write", "spell", "delete", "move"])
            if page is None:
                session.add(Page(key=key, text=f"{number}"))
            elif action == "write":
                page.text = chance.choice(["x", "y"])
            elif action == "spell":
                page.key = key
            elif action == "delete":
                session.delete(page)
            elif len(pages) == 1:
                page.key = chance.choice(["Eve", "eve"])
            session.flush()
            if chance.random() < 0.3:
                session.expunge_all()
        session.commit()
        check(session, Page, version)


def check(session, Page, version):
    """Compare the newest versions with the rows, and each version with the one before."""
    newest = {}
    for each in session.scalars(select(version).order_by(version.transaction_id)):
        before = newest.get(each.key.lower())
        assert before is None or before.transaction_id < each.transaction_id
        if before is not None and hasattr(version, "end_transaction_id"):
            assert before.end_transaction_id == each.transaction_id
        newest[each.key.lower()] = each
    rows = {(page.key, page.text) for page in session.scalars(select(Page))}
    kept = [each for each in newest.values() if each.operation_type is not DELETE]
    assert {(each.key, each.text) for each in kept} == rows
    if hasattr(version, "end_transaction_id"):
        assert all(each.end_transaction_id is None for each in newest.values())
