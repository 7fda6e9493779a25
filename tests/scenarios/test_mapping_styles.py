"""Classes mapped in every style are recorded as they are, and read back."""

import dataclasses
import enum
import uuid
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import sqlalchemy
import sqlalchemy_utils
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
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.ext.automap import automap_base
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
    mapped_column,
    registry,
    synonym,
)

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    Versioned,
    as_of,
    deleted,
    get_changes,
    is_versioned,
    tx_column_name,
    vacuum,
    version_class,
    version_table,
    versioned,
    versions_of,
)
from sqlalchemy_versioned.maintenance import baseline, prune, redact, repair, verify
from tests.lives import live
from tests.models import build_base

pytestmark = pytest.mark.usefixtures("versioning")


# -- declarative -------------------------------------------------------------------------------


def test_annotated_columns(Base, open_session):
    """Classes of DeclarativeBase with Mapped annotations."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), index=True, unique=True)
        price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))

    first, second, _ = live(open_session(Base), Article(name="a", price=Decimal("1.50")), name="b")
    assert (first.name, second.name, second.price) == ("a", "b", Decimal("1.50"))


def test_classic_declarative_base(open_session):
    """Classes of declarative_base() with plain columns."""
    Base = declarative_base()

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id = Column(Integer, primary_key=True)
        name = Column(String(50), nullable=False)

    assert live(open_session(Base), Article(name="a"), name="b")[0].name == "a"


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

    assert live(open_session(Base), Article("a"), name="b")[0].name == "a"


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

    first, *_ = live(open_session(Base), Article(name="a"), name="b", status="old")
    assert (first.name, first.status, first.tags) == ("a", "new", {})


def test_single_dataclass(Base, open_session):
    """One class of a plain base is a dataclass with required arguments, and compares by value."""

    class Article(MappedAsDataclass, Base, unsafe_hash=True):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    first, *_ = live(open_session(Base), Article(1, "a"), name="b")
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

    assert live(open_session(Base), Article(name="a"), name="b")[0].name == "a"


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

    assert live(open_session(Base), Article(id=1, name="a"), name="b")[0].name == "a"


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
    assert live(open_session(Base), Article(id=1, name="a"), name="b")[0].name == "a"


@pytest.mark.parametrize("made_by_versioning", ["transaction", "article_version"])
def test_reflected_history(made_by_versioning, engine):
    """Who reflects what versioning makes by itself is told to leave it out."""
    database = MetaData()
    for name in ("article", made_by_versioning):
        Table(name, database, Column("id", Integer, primary_key=True))
    database.create_all(engine)
    Base = automap_base(declarative_base=build_base())

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}

    Base.prepare(engine)

    with pytest.raises(ImproperlyConfigured, match=r"read from a database.*only=…"):
        configure_mappers()


def test_history_reflected_beside_another_base(Base, engine):
    """So is who reflects it after another base has got its transactions."""

    class Page(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    Base.metadata.create_all(engine)
    reflected = automap_base(declarative_base=build_base())

    class Article(reflected):
        __tablename__ = "article"
        __versioned__ = {}

    reflected.prepare(engine, reflection_options={"only": ["article", "transaction"]})

    with pytest.raises(ImproperlyConfigured, match=r"'transaction'.*read from a database.*only=…"):
        configure_mappers()


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

    session = open_session(Base)
    assert live(session, Article(name="a", seen=1), name="b", seen=2)[0].seen == 1
    assert Article.__versioned__ is not Tag.__versioned__ is not Tracked.__versioned__


def test_versioned_mixin(Base, open_session):
    """The Versioned mixin is enough."""

    class Article(Versioned, Base):
        __tablename__ = "article"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    assert live(open_session(Base), Article(name="a"), name="b")[0].name == "a"


def test_abstract_base_says_versioned(Base, open_session):
    """An abstract class versions what derives from it, and is not versioned itself."""

    class Tracked(Base):
        __abstract__ = True
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Article(Tracked):
        __tablename__ = "article"
        name: Mapped[str]

    assert live(open_session(Base), Article(name="a"), name="b")[0].name == "a"
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

    assert live(open_session(Base), Article(name="a"), name="b")[0].name == "a"
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

    session = open_session(Base)
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
    with as_of(session, first.transaction) as past:
        assert past.exec(sqlmodel.select(Article.name)).one() == "a"
        assert past.exec(sqlmodel.select(Article.id, Article.name)).one().name == "a"


# -- inheritance -------------------------------------------------------------------------------


def test_single_table_inheritance(Base, open_session):
    """Subclasses share the version table and come back as versions of the right class."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        name: Mapped[str | None]

    class Article(Item):
        __mapper_args__ = {"polymorphic_identity": "article"}
        body: Mapped[str | None] = mapped_column("article_body", String(50))

    session = open_session(Base)
    first, *_ = live(session, Article(name="a", body="x"), body="y")
    assert type(first) is version_class(Article)
    assert version_table(Article) is version_table(Item)
    assert session.scalars(select(version_class(Item))).first() is first


