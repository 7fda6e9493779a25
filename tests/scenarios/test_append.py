"""Every event a version of its own: what the strategy ``append`` keeps that others merge."""

import uuid

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sqlalchemy_versioned import (
    Operation,
    as_of,
    blame,
    get_changes,
    transaction_class,
    transaction_context,
    version_class,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.exc import (
    ClassNotVersioned,
    ImproperlyConfigured,
    IncompleteHistory,
    InvalidArgument,
    MissingSessionVariable,
)
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.model.lookup import table_spec_of
from sqlalchemy_versioned.said_options import build_options
from tests.models import Models

pytestmark = pytest.mark.options(strategy="append")

INSERT, UPDATE, DELETE = Operation


@pytest.fixture
def models(keep):
    """Pages with tags, and animals of which some are dogs."""

    def build(Base):
        link = Table(
            "page_tag",
            Base.metadata,
            Column("page_id", ForeignKey("page.id"), primary_key=True),
            Column("tag_id", ForeignKey("tag.id"), primary_key=True),
        )

        class Tag(Base):
            __tablename__ = "tag"
            __versioned__ = {}
            id: Mapped[int] = mapped_column(primary_key=True)

        class Page(Base):
            __tablename__ = "page"
            __versioned__ = {}
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str]
            tags: Mapped[list[Tag]] = relationship(secondary=link)

        class Animal(Base):
            __tablename__ = "animal"
            __versioned__ = {}
            __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
            id: Mapped[int] = mapped_column(primary_key=True)
            kind: Mapped[str]
            name: Mapped[str]

        class Dog(Animal):
            __tablename__ = "dog"
            __mapper_args__ = {"polymorphic_identity": "dog"}
            id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
            bark: Mapped[str]

        models = Models(Base, Tag, Page, Animal, Dog)
        models.link = link
        return models

    return keep(build)


def told(session, cls, *names):
    """Return operation and values of all versions of a class, in order."""
    session.expire_all()
    found = version_class(cls)
    rows = session.scalars(select(found).order_by(found.transaction_id, found.version_id))
    return [(row.operation_type, *[getattr(row, name) for name in names]) for row in rows]


def write_four(session, page):
    """Write a page four times in one transaction."""
    session.add(page)
    for text in ("b", "c", "a"):
        session.flush()
        page.text = text
    session.commit()
    return page


def test_events_of_one_transaction_are_all_kept(session, models):
    """Each flush that changes a row makes a version, in order, also one that undoes the rest."""
    page = write_four(session, models.Page(text="a"))
    numbers = [version.version_id for version in page.versions]

    assert told(session, models.Page, "text") == [
        (INSERT, "a"),
        (UPDATE, "b"),
        (UPDATE, "c"),
        (UPDATE, "a"),
    ]
    assert numbers == sorted(set(numbers))
    assert len({version.transaction_id for version in page.versions}) == 1
    assert verify(session) == []


def test_row_that_comes_and_goes(session, models):
    """What is made and deleted in one transaction leaves both events."""
    page = models.Page(text="a")
    session.add(page)
    session.flush()
    session.delete(page)
    session.commit()

    assert told(session, models.Page, "text") == [(INSERT, "a"), (DELETE, "a")]


def test_nothing_changed_is_nothing(session, models):
    """An update that leaves a row as it was makes no version, and no transaction."""
    page = models.Page(text="a")
    session.add(page)
    session.commit()
    page.text = models.Page.text + ""
    session.commit()
    session.execute(update(models.Page).values(text="a"))
    session.commit()

    assert told(session, models.Page, "text") == [(INSERT, "a")]
    assert session.query(transaction_class(models.Page)).count() == 1


@pytest.mark.options(strategy="append", record_unchanged=True)
def test_unchanged_rows_can_be_recorded(session, models):
    """With record_unchanged, every UPDATE is an event of each row that it matches."""
    session.add_all([models.Page(text="a"), models.Page(text="b")])
    session.commit()
    session.execute(update(models.Page).values(text="b"))
    session.commit()

    assert told(session, models.Page, "text")[2:] == [(UPDATE, "b"), (UPDATE, "b")]


def test_neighbours_within_a_transaction(session, models):
    """A version leads to those beside it, whose transaction is the same."""
    versions = write_four(session, models.Page(text="a")).versions.all()
    one, two, three, four = versions

    assert [version.index for version in versions] == [0, 1, 2, 3]
    assert (one.previous, two.previous, four.next) == (None, one, None)
    assert (one.next, three.next) == (two, four)
    assert three.changeset == {"text": ["b", "c"]}
    assert two in one.version_parent.versions


