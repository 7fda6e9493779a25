"""Finding what a test should have cleaned up. Reads registries that SQLAlchemy keeps private."""

import gc
import sys
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.event.registry import _key_to_collection
from sqlalchemy.orm import Mapper, QueryableAttribute, Session, registry
from sqlalchemy.orm.mapper import _all_registries
from sqlalchemy.pool import Pool

#: Classes whose listeners hear every instance of a process.
WATCHED = (Session, Mapper, Engine, Connection, Pool, MetaData, Table, QueryableAttribute)

#: What identifies a listener, and weak references to the collections that hold it.
Registrations = dict[Any, list[Any]]


def list_listeners() -> set[tuple[str, str, int, str]]:
    """Return the listeners registered on the watched classes themselves."""
    return {
        (target.__name__, event, id(listener), _name(listener))
        for target in WATCHED
        for event in target.dispatch._event_names
        for listener in getattr(target.dispatch, event)._clslevel.get(target, ())
    }


def list_registrations(targets: Iterable[Any]) -> Registrations:
    """Return the listeners registered on *targets* themselves, and where each is held."""
    numbers = set(map(id, targets))
    # Of a copy, because the garbage collector takes entries out at any time.
    known = dict(_key_to_collection)
    return {key: list(held) for key, held in known.items() if key[0] in numbers}


def are_registrations_unchanged(before: Registrations, now: Registrations) -> bool:
    """Tell whether no listener was added or removed."""
    # What listened to an object that is gone can be among those from before, under the number
    # of a new object; where it was held is gone as well.
    gone = [held for key, held in before.items() if key not in now]
    return now.keys() <= before.keys() and not any(ref() for held in gone for ref in held)


def dispose_registries(registries: Iterable[registry]) -> None:
    """Dispose the mappers of *registries*, and those that depend on them."""
    for each in registries:
        each.dispose(cascade=True)


def all_registries() -> set[registry]:
    """Return the registries that mappers were made in."""
    return set(_all_registries())


def find_units_of_work() -> list[Any]:
    """Return the units of work that are still in memory."""
    module = sys.modules.get("sqlalchemy_versioned.recording.unit_of_work")
    if module is None:
        return []
    if module.UnitOfWork not in _watched:
        _watch(module.UnitOfWork)
    return list(_units)


#: The classes whose objects are noted as they are made, and the objects.
_watched: set[type] = set()
_units: WeakSet[Any] = WeakSet()


def _watch(cls: type[Any]) -> None:
    # Walking the heap for them after each module takes longer than most tests.
    make = cls.__init__

    def note(self: Any, *arguments: Any) -> None:
        _units.add(self)
        make(self, *arguments)

    cls.__init__ = note
    _watched.add(cls)
    _units.update(each for each in gc.get_objects() if type(each) is cls)


def _name(listener: Any) -> str:
    return getattr(listener, "__qualname__", repr(listener))
