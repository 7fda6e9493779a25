"""Statements that read the past: which tables they read, and by which names."""

import enum
import uuid
from contextlib import contextmanager, nullcontext
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PickleType,
    String,
    Table,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    table,
    tablesample,
    text,
)
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, aliased, configure_mappers, mapped_column, relationship
from sqlalchemy.schema import CreateSchema

from sqlalchemy_versioned import (
    IncompleteHistory,
    ReadOnlySnapshot,
    VersioningError,
    as_of,
    transaction_class,
    version_class,
    version_table,
)
from sqlalchemy_versioned._sqlalchemy import recompile
from sqlalchemy_versioned.query.temporal import PastCompiler


@pytest.fixture
def render(blog):
    """Return a function that renders a statement as it is sent to a database."""
    configure_mappers()

    def render(statement, dialect=None, **kw):
        at = bindparam("at", 1, BigInteger(), unique=True)
        past = recompile(statement, PastCompiler, parameter=at, scope=None, check=lambda *_: None)
        return str(past.compile(dialect=dialect or postgresql.dialect(), compile_kwargs=kw))

    return render


# -- which tables ----------------------------------------------------------------------------


def test_only_tables_that_are_read(blog, render):
    """A statement gets a CTE for each versioned table that it reads, and for no other."""
    sql = render(select(blog.Article.name).join(blog.Article.tags).join(blog.Article.category))
    names = ("article", "tag", "article_tag", "category", "author", "comment")
    assert [name for name in names if f"{name} AS NOT MATERIALIZED" in sql] == list(names[:3])


def test_each_table_once(blog, render):
    """A table that is read several times, by whatever name, gets one CTE."""
    one, two = aliased(blog.Article), aliased(blog.Article, name="two")
    inner = select(blog.Article.id).scalar_subquery()
    statement = select(one.id).join(two, two.id == one.id).where(one.id.in_(inner)).subquery()
    sql = render(select(statement))
    assert sql.count("article_version AS ") == 1
    assert "FROM article AS article_1 JOIN article AS two" in sql


def test_statement_without_versioned_tables(blog, render):
    """What is not versioned is read as ever."""
    for statement in (select(blog.Category), select(literal(1)), select(func.now())):
        assert render(statement) == str(statement.compile(dialect=postgresql.dialect()))


def test_versions_are_not_hidden(blog, render):
    """Version tables and the table of transactions are read as they are."""
    for cls in (version_class(blog.Article), transaction_class(blog.Article)):
        assert "WITH" not in render(select(cls))


def test_values_in_the_text(blog, render):
    """A statement can be written out with its values, those of the past among them."""
    sql = render(select(blog.Tag.id).where(blog.Tag.id == 7), literal_binds=True)
    assert "transaction_id <= 1 " in sql
    assert "%(" not in sql


@pytest.mark.parametrize("dialect", [sqlite, mysql, postgresql])
def test_materializing(blog, render, dialect):
    """Databases that might are told not to compute whole tables of the past."""
    sql = render(select(blog.Tag), dialect.dialect())
    assert ("NOT MATERIALIZED" in sql) is (dialect is not mysql)


def test_tables_of_that_name(session, blog):
    """Other Table objects of the name of a versioned table read the past of the same rows."""
    session.add(blog.Tag(id=1, name="a"))
    session.commit()
    session.get(blog.Tag, 1).name = "b"
    session.commit()
    connection = session.connection()
    reflected = Table("tag", MetaData(), autoload_with=connection)
    schema = connection.dialect.default_schema_name
    qualified = Table("tag", MetaData(), autoload_with=connection, schema=schema)
    made = table("tag", Column("id", Integer), Column("name", String))
    copied = blog.Tag.__table__.to_metadata(MetaData())
    with as_of(session, 1) as past:
        for each in (reflected, qualified, made, copied, made.alias(), copied.alias("other")):
            assert past.execute(select(each)).all() == [(1, "a")]


