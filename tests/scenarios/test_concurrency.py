"""Whatever the order in which transactions begin, write and commit, history is one chain."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from datetime import datetime, timezone

import pytest
from sqlalchemy import delete, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, configure_mappers
from sqlalchemy.orm.exc import StaleDataError

from sqlalchemy_versioned import CaptureError, as_of, transaction_class, version_class
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from tests.schemas.animals import build_animals
from tests.threads import run_at_once, waiting

pytestmark = pytest.mark.needs("concurrent_writers")

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
#: What databases answer when transactions get in each other's way; the application tries again.
CONFLICTS = (DBAPIError, StaleDataError)


@pytest.fixture
def models(blog):
    """The blog."""
    return blog


@pytest.fixture
def rows(tables, models):
    """Five articles with a version each."""
    with Session(tables) as session:
        session.add_all(models.Article(id=number, name="0") for number in range(1, 6))
        session.commit()


def check(tables, models):
    """Each article's versions are one chain, which ends in the live row."""
    version = version_class(models.Article)
    with Session(tables) as session:
        live = dict(session.execute(select(models.Article.id, models.Article.name)).all())
        rows = session.scalars(select(version).order_by(version.id, version.transaction_id)).all()
        known = set(session.scalars(select(transaction_class(models.Article).id)))
        newest = {}
        for number, group in itertools.groupby(rows, key=lambda row: row.id):
            versions = list(group)
            if hasattr(version, "end_transaction_id"):
                begins = [v.transaction_id for v in versions]
                assert [v.end_transaction_id for v in versions] == [*begins[1:], None]
            if versions[-1].operation_type != 2:
                newest[number] = versions[-1].name
        assert newest == live
        assert {v.transaction_id for v in rows} <= known
    return rows


def check_moments(tables, models):
    """The versions of the first article were issued one after the other, the last one by now."""
    version, transaction = version_class(models.Article), transaction_class(models.Article)
    query = select(transaction.issued_at).join(version, version.transaction_id == transaction.id)
    with Session(tables) as session:
        order = version.transaction_id
        moments = session.scalars(query.where(version.id == 1).order_by(order)).all()
        assert moments == sorted(moments)
        now = as_of(session, datetime.now(timezone.utc))
        assert now.get(models.Article, 1).name == session.get(models.Article, 1).name


def interleavings(program, count):
    """Return every order in which *count* writers can take the steps of one program.

    All do the same, so it is only ever the first of those that have not begun who begins.
    """
    orders = sorted(set(itertools.permutations([*range(count)] * len(program))))
    return [order for order in orders if list(dict.fromkeys(order)) == [*range(count)]]


class Writer:
    """One connection that writes an article in steps, which others may come between."""

    def __init__(self, tables, models, versioning, name):
        self.session = Session(tables, expire_on_commit=False)
        self.models, self.versioning, self.name = models, versioning, name

    def begin(self):
        """Ask for the transaction before anything is written."""
        self.versioning.unit_of_work(self.session).create_transaction()

    def write(self):
        """Write the article and commit: no other step may wait for the lock."""
        self.session.get(self.models.Article, 1).name = self.name
        self.session.commit()

    def close(self):
        """Let go of the connection."""
        self.session.close()


@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
def test_transactions_drawn_early(tables, models, rows, versioning, level):
    """A transaction that was drawn first and writes last does not break the chain."""
    engine = tables.execution_options(isolation_level=level)
    for order in interleavings(("begin", "write"), 3):
        writers = [Writer(engine, models, versioning, f"{order}"[-9:] + str(n)) for n in range(3)]
        steps = [iter((writer.begin, writer.write)) for writer in writers]
        for turn in order:
            try:
                next(steps[turn])()
            except CONFLICTS:
                writers[turn].session.rollback()
        for writer in writers:
            writer.close()

    assert len(check(tables, models)) > 15
    check_moments(tables, models)


def test_moment_of_a_writer_that_waits(tables, models, rows):
    """A transaction was issued when it had its locks, and not when it began to wait for them."""
    first = Session(tables)
    first.get(models.Article, 1, with_for_update=True)

    def write():
        with Session(tables) as second:
            second.execute(update(models.Article).where(models.Article.id == 1).values(name="b"))
            second.commit()

    with waiting(write):
        first.get(models.Article, 1).name = "a"
        first.commit()

    check_moments(tables, models)