def test_single_table_subclass_with_exclude(Base, open_session):
    """A subclass leaves its own column out; the columns of the base are the base's to decide."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        name: Mapped[str | None]

    class Secret(Item):
        __versioned__ = {"exclude": ["password"]}
        __mapper_args__ = {"polymorphic_identity": "secret"}
        password: Mapped[str | None]

    session = open_session(Base)
    live(session, Secret(name="a", password="x"), name="b", password="y")
    assert "password" not in version_table(Item).c


def test_joined_inheritance_of_three_levels(Base, open_session):
    """Each table has its version table; differing names of key columns are followed."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        name: Mapped[str]

    class Text_(Item):
        __tablename__ = "text"
        __mapper_args__ = {"polymorphic_identity": "text"}
        item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        body: Mapped[str]

    class Article(Text_):
        __tablename__ = "article"
        __mapper_args__ = {"polymorphic_identity": "article"}
        text_id: Mapped[int] = mapped_column(ForeignKey("text.item_id"), primary_key=True)
        price: Mapped[int]

    session = open_session(Base)
    a, b, c = live(session, Article(name="a", body="x", price=1), price=2)
    assert (a.name, a.body, a.price, b.price, c.text_id) == ("a", "x", 1, 2, c.id)
    assert [type(v) for v in session.scalars(select(version_class(Item)))] == [type(a)] * 3
    live(session, Item(name="a"), name="b")
    live(session, Text_(name="a", body="x"), name="b")


