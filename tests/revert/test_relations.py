"""Reverting an object together with its relations."""

import pytest
from sqlalchemy import func, select

from sqlalchemy_versioned import IncompleteHistory, ReverterException, revert_plan

pytestmark = pytest.mark.strategies()


def test_children_are_put_back(session, blog):
    """Children get their values back, and the deleted ones return."""
    article = blog.factories.Article()
    kept, lost = (blog.factories.Comment(article=article, content=c) for c in "ab")
    session.commit()
    identity = lost.id
    kept.content = "changed"
    article.comments.remove(lost)
    session.commit()

    article.versions[0].revert(relations=["comments"])
    session.commit()

    assert [(c.id, c.content) for c in article.comments] == [(kept.id, "a"), (identity, "b")]


def test_children_that_came_later_are_deleted(session, blog):
    """A child that did not exist at the version is deleted, not merely unlinked."""
    article = blog.factories.Article()
    session.commit()
    blog.factories.Comment(article=article)
    session.commit()

    article.versions[0].revert(relations=["comments"])
    session.commit()

    assert article.comments == []
    assert session.scalar(select(func.count(blog.Comment.id))) == 0


def test_pending_children_are_dropped(session, blog):
    """A child that was never flushed leaves the session again."""
    article = blog.factories.Article()
    session.commit()
    version = article.versions[0]
    comment = blog.Comment(content="new")
    article.comments.append(comment)

    version.revert(relations=["comments"])

    assert comment not in session
    assert article.comments == []


def test_children_return_to_the_parent_they_belonged_to(session, blog):
    """A child that belonged elsewhere at the version is moved back, and nothing else of it."""
    article, other = blog.factories.Article(), blog.factories.Article()
    comment = blog.factories.Comment(article=other, content="a")
    session.commit()
    comment.article, comment.content = article, "b"
    session.commit()

    article.versions[0].revert(relations=["comments"])

    assert (article.comments, other.comments) == ([], [comment])
    session.commit()
    assert (comment.article, comment.content) == (other, "b")


def test_children_that_moved_away_return(session, blog):
    """A child that belonged to the object at the version is fetched back."""
    article, other = blog.factories.Article(), blog.factories.Article()
    comment = blog.factories.Comment(article=article)
    session.commit()
    comment.article = other
    session.commit()

    article.versions[0].revert(relations=["comments"])

    assert (article.comments, other.comments) == ([comment], [])
    session.commit()
    assert (article.comments, other.comments) == ([comment], [])


def test_links_are_put_back(session, blog):
    """Objects linked then are linked again, restored if deleted; others are only unlinked."""
    first, second, later = (blog.factories.Tag(name=name) for name in "abc")
    article = blog.factories.Article(tags=[first, second])
    session.commit()
    first.name, article.tags = "changed", [later]
    session.delete(second)
    session.commit()

    article.versions[0].revert(relations=["tags"])
    session.commit()

    assert [tag.name for tag in article.tags] == ["a", "b"]
    assert session.get(blog.Tag, later.id) is later


def test_links_stay_where_they_are_not_named(session, blog):
    """Without relations only columns are put back."""
    article = blog.factories.Article(name="First")
    session.commit()
    article.name, article.tags = "Second", [blog.factories.Tag()]
    session.commit()

    article.versions[0].revert()
    session.commit()

    assert (article.name, len(article.tags)) == ("First", 1)


def test_many_to_one_is_put_back(session, blog):
    """The object referred to is linked again, and has its values of then."""
    author, other = blog.factories.Author(name="x"), blog.factories.Author()
    article = blog.factories.Article(author=author)
    session.commit()
    article.author, author.name = other, "changed"
    session.commit()

    article.versions[0].revert(relations=["author"])

    assert article.author is author
    session.commit()
    assert (article.author, author.name) == (author, "x")


def test_many_to_one_that_was_empty(session, blog):
    """A reference that was None is None again; the object it refers to now stays as it is."""
    article = blog.factories.Article()
    session.commit()
    article.author = blog.factories.Author(name="x")
    session.commit()

    article.versions[0].revert(relations=["author"])
    session.commit()

    assert article.author is None
    assert session.query(blog.Author).one().name == "x"


def test_deleted_many_to_one_is_restored(session, blog):
    """A reference to an object that was deleted since brings it back."""
    author = blog.factories.Author(name="x")
    article = blog.factories.Article(author=author)
    session.commit()
    identity, article.author = author.id, None
    session.delete(author)
    session.commit()

    article.versions[0].revert(relations=["author"])
    session.commit()

    assert (article.author.id, article.author.name) == (identity, "x")


def test_references_to_unversioned_objects(session, blog):
    """Of an unversioned class only the link is put back."""
    category, other = blog.factories.Category(name="x"), blog.factories.Category()
    article = blog.factories.Article(category=category)
    session.commit()
    article.category, category.name = other, "changed"
    session.commit()

    article.versions[0].revert(relations=["category"])
    session.commit()

    assert (article.category, category.name) == (category, "changed")


def test_deleted_object_with_its_children(session, blog):
    """An object comes back with the children that were deleted with it."""
    article = blog.factories.Article(tags=[blog.factories.Tag(name="t")])
    blog.factories.Comment(article=article, content="a")
    session.commit()
    version = article.versions[0]
    session.delete(article)
    session.commit()

    restored = version.revert(relations=["comments", "tags"])
    assert [c.content for c in restored.comments] == ["a"]
    session.commit()

    assert [c.content for c in restored.comments] == ["a"]
    assert [t.name for t in restored.tags] == ["t"]


