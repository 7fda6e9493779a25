"""An application as type checkers see it; run by mypy in test_typing.py, never imported."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, String, Table
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from typing_extensions import assert_type

from sqlalchemy_versioned import (
    MASKED,
    ChangeRecord,
    FieldChange,
    FlatChange,
    Masked,
    Operation,
    Plugin,
    PluginCollection,
    Snapshot,
    TransactionFactory,
    UnitOfWork,
    VersionCollection,
    Versioned,
    VersioningManager,
    as_of,
    blame,
    changeset,
    flatten,
    get_changes,
    get_transaction_context,
    is_versioned,
    make_versioned,
    parent_class,
    remove_versioning,
    session_variables,
    session_variables_statement,
    set_session_variables,
    transaction_class,
    transaction_context,
    version_class,
    version_table,
    versioned,
    versioned_table,
    versioning_manager,
)
from sqlalchemy_versioned import asyncio as awaitable
from sqlalchemy_versioned.asyncio import AsyncSnapshot, AsyncVersions
from sqlalchemy_versioned.maintenance import (
    Fault,
    Repair,
    baseline,
    prune,
    redact,
    repair,
    update_end_tx_column,
    verify,
)

make_versioned(user_cls=None, current_user=lambda: 7, plugins=[Plugin()], strategy="subquery")


class Base(DeclarativeBase):
    """The base of the models."""


class Article(Versioned, Base):
    """Versioned by the mixin."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Post(Article):
    """Knows its own versions."""

    __versioned__ = {"exclude": ["name"]}


@versioned(exclude=["name"])
class Tag(Base):
    """Versioned by the decorator, which keeps the type."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


article = Article(name="a")
assert_type(article.versions, VersionCollection[Article])
assert_type(Post().versions, VersionCollection[Post])
assert_type(article.versions[0], Any)
assert_type(article.versions[1:], list[Any])
assert_type(article.versions.count(), int)
assert_type(len(article.versions), int)
assert_type(article.versions.select(), Select[Any])
assert_type(article.versions.filter_by(name="a"), VersionCollection[Article])
assert_type(article.versions.all(), list[Any])
assert_type(Tag(name="a"), Tag)

assert_type(version_class(Article), type[Any])
assert_type(parent_class(version_class(Article)), type[Any])
assert_type(transaction_class(Article), type[Any])
assert_type(version_table(Article), Table)
assert_type(versioned_table(Article.metadata.tables["article"], exclude=["body"]), Table)
assert_type(is_versioned(article), bool)
assert_type(changeset(article), dict[str, list[Any]])
assert_type(Operation.INSERT.code, str)


def record(session: Session, manager: VersioningManager = versioning_manager) -> None:
    """Use a manager."""
    assert_type(manager.unit_of_work(session), UnitOfWork)
    assert_type(manager.plugins, PluginCollection)
    manager.plugins = [Plugin()]
    manager.transaction_cls = TransactionFactory(remote_addr=False)
    remove_versioning(manager=manager)


def say_who_and_why(session: Session) -> None:
    """Write in somebody's name."""
    with transaction_context(user=7, reason="typo", ticket=5) as entered:
        assert_type(entered, None)
        assert_type(get_transaction_context(), dict[str, Any])
    set_session_variables(session, reason="typo")
    with session_variables(session, reason="typo") as entered:
        assert_type(entered, None)
    assert_type(session_variables_statement(reason="typo"), Select[Any])


def look_up_changes(session: Session) -> None:
    """Read change records."""
    records = get_changes(Article, session, fields=["name"], limit=50)
    assert_type(records, list[ChangeRecord])
    assert_type(get_changes(Article, object_ids=7), list[ChangeRecord])
    assert_type(records[0].changes, tuple[FieldChange, ...])
    assert_type(records[0].to_json(), str)
    assert_type(flatten(records), list[FlatChange])
    assert_type(blame(article), dict[str, Any])


def look_back(session: Session) -> None:
    """Read the past."""
    with as_of(session, 1, on_incomplete="ignore") as past:
        assert_type(past, Snapshot)
        assert_type(past.moment.transaction_id, int)
        assert_type(past.get(Article, 1), Article | None)


def look_after(session: Session) -> None:
    """Verify history, and mend it."""
    assert_type(verify(session, Article), list[Fault])
    assert_type(repair(session, batch_size=100).left, tuple[Fault, ...])
    assert_type(baseline(session, Article), int)
    assert_type(prune(session, Article, keep=2), int)
    assert_type(redact(session, Article, object_ids=[1], columns=["name"]), int)
    assert_type(update_end_tx_column(session, Article), int)
    assert_type(MASKED, Masked)


async def look_back_without_blocking(session: AsyncSession) -> None:
    """Read versions and the past by awaiting them."""
    versions = awaitable.versions(article)
    assert_type(versions.filter_by(name="a"), AsyncVersions)
    assert_type([version async for version in versions], list[Any])
    assert_type(await versions.count(), int)
    assert_type(await awaitable.repair(session), Repair)
    assert_type(await awaitable.changeset(article), dict[str, list[Any]])
    assert_type(await awaitable.as_of(session, 1), AsyncSnapshot)
    async with awaitable.as_of(session, 1) as past:
        assert_type(past.moment.transaction_id, int)
        assert_type(await past.get(Article, 1), Article | None)
    async with awaitable.session_variables(session, reason="typo"):
        assert_type(await awaitable.is_delete(article), bool)
    async with awaitable.paused(session):
        await session.flush()
