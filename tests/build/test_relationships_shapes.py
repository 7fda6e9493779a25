"""Relationships of every shape that SQLAlchemy knows, seen from versions."""

from functools import cache

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    and_,
    func,
    inspect,
    select,
)
from sqlalchemy.orm import (
    Mapped,
    aliased,
    column_property,
    foreign,
    joinedload,
    mapped_column,
    object_session,
    polymorphic_union,
    relationship,
    remote,
    selectinload,
    subqueryload,
)

from sqlalchemy_versioned import (
    ImproperlyConfigured,
    RelationshipNotVersioned,
    ReverterException,
    as_of,
    get_changes,
    version_class,
)
from tests.schemas.nodes import build_nodes

pytestmark = pytest.mark.strategies

LOADERS = (joinedload, selectinload, subqueryload)


def commit(session, *objects):
    """Add objects and commit."""
    session.add_all(objects)
    session.commit()


def loaded_in_every_way(version, key, value_of):
    """Return what a relationship gives, having checked that all loaders agree on it."""
    cls, session = type(version), object_session(version)
    expected = value_of(getattr(version, key))
    key_of = zip(inspect(cls).primary_key, inspect(version).identity, strict=True)
    criteria = [column == value for column, value in key_of]
    for loader in LOADERS:
        session.expire_all()
        statement = select(cls).where(*criteria).options(loader(getattr(cls, key)))
        again = session.scalars(statement).unique().one()
        assert key in again.__dict__
        assert value_of(getattr(again, key)) == expected, loader
    other = aliased(inspect(cls).relationships[key].mapper.class_)
    to_other = getattr(cls, key).of_type(other)
    joined = session.scalars(select(other).select_from(cls).join(to_other).where(*criteria)).all()
    assert set(joined) == set(_as_list(getattr(version, key)))
    return expected


def _as_list(value):
    return value if isinstance(value, list) else [value] if value is not None else []


def names(objects):
    """Return the names of some objects, in their order."""
    return [each.name for each in objects]


def name(each):
    """Return the name of an object, if it is one."""
    return each and each.name


# -- self-referential ------------------------------------------------------------------------


class TestNodes:
    """A class that refers to itself."""

    @pytest.fixture
    def models(self, keep):
        """Nodes of a tree, and of a graph."""
        return keep(build_nodes)

    def test_tree(self, session, models):
        """Nodes have the children and the parent of their time."""
        Node = models.Node
        root = models.factories.Node(name="root", children=[Node(name="b"), Node(name="a")])
        session.commit()
        leaf = root.children[0]
        leaf.parent, root.name, leaf.name = root.children[1], "top", "leaf"
        session.commit()

        first, second = root.versions
        assert loaded_in_every_way(first, "children", names) == ["a", "b"]
        assert loaded_in_every_way(second, "children", names) == ["b"]
        first, second = leaf.versions
        assert loaded_in_every_way(first, "parent", name) == "root"
        assert loaded_in_every_way(second, "parent", name) == "b"
        assert loaded_in_every_way(second.parent, "parent", name) == "root"
        NodeVersion = version_class(Node)
        parent = aliased(NodeVersion)
        pairs = select(NodeVersion.name, parent.name).join(NodeVersion.parent.of_type(parent))
        assert sorted(map(tuple, session.execute(pairs))) == [
            ("a", "root"),
            ("b", "root"),
            ("leaf", "b"),
        ]
        named = select(NodeVersion.name).where(NodeVersion.children.any(NodeVersion.name == "leaf"))
        assert session.scalars(named).all() == []
        child = aliased(NodeVersion)
        named = select(NodeVersion.name).where(
            NodeVersion.children.of_type(child).any(child.name == "a")
        )
        assert session.scalars(named).all() == ["root"]

    def test_graph(self, session, models):
        """Both directions of a many-to-many relationship to itself are those of their time."""
        ann, bob, cid = (models.factories.Node(name=each) for each in ("ann", "bob", "cid"))
        ann.follows = [bob, cid, ann]
        session.commit()
        ann.name, ann.follows, cid.name = "Ann", [bob], "Cid"
        session.commit()

        assert loaded_in_every_way(ann.versions[0], "follows", names) == ["ann", "bob", "cid"]
        assert loaded_in_every_way(ann.versions[1], "follows", names) == ["bob"]
        assert loaded_in_every_way(ann.versions[0], "followers", names) == ["ann"]
        assert loaded_in_every_way(cid.versions[0], "followers", names) == ["ann"]
        assert loaded_in_every_way(cid.versions[1], "followers", names) == []
        assert loaded_in_every_way(bob.versions[0], "followers", names) == ["ann"]


