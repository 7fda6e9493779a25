"""Relationships of versions lead to what was there at the version's transaction."""

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    contains_eager,
    joinedload,
    raiseload,
    selectinload,
    subqueryload,
    with_parent,
)

from sqlalchemy_versioned import (
    InvalidArgumentType,
    ReadOnlyRelationship,
    VersioningError,
    version_class,
)

pytestmark = pytest.mark.strategies

LOADERS = (joinedload, selectinload, subqueryload)


@pytest.fixture
def models(blog):
    """The blog, once per strategy."""
    return blog


def write_articles(session, models):
    """Write an article in three transactions."""
    author, tags = models.Author(name="Ann"), [models.Tag(name="x"), models.Tag(name="y")]
    article = models.Article(name="1", content="Some content", author=author, tags=tags)
    article.comments.append(models.Comment(content="first"))
    session.add(article)
    session.commit()
    article.name, article.tags, author.name = "2", tags[1:], "Anna"
    article.comments.append(models.Comment(content="second"))
    session.commit()
    article.name, article.author = "3", None
    session.delete(article.comments[0])
    tags[1].name = "z"
    session.commit()


@pytest.fixture
def article(session, models, write):
    """An article of three versions, whose comments, tags and author changed in between."""
    write(write_articles)
    article = session.get(models.Article, 1)
    session.expire(article)
    return article


def names(objects):
    """Return the names of some objects."""
    return [each.name for each in objects]


def test_one_to_many_is_as_of_the_version(article):
    """Each version has the comments, with the values, of its own transaction."""
    found = [[c.content for c in version.comments] for version in article.versions]

    assert found == [["first"], ["first", "second"], ["second"]]


def test_many_to_one_is_as_of_the_version(article):
    """Each version has the author that it had then, as the author was then."""
    found = [version.author and version.author.name for version in article.versions]

    assert found == ["Ann", "Anna", None]


def test_many_to_many_is_as_of_the_version(article):
    """Links that were cut are gone from later versions only."""
    assert [names(version.tags) for version in article.versions] == [["x", "y"], ["y"], ["z"]]


def test_many_to_many_is_there_on_the_other_side(session, models, article):
    """A tag's versions have the articles that were linked at their transactions."""
    Tag = version_class(models.Tag)
    tags = session.scalars(select(Tag).order_by(Tag.id, Tag.transaction_id))

    assert [(tag.name, names(tag.articles)) for tag in tags] == [
        ("x", ["1"]),
        ("y", ["1"]),
        ("z", ["3"]),
    ]


def test_what_happened_later_is_not_seen(session, models, article):
    """A comment added after a version is not among its comments, however long it is the newest."""
    models.factories.Comment(content="late", article=article)
    session.commit()

    assert [c.content for c in article.versions[-1].comments] == ["second"]


def test_deletion_resolves_its_own_relationships(session, models, article):
    """The version that records a deletion still leads to what there was at that moment."""
    author = models.factories.Author(name="Bob")
    article.author = author
    session.commit()
    identity = article.id
    session.delete(article)
    session.commit()
    last = version_class(models.Article).all_versions(session, {"id": identity}, limit=1)[0]

    assert last.operation_type == 2
    assert (last.author.name, last.comments, last.tags) == ("Bob", [], [])


def test_deleted_rows_are_gone_from_later_versions(session, models, article):
    """An author who was deleted is no author of versions made afterwards."""
    author = session.scalars(select(models.Author)).one()
    article.author = author
    session.commit()
    author.articles.clear()
    session.delete(author)
    session.commit()

    assert [v.author and v.author.name for v in article.versions[2:]] == [None, "Anna", None]


def test_moved_child_belongs_to_one_parent_at_a_time(session, models, article):
    """A comment that moves to another article moves in the versions of that transaction."""
    other = models.factories.Article(name="other")
    comment = article.comments[0]
    comment.article = other
    article.name = "4"
    session.commit()

    assert article.versions[-1].comments == []
    assert [c.content for c in other.versions[-1].comments] == ["second"]
    assert names([article.versions[-2], comment.versions[-1].article]) == ["3", "other"]


@pytest.mark.shared_out
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("key", ["comments", "tags", "author", "category"])
def test_every_loader_finds_the_same(session, models, article, loader, key):
    """Eager loading gives what reading the attribute gives."""
    Article = version_class(models.Article)
    expected = [getattr(version, key) for version in article.versions]
    session.expire_all()
    option = loader(getattr(Article, key))
    statement = select(Article).options(option).order_by(Article.transaction_id)
    versions = session.scalars(statement).unique().all()

    assert all(key in version.__dict__ for version in versions)
    assert [getattr(version, key) for version in versions] == expected


@pytest.mark.parametrize("key", ["comments", "tags", "author"])
def test_contains_eager_takes_the_joined_rows(session, models, article, key):
    """A join written by hand fills the relationship."""
    Article = version_class(models.Article)
    attribute = getattr(Article, key)
    target = inspect(Article).relationships[key].mapper
    statement = select(Article).join(attribute).options(contains_eager(attribute))
    statement = statement.where(Article.name == "2").order_by(*target.primary_key)
    version = session.scalars(statement).unique().one()

    loaded = version.__dict__[key]
    session.expire(version)
    assert getattr(version, key) == loaded


