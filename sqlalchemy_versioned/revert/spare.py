"""Values to spare: what a unique column can hold for a moment while rows exchange their values."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import string
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Column, func, literal, select, type_coerce, types
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from ..database.dialects import is_named
from .unique import Unique

__all__ = ["find_spare"]

_CHARACTERS = string.ascii_lowercase + string.digits
_DAYS = (types.Date, types.DateTime, types.Interval)
_NUMBERS = (types.Integer, types.Numeric, types.Float)

#: How many bits integers have, where they have not 32.
_BITS = ((types.SmallInteger, 16), (types.BigInteger, 64))


def find_spare(
    session: Session,
    unique: Unique,
    column: Column[Any],
    *,
    others: Mapping[Column[Any], Any],
    wanted: Collection[Any],
) -> Any | None:
    """Return a value of *column* that no row has, or ``None`` if there is none.

    :param unique: what the column is part of.
    :param others: what the row has in the columns that are unique together with it.
    :param wanted: values that rows are about to get.
    """
    dialect, place = unique.dialect(session), {"mapper": unique.mapper}
    type_ = _stored_type(column.type, dialect)
    stored = type_coerce(column, type_)
    # What others are about to get would clash with it a moment later.
    avoided = [_as_stored(column.type, value, dialect) for value in wanted]

    def find_limits() -> tuple[Any, Any]:
        limits = select(func.min(stored), func.max(stored))
        lowest, highest = session.execute(limits, bind_arguments=place).one()
        return min(lowest, *avoided), max(highest, *avoided)

    candidates = [each for each in _candidates(type_, find_limits) if each not in avoided]
    where = [each == value for each, value in others.items()]
    found = select(stored).where(stored.in_(candidates), *where)
    # One question for all candidates. A writer who takes one in between is refused by the database.
    used = set(session.scalars(found, bind_arguments=place))
    value = next((each for each in candidates if each not in used), None)
    # As it is stored, because a type of the application's own need not take it.
    return value if value is None or type_ is column.type else literal(value, type_)


def _candidates(
    type_: types.TypeEngine[Any], find_limits: Callable[[], tuple[Any, Any]]
) -> Iterable[Any]:
    for kind, candidates in _BY_TYPE:
        if isinstance(type_, kind):
            return candidates(type_)
    if isinstance(type_, (*_NUMBERS, *_DAYS, types.Time)):
        return _around(type_, find_limits)
    return ()


def _members(type_: types.Enum) -> Iterable[Any]:
    """Return the members of an enum that its column takes."""
    names, members = type_.enums, type_.enum_class
    if members is None:
        return names
    return (each for each in members if each.name in names or each.value in names)


def _texts(type_: types.String) -> Iterable[str]:
    length = min(type_.length or 12, 12)
    # Lower case alone: with a collation that ignores case, others would be the same.
    return ("".join(random.choices(_CHARACTERS, k=length)) for _ in range(60))


def _bytes(type_: types.LargeBinary) -> Iterable[bytes]:
    return (random.randbytes(min(type_.length or 12, 12)) for _ in range(20))


def _uuids(type_: Any) -> Iterable[Any]:
    return (uuid.uuid4() if type_.as_uuid else uuid.uuid4().hex,)


#: What makes candidates without a look at the table; enums are strings, too.
_BY_TYPE: tuple[tuple[Any, Callable[[Any], Iterable[Any]]], ...] = (
    (types.Enum, _members),
    (types.String, _texts),
    (types.LargeBinary, _bytes),
    (types.Uuid, _uuids),
)


def _around(
    type_: types.TypeEngine[Any], find_limits: Callable[[], tuple[Any, Any]]
) -> Iterator[Any]:
    # Beyond what there is: likelier than a random value to be what constraints expect.
    lowest, highest = find_limits()
    for value, sign in ((highest, 1), (lowest, -1), (highest, -1), (lowest, 1)):
        yield from _beside(type_, value, sign)


def _beside(type_: types.TypeEngine[Any], value: Any, sign: int) -> Iterator[Any]:
    """Yield what comes after a value, or before it, if there is such a value."""
    try:
        if isinstance(type_, types.Time):
            # Times of day cannot be added to; any day does, if there is one before it.
            moment = dt.datetime.combine(dt.date(2000, 1, 2), value)
            yield (moment + dt.timedelta(seconds=sign)).timetz()
        elif isinstance(type_, _DAYS):
            yield value + dt.timedelta(days=sign)
        elif _fits(type_, value + sign):
            yield value + sign
    except OverflowError:
        return


def _fits(type_: types.TypeEngine[Any], value: Any) -> bool:
    if isinstance(type_, types.Integer):
        bits = next((bits for cls, bits in _BITS if isinstance(type_, cls)), 32)
        if is_named(type_, "TINYINT"):
            bits = 8
        lowest = 0 if getattr(type_, "unsigned", False) else -(2 ** (bits - 1))
        return bool(lowest <= value < 2 ** (bits - 1))
    precision, scale = getattr(type_, "precision", None), getattr(type_, "scale", None)
    is_bounded = isinstance(type_, types.Numeric) and precision is not None and scale is not None
    return not is_bounded or bool(abs(value) < 10 ** (precision - scale))  # type: ignore[operator]


def _stored_type(type_: types.TypeEngine[Any], dialect: Dialect) -> types.TypeEngine[Any]:
    """Return the type behind those of the application's own."""
    while isinstance(type_, types.TypeDecorator) and not isinstance(type_, types.Interval):
        type_ = type_.load_dialect_impl(dialect)
    return type_


def _as_stored(type_: types.TypeEngine[Any], value: Any, dialect: Dialect) -> Any:
    """Return a value as the type of :func:`_stored_type` has it."""
    while isinstance(type_, types.TypeDecorator) and not isinstance(type_, types.Interval):
        # One that does not process values does not have it.
        with contextlib.suppress(NotImplementedError):
            value = type_.process_bind_param(value, dialect)
        type_ = type_.load_dialect_impl(dialect)
    return value
