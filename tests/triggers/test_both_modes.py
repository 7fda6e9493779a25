"""The same program leaves the same version tables, whether sessions record it or triggers do."""

from contextlib import closing
from itertools import count
from random import Random
from typing import NamedTuple

import pytest
from sqlalchemy import ForeignKey, delete, insert, inspect, update
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import make_versioned, paused, remove_versioning
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import get_versioning_manager, table_spec_of
from sqlalchemy_versioned.plugins import (
    NullDeletePlugin,
    PropertyModTrackerPlugin,
    TransactionChangesPlugin,
)
from tests.models import Models, build_base
from tests.zoo import build_zoo

#: More of them were tried; see ``invent``.
PROGRAMS = 6

pytestmark = pytest.mark.needs("triggers")

STEPS = ("add", "set", "set", "delete", "again", "state", "remove", "flush", "flush", "commit")


class Robots(NamedTuple):
    """Classes with masked and ignored columns, in tables of their own and in one that is shared."""

    base: type
    Account: type
    Robot: type
    Note: type


def build_robots(Base):
    """Declare accounts, some of them robots, and notes."""

    class Account(Base):
        __tablename__ = "account"
        __versioned__ = {"mask": ["secret"]}
        id: Mapped[int] = mapped_column("_id", primary_key=True, autoincrement=False)
        kind: Mapped[str]
        name: Mapped[str | None] = mapped_column("_name")
        secret: Mapped[str | None] = mapped_column("_secret")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "account"}

    class Robot(Account):
        __tablename__ = "robot"
        __versioned__ = {"mask": ["secret", "token"]}
        id: Mapped[int] = mapped_column(ForeignKey("account._id"), primary_key=True)
        model: Mapped[str | None] = mapped_column("Model")
        token: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "robot"}

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {"mask": ["secret"]}
        code: Mapped[str] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        secret: Mapped[str | None]

    return Robots(Base, Account, Robot, Note)


class Program:
    """Works on a few objects as a list of numbers says."""

    def __init__(self, robots, session):
        self.robots = robots
        self.session = session
        self.values = map("v{}".format, count())

    def run(self, steps):
        """Run the steps, and commit."""
        for name, which, what in steps:
            getattr(self, name)(which, what)
        self.session.commit()

    def find(self, which):
        """Return the class of an object, its key, and the object itself, if it is there."""
        cls = self.robots[1 + which % 3]
        key = str(which) if cls is self.robots.Note else which
        return cls, key, self.session.get(cls, key)

    def set(self, which, what):
        """Change an attribute of an object, or give it the same value again."""
        _, _, found = self.find(which)
        if found is not None:
            names = sorted({"name", "secret", "model", "token"} & set(inspect(found).attrs.keys()))
            name = names[what % len(names)]
            setattr(found, name, getattr(found, name) if what % 5 == 0 else next(self.values))

    def back(self, which, what):
        """Let an object have the name that all have at first."""
        _, _, found = self.find(which)
        if found is not None:
            found.name = "a"

    def add(self, which, what):
        """Add an object, some with a secret."""
        cls, key, found = self.find(which)
        if found is None:
            given = {"secret": next(self.values)} if what % 2 else {}
            given |= {cls.__mapper__.primary_key[0].key.strip("_"): key, "name": "a"}
            self.session.add(cls(**given))
            self.session.flush()

    def delete(self, which, what):
        """Delete an object."""
        _, _, found = self.find(which)
        if found is not None:
            self.session.delete(found)

    def again(self, which, what):
        """Delete an object, and add it again."""
        self.delete(which, what)
        self.session.flush()
        self.add(which, what)

    def state(self, which, what):
        """Give a column of one or all rows a new value by a statement."""
        cls, _, _ = self.find(which)
        table = inspect(cls).local_table
        column = [c for c in table.c if c.name.lower().strip("_") in ("name", "secret", "model")]
        statement = update(table).values({column[what % len(column)]: next(self.values)})
        if what % 3:
            (key,) = table.primary_key.columns
            statement = statement.where(key == self.find(which)[1])
        self.session.execute(statement)
        self.session.expire_all()

    def remove(self, which, what):
        """Delete a row by a statement."""
        cls, key, _ = self.find(which)
        for table in reversed(inspect(cls).tables):
            (column,) = table.primary_key.columns
            self.session.execute(delete(table).where(column == key))
        self.session.expunge_all()

    def undo(self, which, what):
        """Change an object in a savepoint, and roll that back."""
        self.session.flush()
        savepoint = self.session.begin_nested()
        self.set(which, what)
        self.session.flush()
        savepoint.rollback()

    def flush(self, which, what):
        """Flush."""
        self.session.flush()

    def commit(self, which, what):
        """Commit."""
        self.session.commit()


def read_versions(classes, session):
    """Return the rows of version tables, transactions by their places, and these places."""
    tables = [table_spec_of(inspect(cls).local_table) for cls in classes]
    rows, numbers = {}, set()
    for spec in tables:
        order = [*(pair.version for pair in spec.key), *spec.place]
        found = session.execute(spec.version_table.select().order_by(*order)).mappings().all()
        rows[spec] = found
        numbers |= {row[spec.transaction_column] for row in found}
    places = {number: place for place, number in enumerate(sorted(numbers))}
    told = {s.parent_table.name: [describe(s, row, places) for row in rows[s]] for s in rows}
    return told, places


