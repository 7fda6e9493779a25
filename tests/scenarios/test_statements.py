"""Statements in unusual places: text, failures, savepoints, connections, and the first change."""

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    Update,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, ObjectNotExecutableError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    CaptureError,
    Operation,
    UnrecordedWrite,
    VersioningManager,
    make_versioned,
    paused,
    remove_versioning,
    version_class,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.capture.textual_writes import TextualActs, TextualWrites
from sqlalchemy_versioned.maintenance import verify
from tests.models import build_base
from tests.scenarios.test_write_paths import assert_history_is_true
from tests.writing import FIRST_ID, PATHS, build_press, seed

ONE, TWO = FIRST_ID, FIRST_ID + 1


@pytest.fixture
def models(keep):
    """The press."""
    return keep(build_press)


@pytest.fixture
def rows(session, models):
    """Two rows of everything, with their versions."""
    seed(session, models, [ONE, TWO])
    session.commit()


@pytest.fixture
def old_rows(session, models, versioning):
    """Two rows of everything, from before they were versioned."""
    with paused(session):
        seed(session, models, [ONE, TWO])
    session.commit()
    # As when the process is started that versions them.
    versioning._surroundings.look_again()


@pytest.fixture
def true_history(session, models):
    """Compare history with the rows at the end of a test."""
    yield
    session.rollback()
    assert_history_is_true(session, models.metadata)


def history(session, cls, key=ONE):
    """Return the operations, and the names where there are such, of a row's versions."""
    version = version_class(cls)
    found = session.scalars(
        select(version).where(version.id == key).order_by(version.transaction_id)
    )
    return [(each.operation_type, getattr(each, "name", None)) for each in found]


# -- text ------------------------------------------------------------------------------------------

WRITES = [
    "UPDATE article SET name = 'x'",
    'update "article" set name = 1',
    "UPDATE ONLY public.article AS a SET name = 1",
    "UPDATE `db`.`article` SET name = 1",
    "UPDATE [dbo].[article] SET name = 1",
    "UPDATE tag, article SET article.name = tag.name",
    "UPDATE OR IGNORE article SET name = 1",
    "INSERT INTO article VALUES (1)",
    "INSERT OR REPLACE INTO main.article VALUES (1)",
    "REPLACE INTO article VALUES (1)",
    "REPLACE article VALUES (1)",
    "INSERT IGNORE article VALUES (1)",
    "insert\n  into\n\tarticle(id) values (1)",
    "DELETE FROM article",
    "DELETE FROM ONLY article WHERE true",
    "DELETE a FROM article a JOIN tag t ON t.id = a.id",
    "DELETE FROM other USING article WHERE true; DELETE FROM article",
    "/* why */ DELETE /* this */ FROM /* here */ article",
    "-- why\nDELETE FROM article -- this\n",
    "TRUNCATE TABLE tag, article",
    "TRUNCATE article CASCADE",
    "MERGE INTO article USING tag ON true WHEN MATCHED THEN DELETE",
    "COPY article FROM STDIN",
    "WITH x AS (DELETE FROM article RETURNING *) SELECT * FROM x",
    "SELECT 1; DELETE FROM article",
    "EXPLAIN ANALYZE DELETE FROM article",
    "DELETE FROM a USING article AS a JOIN tag",
    "SELECT '\\'; DELETE FROM article --'",
    "SELECT 'it\\'s'; DELETE FROM article WHERE name = ''",
    "SELECT 1 # don't\n; DELETE FROM article WHERE name = 'x'",
    "/*! DELETE FROM article */",
    "/*M!100100 DELETE FROM article */",
    "SET STATEMENT max_statement_time = 1 FOR UPDATE article SET name = 'x'",
    "DO $$ BEGIN UPDATE article SET name = 'x'; END $$",
    "EXECUTE IMMEDIATE 'DELETE FROM article'",
    "LOAD DATA INFILE 'x' INTO TABLE article",
    "CREATE TRIGGER x AFTER INSERT ON tag BEGIN SELECT 1; END; UPDATE article SET a = CASE b END",
    "CREATE TRIGGER x AFTER INSERT ON tag EXECUTE FUNCTION y(); BEGIN; DELETE FROM article; END",
]

READS = [
    "SELECT * FROM article FOR UPDATE",
    "SELECT * FROM article FOR UPDATE OF article SKIP LOCKED",
    "SELECT * FROM article FOR NO KEY UPDATE",
    "INSERT INTO other SELECT * FROM article",
    "INSERT INTO other (name) SELECT name FROM article WHERE true",
    "DELETE FROM other WHERE id IN (SELECT id FROM article)",
    "UPDATE other SET name = 'delete from article'",
    "UPDATE other SET name = (SELECT name FROM article LIMIT 1)",
    "UPDATE other SET name = article.name FROM article",
    "SELECT 'it''s; delete from article'",
    "SELECT 1 -- delete from article",
    "SELECT 1 /* update article set name = 1 */",
    "SELECT $$delete from article$$",
    "SET STATEMENT max_statement_time = 1 FOR SELECT * FROM article FOR UPDATE",
    "DO $$ BEGIN CREATE TRIGGER x AFTER UPDATE ON article EXECUTE FUNCTION y(); END $$",
    "DELETE FROM article_version",
    "DELETE FROM my_article",
    "UPDATE articles SET name = 1",
    "COPY article TO STDOUT",
    "COPY (SELECT * FROM article) TO STDOUT",
    "CREATE TABLE article (id INTEGER REFERENCES tag ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE INDEX ix ON article (name)",
    "CREATE TABLE x (a INT REFERENCES article ON UPDATE CASCADE ON DELETE SET NULL)",
    "INSERT INTO other SELECT * FROM article ON CONFLICT (id) DO UPDATE SET name = 1",
    "DELETE FROM other USING article WHERE other.id = article.id",
    "DELETE FROM article.other",
    "LOCK TABLE article IN SHARE ROW EXCLUSIVE MODE",
    "CREATE TEMP TRIGGER x AFTER UPDATE ON tag BEGIN UPDATE article SET a = CASE b END; END;",
]


