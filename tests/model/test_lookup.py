"""From classes, objects and tables to what belongs to them."""

import re

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Mapped, aliased, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    ClassNotVersioned,
    Versioned,
    end_tx_column_name,
    get_versioning_manager,
    is_versioned,
    parent_class,
    remove_versioning,
    transaction_class,
    tx_column_name,
    version_class,
    version_table,
)
from tests.models import build_blog

LOOKUPS = [
    get_versioning_manager,
    version_class,
    parent_class,
    transaction_class,
    tx_column_name,
    end_tx_column_name,
    version_table,
]


@pytest.fixture
def Article(blog):
    """A versioned class, configured."""
    configure_mappers()
    return blog.Article


def test_subjects(Article):
    """A class, an object, an alias and a mapper are as good as each other."""
    for subject in (Article, Article(), aliased(Article), inspect(Article)):
        assert version_class(subject) is version_class(Article)
        assert is_versioned(subject)


def test_versions_are_subjects_too(Article, versioning):
    """A version class knows as much as its parent."""
    cls = version_class(Article)

    assert version_class(cls) is cls
    assert parent_class(cls()) is Article
    assert transaction_class(cls) is transaction_class(Article) is versioning.transaction_cls
    assert (tx_column_name(cls), end_tx_column_name(cls)) == (
        "transaction_id",
        "end_transaction_id",
    )
    assert get_versioning_manager(cls) is versioning


def test_tables(Article, blog):
    """Version tables are found by table, also those of associations."""
    assert version_table(Article.__table__) is version_class(Article).__table__
    assert version_table(blog.article_tag).name == "article_tag_version"


@pytest.mark.parametrize("look_up", LOOKUPS)
@pytest.mark.parametrize("subject", [None, 3, "Article", object])
def test_what_is_not_versioned(look_up, subject):
    """Anything else is refused by every look-up, in one way."""
    with pytest.raises(ClassNotVersioned):
        look_up(subject)


@pytest.mark.parametrize("subject", [None, "Article", ["Article", "Tag"]])
def test_what_is_no_class(subject):
    """What is neither a class nor one's object is named as it is: nothing can version its type."""
    with pytest.raises(ClassNotVersioned, match=rf"^{re.escape(repr(subject))} has .* give a ver"):
        version_class(subject)


def test_is_versioned_never_raises(blog):
    """It may be asked of anything."""
    configure_mappers()

    assert not any(map(is_versioned, [None, 3, blog.Category, blog.Category(), object()]))


def test_unversioned_class_and_table(blog):
    """The message says how to version it."""
    configure_mappers()

    with pytest.raises(ClassNotVersioned, match="Category has no version class: give it"):
        version_class(blog.Category)
    with pytest.raises(ClassNotVersioned, match="'category' has no version table"):
        version_table(blog.Category.__table__)


def test_too_early(Base):
    """Before mappers are configured the message says so."""
    blog = build_blog(Base)
    with pytest.raises(ClassNotVersioned, match=r"call sqlalchemy.orm.configure_mappers\(\)"):
        version_class(blog.Article)


def test_why_not_versioned(Base):
    """What a mixin says counts, and whether anything came of it."""

    class Page(Versioned, Base):
        __tablename__ = "page"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ClassNotVersioned, match=r"configure_mappers\(\), and make_versioned\(\)"):
        version_class(Page)
    with pytest.raises(ClassNotVersioned, match="Versioned has no version class: it is not mapped"):
        version_class(Versioned)
    remove_versioning()
    configure_mappers()
    with pytest.raises(ClassNotVersioned, match=r"nothing versions it; call make_versioned\(\)"):
        version_class(Page)


def test_no_parent_of_a_parent(Article):
    """Only version classes have a parent class."""
    with pytest.raises(KeyError, match="Article is no version class"):
        parent_class(Article)


@pytest.mark.options(strategy="subquery")
def test_no_end_column(Article):
    """The strategy without ends says so."""
    with pytest.raises(ClassNotVersioned, match="its strategy is 'subquery'"):
        end_tx_column_name(Article)