def test_the_end_of_a_transaction_is_what_was(session, models):
    """As of a transaction there is what its last event left; versions lead to what was then."""
    page = models.Page(text="a", tags=[models.Tag(id=1)])
    write_four(session, page)
    number = page.versions[0].transaction_id
    page.text, page.tags = "z", [models.Tag(id=2)]
    session.commit()

    with as_of(session, number) as past:
        found = past.scalars(select(models.Page)).one()
        assert (found.text, [tag.id for tag in found.tags]) == ("a", [1])
    assert page.versions.at(number) is page.versions[3]
    tags = [[tag.id for tag in version.tags] for version in page.versions]
    assert tags == [[1], [1], [1], [1], [2]]


def test_change_records_of_events(session, models):
    """Each event is a record with the values before it; members that changed are one more."""
    page = write_four(session, models.Page(text="a"))
    page.text, page.tags = "z", [models.Tag(id=2)]
    session.commit()
    records = get_changes(models.Page, session, relations=["tags"], descending=False)
    changes = [[(c.field, c.old, c.new) for c in each.changes] for each in records]

    assert changes[1:4] == [[("text", "a", "b")], [("text", "b", "c")], [("text", "c", "a")]]
    assert len(changes) == 6
    assert [("text", "a", "z")] in changes
    assert [("tags", [], [2])] in changes
    assert (
        get_changes(models.Page, session, limit=2, offset=1, descending=False)
        == get_changes(models.Page, session, descending=False)[1:3]
    )


def test_blame_of_a_version_within_a_transaction(session, models):
    """What follows a version in its transaction has not happened yet."""
    page = models.Page(text="a")
    session.add(page)
    session.commit()
    page.text = "b"
    session.flush()
    page.text = "c"
    session.commit()
    first, last = session.scalars(
        select(transaction_class(models.Page)).order_by(transaction_class(models.Page).id)
    )

    assert blame(page)["text"] is last
    assert blame(page.versions[1])["text"] is last
    assert blame(page.versions[0])["text"] is first


def test_revert_to_a_version_within_a_transaction(session, models):
    """Any event can be gone back to, which is one more event."""
    page = write_four(session, models.Page(text="a"))
    page.versions[2].revert()
    session.commit()

    assert page.text == "c"
    assert told(session, models.Page, "text")[-1] == (UPDATE, "c")


@pytest.mark.needs("savepoints")
def test_savepoint_that_is_rolled_back(session, models):
    """What was recorded in it is gone, and the rest stays as it is."""
    page = models.Page(text="a")
    session.add(page)
    session.flush()
    savepoint = session.begin_nested()
    page.text = "lost"
    session.flush()
    savepoint.rollback()
    page.text = "b"
    session.commit()

    assert told(session, models.Page, "text") == [(INSERT, "a"), (UPDATE, "b")]


def test_parts_of_an_object_are_of_one_event(session, models):
    """A change in one table of an object makes rows in all, with one id."""
    dog = models.Dog(name="a", bark="x")
    session.add(dog)
    session.flush()
    dog.bark = "y"
    session.flush()
    dog.name = "b"
    session.commit()
    session.execute(update(models.Dog.__table__).values(bark="z"))
    session.execute(update(models.Dog.__table__).values(bark="z"))
    session.commit()

    assert told(session, models.Dog, "name", "bark") == [
        (INSERT, "a", "x"),
        (UPDATE, "a", "y"),
        (UPDATE, "b", "y"),
        (UPDATE, "b", "z"),
    ]
    session.delete(dog)
    session.commit()
    assert told(session, models.Dog, "name", "bark")[-1] == (DELETE, "b", "z")
    assert verify(session) == []


def test_part_of_an_object_that_is_deleted(session, models):
    """A row that a statement takes from an object is an event of the rest of it too."""
    dog = models.Dog(name="a", bark="x")
    session.add(dog)
    session.commit()
    session.execute(delete(models.Dog.__table__))
    session.commit()

    assert told(session, models.Animal, "name") == [(INSERT, "a"), (UPDATE, "a")]
    assert verify(session) == []


