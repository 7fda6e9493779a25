"""What a revert deletes because it came later, and what refers to that."""

import pytest
from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlalchemy_versioned import ReverterException, revert_plan
from tests.models import Models

pytestmark = pytest.mark.strategies()


def build_shelves(Base, back, ondelete, **options):
    """Declare shelves of boxes of items.

    :param back: whether an item knows its box by a relationship.
    :param ondelete: what the database does with the items of a box that is deleted.
    :param options: arguments of the relationship from a box to its items.
    """

    class Shelf(Base):
        __tablename__ = "shelf"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        best_id = mapped_column(ForeignKey("box.id", name="shelf_best", use_alter=True))
        name: Mapped[str | None]
        boxes: Mapped[list["Box"]] = relationship(
            order_by="Box.id", foreign_keys="Box.shelf_id", back_populates="shelf"
        )

    class Box(Base):
        __tablename__ = "box"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id = mapped_column(ForeignKey("shelf.id"))
        shelf: Mapped[Shelf] = relationship(foreign_keys=[shelf_id], back_populates="boxes")
        label: Mapped[str | None] = mapped_column(unique=True)
        items: Mapped[list["Item"]] = relationship(
            order_by="Item.id", **({"back_populates": "box"} if back else {}), **options
        )

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        box_id = mapped_column(ForeignKey("box.id", ondelete=ondelete))
        next_id = mapped_column(ForeignKey("item.id"))
        if back:
            box: Mapped[Box] = relationship(back_populates="items")

    return Models(Base, Shelf, Box, Item)


KINDS = {
    "cascade": (True, None, {"cascade": "all, delete-orphan"}),
    "cascade one way": (False, None, {"cascade": "all, delete-orphan"}),
    "cascade never loaded": (True, None, {"cascade": "all, delete-orphan", "lazy": "dynamic"}),
    "cascade of the database": (True, "CASCADE", {"cascade": "all", "passive_deletes": True}),
    "none": (False, None, {}),
}


@pytest.mark.filterwarnings("ignore:The ``noload``")
def test_children_that_no_session_sees(Base, open_session):
    """What refers to an object, and its deletion does not see to, is not left behind."""
    models = build_shelves(Base, False, None, cascade="all", lazy="noload")
    session = open_session(models)
    shelf = models.Shelf()
    session.add(shelf)
    session.commit()
    shelf.boxes.append(models.Box(items=[models.Item()]))
    session.commit()

    with pytest.raises(ReverterException, match="row 1 of 'item' refers to it by box_id"):
        shelf.versions[0].revert(relations=["boxes"])


@pytest.mark.strategies("validity", "subquery")
@pytest.mark.parametrize("kind", KINDS)
def test_children_of_what_goes(Base, open_session, kind):
    """What moved into something that came later moves back, and is not deleted with it."""
    back, ondelete, options = KINDS[kind]
    models = build_shelves(Base, back, ondelete, **options)
    session = open_session(models)
    item, first = models.Item(), models.Box()
    shelf = models.Shelf(boxes=[first])
    session.add_all([shelf, item])
    session.flush()
    item.box_id = first.id
    session.commit()
    later = models.Box(shelf=shelf)
    session.add(later)
    session.flush()
    item.box_id = later.id
    session.commit()
    session.expire_all()

    shelf.versions[0].revert(relations=["boxes.items"])
    session.commit()

    assert [box.id for box in shelf.boxes] == [first.id]
    assert session.get(models.Item, item.id).box_id == first.id
    assert item.versions.count() == 3


def test_children_that_are_their_own_parents(Base, open_session):
    """What a deletion would cascade to for ever is looked at once."""

    class Node(Base):
        __tablename__ = "node"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        above_id = mapped_column(ForeignKey("node.id"))
        below: Mapped[list["Node"]] = relationship(cascade="all", post_update=True)

    session, node = open_session(Base), Node(id=1)
    session.add(node)
    session.commit()
    session.delete(node)
    session.commit()
    node = Node(id=1, above_id=1)
    session.add(node)
    session.commit()

    assert node.versions[1].revert() is None
    session.commit()

    assert session.query(Node).count() == 0


