"""Options as values: what may be said to the library, checked once, and every naming rule.

:class:`Options` is made from what a manager and a class say (the nearer wins) when mappers are
configured.  Everything later reads attributes of an :class:`Options` or of a spec; nobody asks
for an option by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Column

from ._typing import COLUMN, MAPPING, new_dict
from .exc import ImproperlyConfigured, UnknownOption

__all__ = [
    "ATTRIBUTES",
    "DEFAULTS",
    "KEY_LISTS",
    "KNOWN",
    "MANAGER_ONLY",
    "STAMPS",
    "Options",
    "Strategy",
    "build_options",
    "check_option_names",
]


class Strategy(str, Enum):
    """How the rows of a version table tell when a version was current."""

    #: Each row carries the transaction that ended it.
    VALIDITY = "validity"
    #: Rows carry their own transaction only; the end is found by a subquery.
    SUBQUERY = "subquery"
    #: Each change event is a row of its own, which has an id; nothing is merged, ended or changed.
    APPEND = "append"

    @property
    def merges(self) -> bool:
        """Whether what happens to one row within one transaction becomes one version."""
        return self is not Strategy.APPEND


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one versioned class, or of a manager."""

    #: Whether the class is versioned at all; a subclass says ``False`` to stay out.
    versioning: bool = True
    #: Bases of the version class in place of the declarative base.
    base_classes: tuple[type, ...] | None = None
    #: The version class's name; ``%s`` stands for that of the class.
    class_name: str = "%sVersion"
    #: The version table's name; ``%s`` stands for that of the table.
    table_name: str = "%s_version"
    #: Keys of attributes that are not versioned.
    exclude: frozenset[str] = frozenset()
    #: Keys that are versioned although ``exclude`` names them.  Where nothing is excluded, those
    #: that a class includes are versioned alone, and what tells its objects apart.
    include: frozenset[str] = frozenset()
    #: Keys of columns that are stored, but whose change alone makes no version.
    ignore: frozenset[str] = frozenset()
    #: Keys of columns whose change is recorded, but not their value.
    mask: frozenset[str] = frozenset()
    #: Whether triggers do the recording, in databases that have them; ``native`` for short.
    native_versioning: bool = False
    #: Whether ``create_all()`` and ``drop_all()`` make and remove triggers with the tables; if not,
    #: migrations do it, or ``install_triggers()`` (manager only).
    create_triggers: bool = True
    #: What triggers do about TRUNCATE: ``'record'`` it as deletions, or ``'refuse'`` it.
    truncate: str = "record"
    #: Whether version classes are built, or version tables only (manager only).
    create_models: bool = True
    #: Whether version tables are built.
    create_tables: bool = True
    #: Name of the column that holds a version's transaction.
    transaction_column_name: str = "transaction_id"
    #: Name of the column that holds the transaction which ended a version.
    end_transaction_column_name: str = "end_transaction_id"
    #: Name of the column that holds a version's operation.
    operation_type_column_name: str = "operation_type"
    #: How it is kept: as ``'number'``, or as ``'code'``, one of the letters I, U and D.
    operation_type_format: str = "number"
    #: Name of a column that holds when a version was written; ``None`` for none.
    issued_at_column_name: str | None = None
    #: Name of a column that holds which user of the database wrote it, NULL on SQLite; ``None`` for
    #: none.
    db_user_column_name: str | None = None
    #: How rows tell when they were current: a :class:`.Strategy`, or its value.
    strategy: Strategy = Strategy.VALIDITY
    #: Name of the column that holds the id of a version (``append``).
    version_id_column_name: str = "version_id"
    #: What the ids of versions are: ``'integer'`` or ``'uuid'`` (``append``).
    version_id_type: str = "integer"
    #: Name of a column of the table itself that has the id of the newest version (``append``).
    revision_id_column_name: str | None = None
    #: Whether an UPDATE that leaves a row as it was makes a version (``append``).
    record_unchanged: bool = False
    #: Whether the module becomes part of a version class's name (manager only).
    use_module_name: bool = False
    #: Read for compatibility: the indexes that plans need are always made.
    create_composite_index: bool = True
    #: What becomes of a write that cannot be recorded: ``'raise'`` a :exc:`.CaptureError`, let it
    #: through and ``'warn'`` (:exc:`.UnrecordedWrite`), or ``'ignore'`` that it goes unrecorded.
    capture: str = "raise"
    #: Schema of the version table; ``None`` is the table's own.
    version_schema: str | None = None
    #: Whether changing or deleting a version raises :exc:`.VersionIsImmutable`.
    immutable_versions: bool = False
    #: Whether the database refuses to change or remove versions and transactions, where triggers
    #: record; what looks after history may.
    append_only: bool = False
    #: What change records call the objects; ``None`` is the name of the table.
    label: str | None = None
    #: Key of the attribute of which change records tell the value as ``object_id``, and that
    #: ``get_changes()`` takes as ``object_ids``; ``None`` is the primary key.
    object_id_attribute: str | None = None
    #: Key of an attribute that names who last wrote the object: change records tell its value as
    #: ``user_id`` where no context says who, before ``current_user`` is believed; not of deletions.
    user_id_attribute: str | None = None
    #: Further columns of transactions, which the context fills (manager only).
    transaction_columns: tuple[Column[Any], ...] = ()
    #: Columns that the context and session variables fill: of transactions, or under the strategy
    #: ``append`` of versions.  What is not nullable must be said, and not be empty.
    session_variables: tuple[Column[Any], ...] = ()
    #: What the names of these columns begin with in the database.
    session_variable_prefix: str = ""
    #: What the names of session variables begin with in PostgreSQL (manager only).
    session_variable_namespace: str = "audit"
    #: What opens a session for ``get_changes()`` without one: a ``sessionmaker``, or a function
    #: that returns or yields a session, which is closed afterwards (manager only).
    session_factory: Callable[[], Any] | None = None
    #: Name of the time zone that moments without one are meant in where change records are
    #: filtered; ``None`` refuses them (manager only).
    time_zone: str | None = None
    #: What plugins read; keys that are not options themselves.
    extra: Mapping[str, Any] = field(default_factory=new_dict)
    #: Whether nothing is versioned but what ``include`` names.
    is_selective: bool = False

    @property
    def bookkeeping_names(self) -> tuple[str, ...]:
        """Names of the columns that are ours: transaction, end of it, operation; id, stamps."""
        number = () if self.strategy.merges else (self.version_id_column_name,)
        return (
            self.transaction_column_name,
            self.end_transaction_column_name,
            self.operation_type_column_name,
            *number,
            *(name for name in self.stamp_names if name is not None),
        )

    @property
    def stamp_names(self) -> tuple[str | None, str | None]:
        """Names of the columns that say when a version was written, and by which database user."""
        issued_at, db_user = (getattr(self, name) for name in STAMPS)
        return issued_at, db_user

    def is_excluded(self, key: str) -> bool:
        """Tell whether the attribute *key* is left out of history."""
        if key in self.include:
            return False
        return key in self.exclude or (self.is_selective and key not in self.mask)

    def is_left_out(self, key: str) -> bool:
        """Tell whether no value of the attribute *key* is kept."""
        return self.is_excluded(key) or self.is_masked(key)

    def is_masked(self, key: str) -> bool:
        """Tell whether the attribute *key* is recorded without its value."""
        return key in self.mask and not self.is_excluded(key)

    def version_table_name(self, table_name: str) -> str:
        """Return the name of the version table of *table_name*."""
        return self.table_name % table_name


