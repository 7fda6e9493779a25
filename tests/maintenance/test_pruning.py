"""History that is shortened tells nothing that was not, and says where it does not reach."""

from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    IncompleteHistory,
    InvalidArgument,
    InvalidArgumentType,
    Operation,
    ReadOnlySnapshot,
    VersioningError,
    as_of,
    blame,
    paused,
    transaction_class,
    vacuum,
    version_class,
    version_table,
)
from sqlalchemy_versioned.maintenance import prune, redact, verify
from tests.maintenance.test_maintenance import build
from tests.statements import count_statements
from tests.threads import waiting
from tests.zoo import STEPS, Program, Zoo, zoo_tables

numbers = st.integers(0, 23)
programs = st.lists(st.tuples(st.sampled_from(STEPS), numbers, numbers), min_size=12, max_size=40)


@pytest.fixture
def models(keep):
    """Classes of every shape, and with every kind of key."""
    return keep(build)


@pytest.fixture
def points(session, models):
    """The transactions of an object that has five versions, beside one that has one."""
    plain = models.Plain(id=1, name="0")
    session.add_all([plain, models.Plain(id=2, name="0")])
    session.commit()
    for name in "1234":
        plain.name = name
        session.commit()
    return [version.transaction_id for version in plain.versions]


def names(session, models, at):
    """Return what a table read at a transaction."""
    with as_of(session, at) as past:
        return past.scalars(select(models.Plain.name).order_by(models.Plain.id)).all()


@pytest.mark.needs("concurrent_writers")
@pytest.mark.parametrize("is_read", [False, True])
def test_while_the_past_is_read(session, tables, models, points, is_read):
    """A past that is open reads on what there was, or says at its end that it may not have."""
    found = []
    try:
        with as_of(session, points[1]) as past:
            rows = select(models.Plain.name).order_by(models.Plain.id)
            found.append(past.scalars(rows).all())
            with Session(tables) as other:
                prune(other, models.Plain, keep=1)
                other.commit()
            if is_read:
                found.append(past.scalars(rows).all())
    except IncompleteHistory:
        return
    assert found == [["1", "0"]] * (1 + is_read)


@pytest.mark.strategies
def test_before(session, models, points):
    """What was valid at a transaction stays, what was earlier is known to be missing."""
    assert names(session, models, points[1]) == ["1", "0"]

    assert prune(session, models.Plain, before=points[2]) == 2
    session.commit()
    assert [names(session, models, at) for at in points[2:]] == [[n, "0"] for n in "234"]
    for at in points[:2]:
        # This connection has found the history complete before.
        with pytest.raises(IncompleteHistory, match="has been pruned"):
            names(session, models, at)
    assert verify(session) == []
    assert prune(session, models.Plain, before=points[2]) == 0


@pytest.mark.strategies
def test_keep(session, models, points):
    """The newest versions stay; given both, what one of the two keeps."""
    assert prune(session, models.Plain, before=points[3], keep=4) == 1
    assert prune(session, models.Plain, before=points[1], keep=1) == 0
    assert prune(session, models.Plain, keep=2) == 2
    assert prune(session, models.Plain, keep=2) == 0
    assert [v.name for v in session.get(models.Plain, 1).versions] == ["3", "4"]
    assert verify(session) == []


@pytest.mark.strategies
def test_moments(session, models, points):
    """A moment means the last transaction issued until then; long ago there is nothing."""
    transaction = session.get(transaction_class(models.Plain), points[2])
    long_ago = datetime(1990, 1, 1, tzinfo=timezone.utc)

    assert prune(session, models.Plain, before=long_ago) == 0
    assert prune(session, models.Plain, before=transaction) == 2
    assert prune(session, models.Plain, before=datetime.now(timezone.utc) + timedelta(1)) == 2


