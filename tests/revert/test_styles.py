"""Reverting objects of every mapping style, and columns of every kind."""

from typing import ClassVar

import pytest
from sqlalchemy import (
    JSON,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    String,
    null,
    select,
)
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    Mapped,
    MappedAsDataclass,
    deferred,
    mapped_column,
    reconstructor,
    relationship,
    validates,
)

from sqlalchemy_versioned import ReverterException, revert_plan
from tests.models import Models

pytestmark = pytest.mark.strategies()


@pytest.fixture
def first_version(session):
    """Add an object, take its first version, and delete it again."""

    def take(obj):
        session.add(obj)
        session.commit()
        version = type(obj).__version_spec__.version_class
        found = session.scalars(select(version)).first()
        session.delete(obj)
        session.commit()
        return found

    return take


class TestRequiredArguments:
    """A class whose ``__init__`` cannot be called without arguments."""

    @pytest.fixture
    def models(self, keep):
        """A class with required arguments, a reconstructor and a validator."""

        def build(Base):
            class Page(Base):
                __tablename__ = "page"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                name: Mapped[str]

                def __init__(self, name, words):
                    self.name, self.words = name, words

                @reconstructor
                def init_on_load(self):
                    self.words = self.name.split()

                @validates("name")
                def check(self, key, name):
                    assert name
                    return name

            return Models(Base, Page)

        return keep(build)

    def test_init_is_not_called(self, session, models, first_version):
        """Restored objects are made as by loading, with what is set up on loading."""
        version = first_version(models.Page("a b", words=[]))

        restored = version.revert()

        assert (restored.name, restored.words) == ("a b", ["a", "b"])
        session.commit()
        assert session.get(models.Page, version.id) is restored


class TestValidators:
    """A class that makes something else of what it is given."""

    @pytest.fixture
    def models(self, keep):
        """People with passwords."""

        def build(Base):
            class Person(Base):
                __tablename__ = "person"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                password: Mapped[str]

                @validates("password")
                def hide(self, key, password):
                    return f"hidden {password}"

            return Models(Base, Person)

        return keep(build)

    def test_stored_values_are_put_back(self, session, models):
        """What it has made of a value is put back, and nothing is made of that."""
        person = models.Person(password="a")
        session.add(person)
        session.commit()
        person.password = "b"
        session.commit()

        first = person.versions[0]
        first.revert()
        session.commit()
        assert person.password == "hidden a"

        session.delete(person)
        session.commit()
        restored = first.revert()
        session.commit()
        assert restored.password == "hidden a"


class TestValidatorsThatRefuse:
    """A class that takes less than it did."""

    @pytest.fixture
    def models(self, keep):
        """Parents who take no children, and names of some length, unless told otherwise."""

        def build(Base):
            class Child(Base):
                __tablename__ = "child"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))

            class Person(Base):
                __tablename__ = "person"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                name: Mapped[str]
                children: Mapped[list[Child]] = relationship(order_by=Child.id)
                refused = ""

                @validates("name", "children")
                def check(self, key, value):
                    if key == self.refused:
                        raise ValueError("no more")
                    return value

            return Models(Base, Child, Person)

        return keep(build)

    @pytest.mark.parametrize("refused", ["name", "children"])
    def test_the_error_says_how_the_session_is_left(self, session, models, refused):
        """A part is done, which is undone by rolling back; the reason comes along."""
        person = models.Person(name="a", children=[models.Child()])
        session.add(person)
        session.commit()
        person.name, person.children = "b", []
        session.commit()
        person.refused = refused

        with pytest.raises(ReverterException, match=f"{refused} refuses .*no more.*roll") as told:
            person.versions[0].revert(["children"])
        assert isinstance(told.value.__cause__, ValueError)
        session.rollback()
        assert (person.name, person.children, person.versions.count()) == ("b", [], 2)


