"""Statements that read the versions of objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy import Select, case, false, func, inspect, select

from ..exc import ImproperlyConfigured, VersioningError
from ..model.lookup import check_no_object, spec_of
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .conditions import is_latest, is_row_of, leads_to, next_of, place_of, previous_of, until_of

__all__ = [
    "FRESH",
    "LAST",
    "count_versions_before",
    "deleted",
    "select_masks",
    "select_next",
    "select_point",
    "select_previous",
    "select_version_at",
    "select_versions",
    "select_with_previous",
    "transaction_id_of",
]

#: Execution options for statements that read versions.  What is read again replaces what the
#: session had: versions are ended behind its back.
FRESH = {"populate_existing": True}

#: How far the clocks of those who write to one database may be apart.
_CLOCKS = timedelta(minutes=1)

#: No transaction comes after this one.
LAST = 2**63 - 1


def select_versions(
    spec: ClassSpec, identity: Sequence[Any], *, newest_first: bool = False
) -> Select[Any]:
    """Select the versions of one object, oldest first unless told otherwise."""
    cls = spec.version_class
    order = place_of(spec, cls)
    return (
        select(cls)
        .where(is_row_of(spec, cls, identity))
        .order_by(*[each.desc() if newest_first else each for each in order])
    )


def select_version_at(spec: ClassSpec, identity: Sequence[Any], at: int) -> Select[Any]:
    """Select the version of one object that was the newest at transaction *at*, if any was."""
    until = leads_to(spec, spec.version_class, at)
    return select_versions(spec, identity, newest_first=True).where(until).limit(1)


def select_previous(spec: ClassSpec, identity: Sequence[Any], place: Sequence[Any]) -> Select[Any]:
    """Select the version of one object just before the one at *place*."""
    cls = spec.version_class
    before = previous_of(spec, cls, place)
    return select_versions(spec, identity, newest_first=True).where(before).limit(1)


def select_with_previous(
    spec: ClassSpec, identity: Sequence[Any], place: Sequence[Any]
) -> Select[Any]:
    """Select the version at *place* and the one before it, in this order."""
    until = until_of(spec, spec.version_class, place)
    return select_versions(spec, identity, newest_first=True).where(until).limit(2)


def select_next(spec: ClassSpec, identity: Sequence[Any], place: Sequence[Any]) -> Select[Any]:
    """Select the version of one object just after the one at *place*."""
    after = next_of(spec, spec.version_class, place)
    return select_versions(spec, identity).where(after).limit(1)


def count_versions_before(
    spec: ClassSpec, identity: Sequence[Any], place: Sequence[Any]
) -> Select[Any]:
    """Select how many versions one object had before the one at *place*."""
    cls = spec.version_class
    return (
        select(func.count())
        .select_from(cls)
        .where(is_row_of(spec, cls, identity), previous_of(spec, cls, place))
    )


def select_masks(
    spec: ClassSpec, identity: Sequence[Any], one: tuple[Any, ...], other: tuple[Any, ...]
) -> Select[Any]:
    """Select for each masked attribute whether one object's was changed between two places.

    A change at the earlier of them does not count.
    """
    cls = spec.version_class
    flags = [case((getattr(cls, flag), 1), else_=0) for flag in spec.masked.values()]
    # Whichever is the earlier: flags say what came between, in either direction.
    within = [next_of(spec, cls, min(one, other)), until_of(spec, cls, max(one, other))]
    return select(*map(func.max, flags)).where(is_row_of(spec, cls, identity), *within)


def deleted(subject: Any) -> Select[Any]:
    """Select the last version of each deleted row of a class.

    :raises ClassNotVersioned: if the class has no version class.
    :raises InvalidArgumentType: if *subject* is an object.

    >>> session.scalars(deleted(Article)).all()
    []
    """
    spec = spec_of(subject)
    check_no_object(subject, spec)
    cls = spec.version_class
    # It is gone from all of its tables; databases need not join those of which it is not.
    is_gone = [table.operation_column == Operation.DELETE for table in spec.tables]
    return select(cls).where(*is_gone, is_latest(spec, cls)).order_by(*place_of(spec, cls))


def _select_transaction_at(asked: Any, transaction_class: type[Any], when: datetime) -> Select[Any]:
    """Select the id of the last transaction issued not later than *when*.

    Ids come in the order of writing, and moments only nearly: of what was issued at about the same
    time the last one written is meant, so that nothing is missing that was there already.  Moments
    further apart count, because applications may say them.

    :raises ImproperlyConfigured: if transactions do not say when they were issued.
    """
    cls = transaction_class
    if not hasattr(cls, "issued_at"):
        raise ImproperlyConfigured(
            f"when is {when!r}, but {cls.__name__} has no issued_at; give a Transaction or its id"
        )
    until = select(cls.issued_at).where(cls.issued_at <= when)
    last = asked.scalar(until.order_by(cls.issued_at.desc()).limit(1))
    around = false() if last is None else cls.issued_at.between(last - _CLOCKS, last)
    return select(func.max(cls.id)).where(around)


def select_point(asked: Any, transaction_class: type[Any], when: Any) -> Select[Any]:
    """Select the id of the transaction that *when* means: one that there is.

    :param asked: the session or the connection that is to execute it.
    :param when: a Transaction, its id, or a moment, which means the last issued not later.
    :raises VersioningError: if it is none of them, or a moment without a time zone.
    """
    cls = transaction_class
    if isinstance(when, datetime) and when.tzinfo is not None:
        return _select_transaction_at(asked, cls, when)
    number = inspect(when).identity[0] if isinstance(when, cls) and inspect(when).identity else when
    if isinstance(number, int) and not isinstance(number, bool):
        # Drivers refuse what is no BIGINT.
        return select(cls.id).where(cls.id == number if abs(number) < 2**63 else false())
    _refuse_point(when)


def transaction_id_of(session: Any, transaction_class: type[Any], when: Any) -> int | None:
    """Return the transaction id that *when* means: an id, a Transaction or a moment.

    :raises VersioningError: if it is none of them, or a moment without a time zone.
    """
    number = when.id if isinstance(when, transaction_class) else when
    if isinstance(number, int) and not isinstance(number, bool):
        # Drivers refuse what is no BIGINT, and no transaction is as far as that.
        return max(min(number, LAST), -LAST)
    if isinstance(when, datetime) and when.tzinfo is not None:
        at: int | None = session.scalar(_select_transaction_at(session, transaction_class, when))
        return at
    _refuse_point(when)


def _refuse_point(when: Any) -> NoReturn:
    reason = ", as it has no time zone" if isinstance(when, datetime) else ""
    raise VersioningError(
        f"{when!r} is no point in history{reason}; give a Transaction that is in the database, its "
        "id, or a datetime with a time zone, such as datetime.now(timezone.utc)"
    )