#: The options where nobody says anything.
DEFAULTS = Options()

#: Options that a single class cannot have, because they shape the whole manager.
MANAGER_ONLY = frozenset(
    {
        "create_models",
        "create_triggers",
        "session_factory",
        "session_variable_namespace",
        "time_zone",
        "transaction_columns",
        "use_module_name",
    }
)

#: Options that have a shorter name.
_IN_FULL = {"native": "native_versioning"}

#: Options that list attributes.
KEY_LISTS = ("exclude", "include", "ignore", "mask")

_COLUMN_LISTS = ("transaction_columns", "session_variables")
#: Options that name columns which say when a version was written, and by which database user.
STAMPS = ("issued_at_column_name", "db_user_column_name")

#: Options that name one attribute.
ATTRIBUTES = ("object_id_attribute", "user_id_attribute")

#: What is done about writes that cannot be recorded, the strictest first.
POLICIES = ("raise", "warn", "ignore")

#: Options that are one of some words.
_CHOICES = {
    "capture": POLICIES,
    "operation_type_format": ("number", "code"),
    "truncate": ("record", "refuse"),
    "version_id_type": ("integer", "uuid"),
}
#: Options that are either true or false.
_FLAGS = tuple(f.name for f in fields(Options) if f.type == "bool")
#: Options that name a column, an attribute or a schema, and whether they may be ``None``.
_NAMES = {
    f.name: f.default is None
    for f in fields(Options)
    if f.name.endswith("_column_name") or f.name in (*ATTRIBUTES, "version_schema")
}
#: The names of all options.
KNOWN = tuple(f.name for f in fields(Options) if f.name not in ("extra", "is_selective"))


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
    for key in KEY_LISTS:
        if key in values:
            values[key] = _key_set(values[key], name=key, owner=owner)
    for key in _COLUMN_LISTS:
        if key in values:
            values[key] = _columns(values[key], name=key, owner=owner)
    # What a manager includes is said of classes that exclude something.
    includes = any(each.get("include") for each in said[-1:])
    values["is_selective"] = includes and not values.get("exclude")
    if values.get("base_classes") is not None:
        values["base_classes"] = _classes(values["base_classes"], owner=owner)
    if "strategy" in values:
        values["strategy"] = _strategy(values["strategy"], owner=owner)
    options = Options(**values)
    _check_kinds(options, owner)
    _check_words(options, owner)
    _check_names(options, owner)
    _check_versions(options, owner)
    _check_zone(options.time_zone, owner)
    _check_factory(options.session_factory, owner)
    return options


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


