"""Models of every shape that recording must cope with, and programs that work on them.

A :class:`Program` runs a list of steps in one session; what the steps mean is decided by a few
small numbers each, so that any list of numbers is a program.  ``tests/images.py`` knows what
version tables must hold, from nothing but looking at the live tables.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    func,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

NAMES = ("a", "b", "A")


class Zoo(NamedTuple):
    """The classes of :func:`build_zoo` and the tables behind them."""

    base: Any
    classes: dict[str, type]
    links: dict[str, Table]

    @property
    def metadata(self) -> MetaData:
        """The metadata of the base."""
        return self.base.metadata

    @property
    def roots(self) -> list[type]:
        """The classes that have no superclass among the others."""
        return [c for c in self.classes.values() if c.__mapper__.inherits is None]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.classes[name]
        except KeyError as error:
            raise AttributeError(name) from error


def build_zoo(Base: Any, *, versioned: bool = True) -> Zoo:
    """Declare one class, or hierarchy of classes, of each shape."""
    said = {"__versioned__": {}} if versioned else {}

    class Mixin:
        locals().update(said)

    links = {
        "tags": Table(
            "post_tag",
            Base.metadata,
            Column("post_id", ForeignKey("post.id"), primary_key=True),
            Column("tag_id", ForeignKey("tag.id"), primary_key=True),
        ),
        "marks": Table(
            "post_mark",
            Base.metadata,
            Column("post_id", ForeignKey("post.id"), nullable=False),
            Column("tag_id", ForeignKey("tag.id"), nullable=False),
        ),
        "labels": Table(
            "post_label",
            Base.metadata,
            Column("id", Integer, primary_key=True),
            Column("post_id", ForeignKey("post.id"), nullable=False),
            Column("tag_id", ForeignKey("tag.id"), nullable=False),
            Column("weight", Integer, server_default="1"),
        ),
    }

    class Plain(Mixin, Base):
        __tablename__ = "plain"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Natural(Mixin, Base):
        __tablename__ = "natural_key"
        code: Mapped[str] = mapped_column(String(50), primary_key=True)
        name: Mapped[str | None]

    class Pair(Mixin, Base):
        __tablename__ = "pair"
        left: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        right: Mapped[str] = mapped_column(String(50), primary_key=True)
        name: Mapped[str | None]

    class Animal(Mixin, Base):
        __tablename__ = "animal"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        kind: Mapped[str]
        name: Mapped[str | None]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

    class Dog(Animal):
        __tablename__ = "dog"
        dog_id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
        breed: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "dog"}

    class Puppy(Dog):
        __tablename__ = "puppy"
        puppy_id: Mapped[int] = mapped_column(ForeignKey("dog.dog_id"), primary_key=True)
        toy: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "puppy"}

    class Vehicle(Mixin, Base):
        __tablename__ = "vehicle"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        kind: Mapped[str]
        name: Mapped[str | None]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}

    class Car(Vehicle):
        breed: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "car"}

    class Post(Mixin, Base):
        __tablename__ = "post"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        tags = relationship("Tag", secondary=links["tags"], backref="posts")
        marks = relationship("Tag", secondary=links["marks"])
        labels = relationship("Tag", secondary=links["labels"])
        notes = relationship("Note", backref="post")

    class Tag(Mixin, Base):
        __tablename__ = "tag"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    class Note(Mixin, Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]
        post_id: Mapped[int | None] = mapped_column(ForeignKey("post.id"))

    classes = (Plain, Natural, Pair, Animal, Dog, Puppy, Vehicle, Car, Post, Tag, Note)
    return Zoo(Base, {cls.__name__: cls for cls in classes}, links)


# -- programs ---------------------------------------------------------------------------------


class Program:
    """Steps carried out in one session: ``program.run([("add", 3, 1), ("commit", 0, 0)])``."""

    def __init__(
        self, zoo: Zoo, session: Session, after_commit: Callable[[], Any] = lambda: None
    ) -> None:
        self.zoo = zoo
        self.session = session
        self.after_commit = after_commit
        self.savepoints: list[Any] = []
        self.errors: list[str] = []
        self._numbers = iter(range(1000, 10**9))

    def populate(self) -> None:
        """Commit a few objects of each class, with links."""
        for which in range(len(self.zoo.classes)):
            for value in (which, which + 1, which):
                self._add(which, value)
        for number in range(6):
            self._link(number, number)
        self._commit(0, 0)

    def run(self, steps: Any) -> None:
        """Carry out *steps*; what the database refuses is noted and rolled back."""
        for name, which, value in [*steps, ("commit", 0, 0)]:
            try:
                getattr(self, f"_{name}")(which, value)
            except SQLAlchemyError as error:
                self.errors.append(type(error).__name__)
                self._rollback(0, 0)

    def _objects(self, *classes: type) -> list[Any]:
        """Return the objects that there are, pending ones included, in a fixed order."""
        session = self.session
        with session.no_autoflush:
            found = [o for cls in classes for o in session.scalars(select(cls))]
        found += [o for o in session.new if isinstance(o, classes)]
        found = [o for o in dict.fromkeys(found) if o not in session.deleted]
        return sorted(found, key=lambda o: (type(o).__name__, id_of(o)))

    def _any(self, which: int) -> Any:
        objects = self._objects(*self.zoo.roots)
        return objects[which % len(objects)] if objects else None

    def _key(self, cls: type, value: int) -> dict[str, Any]:
        name = cls.__name__
        if name == "Natural":
            return {"code": f"n{value % 4}"}
        if name == "Pair":
            return {"left": value % 2, "right": f"r{value % 3}"}
        if name in ("Animal", "Dog", "Puppy", "Vehicle", "Car"):
            return {"id": value % 4}
        return {"id": next(self._numbers)}

    def _is_taken(self, cls: type, key: dict[str, Any]) -> bool:
        base = next(root for root in self.zoo.roots if issubclass(cls, root))
        # SQLAlchemy leaves rows behind where an object takes the place of one of another class.
        others = [*self._objects(base), *(o for o in self.session.deleted if isinstance(o, base))]
        return any(all(getattr(o, name) == value for name, value in key.items()) for o in others)

    def _add(self, which: int, value: int) -> None:
        classes = list(self.zoo.classes.values())
        cls = classes[which % len(classes)]
        key = self._key(cls, value)
        if not self._is_taken(cls, key):
            self.session.add(cls(name=NAMES[value % 3], **key))

    def _clash(self, which: int, value: int) -> None:
        """Point to what does not exist, so that the flush fails."""
        self.session.add(self.zoo.Note(id=next(self._numbers), post_id=-1))

    def _set(self, which: int, value: int) -> None:
        if (found := self._any(which)) is not None:
            attribute = "breed" if value % 4 == 3 and hasattr(found, "breed") else "name"
            setattr(found, attribute, (*NAMES, None)[value % 4])

    def _toy(self, which: int, value: int) -> None:
        puppies = self._objects(self.zoo.Puppy)
        if puppies:
            puppies[which % len(puppies)].toy = NAMES[value % 3]

    def _expression(self, which: int, value: int) -> None:
        found = self._objects(self.zoo.Plain)
        if found:
            found[which % len(found)].name = func.lower(NAMES[value % 3])

    def _delete(self, which: int, value: int) -> None:
        found = self._any(which)
        if found is None:
            return
        if found in self.session.new:
            self.session.expunge(found)
        else:
            self.session.delete(found)

    def _switch(self, which: int, value: int) -> None:
        """Delete an object and add another of its class with its key, in one flush."""
        found = self._any(which)
        if found is None or found in self.session.new or type(found).__name__ in ("Post", "Tag"):
            return
        cls = type(found)
        names = [cls.__mapper__.get_property_by_column(c).key for c in cls.__mapper__.primary_key]
        key = dict(zip(names, id_of(found), strict=True))
        self.session.delete(found)
        self.session.add(cls(name=NAMES[value % 3], **key))

    def _rename(self, which: int, value: int) -> None:
        found = self._objects(self.zoo.Natural, self.zoo.Pair)
        if found:
            renamed = found[which % len(found)]
            key = self._key(type(renamed), value)
            if not self._is_taken(type(renamed), key):
                for name, new in key.items():
                    setattr(renamed, name, new)

    def _link(self, which: int, value: int) -> None:
        posts, tags = self._objects(self.zoo.Post), self._objects(self.zoo.Tag)
        if not posts or not tags:
            return
        with self.session.no_autoflush:
            links = getattr(posts[which % len(posts)], ("tags", "marks", "labels")[value % 3])
            tag = tags[(value // 3) % len(tags)]
            links.remove(tag) if tag in links else links.append(tag)

    def _note(self, which: int, value: int) -> None:
        """Move a note to another post, or to none."""
        posts, notes = self._objects(self.zoo.Post), self._objects(self.zoo.Note)
        if posts and notes:
            with self.session.no_autoflush:
                place = value % (len(posts) + 1)
                notes[which % len(notes)].post = posts[place] if place < len(posts) else None

    def _flush(self, which: int, value: int) -> None:
        self.session.flush()

    def _expire(self, which: int, value: int) -> None:
        self.session.flush()
        self.session.expire_all()

    def _savepoint(self, which: int, value: int) -> None:
        self.savepoints.append(self.session.begin_nested())

    def _release(self, which: int, value: int) -> None:
        if self.savepoints:
            self.savepoints.pop().commit()

    def _undo(self, which: int, value: int) -> None:
        if self.savepoints:
            self.savepoints.pop().rollback()

    def _commit(self, which: int, value: int) -> None:
        self.savepoints.clear()
        self.session.commit()
        self.after_commit()

    def _rollback(self, which: int, value: int) -> None:
        self.savepoints.clear()
        self.session.rollback()


#: The steps programs are made of, the more frequent ones several times.
STEPS = [
    *["add", "set", "delete", "flush", "savepoint", "commit"] * 2,
    *["set", "link", "link", "link"],
    *["toy", "switch", "rename", "note", "expire", "release", "undo", "rollback"],
    *["expression", "clash"],
]


def id_of(instance: Any) -> tuple[Any, ...]:
    """Return the primary key of an object."""
    return tuple(instance.__mapper__.primary_key_from_instance(instance))


# -- its tables ------------------------------------------------------------------------------


def zoo_tables(zoo: Zoo) -> dict[str, tuple[Table, list[Column]]]:
    """Return the tables by name, each with the columns its rows are recognised by."""
    tables = {
        cls.__table__.name: (cls.__table__, list(cls.__table__.primary_key))
        for cls in zoo.classes.values()
    }
    for table in zoo.links.values():
        linked = (table.c.post_id, table.c.tag_id)
        tables[table.name] = (table, list(dict.fromkeys((*table.primary_key, *linked))))
    return tables


def zoo_objects(zoo: Zoo) -> list[list[str]]:
    """Return the names of the tables, those that share objects together."""
    joined = ["animal", "dog", "puppy"]
    return [joined, *[[name] for name in zoo_tables(zoo) if name not in joined]]