def test_part_of_an_object_that_comes_back(session, models):
    """What is written to an object is no event of a row that it does not have (any more)."""
    session.add(models.Dog(id=1, name="a", bark="x"))
    session.commit()
    session.delete(session.get(models.Dog, 1))
    session.flush()
    session.add(models.Animal(id=1, name="b"))
    session.flush()
    session.execute(update(models.Animal.__table__).values(kind="dog"))
    session.execute(insert(models.Dog.__table__).values(id=1, bark="y"))
    session.commit()

    bark = version_table(models.Dog).c
    found = session.execute(select(bark.operation_type, bark.bark).order_by(bark.version_id))
    assert found.all() == [(INSERT, "x"), (DELETE, "x"), (INSERT, "y")]
    assert verify(session, models.Animal) == []


def test_statements_are_events(session, models):
    """What statements do is recorded once for each, also within one transaction."""
    session.execute(insert(models.Page), [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}])
    session.execute(update(models.Page).values(text="c"))
    session.execute(update(models.Page).where(models.Page.id == 1).values(id=7))
    session.execute(delete(models.Page).where(models.Page.id == 2))
    session.commit()

    assert told(session, models.Page, "id", "text") == [
        (INSERT, 1, "a"),
        (INSERT, 2, "b"),
        (UPDATE, 1, "c"),
        (UPDATE, 2, "c"),
        (DELETE, 1, "c"),
        (INSERT, 7, "c"),
        (DELETE, 2, "c"),
    ]
    assert verify(session) == []


def test_links_are_events(session, models):
    """A link that comes and goes in one transaction leaves both."""
    page = models.Page(text="a", tags=[models.Tag(id=1)])
    session.add(page)
    session.flush()
    page.tags.clear()
    session.commit()
    spec = table_spec_of(models.link)
    rows = session.execute(select(spec.operation_column).order_by(*spec.place))

    assert rows.scalars().all() == [INSERT, DELETE]


def test_cost_of_a_flush(session, models, engine, count_statements, mode):
    """A flush takes one statement for each version table, however many rows, and triggers none."""
    session.add_all([models.Page(text="a") for _ in range(30)])
    session.commit()
    for text in "bc":
        for page in session.scalars(select(models.Page)).all():
            page.text = text
        with count_statements(engine) as statements:
            session.commit()

    # The first update of all looks whether there are rows without versions.
    assert statements.on("page_version").count == mode.pick(1, 0)


@pytest.mark.options(strategy="append", version_id_type="uuid", version_id_column_name="rev_id")
def test_ids_can_be_uuids(session, models):
    """UUIDs are given in the order of events, to the tables of a subclass and to links as well."""
    page = models.Page(text="a", tags=[models.Tag(id=1)])
    session.add_all([page, dog := models.Dog(name="a", bark="x")])
    for text in "bcd":
        session.flush()
        page.text = dog.bark = text
    page.tags.clear()
    session.commit()
    numbers = [version.rev_id for version in page.versions]

    assert all(isinstance(number, uuid.UUID) for number in numbers)
    assert [version.text for version in page.versions] == list("abcd")
    assert numbers == sorted(set(numbers))
    assert [version.bark for version in dog.versions] == list("xbcd")
    assert verify(session) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"strategy": "append", "version_id_type": "serial"}, "'integer', 'uuid'"),
        ({"strategy": "subquery", "record_unchanged": True}, "choose strategy='append'"),
        ({"strategy": "append", "version_id_column_name": "transaction_id"}, "different names"),
    ],
)
def test_options_that_do_not_fit(said, expected):
    """What an id cannot be, and what only this strategy does, is refused with the ways out."""
    with pytest.raises(ImproperlyConfigured, match=expected):
        build_options(said, owner="Page")


def test_subclass_that_is_recorded_otherwise(Base, versioning):
    """The tables of one object are recorded in one way; what differs is refused."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Dog(Animal):
        __tablename__ = "dog"
        __versioned__ = {"strategy": "validity"}
        __mapper_args__ = {"polymorphic_identity": "dog"}
        id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="say the same of all classes"):
        Base.registry.configure()
    Base.registry.dispose()


def test_column_of_the_name_of_ids(Base, versioning):
    """A column that is called like the ids of versions is refused with the option to set."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"strategy": "append"}
        version_id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="version_id_column_name"):
        Base.registry.configure()
    Base.registry.dispose()