def test_groups_by_a_primary_key(blog, render):
    """Databases that know what a key decides are told, as they know nothing of keys of CTEs."""
    grouped = select(blog.Tag.name, func.count()).group_by(blog.Tag.id)
    assert render(grouped).endswith("GROUP BY tag.id, tag.name")
    assert render(grouped, sqlite.dialect()).endswith("GROUP BY tag.id")
    for other in (
        select(func.count()).group_by(blog.Tag.id),
        select(func.count()).group_by(blog.Tag.name),
        select(blog.Category.id).group_by(blog.Category.id),
    ):
        assert render(other).rpartition(" GROUP BY ")[2].count(".") == 1


def test_nested_ctes(blog, render):
    """Inside of a CTE that is nested in a subquery, tables are hidden there, too."""
    nested = select(blog.Tag.name).cte("nested", nesting=True)
    inner = select(nested.c.name).subquery()
    sql = render(select(inner).join(blog.Tag, blog.Tag.name == inner.c.name))
    assert sql.startswith("WITH tag AS NOT MATERIALIZED")
    assert "WITH nested AS \n(WITH tag AS NOT MATERIALIZED" in sql


# -- names -----------------------------------------------------------------------------------


def test_names_that_need_quotes(Base, open_session):
    """Tables and columns have whatever names, reserved words and long ones among them."""
    long = "Long" * 14

    class Order(Base):
        __tablename__ = "Order"
        __versioned__ = {}
        id: Mapped[int] = mapped_column("Id", primary_key=True)
        group: Mapped[str] = mapped_column("group")

    class Select(Base):
        __tablename__ = "select"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        order_id: Mapped[int] = mapped_column("from", ForeignKey("Order.Id"))
        order: Mapped[Order] = relationship()

    class Long(Base):
        __tablename__ = long
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(long)

    session = open_session(Base)
    order, it = Order(id=1, group="a"), Long(id=1, name="a")
    session.add_all([Select(id=1, order=order), it])
    session.commit()
    order.group = it.name = "b"
    session.commit()
    with as_of(session, 1) as past:
        assert past.scalars(select(Order.group).join(Select)).all() == ["a"]
        assert past.get(Select, 1).order.group == "a"
        assert past.scalars(select(aliased(Long).name)).all() == ["a"]
        assert past.get(Long, 1).name == "a"


def test_name_of_a_cte(session, blog):
    """A CTE must not have the name of a versioned table that the statement reads."""
    own = select(blog.Tag.id).cte("tag")
    other = select(blog.Tag.id).cte("article")
    session.add(blog.Tag(id=1, name="a"))
    session.commit()
    with as_of(session, 1) as past:
        with pytest.raises(VersioningError, match="two tables called 'tag'"):
            past.scalars(select(own.c.id)).all()
        with pytest.raises(VersioningError, match="two tables called 'tag'"):
            past.scalars(select(blog.Article.id).join(own, own.c.id == blog.Article.id)).all()
        assert past.scalars(select(other.c.id)).all() == [1]


def test_names_of_aliases(session, blog):
    """Aliases and subqueries may have the names of tables."""
    session.add(blog.Tag(id=1, name="a"))
    session.commit()
    with as_of(session, 1) as past:
        one, two = aliased(blog.Tag, name="article"), select(blog.Tag.id).subquery("tag")
        assert past.scalars(select(one.name)).all() == ["a"]
        assert past.scalars(select(two.c.id)).all() == [1]


# -- text ------------------------------------------------------------------------------------

