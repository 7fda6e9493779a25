"""Reverting rows between which unique values have moved."""

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Index,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Time,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlalchemy_versioned import ReverterException, revert_plan
from tests.models import Models

pytestmark = pytest.mark.strategies()


@pytest.fixture
def models(keep):
    """Teams of players, who have numbers and nicknames that nobody else has."""

    def build(Base):
        class Team(Base):
            __tablename__ = "team"
            __versioned__ = {}
            id: Mapped[int] = mapped_column(primary_key=True)
            players: Mapped[list["Player"]] = relationship(order_by="Player.id")

        class Player(Base):
            __tablename__ = "player"
            __versioned__ = {}
            __table_args__ = (
                UniqueConstraint("team_id", "number"),
                Index("player_token", "token", unique=True),
            )
            id: Mapped[int] = mapped_column(primary_key=True)
            team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
            number: Mapped[int] = mapped_column(default=0)
            nick: Mapped[str] = mapped_column(String(8), unique=True)
            token: Mapped[uuid.UUID] = mapped_column(Uuid, default=uuid.uuid4)

        return Models(Base, Team, Player)

    return keep(build)


@pytest.fixture
def team(session, models):
    """A team of three, committed."""
    players = [models.Player(nick=n, number=i) for i, n in enumerate("abc")]
    team = models.factories.Team(players=players)
    session.commit()
    return team


def rotate(session, players, key):
    """Let the values of *key* go round, in as many flushes as that takes."""
    values = [getattr(player, key) for player in players]
    spare = {"nick": "spare", "number": 99, "token": uuid.uuid4()}[key]
    setattr(players[0], key, spare)
    session.flush()
    for player, value in zip(players[1:], values, strict=False):
        setattr(player, key, value)
        session.flush()
    setattr(players[0], key, values[-1])
    session.commit()
    return values


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("key", ["nick", "number", "token"])
def test_values_that_went_round(session, team, key):
    """Rows that have exchanged unique values get their own back, in one transaction."""
    players = list(team.players)
    values = rotate(session, players, key)
    assert [getattr(player, key) for player in players] != values

    team.versions[0].revert(relations=["players"])
    session.commit()

    assert [getattr(player, key) for player in players] == values
    assert (team.players, [player.versions.count() for player in players]) == (players, [3, 3, 3])


def test_values_of_deleted_rows(session, team, models):
    """A restored row gets back a value that another row of the plan had taken."""
    first, second, _ = team.players
    session.delete(first)
    session.flush()
    second.nick = "a"
    session.commit()

    team.versions[0].revert(relations=["players"])
    session.commit()

    assert [player.nick for player in team.players] == ["a", "b", "c"]


def test_values_of_rows_that_came_later(session, team, models):
    """A row that has to go lets go of its value before it is given back."""
    session.delete(team.players[0])
    session.flush()
    session.add(models.Player(nick="a", team_id=team.id, number=7))
    session.commit()

    team.versions[0].revert(relations=["players"])
    session.commit()

    assert [player.nick for player in team.players] == ["a", "b", "c"]


def test_values_of_rows_whose_deletion_is_not_flushed(session, team):
    """A deletion that is taken back is not flushed with what has to let go first."""
    players = list(team.players)
    values = rotate(session, players, "nick")
    version = team.versions[0]
    session.delete(players[0])

    version.revert(relations=["players"])
    session.commit()

    assert [player.nick for player in players] == values


def test_values_of_rows_that_stay(session, team, models):
    """A value that belongs to a row which keeps it is refused, and nothing is changed."""
    first = team.players[0]
    version = first.versions[0]
    first.nick = "x"
    session.flush()
    thief = models.factories.Player(nick="a", number=9)
    session.commit()

    with pytest.raises(ReverterException, match=f"nick = 'a'.*belongs to row {thief.id}"):
        version.revert()

    assert (first.nick, list(session.dirty)) == ("x", [])


def test_nothing_is_flushed_without_need(session, team, models, engine, count_statements):
    """Without an exchange reverting leaves flushing to the application."""
    team.players[0].nick = "x"
    session.commit()

    plan = revert_plan(team.versions[0], relations=["players"])
    with count_statements(engine) as statements:
        team.versions[0].revert(relations=["players"])

    assert plan.releases == ()
    assert not statements.starting("UPDATE")


def test_the_plan_tells_what_comes_first(session, team):
    """What is flushed in between is part of the plan."""
    rotate(session, list(team.players)[:2], "nick")

    plan = revert_plan(team.versions[0], relations=["players"])

    first, then, *_ = str(plan).splitlines()
    assert first.startswith("first vacate Player ")
    assert then.startswith("first set Player ")


def swap(session, one, other, key, spare):
    """Exchange the values of two rows, in as many flushes as that takes."""
    values = getattr(one, key), getattr(other, key)
    for row, value in ((one, spare), (other, values[0]), (one, values[1])):
        setattr(row, key, value)
        session.flush()
    session.commit()


class Shade(enum.Enum):
    """An enum with more members than a test takes."""

    LIGHT = "l"
    DARK = "d"
    GREY = "g"