def test_table_without_a_class(Base, engine):
    """Events of a table that no class is mapped to are kept one by one, too."""
    table = Table(
        "note", Base.metadata, Column("id", Integer, primary_key=True), Column("text", String(9))
    )
    versioned_table(table, strategy="append")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(table).values(id=1, text="a"))
        for text in "bb":
            session.execute(update(table).values(text=text))
        session.execute(delete(table))
        session.commit()
        versions = version_table(table)
        rows = session.execute(select(versions).order_by(versions.c.version_id)).all()

        assert [(row.operation_type, row.text) for row in rows] == [
            (INSERT, "a"),
            (UPDATE, "b"),
            (DELETE, "b"),
        ]
        records = get_changes(table, session, descending=False)
        assert [record.operation for record in records] == [INSERT, UPDATE, DELETE]


VARIABLES = {
    "session_variables": [
        Column("reason", String(50)),
        Column("ticket", Integer, nullable=False),
    ],
    "session_variable_prefix": "audit_",
}


@pytest.mark.options(strategy="append", **VARIABLES)
def test_context_of_each_event(session, models):
    """Versions keep what was said when they were made, each its own, whoever reads them."""
    with transaction_context(ticket=1):
        page = models.Page(text="a", tags=[models.Tag(id=1)])
        session.add(page)
        session.flush()
    with transaction_context(reason="typo", ticket=2):
        page.text, page.tags = "b", []
        session.flush()
        session.execute(update(models.Page).values(text="c"))
        session.commit()
    columns = version_class(models.Page).__table__.c

    assert (columns.reason.name, columns.ticket.name) == ("audit_reason", "audit_ticket")
    assert told(session, models.Page, "text", "reason", "ticket") == [
        (INSERT, "a", None, 1),
        (UPDATE, "b", "typo", 2),
        (UPDATE, "c", "typo", 2),
    ]
    links = table_spec_of(models.link)
    said = select(links.version_table.c.ticket).order_by(*links.place)
    assert session.scalars(said).all() == [1, 2]
    records = get_changes(models.Page, session, descending=False)
    assert [record.reason for record in records] == [None, "typo", "typo"]
    assert page.versions[1].to_dict()["ticket"] == 2


@pytest.mark.options(strategy="append", **VARIABLES)
def test_event_without_what_must_be_said(session, models, mode):
    """It is refused, by a flush or a statement, and nothing is written."""
    session.add(models.Page(text="a"))
    missing = mode.pick(MissingSessionVariable, IntegrityError)
    with pytest.raises(missing, match=mode.pick("'ticket' is not said", "ticket is missing")):
        session.flush()
    session.rollback()
    with transaction_context(ticket=""), pytest.raises(InvalidArgument, match="ticket"):
        session.execute(insert(models.Page).values(text="a"))
    with pytest.raises(missing):
        session.execute(insert(models.Dog.__table__).values(id=1, bark="x"))
    session.rollback()

    assert session.query(models.Page).count() == 0
    assert told(session, models.Page) == []


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("text", String(9)), "session_variable_prefix"),
        (Column("who", String(9), server_default="x"), "has a default of the database"),
        (Column("who", String(9), default=func.lower("X")), "has a default of the database"),
    ],
)
def test_variables_that_versions_cannot_have(Base, versioning, column, message):
    """A session variable is refused that is called like a column, or that only SQL could fill."""
    versioning.options["session_variables"] = [column]

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]

    with pytest.raises(ImproperlyConfigured, match=message):
        Base.registry.configure()
    Base.registry.dispose()


# -- tables without a key ------------------------------------------------------------------------


@pytest.fixture
def log(Base, engine):
    """A table without a primary key, of which every event is kept."""
    columns = [Column("line", String(50)), Column("rank", Integer, server_default="7")]
    table = versioned_table(Table("log", Base.metadata, *columns), strategy="append")
    Base.metadata.create_all(engine)
    return table


def events(session, table):
    """Return the events of a table without a key."""
    versions = version_table(table)
    rows = session.execute(select(versions).order_by(versions.c.version_id))
    return [(row.operation_type, row.line, row.rank) for row in rows]


