"""Faults of a history are mended where it can be known what is right, and told of where not."""

from collections import Counter

import pytest
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from sqlalchemy_versioned import IncompleteHistory, Operation, as_of, paused, transaction_class
from sqlalchemy_versioned.maintenance import FaultKind, Repair, repair, verify
from sqlalchemy_versioned.model.lookup import spec_of
from tests.lives import versions_of
from tests.maintenance.test_maintenance import Subject, build, damages
from tests.statements import count_statements
from tests.threads import waiting


@pytest.fixture
def models(keep):
    """Classes of every shape."""
    return keep(build)


def test_nothing_to_mend(session, models):
    """What is right is left alone."""
    subject = Subject(models, "Puppy")
    subject.populate(session)

    assert repair(session) == Repair((), ())


#: How many ways to damage a history leave nobody who knows how it was.
UNKNOWN = {"Plain": 3, "Puppy": 8}


@pytest.mark.parametrize("name", UNKNOWN)
def test_faults_are_mended(session, models, name):
    """However a history was damaged, it is right again; what nobody knows is left as it is."""
    subject, unknown = Subject(models, name), 0
    subject.populate(session)

    for damage, expected in damages(session, subject):
        with paused(session):
            damage()
        made = repair(session, subject.cls, batch_size=2)
        assert Counter(made.left or made.mended) == Counter(expected)
        assert tuple(verify(session, subject.cls)) == made.left
        unknown += bool(made.left)
        session.rollback()

    assert unknown == UNKNOWN[name]


@pytest.mark.strategies("validity", "subquery", "append")
def test_unnoticed_changes_are_of_now(session, models):
    """What was changed unnoticed is a version of now; the past stays as it was recorded."""
    subject = Subject(models, "Plain")
    subject.populate(session)
    *_, newest = subject.transactions(session)
    with paused(session):
        subject.find(session, 1).name = "other"
        session.delete(subject.find(session, 0))
    session.commit()

    repair(session)
    session.commit()
    versions = versions_of(session, models.Plain, (2,))
    assert [version.name for version in versions] == ["0", "1", "2", "other"]
    assert versions[-1].transaction_id == last_transaction(session, models)
    assert versions_of(session, models.Plain, (1,))[-1].operation_type == Operation.DELETE
    with as_of(session, newest) as past:
        assert past.get(models.Plain, 2).name == "2"
        assert past.get(models.Plain, 1).name == "0"


def last_transaction(session, models):
    """Return the number of the last transaction."""
    return session.scalar(select(func.max(transaction_class(models.Plain).id)))


def test_row_without_version(session, models):
    """Nobody knows since when a row has been there that nothing was told of."""
    session.add(models.Plain(name="a"))
    session.commit()
    with paused(session):
        session.add(models.Plain(id=7, name="b"))
    session.commit()
    before = last_transaction(session, models)

    repair(session)
    session.commit()
    (version,) = versions_of(session, models.Plain, (7,))
    assert (version.name, version.operation_type) == ("b", Operation.UPDATE)
    with as_of(session, before) as past, pytest.raises(IncompleteHistory):
        past.get(models.Plain, 7)
    with as_of(session, version.transaction_id) as past:
        assert past.get(models.Plain, 7).name == "b"


def test_lost_transaction(session, models):
    """A transaction that is lost is there again, without a time, and is nobody else's."""
    session.add_all([models.Plain(name="a"), models.Visit(name="b")])
    session.commit()
    number = last_transaction(session, models)
    with paused(session):
        session.execute(delete(transaction_class(models.Plain).__table__))
        session.execute(update(models.Plain.__table__).values(name="c"))
    session.commit()

    made = repair(session)
    session.commit()
    versions = versions_of(session, models.Plain, (1,))
    assert [fault.kind for fault in made.mended] == [FaultKind.ORPHAN] * 2 + [FaultKind.DIFFERENT]
    assert (versions[0].transaction.id, versions[0].transaction.issued_at) == (number, None)
    assert versions[1].transaction.id != number
    assert verify(session) == []


