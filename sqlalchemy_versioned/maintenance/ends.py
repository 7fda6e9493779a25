"""Ends and flags that were never written: :func:`update_end_tx_column` and its like.

Histories that began with other options, or were written by others, lack them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Update

from ..database.sessions import awaited_as
from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from ..query.flags import build_flag_update, flags_of
from ..query.neighbours import build_end_repair
from ..query.ranges import Range
from ..reading.loaded import expire_all_versions
from .places import Place, Progress, check_pace, find_places, present_session, ranges

__all__ = ["update_end_tx_column", "update_property_mod_flags"]


@awaited_as("update_end_tx_column(…)")
def update_end_tx_column(
    session: Any, model: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> int:
    """Let each version of a class end where the next one begins; return how many did not.

    For a history that was recorded under the strategy ``'subquery'``, or by others.  What was done
    is kept by committing, which *progress* may do.

    :param model: a versioned class, with all it shares tables with by inheritance, or a
        table without a class.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the table and how many of its rows were looked at.
    :raises ClassNotVersioned: if *model* is not versioned.
    :raises ImproperlyConfigured: if its versions have no column for their ends.
    :raises InvalidArgument: if *batch_size* is less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> update_end_tx_column(session, Article)
    0
    """
    places = find_places((model,))
    for place in places:
        if place.spec.end_column is None:
            raise ImproperlyConfigured(
                f"the versions of {place.spec.parent_table.fullname} have no end column, for its "
                f"strategy is {place.spec.strategy.value!r}; choose 'validity', and add the column"
            )
    return _update(session, places, build_end_repair, batch_size, progress)


@awaited_as("update_property_mod_flags(…)")
def update_property_mod_flags(
    session: Any, model: Any, batch_size: int = 10_000, progress: Progress | None = None
) -> int:
    """Set the flags of :class:`.PropertyModTrackerPlugin` as the versions of a class say.

    For versions from before there was the plugin.  A flag is set if the version before holds
    something else; if there is none, if the version holds a value; in a deletion, always.

    :param model: a versioned class, with all it shares tables with by inheritance.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the table and how many of its rows were looked at.
    :returns: in how many rows of version tables a flag was wrong.
    :raises ClassNotVersioned: if *model* is not versioned.
    :raises ImproperlyConfigured: if its versions have no flags.
    :raises InvalidArgument: if *batch_size* is less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> update_property_mod_flags(session, Article)
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.ImproperlyConfigured: ... has no modification flags; give ...
    """
    places = [place for place in find_places((model,)) if flags_of(place.spec)]
    if not places:
        raise ImproperlyConfigured(
            f"{model!r} has no modification flags; give make_versioned() a "
            "PropertyModTrackerPlugin, and add the columns to the version table"
        )
    return _update(session, places, build_flag_update, batch_size, progress)


def _update(
    session: Any,
    places: Sequence[Place],
    build: Callable[[VersionSpec, Range], Update],
    batch_size: int,
    progress: Progress | None,
) -> int:
    """Execute a statement for each range of some tables; return how many rows were updated."""
    check_pace(batch_size, progress)
    found, updated = present_session(session), 0
    for place in places:
        for within in ranges(found, place, batch_size, progress):
            updated += place.execute(found, build(place.spec, within))
    expire_all_versions(found)
    return updated
