"""Whatever fills a column, Python, the database or a trigger, a version has what was stored."""

import enum
import itertools
import uuid

import pytest
from sqlalchemy import (
    CHAR,
    DDL,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Enum,
    FetchedValue,
    Float,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    Sequence,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    cast,
    event,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.orm import Mapped, Session, configure_mappers, deferred, mapped_column

from sqlalchemy_versioned import Operation, blame, count_versions, get_changes, version_table
from sqlalchemy_versioned.model.lookup import table_spec_of

INSERT, UPDATE, DELETE = Operation


class Color(enum.Enum):
    """A value of an enum with a constraint."""

    RED = 1
    BLUE = 2


@pytest.fixture
def declare(Base, engine):
    """Declare a thing with a column ``value``, or another key, and open a session on its table."""
    sessions = []

    def make(*arguments, **body):
        body = {"id": mapped_column(Integer, primary_key=True)} | body
        body |= {"__tablename__": "thing", "__versioned__": {}, "name": mapped_column(String(20))}
        Thing = type("Thing", (Base,), body)
        for listener in arguments:
            event.listen(Thing.__table__, "after_create", listener)
        configure_mappers()
        Base.metadata.create_all(engine)
        sessions.append(Session(engine))
        return sessions[-1], Thing

    yield make
    for session in sessions:
        session.close()


def newest(session, Thing):
    """Return operation and row of the newest version there is."""
    spec = table_spec_of(Thing.__table__)
    order = spec.transaction_column.desc()
    statement = select(spec.version_table).order_by(order).limit(1)
    row = session.connection().execute(statement).mappings().one()
    return row[spec.operation_column], {p.parent.name: row[p.version] for p in spec.pairs}


def stored(session, Thing):
    """Return the only row of the live table."""
    table = Thing.__table__
    row = session.connection().execute(select(table)).mappings().one()
    return {column.name: row[column] for column in table.c}


def go_through(session, Thing, changes, **values):
    """Insert a thing, change it and delete it; each version must be the row there was."""
    thing = Thing(**values)
    session.add(thing)
    session.flush()
    row = stored(session, Thing)
    assert newest(session, Thing) == (INSERT, row)
    session.commit()
    for change in changes:
        for name, value in change.items():
            setattr(thing, name, value)
        session.flush()
        row = stored(session, Thing)
        assert newest(session, Thing) == (UPDATE, row), change
        session.commit()
    session.delete(thing)
    session.commit()
    assert newest(session, Thing) == (DELETE, row)


numbers = itertools.count(1)


def build_features():
    """Return columns that say something about their own values, with two values for each."""

    def context(context):
        return context.get_current_parameters()["name"] * 2

    return {
        "plain": (Column(Integer), 5, 6),
        "default": (Column(Integer, default=7), 5, 6),
        "function": (Column(Integer, default=lambda: next(numbers)), 50000, 60000),
        "function_of_the_row": (Column(String(20), default=context), "b", "c"),
        "insert_default": (mapped_column(Integer, insert_default=7), 5, 6),
        "sql_default": (Column(Integer, default=func.length("abc")), 5, 6),
        "server_default": (Column(Integer, server_default="7"), 5, 6),
        "server_now": (Column(DateTime, server_default=func.now()), None, None),
        "both_defaults": (Column(Integer, default=6, server_default="7"), 5, 8),
        "not_null": (Column(Integer, server_default="7", nullable=False), 5, 6),
        "onupdate": (Column(Integer, onupdate=7), 5, 6),
        "onupdate_function": (Column(Integer, onupdate=lambda: next(numbers)), 50000, 60000),
        "sql_onupdate": (Column(Integer, onupdate=func.length("abc") + 4), 5, 6),
        "indexed": (Column(Integer, unique=True, index=True), 5, 6),
        "foreign_key": (Column(ForeignKey("thing.id")), 1, None),
        "checked": (Column(Integer, CheckConstraint("checked > 4")), 5, 6),
        "enum": (Column(Enum(Color, create_constraint=True, name="color")), Color.RED, "BLUE"),
        "boolean": (Column(Boolean(create_constraint=True, name="flag")), True, False),
        "varied": (Column(Boolean().with_variant(Integer(), "postgresql")), 1, 0),
        "deferred": (deferred(Column(String(20), server_default="x")), "b", "c"),
        "comment": (Column(Integer, comment="it's 5 %", info={"a": 1}), 5, 6),
    }


@pytest.mark.strategies
@pytest.mark.parametrize("is_given", [False, True], ids=["left out", "given"])
def test_features_of_columns(declare, is_given):
    """A version has the stored values: left out, given, changed, untouched, emptied."""
    features = build_features()
    session, Thing = declare(**{name: column for name, (column, *_) in features.items()})
    values, others = ({name: case[n] for name, case in features.items()} for n in (1, 2))
    empty = dict.fromkeys(set(features) - {"not_null"})
    touch = [{"name": name} for name in "bcd"]
    changes = [touch[0], values | touch[1], others, touch[2], empty, touch[0], others]

    go_through(session, Thing, changes, id=1, name="a", **(values if is_given else {}))


@pytest.mark.parametrize("name", ["server_default", "both_defaults", "default", "sql_onupdate"])
def test_one_column_is_emptied(declare, name):
    """A change to nothing, and nothing else, is recorded as NULL."""
    column, value, _ = build_features()[name]
    session, Thing = declare(value=column)

    go_through(session, Thing, [{"value": value}, {"value": None}], id=1, value=value + 1)


NUMBERED = [
    pytest.param(lambda: Sequence("thing_value"), marks=pytest.mark.needs("sequences")),
    pytest.param(lambda: Identity(), marks=pytest.mark.needs("identity")),
]


@pytest.mark.parametrize("build", NUMBERED, ids=["sequence", "identity"])
def test_numbered_columns(declare, build):
    """Numbers that the database draws for a column that is no key are in versions."""
    session, Thing = declare(value=Column(Integer, build()))

    go_through(session, Thing, [{"name": "b"}, {"value": 50000}], name="a")


def test_nothing_is_generated_in_versions(declare):
    """Version columns fill nothing by themselves, so NULL stays NULL."""
    session, Thing = declare(value=Column(Integer, default=6, server_default="7", onupdate=8))
    table = version_table(Thing)
    key = {"id": 1, "transaction_id": 1, "operation_type": 0}
    session.execute(table.insert(), key)
    session.execute(table.update().values(name="x"))

    assert session.scalar(select(table.c.value)) is None


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: Computed("price * 2", persisted=True), id="stored"),
        pytest.param(
            lambda: Computed("price * 2", persisted=False),
            id="virtual",
            marks=pytest.mark.needs("virtual_columns"),
        ),
    ],
)
@pytest.mark.needs("computed")
def test_computed_columns(declare, build):
    """What the database computes is kept as a value, when and where it is computed."""
    price, double = Column("price", Integer), Column("twice", Integer, build())
    session, Thing = declare(price=price, double=double)

    go_through(session, Thing, [{"name": "b"}, {"price": 2}, {"price": None}], name="a", price=1)


