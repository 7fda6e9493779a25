"""Reverting every kind of relationship and collection."""

from functools import partial

import pytest
from sqlalchemy import Column, ForeignKey, Table, and_
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.orderinglist import ordering_list
from sqlalchemy.orm import Mapped, attribute_keyed_dict, foreign, mapped_column, relationship

from sqlalchemy_versioned import ReverterException
from tests.models import Models
from tests.schemas.nodes import build_nodes

pytestmark = pytest.mark.strategies()


def build_shelf(Base, *, nullable=True, unique=False, **relationships):
    """Declare a shelf of books, and what *relationships* there are to be of the shelf."""

    class Shelf(Base):
        __tablename__ = "shelf"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Book(Base):
        __tablename__ = "book"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        place: Mapped[int | None]
        shelf_id: Mapped[int | None] = mapped_column(
            ForeignKey("shelf.id"), nullable=nullable, unique=unique
        )

    Table(
        "shelf_book",
        Base.metadata,
        Column("shelf_id", ForeignKey("shelf.id"), primary_key=True),
        Column("book_id", ForeignKey("book.id"), primary_key=True),
    )
    for key, value in relationships.items():
        setattr(Shelf, key, value)
    return Models(Base, Shelf, Book)


@pytest.fixture
def shelf(Base):
    """Declare a shelf of books: ``shelf(books=relationship(...))`` gives the models."""
    return partial(build_shelf, Base)


def titles(books):
    """Return the titles of *books*, in their order."""
    return [book.title for book in books]


COLLECTIONS = {
    "list": {},
    "set": {"collection_class": set},
    "dict": {"collection_class": attribute_keyed_dict("title")},
    "ordering": {"collection_class": ordering_list("place"), "order_by": "Book.place"},
    "dynamic": {"lazy": "dynamic"},
    "write_only": {"lazy": "write_only", "passive_deletes": True},
}


OWNERSHIPS = {
    "one-to-many": {},
    "orphans": {"cascade": "all, delete-orphan"},
    "many-to-many": {"secondary": "shelf_book"},
}


def build_collection(Base, kind, ownership):
    """Declare a shelf with a kind of collection as ``books``."""
    books = relationship("Book", **COLLECTIONS[kind], **OWNERSHIPS[ownership])
    return build_shelf(Base, books=books)


@pytest.mark.shared_out
class TestCollections:
    """Every collection class, of one-to-many and many-to-many."""

    @pytest.fixture(params=COLLECTIONS)
    def kind(self, request):
        """The name of a kind of collection."""
        return request.param

    @pytest.fixture(params=OWNERSHIPS)
    def models(self, request, keep, kind):
        """The models, with the kind of collection as ``books``."""
        return keep(build_collection, kind, request.param)

    @pytest.fixture
    def books_of(self, session, models):
        """Return what a shelf has, read anew and sorted."""

        def read(one):
            if hasattr(one.books, "select"):
                return sorted(titles(session.scalars(one.books.select())))
            books = one.books.values() if isinstance(one.books, dict) else one.books
            return sorted(titles(books))

        return read

    def add(self, models, one, title, place=None):
        """Add a book."""
        book = models.Book(title=title, place=place)
        if isinstance(one.books, dict):
            one.books[title] = book
        elif isinstance(one.books, list):
            one.books.append(book)
        else:
            one.books.add(book)
        return book

    def take(self, one, book):
        """Take a book away."""
        if isinstance(one.books, dict):
            one.books.pop(book.title)
        else:
            one.books.remove(book)

    def test_collections_are_put_back(self, session, models, books_of):
        """What was in a collection is in it again, and what came later is not."""
        one = models.factories.Shelf()
        kept, gone = self.add(models, one, "a"), self.add(models, one, "b")
        session.commit()
        self.take(one, gone)
        self.add(models, one, "c")
        kept.place = 9
        session.commit()

        one.versions[0].revert(relations=["books"])
        assert books_of(one) == ["a", "b"]
        session.commit()
        assert books_of(one) == ["a", "b"]

        one.name = "next"
        session.commit()
        one.versions[-1].revert(relations=["books"])
        session.commit()
        assert books_of(one) == ["a", "b"]

    @pytest.mark.shared_out
    def test_collections_of_restored_objects(self, session, models, books_of):
        """A restored object has its collection."""
        one = models.factories.Shelf()
        books = [self.add(models, one, title) for title in "ab"]
        session.commit()
        version = one.versions[0]
        for book in books:
            self.take(one, book)
            session.flush()
            if book in session:
                session.delete(book)
        session.delete(one)
        session.commit()

        restored = version.revert(relations=["books"])
        session.commit()

        assert books_of(restored) == ["a", "b"]


