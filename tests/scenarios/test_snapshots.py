"""What a transaction records of rows that others changed after its snapshot was taken."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, UniqueConstraint, select
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import Operation, version_class
from sqlalchemy_versioned.maintenance import verify

pytestmark = pytest.mark.needs("stale_writes")


@pytest.fixture
def open_snapshot(engine):
    """Return a function that opens a session whose reads keep showing the state of now."""
    sessions = []

    def make(cls):
        session = Session(engine.execution_options(isolation_level="REPEATABLE READ"))
        sessions.append(session)
        session.scalars(select(cls)).all()
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.mark.strategies("validity", "subquery")
def test_value_of_the_snapshot(session, models, open_snapshot):
    """A row that is set to what the snapshot shows is not as it was: another changed it since."""
    article = models.factories.Article(name="a")
    session.commit()
    late = open_snapshot(models.Article)
    own = late.get(models.Article, article.id)
    article.name = "b"
    session.commit()
    own.name = "c"
    late.flush()
    own.name = "a"
    late.commit()

    version = version_class(models.Article)
    rows = session.scalars(select(version).order_by(version.transaction_id)).all()
    assert [row.name for row in rows] == ["a", "b", "a"]


@pytest.mark.strategies
def test_upserts_of_what_came_and_went(session, models, open_snapshot):
    """An upsert is an insertion or a change by what is there, not by what the snapshot shows."""
    session.add(models.Article(id=1, name="a"))
    session.commit()
    late = open_snapshot(models.Article)
    session.delete(session.get(models.Article, 1))
    session.add(models.Article(id=2, name="a"))
    session.commit()
    rows = [{"id": number, "name": "b"} for number in (1, 2)]
    upsert = mysql_insert(models.Article).values(rows)
    late.execute(upsert.on_duplicate_key_update(name=upsert.inserted.name))
    late.commit()

    assert verify(session) == []
    version = version_class(models.Article)
    statement = select(version.id, version.operation_type).order_by(version.transaction_id)
    told = [(1, Operation.INSERT), (1, Operation.DELETE), (2, Operation.INSERT)]
    found = session.execute(statement).all()
    assert sorted(found[:3]) == sorted(told)
    assert sorted(found[3:]) == [(1, Operation.INSERT), (2, Operation.UPDATE)]


def test_link_made_since_the_snapshot(Base, engine, open_snapshot):
    """A link with an id of its own is recorded under the id that it has when it is removed."""
    link = Table(
        "link",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("page_id", ForeignKey("page.id")),
        Column("tag_id", ForeignKey("tag.id")),
        UniqueConstraint("page_id", "tag_id"),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Link(Base):
        __table__ = link
        __versioned__ = {}

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        tags: Mapped[list[Tag]] = relationship(secondary=link, overlaps="tags")

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        page = Page(id=1, tags=[Tag(id=1)])
        session.add(page)
        session.commit()
        late = open_snapshot(Page)
        own = late.get(Page, 1)
        assert len(own.tags) == 1
        page.tags, kept = [], page.tags[0]
        session.flush()
        page.tags = [kept]
        session.commit()
        own.tags = []
        late.commit()

        rows = session.scalars(select(version_class(Link)).order_by("transaction_id")).all()
    assert [(row.id, row.operation_type) for row in rows] == [
        (1, Operation.INSERT),
        (1, Operation.DELETE),
        (2, Operation.INSERT),
        (2, Operation.DELETE),
    ]
