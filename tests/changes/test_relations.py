"""Relationships in change records and in the differences of versions."""

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, String, Table, and_
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship, remote

from sqlalchemy_versioned import (
    FieldChange,
    InvalidArgument,
    InvalidArgumentType,
    Operation,
    RelationshipNotVersioned,
    get_changes,
)
from tests.models import Models

pytestmark = pytest.mark.strategies()


def changes_of(session, cls, relation, **asked):
    """Return what records say of a relationship, oldest first."""
    records = get_changes(cls, session, fields=[], relations=relation, descending=False, **asked)
    assert all([c.field for c in record.changes] == [relation] for record in records)
    return [(r.object_id, r.changes[0].old, r.changes[0].new) for r in records]


# -- of each kind ------------------------------------------------------------------------------


def test_links(session, blog):
    """Links that were added and removed are told on both sides."""
    red, blue = blog.Tag(id=1, name="red"), blog.Tag(id=2, name="blue")
    article = blog.Article(id=5, name="a", tags=[red])
    session.add_all([article, blue])
    session.commit()
    article.tags = [blue]
    session.commit()
    session.delete(article)
    session.commit()

    assert changes_of(session, blog.Article, "tags") == [
        (5, [], [1]),
        (5, [1], [2]),
        (5, [2], []),
    ]
    assert changes_of(session, blog.Tag, "articles") == [
        (1, [], [5]),
        (1, [5], []),
        (2, [], [5]),
        (2, [5], []),
    ]


def test_children(session, blog):
    """Children that come, move to another parent, and go, are told of either parent."""
    one, other = blog.Article(id=1, name="a"), blog.Article(id=2, name="b")
    child = blog.Comment(id=7, content="x", article=one)
    session.add_all([one, other, child])
    session.commit()
    child.article = other
    session.commit()
    child.content = "y"
    session.commit()
    session.delete(child)
    session.commit()

    assert changes_of(session, blog.Article, "comments") == [
        (1, [], [7]),
        (1, [7], []),
        (2, [], [7]),
        (2, [7], []),
    ]


@pytest.mark.strategies("validity", "subquery")
def test_child_that_moves_and_is_deleted(session, blog):
    """A child that was moved and deleted in one transaction was lost by its first parent."""
    one, other = blog.Article(id=1, name="a"), blog.Article(id=2, name="b")
    child = blog.Comment(id=7, content="x", article=one)
    session.add_all([one, other, child])
    session.commit()
    child.article = other
    session.flush()
    session.delete(child)
    session.commit()

    assert changes_of(session, blog.Article, "comments") == [(1, [], [7]), (1, [7], [])]


def test_parent(session, blog):
    """Of a many-to-one relationship, the former and the new target are told."""
    ann, bob = blog.Author(id=1, name="Ann"), blog.Author(id=2, name="Bob")
    article = blog.Article(id=5, name="a", author=ann)
    session.add_all([article, bob])
    session.commit()
    article.author = bob
    session.commit()
    article.author = None
    article.name = "b"
    session.commit()
    article.name = "c"
    session.commit()

    assert changes_of(session, blog.Article, "author") == [
        (5, None, 1),
        (5, 1, 2),
        (5, 2, None),
    ]


def test_links_to_what_is_not_versioned(session, blog):
    """The target of a foreign key needs no versions."""
    session.add(blog.Article(id=5, name="a", category=blog.Category(id=3, name="c")))
    session.commit()

    assert changes_of(session, blog.Article, "category") == [(5, None, 3)]


def test_links_in_several_rows(session, blog):
    """Many members are listed by their keys, in order."""
    tags = [blog.Tag(id=number, name="x") for number in (3, 1, 2)]
    session.add(blog.Article(id=5, name="a", tags=tags))
    session.commit()

    other = blog.Article(id=6, name="b", tags=tags[:2])
    session.add(other)
    session.commit()

    expected = [(5, [], [1, 2, 3]), (6, [], [1, 3])]
    assert changes_of(session, blog.Article, "tags") == expected
    assert changes_of(session, blog.Article, "tags", limit=2) == expected


# -- among records -----------------------------------------------------------------------------


@pytest.fixture
def article(session, blog):
    """An article that got a tag, then another name, then lost the tag."""
    article = blog.Article(id=500, name="a")
    tag = blog.Tag(id=100, name="t")
    session.add_all([article, tag])
    session.commit()
    article.tags.append(tag)
    session.commit()
    article.name = "b"
    session.commit()
    article.tags.remove(tag)
    article.name = "c"
    session.commit()
    return article


