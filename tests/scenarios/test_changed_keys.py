"""A changed primary key ends the history of one row and begins that of another."""

import uuid

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, String, Table, Uuid, select, update
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import Operation, deleted, version_class
from sqlalchemy_versioned.model.lookup import table_spec_of

pytestmark = pytest.mark.strategies()

INSERT, UPDATE, DELETE = Operation


@pytest.fixture
def open_session(Base, engine):
    """Return a function that makes the tables and opens a session."""
    sessions = []

    def make():
        configure_mappers()
        Base.metadata.create_all(engine)
        sessions.append(Session(engine))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def story(session, what, *names):
    """Return operation and values of the versions of each row, by key; check where they end."""
    table = getattr(what, "__table__", what)
    spec = table_spec_of(table)
    found, ends, begins = {}, {}, {}
    statement = select(spec.version_table).order_by(spec.transaction_column)
    for row in session.execute(statement).mappings():
        key = tuple(row[pair.version] for pair in spec.key)
        key = key if len(key) > 1 else key[0]
        values = [row[spec.version_table.c[name]] for name in names]
        found.setdefault(key, []).append((row[spec.operation_column], *values))
        begins.setdefault(key, []).append(row[spec.transaction_column])
        if spec.end_column is not None:
            ends.setdefault(key, []).append(row[spec.end_column])
    assert all(ends[key] == [*begins[key][1:], None] for key in ends)
    return found


@pytest.fixture
def Page(Base):
    """A class that is known by a text."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[str] = mapped_column(String(9), primary_key=True)
        text: Mapped[str] = mapped_column(String(9))

    return Page


def test_renamed_and_changed_at_once(Page, open_session):
    """The deletion has the last values under the old key, the insertion those under the new."""
    session = open_session()
    page = Page(key="a", text="x")
    session.add(page)
    session.commit()
    page.key, page.text = "b", "y"
    session.commit()

    assert story(session, Page, "text") == {
        "a": [(INSERT, "x"), (DELETE, "x")],
        "b": [(INSERT, "y")],
    }
    assert [version.text for version in page.versions] == ["y"]
    assert [version.key for version in session.scalars(deleted(Page))] == ["a"]


@pytest.mark.strategies("validity", "subquery")
def test_keys_that_change_hands(Page, open_session):
    """Rows that exchange their keys in one transaction are updates of each other."""
    session = open_session()
    one, other = Page(key="a", text="one"), Page(key="b", text="other")
    session.add_all([one, other])
    session.commit()
    one.key = "spare"
    session.flush()
    other.key = "a"
    session.flush()
    one.key = "b"
    session.commit()

    assert story(session, Page, "text") == {
        "a": [(INSERT, "one"), (UPDATE, "other")],
        "b": [(INSERT, "other"), (UPDATE, "one")],
    }


@pytest.mark.strategies("validity", "subquery")
def test_key_that_is_taken_over(Page, open_session):
    """A new object, or another row, may have the key that was left, now or later."""
    session = open_session()
    page = Page(key="a", text="x")
    session.add(page)
    session.commit()
    page.key = "b"
    session.flush()
    session.add(Page(key="a", text="new"))
    session.commit()
    page.key = "c"
    session.commit()
    session.get(Page, "a").key = "b"
    session.commit()

    assert story(session, Page, "text") == {
        "a": [(INSERT, "x"), (UPDATE, "new"), (DELETE, "new")],
        "b": [(INSERT, "x"), (DELETE, "x"), (INSERT, "new")],
        "c": [(INSERT, "x")],
    }


def test_renamed_there_and_back(Page, open_session):
    """A key that comes back later goes on with its history."""
    session = open_session()
    page = Page(key="a", text="x")
    session.add(page)
    session.commit()
    for key in "ba":
        page.key = key
        session.commit()

    assert story(session, Page) == {
        "a": [(INSERT,), (DELETE,), (INSERT,)],
        "b": [(INSERT,), (DELETE,)],
    }
    assert page.versions.count() == 3
    assert page.versions[-1].previous.operation_type == DELETE


def test_old_keys_can_be_restored(Page, open_session):
    """Reverting to a version under a former key brings that row back, beside the renamed one."""
    session = open_session()
    page = Page(key="a", text="x")
    session.add(page)
    session.commit()
    version = page.versions[0]
    page.key = "b"
    session.commit()
    restored = version.revert()
    session.commit()

    assert restored is not page
    assert {each.key: each.text for each in session.scalars(select(Page))} == {"a": "x", "b": "x"}
    assert story(session, Page)["a"] == [(INSERT,), (DELETE,), (INSERT,)]


@pytest.mark.parametrize("place", ["tenant", "number"])
def test_part_of_a_composite_key(Base, open_session, place):
    """One column of several is enough to make another row of it."""

    class Seat(Base):
        __tablename__ = "seat"
        __versioned__ = {}
        tenant: Mapped[str] = mapped_column(String(9), primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

    session = open_session()
    seat, other = Seat(tenant="a", number=1), Seat(tenant="c", number=1)
    session.add_all([seat, other])
    session.commit()
    new = {"tenant": ("b", 1), "number": ("a", 2)}[place]
    seat.tenant, seat.number = new
    session.commit()

    assert story(session, Seat) == {
        ("a", 1): [(INSERT,), (DELETE,)],
        ("c", 1): [(INSERT,)],
        new: [(INSERT,)],
    }


def test_uuid(Base, open_session):
    """A key that is no number and no text is changed like any other."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)

    session = open_session()
    one, other = uuid.UUID(int=1), uuid.UUID(int=2)
    thing = Thing(id=one)
    session.add(thing)
    session.commit()
    thing.id = other
    session.commit()

    assert story(session, Thing) == {one: [(INSERT,), (DELETE,)], other: [(INSERT,)]}


