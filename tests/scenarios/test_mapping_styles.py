"""Classes mapped in every style are recorded as they are, and read back."""

import dataclasses
import enum
import uuid
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PickleType,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    case,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.declarative import AbstractConcreteBase, ConcreteBase
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    column_property,
    composite,
    configure_mappers,
    declarative_base,
    declared_attr,
    deferred,
    mapped_column,
    registry,
    relationship,
    synonym,
)

from sqlalchemy_versioned import (
    Operation,
    Versioned,
    is_versioned,
    version_class,
    version_table,
    versioned,
)
from tests.lives import live, versions_of
from tests.models import build_base


@pytest.fixture
def open_session(engine, versioning):
    """Make the tables of a MetaData and open a session on them."""
    opened = []

    def open_(metadata, **options):
        configure_mappers()
        metadata.create_all(engine)
        opened.append(Session(engine, **options))
        return opened[-1]

    yield open_
    for session in opened:
        session.close()


# -- declarative -------------------------------------------------------------------------------


def test_annotated_columns(Base, open_session):
    """Classes of DeclarativeBase with Mapped annotations."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), index=True, unique=True)
        price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))

    first, second, _ = live(
        open_session(Base.metadata), Article(name="a", price=Decimal("1.50")), name="b"
    )
    assert (first.name, second.name, second.price) == ("a", "b", Decimal("1.50"))


def test_classic_declarative_base(open_session):
    """Classes of declarative_base() with plain columns."""
    Base = declarative_base()

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id = Column(Integer, primary_key=True)
        name = Column(String(50), nullable=False)

    assert live(open_session(Base.metadata), Article(name="a"), name="b")[0].name == "a"


def test_mixin_base_class(open_session):
    """A declarative base made with cls= and its own constructor."""

    class Common:
        id = Column(Integer, primary_key=True)

        def __init__(self, name):
            self.name = name

    Base = declarative_base(cls=Common, constructor=None)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        name = Column(String(50))

    assert live(open_session(Base.metadata), Article("a"), name="b")[0].name == "a"


def test_dataclass_base(open_session):
    """Classes of a base that makes dataclasses, with keyword-only fields and defaults."""

    class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
        pass

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        name: Mapped[str] = mapped_column(String(50))
        status: Mapped[str] = mapped_column(String(50), default="new")
        tags: Mapped[dict] = mapped_column(JSON, default_factory=dict)

    first, *_ = live(open_session(Base.metadata), Article(name="a"), name="b", status="old")
    assert (first.name, first.status, first.tags) == ("a", "new", {})


def test_single_dataclass(Base, open_session):
    """One class of a plain base is a dataclass with required arguments, and compares by value."""

    class Article(MappedAsDataclass, Base, unsafe_hash=True):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    first, *_ = live(open_session(Base.metadata), Article(1, "a"), name="b")
    assert not dataclasses.is_dataclass(first)


def test_dataclass_hierarchy(open_session):
    """Dataclasses inherit from each other in joined tables."""

    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        kind: Mapped[str] = mapped_column(String(20), init=False)

    class Article(Item):
        __tablename__ = "article"
        __mapper_args__ = {"polymorphic_identity": "article"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), init=False, primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    assert live(open_session(Base.metadata), Article(name="a"), name="b")[0].name == "a"


def test_plain_dataclass_mapped_by_decorator(open_session):
    """A dataclass that a registry has mapped, with its table inside."""
    reg = registry()

    @reg.mapped
    @dataclasses.dataclass
    class Article:
        __table__ = Table(
            "article",
            reg.metadata,
            Column("id", Integer, primary_key=True),
            Column("name", String(50)),
        )
        __versioned__ = {}
        id: int | None = None
        name: str = "a"

    assert live(open_session(reg.metadata), Article(), name="b")[0].name == "a"


# -- imperative and reflected ------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_imperative_mapping(shared, open_session):
    """Classes mapped by hand, to a table of the registry's metadata or of another."""
    reg = registry()
    metadata = reg.metadata if shared else MetaData()
    table = Table(
        "article",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(50)),
    )

    class Article:
        __versioned__ = {"ignore": []}

        def __init__(self, name):
            self.name = name

    reg.map_imperatively(Article, table)
    session = open_session(metadata)

    assert live(session, Article("a"), name="b")[1].previous.name == "a"


def test_decorated_foreign_class(open_session):
    """A class of somebody else is versioned by the decorator."""
    reg = registry()
    table = Table(
        "article", reg.metadata, Column("id", Integer, primary_key=True), Column("name", String(9))
    )

    class Article:
        pass

    reg.map_imperatively(Article, table)
    versioned(exclude=[])(Article)
    article = Article()
    article.name = "a"

    assert live(open_session(reg.metadata), article, name="b")[0].name == "a"


def test_imperative_reserved_names(open_session):
    """Attributes that a declarative base would refuse are versioned where they are possible."""
    reg = registry()
    table = Table(
        "article",
        reg.metadata,
        Column("id", Integer, primary_key=True),
        Column("metadata", String(50)),
        Column("registry", String(50)),
    )

    class Article:
        __versioned__ = {}

    reg.map_imperatively(Article, table)
    article = Article()
    article.metadata = article.registry = "a"

    first, *_ = live(open_session(reg.metadata), article, metadata="b")
    assert (first.metadata, first.registry) == ("a", "a")


