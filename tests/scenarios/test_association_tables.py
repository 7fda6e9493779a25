"""Association tables of every shape, written in every way, have the history of their rows."""

import asyncio
import enum
import itertools
import uuid
from datetime import datetime

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Enum,
    ForeignKey,
    Integer,
    String,
    Table,
    Uuid,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import CaptureError, Operation, as_of, count_versions, get_changes
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from tests.models import Models

INSERT, UPDATE, DELETE = Operation


class Role(enum.Enum):
    """What a link may say; values differ from names."""

    GUEST = "g"
    OWNER = "o"


def key_columns(*, primary):
    """Return the columns of an association table that say what it links."""
    return [
        Column("person_id", ForeignKey("person.id"), primary_key=primary, nullable=False),
        Column("team_id", ForeignKey("team.id"), primary_key=primary, nullable=False),
    ]


def surrogate(type_=Integer, **arguments):
    """Return the key of an association table that has one of its own."""
    return Column("id", type_, primary_key=True, **arguments)


#: Functions, because a column belongs to one table.
SHAPES = {
    "plain": lambda: key_columns(primary=True),
    "without key": lambda: key_columns(primary=False),
    "number": lambda: [surrogate(), *key_columns(primary=False)],
    "uuid": lambda: [surrogate(Uuid, default=uuid.uuid4), *key_columns(primary=False)],
    "role": lambda: [
        *key_columns(primary=True),
        Column("role", Enum(Role, name="role"), nullable=False, default=Role.OWNER),
    ],
    "role by the server": lambda: [
        *key_columns(primary=True),
        Column("role", Enum(Role, name="role"), nullable=False, server_default="GUEST"),
    ],
    "more columns": lambda: [
        surrogate(),
        *key_columns(primary=False),
        Column("weight", Integer, nullable=False, server_default="1"),
        Column("since", DateTime, nullable=False, server_default=func.now()),
        Column("note", String(9), default=lambda: "made"),
        Column("share", Integer, default=func.length("abc")),
    ],
}


#: Those of which history cannot tell all.
OTHERS = {"note": lambda: [*key_columns(primary=False), Column("note", String(9))]}


def build_teams(Base, shape):
    """Declare persons and the teams they are in, by an association table of a shape."""
    link = Table("person_team", Base.metadata, *{**SHAPES, **OTHERS}[shape]())

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        teams = relationship("Team", secondary=link, order_by="Team.id")

    class Team(Base):
        __tablename__ = "team"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    models = Models(Base, Person, Team)
    models.link = link
    return models


@pytest.fixture(params=SHAPES)
def models(request, keep):
    """Persons and teams, with an association table of each shape."""
    return keep(build_teams, request.param)


@pytest.fixture
def link(models):
    """The association table."""
    return models.link


@pytest.fixture
def classes(models):
    """Persons and the teams they are in."""
    return models.Person, models.Team


@pytest.fixture
def session(tables):
    """A session on the tables that flushes only when it is told to."""
    with Session(tables, autoflush=False) as session:
        yield session


def rows_of(session, link):
    """Return the rows of the association table."""
    return [dict(row) for row in session.execute(select(link)).mappings()]


def history_of(session, link):
    """Return operation and row of each version, in order."""
    spec = table_spec_of(link)
    order = [spec.transaction_column, spec.operation_column]
    found = session.execute(select(spec.version_table).order_by(*order)).mappings().all()
    return [
        (row[spec.operation_column], {pair.parent.name: row[pair.version] for pair in spec.pairs})
        for row in found
    ]


def test_the_stored_row_is_kept(session, classes, link):
    """A version has all columns of the link, whoever filled them, also when it is removed."""
    Person, Team = classes
    person = Person(id=1, teams=[Team(id=1)])
    session.add(person)
    session.commit()
    (stored,) = rows_of(session, link)
    assert None not in stored.values()
    person.teams = []
    session.commit()

    assert history_of(session, link) == [(INSERT, stored), (DELETE, stored)]


