"""Options as values: what may be said to the library, and every naming rule.

:class:`Options` are made from what a manager and a class say when mappers are configured; see
:mod:`.said_options`.  Everything later reads attributes of an :class:`Options` or of a spec; nobody
asks for an option by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from sqlalchemy import Column

from ._typing import new_dict

__all__ = [
    "ATTRIBUTES",
    "DEFAULTS",
    "KEY_LISTS",
    "KNOWN",
    "MANAGER_ONLY",
    "POLICIES",
    "STAMPS",
    "Options",
    "Strategy",
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

#: Options that list attributes.
KEY_LISTS = ("exclude", "include", "ignore", "mask")

#: Options that name columns which say when a version was written, and by which database user.
STAMPS = ("issued_at_column_name", "db_user_column_name")

#: Options that name one attribute.
ATTRIBUTES = ("object_id_attribute", "user_id_attribute")

#: What is done about writes that cannot be recorded, the strictest first.
POLICIES = ("raise", "warn", "ignore")

#: The names of all options.
KNOWN = tuple(f.name for f in fields(Options) if f.name not in ("extra", "is_selective"))