@pytest.mark.needs("returning")
def test_rows_without_a_key(log, engine):
    """Rows that nothing tells apart are events all the same, as often as there are such rows."""
    with Session(engine) as session:
        session.execute(insert(log), [{"line": "a"}, {"line": "a"}, {"line": None}])
        session.execute(insert(log).values(line="b", rank=1))
        assert session.execute(update(log).where(log.c.rank == 1).values(rank=2)).rowcount == 1
        assert session.execute(delete(log).where(log.c.line == "a")).rowcount == 2
        session.commit()

        assert events(session, log) == [
            *[(INSERT, line, 7) for line in ("a", "a", None)],
            (INSERT, "b", 1),
            (UPDATE, "b", 2),
            *[(DELETE, "a", 7)] * 2,
        ]
        assert session.execute(select(transaction_class(log).id)).scalars().all() == [1]


@pytest.mark.needs("returning")
def test_rows_without_a_key_that_are_taken_back(log, engine):
    """What a savepoint takes back, or the database refuses, is no event."""
    with Session(engine) as session:
        savepoint = session.begin_nested()
        session.execute(insert(log).values(line="lost"))
        savepoint.rollback()
        session.execute(update(log).values(line="none"))
        session.commit()

        assert events(session, log) == []
        assert session.execute(select(transaction_class(log).id)).all() == []


@pytest.mark.needs("returning")
def test_statements_that_rows_without_a_key_hide_from(log, engine, mode):
    """What does not tell a session its rows is refused before it is executed."""
    with Session(engine) as session:
        session.execute(insert(log).values(line="a"))
        for statement, sets in [
            (delete(log).returning(log.c.line), None),
            (update(log).where(log.c.line == bindparam("of")), [{"of": "a"}, {"of": "b"}]),
        ]:
            with mode.escapes(r"no key|of several sets"):
                session.connection().execute(statement.values(rank=1) if sets else statement, sets)
        session.commit()
        assert len(events(session, log)) == mode.pick(1, 2)


def test_past_of_rows_without_a_key(log, engine):
    """Nothing tells which row an event is of, so what asks for rows of the past is refused."""
    with Session(engine) as session:
        session.execute(select(transaction_class(log)))
        for ask in (
            lambda: get_changes(log, session),
            lambda: verify(session, log),
        ):
            with pytest.raises(IncompleteHistory, match="log has no primary key"):
                ask()
        with pytest.raises(ClassNotVersioned, match="nor tables with a key"):
            as_of(session, 1)
        assert verify(session) == []


@pytest.mark.needs("returning")
def test_past_beside_rows_without_a_key(log, engine):
    """Other tables can be read at any moment all the same."""
    columns = [Column("id", Integer, primary_key=True), Column("amount", Integer)]
    price = versioned_table(Table("price", log.metadata, *columns))
    log.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(price).values(id=1, amount=5))
        session.execute(insert(log).values(line="a"))
        session.commit()
        session.execute(update(price).values(amount=6))
        session.commit()

        first = session.scalars(select(transaction_class(price))).first()
        with as_of(session, first) as past:
            assert past.execute(select(price)).all() == [(1, 5)]
            with pytest.raises(IncompleteHistory, match="log has no primary key"):
                past.execute(select(log))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strategy": "validity"}, "choose strategy='append'"),
        ({"strategy": "append", "ignore": ["line"]}, "leave out 'ignore' and 'mask'"),
    ],
)
def test_table_without_a_key_of_which_more_is_asked(versioning, options, expected):
    """What needs to know a row is refused when the table is declared."""
    table = Table("log", MetaData(), Column("line", String(50)))
    with pytest.raises(ImproperlyConfigured, match=expected):
        versioned_table(table, **options)


def test_table_without_a_key_that_the_database_changes(versioning):
    """Nothing tells which rows go along with a row that they refer to."""
    metadata = MetaData()
    Table("page", metadata, Column("id", Integer, primary_key=True))
    page = ForeignKey("page.id", ondelete="CASCADE")
    with pytest.raises(ImproperlyConfigured, match="leave out ON DELETE"):
        versioned_table(Table("log", metadata, Column("page_id", page)), strategy="append")


# -- the id of the newest version in the row itself ------------------------------------------------