class Coordinates(TypeDecorator):
    """A type that takes nothing but pairs of small numbers."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        """Store a text."""
        if value is None:
            return None
        x, y = value
        return f"{x:d},{y:d}"

    def process_result_value(self, value, dialect):
        """Load a pair."""
        if value is None:
            return None
        x, y = value.split(",")
        return int(x), int(y)


KINDS = {
    "small integer": (SmallInteger, 1, 32767, 5),
    "numeric": (Numeric(3, 1), Decimal("1.5"), Decimal("99.9"), Decimal("3.5")),
    "float": (Float, 1.5, 2.5, 3.5),
    "date": (Date, dt.date(2020, 1, 1), dt.date.max, dt.date(2021, 1, 1)),
    "moment": (DateTime, dt.datetime(2020, 1, 1), dt.datetime(2021, 1, 1), dt.datetime(2022, 1, 1)),
    "time": (Time, dt.time(23, 59, 59), dt.time(0), dt.time(12)),
    "interval": (Interval, dt.timedelta(1), dt.timedelta(2), dt.timedelta(3)),
    "bytes": (LargeBinary(8), b"a", b"b", b"c"),
    "uuid as text": (Uuid(as_uuid=False), *(str(uuid.UUID(int=i)) for i in (1, 2, 3))),
    "one letter": (String(1), "a", "b", "c"),
    "enum": (Enum("a", "b", "c", name="letter"), "a", "b", "c"),
    "enum of a class": (Enum(Shade, name="shade"), Shade.LIGHT, Shade.DARK, Shade.GREY),
    "type of one's own": (Coordinates, (1, 2), (3, 4), (5, 6)),
}


@pytest.mark.shared_out
@pytest.mark.strategies("validity")
@pytest.mark.parametrize("kind", KINDS)
def test_values_of_every_type(open_session, things, kind):
    """Rows exchange values of any type that has one to spare."""
    type_, first, second, spare = KINDS[kind]
    models = things(type_)
    session = open_session(models)
    one, other = models.Thing(value=first), models.Thing(value=second)
    one.others = [other]
    session.add(one)
    session.commit()
    swap(session, one, other, "value", spare)

    one.versions[0].revert(relations=["others"])
    session.commit()

    assert (one.value, other.value) == (first, second)


@pytest.mark.strategies("validity")
def test_validators_see_no_value_to_spare(open_session, things):
    """What a row holds for the time being is no business of the application's validators."""
    models = things(String(20))
    session = open_session(models)
    one, other = models.Thing(value="a"), models.Thing(value="b")
    one.others = [other]
    session.add(one)
    session.commit()
    swap(session, one, other, "value", "c")
    seen = []
    event.listen(models.Thing.value, "set", lambda _, value, *others: seen.append(value))

    one.versions[0].revert(relations=["others"])
    session.commit()

    assert sorted(seen) == ["a", "b"]


@pytest.mark.strategies("validity")
@pytest.mark.parametrize("type_", [Boolean, Enum("a", "b", name="letter")])
def test_types_that_are_used_up(open_session, things, type_):
    """Where all values of a type are taken, the exchange is refused, and nothing is changed."""
    models = things(type_)
    values = (False, True) if type_ is Boolean else ("a", "b")
    session = open_session(models)
    one, other = (models.Thing(value=value) for value in values)
    one.others = [other]
    session.add(one)
    session.commit()
    identity = other.id
    session.delete(other)
    session.flush()
    one.value = values[1]
    session.flush()
    session.add(models.Thing(id=identity, value=values[0]))
    session.commit()

    with pytest.raises(ReverterException, match="exchange values of value, which is unique"):
        one.versions[0].revert(relations=["others"])

    assert (one.value, list(session.dirty)) == (values[1], [])


@pytest.mark.strategies("validity")
def test_values_that_stay_give_way(open_session, things):
    """Where no changed value can be spared, one that stays is given up for a moment."""
    models = things(Boolean, UniqueConstraint("value", "group"))
    session = open_session(models)
    one, other = models.Thing(value=False, group=1), models.Thing(value=True, group=1)
    one.others = [other]
    session.add(one)
    session.commit()
    one.group = None
    session.flush()
    one.value, other.value = True, False
    session.flush()
    one.group = 1
    session.commit()

    one.versions[0].revert(relations=["others"])
    session.commit()

    assert [(each.value, each.group) for each in (one, other)] == [(False, 1), (True, 1)]


@pytest.mark.strategies("validity")
@pytest.mark.needs("deferrable_unique")
def test_deferrable_constraints(open_session, things):
    """A constraint that can be deferred is deferred, and nothing is flushed in between."""
    constraint = UniqueConstraint("value", name="One value", deferrable=True)
    models = things(Boolean, constraint)
    session = open_session(models)
    one, other = models.Thing(value=False), models.Thing(value=True)
    one.others = [other]
    session.add(one)
    session.commit()
    session.execute(text('SET CONSTRAINTS "One value" DEFERRED'))
    one.value, other.value = True, False
    session.commit()

    plan = revert_plan(one.versions[0], relations=["others"])
    assert (plan.releases, str(plan).splitlines()[0]) == ((), "defer One value of Thing")
    one.versions[0].revert(relations=["others"])
    session.commit()

    assert (one.value, other.value) == (False, True)


@pytest.fixture
def things(Base):
    """Declare things that have a unique value: ``things(type, constraint)``."""

    def declare(type_, constraint=None):
        class Thing(Base):
            __tablename__ = "thing"
            __versioned__ = {}
            __table_args__ = (UniqueConstraint("value") if constraint is None else constraint,)
            id: Mapped[int] = mapped_column(primary_key=True)
            parent_id: Mapped[int | None] = mapped_column(ForeignKey("thing.id"))
            value: Mapped[Any] = mapped_column(type_, nullable=False)
            group: Mapped[int | None]
            others: Mapped[list["Thing"]] = relationship()

        return Models(Base, Thing)

    return declare