# -- conditions ------------------------------------------------------------------------------


def test_composite_foreign_key(Base, open_session):
    """Keys of several columns, and columns under other names, are followed."""

    class Shelf(Base):
        __tablename__ = "shelf"
        __versioned__ = {}
        room: Mapped[int] = mapped_column("_room", primary_key=True)
        number: Mapped[int] = mapped_column("_number", primary_key=True)
        name: Mapped[str] = mapped_column("_name")
        books = relationship("Book", back_populates="shelf", order_by="Book.name")

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        __table_args__ = (ForeignKeyConstraint(["r", "n"], ["shelf._room", "shelf._number"]),)
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column("title")
        shelf_room: Mapped[int | None] = mapped_column("r")
        shelf_number: Mapped[int | None] = mapped_column("n")
        shelf = relationship(Shelf, back_populates="books")

    session = open_session(Base)
    one, two = Shelf(room=1, number=1, name="1.1"), Shelf(room=1, number=2, name="1.2")
    book = Book(name="a", shelf=one)
    commit(session, one, two, book)
    book.shelf, one.name = two, "first"
    session.commit()

    assert [loaded_in_every_way(v, "shelf", name) for v in book.versions] == ["1.1", "1.2"]
    assert [loaded_in_every_way(v, "books", names) for v in one.versions] == [["a"], []]


def test_composite_secondary(Base, open_session):
    """Association tables may refer to composite keys, in conditions written either way round."""
    link = Table(
        "part_car",
        Base.metadata,
        Column("part_a", Integer, primary_key=True),
        Column("part_b", Integer, primary_key=True),
        Column("car_id", ForeignKey("car.id"), primary_key=True),
        ForeignKeyConstraint(["part_a", "part_b"], ["part.a", "part.b"]),
    )

    class Car(Base):
        __tablename__ = "car"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        parts = relationship(
            "Part",
            secondary=link,
            primaryjoin=lambda: link.c.car_id == Car.id,
            secondaryjoin=lambda: and_(link.c.part_a == Part.a, link.c.part_b == Part.b),
            back_populates="cars",
            order_by="Part.b",
        )

    class Part(Base):
        __tablename__ = "part"
        __versioned__ = {}
        a: Mapped[int] = mapped_column(primary_key=True)
        b: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        cars = relationship(Car, secondary=link, back_populates="parts")

    session = open_session(Base)
    car = Car(id=1, name="car", parts=[Part(a=1, b=1, name="x"), Part(a=1, b=2, name="y")])
    commit(session, car)
    part = car.parts.pop()
    car.name, part.name = "van", "z"
    session.commit()

    assert [loaded_in_every_way(v, "parts", names) for v in car.versions] == [["x", "y"], ["x"]]
    assert [loaded_in_every_way(v, "cars", names) for v in part.versions] == [["car"], []]


@pytest.mark.strategies("validity", "subquery")
def test_columns_of_other_names(Base, open_session):
    """Links and keys are followed by column, whatever the attributes are called."""
    link = Table(
        "book_mark",
        Base.metadata,
        Column("_book", ForeignKey("book._id"), primary_key=True, key="book"),
        Column("_mark", ForeignKey("mark._id"), primary_key=True, key="mark"),
    )

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        id: Mapped[int] = mapped_column("_id", primary_key=True)
        name: Mapped[str] = mapped_column("_name")
        first_id: Mapped[int | None] = mapped_column("_first", ForeignKey("mark._id"))
        first = relationship("Mark", back_populates="begun")
        marks = relationship("Mark", secondary=link, back_populates="books", order_by="Mark.name")

    class Mark(Base):
        __tablename__ = "mark"
        __versioned__ = {}
        id: Mapped[int] = mapped_column("_id", primary_key=True)
        name: Mapped[str] = mapped_column("_name")
        begun = relationship(Book, back_populates="first")
        books = relationship(Book, secondary=link, back_populates="marks")

    session = open_session(Base)
    one, two = Mark(name="1"), Mark(name="2")
    book = Book(name="a", marks=[one, two], first=one)
    commit(session, book)
    book.name, book.marks, book.first, one.name = "b", [two], two, "one"
    session.commit()

    assert [loaded_in_every_way(v, "marks", names) for v in book.versions] == [["1", "2"], ["2"]]
    assert [loaded_in_every_way(v, "first", name) for v in book.versions] == ["1", "2"]
    assert [loaded_in_every_way(v, "books", names) for v in one.versions] == [["a"], []]
    assert [loaded_in_every_way(v, "begun", names) for v in one.versions] == [["a"], []]