class TestDataclasses:
    """Mapped dataclasses: unhashable, compared by value, with required fields."""

    @pytest.fixture
    def models(self, keep):
        """A dataclass with a relationship."""

        def build(Base):
            class Line(MappedAsDataclass, Base):
                __tablename__ = "line"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True, init=False)
                text: Mapped[str]
                page_id: Mapped[int | None] = mapped_column(ForeignKey("page.id"), init=False)

            class Page(MappedAsDataclass, Base):
                __tablename__ = "page"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True, init=False)
                name: Mapped[str]
                lines: Mapped[list[Line]] = relationship(order_by=Line.id, default_factory=list)

            return Models(Base, Page, Line)

        return keep(build)

    def test_dataclasses_are_restored(self, session, models, first_version):
        """A dataclass comes back without its required fields being given."""
        version = first_version(models.Page(name="a"))

        restored = version.revert()
        session.commit()

        assert restored.name == "a"

    def test_equal_children_are_told_apart(self, session, models):
        """Objects that compare equal are still different rows."""
        page = models.Page(name="a", lines=[models.Line(text="x"), models.Line(text="x")])
        session.add(page)
        session.commit()
        session.delete(page.lines.pop())
        page.lines.append(models.Line(text="x"))
        session.commit()

        page.versions[0].revert(relations=["lines"])
        session.commit()

        assert [line.id for line in page.lines] == [1, 2]


class TestColumns:
    """Columns that are not to be written as they are."""

    @pytest.fixture
    def models(self, keep):
        """A class with columns of many kinds."""

        def build(Base):
            class Page(Base):
                __tablename__ = "page"
                __versioned__ = {"exclude": ["secret", "kind"]}
                __mapper_args__ = {"version_id_col": mapped_column("counter", nullable=False)}
                id: Mapped[int] = mapped_column(primary_key=True)
                name: Mapped[str] = mapped_column("title", String(20))
                counter: Mapped[int] = __mapper_args__["version_id_col"]
                double: Mapped[int | None] = mapped_column(Computed("number * 2", persisted=True))
                number: Mapped[int | None]
                secret: Mapped[str | None]
                kind: Mapped[str] = mapped_column(default="plain", nullable=False)
                data: Mapped[dict | None] = mapped_column(JSON)
                raw: Mapped[dict | None] = mapped_column(JSON)
                text: Mapped[str | None] = deferred(mapped_column(String(20)))

            # Not as_mutable(), which listens to all mappers for good.
            MutableDict.associate_with_attribute(Page.data)
            return Models(Base, Page)

        return keep(build)

    def test_optimistic_locking_goes_on(self, session, models):
        """The counter of the mapper is not written back."""
        page = models.Page(name="a")
        session.add(page)
        session.commit()
        page.name = "b"
        session.commit()

        page.versions[0].revert()
        session.commit()

        assert (page.name, page.counter) == ("a", 3)

    def test_excluded_columns_are_left_alone(self, session, models):
        """What history does not hold is not touched."""
        page = models.Page(name="a", secret="x", kind="k")
        session.add(page)
        session.commit()
        page.name, page.secret = "b", "y"
        session.commit()

        page.versions[0].revert()

        assert (page.name, page.secret, page.kind) == ("a", "y", "k")

    def test_excluded_columns_of_restored_objects(self, session, models, first_version):
        """What history does not hold gets its default in a restored object."""
        version = first_version(models.Page(name="a", secret="x", kind="k"))

        restored = version.revert()
        session.commit()

        assert (restored.secret, restored.kind) == (None, "plain")

    def test_computed_columns_follow(self, session, models, first_version):
        """What the database computes is not written."""
        version = first_version(models.Page(name="a", number=3))

        restored = version.revert()
        session.commit()

        assert restored.double == 6

    def test_deferred_columns(self, session, models):
        """Columns that are not loaded are put back as well."""
        page = models.Page(name="a", text="long")
        session.add(page)
        session.commit()
        page.text = "longer"
        session.commit()
        version = page.versions[0]
        session.expunge(page)

        restored = version.revert()
        session.commit()

        assert restored.text == "long"

    def test_mutable_values_are_not_shared(self, session, models):
        """Changing the live object later does not change the version."""
        page = models.Page(name="a", data={"x": 1}, raw={"y": [1]})
        session.add(page)
        session.commit()
        page.data, page.raw = {}, {}
        session.commit()
        version = page.versions[0]

        version.revert()
        page.data["x"] = 2
        page.raw["y"].append(2)

        assert (version.data, version.raw) == ({"x": 1}, {"y": [1]})

    @pytest.mark.parametrize("value", [None, null()], ids=["json", "sql"])
    def test_two_kinds_of_null(self, session, models, value):
        """SQL NULL and the JSON value null are not taken for each other."""
        page = models.Page(name="a", raw=value)
        session.add(page)
        session.commit()
        was_null = select(models.Page.raw.is_(null()))
        before = session.scalar(was_null)
        page.raw = {"x": 1}
        session.commit()

        page.versions[0].revert()
        session.commit()

        assert session.scalar(was_null) == before
        version = page.versions[0]
        session.delete(page)
        session.commit()
        version.revert()
        session.commit()
        assert session.scalar(was_null) == before

    def test_unflushed_expressions_are_replaced(self, session, models):
        """An attribute that was set to an SQL expression is set back."""
        page = models.Page(name="a", number=1)
        session.add(page)
        session.commit()
        version = page.versions[0]
        page.number = models.Page.number + 1

        version.revert()
        session.commit()

        assert page.number == 1