KEYS = [
    pytest.param(lambda: mapped_column(Integer, primary_key=True), id="number"),
    pytest.param(
        lambda: mapped_column(Uuid, primary_key=True, default=uuid.uuid4),
        id="function",
    ),
    pytest.param(
        lambda: mapped_column(String(9), primary_key=True, server_default="x"),
        marks=pytest.mark.needs("returning"),
        id="default of the server",
    ),
    pytest.param(
        lambda: mapped_column(Integer, Sequence("thing_key"), primary_key=True),
        marks=pytest.mark.needs("sequences"),
        id="sequence",
    ),
    pytest.param(
        lambda: mapped_column(Integer, Identity(), primary_key=True),
        marks=pytest.mark.needs("identity"),
        id="identity",
    ),
    pytest.param(
        lambda: mapped_column(Integer, Identity(always=True), primary_key=True),
        marks=pytest.mark.needs("identity"),
        id="identity always",
    ),
]


@pytest.mark.parametrize("build", KEYS)
def test_keys_that_are_generated(declare, build):
    """Whoever makes a key, rows with it are recorded from their insertion to their deletion."""
    session, Thing = declare(id=build())

    go_through(session, Thing, [{"name": "b"}], name="a")
    go_through(session, Thing, [{"name": "b"}], name="a")


class Proud(TypeDecorator):
    """Text that is compared to values only, as comparators of applications may demand."""

    impl = String(20)
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator):
        def __eq__(self, other):
            if isinstance(other, Column):
                raise TypeError(f"{self.expr} is not compared to {other}")
            return super().__eq__(other)


