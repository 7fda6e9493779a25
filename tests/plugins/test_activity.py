"""A stream of activities."""

import uuid

import pytest
from sqlalchemy import MetaData, Uuid, inspect, select
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import InvalidArgument, InvalidArgumentType, remove_versioning
from sqlalchemy_versioned.plugins import ActivityPlugin


@pytest.fixture
def models(versioning, request):
    """The blog, with activities."""
    versioning.plugins.append(ActivityPlugin())
    return request.getfixturevalue("blog")


@pytest.fixture
def Activity(models, versioning, tables):
    """The class of activities."""
    return versioning.activity_cls


@pytest.mark.strategies
def test_references(session, models, Activity):
    """An activity refers to an object, to what it was, and to nothing later."""
    article = models.factories.Article(name="a")
    session.commit()
    category = models.Category(name="b")
    session.add(category)
    first = Activity(verb="wrote", object=article, target=category, data={"n": 1})
    session.add(first)
    session.commit()
    transaction = first.transaction
    article.name = "c"
    second = Activity(verb="renamed", object=article, target=article)
    session.add(second)
    session.commit()
    third = Activity(verb="deleted", object=article)
    session.add(third)
    session.delete(article)
    session.commit()

    assert (first.transaction, first.object_version.name) == (transaction, "a")
    assert (first.target, first.target_version, first.data) == (category, None, {"n": 1})
    assert second.object_tx_id == second.target_tx_id == second.transaction_id
    assert second.object_version.name == "c"
    assert (third.object, third.object_tx_id) == (None, second.transaction_id)
    assert third.object_version_type == "ArticleVersion"
    assert transaction.activities == [first]


def test_new_objects(session, models, Activity):
    """An object need not be flushed before the activity, nor be changed in the end."""
    article, tag = models.Article(name="a"), models.factories.Tag(name="b")
    session.commit()
    session.expire(tag)
    tag.name = "b"
    activity = Activity(verb="wrote", object=article, target=tag)
    session.add_all([activity, article])
    session.commit()

    assert (activity.object, activity.target) == (article, tag)
    assert activity.object_version.name == "a"
    assert activity.target_tx_id < activity.object_tx_id == activity.transaction_id


def test_queries(session, models, Activity):
    """Activities are found by what they refer to."""
    one, two = models.factories.Article.create_batch(2)
    session.flush()
    session.add_all([Activity(verb="x", object=one), Activity(verb="y", target=two)])
    session.commit()

    def verbs(condition):
        return session.scalars(select(Activity.verb).where(condition)).all()

    assert verbs(Activity.object == one) == ["x"]
    assert verbs(Activity.target == two) == ["y"]
    assert verbs(Activity.object != two) == ["x"]
    assert verbs(Activity.object.is_type(models.Article)) == ["x"]
    assert verbs(Activity.object == None) == ["y"]  # noqa: E711
    assert verbs(Activity.object_version_type == "ArticleVersion") == ["x"]


def test_names_of_version_classes(versioning, Base, open_session):
    """The name of a version class is found in queries as it is read, whatever it is."""
    versioning.plugins.append(ActivityPlugin())

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"class_name": "Old%s"}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Draft(Base):
        __tablename__ = "draft"
        id: Mapped[int] = mapped_column(primary_key=True)

    session = open_session(Base)
    kind = versioning.activity_cls.object_version_type
    for instance in (Page(id=1), Draft(id=1)):
        session.add(versioning.activity_cls(verb="wrote", object=instance))
        session.add(instance)
        session.commit()

    found = session.scalars(select(versioning.activity_cls).order_by("id")).all()
    assert [each.object_version_type for each in found] == ["OldPage", None]
    assert session.scalars(select(kind).order_by("id")).all() == ["OldPage", None]
    assert (
        session.scalars(select(versioning.activity_cls).where(kind == "OldPage")).one() is found[0]
    )


