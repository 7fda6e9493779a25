"""Versions that are events, recorded by triggers: one for each, with what was said of it."""

from uuid import RFC_4122

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    Operation,
    set_session_variables,
    transaction_context,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.triggers import check_triggers

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.options(native=True, strategy="append")]

INSERT, UPDATE, DELETE = Operation
USERNAME = Column("username", String(30), nullable=False)


@pytest.fixture
def table(versioning, engine):
    """Return a function that makes a versioned table: ``table(Column("id", Integer), …)``."""

    def make(*columns, **options):
        metadata = MetaData()
        made = Table("foo", metadata, *columns)
        versioned_table(made, **options)
        configure_mappers()
        metadata.create_all(engine)
        assert check_triggers(metadata, engine) == []
        return made

    return make


@pytest.fixture
def events(engine):
    """Return operation and values of the versions of a table, in their order."""

    def read(table, *names):
        versions = version_table(table)
        columns = [versions.c[name] for name in ("operation_type", *names)]
        with engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(versions.c.version_id))
            return [tuple(row) for row in rows]

    return read


def run(engine, *statements):
    """Execute statements in one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_every_event_is_kept(engine, table, events):
    """One transaction may have many events of a row; what changes nothing is none."""
    foo = table(Column("id", Integer, primary_key=True), Column("bar", String(9)))

    run(
        engine,
        "INSERT INTO foo VALUES (1, 'a'), (2, 'a')",
        "UPDATE foo SET bar = 'b' WHERE id = 1",
        "UPDATE foo SET bar = bar",
        "UPDATE foo SET id = 3 WHERE id = 1",
        "DELETE FROM foo WHERE id = 3",
        "TRUNCATE foo",
    )
    run(engine, "UPDATE foo SET bar = 'x'")

    assert events(foo, "id", "bar") == [
        (INSERT, 1, "a"),
        (INSERT, 2, "a"),
        (UPDATE, 1, "b"),
        (DELETE, 1, "b"),
        (INSERT, 3, "b"),
        (DELETE, 3, "b"),
        (DELETE, 2, "a"),
    ]
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM transaction")) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_triggers_of_the_application(engine, table, events, count):
    """A statement is one event, with what other triggers have made of its rows before it."""
    foo = table(Column("id", Integer, primary_key=True), Column("bar", String(9)))
    run(
        engine,
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE foo SET bar = bar || '!' WHERE id = NEW.id; RETURN NULL; END $$",
        "CREATE TRIGGER again AFTER INSERT OR UPDATE ON foo FOR EACH ROW "
        "WHEN (right(NEW.bar, 1) <> '!') EXECUTE FUNCTION again()",
    )

    rows = ", ".join(f"({number}, 'a')" for number in range(count))
    run(engine, f"INSERT INTO foo VALUES {rows}", "UPDATE foo SET bar = 'b'")
    run(engine, "DELETE FROM foo", "INSERT INTO foo VALUES (0, 'c')")

    told = [(INSERT, "a!"), (UPDATE, "b!"), (DELETE, "b!")]
    expected = [(what, number, bar) for what, bar in told for number in range(count)]
    assert events(foo, "id", "bar") == [*expected, (INSERT, 0, "c!")]


def test_uuids(engine, table, events):
    """Ids that are UUIDs are in the order of statements, also if the clock goes back."""
    columns = (Column("id", Integer, primary_key=True), Column("bar", Integer))
    foo = table(*columns, version_id_type="uuid")
    updates = [f"UPDATE foo SET bar = {number}" for number in range(8)]

    run(
        engine,
        "INSERT INTO foo VALUES (1), (2)",
        *updates[:4],
        "SELECT set_config('versioned.moment', (9::bigint << 50)::text, true)",
        *updates[4:],
        "DELETE FROM foo",
    )

    found = events(foo, "bar", "version_id")
    told = [(INSERT, None), *[(UPDATE, number) for number in range(8)], (DELETE, 7)]
    assert [each[:2] for each in found] == [each for each in told for _ in range(2)]
    assert {(id_.version, id_.variant) for _, _, id_ in found} == {(7, RFC_4122)}


def test_rows_without_a_primary_key(engine, table, events):
    """Rows are their values: an UPDATE records those that are new, each as often as it is."""
    foo = table(Column("bar", String(9)))

    run(engine, "INSERT INTO foo VALUES ('a'), ('a'), ('b'), (NULL)")
    run(engine, "UPDATE foo SET bar = 'b' WHERE bar = 'a'", "UPDATE foo SET bar = bar")
    run(engine, "DELETE FROM foo WHERE bar IS NULL")

    assert events(foo, "bar") == [
        *[(INSERT, each) for each in ("a", "a", "b", None)],
        *[(UPDATE, "b")] * 2,
        (DELETE, None),
    ]


def test_updates_that_change_nothing_can_be_kept(engine, table, events):
    """With record_unchanged every row of an UPDATE is an event."""
    foo = table(Column("bar", String(9)), record_unchanged=True)

    run(engine, "INSERT INTO foo VALUES ('a')", "UPDATE foo SET bar = bar")

    assert events(foo, "bar") == [(INSERT, "a"), (UPDATE, "a")]


def test_what_is_said_of_each_event(engine, table, events):
    """The context, session variables and settings of the database are read for each event."""
    foo = table(Column("bar", String(9)), session_variables=[USERNAME])
    with Session(engine) as session:
        with transaction_context(username="O'Brien"):
            session.execute(foo.insert(), {"bar": "a"})
        set_session_variables(session, username="ann")
        session.execute(text("INSERT INTO foo VALUES ('b')"))
        session.commit()
    run(engine, "SELECT set_config('audit.username', 'psql', true)", "DELETE FROM foo")

    assert events(foo, "bar", "username") == [
        (INSERT, "a", "O'Brien"),
        (INSERT, "b", "ann"),
        (DELETE, "a", "psql"),
        (DELETE, "b", "psql"),
    ]


def test_required_variables_of_events(engine, table, events):
    """Without them nothing is written; a savepoint takes back what was said in it."""
    foo = table(Column("bar", String(9)), session_variables=[USERNAME])
    with Session(engine) as session:
        with session.begin_nested() as savepoint, transaction_context(username="ann"):
            session.execute(foo.insert(), {"bar": "a"})
            savepoint.rollback()
        with transaction_context(username="ann"):
            session.execute(foo.insert(), {"bar": "b"})
        with pytest.raises(IntegrityError, match=r"audit\.username is missing or empty"):
            session.execute(update(foo).values(bar="c"))
        session.rollback()
        with transaction_context(username="ann"):
            session.execute(foo.insert(), {"bar": "d"})
        session.commit()

    assert events(foo, "bar", "username") == [(INSERT, "d", "ann")]


def test_parts_of_objects(Base, engine):
    """A statement on one table is an event of the whole object, also where it goes along."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {"session_variables": [USERNAME], "revision_id_column_name": "rev"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rev: Mapped[int | None]

    class Dog(Animal):
        __tablename__ = "dog"
        dog_id: Mapped[int] = mapped_column(
            ForeignKey("animal.id", ondelete="CASCADE"), primary_key=True
        )
        bark: Mapped[str]

    configure_mappers()
    Base.metadata.create_all(engine)
    username = "SELECT set_config('audit.username', 'psql', true)"
    run(
        engine,
        username,
        "INSERT INTO animal VALUES (1, 'a'), (2, 'a')",
        "INSERT INTO dog VALUES (1, 'x')",
        "UPDATE animal SET name = 'b'",
        "UPDATE dog SET bark = bark",
        "UPDATE dog SET bark = 'y'",
        "DELETE FROM animal",
        "INSERT INTO animal VALUES (3, 'a')",
        "TRUNCATE animal CASCADE",
    )

    animals, dogs = (version_table(cls) for cls in (Animal, Dog))
    parts = animals.outerjoin(dogs, animals.c.version_id == dogs.c.version_id)
    columns = (animals.c.operation_type, animals.c.id, animals.c.name, dogs.c.bark)
    of_part = select(*columns, dogs.c.operation_type.label("other")).select_from(parts)
    with engine.connect() as connection:
        found = connection.execute(of_part.order_by(animals.c.id, animals.c.version_id)).all()
    assert [tuple(row) for row in found] == [
        (INSERT, 1, "a", None, None),
        (UPDATE, 1, "a", "x", INSERT),
        (UPDATE, 1, "b", "x", UPDATE),
        (UPDATE, 1, "b", "y", UPDATE),
        (DELETE, 1, "b", "y", DELETE),
        (INSERT, 2, "a", None, None),
        (UPDATE, 2, "b", None, None),
        (DELETE, 2, "b", None, None),
        (INSERT, 3, "a", None, None),
        (DELETE, 3, "a", None, None),
    ]
    run(engine, username, "INSERT INTO animal VALUES (3, 'a')", "INSERT INTO dog VALUES (3, 'x')")
    with engine.connect() as connection:
        newest = connection.scalar(text("SELECT max(version_id) FROM dog_version"))
        assert connection.scalar(text("SELECT rev FROM animal")) == newest
    silently = "SET LOCAL session_replication_role = replica"
    run(engine, silently, "INSERT INTO animal VALUES (4, 'a')", "INSERT INTO dog VALUES (4, 'x')")
    with pytest.raises(IntegrityError, match="username is missing"):
        run(engine, "DELETE FROM dog")
    with pytest.raises(DBAPIError, match="rows of animal are deleted that are older"):
        run(engine, username, "WITH gone AS (DELETE FROM animal) DELETE FROM dog")
    run(engine, username, "DELETE FROM animal")