def test_deletion_not_flushed_is_taken_back_with_children(session, blog):
    """What a delete cascades to, and is not flushed, stays."""
    article = blog.factories.Article()
    comment = blog.factories.Comment(article=article, content="a")
    session.commit()
    version = article.versions[0]
    session.delete(article)

    version.revert(relations=["comments"])
    session.commit()

    assert article.comments == [comment]


def test_dotted_paths(session, blog):
    """A path is followed to its end; what it passes through is put back too."""
    tag = blog.factories.Tag(name="a")
    author = blog.factories.Author(name="x")
    article = blog.factories.Article(author=author, name="First", tags=[tag])
    session.commit()
    tag.name, author.name, article.name, article.tags = "b", "y", "Second", []
    session.commit()

    author.versions[0].revert(relations=["articles.tags"])
    session.commit()

    assert (author.name, article.name, article.tags, tag.name) == ("x", "First", [tag], "a")


def test_paths_that_come_back(session, blog):
    """A path that leads back to where it started ends well."""
    article = blog.factories.Article(name="First")
    comment = blog.factories.Comment(article=article, content="a")
    session.commit()
    article.name, comment.content = "Second", "b"
    session.commit()

    article.versions[0].revert(relations=["comments.article.comments"])
    session.commit()

    assert (article.name, comment.content, article.comments) == ("First", "a", [comment])


def test_one_path_as_a_string(session, blog):
    """A single relation may be given as a string."""
    article = blog.factories.Article()
    session.commit()
    blog.factories.Comment(article=article)
    session.commit()

    article.versions[0].revert(relations="comments")

    assert article.comments == []


@pytest.mark.parametrize("path", ["nothing", "comments.nothing", "author.articles.nothing"])
def test_unknown_paths_are_refused(session, blog, path):
    """A segment that is no relationship is refused at any depth, with those there are."""
    article = blog.factories.Article()
    session.commit()

    with pytest.raises(ReverterException, match=r"'nothing' is no relationship.*are: a"):
        article.versions[0].revert(relations=[path])


def test_what_is_no_path_is_refused(session, blog):
    """Relations are given by their keys, and nothing else."""
    article = blog.factories.Article()
    session.commit()

    for wrong in (5, [5]):
        with pytest.raises(ReverterException, match=r"give .*relationship keys"):
            article.versions[0].revert(relations=wrong)


def test_paths_end_at_unversioned_classes(session, blog):
    """There is no way on from a class that has no history."""
    article = blog.factories.Article()
    session.commit()

    with pytest.raises(ReverterException, match="Category is not versioned"):
        article.versions[0].revert(relations=["category.articles"])


def test_statements_do_not_grow_with_objects(session, blog, engine, count_statements):
    """Planning takes as many statements for many children as for one."""
    counts = []
    for number in (1, 20):
        article = blog.factories.Article()
        blog.factories.Comment.create_batch(number, article=article)
        blog.factories.Tag.create_batch(number, articles=[article])
        session.commit()
        version = article.versions[0]
        with count_statements(engine) as statements:
            revert_plan(version, relations=["comments", "tags.articles"])
        counts.append(statements.count)

    assert counts[0] == counts[1]


def test_children_without_history_are_not_deleted(session, blog, engine):
    """Where history does not tell whether a child was there, nothing is changed."""
    article = blog.factories.Article(name="First")
    session.commit()
    article.name = "Second"
    blog.factories.Comment(article=article)
    session.commit()
    forget(session, blog.Comment)
    version = article.versions[0]
    article.description = "unflushed"

    with session.no_autoflush, pytest.raises(IncompleteHistory, match="comments cannot be"):
        version.revert(relations=["comments"])

    assert (list(session.dirty), list(session.deleted)) == ([article], [])
    assert (article.name, len(article.comments)) == ("Second", 1)


def test_children_whose_history_begins_later(session, blog):
    """A child whose first version is an update may have been there before."""
    article = blog.factories.Article()
    comment = blog.factories.Comment(article=article)
    session.commit()
    comment.content = "changed"
    session.commit()
    forget(session, blog.Comment, but=1)

    with pytest.raises(IncompleteHistory, match="begins later"):
        article.versions[0].revert(relations=["comments"])


def test_deleted_children_whose_history_begins_with_it(session, blog):
    """A child of which only the deletion is known was probably there before."""
    article = blog.factories.Article()
    comment = blog.factories.Comment(article=article)
    session.commit()
    session.delete(comment)
    session.commit()
    forget(session, blog.Comment, but=1)

    with pytest.raises(IncompleteHistory, match="begins later"):
        article.versions[0].revert(relations=["comments"])


def test_references_without_history(session, blog):
    """An object of which nothing is known at the version cannot be put back."""
    article = blog.factories.Article(author=blog.factories.Author())
    session.commit()
    forget(session, blog.Author)

    with pytest.raises(IncompleteHistory, match="nothing is known"):
        article.versions[0].revert(relations=["author"])
    article.versions[0].revert()


def test_links_without_history(session, blog):
    """A link that was never recorded is not removed."""
    article = blog.factories.Article(tags=[blog.factories.Tag()])
    session.commit()
    session.execute(links(blog).delete())
    session.commit()

    with pytest.raises(IncompleteHistory, match="has none"):
        article.versions[0].revert(relations=["tags"])

    assert len(article.tags) == 1


def forget(session, cls, *, but=0):
    """Delete the history of a class, but for its newest versions."""
    spec = cls.__version_spec__.root
    at = spec.version_table.c[spec.transaction_column.key]
    known = session.scalars(select(at).distinct().order_by(at)).all()
    gone = known[: len(known) - but]
    session.execute(spec.version_table.delete().where(at.in_(gone)))
    session.commit()


def links(blog):
    """Return the version table of the association table."""
    return blog.metadata.tables["article_tag_version"]
