"""Values that are changed in place: a version is a copy, and shares nothing with anybody."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import ARRAY, JSON, Column, Integer, PickleType, func, select
from sqlalchemy.ext.mutable import MutableComposite, MutableDict, MutableList, MutableSet
from sqlalchemy.orm import Mapped, Session, composite, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from sqlalchemy_versioned import transaction_class
from sqlalchemy_versioned.model.lookup import table_spec_of

pytestmark = pytest.mark.strategies()


@dataclasses.dataclass
class Point(MutableComposite):
    """A composite that is changed in place."""

    x: int
    y: int

    def __setattr__(self, key, value):
        """Set an attribute and tell the object."""
        object.__setattr__(self, key, value)
        self.changed()


@pytest.fixture
def models(Base, database):
    """A thing with mutable values of every kind, arrays where there are such."""
    arrays = {"numbers": Column(ARRAY(Integer))} if database.has("arrays") else {}

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        tracked = Column(JSON)
        nested = Column(JSON)
        members = Column(PickleType)
        items = Column(PickleType)
        point: Mapped[Point] = composite(mapped_column("x"), mapped_column("y"))
        vars().update(arrays)

    # Not as_mutable(), which listens to all mappers for good.
    MutableDict.associate_with_attribute(Thing.tracked)
    MutableSet.associate_with_attribute(Thing.members)
    MutableList.associate_with_attribute(Thing.items)
    if arrays:
        MutableList.associate_with_attribute(Thing.numbers)
    Base.Thing = Thing
    return Base


def build_thing(Thing, number):
    """Return a thing with values."""
    values = {"tracked": {"n": 0}, "nested": {"deep": {"n": [0]}}, "members": {0}, "items": [0]}
    if hasattr(Thing, "numbers"):
        values["numbers"] = [0]
    return Thing(id=number, point=Point(0, 0), **values)


def change_tracked(thing, number):
    """Change a dictionary that notices it."""
    thing.tracked["n"] = number


def change_nested(thing, number):
    """Change what nobody notices, and say so."""
    thing.nested["deep"]["n"].append(number)
    flag_modified(thing, "nested")


def change_nested_unsaid(thing, number):
    """Change what nobody notices, and do not say so: it may be written later, or never."""
    thing.nested["deep"]["n"].append(number)


def change_members(thing, number):
    """Change a set that is pickled."""
    thing.members ^= {number}


def change_items(thing, number):
    """Change a list that is pickled."""
    thing.items.append(number)


def change_point(thing, number):
    """Change a composite."""
    thing.point.x = number


def change_numbers(thing, number):
    """Change an array, where there are such."""
    if hasattr(thing, "numbers"):
        thing.numbers.append(number)


def replace(thing, number):
    """Give a new value in place of a changed one."""
    thing.tracked = {"new": number}
    thing.items = [number]


def empty(thing, number):
    """Give no value; the next change needs one again."""
    thing.tracked, thing.items = None, []
    thing.tracked = {}


CHANGES = {
    f.__name__: f
    for f in (
        change_tracked,
        change_nested,
        change_nested_unsaid,
        change_members,
        change_items,
        change_point,
        change_numbers,
        replace,
        empty,
    )
}
ENDS = ("flush", "commit", "expire", "read", "rollback")

programs = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(1, 3)),
        st.tuples(st.sampled_from(ENDS), st.just(0)),
    ),
    min_size=4,
    max_size=20,
)


class Program:
    """Runs steps on one thing, comparing versions with rows and with what they were."""

    def __init__(self, session, Thing, number):
        self.session, self.spec = session, table_spec_of(Thing.__table__)
        self.thing = build_thing(Thing, number)
        session.add(self.thing)
        self.do_commit()

    def run(self, steps):
        """Take all steps and commit."""
        for name, number in [*steps, ("commit", 0)]:
            if name in CHANGES:
                CHANGES[name](self.thing, number)
            else:
                getattr(self, f"do_{name}")()

    def do_flush(self):
        self.session.flush()
        self.compare()

    def do_commit(self):
        self.session.commit()
        self.images = self.compare()

    def do_expire(self):
        self.session.flush()
        self.session.expire_all()

    def do_rollback(self):
        self.session.rollback()
        self.compare()

    def do_read(self):
        """Hold versions, whose values must not become those of the thing."""
        versions = self.thing.versions.all()
        assert [self.values(each) for each in versions[: len(self.images)]] == self.images

    def compare(self):
        """Check that the newest version is the row, and return all versions that there are."""
        table = self.spec.parent_table
        execute, key = self.session.connection().execute, self.thing.id
        kept = select(*[pair.version for pair in self.spec.pairs])
        kept = kept.where(self.spec.version_table.c.id == key)
        rows = [tuple(row) for row in execute(kept.order_by(self.spec.transaction_column))]
        live = select(*[pair.parent for pair in self.spec.pairs]).where(table.c.id == key)
        assert rows[-1] == tuple(execute(live).one())
        return rows

    def values(self, version):
        """Return the values of a version as a row."""
        mapper = type(version).__mapper__
        keys = [mapper.get_property_by_column(pair.version).key for pair in self.spec.pairs]
        return tuple(getattr(version, key) for key in keys)


def test_random_changes_in_place(tables, models):
    """Whatever is changed in place, the newest version is the row, and older ones stay."""
    numbers = iter(range(1, 10**6))

    @given(programs)
    def holds(steps):
        with Session(tables, autoflush=False, expire_on_commit=False) as session:
            Program(session, models.Thing, next(numbers)).run(steps)

    holds()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_twice_in_one_transaction(session, models, change):
    """A value that is changed in place, flushed, and changed again is what it is in the end."""
    Program(session, models.Thing, 1).run(
        [(change.__name__, 1), ("flush", 0), (change.__name__, 2), ("read", 0), ("flush", 0)]
    )


def test_versions_and_objects_share_nothing(session, models):
    """Changing a value of the object changes none of a version that is loaded, nor the reverse."""
    thing = build_thing(models.Thing, 1)
    session.add(thing)
    session.commit()
    version = thing.versions[0]
    assert version.nested == thing.nested
    thing.nested["deep"]["n"].append(1)
    thing.items.append(1)
    thing.point.x = 1
    assert (version.nested, version.items) == ({"deep": {"n": [0]}}, [0])
    session.flush()
    assert (version.nested, version.items, version.point.x) == ({"deep": {"n": [0]}}, [0], 0)
    version.nested["deep"]["n"].append(2)

    assert thing.nested == {"deep": {"n": [0, 1]}}


@pytest.mark.strategies("validity", "subquery")
def test_nothing_is_recorded_of_a_change_that_is_undone(session, models):
    """A value that is changed in place and back leaves no version and no transaction."""
    thing = build_thing(models.Thing, 1)
    session.add(thing)
    session.commit()
    thing.tracked["n"] = 1
    thing.items.append(1)
    session.flush()
    thing.tracked["n"] = 0
    thing.items.pop()
    session.commit()

    assert len(thing.versions) == 1
    assert session.scalar(select(func.count(transaction_class(models.Thing).id))) == 1
