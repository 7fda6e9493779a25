"""Deletions that keep nothing but the key."""

import pytest
from sqlalchemy import JSON, ForeignKey, delete
from sqlalchemy.orm import Mapped, mapped_column

from sqlalchemy_versioned import deleted, remove_versioning, version_class
from sqlalchemy_versioned.maintenance import verify
from sqlalchemy_versioned.plugins import NullDeletePlugin, PropertyModTrackerPlugin


@pytest.fixture
def models(versioning, request):
    """The blog, with empty deletions."""
    versioning.plugins = [NullDeletePlugin(), PropertyModTrackerPlugin()]
    return request.getfixturevalue("blog")


@pytest.mark.strategies
def test_deletions_are_empty(session, models):
    """Only the key is left, however a row is deleted; the version before has the values."""
    one, two = models.factories.Article(name="a"), models.factories.Article(name="b")
    session.commit()
    ids = {one.id, two.id}
    session.delete(one)
    session.flush()
    session.execute(delete(models.Article).where(models.Article.name == "b"))
    session.commit()

    versions = session.scalars(deleted(models.Article)).all()
    assert {version.id for version in versions} == ids
    assert {(v.name, v.content, v.description) for v in versions} == {(None, None, None)}
    assert {v.name_mod for v in versions} == {True}
    assert verify(session, models.Article) == []
    assert versions[0].changeset["name"] == ["a", None]
    assert versions[0].previous.revert().name == "a"
    session.commit()
    assert verify(session, models.Article) == []


def test_what_comes_back(session, models):
    """A row that is deleted and inserted again in a transaction has its values."""
    article = models.factories.Article(name="a")
    session.commit()
    number = article.id
    savepoint = session.begin_nested()
    session.delete(article)
    session.flush()
    savepoint.rollback()
    session.delete(article)
    session.flush()
    again = models.Article(id=number, name="b")
    session.add(again)
    session.commit()

    assert [version.name for version in again.versions] == ["a", "b"]


def test_classes_and_other_values(versioning, Base, open_session):
    """Every table of an object is emptied, but for its class and what a subclass wants kept."""

    class Keeping(NullDeletePlugin):
        def should_nullify_column(self, version_obj, prop):
            return prop.key != "name"

    versioning.plugins = [Keeping()]

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]
        data: Mapped[dict | None] = mapped_column(JSON, default={"a": 1})

    class Dog(Animal):
        __tablename__ = "dog"
        __mapper_args__ = {"polymorphic_identity": "dog"}
        id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        bark: Mapped[str | None] = mapped_column(default="loud")

    session = open_session(Base)
    dog = Dog(name="a")
    session.add(dog)
    session.commit()
    session.delete(dog)
    session.commit()

    (version,) = session.scalars(deleted(Dog))
    assert type(version) is version_class(Dog)
    assert (version.name, version.data, version.bark) == ("a", None, None)
    found = version_class(Dog).data.is_(None)
    assert session.query(version_class(Dog)).filter(found).count() == 1


@pytest.mark.parametrize("size", [1, 40])
def test_statements(session, models, tables, count_statements, size, mode):
    """Emptying is one statement for a table, and none where triggers record."""
    articles = models.factories.Article.create_batch(size)
    session.commit()
    for article in articles:
        session.delete(article)
    with count_statements(tables) as statements:
        session.flush()

    updates = [each.statement for each in statements.on("article_version").starting("UPDATE")]
    assert len([each for each in updates if "content" in each.split("WHERE")[0]]) == mode.pick(1, 0)


def test_nothing_is_left(session, models):
    """Once versioning is removed, nothing is emptied."""
    article = models.factories.Article(name="a")
    session.commit()
    remove_versioning()
    session.delete(article)
    session.commit()