def test_reflected_table(engine, open_session):
    """A class whose table is read from the database."""
    ddl = "CREATE TABLE article (id INTEGER PRIMARY KEY, name VARCHAR(50) DEFAULT 'x' NOT NULL)"
    with engine.begin() as connection:
        connection.execute(text(ddl))
    Base = build_base()

    class Article(Base):
        __table__ = Table("article", Base.metadata, autoload_with=engine)
        __versioned__ = {}

    assert live(open_session(Base.metadata), Article(id=1, name="a"), name="b")[0].name == "a"


def test_automap_style_deferred_reflection(engine, open_session):
    """A class whose table is reflected long after it was declared."""
    from sqlalchemy.ext.declarative import DeferredReflection

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE article (id INTEGER PRIMARY KEY, name VARCHAR(9))"))
    Base = build_base()

    class Article(DeferredReflection, Base):
        __tablename__ = "article"
        __versioned__ = {}

    DeferredReflection.prepare(engine)
    assert live(open_session(Base.metadata), Article(id=1, name="a"), name="b")[0].name == "a"


# -- where __versioned__ is said ---------------------------------------------------------------


def test_mixin_says_versioned(Base, open_session):
    """Options come from a mixin; its classes do not share them afterwards."""

    class Tracked:
        __versioned__ = {"ignore": ["seen"]}
        seen: Mapped[int | None]

    class Article(Tracked, Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Tag(Tracked, Base):
        __tablename__ = "tag"
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base.metadata)
    assert live(session, Article(name="a", seen=1), name="b", seen=2)[0].seen == 1
    assert Article.__versioned__ is not Tag.__versioned__ is not Tracked.__versioned__


def test_versioned_mixin(Base, open_session):
    """The Versioned mixin is enough."""

    class Article(Versioned, Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    assert live(open_session(Base.metadata), Article(name="a"), name="b")[0].name == "a"


def test_abstract_base_says_versioned(Base, open_session):
    """An abstract class versions what derives from it, and is not versioned itself."""

    class Tracked(Base):
        __abstract__ = True
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Article(Tracked):
        __tablename__ = "article"
        name: Mapped[str]

    assert live(open_session(Base.metadata), Article(name="a"), name="b")[0].name == "a"
    assert not is_versioned(Tracked)


@pytest.mark.parametrize("how", ["attribute", "mixin"])
def test_declarative_base_says_versioned(how, versioning, open_session):
    """Everything on the base is versioned, but transactions and versions are not."""
    bases = (Versioned, DeclarativeBase) if how == "mixin" else (DeclarativeBase,)
    Base = type("Base", bases, {} if how == "mixin" else {"__versioned__": {}})

    class Article(Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    assert live(open_session(Base.metadata), Article(name="a"), name="b")[0].name == "a"
    assert list(versioning.version_class_map) == [Article]
    assert set(Base.metadata.tables) == {"article", "article_version", "transaction"}


def test_columns_of_the_base(open_session):
    """What the base declares for live tables does not get into versions and transactions."""

    class Base(DeclarativeBase):
        id: Mapped[int] = mapped_column(primary_key=True)
        made: Mapped[datetime | None] = mapped_column(DateTime, server_default=func.now())

        @declared_attr.directive
        def __tablename__(cls):
            return cls.__name__.lower()

        @declared_attr.directive
        def __table_args__(cls):
            return {"comment": f"of {cls.__name__}"}

    class Article(Base):
        __versioned__ = {"exclude": ["made"]}
        name: Mapped[str] = mapped_column(String(50))

    session = open_session(Base.metadata)
    assert live(session, Article(name="a"), name="b")[0].name == "a"
    assert "made" not in version_table(Article).c
    assert "made" not in Base.metadata.tables["transaction"].c


def test_several_bases(open_session, engine):
    """Classes of several bases and registries share one history of transactions."""
    One, Two = build_base(), build_base()

    def declare(Base):
        class Article(Base):
            __tablename__ = f"article_{'one' if Base is One else 'two'}"
            __versioned__ = {}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]

        return Article

    A, B = declare(One), declare(Two)
    session = open_session(One.metadata)
    Two.metadata.create_all(engine)

    a, *_ = live(session, A(name="a"), name="b")
    b, *_ = live(session, B(name="a"), name="b")
    assert type(a.transaction) is type(b.transaction)
    assert a.transaction_id < b.transaction_id


def test_sqlmodel(open_session):
    """Tables declared with SQLModel."""
    sqlmodel = pytest.importorskip("sqlmodel")

    class Base(sqlmodel.SQLModel, registry=registry()):
        pass

    class Article(Base, table=True):
        __versioned__ = {}
        id: int | None = sqlmodel.Field(default=None, primary_key=True)
        name: str = sqlmodel.Field(max_length=50, unique=True)

    session = open_session(Article.metadata)
    first, *_ = live(session, Article(name="a"), name="b")
    assert first.name == "a"
    assert not issubclass(type(first), sqlmodel.SQLModel)
