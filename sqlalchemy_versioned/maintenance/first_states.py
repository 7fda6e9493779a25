"""Is history whole?  :func:`baseline` gives rows that are older than their history a version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from ..database.keys import bare_key
from ..database.sessions import awaited_as
from ..model.lookup import get_versioning_manager
from ..query.ranges import Range
from ..query.verify import select_unrecorded_keys
from ..recording.writer import TableWriter
from .places import Place, Progress, by_object, check_pace, find_places, present_session, ranges

__all__ = ["baseline"]

#: The key of ``Session.info`` that has the managers of the tables that were given versions.
_BASELINED = "sqlalchemy_versioned_baselined"


@awaited_as("baseline(…)")
def baseline(
    session: Any, model: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> int:
    """Give the rows that have no version one of their present state; return of how many objects.

    The versions stand before all transactions, as those that are written when such a row is changed
    for the first time; in the table of a subclass, where history tells of the object already, they
    begin with it.  If it tells of one of another class, the row gets none: :func:`repair` knows
    what is to be done.  Doing it again does nothing; what was done is kept by committing, which
    *progress* may do.  Once it is committed, flushes of this process stop looking for such rows.

    :param model: a versioned class, with all it shares tables with by inheritance, or a table
        without a class.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the base-most table of objects, and how many of its
        rows were gone through.
    :raises ClassNotVersioned: if *model* is not versioned.
    :raises InvalidArgument: if *batch_size* is less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> baseline(session, Article)
    0
    """
    check_pace(batch_size, progress)
    found = present_session(session)
    made = 0
    for places in by_object(find_places((model,))):
        for within in ranges(found, places[0], batch_size, progress):
            # An object may lack versions in some of its tables only.
            kept: set[Any] = set()
            for place in places:
                kept |= _keep_first_states(found, place, within)
            made += len(kept)
            _look_again_when_committed(found, model)
    return made


def _keep_first_states(session: Session, place: Place, within: Range) -> set[Any]:
    """Write the versions that a range of a table lacks; return the keys of its rows."""
    lacking = _find_lacking(session, place, within)
    if not lacking:
        return set()
    connection = session.connection(bind_arguments=place.bind)
    TableWriter(place.spec, (), connection.dialect).keep_first_state(connection, lacking)
    # Where the base-most table tells of another object, there is none to be kept.
    return set(lacking).difference(_find_lacking(session, place, within))


def _find_lacking(session: Session, place: Place, within: Range) -> list[Any]:
    missing = select_unrecorded_keys(place.spec, within, place.left_out)
    return [bare_key(row) for row in session.execute(missing, **place.where)]


def _look_again_when_committed(session: Session, model: Any) -> None:
    """Let flushes find out that there are no rows without versions any more.

    Not before they are there to stay: what a flush finds out is kept.
    """
    if _BASELINED not in session.info:
        session.info[_BASELINED] = set()
        event.listen(session, "after_commit", _look_again)
    session.info[_BASELINED].add(get_versioning_manager(model))


def _look_again(session: Session) -> None:
    if not session.in_nested_transaction():
        for manager in session.info[_BASELINED]:
            manager.look_again()
        session.info[_BASELINED].clear()
