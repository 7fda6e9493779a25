"""Whatever goes wrong in recording is an error of the flush: nothing is stored without history."""

from contextlib import suppress
from unittest.mock import MagicMock

import pytest
from sqlalchemy import ForeignKey, delete, event, insert, select, update
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Mapped, Session, mapped_column

from sqlalchemy_versioned import (
    CaptureError,
    ImproperlyConfigured,
    transaction_class,
    version_class,
)
from sqlalchemy_versioned.hooks import Plugin
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of


class Broken(Exception):
    """What goes wrong."""


#: SQLAlchemy wraps errors of statements that it needs for others, such as numbers of sequences.
FAILURES = (Broken, StatementError)


class Saboteur:
    """Lets the statement of one number fail, of those that are not the application's."""

    left = None

    def __init__(self, engine, models, names=()):
        self.engine = engine
        self.names = list(names)
        if models is None:
            return
        self.names += [f"{name}_version" for name in ("article", "comment", "tag", "article_tag")]
        # By the last one, triggers are told of the transaction.
        self.names += [transaction_class(models.Article).__table__.name, "set_config"]

    def __enter__(self):
        event.listen(self.engine, "before_cursor_execute", self._look)
        return self

    def __exit__(self, *error):
        event.remove(self.engine, "before_cursor_execute", self._look)

    def strike(self, number):
        """Let the statement of that number fail from now on."""
        assert number is None or number < 200, "something fails that was not struck"
        self.left = number

    def _look(self, connection, cursor, statement, parameters, context, many):
        if self.left is None or not any(name in statement for name in self.names):
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Broken(statement)


def everything(session, models):
    """Return the rows of all tables."""
    with Session(session.get_bind()) as other:
        tables = models.metadata.sorted_tables
        return {
            table.name: sorted(map(repr, other.execute(select(table)).all())) for table in tables
        }


def assert_whole(session, models):
    """Check that the newest versions are the rows that there are."""
    classes = [cls for cls in models.classes if cls is not models.Category]
    for table in (*[cls.__table__ for cls in classes], models.article_tag):
        spec = table_spec_of(table)
        order = spec.transaction_column
        newest = {}
        for row in session.execute(select(spec.version_table).order_by(order)).mappings():
            key = tuple(row[pair.version] for pair in spec.key)
            values = {pair.parent.name: row[pair.version] for pair in spec.pairs}
            newest[key] = None if row[spec.operation_column] == 2 else values
        live = {}
        for row in session.execute(select(table)).mappings():
            key = tuple(row[pair.parent] for pair in spec.key)
            live[key] = {column.name: row[column] for column in table.c}
        assert {key: row for key, row in newest.items() if row is not None} == live


@pytest.fixture
def article(session, models):
    """An article with comments and links."""
    make = models.factories
    article = make.Article(id=1, name="a", content=None, tags=[make.Tag(id=1)])
    for number in (1, 2):
        make.Comment(id=number, article=article, content="c")
    session.commit()
    return article


def change(session, models, article):
    """Insert, change, link and delete, in two flushes."""
    article.name = "b"
    article.tags = [models.Tag(id=2, name="t")]
    session.delete(article.comments[0])
    article.comments[1].content = "d"
    session.flush()
    article.name = "c"
    article.tags = []
    session.add(models.Comment(id=3, content="e", article=article))
    session.flush()


@pytest.mark.strategies
def test_each_statement_can_fail(tables, session, models, article, mode):
    """Whichever statement fails, the flush does, nothing is stored, and the session goes on."""
    before = everything(session, models)
    failed = 0
    with Saboteur(tables, models) as saboteur:
        while True:
            saboteur.strike(failed)
            try:
                change(session, models, article)
            except FAILURES:
                failed += 1
            else:
                assert saboteur.left is not None, "an error was passed over"
                break
            session.rollback()
            assert everything(session, models) == before
        saboteur.strike(None)
        session.commit()

    assert failed >= mode.pick(8, 1)
    assert_whole(session, models)
    assert everything(session, models) != before


@pytest.mark.needs("savepoints")
def test_each_statement_can_fail_in_a_savepoint(tables, session, models, article, mode):
    """Rolling back to the savepoint is enough to go on, with what was recorded before it."""
    failed = 0
    with Saboteur(tables, models) as saboteur:
        while True:
            article.description = f"kept {failed}"
            session.flush()
            saboteur.strike(failed)
            try:
                with session.begin_nested():
                    change(session, models, article)
            except FAILURES:
                failed += 1
            else:
                assert saboteur.left is not None, "an error was passed over"
                break
            article.content = f"kept {failed}"
            session.flush()
        saboteur.strike(None)
        session.commit()

    assert failed >= mode.pick(6, 0)
    assert_whole(session, models)
    versions = session.scalars(select(version_class(models.Article)).order_by("transaction_id"))
    kept = mode.pick(f"kept {failed}", None)
    assert [(v.name, v.content) for v in versions] == [("a", None), ("c", kept)]


#: What an application may execute besides flushes.
WRITES = {
    "insert": lambda models: insert(models.Article).values(id=7, name="new"),
    "update": lambda models: update(models.Article).values(name="changed"),
    "delete": lambda models: delete(models.Comment),
}


def fail_to_record(session, models, saboteur, number, write):
    """Execute something whose recording fails, and go on as if it had not; tell whether it did."""
    saboteur.strike(number)
    try:
        session.execute(write(models))
    except FAILURES:
        return True
    finally:
        saboteur.strike(None)
    return False