@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("is_early", [True, False], ids=["drawn before", "drawn after"])
def test_deletion_that_waits(tables, models, rows, versioning, level, is_early):
    """A deletion that waits for another's lock ends the version that the other has written."""
    engine = tables.execution_options(isolation_level=level)
    first, second = Session(engine), Session(engine)
    second.get(models.Article, 5)
    if is_early:
        versioning.unit_of_work(second).create_transaction()
    first.get(models.Article, 1).name = "first"
    first.flush()

    def wait():
        try:
            for key in (1, 2):
                second.delete(second.get(models.Article, key))
                second.flush()
            second.commit()
        except CONFLICTS:
            second.rollback()

    with waiting(wait):
        first.commit()
    first.close()
    second.close()

    check(tables, models)


@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
def test_waiting_for_a_lock(tables, models, rows, versioning, level):
    """A transaction that waits for another's lock comes after it in history."""
    engine = tables.execution_options(isolation_level=level)
    first, second = Session(engine), Session(engine)
    second.get(models.Article, 5)
    versioning.unit_of_work(second).create_transaction()
    first.get(models.Article, 1).name = "first"
    first.flush()

    def wait():
        try:
            second.get(models.Article, 1).name = "second"
            second.commit()
        except CONFLICTS:
            second.rollback()

    with waiting(wait):
        first.commit()
    first.close()
    second.close()

    check(tables, models)


def test_deletion_drawn_early(tables, models, rows, versioning):
    """A row that another transaction changed in between is deleted after that change."""
    with Session(tables) as early, Session(tables) as late:
        versioning.unit_of_work(early).create_transaction()
        late.get(models.Article, 1).name = "late"
        late.commit()
        early.delete(early.get(models.Article, 1))
        early.commit()

    operations = [v.operation_type for v in check(tables, models) if v.id == 1]
    assert operations == [0, 1, 2]


