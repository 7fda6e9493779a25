"""Hierarchies of every kind: each of their classes is recorded, read, reverted and restored."""

import enum

import pytest
from sqlalchemy import (
    Enum,
    ForeignKey,
    String,
    case,
    delete,
    insert,
    inspect,
    literal,
    select,
    update,
)
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import (
    Mapped,
    Session,
    column_property,
    configure_mappers,
    declared_attr,
    mapped_column,
)

from sqlalchemy_versioned import (
    IncompleteHistory,
    Operation,
    ReverterException,
    as_of,
    deleted,
    get_changes,
    version_class,
)
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from sqlalchemy_versioned.plugins import TransactionChangesPlugin
from tests.lives import image
from tests.zoo import build_zoo

INSERT, UPDATE, DELETE = Operation


class Kind(enum.Enum):
    """A discriminator may be an enum."""

    ITEM = 1
    TOOL = 2


def mapper(identity, **more):
    """Return mapper arguments with an identity."""
    return {"polymorphic_identity": identity, **more}


def declare_item(Base, on="kind", **more):
    """Declare the base of a hierarchy."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        name: Mapped[str | None]
        __mapper_args__ = mapper("item", polymorphic_on=on, **more)

    return Item


def single(Base):
    """All in one table."""
    Item = declare_item(Base)

    class Tool(Item):
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool")

    class Saw(Tool):
        teeth: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("saw")

    return Item, Tool, Saw


def joined(Base, root=None, first=None, second=None):
    """A table for each of three levels, with differing names of keys."""
    Item = declare_item(Base, **(root or {}))

    class Tool(Item):
        __tablename__ = "tool"
        item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool", **(first or {}))

    class Saw(Tool):
        __tablename__ = "saw"
        tool_id: Mapped[int] = mapped_column(ForeignKey("tool.item_id"), primary_key=True)
        teeth: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("saw", **(second or {}))

    return Item, Tool, Saw


def joined_loaded_inline(Base):
    """Subclasses that are loaded along with their base."""
    return joined(Base, first={"polymorphic_load": "inline"}, second={"polymorphic_load": "inline"})


def joined_loaded_after(Base):
    """Subclasses that are loaded by a statement of their own."""
    return joined(
        Base, first={"polymorphic_load": "selectin"}, second={"polymorphic_load": "selectin"}
    )


def joined_with_all(Base):
    """A base that always loads all its subclasses."""
    return joined(Base, root={"with_polymorphic": "*"})


def joined_without_discriminator(Base):
    """Tables that are joined although no column tells the classes apart."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Tool(Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        price: Mapped[int | None] = mapped_column()

    return (Tool,)


