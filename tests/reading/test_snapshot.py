"""The past as a session: which moments there are, what is read, and what is refused."""

import gc
import io
import pickle
import weakref
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from types import SimpleNamespace

import pytest
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    Sequence,
    String,
    Table,
    column,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DynamicMapped,
    Mapped,
    Query,
    Session,
    WriteOnlyMapped,
    attribute_keyed_dict,
    attributes,
    composite,
    configure_mappers,
    defer,
    make_transient,
    mapped_column,
    object_session,
    relationship,
    scoped_session,
    selectinload,
    sessionmaker,
    synonym,
    with_loader_criteria,
)
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlalchemy.schema import CreateTable

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    IncompleteHistory,
    ReadOnlySnapshot,
    TransactionFactory,
    VersioningError,
    VersioningManager,
    as_of,
    make_versioned,
    remove_versioning,
    transaction_class,
    version_class,
    version_table,
    versioned_table,
    versioning_manager,
)
from sqlalchemy_versioned.maintenance import baseline
from tests.models import Models, build_base


@dataclass
class Span:
    """Two numbers; the value of a composite attribute."""

    first: int
    last: int


def build_orders(Base):
    """Declare orders with attributes of many kinds, and their lines."""

    class Line(Base):
        __tablename__ = "line"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        key: Mapped[str]
        order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))

    class Order(Base):
        __tablename__ = "orders"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        data: Mapped[dict] = mapped_column(JSON)
        first: Mapped[int]
        last: Mapped[int]
        span: Mapped[Span] = composite("first", "last")
        begin = synonym("first")
        lines: Mapped[dict[str, Line]] = relationship(collection_class=attribute_keyed_dict("key"))
        queried: DynamicMapped[Line] = relationship(overlaps="lines")
        written: WriteOnlyMapped[Line] = relationship(overlaps="lines, queried")

        @hybrid_property
        def length(self):
            return self.last - self.first

        @length.inplace.setter
        def _set_length(self, length):
            self.last = self.first + length

    # Unlike as_mutable(), which listens to all mappers for ever.
    MutableDict.associate_with_attribute(Order.data)
    return Models(Base, Line, Order)


def write_history(session, blog):
    """Write three transactions.

    The article of all of them is called "a", by Ann, with the tag "red"; then "b", by Bob, with
    "blue" and "red", and there is a second article; then "c", and the second article is gone.
    """
    ann, bob = blog.Author(id=1, name="Ann"), blog.Author(id=2, name="Bob")
    red, blue = blog.Tag(id=1, name="red"), blog.Tag(id=2, name="blue")
    article = blog.Article(id=1, name="a", author=ann, tags=[red])
    session.add_all([article, bob, blue])
    session.commit()
    article.name, article.author, article.tags = "b", bob, [red, blue]
    other = blog.Article(id=2, name="other")
    session.add(other)
    session.commit()
    article.name = "c"
    session.delete(other)
    session.commit()


@pytest.fixture
def history(session, blog, write):
    """Three transactions, as ``first``, ``second`` and ``third``, and the article of them all."""
    write(write_history)
    Transaction = transaction_class(blog.Article)
    transactions = session.scalars(select(Transaction).order_by(Transaction.id)).all()
    article = session.get(blog.Article, 1)
    session.expire(article)
    return SimpleNamespace(
        **dict(zip(("first", "second", "third"), transactions, strict=True)),
        all=transactions,
        article=article,
    )


def names(session, cls):
    """Return the names of all objects of a class."""
    return sorted(session.scalars(select(cls.name)))


# -- which moment ----------------------------------------------------------------------------


def test_transactions_and_their_ids(session, blog, history):
    """A moment is a transaction or the id of one."""
    for transaction, name in zip(history.all, "abc", strict=True):
        for when in (transaction, transaction.id):
            with as_of(session, when) as past:
                assert past.get(blog.Article, 1).name == name


def test_datetimes(session, blog, history):
    """A moment in time is the last transaction not later, in whatever time zone it is told."""
    moment = history.second.issued_at
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    for when in (moment, elsewhere, moment + (history.third.issued_at - moment) / 2):
        with as_of(session, when) as past:
            assert past.moment.transaction_id == history.second.id


def test_moment_in_the_future(session, blog, history):
    """What is to come is as it is now, until something is committed."""
    with as_of(session, datetime.now(timezone.utc) + timedelta(days=1)) as past:
        assert past.get(blog.Article, 1).name == "c"


def test_moment_before_history(session, blog, history):
    """Nothing is known of what was before the first transaction."""
    when = history.first.issued_at - timedelta(days=1)
    with pytest.raises(IncompleteHistory, match="history begins after"):
        as_of(session, when)
    with as_of(session, when, on_incomplete="ignore") as past:
        assert past.scalars(select(blog.Article)).all() == []


@pytest.mark.shared_out
@pytest.mark.parametrize("when", [0, -1, 10**9, 2**63 - 1, 2**63, -(10**40), 10**40])
def test_transaction_that_never_was(session, blog, history, when):
    """An id must be that of a transaction."""
    with pytest.raises(VersioningError, match=f"no transaction {when}"):
        as_of(session, when)


