"""Keys, links and sessions as demanding schemas have them."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, Table, TypeDecorator, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from sqlalchemy_versioned import IncompleteHistory, Operation, count_versions, version_class


class Folded(TypeDecorator):
    """Text that comes back in lower case."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value.lower()


def operations(versions):
    """Return what versions record, oldest first."""
    return [version.operation_type for version in versions]


def test_key_that_comes_back_in_another_form(Base, open_session):
    """A key is changed by assigning to it, not by the form in which it is loaded."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        key: Mapped[str] = mapped_column(Folded, primary_key=True)
        text: Mapped[str] = mapped_column(String(20))

    session = open_session(Base)
    page = Page(key="Ann", text="a")
    session.add(page)
    session.commit()
    page.text = "b"
    session.commit()

    assert sorted(v.text for v in session.scalars(select(version_class(Page)))) == ["a", "b"]


def test_link_that_takes_over_the_id_of_another(Base, open_session):
    """Replacing a link is a deletion and an insertion, also where the database reuses its id."""
    link = Table(
        "link",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("page_id", ForeignKey("page.id")),
        Column("tag_id", ForeignKey("tag.id")),
    )

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        tags: Mapped[list[Tag]] = relationship(secondary=link)

    session = open_session(Base)
    page = Page(id=1, tags=[Tag(id=1)])
    session.add(page)
    session.commit()
    page.tags = [Tag(id=2)]
    session.commit()

    versions = Base.metadata.tables["link_version"]
    rows = session.execute(select(versions.c.tag_id, versions.c.operation_type)).all()
    assert sorted(rows) == [(1, Operation.INSERT), (1, Operation.DELETE), (2, Operation.INSERT)]


def test_inherit_condition_of_attributes(Base, open_session):
    """An inherit_condition may be written with the attributes of classes."""

    class Party(Base):
        __tablename__ = "party"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(10))
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

    class Person(Party):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(ForeignKey("party.id"), primary_key=True)
        name: Mapped[str] = mapped_column(String(10))
        __mapper_args__ = {
            "polymorphic_identity": "person",
            "inherit_condition": id == Party.id,
        }

    session = open_session(Base)
    person = Person(name="a")
    session.add(person)
    session.commit()

    assert [version.name for version in person.versions] == ["a"]


def test_session_with_a_bind_for_one_class(Base, engine, open_session):
    """Versions are read where the class is bound, without a bind for its version class."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(String(20))

    open_session(Base)
    with Session(binds={Page: engine}) as session:
        page = Page(text="a")
        session.add(page)
        session.commit()
        page.text = "b"
        session.commit()

        assert count_versions(page) == 2
        assert page.versions[-1].previous.text == "a"


def test_restoring_without_a_required_value_is_refused(Base, open_session):
    """A row that cannot be without what history does not keep is not restored by half."""

    class Page(Base):
        __tablename__ = "page"
        __versioned__ = {"exclude": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[str] = mapped_column(String(20))

    session = open_session(Base)
    page = Page(secret="s")
    session.add(page)
    session.commit()
    version = page.versions[0]
    session.delete(page)
    session.commit()

    with pytest.raises(IncompleteHistory, match="secret"):
        version.revert()
    assert not session.new


def test_released_savepoint_expires_nothing(session, models, count_statements, engine):
    """Versions that are held stay loaded when a savepoint comes to a good end."""
    article = models.factories.Article(name="a")
    session.commit()
    version = article.versions[0]
    article.name = "b"
    session.flush()
    assert version.name == "a"

    with session.begin_nested():
        pass
    with count_statements(engine) as statements:
        assert version.name == "a"

    assert statements.count == 0


@pytest.mark.needs("concurrent_writers")
def test_new_rows_do_not_wait_for_each_other(tables, models):
    """Two transactions insert rows at the same time, as they do without versioning."""
    author = models.Author
    with Session(tables) as first, Session(tables) as second:
        first.add(author(name="a"))
        first.flush()
        second.add(author(name="b"))
        second.flush()
        first.add(author(name="c"))
        first.commit()
        second.add(author(name="d"))
        second.commit()

        assert len(first.scalars(select(version_class(author))).all()) == 4
