"""Triggers record some classes and sessions the others, as one history."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, Table, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import (
    CaptureError,
    ImproperlyConfigured,
    set_session_variables,
    transaction_class,
    transaction_context,
    version_class,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.triggers import check_triggers, trigger_ddl
from tests.models import Models

TICKET = Column("ticket", Integer, nullable=False)

pytestmark = pytest.mark.options(session_variables=[TICKET])
needs_triggers = pytest.mark.needs("triggers")


def declare(Base):
    """Return a page, which triggers record and guard, a note of sessions, and marks of pages."""

    class Mark(Base):
        __tablename__ = "mark"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    links = Table(
        "page_mark",
        Base.metadata,
        Column("page_id", ForeignKey("page.id", ondelete="CASCADE"), primary_key=True),
        Column("mark_id", ForeignKey("mark.id", ondelete="CASCADE"), primary_key=True),
    )

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"native": True, "append_only": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))
        marks: Mapped[list["Mark"]] = relationship(secondary=links)

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {"native": False}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    return Models(Base, Mark, Page, Note)


@pytest.fixture
def models(Base):
    """The classes."""
    return declare(Base)


def history(session, *classes):
    """Return the names, operations and transactions of the versions of some classes."""
    found = []
    for cls in classes:
        version = version_class(cls)
        columns = (version.name, version.operation_type, version.transaction_id)
        found += session.execute(select(*columns).order_by(version.transaction_id)).all()
    return [(name, operation, number) for name, operation, number in found]


@needs_triggers
@pytest.mark.parametrize(
    "default",
    [
        pytest.param(each, marks=pytest.mark.options(native=each, session_variables=[TICKET]))
        for each in (True, False)
    ],
)
def test_one_transaction_for_both(models, session, default):
    """Objects, statements and links that are written together belong to one transaction."""
    page, note = models.Page(id=1, name="a"), models.Note(id=1, name="a")
    page.marks = [models.Mark(id=1, name="m"), models.Mark(id=2, name="n")]
    with transaction_context(ticket=1):
        session.add_all([page, note])
        session.commit()
        note.name = page.name = "b"
        session.flush()
        session.execute(update(models.Page).values(name="c"))
        session.execute(update(models.Note).values(name="c"))
        page.marks.pop()
        session.commit()
        session.delete(page.marks[0])
        session.delete(note)
        session.flush()
        session.execute(text("DELETE FROM page"))
        session.commit()

    first, second, third = session.scalars(
        select(transaction_class(models.Page).id).order_by(transaction_class(models.Page).id)
    )
    for cls in (models.Page, models.Note):
        assert history(session, cls) == [("a", 0, first), ("c", 1, second), ("c", 2, third)]
    links = version_table(models.metadata.tables["page_mark"])
    gone = select(links.c.mark_id, links.c.transaction_id).where(links.c.operation_type == 2)
    assert session.execute(gone.order_by(links.c.mark_id)).all() == [(1, third), (2, second)]
    assert verify(session) == []


@needs_triggers
def test_what_is_written_to_either(models, session):
    """Text and whatever else triggers see is recorded of the one, and refused of the other."""
    set_session_variables(session, ticket=1)
    session.execute(text("INSERT INTO page VALUES (1, 'a')"))
    with pytest.raises(CaptureError, match="a statement writes note"):
        session.execute(text("INSERT INTO note VALUES (1, 'a')"))
    session.execute(insert(models.Note).values(id=1, name="a"))
    session.commit()

    (page,), (note,) = history(session, models.Page), history(session, models.Note)
    assert page == note
    assert check_triggers(models.metadata, session) == []
    assert "page_versioned" in trigger_ddl(models.Page.__table__)[0][0]


@needs_triggers
def test_what_comes_to_nothing(models, session, engine):
    """A transaction stays for what is left of it, whoever records that, and goes with the last."""
    set_session_variables(session, ticket=1)
    page, note = models.Page(id=1, name="a"), models.Note(id=1, name="a")
    session.add_all([page, note])
    session.commit()
    for first, second in ((page, note), (note, page)):
        set_session_variables(session, ticket=2)
        first.name = "b"
        session.flush()
        second.name = "b"
        session.flush()
        second.name = "a"
        session.flush()
        first.name = "a"
        session.flush()
        second.name = "c"
        session.commit()
        second.name = "a"
        with pytest.raises(IntegrityError, match="ticket"):
            session.flush()
        session.rollback()
        for savepoint in (first, second):
            set_session_variables(session, ticket=3)
            nested = session.begin_nested()
            savepoint.name = "gone"
            session.flush()
            nested.rollback()
        session.commit()

    assert [name for name, *_ in history(session, models.Page)] == ["a", "c"]
    assert [name for name, *_ in history(session, models.Note)] == ["a", "c", "a"]
    transaction = transaction_class(models.Page)
    assert session.scalars(select(transaction.ticket).order_by(transaction.id)).all() == [1, 2, 2]
    assert verify(session) == []


@needs_triggers
@pytest.mark.parametrize("first", ["Page", "Note"])
def test_who_has_the_earlier_number_follows(models, session, engine, first):
    """A transaction that is overtaken by another gets a later number, in all its versions."""
    second = {"Page": "Note", "Note": "Page"}[first]
    set_session_variables(session, ticket=1)
    session.add_all([models.Page(id=1, name="a"), models.Note(id=1, name="a")])
    session.commit()

    set_session_variables(session, ticket=2)
    session.get(getattr(models, first), 1).name = "mine"
    session.flush()
    with Session(engine) as other:
        set_session_variables(other, ticket=3)
        other.get(getattr(models, second), 1).name = "theirs"
        other.commit()
    late = session.get(getattr(models, second), 1)
    session.refresh(late)
    late.name = "mine"
    session.commit()

    names = [
        [name for name, *_ in history(session, getattr(models, each))] for each in (first, second)
    ]
    assert names == [["a", "mine"], ["a", "theirs", "mine"]]
    numbers = [history(session, getattr(models, each))[-1][2] for each in (first, second)]
    assert numbers[0] == numbers[1]
    assert verify(session) == []


@pytest.mark.options(session_variables=[])
def test_sessions_record_everything_elsewhere(Base, open_session):
    """On a database without such triggers the option says nothing, and a table can have it."""
    plain = Table("plain", Base.metadata, Column("id", Integer, primary_key=True))
    versioned_table(plain, native=True)
    models = declare(Base)
    session = open_session(Base)
    session.add_all([models.Page(id=1, name="a"), models.Note(id=1, name="a")])
    session.execute(insert(plain).values(id=1))
    session.commit()

    assert history(session, models.Page) == history(session, models.Note)
    assert len(session.execute(select(version_table(plain))).all()) == 1


@pytest.mark.options(session_variables=[])
@pytest.mark.parametrize(("above", "below"), [(True, False), (False, True)])
def test_objects_are_recorded_as_a_whole(Base, above, below):
    """Classes that share objects have one mode, which subclasses inherit."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {"native": above}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Cat(Animal):
        __tablename__ = "cat"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)

    configure_mappers()

    class Dog(Animal):
        __tablename__ = "dog"
        __versioned__ = {"native": below}
        id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)

    with pytest.raises(ImproperlyConfigured, match=r"Dog is to be recorded by .* option native"):
        configure_mappers()


@pytest.mark.options(session_variables=[], native=False)
def test_what_triggers_record_moves_nothing_of_sessions(Base):
    """Foreign keys must not change unnoticed what sessions record."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"native": True}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        page_id: Mapped[int] = mapped_column(ForeignKey("page.id", ondelete="CASCADE"))

    with pytest.raises(ImproperlyConfigured, match="triggers record page, and foreign keys"):
        configure_mappers()
