"""Enums may change while there is history of them, and versioning may come later than they."""

import enum

import pytest
from sqlalchemy import (
    ARRAY,
    DDL,
    Enum,
    MetaData,
    String,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.orm import Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    Operation,
    ReverterException,
    make_versioned,
    remove_versioning,
    version_class,
    version_table,
)
from tests.models import build_base

INSERT, UPDATE, DELETE = Operation


class Color(enum.Enum):
    """Colors as they were once."""

    RED = "r"
    BLUE = "b"


class NewColor(enum.Enum):
    """The same enum later: a member renamed, one dropped, one added."""

    CRIMSON = "r"
    GREEN = "g"


#: What a migration does to the column and its type, for each database.
MIGRATION = [
    DDL("ALTER TYPE color RENAME VALUE 'RED' TO 'CRIMSON'").execute_if(dialect="postgresql"),
    DDL("ALTER TYPE color RENAME VALUE 'BLUE' TO 'GREEN'").execute_if(dialect="postgresql"),
    DDL("ALTER TABLE thing MODIFY color ENUM('RED', 'BLUE', 'CRIMSON', 'GREEN')").execute_if(
        dialect=("mysql", "mariadb")
    ),
    DDL("UPDATE thing SET color = 'CRIMSON' WHERE color = 'RED'").execute_if(
        dialect=("mysql", "mariadb", "sqlite")
    ),
    DDL("UPDATE thing SET color = 'GREEN' WHERE color = 'BLUE'").execute_if(
        dialect=("mysql", "mariadb", "sqlite")
    ),
    DDL("ALTER TABLE thing MODIFY color ENUM('CRIMSON', 'GREEN')").execute_if(
        dialect=("mysql", "mariadb")
    ),
]


@pytest.fixture
def age(engine, unversioned):
    """Declare a thing with an enum, as it is in one age of the application; end the one before."""
    bases = []

    def end():
        remove_versioning()
        for base in bases:
            base.registry.dispose(cascade=True)

    def begin(colors, *, versioned=True, **options):
        end()
        base = build_base()
        bases.append(base)
        if versioned:
            make_versioned()
        body = {
            "__tablename__": "thing",
            "__versioned__": {},
            "id": mapped_column(String(9), primary_key=True),
            "name": mapped_column(String(9)),
            "color": mapped_column(Enum(colors, name="color", **options)),
        }
        Thing = type("Thing", (base,), body)
        configure_mappers()
        base.metadata.create_all(engine)
        return Thing

    yield begin
    end()


def migrate(engine):
    """Rename the members in the database, by an engine that no session is recorded on."""
    migration = MetaData()
    for statement in MIGRATION:
        event.listen(migration, "after_create", statement)
    migrating = create_engine(engine.url)
    migration.create_all(migrating)
    migrating.dispose()


def test_versioning_that_comes_later(age, engine):
    """Tables of versions are made beside a type that is there already, and use it not."""
    age(Color, versioned=False)
    Thing = age(Color)
    with Session(engine) as session:
        thing = Thing(id="a", color=Color.RED)
        session.add(thing)
        session.commit()
        thing.color = Color.BLUE
        session.commit()
        assert [version.color for version in thing.versions] == [Color.RED, Color.BLUE]
    kept = {c["name"]: c["type"] for c in inspect(engine).get_columns(version_table(Thing).name)}
    assert isinstance(kept["color"], String)
    assert not isinstance(kept["color"], Enum)


def test_members_that_are_renamed(age, engine):
    """Old versions give the text of members that are no more; new ones are members as ever."""
    Thing = age(Color)
    with Session(engine) as session:
        session.add_all([Thing(id="a", color=Color.RED), Thing(id="b", color=Color.BLUE)])
        session.commit()
        session.get(Thing, "a").color = Color.BLUE
        session.commit()
    migrate(engine)
    Thing = age(NewColor)
    with Session(engine) as session:
        thing = session.get(Thing, "a")
        assert thing.color is NewColor.GREEN
        assert [version.color for version in thing.versions] == ["RED", "BLUE"]
        thing.color = NewColor.CRIMSON
        session.commit()
        first, second, third = thing.versions
        assert third.color is NewColor.CRIMSON
        assert second.changeset == {"color": ["RED", "BLUE"]}
        assert third.changeset == {"color": ["BLUE", NewColor.CRIMSON]}
        assert (first.next, third.previous) == (second, second)
        cls = version_class(Thing)
        found = session.scalars(select(cls.id).where(cls.color == "RED")).all()
        assert found == ["a"]
        found = session.scalars(select(cls.id).where(cls.color == NewColor.CRIMSON)).all()
        assert found == ["a"]


