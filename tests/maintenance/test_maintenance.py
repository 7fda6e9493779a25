"""What is wrong with a history is found, and nothing else; rows get a first version."""

import enum
import uuid
from collections import Counter
from functools import partial

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from sqlalchemy import Enum, ForeignKey, String, Uuid, delete, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from sqlalchemy_versioned import (
    ClassNotVersioned,
    IncompleteHistory,
    InvalidArgument,
    InvalidArgumentType,
    Operation,
    ReadOnlySnapshot,
    as_of,
    paused,
    version_class,
)
from sqlalchemy_versioned.maintenance import (
    Fault,
    FaultKind,
    baseline,
    prune,
    redact,
    repair,
    update_end_tx_column,
    verify,
)
from sqlalchemy_versioned.model.counterparts import transaction_class
from sqlalchemy_versioned.model.lookup import spec_of, table_spec_of
from tests.lives import versions_of
from tests.models import Models
from tests.statements import count_statements
from tests.zoo import STEPS, Program, Zoo, build_zoo

numbers = st.integers(0, 23)
programs = st.lists(st.tuples(st.sampled_from(STEPS), numbers, numbers), min_size=8, max_size=30)


class Color(enum.Enum):
    """Keys that are kept as text."""

    RED = 1
    GREEN = 2
    BLUE = 3
    WHITE = 4


