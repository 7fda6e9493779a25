"""What :func:`verify` finds, mended: :func:`repair` makes history whole, as far as is known how."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ..database.keys import Key, bare_key
from ..database.sessions import awaited_as
from ..model.lookup import get_versioning_manager, spec_of
from ..model.spec import Hierarchy, VersionSpec
from ..query.mending import (
    build_base_copies,
    build_copies,
    build_lost_transactions,
    can_be_empty,
    lock_last_versions,
)
from ..query.neighbours import build_end_repair
from ..query.ranges import Range
from ..reading.loaded import expire_all_versions
from ..recording.changes import Changes
from ..recording.writer import TableWriter
from ..triggers.upkeep import upkeep
from .faults import Fault, FaultKind, faults_within, orphans_within
from .places import Place, Progress, by_object, check_pace, find_places, present_session, ranges

__all__ = ["Repair", "repair"]

_OF_ENDS = {FaultKind.GAP, FaultKind.OVERLAP, FaultKind.OPEN, FaultKind.CLOSED}


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of the faults of a history.

    >>> repair(session, Article)
    Repair(mended=(), left=())
    """

    #: What was wrong, and is not any more.
    mended: tuple[Fault, ...]
    #: What is wrong still: nobody knows how it was.
    left: tuple[Fault, ...]


@awaited_as("repair(…)")
def repair(
    session: Any, *models: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> Repair:
    """Mend the faults of a history, as far as it can be known what is right.

    Ends are set to where the next version begins.  A row that is not as its newest version says
    gets a version of what it is, as of a transaction of now, for nobody knows since when; so does
    one that has no version: call :func:`baseline` before, if it was there from the beginning.  One
    that is gone gets a deletion.  Transactions that are lost are written anew, without a time or a
    user.  Of objects in several tables, one that lacks a version gets a copy of that before.  What
    was done is kept by committing, which *progress* may do.

    :param models: versioned classes, each with all it shares tables with by inheritance, and
        association tables; all that there are unless given.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the base-most table of objects, and how many of its
        rows were gone through.
    :raises ClassNotVersioned: if one of *models* is not versioned.
    :raises InvalidArgument: if *batch_size* is less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> repair(session).left
    ()
    """
    check_pace(batch_size, progress)
    found, objects = present_session(session), list(by_object(find_places(models)))
    # Before any other is drawn: SQLite gives numbers that are lost to transactions that follow.
    mended = _write_lost_transactions(found, objects, batch_size)
    left: list[Fault] = []
    for places in objects:
        for within in ranges(found, places[0], batch_size, progress):
            before = _faults(found, places, within)
            if not before:
                continue
            _mend(found, places, within, {fault.kind for fault in before})
            # Looked for anew, not assumed: what could not be mended is told, and what mending might
            # break.
            after = dict.fromkeys(_faults(found, places, within))
            mended += [fault for fault in before if fault not in after]
            left += after
    expire_all_versions(found)
    return Repair(tuple(mended), tuple(left))


def _faults(session: Session, places: Sequence[Place], within: Range) -> list[Fault]:
    return [fault for place in places for fault in faults_within(session, place, within)]


def _write_lost_transactions(
    session: Session, objects: Sequence[Sequence[Place]], batch_size: int
) -> list[Fault]:
    """Write transactions that do not exist; return the faults that this has mended."""
    lost: dict[tuple[Place, Range], list[Fault]] = {}
    for places in objects:
        for within in ranges(session, places[0], batch_size, None):
            for place in places:
                # All are found before any is written: the first would make the others seem sound.
                orphans = list(orphans_within(session, place, within))
                if orphans and can_be_empty(place.spec):
                    lost[place, within] = orphans
    for place, within in lost:
        place.execute(session, build_lost_transactions(place.spec, within))
    return [fault for orphans in lost.values() for fault in orphans]


def _mend(session: Session, places: Sequence[Place], within: Range, kinds: set[FaultKind]) -> None:
    """Mend a range of the tables of objects: first what is told of the past, then of now."""
    base, *others = places
    # One that has an id of its own cannot be another's copy: it is told by it in all tables.
    if FaultKind.SPLIT in kinds and base.spec.id_column is None:
        for place in others:
            place.execute(session, build_base_copies(place.spec, base.spec, within, place.others))
        for place in others:
            place.execute(session, build_copies(place.spec, base.spec, within, place.others))
    for place in places:
        if place.spec.end_column is not None and kinds & {*_OF_ENDS, FaultKind.SPLIT}:
            place.execute(session, build_end_repair(place.spec, within))
    _record(session, places, within)


def _record(session: Session, places: Sequence[Place], within: Range) -> None:
    """Record rows that are not as their newest versions say, as changes of now."""
    # Looked for again, because the past has just been mended.
    found, concerned = _find_unrecorded(session, places, within)
    if not concerned:
        return
    connection = session.connection(bind_arguments=places[0].bind)
    TableWriter(places[0].spec, (), connection.dialect).hold(connection, concerned)
    for place in places:
        if found[place.spec].departed and place.spec.end_column is not None:
            lock = lock_last_versions(place.spec, within, place.left_out)
            session.execute(lock, **place.where).all()
    # Others may have written the rows, and recorded that, until they were locked.
    changes, concerned = _find_unrecorded(session, places, within)
    if concerned:
        mapper = places[0].mapper
        subject = places[0].spec.parent_table if mapper is None else mapper.class_
        manager = get_versioning_manager(subject)
        written = [t for spec in changes for t in (spec.version_table, spec.transaction_table)]
        with upkeep(connection, *written):
            manager.record_changes(session, connection, _hierarchy(places[0]), changes)


def _find_unrecorded(
    session: Session, places: Sequence[Place], within: Range
) -> tuple[dict[VersionSpec, Changes], list[Key]]:
    """Return what is to be recorded of a range, and the keys of the objects."""
    changes = {place.spec: Changes() for place in places}
    base = changes[places[0].spec]
    concerned: dict[Key, None] = {}
    for place in places:
        for fault in faults_within(session, place, within):
            if _note(changes[place.spec], fault):
                concerned[bare_key(fault.key)] = None
    for each in changes.values():
        _tell_the_same(each, base, concerned)
    return changes, list(concerned)


def _note(changes: Changes, fault: Fault) -> bool:
    """Add a row to those that are to be recorded, if its fault is of that kind."""
    key = bare_key(fault.key)
    if fault.kind is FaultKind.MISSING_DELETE:
        changes.departed.append(key)
    elif fault.kind is FaultKind.MISSING_INSERT:
        changes.inserted.append(key)
    elif fault.kind in (FaultKind.DIFFERENT, FaultKind.UNRECORDED):
        changes.updated.append(key)
    else:
        return False
    return True


def _tell_the_same(changes: Changes, base: Changes, concerned: Iterable[Any]) -> None:
    """Let a table tell of objects what the base-most one does, where it has rows of them."""
    # An object is inserted, updated or deleted in all of its tables alike.
    gone, come = set(base.departed), set(base.inserted)
    # What has no row there is passed over.
    for key in set(concerned).difference(changes.departed, changes.inserted, changes.updated):
        (changes.departed if key in gone else changes.updated).append(key)
    changes.inserted += [key for key in changes.updated if key in come]
    changes.updated = [key for key in changes.updated if key not in come]


def _hierarchy(place: Place) -> Hierarchy:
    if place.mapper is not None:
        return spec_of(place.mapper.class_).hierarchy
    alone = Hierarchy()
    alone.add_chain((place.spec,))
    return alone
