"""The Transaction class: what it stores, whom it links to, what it tells."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, registry
from sqlalchemy.orm.exc import DetachedInstanceError

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    NoChangesAttribute,
    TransactionBase,
    TransactionFactory,
    transaction_class,
    version_class,
)
from sqlalchemy_versioned.build.transaction import UTCDateTime
from tests.models import build_base


def declare(Base, name="Article", **body):
    """Declare a class with an id and a name, versioned unless told otherwise."""
    namespace = {
        "__tablename__": name.lower(),
        "__versioned__": {},
        "id": mapped_column(Integer, primary_key=True),
        "name": mapped_column(String(50)),
    }
    return type(name, (Base,), namespace | body)


def record(engine, *objects):
    """Write *objects* in one transaction and return the session and the transaction."""
    type(objects[0]).metadata.create_all(engine)
    session = Session(engine)
    session.add_all(objects)
    session.commit()
    cls = transaction_class(objects[0])
    return session, session.scalars(select(cls).order_by(cls.id.desc())).first()


# -- moments -----------------------------------------------------------------------------------


def test_issued_at_is_aware_utc(Base, engine):
    """Every database gives back the moment, to the microsecond, in UTC."""
    before = datetime.now(timezone.utc)
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))

    assert transaction.issued_at.tzinfo is timezone.utc
    assert before <= transaction.issued_at <= datetime.now(timezone.utc)
    transaction.issued_at = datetime(2020, 1, 1, 12, 0, 0, 123456, timezone(timedelta(hours=2)))
    session.commit()
    stored = datetime(2020, 1, 1, 10, 0, 0, 123456, timezone.utc)
    assert transaction.issued_at == stored
    cls = type(transaction)
    assert session.scalar(select(cls.id).where(cls.issued_at == stored)) == transaction.id
    session.close()


def test_naive_moments_are_refused(Base, engine):
    """Nobody can tell which moment a naive datetime means."""
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))
    transaction.issued_at = datetime(2020, 1, 1)

    with pytest.raises(StatementError, match="give an aware datetime"):
        session.commit()
    session.close()


def test_moments_keep_microseconds_on_mysql():
    """A plain DATETIME would drop them."""
    assert UTCDateTime().compile(dialect=mysql.dialect()) == "DATETIME(6)"


def test_zone_of_the_database_is_converted():
    """A column made by others, with a time zone, gives UTC too."""
    loaded = datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    assert UTCDateTime().process_result_value(loaded, None).hour == 10


# -- users -------------------------------------------------------------------------------------


def test_user_by_default(Base, engine):
    """A class called User is linked to if there is one."""
    User, Article = declare(Base, "User", __versioned__=None), declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"), User(id=1, name="Ann"))
    transaction.user = session.get(User, 1)
    session.commit()

    assert (transaction.user_id, transaction.user.name) == (1, "Ann")
    assert "user=<" in repr(transaction)
    session.close()


def test_user_who_is_deleted(Base, engine):
    """Whoever has written something can go; what they wrote stays theirs."""
    User, Article = declare(Base, "User", __versioned__=None), declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"), User(id=1, name="Ann"))
    transaction.user = session.get(User, 1)
    session.commit()
    session.delete(session.get(User, 1))
    session.commit()

    assert (transaction.user_id, transaction.user) == (1, None)
    session.close()


def test_user_that_is_expired(Base, engine, versioning):
    """Naming a user whose key must be read writes one transaction, which has it."""
    User, Article = declare(Base, "User", __versioned__=None), declare(Base)
    configure_mappers()
    session, _ = record(engine, Article(name="a"), User(id=1, name="Ann"))
    session.commit()
    user = session.get(User, 1)
    session.commit()
    session.add(Article(name="b"))
    made = versioning.unit_of_work(session).create_transaction(user=user)
    session.commit()

    article = session.scalars(select(Article).where(Article.name == "b")).one()
    assert article.versions[0].transaction is made
    assert made.user_id == 1
    session.close()


def test_no_user_by_default(Base):
    """Without a class called User transactions have no user."""
    Article = declare(Base)
    configure_mappers()

    assert not hasattr(transaction_class(Article), "user")
    assert "user_id" not in transaction_class(Article).__table__.c


@pytest.mark.parametrize("said", ["class", "name"])
def test_user_class(said, Base, versioning):
    """It may be given as a class or by name; a UUID or other key is followed."""
    Author = declare(
        Base, "Author", __versioned__=None, id=mapped_column("key", BigInteger, primary_key=True)
    )
    Article = declare(Base)
    versioning.user_cls = Author if said == "class" else "Author"
    configure_mappers()

    column = transaction_class(Article).__table__.c.user_id
    assert isinstance(column.type, BigInteger)
    assert not column.foreign_keys
    assert "ix_transaction_user_id" in [i.name for i in column.table.indexes]


def test_user_with_a_key_of_several_columns(Base, versioning, engine):
    """Each column of the key has one that refers to it, and the user is found by all of them."""
    keys = {
        "tenant": mapped_column(Integer, primary_key=True, autoincrement=False),
        "id": mapped_column("number", Integer, primary_key=True, autoincrement=False),
    }
    User, Article = declare(Base, "User", __versioned__=None, **keys), declare(Base)
    configure_mappers()
    users = [User(tenant=tenant, id=1, name=name) for tenant, name in ((1, "Ann"), (2, "Bob"))]
    session, first = record(engine, Article(name="a"), *users)
    first.user = users[1]
    session.commit()
    made = versioning.unit_of_work(session).create_transaction(user=session.get(User, (1, 1)))
    session.commit()

    assert (first.user_tenant, first.user_id, first.user.name) == (2, 1, "Bob")
    assert (made.user_tenant, made.user_id, made.user.name) == (1, 1, "Ann")
    session.close()


def test_no_user_class(Base, versioning):
    """None means no user, although there is a class called User."""
    declare(Base, "User", __versioned__=None)
    Article = declare(Base)
    versioning.user_cls = None
    configure_mappers()

    assert not hasattr(transaction_class(Article), "user_id")


def test_missing_user_class(Base, versioning):
    """A name that is given must exist."""
    declare(Base)
    versioning.user_cls = "Nobody"

    with pytest.raises(ImproperlyConfigured, match="'Nobody', and no mapped class"):
        configure_mappers()
    assert "transaction" not in Base.metadata.tables


def test_user_of_another_base(versioning, engine):
    """A user of another MetaData is linked to like any."""
    One, Two = build_base(), build_base()
    User, Article = declare(Two, "Person", __versioned__=None), declare(One)
    versioning.user_cls = User
    configure_mappers()
    Two.metadata.create_all(engine)
    session, transaction = record(engine, Article(name="a"))
    transaction.user = User(name="Ann")
    session.commit()

    assert transaction.user_id == transaction.user.id
    session.close()


@pytest.mark.needs("schemas")
def test_user_in_another_schema(Base, engine, versioning):
    """It is found there."""
    User = declare(Base, "User", __versioned__=None, __table_args__={"schema": "people"})
    Article = declare(Base)
    configure_mappers()
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA people"))
    session, transaction = record(engine, Article(name="a"), User(id=1, name="Ann"))
    transaction.user_id = 1
    session.commit()

    assert transaction.user.name == "Ann"
    session.close()


# -- what it tells -----------------------------------------------------------------------------


def test_changed_entities(blog, engine):
    """Versions by class, and the names of the classes; what did not change is left out."""
    configure_mappers()
    article, tag = blog.Article(name="a"), blog.Tag(name="t")
    session, transaction = record(engine, article, tag)

    assert transaction.changed_entities == {
        version_class(blog.Article): [article.versions[0]],
        version_class(blog.Tag): [tag.versions[0]],
    }
    assert transaction.entity_names == ["Article", "Tag"]
    session.close()


def test_changed_entities_of_hierarchies(Base, engine, count_statements):
    """A version is listed under its own class only, and to name the classes, none is loaded."""
    Item = declare(
        Base,
        "Item",
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "item"},
    )

    class Article(Item):
        __mapper_args__ = {"polymorphic_identity": "article"}

    Plain = declare(Base, "Plain")

    class Copy(Plain):
        __tablename__ = "copy"
        __mapper_args__ = {"concrete": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    Part = declare(Base, "Part")

    class Wheel(Part):
        __tablename__ = "wheel"
        id: Mapped[int] = mapped_column(ForeignKey("part.id"), primary_key=True)

    Pet = declare(
        Base,
        "Pet",
        __versioned__=None,
        kind=mapped_column(String(20)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "pet"},
    )

    class Dog(Pet):
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_identity": "dog"}

    configure_mappers()
    objects = [Item(name="a"), Article(name="b"), Copy(name="c"), Wheel(name="d"), Dog(name="e")]
    session, transaction = record(engine, *objects)
    # A statement on their table knows no classes.
    session.execute(insert(Pet.__table__).values(kind="pet", name="f"))
    session.add(Part(name="g"))
    cls = type(transaction)
    later = session.scalars(select(cls).where(cls.id > transaction.id)).one()
    found = {cls.__name__: len(some) for cls, some in transaction.changed_entities.items()}
    with count_statements(engine) as statements:
        names = transaction.entity_names, later.entity_names

    assert names == (["Article", "Copy", "Dog", "Item", "Wheel"], ["Part"])
    assert statements.count == 2 * 5
    assert later.changed_entities == {version_class(Part): [session.get(Part, 2).versions[0]]}
    assert found == {
        "ItemVersion": 1,
        "ArticleVersion": 1,
        "CopyVersion": 1,
        "PartVersion": 1,
        "DogVersion": 1,
    }
    session.close()


def test_entity_names_need_a_session(Base, engine):
    """Of a transaction in no session it cannot be told."""
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))
    session.close()

    assert type(transaction)().changed_entities == {}
    with pytest.raises(DetachedInstanceError, match="is in no session"):
        assert transaction.changed_entities
    with pytest.raises(NoChangesAttribute, match="belongs to no session"):
        assert transaction.entity_names


def test_repr(Base, engine):
    """It shows what it has loaded, and no user where there is none."""
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))

    shown = f"<Transaction id={transaction.id!r}, issued_at={transaction.issued_at!r}>"
    assert repr(transaction) == shown
    session.expire(transaction)
    session.close()
    assert repr(transaction) == "<Transaction id=1>"


# -- classes of other makings ------------------------------------------------------------------


def test_without_remote_address(Base, versioning):
    """The address need not be stored."""
    versioning.transaction_cls = TransactionFactory(remote_addr=False)
    Article = declare(Base)
    configure_mappers()

    assert list(transaction_class(Article).__table__.c.keys()) == ["id", "issued_at"]


def test_names_of_class_and_table(Base, versioning, engine):
    """Class, table and sequence may be called otherwise."""
    versioning.transaction_cls = TransactionFactory(name="Revision", table_name="revision")
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))

    assert type(transaction).__name__ == "Revision"
    assert transaction.__table__.c.id.default.name == "revision_id_seq"
    session.close()


def test_factory_of_ones_own(Base, versioning, engine):
    """create_class() may be overridden."""

    class Factory(TransactionFactory):
        def create_class(self, manager):
            class Transaction(manager.declarative_base, TransactionBase):
                __tablename__ = "transaction"
                id = Column(Integer, primary_key=True)
                issued_at = Column(UTCDateTime, default=lambda: datetime.now(timezone.utc))
                reason = Column(String(50), default="unknown")

            return Transaction

    versioning.transaction_cls = Factory()
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))

    assert transaction.reason == "unknown"
    assert transaction.entity_names == ["Article"]
    session.close()


def test_mapped_class_of_ones_own(Base, versioning, engine):
    """Any mapped class with an id will do, and is left alone on removal."""

    class Revision(Base):
        __tablename__ = "revision"
        id: Mapped[int] = mapped_column(primary_key=True)

    versioning.transaction_cls = Revision
    Article = declare(Base)
    configure_mappers()
    session, transaction = record(engine, Article(name="a"))
    assert isinstance(transaction, Revision)
    session.close()
    versioning.reset()

    assert inspect(Revision).local_table is Base.metadata.tables["revision"]
    assert set(Base.metadata.tables) == {"article", "revision"}


def test_class_without_declarative_base(versioning, engine):
    """Where models are mapped by hand the Transaction class is too."""
    reg = registry()
    table = Table(
        "article", reg.metadata, Column("id", Integer, primary_key=True), Column("name", String(9))
    )

    class Article:
        __versioned__ = {}
        metadata = reg.metadata

    reg.map_imperatively(Article, table)
    configure_mappers()
    session, transaction = record(engine, Article())

    assert type(transaction).__mro__[1:] == (TransactionBase, object)
    session.close()
