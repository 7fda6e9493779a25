"""Animals: a class hierarchy, some of whose classes have a table of their own."""

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.factories import ANIMAL_DECLARATIONS
from tests.models import Models


def build_animals(Base: type[DeclarativeBase]) -> Models:
    """Declare versioned animals: cats have a table more, whose key has another name; dogs not."""

    class Animal(Base):
        __tablename__ = "animal"
        __versioned__ = {}
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        name: Mapped[str | None]

    class Cat(Animal):
        __tablename__ = "cat"
        __mapper_args__ = {"polymorphic_identity": "cat"}

        number: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        lives: Mapped[int]
        likes: Mapped[dict | None] = mapped_column(JSON)

    class Dog(Animal):
        __mapper_args__ = {"polymorphic_identity": "dog"}

    return Models(Base, Animal, Cat, Dog, declarations=ANIMAL_DECLARATIONS)
