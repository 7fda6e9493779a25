"""Mapped dataclasses with all that dataclasses can have: whole lives, links, reverts."""

import dataclasses

import pytest
from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    composite,
    configure_mappers,
    mapped_column,
    registry,
    relationship,
)

from sqlalchemy_versioned import Operation, Versioned, version_class
from tests.lives import live

INSERT, UPDATE, DELETE = Operation


@pytest.fixture
def open_session(engine, versioning):
    """Make the tables of a metadata and open a session on them."""
    opened = []

    def make(metadata):
        configure_mappers()
        metadata.create_all(engine)
        opened.append(Session(engine))
        return opened[-1]

    yield make
    for session in opened:
        session.close()


@dataclasses.dataclass(frozen=True)
class Point:
    """A value that is exchanged, never changed."""

    x: int
    y: int


@pytest.fixture
def family(versioning):
    """Classes of a base that makes dataclasses, put together from mixins that are such too."""

    class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
        pass

    class Named(MappedAsDataclass, kw_only=True):
        name: Mapped[str] = mapped_column(String(20))
        note: Mapped[str | None] = mapped_column(String(20), default=None)

    class Counted(MappedAsDataclass, kw_only=True):
        count: Mapped[int] = mapped_column(default=0, compare=False, repr=False)
        made: Mapped[str] = mapped_column(String(9), insert_default="sql", init=False)

    link = Table(
        "page_tag",
        Base.metadata,
        Column("page_id", ForeignKey("page.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(Versioned, Named, Base):
        __tablename__ = "tag"
        id: Mapped[int] = mapped_column(init=False, primary_key=True)

    class Line(Versioned, Base):
        __tablename__ = "line"
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        text: Mapped[str] = mapped_column(String(20))
        page_id: Mapped[int | None] = mapped_column(ForeignKey("page.id"), init=False)

    class Page(Versioned, Named, Counted, Base):
        __tablename__ = "page"
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        place: Mapped[Point] = composite(mapped_column("x"), mapped_column("y"))
        data: Mapped[str] = mapped_column(String(20), default_factory=lambda: "made", repr=False)
        lines: Mapped[list[Line]] = relationship(
            order_by=Line.id, default_factory=list, cascade="all, delete-orphan"
        )
        tags: Mapped[list[Tag]] = relationship(
            secondary=link, order_by=Tag.id, default_factory=list, repr=False
        )

    Base.Page, Base.Line, Base.Tag = Page, Line, Tag
    yield Base
    Base.registry.dispose(cascade=True)


def test_fields_of_mixins(family, open_session):
    """Fields of all bases are kept, with their defaults, and frozen values are exchanged."""
    session = open_session(family.metadata)
    page = family.Page(name="a", place=Point(1, 2))
    first, second, last = live(session, page, place=Point(1, 3), note="n", count=4)

    assert (first.name, first.note, first.count, first.made) == ("a", None, 0, "sql")
    assert (first.place, second.place, last.place) == (Point(1, 2), Point(1, 3), Point(1, 3))
    assert (first.data, second.note, second.count) == ("made", "n", 4)


def test_versions_are_no_dataclasses(family, open_session):
    """A version is told apart by identity, has no fields, and can be made without arguments."""
    session = open_session(family.metadata)
    pages = [family.Page(name="a", place=Point(1, 2)) for _ in range(2)]
    session.add_all(pages)
    session.commit()
    one, other = (page.versions[0] for page in pages)

    assert not dataclasses.is_dataclass(one)
    assert one != other
    assert len({one, other}) == 2
    assert version_class(family.Page)().name is None
    assert [field.name for field in dataclasses.fields(pages[0])].count("versions") == 0


def test_objects_that_cannot_be_hashed(family, open_session):
    """Objects that compare by their fields are recorded, linked and put back by their rows."""
    session = open_session(family.metadata)
    tags = [family.Tag(name="t"), family.Tag(name="t")]
    lines = [family.Line(text="x"), family.Line(text="x")]
    page = family.Page(name="a", place=Point(1, 2), tags=tags[:1], lines=lines)
    session.add_all([page, *tags])
    session.commit()
    page.tags, page.name = [tags[1]], "b"
    page.lines.remove(lines[0])
    session.commit()

    first, second = page.versions
    assert [[t.id for t in v.tags] for v in (first, second)] == [[tags[0].id], [tags[1].id]]
    assert [len(v.lines) for v in (first, second)] == [2, 1]
    first.revert(relations=["tags", "lines"])
    session.commit()
    assert (page.name, [t.id for t in page.tags], len(page.lines)) == ("a", [tags[0].id], 2)
    session.delete(page)
    session.commit()
    restored = first.revert(relations=["tags", "lines"])
    session.commit()
    assert (restored.place, restored.data, len(restored.lines)) == (Point(1, 2), "made", 2)


def test_mapped_by_a_decorator(versioning, open_session):
    """A registry can make dataclasses one by one."""
    reg = registry()

    @reg.mapped_as_dataclass(unsafe_hash=True, order=True)
    class Page:
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        name: Mapped[str] = mapped_column(String(20))

    session = open_session(reg.metadata)
    assert [v.name for v in live(session, Page("a"), name="b")] == ["a", "b", "b"]
    reg.dispose()
