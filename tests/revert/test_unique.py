"""Reverting rows between which unique values have moved."""

import uuid

import pytest
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlalchemy_versioned import ReverterException, revert_plan
from tests.models import Models

pytestmark = pytest.mark.strategies()


@pytest.fixture
def models(Base):
    """Teams of players, who have numbers and nicknames that nobody else has."""

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


@pytest.mark.parametrize("key", ["nick", "number", "token"])
def test_values_that_went_round(session, team, key):
    """Rows that have exchanged unique values get their own back, in one transaction."""
    players = list(team.players)
    values = rotate(session, players, key)
    assert [getattr(player, key) for player in players] != values

    team.versions[0].revert(relations=["players"])
    session.commit()

    assert [getattr(player, key) for player in players] == values
    assert [player.versions.count() for player in players] == [3, 3, 3]


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

    assert str(plan).startswith("first set Player ")
