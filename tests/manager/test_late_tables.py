"""``create_all()`` and ``drop_all()`` where nobody has configured mappers before."""

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    create_mock_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.orm import (
    Session,
    column_property,
    configure_mappers,
    mapped_column,
    relationship,
)

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    make_versioned,
    remove_versioning,
    versioned_table,
)
from sqlalchemy_versioned.maintenance import verify
from tests.models import build_base, build_blog
from tests.triggers.test_install import OURS

BLOG = {"article", "article_tag", "author", "category", "comment", "tag"}
VERSIONS = {f"{name}_version" for name in BLOG if name != "category"}


@pytest.fixture
def blog(Base):
    """The blog, of which nothing is configured."""
    return build_blog(Base)


def names_in(engine):
    """Return the names of the tables in a database."""
    return set(inspect(engine).get_table_names())


def write_article(engine, blog):
    """Write an article with a tag, and change it; return its names."""
    with Session(engine) as session:
        article = blog.Article(name="a", content="", tags=[blog.Tag(name="t")])
        session.add(article)
        session.commit()
        article.name = "b"
        session.commit()
        assert verify(session) == []
        return [version.name for version in article.versions]


def test_create_all_makes_version_tables(blog, engine):
    """Whatever the first use of the models is, history is kept."""
    blog.metadata.create_all(engine)

    assert names_in(engine) >= {*BLOG, *VERSIONS, "transaction"}
    assert write_article(engine, blog) == ["a", "b"]


def test_live_tables_are_there_already(blog, engine):
    """Only the tables that are missing are made, with the triggers of all."""
    blog.metadata.create_all(engine, tables=list(blog.metadata.tables.values()))
    assert names_in(engine).isdisjoint(VERSIONS)

    blog.metadata.create_all(engine)
    blog.metadata.create_all(engine)

    assert write_article(engine, blog) == ["a", "b"]


def test_classes_that_come_beside_a_class_that_got_something(Base, engine):
    """A class that is asked what it has got has the others configured, which come then."""

    class Shelf(Base):
        __tablename__ = "shelf"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)

    configure_mappers()
    Shelf.number = column_property(Shelf.__table__.c.id + 1)

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)

    Base.metadata.create_all(engine)

    assert names_in(engine) >= {"shelf_version", "book_version"}


@pytest.fixture
def made(unversioned, mode, engine):
    """Make the tables of the blog, by a program that is over then."""
    make_versioned(native=mode.is_native)
    base = build_base()
    build_blog(base)
    base.metadata.create_all(engine)
    remove_versioning()
    base.registry.dispose()


def test_drop_all_drops_version_tables(made, blog, engine):
    """A program that only drops tables leaves none behind."""
    assert names_in(engine) > VERSIONS

    blog.metadata.drop_all(engine)

    assert names_in(engine) == set()


@pytest.mark.needs("triggers")
@pytest.mark.options(native=True)
def test_drop_all_drops_functions(made, blog, engine):
    """Nor does it leave what triggers call."""
    blog.metadata.drop_all(engine)

    with engine.connect() as connection:
        assert connection.scalar(text(OURS)) == 0


def test_listeners_hear_of_all_tables_once(blog, engine):
    """Those of the application find what they find when mappers were configured before."""
    heard = []

    @event.listens_for(blog.metadata, "before_create")
    @event.listens_for(blog.metadata, "after_create")
    @event.listens_for(blog.metadata, "before_drop")
    def listen(target, connection, tables, **kw):
        heard.append({table.name for table in tables})

    blog.metadata.create_all(engine)
    blog.metadata.drop_all(engine)

    assert heard == [{*BLOG, *VERSIONS, "transaction"}] * 3


def test_named_tables_are_made_alone(blog, engine):
    """Whoever says which tables wants no others, and perhaps has no other models by now."""
    blog.Article.late = relationship("Late")

    blog.metadata.create_all(engine, tables=[blog.Tag.__table__])
    blog.metadata.drop_all(engine, tables=[blog.Tag.__table__])

    assert names_in(engine) == set()


@pytest.mark.parametrize("method", ["create_all", "drop_all"])
def test_models_that_are_missing(method, blog, engine):
    """What keeps mappers from being configured is told before anything is done."""
    blog.Article.late = relationship("Late")

    with pytest.raises(ImproperlyConfigured, match=rf"^{method}\(\) is for .*'Late'.*import all"):
        getattr(blog.metadata, method)(engine)

    assert names_in(engine) == set()


def test_other_metadata_is_left_alone(blog, engine):
    """Where nothing is versioned, nothing is configured."""
    blog.Article.late = relationship("Late")
    other = MetaData()
    Table("page", other, Column("id", Integer, primary_key=True))

    other.create_all(engine)

    assert names_in(engine) == {"page"}


def test_tables_without_a_class_beside_users(Base, engine):
    """Transactions of such tables know the users of classes that are not versioned."""
    page = Table("page", Base.metadata, Column("id", Integer, primary_key=True))
    versioned_table(page)

    class User(Base):
        __tablename__ = "user"
        id = mapped_column(Integer, primary_key=True)

    Base.metadata.create_all(engine)

    assert "user_id" in {each["name"] for each in inspect(engine).get_columns("transaction")}


def test_tables_that_refer_to_others(Base, versioning, engine):
    """Tables of ours may have foreign keys to those of the application."""

    def build(manager):
        cls = factory(manager)
        cls.__table__.append_column(Column("site_id", ForeignKey("site.id")))
        return cls

    factory, versioning.transaction_cls = versioning.transaction_cls, build

    class Site(Base):
        __tablename__ = "site"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)

    Base.metadata.create_all(engine)
    assert inspect(engine).get_foreign_keys("transaction")

    Base.metadata.drop_all(engine)
    assert names_in(engine) == set()


def test_statements_are_written_down(blog):
    """An engine that executes nothing is told to make the tables as well."""
    statements = []
    engine = create_mock_engine("postgresql://", lambda ddl, *_: statements.append(str(ddl)))

    blog.metadata.create_all(engine)

    made = {each.split()[2] for each in statements if each.split()[:2] == ["CREATE", "TABLE"]}
    assert made >= VERSIONS