def test_single_table_leaf_below_joined_class(Base, open_session):
    """A class without a table, below one with two."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))

    class Article(Item):
        __tablename__ = "article"
        __mapper_args__ = {"polymorphic_identity": "article"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        name: Mapped[str]

    class Post(Article):
        __mapper_args__ = {"polymorphic_identity": "post"}
        likes: Mapped[int | None]

    first, *_ = live(open_session(Base), Post(name="a", likes=1), likes=2)
    assert type(first) is version_class(Post)


def test_polymorphic_case(Base, open_session):
    """The discriminator is a CASE; versions are told apart by it too."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        code: Mapped[str] = mapped_column(String(10))
        __mapper_args__ = {
            "polymorphic_on": case((code.in_(["x", "y"]), "letter"), else_="item"),
            "polymorphic_identity": "item",
        }

    class Letter(Item):
        __mapper_args__ = {"polymorphic_identity": "letter"}
        note: Mapped[str | None]

    session = open_session(Base)
    live(session, Letter(code="x", note="a"), note="b")
    live(session, Item(code="z"), code="w")
    classes = [type(v) for v in session.scalars(select(version_class(Item)).order_by("id"))]
    assert classes == [version_class(Letter)] * 3 + [version_class(Item)] * 3


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "bare"])
def test_subclasses_that_are_loaded_by_an_expression(Base, open_session, is_named):
    """Their columns are loaded apart; the discriminator is an attribute if it has a name."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        code = mapped_column(String(10))
        __mapper_args__ = {
            "polymorphic_on": case((code.column == "x", "letter"), else_="item"),
            "polymorphic_identity": "item",
        }
        if is_named:
            kind = column_property(__mapper_args__["polymorphic_on"])
            __mapper_args__["polymorphic_on"] = kind

    class Letter(Item):
        __mapper_args__ = {"polymorphic_identity": "letter", "polymorphic_load": "selectin"}
        note: Mapped[str | None]

    session = open_session(Base)
    session.add_all([Letter(code="x", note="a"), Item(code="z")])
    session.commit()
    versions = session.scalars(select(version_class(Item)).order_by("code")).all()
    assert [vars(v).get("note") for v in versions] == ["a", None]
    if is_named:
        assert [v.kind for v in versions] == ["letter", "item"]


def test_only_the_subclass_is_versioned(Base, open_session):
    """The columns of a superclass that is not versioned itself belong to the versions too."""

    class Item(Base):
        __tablename__ = "item"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))
        name: Mapped[str]

    class Article(Item):
        __tablename__ = "article"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_identity": "article"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        body: Mapped[str]

    session = open_session(Base)
    assert live(session, Article(name="a", body="x"), name="b")[0].name == "a"
    assert is_versioned(Article)
    assert not is_versioned(Item)
    for ask in (
        version_class,
        version_table,
        tx_column_name,
        deleted,
        versions_of,
        partial(get_changes, session=session),
        *[partial(each, session) for each in (verify, repair, baseline, vacuum)],
        partial(prune, session, keep=1),
        partial(redact, session, object_ids=[1], columns=["name"]),
    ):
        with pytest.raises(ClassNotVersioned, match="only Article is versioned; give one that is"):
            ask(Item)
    assert verify(session) == []


def test_subclass_opts_out(Base, open_session, mode):
    """A subclass with versioning off is not recorded, and stands for its own version class.

    Triggers would not know it from others of its table, so it is refused where they record.
    """

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(20))

    class Article(Item):
        __versioned__ = {"versioning": False}
        __mapper_args__ = {"polymorphic_identity": "article"}
        name: Mapped[str | None]

    if mode.is_native:
        with pytest.raises(ImproperlyConfigured, match="Article is not versioned, and has rows"):
            configure_mappers()
        return
    session = open_session(Base)
    session.add(Article(name="a"))
    session.commit()
    assert not is_versioned(Article)
    assert version_class(Article) is Article
    assert session.scalars(select(version_class(Item))).all() == []


def test_concrete_inheritance(Base, open_session):
    """Each concrete class has a version table of its own."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Article(Item):
        __tablename__ = "article"
        __mapper_args__ = {"concrete": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        body: Mapped[str | None]

    session = open_session(Base)
    _, second, _ = live(session, Article(name="a", body="x"), name="b")
    assert second.transaction.id == second.transaction_id
    assert second.previous.name == "a"
    live(session, Item(name="a"), name="b")
    article = Article(id=9, name="c")
    session.add(article)
    session.commit()
    assert [v.version_parent for v in article.versions] == [article]


# SQLAlchemy 2.0 listens for these on every mapper of the process, and for ever.
@pytest.mark.skipif(sqlalchemy.__version__ < "2.1", reason="cannot be undone after the test")
@pytest.mark.parametrize("kind", [ConcreteBase, AbstractConcreteBase])
def test_concrete_bases(kind, Base, open_session):
    """The union that SQLAlchemy makes of concrete classes is in nobody's way."""
    has_table = kind is ConcreteBase
    own = {"__tablename__": "item"} if has_table else {}
    own |= {"__versioned__": {}, "__annotations__": {"id": Mapped[int], "name": Mapped[str | None]}}
    own |= {"id": mapped_column(primary_key=True)} if has_table else {}
    own["__annotations__"] = own["__annotations__"] if has_table else {}
    own["__mapper_args__"] = {"polymorphic_identity": "item", "concrete": True} if has_table else {}
    Item = type("Item", (kind, Base), own)

    class Article(Item):
        __tablename__ = "article"
        __mapper_args__ = {"polymorphic_identity": "article", "concrete": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    session = open_session(Base)
    assert live(session, Article(name="a"), name="b")[0].name == "a"
    assert is_versioned(Item) is has_table
    assert verify(session) == []


# -- keys --------------------------------------------------------------------------------------


def test_composite_key(Base, open_session):
    """Several key columns, in an order that differs from that of the columns."""

    class Seat(Base):
        __tablename__ = "seat"
        __versioned__ = {}
        __table_args__ = (UniqueConstraint("name", "number"),)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        row: Mapped[str] = mapped_column("seat_row", String(5), primary_key=True)
        name: Mapped[str]

    assert live(open_session(Base), Seat(number=1, row="a", name="x"), name="y")


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (String(20), "a'b"),
        (Uuid(), uuid.UUID(int=5)),
        (Uuid(native_uuid=False), uuid.UUID(int=6)),
        (Date(), date(2020, 1, 2)),
        pytest.param(
            Numeric(10, 2),
            Decimal("1.25"),
            marks=pytest.mark.skipif(
                sqlalchemy.__version__ < "2.1", reason="SQLAlchemy 2.0 loses such rows itself"
            ),
        ),
        (LargeBinary(20).with_variant(mysql.VARBINARY(20), "mysql", "mariadb"), b"\x00\x01"),
        (BigInteger(), 2**40),
    ],
)
def test_natural_keys(type_, value, Base, open_session):
    """Keys of many types."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        code: Mapped[Any] = mapped_column(type_, primary_key=True)
        name: Mapped[str]

    live(open_session(Base), Thing(code=value, name="x"), name="y")


def test_uuid_default_key(Base, open_session):
    """A key that Python makes."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        name: Mapped[str]

    live(open_session(Base), Thing(name="x"), name="y")


