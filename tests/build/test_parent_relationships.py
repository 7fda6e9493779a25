"""What classes and their versions have of each other, and that all of it can be undone."""

import copy

import pytest
from sqlalchemy import ForeignKey, inspect, select
from sqlalchemy.orm import (
    Mapped,
    MappedAsDataclass,
    Session,
    configure_mappers,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from sqlalchemy_versioned import (
    is_versioned,
    make_versioned,
    remove_versioning,
    version_class,
    versioning_manager,
)
from tests.models import build_base, build_blog


def test_versions_can_be_joined(session, blog):
    """Statements about the live class can join its versions."""
    Article, Version = blog.Article, version_class(blog.Article)
    article = blog.factories.Article(name="a")
    blog.factories.Article(name="other")
    session.commit()
    article.name = "b"
    session.commit()

    joined = select(Article.name, Version.name).join(Article.versions)
    assert sorted(map(tuple, session.execute(joined))) == [
        ("b", "a"),
        ("b", "b"),
        ("other", "other"),
    ]
    renamed = select(Article.name).where(Article.versions.any(Version.name != Article.name))
    assert session.scalars(renamed).all() == ["b"]


@pytest.mark.parametrize("loader", [joinedload, selectinload])
def test_versions_can_be_loaded_along(session, blog, engine, count_statements, loader):
    """A loader option reads the versions of all objects at once."""
    blog.factories.Article.create_batch(3)
    session.commit()
    session.expunge_all()
    statement = select(blog.Article).options(loader(blog.Article.versions))
    with count_statements(engine) as statements:
        articles = session.scalars(statement).unique().all()

    assert statements.count == (1 if loader is joinedload else 2)
    found = [each for each in session if isinstance(each, version_class(blog.Article))]
    assert (len(articles), len(found)) == (3, 3)


def test_version_knows_live_object_and_transaction(session, blog):
    """Both can be loaded along with versions; a deleted object is gone."""
    article = blog.factories.Article(name="a")
    session.commit()
    Version = version_class(blog.Article)
    options = selectinload(Version.version_parent), joinedload(Version.transaction)
    version = session.scalars(select(Version).options(*options)).one()

    assert version.__dict__["version_parent"] is article
    assert version.__dict__["transaction"].id == version.transaction_id
    session.delete(article)
    session.commit()
    assert version.version_parent is None


def test_live_objects_can_be_copied(session, blog):
    """What versioning adds to live classes does not get in the way of copying objects."""
    article = blog.factories.Article(name="a")
    session.commit()
    session.scalars(select(blog.Article).options(selectinload(blog.Article.versions))).all()

    assert copy.copy(article).name == "a"
    assert all(each.viewonly for each in inspect(blog.Article).relationships if "_r" in each.key)


def test_dataclasses_get_no_new_arguments(Base, open_session):
    """The constructor of a dataclass is what its fields say."""

    class Page(MappedAsDataclass, Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(default="x")

    session = open_session(Base)
    page = Page(id=1)
    session.add(page)
    session.commit()

    assert (page.versions[0].name, repr(page).rpartition(".")[2]) == ("x", "Page(id=1, name='x')")
    assert Page(id=1) == Page(id=1)


def test_names_of_the_application_stay_its_own(Base, open_session):
    """Attributes called like those that versioning adds are left alone."""

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        versions: Mapped[str]
        transaction: Mapped[str]
        version_parent_id: Mapped[int | None] = mapped_column(ForeignKey("book.id"))
        version_parent = relationship("Book", remote_side=[id])

    session = open_session(Base)
    book = Book(
        versions="many", transaction="sold", version_parent=Book(versions="", transaction="")
    )
    session.add(book)
    session.commit()
    version = session.scalars(select(version_class(Book)).order_by(version_class(Book).id)).all()[
        -1
    ]

    assert (book.versions, version.versions, version.transaction) == ("many", "many", "sold")
    assert version.version_api.transaction.id == version.transaction_id
    assert isinstance(version.version_parent or version, version_class(Book))


def test_superclass_that_is_not_versioned_has_no_versions(Base, open_session):
    """Where only a subclass is versioned, only that has versions."""

    class Item(Base):
        __tablename__ = "item"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Tool(Item):
        __tablename__ = "tool"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_identity": "tool"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)

    session = open_session(Base)
    tool = Tool()
    session.add(tool)
    session.commit()

    assert not is_versioned(Item)
    assert not hasattr(Item, "versions")
    assert tool.versions[0].version_parent is tool
    assert tool.versions[0].transaction.id == tool.versions[0].transaction_id


@pytest.mark.usefixtures("unversioned")
def test_everything_can_be_undone_and_done_again(engine):
    """Without versioning nothing of it remains on the classes; it can be turned on again."""
    base = build_base()
    blog = build_blog(base)

    class Draft(blog.Article):
        pass

    before = {cls: set(vars(cls)) for cls in (*blog.classes, Draft)}
    for _ in range(2):
        make_versioned()
        configure_mappers()
        versioning_manager._after_configured()
        assert Draft.versions is not None
        remove_versioning()
        for cls, names in before.items():
            assert {n for n in set(vars(cls)) - names if not n.startswith("__")} == set()
            assert "versions" not in inspect(cls).relationships
            assert all(
                not each.mapper.class_.__name__.endswith("Version")
                for each in inspect(cls).relationships
            )
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Draft(name="d", tags=[blog.Tag(name="t")]))
        session.commit()
        assert session.scalars(select(Draft)).one().tags[0].name == "t"
    base.registry.dispose()
