"""Random programs, over whatever classes there are: what applications do, and what goes wrong."""

import random
import traceback
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Integer, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session

from sqlalchemy_versioned import VersioningError
from tests.declarations.attributes import (
    is_in_circle,
    key_columns,
    key_names,
    key_of,
    label,
    references,
    said,
    settable_columns,
    writable_relationships,
)
from tests.declarations.kinds import Point, draw_value
from tests.declarations.worlds import World, root_of

#: What SQLAlchemy raises of mistakes of a program, and what the library refuses.
REFUSALS = (SQLAlchemyError, VersioningError)
WATCHING = "sqlalchemy_versioned._sqlalchemy.watching"


class Program:
    """Steps in one session, drawn by chance from what there is."""

    #: The steps, and how often each comes.
    STEPS = {
        **{"add": 12, "set": 8, "refer": 8, "delete": 4, "flush": 6, "rekey": 2, "switch": 1},
        **{"mutate": 2, "express": 1, "expire": 2, "merge": 2, "attempt": 2},
        **{"savepoint": 3, "release": 2, "undo": 2, "commit": 6, "rollback": 1},
    }

    def __init__(
        self,
        world: World,
        session: Session,
        chance: random.Random,
        after_step: Callable[[str], Any] = lambda name: None,
    ) -> None:
        self.world, self.session, self.chance = world, session, chance
        self.after_step = after_step
        #: What was done, a line for each step, with what was raised.
        self.trace: list[str] = []
        self.savepoints: list[Any] = []

    def run(self, number: int) -> None:
        """Carry out a number of steps, and commit."""
        for _ in range(number):
            self.do(*self.chance.choices(list(self.STEPS), list(self.STEPS.values())))
        self.do("commit")

    def do(self, name: str) -> None:
        """Carry out one step; what is refused is rolled back."""
        self.trace.append(name)
        try:
            getattr(self, f"_{name}")()
        except Exception as error:
            if not is_answer(error):
                raise
            self.note(error)
            self._rollback()
            name = "rollback"
        self.after_step(name)

    def note(self, error: BaseException) -> None:
        """Say what was raised."""
        self.trace.append(f"  # {type(error).__name__}: {str(error)[:300]}")

    def _say(self, text: str) -> None:
        self.trace[-1] = f"{self.trace[-1]}: {text}"

    # -- what there is -------------------------------------------------------------------

    def objects(self, *classes: type) -> list[Any]:
        """Return the objects of some classes, pending ones included, in a fixed order."""
        session = self.session
        with session.no_autoflush:
            stored = [
                obj
                for cls in classes or self.world.roots
                for obj in session.scalars(select(cls)).unique()
                if obj not in session.deleted
            ]
        stored.sort(key=label)
        pending = [
            obj for obj in session.new if isinstance(obj, classes or tuple(self.world.roots))
        ]
        return list(dict.fromkeys([*stored, *pending]))

    def any(self, *classes: type) -> Any | None:
        """Return one of the objects of some classes, or ``None`` if there are none."""
        found = self.objects(*classes)
        return self.chance.choice(found) if found else None

    def is_taken(self, cls: type, key: tuple[Any, ...]) -> bool:
        """Tell whether there is an object with a key."""
        root = root_of(inspect(cls)).class_
        found = self.objects(root)
        if is_in_circle(inspect(cls)):
            # SQLAlchemy would delete the row that it has just given to the other.
            found += [obj for obj in self.session.deleted if isinstance(obj, root)]
        return any(key_of(obj) == key for obj in found)

    def new_key(self, cls: type) -> dict[str, Any] | None:
        """Return the values of a key that is no reference; mostly ``None`` if it is taken."""
        mapper = inspect(cls)
        key = {
            attribute: draw_value(self.chance, column.type)
            for attribute, column in key_columns(mapper)
        }
        is_numbered = len(key) == 1 and isinstance(mapper.primary_key[0].type, Integer)
        if is_numbered and self.chance.random() < 0.5:
            return {}
        if self.is_taken(cls, tuple(key.values())) and self.chance.random() < 0.9:
            return None
        return key

    def values(self, mapper: Mapper[Any], share: float = 0.7) -> dict[str, Any]:
        """Return values for some of the columns that can be set, in a fixed order."""
        return {
            name: self.value(column)
            for name, column in settable_columns(mapper)
            if not column.nullable or self.chance.random() < share
        }

    def value(self, column: Column[Any]) -> Any:
        """Return a value for a column, sometimes none."""
        if column.nullable and self.chance.random() < 0.1:
            return None
        return draw_value(self.chance, column.type)

    # -- steps of objects ----------------------------------------------------------------

    def _add(self) -> None:
        if (made := self.make()) is not None:
            self.session.add(made)
            self._say(label(made))

    def make(self, cls: type | None = None) -> Any | None:
        """Return a new object with what it refers to, or ``None`` if that cannot be made."""
        cls = cls or self.chance.choice(self.world.classes)
        mapper = inspect(cls)
        key = self.new_key(cls)
        if key is None:
            return None
        values = {**self.values(mapper), **key}
        for reference in references(mapper):
            is_key = any(column.primary_key for column in reference.local_columns)
            if is_key or self.chance.random() < 0.5:
                target = self.any(reference.mapper.class_)
                if target is None and is_key:
                    return None
                values[reference.key] = target
                for column in reference.local_columns if is_key else ():
                    values.pop(mapper.get_property_by_column(column).key, None)
        self._say(f"{cls.__name__}({said(values)})")
        with self.session.no_autoflush:
            return cls(**values)

    def _set(self) -> None:
        if (found := self.any()) is None:
            return
        mapper = inspect(type(found))
        choices = dict(settable_columns(mapper))
        name = self.chance.choice([*choices, *mapper.composites.keys(), *mapper.synonyms.keys()])
        if name in mapper.composites:
            value: Any = Point(self.chance.choice((1, 2, None)), self.chance.choice((1, 2)))
        elif name in mapper.synonyms:
            value = self.chance.choice((7, 8))
        else:
            value = self.value(choices[name])
        self._say(f"{label(found)}.{name} = {value!r}")
        setattr(found, name, value)

    def _express(self) -> None:
        """Set a number to what the database is to compute."""
        if (found := self.any()) is None:
            return
        for name, column in settable_columns(inspect(type(found))):
            if isinstance(column.type, Integer):
                self._say(f"{label(found)}.{name} = {name} + 1")
                setattr(found, name, getattr(type(found), name) + 1)
                return

    def _mutate(self) -> None:
        """Change a value in its place."""
        for found in self.objects():
            for name, _ in settable_columns(inspect(type(found))):
                if hasattr(value := getattr(found, name), "changed"):
                    value[self.chance.choice("abc")] = self.chance.randrange(3)
                    self._say(f"{label(found)}.{name} is now {value!r}")
                    return

    def _refer(self) -> None:
        """Let an object refer to another, or no longer."""
        if (found := self.any()) is None:
            return
        relationships = writable_relationships(inspect(type(found)))
        if not relationships:
            return
        relationship = self.chance.choice(relationships)
        other = self.any(relationship.mapper.class_)
        name = f"{label(found)}.{relationship.key}"
        with self.session.no_autoflush:
            if not relationship.uselist:
                other = None if self.chance.random() < 0.3 else other
                self._say(f"{name} = {label(other)}")
                setattr(found, relationship.key, other)
            elif other is not None:
                self._say(f"{name} has or loses {label(other)}")
                self._move(getattr(found, relationship.key), relationship, other, found)

    def _move(self, members: Any, relationship: Any, other: Any, owner: Any) -> None:
        if relationship.lazy == "write_only":
            is_member = inspect(owner).persistent and other in self.session.scalars(
                members.select()
            )
        else:
            is_member = other in members
        if is_member:
            members.remove(other)
        else:
            (members.add if hasattr(members, "add") else members.append)(other)

    def _delete(self) -> None:
        if (found := self.any()) is None:
            return
        self._say(label(found))
        if found in self.session.new:
            self.session.expunge(found)
        else:
            self.session.delete(found)

    def _rekey(self) -> None:
        """Give an object another key."""
        found = self.any()
        if found is None or not (key := self.new_key(type(found))):
            return
        self._say(f"{label(found)} becomes {said(key)}")
        for name, value in key.items():
            setattr(found, name, value)

    def _switch(self) -> None:
        """Delete an object and add another with its key, in one flush."""
        found = self.any()
        if found is None or found in self.session.new:
            return
        mapper = inspect(type(found))
        if is_in_circle(mapper):
            # SQLAlchemy would delete the row that it has just given to the other.
            return
        key = dict(zip(key_names(mapper), key_of(found), strict=True))
        values = {**self.values(mapper), **key}
        self._say(f"{label(found)} for one of {said(values)}")
        self.session.delete(found)
        self.session.add(type(found)(**values))

    def _merge(self) -> None:
        found = self.any()
        if found is None or found in self.session.new:
            return
        mapper = inspect(type(found))
        key = dict(zip(key_names(mapper), key_of(found), strict=True))
        values = {**self.values(mapper, 0.4), **key}
        self._say(f"{type(found).__name__}({said(values)})")
        self.session.merge(type(found)(**values))

    def _attempt(self) -> None:
        """Do in a savepoint what fails, and go on."""
        if (found := self.any()) is None or found in self.session.new:
            return
        self.session.flush()
        root = root_of(inspect(type(found)))
        names = [column.key for column in root.primary_key]
        self._say(f"another {label(found)}")
        nested = self.session.begin_nested()
        try:
            values = dict(zip(names, key_of(found), strict=True))
            self.session.execute(root.local_table.insert(), values)
            nested.commit()
        except REFUSALS as error:
            self.note(error)
            nested.rollback()

    # -- steps of sessions ---------------------------------------------------------------

    def _flush(self) -> None:
        self.session.flush()

    def _expire(self) -> None:
        self.session.flush()
        found = self.any()
        if found is not None and self.chance.random() < 0.5:
            self._say(label(found))
            (self.session.refresh if self.chance.random() < 0.5 else self.session.expire)(found)
        else:
            self.session.expire_all()

    def _savepoint(self) -> None:
        self.savepoints.append(self.session.begin_nested())

    def _release(self) -> None:
        if self.savepoints:
            self.savepoints.pop().commit()

    def _undo(self) -> None:
        if self.savepoints:
            self.savepoints.pop().rollback()

    def _commit(self) -> None:
        self.savepoints.clear()
        self.session.commit()

    def _rollback(self) -> None:
        self.savepoints.clear()
        self.session.rollback()


def is_answer(error: Exception) -> bool:
    """Tell whether it is an error that somebody may get who does what a program has done.

    SQLAlchemy raises some that are none of its own, such as for keys that would become empty.
    """
    if isinstance(error, REFUSALS):
        return True
    frames = traceback.walk_tb(error.__traceback__)
    names = [frame.f_globals.get("__name__", "") for frame, _ in frames]
    # What watches a connection stands between SQLAlchemy and itself.
    rooms = {name.partition(".")[0] for name in names if name != WATCHING}
    return "sqlalchemy_versioned" not in rooms and "sqlalchemy" in rooms