class TestCounters:
    """Counters of optimistic locking that the application writes."""

    @pytest.fixture
    def models(self, keep):
        """A class of which nobody but the application counts the updates."""

        def build(Base):
            class Page(Base):
                __tablename__ = "page"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                name: Mapped[str]
                counter: Mapped[int] = mapped_column()
                __mapper_args__ = {"version_id_col": counter, "version_id_generator": False}

            return Models(Base, Page)

        return keep(build)

    def test_restored_objects_have_their_counter(self, session, models, first_version):
        """A row that comes back has what it had, as nobody else would count it."""
        version = first_version(models.Page(name="a", counter=7))

        restored = version.revert()
        session.commit()

        assert restored.counter == 7


class TestIdentity:
    """Keys that the database makes itself."""

    @pytest.fixture
    def models(self, keep):
        """A class whose key is always generated."""

        def build(Base):
            class Page(Base):
                __tablename__ = "page"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
                name: Mapped[str]

            return Models(Base, Page)

        return keep(build)

    @pytest.mark.needs("identity")
    def test_keys_that_are_always_generated(self, models, first_version):
        """A row cannot be restored under a key that the database takes from nobody."""
        version = first_version(models.Page(name="a"))

        with pytest.raises(ReverterException, match="GENERATED ALWAYS"):
            version.revert()


class TestInheritance:
    """Subclasses in one table, and in tables of their own."""

    @pytest.fixture(params=["single", "joined"])
    def models(self, request, keep):
        """A zoo of two levels, and keepers of animals."""

        def build(Base, is_joined):
            class Keeper(Base):
                __tablename__ = "keeper"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                animals: Mapped[list["Animal"]] = relationship(order_by="Animal.id")

            class Animal(Base):
                __tablename__ = "animal"
                __versioned__ = {}
                __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}
                id: Mapped[int] = mapped_column(primary_key=True)
                kind: Mapped[str]
                name: Mapped[str]
                keeper_id: Mapped[int | None] = mapped_column(ForeignKey("keeper.id"))

            class Bird(Animal):
                __mapper_args__ = {"polymorphic_identity": "bird"}
                if is_joined:
                    __tablename__ = "bird"
                    bird_id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
                span: Mapped[int | None] = mapped_column()
                nests: Mapped[list["Nest"]] = relationship(order_by="Nest.id")

            class Nest(Base):
                __tablename__ = "nest"
                __versioned__ = {}
                id: Mapped[int] = mapped_column(primary_key=True)
                owner: Mapped[int | None] = mapped_column(
                    ForeignKey("bird.bird_id" if is_joined else "animal.id")
                )

            return Models(Base, Keeper, Animal, Bird, Nest)

        return keep(build, request.param == "joined")

    def test_the_right_subclass_returns(self, session, models):
        """Members of a relation come back as what they were, with all their columns."""
        make = models.factories
        keeper = make.Keeper(animals=[models.Animal(name="a"), models.Bird(name="b", span=3)])
        session.commit()
        animal, bird = keeper.animals
        bird.span = 4
        session.delete(animal)
        session.commit()
        session.delete(bird)
        session.commit()

        keeper.versions[0].revert(relations=["animals"])
        session.commit()

        restored = [(type(each), each.name) for each in keeper.animals]
        assert restored == [(models.Animal, "a"), (models.Bird, "b")]
        assert keeper.animals[1].span == 3

    def test_keys_that_another_class_has(self, session, models, first_version):
        """An object is not restored over one of another class that has its key now."""
        version = first_version(models.Bird(name="b"))
        session.add(models.Animal(id=version.id, name="a"))
        session.commit()

        with pytest.raises(ReverterException, match=r"its key belongs to .*Animal"):
            version.revert()

    @pytest.mark.parametrize(("then", "now"), [("Animal", "Bird"), ("Bird", "Animal")])
    def test_members_whose_keys_another_class_has(self, session, models, then, now):
        """A member is not put back into an object of another class that has its key now."""
        keeper = models.factories.Keeper(animals=[getattr(models, then)(name="then")])
        session.commit()
        (animal,) = keeper.animals
        identity, keeper.animals = animal.id, []
        session.delete(animal)
        session.commit()
        session.add(getattr(models, now)(id=identity, name="now"))
        session.commit()

        with pytest.raises(ReverterException, match=f"{then} {identity} .* belongs to .*{now} "):
            keeper.versions[0].revert(relations=["animals"])

    def test_statements_do_not_grow_with_subclass_objects(
        self, session, models, engine, count_statements
    ):
        """Columns of subclasses are read for all objects at once, live and past."""
        counts = []
        for number in (1, 10):
            birds = [models.Bird(name="b", span=n) for n in range(number)]
            keeper = models.factories.Keeper(animals=birds)
            session.commit()
            version = keeper.versions[0]
            session.expire_all()
            with count_statements(engine) as statements:
                revert_plan(version, relations=["animals"])
            counts.append(statements.count)

        assert counts[0] == counts[1]

    def test_relations_of_subclasses(self, session, models):
        """A path may go on with what only some of the objects have."""
        make = models.factories
        bird = models.Bird(name="b", nests=[models.Nest()])
        keeper = make.Keeper(animals=[models.Animal(name="a"), bird])
        session.commit()
        bird.nests = []
        session.commit()

        keeper.versions[0].revert(relations=["animals.nests"])
        session.commit()

        assert len(bird.nests) == 1


