"""Append-only history: the database refuses to change it, but for those who look after it."""

import pytest
from sqlalchemy import Column, ForeignKey, delete, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column

from sqlalchemy_versioned import (
    HistoryIsAppendOnly,
    ImproperlyConfigured,
    VersionIsImmutable,
    transaction_context,
    vacuum,
    version_class,
)
from sqlalchemy_versioned.maintenance import prune, redact, repair, update_end_tx_column, verify
from sqlalchemy_versioned.plugins import TransactionMetaPlugin
from sqlalchemy_versioned.triggers import check_triggers, install_triggers, trigger_ddl

pytestmark = pytest.mark.options(
    native=True, append_only=True, user_cls="Author", plugins=[TransactionMetaPlugin()]
)
needs_triggers = pytest.mark.needs("triggers")

GUARDED = ("article_version", "transaction", "transaction_meta")


@pytest.fixture
def article(session, blog):
    """An article with three versions, of which transactions have something said."""
    with transaction_context(ticket="T-1"):
        found = blog.Article(name="a")
        session.add(found)
        session.commit()
        found.name = "b"
        session.flush()
        found.name = "c"
        session.commit()
        session.execute(text("UPDATE article SET name = 'd'"))
        session.commit()
    return found


@needs_triggers
@pytest.mark.strategies("validity", "subquery")
def test_history_is_written_and_not_changed(session, blog, article):
    """Versions are ended and merged as ever; who else changes history fails, its owner as well."""
    names = [version.name for version in article.versions]
    for table in GUARDED:
        for statement in (
            f"UPDATE {table} SET transaction_id = 1",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            column = "id" if table == "transaction" else "transaction_id"
            with pytest.raises(HistoryIsAppendOnly, match=f"is refused: {table} is append-only"):
                session.execute(text(statement.replace("transaction_id", column)))
            session.rollback()
    with pytest.raises(VersionIsImmutable) as raised:
        session.execute(update(version_class(blog.Article)).values(name="x"))
    session.rollback()
    session.delete(article)
    session.commit()

    assert isinstance(raised.value, DBAPIError)
    assert names == ["a", "c", "d"]
    assert verify(session) == []


@needs_triggers
def test_what_looks_after_history_may_change_it(session, blog, article):
    """Functions of the library go on, and leave it as closed as it was."""
    version = version_class(blog.Article)
    session.execute(text("SET session_replication_role = replica"))
    session.execute(update(version).values(end_transaction_id=None))
    session.execute(text("INSERT INTO article (id, name) VALUES (9, 'behind its back')"))
    session.execute(text("SET session_replication_role = origin"))

    assert update_end_tx_column(session, blog.Article) == 2
    assert redact(session, blog.Article, object_ids=article.id, columns="content") == 0
    assert redact(session, blog.Article, object_ids=article.id, columns="name") == 2
    assert len(repair(session, blog.Article).mended) == 1
    assert vacuum(session, blog.Article) == 1
    assert prune(session, blog.Article, keep=1) == 1
    assert prune(session, blog.Article, keep=1) == 0
    with pytest.raises(HistoryIsAppendOnly), session.begin_nested():
        session.execute(delete(version))
    session.commit()

    assert verify(session) == []


@needs_triggers
def test_a_transaction_says_more_until_it_is_committed(session, blog, article, versioning):
    """Its row, and what belongs to it, is no history yet; that of another is."""
    unit = versioning.unit_of_work(session)
    article.name = "e"
    session.flush()
    author = blog.Author(name="new")
    current = unit.current_transaction
    current.user, current.meta["reason"] = author, "typo"
    session.flush()
    current.meta["reason"] = "haste"
    session.commit()
    assert (current.user, current.meta) == (author, {"reason": "haste"})

    current.remote_addr = "10.0.0.1"
    with pytest.raises(HistoryIsAppendOnly, match="UPDATE is refused: transaction"):
        session.commit()


@needs_triggers
def test_rights_on_history_are_not_enough(session, blog, article, engine):
    """A role that may do everything with history by grants changes nothing, whatever it says."""
    for statement in (
        "DROP ROLE IF EXISTS versioned_clerk",
        "CREATE ROLE versioned_clerk",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO versioned_clerk",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO versioned_clerk",
        "GRANT ALL ON SCHEMA public TO versioned_clerk",
    ):
        session.execute(text(statement))
    session.commit()
    own = (
        "CREATE TABLE own (id int)",
        "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN DELETE FROM article_version; RETURN NULL; END'",
        "CREATE TRIGGER own AFTER INSERT ON own EXECUTE FUNCTION own()",
    )
    try:
        for said, attempt in (
            (("SELECT set_config('versioned.upkeep', '1', true)",), "DELETE FROM article_version"),
            (("SELECT set_config('versioned.upkeep', '1', true)",), "TRUNCATE article_version"),
            (("SELECT set_config('versioned.upkeep', '1', true)",), "DELETE FROM transaction"),
            (own, "INSERT INTO own VALUES (1)"),
        ):
            session.execute(text("SET LOCAL ROLE versioned_clerk"))
            session.execute(text("UPDATE article SET name = name || '!'"))
            for statement in said:
                session.execute(text(statement))
            with pytest.raises(HistoryIsAppendOnly):
                session.execute(text(attempt))
            session.rollback()
    finally:
        session.rollback()
        session.execute(text("DROP OWNED BY versioned_clerk; DROP ROLE versioned_clerk"))
        session.commit()


@needs_triggers
def test_guards_come_and_go_with_tables(blog, tables, session):
    """They are installed, checked and removed as the triggers that record."""
    metadata = blog.metadata
    assert check_triggers(metadata, session) == []
    for statement in (
        "ALTER TABLE article_version DISABLE TRIGGER article_version_versioned_guard_delete",
        "DROP TRIGGER transaction_versioned_guard_update ON transaction",
    ):
        session.execute(text(statement))
    assert sorted(map(str, check_triggers(metadata, session))) == [
        "disabled trigger public.article_version_versioned_guard_delete on public.article_version",
        "missing trigger public.transaction_versioned_guard_update on public.transaction",
    ]
    install_triggers(metadata, session)
    assert check_triggers(metadata, session) == []
    creation, removal = trigger_ddl(blog.Article.__table__)
    assert "article_version_versioned_guard" in creation[-1]
    assert removal[-1].startswith("DROP FUNCTION")
    session.commit()

    metadata.drop_all(tables)

    ours = "SELECT count(*) FROM pg_proc WHERE strpos(prosrc, '-- sqlalchemy_versioned') > 0"
    assert session.scalar(text(ours)) == 0


@pytest.mark.options(native=False, user_cls=None, plugins=[])
def test_sessions_cannot_guard(Base):
    """Where sessions record, the database cannot tell them from others."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="append_only is set, and sessions record"):
        configure_mappers()


@pytest.mark.options(
    user_cls=None,
    plugins=[],
    transaction_columns=[Column("tenant_id", ForeignKey("tenant.id", ondelete="SET NULL"))],
)
def test_foreign_keys_that_change_history(Base):
    """What others delete must not change what is told of the past."""

    class Tenant(Base):
        __tablename__ = "tenant"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ImproperlyConfigured, match="transaction has a foreign key with SET NULL"):
        configure_mappers()
