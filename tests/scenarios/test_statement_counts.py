"""Recording costs a fixed number of statements for each version table, whatever the rows."""

import pytest
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.orm import Session, configure_mappers

from sqlalchemy_versioned import version_class


@pytest.fixture
def models(blog):
    """The blog."""
    return blog


@pytest.fixture
def extra(session, models, database, tables, count_statements):
    """Count the statements of a flush that are not the application's own.

    Once for each engine and table, what changes or removes a row for the first time is preceded by
    a look for rows without versions.
    """
    article = models.Article(id=99_999, name="warm", tags=[models.Tag(id=99_999, name="t")])
    comment = models.Comment(id=99_999, content="a")
    session.add_all([article, comment])
    session.commit()
    article.tags.clear()
    for each in (article, comment):
        session.delete(each)
    session.commit()

    def count(*live):
        with count_statements(tables) as statements:
            session.flush()
        names = [*(f"{name}_version" for name in live), "transaction"]
        return {name: statements.on(name).count for name in names}

    # Where a look that writes locks others out, there is one apart, and rows without versions
    # are closed apart.
    count.most = 4 if database.has("locked_gaps") else 2
    return count


def add_articles(session, models, count):
    """Add articles and flush nothing."""
    articles = [models.Article(id=number + 1, name="a") for number in range(count)]
    session.add_all(articles)
    return articles


def assert_bound(extra, *live):
    """Check the bound: two statements per version table, one for the transaction."""
    counts = extra(*live)
    transactions = counts.pop("transaction")
    assert max(counts.values()) <= extra.most
    # On some databases its number is drawn by a statement of its own.
    assert transactions <= 2


@pytest.mark.strategies
@pytest.mark.parametrize("size", [1, 100])
def test_statements_do_not_grow_with_rows(session, models, extra, size):
    """Insert, update and delete take at most two statements each, for one row or many."""
    write_and_delete(session, models, extra, size)


def test_ten_thousand_rows(session, models, extra):
    """Ten thousand rows are written by as many statements as one."""
    write_and_delete(session, models, extra, 10_000)


def write_and_delete(session, models, extra, size):
    """Insert, update and delete some comments, counting the statements of each flush."""
    comments = [models.Comment(id=number + 1, content="a") for number in range(size)]
    session.add_all(comments)
    assert_bound(extra, "comment")
    session.commit()
    session.scalars(select(models.Comment)).all()
    for comment in comments:
        comment.content = "c"
    assert_bound(extra, "comment")
    session.commit()
    session.scalars(select(models.Comment)).all()
    for comment in comments:
        session.delete(comment)
    assert_bound(extra, "comment")


@pytest.mark.needs("ends_at_once")
def test_one_row_takes_one_statement(
    session, models, database, tables, extra, count_statements, mode
):
    """The version of a single row is written and the one before ended in one round trip."""
    expected = dict.fromkeys(("article_version", "transaction"), mode.pick(1, 0))
    article = models.Article(name="a")
    session.add(article)
    assert extra("article") == expected
    session.commit()
    article.name = "b"
    with count_statements(tables) as statements:
        session.flush()
    assert statements.on("article_version").count == mode.pick(1, 0)
    if database.has("writable_ctes"):
        # The transaction is begun along with it.
        assert statements.on("transaction") == statements.on("article_version")
    session.commit()
    session.delete(article)
    assert extra("article") == expected
    session.commit()
    version = version_class(models.Article)
    first, second, last = session.scalars(
        select(version).where(version.name != "warm").order_by("transaction_id")
    )
    assert first.end_transaction_id == second.transaction_id
    assert second.end_transaction_id == last.transaction_id
    assert last.end_transaction_id is None


@pytest.mark.strategies
@pytest.mark.parametrize("size", [2, 100])
def test_mixed_flush(session, models, extra, size):
    """A flush that inserts, updates and deletes takes no more than one that does one of them."""
    articles = add_articles(session, models, size)
    session.commit()
    for article in articles[::2]:
        article.name = "b"
    for article in articles[1::2]:
        session.delete(article)
    session.add_all(models.Article(id=10**6 + number, name="c") for number in range(size))

    assert_bound(extra, "article")