@pytest.mark.shared_out
@pytest.mark.parametrize(
    "when",
    [None, True, False, 1.0, "1", datetime(2020, 1, 1), object(), (1,), datetime.now().date()],
)
def test_what_is_no_moment(session, tables, blog, history, when, count_statements):
    """Other values are refused, datetimes without a time zone among them; nothing is sent."""
    refused = pytest.raises(VersioningError, match=r"is no point in history.*; give .* time zone")
    with count_statements(tables) as statements, refused:
        as_of(session, when)
    assert statements == []


def test_pending_transaction(session, blog, history):
    """A transaction that is in no database is no moment."""
    with pytest.raises(VersioningError, match="is no point in history"):
        as_of(session, transaction_class(blog.Article)())


def test_article_for_a_moment(session, blog, history):
    """An object of another class is no moment."""
    with pytest.raises(VersioningError, match="is no point in history"):
        as_of(session, history.article)


def test_unknown_choice(session, blog, history):
    """What to do about missing history is one of two words."""
    with pytest.raises(
        VersioningError, match="on_incomplete is 'skip'; choose 'raise' or 'ignore'"
    ):
        as_of(session, history.first, on_incomplete="skip")


def test_scoped_session(session, tables, blog, history):
    """The session of a registry will do."""
    registry = scoped_session(sessionmaker(tables))
    with as_of(registry, history.first.id) as past:
        assert past.get(blog.Article, 1).name == "a"
        assert past.live is registry()
    registry.remove()


def test_what_is_no_session(blog, tables):
    """An engine cannot be read as a session."""
    with pytest.raises(ImproperlyConfigured, match="is no session"):
        as_of(tables, 1)


def test_no_versioned_classes(engine, Base):
    """Without versioned classes there are no moments."""
    with Session(engine) as session, pytest.raises(ClassNotVersioned, match="no history"):
        as_of(session, 1)


# -- what is read ----------------------------------------------------------------------------


def test_objects_of_then(session, blog, history):
    """Rows that are gone are there, rows that were made later are not."""
    found = []
    for transaction in history.all:
        with as_of(session, transaction) as past:
            found.append((names(past, blog.Article), past.get(blog.Article, 2) is not None))
    assert found == [(["a"], False), (["b", "other"], True), (["c"], False)]


def test_relationships_of_then(session, blog, history):
    """Relationships lead from objects of a moment to objects of that moment."""
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1)
        assert (article.author.name, [tag.name for tag in article.tags]) == ("Ann", ["red"])
        assert article.author.articles == article.tags[0].articles == [article]
    with as_of(session, history.second) as past:
        article = past.get(blog.Article, 1)
        assert (article.author.name, [tag.name for tag in article.tags]) == ("Bob", ["red", "blue"])


def test_unversioned_tables_are_read_as_they_are_now(session, blog, history):
    """What no history is kept of has no past."""
    session.add(blog.Category(id=1, name="new"))
    session.commit()
    with as_of(session, history.first) as past:
        assert names(past, blog.Category) == ["new"]


def test_versions_are_read_as_they_are_now(session, blog, history):
    """The history of an object of the past is the whole one."""
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1)
        assert [version.name for version in article.versions] == ["a", "b", "c"]
        assert article.versions[1].version_parent is article


def test_live_objects_are_left_alone(session, blog, history):
    """Neither changes of the live session nor its objects have to do with the past."""
    article = history.article
    article.name = "unflushed"
    pending = blog.Article(name="pending")
    session.add(pending)
    before = set(session.identity_map.values())

    with as_of(session, history.first.id) as past:
        found = past.get(blog.Article, 1)
        assert found is not article
        assert (found.name, article.name) == ("a", "unflushed")
        assert object_session(found) is past
    assert set(session.identity_map.values()) == before
    assert pending in session.new
    assert article in session.dirty


def test_identity(session, blog, history):
    """One row is one object in one snapshot, and another one in another."""
    with as_of(session, history.first) as past, as_of(session, history.first) as same:
        article = past.get(blog.Article, 1)
        assert past.scalars(select(blog.Article)).one() is article
        assert past.get(blog.Article, 1) is article
        assert same.get(blog.Article, 1) is not article
        assert past.identity_key(instance=article) == same.identity_key(
            instance=same.get(blog.Article, 1)
        )
        assert past.identity_key(instance=article) != session.identity_key(blog.Article, 1)


def test_snapshots_side_by_side(session, blog, history):
    """Several moments can be read in turns."""
    pasts = [as_of(session, transaction) for transaction in history.all]
    articles = [past.get(blog.Article, 1) for past in pasts]
    for past in pasts:
        past.expire_all()
    assert [article.name for article in reversed(articles)] == ["c", "b", "a"]
    assert [len(article.tags) for article in articles] == [1, 2, 2]
    assert session.get(blog.Article, 1) is history.article
    for past in pasts:
        past.close()


def test_snapshot_of_a_snapshot(session, blog, history):
    """Another moment can be read from a snapshot, whichever is earlier."""
    with as_of(session, history.second) as past:
        for transaction, name in ((history.first, "a"), (history.third, "c")):
            with as_of(past, transaction.id) as other:
                assert other.get(blog.Article, 1).name == name
                assert other.live is session
        assert past.get(blog.Article, 1).name == "b"


