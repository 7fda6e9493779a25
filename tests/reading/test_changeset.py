"""Unflushed changes: of an object, and of a session."""

import pytest
from sqlalchemy import JSON, String, text
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from sqlalchemy_versioned import (
    ClassNotVersioned,
    ImproperlyConfigured,
    InvalidArgumentType,
    changeset,
    is_modified,
    is_modified_or_deleted,
    is_session_modified,
    versioned_objects,
)


@pytest.fixture
def article(session, blog):
    """A stored article, of which everything is loaded."""
    article = blog.factories.Article(name="a", author=blog.factories.Author())
    session.commit()
    session.refresh(article)
    return article


def test_new_value_comes_first(article):
    """The order is the other way round than in the changeset of a version."""
    article.name = "b"

    assert changeset(article) == {"name": ["b", "a"]}


@pytest.mark.parametrize(
    ("name", "value"), [("content", None), ("content", ""), ("author_id", 0), ("author_id", False)]
)
def test_falsy_values_are_changes(article, name, value):
    """To be emptied is a change, too."""
    before = getattr(article, name)
    setattr(article, name, value)

    assert changeset(article) == {name: [value, before]}


def test_values_that_were_not_loaded_are_read(article, session, engine, count_statements):
    """An attribute that was set before it was loaded has its old value all the same."""
    session.commit()
    article.name, article.content = "b", "Some content"
    with count_statements(engine) as statements:
        assert changeset(article) == {"name": ["b", "a"]}

    assert statements.count == 1
    assert article in session.dirty


def test_new_object_had_nothing(blog, session):
    """Of an object without a row, all old values are None."""
    for article in (blog.Article(name="a"), blog.factories.Article(name="a", content=None)):
        assert changeset(article)["name"] == ["a", None]


def test_relationships_are_changes(article, blog, session):
    """A relationship gives the first object that came and the first that went."""
    former, author, tag = article.author, blog.factories.Author(), blog.factories.Tag()
    article.author = author
    article.tags.append(tag)
    session.flush()
    article.tags.remove(tag)
    article.author = former

    assert changeset(article) == {"author": [former, author], "tags": [None, tag]}


def test_deleted_object_loses_its_values(article, session):
    """What will be deleted has old values only, loaded or not; its key says what it is."""
    session.expire(article)
    session.delete(article)

    assert changeset(article)["name"] == [None, "a"]
    assert "id" not in changeset(article)


def test_nothing_changed(article):
    """No change, and a change that was undone, are nothing."""
    article.name = "b"
    article.name = "a"

    assert changeset(article) == {}
    assert not is_modified(article)


def test_kept_columns_make_an_object_modified(article, blog):
    """A value, and a many-to-one link that alters a column, are changes; a child is none."""
    for name, value in {"name": "b", "author": None, "category": blog.Category(name="c")}.items():
        former = getattr(article, name)
        setattr(article, name, value)
        assert is_modified(article), name
        setattr(article, name, former)
    article.tags.append(blog.Tag(name="t"))

    assert not is_modified(article)


def test_left_out_columns_do_not_count(Base, engine):
    """Excluded and ignored columns alone would make no version."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"exclude": ["secret"], "ignore": ["seen"]}

        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[str | None] = mapped_column(String(9))
        seen: Mapped[int | None]
        data: Mapped[dict | None] = mapped_column(JSON)

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        page = Page(data={"a": 1})
        session.add(page)
        session.commit()
        page.secret, page.seen = "x", 1
        assert not is_modified(page)
        assert set(changeset(page)) == {"secret", "seen"}
        page.data["a"] = 2
        flag_modified(page, "data")

        assert is_modified(page)
        assert changeset(page)["data"] == [{"a": 2}, {"a": 1}]


def test_sql_expression_is_a_change(article):
    """What the database will compute is shown as it was given."""
    article.name = text("'x'")

    assert is_modified(article)
    assert changeset(article)["name"][1] == "a"


def test_unversioned_objects_are_refused(blog, session):
    """Whether an unversioned object would make a version is no question."""
    with pytest.raises(ClassNotVersioned):
        is_modified(blog.Category())
    assert not is_modified_or_deleted(blog.factories.Category())
    assert not is_modified_or_deleted(3)


def test_only_objects_change(blog):
    """A class has no changes, and neither has what is not mapped."""
    for ask, wrong in ((changeset, 3), (changeset, blog.Article), (is_modified, blog.Article)):
        with pytest.raises(InvalidArgumentType, match="is no object of a mapped class"):
            ask(wrong)


@pytest.mark.parametrize("ask", [is_session_modified, versioned_objects])
def test_only_sessions_have_objects(article, ask):
    """An object, whose class has a registry as a scoped session has, is no session."""
    for wrong in (None, article):
        with pytest.raises(ImproperlyConfigured, match="is no session; give a Session"):
            ask(wrong)


def test_waiting_objects_are_modified(article, blog, session):
    """New, changed and deleted objects wait for a flush; others do not."""
    assert not is_modified_or_deleted(article)
    assert not is_modified_or_deleted(blog.Article())
    assert is_modified_or_deleted(blog.factories.Article())
    session.delete(article)
    assert is_modified_or_deleted(article)


@pytest.mark.parametrize("what", ["new", "changed", "deleted"])
def test_session_is_modified(article, blog, session, what):
    """A session is modified as long as a versioned object waits."""
    blog.factories.Category()
    assert not is_session_modified(session)
    if what == "new":
        blog.factories.Tag()
    elif what == "changed":
        article.name = "b"
    else:
        session.delete(article)

    assert is_session_modified(session)
    session.flush()
    assert not is_session_modified(session)


def test_versioned_objects_of_a_session(article, blog, session):
    """New and loaded objects of versioned classes are found, versions and others are not."""
    tag, category = blog.factories.Tag(), blog.factories.Category()
    version = article.versions[0]

    found = set(versioned_objects(session))

    assert found == {article, article.author, tag}
    assert not found & {category, version}