@pytest.mark.strategies
@pytest.mark.parametrize("size", [1, 100])
def test_links(session, models, extra, size):
    """Adding links takes at most two statements, and so does removing them."""
    article = models.Article(id=1, name="a")
    article.tags = [models.Tag(id=number + 1, name="t") for number in range(size)]
    session.add(article)
    assert_bound(extra, "article", "tag", "article_tag")
    session.commit()
    article.tags = []
    assert_bound(extra, "article", "article_tag")


def test_history_costs_nothing(session, models, extra):
    """An object with a long history is written like one with none."""
    (article,) = add_articles(session, models, 1)
    for number in range(20):
        article.name = f"n{number}"
        session.commit()
    article.name = "last"

    assert_bound(extra, "article")


def update_by_statement(session, cls):
    """Change all rows by a statement."""
    session.execute(update(cls).values(name="b"))


def update_by_flush(session, cls):
    """Change all objects."""
    for each in session.scalars(select(cls)):
        each.name = "b"


def steps_of(write, models, versions):
    """Return how long SQLite works at writing articles of which it thinks that each has a version.

    :param versions: how many they have.
    """
    engine, steps = create_engine("sqlite://"), []
    models.metadata.create_all(engine)
    with Session(engine) as session:
        add_articles(session, models, 30)
        session.commit()
        session.execute(text("ANALYZE"))
        row = {"name": "a", "end_transaction_id": 1, "operation_type": 1}
        numbered = [{"id": n % 30 + 1, "transaction_id": -n, **row} for n in range(30 * versions)]
        session.execute(insert(version_class(models.Article).__table__), numbered)
        session.commit()
        driver = session.connection().connection.driver_connection
        driver.set_progress_handler(lambda: steps.append(1), 10)
        write(session, models.Article)
        session.commit()
    engine.dispose()
    return len(steps)


@pytest.mark.parametrize("write", [update_by_statement, update_by_flush])
def test_history_that_statistics_do_not_know(models, write):
    """SQLite does not read all of a history that has grown since it last counted versions."""
    configure_mappers()

    assert steps_of(write, models, versions=200) < 2 * steps_of(write, models, versions=1)


def test_joined_tables_take_two_each(session, models, extra):
    """Two classes in one flush take what each of them takes."""
    models.factories.Article(author=models.factories.Author())

    assert_bound(extra, "article", "author")


def test_unversioned_work_is_free(session, models, tables, count_statements):
    """A session that touches nothing versioned runs the application's statements only."""
    with count_statements(tables) as statements:
        session.add(models.Category(id=1, name="c"))
        session.commit()
        session.execute(insert(models.Category), [{"id": 2, "name": "d"}])
        session.scalars(select(models.Article)).all()
        session.commit()

    assert statements.count == 3
    assert not statements.on("transaction")


def test_again_in_one_transaction(session, models, extra, mode):
    """A later flush of rows that are recorded already replaces their versions."""
    articles = add_articles(session, models, 50)
    session.flush()
    for article in articles:
        article.name = "b"

    assert extra("article") == {"article_version": mode.pick(1, 0), "transaction": 0}


def test_old_and_new_rows_in_a_later_flush(session, models, extra):
    """Rows recorded before and others, in one later flush, take up to two statements more.

    They are replaced, closed and looked at for changes that came to nothing.
    """
    articles = add_articles(session, models, 50)
    session.commit()
    for article in articles[:25]:
        article.name = "b"
    session.flush()
    for article in articles:
        article.name = "c"

    counts = extra("article")

    assert counts["article_version"] <= 2 + extra.most
    assert counts["transaction"] == 0
    version = version_class(models.Article)
    assert session.query(version).filter(version.name != "warm").count() == 100


def test_changed_keys_take_one_more(session, models, extra):
    """A changed primary key is a deletion copied from history and an insertion."""
    articles = add_articles(session, models, 50)
    session.commit()
    for article in articles:
        article.id += 1000

    assert extra("article")["article_version"] <= 1 + extra.most


@pytest.mark.needs("writable_ctes")
def test_driver_that_forgets_how_many_it_has_written(models, database, tables, count_statements):
    """With psycopg, new rows are written once, and not again to be sure that they were."""
    engine = create_engine(database.url.set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        session.add_all([models.Article(name="a"), models.Article(name="b")])
        with count_statements(engine) as statements:
            session.flush()
    engine.dispose()

    assert statements.on("article_version").count <= 1