@pytest.fixture
def texts():
    """What finds writes to a table of articles."""
    return TextualWrites([Table("article", MetaData())])


@pytest.mark.parametrize("statement", WRITES)
def test_text_that_writes_is_found(texts, statement):
    """However a table is spelt, text that writes it is found."""
    assert texts.find(statement) == "article"


@pytest.mark.parametrize("statement", READS)
def test_text_that_only_names_a_table_is_let_through(texts, statement):
    """Text that reads a table, or says its name in a literal or comment, writes it not."""
    assert texts.find(statement) is None


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM house WHERE id = 1", ["house"]),
        ('DELETE h FROM "house" AS h JOIN street ON true', ["house"]),
        ("REPLACE INTO house (id) VALUES (1)", ["house"]),
        ("INSERT OR REPLACE INTO house (id) VALUES (1)", ["house"]),
        ("MERGE INTO house USING x ON true WHEN MATCHED THEN DELETE", ["house"]),
        ("TRUNCATE TABLE house CASCADE", []),
        ("UPDATE house SET name = 'a', \"code\" = 'b' WHERE id = 1", ["house"]),
        ("UPDATE house AS h SET (name, code) = ('a', 'b')", ["house"]),
        ("INSERT INTO house (code) VALUES (1) ON CONFLICT DO UPDATE SET code = 2", ["house"]),
        ("INSERT INTO house (code) VALUES (1) ON DUPLICATE KEY UPDATE code = 2", ["house"]),
        ("UPDATE house SET name = 'a' WHERE code = 'b'", []),
        ("UPDATE house SET name = lower(code), barcode = 1, x = 'code = 1'", []),
        ("INSERT INTO house (code) VALUES (1)", []),
        ("INSERT INTO x SELECT * FROM house ON CONFLICT DO UPDATE SET code = 1", []),
        ("DELETE FROM street WHERE id IN (SELECT code FROM house)", []),
        ("SELECT * FROM house FOR UPDATE", []),
        ("DROP TABLE house CASCADE", []),
    ],
)
def test_text_by_which_foreign_keys_act(statement, found):
    """Text is found that deletes rows of tables, or sets columns, to which others refer."""
    house = Table("house", MetaData())

    assert list(TextualActs([house], {house: {"code"}}).find(statement)) == found


def test_text_that_writes_versioned_rows_by_foreign_keys(Base, open_session, mode):
    """Text is refused by which the database may change rows of versioned tables, and no other."""
    house, _ = [
        Table(name, Base.metadata, Column("id", Integer, primary_key=True))
        for name in ("house", "shed")
    ]

    class Room(Base):
        __tablename__ = "room"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        house_id: Mapped[int] = mapped_column(ForeignKey("house.id", ondelete="CASCADE"))

    session = open_session(Base)
    session.execute(text("INSERT INTO house (id) VALUES (1)"))
    session.add(Room(id=1, house_id=1))
    session.commit()
    for statement in ("UPDATE house SET id = 1", "DELETE FROM shed"):
        session.execute(text(statement))
    with mode.escapes("room in a way that cannot be recorded: foreign keys"):
        session.execute(text("DELETE FROM house"))
    session.commit()
    with mode.escapes("room"):
        session.connection().exec_driver_sql("DELETE FROM house")
    session.commit()
    session.execute(delete(house))
    session.commit()

    assert verify(session) == []
    assert Operation.DELETE in session.scalars(select(version_class(Room).operation_type)).all()


@pytest.mark.needs("triggers")
def test_text_that_empties_versioned_tables_along_with_others(Base, open_session, mode):
    """TRUNCATE … CASCADE empties what refers to a table, whatever its foreign key says."""
    street, house, shed = [
        Table(
            name,
            Base.metadata,
            Column("id", Integer, primary_key=True),
            *[Column(key, ForeignKey(f"{key}.id")) for key in referred],
        )
        for name, *referred in (("street",), ("house", "street"), ("shed", "house"))
    ]
    versioned_table(house)
    session = open_session(Base)
    for table in (street, house, shed):
        session.execute(insert(table).values(id=1, **dict.fromkeys(table.c.keys()[1:], 1)))
    session.commit()
    session.execute(text("TRUNCATE shed CASCADE"))
    session.commit()
    with mode.escapes("house in a way that cannot be recorded: foreign keys"):
        session.execute(text("TRUNCATE TABLE street, shed CASCADE"))
    session.commit()

    assert verify(session) == []


def test_names_that_only_differ_in_what_quotes_them_are_found():
    """A name with spaces or signs is found in its quotes."""
    texts = TextualWrites([Table("order", MetaData()), Table("my table", MetaData())])

    assert texts.find('DELETE FROM "order"') == "order"
    assert texts.find('UPDATE "my table" SET x = 1') == "my table"
    assert texts.find("SELECT 1 FROM x ORDER BY 1 FOR UPDATE") is None