REFUSED = [
    lambda blog: text("SELECT 1"),
    lambda blog: text("SELECT id FROM tag").columns(id=Integer),
    lambda blog: select(blog.Tag).from_statement(text("SELECT * FROM tag")),
    lambda blog: select(text("count(*) FROM tag")),
    lambda blog: select(literal_column("(SELECT max(id) FROM tag)")),
    lambda blog: select(text("x")).select_from(text("tag")),
    lambda blog: select(blog.Tag.id).where(text("id IN (SELECT id FROM tag)")),
    lambda blog: select(blog.Tag.id).where(text("id IN (select id\nfrom\ttag)")),
    lambda blog: select(blog.Tag.id).where(text("id IN (TABLE tag)")),
    lambda blog: select(blog.Tag.id).order_by(text("(SELECT max(id) FROM tag)")),
    lambda blog: select(blog.Tag.id).group_by(text("1 UNION SELECT 1 FROM tag")),
    lambda blog: select(blog.Tag.id).where(text(r"name = 'a\\'' OR id IN (SELECT 1 FROM tag)")),
    lambda blog: select(blog.Tag.id).where(text("true -- '\n OR id IN (SELECT 1 FROM tag) -- '")),
    lambda blog: select(blog.Tag.id).where(text("extract(year FROM (SELECT now() FROM tag)) > 1")),
    lambda blog: select(blog.Tag.id).prefix_with(text("(SELECT 1 FROM tag),")),
    lambda blog: select(blog.Tag.id).suffix_with("UNION SELECT id FROM tag"),
    lambda blog: select(func.coalesce(text("(SELECT 1 FROM tag)"))),
]