@pytest.mark.strategies
def test_objects_that_were_gone(session, models):
    """Of what is gone, and of what came again, the deletion stays and tells of it."""
    session.add_all([models.Plain(id=1, name="a"), models.Plain(id=2, name="b")])
    session.commit()
    for number in (1, 2):
        session.delete(session.get(models.Plain, number))
    session.commit()
    session.add(models.Plain(id=1, name="c"))
    session.commit()
    cls = version_class(models.Plain)
    first, second, third = session.scalars(
        select(cls.transaction_id).distinct().order_by("transaction_id")
    )

    assert prune(session, models.Plain, before=third) == 2
    versions = session.scalars(select(cls).order_by(cls.transaction_id, cls.id)).all()
    assert [v.operation_type for v in versions] == [
        Operation.DELETE,
        Operation.DELETE,
        Operation.INSERT,
    ]
    assert names(session, models, second) == []
    with pytest.raises(IncompleteHistory):
        names(session, models, first)
    assert verify(session) == []


@pytest.mark.strategies
def test_blaming_after_pruning(session, models, points):
    """Who set what before the oldest version that is left is not known."""
    plain = session.get(models.Plain, 1)
    prune(session, models.Plain, keep=1)
    session.commit()
    assert blame(plain) == {"id": None, "name": None}
    plain.name = "5"
    session.commit()
    found = blame(plain)
    assert (found["id"], found["name"].id) == (None, plain.versions[-1].transaction_id)


@pytest.mark.strategies
def test_reverting_to_what_is_left(session, models):
    """A version that is left can be reverted to, but not to related objects that are gone."""
    zoo = models.zoo
    post = zoo.Post(name="a", notes=[zoo.Note(name="n")], tags=[zoo.Tag(name="t")])
    session.add(post)
    session.commit()
    post.name, post.notes[0].name = "b", "m"
    post.tags.clear()
    session.commit()
    post.notes[0].name = "o"
    session.commit()
    prune(session, zoo.Note, keep=1)
    prune(session, models.links["tags"], keep=1)
    session.commit()

    for relation in ("notes", "tags"):
        with pytest.raises(IncompleteHistory, match=f"{relation} cannot be reverted"):
            post.versions[0].revert(relations=[relation])
    post.versions[0].revert()
    assert (post.name, post.tags, post.notes[0].name) == ("a", [], "o")


