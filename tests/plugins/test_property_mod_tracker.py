"""Flags for what was changed."""

from importlib import import_module

import pytest
from sqlalchemy import delete, insert, inspect, select, update
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import ImproperlyConfigured, Operation, remove_versioning, version_class
from sqlalchemy_versioned.plugins import PropertyModTrackerPlugin
from tests.lives import versions_of


@pytest.fixture
def models(versioning, request):
    """The blog, with flags."""
    versioning.plugins.append(PropertyModTrackerPlugin())
    return request.getfixturevalue("blog")


def flagged(version):
    """Return the attributes that a version has flags for, where these are set."""
    return {
        prop.key.removesuffix("_mod")
        for prop in inspect(type(version)).column_attrs
        if prop.key.endswith("_mod") and getattr(version, prop.key)
    }


@pytest.mark.strategies
def test_inserts_updates_and_deletions(session, models, mode):
    """What was assigned is flagged; of a deleted row, everything is, and no key ever."""
    article = models.Article(name="a", content=None)
    session.add(article)
    session.commit()
    article.author = models.Author(name="b")
    session.commit()
    article.name = article.name
    article.content = "c"
    session.commit()
    versions = article.versions.all()
    session.delete(article)
    session.commit()

    last = versions[-1].next
    everything = {"name", "content", "description", "author_id", "category_id"}
    assert [flagged(v) for v in (*versions, last)] == [
        # Triggers see what a new row has, and not what it was given.
        mode.pick({"name", "content"}, {"name", "description"}),
        {"author_id"},
        {"content"},
        everything,
    ]
    assert versions[2].changeset == {"content": [None, "c"]}
    assert not hasattr(last, "id_mod")


def test_flushes_and_savepoints(session, models):
    """Flags of several flushes add up, and go with a savepoint that is rolled back."""
    article = models.factories.Article(name="a")
    session.commit()
    article.name = "b"
    session.flush()
    savepoint = session.begin_nested()
    article.category_id = None
    article.description = "c"
    session.flush()
    savepoint.rollback()
    article.content = "d"
    session.commit()

    assert flagged(article.versions[-1]) == {"name", "content"}


def test_what_is_not_there(session, models):
    """A statement that changes no row leaves no flags for what comes after it."""
    session.add(models.Tag(id=1, name="a"))
    session.commit()
    table = models.Article.__table__
    session.execute(update(table).where(table.c.id == 1).values(content="b"))
    session.execute(update(models.Tag).values(name="a"))
    session.add(models.Article(id=1, name="a", description="c"))
    session.commit()

    (version,) = versions_of(session, models.Article, (1,))
    assert flagged(version) == {"name", "description"}


def test_sql_expressions(session, models):
    """What is set to an SQL expression is flagged; what is only not loaded is not."""
    article = models.factories.Article(name="a")
    session.commit()
    article.name = models.Article.name + "b"
    session.commit()

    assert (article.name, flagged(article.versions[-1])) == ("ab", {"name"})


def test_other_names(versioning, Base, open_session):
    """Columns of other names than their attributes, in every class that shares a table."""
    versioning.plugins = [PropertyModTrackerPlugin("_was_set")]

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {"exclude": ["secret"]}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
        id: Mapped[int] = mapped_column("_id", primary_key=True)
        kind: Mapped[str]
        n: Mapped[str | None] = mapped_column("_n")
        secret: Mapped[str | None]

    configure_mappers()

    class Dog(Animal):
        __mapper_args__ = {"polymorphic_identity": "dog"}
        bark: Mapped[str | None] = mapped_column("_bark")

    session = open_session(Base)
    dog = Dog(n="a")
    session.add(dog)
    session.commit()
    dog.bark = "b"
    session.commit()

    first, last = dog.versions.all()
    assert (first.n_was_set, first.bark_was_set) == (True, False)
    assert (last.n_was_set, last.bark_was_set) == (False, True)
    names = {column.name for column in version_class(Animal).__table__.c}
    assert {"_n_was_set", "_bark_was_set"} < names
    assert not names & {"_id_was_set", "secret_was_set"}


def test_what_statements_set(session, models, mode):
    """What a statement of any form sets is flagged; of what it deletes, everything."""
    cls, table = models.Article, models.Article.__table__
    session.execute(insert(table), [{"id": n, "name": "a"} for n in (1, 2)])
    session.commit()
    session.execute(update(cls).values(content="c"))
    session.commit()
    session.execute(update(table).where(table.c.id == 1).values(name=table.c.name + "b"))
    session.bulk_update_mappings(cls, [{"id": 2, "description": "d"}])
    session.commit()
    session.execute(delete(cls).where(cls.id == 2))
    session.commit()

    first, second = (versions_of(session, cls, (number,)) for number in (1, 2))
    every = {"name", "content", "description", "author_id", "category_id"}
    given = mode.pick({"name"}, {"name", "description"})
    assert [*map(flagged, first)] == [given, {"content"}, {"name"}]
    assert [*map(flagged, second)] == [given, {"content"}, {"description"}, every]


@pytest.mark.needs("returning")
def test_what_upserts_set(session, models):
    """Of new rows what was given is flagged, of others what was set in the conflict."""
    table = models.Tag.__table__
    session.execute(insert(table).values(id=1, name="a"))
    session.commit()
    upsert = build_upserting(session, table)
    session.execute(upsert.on_conflict_do_update(index_elements=["id"], set_={"name": "c"}))
    session.commit()

    versions = [versions_of(session, models.Tag, (number,))[-1] for number in (1, 2)]
    assert [(v.operation_type, v.name, flagged(v)) for v in versions] == [
        (Operation.UPDATE, "c", {"name"}),
        (Operation.INSERT, "b", {"name"}),
    ]


def build_upserting(session, table):
    """Return an INSERT of two rows that can go on where one is there."""
    module = import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}")
    return module.insert(table).values([{"id": 1, "name": "b"}, {"id": 2, "name": "b"}])


@pytest.mark.parametrize("size", [1, 60])
def test_statements(session, models, tables, count_statements, size):
    """Flags cost no statement, however many objects there are."""
    articles = models.factories.Article.create_batch(size)
    session.commit()
    articles[0].name = "a"
    session.commit()
    for number, article in enumerate(articles):
        setattr(article, ("name", "content", "description")[number % 3], "b")
    with count_statements(tables) as statements:
        session.commit()

    assert statements.on("article_version").count <= 4


def test_bad_input(versioning, Base):
    """Flags must have names of their own, and there is one plugin of the kind."""
    with pytest.raises(ImproperlyConfigured, match="column_suffix is ''; give"):
        PropertyModTrackerPlugin("")
    versioning.plugins.append(PropertyModTrackerPlugin())
    with pytest.raises(ImproperlyConfigured, match="registered are PropertyModTrackerPlugin"):
        versioning.plugins.append(PropertyModTrackerPlugin())

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        name_mod: Mapped[str]

    with pytest.raises(ImproperlyConfigured, match="Thing has 'name_mod', which the flag"):
        configure_mappers()
    Base.registry.dispose()


def test_nothing_is_left(session, models):
    """Once versioning is removed, sessions and classes know of no plugin."""
    article = models.factories.Article(name="a")
    session.commit()
    remove_versioning()
    article.name = models.Article.name + "b"
    session.commit()

    assert session.info == {}
    assert session.scalars(select(models.Article.name)).all() == ["ab"]