@pytest.mark.strategies("validity", "subquery")
def test_relations_are_told_beside_fields(session, blog, article):
    """Relationships come after the fields; a change of theirs alone makes an update."""
    last, renamed, tagged, first = get_changes(blog.Article, session, relations=["tags"])

    assert last.changes == (FieldChange("name", "b", "c"), FieldChange("tags", [100], []))
    assert renamed.changes == (FieldChange("name", "a", "b"),)
    assert tagged.changes == (FieldChange("tags", [], [100]),)
    assert (tagged.operation, tagged.object_type) == (Operation.UPDATE, "article")
    assert "tags" not in [change.field for change in first.changes]
    assert tagged.to_dict()["changes"] == [{"field": "tags", "old": [], "new": [100]}]


def test_relations_are_not_told_unasked(session, blog, article):
    """Without relations=, records are of fields alone."""
    records = get_changes(blog.Article, session)

    assert [[c.field for c in r.changes] for r in records[:2]] == [["name"], ["name"]]
    assert len(records) == 3


@pytest.mark.strategies("validity", "subquery")
def test_filters_hold_for_relations(session, blog, article):
    """Pages, operations, objects and fields are those of all records together."""

    def found(**asked):
        records = get_changes(blog.Article, session, relations="tags", **asked)
        return [[change.field for change in record.changes] for record in records]

    every = found()
    assert found(limit=2) == every[:2]
    assert found(limit=2, offset=1) == every[1:3]
    assert found(offset=3) == every[3:]
    assert found(operations="U") == every[:3]
    assert found(operations="U", sort_by="operation", limit=2) == every[:2]
    assert found(operations="I") == every[3:]
    assert found(object_ids=article, limit=3) == every[:3]
    assert found(object_ids=[1, 2]) == []
    assert found(fields=["name"]) == [["name", "tags"], ["name"], ["tags"], ["name"]]
    assert found(fields=["content"]) == [["tags"], ["tags"]]


def test_one_statement_for_each_relation(session, blog, article, engine, count_statements):
    """However many objects and members there are, each relationship costs a statement at most."""
    others = blog.factories.Article.create_batch(5, tags=blog.factories.Tag.create_batch(3))
    others[0].comments = blog.factories.Comment.create_batch(3)
    session.commit()
    with count_statements(engine) as statements:
        get_changes(blog.Article, session, relations=["tags", "comments", "author"])
        assert statements.count == 3
        get_changes(blog.Article, session, relations=["author", "category"])

    assert statements.count == 4


def test_difference_of_versions(session, blog, article, engine, count_statements):
    """diff() lists on each side the members that the other has not, as of the versions."""
    article.author = blog.Author(id=4, name="Ann")
    article.tags = [blog.Tag(id=2, name="u")]
    session.commit()
    first, second, third, last = article.versions.all()
    session.refresh(last)

    assert first.diff(second, relations=["tags"]) == {"name": ["a", "b"], "tags": [[], [100]]}
    assert second.diff(last, relations=["tags", "author", "comments"]) == {
        "name": ["b", "c"],
        "author_id": [None, 4],
        "tags": [[100], [2]],
        "author": [None, 4],
    }
    assert third.diff(third, relations="tags") == first.diff(first) == {}
    with count_statements(engine) as statements:
        second.diff(last, relations=["tags", "author"])
    assert statements.count == 1
    with pytest.raises(InvalidArgument, match="'nothing', which is no relationship of Article"):
        first.diff(second, relations=["nothing"])


# -- shapes ------------------------------------------------------------------------------------


def build_shapes(Base):
    """Declare relationships of less usual shapes."""

    class House(Base):
        __tablename__ = "house"
        __versioned__ = {}
        street: Mapped[str] = mapped_column(String(50), primary_key=True)
        number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        rooms = relationship("Room", order_by="Room.id")
        key = relationship("Key", uselist=False, back_populates="house")

    class Room(Base):
        __tablename__ = "room"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        street: Mapped[str | None] = mapped_column(String(50))
        number: Mapped[int | None]
        house = relationship(House, overlaps="rooms")
        __table_args__ = (
            ForeignKeyConstraint(["street", "number"], ["house.street", "house.number"]),
        )

    class Key(Base):
        __tablename__ = "key"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        street: Mapped[str | None] = mapped_column(String(50))
        number: Mapped[int | None]
        house = relationship(House, back_populates="key")
        __table_args__ = (
            ForeignKeyConstraint(["street", "number"], ["house.street", "house.number"]),
        )

    friendship = Table(
        "friendship",
        Base.metadata,
        Column("one_id", ForeignKey("node.id"), primary_key=True),
        Column("other_id", ForeignKey("node.id"), primary_key=True),
    )

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str | None]
        up_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
        up = relationship("Node", remote_side=id, back_populates="down")
        down = relationship("Node", back_populates="up")
        friends = relationship(
            "Node",
            secondary=friendship,
            primaryjoin=id == friendship.c.one_id,
            secondaryjoin=id == friendship.c.other_id,
        )
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "node"}

    class Leaf(Node):
        __mapper_args__ = {"polymorphic_identity": "leaf"}

    class Plain(Base):
        __tablename__ = "plain"
        id: Mapped[int] = mapped_column(primary_key=True)
        node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))

    node = Node.__table__.c
    Node.leaves = relationship(
        Leaf, viewonly=True, primaryjoin=node.id == remote(foreign(node.up_id))
    )
    Node.named = relationship(
        Node,
        viewonly=True,
        primaryjoin=and_(node.id == remote(foreign(node.up_id)), remote(node.name) == "x"),
    )
    Node.namesakes = relationship(
        Node, viewonly=True, primaryjoin=remote(foreign(node.name)) == node.name
    )
    Node.owned = relationship(
        Node,
        viewonly=True,
        primaryjoin=and_(node.id == remote(foreign(node.up_id)), node.name == "x"),
    )
    Node.plain = relationship(Plain, viewonly=True)
    Node.lesser = relationship(
        Node, viewonly=True, primaryjoin=remote(foreign(node.up_id)) < node.id
    )
    return Models(Base, House, Room, Key, Node, Leaf, Plain)