@pytest.mark.parametrize("is_object", [True, False], ids=["object", "statement"])
def test_last_image_is_of_what_is_deleted(tables, models, rows, mode, is_object):
    """Nobody can change a row between the version that tells what is deleted and the deletion.

    Triggers take it afterwards, so it has what another transaction changes just before.
    """
    tried = []

    def try_to_lock(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("DELETE FROM article WHERE"):
            with Session(tables) as other, mode.pick(pytest.raises(DBAPIError), nullcontext()):
                other.get(models.Article, 1, with_for_update={"nowait": True}).name = "just before"
                other.commit()
            tried.append(statement)

    event.listen(tables, "before_cursor_execute", try_to_lock)
    with Session(tables) as session:
        if is_object:
            session.delete(session.get(models.Article, 1))
        else:
            session.execute(delete(models.Article).where(models.Article.id == 1))
        session.commit()
    event.remove(tables, "before_cursor_execute", try_to_lock)

    assert len(tried) == 1
    versions = [v for v in check(tables, models) if v.id == 1]
    assert versions[-1].name == mode.pick(versions[-2].name, "just before")


def test_what_hangs_on_a_renumbered_transaction(tables, models, rows, versioning):
    """What was set on the transaction, and other rows of it, follow it to its later number."""
    with Session(tables) as early, Session(tables) as late:
        created = versioning.unit_of_work(early).create_transaction(remote_addr="early")
        early.get(models.Article, 5).name = "before"
        early.flush()
        number = created.id
        late.get(models.Article, 1).name = "late"
        late.commit()
        created.remote_addr = "changed"
        early.get(models.Article, 1).name = "early"
        early.commit()

        assert created.id > number
        assert created.remote_addr == "changed"
        assert created is early.get(type(created), created.id)
    moved = [v for v in check(tables, models) if v.transaction_id == created.id]
    assert {(v.id, v.name) for v in moved} == {(1, "early"), (5, "before")}


@pytest.mark.parametrize("depth", [1, 2])
def test_renumbered_inside_a_savepoint_that_is_rolled_back(tables, models, rows, versioning, depth):
    """The transaction has its earlier number again, and its versions with it.

    It has as well if the savepoint is one around that, which was released.
    """
    with Session(tables) as early, Session(tables) as late:
        created = versioning.unit_of_work(early).create_transaction()
        number = created.id
        early.get(models.Article, 5).name = "before"
        early.flush()
        late.get(models.Article, 1).name = "late"
        late.commit()
        savepoint, *inner = [early.begin_nested() for _ in range(depth)]
        early.get(models.Article, 1).name = "early"
        early.flush()
        assert created.id > number
        for each in inner:
            each.commit()
        savepoint.rollback()
        early.get(models.Article, 3).name = "after"
        early.commit()

        assert created.id == number
    assert {v.id for v in check(tables, models) if v.transaction_id == number} == {3, 5}


@pytest.mark.strategies
def test_storm(tables, models, rows, versioning):
    """Eight threads that write five rows for a while leave no broken link."""
    written = []

    def write(seed):
        chance = random.Random(seed)
        for number in range(40):
            with Session(tables) as session:
                try:
                    if chance.random() < 0.5:
                        versioning.unit_of_work(session).create_transaction()
                    for key in chance.sample(range(1, 6), chance.randint(1, 2)):
                        session.get(models.Article, key).name = f"{seed}.{number}"
                        session.flush()
                    session.commit()
                    written.append(number)
                except CONFLICTS:
                    session.rollback()

    run_at_once(write, range(8))

    assert len(written) > 40
    assert len(check(tables, models)) > 45


# SQLAlchemy warns of rows that another transaction has deleted by then.
@pytest.mark.filterwarnings("ignore:DELETE statement on table")
def test_storm_of_lives(tables, models, rows, versioning):
    """Threads that insert, change, link and delete the same rows leave no broken link either."""
    with Session(tables) as session:
        session.add(models.Tag(id=1, name="t"))
        session.commit()
    written = []

    def write(seed):
        chance = random.Random(seed)
        for number in range(30):
            with Session(tables) as session:
                try:
                    if chance.random() < 0.3:
                        versioning.unit_of_work(session).create_transaction()
                    change_something(session, models, chance, f"{seed}.{number}")
                    session.commit()
                    written.append(number)
                except CONFLICTS:
                    session.rollback()

    run_at_once(write, range(6))

    assert len(written) > 40
    assert {row.operation_type for row in check(tables, models)} == {0, 1, 2}
    check_links(tables, models)


def change_something(session, models, chance, name):
    """Do one thing or two, each with a flush, to articles that others do things to as well."""
    for key in chance.sample(range(1, 6), chance.randint(1, 2)):
        article = session.get(models.Article, key)
        what = chance.choice(["name", "name", "link", "delete"])
        if article is None:
            session.add(models.Article(id=key, name=name))
        elif what == "delete":
            session.delete(article)
        elif what == "link":
            tag = session.get(models.Tag, 1)
            article.tags = [] if article.tags else [tag]
        else:
            article.name = name
        session.flush()


def check_links(tables, models):
    """The versions of each link are one chain, which ends in the row of the association table."""
    spec = table_spec_of(models.article_tag)
    statement = spec.version_table.select().order_by(spec.transaction_column)
    found = {}
    with tables.connect() as connection:
        for row in connection.execute(statement).mappings():
            found.setdefault((row["article_id"], row["tag_id"]), []).append(row)
        live = {tuple(row) for row in connection.execute(models.article_tag.select())}
    assert {key for key, chain in found.items() if chain[-1]["operation_type"] != 2} == live
    for chain in found.values():
        begins = [row["transaction_id"] for row in chain]
        assert [row["end_transaction_id"] for row in chain] == [*begins[1:], None]


@pytest.mark.strategies
@pytest.mark.parametrize("level", LEVELS)
def test_two_sessions_in_every_order(tables, models, rows, versioning, level):
    """Whichever of two begins, writes, waits and commits first, history is one chain."""
    engine = tables.execution_options(isolation_level=level)
    steps = ("begin", "write_own", "write_shared", "commit")
    for order in interleavings(steps, 2):
        writers = [Patient(engine, models, versioning, f"{order}"[-7:] + str(n)) for n in range(2)]
        taken = [iter(steps), iter(steps)]
        for turn in order:
            writers[turn].take(next(taken[turn]))
        for writer in writers:
            writer.close()

    assert len(check(tables, models)) > 35


def change_object(session, models, key):
    """Change a row."""
    session.get(models.Article, key).name = "changed"


def change_objects(session, models, key):
    """Change two rows, then one of them again."""
    for article in (session.get(models.Article, k) for k in (key, key + 2)):
        article.name = "changed"
    session.flush()
    session.get(models.Article, key).content = "changed"


def update_by_statement(session, models, key):
    """Change a row by a statement."""
    article = models.Article
    session.execute(update(article).where(article.id == key).values(name="changed"))


def delete_object(session, models, key):
    """Delete a row."""
    session.execute(delete(models.Article).where(models.Article.id == key))


def insert_objects(session, models, key):
    """Insert rows that the database numbers, and change them."""
    added = [models.Article(name="new"), models.Article(name="new")]
    session.add_all(added)
    session.flush()
    for article in added:
        article.name = "newer"


def remove_link(session, models, key):
    """Remove a link, of an article that nobody deletes."""
    table, key = models.article_tag, 10 * key
    session.execute(delete(table).where(table.c.article_id == key, table.c.tag_id == key))


WRITES = [
    change_object,
    change_objects,
    update_by_statement,
    delete_object,
    insert_objects,
    remove_link,
]


@pytest.mark.parametrize("removed", [1, 2])
def test_links_that_another_session_removed(tables, models, monkeypatch, removed):
    """A link is removed once, also where no driver tells how many rows a flush has found."""
    tags = [models.Tag(id=number, name="tag") for number in (1, 2)]
    with Session(tables) as one, Session(tables) as two:
        one.add(models.Article(id=1, name="0", tags=tags))
        one.commit()
        monkeypatch.setattr(tables.dialect, "supports_sane_multi_rowcount", False)
        articles = [session.get(models.Article, 1) for session in (one, two)]
        for article in articles:
            del article.tags[:removed]
        one.commit()
        two.commit()

    check_links(tables, models)
    with Session(tables) as session:
        assert verify(session) == []


@pytest.mark.parametrize("is_core", [False, True])
def test_statements_that_name_their_rows(tables, models, rows, is_core):
    """A statement about some rows, by their keys, keeps nobody from the others."""
    article = models.Article.__table__ if is_core else models.Article
    key = article.c.id if is_core else article.id
    with Session(tables) as one, Session(tables) as two:
        one.execute(update(article).where(key.in_([1, 2])).values(name="1"))
        two.execute(update(article).where(key == 5).values(name="2"))
        two.commit()
        one.commit()

    check(tables, models)


@pytest.mark.needs("locked_gaps")
@pytest.mark.strategies
def test_writers_of_different_rows_do_not_wait(tables, models, rows, versioning):
    """Whoever writes a row locks no other, nor what comes between rows."""
    with Session(tables) as session:
        session.add_all(models.Article(id=key, name="0") for key in (6, 7))
        for key in range(10, 70, 10):
            tag = models.Tag(id=key, name="t")
            session.add(models.Article(id=key, name="0", tags=[tag]))
        session.commit()
    for ours, theirs in itertools.product(WRITES, repeat=2):
        with Session(tables) as first, Session(tables) as second:
            second.execute(text("SET SESSION innodb_lock_wait_timeout = 1"))
            # Rows side by side, either of which comes first.
            for one, other in ((3, 2), (4, 5)):
                ours(first, models, one)
                first.flush()
                theirs(second, models, other)
                second.flush()
                first.rollback()
                second.rollback()


class Patient:
    """A writer whose steps may have to wait; the others go on in the meantime."""

    def __init__(self, engine, models, versioning, name):
        self.session = Session(engine)
        self.models, self.versioning, self.name = models, versioning, name
        self.thread = ThreadPoolExecutor(1)
        self.failed = False

    def take(self, step):
        """Take a step after those before; come back when it is taken, or waits."""
        wait([self.thread.submit(self._try, getattr(self, step))], timeout=0.05)

    def _try(self, step):
        if self.failed:
            return
        try:
            step()
        except CONFLICTS:
            self.failed = True
            self.session.rollback()

    def begin(self):
        """Ask for the transaction before anything is written."""
        self.versioning.unit_of_work(self.session).create_transaction()

    def write_own(self):
        """Write what nobody else writes."""
        self.session.add(self.models.Tag(name=self.name))
        self.session.flush()

    def write_shared(self):
        """Write what the other writes too."""
        self.session.get(self.models.Article, 1).name = self.name
        self.session.flush()

    def commit(self):
        """Commit."""
        self.session.commit()

    def close(self):
        """Wait for the last step, and let go of the connection."""
        self.thread.shutdown()
        self.session.close()


@pytest.fixture
def Cat(Base, engine):
    """A class with a row in two tables, and one cat."""
    Cat = build_animals(Base).Cat
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Cat(id=1, name="a", lives=9))
        session.commit()
    return Cat


