"""Values that callers ask for, checked: keys, moments, transactions, operations and users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from sqlalchemy import Column, DateTime, inspect
from sqlalchemy.types import TypeEngine

from .._typing import ITERABLE, MAPPING, STATE, TUPLE
from ..database.keys import bare_key
from ..database.kinds import exact_type
from ..exc import InvalidArgument, InvalidArgumentType
from ..model.mapping import primary_key_attributes, stored_key
from ..model.operation import Operation
from ..model.spec import ClassSpec
from ..query.filters import ISSUED_AT, OBJECT, OPERATION, TRANSACTION

__all__ = [
    "aware_moment",
    "keys_and_names",
    "object_keys",
    "operation_of",
    "several",
    "several_keys",
    "sort_key",
    "storable_moment",
    "transaction_number",
    "truth_value",
    "user_key",
]

_SORT_KEYS = (ISSUED_AT, TRANSACTION, OBJECT, OPERATION)

# Of Any, checkers would make Mapping[Unknown, Unknown].
_WHOLE: Any = (str, bytes, Mapping)


def several(value: Any) -> list[Any]:
    """Return one or several as a list; texts, keys and objects are one."""
    # Objects of the application may be iterable as well.
    is_several = isinstance(value, ITERABLE) and not isinstance(value, _WHOLE)
    if not is_several or inspect(value, raiseerr=False) is not None:
        return [value]
    return list(value)


def several_keys(value: Any, *, size: int) -> list[Any]:
    """Return one key of *size* columns, or several, as a list."""
    # A tuple may be a key of several columns; lists are always several.
    if isinstance(value, TUPLE) and size > 1 and not _has_keys(value):
        return [value]
    return several(value)


def object_keys(spec: ClassSpec, object_ids: Any) -> list[Any]:
    """Return the keys of one object or of several, each once.

    :raises InvalidArgumentType: if something is no key of the class.
    """
    given = several_keys(object_ids, size=len(spec.key))
    keys = [_key(spec, each) for each in given if not _is_keyless(spec, each)]
    return list(dict.fromkeys(keys))


def keys_and_names(
    spec: ClassSpec, column: Column[Any], object_ids: Any
) -> tuple[list[Any], list[Any]]:
    """Return the keys of objects that are given themselves, and what the others are called.

    :param column: the version column of what they are called by.
    :raises InvalidArgumentType: if something is neither.
    """
    keys: list[Any] = []
    names: list[Any] = []
    for each in several(object_ids):
        is_object = isinstance(each, (spec.parent_class, spec.version_class))
        if is_object or isinstance(each, MAPPING):
            keys += object_keys(spec, each)
            continue
        if inspect(each, raiseerr=False) is not None:
            raise InvalidArgumentType(
                f"object_ids has {each!r}; objects of {spec.parent_class.__name__} are told by "
                f"{spec.name_key}: give its value, or the object"
            )
        _check_type("object_ids", column, each)
        names.append(each)
    return list(dict.fromkeys(keys)), list(dict.fromkeys(names))


def _is_keyless(spec: ClassSpec, given: Any) -> bool:
    """Tell whether *given* is an object that was never stored, and so has no changes."""
    is_object = isinstance(given, spec.parent_class)
    return is_object and None in stored_key(given, spec.key)


def _has_keys(values: tuple[Any, ...]) -> bool:
    """Tell whether a tuple has whole keys, and is no key itself."""
    return all(
        isinstance(each, (tuple, Mapping)) or inspect(each, raiseerr=False) is not None
        for each in values
    )


def _key(spec: ClassSpec, given: Any) -> Any:
    """Return a key as statements take it: a value, or a tuple of several."""
    values = _key_values(spec, given)
    if len(values) != len(spec.key):
        _refuse_key(spec, given)
    for pair, value in zip(spec.root.key, values, strict=True):
        _check_type("object_ids", pair.parent, value)
    return bare_key(values)


def _key_values(spec: ClassSpec, given: Any) -> tuple[Any, ...]:
    state = inspect(given, raiseerr=False)
    if isinstance(given, (spec.parent_class, spec.version_class)):
        return stored_key(given, spec.key)
    if state is not None:
        _refuse_key(spec, given)
    if isinstance(given, MAPPING):
        if set(given) != set(spec.key):
            _refuse_key(spec, given)
        return tuple(given[key] for key in spec.key)
    return given if isinstance(given, TUPLE) else (given,)


def _refuse_key(spec: ClassSpec, given: Any) -> NoReturn:
    raise InvalidArgumentType(
        f"object_ids has {given!r}; the primary key of {spec.parent_class.__name__} is "
        f"{', '.join(spec.key)}: give its value, a tuple if there are several, or the object"
    )


def _check_type(argument: str, column: Column[Any], value: Any) -> None:
    """Refuse what a column cannot hold, as far as its type tells."""
    wanted = exact_type(column.type)
    if wanted is None:
        return
    # A truth value is an int for Python, and no key for anybody.
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise InvalidArgumentType(
            f"{argument} has {value!r}, of type {type(value).__name__}; {column} has values of "
            f"type {wanted.__name__}"
        )


def aware_moment(moment: Any, zone: str | None) -> datetime | None:
    """Return a moment, if one is given, that tells its time zone, if need be that of *zone*.

    :raises InvalidArgument: if it has none.
    :raises InvalidArgumentType: if it is no moment.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise InvalidArgumentType(
            f"between has {moment!r}, of type {type(moment).__name__}; give a datetime with a "
            "time zone, or None"
        )
    if moment.tzinfo is not None:
        return moment
    if zone is None:
        raise InvalidArgument(
            f"between has {moment!r}, which has no time zone; say which moment it means, such as "
            "datetime.now(timezone.utc)"
        )
    return moment.replace(tzinfo=ZoneInfo(zone))