def become(session, models, kind):
    """Let the animal be of another class, with nobody noticing; then change its name."""
    animal, dog = models.Animal.__table__, models.Dog.__table__
    with paused(session):
        session.execute(delete(dog) if kind == "animal" else insert(dog).values(dog_id=1))
        session.execute(update(animal).values(kind=kind))
    session.commit()
    session.expunge_all()
    session.get(models.Animal, 1).name = "b"
    session.commit()


def operations(session, spec):
    """Return the operations of all versions in a table, oldest first."""
    return session.scalars(select(spec.operation_column).order_by(spec.transaction_column)).all()


def test_what_an_object_was_is_not_made_up(session, models):
    """A table has no copies as of times when the object was of a class that it is no part of."""
    session.add(models.Dog(id=1, name="a"))
    session.commit()
    become(session, models, "animal")

    (left,) = repair(session, models.Animal).left
    session.commit()
    assert (left.kind, left.table) == (FaultKind.SPLIT, "dog")
    assert operations(session, spec_of(models.Dog).tables[1]) == [
        Operation.INSERT,
        Operation.DELETE,
    ]


def test_what_an_object_has_become_is_known_since_then(session, models):
    """Nothing is missing in a table from the time before the object was of that class."""
    session.add(models.Animal(id=1, name="a"))
    session.commit()
    become(session, models, "dog")

    assert verify(session, models.Animal) == []
    assert len(operations(session, spec_of(models.Dog).tables[1])) == 1


@pytest.mark.parametrize("name", ["tags", "marks", "labels"])
def test_links_are_mended(session, models, name):
    """Links that came and went unnoticed get versions, whatever their tables have for a key."""
    tags = [models.Tag(id=number, name="t") for number in (1, 2)]
    session.add_all([models.Post(id=1, name="p", **{name: tags[:1]}), *tags])
    session.commit()
    table = models.links[name]
    with paused(session):
        session.execute(delete(table))
        session.execute(insert(table).values(post_id=1, tag_id=2))
    session.commit()
    kinds = {FaultKind.MISSING_DELETE, FaultKind.UNRECORDED}

    assert {fault.kind for fault in repair(session, table).mended} == kinds
    session.commit()
    assert verify(session) == []


@pytest.mark.needs("unlocked_reads")
@pytest.mark.strategies("validity", "subquery")
def test_rows_that_others_are_writing(session, models, tables):
    """Repairing waits for who is writing a row, and leaves alone what is right by then."""
    plain = models.Plain(id=1, name="a")
    session.add(plain)
    session.commit()
    with paused(session):
        plain.name = "behind the back"
    session.commit()

    def mend():
        with Session(tables) as other:
            repair(other, models.Plain)
            other.commit()

    plain.name = "b"
    session.flush()
    with waiting(mend):
        session.commit()

    assert verify(session) == []
    assert [version.name for version in plain.versions] == ["a", "b"]


@pytest.mark.needs("unlocked_reads")
def test_rows_that_others_are_bringing_back(session, models, tables):
    """Of a row that is gone unseen, repairing waits for who is writing another of its key."""
    session.add(models.Plain(id=1, name="a"))
    session.commit()
    with paused(session):
        session.execute(delete(models.Plain))
    session.commit()
    session.expunge_all()

    def mend():
        with Session(tables) as other:
            repair(other, models.Plain)
            other.commit()

    plain = models.Plain(id=1, name="b")
    session.add(plain)
    session.flush()
    with waiting(mend):
        session.commit()

    assert [version.name for version in plain.versions] == ["a", "b"]
    assert {fault.kind for fault in verify(session)} <= {FaultKind.IMPOSSIBLE}


def test_statements_of_repair(session, models, tables):
    """The number of statements does not grow with what is to be mended."""
    # Before the first write through an engine there is a look for triggers.
    session.add(models.Plain(name="p"))
    session.commit()
    counts = set()
    for size in (2, 30):
        with paused(session):
            session.add_all(models.Plain(name="p") for _ in range(size))
        session.commit()
        with count_statements(tables) as statements:
            made = repair(session, models.Plain, batch_size=1000)
        assert len(made.mended) == size
        counts.add(statements.count)
        session.commit()

    assert len(counts) == 1