@pytest.mark.strategies
@pytest.mark.parametrize("is_object", [True, False], ids=["object", "statement"])
def test_tables_of_one_object(Cat, engine, is_object):
    """Whoever changes one table of an object comes after him who has changed another one."""
    first, second = Session(engine), Session(engine)

    def wait():
        if is_object:
            second.get(Cat, 1).lives = 8
        else:
            second.execute(update(Cat.__table__).values(lives=8))
        second.commit()

    with first, second:
        first.get(Cat, 1).name = "b"
        first.flush()
        with waiting(wait, seconds=0.15):
            first.commit()

    with Session(engine) as session:
        assert verify(session) == []
        version = session.get(Cat, 1).versions[-1]
        assert (version.name, version.lives) == ("b", 8)


def test_change_of_what_is_gone(Base, engine, monkeypatch):
    """What another session deleted stays deleted, also where no driver tells of it."""
    models = build_animals(Base)
    engine = engine.execution_options(isolation_level="READ COMMITTED")
    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as one, Session(engine) as two:
        one.add_all([models.Cat(id=1, name="a", lives=9), models.Dog(id=2, name="a")])
        one.commit()
        monkeypatch.setattr(engine.dialect, "supports_sane_multi_rowcount", False)
        animals = [two.get(models.Cat, 1), two.get(models.Dog, 2)]
        for animal in animals:
            animal.name = "b"
        one.delete(one.get(models.Cat, 1))
        one.commit()
        two.commit()

        assert verify(one) == []