def test_keys_of_any_kind(versioning, Base, open_session):
    """Keys that are texts, UUIDs or of several columns are found again."""
    versioning.plugins.append(ActivityPlugin())

    class Text(Base):
        __tablename__ = "text"
        __versioned__ = {}
        id: Mapped[str] = mapped_column(primary_key=True)

    class Unique(Base):
        __tablename__ = "unik"
        __versioned__ = {}
        id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)

    class Pair(Base):
        __tablename__ = "pair"
        __versioned__ = {}
        a: Mapped[int] = mapped_column(primary_key=True)
        b: Mapped[str] = mapped_column(primary_key=True)

    session = open_session(Base)
    objects = [Text(id="5"), Unique(id=uuid.uuid4()), Pair(a=1, b="2")]
    session.add_all(objects)
    session.commit()
    activities = [versioning.activity_cls(verb="x", object=each) for each in objects]
    session.add_all(activities)
    session.commit()

    assert [each.object for each in activities] == objects
    assert [type(each.object_version).__name__[:4] for each in activities] == [
        "Text",
        "Uniq",
        "Pair",
    ]
    found = select(versioning.activity_cls).where(versioning.activity_cls.object == objects[2])
    assert session.scalars(found).one() is activities[2]


def test_savepoints(session, models, Activity):
    """An activity of a savepoint that is rolled back is gone; later ones have a transaction."""
    article = models.factories.Article(name="a")
    session.flush()
    savepoint = session.begin_nested()
    session.add(Activity(verb="x", object=article))
    session.flush()
    savepoint.rollback()
    session.add(Activity(verb="y", object=article))
    session.flush()
    article.name = "b"
    session.commit()

    (activity,) = session.scalars(select(Activity))
    assert (activity.verb, activity.object_version.name) == ("y", "b")


@pytest.mark.parametrize("size", [1, 40])
def test_statements(session, models, Activity, tables, count_statements, size, mode):
    """References cost nothing for what was just flushed, and one look-up for all else."""
    articles = models.factories.Article.create_batch(size)
    session.flush()
    session.add_all([Activity(verb="x", object=article) for article in articles])
    with count_statements(tables) as statements:
        session.flush()
    # Some databases are asked for a number first, and triggers for what they have written.
    written = statements.on("activity") if mode.is_native else statements
    kinds = [each.statement.lower().split("(")[0].split()[:3] for each in written]
    assert all(kind in (["insert", "into", "activity"], ["select", "nextval"]) for kind in kinds)
    assert size > 1 or kinds.count(["insert", "into", "activity"]) == 1
    session.commit()
    articles = session.scalars(select(models.Article)).all()
    session.add_all([Activity(verb="y", object=article) for article in articles])
    with count_statements(tables) as statements:
        session.flush()
    assert statements.on("article_version").count == 1


def test_bad_input(session, models, Activity):
    """Only mapped objects can be referred to, and such as have a key or get one."""
    with pytest.raises(InvalidArgumentType, match=r"Activity.object cannot be 5; assign"):
        Activity(object=5)
    with pytest.raises(InvalidArgumentType, match="Article'>; assign an object"):
        Activity(target=models.Article)
    article = models.Article(name="a")
    session.add(article)
    session.commit()
    with pytest.raises(InvalidArgumentType, match="which is a version; assign its object"):
        Activity(object=article.versions[0])
    session.add_all([models.Article(name="b"), Activity(object=models.Article(name="c"))])
    with pytest.raises(InvalidArgument, match="is not in the session of the activity"):
        session.commit()
    session.rollback()
    assert session.query(models.Article).count() == 1


def test_conventions_that_say_nothing_of_indexes(versioning):
    """The table has names for its indexes, without which none could be created."""
    versioning.plugins.append(ActivityPlugin())

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    configure_mappers()
    indexes = Base.metadata.tables["activity"].indexes
    assert [index.name for index in indexes] == ["ix_activity_transaction_id"]


def test_nothing_is_left(versioning, models):
    """Once versioning is removed there is no class, no table and no attribute of the plugin."""
    plugin = versioning.plugins[0]
    configure_mappers()
    assert inspect(plugin.activity_cls).local_table.name in models.metadata.tables
    remove_versioning()

    assert plugin.activity_cls is None
    assert not hasattr(versioning, "activity_cls")
    assert not {"activity", "transaction"} & set(models.metadata.tables)
    assert not models.metadata._sequences
