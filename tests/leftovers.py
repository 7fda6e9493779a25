"""Finding what a test should have cleaned up. Reads SQLAlchemy's event registries."""

import gc
import sys
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.orm import Mapper, QueryableAttribute, Session
from sqlalchemy.pool import Pool

#: Classes whose listeners hear every instance of a process.
WATCHED = (Session, Mapper, Engine, Connection, Pool, MetaData, Table, QueryableAttribute)


def list_listeners() -> set[tuple[str, str, int, str]]:
    """Return the listeners registered on the watched classes themselves."""
    return {
        (target.__name__, event, id(listener), _name(listener))
        for target in WATCHED
        for event in target.dispatch._event_names
        for listener in getattr(target.dispatch, event)._clslevel.get(target, ())
    }


def find_units_of_work() -> list[Any]:
    """Return the units of work that are still in memory."""
    module = sys.modules.get("sqlalchemy_versioned.unit_of_work")
    if module is None:
        return []
    return [each for each in gc.get_objects() if type(each) is module.UnitOfWork]


def _name(listener: Any) -> str:
    return getattr(listener, "__qualname__", repr(listener))
