"""Versioning for SQLAlchemy: complete, true and fast.

>>> from sqlalchemy_versioned import Versioned, make_versioned, version_class

Call :func:`make_versioned` before the models are declared, let them derive from
:class:`Versioned` (or give them ``__versioned__``), and every flush records versions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, Table
from sqlalchemy.orm import Mapper, Session

from ._on_demand import names_on_demand
from .build.transaction import TransactionFactory
from .build.transaction_base import TransactionBase
from .build.versioned import Versioned, versioned
from .capture.recorder import UnrecordedWrite
from .context.transaction_context import (
    UNSAID,
    clear_transaction_context,
    get_transaction_context,
    set_transaction_context,
    transaction_context,
)
from .exc import (
    CaptureError,
    ClassNotVersioned,
    HistoryIsAppendOnly,
    ImproperlyConfigured,
    IncompleteHistory,
    InvalidArgument,
    InvalidArgumentType,
    MissingSessionVariable,
    MustBeAwaited,
    NoChangesAttribute,
    ReadOnlyRelationship,
    ReadOnlySnapshot,
    RelationshipNotVersioned,
    ReverterException,
    UnknownOption,
    VersioningError,
    VersionIsImmutable,
    VersionIsImmutableDelete,
    VersionIsImmutableUpdate,
)
from .hooks import Plugin, PluginCollection
from .manager.manager import VersioningManager
from .manager.scope import manager_of
from .model.counterparts import (
    end_tx_column_name,
    is_versioned,
    parent_class,
    parent_table,
    transaction_class,
    tx_column_name,
    version_class,
    version_table,
)
from .model.lookup import get_versioning_manager
from .model.masks import MASKED, Masked
from .model.operation import Operation
from .query.history import deleted
from .reading.changeset import (
    changeset,
    is_modified,
    is_modified_or_deleted,
    is_session_modified,
    versioned_objects,
)
from .reading.collection import VersionCollection, count_versions, versions_of
from .reading.snapshot import Snapshot, as_of
from .reading.version import Version, version_api
from .recording.paused import paused
from .recording.unit_of_work import UnitOfWork
from .said_options import said_options

if TYPE_CHECKING:
    from .changes import (
        ChangeRecord,
        FieldChange,
        FlatChange,
        blame,
        flatten,
        get_changes,
        select_changes,
    )
    from .maintenance.vacuum import vacuum
    from .revert import revert_plan
else:
    __getattr__ = names_on_demand(
        __name__,
        {
            "ChangeRecord": "changes.records",
            "FieldChange": "changes.records",
            "FlatChange": "changes.records",
            "blame": "changes.objects",
            "flatten": "changes.records",
            "get_changes": "changes.getting",
            "revert_plan": "revert.reverting",
            "select_changes": "changes.queries",
            "vacuum": "maintenance.vacuum",
        },
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__version__ = "1.0.0.dev0"

#: The default manager.
versioning_manager: VersioningManager = VersioningManager()


def make_versioned(
    mapper: Any = Mapper,
    session: Any = Session,
    manager: VersioningManager = versioning_manager,
    plugins: Any = None,
    options: dict[str, Any] | None = None,
    user_cls: Any = UNSAID,
    current_user: Callable[[], Any] | None = UNSAID,
    native: bool | None = None,
    **more_options: Any,
) -> None:
    """Start versioning; call it before the models are declared.

    Calling it again changes nothing but what is said anew.  Models that are declared already
    are taken in as well.  Once mappers are configured, options that would have made something else
    of them are refused.

    :param mapper: whose classes and tables: ``Mapper`` for all, a base class, a registry, or a
        ``MetaData``.
    :param session: whose sessions: ``Session`` for all, a Session class, factory or session.
    :param manager: the manager that does it.
    :param plugins: plugins to register; one of a class that is registered already is not again.
    :param options: options for all classes; the same can be given as keywords.
    :param user_cls: the class that transactions link to as ``user``: a class, the name of one
        that must exist, or ``None`` for no link.  Unless given, a class ``User`` is used if
        there is one.
    :param current_user: returns the user who writes, an object or a key, where no
        :class:`transaction_context` tells; if it returns ``None`` plugins are asked.
    :param native: short for the option ``native_versioning``.
    :raises UnknownOption: if an option does not exist; the known ones are listed.
    :raises ImproperlyConfigured: if something else is of the wrong kind, or comes too late.

    >>> make_versioned(strategy="validity")
    """
    said = {**said_options(options or {}, owner="make_versioned()"), **more_options}
    if native is not None:
        said["native_versioning"] = native
    manager.take(said, plugins=plugins or (), user_cls=user_cls, current_user=current_user)
    manager.start(mapper=mapper, session=session)


T = TypeVar("T", bound=Table)


def versioned_table(table: T, *, manager: VersioningManager | None = None, **options: Any) -> T:
    """Version a table that no class need be mapped to, with *options*; return the table.

    Its version table is in the same ``MetaData`` from then on, so that ``create_all()`` makes both.
    What statements write to the table is recorded, and also what a class writes that is mapped to
    it without being versioned itself.  It can be called before :func:`make_versioned`, which then
    makes the version table, and repeatedly: columns that were appended since are kept, too.

    ``Table(..., info={"versioned": {...}})`` says the same.

    :param table: a table, with a primary key unless ``strategy`` is ``'append'``.
    :param manager: the manager that does it; unless given, that of the ``MetaData`` of the table,
        if :func:`make_versioned` was given one for it, or :data:`versioning_manager`.
    :param options: options as ``__versioned__`` has them; ``exclude``, ``include`` and ``ignore``
        list keys of columns.
    :raises UnknownOption: if an option does not exist; the known ones are listed.
    :raises ImproperlyConfigured: if an option cannot be followed, or another was said before.
    :raises InvalidArgumentType: if *table* is no table; it is a ``TypeError``, too.

    >>> table = Table("page", blog.metadata, Column("id", Integer, primary_key=True))
    >>> page = versioned_table(table, capture="warn")
    >>> version_table(page).name
    'page_version'
    """
    (manager or manager_of(table, versioning_manager)).add_table(table, options)
    return table


def remove_versioning(
    mapper: Any = Mapper,
    session: Any = Session,
    manager: VersioningManager = versioning_manager,
) -> None:
    """Undo :func:`make_versioned` entirely; models and tables stay usable, and unversioned.

    :param mapper: taken for compatibility; everything is undone.
    :param session: taken for compatibility.
    :param manager: the manager to stop.

    >>> remove_versioning(manager=VersioningManager())
    """
    manager.reset()


def set_session_variables(session_or_connection: Any, /, **values: Any) -> None:
    """Say who writes, and why, for the transaction that a session or connection is in.

    It is said as by :func:`transaction_context`, and wins over it, until the transaction ends or a
    savepoint that was set before is rolled back.  On PostgreSQL, triggers can read it, too:
    ``current_setting('audit.reason', true)``.

    :param session_or_connection: a Session, a ``scoped_session`` or a Connection; asynchronous
        ones inside of ``run_sync()``.  A transaction is begun if there is none.
    :param values: texts, numbers, UUIDs, dates or times; ``None`` takes back what was said.
    :raises InvalidArgument: if a value cannot be stored.

    >>> set_session_variables(session, reason="import")
    """
    versioning_manager.set_session_variables(session_or_connection, values)


def session_variables(session_or_connection: Any, /, **values: Any) -> AbstractContextManager[None]:
    """Say who writes, and why, inside a block, for the transaction of a session or connection.

    It is said as by :func:`set_session_variables`; what was said before is in force again at the
    end, if the transaction goes on.  A session flushes at the end, so that what was changed inside
    is written inside.  A transaction keeps what is said when it first writes something; under the
    strategy ``append`` each event keeps what is said then.

    :param session_or_connection: as for :func:`set_session_variables`, as are the others.

    >>> with session_variables(session, remote_addr="::1"):
    ...     article.name = "Best"
    >>> article.versions[-1].transaction.remote_addr
    '::1'
    """
    return versioning_manager.session_variables(session_or_connection, values)


def session_variables_statement(**values: Any) -> Select[Any]:
    """Return a statement that sets session variables on PostgreSQL, until its transaction ends.

    Values are bound parameters.  Only triggers read what is set so; :func:`set_session_variables`
    is for both.

    :param values: as for :func:`set_session_variables`.

    >>> print(session_variables_statement(reason="import"))
    SELECT set_config(:param_1, :param_2, true) AS reason
    """
    return versioning_manager.session_variables_statement(values)


__all__ = [
    "MASKED",
    "CaptureError",
    "ChangeRecord",
    "ClassNotVersioned",
    "FieldChange",
    "FlatChange",
    "HistoryIsAppendOnly",
    "ImproperlyConfigured",
    "IncompleteHistory",
    "InvalidArgument",
    "InvalidArgumentType",
    "Masked",
    "MissingSessionVariable",
    "MustBeAwaited",
    "NoChangesAttribute",
    "Operation",
    "Plugin",
    "PluginCollection",
    "ReadOnlyRelationship",
    "ReadOnlySnapshot",
    "RelationshipNotVersioned",
    "ReverterException",
    "Snapshot",
    "TransactionBase",
    "TransactionFactory",
    "UnitOfWork",
    "UnknownOption",
    "UnrecordedWrite",
    "Version",
    "VersionCollection",
    "VersionIsImmutable",
    "VersionIsImmutableDelete",
    "VersionIsImmutableUpdate",
    "Versioned",
    "VersioningError",
    "VersioningManager",
    "as_of",
    "blame",
    "changeset",
    "clear_transaction_context",
    "count_versions",
    "deleted",
    "end_tx_column_name",
    "flatten",
    "get_changes",
    "get_transaction_context",
    "get_versioning_manager",
    "is_modified",
    "is_modified_or_deleted",
    "is_session_modified",
    "is_versioned",
    "make_versioned",
    "parent_class",
    "parent_table",
    "paused",
    "remove_versioning",
    "revert_plan",
    "select_changes",
    "session_variables",
    "session_variables_statement",
    "set_session_variables",
    "set_transaction_context",
    "transaction_class",
    "transaction_context",
    "tx_column_name",
    "vacuum",
    "version_api",
    "version_class",
    "version_table",
    "versioned",
    "versioned_objects",
    "versioned_table",
    "versioning_manager",
    "versions_of",
]