ALLOWED = [
    "id > 1",
    "name = 'from here' AND name <> 'it''s from'",
    'tag."from" > 1',
    "tag.`table` > 1",
    "name IS DISTINCT FROM 'x'",
    "extract(year FROM name) > 1",
    "trim(both 'x' from name) = substring(name from 2)",
    "update_count > from_id",
    "note = :note",
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_text_that_names_tables(blog, render, number):
    """SQL text that may name tables is refused, as it would read the present."""
    with pytest.raises(ReadOnlySnapshot, match="may name tables, which would be read as they are"):
        render(REFUSED[number](blog))


def test_text_that_names_no_tables(blog, render):
    """Fragments of SQL text are taken as they are."""
    for fragment in ALLOWED:
        assert fragment.partition(":")[0] in render(select(blog.Tag.id).where(text(fragment)))
    assert "max(id)" in render(select(literal_column("max(id)")).select_from(blog.Tag))


# -- hints and samples -----------------------------------------------------------------------


def test_hints(blog, render):
    """Hints about the indexes of a table are left out; its past has others."""
    for entity in (blog.Tag, aliased(blog.Tag)):
        hinted = select(entity.id).with_hint(entity, "USE INDEX (name)")
        assert "USE INDEX" not in render(hinted, mysql.dialect())
    hinted = select(blog.Category.id).with_hint(blog.Category, "USE INDEX (name)")
    assert "USE INDEX" in render(hinted, mysql.dialect())


def test_samples(blog, render):
    """The past of a table cannot be sampled, other tables can."""
    with pytest.raises(VersioningError, match="tag cannot be sampled in the past"):
        render(select(tablesample(blog.Tag.__table__, 10)))
    assert "TABLESAMPLE" in render(select(tablesample(blog.Category.__table__, 10)))


# -- other databases -------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [mssql, oracle])
def test_other_databases(blog, render, dialect):
    """Databases that the suite does not run get the same CTEs, with all their own habits."""
    statement = select(blog.Article).join(blog.Article.tags).order_by(blog.Article.name).limit(2)
    sql = render(statement, dialect.dialect())
    names = [name for name in ("article", "tag", "article_tag") if f"{name} AS \n(SELECT" in sql]
    assert names == ["article", "tag", "article_tag"]
    assert sql.startswith("WITH ")


# -- schemas ---------------------------------------------------------------------------------


@pytest.fixture
def schemas(engine):
    """Two schemas, ``one`` and ``two``."""
    with engine.begin() as connection:
        for name in ("one", "two"):
            connection.execute(CreateSchema(name))


@pytest.mark.needs("schemas")
def test_tables_in_a_schema(Base, open_session, schemas):
    """Tables are found in their schema, beside others of the same name."""

    class Item(Base):
        __tablename__ = "item"
        __table_args__ = {"schema": "one"}
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        parts: Mapped[list["Part"]] = relationship(order_by="Part.id")

    class Part(Base):
        __tablename__ = "part"
        __table_args__ = {"schema": "one"}
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        item_id: Mapped[int] = mapped_column(ForeignKey("one.item.id"))

    class Beside(Base):
        __tablename__ = "item"
        __table_args__ = {"schema": "two"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Versioned(Base):
        __tablename__ = "part"
        __table_args__ = {"schema": "two"}
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Plain(Base):
        __tablename__ = "item"
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    item = Item(id=1, name="a", parts=[Part(id=1), Part(id=2)])
    session.add_all([item, Beside(id=1, name="x"), Versioned(id=1, name="v")])
    session.commit()
    item.name, item.parts = "b", item.parts[:1]
    session.delete(session.get(Part, 2))
    session.get(Beside, 1).name = "y"
    session.commit()
    with as_of(session, 1) as past:
        assert [(i.name, len(i.parts)) for i in past.scalars(select(Item))] == [("a", 2)]
        both = select(Item.name, Beside.name).join(Beside, Beside.id == Item.id)
        assert past.execute(both).all() == [("a", "y")]
        assert past.scalars(select(Versioned.name)).all() == ["v"]
        for cls, name in ((Versioned, "part"), (Plain, "item")):
            statement = select(Item.id).join(Part).join(cls, cls.id == Item.id)
            with pytest.raises(VersioningError, match=f"two tables called '{name}'"):
                past.execute(statement)


@pytest.fixture
def tenants(Base, engine, schemas):
    """A class whose table is in the schema of each tenant, with what each has called an item."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    for name in ("one", "two"):
        tenant = engine.execution_options(schema_translate_map={None: name})
        Base.metadata.create_all(tenant)
        with Session(tenant) as session:
            item = Item(id=1, name=f"{name} a")
            session.add(item)
            session.commit()
            item.name = f"{name} b"
            session.commit()
    return Item


def by_engine(engine, options):
    """Open a session on an engine with options."""
    return Session(engine.execution_options(**options))


@contextmanager
def by_connection(engine, options):
    """Open a session on a connection with options."""
    with (
        engine.connect() as connection,
        Session(connection.execution_options(**options)) as session,
    ):
        yield session


def by_transaction(engine, options):
    """Open a session whose transaction has options."""
    session = Session(engine)
    session.connection(execution_options=options)
    return session


@pytest.mark.needs("schemas")
@pytest.mark.parametrize("open_tenant", [by_engine, by_connection, by_transaction])
def test_tenants(engine, tenants, open_tenant):
    """Tenants that are told apart by schema_translate_map have histories of their own."""
    for _ in range(2):
        for name in ("one", "two"):
            options = {"schema_translate_map": {None: name}}
            with open_tenant(engine, options) as session, as_of(session, 1) as past:
                assert past.get(tenants, 1).name == f"{name} a"
                assert past.scalars(select(tenants.name)).all() == [f"{name} a"]
                past.expire_all()
                assert past.get(tenants, 1).name == f"{name} a"


@pytest.mark.needs("schemas")
def test_tenants_by_statement(engine, tenants):
    """A single statement can be told whose tables to read."""
    with Session(engine) as session:
        session.connection(execution_options={"schema_translate_map": {None: "one"}})
        past = as_of(session, 1)
        for name in ("two", "one", "two"):
            options = {"schema_translate_map": {None: name}}
            found = past.scalars(select(tenants.name), execution_options=options)
            assert found.all() == [f"{name} a"]


@pytest.mark.needs("schemas")
def test_how_far_the_history_of_each_tenant_reaches(engine, tenants, mode):
    """That the history of one tenant is complete says nothing about another."""
    with mode.unseen(engine) as cursor:
        cursor.execute("INSERT INTO two.item VALUES (9, 'old')")
    with Session(engine.execution_options(schema_translate_map={None: "one"})) as session:
        past = as_of(session, 1)
        for name, is_known in (("one", True), ("two", False), ("one", True)):
            options = {"schema_translate_map": {None: name}}
            with nullcontext() if is_known else pytest.raises(IncompleteHistory):
                found = past.scalars(select(tenants.name), execution_options=options)
                assert found.all() == ["one a"]


# -- columns ---------------------------------------------------------------------------------


def test_retired_columns(Base, open_session):
    """A column that only history still has is not in the way."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    session = open_session(Base)
    session.add(Item(id=1, name="a"))
    session.commit()
    name = version_table(Item).name
    session.execute(text(f"ALTER TABLE {name} ADD COLUMN old VARCHAR(20) DEFAULT 'x'"))
    session.get(Item, 1).name = "b"
    session.commit()
    with as_of(session, 1) as past:
        assert past.get(Item, 1).name == "a"
        assert past.execute(select(Item.__table__)).all() == [(1, "a")]


class Size(enum.Enum):
    """Kept by its name."""

    SMALL = 1
    BIG = 2


class Reversed(TypeDecorator):
    """Keeps text backwards."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value and value[::-1]

    def process_result_value(self, value, dialect):
        return value and value[::-1]


#: Types, with two values each.
PORTABLE = [
    (String(20), "a", "A "),
    (Text, "ä" * 300, ""),
    (Integer, -1, 2),
    (BigInteger, 2**62, 0),
    (Float, 1.5, -2.25),
    (Boolean, True, False),
    (Date, date(2020, 2, 29), date(1999, 12, 31)),
    (Time, time(1, 2, 3), time(23, 59)),
    (DateTime, datetime(2020, 1, 2, 3, 4, 5), datetime(2021, 1, 1)),
    (Interval, timedelta(days=3, seconds=5), timedelta(0)),
    (LargeBinary, b"\x00\xff", b""),
    (JSON, {"a": [1, None, "x"]}, []),
    (PickleType, {1, 2}, (3,)),
    (Uuid, uuid.UUID(int=1), uuid.UUID(int=2**127)),
    (Enum(Size, name="size"), Size.BIG, Size.SMALL),
    (Enum("x", "y", name="letter", native_enum=False), "x", "y"),
    (Reversed, "abc", "d"),
]
DECIMALS = [(Numeric(10, 3), Decimal("1.250"), Decimal("-3.000"))]
ARRAYS = [
    (ARRAY(Integer), [1, 2], []),
    (ARRAY(Enum(Size, name="size")), [Size.BIG, Size.SMALL], [Size.SMALL]),
    (postgresql.JSONB, {"a": 1}, None),
    (postgresql.INET, "10.0.0.1", "::1"),
    (postgresql.INT4RANGE, postgresql.Range(1, 5), postgresql.Range(empty=True)),
]


@pytest.mark.parametrize(
    "values",
    [
        PORTABLE,
        pytest.param(DECIMALS, marks=pytest.mark.needs("decimals")),
        pytest.param(ARRAYS, marks=pytest.mark.needs("arrays")),
    ],
    ids=["portable", "decimals", "arrays"],
)
def test_values(Base, open_session, values):
    """Values of every type are what they were, in objects and in statements."""
    columns = {f"column_{n}": mapped_column(type_) for n, (type_, _, _) in enumerate(values)}
    body = {"__tablename__": "item", "__versioned__": {}, "id": mapped_column(primary_key=True)}
    Item = type("Item", (Base,), {"__annotations__": {"id": Mapped[int]}} | body | columns)
    session = open_session(Base)
    item = Item(id=1, **{f"column_{n}": first for n, (_, first, _) in enumerate(values)})
    session.add_all([item, Item(id=2)])
    session.commit()
    live = session.execute(select(Item.__table__).order_by(Item.id)).all()
    for n, (_, _, second) in enumerate(values):
        setattr(item, f"column_{n}", second)
    session.commit()

    with as_of(session, 1) as past:
        assert past.execute(select(Item.__table__).order_by(Item.id)).all() == live
        found = past.get(Item, 1)
        for n, (type_, first, _) in enumerate(values):
            column = getattr(Item, f"column_{n}")
            # Some drivers return addresses as objects, whatever was written.
            assert getattr(found, column.key) == getattr(live[0], column.key)
            if not isinstance(type_, type) or not issubclass(type_, JSON | PickleType):
                same = select(Item.id).where(column == first)
                assert past.scalars(same).all() == [1], type_