def test_histories_of_random_programs(models, tables):
    """As of any moment, a pruned history tells what it told, or that it does not know."""
    zoo = Zoo(models.base, models.zoo.classes, models.links)
    shapes = zoo_tables(zoo)

    def read(session):
        return {
            name: sorted(map(repr, session.execute(select(t)))) for name, (t, _) in shapes.items()
        }

    @settings(max_examples=settings().max_examples // 3)
    @given(programs, st.integers(0, 9), st.none() | st.integers(1, 3), st.integers(2, 9))
    def holds(program, place, keep, size):
        with Session(tables, autoflush=False) as session:
            number, states = transaction_class(zoo.Plain).id, {}

            def look():
                states[session.scalar(select(func.max(number)))] = read(session)

            running = Program(zoo, session, look)
            running.populate()
            running.run(program)
            before = list(states)[place % len(states)]
            for each in (*zoo.roots, *models.links.values()):
                prune(session, each, before=before, keep=keep, batch_size=size)
            session.commit()
            note(f"before {before} of {list(states)}, errors: {running.errors}")
            assert verify(session) == []
            for at, state in states.items():
                with as_of(session, at) as past:
                    for name, (table, _) in shapes.items():
                        try:
                            found = sorted(map(repr, past.execute(select(table))))
                        except IncompleteHistory:
                            assert at < before
                        else:
                            assert found == state[name]
            with paused(session):
                for table in reversed(models.metadata.sorted_tables):
                    session.execute(delete(table), bind_arguments={"bind": tables})
                session.commit()

    holds()


def test_statements(session, models, tables):
    """How many statements are sent is decided by the ranges, and not by what is removed."""
    counts = set()
    for size in (5, 50):
        plain = [models.Plain(name="0") for _ in range(size)]
        session.add_all(plain)
        for name in "123":
            session.commit()
            for each in plain:
                each.name = name
        session.commit()
        with count_statements(tables) as statements:
            assert prune(session, models.Plain, keep=1, batch_size=1000) >= 3 * size
        counts.add(statements.count)
        for each in plain:
            session.delete(each)
    assert max(counts) <= 5


@pytest.mark.needs("unlocked_reads")
def test_what_others_write_meanwhile(models, tables):
    """The tables of an object are pruned alike, though a version comes in between."""
    seen = []

    def rename(name):
        with Session(tables) as other:
            other.get(models.Puppy, 1).name = name
            other.commit()

    def interfere(connection, cursor, statement, *others):
        if statement.startswith("DELETE"):
            seen.append(statement)
            if len(seen) == 2:
                rename("d")

    with Session(tables) as session:
        session.add(models.Puppy(id=1, name="a"))
        session.commit()
        for name in "bc":
            rename(name)
        event.listen(tables, "before_cursor_execute", interfere)
        assert prune(session, models.Animal, keep=2) == 1
        session.commit()
        event.remove(tables, "before_cursor_execute", interfere)
        assert len(seen) == 3
        assert verify(session) == []


@pytest.mark.needs("concurrent_writers")
def test_histories_that_are_shortened_at_once(models, tables):
    """Two who prune for the first time wait for each other, and both are noticed."""
    with Session(tables) as session:
        for name in "ab":
            for key, cls in enumerate((models.Plain, models.Puppy), 1):
                session.merge(cls(id=key, name=name))
            session.commit()
    transaction = transaction_class(models.Plain)
    marks = []

    def shorten(cls):
        with Session(tables) as other:
            prune(other, cls, keep=1)
            other.commit()
            marks.append(other.scalar(select(func.min(transaction.id))))

    with Session(tables) as session:
        assert prune(session, models.Plain, keep=1) == 1
        with waiting(lambda: shorten(models.Animal)):
            session.commit()
    shorten(models.Animal)
    assert marks == [-2, -2]


@pytest.mark.needs("concurrent_writers")
@pytest.mark.parametrize("first", ["prune", "redact", "vacuum"])
def test_turns(models, tables, first):
    """Who removes versions, or empties them, waits for others who do."""
    done = []
    ways = {
        "prune": lambda session: prune(session, models.Animal, keep=1),
        "redact": lambda session: redact(session, models.Puppy, object_ids=2, columns="name"),
        "vacuum": lambda session: vacuum(session, models.Animal),
    }

    def go_on():
        for way in ways.values():
            with Session(tables) as other:
                way(other)
                done.append(way)
                other.commit()

    with Session(tables) as session:
        session.add(models.Puppy(id=1, name="a"))
        session.commit()
        ways[first](session)
        with waiting(go_on, seconds=0.1):
            assert not done
            session.commit()
    assert len(done) == 3


def test_progress_and_ranges(session, models, points):
    """Progress is told after each range, and may commit."""
    seen = []

    def progress(*each):
        session.commit()
        seen.append(each)

    assert prune(session, models.Plain, keep=1, batch_size=1, progress=progress) == 4
    assert seen == [("plain", 1), ("plain", 2), ("plain", 2)]


def test_what_cannot_be_pruned(session, models, points):
    """Arguments that say nothing, or nothing that can be, are refused."""
    for arguments, error, message in (
        ({}, InvalidArgument, "neither before nor keep"),
        ({"keep": 0}, InvalidArgument, "keep is 0"),
        ({"keep": True}, InvalidArgumentType, "keep is True"),
        ({"before": 10**9}, VersioningError, "no such transaction"),
        ({"before": datetime(2020, 1, 1)}, VersioningError, "as it has no time zone"),
    ):
        with pytest.raises(error, match=message):
            prune(session, models.Plain, **arguments)
    with pytest.raises(ClassNotVersioned):
        prune(session, models.base, keep=1)
    with as_of(session, points[0]) as past, pytest.raises(ReadOnlySnapshot):
        prune(past, models.Plain, keep=1)


@pytest.mark.parametrize("is_nullable", [True, False])
def test_transactions_with_something_unique(Base, open_session, versioning, is_nullable):
    """What is unique of a transaction is not copied; where it must be there, nothing is pruned."""

    class Revision(Base):
        __tablename__ = "revision"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None] = mapped_column(
            unique=True, nullable=is_nullable, default=uuid4hex
        )

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    versioning.transaction_cls = Revision
    session = open_session(Base)
    thing = Thing(id=1, name="a")
    session.add(thing)
    session.commit()
    thing.name = "b"
    session.commit()
    if is_nullable:
        assert [prune(session, Thing, keep=1) for _ in range(2)] == [1, 0]
        assert session.scalar(select(Revision.name).where(Revision.id == -1)) is None
    else:
        with pytest.raises(ImproperlyConfigured, match="is unique and not nullable"):
            prune(session, Thing, keep=1)


