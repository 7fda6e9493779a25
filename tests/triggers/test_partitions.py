"""Partitions are recorded whoever names them: the partitioned table, or one of them."""

from io import StringIO

import pytest
from sqlalchemy import String, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import Operation, version_class
from sqlalchemy_versioned.maintenance import FaultKind, repair, verify
from sqlalchemy_versioned.triggers import check_triggers, install_triggers, uninstall_triggers

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.options(native=True)]

INSERT, UPDATE, DELETE = Operation

#: Two partitions and one that has a partition itself.  The columns of one stand otherwise.
PARTITIONS = (
    "CREATE TABLE reading_1 PARTITION OF reading FOR VALUES IN (1)",
    "CREATE TABLE reading_2 (name varchar(255), gone int, place int NOT NULL, id int NOT NULL)",
    "ALTER TABLE reading_2 DROP COLUMN gone",
    "ALTER TABLE reading ATTACH PARTITION reading_2 FOR VALUES IN (2)",
    "CREATE TABLE reading_3 PARTITION OF reading FOR VALUES IN (3) PARTITION BY LIST (id)",
    'CREATE TABLE "reading_3\'%A" PARTITION OF reading_3 DEFAULT',
)


@pytest.fixture
def Reading(Base):
    """The class of a partitioned table."""

    class Reading(Base):
        __tablename__ = "reading"
        __versioned__ = {}
        __table_args__ = {"postgresql_partition_by": "LIST (place)"}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        name: Mapped[str | None] = mapped_column(String(255))

    configure_mappers()
    return Reading


@pytest.fixture
def session(open_session, Base, Reading):
    """A session on a database with partitions."""
    session = open_session(Base)
    for statement in PARTITIONS:
        session.connection().exec_driver_sql(statement.replace("%", "%%"))
    session.commit()
    return session


@pytest.fixture
def run(session, database):
    """Execute SQL text on a connection that the library does not know: ``run("...", "...")``."""
    engine = database.create_engine()

    def execute(*statements):
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    yield execute
    engine.dispose()


@pytest.fixture
def history(session, Reading):
    """Return the versions of all rows."""

    def read():
        session.rollback()
        table = version_class(Reading).__table__
        columns = (table.c.id, table.c.place, table.c.name, table.c.operation_type)
        order = (table.c.place, table.c.id, table.c.transaction_id)
        return [tuple(row) for row in session.execute(select(*columns).order_by(*order))]

    return read


def test_statements_by_either_name(Base, Reading, session, run, history):
    """Whoever is named, history is the same, also where rows change their partition."""
    install_triggers(Base.metadata, session)
    session.commit()
    run(
        "INSERT INTO reading VALUES (1, 1, 'a'), (1, 3, 'a')",
        "INSERT INTO reading_2 (id, place, name) VALUES (1, 2, 'a'), (2, 2, 'a')",
        "INSERT INTO \"reading_3'%A\" VALUES (2, 3, 'a'), (3, 3, 'a')",
    )

    run("UPDATE reading_2 SET name = 'b' WHERE id = 1", "UPDATE reading SET place = 2 WHERE id = 3")
    run("DELETE FROM reading_3 WHERE id = 1", 'TRUNCATE "reading_3\'%A"', "TRUNCATE reading_1")

    deleted = [(1, 1), (1, 3), (2, 3)]
    assert history() == sorted(
        [
            *((id_, place, "a", what) for id_, place in deleted for what in (INSERT, DELETE)),
            *((1, 2, name, what) for name, what in (("a", INSERT), ("b", UPDATE))),
            *((3, 3, "a", what) for what in (INSERT, DELETE)),
            *((id_, 2, "a", INSERT) for id_ in (2, 3)),
        ],
        key=lambda row: (row[1], row[0], row[3]),
    )
    run("TRUNCATE reading")
    assert [row[:2] for row in history() if row[3] == DELETE and row[1] == 2] == [
        (1, 2),
        (2, 2),
        (3, 2),
    ]
    assert verify(session) == []