def test_current_transaction(session, blog, history):
    """What is flushed and not committed is read by the session that wrote it."""
    history.article.name = "d"
    session.flush()
    current = versioning_manager.unit_of_work(session).current_transaction
    with as_of(session, current) as past:
        assert past.get(blog.Article, 1).name == "d"
    with as_of(session, history.third) as past:
        assert past.get(blog.Article, 1).name == "c"


@pytest.mark.needs("savepoints")
def test_savepoints(session, blog, history):
    """A snapshot reads what a savepoint wrote, until it is rolled back."""
    current = versioning_manager.unit_of_work(session).create_transaction(session)
    savepoint = session.begin_nested()
    history.article.name = "d"
    session.flush()
    with as_of(session, current) as past:
        article = past.get(blog.Article, 1)
        assert article.name == "d"
        savepoint.rollback()
        past.refresh(article)
        assert article.name == "c"


@pytest.mark.parametrize("end", ["commit", "rollback", "close", "reset"])
def test_live_session_ends_its_transaction(session, blog, history, end):
    """A snapshot goes on reading in the next transaction of the live session."""
    article, first = history.article, history.first.id
    past = as_of(session, first)
    found = past.get(blog.Article, 1)
    article.name = "d"
    session.flush()
    getattr(session, end)()

    assert found.tags[0].name == "red"
    past.expire_all()
    assert found.name == "a"
    assert past.get(blog.Author, 1).name == "Ann"
    session.rollback()
    assert session.get(blog.Article, 1).name == ("d" if end == "commit" else "c")
    past.close()


def test_ending_a_snapshot(session, blog, history):
    """Closing, committing or rolling back a snapshot leaves the live transaction alone."""
    history.article.name = "d"
    session.flush()
    transaction = session.get_transaction()

    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1)
        past.commit()
        assert article.name == "a"
        past.rollback()
        assert article.name == "a"
        past.flush()
    past = as_of(session, history.first)
    past.begin().__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    past.invalidate()

    assert session.get_transaction() is transaction
    session.commit()
    assert session.get(blog.Article, 1).name == "d"


def test_states_of_a_snapshot(session, blog, history):
    """A snapshot says what it is, and has nothing to write."""
    with as_of(session, history.second) as past:
        article = past.get(blog.Article, 1)
        assert repr(past) == f"<Snapshot as of transaction {history.second.id}>"
        assert inspect(article).session is past
        assert article in past
        assert (list(past.new), list(past.dirty), list(past.deleted)) == ([], [], [])
        assert past.is_modified(article) is False
        assert past.in_transaction() is False
        assert past.in_nested_transaction() is False
        past.expunge(article)
        assert object_session(article) is None


def test_closed_snapshot(session, blog, history):
    """What was loaded can be read after closing; what was not cannot."""
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1)
    assert article.name == "a"
    with pytest.raises(DetachedInstanceError):
        _ = article.tags
    with pytest.raises(ReadOnlySnapshot):
        session.add(article)


# -- whose connections -----------------------------------------------------------------------


def test_session_on_a_connection(tables, session, blog, history):
    """A session that was given a connection lets the past be read over it."""
    first = history.first.id
    session.commit()
    with tables.connect() as connection, Session(connection) as bound:
        bound.get(blog.Article, 1).name = "d"
        bound.flush()
        with as_of(bound, first) as past:
            assert past.get(blog.Article, 1).name == "a"
            assert past.get_bind() is connection
        assert connection.in_transaction()


def test_binds_for_classes(tables, session, blog, history):
    """A session may know databases for some classes only."""
    first = history.first.id
    session.commit()
    classes = (blog.Article, blog.Author, blog.Tag)
    with Session(binds=dict.fromkeys(classes, tables)) as bound, as_of(bound, first) as past:
        article = past.get(blog.Article, 1)
        assert (article.name, article.author.name) == ("a", "Ann")


def test_session_with_a_get_bind_of_its_own(tables, session, blog, history):
    """What a session decides about databases holds for the past, too."""
    asked = []

    class Routing(Session):
        def get_bind(self, mapper=None, **kw):
            asked.append(mapper)
            return tables

    first = history.first.id
    session.commit()
    with Routing() as routing, as_of(routing, first) as past:
        asked.clear()
        assert past.get(blog.Article, 1).name == "a"
        assert asked == [inspect(blog.Article)]


def test_session_that_begins_nothing_by_itself(tables, session, blog, history):
    """A session without autobegin is not begun by reading its past."""
    first = history.first.id
    session.commit()
    with Session(tables, autobegin=False) as live:
        with pytest.raises(InvalidRequestError, match="Autobegin is disabled"):
            as_of(live, first)
        with live.begin():
            past = as_of(live, first)
            assert past.get(blog.Article, 1).name == "a"


# -- what the live session has said --------------------------------------------------------------


@pytest.mark.parametrize("where", ["session", "factory", "class"])
def test_listeners_of_the_live_session(tables, session, blog, history, where):
    """Criteria that a listener adds to all statements hold for the past."""
    first = history.first.id
    session.commit()
    factory = sessionmaker(tables)
    with factory() as live:
        targets = {"session": live, "factory": factory, "class": Session}

        def only_bob(state):
            if state.is_select:
                criteria = with_loader_criteria(blog.Author, blog.Author.name == "Bob")
                state.statement = state.statement.options(criteria)

        event.listen(targets[where], "do_orm_execute", only_bob)
        try:
            with as_of(live, first) as past:
                assert names(past, blog.Author) == ["Bob"]
                assert past.get(blog.Article, 1).author is None
        finally:
            event.remove(targets[where], "do_orm_execute", only_bob)


