"""Names of what a transaction changed."""

import pytest
from sqlalchemy import ForeignKey, insert, inspect, select
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    remove_versioning,
    transaction_class,
    versioning_manager,
)
from sqlalchemy_versioned.plugins import TransactionChangesPlugin


@pytest.fixture
def models(versioning, request):
    """The blog, with names of what was changed."""
    versioning.plugins.append(TransactionChangesPlugin())
    return request.getfixturevalue("blog")


def names(session, models):
    """Return the names of each transaction."""
    cls = transaction_class(models.Article)
    found = session.scalars(select(cls).order_by(cls.id))
    return [sorted(change.entity_name for change in each.changes) for each in found]


@pytest.mark.strategies
def test_names(session, models):
    """Each class is named once, in whatever flush and way it was changed, and so are links."""
    article = models.Article(name="a", tags=[models.Tag(name="b")])
    session.add(article)
    session.flush()
    session.execute(insert(models.Author).values(name="c"))
    session.commit()
    article.tags = []
    session.commit()

    assert names(session, models) == [["Article", "Author", "Tag", "article_tag"], ["article_tag"]]
    cls = transaction_class(models.Article)
    first = session.scalars(select(cls).order_by(cls.id)).first()
    assert first.entity_names == ["Article", "Author", "Tag", "article_tag"]
    assert {each.__name__ for each in first.changed_entities} == {
        "ArticleVersion",
        "AuthorVersion",
        "TagVersion",
    }
    model = versioning_manager.plugins[0].model_class
    assert models.Article.__versioned__["transaction_changes"] is model
    assert first.changes[0].transaction is first


def test_what_comes_to_nothing(session, models):
    """Savepoints that are rolled back, and objects that come and go, leave no names."""
    article = models.factories.Article(name="a")
    session.commit()
    savepoint = session.begin_nested()
    session.add(models.Tag(name="b"))
    session.flush()
    savepoint.rollback()
    author = models.Author(name="c")
    session.add(author)
    session.flush()
    article.name = "b"
    session.delete(author)
    session.commit()
    comment = models.Comment(content="d")
    session.add(comment)
    session.flush()
    session.delete(comment)
    session.commit()

    assert names(session, models) == [["Article"], ["Article"]]
    found = session.scalars(select(versioning_manager.plugins[0].model_class)).all()
    assert len(found) == 2


def test_names_of_subclasses(versioning, Base, open_session):
    """Classes that share tables are told apart, with a discriminator or without."""
    versioning.plugins = [TransactionChangesPlugin("changes")]

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Dog(Animal):
        __mapper_args__ = {"polymorphic_identity": "dog"}

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Car(Thing):
        __tablename__ = "car"
        id: Mapped[int] = mapped_column(ForeignKey("thing.id"), primary_key=True)

    session = open_session(Base)
    session.add_all([Dog(), Car()])
    session.commit()
    session.add_all([Animal(), Thing(), Car()])
    session.commit()

    found = session.scalars(select(transaction_class(Animal))).all()
    assert [each.entity_names for each in found] == [["Car", "Dog"], ["Animal", "Car", "Thing"]]


@pytest.mark.parametrize("size", [1, 50])
def test_statements(session, models, tables, count_statements, size, mode):
    """A flush writes all names by one statement; a further one reads what there is.

    Where triggers record, they write the names.
    """
    for number in range(size):
        session.add(models.Article(name="a", tags=[models.Tag(name=str(number))]))
    with count_statements(tables) as statements:
        session.flush()
    assert statements.on("transaction_changes").count == mode.pick(1, 0)
    session.add(models.Tag(name="b"))
    with count_statements(tables) as statements:
        session.commit()
    assert statements.on("transaction_changes").count == mode.pick(1, 0)


def test_bad_input(versioning, Base):
    """A table of the same name is not taken over."""
    versioning.plugins.append(TransactionChangesPlugin())

    class Thing(Base):
        __tablename__ = "transaction_changes"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="'transaction_changes' already, and Trans"):
        configure_mappers()
    Base.registry.dispose()


def test_nothing_is_left(versioning, models):
    """Once versioning is removed there is no class, no table and no attribute of the plugin."""
    plugin = versioning.plugins[0]
    configure_mappers()
    assert inspect(plugin.model_class).local_table.name in models.metadata.tables
    remove_versioning()

    assert plugin.model_class is None
    assert not [name for name in models.metadata.tables if "transaction" in name]
    assert {m.class_.__name__ for m in models.base.registry.mappers} == {
        cls.__name__ for cls in models.classes
    }


@pytest.mark.needs("triggers")
@pytest.mark.options(native=True)
def test_names_by_both(versioning, Base, open_session):
    """Where triggers record some tables and sessions others, each writes the names of its own."""
    versioning.plugins = [TransactionChangesPlugin()]

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"native": False}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Visit(Base):
        __tablename__ = "visit"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    page = Page(name="a")
    session.add_all([page, Visit()])
    session.flush()
    page.name = "b"
    session.commit()
    session.execute(insert(Visit))
    session.commit()

    found = session.scalars(select(transaction_class(Page)).order_by("id")).all()
    assert [each.entity_names for each in found] == [["Page", "Visit"], ["Visit"]]