def test_rows_that_the_migration_has_changed(age, engine):
    """A row whose value was renamed behind history is written, compared and deleted as it is."""
    Thing = age(Color)
    with Session(engine) as session:
        session.add_all(Thing(id=key, name="x", color=Color.RED) for key in "abc")
        session.commit()
    migrate(engine)
    Thing = age(NewColor)
    with Session(engine) as session:
        changed, touched, gone = (session.get(Thing, key) for key in "abc")
        changed.name = "y"
        touched.name = Thing.name + ""
        session.delete(gone)
        session.commit()
        cls = version_class(Thing)
        rows = session.scalars(select(cls).order_by(cls.id, cls.transaction_id)).all()
        told = [(row.id, row.operation_type, row.color) for row in rows]
    assert told == [
        ("a", INSERT, "RED"),
        ("a", UPDATE, NewColor.CRIMSON),
        ("b", INSERT, "RED"),
        ("b", UPDATE, NewColor.CRIMSON),
        ("c", INSERT, "RED"),
        ("c", DELETE, NewColor.CRIMSON),
    ]


def test_reverting_to_what_is_no_member(age, engine):
    """A value that the column takes no longer is refused before anything is changed."""
    Thing = age(Color)
    with Session(engine) as session:
        thing = Thing(id="a", name="x", color=Color.RED)
        session.add(thing)
        session.commit()
        thing.color, thing.name = Color.BLUE, "y"
        session.commit()
    migrate(engine)
    Thing = age(NewColor)
    with Session(engine) as session:
        thing = session.get(Thing, "a")
        with pytest.raises(ReverterException, match="color"):
            thing.versions[0].revert()
        assert not session.dirty
        assert (thing.name, thing.color) == ("y", NewColor.GREEN)


def test_members_by_value(age, engine):
    """Enums that are stored by value keep values, so a renamed member is still itself."""
    by_value = {"values_callable": lambda colors: [each.value for each in colors]}
    Thing = age(Color, **by_value)
    with Session(engine) as session:
        session.add(Thing(id="a", color=Color.RED))
        session.commit()
    Thing = age(NewColor, native_enum=False, **by_value)
    with Session(engine) as session:
        (version,) = session.scalars(select(version_class(Thing)))
        assert version.color is NewColor.CRIMSON


def test_constraints_of_enums_stay_with_the_live_table(age, engine):
    """The CHECK of an enum is not copied, so that history may hold what it forbids by now."""
    Thing = age(Color, native_enum=False, create_constraint=True)
    with Session(engine) as session:
        session.add(Thing(id="a", color=Color.RED))
        session.commit()
        session.execute(text("UPDATE thing_version SET color = 'ANY COLOR AT ALL'"))
        assert session.get(Thing, "a").versions[0].color == "ANY COLOR AT ALL"


@pytest.mark.needs("arrays", "enum_types")
def test_arrays_of_enums(Base, engine):
    """Enums inside arrays are kept as text as well."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id = mapped_column(String(9), primary_key=True)
        colors = mapped_column(ARRAY(Enum(Color, name="color")))

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        thing = Thing(id="a", colors=[Color.RED])
        session.add(thing)
        session.commit()
        thing.colors = [Color.RED, Color.BLUE]
        session.commit()
        session.execute(text("ALTER TYPE color RENAME VALUE 'RED' TO 'CRIMSON'"))
        assert [v.colors for v in thing.versions] == [[Color.RED], [Color.RED, Color.BLUE]]
        session.rollback()


def test_keys_of_many_enums(Base, open_session):
    """Enums take little enough of a key for several of them, and for text beside them."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        first = mapped_column(Enum(Color, name="color"), primary_key=True)
        second = mapped_column(Enum(Color, name="color"), primary_key=True)
        third = mapped_column(Enum(Color, name="color"), primary_key=True)
        fourth = mapped_column(Enum(Color, name="color"), primary_key=True)
        code = mapped_column(String(400), primary_key=True)
        name = mapped_column(String(9))

    session = open_session(Base)
    key = dict.fromkeys(("first", "second", "third", "fourth"), Color.BLUE)
    thing = Thing(**key, code="c", name="a")
    session.add(thing)
    session.commit()
    thing.name = "b"
    session.commit()

    told = [(version.first, version.fourth, version.name) for version in thing.versions]
    assert told == [(Color.BLUE, Color.BLUE, "a"), (Color.BLUE, Color.BLUE, "b")]