@pytest.mark.shared_out
def test_all_sequences_of_adding_and_removing(session, classes, link):
    """One version, or none, remains of what one transaction does to a link."""
    Person, Team = classes
    everything = [
        (is_linked, flushes)
        for is_linked in (False, True)
        for length in (1, 2, 3, 4)
        for flushes in itertools.product((False, True), repeat=length - 1)
    ]
    for number, (is_linked, flushes) in enumerate(everything, start=1):
        person, team = Person(id=number), Team(id=number)
        person.teams = [team] if is_linked else []
        session.add_all([person, team])
        session.commit()
        before = row_of(session, link, number)
        toggle(session, person, team, flushes)
        after = row_of(session, link, number)
        assert (after is not None) == (team in person.teams)
        found = [o for o, row in history_of(session, link) if row["person_id"] == number]
        assert found == [*([INSERT] if is_linked else []), *difference(before, after)], flushes
    assert_newest_are_live(session, link)


def row_of(session, link, number):
    """Return the link of one person, if there is one."""
    return next((row for row in rows_of(session, link) if row["person_id"] == number), None)


def difference(before, after):
    """Return the operations that make one row of another, or put one in its place, if any."""
    if before == after:
        return []
    if before and after and before.get("id") == after.get("id"):
        return [UPDATE]
    return [*([INSERT] if after else []), *([DELETE] if before else [])]


def toggle(session, person, team, flushes):
    """Add or remove a link, again and again, and commit."""
    for flush in (*flushes, True):
        if team in person.teams:
            person.teams.remove(team)
        else:
            person.teams.append(team)
        if flush:
            session.flush()
    session.commit()


def assert_newest_are_live(session, link):
    """Check that the newest versions are the rows there are."""
    newest = {
        (row.get("id"), row["person_id"], row["team_id"]): (o, row)
        for o, row in history_of(session, link)
    }
    left = [row for operation, row in newest.values() if operation != DELETE]
    keys = ("person_id", "team_id")
    assert sorted(left, key=lambda r: [r[k] for k in keys]) == sorted(
        rows_of(session, link), key=lambda r: [r[k] for k in keys]
    )


@pytest.mark.parametrize("models", ["without key"], indirect=True)
def test_links_without_a_key_are_counted(session, classes, link):
    """Groups of links are in the past what they are now, also where no key decides a row."""
    Person, Team = classes
    team = Team(id=1)
    session.add_all([Person(id=number, teams=[team]) for number in (1, 2)])
    session.commit()
    last = session.scalar(select(func.max(table_spec_of(link).transaction_column)))
    counted = select(link.c.team_id, func.count(link.c.person_id)).group_by(link.c.team_id)

    with as_of(session, last) as past:
        assert past.execute(counted).all() == session.execute(counted).all() == [(1, 2)]


# -- several rows of one link -------------------------------------------------------------------


twins = pytest.mark.parametrize("models", ["number"], indirect=True)


@pytest.fixture
def linked(session, classes):
    """A person in one team."""
    Person, Team = classes
    person = Person(id=1, teams=[Team(id=1)])
    session.add(person)
    session.commit()
    return person


@pytest.fixture
def team_ids(session, classes, link):
    """Tells in which teams the person is as of the last transaction, if history has no fault."""

    def ids():
        assert verify(session) == []
        last = session.scalar(select(func.max(table_spec_of(link).transaction_column)))
        with as_of(session, last) as past:
            return [team.id for team in past.get(classes[0], 1).teams]

    return ids


def teams_changed(session, Person):
    """Return which teams persons have left, and come into, with each transaction."""
    records = get_changes(Person, session, relations=["teams"], descending=False)
    fields = [change for record in records for change in record.changes]
    return [(change.old, change.new) for change in fields if change.field == "teams"]


@twins
@pytest.mark.strategies
def test_one_of_two_rows_goes(session, classes, linked, link, team_ids):
    """A link stands as long as one of its rows does; each has its own history."""
    session.execute(insert(link).values(person_id=1, team_id=1))
    session.commit()
    first, second = sorted(rows_of(session, link), key=lambda row: row["id"])
    seen = [team_ids()]
    for row in (first, second):
        session.execute(delete(link).where(link.c.id == row["id"]))
        session.commit()
        seen.append(team_ids())

    assert seen == [[1], [1], []]
    expected = [(INSERT, first), (INSERT, second), (DELETE, first), (DELETE, second)]
    assert history_of(session, link) == expected
    assert teams_changed(session, classes[0]) == [([], [1]), ([1], [])]