def single_below_joined(Base):
    """A leaf without a table, below a class with two."""
    Item = declare_item(Base)

    class Tool(Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool")

    class Saw(Tool):
        teeth: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("saw")

    return Item, Tool, Saw


def joined_below_single(Base):
    """A class with a table of its own, below one without."""
    Item = declare_item(Base)

    class Tool(Item):
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool")

    class Saw(Tool):
        __tablename__ = "saw"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        teeth: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("saw")

    return Item, Tool, Saw


def concrete(Base):
    """Tables that have nothing to do with each other."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Tool(Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = {"concrete": True}

    return Item, Tool


def concrete_beside_joined(Base):
    """A table of its own below a class whose other objects are told apart by a column."""
    Item, Tool, _ = joined(Base)

    class Shop(Item):
        __tablename__ = "shop"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("shop", concrete=True)

    return Item, Tool, Shop


def concrete_below_single(Base):
    """A table of its own, told by nothing, below a class that is told by a column."""
    Item, Tool, _ = single(Base)
    with pytest.warns(SAWarning, match="polymorphic_identity"):

        class Shop(Tool):
            __tablename__ = "shop"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None]
            __mapper_args__ = {"concrete": True}

    return Item, Tool, Shop


def abstract(Base):
    """A base without a table, whose columns and options its classes have."""

    class Item(Base):
        __abstract__ = True
        __versioned__ = {"ignore": []}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

        @declared_attr
        def price(cls) -> Mapped[int | None]:
            return mapped_column()

    class Tool(Item):
        __tablename__ = "tool"

    class Toy(Item):
        __tablename__ = "toy"

    return Tool, Toy


def abstract_in_between(Base):
    """A class that is mapped, and of which there are no objects."""
    Item = declare_item(Base)

    class Tool(Item):
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = {"polymorphic_abstract": True}

    class Saw(Tool):
        __mapper_args__ = mapper("saw")

    return Item, Saw


def mixins(Base):
    """Classes that are put together from parts."""

    class Named:
        name: Mapped[str | None]

    class Priced:
        price: Mapped[int | None] = mapped_column()

    class Item(Named, Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        __mapper_args__ = mapper("item", polymorphic_on="kind")

    class Tool(Priced, Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        __mapper_args__ = mapper("tool")

    return Item, Tool


def case_in_one_table(Base):
    """What an object is follows from a column that is no discriminator."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("item", polymorphic_on=case((price > 0, "tool"), else_="item"))

    class Tool(Item):
        teeth: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool")

    return Item, Tool


def case_in_joined_tables(Base):
    """The same, with a table more for some."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        code: Mapped[str | None] = mapped_column("item_code", String(9))
        __mapper_args__ = mapper(
            "item", polymorphic_on=case((code.in_(["x", "y"]), "tool"), else_="item")
        )

    class Tool(Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool")

    return Item, Tool


def enum_discriminator(Base):
    """A discriminator that is an enum of the database."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[Kind] = mapped_column(Enum(Kind, name="kind"))
        name: Mapped[str | None]
        __mapper_args__ = mapper(Kind.ITEM, polymorphic_on="kind")

    class Tool(Item):
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper(Kind.TOOL)

    return Item, Tool


HIERARCHIES = [
    single,
    joined,
    joined_loaded_inline,
    joined_loaded_after,
    joined_with_all,
    joined_without_discriminator,
    single_below_joined,
    joined_below_single,
    concrete,
    concrete_beside_joined,
    concrete_below_single,
    abstract,
    abstract_in_between,
    mixins,
    case_in_one_table,
    case_in_joined_tables,
    enum_discriminator,
]

#: What objects are made of, as far as their class has it, and what becomes of it.
VALUES = {"name": "a", "price": 1, "teeth": 2, "code": "x"}
CHANGES = ({"name": "b"}, {"price": 5}, {"teeth": 6}, {"code": "y", "name": "c", "price": 7})
#: What the CASEs need for an object of the base class.
BASE_VALUES = {"case_in_one_table": {"price": None}, "case_in_joined_tables": {"code": "z"}}


def changes_of(cls, is_base, name):
    """Return the values an object of a class is made with, and changes of it."""
    keys = inspect(cls).column_attrs.keys()
    fixed = BASE_VALUES.get(name, {}) if is_base else {}
    values = {key: value for key, value in {**VALUES, **fixed}.items() if key in keys}
    changes = [
        {key: value for key, value in change.items() if key in keys and key not in fixed}
        for change in CHANGES
    ]
    return values, [change for change in changes if change]


def states_of(session, obj, changes):
    """Commit an object and changes of it; return what it was after each."""
    session.add(obj)
    session.commit()
    states = [image(obj)]
    for change in changes:
        for key, value in change.items():
            setattr(obj, key, value)
        session.commit()
        states.append(image(obj))
    return states


@pytest.mark.shared_out
@pytest.mark.parametrize("declare", HIERARCHIES, ids=lambda declare: declare.__name__)
def test_lives_of_all_classes(declare, Base, engine):
    """Objects of each class have versions of its kind, and can be put back to each of them."""
    classes = declare(Base)
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for place, cls in enumerate(classes):
            values, changes = changes_of(cls, place == 0, declare.__name__)
            obj = cls(**values)
            states = states_of(session, obj, changes)
            versions = obj.versions.all()
            assert [image(version) for version in versions] == states
            assert {type(version) for version in versions} == {version_class(cls)}
            assert len(versions[0].transaction.changed_entities) == 1
            operations = [version.operation_type for version in versions]
            assert operations == [INSERT] + [UPDATE] * len(changes)
            assert_found_from_the_base(engine, cls, versions)
            revert_to_each(session, versions, states)
            restore_each(session, obj, versions, states)


def assert_found_from_the_base(bind, cls, versions):
    """Check that versions are found, as what they are, by the classes above."""
    mapper = inspect(cls)
    for above in mapper.iterate_to_root():
        root = version_class(above.class_)
        if mapper.concrete and above is not mapper:
            continue
        statement = select(root).filter_by(id=versions[0].id).order_by(root.transaction_id)
        with Session(bind) as session:
            found = session.scalars(statement).all()
            assert len(found) == len(versions)
            if mapper.polymorphic_on is not None:
                assert {type(each) for each in found} == {version_class(cls)}
                assert [image(each) for each in found] == [image(each) for each in versions]


def revert_to_each(session, versions, states):
    """Check that the live object can be put back to each state, there and back."""
    pairs = list(zip(versions, states, strict=True))
    for version, state in [*reversed(pairs), *pairs]:
        obj = version.revert()
        session.commit()
        assert image(obj) == state


def restore_each(session, obj, versions, states):
    """Check that the object comes back, as what it was, after it was deleted."""
    cls, identity = type(obj), inspect(obj).identity
    for version, state in zip(versions, states, strict=True):
        session.delete(session.get(cls, identity))
        session.commit()
        gone = session.scalars(deleted(cls)).all()
        assert [(type(each), each.operation_type) for each in gone] == [
            (version_class(cls), DELETE)
        ]
        restored = version.revert()
        session.commit()
        assert (type(restored), image(restored)) == (cls, state)


def test_expression_that_subclasses_share(Base, open_session):
    """Versions of a class, of one below it and of those in that one's table are loaded together."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        number: Mapped[int] = mapped_column()
        more = column_property(number.column + 1)
        __mapper_args__ = mapper("item", polymorphic_on="kind")

    class Tool(Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        __mapper_args__ = mapper("tool", polymorphic_load="selectin")

    class Saw(Tool):
        teeth: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("saw", polymorphic_load="inline")

    class Axe(Tool):
        __mapper_args__ = mapper("axe", polymorphic_load="inline")

    session = open_session(Base)
    session.add_all([Item(number=1), Tool(number=2), Saw(number=3), Axe(number=4)])
    session.commit()

    versions = session.scalars(select(version_class(Item)).order_by("number")).all()
    assert [version.more for version in versions] == [2, 3, 4, 5]


@pytest.fixture
def saw(Base, open_session):
    """A saw, which has rows in three tables, in its session."""
    _, _, Saw = joined(Base)
    saw = Saw(name="a", price=1, teeth=2)
    session = open_session(Base)
    session.add(saw)
    session.commit()
    return session, saw


def recorded(session, Base):
    """Return the operations in each of the version tables, in order."""
    tables = [Base.metadata.tables[f"{name}_version"] for name in ("item", "tool", "saw")]
    statements = [select(table.c.operation_type).order_by("transaction_id") for table in tables]
    return [session.scalars(statement).all() for statement in statements]


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        ({"name": "a", "teeth": 2}, [INSERT]),
        ({"name": "a"}, [INSERT, UPDATE]),
        ({"teeth": 2}, [INSERT, UPDATE]),
    ],
    ids=["all", "first table", "last table"],
)
def test_what_is_undone_of_an_object_of_several_tables(saw, Base, second, kept):
    """A version goes from all tables if nothing is left of a change, and from none otherwise."""
    session, saw = saw
    for values in ({"name": "b", "teeth": 3}, second):
        for key, value in values.items():
            setattr(saw, key, value)
        session.flush()
    session.commit()

    assert recorded(session, Base) == [kept] * 3


@pytest.mark.parametrize("key", ["name", "price", "teeth"])
def test_expression_in_one_of_several_tables(saw, Base, key):
    """What only the database knows to have changed makes a version in every table, or in none."""
    session, saw = saw
    setattr(saw, key, getattr(type(saw), key))
    session.commit()
    setattr(saw, key, literal(3 if key != "name" else "b"))
    session.commit()

    assert recorded(session, Base) == [[INSERT, UPDATE]] * 3


@pytest.mark.strategies
def test_tables_that_are_written_by_themselves(Base, open_session):
    """What a statement does to a part of objects is told by all tables that these have rows in."""
    zoo = build_zoo(Base)
    session = open_session(Base)
    animal, dog, puppy = (cls.__table__ for cls in (zoo.Animal, zoo.Dog, zoo.Puppy))
    told = {table: [] for table in (animal, dog, puppy)}
    for statement, *operations in (
        (insert(animal).values(id=1, kind="puppy"), INSERT, None, None),
        (insert(dog).values(dog_id=1), UPDATE, INSERT, None),
        (insert(puppy).values(puppy_id=1), UPDATE, UPDATE, INSERT),
        (update(dog).values(breed="pug"), UPDATE, UPDATE, UPDATE),
        (delete(puppy).where(puppy.c.puppy_id == 1), UPDATE, UPDATE, DELETE),
        (delete(puppy).where(puppy.c.puppy_id == 1), None, None, None),
        (delete(dog), UPDATE, DELETE, None),
        (delete(animal), DELETE, None, None),
    ):
        session.execute(statement)
        session.commit()
        for table, operation in zip(told, operations, strict=True):
            told[table] += [] if operation is None else [operation]

    assert verify(session) == []
    for table, operations in told.items():
        spec = table_spec_of(table)
        found = select(spec.operation_column).order_by(*spec.place)
        assert session.scalars(found).all() == operations, table.name


def test_statements_on_a_base_that_loads_its_subclasses(Base, open_session):
    """A class that is read as a join is written by its own table, and recorded."""
    Item, _, Saw = joined_with_all(Base)
    session = open_session(Base)
    saw = Saw(name="a")
    session.add(saw)
    session.commit()
    session.execute(update(Item).values(name="b"))
    session.commit()

    assert [version.name for version in saw.versions] == ["a", "b"]
    assert verify(session) == []


@pytest.mark.filterwarnings("ignore:.*cartesian product:sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("declare", [joined, single_below_joined])
def test_conditions_on_superclasses_join_nothing(declare, Base, open_session):
    """What is recorded of a statement that does not join its tables is what it writes."""
    Item, Tool, Saw = declare(Base)
    session = open_session(Base)
    tools = [Tool(name="a", price=1), Tool(name="b", price=1), Saw(name="b", price=1, teeth=1)]
    session.add_all(tools)
    session.commit()
    session.execute(update(Tool).values(price=2).where(Item.name == "a"))
    session.execute(update(Saw).values(teeth=4).where(Tool.price > 1))
    session.commit()

    prices = [tool.versions[-1].price for tool in tools]
    assert prices == [tool.price for tool in tools] == [2, 2, 2]
    assert verify(session) == []


def siblings(Base):
    """Two classes with a table each, below one that is recorded with them."""
    Item = declare_item(Base)

    class Tool(Item):
        __tablename__ = "tool"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        price: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("tool")

    class Toy(Item):
        __tablename__ = "toy"
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        fun: Mapped[int | None] = mapped_column()
        __mapper_args__ = mapper("toy")

    return Item, Tool, Toy


def lives_of(session, cls):
    """Return the versions of a class: the transaction, what they are, their operation and name."""
    version = version_class(cls)
    found = session.scalars(select(version).order_by(version.transaction_id))
    return [(v.transaction_id, type(v), v.operation_type, v.name) for v in found]


@pytest.mark.strategies("validity", "subquery")
def test_object_that_becomes_one_of_a_sibling(Base, open_session):
    """Versions of each class tell what it was as one of that, with what happened to the object."""
    Item, Tool, Toy = siblings(Base)
    session = open_session(Base)
    session.add(Tool(id=1, name="a", price=1))
    session.commit()
    for successor in (Toy(id=1, name="b", fun=2), Tool(id=1, name="c", price=3)):
        session.delete(session.get(Item, 1))
        session.flush()
        session.add(successor)
        session.commit()
    steps = [life[0] for life in lives_of(session, Item)]
    then = [successor.versions.at(step) for step in steps]
    assert [version and version.name for version in then] == ["a", None, "c"]
    session.delete(successor)
    session.commit()
    lives = lives_of(session, Item)
    steps = [*dict.fromkeys(life[0] for life in lives)]

    kinds = (Tool, INSERT, "a"), (Toy, UPDATE, "b"), (Tool, UPDATE, "c"), (Tool, DELETE, "c")
    told = [(version_class(cls), operation, name) for cls, operation, name in kinds]
    assert lives == [(step, *each) for step, each in zip(steps, told, strict=True)]
    for cls in (Tool, Toy):
        session.expunge_all()
        assert lives_of(session, cls) == [life for life in lives if life[1] is version_class(cls)]
    first, second, last = session.scalars(select(version_class(Tool)).order_by("transaction_id"))
    assert (first.next, second.previous, second.next) == (second, first, last)
    assert session.scalars(deleted(Item)).all() == session.scalars(deleted(Tool)).all() == [last]
    assert session.scalars(deleted(Toy)).all() == verify(session) == []


@pytest.mark.strategies("validity", "subquery")
def test_deleted_object_whose_key_a_sibling_has(Base, open_session):
    """What is there as one of another class is not among what was deleted."""
    Item, Tool, Toy = siblings(Base)
    session = open_session(Base)
    session.add(Tool(id=1, name="a"))
    session.commit()
    session.delete(session.get(Item, 1))
    session.commit()
    assert [each.name for each in session.scalars(deleted(Tool))] == ["a"]
    session.add(Toy(id=1, name="b"))
    session.commit()

    assert session.scalars(deleted(Tool)).all() == session.scalars(deleted(Item)).all() == []


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("declare", [single, siblings])
def test_loaded_version_of_what_becomes_another_class(declare, Base, open_session):
    """A version that its transaction overwrites is read as one of the new class, or of the old."""
    Item, Tool, _ = declare(Base)
    session = open_session(Base)
    newest = select(version_class(Item)).execution_options(populate_existing=True)
    session.add(Tool(id=1, name="a", price=1))
    session.flush()
    held = [session.scalars(newest).one()]
    savepoint = session.begin_nested()
    session.delete(session.get(Item, 1))
    session.flush()
    session.add(Item(id=1, name="b"))
    session.flush()
    held.append(session.scalars(newest).one())
    savepoint.rollback()
    held.append(session.scalars(newest).one())
    session.commit()

    assert [type(version) for version in held] == [version_class(cls) for cls in (Tool, Item, Tool)]
    assert [held[-1] in session, held[-1].name, held[-1].price] == [True, "a", 1]
    assert held[1] not in session


#: A class whose superclass is versioned; where triggers record, it is refused.
OFF = {"versioning": False}


@pytest.fixture
def loans(Base, open_session):
    """A versioned tool, and a loan of a class that is not, in their session; and the classes."""
    Item = declare_item(Base)

    class Tool(Item):
        __mapper_args__ = mapper("tool")

    class Loan(Tool):
        __versioned__ = OFF
        __mapper_args__ = mapper("loan")

    session = open_session(Base)
    session.add_all([Tool(id=1, name="a"), Loan(id=2, name="a")])
    session.commit()
    return session, Item, Tool, Loan


@pytest.mark.options(native=False, plugins=[TransactionChangesPlugin()])
@pytest.mark.strategies
def test_statements_on_rows_of_a_class_that_is_not_versioned(loans):
    """What they have recorded is told as of the superclass, by versions, changes and names."""
    session, Item, Tool, _ = loans
    session.execute(update(Item).values(name="b"))
    session.commit()

    found = session.scalars(select(version_class(Item)).order_by("transaction_id", "id")).all()
    Tools, Items = version_class(Tool), version_class(Item)
    assert sorted((v.id, v.name, v.kind, type(v)) for v in found) == [
        (1, "a", "tool", Tools),
        (1, "b", "tool", Tools),
        (2, "a", "loan", Items),
        (2, "b", "loan", Items),
    ]
    last = found[-1].transaction
    told = {cls: [v.id for v in versions] for cls, versions in last.changed_entities.items()}
    assert (told, sorted(last.entity_names)) == ({Tools: [1], Items: [2]}, ["Item", "Tool"])
    records = get_changes(Item, session, transaction=last)
    assert sorted(record.object_id for record in records) == [1, 2]


@pytest.mark.options(native=False)
def test_past_of_a_table_of_classes_that_are_not_versioned(loans):
    """What flushes wrote since a statement is not known, so the past is refused."""
    session, Item, _, Loan = loans
    session.execute(update(Item).values(name="b"))
    session.commit()
    session.get(Loan, 2).name = "unrecorded"
    session.commit()
    now = session.get(Item, 1).versions[-1].transaction

    with as_of(session, now) as past, pytest.raises(IncompleteHistory, match="is not versioned"):
        past.scalars(select(Item)).all()
    with as_of(session, now, on_incomplete="ignore") as past:
        assert past.get(Item, 1).name == "b"


@pytest.mark.options(native=False)
def test_reverting_objects_of_a_class_that_is_not_versioned(loans):
    """What is there is put back; what is gone cannot be made of what its superclass has kept."""
    session, Item, _, Loan = loans
    session.execute(update(Item).values(name="b"))
    session.commit()
    version = version_class(Item)
    first = session.scalars(select(version).filter_by(id=2).order_by("transaction_id")).first()
    first.revert()
    session.commit()
    assert session.get(Loan, 2).name == "a"
    session.execute(delete(Item).where(Item.id == 2))
    session.commit()

    with pytest.raises(ReverterException, match="was a Loan, which is not versioned"):
        first.revert()
    assert session.get(Item, 2) is None