@pytest.mark.parametrize(("policy", "outcome"), [("warn", [UnrecordedWrite]), ("ignore", [])])
def test_capture_says_what_becomes_of_text(Base, open_session, mode, policy, outcome):
    """With the option ``capture``, writes that sessions cannot record are let through."""

    class Letter(Base):
        __tablename__ = "letter"
        __versioned__ = {"capture": policy}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    session = open_session(Base)
    session.add(Letter(id=1, name="a"))
    session.commit()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session.execute(text("UPDATE letter SET name = 'b'"))
    session.commit()

    assert [each.category for each in caught] == mode.pick(outcome, [])
    recorded = [(Operation.INSERT, "a"), (Operation.UPDATE, "b")]
    assert history(session, Letter, 1) == mode.pick(recorded[:1], recorded)


def test_text_is_let_through_while_paused(session, models, rows):
    """Inside of ``paused()`` nothing is recorded, and nothing refused."""
    with paused(session):
        session.execute(text("UPDATE article SET name = 'x'"))
        session.execute(update(models.Article).values(rank=5))
        session.get(models.Article, ONE).slug = "slug"
    session.commit()

    assert history(session, models.Article) == [(Operation.INSERT, f"n{ONE}")]
    assert session.get(models.Article, ONE).rank == 5


# -- transactions ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("rows", "true_history")
def test_rows_that_do_not_match_make_no_transaction(session, models):
    """A statement that finds no rows leaves no trace, nor does one that changes nothing."""
    article = models.Article
    before = session.scalars(select(version_class(article).transaction_id)).all()
    session.execute(update(article).where(article.id == 5).values(name="x"))
    session.execute(delete(article).where(article.name == "nobody"))
    session.execute(update(models.Tag).values(name=models.Tag.name))
    session.commit()

    assert session.scalars(select(version_class(article).transaction_id)).all() == before
    assert len(history(session, models.Tag)) == 1


@pytest.mark.usefixtures("rows", "true_history")
def test_statements_that_undo_each_other_leave_nothing(session, models):
    """What is as it was at the end of a transaction has no version of it."""
    tag = models.Tag
    session.execute(update(tag).where(tag.id == ONE).values(name="x"))
    session.execute(update(tag).where(tag.id == ONE).values(name=f"t{ONE}"))
    session.execute(insert(tag).values(id=5, name="five"))
    session.execute(delete(tag).where(tag.id == 5))
    session.commit()

    assert len(history(session, tag)) == 1
    assert history(session, tag, 5) == []


@pytest.mark.needs("partial_indexes")
@pytest.mark.usefixtures("true_history")
def test_what_an_upsert_does_to_each_row(session, models):
    """It inserts what is not there, or no longer, changes what differs, and leaves the rest."""
    tag, dialects = models.Tag, {"sqlite": sqlite, "postgresql": postgresql}
    session.execute(insert(tag), [{"id": number, "name": "a"} for number in (1, 2, 3)])
    session.execute(update(tag).where(tag.id == 2).values(name="b"))
    session.commit()
    session.execute(delete(tag).where(tag.id == 1))
    session.commit()
    new = dialects[session.get_bind().dialect.name].insert(tag)
    upsert = new.on_conflict_do_update(index_elements=["id"], set_={"name": new.excluded.name})
    session.execute(upsert.values([{"id": number, "name": "b"} for number in (1, 2, 3, 4)]))
    session.commit()

    told = ["".join(op.code for op, _ in history(session, tag, key)) for key in (1, 2, 3, 4)]
    assert told == ["IDI", "I", "IU", "I"]


@pytest.mark.usefixtures("rows", "true_history")
def test_flushes_and_statements_of_one_transaction_make_one_version(session, models):
    """Objects and statements that change the same row merge."""
    article = session.get(models.Article, ONE)
    article.name = "flushed"
    session.execute(update(models.Article).values(rank=3))
    article.slug = "slug"
    session.commit()

    assert history(session, models.Article)[1:] == [(Operation.UPDATE, "flushed")]
    assert (article.versions[-1].rank, article.versions[-1].slug) == (3, "slug")


@pytest.mark.usefixtures("rows", "true_history")
def test_savepoints_that_are_rolled_back_leave_nothing(session, models):
    """Statements inside of a savepoint go with it."""
    tag = models.Tag
    session.execute(update(tag).values(name="outer"))
    savepoint = session.begin_nested()
    session.execute(update(tag).values(name="inner"))
    session.execute(delete(models.Note))
    savepoint.rollback()
    session.commit()

    assert history(session, tag)[1:] == [(Operation.UPDATE, "outer")]
    assert len(history(session, models.Note)) == 1


@pytest.mark.usefixtures("rows", "true_history")
def test_a_refused_deletion_leaves_no_version(session, models):
    """After the database has refused a deletion, the rows it was about are as they were."""
    savepoint = session.begin_nested()
    with pytest.raises(IntegrityError):
        session.execute(delete(models.Tag))
    savepoint.rollback()
    session.execute(update(models.Tag).where(models.Tag.id == TWO).values(name="x"))
    session.commit()

    assert len(history(session, models.Tag)) == 1


@pytest.mark.needs("resumable")
@pytest.mark.usefixtures("rows", "true_history")
def test_a_transaction_that_goes_on_after_a_refusal(session, models):
    """Where a failed statement does not end the transaction, nothing of it remains either."""
    with pytest.raises(IntegrityError):
        session.execute(delete(models.Tag))
    with pytest.raises(IntegrityError):
        session.execute(insert(models.Tag), [{"id": 5, "name": "x"}, {"id": ONE, "name": "x"}])
    with pytest.raises(IntegrityError):
        session.execute(update(models.Article).values(slug="twice"))
    article = models.Article.__table__
    one_by_one = update(article).where(article.c.id == bindparam("n")).values(art_slug="once")
    with pytest.raises(IntegrityError):
        session.connection().execute(one_by_one, [{"n": ONE}, {"n": TWO}])
    session.execute(update(models.Tag).where(models.Tag.id == TWO).values(name="x"))
    session.commit()

    assert len(history(session, models.Tag)) == 1


