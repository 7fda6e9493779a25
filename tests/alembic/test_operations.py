"""What migrations do to history by hand, with the names that tables had then."""

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    insert,
    inspect,
    select,
)

import sqlalchemy_versioned.alembic  # noqa: F401
from sqlalchemy_versioned import ImproperlyConfigured, InvalidArgument, InvalidArgumentType

TABLES = MetaData()
THING = Table("thing", TABLES, Column("id", Integer, primary_key=True), Column("name", String(20)))
THING_VERSION = Table(
    "thing_version",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(20)),
    Column("transaction_id", Integer, primary_key=True, autoincrement=False),
    Column("end_transaction_id", Integer),
    Column("operation_type", SmallInteger, nullable=False),
)


@pytest.fixture
def connection(engine):
    """A connection to tables with two things and versions of one, which have no ends."""
    with engine.begin() as connection:
        TABLES.create_all(connection)
        connection.execute(insert(THING), [{"id": 1, "name": "a"}, {"id": 2, "name": None}])
        versions = [(1, "a", 4, 0), (1, "b", 7, 1), (3, "gone", 5, 0), (3, "gone", 7, 2)]
        names = ("id", "name", "transaction_id", "operation_type")
        rows = [dict(zip(names, each, strict=True)) for each in versions]
        connection.execute(insert(THING_VERSION), rows)
        yield connection


@pytest.fixture
def op(connection):
    """The operations of a migration."""
    return Operations(MigrationContext.configure(connection))


def versions_of(connection, key):
    """Return the versions of a thing: their name, transaction, end and operation."""
    columns = [c for c in THING_VERSION.c if c.name != "id"]
    statement = select(*columns).where(THING_VERSION.c.id == key)
    return connection.execute(statement.order_by(THING_VERSION.c.transaction_id)).all()


def test_rows_without_versions_get_one(op, connection):
    """It stands before all transactions, and doing it again does nothing."""
    for _ in range(2):
        op.baseline_versions("thing", "thing_version")
    assert versions_of(connection, 2) == [(None, 0, None, 0)]
    assert len(versions_of(connection, 1)) == 2


def test_versions_end_where_the_next_ones_begin(op, connection):
    """The last one has no end."""
    op.update_end_transaction_ids("thing_version")
    assert [row.end_transaction_id for row in versions_of(connection, 1)] == [7, None]
    assert [row.end_transaction_id for row in versions_of(connection, 3)] == [7, None]


def test_rows_get_what_their_newest_versions_hold(op, connection):
    """And newest versions get what they lack; no others do, and no deletions."""
    op.baseline_versions("thing", "thing_version")
    connection.execute(THING.update().where(THING.c.id == 2).values(name="later"))
    op.align_versions("thing", "thing_version", columns=["name"])
    rows = connection.execute(select(THING).order_by(THING.c.id)).all()
    assert rows == [(1, "b"), (2, "later")]
    assert [row.name for row in versions_of(connection, 2)] == ["later"]
    assert [row.name for row in versions_of(connection, 3)] == ["gone", "gone"]


def test_names_that_do_not_exist_are_told(op):
    """Nothing is written before."""
    with pytest.raises(InvalidArgument, match="has no table 'things'"):
        op.baseline_versions("things", "thing_version")
    with pytest.raises(ImproperlyConfigured, match="has no column 'ended'; it has 'id', 'name'"):
        op.update_end_transaction_ids("thing_version", end_transaction_column_name="ended")
    with pytest.raises(InvalidArgumentType, match=r"such as \['name'\]"):
        op.align_versions("thing", "thing_version", columns="name")
    with pytest.raises(InvalidArgumentType, match="key is 5; give a list"):
        op.update_end_transaction_ids("thing_version", key=5)
    with pytest.raises(InvalidArgumentType, match="left_out is 'kind'; give what"):
        op.baseline_versions("thing", "thing_version", left_out="kind")
    for wrong in (None, ["thing"]):
        with pytest.raises(InvalidArgument, match=r"table is .* the name that it has"):
            op.baseline_versions(wrong, "thing_version")
    with pytest.raises(InvalidArgument, match="transaction_column is ''"):
        op.baseline_versions("thing", "thing_version", transaction_column_name="")
    with pytest.raises(InvalidArgument, match="give the base-most table, too: base_table_name"):
        op.baseline_versions(
            "thing", "thing_version", base_version_table_name="thing_version", base_kind="name"
        )