@pytest.mark.options(native=False)
@pytest.mark.parametrize("kind", ["integer", "uuid"])
def test_rows_have_the_id_of_their_newest_version(Base, versioning, open_session, kind):
    """After each flush and statement the row says which version it is; nothing else changes."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {
            "version_id_type": kind,
            "version_id_column_name": "rev_id",
            "revision_id_column_name": "rev_id",
        }
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        count: Mapped[int] = mapped_column(default=1, onupdate=literal_column("count + 1"))
        rev_id: Mapped[int | None] = mapped_column(Integer if kind == "integer" else Uuid)

    session = open_session(Base)
    page, other = Page(text="a"), Page(text="x")
    session.add_all([page, other])
    session.flush()
    seen = [(page.rev_id, page.count)]
    page.text = "b"
    session.flush()
    seen.append((page.rev_id, page.count))
    session.execute(update(Page).where(Page.id == page.id).values(text="c"))
    seen.append((page.rev_id, page.count))
    session.commit()

    assert seen == [(version.rev_id, version.count) for version in page.versions]
    assert [count for _, count in seen] == [1, 2, 3]
    assert other.rev_id == other.versions[0].rev_id
    assert verify(session) == []
    with as_of(session, page.versions[0].transaction_id) as past:
        assert past.get(Page, page.id).rev_id == seen[-1][0]


@pytest.mark.needs("concurrent_writers")
def test_id_of_a_version_of_a_transaction_drawn_early(Base, versioning, open_session):
    """Who was drawn first and writes last shows the version of their own."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"revision_id_column_name": "rev"}
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        rev: Mapped[int | None]

    engine = open_session(Base).get_bind().execution_options(isolation_level="READ COMMITTED")
    early = Session(engine)
    early.add(Page(id=1, text="a"))
    early.commit()
    early.add(Page(id=2, text="x"))
    early.flush()
    with Session(engine) as other:
        other.get(Page, 1).text = "b"
        other.commit()
    page = early.get(Page, 1)
    page.text = "c"
    early.commit()

    assert page.rev == page.versions[-1].version_id
    assert verify(early) == []
    early.close()


@pytest.mark.parametrize(
    ("column", "options", "expected"),
    [
        (Column("other", Integer), {}, "has no column 'rev'"),
        (Column("rev", String(36)), {}, "declare it with the type BigInteger"),
        (Column("rev", Integer, nullable=False), {}, "let it be nullable"),
        (Column("rev", Integer), {"strategy": "validity"}, "under strategy='append'"),
    ],
)
@pytest.mark.options(native=False)
def test_column_that_cannot_have_the_id(versioning, column, options, expected):
    """What cannot have the id of the newest version is refused when the table is declared."""
    table = Table("page", MetaData(), Column("id", Integer, primary_key=True), column._copy())
    said = {"strategy": "append", "revision_id_column_name": "rev"} | options
    with pytest.raises(ImproperlyConfigured, match=expected):
        versioned_table(table, **said)


# -- what did not happen, or is told repeatedly ---------------------------------------------------


@pytest.fixture
def family(Base, open_session):
    """Parents, whom children keep, and dogs, which go along with their owners."""

    class Owner(Base):
        __tablename__ = "owner"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Child(Base):
        __tablename__ = "child"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id"))

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        id: Mapped[int] = mapped_column(
            ForeignKey("owner.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
        )
        kind: Mapped[str]

    class Dog(Animal):
        __tablename__ = "dog"
        __mapper_args__ = {"polymorphic_identity": "dog"}
        id: Mapped[int] = mapped_column(
            ForeignKey("animal.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
        )

    session = open_session(Base)
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql("PRAGMA foreign_keys = ON")
    session.add_all([Owner(id=1), Owner(id=2)])
    session.flush()
    session.add_all([Child(id=1, owner_id=1), Dog(id=2)])
    session.commit()
    return session, Models(Base, Owner, Child, Animal, Dog)


@pytest.mark.needs("resumable")
def test_deletion_that_is_refused(family):
    """Rows that are still there have not been deleted, whatever was about to be recorded."""
    session, models = family
    with pytest.raises(IntegrityError):
        session.execute(delete(models.Owner))
    session.execute(delete(models.Owner).where(models.Owner.id == 2))
    session.commit()

    assert told(session, models.Owner, "id") == [(INSERT, 1), (INSERT, 2), (DELETE, 2)]
    assert verify(session) == []


def test_object_that_goes_along(family):
    """An object of several tables that goes with another is one event, of all its tables."""
    session, models = family
    session.execute(update(models.Owner).where(models.Owner.id == 2).values(id=3))
    session.execute(delete(models.Owner).where(models.Owner.id == 3))
    session.commit()

    for cls in (models.Animal, models.Dog):
        assert told(session, cls, "id") == [(INSERT, 2), (DELETE, 2), (INSERT, 3), (DELETE, 3)]
    assert verify(session) == []