def test_columns_that_compare_in_their_own_way(declare):
    """Whatever a column makes of ``==``, its changes are told, blamed and reverted."""
    columns = {name: mapped_column(Proud()) for name in ("value", "other")}
    session, Thing = declare(**columns, __table_args__=(UniqueConstraint("value", "other"),))
    thing = Thing(value="b", other="c")
    session.add(thing)
    session.commit()
    thing.other = "d"
    session.commit()

    changed = get_changes(Thing, session, limit=1)[0]
    assert [(each.field, each.old, each.new) for each in changed.changes] == [("other", "c", "d")]
    assert blame(thing)["other"].id == changed.transaction
    assert thing.versions[0].revert().other == "c"


# -- what is the same ----------------------------------------------------------------------------


@pytest.mark.strategies
@pytest.mark.parametrize(
    ("kind", "forms"),
    [
        (CHAR(3), ["a", "a  ", "b"]),
        (String(3).with_variant(CHAR(3), "postgresql"), ["a", "a  ", "b"]),
        (Uuid(as_uuid=False), ["a" * 32, "A" * 32, "b" * 32]),
    ],
    ids=["padded", "padded by a variant", "written otherwise"],
)
def test_values_in_another_form(declare, kind, forms):
    """What is stored as it was makes no version, in whatever form it was assigned."""
    session, Thing = declare(value=Column(kind))
    thing = Thing(value=forms[0])
    session.add(thing)
    session.commit()
    # As the driver has them: types bring them into one form.
    as_stored = select(type_coerce(Thing.__table__.c.value, String))
    rows = [session.scalar(as_stored)]
    for form in (forms[0], *forms):
        session.refresh(thing)
        thing.value = form
        session.commit()
        rows.append(session.scalar(as_stored))

    assert count_versions(thing) == len(list(itertools.groupby(rows)))


@pytest.mark.strategies
@pytest.mark.needs("enum_types")
@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Interval(), "interval '30 days'", "interval '1 month'"),
        (Numeric(), "1.0", "1.00"),
        (Float(), "float8 '0'", "float8 '-0'"),
    ],
    ids=["interval", "scale", "sign"],
)
def test_equal_values_that_differ(declare, kind, one, other):
    """A value that PostgreSQL takes for equal to the one before, and shows otherwise, is kept."""
    session, Thing = declare(value=Column(kind))
    session.execute(insert(Thing).values(id=1, value=literal_column(one)))
    session.commit()
    session.execute(update(Thing).values(value=literal_column(other)))
    session.commit()

    number, text_of = (
        version_table(Thing).c.transaction_id,
        cast(version_table(Thing).c.value, Text),
    )
    expected = [session.scalar(select(cast(literal_column(each), Text))) for each in (one, other)]
    assert session.scalars(select(text_of).order_by(number)).all() == expected


# -- triggers ------------------------------------------------------------------------------------

#: Each counts the updates of a row in its column ``value``.
TRIGGERS = [
    DDL(
        "CREATE TRIGGER count_updates AFTER UPDATE OF name ON thing BEGIN "
        "UPDATE thing SET value = coalesce(value, 0) + 1 WHERE id = NEW.id; END"
    ).execute_if(dialect="sqlite"),
    DDL(
        "CREATE FUNCTION count_updates() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.value := coalesce(OLD.value, 0) + 1; RETURN NEW; END'"
    ).execute_if(dialect="postgresql"),
    DDL(
        "CREATE TRIGGER count_updates BEFORE UPDATE ON thing "
        "FOR EACH ROW EXECUTE FUNCTION count_updates()"
    ).execute_if(dialect="postgresql"),
    DDL(
        "CREATE TRIGGER count_updates BEFORE UPDATE ON thing "
        "FOR EACH ROW SET NEW.value = coalesce(OLD.value, 0) + 1"
    ).execute_if(dialect=("mysql", "mariadb")),
]


class Decorated(TypeDecorator):
    """An enum behind a decorator."""

    impl = Enum(Color)
    cache_ok = True


@pytest.mark.needs("enum_types")
@pytest.mark.parametrize("kind", [Enum(Color), Decorated()], ids=["plain", "decorated"])
def test_keys_that_are_enums(declare, kind):
    """Rows whose key is an enum of the database are found by it, and so are their versions."""
    session, Thing = declare(id=mapped_column(kind, primary_key=True))
    thing = Thing(id=Color.RED, name="a")
    session.add(thing)
    for name in ("b", Thing.name + "c"):
        session.commit()
        thing.name = name
    session.commit()
    session.delete(thing)
    session.commit()

    versions = version_table(Thing).c
    kept = select(versions.id, versions.name, versions.operation_type)
    assert session.execute(kept.order_by(versions.transaction_id)).all() == [
        (Color.RED, "a", INSERT),
        (Color.RED, "b", UPDATE),
        (Color.RED, "bc", UPDATE),
        (Color.RED, "bc", DELETE),
    ]


