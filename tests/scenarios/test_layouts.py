"""Version tables laid out as those of audit libraries: letters, moments and users on each row."""

from datetime import datetime, timezone

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import mapped_column, relationship

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    Operation,
    as_of,
    deleted,
    get_changes,
    transaction_class,
    vacuum,
    version_class,
    version_table,
    versioned_table,
)
from sqlalchemy_versioned.database.expressions import DatabaseUser
from sqlalchemy_versioned.maintenance import baseline, verify

pytestmark = pytest.mark.options(
    operation_type_format="code",
    operation_type_column_name="audit_operation",
    issued_at_column_name="audit_operation_timestamp",
    db_user_column_name="audit_current_user",
)


@pytest.fixture
def page(Base):
    """A table without a class."""
    columns = [Column("id", Integer, primary_key=True), Column("name", String(50))]
    return versioned_table(Table("page", Base.metadata, *columns))


@pytest.fixture
def classes(Base):
    """Articles and their tags."""
    link = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id = mapped_column(Integer, primary_key=True)
        name = mapped_column(String(50))
        tags = relationship(Tag, secondary=link)

    return Article, Tag


@pytest.mark.strategies("validity", "append")
def test_statements(Base, page, open_session):
    """Every version has its letter, the moment when it was written, and the user who wrote it."""
    session = open_session(Base)
    begun = datetime.now(timezone.utc)
    session.execute(insert(page), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    session.commit()
    session.execute(update(page).where(page.c.id == 1).values(name="c"))
    session.execute(delete(page).where(page.c.id == 2))
    session.commit()
    versions = version_table(page)
    rows = session.execute(select(versions).order_by(versions.c.transaction_id, versions.c.id))
    found = rows.mappings().all()

    assert [row["audit_operation"].code for row in found] == ["I", "I", "U", "D"]
    raw = session.execute(text("SELECT audit_operation FROM page_version")).scalars()
    assert sorted(raw) == ["D", "I", "I", "U"]
    moments = [row["audit_operation_timestamp"] for row in found]
    assert begun <= moments[0] <= moments[2] <= datetime.now(timezone.utc)
    users = {row["audit_current_user"] for row in found}
    assert users == {session.execute(select(DatabaseUser())).scalar_one()}
    assert verify(session) == []


@pytest.mark.strategies
def test_objects(Base, classes, open_session):
    """Objects and links are recorded, read and looked after as with numbers."""
    Article, Tag = classes
    session = open_session(Base)
    article = Article(id=1, name="a", tags=[Tag(id=1), Tag(id=2)])
    session.add(article)
    session.commit()
    article.name, article.tags = "b", article.tags[:1]
    session.commit()
    session.delete(article)
    session.flush()
    session.rollback()
    first = session.scalars(select(transaction_class(Article).id)).first()

    assert [version.audit_operation for version in article.versions] == [0, 1]
    assert article.versions[1].changeset == {"name": ["a", "b"]}
    assert article.versions[1].audit_operation_timestamp.tzinfo is timezone.utc
    assert [len(version.tags) for version in article.versions] == [2, 1]
    with as_of(session, first) as past:
        assert [len(past.get(Article, 1).tags), past.get(Article, 1).name] == [2, "a"]
    records = get_changes(Article, session, relations=["tags"], operations="U", limit=5)
    assert {change.field for each in records for change in each.changes} == {"name", "tags"}
    article.versions[0].revert(relations=["tags"])
    session.commit()
    assert (article.name, len(article.tags)) == ("a", 2)
    session.delete(article)
    session.commit()
    assert session.scalars(deleted(Article)).one().audit_operation is Operation.DELETE
    assert verify(session) == []
    assert (baseline(session, Article), vacuum(session, Article)) == (0, 0)


def test_rows_that_are_written_again(Base, classes, open_session):
    """A version that a transaction makes of one it has made is stamped anew."""
    Article, _ = classes
    session = open_session(Base)
    article = Article(id=1, name="a")
    session.add(article)
    session.flush()
    version = version_class(Article)
    stamp = select(version.audit_operation_timestamp)
    first = session.execute(stamp).scalar_one()
    article.name = "b"
    session.flush()

    assert session.execute(stamp).scalar_one() >= first
    session.commit()
    article.name = "c"
    session.flush()
    session.delete(article)
    session.commit()
    assert [each.audit_operation.code for each in session.scalars(select(version))] == ["I", "D"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operation_type_format": "letter"}, "choose one of 'number', 'code'"),
        ({"issued_at_column_name": "name"}, "set the option 'issued_at_column_name'"),
        ({"db_user_column_name": "transaction_id"}, "give them different names"),
    ],
)
def test_options_that_cannot_be_followed(Base, options, message):
    """A format that there is not, and names that are taken, are refused."""
    columns = [Column("id", Integer, primary_key=True), Column("name", String(50))]

    with pytest.raises(ImproperlyConfigured, match=message):
        versioned_table(Table("page", Base.metadata, *columns), **options)