def test_relationships_that_refuse_to_load(open_session, shelf):
    """What an application is not to load by accident is put back, the other side included."""
    models = shelf(books=relationship("Book", lazy="raise", back_populates="shelf"))
    models.Book.shelf = relationship("Shelf", lazy="raise", back_populates="books")
    session = open_session(models)
    one, book = models.Shelf(), models.Book(title="a")
    one.books = [book]
    session.add(one)
    session.commit()
    book.shelf = other = models.Shelf()
    session.commit()
    assert book.shelf_id == other.id

    one.versions[0].revert(relations=["books"])
    session.commit()

    assert book.shelf_id == one.id


def test_keys_of_dictionaries_follow_values(open_session, shelf):
    """Members whose names are exchanged are found under the names they had."""
    models = shelf(books=relationship("Book", collection_class=attribute_keyed_dict("title")))
    session = open_session(models)
    one, a, b = models.Shelf(), models.Book(title="a"), models.Book(title="b")
    one.books = {"a": a, "b": b}
    session.add(one)
    session.commit()
    a.title, b.title = "b", "a"
    session.commit()
    assert one.books["a"] is b

    one.versions[0].revert(relations=["books"])

    assert one.books["a"] is a
    session.commit()
    assert (one.books["a"], one.books["b"]) == (a, b)


def test_lists_keep_their_order(open_session, shelf):
    """Members of an ordered list are where they were, before and after the flush."""
    books = relationship(
        "Book", order_by="Book.place", collection_class=ordering_list("place", count_from=1)
    )
    models = shelf(books=books)
    session = open_session(models)
    one = models.Shelf(books=[models.Book(title=title) for title in "abc"])
    session.add(one)
    session.commit()
    one.books.insert(0, one.books.pop())
    session.delete(one.books.pop())
    session.commit()
    assert titles(one.books) == ["c", "a"]

    one.versions[0].revert(relations=["books"])

    assert titles(one.books) == ["a", "b", "c"]
    session.commit()
    assert [(b.title, b.place) for b in one.books] == [("a", 1), ("b", 2), ("c", 3)]


def test_association_proxies_show_it(open_session, shelf):
    """A proxy of a relationship shows what was put back."""
    models = shelf(
        books=relationship("Book", secondary="shelf_book", order_by="Book.id"),
        titles=association_proxy("books", "title"),
    )
    session = open_session(models)
    one = models.Shelf(books=[models.Book(title="a")])
    session.add(one)
    session.commit()
    one.books = [models.Book(title="b")]
    session.commit()
    assert one.titles == ["b"]

    one.versions[0].revert(relations=["books"])

    assert one.titles == ["a"]


@pytest.mark.parametrize("cascade", ["save-update", "all, delete-orphan"])
def test_children_move_back_without_a_relationship_to_their_parent(open_session, shelf, cascade):
    """A child that knows its parent by a key only is moved back, and is no orphan."""
    models = shelf(books=relationship("Book", cascade=cascade))
    session = open_session(models)
    one, other = models.Shelf(), models.Shelf(books=[models.Book(title="a")])
    session.add_all([one, other])
    session.commit()
    book = other.books[0]
    one.books.append(book)
    other.books.remove(book)
    session.commit()
    assert one.books == [book]

    one.versions[0].revert(relations=["books"])

    assert one.books == []
    session.commit()
    assert (one.books, other.books) == ([], [book])


