"""A database that the established library has made is continued, not migrated."""

import enum

import pytest
from sqlalchemy import Column, Enum, ForeignKey, Integer, String, Table, inspect, select, text
from sqlalchemy.orm import Session, configure_mappers, mapped_column, relationship

from sqlalchemy_versioned import Operation, get_changes, transaction_class, version_class

TABLES = """
CREATE TABLE "user" (id INTEGER NOT NULL, name VARCHAR(50), PRIMARY KEY (id));
CREATE TABLE article (
    id INTEGER NOT NULL, name VARCHAR(50), status {enum}, PRIMARY KEY (id));
CREATE TABLE tag (id INTEGER NOT NULL, name VARCHAR(50), PRIMARY KEY (id));
CREATE TABLE article_tag (
    article_id INTEGER NOT NULL REFERENCES article (id),
    tag_id INTEGER NOT NULL REFERENCES tag (id),
    PRIMARY KEY (article_id, tag_id));
CREATE TABLE transaction_table (
    id {id} NOT NULL, issued_at TIMESTAMP, remote_addr VARCHAR(50), user_id INTEGER,
    PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES "user" (id));
CREATE INDEX ix_transaction_user_id ON transaction_table (user_id);
"""

VERSIONS = """
CREATE TABLE {table}_version (
    id INTEGER NOT NULL, name VARCHAR(50), {more}
    transaction_id {tx} NOT NULL, end_transaction_id {tx}, operation_type SMALLINT NOT NULL,
    PRIMARY KEY (id, transaction_id));
CREATE INDEX ix_{table}_version_transaction_id ON {table}_version (transaction_id);
CREATE INDEX ix_{table}_version_end_transaction_id ON {table}_version (end_transaction_id);
CREATE INDEX ix_{table}_version_operation_type ON {table}_version (operation_type);
CREATE INDEX ix_{table}_version_pk_transaction_id ON {table}_version (id, transaction_id DESC);
CREATE INDEX ix_{table}_version_pk_validity
    ON {table}_version (id, transaction_id, end_transaction_id);
"""

LINKS = """
CREATE TABLE article_tag_version (
    article_id INTEGER NOT NULL, tag_id INTEGER NOT NULL,
    transaction_id {tx} NOT NULL, end_transaction_id {tx}, operation_type SMALLINT NOT NULL,
    PRIMARY KEY (article_id, tag_id, transaction_id));
CREATE INDEX ix_article_tag_version_transaction_id ON article_tag_version (transaction_id);
"""

# The tag was linked, taken off and linked again: rows of links were never closed.
ROWS = """
INSERT INTO "user" VALUES (1, 'Ann');
INSERT INTO article VALUES (1, 'Second', 'OPEN');
INSERT INTO tag VALUES (1, 'red');
INSERT INTO article_tag VALUES (1, 1);
INSERT INTO transaction_table VALUES (1, '2020-01-01 10:00:00', '::1', 1);
INSERT INTO transaction_table VALUES (2, '2020-01-02 10:00:00', NULL, NULL);
INSERT INTO transaction_table VALUES (3, '2020-01-03 10:00:00', NULL, NULL);
INSERT INTO article_version VALUES (1, 'First', 'OPEN', 1, 2, 1);
INSERT INTO article_version VALUES (1, 'Second', 'OPEN', 2, NULL, 1);
INSERT INTO article_version VALUES (9, 'Gone', NULL, 1, 3, 0);
INSERT INTO article_version VALUES (9, 'Gone', NULL, 3, NULL, 2);
INSERT INTO tag_version VALUES (1, 'red', 1, NULL, 0);
INSERT INTO article_tag_version VALUES (1, 1, 1, NULL, 0);
INSERT INTO article_tag_version VALUES (1, 1, 2, NULL, 2);
INSERT INTO article_tag_version VALUES (1, 1, 3, NULL, 0);
"""


class Status(enum.Enum):
    """Kept by its name."""

    OPEN = 1
    DONE = 2


def script(dialect):
    """Return the statements that the established library would have run."""
    is_server = dialect == "postgresql"
    words = {
        "enum": "status" if is_server else "VARCHAR(4)",
        "id": "BIGINT" if is_server else "INTEGER",
    }
    words["tx"] = "BIGINT"
    before = (
        "CREATE TYPE status AS ENUM ('OPEN', 'DONE'); CREATE SEQUENCE transaction_id_seq START 4;"
    )
    parts = [before if is_server else "", TABLES.format(**words)]
    parts += [VERSIONS.format(table="article", more=f"status {words['enum']},", **words)]
    parts += [VERSIONS.format(table="tag", more="", **words), LINKS.format(**words), ROWS]
    return "".join(parts).replace("transaction_table", '"transaction"').split(";")