@pytest.mark.needs("deferrable")
def test_children_follow(Base, open_session):
    """Children and links that the session moves to the new key are recorded with it."""
    Table(
        "page_tag",
        Base.metadata,
        Column("page_key", String(9), ForeignKey("page.key"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Line(Base):
        __tablename__ = "line"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        page_key: Mapped[str | None] = mapped_column(String(9))
        __table_args__ = (
            # Deferred, because the session moves children before or after their parent.
            ForeignKeyConstraint(["page_key"], ["page.key"], deferrable=True, initially="DEFERRED"),
        )

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[str] = mapped_column(String(9), primary_key=True)
        lines: Mapped[list[Line]] = relationship(passive_updates=False, order_by=Line.id)

    Page.tags = relationship(Tag, secondary="page_tag", passive_updates=False)
    link = Base.metadata.tables["page_tag"]
    for constraint in link.foreign_key_constraints:
        constraint.deferrable, constraint.initially = True, "DEFERRED"
    session = open_session()
    page = Page(key="a", lines=[Line(id=1)], tags=[Tag(id=5)])
    session.add(page)
    session.commit()
    page.key = "b"
    session.commit()

    assert story(session, Line, "page_key") == {1: [(INSERT, "a"), (UPDATE, "b")]}
    assert story(session, link) == {
        ("a", 5): [(INSERT,), (DELETE,)],
        ("b", 5): [(INSERT,)],
    }
    assert [line.id for line in page.versions[0].lines] == [1]
    assert [tag.id for tag in page.versions[0].tags] == [5]


def test_new_rows_of_what_is_renamed(Base, open_session):
    """Rows and links that refer to a row are new also if their flush renames that."""
    link = Table(
        "link",
        Base.metadata,
        Column("page", ForeignKey("page.key", onupdate="CASCADE"), primary_key=True),
        Column("other", ForeignKey("page.key", onupdate="CASCADE"), primary_key=True),
    )

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[str] = mapped_column(String(9), primary_key=True)
        links = relationship(
            "Page",
            secondary=link,
            primaryjoin=key == link.c.page,
            secondaryjoin=key == link.c.other,
        )

    class Remark(Base):
        __tablename__ = "remark"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        page_key = mapped_column(ForeignKey("page.key", onupdate="CASCADE"))
        page = relationship(Page)

    session = open_session()
    page, other = Page(key="a"), Page(key="c")
    session.add_all([page, other])
    session.commit()
    with session.no_autoflush:
        session.add(Remark(id=1, page=page))
        page.links.append(other)
        page.key = "b"
    session.commit()

    assert story(session, Remark, "page_key") == {1: [(INSERT, "b")]}
    assert story(session, link) == {("b", "c"): [(INSERT,)]}


@pytest.mark.needs("deferrable")
def test_objects_of_several_tables(Base, open_session):
    """All tables of an object have its new key, and end the history of the old one."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {
            "polymorphic_on": "kind",
            "polymorphic_identity": "item",
            "passive_updates": False,
        }
        key: Mapped[str] = mapped_column(String(9), primary_key=True)
        kind: Mapped[str] = mapped_column(String(9))

    class Tool(Item):
        __tablename__ = "tool"
        __mapper_args__ = {"polymorphic_identity": "tool"}
        item_key: Mapped[str] = mapped_column(String(9), primary_key=True)
        price: Mapped[int]
        __table_args__ = (
            ForeignKeyConstraint(["item_key"], ["item.key"], deferrable=True, initially="DEFERRED"),
        )

    session = open_session()
    tool = Tool(key="a", price=1)
    session.add(tool)
    session.commit()
    tool.key = "b"
    session.commit()

    expected = {"a": [(INSERT,), (DELETE,)], "b": [(INSERT,)]}
    assert story(session, Item) == story(session, Tool) == expected
    assert [(v.key, v.price) for v in tool.versions] == [("b", 1)]
    assert [type(v) for v in session.scalars(deleted(Item))] == [version_class(Tool)]


@pytest.mark.strategies("validity")
def test_statement_that_gives_numbers(Base, open_session):
    """What a statement makes of a key is looked up as a number, also by drivers that ask for it."""

    class Box(Base):
        __tablename__ = "box"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session()
    session.add(Box(id=1))
    session.commit()
    session.execute(update(Box.__table__).values(id=2))
    session.commit()

    assert story(session, Box) == {1: [(INSERT,), (DELETE,)], 2: [(INSERT,)]}
