"""Sets of row keys as parameters of a statement: as few of them as the database can take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Column, types
from sqlalchemy.engine import Dialect

from .._sqlalchemy import has_bind_expression
from .._typing import TUPLE
from .dialects import can_select_from_target, native_type

__all__ = [
    "Key",
    "KeyParameters",
    "KeySets",
    "Style",
    "as_asked",
    "bare_key",
    "key_values",
]

#: A row's key: the value of its one key column, or a tuple of several.
Key = Any
_Found = TypeVar("_Found")


def bare_key(values: Sequence[Any]) -> Key:
    """Return the key that has these values, one for each key column.

    >>> bare_key([1]), bare_key([1, "a"])
    (1, (1, 'a'))
    """
    return values[0] if len(values) == 1 else tuple(values)


def key_values(key: Key) -> tuple[Any, ...]:
    """Return the values that a key has, one for each key column."""
    values: tuple[Any, ...] = key if isinstance(key, TUPLE) else (key,)
    return values


def as_asked(
    look_for: Callable[[list[Key]], Iterable[tuple[Key, _Found]]], keys: list[Key]
) -> Iterator[tuple[Key, _Found]]:
    """Yield what is found by *keys*, with the keys as they are given here.

    Rows have their own form of a key: a collation may take two spellings for one, and objects may
    not have heard of another.

    :param look_for: returns what is found by keys, each with the key that its row has.

    >>> rows = {"Ann": 1, "Bob": 2}
    >>> def look_for(keys):
    ...     return [(key, rows[key]) for key in map(str.title, keys)]
    >>> list(as_asked(look_for, ["ann", "Bob"]))
    [('Bob', 2), ('ann', 1)]
    """
    asked, met, are_all = set(keys), set[Key](), True
    for key, found in look_for(keys):
        met.add(key)
        if key in asked:
            yield key, found
        else:
            are_all = False
    # Which of them is of whom only the database can tell.
    for key in () if are_all else [each for each in keys if each not in met]:
        for _, found in look_for([key]):
            yield key, found


class Style(Enum):
    """How a set of keys is given to the database."""

    #: A single key, by its plain values.
    ONE = "one"
    #: One array for each key column (PostgreSQL).
    ARRAY = "array"
    #: One JSON text (SQLite), where every key is a number or plain text.
    JSON = "json"
    #: A parameter for each value, in chunks below the driver's limit.
    LIST = "list"


class KeyParameters:
    """Makes sets of keys, for one table on one database.

    :param columns: the key columns.
    :param prefix: what stands before the names of sets in the names of parameters; where a
        statement writes, that of the spec.
    """

    def __init__(self, columns: Sequence[Column[Any]], dialect: Dialect, prefix: str = "") -> None:
        kinds = [column.type.dialect_impl(dialect) for column in columns]
        self.width: int = len(columns)
        self.dialect = dialect
        self.prefix = prefix
        #: The parameters of a statement that is for one row.
        self._names = [f"{prefix}keys_{place}" for place in range(len(columns))]
        #: What makes of each value what the driver would get, where it is not the value itself.
        self.processors: list[Any] = [kind.bind_processor(dialect) for kind in kinds]
        self.has_expressions: bool = any(map(has_bind_expression, kinds))
        self.takes_arrays: bool = dialect.name == "postgresql" and all(map(_fits_array, columns))
        limit = getattr(dialect, "insertmanyvalues_max_parameters", 2000)
        #: How many keys can be given by a parameter for each value.
        self.most: int = max(1, (min(limit, 30_000) - 10) // max(1, len(columns)))

    def sets(self, keys: list[Key], others: Mapping[str, list[Key]] | None = None) -> KeySets:
        """Return *keys* as the set ``keys`` of a statement, with *others* beside it by name."""
        return KeySets(self, {"keys": keys, **(others or {})}, {})

    def one(self, key: Key) -> dict[str, Any]:
        """Return the parameters of a statement that is for one row."""
        if self.width == 1:
            return {self._names[0]: key}
        return dict(zip(self._names, key, strict=True))

    def stored(self, key: Key) -> Any:
        """Return *key* as the driver would get it."""
        if self.width == 1:
            (process,) = self.processors
            return key if process is None else process(key)
        pairs = zip(key, self.processors, strict=True)
        return [value if process is None else process(value) for value, process in pairs]


class KeySets:
    """Sets of keys that one statement is given by name: their style, found once, and parameters.

    :param stored: what is known already of keys as the driver would get them; added to.
    """

    def __init__(
        self, on: KeyParameters, sets: Mapping[str, list[Key]], stored: dict[Key, Any]
    ) -> None:
        self._on = on
        self._sets = sets
        self._stored = stored

    @cached_property
    def style(self) -> Style:
        """The style in which the sets can be given."""
        # Most flushes change one object, and a plain comparison is planned best.
        if len(self._sets) == 1 and len(self._sets["keys"]) == 1:
            return Style.ONE
        if self._on.has_expressions:
            # SQLAlchemy puts it around each parameter, and around nothing else.
            return Style.LIST
        if self._on.takes_arrays:
            return Style.ARRAY
        if self._on.dialect.name == "sqlite" and self._fit_json():
            return Style.JSON
        return Style.LIST

    @property
    def can_be_looked_up(self) -> bool:
        """Whether the keys can stand beside the table they are keys of, in an update of it."""
        if self.style is Style.ONE:
            return can_select_from_target(self._on.dialect)
        return self.style is not Style.LIST

    def without(self, name: str) -> KeySets:
        """Return the other sets."""
        others = {each: keys for each, keys in self._sets.items() if each != name}
        return KeySets(self._on, others, self._stored)

    def chunks(self) -> Iterator[KeySets]:
        """Split the keys, and with them the other sets, into what one statement can take."""
        keys = self._sets["keys"]
        if not keys:
            return
        is_small = sum(map(len, self._sets.values())) <= self._on.most
        if is_small or self.style is not Style.LIST:
            yield self
            return
        size = max(1, self._on.most // len(self._sets))
        members = {name: set(some) for name, some in self._sets.items() if name != "keys"}
        for start in range(0, len(keys), size):
            part = keys[start : start + size]
            # Each statement gets of the other sets what is about its own keys.
            some = {name: [k for k in part if k in found] for name, found in members.items()}
            chunk = KeySets(self._on, {"keys": part, **some}, self._stored)
            chunk.style = Style.LIST
            yield chunk

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statement that are for these sets."""
        if self.style is Style.ONE:
            return self._on.one(self._sets["keys"][0])
        width = self._on.width
        sets = {f"{self._on.prefix}{name}": keys for name, keys in self._sets.items()}
        if self.style is Style.JSON:
            return dict(zip(sets, self._texts, strict=True))
        if self.style is Style.LIST or (width == 1 and self.style is Style.ARRAY):
            return sets
        return {
            f"{name}_{place}": [key[place] for key in keys]
            for name, keys in sets.items()
            for place in range(width)
        }

    @cached_property
    def _texts(self) -> list[str]:
        return [json.dumps(list(self._as_stored(keys))) for keys in self._sets.values()]

    def _fit_json(self) -> bool:
        """Tell whether all keys are plain as the driver would get them; stop where one is not."""
        every = chain.from_iterable(self._sets.values())
        # Numbers need no look at each of them, which thousands of rows would feel.
        if not any(self._on.processors) and set(map(type, every)) <= {int}:
            return True
        stored = (self._as_stored(keys) for keys in self._sets.values())
        return all(map(_fits_json, chain.from_iterable(stored)))

    def _as_stored(self, keys: list[Key]) -> Iterable[Any]:
        """Return *keys* as the driver would get them, each of them found once."""
        if not any(self._on.processors):
            return keys
        return map(self._find_stored, keys)

    def _find_stored(self, key: Key) -> Any:
        if key not in self._stored:
            self._stored[key] = self._on.stored(key)
        return self._stored[key]


#: What JSON has arrays for; of Any, checkers would make list[Unknown].
_ARRAYS: Any = (list, tuple)


def _fits_json(value: Any) -> bool:
    if isinstance(value, _ARRAYS):
        return all(map(_fits_json, value))
    # Lone surrogates and NUL do not survive JSON.
    return type(value) is int or (isinstance(value, str) and value.isprintable())


def _fits_array(column: Column[Any]) -> bool:
    kinds = (types.Integer, types.String, types.Uuid, types.Numeric, types.Date, types.DateTime)
    type_ = native_type(column)
    return isinstance(type_, kinds) and not isinstance(type_, types.Enum)
