"""Indexes of version tables: for the foreign keys by which relationships find versions."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Table
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column, relationship


@pytest.fixture
def indexed(Base):
    """Return a function that tells which columns of a version table have which indexes."""

    def look_up(name):
        configure_mappers()
        table = Base.metadata.tables[name]
        return {index.name: [column.name for column in index.columns] for index in table.indexes}

    return look_up


def by_transaction(name):
    """Return the index that every version table has."""
    return {f"ix_{name}_transaction_id": ["transaction_id"]}


def declare_links(Base, *, is_two_way):
    """Declare articles and tags that know each other, or articles that know their tags."""
    Table(
        "link",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        tags: Mapped[list[Any]] = relationship(
            Tag, secondary="link", backref="articles" if is_two_way else None
        )


def declare_comments(Base, *, options=None, **arguments):
    """Declare articles that know their comments; return both classes."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Comment(Base):
        __tablename__ = "comment"
        __versioned__ = options or {}
        id: Mapped[int] = mapped_column(primary_key=True)
        article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), **arguments)

    return Article, Comment


def test_links_from_the_other_side(Base, indexed):
    """Links are found from both sides: by the primary key, and by an index."""
    declare_links(Base, is_two_way=True)

    assert indexed("link_version") == by_transaction("link_version") | {
        "ix_link_version_tag_id_transaction_id": ["tag_id", "transaction_id"]
    }


def test_links_from_one_side(Base, indexed):
    """A side from which nobody looks costs nothing."""
    declare_links(Base, is_two_way=False)

    assert indexed("link_version") == by_transaction("link_version")


def test_one_to_many(Base, indexed):
    """The versions of many are found by the foreign key that leads to the one."""
    Article, Comment = declare_comments(Base)
    Article.comments = relationship(Comment, backref="article")

    assert indexed("comment_version") == by_transaction("comment_version") | {
        "ix_comment_version_article_id_transaction_id": ["article_id", "transaction_id"]
    }
    assert indexed("article_version") == by_transaction("article_version")


def test_many_to_one(Base, indexed):
    """The version of one is found by its primary key."""
    Article, Comment = declare_comments(Base)
    Comment.article = relationship(Article)

    assert indexed("comment_version") == by_transaction("comment_version")


def test_index_of_the_parent(Base, indexed):
    """A foreign key whose index is kept from the parent table gets no other."""
    Article, Comment = declare_comments(Base, index=True)
    Article.comments = relationship(Comment)

    assert indexed("comment_version") == by_transaction("comment_version") | {
        "ix_comment_version_article_id": ["article_id"]
    }


def test_excluded_foreign_key(Base, indexed):
    """A relationship that cannot be followed needs no index."""
    Article, Comment = declare_comments(Base, options={"exclude": ["article_id"]})
    Article.comments = relationship(Comment)

    assert indexed("comment_version") == by_transaction("comment_version")


def test_foreign_key_of_several_columns(Base, indexed):
    """Columns that make up one foreign key share an index."""

    class Pair(Base):
        __tablename__ = "pair"
        __versioned__ = {}
        a: Mapped[int] = mapped_column(primary_key=True)
        b: Mapped[int] = mapped_column(primary_key=True)
        items: Mapped[list[Any]] = relationship("Item")

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        a: Mapped[int]
        b: Mapped[int]
        __table_args__ = (
            ForeignKeyConstraint(["a", "b"], ["pair.a", "pair.b"]),
            Index("ix_item", "a", "b"),
        )

    assert indexed("item_version") == by_transaction("item_version") | {
        "ix_item_version_a_b_transaction_id": ["a", "b", "transaction_id"]
    }


def test_tree(Base, indexed):
    """A class that refers to itself is looked up by its foreign key, and by its primary key."""

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
        children: Mapped[list[Any]] = relationship("Node", back_populates="parent")
        parent: Mapped[Any] = relationship("Node", back_populates="children", remote_side=[id])

    assert indexed("node_version") == by_transaction("node_version") | {
        "ix_node_version_parent_id_transaction_id": ["parent_id", "transaction_id"]
    }
