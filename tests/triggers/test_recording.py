"""What triggers record: the same history, whoever writes and however."""

import pytest
from sqlalchemy import ForeignKey, Integer, String, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from sqlalchemy_versioned import Operation, version_class
from sqlalchemy_versioned.maintenance import verify
from tests.threads import waiting

pytestmark = [pytest.mark.needs("triggers"), pytest.mark.options(native=True)]

INSERT, UPDATE, DELETE = Operation


@pytest.fixture
def Article(blog):
    """The class of articles."""
    return blog.Article


@pytest.fixture
def run(tables, database):
    """Execute SQL text on a connection that the library does not know: ``run("...", "...")``."""
    engine = database.create_engine()

    def execute(*statements):
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    yield execute
    engine.dispose()


@pytest.fixture
def history(session):
    """Return the versions of a class: key, name, operation, place of transaction and of end."""

    def read(cls):
        version = version_class(cls)
        session.rollback()
        table = version.__table__
        rows = session.execute(select(table).order_by(table.c.id, table.c.transaction_id)).all()
        numbers = sorted({row.transaction_id for row in rows})
        places = {number: place for place, number in enumerate(numbers, start=1)}
        return [
            (r.id, r.name, r.operation_type, places[r.transaction_id])
            + ((places.get(r.end_transaction_id),) if "end_transaction_id" in table.c else ())
            for r in rows
        ]

    return read


def transactions(session):
    """Return how many transactions there are."""
    return session.scalar(text("SELECT count(*) FROM transaction"))


@pytest.mark.strategies("validity", "subquery")
def test_write_without_application(Article, run, history, session, strategy):
    """What another program writes has versions, and one transaction for each of its own."""
    run("INSERT INTO article (id, name) VALUES (1, 'a'), (2, 'b')", "UPDATE article SET name = 'c'")
    run("UPDATE article SET name = 'd' WHERE id = 1", "DELETE FROM article WHERE id = 2")

    expected = [
        (1, "c", INSERT, 1, 2),
        (1, "d", UPDATE, 2, None),
        (2, "c", INSERT, 1, 2),
        (2, "c", DELETE, 2, None),
    ]
    assert history(Article) == [row[: 5 - (strategy == "subquery")] for row in expected]
    assert transactions(session) == 2
    assert verify(session) == []


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE article SET name = name"],
        ["UPDATE article SET name = 'b'", "UPDATE article SET name = 'a'"],
        ["INSERT INTO article (id, name) VALUES (2, 'x')", "DELETE FROM article WHERE id = 2"],
        ["DELETE FROM article", "INSERT INTO article (id, name) VALUES (1, 'a')"],
        ["UPDATE article SET name = 'b' WHERE false", "DELETE FROM article WHERE false"],
    ],
)
def test_nothing_is_left_of_what_was_undone(Article, run, history, session, statements):
    """A transaction after which all is as it was leaves neither versions nor a row of itself."""
    run("INSERT INTO article (id, name) VALUES (1, 'a')")

    run(*statements)

    assert history(Article) == [(1, "a", INSERT, 1, None)]
    assert transactions(session) == 1


def test_row_that_is_changed_again_and_again(Article, run, history, session):
    """The version of the transaction is brought up to date, and none is written in its place."""
    run("INSERT INTO article (id, name) VALUES (1, 'a')")
    for number in range(9):
        session.execute(update(Article.__table__).values(name=f"b{number}"))
    written = text(
        "SELECT n_tup_ins, n_tup_del FROM pg_stat_xact_user_tables"
        " WHERE relname = 'article_version'"
    )
    assert session.execute(written).one() == (1, 0)
    session.commit()

    assert history(Article) == [(1, "a", INSERT, 1, 2), (1, "b8", UPDATE, 2, None)]


def test_undone_in_a_savepoint(Article, run, history, session):
    """What a savepoint takes back is not recorded, and what follows it is."""
    run(
        "SAVEPOINT one",
        "INSERT INTO article (id, name) VALUES (1, 'a')",
        "ROLLBACK TO one",
        "INSERT INTO article (id, name) VALUES (2, 'b')",
        "SAVEPOINT two",
        "UPDATE article SET name = 'c'",
        "ROLLBACK TO two",
    )

    assert history(Article) == [(2, "b", INSERT, 1, None)]
    assert transactions(session) == 1