@pytest.mark.parametrize("name", ["reading", "reading_2"])
def test_copied_rows(Base, session, engine, history, name):
    """Rows that are copied are recorded, also by the name of a partition."""
    install_triggers(Base.metadata, session)
    session.commit()
    connection = engine.raw_connection()
    cursor = connection.cursor()
    statement, rows = f"COPY {name} (id, place, name) FROM STDIN", "1\t2\ta\n2\t2\tb\n"
    if hasattr(cursor, "copy_expert"):
        cursor.copy_expert(statement, StringIO(rows))
    else:
        with cursor.copy(statement) as copy:
            copy.write(rows)
    connection.commit()
    connection.close()

    assert history() == [(1, 2, "a", INSERT), (2, 2, "b", INSERT)]


def test_partitions_that_come_later(Base, Reading, session, run, history):
    """What is written by the name of the partitioned table is recorded; what is not is refused."""
    run("INSERT INTO reading VALUES (1, 1, 'a'), (1, 3, 'a')", "UPDATE reading SET name = 'b'")
    run("UPDATE reading SET name = 'c'", "UPDATE reading_1 SET name = name")

    for statement in (
        "INSERT INTO reading_1 VALUES (2, 1, 'a')",
        "UPDATE \"reading_3'%A\" SET name = 'd'",
        "DELETE FROM reading_3",
    ):
        with pytest.raises(DBAPIError, match=r"lacks the triggers of reading(?s:.)*install_trig"):
            run(statement)

    assert history() == [
        (1, place, name, what) for place in (1, 3) for name, what in (("b", INSERT), ("c", UPDATE))
    ]
    missing = sorted(
        f"{each.state.value} {each.table}" for each in check_triggers(Base.metadata, session)
    )
    lacking = ["reading_1", "reading_2", "reading_3", "reading_3'%A"]
    assert missing == [f"missing {table}" for table in lacking for _ in range(4)]


def test_partitions_that_go(Base, session, run):
    """A table that was a partition is not written while it has triggers; all go with the tables."""
    install_triggers(Base.metadata, session)
    assert check_triggers(Base.metadata, session) == []
    session.commit()
    run("ALTER TABLE reading DETACH PARTITION reading_1")

    with pytest.raises(DBAPIError, match="has triggers of reading, and is no part of it"):
        run("INSERT INTO reading_1 VALUES (2, 1, 'a')")
    assert {(f.state.value, f.table) for f in check_triggers(Base.metadata, session)} == {
        ("orphan", "reading_1")
    }

    install_triggers(Base.metadata, session)
    assert check_triggers(Base.metadata, session) == []
    session.execute(text("INSERT INTO reading_1 VALUES (2, 1, 'a')"))
    uninstall_triggers(Base.metadata, session)
    assert not session.scalar(text("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"))


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE reading_1",
        "ALTER TABLE reading DETACH PARTITION reading_1",
        "DROP TABLE reading_1",
    ],
)
def test_rows_that_go_unnoticed(Base, session, run, history, statement):
    """What takes rows away without a statement that triggers hear of is told, and mended."""
    run("INSERT INTO reading VALUES (1, 1, 'a'), (2, 1, 'a'), (1, 2, 'a')")
    run(statement)
    before = history()

    assert {(fault.kind, tuple(fault.key)) for fault in verify(session)} == {
        (FaultKind.MISSING_DELETE, (1, 1)),
        (FaultKind.MISSING_DELETE, (2, 1)),
    }
    repair(session)
    session.commit()
    assert verify(session) == []
    gone = [(1, 1, "a", DELETE), (2, 1, "a", DELETE)]
    assert sorted(history()) == sorted([*before, *gone])


ATTACH = "ALTER TABLE reading ATTACH PARTITION reading_far FOR VALUES IN (9)"
INHERIT = "ALTER FOREIGN TABLE reading_far INHERIT reading"