def storable_moment(type_: TypeEngine[Any], moment: datetime) -> datetime:
    """Return a moment as a column of the Transaction takes it.

    :raises InvalidArgument: if it lies beyond what Python knows in UTC.
    """
    try:
        utc = moment.astimezone(timezone.utc)
    except OverflowError as error:
        raise InvalidArgument(
            f"between has {moment!r}, which is no moment in UTC; give None for an open end"
        ) from error
    # A column that knows no time zones holds UTC.
    is_plain = isinstance(type_, DateTime) and not type_.timezone
    return utc.replace(tzinfo=None) if is_plain else utc


def transaction_number(spec: ClassSpec, given: Any) -> int:
    """Return the id of a transaction.

    :raises InvalidArgumentType: if it is neither a Transaction nor an id.
    """
    is_object = isinstance(given, spec.transaction_class)
    number = stored_key(given, ["id"])[0] if is_object else given
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidArgumentType(
            f"transaction is {given!r}; give a {spec.transaction_class.__name__} that is in the "
            "database, its id, or a list of them"
        )
    return number


def operation_of(given: Any) -> Operation:
    """Return the operation that a member, a number or a letter means.

    :raises InvalidArgument: if it means none.
    """
    by_letter = {each.code: each for each in Operation}
    if isinstance(given, str) and given in by_letter:
        return by_letter[given]
    # True is 1, and would mean an update.
    if isinstance(given, int) and not isinstance(given, bool) and given in list(Operation):
        return Operation(given)
    known = ", ".join(f"{each.name} ({int(each)}, {each.code!r})" for each in Operation)
    error = InvalidArgument if isinstance(given, (str, int)) else InvalidArgumentType
    raise error(f"operations has {given!r}; choose from Operation: {known}")


def user_key(columns: Sequence[Column[Any]], given: Any) -> Any:
    """Return the key of a user: a value, or a tuple of several; ``None`` for nobody."""
    if given is None:
        return None
    state = inspect(given, raiseerr=False)
    key: tuple[Any, ...] = given if isinstance(given, TUPLE) and len(columns) > 1 else (given,)
    if isinstance(state, STATE):
        key = stored_key(given, primary_key_attributes(state.mapper))
    if len(key) != len(columns):
        raise InvalidArgumentType(
            f"user_ids has {given!r}; the key of a user has {len(columns)} columns: give a tuple "
            "of their values, or the user"
        )
    for column, value in zip(columns, key, strict=True):
        if value is not None:
            _check_type("user_ids", column, value)
    return bare_key(key)


def sort_key(sort_by: Any) -> str:
    """Return by what records are sorted.

    :raises InvalidArgument: if they cannot be.
    """
    if sort_by in _SORT_KEYS:
        return str(sort_by)
    raise InvalidArgument(f"sort_by is {sort_by!r}; choose from {', '.join(map(repr, _SORT_KEYS))}")


def truth_value(name: str, value: Any) -> bool:
    """Return a truth value.

    :raises InvalidArgumentType: if it is something else.
    """
    if not isinstance(value, bool):
        raise InvalidArgumentType(f"{name} is {value!r}; give True or False")
    return value