def test_raiseload_refuses(session, models, article):
    """Loader options that forbid loading work as on any relationship."""
    Article = version_class(models.Article)
    version = session.scalars(select(Article).options(raiseload("*")).limit(1)).one()

    with pytest.raises(InvalidRequestError, match="is not available due to lazy='raise'"):
        version.tags  # noqa: B018


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("comments", [("1", "first"), ("2", "first"), ("2", "second"), ("3", "second")]),
        ("tags", [("1", "x"), ("1", "y"), ("2", "y"), ("3", "z")]),
        ("author", [("1", "Ann"), ("2", "Anna")]),
    ],
)
def test_join_pairs_what_stood_together(session, models, article, key, expected):
    """Joining along a relationship gives each version its own neighbours."""
    Article = version_class(models.Article)
    target = inspect(Article).relationships[key].mapper.class_
    column = target.content if key == "comments" else target.name
    statement = select(Article.name, column).join(getattr(Article, key))

    assert [tuple(row) for row in session.execute(statement.order_by(Article.name, column))] == (
        expected
    )


def test_any_and_has_ask_about_then(session, models, article):
    """Criteria on relationships hold for what stood at each version."""
    Article = version_class(models.Article)

    def found(criterion):
        return session.scalars(select(Article.name).where(criterion).order_by(Article.name)).all()

    assert found(Article.tags.any(name="y")) == ["1", "2"]
    assert found(Article.comments.any(content="second")) == ["2", "3"]
    assert found(Article.author.has(name="Anna")) == ["2"]
    assert found(~Article.author.has()) == ["3"]


def test_comparisons_ask_about_then(session, models, article):
    """Versions are found by what they were related to, and by that it was nothing."""
    Article = version_class(models.Article)
    first, second, _ = article.versions

    def found(condition):
        return names(session.scalars(select(Article).where(condition).order_by(Article.name)))

    assert found(Article.author == first.author) == ["1"]
    assert found(Article.author != first.author) == ["2", "3"]
    assert found(Article.author == None) == ["3"]  # noqa: E711
    assert found(Article.comments.contains(second.comments[1])) == ["2", "3"]
    with pytest.raises(InvalidArgumentType, match="which is no AuthorVersion"):
        found(Article.author == article)


def test_with_parent_selects_members(session, models, article):
    """A statement can be narrowed to what one version leads to."""
    Article, Tag = version_class(models.Article), version_class(models.Tag)
    statement = select(Tag.name).where(with_parent(article.versions[0], Article.tags))

    assert sorted(session.scalars(statement)) == ["x", "y"]


def test_objects_are_those_of_the_session(session, models, article):
    """What relationships return is what the session has for the same row."""
    first = article.versions[0]

    assert first.author is first.author.articles[0].author
    assert first.tags[0].articles[0] is first
    assert (
        first.comments[0]
        is session.scalars(
            select(version_class(models.Comment)).where(
                version_class(models.Comment).transaction_id == first.transaction_id
            )
        ).one()
    )


@pytest.mark.parametrize("key", ["comments", "tags", "author"])
def test_eager_loading_needs_one_more_statement(session, models, engine, count_statements, key):
    """Twenty versions and what they lead to are read with two statements."""
    make = models.factories
    article = make.Article(author=make.Author(), tags=[make.Tag()])
    make.Comment(article=article)
    session.commit()
    for number in range(19):
        article.name = f"name {number}"
        session.commit()
    Article = version_class(models.Article)
    statement = select(Article).options(selectinload(getattr(Article, key)))
    with count_statements(engine) as statements:
        found = [getattr(version, key) for version in session.scalars(statement)]

    assert (len(found), statements.count) == (20, 2)
    assert all(found)


@pytest.mark.parametrize(
    ("key", "value"), [("comments", []), ("tags", []), ("author", None), ("category", None)]
)
def test_relationships_cannot_be_assigned(article, key, value):
    """History is not changed by assigning to it."""
    version = article.versions[0]

    with pytest.raises(ReadOnlyRelationship, match=f"ArticleVersion.{key} cannot be changed"):
        setattr(version, key, value)


def test_collections_cannot_be_changed(article):
    """Neither can their members be added or taken away."""
    version = article.versions[0]
    tag, other = version.tags

    with pytest.raises(AttributeError, match="use live objects instead"):
        version.tags.remove(tag)
    with pytest.raises(VersioningError):
        version.tags.append(other)
    with pytest.raises(ReadOnlyRelationship, match=r"TagVersion\.articles cannot be changed"):
        article.tags.append(tag)


def test_versions_have_the_relationships_of_their_class(models, session):
    """Besides those there are the two that every version has."""
    assert set(inspect(version_class(models.Article)).relationships.keys()) == {
        "author",
        "category",
        "comments",
        "tags",
        "transaction",
        "version_parent",
    }


def test_relationships_are_view_only(models, session):
    """Versions take no part in the unit of work of what they lead to."""
    assert all(each.viewonly for each in inspect(version_class(models.Article)).relationships)


def test_unversioned_target_is_read_as_it_is(session, models):
    """A category, of which there is no history, is the live one."""
    article = models.factories.Article(category=models.Category(name="a"))
    session.commit()
    article.category.name = "b"
    session.commit()

    assert article.versions[0].category is article.category
