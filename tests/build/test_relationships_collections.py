"""Collection classes and loading habits of live relationships, seen from versions."""

import pickle
import sys
from types import ModuleType

import pytest
from sqlalchemy import Column, ForeignKey, Table, inspect, select
from sqlalchemy.ext.orderinglist import OrderingList, ordering_list
from sqlalchemy.orm import (
    Mapped,
    Session,
    attribute_keyed_dict,
    column_keyed_dict,
    configure_mappers,
    joinedload,
    keyfunc_mapping,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
)

from sqlalchemy_versioned import version_class


class Notes(list):
    """A collection class of an application."""

    def names(self):
        """Return the names of the members."""
        return [note.name for note in self]


def declare(Base, *, exclude=(), **arguments):
    """Declare posts with notes, the relationship as *arguments* say."""

    class Post(Base):
        __tablename__ = "post"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        notes = relationship("Note", back_populates="post", **arguments)

    class Note(Base):
        __tablename__ = "note"
        __versioned__ = {"exclude": list(exclude)}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column("title")
        place: Mapped[int] = mapped_column(default=0)
        post_id: Mapped[int | None] = mapped_column(ForeignKey("post.id"))
        post = relationship(Post, back_populates="notes")

    return Post, Note


@pytest.fixture
def write(engine, Base):
    """Write a post of two versions, with notes a and b and then b alone; return the versions."""
    sessions = []

    def write(Post, Note):
        configure_mappers()
        Base.metadata.create_all(engine)
        session = Session(engine)
        sessions.append(session)
        post, a, b = Post(name="1"), Note(id=1, name="a"), Note(id=2, name="b", place=1)
        session.add_all([post, a, b])
        a.post = b.post = post
        session.commit()
        a.post, post.name = None, "2"
        session.commit()
        return post.versions.all()

    yield write
    for session in sessions:
        session.close()


def eagerly(version, loader):
    """Load a version's notes with *loader* and return them."""
    session, cls = inspect(version).session, type(version)
    session.expire_all()
    versions = session.scalars(select(cls).options(loader(cls.notes))).unique().all()
    return next(each for each in versions if each is version).__dict__["notes"]


def members(collection):
    """Return the members of any collection, as names in order."""
    values = collection.values() if isinstance(collection, dict) else collection
    return sorted(note.name for note in values)


@pytest.mark.shared_out
@pytest.mark.parametrize("cls", [list, set, Notes])
@pytest.mark.parametrize("loader", [joinedload, selectinload, subqueryload])
def test_collection_class_is_kept(Base, write, cls, loader):
    """Lists, sets and an application's own classes are what the live relationship has."""
    first, second = write(*declare(Base, collection_class=cls))

    assert type(first.notes) is type(eagerly(first, loader))
    assert isinstance(first.notes, cls)
    assert (members(first.notes), members(second.notes)) == (["a", "b"], ["b"])


@pytest.mark.shared_out
@pytest.mark.parametrize(
    ("build", "keys"),
    [
        (lambda Note: attribute_keyed_dict("name"), ["a", "b"]),
        (lambda Note: column_keyed_dict(Note.__table__.c.title), ["a", "b"]),
        (lambda Note: column_keyed_dict([Note.__table__.c.id, Note.__table__.c.title]), None),
        (lambda Note: keyfunc_mapping(lambda note: note.name), ["a", "b"]),
    ],
    ids=["attribute", "column", "columns", "function"],
)
def test_keyed_collections(Base, write, build, keys):
    """Dictionaries have the same keys as those of live objects."""
    classes = []
    Post, Note = declare(Base, collection_class=lambda: build(classes[0])())
    classes.append(Note)
    first, second = write(Post, Note)

    assert sorted(first.notes) == (keys or [(1, "a"), (2, "b")])
    assert sorted(eagerly(second, selectinload)) == (keys or [(1, "a"), (2, "b")])[1:]
    assert {note.name for note in first.notes.values()} == {"a", "b"}


