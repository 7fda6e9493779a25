"""Tables without a class are recorded whatever writes them, and read as all others are."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, mapped_column, relationship, sessionmaker

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    IncompleteHistory,
    Operation,
    VersioningManager,
    VersionIsImmutable,
    as_of,
    count_versions,
    get_changes,
    make_versioned,
    paused,
    remove_versioning,
    transaction_class,
    transaction_context,
    vacuum,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.maintenance import FaultKind, baseline, prune, redact, verify

INSERT, UPDATE, DELETE = Operation


@pytest.fixture
def metadata(versioning):
    """Tables of which no class knows anything: lines of pages, and what belongs to those."""
    metadata = MetaData()
    Table(
        "page",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("na me", String(50), key="name"),
        info={"versioned": {}},
    )
    page_id = ForeignKey("page.id", ondelete="CASCADE", onupdate="CASCADE")
    versioned_table(
        Table(
            "Line",
            metadata,
            Column("page_id", page_id, primary_key=True),
            Column("number", Integer, primary_key=True),
            Column("words", String(50)),
            Column("views", Integer, default=0),
        ),
        ignore=["views"],
        label="line",
    )
    return metadata


@pytest.fixture
def page(metadata):
    """A table with a column of another key than its name."""
    return metadata.tables["page"]


@pytest.fixture
def line(metadata):
    """A table with a key of two columns."""
    return metadata.tables["Line"]


@pytest.fixture
def session(metadata, open_session):
    """A session on the tables."""
    return open_session(metadata)


def history_of(session, table):
    """Return operation and columns but bookkeeping of each version, in order."""
    versions = version_table(table)
    columns = [versions.c[column.key] for column in table.columns]
    order = [versions.c.transaction_id, *[versions.c[c.key] for c in table.primary_key]]
    rows = session.execute(select(versions.c.operation_type, *columns).order_by(*order))
    return [(row[0], tuple(row[1:])) for row in rows]


@pytest.mark.strategies
def test_statements_in_a_session(session, page, line):
    """Each kind of statement makes versions of the rows that it touches."""
    session.execute(insert(page), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    session.execute(insert(line).values(page_id=1, number=1, words="x"))
    numbers = select(page.c.id, page.c.id + 1, page.c.name)
    session.execute(insert(line).from_select(["page_id", "number", "words"], numbers))
    session.commit()
    session.execute(update(page).where(page.c.name == "a").values(name=func.upper(page.c.name)))
    rows = [{"number_": number, "to": "y"} for number in (1, 2)]
    by_number = update(line).where(line.c.page_id == 1, line.c.number == bindparam("number_"))
    session.connection().execute(by_number.values(words=bindparam("to")), rows)
    session.commit()
    session.execute(delete(page).where(page.c.id == 1))
    session.commit()

    assert history_of(session, page) == [
        (INSERT, (1, "a")),
        (INSERT, (2, "b")),
        (UPDATE, (1, "A")),
        (DELETE, (1, "A")),
    ]
    assert [(o, row[:3]) for o, row in history_of(session, line)] == [
        (INSERT, (1, 1, "x")),
        (INSERT, (1, 2, "a")),
        (INSERT, (2, 3, "b")),
        (UPDATE, (1, 1, "y")),
        (UPDATE, (1, 2, "y")),
        (DELETE, (1, 1, "y")),
        (DELETE, (1, 2, "y")),
    ]
    assert verify(session) == []


def write_by_connections(engine, page):
    """Write by two connections, with a savepoint, and return the history of it."""
    with engine.begin() as connection:
        connection.execute(insert(page).values(id=1, name="a"))
        with connection.begin_nested() as savepoint:
            connection.execute(update(page).values(name="b"))
            savepoint.rollback()
    with engine.connect() as connection:
        connection.execute(update(page).values(name="c"))
        connection.rollback()
        connection.execute(update(page).values(name="d"))
        connection.execute(delete(page))
        connection.commit()
    with Session(engine) as session:
        transactions = session.scalars(select(transaction_class(page))).all()
        return history_of(session, page), len(transactions)


def test_connections_without_sessions(versioning, metadata, engine, page):
    """An application of connections alone is recorded once its engine is named."""
    metadata.create_all(engine)
    versioning.record_engine(engine)

    written = [(INSERT, (1, "a")), (DELETE, (1, "d"))]
    assert write_by_connections(engine, page) == (written, 2)


def test_connections_beside_named_sessions(engine):
    """So it is where a manager hears of some sessions only."""
    metadata, manager, factory = MetaData(), VersioningManager(), sessionmaker()
    manager.record_engine(engine)
    make_versioned(mapper=metadata, session=factory, manager=manager, user_cls=None)
    page = versioned_table(
        Table("page", metadata, Column("id", Integer, primary_key=True), Column("name", String(50)))
    )
    metadata.create_all(engine)

    written = [(INSERT, (1, "a")), (DELETE, (1, "d"))]
    assert write_by_connections(engine, page) == (written, 2)
    remove_versioning(manager=manager)


def test_changed_keys(session, page, line):
    """A row with another key is another row, and so are those that follow it."""
    session.execute(insert(page).values(id=1, name="a"))
    session.execute(insert(line).values(page_id=1, number=1, words="x"))
    session.commit()
    session.execute(update(page).values(id=2))
    session.commit()

    assert history_of(session, page)[1:] == [(DELETE, (1, "a")), (INSERT, (2, "a"))]
    assert [o for o, _ in history_of(session, line)] == [INSERT, DELETE, INSERT]
    assert verify(session) == []


def test_what_cannot_be_recorded(session, page, mode):
    """Sessions refuse text that writes a table; in a paused session nothing is recorded."""
    with mode.escapes("page"):
        session.execute(text("delete from page"))
    with paused(session):
        session.execute(insert(page).values(id=1, name="a"))
        session.commit()

    assert history_of(session, page) == []


def test_class_without_versions(Base, open_session):
    """What a class writes that is mapped to a table, and not versioned, is recorded."""

    class Page(Base):
        __tablename__ = "page"
        id = mapped_column(Integer, primary_key=True)
        name = mapped_column(String(50))

    table = versioned_table(Page.__table__)
    session = open_session(Base)
    pages = [Page(name="a"), Page(name="b")]
    session.add_all(pages)
    session.commit()
    pages[0].name = "c"
    session.delete(pages[1])
    session.commit()

    assert [(o, row[1]) for o, row in history_of(session, table)] == [
        (INSERT, "a"),
        (INSERT, "b"),
        (UPDATE, "c"),
        (DELETE, "b"),
    ]
    assert [r.object_id for r in get_changes(table, session, operations="U")] == [1]


def test_association_tables(Base, open_session):
    """An association table that is versioned by itself has one history with its relationship."""
    link = versioned_table(
        Table(
            "article_tag",
            Base.metadata,
            Column("article_id", ForeignKey("article.id"), primary_key=True),
            Column("tag_id", ForeignKey("tag.id"), primary_key=True),
        ),
        table_name="%s_past",
        capture="ignore",
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)
        tags = relationship(Tag, secondary=link)

    session = open_session(Base)
    article = Article(id=1, tags=[Tag(id=1), Tag(id=2)])
    session.add(article)
    session.commit()
    del article.tags[0]
    session.execute(delete(link).where(link.c.tag_id == 2))
    session.commit()

    assert version_table(link).name == "article_tag_past"
    assert [o for o, _ in history_of(session, link)] == [INSERT, INSERT, DELETE, DELETE]
    assert len(article.versions[0].tags) == 2
    # What was said of the table holds for its links.
    session.execute(text("DELETE FROM article_tag"))


def test_reading_the_past(session, page, line):
    """Statements about tables are read as of a moment."""
    session.execute(insert(page).values(id=1, name="a"))
    session.execute(insert(line).values(page_id=1, number=1, words="x"))
    session.commit()
    session.execute(update(page).values(name="b"))
    session.execute(delete(line))
    session.commit()
    first, last = session.scalars(select(transaction_class(page).id)).all()

    statement = select(page.c.name, line.c.words).outerjoin(line)
    for when, expected in ((first, [("a", "x")]), (last, [("b", None)])):
        with as_of(session, when) as past:
            assert past.execute(statement).all() == expected
    with pytest.raises(IncompleteHistory):
        as_of(session, datetime(2001, 1, 1, tzinfo=timezone.utc))


def test_change_records(session, page, line):
    """Records are read by key, field, moment and operation, as those of classes are."""
    begun = datetime.now(timezone.utc) - timedelta(minutes=1)
    session.execute(insert(page).values(id=1, name="a"))
    session.execute(insert(line), [{"page_id": 1, "number": n, "words": "x"} for n in (1, 2)])
    session.commit()
    session.execute(update(line).where(line.c.number == 2).values(words="y", views=3))
    session.execute(update(line).where(line.c.number == 1).values(views=3))
    session.commit()
    (record,) = get_changes(line, session, operations=UPDATE)

    assert (record.object_type, record.object_id) == ("line", (1, 2))
    assert [(c.field, c.old, c.new) for c in record.changes] == [
        ("words", "x", "y"),
        ("views", 0, 3),
    ]
    assert len(get_changes(line, session, object_ids=(1, 2), fields=["words"])) == 2
    assert len(get_changes(line, session, object_ids=[{"page_id": 1, "number": 1}])) == 1
    assert get_changes(line, session, between=(None, begun)) == []
    assert [r.changes[0].new for r in get_changes(page, session, fields=[page.c.name])] == ["a"]


@pytest.mark.options(transaction_columns=[Column("user_id", Integer), Column("reason", String(20))])
def test_changes_of_users(session, page):
    """Records are read by user, and tell why."""
    with transaction_context(user=7, reason="because"):
        session.execute(insert(page).values(id=1, name="a"))
        session.commit()
    session.execute(update(page).values(name="b"))
    session.commit()

    (record,) = get_changes(page, session, user_ids=[7])
    assert (record.operation, record.user_id, record.context["reason"]) == (INSERT, 7, "because")
    assert [each.operation for each in get_changes(page, session, user_ids=None)] == [
        UPDATE,
        INSERT,
    ]
    assert [each.operation for each in get_changes(page, session, user_ids=[None])] == [UPDATE]


def test_questions_that_cannot_be_answered(session, page, line):
    """Wrong keys, relationships and users are refused as they are of classes."""
    with pytest.raises(TypeError, match="page_id, number"):
        get_changes(line, session, object_ids=1)
    with pytest.raises(TypeError, match="of type str"):
        get_changes(page, session, object_ids="1")
    with pytest.raises(ValueError, match="no relationship of page"):
        get_changes(page, session, relations=["lines"])


def test_maintenance(session, page):
    """What is missing is found and made up for; versions that say nothing are removed."""
    with paused(session):
        session.execute(insert(page).values(id=1, name="a"))
        session.commit()
    (fault,) = verify(session, page)
    assert (fault.kind, fault.table) == (FaultKind.UNRECORDED, "page")
    assert baseline(session, page) == 1
    session.commit()
    session.execute(update(page).values(name="b"))
    session.commit()
    session.connection().exec_driver_sql("DELETE FROM page_version WHERE transaction_id > 0")
    assert FaultKind.DIFFERENT in {each.kind for each in verify(session, page)}
    session.rollback()

    assert vacuum(session, page) == 0
    assert redact(session, page, object_ids=1, columns="name") == 1
    assert prune(session, page, keep=1) == 1
    assert history_of(session, page) == [(UPDATE, (1, "b"))]


@pytest.mark.options(immutable_versions=True)
def test_immutable_versions(session, page):
    """Nobody but the library writes the versions of a table, if that is so wanted."""
    session.execute(insert(page).values(id=1, name="a"))
    with pytest.raises(VersionIsImmutable):
        session.execute(update(version_table(page)).values(name="b"))


def test_columns_that_are_appended(session, metadata, engine, page):
    """Writes are refused until it is said that a new column is to be kept, too."""
    page.append_column(Column("note", String(20)))
    metadata.drop_all(engine)
    with pytest.raises(ImproperlyConfigured, match="of note nothing would be kept"):
        session.execute(insert(page).values(id=1, name="a", note="n"))
    session.rollback()
    versioned_table(page)
    metadata.create_all(engine)
    session.execute(insert(page).values(id=1, name="a", note="n"))
    session.commit()

    assert history_of(session, page) == [(INSERT, (1, "a", "n"))]


def test_reflected_tables(session, metadata, engine, page):
    """A table whose columns come from the database is versioned like any."""
    reflected = Table("page", MetaData(), autoload_with=engine, info={"versioned": {}})

    assert [column.name for column in version_table(reflected).c] == [
        column.name for column in version_table(page).c
    ]


@pytest.mark.needs("schemas")
def test_schemas(versioning, engine, open_session):
    """Versions can be in another schema than their rows; schemas can stand for others."""
    with engine.begin() as connection:
        for name in ("wiki", "audit", "tenant"):
            connection.execute(text(f"CREATE SCHEMA {name}"))
    metadata = MetaData()
    columns = [Column("id", Integer, primary_key=True), Column("name", String(50))]
    page = versioned_table(Table("page", metadata, *columns, schema="wiki"), version_schema="audit")
    assert version_table(page).fullname == "audit.page_version"
    open_session(metadata)
    tenant = engine.execution_options(schema_translate_map={"wiki": "tenant"})
    page.create(tenant)
    with Session(tenant) as session:
        session.execute(insert(page).values(id=1, name="a"))
        session.commit()
        session.execute(update(page).values(name="b"))
        session.commit()
        first = session.scalars(select(transaction_class(page).id)).first()
        with as_of(session, first) as past:
            assert past.scalars(select(page.c.name)).all() == ["a"]
        assert [r.operation for r in get_changes(page, session)] == [UPDATE, INSERT]
        assert verify(session, page) == []
        assert count_of(session, "wiki.page") == 0


def count_of(session, name):
    """Return how many rows a table has in the database."""
    return session.connection().exec_driver_sql(f"SELECT count(*) FROM {name}").scalar()


def test_history_goes_on_with_a_class(Base, open_session):
    """A class that is versioned has the versions that its table has got without it."""
    columns = [Column("id", Integer, primary_key=True), Column("name", String(50))]
    table = versioned_table(Table("sheet", Base.metadata, *columns))
    session = open_session(Base)
    session.execute(insert(table).values(id=1, name="a"))
    session.commit()

    class Sheet(Base):
        __table__ = table
        __versioned__ = {}

    sheet = session.get(Sheet, 1)
    sheet.name = "b"
    session.commit()

    assert [version.name for version in sheet.versions] == ["a", "b"]
    assert count_versions(sheet) == 2
    assert verify(session, Sheet) == []
