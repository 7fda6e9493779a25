"""Reverting foreign keys whose target is gone."""

import pytest
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sqlalchemy_versioned import ReverterException
from tests.models import Models

pytestmark = pytest.mark.strategies()


@pytest.fixture
def orphaned(session, blog):
    """An article whose first version refers to an author who was deleted since."""
    author = blog.factories.Author()
    article = blog.factories.Article(author=author, name="First")
    session.commit()
    article.author, article.name = None, "Second"
    session.delete(author)
    session.commit()
    return article


def test_missing_targets_are_refused(session, orphaned):
    """A reference to what no longer exists is refused, and nothing is changed."""
    with pytest.raises(ReverterException, match=r"author_id = \d+ refers to Author, which"):
        orphaned.versions[0].revert()

    assert (orphaned.name, list(session.dirty)) == ("Second", [])


def test_missing_targets_can_be_left_out(session, orphaned):
    """With on_missing='null' the reference stays empty."""
    orphaned.versions[0].revert(on_missing="null")
    session.commit()

    assert (orphaned.name, orphaned.author_id, orphaned.author) == ("First", None, None)


def test_targets_about_to_be_deleted_are_missing(session, blog):
    """An object whose deletion is not flushed yet is no target any more."""
    author = blog.factories.Author()
    article = blog.factories.Article(author=author)
    session.commit()
    article.author = None
    session.commit()
    version = article.versions[0]
    session.delete(author)

    with pytest.raises(ReverterException, match="refers to Author, which"):
        version.revert()


def test_unflushed_references_are_taken_back(session, blog):
    """A reference that is not flushed yet does not win over the version."""
    author, other = blog.factories.Author(), blog.factories.Author()
    article = blog.factories.Article(author=author)
    session.commit()
    version = article.versions[0]
    article.author = other

    version.revert()

    assert (other.articles, author.articles) == ([], [article])
    session.commit()
    assert article.author is author


@pytest.mark.parametrize("relations", [(), ["author"]])
def test_unflushed_references_of_deleted_objects_are_taken_back(session, blog, relations):
    """Nor does one of an object whose deletion is not flushed yet."""
    article = blog.factories.Article()
    session.commit()
    version = article.versions[0]
    article.author = blog.factories.Author()
    session.delete(article)
    version.revert(relations)
    session.commit()

    assert (article.author_id, article.author) == (None, None)


@pytest.mark.parametrize("lazy", ["select", "write_only", None])
def test_unflushed_children_are_taken_back(Base, open_session, lazy):
    """Where only the parent knows of its children, what it is about to do to them does not win."""

    class Box(Base):
        __tablename__ = "box"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        things = relationship("Thing", lazy=lazy or "select", uselist=lazy is not None)

    class Thing(Base):
        __tablename__ = "thing"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        box_id: Mapped[int | None] = mapped_column(ForeignKey("box.id"))

    session = open_session(Base)
    box, thing = Box(), Thing()
    session.add_all([box, thing])
    session.commit()
    out, found = thing.versions[0], []
    for put_in in (True, False):
        with session.no_autoflush:
            if lazy is None:
                box.things = thing if put_in else None
            else:
                things = box.things
                method = {"select": "append", "write_only": "add"}[lazy] if put_in else "remove"
                getattr(things, method)(thing)
            thing.versions[-1].revert()
        session.commit()
        found.append(thing.box_id)
        thing.box_id = box.id
        session.commit()

    assert (found, out.revert().box_id) == ([None, box.id], None)


@pytest.mark.parametrize("uselist", [True, False])
def test_unflushed_parents_of_orphans_are_taken_back(Base, open_session, uselist):
    """A child that had no parent gets none by what is not flushed, nor is it deleted for it."""

    class Parent(Base):
        __tablename__ = "parent"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        child = relationship(
            "Child", uselist=uselist, back_populates="parent", cascade="all, delete-orphan"
        )

    class Child(Base):
        __tablename__ = "child"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        parent_id = mapped_column(ForeignKey("parent.id"))
        parent = relationship(Parent, back_populates="child")

    session, child, parent = open_session(Base), Child(), Parent()
    session.add_all([child, parent])
    session.commit()
    version = child.versions[0]
    with session.no_autoflush:
        child.parent = parent
        version.revert()
    session.commit()

    assert (child.parent_id, child.parent) == (None, None)


