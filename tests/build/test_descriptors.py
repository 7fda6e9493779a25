"""What versions have of the descriptors of their class: names for what is kept, and no more."""

import dataclasses
import inspect

import pytest
from sqlalchemy import JSON, Column, ForeignKey, Integer, String, func, select
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import Comparator, hybrid_method, hybrid_property
from sqlalchemy.ext.indexable import index_property
from sqlalchemy.orm import (
    ColumnProperty,
    CompositeProperty,
    Mapped,
    Session,
    column_property,
    composite,
    configure_mappers,
    declared_attr,
    deferred,
    mapped_column,
    object_session,
    query_expression,
    relationship,
    synonym,
    validates,
    with_expression,
)

from sqlalchemy_versioned import version_class


@dataclasses.dataclass
class Point:
    """A value of two columns."""

    x: int
    y: int


class Folded(Comparator):
    """Compares text without regard to case."""

    def __eq__(self, other):
        """Compare."""
        return func.lower(self.__clause_element__()) == func.lower(other)


#: What SQLAlchemy 2.0 cannot be told.
OR_NONE = (
    {"return_none_on": lambda *parts: parts == (None, None)}
    if "return_none_on" in inspect.signature(composite).parameters
    else {}
)


class Ranked(ColumnProperty.Comparator):
    """Knows more of numbers than that they are equal."""

    def is_even(self):
        """Ask for even numbers."""
        return self.__clause_element__() % 2 == 0


class Placed(CompositeProperty.Comparator):
    """Knows more of places than that they are the same."""

    def is_at(self, x):
        """Ask for one half of them."""
        return self.__clause_element__().clauses[0] == x


class Described:
    """A mixin with a column, a name for it, and what is made of it."""

    note: Mapped[str | None]

    @declared_attr
    def remark(cls):
        return synonym("note")

    @hybrid_property
    def loud_note(self):
        return self.note + "!"

    def describe(self):
        return self.note


@pytest.fixture
def Article(Base):
    """A class with a descriptor of every kind."""

    class Tag(Base):
        __tablename__ = "tag"
        __versioned__ = {}
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        article_id: Mapped[int | None] = mapped_column(ForeignKey("article.id"))

    class Article(Described, Base):
        __tablename__ = "article"
        __versioned__ = {"exclude": ["secret"]}
        id: Mapped[int] = mapped_column(primary_key=True)
        _name: Mapped[str] = mapped_column("name", String(20))
        price: Mapped[int] = mapped_column()
        secret: Mapped[int | None] = mapped_column()
        data = mapped_column(JSON)
        rank = column_property(Column("rank", Integer, default=4), comparator_factory=Ranked)
        place: Mapped[Point] = composite(
            mapped_column("x"), mapped_column("y"), comparator_factory=Placed
        )
        nowhere: Mapped[Point] = composite(
            Point, mapped_column("nx", nullable=True), mapped_column("ny", nullable=True), **OR_NONE
        )
        half_secret: Mapped[Point] = composite("price", "secret")
        tags: Mapped[list[Tag]] = relationship(order_by=Tag.id)

        title = synonym("_name")
        spot = synonym("place")
        labels = synonym("tags")
        stickers = synonym("labels")
        hidden = synonym("secret")
        double: Mapped[int] = column_property(price + price)
        twice = column_property(price + price, comparator_factory=Ranked)
        late: Mapped[int] = column_property(price * 3, deferred=True)
        told: Mapped[int | None] = column_property(price + secret)
        tagged: Mapped[int] = column_property(
            select(func.count(Tag.id)).where(Tag.article_id == id).scalar_subquery()
        )
        asked: Mapped[int | None] = query_expression()
        body: Mapped[str | None] = deferred(mapped_column(String(20)), group="large")
        tag_names = association_proxy("tags", "name")
        color = index_property("data", "color", default="none")

        @property
        def plain(self):
            return "live only"

        @hybrid_property
        def name(self):
            return self._name.strip()

        @name.inplace.expression
        @classmethod
        def _name_expression(cls):
            return func.trim(cls._name)

        @name.inplace.setter
        def _name_setter(self, value):
            self._name = value

        @hybrid_property
        def folded(self):
            return self._name.lower()

        @folded.inplace.comparator
        @classmethod
        def _folded_comparator(cls):
            return Folded(cls._name)

        @hybrid_method
        def costs(self, much):
            return self.price >= much

        @validates("price")
        def check(self, key, value):
            assert value > 0
            return value

    configure_mappers()
    return Article


