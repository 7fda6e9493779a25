"""Rows that are older than their history get a first version, by one statement for each table."""

import enum
from typing import Any

import pytest
from sqlalchemy import Enum, ForeignKey, Integer, String, delete, func, insert, select, update
from sqlalchemy import column as name_column
from sqlalchemy import table as name_table
from sqlalchemy.orm import Session, mapped_column

from sqlalchemy_versioned.maintenance import repair, verify
from sqlalchemy_versioned.model.counterparts import transaction_class
from sqlalchemy_versioned.model.lookup import spec_of
from tests.migrations import Migrations, declared


@pytest.fixture
def migrations(engine, tmp_path, unversioned):
    """The migrations of a database that has nothing yet."""
    return Migrations(engine, tmp_path / "migrations")


class Kind(enum.Enum):
    """What tells people apart."""

    PERSON = 1
    ENGINEER = 2
    ROBOT = 3


def people(versioned: Any, engineers: bool = True) -> Any:
    """Return what declares people: engineers have a table besides, robots never have versions."""
    off = {"versioning": False}

    def build(Base: Any) -> None:
        class Person(Base):
            __tablename__ = "person"
            __versioned__ = versioned
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": Kind.PERSON}
            id = mapped_column(Integer, primary_key=True)
            kind = mapped_column(Enum(Kind, native_enum=False, length=10))
            name = mapped_column(String(20))

        class Engineer(Person):
            __tablename__ = "engineer"
            if not engineers:
                __versioned__ = off
            __mapper_args__ = {"polymorphic_identity": Kind.ENGINEER}
            number = mapped_column(ForeignKey("person.id"), primary_key=True)
            skill = mapped_column(String(20))

        class Robot(Engineer):
            __versioned__ = off
            __mapper_args__ = {"polymorphic_identity": Kind.ROBOT}

        Base.Person, Base.Engineer, Base.Robot = Person, Engineer, Robot

    return build


def migrate(migrations: Any, build: Any) -> None:
    """Migrate to what is declared, and see that nothing is left to do."""
    with declared(build) as Base:
        migrations.generate(Base.metadata)
        migrations.upgrade()
        assert migrations.differences(Base.metadata) == []


def settle(migrations: Any) -> None:
    """Have tables without versions, with a row of each class."""
    build = people({"versioning": False}, engineers=False)
    migrate(migrations, build)
    with declared(build) as Base, Session(migrations.engine) as session:
        kinds = (Base.Person(), Base.Engineer(skill="a"), Base.Robot(skill="b"))
        session.add_all(kinds)
        session.commit()


def change_all(session: Session, Base: Any) -> None:
    """Change everybody, and what engineers have besides."""
    with session.no_autoflush:
        for person in session.scalars(select(Base.Person)):
            person.name = "named"
            if isinstance(person, Base.Engineer):
                person.skill += "x"
    session.commit()


@pytest.mark.shared_out
@pytest.mark.parametrize(
    "versioned",
    [{}, {"strategy": "append"}, {"strategy": "append", "version_id_type": "uuid"}],
)
def test_rows_of_versioned_classes_get_first_versions(migrations, versioned):
    """Those of a class that is not versioned get none, in no table; what is written later fits."""
    settle(migrations)
    migrate(migrations, people(versioned))
    with declared(people(versioned)) as Base, Session(migrations.engine) as session:
        assert verify(session) == []
        change_all(session, Base)
        assert verify(session) == []
        person, engineer = session.scalars(select(Base.Person).order_by(Base.Person.id)).all()[:2]
        assert [each.name for each in person.versions] == [None, "named"]
        assert [(each.name, each.skill) for each in engineer.versions] == [
            (None, "a"),
            ("named", "ax"),
        ]
        versions = name_table("person_version", name_column("id"))
        assert set(session.scalars(select(versions.c.id))) == {person.id, engineer.id}


def test_a_subclass_is_versioned_later(migrations):
    """Its rows lack versions in the table above it, too, as far as they have none."""
    settle(migrations)
    for engineers in (False, True, False, True):
        build = people({}, engineers)
        migrate(migrations, build)
        with declared(build) as Base, Session(migrations.engine) as session:
            if engineers:
                # What they were while they were not versioned, nobody knows.
                assert repair(session).left == ()
            assert verify(session) == []
            change_all(session, Base)
            assert verify(session) == []


def live(session: Session, Base: Any) -> None:
    """Let there be an engineer who was gone before, and one who was no engineer before."""
    for kind in (Base.Engineer(id=1, skill="a"), Base.Person(id=2)):
        session.add(kind)
        session.commit()
    session.delete(session.get(Base.Engineer, 1))
    session.commit()
    session.add(Base.Engineer(id=1, skill="b"))
    person, engineer = Base.Person.__table__, Base.Engineer.__table__
    session.execute(update(person).where(person.c.id == 2).values(kind=Kind.ENGINEER))
    session.execute(insert(engineer).values(number=2, skill="c"))
    session.commit()
    session.expunge_all()
    for name in ("once", "twice"):
        for number in (1, 2):
            session.get(Base.Engineer, number).name = name
        session.commit()


def read_places(session: Session, spec: Any, *criteria: Any) -> list[Any]:
    """Return where the versions of a table stand and end, by their rows."""
    end = [] if spec.end_column is None else [spec.end_column]
    columns = [spec.key[0].version, *spec.place, *end]
    return session.execute(select(*columns).where(*criteria).order_by(*columns)).all()


@pytest.mark.shared_out
@pytest.mark.parametrize(
    "versioned",
    [
        {},
        {"end_transaction_column_name": "ended"},
        {"strategy": "subquery", "operation_type_format": "code"},
        {"strategy": "append"},
        {"strategy": "append", "version_id_type": "uuid"},
    ],
)
def test_rows_of_subclasses_begin_where_their_objects_do(migrations, versioned):
    """They have a version for each of the object, since it came and as what it is."""
    migrations.batch = migrations.config.attributes["batch"] = False
    migrate(migrations, people(versioned))
    with declared(people(versioned)) as Base, Session(migrations.engine) as session:
        live(session, Base)
    for engineers in (False, True):
        migrate(migrations, people(versioned, engineers))
    (statement,) = [
        each for each in migrations.write_sql("r01:r02").split(";") if "INTO engineer_v" in each
    ]
    with declared(people(versioned)) as Base, Session(migrations.engine) as session:
        persons, engineers = spec_of(Base.Engineer).tables
        were_engineers = persons.version_table.c.kind == Kind.ENGINEER
        since = session.scalar(select(func.max(transaction_class(Base.Person).id))) - 2
        places = read_places(session, persons, were_engineers, persons.transaction_column >= since)
        assert {number for number, *_ in places} == {1, 2}
        assert read_places(session, engineers) == places
        assert verify(session) == []
        # What is written for later says the same.
        session.execute(delete(engineers.version_table))
        session.connection().exec_driver_sql(statement)
        assert read_places(session, engineers) == places
        change_all(session, Base)
        assert verify(session) == []


def test_sql_of_first_versions_is_written_without_a_database(migrations):
    """What tells rows apart is in the migration."""
    migrations.batch = migrations.config.attributes["batch"] = False
    settle(migrations)
    migrate(migrations, people({"strategy": "append"}))
    statements = migrations.write_sql("base:head")
    assert "NOT IN ('ROBOT')" in statements
    assert "INSERT INTO engineer_version" in statements