def test_keys_that_move(Article, run, history, session):
    """Another key is a deletion and an insertion; one that another row takes over is a change."""
    run("INSERT INTO article (id, name) VALUES (10, 'a'), (20, 'b')")

    run("UPDATE article SET id = id + 10 WHERE id = 20", "UPDATE article SET id = 20 WHERE id = 10")

    assert history(Article) == [
        (10, "a", INSERT, 1, 2),
        (10, "a", DELETE, 2, None),
        (20, "b", INSERT, 1, 2),
        (20, "a", UPDATE, 2, None),
        (30, "b", INSERT, 2, None),
    ]
    assert verify(session) == []


def test_truncate_is_recorded_as_deletions(Article, run, history, session):
    """TRUNCATE deletes each row that was committed; of others nothing is left."""
    run("INSERT INTO article (id, name) VALUES (1, 'a')")

    run("INSERT INTO article (id, name) VALUES (2, 'b')", "TRUNCATE article CASCADE")

    assert history(Article) == [(1, "a", INSERT, 1, 2), (1, "a", DELETE, 2, None)]
    assert verify(session) == []


@pytest.mark.options(native=True, truncate="refuse")
def test_truncate_can_be_refused(Article, run, history):
    """TRUNCATE is an error where the option asks for it."""
    run("INSERT INTO article (id, name) VALUES (1, 'a')")

    with pytest.raises(DBAPIError, match="TRUNCATE is refused"):
        run("TRUNCATE article CASCADE")
    assert history(Article) == [(1, "a", INSERT, 1, None)]


def test_rows_that_are_older_than_their_history(Article, run, history, session):
    """What a row was before its first change is kept as a version of transaction 0."""
    run("SET session_replication_role = replica", "INSERT INTO article (id, name) VALUES (1, 'a')")

    run("SET session_replication_role = origin", "UPDATE article SET name = 'b'")

    assert [row[1:3] for row in history(Article)] == [("a", INSERT), ("b", UPDATE)]
    first = session.scalar(text("SELECT min(transaction_id) FROM article_version"))
    assert first == 0


def test_foreign_keys(blog, run, history, session):
    """Rows that follow others by foreign keys are recorded with them."""
    run(
        "ALTER TABLE article DROP CONSTRAINT article_author_id_fkey",
        "ALTER TABLE article ADD FOREIGN KEY (author_id) REFERENCES author ON DELETE CASCADE",
        "INSERT INTO author (id, name) VALUES (1, 'x'), (2, 'y')",
        "INSERT INTO article (id, name, author_id) VALUES (1, 'a', 1), (2, 'b', 2)",
    )

    run("DELETE FROM author")

    assert [row[2] for row in history(blog.Article)] == [INSERT, DELETE] * 2
    assert verify(session) == []


def test_upsert_is_both_insert_and_update(Article, run, history):
    """INSERT … ON CONFLICT records the rows it makes and those it changes."""
    run("INSERT INTO article (id, name) VALUES (1, 'a')")

    run(
        "INSERT INTO article (id, name) VALUES (1, 'b'), (2, 'b') "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name"
    )

    assert history(Article)[1:] == [(1, "b", UPDATE, 2, None), (2, "b", INSERT, 2, None)]


AGAIN = (
    "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "UPDATE article SET name = NEW.name || '!' WHERE id = NEW.id; RETURN NULL; END $$",
    "CREATE TRIGGER again AFTER INSERT ON article FOR EACH ROW EXECUTE FUNCTION again()",
)


def test_trigger_that_changes_rows_again(Article, run, history, session):
    """Versions are images of the rows as other triggers leave them."""
    run(*AGAIN)

    run("INSERT INTO article (id, name) VALUES (1, 'a')")

    assert history(Article) == [(1, "a!", INSERT, 1, None)]