@pytest.mark.parametrize("models", OTHERS, indirect=True)
@pytest.mark.parametrize(
    ("team", "notes", "is_moved"),
    [(1, "ab", False), (2, "ab", False), (1, "b", False), (2, "b", True)],
)
def test_rows_of_one_link_that_differ(session, classes, linked, link, team, notes, is_moved, mode):
    """Without a key, history cannot tell them apart; nothing of it stays."""
    rows = [{"person_id": 1, "team_id": team, "note": note} for note in notes]
    session.add(classes[1](id=2))
    session.commit()
    error = mode.pick(CaptureError, IntegrityError)
    statement, sets = insert(link), rows
    if is_moved:
        session.execute(statement, sets)
        statement, sets = update(link).where(link.c.team_id == team).values(team_id=1), None
    with pytest.raises(error, match=mode.pick("differ in note", "are one in history, and differ")):
        session.execute(statement, sets)
    session.rollback()

    assert [(row["team_id"], row["note"]) for row in rows_of(session, link)] == [(1, None)]


@twins
@pytest.mark.strategies
def test_one_of_two_rows_is_moved(session, classes, linked, link, team_ids):
    """A row that is moved to another link leaves the other row behind."""
    session.add(classes[1](id=2))
    session.execute(insert(link).values(person_id=1, team_id=1))
    session.commit()
    first = min(row["id"] for row in rows_of(session, link))
    session.execute(update(link).where(link.c.id == first).values(team_id=2))
    session.commit()

    assert team_ids() == [1, 2]


@twins
@pytest.mark.strategies
def test_relationship_makes_a_second_row(tables, classes, link, team_ids):
    """The row that stood before is not recorded again."""
    Person, Team = classes
    with Session(tables, expire_on_commit=False) as session:
        person, team = Person(id=1, teams=[]), Team(id=1)
        session.add_all([person, team])
        session.commit()
        session.execute(insert(link).values(person_id=1, team_id=1))
        session.commit()
        person.teams.append(team)
        session.commit()

        first, second = sorted(rows_of(session, link), key=lambda row: row["id"])
        assert history_of(session, link) == [(INSERT, first), (INSERT, second)]
    assert team_ids() == [1]


#: What tells rows apart that are the same in all columns.
ROW_IDS = {"sqlite": "rowid", "postgresql": "ctid"}


@pytest.mark.needs("row_ids")
@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("models", ["without key"], indirect=True)
def test_twins_without_a_key(session, classes, linked, link, team_ids):
    """A link has one version as long as one of its rows stands, whatever becomes of the others."""
    place = literal_column(ROW_IDS[session.get_bind().dialect.name])
    rows = select(place).where(link.c.team_id == 1).order_by(place).limit(1)
    one = place == rows.scalar_subquery()
    session.add(classes[1](id=2))
    seen = []
    for write in (
        insert(link).values(person_id=1, team_id=1),
        delete(link).where(one),
        insert(link).values(person_id=1, team_id=1),
        update(link).where(one).values(team_id=2),
        update(link).where(one).values(team_id=2),
        delete(link),
    ):
        session.execute(write)
        session.commit()
        seen.append(team_ids())

    assert seen == [[1], [1], [1], [1, 2], [2], []]
    found = [(o, row["team_id"]) for o, row in history_of(session, link)]
    assert found == [(INSERT, 1), (INSERT, 2), (DELETE, 1), (DELETE, 2)]


@twins
def test_link_that_comes_back_in_another_row(session, classes, linked):
    """Nobody was gained or lost where a link is cut and made again in one transaction."""
    (team,) = linked.teams
    toggle(session, linked, team, [True])

    records = get_changes(classes[0], session, relations=["teams"])
    assert [record.operation for record in records] == [INSERT]


