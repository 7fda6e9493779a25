"""Version classes: what they are, are called, and refuse."""

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column, validates

from sqlalchemy_versioned import (
    Version,
    VersionIsImmutable,
    VersionIsImmutableDelete,
    VersionIsImmutableUpdate,
    is_versioned,
    parent_class,
    version_class,
)


@pytest.fixture
def version(session, blog):
    """The version of an article."""
    article = blog.factories.Article(name="a")
    session.commit()
    return article.versions[0]


def test_facts(blog):
    """It is called after its parent, in its module, and mapped to the version table."""
    configure_mappers()
    cls = version_class(blog.Article)

    assert cls.__name__ == "ArticleVersion"
    assert cls.__module__ == blog.Article.__module__
    assert issubclass(cls, (blog.base, Version))
    assert cls.__table__ is inspect(cls).local_table
    assert (parent_class(cls), is_versioned(cls)) == (blog.Article, False)


def test_table_of_a_subclass(Base):
    """A class without a table of its own has the one that it shares, as models have."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Tool(Item):
        __mapper_args__ = {"polymorphic_identity": "tool"}

    configure_mappers()

    assert version_class(Tool).__table__ is version_class(Item).__table__


def test_registered_by_name(blog):
    """It is found by its name, as declared classes are."""
    configure_mappers()

    assert blog.base.registry._class_registry["ArticleVersion"] is version_class(blog.Article)


def test_ordinary_class(session, blog, version):
    """A version can be made by hand, changed and deleted, unless that is forbidden."""
    cls = type(version)
    session.add(cls(id=9, name="x", transaction_id=version.transaction_id, operation_type=0))
    version.name = "corrected"
    session.commit()

    assert session.scalars(select(cls.name).order_by(cls.id)).all() == ["corrected", "x"]
    session.delete(version)
    session.commit()
    assert session.scalars(select(cls.name)).all() == ["x"]


@pytest.mark.options(immutable_versions=True)
def test_immutable_update(session, version):
    """A change of a version is refused in the flush, saying what was changed."""
    version.name = "forged"

    with pytest.raises(VersionIsImmutableUpdate, match="another name"):
        session.flush()


@pytest.mark.options(immutable_versions=True)
def test_immutable_delete(session, version):
    """So is its deletion."""
    session.delete(version)

    with pytest.raises(VersionIsImmutableDelete):
        session.flush()


@pytest.mark.options(immutable_versions=True)
def test_immutable_versions_go_on(session, blog, version):
    """Versions are closed and made as ever, and one that was touched only is let be."""
    article = version.version_parent
    article.name = "b"
    version.name = version.name
    session.commit()

    assert version.end_transaction_id == article.versions[1].transaction_id


def test_immutable_one_class(Base, engine):
    """One class can have it, its subclasses included."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {"immutable_versions": True}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    class Article(Item):
        __mapper_args__ = {"polymorphic_identity": "article"}
        name: Mapped[str | None]

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Article(id=1))
        session.commit()
        session.get(Article, 1).versions[0].name = "forged"
        with pytest.raises(VersionIsImmutable):
            session.commit()


def test_behaviour_of_models_stays_with_them(Base):
    """Methods and validators of a model are not those of its versions."""

    class Article(Base):
        __tablename__ = "article"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

        @validates("name")
        def refuse(self, key, value):
            """Refuse everything."""
            raise ValueError(value)

        def publish(self):
            """Do something to the live object."""

    configure_mappers()
    cls = version_class(Article)

    assert cls(name="a").name == "a"
    assert not hasattr(cls, "publish")