@pytest.mark.needs("resumable", "full_cascades")
def test_what_has_followed_before_a_refusal(Base, open_session):
    """Rows that have followed those that were changed before one was refused are recorded."""

    class Team(Base):
        __tablename__ = "team"
        code: Mapped[str] = mapped_column(primary_key=True)

    class Player(Base):
        __tablename__ = "player"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        team: Mapped[str] = mapped_column(ForeignKey("team.code", onupdate="CASCADE"))

    class Game(Base):
        __tablename__ = "game"
        __versioned__ = {}
        home: Mapped[str] = mapped_column(
            ForeignKey("team.code", onupdate="CASCADE"), primary_key=True
        )

    session = open_session(Base)
    session.add_all([Team(code=code) for code in "ab"])
    session.flush()
    session.add_all([Player(id=1, team="a"), Player(id=2, team="b"), Game(home="a")])
    session.commit()
    team = Team.__table__
    renaming = update(team).where(team.c.code == bindparam("old")).values(code=bindparam("new"))
    with pytest.raises(IntegrityError):
        session.connection().execute(renaming, [{"old": "a", "new": "c"}, {"old": "b", "new": "c"}])
    session.commit()

    assert session.scalars(select(Player.team).order_by(Player.id)).all() == ["c", "b"]
    assert verify(session) == []
    assert [len(history(session, Player, key)) for key in (1, 2)] == [2, 1]


@pytest.mark.usefixtures("rows", "true_history")
def test_statements_inside_of_flush_listeners(session, models):
    """What a listener executes in the midst of a flush is recorded with the flush."""
    tag = models.Tag.__table__

    def before(session, context, instances):
        session.execute(update(tag).values(name="before"))

    def after(session, context):
        session.execute(update(tag).where(tag.c.id == ONE).values(name="after"))

    event.listen(session, "before_flush", before)
    event.listen(session, "after_flush", after)
    session.get(models.Article, ONE).name = "flushed"
    session.commit()

    assert history(session, models.Tag)[1:] == [(Operation.UPDATE, "after")]
    assert history(session, models.Article)[1:] == [(Operation.UPDATE, "flushed")]


@pytest.mark.parametrize("strategy", ["validity", "append"])
def test_statements_on_what_the_flush_has_just_written(Base, open_session, mode, strategy):
    """What a mapper event does to a new row is no proof that it was there before."""

    class Draft(Base):
        __tablename__ = "draft"
        __versioned__ = {"strategy": strategy}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    draft, session = Draft.__table__, open_session(Base)
    acts = {
        "change": update(draft).values(name="changed"),
        "move": update(draft).values(id=9),
        "delete": delete(draft),
    }

    @event.listens_for(Draft, "after_insert")
    @event.listens_for(Draft, "after_update")
    def act(mapper, connection, target):
        if target.name in acts:
            connection.execute(acts[target.name].where(draft.c.id == target.id))

    session.add_all([Draft(id=n, name=name) for n, name in enumerate([*acts, "kept"], 1)])
    session.commit()
    kept = session.get_one(Draft, 4)
    assert kept.name == "kept"
    kept.name = "change"
    session.commit()

    found = {key: [each for each, _ in history(session, Draft, key)] for key in (1, 2, 3, 4, 9)}
    if strategy == "validity":
        assert found == {1: [0], 2: [], 3: [], 4: [0, 1], 9: [0]}
    else:
        changed = mode.pick([0, 1], [0, 1, 1])
        assert found == {1: [0, 1], 2: [0, 2], 3: [0, 2], 4: changed, 9: [0]}
    assert verify(session) == []


@pytest.mark.parametrize("is_refused", [False, True])
def test_statements_inside_of_defaults(Base, open_session, is_refused):
    """What a default executes in the midst of a statement is recorded, and so is the statement."""

    class Counter(Base):
        __tablename__ = "counter"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        number: Mapped[int]

    def draw(context):
        connection, counter = context.connection, Counter.__table__
        connection.execute(update(counter).values(number=counter.c.number + 1))
        if is_refused:
            with suppress(IntegrityError), connection.begin_nested():
                connection.execute(insert(counter), {"id": 1, "number": 1})
        return connection.scalar(select(counter.c.number))

    class Bill(Base):
        __tablename__ = "bill"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        number: Mapped[int] = mapped_column(default=draw)

    session = open_session(Base)
    session.add(Counter(id=1, number=0))
    session.commit()
    session.execute(insert(Bill).values(id=1))
    session.commit()
    session.connection().execute(insert(Bill.__table__), [{"id": 2}, {"id": 3}])
    session.commit()

    assert session.execute(select(Bill.id, Bill.number)).all() == [(1, 1), (2, 2), (3, 3)]
    assert session.scalars(select(version_class(Counter).number)).all() == [0, 1, 3]
    assert_history_is_true(session, Base.metadata)


@pytest.mark.usefixtures("rows", "true_history")
def test_a_session_on_a_connection(tables, models):
    """A session that was given a connection records statements on it."""
    with tables.connect() as connection, connection.begin(), Session(connection) as session:
        session.execute(update(models.Tag).values(name="x"))
        session.commit()
    with Session(tables) as session:
        assert history(session, models.Tag)[1:] == [(Operation.UPDATE, "x")]


# -- connections without a session -----------------------------------------------------------------


