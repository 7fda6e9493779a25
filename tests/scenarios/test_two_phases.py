"""Sessions that commit in two phases, on two databases of one server."""

import pytest
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import Operation, transaction_class, version_class
from tests.models import build_base

pytestmark = pytest.mark.needs("two_phase")

INSERT, UPDATE, _ = Operation


@pytest.fixture
def two_classes(versioning):
    """A class on each of two bases."""
    bases = build_base(), build_base()

    def declare(base, table):
        class Thing(base):
            __tablename__ = table
            __versioned__ = {}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(20))

        return Thing

    classes = [declare(base, table) for base, table in zip(bases, ("here", "there"), strict=True)]
    configure_mappers()
    yield classes
    for base in bases:
        base.registry.dispose(cascade=True)


@pytest.fixture
def two_engines(database, engine, two_classes):
    """The engine of the test, and one on another database of the server."""
    provider = type(database.provider)(database.provider.server, f"{database.url.database}_two")
    provider.create()
    other = create_engine(provider.url)
    for cls, each in zip(two_classes, (engine, other), strict=True):
        cls.metadata.create_all(each)
    yield engine, other
    other.dispose()
    provider.drop()


def history(engine, cls):
    """Return the versions in a database, and the numbers of the transactions that it knows."""
    version = version_class(cls)
    columns = version.name, version.operation_type, version.transaction_id
    with Session(engine) as session:
        rows = session.execute(select(*columns).order_by(version.transaction_id)).all()
        known = select(transaction_class(cls).__table__.c.id)
        return [tuple(row) for row in rows], sorted(session.scalars(known))


@pytest.mark.strategies
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_prepared_transaction(two_classes, two_engines, end):
    """What was prepared is committed or rolled back together with its history, everywhere."""
    Here, There = two_classes
    with Session(binds=dict(zip(two_classes, two_engines, strict=True)), twophase=True) as session:
        session.add_all([Here(id=1, name="a"), There(id=1, name="a")])
        session.commit()
        session.get(Here, 1).name = "b"
        session.flush()
        with session.begin_nested() as savepoint:
            session.get(Here, 1).name = "x"
            session.flush()
            savepoint.rollback()
        session.get(There, 1).name = "b"
        session.prepare()
        getattr(session, end)()

    here, there = (history(*pair) for pair in zip(two_engines, two_classes, strict=True))
    rows, known = here
    assert here == there
    assert [row[:2] for row in rows] == [("a", INSERT), ("b", UPDATE)][: len(known)]
    assert [row[2] for row in rows] == known
    assert len(known) == (2 if end == "commit" else 1)


def ask_for_transaction(unit, session, Here):
    """Say something of a transaction before anything is written."""
    unit.create_transaction(remote_addr="10.0.0.1")


def add_to_transaction(unit, session, Here):
    """Say it of one that has begun with a write to one of the databases."""
    session.add(Here(id=1, name="a"))
    session.flush()
    unit.current_transaction.remote_addr = "10.0.0.1"
    session.flush()


@pytest.mark.options(native=True)
@pytest.mark.parametrize("say", [ask_for_transaction, add_to_transaction])
def test_what_is_said_of_a_transaction(two_classes, two_engines, versioning, say):
    """Each database that is written is told, also where the other one has the row already."""
    Here, There = two_classes
    bases = [cls.__base__ for cls in two_classes]
    with Session(binds=dict(zip(bases, two_engines, strict=True))) as session:
        say(versioning.unit_of_work(session), session, Here)
        session.add_all([Here(id=2, name="a"), There(id=2, name="a")])
        session.commit()

    for engine, cls in zip(two_engines, two_classes, strict=True):
        with Session(engine) as session:
            transactions = session.scalars(select(transaction_class(cls))).all()
            assert [each.remote_addr for each in transactions] == ["10.0.0.1"]
