"""Statements that change many rows at once: what they cost, and what comes after them."""

from itertools import pairwise

import pytest
from sqlalchemy import case, delete, func, insert, select, update

from sqlalchemy_versioned import Operation, version_class
from sqlalchemy_versioned.recording import writer


@pytest.fixture
def models(blog):
    """The blog."""
    return blog


@pytest.fixture
def articles(session, models):
    """Ten articles, called by their numbers."""
    session.execute(insert(models.Article), [{"id": n, "name": str(n)} for n in range(1, 11)])
    session.commit()
    # Once for each engine and table, there is a look for rows without versions.
    session.execute(update(models.Article).values(content="c"))
    session.commit()
    return session.scalars(select(models.Article).order_by(models.Article.id)).all()


def newest(session, models):
    """Return operation and name of what the last transaction has recorded, by key."""
    version = version_class(models.Article)
    last = select(func.max(version.transaction_id)).scalar_subquery()
    found = session.scalars(select(version).where(version.transaction_id == last))
    return {each.id: (each.operation_type, each.name) for each in found}


def assert_linked(session, models):
    """Check that each version of a row ends where the next one begins, and none overlap."""
    version = version_class(models.Article)
    if not hasattr(version, "end_transaction_id"):
        return
    rows = session.scalars(select(version).order_by(version.id, version.transaction_id)).all()
    for one, other in pairwise(rows):
        if one.id == other.id:
            assert one.end_transaction_id == other.transaction_id
    assert [each.id for each in rows if each.end_transaction_id is None] == sorted(
        {each.id for each in rows}
    )


@pytest.mark.strategies
@pytest.mark.needs("returning")
@pytest.mark.parametrize("is_core", [True, False])
@pytest.mark.usefixtures("articles")
def test_statements_do_not_grow(session, models, tables, count_statements, is_core):
    """An update() of one row, a hundred or ten thousand takes as many statements."""
    subject = models.Article.__table__ if is_core else models.Article
    session.execute(insert(models.Article), [{"id": n, "name": "a"} for n in range(101, 10_101)])
    session.commit()
    counts = set()

    for size in (2, 100, 10_000):
        key = models.Article.id
        statement = update(subject).where(key > 100, key <= 100 + size).values(name=f"b{size}")
        with count_statements(tables) as statements:
            assert session.execute(statement).rowcount == size
        counts.add((statements.on("article_version").count, statements.on("article").count))
        session.commit()
        assert len(newest(session, models)) == size

    assert len(counts) == 1
    assert_linked(session, models)


@pytest.mark.strategies("validity", "subquery")
def test_flush_after_statement(session, models, articles):
    """A flush that changes some of the rows again replaces their versions of the transaction."""
    session.execute(update(models.Article).values(name="b"))
    articles[0].name = "c"
    session.delete(articles[1])
    articles[2].name = "3"
    session.commit()

    found = newest(session, models)

    assert found.pop(1) == (Operation.UPDATE, "c")
    assert found.pop(2) == (Operation.DELETE, "b")
    assert found == dict.fromkeys(range(4, 11), (Operation.UPDATE, "b"))
    assert_linked(session, models)


@pytest.mark.strategies
def test_savepoint_after_statement(session, models, articles):
    """What is written in a savepoint that is rolled back leaves what the statement recorded."""
    session.execute(update(models.Article).values(name="b"))
    with session.begin_nested() as savepoint:
        articles[0].name = "c"
        session.flush()
        session.execute(delete(models.Article).where(models.Article.id > 5))
        savepoint.rollback()
    articles[1].name = "d"
    session.commit()

    assert newest(session, models) == {
        n: (Operation.UPDATE, "d" if n == 2 else "b") for n in range(1, 11)
    }
    assert_linked(session, models)


@pytest.mark.strategies("validity", "subquery")
def test_statement_in_savepoint(session, models, articles):
    """What a statement recorded in a savepoint goes with it, and stays when it is released."""
    with session.begin_nested() as savepoint:
        session.execute(update(models.Article).values(name="lost"))
        savepoint.rollback()
    articles[0].name = "first"
    session.flush()
    with session.begin_nested():
        session.execute(
            update(models.Article).where(models.Article.id < 4).values(name="kept", content="k")
        )
    articles[1].name = "2"
    articles[1].content = "c"
    session.commit()

    kept = (Operation.UPDATE, "kept")
    assert newest(session, models) == {1: kept, 3: kept}
    assert_linked(session, models)


@pytest.mark.strategies
@pytest.mark.parametrize("joined", [2, writer._JOINED])
@pytest.mark.usefixtures("articles")
def test_only_rows_that_differ(session, models, monkeypatch, joined):
    """Rows that a statement leaves as they were have no version of it; the others are ended."""
    # From so many on, open versions are found in another way.
    monkeypatch.setattr(writer, "_JOINED", joined)
    name = case((models.Article.id <= 3, "b"), else_=models.Article.name)
    session.execute(update(models.Article).values(name=name))
    session.commit()

    assert newest(session, models) == dict.fromkeys((1, 2, 3), (Operation.UPDATE, "b"))
    assert_linked(session, models)


@pytest.mark.usefixtures("articles")
def test_conditions_that_change(session, models):
    """Rows that a statement takes by chance are those that are recorded."""
    chance = {"sqlite": func.random() % 2 == 0, "postgresql": func.random() < 0.5}
    session.execute(
        update(models.Article)
        .where(chance.get(session.bind.dialect.name, func.rand() < 0.5))
        .values(name="b"),
        execution_options={"synchronize_session": False},
    )
    session.commit()

    changed = session.scalars(select(models.Article.id).where(models.Article.name == "b")).all()
    version = version_class(models.Article)
    assert set(changed) == set(session.scalars(select(version.id).where(version.name == "b")))


@pytest.mark.usefixtures("articles")
def test_deletion_and_insertion_of_many(session, models):
    """Rows that are deleted, and made again from others, are recorded as one change."""
    article, comment = models.Article, models.Comment
    session.execute(
        insert(comment).from_select(["id", "content"], select(article.id, article.name))
    )
    session.execute(delete(article).where(article.id.in_([1, 2, 3])))
    made = select(comment.id, comment.content + "!").where(comment.id < 3)
    session.execute(insert(article).from_select(["id", "name"], made))
    session.commit()

    assert newest(session, models) == {
        1: (Operation.UPDATE, "1!"),
        2: (Operation.UPDATE, "2!"),
        3: (Operation.DELETE, "3"),
    }
    assert_linked(session, models)
