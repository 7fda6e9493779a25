"""The option ``immutable_versions``: no statement writes versions but the library's own."""

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session

from sqlalchemy_versioned import (
    VersionIsImmutable,
    VersionIsImmutableDelete,
    VersionIsImmutableUpdate,
    paused,
    vacuum,
    version_class,
    version_table,
)
from sqlalchemy_versioned.maintenance import baseline, update_end_tx_column, verify

pytestmark = pytest.mark.options(immutable_versions=True)


@pytest.fixture
def version(session, blog):
    """The version of an article with a tag."""
    article = blog.factories.Article(name="a")
    article.tags.append(blog.factories.Tag())
    session.commit()
    return article.versions[0]


def forge(blog):
    """Return statements that would write versions, by what refuses them."""
    cls, links = version_class(blog.Article), version_table(blog.article_tag)
    table = cls.__table__
    row = {"id": 9, "name": "x", "transaction_id": 1, "operation_type": 0}
    return {
        VersionIsImmutableUpdate: [
            update(cls).values(name="forged"),
            update(table).values(name="forged"),
            update(table.alias()).values(name="forged"),
        ],
        VersionIsImmutableDelete: [delete(cls).where(cls.id == 1), delete(table), delete(links)],
        VersionIsImmutable: [
            insert(cls).values(row),
            insert(table).values(row),
            text("UPDATE article_version SET name = 'forged'"),
            text("delete from article_tag_version"),
        ],
    }


def contents(session, blog):
    """Return what version tables hold."""
    tables = (version_class(blog.Article).__table__, version_table(blog.article_tag))
    return [session.execute(select(table)).all() for table in tables]


def test_statements_of_a_session(session, blog, version):
    """ORM-enabled and Core statements and text are refused, before anything is written."""
    before = contents(session, blog)

    for error, statements in forge(blog).items():
        for statement in statements:
            with pytest.raises(error, match="immutable_versions"):
                session.execute(statement)
    assert contents(session, blog) == before


def test_statements_of_a_connection(engine, session, blog, version):
    """So they are on a connection that no session has, and while nothing is recorded."""
    with engine.connect() as connection, pytest.raises(VersionIsImmutableUpdate):
        connection.execute(update(version_table(blog.Article)).values(name="forged"))
    with paused(session), pytest.raises(VersionIsImmutableDelete):
        session.execute(delete(version_class(blog.Article)))


def test_bulk_methods(session, blog, version):
    """So are the bulk methods of sessions, and versions that are made by hand."""
    cls = type(version)
    row = {"id": 9, "name": "x", "transaction_id": version.transaction_id, "operation_type": 0}

    with pytest.raises(VersionIsImmutable):
        session.bulk_insert_mappings(cls, [row])
    session.rollback()
    with pytest.raises(VersionIsImmutableUpdate):
        session.query(cls).update({"name": "forged"})
    session.add(cls(**row))
    with pytest.raises(VersionIsImmutable, match="was about to be added"):
        session.flush()


@pytest.mark.needs("writable_ctes")
def test_in_the_with_of_another(session, blog, version):
    """So is what stands in the WITH of another statement."""
    cte = delete(version_table(blog.Article)).returning(version_table(blog.Article).c.id).cte()

    with pytest.raises(VersionIsImmutableDelete):
        session.execute(select(cte))


def test_the_library_goes_on(session, blog, version):
    """Recording and maintenance write versions as ever."""
    article = version.version_parent
    article.name = "b"
    session.commit()
    session.execute(update(blog.Article).values(name="c"))
    session.execute(delete(blog.article_tag))
    with paused(session):
        session.add(blog.Tag(name="older"))
        session.flush()

    assert baseline(session, blog.Tag) == 1
    assert update_end_tx_column(session, blog.Article) == 0
    assert vacuum(session, blog.Article) == 0
    session.delete(article)
    session.commit()
    assert verify(session) == []
    with Session(session.get_bind()) as other:
        assert [v.name for v in other.scalars(select(type(version)))] == ["a", "b", "c"]