def uuid4hex():
    """Return a name that no other transaction has."""
    return uuid4().hex


# -- redact --------------------------------------------------------------------------------------


@pytest.mark.strategies
def test_redact(session, models, points):
    """Of the objects that are named nothing is left in old versions, and history is true."""
    plain = session.get(models.Plain, 1)

    assert redact(session, models.Plain, object_ids=1, columns="name") == 4
    session.commit()
    table = version_table(models.Plain)
    kept = select(table.c.id, table.c.name).where(table.c.name.is_not(None))
    assert sorted(session.execute(kept)) == [(1, "4"), (2, "0")]
    assert redact(session, models.Plain, object_ids=[plain], columns=[models.Plain.name]) == 0
    session.delete(plain)
    session.commit()
    assert redact(session, models.Plain, object_ids=[1, 2, 3], columns=["name"]) == 2
    assert session.execute(kept).all() == [(2, "0")]
    assert verify(session) == []


@pytest.mark.strategies
def test_redact_what_rows_have_no_more(session, models):
    """The newest version keeps what its row has, and not what has changed without a version."""
    visit = models.Visit(id=1, name="a", seen=1)
    session.add(visit)
    session.commit()
    visit.seen = None
    session.commit()

    asked = {"object_ids": 1, "columns": ["name", "seen"]}
    assert [redact(session, models.Visit, **asked) for _ in range(2)] == [1, 0]
    assert [(v.name, v.seen) for v in visit.versions] == [("a", None)]
    visit.seen = 2
    session.commit()
    visit.name = "b"
    session.commit()
    assert redact(session, models.Visit, **asked) == 1
    assert [(v.name, v.seen) for v in visit.versions] == [(None, None), ("b", 2)]
    assert verify(session, models.Visit) == []


def test_redact_what_subclasses_have(session, models):
    """Columns are redacted in whichever tables they are, by keys of any kind."""
    puppy, pair = models.Puppy(id=1, name="p", breed="b", toy="t"), models.Pair(left=1, right="r")
    pair.name = "n"
    session.add_all([puppy, pair])
    session.commit()
    session.delete(puppy)
    session.delete(pair)
    session.commit()
    seen = []

    def progress(*each):
        seen.append(each)

    asked = {"columns": ["toy", "name"], "batch_size": 1, "progress": progress}
    assert redact(session, models.Animal, object_ids=[1, 2], **asked) == 4
    assert seen == [("puppy", 1), ("puppy", 2), ("animal", 1), ("animal", 2)]
    assert redact(session, models.Pair, object_ids=(1, "r"), columns="name") == 2
    versions = session.scalars(select(version_class(models.Puppy))).all()
    assert {(v.name, v.breed, v.toy) for v in versions} == {(None, "b", None)}


def test_what_cannot_be_redacted(session, models, points):
    """Columns must be such that versions can do without, and objects must be named."""
    for arguments, error, message in (
        ({"object_ids": None, "columns": "name"}, InvalidArgument, "object_ids is None"),
        ({"object_ids": 1, "columns": []}, InvalidArgument, "name at least one"),
        ({"object_ids": 1, "columns": "nme"}, InvalidArgument, "'nme', which is no column"),
        ({"object_ids": 1, "columns": "id"}, InvalidArgument, "'id', which tells objects"),
        ({"object_ids": "x", "columns": "name"}, InvalidArgumentType, "of type str"),
    ):
        with pytest.raises(error, match=message):
            redact(session, models.Plain, **arguments)
    with pytest.raises(InvalidArgument, match="'kind', which tells"):
        redact(session, models.Animal, object_ids=1, columns="kind")
    with as_of(session, points[0]) as past, pytest.raises(ReadOnlySnapshot):
        redact(past, models.Plain, object_ids=1, columns="name")
    assert names(session, models, points[0]) == ["0", "0"]