def test_references_of_children_moved_back(session, blog):
    """A child that belonged to what is gone is not moved there."""
    article, other = blog.factories.Article(), blog.factories.Article()
    comment = blog.factories.Comment(article=other)
    session.commit()
    comment.article = article
    session.flush()
    session.expire(other)
    session.delete(other)
    session.commit()

    with pytest.raises(ReverterException, match="refers to Article, which"):
        article.versions[0].revert(relations=["comments"])

    article.versions[0].revert(relations=["comments"], on_missing="null")
    session.commit()
    assert (article.comments, comment.article_id) == ([], None)


@pytest.mark.parametrize("is_gone", [False, True], ids=["changed", "restored"])
def test_what_a_reference_shares_with_the_key_is_kept(Base, open_session, is_gone):
    """A reference to nothing empties no column that belongs to the primary key as well."""

    class Folder(Base):
        __tablename__ = "folder"
        __versioned__ = {}
        __table_args__ = (
            ForeignKeyConstraint(["owner", "parent_id"], ["folder.owner", "folder.id"]),
        )
        owner: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        parent_id: Mapped[int | None] = mapped_column()
        parent: Mapped["Folder | None"] = relationship(
            remote_side=[owner, id], back_populates="folders"
        )
        folders: Mapped[list["Folder"]] = relationship(back_populates="parent")

    session = open_session(Base)
    top, folder = Folder(owner=7, id=1), Folder(owner=7, id=2)
    session.add_all([top, folder])
    session.commit()
    folder.parent = top
    session.commit()
    version = folder.versions[0]
    if is_gone:
        session.delete(folder)
        session.commit()

    found = version.revert(["parent"])
    session.commit()

    assert (found.owner, found.id, found.parent) == (7, 2, None)


class TestUnversionedTargets:
    """References and links to objects that have no history."""

    @pytest.fixture
    def models(self, keep):
        """Things with labels, one of them by a foreign key without a relationship."""

        def build(Base):
            link = Table(
                "thing_label",
                Base.metadata,
                Column("thing_id", ForeignKey("thing.id"), primary_key=True),
                Column("label_id", ForeignKey("label.id"), primary_key=True),
            )

            class Label(Base):
                __tablename__ = "label"
                id: Mapped[int] = mapped_column(primary_key=True)
                name: Mapped[str]

            class Thing(Base):
                __tablename__ = "thing"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                best: Mapped[int | None] = mapped_column(ForeignKey("label.id"))
                first: Mapped[int] = mapped_column(ForeignKey("label.id"))
                labels: Mapped[list[Label]] = relationship(secondary=link, order_by=Label.id)

            return Models(Base, Thing, Label)

        return keep(build)

    @pytest.fixture
    def labels(self, session, models):
        """Three labels, stored."""
        labels = [models.factories.Label(name=name) for name in "abc"]
        session.flush()
        return labels

    def test_links(self, session, models, labels):
        """A link to what is gone is refused, or left out."""
        a, b, c = labels
        thing = models.factories.Thing(labels=[a, b], first=c.id)
        session.commit()
        thing.labels = []
        session.delete(a)
        session.commit()

        for policy in ("raise", "restore"):
            with pytest.raises(ReverterException, match="no longer exists"):
                thing.versions[0].revert(relations=["labels"], on_missing=policy)

        thing.versions[0].revert(relations=["labels"], on_missing="null")
        session.commit()
        assert thing.labels == [b]

    def test_foreign_keys_without_relationship(self, session, models, labels):
        """A foreign key is checked although no relationship stands for it."""
        a, b, _ = labels
        thing = models.factories.Thing(best=a.id, first=b.id)
        session.commit()
        thing.best = None
        session.flush()
        session.delete(a)
        session.commit()

        with pytest.raises(ReverterException, match=r"best = 1 refers to label, which"):
            thing.versions[0].revert()

        thing.versions[0].revert(on_missing="null")
        assert (thing.best, thing.first) == (None, b.id)

    def test_foreign_keys_that_take_no_null(self, session, models, labels):
        """Where the column takes no NULL there is no way to do without."""
        a, b, _ = labels
        thing = models.factories.Thing(first=a.id)
        session.commit()
        thing.first = b.id
        session.flush()
        session.delete(a)
        session.commit()

        with pytest.raises(ReverterException, match="takes no NULL"):
            thing.versions[0].revert(on_missing="null")