def test_extra_conditions_are_asked_of_versions(Base, open_session):
    """What a custom condition says of either class is checked against its values of that time."""

    class Post(Base):
        __tablename__ = "post"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        language: Mapped[str]
        hot = relationship(
            "Note",
            primaryjoin="and_(Post.id == foreign(Note.post_id), Note.kind == 'hot',"
            " func.lower(Note.language) == func.lower(Post.language))",
            order_by="Note.id.desc()",
            viewonly=True,
        )

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind: Mapped[str]
        language: Mapped[str]
        post_id: Mapped[int | None] = mapped_column(ForeignKey("post.id"))

    session = open_session(Base)
    post = Post(id=1, name="p", language="en")
    notes = [
        Note(id=1, name="a", kind="hot", language="EN", post_id=1),
        Note(id=2, name="b", kind="hot", language="en", post_id=1),
        Note(id=3, name="c", kind="cold", language="de", post_id=1),
    ]
    commit(session, post)
    commit(session, *notes)
    post.name, notes[1].kind = "q", "cold"
    session.commit()
    post.language, notes[2].kind = "DE", "hot"
    session.commit()

    assert [loaded_in_every_way(v, "hot", names) for v in post.versions] == [[], ["a"], ["c"]]


def test_condition_without_foreign_key(Base, open_session):
    """A join on marked columns, the one side being no key, is followed."""

    class Town(Base):
        __tablename__ = "town"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        path: Mapped[str]
        below = relationship(
            "Town",
            primaryjoin=lambda: remote(foreign(Town.path)).like(Town.path.concat("/%")),
            viewonly=True,
            order_by="Town.path",
        )

    session = open_session(Base)
    top = Town(name="top", path="a")
    commit(session, top, Town(name="x", path="a/x"), Town(name="y", path="b/y"))
    top.path = "b"
    session.commit()

    assert [loaded_in_every_way(v, "below", names) for v in top.versions] == [["x"], ["y"]]


def test_one_to_one(Base, open_session):
    """A scalar relationship whose key is on the other side gives one version or none."""

    class Owner(Base):
        __tablename__ = "owner"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        badge = relationship("Badge", uselist=False, back_populates="owner")

    class Badge(Base):
        __tablename__ = "badge"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        owner_id: Mapped[int | None] = mapped_column(ForeignKey("owner.id"))
        owner = relationship(Owner, back_populates="badge")

    session = open_session(Base)
    owner = Owner(name="o", badge=Badge(name="1"))
    commit(session, owner)
    owner.name, owner.badge = "p", Badge(name="2")
    session.commit()
    owner.name, owner.badge = "q", None
    session.commit()

    found = [loaded_in_every_way(version, "badge", name) for version in owner.versions]
    assert found == ["1", "2", None]


# -- association tables ----------------------------------------------------------------------


def declare_linked(Base, link, **arguments):
    """Declare two classes that *link* links, and return them."""

    class Left(Base):
        __tablename__ = "l"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rights = relationship("Right", secondary=link, **arguments)

    class Right(Base):
        __tablename__ = "r"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    return Left, Right


def build_link(Base, *columns, is_key=True):
    """Return an association table of ``l`` and ``r``."""
    return Table(
        "l_r",
        Base.metadata,
        *columns,
        Column("l_id", ForeignKey("l.id"), primary_key=is_key),
        Column("r_id", ForeignKey("r.id"), primary_key=is_key),
    )