# -- the class of the links ---------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["key of both", "number"])
def membership(request, Base):
    """A class whose table is the secondary of a relationship as well."""

    class Membership(Base):
        __tablename__ = "membership"
        __versioned__ = {}
        if request.param:
            id: Mapped[int] = mapped_column(primary_key=True)
        person_id = mapped_column(ForeignKey("person.id"), primary_key=not request.param)
        team_id = mapped_column(ForeignKey("team.id"), primary_key=not request.param)
        role: Mapped[str | None] = mapped_column(String(9), server_default="guest")

    class Person(Base):
        __tablename__ = "person"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        teams = relationship("Team", secondary="membership", order_by="Team.id")

    class Team(Base):
        __tablename__ = "team"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    return Person, Team, Membership


@pytest.mark.parametrize("again", ["same flush", "next flush", "next transaction"])
def test_class_and_relationship_write_at_once(membership, Base, engine, again):
    """Links made by the class and by the relationship are recorded once each, whenever."""
    Person, Team, Membership = membership
    configure_mappers()
    Base.metadata.create_all(engine)
    end = {"same flush": lambda s: None, "next flush": Session.flush}.get(again, Session.commit)
    with Session(engine, autoflush=False) as session:
        teams = [Team(id=1), Team(id=2)]
        person = Person(id=1)
        session.add_all([person, *teams])
        session.flush()
        session.add(Membership(person_id=1, team_id=1, role="boss"))
        end(session)
        person.teams.append(teams[1])
        session.commit()
        session.expire_all()
        found = history_of(session, Membership.__table__)
        assert sorted((o, row["team_id"], row["role"]) for o, row in found) == [
            (INSERT, 1, "boss"),
            (INSERT, 2, "guest"),
        ]
        session.delete(session.scalars(select(Membership).filter_by(team_id=1)).one())
        end(session)
        person.teams.remove(teams[1])
        session.commit()
        found = history_of(session, Membership.__table__)[2:]
        assert sorted((o, row["team_id"], row["role"]) for o, row in found) == [
            (DELETE, 1, "boss"),
            (DELETE, 2, "guest"),
        ]


@pytest.mark.parametrize("membership", [True], indirect=True)
def test_two_objects_of_one_link(membership, Base, open_session):
    """A member is gained with the first, and lost with the last."""
    Person, Team, Membership = membership
    session = open_session(Base)
    session.add_all([Person(id=1), Team(id=1), Team(id=2)])
    session.flush()
    first, last = [Membership(person_id=1, team_id=1) for _ in range(2)]
    session.add_all([first, last])
    session.commit()
    session.add(Membership(person_id=1, team_id=2))
    session.delete(first)
    session.commit()
    last.team_id = 2
    session.commit()

    assert teams_changed(session, Person) == [([], [1]), ([], [2]), ([1], [])]


# -- statements without a session ---------------------------------------------------------------


def test_statements_on_connections_of_a_new_engine(session, classes, link, database):
    """Statements of an engine that has never seen a session go through."""
    person, team = (cls(id=1) for cls in classes)
    session.add_all([person, team])
    session.commit()
    engine = database.create_engine()
    with engine.begin() as connection:
        connection.execute(insert(link), {"person_id": 1, "team_id": 1} | given(link))
        connection.execute(delete(link))
    engine.dispose()
    with Session(session.get_bind()) as other:
        other.execute(insert(link), {"person_id": 1, "team_id": 1} | given(link))
        other.execute(delete(link))
        other.commit()

    assert rows_of(session, link) == []
    assert count_versions(person) == 1


@pytest.mark.needs("async")
def test_statements_on_async_connections(session, classes, link, database):
    """So do those of asynchronous connections and sessions, before and after flushes."""
    from sqlalchemy.ext.asyncio import AsyncSession

    Person, Team = classes
    values = {"person_id": 1, "team_id": 1} | given(link)

    async def write():
        engine = database.create_async_engine()
        async with AsyncSession(engine) as other:
            await other.execute(delete(link))
            other.add(Person(id=1, teams=[Team(id=1)]))
            await other.commit()
            await other.execute(delete(link))
            await other.commit()
        async with engine.begin() as connection:
            await connection.execute(insert(link), values)
            await connection.execute(delete(link))
        await engine.dispose()

    asyncio.run(write())

    assert rows_of(session, link) == []
    assert history_of(session, link)[0][0] == INSERT


def given(link):
    """Return values for columns that only a relationship's insert would fill."""
    return {"since": datetime(2020, 1, 1)} if "since" in link.c else {}