@pytest.mark.usefixtures("rows", "true_history")
def test_an_engine_that_was_named_is_recorded(tables, models, versioning, session, mode):
    """Each transaction of a connection is one of history; what it rolls back is gone."""
    session.close()
    versioning.record_engine(tables)
    tag = models.Tag.__table__
    change = update(tag).where(tag.c.id == bindparam("b_id")).values(name=bindparam("to"))
    with tables.connect() as connection:
        connection.execute(change, {"b_id": ONE, "to": "rolled back"})
        connection.rollback()
        connection.execute(change, {"b_id": ONE, "to": "outer"})
        with connection.begin_nested() as savepoint:
            connection.execute(change, {"b_id": ONE, "to": "inner"})
            savepoint.rollback()
        with connection.begin_nested():
            connection.execute(change, {"b_id": TWO, "to": "released"})
        connection.execute(change, {"b_id": TWO, "to": "kept"})
        connection.commit()
        connection.execute(change, {"b_id": ONE, "to": "later"})
        connection.commit()
        with mode.escapes():
            connection.exec_driver_sql("DELETE FROM tag WHERE id = 0")

    assert [name for _, name in history(session, models.Tag)[1:]] == ["outer", "later"]
    assert history(session, models.Tag, TWO)[1:] == [(Operation.UPDATE, "kept")]


@pytest.mark.usefixtures("unversioned")
def test_pausing_a_session_that_nobody_hears(engine, mode):
    """Where its engine is recorded, a session is paused that no manager was given, and no other."""

    class Own(Session):
        pass

    manager, Base = VersioningManager(), build_base()
    make_versioned(mapper=Base, session=Own, manager=manager, native=mode.is_native)

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    Base.metadata.create_all(engine)
    manager.record_engine(engine)
    with Session(engine) as session:
        session.add(Tag(id=1, name="a"))
        session.flush()
        with paused(session):
            session.execute(update(Tag).values(name="b"))
            session.commit()
            session.add(Tag(id=2, name="x"))
            session.flush()
            session.execute(text("UPDATE tag SET name = 'y' WHERE id = 2"))
            session.commit()
            with engine.begin() as other:
                other.execute(update(Tag).where(Tag.id == 1).values(name="c"))
            session.execute(update(Tag).where(Tag.id == 1).values(name="d"))
        session.execute(update(Tag).where(Tag.id == 1).values(name="e"))
        session.commit()
        version = version_class(Tag)
        found = session.execute(select(version.id, version.name).order_by(version.transaction_id))
        assert found.all() == [(1, "a"), (1, "c"), (1, "e")]
    remove_versioning(manager=manager)


@pytest.mark.usefixtures("rows", "true_history")
def test_autocommit(tables, models, versioning, session):
    """Under AUTOCOMMIT, statements and flushes are recorded one by one."""
    session.close()
    versioning.record_engine(tables)
    engine = tables.execution_options(isolation_level="AUTOCOMMIT")
    tag = models.Tag.__table__
    with engine.connect() as connection:
        connection.execute(update(tag).values(name="a"))
        connection.execute(delete(models.Note.__table__))
        connection.commit()
    with Session(engine) as committing:
        committing.execute(insert(tag).values(name="b"))
        committing.commit()

    assert history(session, models.Tag)[1:] == [(Operation.UPDATE, "a")]
    assert history(session, models.Note)[1:] == [(Operation.DELETE, None)]


@pytest.fixture
def early(tables, session):
    """An engine, one made of it, and a connection, from before they were found."""
    session.close()
    engine = create_engine(tables.url)
    options, connection = engine.execution_options(logging_token="early"), engine.connect()
    with Session(engine) as other:
        other.connection()
    yield engine, options, connection
    connection.close()
    engine.dispose()


@pytest.mark.usefixtures("rows", "true_history")
@pytest.mark.parametrize("of_options", [False, True])
def test_a_connection_that_is_seen_too_late(early, models, session, mode, of_options):
    """What it executes first could not be recorded, and is refused; the rest is recorded."""
    _, options, connection = early
    change = update(models.Tag.__table__)
    with options.connect() if of_options else connection as connection:
        with mode.escapes("record_engine"):
            connection.execute(change.values(name="too late"))
        connection.rollback()
        connection.execute(change.values(name="in time"))
        connection.commit()
    assert history(session, models.Tag)[1:] == [(Operation.UPDATE, "in time")]


@pytest.mark.usefixtures("rows", "true_history")
def test_connections_from_before_that_are_named(early, models, versioning, session):
    """All is recorded of one that a session is given, and of an engine with options."""
    engine, options, connection = early
    change = update(models.Tag.__table__)
    versioning.record_engine(options)
    for connect in (options.connect, engine.execution_options(logging_token="late").connect):
        with connect() as each:
            each.execute(change.values(name=each.get_execution_options()["logging_token"]))
            each.commit()
    with Session(connection) as given:
        given.execute(change.values(name="given"))
        given.commit()

    assert [name for _, name in history(session, models.Tag)[1:]] == ["early", "late", "given"]


@pytest.mark.usefixtures("rows", "true_history")
def test_what_a_listener_puts_in_its_place(models, tables, session):
    """The statement that is executed is recorded, also where it is not the one that was given."""
    tag = models.Tag.__table__

    def replace(connection, statement, multiparams, params, options):
        is_change = isinstance(statement, Update) and statement.table is tag
        return update(tag).values(name="b") if is_change else statement, multiparams, params

    session.execute(update(tag).where(tag.c.id == ONE).values(name="a"))
    session.commit()
    event.listen(tables, "before_execute", replace, retval=True)
    session.execute(update(tag).where(tag.c.id == ONE).values(name="c"))
    session.commit()
    event.remove(tables, "before_execute", replace)

    assert [name for _, name in history(session, models.Tag)[1:]] == ["a", "b"]
    assert [name for _, name in history(session, models.Tag, TWO)[1:]] == ["b"]