@pytest.mark.parametrize("kind", ["key", "no key", "surrogate key"])
def test_links_are_cut_and_made_again(Base, open_session, kind):
    """A link that was cut, and made again later, is seen when it was there."""
    surrogate = [Column("id", Integer, primary_key=True)] if kind == "surrogate key" else []
    link = build_link(Base, *surrogate, is_key=kind == "key")
    Left, Right = declare_linked(Base, link, order_by="Right.id")
    session = open_session(Base)
    left, a, b = Left(name="1"), Right(name="a"), Right(name="b")
    left.rights = [a, b]
    commit(session, left)
    for number, rights in enumerate(([a], [], [a, b]), start=2):
        left.name, left.rights = str(number), rights
        session.commit()

    found = [loaded_in_every_way(version, "rights", names) for version in left.versions]
    assert found == [["a", "b"], ["a"], [], ["a", "b"]]


def test_link_that_comes_back_in_another_row(Base, open_session):
    """A link that is cut and made again in one transaction is gone when it is cut later."""
    link = build_link(Base, Column("id", Integer, primary_key=True), is_key=False)
    Left, Right = declare_linked(Base, link)
    session = open_session(Base)
    a, b = Right(name="a"), Right(name="b")
    left = Left(name="1", rights=[a, b])
    commit(session, left)
    left.rights = [b]
    session.flush()
    left.rights = [a, b]
    session.commit()
    left.name, left.rights = "2", [b]
    session.commit()

    *_, last = left.versions
    assert names(last.rights) == ["b"]
    with as_of(session, last.transaction) as past:
        assert names(past.get(Left, left.id).rights) == ["b"]


def test_order_by_association_column(Base, open_session):
    """Members come in the order that the links had."""
    link = build_link(Base, Column("place", Integer, default=0))
    Left, Right = declare_linked(Base, link, order_by=link.c.place.desc())
    session = open_session(Base)
    left = Left(id=1, name="l")
    commit(session, left, *[Right(id=n, name=str(n)) for n in (1, 2, 3)])
    left.name = "m"
    for place, right in enumerate([2, 3, 1]):
        session.execute(link.insert().values(l_id=1, r_id=right, place=place))
    session.commit()
    session.refresh(left)

    assert names(left.rights) == ["1", "3", "2"]


def test_scalar_many_to_many(Base, open_session):
    """A many-to-many relationship may have one member."""
    Left, Right = declare_linked(Base, build_link(Base), uselist=False)
    session = open_session(Base)
    left = Left(name="l", rights=Right(name="a"))
    commit(session, left)
    left.name, left.rights = "m", None
    session.commit()

    found = [loaded_in_every_way(version, "rights", name) for version in left.versions]
    assert found == ["a", None]


def test_condition_on_association_column(Base, open_session):
    """Extra conditions on both joins hold for links and members of their time."""
    link = build_link(Base, Column("kind", String(20), default="x"))
    Left, Right = declare_linked(
        Base,
        link,
        primaryjoin="and_(Left.id == l_r.c.l_id, l_r.c.kind == 'x', Left.name != 'off')",
        secondaryjoin="and_(Right.id == l_r.c.r_id, Right.name != 'off')",
        order_by="Right.id",
    )
    session = open_session(Base)
    left = Left(name="l", rights=[Right(name="a"), Right(name="b")])
    commit(session, left)
    left.name, left.rights[0].name = "m", "off"
    session.commit()
    left.name = "off"
    session.commit()

    found = [loaded_in_every_way(version, "rights", names) for version in left.versions]
    assert found == [["a", "b"], ["b"], []]


def test_links_to_unversioned_class(Base, open_session):
    """Links are those of their time also where what they lead to has no history."""
    link = build_link(Base)

    class Left(Base):
        __tablename__ = "l"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rights = relationship("Right", secondary=link, order_by="Right.id")

    class Right(Base):
        __tablename__ = "r"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    session = open_session(Base)
    left = Left(name="1", rights=[Right(name="a"), Right(name="b")])
    commit(session, left)
    left.name, right = "2", left.rights.pop()
    right.name = "c"
    session.commit()

    left.name, kept = "3", left.rights[0]
    left.rights.append(Right(name="d"))
    session.commit()

    found = [loaded_in_every_way(version, "rights", names) for version in left.versions]
    assert found == [["a", "c"], ["a"], ["a", "d"]]
    assert left.versions[0].rights[1] is right
    left.rights.remove(kept)
    session.delete(kept)
    session.commit()
    found = [loaded_in_every_way(version, "rights", names) for version in left.versions]
    assert found == [["c"], [], ["d"]]