@pytest.mark.parametrize("knows", ["nothing", "its parent", "both sides"])
def test_loaded_collections_of_others(open_session, shelf, knows):
    """What moves shows in what is loaded of other parents, also for the next revert."""
    both = {"back_populates": "shelf"} if knows == "both sides" else {"overlaps": "shelf"}
    models = shelf(books=relationship("Book", **both))
    if knows != "nothing":
        back = {"back_populates": "books"} if knows == "both sides" else {"overlaps": "books"}
        models.Book.shelf = relationship("Shelf", **back)
    session = open_session(models)
    one, other = models.Shelf(name="a"), models.Shelf(name="a")
    one.books, other.books = [models.Book(title="x")], [models.Book(title="y")]
    session.add_all([one, other])
    session.commit()
    book = one.books[0]
    one.name, other.name, one.books = "b", "b", []
    other.books.append(book)
    session.commit()
    assert (titles(one.books), sorted(titles(other.books))) == ([], ["x", "y"])

    other.versions[0].revert(relations=["books"])
    assert (titles(one.books), sorted(titles(other.books))) == (["x"], ["y"])
    # It was without books by then.
    one.versions[1].revert(relations=["books"])
    assert (titles(one.books), sorted(titles(other.books))) == ([], ["x", "y"])
    session.commit()
    assert (titles(one.books), sorted(titles(other.books))) == ([], ["x", "y"])

    book.versions[0].revert()
    assert (titles(one.books), sorted(titles(other.books))) == (["x"], ["y"])


@pytest.mark.parametrize("came", ["flushed", "pending"])
def test_children_that_had_no_parent_are_only_unlinked(open_session, shelf, came):
    """A child that stood by itself at the version does so again, and is not deleted."""
    models = shelf(books=relationship("Book"))
    session = open_session(models)
    one, book = models.Shelf(), models.Book(title="a")
    session.add_all([one, book])
    session.commit()
    version = one.versions[0]
    one.books.append(book)
    if came == "flushed":
        session.commit()

    version.revert(relations=["books"])
    session.commit()

    assert one.books == []
    assert session.query(models.Book).all() == [book]


class TestOneToOne:
    """One object on each side, the key on the other."""

    def test_the_former_one_returns(self, open_session, shelf):
        """The one that is linked now is unlinked, so that there are not two."""
        models = shelf(book=relationship("Book", uselist=False))
        session = open_session(models)
        one, a = models.Shelf(), models.Book(title="a")
        one.book = a
        session.add(one)
        session.commit()
        one.book = b = models.Book(title="b")
        session.commit()

        one.versions[0].revert(relations=["book"])
        assert one.book is a
        session.commit()

        assert (one.book, a.shelf_id, b.shelf_id) == (a, one.id, None)

    def test_orphans_are_deleted(self, open_session, shelf):
        """With delete-orphan the one that is linked now is deleted."""
        models = shelf(book=relationship("Book", uselist=False, cascade="all, delete-orphan"))
        session = open_session(models)
        one = models.Shelf(book=models.Book(title="a"))
        session.add(one)
        session.commit()
        one.book = models.Book(title="b")
        session.commit()

        one.versions[0].revert(relations=["book"])
        session.commit()

        assert titles(session.query(models.Book)) == ["a"]

    @pytest.mark.parametrize("nullable", [True, False])
    def test_a_unique_key_changes_hands(self, open_session, shelf, nullable):
        """The key is let go of before it is given back, where it is unique."""
        book = relationship("Book", uselist=False, cascade="all, delete-orphan")
        models = shelf(nullable=nullable, unique=True, book=book)
        session = open_session(models)
        one = models.Shelf(book=models.Book(title="a"))
        session.add(one)
        session.commit()
        one.book = None
        session.flush()
        one.book = models.Book(title="b")
        session.commit()

        one.versions[0].revert(relations=["book"])
        session.commit()

        assert titles(session.query(models.Book)) == ["a"]
        assert one.book.title == "a"

    def test_what_belonged_elsewhere(self, open_session, shelf):
        """The one that is linked now goes back to where it was."""
        models = shelf(book=relationship("Book", uselist=False))
        session = open_session(models)
        one, other = models.Shelf(book=models.Book(title="a")), models.Shelf()
        other.book = models.Book(title="b")
        session.add_all([one, other])
        session.commit()
        one.book, other.book = other.book, None
        session.commit()

        one.versions[0].revert(relations=["book"])
        session.commit()

        assert (one.book.title, other.book.title) == ("a", "b")

    def test_what_was_none(self, open_session, shelf):
        """A side that was empty is empty again."""
        models = shelf(book=relationship("Book", uselist=False))
        session = open_session(models)
        one = models.Shelf()
        session.add(one)
        session.commit()
        one.book = models.Book(title="a")
        session.commit()

        one.versions[0].revert(relations=["book"])
        session.commit()

        assert one.book is None