@pytest.mark.options(strategy="append")
def test_tables_of_one_object_drawn_early(Cat, engine):
    """All tables of an object have the version of the transaction that was drawn first."""
    engine = engine.execution_options(isolation_level="READ COMMITTED")
    with Session(engine) as early, Session(engine) as other:
        early.add(Cat(id=2, name="x", lives=9))
        early.flush()
        other.get(Cat, 1).name = "b"
        other.commit()
        early.get(Cat, 1).name = "c"
        early.commit()

        assert [version.name for version in early.get(Cat, 1).versions] == ["a", "b", "c"]
        assert verify(early) == []


def test_objects_are_locked_in_order(Cat, engine, mode):
    """A flush locks the base-most rows of objects before it writes another table of theirs.

    Flushes that write both wait there, and not in a circle.  Triggers fire afterwards.
    """
    animal, tried = Cat.__mapper__.base_mapper.local_table, []

    def try_to_lock(connection, cursor, statement, *others):
        if statement.startswith("UPDATE cat "):
            tried.append(statement)
            with engine.connect() as other, mode.pick(pytest.raises(DBAPIError), nullcontext()):
                other.execute(select(animal).with_for_update(nowait=True))

    event.listen(engine, "before_cursor_execute", try_to_lock)
    with Session(engine) as session:
        session.get(Cat, 1).lives = 8
        session.commit()
    event.remove(engine, "before_cursor_execute", try_to_lock)

    assert len(tried) == 1


@pytest.mark.needs("isolation_levels")
@pytest.mark.strategies
@pytest.mark.parametrize("is_moved", [False, True])
def test_row_comes_back_that_a_snapshot_shows(tables, session, models, is_moved):
    """A key that others have freed since is refused, or recorded, but never without its history."""
    session.add_all(models.Article(id=number, name="a") for number in (1, 2))
    session.commit()
    engine = tables.execution_options(isolation_level="REPEATABLE READ")
    with Session(engine) as late:
        other = late.get(models.Article, 2)
        other.name = "early"
        late.flush()
        session.delete(session.get(models.Article, 1))
        session.commit()
        with suppress(DBAPIError, CaptureError):
            if is_moved:
                other.id = 1
            else:
                late.execute(insert(models.Article).values(id=1, name="a"))
            late.commit()

    assert verify(session) == []


@pytest.mark.needs("isolation_levels")
@pytest.mark.strategies
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("early", ["name", "lives"])
def test_parts_of_one_object_changed_in_snapshots(Cat, engine, level, early):
    """Of two snapshots that change an object in different tables, one fails, or knows the other."""
    engine = engine.execution_options(isolation_level=level)
    values = {"name": "b", "lives": 8}
    with Session(engine) as one, Session(engine) as two, suppress(*CONFLICTS):
        theirs = two.get(Cat, 1)
        mine = one.get(Cat, 1)
        setattr(mine, early, values.pop(early))
        one.commit()
        for name, value in values.items():
            setattr(theirs, name, value)
        two.commit()

    with Session(engine) as session:
        assert verify(session) == []
