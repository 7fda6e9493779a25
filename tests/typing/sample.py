"""An application as type checkers see it; run by mypy in test_typing.py, never imported."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from typing_extensions import assert_type

from sqlalchemy_versioned import (
    Operation,
    Plugin,
    PluginCollection,
    TransactionFactory,
    UnitOfWork,
    VersionCollection,
    Versioned,
    VersioningManager,
    changeset,
    is_versioned,
    make_versioned,
    parent_class,
    remove_versioning,
    transaction_class,
    version_class,
    version_table,
    versioned,
    versioning_manager,
)

make_versioned(user_cls=None, plugins=[Plugin()], strategy="subquery")


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
