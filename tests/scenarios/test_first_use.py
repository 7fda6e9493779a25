"""Programs whose first use of their models is no object, so that nobody has configured mappers."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session, relationship

from sqlalchemy_versioned import (
    CaptureError,
    ImproperlyConfigured,
    as_of,
    make_versioned,
    remove_versioning,
    versioning_manager,
)
from sqlalchemy_versioned.maintenance import FaultKind, repair, verify
from tests.migrations import declared
from tests.models import build_base, build_blog


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.needs("triggers"))])
def blog(request, unversioned, engine):
    """The blog, with an article and its history, after the program was started anew."""
    with declared(build_blog, native=request.param) as Base:
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            article = next(
                m.class_ for m in Base.registry.mappers if m.class_.__name__ == "Article"
            )
            session.add(article(id=1, name="a", content=""))
            session.commit()
    make_versioned(native=request.param)
    Base = build_base()
    yield build_blog(Base)
    remove_versioning()
    Base.registry.dispose(cascade=True)


def names(engine, blog):
    """Return the names that history has."""
    table = blog.metadata.tables["article_version"]
    with engine.connect() as connection:
        return connection.scalars(select(table.c.name).order_by(table.c.transaction_id)).all()


@pytest.mark.parametrize("of_class", [True, False])
def test_a_statement_is_recorded(blog, engine, of_class):
    """It writes a versioned table, whether it names the class or the table."""
    written = blog.Article if of_class else blog.Article.__table__
    with Session(engine) as session:
        session.execute(update(written).values(name="b"))
        session.execute(insert(written), [{"id": 2, "name": "c", "content": ""}])
        session.commit()
        assert verify(session) == []
    assert names(engine, blog) == ["a", "b", "c"]


def test_a_connection_is_recorded(blog, engine):
    """One that no session has, of an engine that was named."""
    versioning_manager.record_engine(engine)
    with engine.begin() as connection:
        connection.execute(update(blog.Article.__table__).values(name="b"))

    assert names(engine, blog) == ["a", "b"]


def test_sql_text_does_not_go_unrecorded(blog, engine):
    """It is refused, or recorded by triggers."""
    statement = text("UPDATE article SET name = 'b'")
    with Session(engine) as session:
        try:
            session.execute(statement)
        except CaptureError:
            session.rollback()
        session.commit()
        assert verify(session) == []


def test_sql_text_that_reads_leaves_mappers_alone(blog, engine):
    """Not all models need be there for it."""
    with Session(engine) as session:
        assert session.scalar(text("SELECT name FROM article")) == "a"

    assert not blog.Article.__mapper__.configured


def test_a_statement_is_refused_that_may_have_to_be_recorded(blog, engine):
    """Where mappers cannot be configured, nobody knows."""
    blog.Article.nobody = relationship("Nobody")
    with Session(engine) as session, pytest.raises(ImproperlyConfigured, match="'Nobody'"):
        session.execute(update(blog.Article.__table__).values(name="b"))


def test_faults_are_found_and_mended(blog, engine):
    """All that is versioned is looked at, and not only what was used."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM article_version"))

    with Session(engine) as session:
        assert [fault.kind for fault in verify(session)] == [FaultKind.UNRECORDED]
        assert len(repair(session).mended) == 1


def test_a_class_is_looked_after(blog, engine):
    """Whoever names it need not have used it."""
    with Session(engine) as session:
        assert verify(session, blog.Article) == []


def test_the_past_is_read(blog, engine):
    """It is read as it was, by tables too."""
    with Session(engine) as session:
        past = as_of(session, datetime.now(timezone.utc) + timedelta(hours=1))
        assert past.scalars(select(blog.Article.__table__.c.name)).all() == ["a"]
