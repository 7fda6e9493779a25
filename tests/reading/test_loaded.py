"""Versions that the application holds learn what flushes do to them."""

import pytest
from sqlalchemy.orm import Session

from sqlalchemy_versioned import Operation
from sqlalchemy_versioned.reading import loaded

pytestmark = pytest.mark.strategies()


@pytest.fixture
def keeping(tables, blog):
    """A session that expires nothing on commit."""
    with Session(tables, expire_on_commit=False) as session:
        blog.factories.session = session
        yield session


def test_held_version_is_closed(keeping, blog):
    """A version that the application holds learns that it was ended."""
    article = blog.factories.Article(name="a")
    keeping.commit()
    held = article.versions[0]
    assert held.next is None
    article.name = "b"
    keeping.commit()

    assert held.next is article.versions[1]
    if hasattr(held, "end_transaction_id"):
        assert held.__dict__.get("end_transaction_id", 0) is not None
        assert held.end_transaction_id == article.versions[1].transaction_id


def test_version_of_a_cache_is_closed(keeping, blog):
    """So does one that is merged as a cache holds it, without being loaded."""
    article = blog.factories.Article(name="a")
    keeping.commit()
    cached = article.versions[0]
    keeping.expunge(cached)
    held = keeping.merge(cached, load=False)
    article.name = "b"
    keeping.commit()

    assert held.next is article.versions[1]
    assert getattr(held, "end_transaction_id", 0) is not None


@pytest.mark.strategies("validity", "subquery")
def test_held_version_is_overwritten(keeping, blog):
    """A version that a later flush of its transaction overwrites has the new values."""
    article = blog.factories.Article(name="a")
    keeping.flush()
    held = article.versions[0]
    article.name = "b"
    keeping.flush()

    assert (held.name, held.operation_type) == ("b", Operation.INSERT)


def test_held_version_follows_a_savepoint(keeping, blog):
    """What a savepoint did to a version is undone with it."""
    article = blog.factories.Article(name="a")
    keeping.commit()
    held = article.versions[0]
    savepoint = keeping.begin_nested()
    article.name = "b"
    keeping.flush()
    assert held.next is not None
    keeping.refresh(held)
    savepoint.rollback()

    assert held.next is None
    assert getattr(held, "end_transaction_id", None) is None


def test_other_versions_stay_loaded(keeping, blog, engine, mode, count_statements):
    """A flush makes nobody read what it did not touch; what triggers did, it cannot tell."""
    one, other = blog.factories.Article.create_batch(2)
    keeping.commit()
    held = other.versions[0]
    one.name = "b"
    keeping.commit()
    with count_statements(engine) as statements:
        _ = held.name, held.transaction_id

    assert statements.count == mode.pick(0, 1)


def test_what_an_older_version_says_stays_loaded(keeping, blog, engine, mode, count_statements):
    """A version that is only ended need not be read anew, but for its end."""
    article = blog.factories.Article(name="a")
    keeping.commit()
    held = article.versions[0]
    for name in "bc":
        article.name = name
        keeping.commit()
        with count_statements(engine) as statements:
            assert (held.name, held.operation_type) == ("a", Operation.INSERT)
        assert statements.count == mode.pick(0, 1)


def test_notes_of_versions_do_not_pile_up(keeping, blog, monkeypatch):
    """A session remembers loaded versions only as long as they are there."""
    monkeypatch.setattr(loaded, "ROOM", 10)
    articles = blog.factories.Article.create_batch(50)
    keeping.commit()
    for article in articles:
        assert article.versions[0].name

    notes = keeping.info[loaded.LOADED]
    assert len(notes.pop(notes.rows())) <= 11
