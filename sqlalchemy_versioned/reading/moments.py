"""Points in history: what callers may say for one, and which it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select, Table, func, select
from sqlalchemy.orm import Session, configure_mappers

from .._typing import mapper_of
from ..database.sessions import numbering_connection
from ..exc import ClassNotVersioned, IncompleteHistory, VersioningError
from ..model.lookup import all_specs, bind_arguments_of
from ..model.spec import ClassSpec
from ..query.history import select_point

__all__ = [
    "Moment",
    "find_moment",
    "find_oldest",
    "histories",
    "transaction_class_of",
    "transaction_tables",
]

#: What is recorded under each Transaction class.
Histories: TypeAlias = dict[type[Any], list[ClassSpec]]


@dataclass(frozen=True)
class Moment:
    """A point in history, and the mark of the objects that were loaded as of it."""

    #: The id of the last transaction that is seen.
    transaction_id: int

    def __str__(self) -> str:
        return f"transaction {self.transaction_id}"


def histories() -> Histories:
    """Return what is recorded under each Transaction class.

    Which classes there are is asked of every mapper, so whoever opens a past asks once.
    """
    # The first use of the models may be to read their past.
    configure_mappers()
    found: Histories = {}
    for spec in all_specs():
        found.setdefault(spec.transaction_class, []).append(spec)
    return found


def transaction_class_of(when: Any, classes: Histories) -> type[Any]:
    """Return the Transaction class of *classes* that *when* is about."""
    if not classes:
        raise ClassNotVersioned(
            "there are no versioned classes, nor tables with a key, and so no history to read"
        )
    for cls in classes:
        if isinstance(when, cls):
            return cls
    if len(classes) > 1:
        # Their classes may well have one name.
        tables = (f"{c.__table__.fullname} for that of {_first(s)}" for c, s in classes.items())
        raise VersioningError(
            f"{when!r} may mean a transaction of several histories, in the tables "
            f"{', '.join(sorted(tables))}; give a Transaction"
        )
    return next(iter(classes))


def _first(recorded: list[ClassSpec]) -> str:
    return min(spec.tables[-1].parent_table.fullname for spec in recorded)


def transaction_tables(recorded: list[ClassSpec]) -> frozenset[Table]:
    """Return the tables, one in each ``MetaData``, in which a moment of them is a number."""
    return frozenset(table.transaction_table for spec in recorded for table in spec.tables)


def find_moment(
    live: Session, cls: Any, when: Any, recorded: list[ClassSpec], on_incomplete: str
) -> tuple[Moment, int | None]:
    """Return the moment that *when* means, and the oldest transaction there is.

    :param recorded: what is recorded under the Transaction class *cls*.
    """
    connection = _numbering(live, cls, recorded)
    wanted = select_point(connection, cls, when).scalar_subquery()
    oldest = _select_oldest(cls).scalar_subquery()
    found, horizon = connection.execute(select(wanted, oldest)).one()
    if found is not None:
        return Moment(found), horizon
    if not isinstance(when, datetime):
        raise VersioningError(
            f"there is no transaction {getattr(when, 'id', when)!r}; give one that is in the table "
            f"{cls.__table__.fullname}, or a datetime with a time zone"
        )
    if on_incomplete == "raise":
        raise IncompleteHistory(
            f"history begins after {when.isoformat()}: there is no transaction so early; choose a "
            "later moment, or pass on_incomplete='ignore' to find nothing"
        )
    return Moment(0), horizon


def find_oldest(live: Session, cls: Any, recorded: list[ClassSpec]) -> int | None:
    """Return the oldest transaction there is; pruning adds an older one."""
    oldest: int | None = _numbering(live, cls, recorded).scalar(_select_oldest(cls))
    return oldest


def _select_oldest(cls: Any) -> Select[Any]:
    return select(func.min(cls.id))


def _numbering(live: Session, cls: Any, recorded: list[ClassSpec]) -> Connection:
    others = (bind_arguments_of(spec) for spec in recorded)
    return numbering_connection(live, mapper_of(cls), others, is_read=True)