def test_scalar_over_an_association_table(open_session, shelf):
    """One object that is linked by an association table is exchanged, or taken away."""
    models = shelf(book=relationship("Book", secondary="shelf_book", uselist=False))
    session = open_session(models)
    one = models.Shelf()
    session.add(one)
    session.commit()
    one.book, one.name = models.Book(title="a"), "x"
    session.commit()
    one.book, one.name = models.Book(title="b"), "y"
    session.commit()

    one.versions[1].revert(relations=["book"])
    session.commit()
    assert one.book.title == "a"

    one.versions[0].revert(relations=["book"])
    session.commit()
    assert one.book is None


def test_view_only_relationships_are_refused(open_session, shelf):
    """What cannot be written cannot be reverted."""
    models = shelf(books=relationship("Book", viewonly=True))
    session = open_session(models)
    one = models.Shelf()
    session.add(one)
    session.commit()

    with pytest.raises(ReverterException, match=r"Shelf\.books is view-only"):
        one.versions[0].revert(relations=["books"])


@pytest.mark.parametrize("lazy", ["noload", None])
@pytest.mark.filterwarnings("ignore:The ``noload``")
def test_relationships_that_are_never_loaded_are_refused(open_session, shelf, lazy):
    """What seems empty whatever is stored is not taken for empty."""
    models = shelf(books=relationship("Book", lazy=lazy))
    session = open_session(models)
    one = models.Shelf(books=[models.Book(title="a")])
    session.add(one)
    session.commit()

    with pytest.raises(ReverterException, match=r"Shelf\.books is never loaded \(lazy='noload'\)"):
        one.versions[0].revert(relations=["books"])


def test_excluded_relationships_are_refused(open_session, shelf):
    """What history leaves out cannot be reverted."""
    models = shelf(books=relationship("Book", secondary="shelf_book"))
    models.Shelf.__versioned__ = {"exclude": ["books"]}
    session = open_session(models)
    one = models.Shelf()
    session.add(one)
    session.commit()

    with pytest.raises(ReverterException, match=r"Shelf\.books is excluded"):
        one.versions[0].revert(relations=["books"])


def test_children_of_unversioned_classes_are_refused(open_session, shelf):
    """Whose children they were is recorded with the children, or nowhere."""
    models = shelf(books=relationship("Book"))
    del models.Book.__versioned__
    session = open_session(models)
    one = models.Shelf()
    session.add(one)
    session.commit()

    with pytest.raises(ReverterException, match="recorded in Book, which is not versioned"):
        one.versions[0].revert(relations=["books"])


def test_conditions_of_a_relationship(open_session, Base, shelf):
    """A relationship that has a condition of its own is read with it."""
    models = shelf()
    Shelf, Book = models.Shelf, models.Book
    Shelf.good = relationship(
        Book, primaryjoin=and_(Shelf.id == foreign(Book.shelf_id), Book.place == 1)
    )
    session = open_session(models)
    one = Shelf(good=[Book(title="a", place=1)])
    session.add(one)
    session.flush()
    bad = Book(title="b", place=2, shelf_id=one.id)
    session.add(bad)
    session.commit()
    bad.place, bad.title, one.good[0].place = 1, "bb", 2
    session.commit()

    one.versions[0].revert(relations=["good"])
    session.commit()

    assert titles(one.good) == ["a"]
    assert (bad.place, bad.title) == (2, "bb")