def test_view_only_links_of_an_association_class(Base, open_session):
    """A shortcut past a versioned association object follows the object's history."""

    class Left(Base):
        __tablename__ = "l"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rights = relationship("Right", secondary="l_r", viewonly=True, order_by="Link.place")

    class Right(Base):
        __tablename__ = "r"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Link(Base):
        __tablename__ = "l_r"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        l_id: Mapped[int] = mapped_column(ForeignKey("l.id"))
        r_id: Mapped[int] = mapped_column(ForeignKey("r.id"))
        place: Mapped[int]

    session = open_session(Base)
    left = Left(id=1, name="1")
    commit(session, left, *[Right(id=n, name=str(n)) for n in (1, 2, 3)])
    links = [Link(l_id=1, r_id=1, place=2), Link(l_id=1, r_id=2, place=1)]
    left.name = "2"
    commit(session, *links)
    # The first link is moved to another member, the second deleted.
    left.name, links[0].r_id = "3", 3
    session.delete(links[1])
    session.commit()

    found = [loaded_in_every_way(version, "rights", names) for version in left.versions]
    assert found == [[], ["2", "1"], ["3"]]


def test_view_only_links_without_history(Base, open_session):
    """A view-only relationship by an unversioned association table has the links of today."""
    link = build_link(Base)
    Left, Right = declare_linked(Base, link, viewonly=True, order_by="Right.id")
    session = open_session(Base)
    left = Left(id=1, name="l")
    commit(session, left, Right(id=1, name="a"))
    session.execute(link.insert().values(l_id=1, r_id=1))
    session.commit()

    assert loaded_in_every_way(left.versions[0], "rights", names) == ["a"]
    session.execute(link.delete())
    session.commit()
    assert loaded_in_every_way(left.versions[0], "rights", names) == []
    assert link.fullname + "_version" not in Base.metadata.tables


# -- what cannot be followed -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["subquery", "alias", "other table", "excluded"])
def test_what_cannot_be_followed_says_so(Base, open_session, kind):
    """A relationship that cannot be said of versions raises when it is read, naming itself."""

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {"exclude": ["post_id"]} if kind == "excluded" else {}
        id: Mapped[int] = mapped_column(primary_key=True)
        post_id: Mapped[int | None] = mapped_column(ForeignKey("post.id"))

    other = Table("other", Base.metadata, Column("id", Integer, primary_key=True))
    newest = select(func.max(other.c.id)).scalar_subquery()
    alias = cache(lambda: aliased(Note, select(Note).where(Note.id > 0).subquery()))
    arguments = {
        "subquery": lambda: and_(Post.id == foreign(Note.post_id), Note.id == newest),
        "alias": lambda: Post.id == foreign(alias().post_id),
        "other table": lambda: and_(Post.id == foreign(Note.post_id), Note.id == other.c.id),
        "excluded": lambda: Post.id == foreign(Note.post_id),
    }

    class Post(Base):
        __tablename__ = "post"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        notes = relationship(
            lambda: alias() if kind == "alias" else Note,
            primaryjoin=arguments[kind],
            viewonly=True,
        )

    session = open_session(Base)
    post = Post(name="p")
    commit(session, post)

    with pytest.raises(RelationshipNotVersioned, match=r"Post\.notes cannot be followed"):
        post.versions[0].notes  # noqa: B018
    with pytest.raises(AttributeError, match=r"from PostVersion: it"):
        version_class(Post).notes  # noqa: B018
    assert "notes" not in inspect(version_class(Post)).relationships


