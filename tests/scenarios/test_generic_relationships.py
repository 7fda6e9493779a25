"""Generic relationships of SQLAlchemy-Utils: references by the name of a class and a key."""

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, select
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy_utils import generic_relationship

from sqlalchemy_versioned import (
    ReadOnlyRelationship,
    RelationshipNotVersioned,
    as_of,
    version_class,
)
from tests.models import Models


@pytest.fixture
def models(Base):
    """Events about people, pilots among them, about rooms, and about notes, which have no past."""

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}

    class Pilot(Person):
        __tablename__ = "pilot"
        id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
        __mapper_args__ = {"polymorphic_identity": "pilot"}

    class Room(Base):
        __tablename__ = "room"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Event(Base):
        __tablename__ = "event"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        about_type = Column(String(20))
        about_id = Column(Integer)
        about: Any = generic_relationship(about_type, about_id)

    configure_mappers()
    return Models(Base, Person, Pilot, Room, Note, Event)


@pytest.fixture
def event(session, models):
    """An event that was about a pilot, then about a room, and then about nothing."""
    pilot, room = models.Pilot(id=1, name="a"), models.Room(id=2, name="r")
    event = models.Event(id=1, about_type="Pilot", about_id=1)
    session.add_all([pilot, room, event])
    session.commit()
    event.about = room
    session.commit()
    event.about = None
    pilot.name = room.name = "changed"
    session.commit()
    return event


def test_what_a_version_refers_to(event, models):
    """A version refers to the version that stood at its time."""
    first, second, third = event.versions

    assert type(first.about) is version_class(models.Pilot)
    assert (first.about.id, first.about.name) == (1, "a")
    assert type(second.about) is version_class(models.Room)
    assert (second.about.id, second.about.name) == (2, "r")
    assert third.about is None


def test_reference_to_what_is_gone(event, models, session):
    """A version refers to nothing where the row was deleted at its time, or never was."""
    session.delete(session.get(models.Room, 2))
    session.commit()
    event.about_type, event.about_id = "Room", 2
    session.commit()
    assert event.versions[-1].about is None
    event.about_id = 9
    session.commit()
    assert event.versions[-1].about is None
    event.about_type = "Ghost"
    session.commit()

    assert event.versions[-1].about is None
    assert event.versions[1].about.name == "r"


def test_reference_to_what_has_no_past(event, models, session):
    """A version refers to the live object where the other class is not versioned."""
    note = models.Note(id=7)
    session.add(note)
    session.flush()
    event.about = note
    session.commit()

    assert event.versions[-1].about is note


def test_reverting(event, models, session):
    """Reverting restores what an object referred to, even of one that was deleted."""
    versions = list(event.versions)
    versions[1].revert()
    session.commit()
    assert event.about is session.get(models.Room, 2)
    session.delete(event)
    session.commit()
    versions[0].revert()
    session.commit()

    assert session.get(models.Event, 1).about is session.get(models.Pilot, 1)


def test_comparing(event, models, session):
    """Versions are found by what they refer to: an object, its version, or its class."""
    version = version_class(models.Event)
    pilot, room = session.get(models.Pilot, 1), session.get(models.Room, 2)
    first, second, third = event.versions

    def found(criterion):
        return session.scalars(select(version).where(criterion)).all()

    assert found(version.about == pilot) == [first]
    assert found(version.about == room.versions[0]) == [second]
    assert found(version.about != pilot) == [second]
    assert found(version.about == None) == [third]  # noqa: E711
    assert found(version.about.is_type(models.Person)) == [first]
    assert found(version.about.is_type(version_class(models.Room))) == [second]


def test_past(event, models, session):
    """A session as of a moment gives the objects that were referred to then."""
    with as_of(session, event.versions[1].transaction_id) as past:
        about = past.get(models.Event, 1).about

        assert (type(about), about.name) == (models.Room, "r")


def test_changing_a_version(event):
    """What a version refers to cannot be changed."""
    version = event.versions[0]
    with pytest.raises(ReadOnlyRelationship, match=r"EventVersion\.about"):
        version.about = None

    assert version.about_id == 1


def test_version_in_no_session(event, session):
    """A version needs a session to tell what it refers to."""
    version = event.versions[0]
    session.expunge(version)

    with pytest.raises(DetachedInstanceError, match="in no session"):
        _ = version.about


# -- other models ----------------------------------------------------------------------------


def declare_event(Base, *, options=None):
    """Return events that refer to anything by two numbers."""

    class Event(Base):
        __tablename__ = "event"
        __versioned__ = options or {}
        id: Mapped[int] = mapped_column(primary_key=True)
        about_type: Mapped[str | None]
        about_row: Mapped[int | None]
        about_seat: Mapped[int | None]
        about: Any = generic_relationship("about_type", ("about_row", "about_seat"))

    return Event


def test_excluded_column(Base):
    """A reference of which history keeps a part only cannot be followed."""
    Event = declare_event(Base, options={"exclude": ["about_seat"]})
    configure_mappers()

    with pytest.raises(RelationshipNotVersioned, match="'about_seat' is excluded"):
        _ = version_class(Event)().about
    with pytest.raises(RelationshipNotVersioned, match="'about_seat' is excluded"):
        _ = version_class(Event).about


def test_key_of_several_columns(Base, engine):
    """A reference by several attributes leads to the version with this key."""
    Event = declare_event(Base)

    class Seat(Base):
        __tablename__ = "seat"
        __versioned__ = {}
        row: Mapped[int] = mapped_column(primary_key=True)
        seat: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        seat = Seat(row=1, seat=2, name="a")
        event = Event(about=seat)
        session.add_all([seat, Seat(row=2, seat=1, name="b"), event])
        session.commit()
        seat.name = "c"
        session.commit()
        about = event.versions[0].about

        assert (about.row, about.seat, about.name) == (1, 2, "a")