@pytest.fixture
def models(Base, versioning):
    """The models of the application, with nothing changed but the imports."""
    link = Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    def declare(name, versioned=None, **body):
        body |= {"id": mapped_column(Integer, primary_key=True), "name": mapped_column(String(50))}
        return type(
            name, (Base,), {"__tablename__": name.lower(), "__versioned__": versioned, **body}
        )

    Base.User = declare("User")
    Base.Tag = declare("Tag", {})
    Base.Article = declare(
        "Article",
        {},
        status=mapped_column(Enum(Status, name="status")),
        tags=relationship(Base.Tag, secondary=link),
    )
    return Base


@pytest.fixture
def session(engine, models, mode):
    """A session on the database as it was left; no table is created or altered."""
    with engine.begin() as connection:
        for statement in script(engine.dialect.name):
            if statement.strip():
                connection.execute(text(statement))
    configure_mappers()
    mode.install(models.metadata, engine)
    with Session(engine) as session:
        yield session


@pytest.mark.needs("returning")
def test_history_is_read(session, models):
    """Versions, transactions and deletions that were there are found."""
    article = session.get(models.Article, 1)
    first, second = article.versions
    gone = session.scalars(select(version_class(models.Article)).filter_by(id=9)).all()

    assert (first.name, second.name, second.status) == ("First", "Second", Status.OPEN)
    assert first.transaction.issued_at.isoformat() == "2020-01-01T10:00:00+00:00"
    assert (first.transaction.user.name, first.next) == ("Ann", second)
    assert [version.operation_type for version in gone] == [Operation.INSERT, Operation.DELETE]


@pytest.mark.needs("returning")
def test_links_that_were_never_closed(session, models):
    """Of association rows without ends the newest counts."""
    first, second = session.get(models.Article, 1).versions

    assert [tag.name for tag in first.tags] == ["red"]
    assert second.tags == []


@pytest.mark.needs("returning")
def test_changes_are_read(session, models):
    """Change records reach as far back as versions and links do; no index is missed."""
    records = get_changes(models.Article, session, relations=["tags"])

    assert [(r.object_id, r.operation.code, r.user_id) for r in records] == [
        (9, "D", None),
        (1, "U", None),
        (1, "U", None),
        (9, "I", 1),
        (1, "U", 1),
    ]
    told = [{c.field: (c.old, c.new) for c in record.changes} for record in records]
    assert told[0] == {"id": (9, None), "name": ("Gone", None)}
    assert told[1] == {"tags": ([], [1])}
    assert told[2] == {"name": ("First", "Second"), "tags": ([1], [])}
    assert told[4]["tags"] == ([], [1])
    assert told[4]["status"] == (None, Status.OPEN)


@pytest.mark.needs("returning")
def test_history_is_continued(session, models):
    """New versions follow the old ones, with the next ids, and close them."""
    article = session.get(models.Article, 1)
    article.status, article.name = Status.DONE, "Third"
    article.tags = []
    session.commit()
    session.delete(article)
    session.commit()
    cls = version_class(models.Article)
    versions = session.scalars(select(cls).filter_by(id=1).order_by(cls.transaction_id)).all()

    assert [v.transaction_id for v in versions] == [1, 2, 4, 5]
    assert [v.end_transaction_id for v in versions] == [2, 4, 5, None]
    assert [v.operation_type for v in versions] == [1, 1, 1, 2]
    assert versions[2].status is Status.DONE
    assert versions[2].tags == []


@pytest.mark.needs("returning")
def test_nothing_is_missing_in_it(session, models, engine):
    """create_all() finds every table it wants."""
    before = set(inspect(engine).get_table_names())
    models.metadata.create_all(engine)

    assert set(inspect(engine).get_table_names()) == before
    assert set(models.metadata.tables) == before
    assert transaction_class(models.Article).__table__.name == "transaction"


@pytest.mark.needs("returning")
def test_row_without_open_version_is_recorded(session, models):
    """A change is recorded also if a fault of before has ended the last version of the row."""
    session.execute(text("UPDATE article_version SET end_transaction_id = 3 WHERE id = 1"))
    session.commit()
    article = session.get(models.Article, 1)
    session.expire(article)

    article.name = "Third"
    session.commit()

    assert [version.name for version in article.versions] == ["First", "Second", "Third"]