def read_history(robots, session):
    """Return the rows of all version tables, transactions by their places, and what these name."""
    told, places = read_versions(robots[1:], session)
    changes = robots.base.metadata.tables["transaction_changes"]
    named = session.execute(changes.select().order_by(*changes.c))
    return {**told, "names": [(places[number], name) for number, name in named]}


def describe(spec, row, places):
    """Return what a version holds, but for ids."""
    told = {column.name: row[column] for column in spec.version_table.c}
    for column in (spec.transaction_column, spec.end_column):
        if column is not None:
            told[column.name] = places.get(told[column.name])
    if spec.id_column is not None:
        del told[spec.id_column.name]
    return told


def empty(robots, engine):
    """Remove all rows, so that the next program starts afresh."""
    connection = engine.raw_connection()
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in robots.base.metadata.sorted_tables:
            cursor.execute(f"DELETE FROM {table.name}")
        connection.commit()


def invent(seed):
    """Return a random program."""
    random = Random(seed)
    names = (*STEPS, "back", "undo")
    return [(random.choice(names), random.randrange(6), random.randrange(30)) for _ in range(25)]


@pytest.mark.strategies
def test_flags_and_masks(versioning, engine, strategy):
    """Flags are those that sessions find, also where a transaction writes a row repeatedly."""
    found = {}
    for is_native in (False, True):
        remove_versioning()
        plugins = (NullDeletePlugin, PropertyModTrackerPlugin, TransactionChangesPlugin)
        make_versioned(strategy=strategy, plugins=[p() for p in plugins], native=is_native)
        robots = build_robots(build_base())
        configure_mappers()
        robots.base.metadata.create_all(engine)
        for seed in range(PROGRAMS):
            with Session(engine, autoflush=False) as session:
                Program(robots, session).run(invent(seed))
                found.setdefault(seed, []).append(read_history(robots, session))
            empty(robots, engine)
        robots.base.metadata.drop_all(engine)
        robots.base.registry.dispose()

    for seed, (recorded, triggered) in found.items():
        assert triggered == recorded, invent(seed)


def change_first(zoo, session):
    """Change rows of subclasses whose objects have a history, and they themselves none."""
    animal, dog = zoo.Animal.__table__, zoo.Dog.__table__
    numbers = range(1, 5)
    session.execute(insert(animal), [{"id": n, "kind": "dog", "name": "gone"} for n in numbers])
    session.commit()
    session.execute(delete(animal))
    session.commit()
    session.execute(insert(animal), [{"id": n, "kind": "animal", "name": "a"} for n in numbers])
    session.commit()
    for values in ({"kind": "dog"}, {"name": "b"}, {"name": "c"}):
        session.execute(update(animal).values(values))
        session.commit()
    with paused(session):
        session.execute(insert(dog), [{"dog_id": n, "breed": "pug"} for n in numbers])
    session.commit()
    # As when the process is started anew.
    get_versioning_manager(zoo.Animal).look_again()
    session.get(zoo.Dog, 1).name = "d"
    session.get(zoo.Dog, 2).breed = "boxer"
    session.delete(session.get(zoo.Dog, 3))
    session.commit()
    session.execute(update(animal).where(animal.c.id == 4).values(kind="animal", name="d"))
    session.commit()


def build_followers(Base):
    """Declare animals, and dogs whose rows follow those of animals."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Dog(Animal):
        __tablename__ = "dog"
        dog_id: Mapped[int] = mapped_column(
            ForeignKey("animal.id", onupdate="CASCADE", ondelete="CASCADE"), primary_key=True
        )
        breed: Mapped[str]

    return Models(Base, Animal, Dog)


def move_and_delete_first(models, session):
    """Let foreign keys change rows of subclasses whose objects have a history, and they none."""
    animal, dog = models.Animal.__table__, models.Dog.__table__
    session.execute(insert(animal), [{"id": n, "name": "a"} for n in (1, 2)])
    session.commit()
    with paused(session):
        session.execute(insert(dog), [{"dog_id": n, "breed": "pug"} for n in (1, 2)])
    session.commit()
    get_versioning_manager(models.Animal).look_again()
    session.execute(delete(animal).where(animal.c.id == 1))
    session.execute(update(animal).where(animal.c.id == 2).values(id=3))
    session.commit()


@pytest.mark.strategies
@pytest.mark.parametrize(
    ("build", "write"), [(build_zoo, change_first), (build_followers, move_and_delete_first)]
)
def test_first_changes_of_subclasses(versioning, engine, strategy, build, write):
    """The row of a subclass that is older than its history begins where its object does."""
    found = []
    for is_native in (False, True):
        remove_versioning()
        make_versioned(strategy=strategy, native=is_native)
        models = build(build_base())
        configure_mappers()
        models.metadata.create_all(engine)
        with Session(engine) as session:
            write(models, session)
            found.append(read_versions([models.Animal, models.Dog], session)[0])
            assert verify(session) == []
        models.metadata.drop_all(engine)
        models.base.registry.dispose()

    recorded, triggered = found
    assert triggered == recorded