@pytest.mark.strategies
def test_triggers_of_the_application(declare):
    """What a trigger makes of a row is what its version has, although no object knows of it."""
    column = mapped_column(Integer, server_onupdate=FetchedValue())
    session, Thing = declare(*TRIGGERS, value=column)

    go_through(session, Thing, [{"name": "b"}, {"name": "c"}], name="a")

    thing = Thing(name="x")
    session.add(thing)
    session.commit()
    for name in "yz":
        thing.name = name
        session.flush()
    session.commit()
    assert newest(session, Thing) == (UPDATE, {"id": thing.id, "name": "z", "value": 2})


# -- expressions ---------------------------------------------------------------------------------


@pytest.mark.strategies
@pytest.mark.parametrize("kind", ["own", "function", "text", "subquery", "literal"])
def test_expressions_alone(declare, kind):
    """An object of which only SQL expressions were set has one version, with their values."""
    session, Thing = declare(value=mapped_column(Integer))
    expressions = {
        "own": Thing.value + 1,
        "function": func.coalesce(None, 2),
        "text": text("1 + 1"),
        "subquery": select(func.count(Thing.id) + 1).scalar_subquery(),
        "literal": literal(2),
    }
    thing = Thing(name="a", value=1)
    session.add(thing)
    session.commit()
    thing.value = expressions[kind]
    session.commit()

    assert [(v.operation_type, v.value) for v in thing.versions] == [(INSERT, 1), (UPDATE, 2)]


@pytest.mark.strategies
def test_expressions_that_are_read_at_once(declare):
    """So has one whose values the flush itself reads back, by ``eager_defaults``."""
    value = mapped_column(Integer, server_default="0")
    session, Thing = declare(value=value, __mapper_args__={"eager_defaults": True})
    thing = Thing(name="a", value=1)
    session.add(thing)
    session.commit()
    thing.value = Thing.value + 1
    session.commit()

    assert [(v.operation_type, v.value) for v in thing.versions] == [(INSERT, 1), (UPDATE, 2)]


def test_expressions_of_new_objects(declare):
    """An object that is inserted with an expression has its value."""
    session, Thing = declare(value=mapped_column(Integer))

    go_through(session, Thing, [{"value": Thing.value + 1}], value=func.length("abc"))


def test_expressions_in_a_subclass_table(Base, engine):
    """An expression on one table of a joined hierarchy makes a version of the whole object."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        seen: Mapped[int | None]

    class Tool(Item):
        __tablename__ = "tool"
        __mapper_args__ = {"polymorphic_identity": "tool"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        price: Mapped[int]

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        tool = Tool(id=1, price=1, seen=1)
        session.add(tool)
        session.commit()
        tool.price = Tool.price + 1
        session.commit()
        tool.seen = Tool.seen + 1
        session.commit()

        found = [(v.operation_type, v.price, v.seen) for v in tool.versions]
        assert found == [(INSERT, 1, 1), (UPDATE, 2, 1), (UPDATE, 2, 2)]


# -- values that are not loaded -------------------------------------------------------------------


@pytest.mark.strategies
@pytest.mark.parametrize("raiseload", [False, True])
def test_large_values_stay_in_the_database(declare, engine, count_statements, raiseload):
    """Columns that are loaded late are in every version, and no flush fetches them."""
    column = mapped_column("the body", LargeBinary(1000))
    session, Thing = declare(body=deferred(column, raiseload=raiseload))
    for number in range(20):
        session.add(Thing(id=number + 1, name="a", body=b"%d" % number))
    session.commit()
    changes = {"update": lambda thing: setattr(thing, "name", "b"), "delete": session.delete}
    for change in changes.values():
        for thing in session.scalars(select(Thing)):
            change(thing)
        with count_statements(engine) as statements:
            session.flush()
        reading = statements.starting("SELECT")
        assert not [each for each in reading if "the body" in each.statement.split("FROM")[0]]
        assert statements.count < 10
        session.commit()

    table = version_table(Thing)
    kept = session.execute(select(table.c.id, table.c["body"]).order_by(table.c.id)).all()
    assert kept == [(n + 1, b"%d" % n) for n in range(20) for _ in range(3)]
