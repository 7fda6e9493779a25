"""The helpers that applications import from elsewhere."""

import pytest

from sqlalchemy_versioned import ClassNotVersioned, utils, version_class


def test_every_name_is_there():
    """What the module promises can be imported."""
    assert all(callable(getattr(utils, name)) for name in utils.__all__)


@pytest.mark.options(strategy="subquery")
def test_options_are_told(session, blog):
    """An option is found by class, version class and object; unknown ones are refused."""
    for subject in (blog.Article, version_class(blog.Article), blog.Article()):
        assert utils.option(subject, "strategy") == "subquery"
        assert utils.option(subject, "exclude") == []
    for name in ("stratgey", "extra", "is_excluded"):
        with pytest.raises(KeyError):
            utils.option(blog.Article, name)
    with pytest.raises(ClassNotVersioned):
        utils.option(blog.Category, "strategy")


def test_version_of_this_transaction(session, blog):
    """version_obj() gives what the running transaction has recorded, and nothing older."""
    article = blog.factories.Article(name="a")
    session.commit()
    assert utils.version_obj(session, article) is None
    blog.factories.Tag()
    session.flush()
    assert utils.version_obj(session, article) is None
    article.name = "b"
    session.flush()

    assert utils.version_obj(session, article) is article.versions[1]


def test_columns_are_adapted(session, blog):
    """Expressions about live classes become expressions about versions."""
    adapted = utils.adapt_columns((blog.Article.name == "x") & (blog.Tag.id > 1))

    assert "article_version.name = :name_1 AND tag_version.id > :id_1" in str(adapted)
    with pytest.raises(ClassNotVersioned, match=r"category\.name"):
        utils.adapt_columns(blog.Category.name == "x")