def test_listeners_that_replace_statements(session, blog, history):
    """A statement that a listener gives instead reads the past as well."""

    @event.listens_for(session, "do_orm_execute")
    def other_statement(state):
        state.statement = select(blog.Article.name)

    with as_of(session, history.first.id) as past:
        assert past.scalars(select(blog.Tag.name)).all() == ["a"]


def test_listeners_that_execute(session, blog, history):
    """A listener that executes the statement itself, as caches do, gets the past."""
    got = []

    @event.listens_for(session, "do_orm_execute")
    def execute(state):
        got.append(state.invoke_statement().freeze())
        return got[-1]()

    with as_of(session, history.first.id) as past:
        got.clear()
        assert past.scalars(select(blog.Article.name)).all() == ["a"]
        assert len(got) == 1


def test_info(tables, session, blog, history):
    """What an application notes in a session is there for its listeners."""
    first = history.first.id
    session.commit()
    live = Session(tables, info={"tenant": 7})
    history.article.versions[0]
    with live, as_of(live, first) as past:
        assert past.info == {"tenant": 7}
        past.info["tenant"] = 8
        assert live.info["tenant"] == 7


def test_info_is_not_what_versioning_notes(session, blog, history):
    """What versioning notes in a session ends with that session, not with a snapshot."""
    history.article.name = "d"
    session.flush()
    list(history.article.versions)
    current = versioning_manager.unit_of_work(session).current_transaction
    with as_of(session, history.first) as past:
        past.get(blog.Article, 1)
        past.commit()
    assert versioning_manager.unit_of_work(session).current_transaction is current


def test_query_class(tables, session, blog, history):
    """A Query class of an application is that of the past."""

    class Own(Query):
        def one_name(self):
            return self.one().name

    first = history.first.id
    session.commit()
    with Session(tables, query_cls=Own) as live, as_of(live, first) as past:
        assert past.query(blog.Article).one_name() == "a"


# -- how statements are sent -----------------------------------------------------------------


def test_as_many_statements(session, tables, blog, history, count_statements):
    """Objects that are there are not asked for again, and loads take no more statements."""
    with as_of(session, history.second) as past:
        past.scalars(select(blog.Author)).all()
        past.scalars(select(blog.Article).options(selectinload(blog.Article.tags))).all()
        past.expunge_all()
        with count_statements(tables) as statements:
            authors = past.scalars(select(blog.Author).order_by(blog.Author.id)).all()
            articles = past.scalars(
                select(blog.Article).options(selectinload(blog.Article.tags))
            ).all()
            assert [article.author for article in articles if article.author] == authors[1:]
            assert past.get(blog.Author, 1) is authors[0]
    assert statements.count == 3


def test_one_text_for_all_moments(session, tables, blog, history):
    """A statement is compiled once, however many moments it is asked about."""
    cached = []

    @event.listens_for(tables, "before_cursor_execute")
    def record(connection, cursor, statement, parameters, context, many):
        cached.append((statement, context.cache_hit is connection.dialect.CACHE_HIT))

    found = []
    for transaction in history.all:
        with as_of(session, transaction) as past:
            past.scalars(select(blog.Article.name)).all()
            cached.clear()
            found.append(past.scalars(select(blog.Article.name).where(blog.Article.id == 1)).one())
            found.append(cached[0])
    event.remove(tables, "before_cursor_execute", record)

    text = found[1][0]
    assert found == ["a", (text, False), "b", (text, True), "c", (text, True)]


def test_loads_are_told_apart(session, blog, history):
    """Loads of single attributes are not taken for each other by the cache of statements."""
    keys = ("name", "description", "author_id")
    options = [defer(getattr(blog.Article, key)) for key in keys]
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1, options=options)
        assert [getattr(article, key) for key in keys] == ["a", "No description", 1]


def test_statements_that_were_executed_before(session, blog, history):
    """A statement that has read the present reads the past, and the present again."""
    statement = select(blog.Article.__table__.c.name)
    with as_of(session, history.first) as past:
        for _ in range(2):
            assert session.scalars(statement).all() == ["c"]
            assert past.scalars(statement).all() == ["a"]


