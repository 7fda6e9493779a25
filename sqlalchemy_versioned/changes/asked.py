"""What callers ask for, checked: from arguments to the shape of a statement and its parameters.

Everything that is wrong is said before anything is sent to a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from sqlalchemy import Column, DateTime, inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import InstanceState
from sqlalchemy.types import TypeEngine

from ..database.keys import KeyParameters, Style
from ..database.kinds import exact_type
from ..exc import ClassNotVersioned, ImproperlyConfigured, InvalidArgument, InvalidArgumentType
from ..model.lookup import class_of, spec_of
from ..model.mapping import primary_key_attributes, stored_key
from ..model.operation import Operation
from ..model.spec import ClassSpec
from ..query.filters import (
    ISSUED_AT,
    OBJECT,
    OPERATION,
    TRANSACTION,
    Shape,
    transaction_facts,
    user_facts,
)
from ..query.images import family_of

__all__ = [
    "Asked",
    "check_class",
    "column_names",
    "key_parameters",
    "number_parameters",
    "object_keys",
    "relation_names",
]

_SORT_KEYS = (ISSUED_AT, TRANSACTION, OBJECT, OPERATION)


@dataclass(slots=True)
class Asked:
    """The shape of a question, and its parameters, while they are being put together."""

    spec: ClassSpec
    dialect: Dialect | None
    filters: set[str] = field(default_factory=set[str])
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])

    def shape(
        self,
        *,
        object_ids: Any,
        fields: Any,
        relations: Any,
        user_ids: Any,
        between: Any,
        transaction: Any,
        operations: Any,
        sort_by: Any,
        descending: Any,
        limit: Any,
        offset: Any,
    ) -> Shape:
        """Check everything that was asked, and return the shape of it."""
        self._add_moments(between)
        self._add_transactions(transaction)
        self._add_operations(operations)
        self._add_users(user_ids)
        self._add_page(limit, offset)
        return Shape(
            fields=_known_fields(self.spec, fields),
            relations=relation_names(self.spec, relations),
            keys=self._add_keys(object_ids),
            filters=frozenset(self.filters),
            sort_by=_sort_key(sort_by),
            is_descending=_flag("descending", descending),
        )

    def _add(self, name: str, value: Any) -> None:
        self.filters.add(name)
        self.parameters[name] = value

    def _add_keys(self, object_ids: Any) -> Style | None:
        if object_ids is None:
            return None
        keys = object_keys(self.spec, object_ids)
        columns = [pair.version for pair in self.spec.root.key]
        style, parameters = key_parameters(columns, keys, self.dialect)
        self.parameters |= parameters
        return style

    def _add_moments(self, between: Any) -> None:
        if between is None:
            return
        if not isinstance(between, (tuple, list)) or len(between) != 2:
            raise InvalidArgumentType(
                f"between is {between!r}; give a pair of datetimes with a time zone, either of "
                "which may be None"
            )
        start, end = (_moment(moment, self.spec.options.time_zone) for moment in between)
        if start is not None and end is not None and start > end:
            raise InvalidArgument(
                f"between starts at {start} and ends before, at {end}; give the earlier moment "
                "first"
            )
        facts = transaction_facts(self.spec)
        if ISSUED_AT not in facts:
            raise ImproperlyConfigured(
                f"between is {between!r}, but {self.spec.transaction_class.__name__} has no "
                "issued_at; ask by transaction, or give it one"
            )
        column = self.spec.root.transaction_table.c[facts[ISSUED_AT]]
        for name, moment in (("start", start), ("end", end)):
            if moment is not None:
                self._add(name, _storable(column.type, moment))

    def _add_transactions(self, transaction: Any) -> None:
        if transaction is not None:
            several = _several(transaction)
            numbers = [_transaction_number(self.spec, each) for each in several]
            self._add("transactions", numbers)

    def _add_operations(self, operations: Any) -> None:
        if operations is not None:
            self._add("operations", [_operation(each) for each in _several(operations)])

    def _add_users(self, user_ids: Any) -> None:
        if user_ids is None:
            return
        facts, table = transaction_facts(self.spec), self.spec.root.transaction_table
        columns = [table.c[facts[name]] for name in user_facts(self.spec)]
        if not columns:
            raise ImproperlyConfigured(
                f"user_ids is {user_ids!r}, but transactions do not know who made them; give "
                "make_versioned() a user_cls"
            )
        is_one = isinstance(user_ids, tuple) and len(columns) > 1 and not _has_keys(user_ids)
        several = [user_ids] if is_one else _several(user_ids)
        users = [_user_key(columns, each) for each in several]
        if None in users:
            self.filters.add("no_user")
        known = [user for user in users if user is not None]
        if known or not users:
            self._add("users", known)

    def _add_page(self, limit: Any, offset: Any) -> None:
        for name, number in (("limit", limit), ("offset", offset)):
            if number is None:
                continue
            if not isinstance(number, int) or isinstance(number, bool):
                raise InvalidArgumentType(f"{name} is {number!r}; give a whole number or None")
            if number < 0:
                raise InvalidArgument(f"{name} is {number}; give 0 or more, or None")
            self._add(name, number)
        if limit is not None:
            self.parameters["last"] = limit + (offset or 0)


def check_class(model: Any) -> ClassSpec:
    """Return the spec of a versioned class.

    :raises InvalidArgumentType: if *model* is an object.
    :raises ClassNotVersioned: if it has no version class.
    """
    spec = spec_of(model)
    if not isinstance(model, type) and isinstance(model, (spec.parent_class, spec.version_class)):
        name = spec.parent_class.__name__
        raise InvalidArgumentType(
            f"{model!r} is an object; give its class, and the object as object_ids: "
            f"get_changes({name}, session, object_ids=…)"
        )
    if not spec.exposed:
        raise ClassNotVersioned(
            f"{class_of(model).__name__} is not versioned itself, but only a subclass of it; ask "
            "for the changes of that, or give it __versioned__"
        )
    return spec


def key_parameters(
    columns: list[Column[Any]], keys: list[Any], dialect: Dialect | None
) -> tuple[Style, dict[str, Any]]:
    """Return how the set ``keys`` is given to a database, and the parameters for it.

    :param dialect: ``None`` for statements that must run on any database.
    """
    if dialect is None:
        return Style.LIST, {"keys": keys}
    given = KeyParameters(columns, dialect, "").sets(keys)
    return given.style, given.parameters()


def number_parameters(
    column: Column[Any], numbers: list[int], dialect: Dialect | None
) -> tuple[Style, dict[str, Any]]:
    """Return how the set ``transactions`` is given to a database, and the parameters for it."""
    if dialect is None:
        return Style.LIST, {"transactions": numbers}
    given = KeyParameters([column], dialect, "").sets([], {"transactions": numbers})
    return given.style, {"transactions": given.parameters()["transactions"]}


# -- fields and relationships ----------------------------------------------------------------


def _known_fields(spec: ClassSpec, fields: Any) -> tuple[str, ...] | None:
    if fields is None:
        return None
    asked = {_name("fields", each) for each in _several(fields)}
    family = family_of(spec)
    known = dict.fromkeys(key for each in family for key in (*each.columns, *each.masked))
    return tuple(key for key in known if key in asked)


def column_names(spec: ClassSpec, columns: Any) -> tuple[str, ...]:
    """Return the attributes of columns of a class or its subclasses, each once.

    :raises InvalidArgument: if one of them is no column that is kept, or none is given.
    """
    known = dict.fromkeys(key for each in family_of(spec) for key in each.columns)
    names = dict.fromkeys(_name("columns", each) for each in _several(columns))
    for name in names:
        if name not in known:
            raise InvalidArgument(
                f"columns has {name!r}, which is no column of {spec.parent_class.__name__} that is "
                f"kept in history; those are: {', '.join(known)}"
            )
    if not names:
        raise InvalidArgument(f"columns is {columns!r}; name at least one of {', '.join(known)}")
    return tuple(names)


def relation_names(spec: ClassSpec, relations: Any) -> tuple[str, ...]:
    """Return the names of relationships, each once.

    :raises InvalidArgument: if one of them is no relationship of the class.
    """
    if relations is None:
        return ()
    known = dict.fromkeys(key for each in family_of(spec) for key in each.relationships)
    names = dict.fromkeys(_name("relations", each) for each in _several(relations))
    for name in names:
        if name not in known:
            raise InvalidArgument(
                f"relations has {name!r}, which is no relationship of "
                f"{spec.parent_class.__name__} that is versioned; those are: "
                f"{', '.join(known) or 'none'}"
            )
    return tuple(names)


def _name(argument: str, value: Any) -> str:
    name = value if isinstance(value, str) else getattr(value, "key", None)
    if not isinstance(name, str):
        raise InvalidArgumentType(
            f"{argument} has {value!r}; give the names of attributes, or the attributes of the "
            "class"
        )
    return name


# -- values ----------------------------------------------------------------------------------


def _several(value: Any) -> list[Any]:
    """Return one or several as a list; texts, keys and objects are one."""
    is_several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    if not is_several or inspect(value, raiseerr=False) is not None:
        return [value]
    return list(value)


def object_keys(spec: ClassSpec, object_ids: Any) -> list[Any]:
    """Return the keys of one object or of several, each once.

    :raises InvalidArgumentType: if something is no key of the class.
    """
    size = len(spec.key)
    is_one = isinstance(object_ids, tuple) and size > 1 and not _has_keys(object_ids)
    several = [object_ids] if is_one else _several(object_ids)
    keys = [_key(spec, each) for each in several if not _is_keyless(spec, each)]
    return list(dict.fromkeys(keys))


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
    return values if len(values) > 1 else values[0]


def _key_values(spec: ClassSpec, given: Any) -> tuple[Any, ...]:
    state = inspect(given, raiseerr=False)
    if isinstance(given, (spec.parent_class, spec.version_class)):
        return stored_key(given, spec.key)
    if state is not None:
        _refuse_key(spec, given)
    if isinstance(given, Mapping):
        if set(given) != set(spec.key):
            _refuse_key(spec, given)
        return tuple(given[key] for key in spec.key)
    return given if isinstance(given, tuple) else (given,)


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


def _moment(moment: Any, zone: str | None) -> datetime | None:
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


def _storable(type_: TypeEngine[Any], moment: datetime) -> datetime:
    """Return a moment as a column of the Transaction takes it."""
    utc = moment.astimezone(timezone.utc)
    is_plain = isinstance(type_, DateTime) and not type_.timezone
    return utc.replace(tzinfo=None) if is_plain else utc


def _transaction_number(spec: ClassSpec, given: Any) -> int:
    if isinstance(given, spec.transaction_class):
        (number,) = stored_key(given, ["id"])
        return int(number)
    if not isinstance(given, int) or isinstance(given, bool):
        raise InvalidArgumentType(
            f"transaction is {given!r}; give a {spec.transaction_class.__name__}, its id, or a "
            "list of them"
        )
    return given


def _operation(given: Any) -> Operation:
    by_letter = {each.code: each for each in Operation}
    if isinstance(given, str) and given in by_letter:
        return by_letter[given]
    if isinstance(given, int) and not isinstance(given, bool) and given in list(Operation):
        return Operation(given)
    known = ", ".join(f"{each.name} ({int(each)}, {each.code!r})" for each in Operation)
    error = InvalidArgument if isinstance(given, (str, int)) else InvalidArgumentType
    raise error(f"operations has {given!r}; choose from Operation: {known}")


def _user_key(columns: Sequence[Column[Any]], given: Any) -> Any:
    """Return the key of a user: a value, or a tuple of several; ``None`` for nobody."""
    if given is None:
        return None
    state = inspect(given, raiseerr=False)
    key = given if isinstance(given, tuple) and len(columns) > 1 else (given,)
    if isinstance(state, InstanceState):
        key = stored_key(given, primary_key_attributes(state.mapper))
    if len(key) != len(columns):
        raise InvalidArgumentType(
            f"user_ids has {given!r}; the key of a user has {len(columns)} columns: give a tuple "
            "of their values, or the user"
        )
    for column, value in zip(columns, key, strict=True):
        if value is not None:
            _check_type("user_ids", column, value)
    return key if len(key) > 1 else key[0]


def _sort_key(sort_by: Any) -> str:
    if sort_by in _SORT_KEYS:
        return str(sort_by)
    raise InvalidArgument(f"sort_by is {sort_by!r}; choose from {', '.join(map(repr, _SORT_KEYS))}")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgumentType(f"{name} is {value!r}; give True or False")
    return value