def test_excluded_relationships_are_no_attributes(Base, open_session):
    """Excluding a relationship leaves nothing of it, also if it has an association table."""
    link = build_link(Base)

    class Left(Base):
        __tablename__ = "l"
        __versioned__ = {"exclude": ["rights", "only"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        rights = relationship("Right", secondary=link, back_populates="lefts")
        only = relationship("Right", secondary=link, viewonly=True)

    class Right(Base):
        __tablename__ = "r"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        lefts = relationship(Left, secondary=link, back_populates="rights")

    session = open_session(Base)
    right = Right(lefts=[Left(), Left()])
    commit(session, right)

    assert not hasattr(version_class(Left), "rights")
    assert not hasattr(version_class(Left), "only")
    assert len(right.versions[0].lefts) == 2


# -- inheritance -----------------------------------------------------------------------------


def declare_joined(Base):
    """Declare items of two kinds under joined inheritance, and boxes of them."""

    class Box(Base):
        __tablename__ = "box"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        items = relationship("Item", back_populates="box", order_by="Item.id")
        tools = relationship("Tool", viewonly=True, primaryjoin="Box.id == Item.box_id")

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind: Mapped[str]
        box_id: Mapped[int | None] = mapped_column(ForeignKey("box.id"))
        box = relationship(Box, back_populates="items")

    class Tool(Item):
        __tablename__ = "tool"
        __mapper_args__ = {"polymorphic_identity": "tool"}
        tool_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
        maker_id: Mapped[int | None] = mapped_column(ForeignKey("box.id"))
        maker = relationship(Box, foreign_keys=[maker_id])
        parts = relationship(
            "Item",
            primaryjoin=lambda: Tool.tool_id == foreign(remote(Item.box_id)),
            viewonly=True,
        )

    return Box, Item, Tool


def test_joined_inheritance(Base, open_session):
    """Keys on the table of a superclass, or of a subclass of another name, are followed."""
    Box, Item, Tool = declare_joined(Base)
    session = open_session(Base)
    box = Box(name="1")
    tool = Tool(id=2, name="saw", box=box, maker=box)
    commit(session, box, Item(id=1, name="nail", box=box), tool)
    box.name, tool.name = "2", "axe"
    session.commit()
    box.name, tool.box, tool.maker = "3", None, None
    session.commit()

    found = [loaded_in_every_way(v, "items", names) for v in box.versions]
    assert found == [["nail", "saw"], ["nail", "axe"], ["nail"]]
    found = [loaded_in_every_way(v, "tools", names) for v in box.versions]
    assert found == [["saw"], ["axe"], []]
    assert [loaded_in_every_way(v, "box", name) for v in tool.versions] == ["1", "2", None]
    assert [loaded_in_every_way(v, "maker", name) for v in tool.versions] == ["1", "2", None]
    assert type(box.versions[0].items[1]) is version_class(Tool)


def test_of_type_narrows_to_a_subclass(Base, open_session):
    """Joins, criteria and loaders can ask for members of one subclass."""
    Box, Item, Tool = declare_joined(Base)
    session = open_session(Base)
    box, tool = Box(name="1"), Tool(name="saw")
    box.items = [Item(name="nail"), tool]
    commit(session, box)
    box.name, tool.box = "2", None
    session.commit()
    BoxVersion, ToolVersion = version_class(Box), version_class(Tool)
    to_tools = BoxVersion.items.of_type(ToolVersion)

    pairs = session.execute(select(BoxVersion.name, ToolVersion.name).join(to_tools))
    assert [tuple(pair) for pair in pairs] == [("1", "saw")]
    assert session.scalars(select(BoxVersion.name).where(to_tools.any())).all() == ["1"]
    for loader in LOADERS:
        session.expire_all()
        statement = select(BoxVersion).options(loader(to_tools)).order_by(BoxVersion.name)
        first, second = session.scalars(statement).unique().all()
        assert "saw" in names(first.__dict__["items"])
        assert "saw" not in names(second.__dict__["items"])


def test_single_table_inheritance(Base, open_session):
    """Relationships of and to subclasses without a table of their own are followed."""

    class Pet(Base):
        __tablename__ = "pet"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind: Mapped[str]

    class Dog(Pet):
        __mapper_args__ = {"polymorphic_identity": "dog"}
        friend_id: Mapped[int | None] = mapped_column(ForeignKey("pet.id"))
        friend = relationship("Dog", remote_side=lambda: Pet.id, foreign_keys=[friend_id])

    session = open_session(Base)
    dog = Dog(name="rex", friend=Dog(name="max"))
    commit(session, dog, Pet(name="tom"))
    dog.friend.name, dog.name = "min", "Rex"
    session.commit()
    dog.friend = None
    session.commit()

    found = [loaded_in_every_way(version, "friend", name) for version in dog.versions]
    assert found == ["max", "min", None]
    assert not hasattr(version_class(Pet), "friend")


# Triggers could not tell its rows from others, and are refused.
@pytest.mark.options(native=False)
def test_subclass_without_history(Base, open_session):
    """Members of a subclass that is not versioned are live, though its superclass has history."""

    class Pet(Base):
        __tablename__ = "pet"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind: Mapped[str]
        owner_id: Mapped[int | None] = mapped_column(ForeignKey("pet.id"))
        dogs = relationship("Dog", remote_side=owner_id, viewonly=True)

    class Dog(Pet):
        __versioned__ = {"versioning": False}
        __mapper_args__ = {"polymorphic_identity": "dog"}

    session = open_session(Base)
    pet, other, dog = Pet(id=1, name="1"), Pet(id=2, name="2"), Dog(id=3, name="rex", owner_id=1)
    commit(session, pet, other)
    commit(session, dog)

    assert loaded_in_every_way(pet.versions[0], "dogs", list) == [dog]
    assert loaded_in_every_way(other.versions[0], "dogs", list) == []


def test_concrete_inheritance(Base, open_session):
    """Each concrete class has versions, the live object, the transaction and its relationships."""

    class Kind(Base):
        __tablename__ = "kind"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind_id: Mapped[int | None] = mapped_column(ForeignKey("kind.id"))
        kind = relationship(Kind)

    class Blog(Page):
        __tablename__ = "blog"
        __mapper_args__ = {"concrete": True}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        kind_id: Mapped[int | None] = mapped_column(ForeignKey("kind.id"))
        kind = relationship(Kind)

    session = open_session(Base)
    kind = Kind(name="k")
    page, blog = Page(id=1, name="page", kind=kind), Blog(id=1, name="blog", kind=kind)
    commit(session, page, blog)

    for live in (page, blog):
        (version,) = live.versions
        assert version.version_parent is live
        assert version.transaction.id == version.transaction_id
        assert loaded_in_every_way(version, "kind", name) == "k"
        cls = type(live)
        joined = select(version_class(cls).name).select_from(cls).join(cls.versions)
        assert session.scalars(joined).all() == [live.name]


def test_union_of_concrete_classes(Base, open_session):
    """Who is related to whom in several tables is not told in part; nor is it reverted so."""
    tables = {
        name: Table(
            name,
            Base.metadata,
            Column("id", Integer, primary_key=True),
            Column("blog_id", ForeignKey("blog.id")),
        )
        for name in ("page", "note")
    }
    union = polymorphic_union(tables, "type", "pages")

    class Blog(Base):
        __tablename__ = "blog"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        pages = relationship("Page", back_populates="blog")

    class Page(Base):
        __table__ = tables["page"]
        __versioned__ = {}
        __mapper_args__ = {
            "polymorphic_identity": "page",
            "polymorphic_on": union.c.type,
            "with_polymorphic": ("*", union),
        }
        blog = relationship(Blog, back_populates="pages")

    class Note(Page):
        __table__ = tables["note"]
        __mapper_args__ = {"concrete": True, "polymorphic_identity": "note"}
        blog = relationship(Blog, back_populates="pages")

    session = open_session(Base)
    blog = Blog(pages=[Page(), Note()])
    commit(session, blog)

    (version,) = blog.versions
    with pytest.raises(RelationshipNotVersioned, match=r"Page is a union of concrete classes"):
        _ = version.pages
    with pytest.raises(ReverterException, match=r"leads to Page, a union of concrete classes"):
        version.revert(relations=["pages"])
    with pytest.raises(RelationshipNotVersioned, match=r"Page is a union of concrete classes"):
        get_changes(Blog, session, relations=["pages"])
    assert [page.versions[0].blog for page in blog.pages] == [version, version]


def test_excluded_above_and_wanted_below(Base, open_session):
    """A subclass that does not exclude a relationship has it, though its superclass has not."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {"exclude": ["items"]}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]
        item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))
        items = relationship("Item")

    class Tool(Item):
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_identity": "tool"}

    session = open_session(Base)
    tool = Tool(name="t", items=[Item(name="i")])
    commit(session, tool)

    assert not hasattr(version_class(Item), "items")
    assert loaded_in_every_way(tool.versions[0], "items", names) == ["i"]


# -- names -----------------------------------------------------------------------------------


@pytest.mark.options(table_name="%s_log", operation_type_column_name="op")
def test_custom_names(Base, open_session):
    """Relationships do not depend on what tables and bookkeeping columns are called."""
    link = build_link(Base)

    class Left(Base):
        __tablename__ = "l"
        __versioned__ = {"transaction_column_name": "since", "end_transaction_column_name": "til"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rights = relationship("Right", secondary=link, back_populates="lefts", order_by="Right.id")
        nexts = relationship("Right", order_by="Right.id", foreign_keys="Right.l_id")

    class Right(Base):
        __tablename__ = "r"
        __versioned__ = {"table_name": "old_%s", "operation_type_column_name": "what"}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        l_id: Mapped[int | None] = mapped_column(ForeignKey("l.id"))
        lefts = relationship(Left, secondary=link, back_populates="rights")
        left = relationship(Left, foreign_keys=[l_id], overlaps="nexts")

    session = open_session(Base)
    right = Right(name="a")
    left = Left(name="1", rights=[right], nexts=[right])
    commit(session, left)
    left.name, left.rights, left.nexts, right.name = "2", [], [], "b"
    session.commit()

    assert [loaded_in_every_way(v, "rights", names) for v in left.versions] == [["a"], []]
    assert [loaded_in_every_way(v, "nexts", names) for v in left.versions] == [["a"], []]
    assert [loaded_in_every_way(v, "left", name) for v in right.versions] == ["1", None]
    assert [loaded_in_every_way(v, "lefts", names) for v in right.versions] == [["1"], []]


def test_names_of_the_version_api_are_the_models(Base, open_session):
    """A relationship named like a member of every version gives the model's data."""

    class Chapter(Base):
        __tablename__ = "chapter"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        next_id: Mapped[int | None] = mapped_column(ForeignKey("chapter.id"))
        next = relationship("Chapter", remote_side=[id], back_populates="previous")
        previous = relationship("Chapter", back_populates="next", uselist=False)
        transaction = relationship("Chapter", viewonly=True)

    session = open_session(Base)
    first = Chapter(name="1", next=Chapter(name="2"))
    commit(session, first)
    first.next.name, first.name = "two", "one"
    session.commit()
    old, new = first.versions

    assert (old.next.name, new.next.name) == ("2", "two")
    assert old.next.previous is old
    assert names(new.transaction) == []
    assert new.version_api.previous is old
    assert new.version_api.transaction.id == new.transaction_id


def test_transaction_relationship_of_a_subclass(Base, open_session):
    """A subclass may use the name ``transaction``; its superclass then has no link of that name."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str]

    class Payment(Item):
        __mapper_args__ = {"polymorphic_identity": "payment"}
        item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))
        transaction = relationship("Item", remote_side=lambda: Item.id)

    session = open_session(Base)
    payment = Payment(name="p", transaction=Item(name="i"))
    commit(session, payment)
    version = payment.versions[0]

    assert loaded_in_every_way(version, "transaction", name) == "i"
    assert version.version_api.transaction.id == version.transaction_id


def test_name_of_a_bookkeeping_column_is_refused(Base, open_session):
    """A relationship that hides a bookkeeping column is refused with the way out."""

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        other_id: Mapped[int | None] = mapped_column(ForeignKey("thing.id"))
        operation_type = relationship("Thing", remote_side=[id])

    with pytest.raises(ImproperlyConfigured, match="'operation_type_column_name'"):
        open_session(Base)


def test_order_by_what_is_not_kept(Base, open_session):
    """An order that needs what history has not is left out; the members are right."""

    class Box(Base):
        __tablename__ = "box"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        items = relationship("Item", order_by="(Item.rank, Item.count, Item.id.desc())")

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {"exclude": ["rank"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        rank: Mapped[int] = mapped_column(default=0)
        box_id: Mapped[int] = mapped_column(ForeignKey("box.id"))
        count = column_property(select(func.count(Box.id)).scalar_subquery())

    session = open_session(Base)
    box = Box(name="b", items=[Item(id=n, name=str(n)) for n in (1, 2, 3)])
    commit(session, box)

    assert loaded_in_every_way(box.versions[0], "items", names) == ["3", "2", "1"]