@pytest.fixture
def far(run):
    """A foreign table that could be part of the other, if that has no key."""
    columns = "id int NOT NULL, place int NOT NULL, name varchar(255)"
    run(
        "CREATE FOREIGN DATA WRAPPER elsewhere",
        "CREATE SERVER far FOREIGN DATA WRAPPER elsewhere",
        f"CREATE FOREIGN TABLE reading_far ({columns}) SERVER far",
        "ALTER TABLE reading DROP CONSTRAINT reading_pkey",
    )
    yield
    run("DROP FOREIGN DATA WRAPPER elsewhere CASCADE")


@pytest.mark.parametrize("attach", [ATTACH, INHERIT])
def test_foreign_tables(Base, session, run, far, attach):
    """A foreign table is refused where rows of others are recorded."""
    if attach == INHERIT:
        run(
            "DROP TABLE reading",
            "CREATE TABLE reading (id int NOT NULL, place int NOT NULL, name varchar(255))",
        )
    else:
        with pytest.raises(DBAPIError, match="Foreign tables cannot have constraint triggers"):
            run(attach)
        uninstall_triggers(Base.metadata, session)
        session.commit()
    run(attach)

    with pytest.raises(DBAPIError, match="reading_far is a foreign table and part of reading"):
        install_triggers(Base.metadata, session)


@pytest.mark.options(native=True, strategy="append")
def test_events(Base, session, run, history):
    """Each event is one, also where a statement names a table and fires triggers of several."""
    run("CREATE TABLE reading_4 PARTITION OF reading FOR VALUES IN (4)")
    with pytest.raises(DBAPIError, match="reading_4 lacks the triggers of reading"):
        run("INSERT INTO reading VALUES (1, 4, 'a')")
    install_triggers(Base.metadata, session)
    session.commit()

    run("INSERT INTO reading_4 VALUES (1, 4, 'a')", "INSERT INTO reading VALUES (1, 1, 'a')")
    run("TRUNCATE reading")

    assert history() == [(1, p, "a", what) for p in (1, 4) for what in (INSERT, DELETE)]


def test_tables_that_inherit(Base, session, run, history, database):
    """Rows of a table that inherits are rows of the other, and recorded as such."""
    run(
        "CREATE TABLE plain (LIKE reading INCLUDING ALL)",
        "DROP TABLE reading",
        "ALTER TABLE plain RENAME TO reading",
        "CREATE TABLE reading_old () INHERITS (reading)",
    )
    install_triggers(Base.metadata, session)
    session.commit()

    run("INSERT INTO reading_old VALUES (1, 1, 'a')", "INSERT INTO reading VALUES (2, 1, 'a')")
    run("TRUNCATE ONLY reading", "UPDATE reading SET name = 'b'")

    assert history() == [
        (1, 1, "a", INSERT),
        (1, 1, "b", UPDATE),
        (2, 1, "a", INSERT),
        (2, 1, "a", DELETE),
    ]
    assert check_triggers(Base.metadata, session) == []


def test_masked_columns(Base, open_session):
    """A change that only a flag tells of is not taken for one that is recorded."""

    class Meter(Base):
        __tablename__ = "meter"
        __versioned__ = {"mask": ["pin"]}
        __table_args__ = {"postgresql_partition_by": "LIST (id)"}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        pin: Mapped[str | None]

    session = open_session(Base)
    session.execute(text("CREATE TABLE meter_1 PARTITION OF meter DEFAULT"))
    for statement in ("INSERT INTO meter VALUES (1, 'a')", "UPDATE meter SET pin = 'b'"):
        session.execute(text(statement))
        session.commit()
    session.connection().exec_driver_sql("UPDATE meter_1 SET pin = 'c'")
    with pytest.raises(DBAPIError, match="meter_1 lacks the triggers of meter"):
        session.commit()