def test_links_to_what_goes(Base, open_session):
    """What is linked to by what goes as well goes, and what others link to is refused."""
    link = Table(
        "sequel",
        Base.metadata,
        Column("book_id", ForeignKey("book.id"), primary_key=True),
        Column("sequel_id", ForeignKey("book.id"), primary_key=True),
    )

    class Author(Base):
        __tablename__ = "author"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship()

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id = mapped_column(ForeignKey("author.id"))
        sequels: Mapped[list["Book"]] = relationship(
            secondary=link,
            primaryjoin=id == link.c.book_id,
            secondaryjoin=id == link.c.sequel_id,
        )

    session, author, last = open_session(Base), Author(), Book()
    session.add(author)
    session.commit()
    author.books = [Book(sequels=[last]), last]
    other = Book(sequels=[last])
    session.add(other)
    session.commit()

    with pytest.raises(ReverterException, match=r"'sequel' refers to it by sequel_id"):
        author.versions[0].revert(["books"])
    other.sequels = []
    author.versions[0].revert(["books"])
    session.commit()

    assert (author.books, session.query(Book).all()) == ([], [other])


class TestForeignKeysAlone:
    """Foreign keys that the ORM knows nothing of, to what came later."""

    @pytest.fixture
    def models(self, keep):
        """Shelves with a best box; items that are followed by others."""
        return keep(build_shelves, True, None)

    @pytest.fixture
    def shelf(self, session, models):
        """An empty shelf, committed."""
        shelf = models.factories.Shelf(name="First")
        session.commit()
        return shelf

    def add_box(self, session, shelf, models):
        """Put a box with three items onto the shelf."""
        box = models.Box(items=[models.Item() for _ in range(3)])
        shelf.boxes.append(box)
        session.flush()
        return box, box.items

    def test_the_plan_lets_go(self, session, models, shelf):
        """An object of the plan lets go before what it refers to is deleted."""
        box, _ = self.add_box(session, shelf, models)
        shelf.best_id = box.id
        session.commit()

        plan = revert_plan(shelf.versions[0], relations=["boxes.items"])
        assert str(plan).splitlines()[0] == f"first vacate Shelf {shelf.id}: best_id = None"
        shelf.versions[0].revert(relations=["boxes.items"])
        session.commit()

        assert (shelf.best_id, shelf.boxes) == (None, [])
        assert shelf.versions.count() == 3

    def test_others_do_not(self, session, models, shelf):
        """What the plan knows nothing of is not left referring to nothing."""
        box, _ = self.add_box(session, shelf, models)
        other = models.factories.Shelf(best_id=box.id)
        session.commit()

        message = (
            rf"Box {box.id} was not there.*row {other.id} of 'shelf' refers.*best_id = {box.id}"
        )
        with pytest.raises(ReverterException, match=message):
            shelf.versions[0].revert(relations=["boxes"])
        assert (list(session.dirty), list(session.deleted)) == ([], [])

        version, other.best_id = shelf.versions[0], None
        with session.no_autoflush:
            version.revert(relations=["boxes"])
        session.commit()
        assert shelf.boxes == []

    @pytest.mark.parametrize("order", [(1, 2, None), (None, 0, 1), (1, 2, 0), (0, 1, 1)])
    def test_what_goes_together(self, session, models, shelf, order):
        """Objects that refer to each other, in a row or in a circle, are deleted in time."""
        box = models.Box()
        shelf.boxes, shelf.name = [box], "Second"
        session.commit()
        box.items = [models.Item() for _ in order]
        session.flush()
        for item, place in zip(box.items, order, strict=True):
            item.next_id = None if place is None else box.items[place].id
        session.commit()

        shelf.versions[1].revert(relations=["boxes.items"])
        session.commit()

        assert box.items == []
        assert session.query(models.Item).count() == 0