def test_tables_that_are_versioned_later(Base, open_session):
    """What was compiled before a table was versioned is compiled anew once it is."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    columns = Column("id", Integer, primary_key=True), Column("name", String(5))
    tag = Table("tag", Base.metadata, *columns)
    configure_mappers()
    session = open_session(Base)
    session.add(Article(id=1))
    session.commit()
    statement = select(table("tag", column("name")))
    with as_of(session, 1) as past:
        assert past.scalars(statement).all() == []

    version_table(versioned_table(tag)).create(session.connection())
    session.execute(insert(tag).values(id=1, name="a"))
    session.commit()
    session.execute(update(tag).values(name="b"))
    session.commit()
    with as_of(session, 2) as past:
        assert past.scalars(statement).all() == ["a"]


def test_memory(tables, session, blog, history):
    """Neither a snapshot nor its session is kept by the statements that they cached."""
    first = history.first.id
    session.commit()
    live = Session(tables)
    past = as_of(live, first)
    past.scalars(select(blog.Article).options(selectinload(blog.Article.tags))).all()
    references = [weakref.ref(past), weakref.ref(live)]
    past.close()
    live.close()
    del past, live
    gc.collect()
    assert [reference() for reference in references] == [None, None]


# -- what is refused -------------------------------------------------------------------------

METHODS = {
    "add": lambda past, blog: past.add(blog.Article(name="new")),
    "add_all": lambda past, blog: past.add_all([blog.Article(name="new")]),
    "add what it has": lambda past, blog: past.add(past.get(blog.Article, 1)),
    "delete": lambda past, blog: past.delete(past.get(blog.Article, 1)),
    "delete_all": lambda past, blog: past.delete_all([past.get(blog.Article, 1)]),
    "merge": lambda past, blog: past.merge(blog.Article(id=1, name="new")),
    "merge_all": lambda past, blog: past.merge_all([blog.Article(id=1, name="new")]),
    "save": lambda past, blog: past.bulk_save_objects([past.get(blog.Article, 1)]),
    "insert": lambda past, blog: past.bulk_insert_mappings(blog.Article, [{"name": "new"}]),
    "update": lambda past, blog: past.bulk_update_mappings(blog.Article, [{"id": 1}]),
    "query.update": lambda past, blog: past.query(blog.Article).update({"name": "new"}),
    "query.delete": lambda past, blog: past.query(blog.Article).delete(),
    "lock by get": lambda past, blog: past.get(blog.Article, 1, with_for_update=True),
    "lock by refresh": lambda past, blog: past.refresh(
        past.get(blog.Article, 1), with_for_update=True
    ),
    "begin_nested": lambda past, blog: past.begin_nested(),
    "prepare": lambda past, blog: past.prepare(),
    "connection": lambda past, blog: past.connection(),
    "loading": lambda past, blog: past.enable_relationship_loading(blog.Article(author_id=1)),
}

STATEMENTS = {
    "insert": lambda blog: insert(blog.Article).values(name="new"),
    "insert and return": lambda blog: insert(blog.Article).returning(blog.Article.id),
    "update": lambda blog: update(blog.Article).values(name="new"),
    "update of one": lambda blog: update(blog.Article).where(blog.Article.id == 1).values(name="n"),
    "delete": lambda blog: delete(blog.Article),
    "table": lambda blog: blog.Tag.__table__.insert().values(name="new"),
    "unversioned table": lambda blog: insert(blog.Category).values(name="new"),
    "writing CTE": lambda blog: select(
        insert(blog.Tag).values(name="new").returning(blog.Tag.id).cte().c.id
    ),
    "DDL": lambda blog: CreateTable(blog.Article.__table__),
    "sequence": lambda blog: Sequence("transaction_id_seq"),
    "text": lambda blog: text("UPDATE article SET name = 'new'"),
    "text that reads": lambda blog: text("SELECT * FROM article"),
    "text with columns": lambda blog: text("SELECT id FROM article").columns(blog.Article.id),
    "objects from text": lambda blog: select(blog.Article).from_statement(
        text("SELECT * FROM article")
    ),
    "lock": lambda blog: select(blog.Article).with_for_update(),
    "shared lock": lambda blog: select(blog.Article.id).with_for_update(read=True),
    "lock in a subquery": lambda blog: select(
        select(blog.Article.id).with_for_update().subquery().c.id
    ),
}

CHANGES = {
    "attribute": lambda past, article: setattr(article, "name", "new"),
    "the same": lambda past, article: setattr(article, "name", article.name),
    "deletion": lambda past, article: delattr(article, "name"),
    "reference": lambda past, article: setattr(article, "author", None),
    "another reference": lambda past, article: setattr(
        article, "author", past.get(type(article.author), 1)
    ),
    "new reference": lambda past, article: setattr(
        article, "author", type(article.author)(name="new")
    ),
    "collection": lambda past, article: setattr(article, "tags", []),
    "append": lambda past, article: article.tags.append(type(article.tags[0])(name="new")),
    "append of another": lambda past, article: article.tags.append(
        past.get(type(article.tags[0]), 3)
    ),
    "remove": lambda past, article: article.tags.remove(article.tags[0]),
    "clear": lambda past, article: article.tags.clear(),
    "backwards": lambda past, article: type(article.tags[0])(name="new").articles.append(article),
    "flag_modified": lambda past, article: attributes.flag_modified(article, "name"),
    "flag_dirty": lambda past, article: attributes.flag_dirty(article),
}


@pytest.fixture
def is_refused(session, tables, history, count_statements):
    """Return a function that tells whether something is refused before anything is sent."""

    def is_refused(write, *arguments):
        with count_statements(tables) as statements:
            try:
                write(*arguments)
            except ReadOnlySnapshot:
                return statements == []
        return False

    return is_refused


def test_methods_that_write(session, blog, history, is_refused):
    """Methods that would add, change, delete or lock are refused, and nothing is sent."""
    with as_of(session, history.second) as past:
        _ = past.get(blog.Article, 1)
        assert [name for name, do in METHODS.items() if not is_refused(do, past, blog)] == []
        assert (list(past.new), list(past.dirty), list(past.deleted)) == ([], [], [])


def test_statements_that_write(session, blog, history, is_refused):
    """Statements that would write or lock are refused, as is text, of which nothing is known."""
    with as_of(session, history.second) as past:
        past.scalars(select(blog.Article)).all()
        for execute in (past.execute, past.scalars, past.scalar):
            accepted = [
                name for name, build in STATEMENTS.items() if not is_refused(execute, build(blog))
            ]
            assert accepted == []
        for statement in (insert(blog.Article), update(blog.Article)):
            assert is_refused(past.execute, statement, [{"id": 1, "name": "new"}])


def test_changes_of_objects(session, blog, history, is_refused):
    """Objects of the past cannot be changed, and stay as they are."""
    session.add(blog.Tag(id=3, name="other"))
    session.commit()
    last = session.scalar(select(func.max(transaction_class(blog.Article).id)))
    with as_of(session, last) as past:
        article = past.get(blog.Article, 1)
        kept = [article.author, *article.tags, past.get(blog.Author, 1), past.get(blog.Tag, 3)]
        kept += [each.articles for each in kept]
        assert [name for name, do in CHANGES.items() if not is_refused(do, past, article)] == []
        assert (article.name, article.author.name, len(article.tags)) == ("c", "Bob", 2)
        assert (list(past.new), list(past.dirty), list(past.deleted)) == ([], [], [])
        assert inspect(article).modified is False
        past.flush()
        past.expunge_all()
        assert is_refused(setattr, past.get(blog.Article, 1), "name", "new")
    assert kept
    session.commit()
    assert names(session, blog.Article) == ["c"]
    assert names(session, blog.Tag) == ["blue", "other", "red"]


class TestOtherAttributes:
    """What is changed in other ways than by setting an attribute or a member of a list."""

    @pytest.fixture
    def models(self, keep):
        """Orders and their lines."""
        return keep(build_orders)

    WAYS = {
        "mutable": lambda order, line: order.data.update(size=2),
        "synonym": lambda order, line: setattr(order, "begin", 3),
        "hybrid": lambda order, line: setattr(order, "length", 3),
        "composite": lambda order, line: setattr(order, "span", Span(3, 4)),
        "key": lambda order, line: order.lines.update(b=type(line)(id=2, key="b")),
        "key that goes": lambda order, line: order.lines.pop("a"),
        "dynamic": lambda order, line: order.queried.append(type(line)(id=2, key="b")),
        "dynamic member": lambda order, line: order.queried.remove(line),
        "write-only": lambda order, line: order.written.add(type(line)(id=2, key="b")),
        "write-only member": lambda order, line: order.written.remove(line),
        "write-only statement": lambda order, line: object_session(order).execute(
            order.written.insert(), [{"id": 2, "key": "b"}]
        ),
    }

    def test_changes(self, session, tables, models, count_statements):
        """Whatever the kind of attribute, it cannot be changed, and stays as it is."""
        line = models.Line(id=1, key="a")
        session.add(models.Order(id=1, data={"size": 1}, first=1, last=2, lines={"a": line}))
        session.commit()
        with as_of(session, 1) as past:
            order, line = past.get(models.Order, 1), past.get(models.Line, 1)
            assert list(order.lines) == ["a"]
            for way, change in self.WAYS.items():
                assert order.data == {"size": 1}, way
                with count_statements(tables) as statements, pytest.raises(ReadOnlySnapshot):
                    change(order, line)
                assert statements == [], way
            assert (order.data, order.span) == ({"size": 1}, Span(1, 2))
            assert list(order.lines.values()) == order.queried.all() == [line]
            assert past.scalars(order.written.select()).all() == [line]
            assert inspect(order).modified is False


def test_reverting_the_past(session, blog, history):
    """A version cannot be put back into the past."""
    with as_of(session, history.second) as past:
        article = past.get(blog.Article, 1)
        with pytest.raises(ReadOnlySnapshot):
            article.versions[0].revert()
        assert article.name == "b"


# -- objects of the past elsewhere -----------------------------------------------------------


def pickled(article):
    """Return what becomes of an object on its way through a pickle."""
    mappers = inspect(article).mapper.registry.mappers
    classes = {mapper.class_.__name__: mapper.class_ for mapper in mappers}

    # Classes that a test declares cannot be looked up by pickle.
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return _name(obj) if _name(obj) in classes else None

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid):
            return classes[pid]

    file = io.BytesIO()
    Pickler(file).dump(article)
    file.seek(0)
    return Unpickler(file).load()


def _name(value):
    return value.__name__ if isinstance(value, type) else None


EMIGRATION = {
    "add": lambda session, article: session.add(article),
    "merge": lambda session, article: session.merge(article),
    "merge without loading": lambda session, article: session.merge(article, load=False),
    "delete": lambda session, article: session.delete(article),
    "loading": lambda session, article: session.enable_relationship_loading(article),
    "pickle": lambda session, article: session.add(pickled(article)),
    "merged pickle": lambda session, article: session.merge(pickled(article)),
    "cascade": lambda session, article: session.add(type(article)(tags=[article.tags[0]])),
    "made transient": lambda session, article: [make_transient(article), session.add(article)],
}


def test_object_of_an_open_snapshot(session, tables, blog, history, is_refused):
    """An object that is in a snapshot gets into no other session."""
    _ = history.article.tags
    tag = session.get(blog.Tag, 2)
    options = [selectinload(blog.Article.tags), selectinload(blog.Article.author)]
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1, options=options)
        ways = {
            "reference": partial(setattr, history.article, "author", article.author),
            "member": partial(history.article.tags.append, article.tags[0]),
            "member of the past": partial(article.tags.append, tag),
            **{name: partial(do, session, article) for name, do in EMIGRATION.items()},
        }
        assert [way for way, do in ways.items() if not is_refused(do)] == []
    assert tag.articles == [history.article]


def test_object_of_an_open_snapshot_is_nowhere_else(session, blog, history):
    """To other sessions it is an object that they have never seen."""
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1)
        for method in (session.refresh, session.expire, session.expunge):
            with pytest.raises(InvalidRequestError, match="is not p"):
                method(article)
        assert object_session(article) is past
        past.expunge(article)
        with pytest.raises(ReadOnlySnapshot, match="Article 1 was loaded as it was at"):
            session.add(article)


def test_object_of_a_closed_snapshot(session, blog, history, is_refused):
    """An object that was loaded from the past gets into no other session."""
    _ = history.article.tags
    accepted = []
    for way, emigrate in EMIGRATION.items():
        with as_of(session, history.first) as past:
            article = past.get(blog.Article, 1, options=[selectinload(blog.Article.tags)])
        if not is_refused(emigrate, session, article):
            accepted.append(way)
    assert accepted == []
    assert session.get(blog.Article, 1) is history.article
    assert history.article not in session.dirty


def test_reference_to_an_object_of_a_closed_snapshot(session, blog, history):
    """An object that was loaded from the past cannot be set on one of the present."""
    with as_of(session, history.first) as past:
        author, tag = past.get(blog.Author, 1), past.get(blog.Tag, 2)
    with pytest.raises(ReadOnlySnapshot, match="Author 1 was loaded as it was at transaction"):
        history.article.author = author
    with pytest.raises(ReadOnlySnapshot, match="Tag 2"):
        history.article.tags.append(tag)
    session.commit()
    assert (history.article.author.name, len(history.article.tags)) == ("Bob", 2)


def test_objects_of_another_moment(session, blog, history):
    """Objects of one snapshot do not get into another."""
    with as_of(session, history.first) as past, as_of(session, history.second) as other:
        article = past.get(blog.Article, 1)
        with pytest.raises(ReadOnlySnapshot):
            other.add(article)
        with pytest.raises(ReadOnlySnapshot):
            other.merge(article)
        past.close()
        with pytest.raises(ReadOnlySnapshot):
            other.add(article)


def test_values_of_objects(session, blog, history):
    """Objects of the past can be compared with in the present, and the other way round."""
    with as_of(session, history.first) as past:
        ann = past.get(blog.Author, 1)
        assert session.scalars(select(blog.Article).filter_by(author=ann)).all() == []
        bob = history.article.author
        assert past.scalars(select(blog.Article.name).filter_by(author=bob)).all() == []
        assert past.scalars(select(blog.Article.name).filter_by(author=ann)).all() == ["a"]


def test_pickling(session, blog, history):
    """An object of the past keeps its values and its moment through pickling."""
    with as_of(session, history.first) as past:
        article = past.get(blog.Article, 1)
        found = pickled(article)
        assert (found.name, inspect(found).identity_token) == ("a", past.moment)
        assert pickle.loads(pickle.dumps(past.moment)) == past.moment


# -- how far history reaches -----------------------------------------------------------------


@pytest.fixture
def execute(session, tables, mode):
    """Return a function that executes a statement of which SQLAlchemy never hears."""

    def execute(statement):
        session.commit()
        sql = statement.compile(tables, compile_kwargs={"literal_binds": True})
        with mode.unseen(tables) as cursor:
            cursor.execute(str(sql))

    return execute


def test_rows_that_were_never_recorded(session, blog, history, execute):
    """A table with rows of which there is no version may have had them at any time."""
    execute(insert(blog.Author).values(id=9, name="Old"))
    with as_of(session, history.second) as past:
        with pytest.raises(IncompleteHistory, match="the history of author does not tell"):
            past.scalars(select(blog.Author)).all()
        with pytest.raises(IncompleteHistory):
            past.get(blog.Author, 1)
        assert names(past, blog.Tag) == ["blue", "red"]
        article = past.get(blog.Article, 1)
        with pytest.raises(IncompleteHistory):
            _ = article.author


def test_rows_that_were_recorded_late(session, blog, history, execute):
    """A row whose first version is a change was there before; from then on it is known."""
    Version = version_class(blog.Article)
    execute(delete(Version).where(Version.transaction_id == history.first.id))
    with as_of(session, history.first) as past, pytest.raises(IncompleteHistory):
        names(past, blog.Article)
    for transaction, known in ((history.second, ["b", "other"]), (history.third, ["c"])):
        with as_of(session, transaction) as past:
            assert names(past, blog.Article) == known
    with as_of(session, history.first) as past, pytest.raises(IncompleteHistory):
        names(past, blog.Article)


def test_rows_that_were_there_before_history(session, blog, history, execute):
    """Rows of which the first state was recorded were there at any time."""
    execute(insert(blog.Author).values(id=9, name="Old"))
    baseline(session, blog.Author)
    session.commit()
    session.get(blog.Author, 9).name = "New"
    session.commit()
    for transaction in history.all:
        with as_of(session, transaction) as past:
            assert names(past, blog.Author) == ["Ann", "Bob", "Old"]
    when = history.first.issued_at - timedelta(days=1)
    with as_of(session, when, on_incomplete="ignore") as past:
        assert names(past, blog.Author) == ["Old"]


def test_pruned_history(session, blog, history, execute):
    """Of what history was pruned from is known from the first version that is left."""
    Version = version_class(blog.Article)
    ids = [transaction.id for transaction in history.all]
    with as_of(session, ids[0]) as past:
        assert names(past, blog.Article) == ["a"]
    Transaction = transaction_class(blog.Article)
    execute(delete(Version).where(Version.transaction_id == ids[0]))
    execute(delete(Transaction.__table__).where(Transaction.id == ids[0]))
    with pytest.raises(VersioningError, match="there is no transaction"):
        as_of(session, ids[0])
    with as_of(session, ids[1]) as past:
        assert names(past, blog.Article) == ["b", "other"]
        assert names(past, blog.Author) == ["Ann", "Bob"]


def test_reading_what_there_is(session, blog, history, execute):
    """With on_incomplete='ignore' the past is what history tells of it."""
    execute(insert(blog.Author).values(id=9, name="Old"))
    with as_of(session, history.second, on_incomplete="ignore") as past:
        assert names(past, blog.Author) == ["Ann", "Bob"]


def test_looking_once(session, tables, blog, history, count_statements):
    """Whether history is complete is looked up once for each table and connection."""
    with as_of(session, history.first) as past:
        names(past, blog.Author)
    for transaction in history.all:
        with as_of(session, transaction) as past, count_statements(tables) as statements:
            names(past, blog.Author)
            names(past, blog.Author)
        assert statements.count == 2


# -- several histories -----------------------------------------------------------------------


def declare(Base, name, *, versioned=True):
    """Declare a class."""
    body = {
        "__tablename__": name.lower(),
        "__versioned__": {} if versioned else None,
        "__annotations__": {"id": Mapped[int], "name": Mapped[str]},
        "id": mapped_column(primary_key=True),
    }
    return type(name, (Base,), body)


def write(session, *objects):
    """Commit objects, then other names of them."""
    session.add_all(objects)
    session.commit()
    for each in objects:
        each.name = each.name.upper()
    session.commit()


def test_several_managers(engine, open_session):
    """Each manager has moments of its own, which a snapshot does not mix."""
    managers, bases = [VersioningManager() for _ in range(2)], [build_base() for _ in range(2)]
    for manager, base in zip(managers, bases, strict=True):
        make_versioned(mapper=base, manager=manager)
    One, Two = declare(bases[0], "One"), declare(bases[1], "Two")
    managers[1].transaction_cls = TransactionFactory(table_name="second_transaction")
    open_session(bases[0])
    session = open_session(bases[1])
    write(session, One(id=1, name="a"))
    write(session, Two(id=1, name="a"), Two(id=2, name="b"))

    told = "second_transaction for that of two, transaction for that of one; give a Transaction"
    with pytest.raises(VersioningError, match=f"1 may mean a transaction of several .*{told}"):
        as_of(session, 1)
    for cls, other in ((One, Two), (Two, One)):
        first = session.get(transaction_class(cls), 1)
        with as_of(session, first) as past:
            assert past.get(cls, 1).name == "a"
            with pytest.raises(VersioningError, match="has a history of its own"):
                past.get(other, 1)
    with as_of(session, session.get(transaction_class(One), 1)) as past:
        found = past.get(One, 1)
    remove_versioning(manager=managers[1])
    with pytest.raises(ReadOnlySnapshot):
        session.add(found)
    remove_versioning(manager=managers[0])


def test_sessions_without_versioning(unversioned, engine):
    """An object in a snapshot gets into no session that versioning was not given, either."""

    class Own(Session):
        pass

    manager, base = VersioningManager(), build_base()
    make_versioned(mapper=base, session=Own, manager=manager)
    One = declare(base, "One")
    configure_mappers()
    base.metadata.create_all(engine)
    with Own(engine) as session, Session(engine) as other:
        write(session, One(id=1, name="a"))
        with as_of(session, 1) as past:
            found = past.get(One, 1)
            for method in (other.add, other.delete):
                with pytest.raises(ReadOnlySnapshot, match="cannot be used in another session"):
                    method(found)
    remove_versioning(manager=manager)


def test_several_databases(tables, tmp_path, versioning):
    """A session with several databases has one past, in which each keeps its part.

    A table that is not versioned may have the name of one that is, in another database.
    """
    bases = [build_base() for _ in range(2)]
    One, Two = declare(bases[0], "One"), declare(bases[1], "Two")
    Other = declare(bases[1], "One", versioned=False)
    configure_mappers()
    engines = [create_engine(f"sqlite:///{tmp_path}/{n}.db") for n in range(2)]
    for base, engine in zip(bases, engines, strict=True):
        base.metadata.create_all(engine)
    with Session(binds=dict(zip(bases, engines, strict=True))) as session:
        write(session, One(id=1, name="a"), Two(id=1, name="b"), Other(id=1, name="c"))
        with as_of(session, 1) as past, as_of(session, 2) as other:
            found = [each.get(cls, 1).name for each in (past, other) for cls in (One, Two, Other)]
    for engine in engines:
        engine.dispose()
    assert found == ["a", "b", "C", "A", "B", "C"]