@pytest.mark.parametrize(
    ("transactions", "told"),
    [
        ([["DELETE FROM article", "INSERT INTO article VALUES (1, 'b')"]], [("b!", UPDATE)]),
        (
            [["DELETE FROM article"], ["INSERT INTO article VALUES (1, 'a')"]],
            [("a", DELETE), ("a!", INSERT)],
        ),
    ],
    ids=["at once", "later"],
)
def test_trigger_that_changes_rows_that_come_back(Article, run, history, transactions, told):
    """What a row was before its history stays there, also if its key comes back."""
    run("SET LOCAL session_replication_role = replica", "INSERT INTO article VALUES (1, 'a')")
    run(*AGAIN)

    for statements in transactions:
        run(*statements)

    assert [row[1:3] for row in history(Article)] == [("a", INSERT), *told]


def test_trigger_that_undoes(Article, run, history, session):
    """Nothing is left of what another trigger has undone before this one hears of it."""
    run(
        "INSERT INTO article (id, name) VALUES (1, 'a'), (2, 'b')",
        "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO article SELECT OLD.*; RETURN NULL; END $$",
        "CREATE TRIGGER undo AFTER DELETE ON article FOR EACH ROW "
        "WHEN (OLD.id = 1) EXECUTE FUNCTION undo()",
    )

    run("DELETE FROM article WHERE id = 1")
    assert history(Article) == [(1, "a", INSERT, 1, None), (2, "b", INSERT, 1, None)]
    assert transactions(session) == 1

    run("DELETE FROM article")
    assert history(Article)[1:] == [(2, "b", INSERT, 1, 2), (2, "b", DELETE, 2, None)]
    assert verify(session) == []