SIDE = {"key": ["id"], "new_key": ["name"]}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("set_versions_aside", SIDE | {"new_key": ["slug"]}, "new_key has 'slug'; choose of 'id'"),
        ("set_versions_aside", SIDE | {"new_key": ["id", "id"]}, "name each column once"),
        ("set_versions_aside", SIDE | {"fill": ["id"]}, "fill has 'id'; choose of 'name'"),
        ("set_versions_aside", SIDE | {"flags": ["changed"]}, "flags has 'changed'; choose of"),
        ("set_versions_aside", SIDE | {"flags": None}, "flags is None; give a list of names"),
        ("set_versions_aside", SIDE | {"merge": "no"}, "merge is 'no'; give True or False"),
        ("take_versions_back", {"key": ["id"]}, "no table 'thing_version_aside'"),
        ("align_versions", {"columns": None}, "columns is None; give a list of names"),
        ("align_versions", {"columns": [], "generated": None}, "generated is None; give a list"),
        ("baseline_versions", {"version_schema": "no_such"}, "table 'thing_version' in the schema"),
        ("baseline_versions", {"left_out": {"name": 5}}, "left_out has 'name': 5; give a list"),
        (
            "baseline_versions",
            {"base_version_table_name": "thing_version", "base_key": ["id", "name"]},
            "recognises rows by 2 columns, and 'thing_version' by 1; give key",
        ),
        ("move_versions", {"schema": 5}, "the schema of the table is 5; give the name"),
        ("create_version_function", {"body": None}, "body is None; give a text"),
        ("drop_version_trigger", {"function": "f", "triggers": {"INSERT": 5}}, "INSERT is 5"),
    ],
)
def test_arguments_that_mean_nothing(op, connection, name, arguments, message):
    """They are told before anything is written."""
    tables = ["thing"] if name.startswith(("create", "drop")) else ["thing", "thing_version"]
    with pytest.raises((InvalidArgument, InvalidArgumentType), match=message):
        getattr(op, name)(*tables, **arguments)
    assert not inspect(connection).has_table("thing_version_aside")


@pytest.fixture
def written():
    """What is written for later, with ``--sql``."""
    return []


@pytest.fixture
def op_for_later(written):
    """Return the operations of a migration that is written for databases of a name."""

    class Output:
        def write(self, text):
            written.append(text)

        def flush(self):
            pass

    options = {"as_sql": True, "literal_binds": True, "output_buffer": Output()}

    def configure(name):
        return Operations(MigrationContext.configure(dialect_name=name, opts=options))

    return configure


def test_sql_is_written_for_later(engine, op_for_later, written):
    """Then columns must be named, because none can be looked up."""
    op = op_for_later(engine.dialect.name)
    op.baseline_versions("thing", "thing_version", key=["id"], columns=["name"])
    op.update_end_transaction_ids("thing_version", key=["id"])
    op.align_versions("thing", "thing_version", key=["id"], columns=["name"])
    statements = "".join(written).split(";")[:-1]
    # On some databases, each is between two that let guards of history pass it.
    assert len([each for each in statements if "thing" in each]) == 4
    with pytest.raises(InvalidArgument, match="--sql"):
        op.baseline_versions("thing", "thing_version")
    with pytest.raises(InvalidArgument, match="end_transaction_column_name is None; give"):
        op.update_end_transaction_ids("thing_version", end_transaction_column_name=None)
    with engine.begin() as connection:
        TABLES.create_all(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.needs("sequences")
@pytest.mark.parametrize("named", ["mysql", "mariadb"])
def test_sequences_are_written_for_later(engine, op_for_later, written, named):
    """MariaDB gets one where a URL says MySQL, as it does with a connection."""
    is_mysql = engine.dialect.name in ("mysql", "mariadb")
    op = op_for_later(named if is_mysql else engine.dialect.name)
    op.create_version_sequence("transaction_id_seq")
    op.drop_version_sequence("transaction_id_seq")
    created, dropped = "".join(written).split(";")[:-1]
    with engine.connect() as connection:
        connection.exec_driver_sql(created)
        assert inspect(connection).has_sequence("transaction_id_seq")
        connection.exec_driver_sql(dropped)
        assert not inspect(connection).has_sequence("transaction_id_seq")