# -- attributes --------------------------------------------------------------------------------


def test_column_aliases(Base, open_session):
    """Attributes that are called otherwise than their columns, keys among them."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column("_id", primary_key=True)
        name: Mapped[str] = mapped_column("_name", String(50), key="n")
        one: Mapped[int] = mapped_column("two")
        two: Mapped[int] = mapped_column("one")

    session = open_session(Base)
    first, *_ = live(session, Article(name="a", one=1, two=2), name="b")
    assert (first.name, first.one, first.two) == ("a", 1, 2)
    assert [c.name for c in version_table(Article).c][:4] == ["_id", "_name", "two", "one"]


def test_column_prefix(open_session):
    """Columns that a mapper argument renames."""
    reg = registry()
    table = Table(
        "article", reg.metadata, Column("id", Integer, primary_key=True), Column("name", String(9))
    )

    class Article:
        __versioned__ = {}

    reg.map_imperatively(Article, table, column_prefix="_")
    article = Article()
    article._name = "a"

    assert live(open_session(reg.metadata), article, _name="b")[0]._name == "a"


def test_deferred_columns(Base, open_session):
    """A column that is loaded late is recorded all the same, also on deletion."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        body: Mapped[str] = mapped_column(Text, deferred=True)

    session = open_session(Base)
    versions = live(session, Article(name="a", body="long"), name="b")
    assert [v.body for v in versions] == ["long"] * 3
    session.expunge_all()
    assert "body" in inspect(session.scalars(select(version_class(Article))).first()).dict


def test_names_for_columns(Base, open_session):
    """Synonyms, composites, hybrids and column properties work on versions."""

    @dataclasses.dataclass
    class Point:
        x: int
        y: int

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        title = synonym("name")
        position: Mapped[Point] = composite(mapped_column("x"), mapped_column("y"))
        price: Mapped[int] = mapped_column()
        double: Mapped[int] = column_property(price + price)

        @hybrid_property
        def shout(self):
            return self.name + "!"

    session = open_session(Base)
    first, *_ = live(session, Article(name="a", position=Point(1, 2), price=2), name="b")
    assert (first.title, first.position, first.double, first.shout) == ("a", Point(1, 2), 4, "a!")
    cls = version_class(Article)
    assert session.scalars(select(cls).where(cls.shout == "a!", cls.title == "a")).all() == [first]


def test_column_property_of_other_tables(Base, open_session):
    """An expression that reads other rows is left to the live class."""

    class Comment(Base):
        __tablename__ = "comment"
        id: Mapped[int] = mapped_column(primary_key=True)
        article_id: Mapped[int | None]

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        comments = column_property(
            select(func.count(Comment.id)).where(Comment.article_id == id).scalar_subquery()
        )

    first, *_ = live(open_session(Base), Article(name="a"), name="b")
    assert not hasattr(first, "comments")


def test_changed_composite_value(Base, open_session):
    """Assigning a composite changes the columns beneath."""

    @dataclasses.dataclass
    class Point:
        x: int
        y: int

    class Place(Base):
        __tablename__ = "place"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        point: Mapped[Point] = composite(mapped_column("x"), mapped_column("y"))

    session = open_session(Base)
    versions = live(session, Place(point=Point(1, 2)), point=Point(1, 3))
    assert [v.point.y for v in versions] == [2, 3, 3]


# -- types -------------------------------------------------------------------------------------


class Color(enum.Enum):
    """Values differ from names."""

    RED = "r"
    BLUE = "b"


class Upper(TypeDecorator):
    """Stores text in capitals."""

    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value and value.upper()


class Decorated(TypeDecorator):
    """An enum in disguise."""

    impl = Enum(Color)
    cache_ok = True


