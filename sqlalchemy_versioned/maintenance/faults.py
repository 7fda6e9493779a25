"""Is history true?  :func:`verify` reconciles it with the live rows, and with itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy.orm import Session

from ..database.sessions import awaited_as
from ..model.operation import Operation
from ..query.hierarchies import select_left_out_versions, select_split_objects
from ..query.ranges import Range
from ..query.verify import (
    select_broken_chains,
    select_different_rows,
    select_missing_deletions,
    select_orphans,
)
from .places import Place, Progress, check_pace, find_places, present_session, ranges

__all__ = ["Fault", "FaultKind", "faults_within", "orphans_within", "verify"]


class FaultKind(Enum):
    """What can be wrong with a history.

    >>> [fault for fault in verify(session) if fault.kind is FaultKind.OPEN]
    []
    """

    #: A version ends before the next one begins.
    GAP = "gap"
    #: A version ends after the next one begins.
    OVERLAP = "overlap"
    #: A version is open although there is a next one.
    OPEN = "open"
    #: The newest version has ended.
    CLOSED = "closed"
    #: The operation of a version cannot follow that of the one before: an insertion of what was
    #: there, or something else than an insertion of what was gone.
    IMPOSSIBLE = "impossible"
    #: The row is not as its newest version says.
    DIFFERENT = "different"
    #: The row is there, and its newest version is a deletion.
    MISSING_INSERT = "missing insert"
    #: The row is gone, and its newest version is no deletion.
    MISSING_DELETE = "missing delete"
    #: The row has no version.
    UNRECORDED = "unrecorded"
    #: There is no such transaction.
    ORPHAN = "orphan"
    #: The tables of one object do not say the same.
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in history that is not as it must be.

    >>> print(Fault(FaultKind.CLOSED, "article", (1,), transaction_id=7, found=9))
    article 1: closed; version of transaction 7 ends at 9
    """

    kind: FaultKind
    #: The name of the parent table.
    table: str
    key: tuple[Any, ...]
    #: The transaction of the version that is wrong, if there is one.
    transaction_id: int | None = None
    #: The columns that differ.
    columns: tuple[str, ...] = ()
    #: Where the version ends, if that is wrong.
    found: int | None = None
    #: Where it should end.
    expected: int | None = None
    #: The operation of the version before, and its own, if that cannot follow.
    operations: tuple[Operation, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.table} {', '.join(map(str, self.key))}: {self.kind.value}"]
        if self.transaction_id is not None:
            parts.append(f"version of transaction {self.transaction_id}")
        text = "; ".join(parts)
        if self.found is not None or self.expected is not None:
            text += " is open" if self.found is None else f" ends at {self.found}"
        if self.expected is not None:
            text += f", the next begins at {self.expected}"
        if self.operations:
            text += ", {1.name} after {0.name}".format(*self.operations)
        return text + (f" in {', '.join(self.columns)}" if self.columns else "")


@awaited_as("verify(…)")
def verify(
    session: Any, *models: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> list[Fault]:
    """Compare history with the live rows, and with itself; return what is wrong.

    Nothing is changed.  What others write meanwhile may show as a fault; in a transaction of
    isolation level REPEATABLE READ or above it does not.

    :param models: versioned classes, each with all it shares tables with by inheritance, and
        tables without a class; all that there are unless given.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the table and how many of its rows were looked at.
    :raises ClassNotVersioned: if one of *models* is not versioned.
    :raises InvalidArgument: if *batch_size* is less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> verify(session, Article)
    []
    """
    check_pace(batch_size, progress)
    found = present_session(session)
    faults: list[Fault] = []
    for place in find_places(models):
        for within in ranges(found, place, batch_size, progress):
            faults += faults_within(found, place, within)
    return faults


def faults_within(session: Session, place: Place, within: Range) -> Iterator[Fault]:
    """Yield what is wrong with the history of a range of a table."""
    spec, name = place.spec, place.spec.parent_table.fullname
    size = len(spec.key)

    def run(statement: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
        for row in session.execute(statement, **place.where):
            yield tuple(row[:size]), row

    for key, row in run(select_broken_chains(spec, within, place.left_out)):
        yield from _faults_of_version(name, key, row)
    for key, row in run(select_different_rows(spec, within, place.left_out)):
        differing = [
            p.parent.name for p, flag in zip(spec.pairs, row[size + 2 :], strict=True) if flag
        ]
        yield _fault_of_row(name, key, row, tuple(differing))
    for key, row in run(select_missing_deletions(spec, within, place.left_out)):
        yield Fault(FaultKind.MISSING_DELETE, name, key, row.began)
    yield from orphans_within(session, place, within)
    # The base-most table is what the others are compared with.
    if spec is not place.first:
        for statement in (
            select_split_objects(spec, place.first, within),
            select_left_out_versions(spec, place.first, within, place.others),
        ):
            for key, row in run(statement):
                yield Fault(FaultKind.SPLIT, name, key, row[size])


def orphans_within(session: Session, place: Place, within: Range) -> Iterator[Fault]:
    """Yield the versions in a range of a table whose transactions do not exist."""
    for row in session.execute(select_orphans(place.spec, within), **place.where):
        *key, number = row
        yield Fault(FaultKind.ORPHAN, place.spec.parent_table.fullname, tuple(key), number)


def _faults_of_version(name: str, key: tuple[Any, ...], row: Any) -> Iterator[Fault]:
    if row.is_broken:
        kind = _kind_of_break(row.ended, row.followed)
        yield Fault(kind, name, key, row.began, found=row.ended, expected=row.followed)
    if row.is_impossible:
        operations = Operation(row.preceded), Operation(row.operation)
        yield Fault(FaultKind.IMPOSSIBLE, name, key, row.began, operations=operations)


def _kind_of_break(ended: int | None, followed: int | None) -> FaultKind:
    if followed is None:
        return FaultKind.CLOSED
    if ended is None:
        return FaultKind.OPEN
    return FaultKind.GAP if ended < followed else FaultKind.OVERLAP


def _fault_of_row(name: str, key: tuple[Any, ...], row: Any, differing: tuple[str, ...]) -> Fault:
    # No version was joined, so all that follows would be NULL as well.
    if row.began is None:
        return Fault(FaultKind.UNRECORDED, name, key)
    if row.operation == Operation.DELETE:
        return Fault(FaultKind.MISSING_INSERT, name, key, row.began)
    return Fault(FaultKind.DIFFERENT, name, key, row.began, differing)