@pytest.fixture
def version(Article, Base, engine):
    """The first of two versions of an article."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        article = Article(
            name=" A ", price=2, secret=5, place=Point(1, 2), note="n", data={"color": "red"}
        )
        article.tags = [type(article).tags.property.mapper.class_(name="t")]
        session.add(article)
        session.commit()
        article.price, article.place, article.body = 3, Point(1, 5), "text"
        session.commit()
        yield article.versions[0]


KEPT = {
    "title": " A ",
    "name": "A",
    "folded": " a ",
    "price": 2,
    "place": Point(1, 2),
    "spot": Point(1, 2),
    "double": 4,
    "late": 6,
    "body": None,
    "color": "red",
    "note": "n",
    "remark": "n",
    "loud_note": "n!",
}


def test_names_for_what_is_kept(version):
    """They give the values of the version, not those of the live object."""
    assert {name: getattr(version, name) for name in KEPT} == KEPT


def test_composites_of_nothing(version):
    """Where all parts are NULL, versions have what live objects have, which can be ``None``."""
    live = version.version_parent
    object_session(version).refresh(live)

    assert version.nowhere == live.nowhere


def test_methods_that_are_expressions(version):
    """A hybrid method is asked of the version."""
    assert (version.costs(2), version.costs(3)) == (True, False)


def test_relationships_have_their_synonyms(version):
    """Another name of a relationship leads where the relationship leads."""
    assert [tag.name for tag in version.labels] == ["t"]
    assert version.labels is version.stickers is version.tags


LEFT_OUT = ["secret", "hidden", "half_secret", "told", "tagged", "plain", "describe", "check"]


def test_what_needs_more_is_left_out(version):
    """What is made of excluded columns, of other rows or by methods is no attribute of versions."""
    for name in [*LEFT_OUT, "tag_names"]:
        with pytest.raises(AttributeError, match=name):
            getattr(version, name)


CONDITIONS = {
    "title": lambda cls: cls.title == " A ",
    "name": lambda cls: cls.name == "A",
    "folded": lambda cls: cls.folded == " a ",
    "rank": lambda cls: cls.rank.is_even(),
    "twice": lambda cls: cls.twice.is_even(),
    "place": lambda cls: cls.place == Point(1, 2),
    "corner": lambda cls: cls.place.is_at(1),
    "spot": lambda cls: cls.spot == Point(1, 2),
    "double": lambda cls: cls.double == 4,
    "late": lambda cls: cls.late == 6,
    "remark": lambda cls: cls.remark == "n",
    "loud_note": lambda cls: cls.loud_note == "n!",
    "costs": lambda cls: ~cls.costs(3),
    "labels": lambda cls: cls.labels.any(name="t"),
}


def test_conditions_are_asked_of_versions(version):
    """As parts of statements they compare what versions hold, not what live rows do."""
    cls, session = type(version), object_session(version)
    for name, build in CONDITIONS.items():
        condition = build(cls)
        found = session.scalars(select(cls).where(condition).order_by(cls.transaction_id)).all()
        assert found[0] is version, name
        assert " article" not in str(condition).replace(cls.__table__.name, "")


def test_live_objects_keep_theirs(version, Article):
    """Nothing of it is taken from the live class."""
    session = object_session(version)
    statement = select(Article).options(with_expression(Article.asked, Article.price + 1))
    live = session.scalars(statement.execution_options(populate_existing=True)).one()

    assert (live.asked, live.tagged, live.told, live.plain) == (4, 1, 8, "live only")
    assert (live.half_secret, live.tag_names, live.describe()) == (Point(3, 5), ["t"], "n")
    assert version_class(Article) is type(version)


def test_names_can_be_reverted_through(version, Article):
    """Reverting writes columns, and every name for them follows."""
    session = object_session(version)
    live = version.revert()
    session.commit()

    assert (live.place, live.double, live.name, live.color) == (Point(1, 2), 4, "A", "red")


def test_hybrids_of_subclasses(Base, engine):
    """A hybrid attribute that a subclass says anew is said anew for its versions."""

    class Item(Base):
        __tablename__ = "item"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(String(9))

        @hybrid_property
        def label(self):
            return self.kind + " in general"

    class Tool(Item):
        __mapper_args__ = {"polymorphic_identity": "tool"}

        @hybrid_property
        def label(self):
            return self.kind + " for work"

    configure_mappers()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Item(id=1), Tool(id=2)])
        session.commit()
        item, tool = version_class(Item), version_class(Tool)

        labels = [version.label for version in session.scalars(select(item).order_by(item.id))]
        assert labels == ["item in general", "tool for work"]
        assert session.scalars(select(tool.label)).all() == ["tool for work"]
