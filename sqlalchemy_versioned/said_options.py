"""From what somebody says of options to :class:`.Options`; what makes no sense is refused.

What an option may be stands in tables: how lists and the like are read, and which values fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Column

from ._typing import COLUMN, MAPPING
from .exc import ImproperlyConfigured, UnknownOption
from .options import ATTRIBUTES, KEY_LISTS, KNOWN, POLICIES, Options, Strategy

__all__ = ["build_options", "check_option_names", "said_options"]

#: Options that have a shorter name.
_IN_FULL = {"native": "native_versioning"}


def said_options(said: Any, *, owner: str) -> dict[str, Any]:
    """Return options as somebody said them, each by the name that it has in full.

    :param owner: who said it, for the message: ``"make_versioned()"``.
    :raises ImproperlyConfigured: if they are no mapping.

    >>> said_options({"native": True}, owner="make_versioned()")
    {'native_versioning': True}
    """
    if not isinstance(said, MAPPING):
        raise ImproperlyConfigured(f"{owner}: options is {said!r}; give a dict of options")
    options: dict[str, Any] = dict(said)
    return {_IN_FULL.get(name, name): value for name, value in options.items()}


def check_option_names(given: Iterable[str], *, owner: str, also: Iterable[str] = ()) -> None:
    """Refuse names that are no options.

    :param owner: who said it, for the message: ``"make_versioned()"``.
    :param also: names that plugins have announced.
    :raises UnknownOption: for the first name that nothing reads.
    """
    known = sorted({*KNOWN, *also})
    for name in given:
        if name not in known:
            raise UnknownOption(
                f"{owner} has no option {name!r}; known options: {', '.join(known)}"
            )


def build_options(*said: Mapping[str, Any], owner: str, also: Iterable[str] = ()) -> Options:
    """Merge what was *said*, the later mapping winning, into checked :class:`Options`.

    :param owner: whose options these are, for messages: ``"Article.__versioned__"``.
    :raises UnknownOption: if a key is no option.
    :raises ImproperlyConfigured: if a value is of the wrong kind.

    >>> build_options({"strategy": "subquery"}, {"exclude": ["body"]}, owner="Article").strategy
    <Strategy.SUBQUERY: 'subquery'>
    """
    merged: dict[str, Any] = {}
    for mapping in said:
        merged.update(said_options(mapping, owner=owner))
    check_option_names(merged, owner=owner, also=also)
    values = {key: value for key, value in merged.items() if key in KNOWN}
    values["extra"] = {key: value for key, value in merged.items() if key not in KNOWN}
    for name, read in _READ.items():
        if name in values:
            values[name] = read(values[name], name=name, owner=owner)
    # What a manager includes is said of classes that exclude something.
    includes = any(each.get("include") for each in said[-1:])
    values["is_selective"] = includes and not values.get("exclude")
    options = Options(**values)
    _check_values(options, owner)
    _check_zone(options.time_zone, owner)
    _check_together(options, owner)
    return options


# -- how values are read ---------------------------------------------------------------------------

# Of Any, checkers would make Iterable[Unknown] and the like.
_LISTS: Any = (list, tuple)
_MANY: Any = Iterable


def _key_set(value: Any, *, name: str, owner: str) -> frozenset[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, _MANY):
        raise ImproperlyConfigured(
            f"{owner}: {name!r} is {value!r}; give a list of attribute keys, such as [{value!r}]"
        )
    return frozenset(str(key) for key in value)


def _columns(value: Any, *, name: str, owner: str) -> tuple[Column[Any], ...]:
    columns: tuple[Any, ...] = tuple(value) if isinstance(value, _LISTS) else (value,)
    for column in columns:
        is_named = isinstance(column, COLUMN) and isinstance(column.name, str)
        if not is_named or column.primary_key:
            raise ImproperlyConfigured(
                f"{owner}: {name!r} has {column!r}; give a list of columns that have a name and "
                "are no primary key, such as [Column('reason', String(200))]"
            )
    keys = [column.key for column in columns]
    for key in keys:
        if keys.count(key) > 1:
            raise ImproperlyConfigured(
                f"{owner}: {name!r} has {key!r} more than once; name it once"
            )
    return columns


def _classes(value: Any, *, name: str, owner: str) -> tuple[type, ...] | None:
    if value is None:
        return None
    classes: tuple[Any, ...] = tuple(value) if isinstance(value, _LISTS) else (value,)
    if not all(isinstance(each, type) for each in classes):
        raise ImproperlyConfigured(
            f"{owner}: {name} is {value!r}; give a tuple of classes, such as (Base,)"
        )
    return classes


def _strategy(value: Any, *, name: str, owner: str) -> Strategy:
    try:
        return Strategy(value)
    except ValueError as error:
        known = _listed(each.value for each in Strategy)
        raise ImproperlyConfigured(
            f"{owner}: {name} is {value!r}; choose one of {known}"
        ) from error


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(repr, words))


#: Of options that can be said in several ways, what makes one of them.
_READ: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(KEY_LISTS, _key_set),
    "transaction_columns": _columns,
    "session_variables": _columns,
    "base_classes": _classes,
    "strategy": _strategy,
}


# -- what fits -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """What an option may be."""

    has: Callable[[Any], bool]
    #: What to do about a value that is something else.
    remedy: str


def _is_name(said: Any) -> bool:
    return isinstance(said, str) and said != ""


def _is_word(said: Any) -> bool:
    return isinstance(said, str) and said.isidentifier()


def _is_format(said: Any) -> bool:
    """Tell whether a text has a place for one name, and makes another name of it."""
    if not isinstance(said, str):
        return False
    try:
        made = said % "x"
    except (TypeError, ValueError):
        return False
    return "%s" in said and made != "x"


def _opens_sessions(said: Any) -> bool:
    is_awaited = iscoroutinefunction(said) or isasyncgenfunction(said)
    return callable(said) and not is_awaited


def _or_none(has: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda said: said is None or has(said)


def _one_of(*words: str) -> _Kind:
    return _Kind(lambda said: said in words, f"choose one of {_listed(words)}")


_FLAG = _Kind(lambda said: said in (True, False), "give True or False")
_NAME = _Kind(_is_name, "give a name")
_NAME_OR_NONE = _Kind(_or_none(_is_name), "give a name, or None")
_WORD = "give a word of letters, digits and underscores"

#: What each option may be, as far as one tells by itself.
_KINDS = {
    **{f.name: _FLAG for f in fields(Options) if f.type == "bool"},
    **{
        f.name: _NAME_OR_NONE if f.default is None else _NAME
        for f in fields(Options)
        if f.name.endswith("_column_name") or f.name in (*ATTRIBUTES, "version_schema")
    },
    "session_variable_prefix": _Kind(lambda said: said == "" or _is_word(said), _WORD),
    "session_variable_namespace": _Kind(_is_word, _WORD),
    "capture": _one_of(*POLICIES),
    "operation_type_format": _one_of("number", "code"),
    "truncate": _one_of("record", "refuse"),
    "version_id_type": _one_of("integer", "uuid"),
    "label": _Kind(_or_none(_is_name), "give the name that change records shall have"),
    "table_name": _Kind(
        _is_format,
        "it needs '%s' for the table's name, and something beside it, such as '%s_version'",
    ),
    "class_name": _Kind(
        lambda said: _is_format(said) and _is_word(said % "x"),
        "it needs '%s' for the name of the class, and letters, digits or underscores beside it, "
        "such as '%sVersion'",
    ),
    "session_factory": _Kind(
        _or_none(_opens_sessions),
        "give a sessionmaker, or a function without arguments that returns or yields a Session, "
        "and need not be awaited",
    ),
}


def _check_values(options: Options, owner: str) -> None:
    for name, kind in _KINDS.items():
        value = getattr(options, name)
        if not kind.has(value):
            raise ImproperlyConfigured(f"{owner}: {name} is {value!r}; {kind.remedy}")


def _check_zone(name: Any, owner: str) -> None:
    if name is None:
        return
    try:
        ZoneInfo(name)
    except (ValueError, TypeError, OSError, ZoneInfoNotFoundError) as error:
        raise ImproperlyConfigured(
            f"{owner}: time_zone is {name!r}, which is no time zone known here; give a name such "
            "as 'Europe/Vienna', or 'UTC'; where the system knows none, install tzdata"
        ) from error


def _check_together(options: Options, owner: str) -> None:
    """Refuse what does not go with what another option says."""
    both = options.mask & options.ignore
    if both:
        raise ImproperlyConfigured(
            f"{owner}: {min(both)!r} is in 'mask', by which its change makes a version, and in "
            "'ignore', by which it makes none; take it out of one of them"
        )
    if len(set(options.bookkeeping_names)) < len(options.bookkeeping_names):
        raise ImproperlyConfigured(
            f"{owner}: transaction, end and operation columns (and the id, if versions have one) "
            f"are called {options.bookkeeping_names}; give them different names"
        )
    if options.revision_id_column_name and options.strategy.merges:
        raise ImproperlyConfigured(
            f"{owner}: revision_id_column_name is {options.revision_id_column_name!r}, and strategy"
            f" is {options.strategy.value!r}; it is kept only under strategy='append'"
        )
    if options.append_only and not options.native_versioning:
        raise ImproperlyConfigured(
            f"{owner}: append_only is set, and sessions record, which must change history and so "
            "cannot be told from others that do; give make_versioned() native=True, too"
        )
    if options.record_unchanged and options.strategy.merges:
        raise ImproperlyConfigured(
            f"{owner}: record_unchanged is set, and strategy is {options.strategy.value!r}, which "
            "keeps what differs; choose strategy='append', which keeps every event"
        )