@pytest.mark.options(native=False)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_failed_to_be_recorded_is_not_committed(tables, session, models, article, write):
    """Who catches an error of recording cannot commit rows without versions, or the reverse."""
    before, number, refused = everything(session, models), 0, 0
    with Saboteur(tables, models) as saboteur:
        while fail_to_record(session, models, saboteur, number, write):
            number += 1
            try:
                session.commit()
            except CaptureError:
                refused += 1
            session.rollback()
            assert everything(session, models) == before
    session.commit()

    assert refused > 0
    assert_whole(session, models)


@pytest.mark.needs("full_cascades")
@pytest.mark.options(native=False)
def test_deletion_of_which_half_was_recorded_is_not_committed(tables, Base, open_session):
    """Where what goes along with rows cannot be looked up, they have not gone in history either."""

    class House(Base):
        __tablename__ = "house"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Room(Base):
        __tablename__ = "room"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        house_id: Mapped[int] = mapped_column(ForeignKey("house.id", ondelete="CASCADE"))

    session, number = open_session(Base), 0
    session.add(House(id=1))
    session.flush()
    session.add(Room(id=1, house_id=1))
    session.commit()
    with Saboteur(tables, None, ["room"]) as saboteur:
        while fail_to_record(session, None, saboteur, number, lambda _: delete(House.__table__)):
            number += 1
            with pytest.raises(CaptureError):
                session.commit()
            session.rollback()
            assert verify(session) == []
    session.commit()

    assert number > 1
    assert verify(session) == []


@pytest.mark.needs("savepoints")
@pytest.mark.options(native=False)
def test_savepoint_takes_back_what_failed_to_be_recorded(tables, session, models, article):
    """What was written since a savepoint that is rolled back does not hinder the rest."""
    with Saboteur(tables, models) as saboteur:
        for is_left in (True, False):
            session.get(models.Article, 1).content = "kept"
            session.flush()
            with suppress(Broken), session.begin_nested():
                assert fail_to_record(session, models, saboteur, 0, WRITES["insert"])
                if is_left:
                    raise Broken
            if is_left:
                session.commit()
            else:
                with pytest.raises(CaptureError, match=r"recorded \(.*Broken.* roll it back"):
                    session.commit()
                session.rollback()

    assert_whole(session, models)
    assert session.get(models.Article, 1).content == "kept"


#: The hooks that are called in a flush.
RECORDING = (
    "is_session_modified",
    "transaction_args",
    "before_flush",
    "before_create_version_objects",
    "after_create_version_objects",
)


def build_plugin(name):
    """Return a plugin with one hook, which fails if it is told to."""

    def hook(self, *arguments):
        if self.is_failing:
            raise Broken(name)
        return getattr(Plugin, name)(self, *arguments)

    return type("Failing", (Plugin,), {"is_failing": False, name: hook})()


@pytest.mark.parametrize("name", RECORDING)
def test_each_hook_can_fail(database, versioning, request, mode, name):
    """What a plugin raises reaches the application, and leaves no rows without history.

    Those that take part in recording are refused where triggers record.
    """
    plugin = build_plugin(name)
    versioning.plugins.append(plugin)
    if mode.is_native and "version_objects" in name:
        with pytest.raises(ImproperlyConfigured, match=name):
            request.getfixturevalue("session")
        return
    models, session, article = map(request.getfixturevalue, ("blog", "session", "article"))
    before = everything(session, models)
    plugin.is_failing = True
    with pytest.raises(Broken, match=name):
        change(session, models, article)
    session.rollback()
    assert everything(session, models) == before
    plugin.is_failing = False
    change(session, models, article)
    session.commit()

    assert_whole(session, models)


@pytest.mark.strategies
@pytest.mark.parametrize("failing", ["before_flush", "after_insert"])
def test_bulk_methods_after_a_flush_that_failed(session, blog, failing):
    """What a bulk method writes after a flush that failed is recorded as ever."""
    refuse = MagicMock(side_effect=KeyError)
    target = session if failing == "before_flush" else blog.Article
    event.listen(target, failing, refuse)
    session.add(blog.Article(name="a"))
    with pytest.raises(KeyError) as raised:
        session.flush()
    event.remove(target, failing, refuse)
    session.expunge_all()
    session.rollback()

    session.bulk_insert_mappings(blog.Article, [{"name": "b"}])
    session.commit()

    # What was raised holds the flush.
    assert raised.value.__traceback__ is not None
    assert verify(session) == []


@pytest.mark.needs("deadlocks_end_all")
def test_lock_timeout_that_ends_all(tables, session, models):
    """What is recorded after a server has rolled back all for want of a lock is complete.

    It does so if it was started that way; the listener lets it look as if it was.
    """

    def time_out(connection, cursor, statement, parameters, context, many):
        if "@@innodb_rollback_on_timeout" in statement:
            return "SELECT 1", ()
        if statement.startswith("DELETE"):
            cursor.execute("ROLLBACK")
            return "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205", ()
        return statement, parameters

    session.add(models.Article(id=1, name="a"))
    session.flush()
    event.listen(tables, "before_cursor_execute", time_out, retval=True)
    with pytest.raises(DBAPIError, match="1205"):
        session.execute(delete(models.Comment))
    session.expunge_all()
    session.add(models.Article(id=2, name="b"))
    session.commit()

    assert session.scalars(select(models.Article.id)).all() == [2]
    assert verify(session) == []