class TestShapes:
    """Composite keys, one-to-one, self-reference, conditions."""

    @pytest.fixture
    def models(self, keep):
        """Relationships of less usual shapes."""
        return keep(build_shapes)

    def test_composite_keys(self, models, session):
        """Owners and members with keys of several columns are told by tuples."""
        house, other = models.House(street="A", number=1), models.House(street="A", number=2)
        room = models.Room(id=9, house=house)
        session.add_all([house, other, room])
        session.commit()
        room.house = other
        session.commit()
        house.number = 3
        session.commit()

        assert changes_of(session, models.House, "rooms") == [
            (("A", 1), [], [9]),
            (("A", 1), [9], []),
            (("A", 2), [], [9]),
        ]
        assert changes_of(session, models.Room, "house") == [
            (9, None, ("A", 1)),
            (9, ("A", 1), ("A", 2)),
        ]

    def test_one_to_one(self, models, session):
        """Of one member at most, the former and the new one are told."""
        house = models.House(street="A", number=1, key=models.Key(id=1))
        session.add(house)
        session.commit()
        house.key = models.Key(id=2)
        session.commit()
        house.key = None
        session.commit()

        place = ("A", 1)
        expected = [(place, None, 1), (place, 1, 2), (place, 2, None)]
        assert changes_of(session, models.House, "key") == expected

    def test_trees(self, models, session):
        """A class related to itself has two ends all the same."""
        top, low = models.Node(id=1), models.Leaf(id=2)
        session.add_all([top, low])
        session.commit()
        low.up = top
        top.friends = [low]
        session.commit()

        assert changes_of(session, models.Node, "down") == [(1, [], [2])]
        assert changes_of(session, models.Node, "up") == [(2, None, 1)]
        assert changes_of(session, models.Node, "friends") == [(1, [], [2])]

    def test_members_of_a_subclass(self, models, session):
        """Only members of the class that a relationship leads to are told."""
        top = models.Node(id=1)
        session.add_all([top, models.Node(id=2, up=top), models.Leaf(id=3, up=top)])
        session.commit()

        assert changes_of(session, models.Node, "leaves") == [(1, [], [3])]

    def test_owners_of_a_subclass(self, models, session):
        """Asked of a subclass, the members of other objects are not told."""
        node, leaf = models.Node(id=1), models.Leaf(id=2)
        session.add_all([node, leaf, models.Node(id=3, up=node), models.Node(id=4, up=leaf)])
        session.commit()

        assert changes_of(session, models.Leaf, "down") == [(2, [], [4])]

    def test_conditions(self, models, session):
        """A member that meets the condition of a relationship no more is lost."""
        top, low = models.Node(id=1), models.Node(id=2, name=None)
        low.up = top
        session.add_all([top, low])
        session.commit()
        for low.name in ("x", "y", None, "x"):
            session.commit()
        low.up = None
        session.commit()

        assert changes_of(session, models.Node, "named") == [
            (1, [], [2]),
            (1, [2], []),
            (1, [], [2]),
            (1, [2], []),
        ]

    @pytest.mark.parametrize(
        ("relation", "why"),
        [
            ("namesakes", "is not the primary key of Node"),
            ("plain", "it is recorded in Plain, which is not versioned"),
            ("lesser", "it does not join the whole primary key"),
            ("owned", "its condition needs node.name"),
        ],
    )
    def test_what_history_does_not_tell(self, models, session, relation, why):
        """What cannot be told is refused, with the reason."""
        with pytest.raises(RelationshipNotVersioned, match=f"Node.{relation} cannot be .*{why}"):
            get_changes(models.Node, session, relations=[relation])

    def test_wrong_names(self, models, session):
        """Names of relationships are checked, and those there are are listed."""
        with pytest.raises(InvalidArgument, match="those are: up, down, friends"):
            get_changes(models.Node, session, relations=["name"])
        with pytest.raises(InvalidArgumentType, match="relations has 1"):
            get_changes(models.Node, session, relations=[1])