@pytest.mark.usefixtures("rows", "true_history")
def test_compiled_statements(models, tables, session, mode):
    """A statement that was compiled before is refused; SQLAlchemy 2.1 does so itself."""
    change = update(models.Tag.__table__).values(name="x").compile(tables)
    refused = pytest.raises(ObjectNotExecutableError)
    with mode.escapes("compiled") if hasattr(Connection, "_execute_compiled") else refused:
        session.connection().execute(change)


@pytest.mark.usefixtures("rows", "true_history")
@pytest.mark.needs("async")
def test_asynchronous_connections_and_sessions(tables, models, versioning, session, database, mode):
    """What an ``AsyncConnection`` and an ``AsyncSession`` execute is recorded."""
    session.close()

    async def write():
        engine = database.create_async_engine()
        versioning.record_engine(engine)
        async with engine.begin() as connection:
            await connection.execute(update(models.Tag.__table__).values(name="connection"))
        async with AsyncSession(engine) as own:
            await own.execute(update(models.Article).values(name="session"))
            await own.commit()
            with mode.escapes():
                await own.execute(text("DELETE FROM tag WHERE id = 0"))
        await engine.dispose()

    asyncio.run(write())

    assert history(session, models.Tag)[1:] == [(Operation.UPDATE, "connection")]
    assert history(session, models.Article)[1:] == [(Operation.UPDATE, "session")]


# -- rows from before ------------------------------------------------------------------------------

FIRST_CHANGES = {
    "flush": lambda s, m: setattr(s.get(m.Article, ONE), "name", "x"),
    "deleting flush": lambda s, m: s.delete(s.get(m.Article, ONE)),
    "update()": lambda s, m: s.execute(update(m.Article).values(name="x")),
    "delete()": lambda s, m: s.execute(delete(m.Counted)),
    "link": lambda s, m: setattr(s.get(m.Article, ONE), "tags", []),
    "cascade": lambda s, m: (
        s.execute(delete(m.Pseudonym)),
        s.execute(delete(m.Author).where(m.Author.id == ONE)),
    ),
    "cascaded key": lambda s, m: s.execute(update(m.Author).values(code=m.Author.code + "X")),
    "joined": lambda s, m: s.execute(update(m.Manager).values(bonus=7)),
}


@pytest.mark.parametrize("change", FIRST_CHANGES.values(), ids=FIRST_CHANGES)
def test_the_state_before_the_first_change_is_kept(session, models, old_rows, change):
    """Of a row that has no version, what it was becomes the version of transaction 0."""
    tables = [version_table(table) for table in recorded_tables(models)]
    before = {v.name: live_rows(session, v) for v in tables}
    session.commit()
    change(session, models)
    session.commit()

    changed = 0
    for version in tables:
        first = version.c.transaction_id == 0
        names = [c for c in version.c if c.name not in BOOKKEEPING]
        kept = set(map(repr, session.execute(select(*names).where(first))))
        assert kept <= before[version.name]
        later = session.execute(select(version).where(~first)).all()
        assert len(kept) >= len({row[0] for row in later})
        changed += len(later)
    assert changed


BOOKKEEPING = ("transaction_id", "end_transaction_id", "operation_type")


def recorded_tables(models):
    """Return the tables that have versions."""
    return [
        t for t in models.metadata.sorted_tables if f"{t.name}_version" in models.metadata.tables
    ]


def live_rows(session, version):
    """Return what rows a table has, as their versions would look."""
    table = version.metadata.tables[version.name.removesuffix("_version")]
    names = [c.name for c in version.c if c.name not in BOOKKEEPING]
    return set(map(repr, session.execute(select(*[table.c[name] for name in names]))))


def test_rows_with_a_history_keep_their_beginning(session, models, old_rows):
    """Among rows that are older than their history, others have no state before their first."""
    tag = models.Tag
    session.add(tag(id=5, name="five"))
    session.commit()
    session.execute(update(tag).values(name="x"))
    session.commit()
    for each in session.scalars(select(tag)):
        each.name = "y"
    session.commit()

    told = ["".join(op.code for op, _ in history(session, tag, key)) for key in (ONE, 5)]
    assert told == ["IUU", "IUU"]


def test_the_first_state_can_be_reverted_to(session, models, old_rows):
    """Reverting to the version of transaction 0 brings back what there was."""
    session.execute(update(models.Counted).values(name="x"))
    session.commit()
    counted = session.get(models.Counted, ONE)
    assert next(v.transaction_id for v in counted.versions) == 0
    counted.versions[0].revert()
    session.commit()

    assert counted.name == f"n{ONE}"


@pytest.mark.needs("concurrent_writers")
def test_first_changes_at_the_same_time(tables, session, models, old_rows):
    """Several transactions that change a row for the first time wait for one another."""
    session.close()

    def change(number):
        with Session(tables) as own:
            own.execute(update(models.Counted).where(models.Counted.id == ONE).values(name=number))
            own.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, "abcd"))

    found = history(session, models.Counted)
    assert found[0] == (Operation.INSERT, f"n{ONE}")
    assert sorted(name for _, name in found[1:]) == ["a", "b", "c", "d"]


# -- schemas ---------------------------------------------------------------------------------------


