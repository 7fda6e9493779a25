"""History that is not to be kept for ever: :func:`prune` removes what is old."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from ..database.sessions import awaited_as
from ..exc import ImproperlyConfigured, InvalidArgument, VersioningError
from ..model.arguments import check_number
from ..model.lookup import all_specs
from ..model.spec import ClassSpec, VersionSpec
from ..query.history import select_point
from ..query.pruning import build_mark, build_prunings, unique_columns
from ..reading.loaded import expire_all_versions
from ..triggers.upkeep import upkeep
from .places import Progress, check_pace, find_places, present_session, ranges
from .turns import numbering_of, take_turn, transactions_of

__all__ = ["prune"]


@awaited_as("prune(…)")
def prune(
    session: Any,
    model: Any,
    *,
    before: Any = None,
    keep: int | None = None,
    batch_size: int = 10_000,
    progress: Progress | None = None,
) -> int:
    """Remove old versions of a class; return how many.

    What was valid at *before* stays, and everything later, so that from then on the past reads as
    ever; asked for what was earlier, :func:`.as_of` raises :exc:`.IncompleteHistory`.  Of an
    object that is gone, the version of its deletion stays: it tells that something was there.  If
    both *before* and *keep* are given, versions are removed that neither keeps.  What was done is
    kept by committing, which *progress* may do.

    :param model: a versioned class, with all it shares tables with by inheritance, or a table
        without a class.
    :param before: a ``datetime`` with a time zone, a Transaction, or its id.
    :param keep: how many versions of each object stay at least, the newest.
    :param batch_size: how many rows are looked at by one statement.
    :param progress: called with the name of the table and how many of its rows were looked at.
    :raises ClassNotVersioned: if *model* is not versioned.
    :raises InvalidArgument: if neither *before* nor *keep* is given, or *keep* or *batch_size* is
        less than 1.
    :raises InvalidArgumentType: if an argument is of the wrong kind.
    :raises VersioningError: if *before* is no point in history.
    :raises ImproperlyConfigured: if transactions have a column that is unique and not nullable.
    :raises ReadOnlySnapshot: if *session* reads the past.

    >>> prune(session, Article, keep=10)
    0
    """
    _check_asked(before, keep)
    check_pace(batch_size, progress)
    places = find_places((model,))
    root, tables = places[0], [each.spec for each in places]
    spec = _numbered_like(root.spec)
    _check_copyable(spec)
    found, removed = present_session(session), 0
    last = None if before is None else _transaction_at(numbering_of(found, spec), spec, before)
    if before is not None and last is None:
        return 0
    for within in ranges(found, root, batch_size, progress):
        oldest = take_turn(found, spec)
        counts = [
            root.execute(found, pruning)
            for pruning in build_prunings(tables, within, before=last, keep=keep)
        ]
        if any(counts):
            _mark(numbering_of(found, spec), spec, oldest)
        removed += counts[0]
    expire_all_versions(found)
    return removed


def _check_asked(before: Any, keep: Any) -> None:
    if before is None and keep is None:
        raise InvalidArgument(
            "neither before nor keep is given; say from when on everything stays, how many "
            "versions of each object stay, or both"
        )
    # The newest version of an object always stays.
    check_number("keep", keep, least=1, or_none=True)


def _numbered_like(table: VersionSpec) -> ClassSpec:
    """Return the spec of some class, or table, whose transactions are those of a table."""
    return next(
        spec
        for spec in all_specs()
        if any(each.transaction_table is table.transaction_table for each in spec.tables)
    )


def _check_copyable(spec: ClassSpec) -> None:
    """Refuse where transactions have what only one of them may have."""
    for column in unique_columns(transactions_of(spec)[0]):
        if not (column.nullable or column.primary_key):
            raise ImproperlyConfigured(
                f"{column} is unique and not nullable, so that the oldest transaction cannot be "
                "copied, which tells other processes that history was pruned; make it nullable"
            )


def _transaction_at(connection: Connection, spec: ClassSpec, before: Any) -> int | None:
    found: int | None = connection.scalar(select_point(connection, spec.transaction_class, before))
    if found is None and not isinstance(before, datetime):
        raise VersioningError(
            f"before is {before!r}, and there is no such transaction; give one that is in the "
            "database, or a datetime with a time zone"
        )
    return found


def _mark(connection: Connection, spec: ClassSpec, oldest: int | None) -> None:
    """Let all connections look anew how far history reaches."""
    table, number = transactions_of(spec)
    if oldest is not None:
        with upkeep(connection, table):
            connection.execute(build_mark(table, number, oldest))