def test_trigger_that_takes_changes_back(Article, run, history, session):
    """What another trigger has taken back makes no version, in a transaction of its own or not."""
    run(
        "INSERT INTO article (id, name) VALUES (1, 'a'), (2, 'a'), (3, 'a')",
        "CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE article SET name = OLD.name WHERE id = NEW.id; RETURN NULL; END $$",
        "CREATE TRIGGER back AFTER UPDATE ON article FOR EACH ROW "
        "WHEN (NEW.name = 'b') EXECUTE FUNCTION back()",
    )

    run("UPDATE article SET name = 'b'")
    run("UPDATE article SET name = 'b' WHERE id = 1")
    assert transactions(session) == 1

    run("UPDATE article SET name = 'c' WHERE id = 3", "UPDATE article SET name = 'b' WHERE id = 1")
    assert [row[:3] for row in history(Article)] == [
        (1, "a", INSERT),
        (2, "a", INSERT),
        (3, "a", INSERT),
        (3, "c", UPDATE),
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_row_that_one_statement_changes_twice(open_session, Base, count):
    """What several foreign keys change has one version, of what it is in the end."""

    class Place(Base):
        __tablename__ = "place"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Route(Base):
        __tablename__ = "route"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        start: Mapped[int] = mapped_column(ForeignKey("place.id", onupdate="CASCADE"))
        goal: Mapped[int] = mapped_column(ForeignKey("place.id", onupdate="CASCADE"))

    session = open_session(Base)
    session.execute(text("INSERT INTO place VALUES (1)"))
    session.execute(text(f"INSERT INTO route SELECT n, 1, 1 FROM generate_series(1, {count}) AS n"))
    session.commit()

    session.execute(text("UPDATE place SET id = 2"))
    session.commit()

    table = version_class(Route).__table__
    rows = session.execute(select(table.c.start, table.c.goal).order_by("transaction_id"))
    assert [tuple(row) for row in rows] == [(1, 1)] * count + [(2, 2)] * count
    assert verify(session) == []


def test_one_table_of_an_object(open_session, Base, database):
    """A change in one table of an object makes a version of the whole of it."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

    class Dog(Animal):
        __tablename__ = "dog"
        dog_id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        breed: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "dog"}

    session = open_session(Base)
    session.add_all([Dog(id=1, breed="a"), Dog(id=2)])
    session.commit()
    session.execute(text("UPDATE dog SET breed = 'b' WHERE dog_id = 1"))
    session.commit()
    session.execute(text("TRUNCATE animal CASCADE"))
    session.commit()

    versions = session.scalars(
        select(version_class(Dog)).order_by(version_class(Dog).id, "transaction_id")
    )
    told = [(v.id, v.breed, v.operation_type) for v in versions]
    assert told == [
        (1, "a", INSERT),
        (1, "b", UPDATE),
        (1, "b", DELETE),
        (2, None, INSERT),
        (2, None, DELETE),
    ]
    assert verify(session) == []


@pytest.mark.needs("concurrent_writers")
@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE article SET name = 'b' WHERE id = 1"],
        ["UPDATE article SET name = 'b'"],
        ["UPDATE article SET id = id + 10"],
        ["DELETE FROM article"],
        ["INSERT INTO article (id, name) VALUES (3, 'b'), (4, 'b')"],
        ["INSERT INTO article (id, name) VALUES (4, 'b')", "UPDATE article SET name = 'c'"],
    ],
)
def test_versions_that_others_change_meanwhile(Article, run, session, statements):
    """A version that another transaction writes, as maintenance does, ends all the same."""
    run("INSERT INTO article (id, name) VALUES (1, 'a'), (2, 'a'), (3, 'a')")
    run("DELETE FROM article WHERE id = 3")
    session.execute(text("UPDATE article_version SET name = name"))
    with waiting(lambda: run(*statements)):
        session.commit()
    assert verify(session) == []


@pytest.mark.needs("concurrent_writers")
@pytest.mark.parametrize("table", ["animal", "dog"])
@pytest.mark.parametrize("is_begun", [True, False])
def test_versions_of_objects_that_others_change_meanwhile(
    open_session, database, Base, table, is_begun
):
    """So do those of objects in several tables, whatever the transaction has written before."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Dog(Animal):
        __tablename__ = "dog"
        dog_id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        breed: Mapped[str | None]

    session = open_session(Base)
    session.add_all([Dog(id=1), Dog(id=2)])
    session.commit()
    session.execute(text(f"UPDATE {table}_version SET transaction_id = transaction_id"))
    engine = database.create_engine()

    def write():
        with engine.begin() as connection:
            if not is_begun:
                connection.execute(text("INSERT INTO animal (id) VALUES (3)"))
            connection.execute(text("UPDATE dog SET breed = 'a'"))

    with waiting(write):
        session.commit()
    engine.dispose()
    assert verify(session) == []


def test_columns_that_make_no_version(open_session, Base):
    """Columns that are ignored are kept, and those that are excluded are not; neither counts."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"ignore": ["seen"], "exclude": ["cache"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        seen: Mapped[int] = mapped_column(Integer, default=0)
        cache: Mapped[str | None]

    session = open_session(Base)
    session.add(Page(id=1, name="a"))
    session.commit()
    session.execute(text("UPDATE page SET seen = 1, cache = 'x'"))
    session.commit()
    session.execute(text("UPDATE page SET name = 'b'"))
    session.commit()

    table = version_class(Page).__table__
    rows = session.execute(select(table.c.name, table.c.seen).order_by(table.c.transaction_id))
    assert [tuple(row) for row in rows] == [("a", 0), ("b", 1)]
    assert session.scalar(select(func.count()).select_from(text("transaction"))) == 2


def test_hostile_names(open_session, Base):
    """Names with quotes, percent signs, dollars and capitals are quoted wherever they stand."""
    name = 'It\'s "50%" {x} $versioned$'

    class Odd(Base):
        __tablename__ = name
        __versioned__ = {}
        id: Mapped[int] = mapped_column('Order "1" %s', primary_key=True)
        value: Mapped[str] = mapped_column(":v {y} 'z'", String(50))

    session = open_session(Base)
    odd = Odd(value="'; DROP TABLE x; --")
    session.add(odd)
    session.commit()
    odd.value = "b"
    session.commit()
    session.delete(odd)
    session.commit()

    versions = session.scalars(select(version_class(Odd)).order_by("transaction_id")).all()
    assert [v.value for v in versions] == ["'; DROP TABLE x; --", "b", "b"]


def test_failure_inside_of_a_trigger_refuses_the_write(Article, run, session):
    """Without its version nothing is written."""
    run("ALTER TABLE article_version RENAME TO elsewhere")

    with pytest.raises(DBAPIError, match="article_version"):
        run("INSERT INTO article (id, name) VALUES (1, 'a')")
    assert session.scalar(select(func.count()).select_from(Article.__table__)) == 0