@pytest.mark.needs("schemas")
@pytest.mark.parametrize("way", ["declared", "translated"])
def test_every_path_in_a_schema(request, Base, engine, versioning, mode, way):
    """Statements of all kinds are recorded in the schema that their tables are in."""
    if way == "declared":
        Base.metadata.schema = "press"
    press = build_press(Base)
    options = {} if way == "declared" else {"schema_translate_map": {None: "press"}}
    mapped = engine.execution_options(**options)
    configure_mappers()
    with mapped.begin() as connection:
        connection.execute(text("CREATE SCHEMA press"))
        press.metadata.create_all(connection)
    database = request.node.callspec.params["database"]
    ids = [ONE, TWO]
    with Session(mapped) as session:
        seed(session, press, ids)
        session.commit()
        for path in PATHS:
            if path.outcome(database) == "recorded":
                path.write(session, press, ids)
                session.flush()
                # Shown when it fails.
                print(path.name)
                assert_history_is_true(session, press.metadata)
                session.rollback()
        assert inspect(engine).get_table_names() == []
        other = Table("note", MetaData(), Column("id", Integer), schema="press")
        for statement in (text("DELETE FROM press.note"), delete(other)):
            with mode.escapes():
                session.execute(statement)
        with pytest.raises(mode.pick(CaptureError, ProgrammingError)):
            session.execute(text("DELETE FROM note"))


@pytest.mark.needs("schemas")
@pytest.mark.usefixtures("rows", "true_history")
def test_a_statement_with_a_map_of_its_own(session, models, mode):
    """A statement that has its tables elsewhere than its connection is refused."""
    elsewhere = {"schema_translate_map": {None: "elsewhere"}}
    refusal = mode.pick(CaptureError, ProgrammingError)
    with pytest.raises(refusal, match=mode.pick("schema_translate_map", "does not exist")):
        session.execute(delete(models.Note), execution_options=elsewhere)
    session.rollback()
    same = {"schema_translate_map": {"unused": "elsewhere"}}
    session.execute(update(models.Tag).values(name="x"), execution_options=same)
    session.commit()

    assert history(session, models.Tag)[1:] == [(Operation.UPDATE, "x")]


@pytest.mark.needs("returning")
@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("build", "advice"),
    [
        (lambda cls: text("DELETE FROM note"), "write it with insert"),
        (lambda cls: delete(Table("note", MetaData(), Column("id", Integer))), "name the one that"),
        (lambda cls: select(cls).from_statement(delete(cls).returning(cls)), "execute it alone"),
    ],
    ids=["text", "another table", "nested"],
)
def test_what_is_advised(session, models, mode, build, advice):
    """A refusal says what to write instead, which depends on what was written."""
    with mode.escapes(rf"{advice}.*\. To leave it unrecorded, let it through with paused"):
        session.execute(build(models.Note))
    session.rollback()


@pytest.mark.usefixtures("rows")
def test_a_second_table_in_the_default_schema(session, models, mode):
    """A table is known by another object too that says its schema."""
    schema = session.connection().dialect.default_schema_name
    other = Table("note", MetaData(), Column("id", Integer), schema=schema)
    with mode.escapes("another Table"):
        session.execute(delete(other))


# -- triggers --------------------------------------------------------------------------------------

#: What makes a row's slug of its name, whenever it is written.
TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER slugging_{on} AFTER {on} ON article BEGIN "
        "UPDATE article SET art_slug = 'by trigger ' || name WHERE id = new.id; END"
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION slugging() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.art_slug := ''by trigger '' || NEW.name; RETURN NEW; END'",
        "CREATE TRIGGER slugging_{on} BEFORE {on} ON article "
        "FOR EACH ROW EXECUTE FUNCTION slugging()",
    ],
    "mysql": [
        "CREATE TRIGGER slugging_{on} BEFORE {on} ON article FOR EACH ROW "
        "SET NEW.art_slug = CONCAT('by trigger ', NEW.name)"
    ],
}


@pytest.fixture
def slugging(tables):
    """A trigger that changes the rows themselves."""
    dialect = {"mariadb": "mysql"}.get(tables.dialect.name, tables.dialect.name)
    with tables.begin() as connection:
        for on in ("INSERT", "UPDATE"):
            for statement in TRIGGERS[dialect]:
                connection.connection.cursor().execute(statement.format(on=on))


def test_what_triggers_make_of_rows(session, models, slugging):
    """Versions have what a trigger has stored, whatever has written the row."""
    article, table = models.Article, models.Article.__table__
    session.add(article(id=ONE, name="flushed"))
    session.flush()
    assert slugs(session, models) == "by trigger flushed"
    for number, write in enumerate(
        [
            lambda name: setattr(session.get(article, ONE), "name", name),
            lambda name: session.execute(update(article).values(name=name)),
            lambda name: session.execute(update(article), [{"id": ONE, "name": name}]),
            lambda name: session.execute(update(table).where(table.c.id == ONE).values(name=name)),
            lambda name: session.bulk_update_mappings(article, [{"id": ONE, "name": name}]),
        ]
    ):
        session.commit()
        write(f"name {number}")
        session.flush()
        assert slugs(session, models) == f"by trigger name {number}"
    session.execute(insert(table).values(id=TWO, name="inserted"))
    session.commit()

    assert slugs(session, models, TWO) == "by trigger inserted"
    assert_history_is_true(session, models.metadata)


def slugs(session, models, key=ONE):
    """Return what the newest version says."""
    version = version_class(models.Article)
    newest = select(version.slug).where(version.id == key).order_by(version.transaction_id.desc())
    return session.scalars(newest).first()


#: What keeps notes from being deleted, and says nothing.
KEEPING = {
    "sqlite": [
        "CREATE TRIGGER keeping BEFORE DELETE ON note BEGIN SELECT RAISE(IGNORE); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION keeping() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER keeping BEFORE DELETE ON note FOR EACH ROW EXECUTE FUNCTION keeping()",
    ],
}


