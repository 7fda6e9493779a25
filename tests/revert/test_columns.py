"""Reverting an object without its relations."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from sqlalchemy_versioned import ReverterException, paused, revert_plan, version_class

pytestmark = pytest.mark.strategies()


def test_reverting_restores_values(session, blog):
    """Columns of a live object get the values of the version."""
    article = blog.factories.Article(name="First", content="a")
    session.commit()
    article.name, article.content = "Second", None
    session.commit()

    assert article.versions[0].revert() is article
    session.commit()

    assert (article.name, article.content) == ("First", "a")
    assert [version.name for version in article.versions] == ["First", "Second", "First"]


def test_reverting_flushes_nothing(session, blog):
    """Reverting only changes the session; a rollback undoes it."""
    article = blog.factories.Article(name="First")
    session.commit()
    article.name = "Second"
    session.commit()

    article.versions[0].revert()
    assert article in session.dirty
    session.rollback()

    assert article.name == "Second"


def test_unchanged_attributes_are_not_set(session, blog):
    """Reverting to what already is leaves the session as it was."""
    article = blog.factories.Article()
    session.commit()

    article.versions[0].revert()

    assert not session.dirty


def test_columns_that_change_by_themselves(Base, open_session):
    """What any UPDATE would change is as it was, too, and nothing is written for it alone."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        editor: Mapped[str | None] = mapped_column(onupdate="me")
        edits: Mapped[int] = mapped_column(default=0, onupdate=text("edits + 1"))

    session = open_session(Base)
    page = Page(name="a")
    session.add(page)
    session.commit()
    page.name, page.editor, page.edits = "b", None, 0
    flag_modified(page, "editor")
    flag_modified(page, "edits")
    session.commit()

    first = page.versions[0]
    for _ in range(2):
        first.revert()
        session.commit()
        assert (page.name, page.editor, page.edits) == ("a", None, 0)
    assert len(page.versions) == 3


def test_deleted_objects_are_restored(session, blog):
    """Reverting to a version of a deleted object brings it back under its key."""
    article = blog.factories.Article(name="First")
    session.commit()
    identity, version = article.id, article.versions[0]
    session.delete(article)
    session.commit()

    restored = version.revert()
    session.commit()

    assert (restored.id, restored.name) == (identity, "First")
    assert [v.operation_type for v in restored.versions] == [0, 2, 0]


@pytest.mark.parametrize("times", [1, 2])
def test_null_is_restored_despite_a_default(session, blog, times):
    """A column that held NULL holds NULL again, although it has a default, however often."""
    article = blog.factories.Article(description=None)
    session.flush()
    article.description = None
    session.commit()
    version = article.versions[-1]
    session.delete(article)
    session.commit()

    for _ in range(times):
        restored = version.revert()
    session.commit()

    assert version.description == restored.description
    assert restored.description is None


def test_deletion_marked_only_is_taken_back(session, blog):
    """An object whose deletion is not flushed yet stays."""
    article = blog.factories.Article(name="First")
    session.commit()
    version = article.versions[0]
    article.name = "Second"
    session.delete(article)

    assert version.revert() is article
    session.commit()

    assert article.name == "First"


def test_reverting_to_a_deletion_deletes(session, blog):
    """A deletion version deletes the object, and gives None."""
    article = blog.factories.Article()
    session.commit()
    first = article.versions[0]
    session.delete(article)
    session.commit()
    deletion = first.next
    first.revert()
    session.commit()

    assert deletion.revert() is None
    session.commit()

    assert session.get(blog.Article, first.id) is None


def test_reverting_to_a_deletion_twice_does_nothing(session, blog):
    """An object that is gone already can be reverted to its deletion."""
    article = blog.factories.Article()
    session.commit()
    first = article.versions[0]
    session.delete(article)
    session.commit()

    assert first.next.revert() is None
    assert not session.deleted


def test_reverting_twice_before_a_flush(session, blog):
    """A restored object that is not flushed yet is found, not made again."""
    article = blog.factories.Article(name="First")
    session.commit()
    article.name = "Second"
    session.commit()
    first, second = article.versions
    session.delete(article)
    session.commit()

    restored = first.revert()
    assert second.revert() is restored
    session.commit()

    assert restored.name == "Second"


def test_rows_deleted_behind_the_session(session, blog):
    """An object in memory whose row is gone gives way to the restored one."""
    article = blog.factories.Article(name="First")
    session.commit()
    version, identity = article.versions[0], article.id
    with paused(session):
        session.execute(text("DELETE FROM article"))

    restored = version.revert()
    session.commit()

    assert (restored.id, restored.name) == (identity, "First")


def test_a_restoring_that_is_taken_back(session, blog):
    """Reverting to a deletion before a flush leaves nothing of an earlier restoring."""
    author = blog.factories.Author()
    article = blog.factories.Article(author=author, tags=[blog.factories.Tag()])
    blog.factories.Comment(article=article)
    session.commit()
    first = article.versions[0]
    session.delete(article)
    session.commit()
    deletion = first.next
    relations = ["author", "tags", "comments"]

    with session.no_autoflush:
        restored = first.revert(relations=relations)
        deletion.revert(relations=relations)

    assert restored not in session
    session.commit()
    assert (author.articles, session.query(blog.Comment).all()) == ([], [])


def test_a_plan_can_be_read(session, blog):
    """A plan says in one line a step what it would do, and does nothing."""
    article = blog.factories.Article(name="First")
    session.commit()
    article.name = "Second"
    session.commit()

    plan = revert_plan(article.versions[0])

    assert str(plan) == f"set Article {article.id}: name = 'First'"
    assert not session.dirty


def test_detached_versions_are_refused(session, blog):
    """A version in no session has nothing to be reverted in."""
    article = blog.factories.Article()
    session.commit()
    version = article.versions[0]
    session.expunge(version)

    with pytest.raises(ReverterException, match="in no session"):
        revert_plan(version)


def test_only_versions_can_be_reverted(session, blog):
    """Neither live objects nor classes are versions."""
    article = blog.factories.Article()
    session.commit()

    for thing in (article, version_class(blog.Article), 3, None):
        with pytest.raises(ReverterException, match="is no version"):
            revert_plan(thing)


def test_unknown_policy_is_refused(session, blog):
    """A misspelt on_missing does not mean the default."""
    article = blog.factories.Article()
    session.commit()

    with pytest.raises(ReverterException, match="choose one of 'raise', 'null', 'restore'"):
        article.versions[0].revert(on_missing="nul")