@pytest.mark.parametrize(
    "build",
    [lambda Note: attribute_keyed_dict("name"), lambda Note: column_keyed_dict(Note.name)],
    ids=["attribute", "column"],
)
def test_keys_that_are_not_kept(Base, write, build):
    """Without the values of the key, the members come as a list."""
    classes = []
    factory = lambda: build(classes[0])()  # noqa: E731
    Post, Note = declare(Base, collection_class=factory, exclude=["name"])
    classes.append(Note)
    first, second = write(Post, Note)

    assert [note.id for note in first.notes] == [1, 2]
    assert [note.id for note in second.notes] == [2]


def test_ordering_list_becomes_a_list(Base, write):
    """A collection that numbers its members would write to versions, and is a list there."""
    Post, Note = declare(Base, collection_class=ordering_list("place"), order_by="Note.place")
    first, _ = write(Post, Note)

    assert isinstance(first.notes, list)
    assert not isinstance(first.notes, OrderingList)
    assert not inspect(first).session.dirty


def test_dynamic_stays_dynamic(Base, write):
    """A relationship that is a query stays one."""
    first, second = write(*declare(Base, lazy="dynamic", order_by="Note.id.desc()"))

    assert [note.name for note in first.notes] == ["b", "a"]
    assert [note.name for note in first.notes.all()] == ["b", "a"]
    assert (first.notes.count(), second.notes.count()) == (2, 1)
    assert first.notes.filter_by(name="a").one().post is first


def test_dynamic_with_links(Base, write):
    """The same holds for a query along an association table."""
    link = Table(
        "post_note",
        Base.metadata,
        Column("post_id", ForeignKey("post.id"), primary_key=True),
        Column("note_id", ForeignKey("note.id"), primary_key=True),
    )
    Post, Note = declare(Base)
    Post.liked = relationship(Note, secondary=link, lazy="dynamic", order_by=Note.id)
    _, version = write(Post, Note)
    session, post = inspect(version).session, version.version_parent
    post.liked.extend(session.scalars(select(Note)))
    post.name = "3"
    session.commit()
    third = post.versions[2]

    assert [note.name for note in third.liked] == ["a", "b"]
    assert (third.liked.count(), version.liked.count()) == (2, 0)
    assert third.liked.filter_by(name="b").one() is version.notes[0]


def test_dynamic_cannot_be_changed(Base, write):
    """Nor can anything be added through it."""
    first, second = write(*declare(Base, lazy="dynamic"))
    other = first.notes.filter_by(name="a").one()

    with pytest.raises(AttributeError, match="cannot be changed"):
        second.notes.append(other)
    with pytest.raises(AttributeError, match="cannot be changed"):
        second.notes = [other]


def test_write_only_becomes_a_list(Base, write):
    """What is too large to be loaded as a whole is still read from a version."""
    first, second = write(*declare(Base, lazy="write_only", order_by="Note.id"))

    assert members(first.notes) == ["a", "b"]
    assert isinstance(second.notes, list)


@pytest.mark.parametrize(
    "lazy", ["raise", "raise_on_sql", "joined", "selectin", "subquery", "immediate"]
)
def test_versions_load_when_read(Base, write, engine, count_statements, lazy):
    """However the live relationship is loaded, versions load theirs when it is asked for."""
    Post, Note = declare(Base, lazy=lazy)
    first, _ = write(Post, Note)
    session = inspect(first).session
    session.expire_all()
    with count_statements(engine) as statements:
        versions = session.scalars(select(version_class(Post))).all()

    assert statements.count == 1
    assert not any("notes" in version.__dict__ for version in versions)
    assert members(first.notes) == ["a", "b"]


def test_loaded_relationships_pickle(session, blog, monkeypatch):
    """A version with what was loaded of its surroundings goes through a cache."""
    module = ModuleType("models_of_this_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    versions = [version_class(cls) for cls in (blog.Article, blog.Comment)]
    for cls in (*versions, blog.Article, blog.Comment):
        cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
        setattr(module, cls.__name__, cls)
    article = blog.factories.Article(comments=[blog.Comment(content="c")])
    session.commit()
    version = article.versions[0]
    assert len(version.comments) == 1

    copied = pickle.loads(pickle.dumps(version))

    assert [comment.content for comment in copied.comments] == ["c"]