@pytest.fixture
def keeping(rows, session, tables):
    """A trigger that keeps notes."""
    session.close()
    with tables.begin() as connection:
        for statement in KEEPING[tables.dialect.name]:
            connection.connection.cursor().execute(statement)


@pytest.mark.needs("returning")
@pytest.mark.strategies
@pytest.mark.filterwarnings("ignore:DELETE statement on table")
@pytest.mark.usefixtures("keeping", "true_history")
def test_rows_that_triggers_keep_from_a_flush(session, models):
    """What a flush was to delete and is there all the same has no version that says it is gone."""
    for note in session.scalars(select(models.Note)):
        session.delete(note)
    session.commit()

    assert len(history(session, models.Note)) == 1


@pytest.mark.needs("returning")
@pytest.mark.usefixtures("keeping", "true_history")
def test_rows_that_triggers_keep(session, models):
    """A row that is there after all when it was to be deleted has no version that says so."""
    session.execute(delete(models.Note))
    session.execute(delete(models.Note.__table__).where(models.Note.__table__.c.id == ONE))
    session.commit()

    assert len(history(session, models.Note)) == 1


@pytest.mark.needs("insert_returning", "stale_writes")
@pytest.mark.usefixtures("rows", "true_history")
def test_rows_that_are_streamed(session, models):
    """What a statement returns is not lost where the driver reads it row by row."""
    id, streaming = models.Note.id, {"stream_results": True}
    gone = delete(models.Note).returning(id)
    assert set(session.scalars(gone, execution_options=streaming)) == {ONE, TWO}
    new = insert(models.Note).values(id=ONE).returning(id)
    assert session.scalars(new, execution_options=streaming).all() == [ONE]
    session.commit()


@pytest.mark.needs("stale_writes")
@pytest.mark.usefixtures("rows", "true_history")
def test_rows_that_ignore_keeps(session, models):
    """``DELETE IGNORE`` leaves rows that others refer to, and deletes the rest."""
    tag, link = models.Tag.__table__, models.article_tag
    session.execute(delete(link).where(link.c.tag_id == TWO))
    session.execute(delete(tag).prefix_with("IGNORE"))
    session.commit()

    assert len(history(session, models.Tag)) == 1
    assert history(session, models.Tag, TWO)[1:] == [(Operation.DELETE, f"t{TWO}")]


@pytest.mark.needs("arrays")
def test_parts_of_columns(Base, open_session, mode):
    """An UPDATE of elements of arrays is recorded; one of elements of keys is refused."""

    class Poll(Base):
        __tablename__ = "poll"
        __versioned__ = {}
        key: Mapped[list[int]] = mapped_column(ARRAY(Integer, as_tuple=True), primary_key=True)
        votes: Mapped[list[int]] = mapped_column(ARRAY(Integer))

    session = open_session(Base)
    session.add(Poll(key=(1, 2), votes=[1, 2, 3]))
    session.commit()
    session.execute(update(Poll).values({Poll.votes[1]: 7, Poll.votes[3]: 9}))
    session.commit()
    with mode.escapes("poll"):
        session.execute(update(Poll).values({Poll.key[1]: 5}))
    session.rollback()

    assert session.scalars(select(version_class(Poll).votes)).all() == [[1, 2, 3], [7, 2, 9]]
    assert verify(session) == []


# -- what an INSERT removes ------------------------------------------------------------------------


@pytest.mark.needs("or_replace")
def test_tables_that_replace_by_themselves(Base, open_session, versioning):
    """What is unique in a table may say that others make room, for flushes and statements."""

    class Seat(Base):
        __tablename__ = "seat"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        place: Mapped[int] = mapped_column(unique=True, sqlite_on_conflict_unique="REPLACE")

    session = open_session(Base)
    with paused(session):
        session.add_all([Seat(id=1, place=1), Seat(id=2, place=2), Seat(id=3, place=3)])
    session.commit()
    versioning._surroundings.look_again()
    session.execute(insert(Seat.__table__), [{"id": 4, "place": 1}])
    session.commit()
    session.add(Seat(id=5, place=2))
    session.add(Seat(id=6, place=9))
    session.commit()

    assert [fault.key for fault in verify(session)] == [(3,)]
    for key in (1, 2):
        operations = [operation for operation, _ in history(session, Seat, key)]
        assert operations == [Operation.INSERT, Operation.DELETE]


@pytest.mark.needs("or_replace")
def test_rows_are_met_by_what_is_unique(Base, open_session, versioning):
    """Indexes of expressions, several columns and defaults tell which rows make room."""

    class Login(Base):
        __tablename__ = "login"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(default="nobody")
        org: Mapped[int | None]
        name: Mapped[str | None]
        __table_args__ = (
            Index("login_email", func.lower(email.column), unique=True),
            UniqueConstraint("org", "name"),
        )

    session = open_session(Base)
    with paused(session):
        session.add_all([Login(id=1, email="X@y"), Login(id=2, email="b", org=2, name="m")])
        session.add_all([Login(id=3), Login(id=4, email="c", org=None, name="m")])
    session.commit()
    versioning._surroundings.look_again()
    replacing = insert(Login.__table__).prefix_with("OR REPLACE")
    for values in ({"email": "x@Y"}, {"email": "d", "org": 2, "name": "m"}, {"name": "z"}):
        session.execute(replacing.values(**values))
    session.commit()

    assert [fault.key for fault in verify(session)] == [(4,)]
    gone = select(version_class(Login).id).where(version_class(Login).operation_type == 2)
    assert sorted(session.scalars(gone)) == [1, 2, 3]