def test_conditions_of_links(open_session, shelf):
    """A link to what a relationship's condition leaves out is not taken for an unknown one."""
    models = shelf()
    Shelf, Book = models.Shelf, models.Book
    link = models.metadata.tables["shelf_book"]
    Shelf.good = relationship(
        Book, secondary=link, secondaryjoin=and_(Book.id == link.c.book_id, Book.place == 1)
    )
    session = open_session(models)
    one = Shelf(good=[Book(title="a", place=1), Book(title="b", place=2)])
    session.add(one)
    session.commit()
    one.good = []
    session.commit()

    one.versions[0].revert(relations=["good"])
    session.commit()

    assert titles(one.good) == ["a"]


def test_links_of_a_class_two_tables_below_its_base(open_session, Base):
    """They are put back, without a warning, be objects asked for as theirs or as the base's."""

    class Shelf(Base):
        __tablename__ = "shelf"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelf.id"))

    class Book(Item):
        __tablename__ = "book"
        __mapper_args__ = {"polymorphic_identity": "book"}
        id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)

    class Novel(Book):
        __tablename__ = "novel"
        __mapper_args__ = {"polymorphic_identity": "novel"}
        id: Mapped[int] = mapped_column(ForeignKey("book.id"), primary_key=True)

    Table(
        "novel_shelf",
        Base.metadata,
        Column("novel_id", ForeignKey("novel.id"), primary_key=True),
        Column("shelf_id", ForeignKey("shelf.id"), primary_key=True),
    )
    Novel.others = relationship(Shelf, secondary="novel_shelf")
    Shelf.items = relationship(Item)
    models = Models(Base, Shelf, Item, Book, Novel)
    session = open_session(models)
    novels = [Novel(others=[Shelf(), Shelf()]) for _ in range(2)]
    shelf = Shelf(items=novels)
    session.add(shelf)
    session.commit()
    for novel in novels:
        novel.others = []
    session.commit()

    shelf.versions[0].revert(relations=["items.others"])
    session.commit()

    assert [len(novel.others) for novel in novels] == [2, 2]


class TestTrees:
    """Relationships from a class to itself."""

    @pytest.fixture
    def models(self, keep):
        """Nodes of a tree, and links between them."""
        return keep(build_nodes)

    def test_deleted_trees_return(self, session, models):
        """A tree that was deleted is restored, parents first."""
        make = models.factories.Node
        root = make(name="r")
        child = make(name="c", parent=root)
        make(name="g", parent=child)
        session.commit()
        version = root.versions[0]
        for node in (child.children[0], child, root):
            session.delete(node)
            session.flush()
        session.commit()

        restored = version.revert(relations=["children.children.parent"])
        session.commit()

        assert [n.name for n in restored.children] == ["c"]
        assert [n.name for n in restored.children[0].children] == ["g"]

    def test_links_among_themselves(self, session, models):
        """Links of a class to itself are put back, in their direction."""
        one, other = models.factories.Node(name="a"), models.factories.Node(name="b")
        one.follows.append(other)
        session.commit()
        one.follows, other.follows = [], [one]
        session.commit()

        one.versions[0].revert(relations=["follows.follows"])
        session.commit()

        assert (one.follows, other.follows) == ([other], [])

    def test_parents_that_change_places(self, session, models):
        """A child that became the parent becomes the child again."""
        one = models.factories.Node(name="a")
        other = models.factories.Node(name="b", parent=one)
        session.commit()
        other.parent = None
        one.parent = other
        session.commit()

        one.versions[0].revert(relations=["children"])
        session.commit()

        assert (one.parent, one.children, other.parent) == (None, [other], one)