def build(Base):
    """Declare the zoo, classes with other keys, and one with a column that is ignored."""
    zoo = build_zoo(Base)

    class Token(Base):
        __tablename__ = "token"
        __versioned__ = {}
        id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
        name: Mapped[str | None]

    class Paint(Base):
        __tablename__ = "paint"
        __versioned__ = {}
        color: Mapped[Color] = mapped_column(Enum(Color, name="color"), primary_key=True)
        grade: Mapped[str] = mapped_column(String(20), primary_key=True)
        name: Mapped[str | None]

    class Visit(Base):
        __tablename__ = "visit"
        __versioned__ = {"ignore": ["seen"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        seen: Mapped[int | None]

    models = Models(Base, *zoo.classes.values(), Token, Paint, Visit)
    models.zoo, models.links = zoo, zoo.links
    return models


@pytest.fixture
def models(keep):
    """Classes of every shape, and with every kind of key."""
    return keep(build)


#: Makes the attributes of objects by number, and the keys that faults have.
KEYS = {
    # MariaDB takes 0 for the next number.
    "Plain": (lambda n: {"id": n + 1}, lambda n: (n + 1,)),
    "Natural": (lambda n: {"code": "bacd"[n]}, lambda n: ("bacd"[n],)),
    "Pair": (lambda n: {"left": n % 2, "right": f"r{n}"}, lambda n: (n % 2, f"r{n}")),
    "Puppy": (lambda n: {"id": n}, lambda n: (n,)),
    "Token": (lambda n: {"id": uuid.UUID(int=9 - n)}, lambda n: (uuid.UUID(int=9 - n),)),
    "Paint": (
        lambda n: {"color": [*Color][n], "grade": f"g{n}"},
        lambda n: ([*Color][n], f"g{n}"),
    ),
}


class Subject:
    """Objects of one class: one that stays as it is, one with three versions, one that is gone."""

    def __init__(self, models, name):
        self.cls = getattr(models, name)
        self.attributes, self.key = KEYS[name]
        self.tables = spec_of(self.cls).tables

    def make(self, number, **attributes):
        """Return a new object."""
        return self.cls(name="0", **self.attributes(number), **attributes)

    def populate(self, session):
        """Give the objects their history."""
        kept, gone = self.make(1), self.make(2)
        session.add_all([self.make(0), gone])
        session.commit()
        session.add(kept)
        session.commit()
        for name in ("1", "2"):
            kept.name = name
            session.commit()
        session.delete(gone)
        session.commit()

    def find(self, session, number):
        """Return an object."""
        key = tuple(self.attributes(number).values())
        return session.get(self.cls, key if len(key) > 1 else key[0])

    def transactions(self, session):
        """Return the three transactions of the second object."""
        kept = self.find(session, 1)
        return [v.transaction_id for v in versions_of(session, self.cls, kept_key(kept))]

    def faults(self, kind, number, tables=None, **more):
        """Return the same fault of an object in some tables."""
        return [
            Fault(kind, spec.parent_table.name, self.key(number), **more)
            for spec in (self.tables if tables is None else tables)
        ]

    def edit(self, session, spec, tx, **values):
        """Change what a version of the second object says of itself."""
        columns = {
            "end": spec.end_column,
            "operation": spec.operation_column,
        }
        said = {columns[name]: value for name, value in values.items()}
        session.execute(update(spec.version_table).where(*self._where(spec, tx)).values(said))

    def remove(self, session, spec, tx):
        """Remove a version of the second object, and close the gap."""
        session.execute(delete(spec.version_table).where(*self._where(spec, tx)))
        if spec.end_column is not None:
            begins = [each for each in self.all if each != tx]
            for began, end in zip(begins, [*begins[1:], None], strict=True):
                self.edit(session, spec, began, end=end)

    def _where(self, spec, tx):
        key = [p.version == value for p, value in zip(spec.key, self.key(1), strict=True)]
        return [*key, spec.transaction_column == tx]


def kept_key(obj):
    """Return the key of an object."""
    return tuple(type(obj).__mapper__.primary_key_from_instance(obj))


def damages(session, subject):
    """Yield functions that damage a history, each with what is to be found then."""
    first, second, third = subject.all = subject.transactions(session)
    kind = FaultKind
    for spec in subject.tables if subject.tables[0].end_column is not None else ():
        here = [spec]

        def set_end(tx, end, spec=spec):
            subject.edit(session, spec, tx, end=end)

        found = subject.faults
        more = {"transaction_id": first, "expected": second}
        yield (lambda f=set_end: f(first, first)), found(kind.GAP, 1, here, found=first, **more)
        yield (lambda f=set_end: f(first, third)), found(kind.OVERLAP, 1, here, found=third, **more)
        yield (lambda f=set_end: f(first, None)), found(kind.OPEN, 1, here, found=None, **more)
        more = {"transaction_id": third, "found": third}
        yield (lambda f=set_end: f(third, third)), found(kind.CLOSED, 1, here, **more)

    def change():
        subject.find(session, 1).name = "other"

    def add(number):
        session.add(subject.make(number))

    def remove():
        session.delete(subject.find(session, 1))

    def lose_transaction():
        transactions = transaction_class(subject.cls).__table__
        session.execute(delete(transactions).where(transactions.c.id == second))

    def impossible(tx, before, own, tables):
        more = {"transaction_id": tx, "operations": (before, own)}
        return subject.faults(kind.IMPOSSIBLE, 1, tables, **more)

    insertion, change_, deletion = Operation
    for edited, operation, wrong in (
        (second, insertion, (second, insertion, insertion)),
        (third, insertion, (third, change_, insertion)),
        (first, deletion, (second, deletion, change_)),
    ):

        def set_operation(tx=edited, operation=operation):
            for spec in subject.tables:
                subject.edit(session, spec, tx, operation=operation)

        yield set_operation, impossible(*wrong, subject.tables)

    gone = versions_of(session, subject.cls, tuple(subject.attributes(2).values()))[-1]
    base = subject.tables[:1]
    more = {"transaction_id": third, "columns": ("name",)}
    yield change, subject.faults(kind.DIFFERENT, 1, base, **more)
    more = {"transaction_id": gone.transaction_id}
    yield (lambda: add(2)), subject.faults(kind.MISSING_INSERT, 2, **more)
    yield remove, subject.faults(kind.MISSING_DELETE, 1, transaction_id=third)
    yield (lambda: add(3)), subject.faults(kind.UNRECORDED, 3)
    yield lose_transaction, subject.faults(kind.ORPHAN, 1, transaction_id=second)
    for spec in subject.tables[1:]:
        for tx in (first, second):
            split = subject.faults(kind.SPLIT, 1, [spec], transaction_id=tx)
            yield (lambda s=spec, tx=tx: subject.remove(session, s, tx)), split
    for tx in (first, second) if subject.tables[1:] else ():
        split = subject.faults(kind.SPLIT, 1, subject.tables[1:], transaction_id=tx)
        yield (lambda tx=tx: subject.remove(session, subject.tables[0], tx)), split
        edit = {"operation": deletion if tx == first else insertion}
        split += impossible(
            second, *((deletion, change_) if tx == first else (insertion,) * 2), base
        )
        yield (lambda tx=tx, e=edit: subject.edit(session, subject.tables[0], tx, **e)), split


@pytest.mark.shared_out
@pytest.mark.strategies
@pytest.mark.parametrize("name", KEYS)
def test_each_fault_is_found(session, models, name):
    """Each way to damage a history gives the faults that it should, and no others."""
    subject = Subject(models, name)
    subject.populate(session)
    assert verify(session) == []

    seen = set()
    for damage, expected in damages(session, subject):
        with paused(session):
            damage()
        assert Counter(verify(session, subject.cls, batch_size=3)) == Counter(expected)
        seen |= {fault.kind for fault in expected}
        session.rollback()

    assert verify(session) == []
    possible = set(FaultKind) - ({FaultKind.SPLIT} if len(subject.tables) == 1 else set())
    if subject.tables[0].end_column is None:
        possible -= {FaultKind.GAP, FaultKind.OVERLAP, FaultKind.OPEN, FaultKind.CLOSED}
    assert seen == possible


@pytest.mark.strategies
@pytest.mark.parametrize("name", ["tags", "marks", "labels"])
def test_each_fault_of_links_is_found(session, models, name):
    """Links are verified as rows are, whether or not their tables have a key of their own."""
    post = models.Post(id=1, name="p")
    tags = [models.Tag(id=number, name="t") for number in (1, 2, 3)]
    getattr(post, name)[:] = tags[:2]
    session.add_all([post, *tags])
    session.commit()
    getattr(post, name).remove(tags[1])
    session.commit()
    table, spec = models.links[name], table_spec_of(models.links[name])
    rows = session.execute(
        select(
            spec.version_table.c.tag_id, spec.transaction_column, spec.operation_column
        ).order_by(spec.transaction_column, spec.version_table.c.tag_id)
    ).all()
    assert [(tag, operation) for tag, _, operation in rows] == [(1, 0), (2, 0), (2, 2)]
    made, _, gone = (row.transaction_id for row in rows)

    is_numbered = "id" in table.c

    def link(tag, number):
        """Return a link of the post, with a number of its own if the table has one."""
        return {**({"id": number} if is_numbered else {}), "post_id": 1, "tag_id": tag}

    def key(tag, number):
        return tuple(link(tag, number).values())

    tag_of_version = spec.version_table.c.tag_id
    damages = [
        (
            insert(table).values(link(3, 3)),
            Fault(FaultKind.UNRECORDED, table.name, key(3, 3)),
        ),
        (
            insert(table).values(link(2, 2)),
            Fault(FaultKind.MISSING_INSERT, table.name, key(2, 2), gone),
        ),
        (delete(table), Fault(FaultKind.MISSING_DELETE, table.name, key(1, 1), made)),
        (
            update(spec.version_table).values(transaction_id=999).where(tag_of_version == 1),
            Fault(FaultKind.ORPHAN, table.name, key(1, 1), 999),
        ),
    ]
    if spec.end_column is not None:
        for number, kind in {made: FaultKind.GAP, 999: FaultKind.OVERLAP}.items():
            ends = {spec.end_column: number}
            where = (tag_of_version == 2, spec.operation_column == 0)
            expected = Fault(kind, table.name, key(2, 2), made, found=number, expected=gone)
            damages.append((update(spec.version_table).values(ends).where(*where), expected))
        ends = update(spec.version_table).values({spec.end_column: gone})
        expected = Fault(FaultKind.CLOSED, table.name, key(1, 1), made, found=gone)
        damages.append((ends.where(tag_of_version == 1), expected))
    assert verify(session) == []

    for damage, fault in damages:
        with paused(session):
            session.execute(damage)
        assert verify(session, table, batch_size=2) == [fault]
        session.rollback()


@pytest.mark.parametrize("name", ["marks", "labels"])
def test_links_that_stand_twice(session, models, name):
    """A link may be made again where nothing forbids it."""
    session.add(models.Post(id=1, name="p", **{name: [models.Tag(id=1, name="t")]}))
    session.commit()
    session.execute(insert(models.links[name]).values(post_id=1, tag_id=1))
    session.commit()

    assert verify(session) == []


def test_one_of_links_that_stand_twice(session, models):
    """Each row of a link that stands twice is compared with what is known of that row."""
    session.add(models.Post(id=1, name="p", labels=[models.Tag(id=1, name="t")]))
    session.commit()
    labels = models.links["labels"]
    session.execute(insert(labels).values(post_id=1, tag_id=1, weight=2))
    session.commit()
    with paused(session):
        session.execute(update(labels).where(labels.c.weight == 1).values(weight=3))

    (fault,) = verify(session)
    assert (fault.kind, fault.columns) == (FaultKind.DIFFERENT, ("weight",))


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.strategies
def test_histories_of_random_programs(models, tables):
    """What the library has recorded has no fault, in ranges of any size."""
    zoo = Zoo(models.base, models.zoo.classes, models.links)

    @settings(max_examples=settings().max_examples // 3)
    @given(programs, st.integers(2, 9))
    def holds(program, size):
        with Session(tables, autoflush=False) as session:
            running = Program(zoo, session, lambda: None)
            running.populate()
            running.run(program)
            note(f"errors: {running.errors}")
            assert verify(session, batch_size=size) == []
            with paused(session):
                for table in reversed(models.metadata.sorted_tables):
                    session.execute(delete(table), bind_arguments={"bind": tables})
                session.commit()

    holds()


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.strategies
def test_objects_that_become_others(session, models):
    """An object that has given its key to one of another class is no fault."""
    session.add_all([models.Puppy(id=1, name="p"), models.Animal(id=2, name="a")])
    session.commit()
    for number, cls in {1: models.Animal, 2: models.Dog}.items():
        session.delete(session.get(models.Animal, number))
        session.flush()
        session.add(cls(id=number, name="other"))
        session.commit()
    session.get(models.Animal, 1).name = "changed"
    session.commit()

    assert verify(session) == []


def test_ignored_columns(session, models):
    """What may change without a version is no fault if it has."""
    visit = models.Visit(name="v", seen=1)
    session.add(visit)
    session.commit()
    visit.seen = 2
    session.commit()
    assert verify(session) == []

    with paused(session):
        visit.name = "w"
    (fault,) = verify(session)
    assert fault.columns == ("name",)


@pytest.mark.options(native=False)
@pytest.mark.parametrize("is_joined", [False, True], ids=["one table", "joined"])
def test_classes_that_are_not_recorded(Base, open_session, is_joined):
    """Rows of a subclass that is not versioned lack no versions, in the tables of others."""

    class Pet(Base):
        __tablename__ = "pet"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str | None]
        name: Mapped[str | None]

    class Cat(Pet):
        __mapper_args__ = {"polymorphic_identity": "cat"}
        __tablename__ = "cat"
        id: Mapped[int] = mapped_column(ForeignKey("pet.id"), primary_key=True)

    class Toy(Cat):
        __versioned__ = {"versioning": False}
        __mapper_args__ = {"polymorphic_identity": "toy"}
        if is_joined:
            __tablename__ = "toy"
            id: Mapped[int] = mapped_column(ForeignKey("cat.id"), primary_key=True)

    session = open_session(Base)
    toys = [Toy(id=n, name="t") for n in (2, 3)]
    session.add_all([Cat(id=1, name="c"), *toys])
    session.commit()
    assert verify(session) == []
    assert baseline(session, Pet) == 0

    # Statements know no classes.
    session.execute(update(Pet.__table__).values(name="u"))
    toys[0].name = "changed"
    session.delete(toys[1])
    session.commit()
    session.add(Cat(id=3))
    session.commit()
    assert verify(session) == []
    with paused(session):
        session.add(Cat(id=4))
    assert {(fault.kind, fault.key) for fault in verify(session)} == {(FaultKind.UNRECORDED, (4,))}


@pytest.mark.options(native=False)
def test_superclass_that_is_not_recorded(Base, open_session):
    """Rows of a superclass that is not versioned lack no versions; a snapshot does without them."""

    class Pet(Base):
        __tablename__ = "pet"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str | None]

    class Cat(Pet):
        __tablename__ = "cat"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_identity": "cat"}
        id: Mapped[int] = mapped_column(ForeignKey("pet.id"), primary_key=True)

    session = open_session(Base)
    session.add_all([Pet(id=1), cat := Cat(id=2)])
    session.commit()
    assert verify(session) == []
    assert baseline(session, Cat) == 0
    when = cat.versions[0].transaction
    with as_of(session, when) as past, pytest.raises(IncompleteHistory, match="is not versioned"):
        past.get(Cat, 2)
    with as_of(session, when, on_incomplete="ignore") as past:
        assert [each.id for each in past.scalars(select(Pet))] == [2]


def test_looking_changes_nothing(session, models, tables):
    """Only statements that read are issued, and their number does not grow with the rows."""
    counts = set()
    for _ in range(2):
        session.add_all(models.Plain(name="p") for _ in range(5))
        session.commit()
        with paused(session):
            session.add_all(models.Plain(name="q") for _ in range(5))
        session.commit()
        with count_statements(tables) as statements:
            verify(session, models.Plain, batch_size=1000)
        assert statements.count == statements.starting("SELECT").count
        counts.add(statements.count)
        session.commit()

    assert counts == {statements.count}
    assert statements.count <= 5


def test_progress(session, models):
    """Progress is told for every table, in rows, those that are gone included."""
    plain = [models.Plain(name="p") for _ in range(5)]
    session.add_all([*plain, models.Puppy(id=1)])
    session.commit()
    session.delete(plain[0])
    session.commit()
    seen = []

    def progress(*each):
        seen.append(each)

    verify(session, models.Plain, models.Animal, batch_size=2, progress=progress)
    assert seen == [
        *[("plain", 2), ("plain", 4), ("plain", 5)],
        *[(name, 1) for name in ("animal", "dog", "puppy")],
    ]


@pytest.mark.parametrize("look_after", [verify, baseline])
def test_the_past_is_not_looked_after(session, models, look_after):
    """A session that reads the past is refused."""
    session.add(models.Visit(id=1))
    session.commit()
    (version,) = versions_of(session, models.Visit, (1,))
    with (
        as_of(session, version.transaction_id) as past,
        pytest.raises(ReadOnlySnapshot, match="give the session that it was taken of"),
    ):
        look_after(past, models.Visit)


def test_what_cannot_be_verified(session, models):
    """A class that is not versioned is refused."""
    with pytest.raises(ClassNotVersioned):
        verify(session, version_class(models.Plain).__table__)


async def tell(*_):
    """Be no function that is called and done."""


@pytest.mark.parametrize(
    "look_after",
    [
        baseline,
        partial(prune, keep=1),
        partial(redact, object_ids=1, columns="name"),
        repair,
        update_end_tx_column,
        verify,
    ],
)
def test_what_is_asked_is_checked_before_anything_is_done(session, models, look_after):
    """Ranges have rows, progress is told, and an object does not stand for all of its class."""
    plain = models.Plain(id=1, name="a")
    session.add(plain)
    session.commit()
    plain.name = "b"
    session.commit()
    for wrong, error in ((0, InvalidArgument), ("x", InvalidArgumentType)):
        with pytest.raises(error, match="batch_size is"):
            look_after(session, models.Plain, batch_size=wrong)
    for wrong in (5, tell):
        with pytest.raises(InvalidArgumentType, match="progress is"):
            look_after(session, models.Plain, progress=wrong)
    with pytest.raises(InvalidArgumentType, match="is an object; give its class, Plain"):
        look_after(session, plain)
    assert plain.versions.count() == 2


# -- first versions ---------------------------------------------------------------------------


@pytest.mark.shared_out
@pytest.mark.strategies
@pytest.mark.parametrize("name", KEYS)
def test_first_versions(session, models, name):
    """Rows without versions get one each, those with versions none; a second time does nothing."""
    subject = Subject(models, name)
    subject.populate(session)
    with paused(session):
        session.add(subject.make(3))
    session.commit()

    assert baseline(session, subject.cls, batch_size=1) == 1
    assert verify(session) == []
    assert baseline(session, subject.cls) == 0
    subject.find(session, 3).name = "changed"
    session.commit()
    (before, after) = versions_of(session, subject.cls, tuple(subject.attributes(3).values()))
    assert (before.operation_type, after.operation_type) == (0, 1)
    before.revert()
    session.commit()
    assert subject.find(session, 3).name == "0"
    assert verify(session) == []


@pytest.mark.strategies
def test_first_versions_of_links(session, models):
    """Links that are older than their history get versions, and can be put back."""
    with paused(session):
        tag = models.Tag(id=1, name="t")
        session.add(models.Post(id=1, name="p", tags=[tag], marks=[tag], labels=[tag]))
    session.commit()
    assert len(verify(session)) == 5

    made = [baseline(session, each) for each in (models.Post, models.Tag, *models.links.values())]
    assert made == [1] * 5
    assert verify(session) == []
    session.commit()
    post = session.get(models.Post, 1)
    post.tags, post.marks, post.labels = [], [], []
    post.name = "changed"
    session.commit()
    post.versions[0].revert(relations=["tags"])
    session.commit()
    assert (post.name, [tag.id for tag in post.tags], post.marks) == ("p", [1], [])
    assert verify(session) == []


def test_going_on_where_it_was_left(session, models):
    """What was committed between ranges need not be done again."""
    with paused(session):
        session.add_all(models.Plain(name="p") for _ in range(5))
    session.commit()

    def progress(table, seen):
        if seen > 4:
            raise InterruptedError
        session.commit()

    with pytest.raises(InterruptedError):
        baseline(session, models.Plain, batch_size=2, progress=progress)
    session.rollback()

    assert baseline(session, models.Plain, batch_size=2, progress=lambda *_: None) == 1
    assert verify(session) == []


def test_subclasses_get_first_versions(session, models):
    """All tables of a hierarchy are filled, whichever class is given."""
    with paused(session):
        session.add_all([models.Puppy(id=1, name="p"), models.Dog(id=2), models.Animal(id=3)])
    session.commit()

    assert baseline(session, models.Animal) == 3
    assert verify(session) == []
    assert {type(v).__name__ for v in session.scalars(select(version_class(models.Animal)))} == {
        "PuppyVersion",
        "DogVersion",
        "AnimalVersion",
    }


@pytest.mark.strategies
def test_first_versions_begin_where_objects_do(session, models):
    """The row of a subclass has its first version where the object has, not before."""
    animal = models.Animal.__table__
    session.execute(insert(animal).values(id=1, kind="animal", name="gone"))
    session.commit()
    session.execute(delete(animal))
    session.commit()
    session.execute(insert(animal).values(id=1, kind="animal", name="a"))
    session.commit()
    session.execute(update(animal).values(kind="dog"))
    session.commit()
    for name in ("b", "c"):
        session.execute(update(animal).values(name=name))
        session.commit()
    with paused(session):
        session.execute(insert(models.Dog.__table__).values(dog_id=1, breed="pug"))
    session.commit()

    assert baseline(session, models.Animal) == 1
    session.commit()
    dogs = session.get(models.Animal, 1).versions.filter_by(kind="dog")
    assert [(dog.name, dog.breed) for dog in dogs] == [("a", "pug"), ("b", "pug"), ("c", "pug")]
    assert verify(session) == []


def test_rows_above_one_that_comes_keep_their_beginning(session, models):
    """What is inserted into the table of a subclass is the first change of rows above it, too."""
    with paused(session):
        session.execute(insert(models.Animal.__table__).values(id=1, kind="dog"))
        session.execute(insert(models.Dog.__table__).values(dog_id=1))
    session.commit()
    session.execute(insert(models.Puppy.__table__).values(puppy_id=1))
    session.execute(update(models.Animal.__table__).values(kind="puppy"))
    session.commit()

    animal, dog, puppy = spec_of(models.Puppy).tables
    told = [
        session.scalars(select(spec.operation_column).order_by(spec.transaction_column)).all()
        for spec in (animal, dog, puppy)
    ]
    both = [Operation.INSERT, Operation.UPDATE]
    assert told == [both, both, [Operation.INSERT]]
    assert verify(session) == []


def test_rows_of_another_class_get_no_first_version(session, models):
    """What an object is that was recorded as one of another class, nobody knows since when."""
    session.add(models.Animal(id=1, name="a"))
    session.commit()
    with paused(session):
        session.execute(update(models.Animal.__table__).values(kind="dog"))
        session.execute(insert(models.Dog.__table__).values(dog_id=1))
    session.commit()

    assert baseline(session, models.Animal) == 0
    assert {fault.kind for fault in verify(session)} == {
        FaultKind.DIFFERENT,
        FaultKind.UNRECORDED,
    }


def test_objects_that_are_linked_get_no_first_version(session, models):
    """What a flush does not write is as it was, whatever of it is not loaded."""
    with paused(session):
        session.add_all([models.Post(id=1, name="p"), models.Tag(id=1, name="t")])
    session.commit()
    post, tag = session.get(models.Post, 1), session.get(models.Tag, 1)
    session.expire(post, ["name"])
    post.tags.append(tag)
    session.commit()

    assert versions_of(session, models.Post, (1,)) == []


def count_of_a_change(session, engine, obj, name):
    """Return how many statements are issued for a change, but for loading the object."""
    assert obj.name != name
    with count_statements(engine) as statements:
        obj.name = name
        session.flush()
    session.commit()
    return statements.count


def test_flushes_stop_looking(session, models, tables, mode):
    """Once first versions are committed, rows without versions are not looked for any more.

    Triggers look by themselves, so no flush ever does.
    """
    with paused(session):
        plain = [models.Plain(name="p") for _ in range(2)]
        session.add_all(plain)
    session.commit()
    count_of_a_change(session, tables, plain[0], "1")
    looking = count_of_a_change(session, tables, plain[0], "2")

    baseline(session, models.Plain)
    with session.begin_nested():
        plain[0].name = "in a savepoint"
    session.rollback()
    assert count_of_a_change(session, tables, plain[0], "3") == looking
    baseline(session, models.Plain)
    session.commit()
    count_of_a_change(session, tables, plain[0], "4")

    assert count_of_a_change(session, tables, plain[0], "5") == mode.pick(looking - 1, looking)


def test_first_versions_that_are_rolled_back(session, models):
    """Rows of which no first version was committed get one when they are changed, after all."""
    with paused(session):
        session.add(models.Plain(id=1, name="p"))
    session.commit()
    session.get(models.Plain, 1)
    baseline(session, models.Plain)
    session.add(models.Plain(id=2, name="q"))
    session.flush()
    session.rollback()
    session.get(models.Plain, 1).name = "changed"
    session.commit()

    assert len(versions_of(session, models.Plain, (1,))) == 2
    assert verify(session) == []