def _classes(value: Any, *, owner: str) -> tuple[type, ...]:
    classes: tuple[Any, ...] = tuple(value) if isinstance(value, _LISTS) else (value,)
    if not all(isinstance(each, type) for each in classes):
        raise ImproperlyConfigured(
            f"{owner}: base_classes is {value!r}; give a tuple of classes, such as (Base,)"
        )
    return classes


def _strategy(value: Any, *, owner: str) -> Strategy:
    try:
        return Strategy(value)
    except ValueError as error:
        known = ", ".join(repr(s.value) for s in Strategy)
        raise ImproperlyConfigured(
            f"{owner}: strategy is {value!r}; choose one of {known}"
        ) from error


def _is_format(said: Any) -> bool:
    """Tell whether a text has a place for one name, and makes another name of it."""
    if not isinstance(said, str):
        return False
    try:
        made = said % "x"
    except (TypeError, ValueError):
        return False
    return "%s" in said and made != "x"


def _check_kinds(options: Options, owner: str) -> None:
    """Refuse what is neither true nor false, or no name, where that is meant."""
    for name in _FLAGS:
        if getattr(options, name) not in (True, False):
            raise ImproperlyConfigured(
                f"{owner}: {name} is {getattr(options, name)!r}; give True or False"
            )
    for name, may_be_none in _NAMES.items():
        said = getattr(options, name)
        is_name = isinstance(said, str) and said != ""
        if not (is_name or (may_be_none and said is None)):
            none = ", or None" if may_be_none else ""
            raise ImproperlyConfigured(f"{owner}: {name} is {said!r}; give a name{none}")


def _check_words(options: Options, owner: str) -> None:
    """Refuse what is none of the words that an option can have."""
    for name in ("session_variable_prefix", "session_variable_namespace"):
        said = getattr(options, name)
        may_be_empty = name == "session_variable_prefix"
        if not isinstance(said, str) or not (said.isidentifier() or (may_be_empty and not said)):
            raise ImproperlyConfigured(
                f"{owner}: {name} is {said!r}; give a word of letters, digits and underscores"
            )
    for name, words in _CHOICES.items():
        if getattr(options, name) not in words:
            raise ImproperlyConfigured(
                f"{owner}: {name} is {getattr(options, name)!r}; choose one of "
                f"{', '.join(map(repr, words))}"
            )


def _check_names(options: Options, owner: str) -> None:
    """Refuse names that something cannot have, or that two things would have."""
    label: Any = options.label
    if label is not None and not (isinstance(label, str) and label):
        raise ImproperlyConfigured(
            f"{owner}: label is {options.label!r}; give the name that change records shall have"
        )
    if not _is_format(options.table_name):
        raise ImproperlyConfigured(
            f"{owner}: table_name is {options.table_name!r}; it needs '%s' for the table's "
            "name, and something beside it, such as '%s_version'"
        )
    if not _is_format(options.class_name) or not (options.class_name % "x").isidentifier():
        raise ImproperlyConfigured(
            f"{owner}: class_name is {options.class_name!r}; it needs '%s' for the name of the "
            "class, and letters, digits or underscores beside it, such as '%sVersion'"
        )
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


def _check_factory(factory: Any, owner: str) -> None:
    is_awaited = iscoroutinefunction(factory) or isasyncgenfunction(factory)
    if factory is not None and (is_awaited or not callable(factory)):
        raise ImproperlyConfigured(
            f"{owner}: session_factory is {factory!r}; give a sessionmaker, or a function without "
            "arguments that returns or yields a Session, and need not be awaited"
        )


def _check_versions(options: Options, owner: str) -> None:
    """Refuse what only one strategy can do, or none."""
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