class TestSQLModel:
    """Models that are Pydantic's as well."""

    @pytest.fixture
    def models(self, versioning):
        """A page with a required field, and its lines."""
        sqlmodel = pytest.importorskip("sqlmodel")
        registry = sqlmodel.main.registry()

        class Base(sqlmodel.SQLModel, registry=registry):
            pass

        class Page(Base, table=True):
            __tablename__ = "page"
            __versioned__: ClassVar = {}
            id: int | None = sqlmodel.Field(default=None, primary_key=True)
            name: str = sqlmodel.Field(max_length=20)

        yield Models(Base, Page)
        registry.dispose()

    def test_sqlmodels_are_restored(self, session, models, first_version):
        """A restored model can be used as one that was loaded."""
        version = first_version(models.Page(name="a"))

        restored = version.revert()
        session.commit()

        assert session.get(models.Page, version.id).model_dump() == restored.model_dump()
        assert restored.name == "a"


class TestCompositeKeys:
    """Keys and references of several columns."""

    @pytest.fixture
    def models(self, keep):
        """Chapters that have the key of their book in their own."""

        def build(Base):
            class Book(Base):
                __tablename__ = "book"
                __versioned__ = {}
                title: Mapped[str] = mapped_column(String(20), primary_key=True)
                edition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
                note: Mapped[str | None]
                chapters: Mapped[list["Chapter"]] = relationship(
                    back_populates="book", order_by="Chapter.number", cascade="all, delete-orphan"
                )

            class Chapter(Base):
                __tablename__ = "chapter"
                __versioned__ = {}
                title: Mapped[str] = mapped_column(String(20), primary_key=True)
                edition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
                number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
                text: Mapped[str | None]
                book: Mapped[Book] = relationship(back_populates="chapters")
                __table_args__ = (
                    ForeignKeyConstraint(["title", "edition"], ["book.title", "book.edition"]),
                )

            return Models(Base, Book, Chapter)

        return keep(build)

    def test_composite_keys(self, session, models):
        """Rows are found and restored by keys of several columns."""
        chapters = [models.Chapter(number=n, text=str(n)) for n in (1, 2)]
        book = models.Book(title="x", edition=1, chapters=chapters)
        session.add(book)
        session.commit()
        version = book.versions[0]
        session.delete(book)
        session.commit()

        restored = version.revert(relations=["chapters.book"])
        session.commit()

        assert [(c.title, c.number, c.text) for c in restored.chapters] == [
            ("x", 1, "1"),
            ("x", 2, "2"),
        ]
