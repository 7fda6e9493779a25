"""Forms of keys: which Python values are one key for a database.

An object keeps the key it was made with; its row may come back under another, because a type or
the database has brought it into a form of its own.  :class:`KeyForms` foretells that form where it
can be foretold, and says where only the database knows.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from sqlalchemy import Column, types
from sqlalchemy.engine import Dialect

from .._sqlalchemy import converts_value, has_bind_expression
from .dialects import (
    decimal_places,
    has_native_uuids,
    pads_text,
    rounds_seconds,
    second_places,
    tells_texts_apart,
)
from .keys import Key

__all__ = ["KeyForms"]

_Convert = Callable[[Any], Any]

#: As many digits as PostgreSQL keeps; an application's own context may have fewer.
_DIGITS = Context(prec=131_072 + 16_383)

#: Types of which a database takes two values for one only where Python does, once converted.
_PLAIN = (
    types.Integer,
    types.Numeric,
    types.Float,
    types.Boolean,
    types.Date,
    types.Time,
    types.DateTime,
    types.Interval,
    types.Uuid,
    types.Enum,
    types.LargeBinary,
    types.BINARY,
    types.VARBINARY,
)


class KeyForms:
    """The forms that keys of one table take on one database.

    :param columns: the key columns.
    """

    def __init__(self, columns: Sequence[Column[Any]], dialect: Dialect) -> None:
        self._converters = [_converter(column.type, dialect) for column in columns]
        #: Whether every value but a text is as it is loaded.
        self._only_texts = all(
            convert in (None, _whole, _uuid_value) for convert in self._converters
        )
        #: Whether keys that differ, as :meth:`as_loaded` returns them, are always of two rows.
        self.are_certain: bool = all(_is_plain(column.type, dialect) for column in columns)

    def find_new(self, keys: list[Key]) -> dict[Key, Key]:
        """Return the forms in which rows would be loaded, for those *keys* that have another."""
        loaded = self.as_loaded(keys)
        if loaded is keys:
            return {}
        # Equal numbers can have different forms, which does no harm.
        return {key: form for key, form in zip(keys, loaded, strict=True) if key != form}

    def as_loaded(self, keys: list[Key]) -> list[Key]:
        """Return *keys* in the form in which their rows would be loaded, as far as is known."""
        if self._only_texts and not self._has_texts(keys):
            return keys
        if len(self._converters) == 1:
            (convert,) = self._converters
            return keys if convert is None else [convert(key) for key in keys]
        return [
            tuple(
                value if convert is None else convert(value)
                for value, convert in zip(key, self._converters, strict=True)
            )
            for key in keys
        ]

    def _has_texts(self, keys: list[Key]) -> bool:
        """Tell whether there are texts where numbers or UUIDs are kept."""
        if not any(self._converters):
            return False
        if len(self._converters) == 1:
            return str in set(map(type, keys))
        return any(
            convert is not None and str in {type(key[place]) for key in keys}
            for place, convert in enumerate(self._converters)
        )


def _is_plain(type_: types.TypeEngine[Any], dialect: Dialect) -> bool:
    type_ = type_.dialect_impl(dialect)
    if has_bind_expression(type_):
        return False
    if isinstance(type_, types.TypeDecorator):
        return _is_plain(type_.load_dialect_impl(dialect), dialect)
    if isinstance(type_, _PLAIN):
        return True
    return isinstance(type_, types.String) and tells_texts_apart(type_, dialect)


def _converter(type_: types.TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    """Return a function from a value of a type to what would be loaded, if they can differ."""
    declared, type_ = type_, type_.dialect_impl(dialect)
    is_interval = isinstance(declared, types.Interval)
    if isinstance(type_, types.TypeDecorator) and not is_interval:
        # What dialect_impl() returns of it decorates a type of the driver.
        own = declared if isinstance(declared, types.TypeDecorator) else type_
        return _of_decorator(own, dialect)
    if isinstance(type_, types.Enum):
        return None if type_.enum_class is None else _of_enum(type_, dialect)
    if isinstance(type_, types.String) and pads_text(declared, dialect):
        return _padded(type_.length or 1)
    if isinstance(type_, types.Integer):
        return _whole
    if isinstance(type_, types.Numeric):
        return _of_number(type_, dialect)
    if is_interval or isinstance(type_, (types.DateTime, types.Time)):
        return _of_seconds(second_places(declared, dialect), rounds_seconds(dialect))
    if isinstance(type_, types.Uuid):
        return _of_uuid(type_, dialect)
    return None


def _of_decorator(type_: types.TypeDecorator[Any], dialect: Dialect) -> _Convert | None:
    inner = _converter(type_.load_dialect_impl(dialect), dialect)
    converts_in, converts_out = converts_value(type_)
    if not (converts_in or converts_out):
        return inner

    def convert(value: Any) -> Any:
        if converts_in:
            value = type_.process_bind_param(value, dialect)
        if inner is not None:
            value = inner(value)
        return type_.process_result_value(value, dialect) if converts_out else value

    return convert


def _of_uuid(type_: types.Uuid[Any], dialect: Dialect) -> _Convert | None:
    if has_native_uuids(dialect):
        return _uuid_value if type_.as_uuid else _uuid_text
    # Elsewhere a text is stored, and a row that has it in capitals is found by capitals alone.
    return None if type_.as_uuid else _small_uuid_text


def _of_number(type_: types.Numeric[Any], dialect: Dialect) -> _Convert | None:
    places = decimal_places(type_, dialect)
    if places is None or not type_.asdecimal:
        return None
    unit = Decimal(1).scaleb(-places)

    def convert(value: Any) -> Any:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
        return number.quantize(unit, ROUND_HALF_UP, _DIGITS)

    return convert


def _of_enum(type_: types.Enum, dialect: Dialect) -> _Convert:
    # Its processors have no types.
    kind: Any = type_
    store, load = kind.bind_processor(dialect), kind.result_processor(dialect, None)

    def convert(value: Any) -> Any:
        # A name stands for its member; a text that is none is left to the database.
        return load(store(value)) if value in type_.enums else value

    return convert


def _of_seconds(places: int | None, rounds: bool) -> _Convert | None:
    """Return what cuts or rounds moments, times of day and intervals to places of seconds."""
    if places is None or places >= 6:
        return None
    unit: int = 10 ** (6 - places)

    def kept(microseconds: int) -> datetime.timedelta:
        over = microseconds % unit
        is_more = rounds and over * 2 >= unit
        return datetime.timedelta(microseconds=microseconds - over + unit * is_more)

    def convert(value: Any) -> Any:
        if isinstance(value, datetime.timedelta):
            return kept(value // datetime.timedelta(microseconds=1))
        if isinstance(value, datetime.datetime):
            return value.replace(microsecond=0) + kept(value.microsecond)
        if isinstance(value, datetime.time):
            return _time_after(value, kept(value.microsecond))
        return value

    return convert


def _time_after(value: datetime.time, passed: datetime.timedelta) -> datetime.time:
    """Return the time of day when some time has passed since the second began."""
    day = datetime.datetime.combine(datetime.date.min, value.replace(microsecond=0))
    later = day + passed
    # What comes to midnight is 24:00 in databases, which Python has no value for.
    return later.timetz() if later.date() == day.date() else value


def _whole(value: Any) -> Any:
    # Numbers are often handed on as they came in a request; databases take them.
    return int(value) if isinstance(value, str) else value


def _uuid_text(value: Any) -> Any:
    return str(uuid.UUID(value)) if isinstance(value, str) else value


def _small_uuid_text(value: Any) -> Any:
    return _uuid_text(value) if isinstance(value, str) and value == value.lower() else value


def _uuid_value(value: Any) -> Any:
    # Drivers take a text as well, as decorators hand it to them, and return no text.
    return uuid.UUID(value) if isinstance(value, str) else value


def _padded(length: int) -> _Convert:
    return lambda value: value.ljust(length) if isinstance(value, str) else value
