"""Nodes that refer to nodes: as a tree, as a graph, and to tags."""

from typing import Any

from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tests.factories import NODE_DECLARATIONS
from tests.models import Models


def build_nodes(Base: type[DeclarativeBase]) -> Models:
    """Declare nodes with a parent, with links among themselves and with tags, all versioned.

    Every relationship has its other side; collections are sorted by name.
    """
    link = Table(
        "follows",
        Base.metadata,
        Column("follower_id", ForeignKey("node.id"), primary_key=True),
        Column("followed_id", ForeignKey("node.id"), primary_key=True),
    )
    node_tag = Table(
        "node_tag",
        Base.metadata,
        Column("node_id", ForeignKey("node.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
        parent: Mapped[Any] = relationship("Node", back_populates="children", remote_side=[id])
        children: Mapped[list[Any]] = relationship(
            "Node", back_populates="parent", order_by="Node.name"
        )
        follows: Mapped[list[Any]] = relationship(
            "Node",
            secondary=link,
            primaryjoin=id == link.c.follower_id,
            secondaryjoin=id == link.c.followed_id,
            back_populates="followers",
            order_by="Node.name",
        )
        followers: Mapped[list[Any]] = relationship(
            "Node",
            secondary=link,
            primaryjoin=id == link.c.followed_id,
            secondaryjoin=id == link.c.follower_id,
            back_populates="follows",
            order_by="Node.name",
        )
        tags: Mapped[list[Any]] = relationship(
            "Tag", secondary=node_tag, back_populates="nodes", order_by="Tag.name"
        )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        nodes: Mapped[list[Node]] = relationship(
            secondary=node_tag, back_populates="tags", order_by="Node.name"
        )

    return Models(Base, Node, Tag, declarations=NODE_DECLARATIONS)
