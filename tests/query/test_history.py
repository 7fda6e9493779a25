"""Statements about history: what they find, and how they find it."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.orm import Session, configure_mappers

from sqlalchemy_versioned import (
    ClassNotVersioned,
    InvalidArgumentType,
    as_of,
    deleted,
    transaction_class,
    version_class,
)
from sqlalchemy_versioned.model.lookup import spec_of
from sqlalchemy_versioned.query import history

pytestmark = pytest.mark.strategies()


def test_deleted_rows(session, blog):
    """deleted() selects the last version of each row that is gone and did not come back."""
    articles = blog.factories.Article.create_batch(4)
    session.commit()
    for article in articles[1:]:
        session.delete(article)
        session.commit()
    session.add(blog.Article(id=articles[3].id, name="back"))
    session.commit()

    found = session.scalars(deleted(blog.Article)).all()

    assert [version.id for version in found] == [articles[1].id, articles[2].id]
    assert [version.operation_type for version in found] == [2, 2]


def test_deleted_can_be_refined(session, blog):
    """deleted() is an ordinary statement."""
    one, other = blog.factories.Article.create_batch(2)
    session.commit()
    name = one.name
    session.delete(one)
    session.delete(other)
    session.commit()
    Version = version_class(blog.Article)

    found = session.scalars(deleted(blog.Article).where(Version.name == name)).one()

    assert (found.name, found.previous.operation_type) == (name, 0)


def test_deleted_needs_versions(blog):
    """Rows of unversioned classes leave nothing behind, and an object stands for no class."""
    configure_mappers()
    with pytest.raises(ClassNotVersioned):
        deleted(blog.Category)
    with pytest.raises(InvalidArgumentType, match="is an object; give its class, Article"):
        deleted(blog.Article())


def test_moment_is_the_last_transaction_until_then(session, blog):
    """A moment between two transactions belongs to the first."""
    for _ in range(2):
        blog.factories.Article()
        session.commit()
    Transaction = transaction_class(blog.Article)
    first, last = session.scalars(select(Transaction).order_by(Transaction.id))
    between = first.issued_at + (last.issued_at - first.issued_at) / 2

    for when, expected in [(between, first), (first.issued_at, first), (last.issued_at, last)]:
        assert history.transaction_id_of(session, Transaction, when) == expected.id


def test_moments_of_clocks_that_differ(session, blog):
    """Nothing is missing that was there already; a moment of another year counts by itself."""
    Transaction = transaction_class(blog.Article)
    began = datetime(2020, 1, 1, tzinfo=timezone.utc)
    for number, seconds in enumerate((0, 100, 95, -(10**8), 110, 300), start=1):
        moment = began + timedelta(seconds=seconds)
        session.add(Transaction(id=number, issued_at=moment))
    session.commit()

    for seconds, expected in {0: 1, 94: 1, 97: 3, 105: 3, 110: 5, 299: 5, 300: 6}.items():
        when = began + timedelta(seconds=seconds)
        assert history.transaction_id_of(session, Transaction, when) == expected
        with as_of(session, when) as past:
            assert past.moment.transaction_id == expected
    long_before = began - timedelta(seconds=10**8)
    assert history.transaction_id_of(session, Transaction, long_before) == 4


STATEMENTS = {
    "versions[-1]": lambda spec: history.select_versions(spec, (1,), newest_first=True).limit(1),
    "previous": lambda spec: history.select_previous(spec, (1,), place_at(spec, 900)),
    "next": lambda spec: history.select_next(spec, (1,), place_at(spec, 900)),
    "changeset": lambda spec: history.select_with_previous(spec, (1,), place_at(spec, 900)),
    "version_at": lambda spec: history.select_version_at(spec, (1,), 900),
}


def place_at(spec, transaction):
    """Return the place of a version of the first article, which has one in each transaction."""
    return (transaction, transaction)[: len(spec.place)]


def write_long_history(session, blog):
    """Write a thousand versions of each of three articles; return their spec."""
    spec = spec_of(blog.Article)
    row = {"operation_type": 1, "name": "x"}
    rows = [row | {"id": i, "transaction_id": tx} for i in (1, 2, 3) for tx in range(1, 1001)]
    session.execute(insert(spec.root.version_table), rows)
    return spec


def explain(session, how, statement):
    """Return the plan of a statement."""
    options = {"literal_binds": True}
    sql = statement.compile(session.connection(), compile_kwargs=options)
    return [row[-1] for row in session.execute(text(f"{how} {sql}"))]


@pytest.mark.parametrize("name", STATEMENTS)
def test_sqlite_steps_back_in_an_index(blog, strategy, name):
    """One step in an index leads to a version, however many there are; nothing sorts."""
    configure_mappers()
    engine = create_engine("sqlite://")
    blog.metadata.create_all(engine)
    with Session(engine) as session:
        spec = write_long_history(session, blog)
        plan = explain(session, "EXPLAIN QUERY PLAN", STATEMENTS[name](spec))
    engine.dispose()

    index = {"append": "ix_article_version_id_transaction_id_version_id"}
    expected = f"USING INDEX {index.get(strategy, 'sqlite_autoindex')}"
    assert len(plan) == 1
    assert plan[0].startswith(f"SEARCH article_version {expected}")


@pytest.mark.needs("arrays")
@pytest.mark.parametrize("name", STATEMENTS)
def test_postgresql_steps_back_in_an_index(session, blog, strategy, name):
    """The same on PostgreSQL: an index, read backwards if need be."""
    spec = write_long_history(session, blog)
    session.execute(text("ANALYZE article_version"))
    plan = "\n".join(explain(session, "EXPLAIN", STATEMENTS[name](spec)))

    index = {"append": "ix_article_version_id_transaction_id_version_id"}
    assert index.get(strategy, "article_version_pkey") in plan
    assert "Sort" not in plan