VALUES = {
    "boolean": (Boolean(create_constraint=True, name="flag"), True, False),
    "interval": (Interval(), datetime(2020, 1, 2) - datetime(2020, 1, 1), datetime.resolution),
    "numeric": (Numeric(10, 3), Decimal("1.125"), Decimal("2.5")),
    "binary": (LargeBinary(), b"\x00a", b"b"),
    "enum": (Enum(Color), Color.RED, Color.BLUE),
    "enum_constraint": (Enum(Color, native_enum=False, create_constraint=True), Color.RED, None),
    "enum_text": (Enum("red", "blue", name="text_color"), "red", "blue"),
    "enum_values": (
        Enum(Color, values_callable=lambda e: [x.value for x in e], name="value_color"),
        Color.RED,
        Color.BLUE,
    ),
    "enum_decorated": (Decorated(), Color.RED, Color.BLUE),
    "json": (JSON(), {"a": [1, None]}, [2]),
    "mutable_json": (MutableDict.as_mutable(JSON()), {"a": 1}, {"b": 2}),
    "pickle": (PickleType(), {"a": {1}}, (1, 2)),
    "decorator": (Upper(), "a", "b"),
    "variant": (String(9).with_variant(Text(), "postgresql"), "a", "b"),
    "aware": (
        DateTime(timezone=True).with_variant(DateTime(), "sqlite", "mysql", "mariadb"),
        datetime(2020, 1, 1),
        datetime(2021, 1, 1),
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_types(name, Base, open_session):
    """Values of every type are kept, and read back as they were written."""
    type_, one, other = VALUES[name]

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        value: Mapped[Any] = mapped_column(type_, nullable=True)

    session = open_session(Base)
    live(session, Thing(value=one), value=other)
    live(session, Thing(value=None), value=one)


PG_VALUES = {
    "array": (ARRAY(Integer), [1, 2], [3]),
    "array_of_enums": (ARRAY(Enum(Color, name="array_color")), [Color.RED], []),
    "jsonb": (postgresql.JSONB(), {"a": 1}, {"a": 2}),
    "enum": (postgresql.ENUM(Color, name="pg_color"), Color.RED, Color.BLUE),
    "domain": (postgresql.DOMAIN("short", String(9)), "a", "b"),
    "hstore_like": (postgresql.INET(), "10.0.0.1", "10.0.0.2"),
}


@pytest.mark.needs("arrays")
@pytest.mark.parametrize("name", PG_VALUES)
def test_postgresql_types(name, Base, open_session):
    """The types that only PostgreSQL has."""
    type_, one, other = PG_VALUES[name]

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        value: Mapped[Any] = mapped_column(type_)

    live(open_session(Base), Thing(value=one), value=other)


def test_sqlalchemy_utils_types(Base, open_session):
    """Types of SQLAlchemy-Utils."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[Any] = mapped_column(sqlalchemy_utils.UUIDType(binary=False), primary_key=True)
        mail: Mapped[Any] = mapped_column(sqlalchemy_utils.EmailType)
        kind: Mapped[Any] = mapped_column(
            sqlalchemy_utils.ChoiceType([("a", "An a"), ("b", "A b")])
        )
        data: Mapped[Any] = mapped_column(sqlalchemy_utils.JSONType)

    thing = Thing(id=uuid.uuid4(), mail="A@b.c", kind="a", data={"x": 1})
    first, *_ = live(open_session(Base), thing, kind="b", data=[1])
    assert (first.mail, first.kind.code) == ("a@b.c", "a")


def test_retired_enum_member(Base, open_session, engine):
    """A member can be renamed or dropped; old versions give its text."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        color: Mapped[Any] = mapped_column(Enum(Color))

    session = open_session(Base)
    session.add(Thing(id=1, color=Color.RED))
    session.commit()
    with engine.begin() as connection:
        connection.execute(text("UPDATE thing_version SET color = 'PINK'"))

    assert session.get(Thing, 1).versions[0].color == "PINK"


@pytest.mark.needs("computed")
def test_computed_column(Base, open_session):
    """What the database computes is kept as it was."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        price: Mapped[int]
        double: Mapped[int] = mapped_column(Computed("price * 2", persisted=True))

    versions = live(open_session(Base), Article(price=2), price=3)
    assert [v.double for v in versions] == [4, 6, 6]


@pytest.mark.needs("identity")
def test_identity_column(Base, open_session):
    """A key that only the database may make."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
        name: Mapped[str]

    live(open_session(Base), Article(name="a"), name="b")


def test_server_values(Base, open_session):
    """Defaults of the server, onupdate expressions and constraints of the live table."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        __table_args__ = (CheckConstraint("price > 0", name="positive"),)
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)
        price: Mapped[int] = mapped_column(server_default="7")
        status: Mapped[str | None] = mapped_column(default="new")
        changes: Mapped[int | None] = mapped_column(onupdate=text("42"))

    session = open_session(Base)
    versions = live(session, Article(name="a"), status=None)
    assert [v.status for v in versions] == ["new", None, None]
    assert [v.changes for v in versions] == [None, 42, 42]
    live(session, Article(name="a"), name="b")


def test_version_counter(Base, open_session):
    """The column that SQLAlchemy counts updates in is an ordinary column of versions."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        counter: Mapped[int] = mapped_column()
        __mapper_args__ = {"version_id_col": counter}

    versions = live(open_session(Base), Article(name="a"), name="b")
    assert [v.counter for v in versions] == [1, 2, 2]


# -- names -------------------------------------------------------------------------------------


def test_mixed_case_and_reserved_names(Base, open_session):
    """Names that must be quoted, with spaces and percent signs."""

    class Article(Base):
        __tablename__ = "Order"
        __versioned__ = {}
        id: Mapped[int] = mapped_column("Id", primary_key=True)
        name: Mapped[str] = mapped_column("select", String(50))
        share: Mapped[int] = mapped_column("100 pct")

    live(open_session(Base), Article(name="a", share=1), name="b")
    assert version_table(Article).name == "Order_version"


@pytest.mark.strategies("append")
def test_percent_in_names(Base, open_session):
    """A percent sign in the names of a table and its columns, of which indexes have theirs."""

    class Article(Base):
        __tablename__ = "100 %s"
        __versioned__ = {}
        id: Mapped[int] = mapped_column("% id", primary_key=True)
        share: Mapped[int] = mapped_column("100 %")

    live(open_session(Base), Article(share=1), share=2)


def test_long_names_do_not_collide(Base, open_session):
    """Two tables whose names differ in the end only have two version tables."""
    long = "x" * 58

    def declare(name):
        return type(
            name.title(),
            (Base,),
            {
                "__tablename__": long + name,
                "__versioned__": {},
                "id": mapped_column(Integer, primary_key=True),
                "name": mapped_column(String(50)),
            },
        )

    A, B = declare("a"), declare("b")
    session = open_session(Base)
    live(session, A(name="a"), name="b")
    live(session, B(name="a"), name="b")
    assert version_table(A).name != version_table(B).name


@pytest.mark.needs("schemas")
def test_schemas(Base, open_session, engine):
    """A table in a schema has its versions there, or where version_schema says."""
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA one"))
        connection.execute(text("CREATE SCHEMA two"))

    class Article(Base):
        __tablename__ = "article"
        __table_args__ = {"schema": "one"}
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Tag(Base):
        __tablename__ = "tag"
        __table_args__ = {"schema": "one"}
        __versioned__ = {"version_schema": "two"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    session = open_session(Base)
    live(session, Article(name="a"), name="b")
    live(session, Tag(name="a"), name="b")
    assert version_table(Article).fullname == "one.article_version"
    assert version_table(Tag).fullname == "two.tag_version"


@pytest.mark.needs("schemas")
def test_default_schema_of_the_metadata(engine, open_session):
    """Transactions and their sequence are in the schema of the MetaData."""
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA one"))

    class Base(DeclarativeBase):
        metadata = MetaData(schema="one")

    class User(Base):
        __tablename__ = "user"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    live(open_session(Base), Article(name="a"), name="b")
    assert inspect(engine).get_sequence_names(schema="one").count("transaction_id_seq") == 1
    assert "transaction" in inspect(engine).get_table_names(schema="one")


@pytest.mark.needs("schemas")
def test_schema_translate_map(Base, engine, versioning):
    """One set of models serves many tenants, each with history in its own schema."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    configure_mappers()
    for tenant in ("one", "two"):
        translated = engine.execution_options(schema_translate_map={None: tenant})
        with translated.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {tenant}"))
            Base.metadata.create_all(connection)
        with Session(translated) as session:
            live(session, Article(name="a"), name="b")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM two.article_version")).scalar()
    assert found == 3
