"""Reading and reverting with an ``AsyncSession``: an awaitable form of everything that asks.

Each function does what its namesake does, in the session of its object; there is one
implementation, which runs by ``AsyncSession.run_sync()``.  Writing needs none of this: flushes of
an ``AsyncSession`` are recorded like any other.  What never asks the database, such as
:func:`.is_modified` and ``unit.current_transaction``, has no other form and is used as it is.

>>> from sqlalchemy_versioned import asyncio as versioned
>>> async def show(article):
...     names = [version.name async for version in versioned.versions(article)]
...     last = await versioned.versions(article).get(-1)
...     return names, await versioned.changeset(last)
>>> run(show)
(['Draft', 'Final'], {'name': ['Draft', 'Final']})

In these examples, ``run()`` calls a function in an event loop, with what its parameters name.
Statements need no awaitable form: ``article.versions.select()``, :func:`.deleted` and the like are
executed by ``await session.scalars(…)``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_session
from sqlalchemy.orm import Session

from . import session_variables as _session_variables
from . import set_session_variables as _set_session_variables
from ._typing import type_of
from .changes import ChangeRecord
from .changes import blame as _blame
from .changes import get_changes as _get_changes
from .database.sessions import registered_session
from .exc import ImproperlyConfigured, InvalidArgumentType
from .maintenance import Fault, Repair
from .maintenance import baseline as _baseline
from .maintenance import prune as _prune
from .maintenance import redact as _redact
from .maintenance import repair as _repair
from .maintenance import update_end_tx_column as _update_end_tx_column
from .maintenance import update_property_mod_flags as _update_property_mod_flags
from .maintenance import verify as _verify
from .maintenance.vacuum import vacuum as _vacuum
from .model.counterparts import version_class
from .reading.changeset import changeset as _changeset
from .reading.collection import VersionCollection, versions_of
from .reading.collection import count_versions as _count_versions
from .reading.moments import Moment
from .reading.snapshot import Snapshot
from .reading.snapshot import as_of as _as_of
from .reading.version import Version, VersionAPI, version_api
from .recording.paused import paused as _paused
from .recording.unit_of_work import UnitOfWork
from .revert import RevertPlan
from .revert import revert as _revert
from .revert import revert_plan as _revert_plan

__all__ = [
    "AsyncSnapshot",
    "AsyncVersions",
    "all_versions",
    "as_of",
    "baseline",
    "blame",
    "changed_entities",
    "changeset",
    "count_versions",
    "create_transaction",
    "diff",
    "entity_names",
    "get_changes",
    "index",
    "is_delete",
    "next",
    "operation_type",
    "paused",
    "previous",
    "prune",
    "redact",
    "repair",
    "revert",
    "revert_plan",
    "session_variables",
    "set_session_variables",
    "to_dict",
    "transaction",
    "update_end_tx_column",
    "update_property_mod_flags",
    "vacuum",
    "verify",
    "version_at",
    "version_parent",
    "versions",
]

T = TypeVar("T")


async def _run(subject: Any, function: Callable[..., T], *args: Any) -> T:
    """Call *function* where it may use the session of an object."""
    state = inspect(subject, raiseerr=False)
    session = getattr(state, "session", None)
    if session is None:
        # Without a session nothing is asked; the function says so where that is an error.
        return function(*args)
    return await _run_in(session, subject, function, *args)


async def _run_in(session: Session, subject: Any, function: Callable[..., T], *args: Any) -> T:
    found = async_session(session)
    if found is None:
        raise ImproperlyConfigured(
            f"{subject!r} is in a synchronous session; use what has this name in "
            "sqlalchemy_versioned itself"
        )
    return await found.run_sync(lambda _: function(*args))


def _asynchronous(session: Any) -> AsyncSession:
    # That of the task.
    found = registered_session(session)
    if not isinstance(found, AsyncSession):
        raise ImproperlyConfigured(
            f"{session!r} is no asynchronous session; give an AsyncSession, or use what has this "
            "name in sqlalchemy_versioned itself"
        )
    return found


# -- the past --------------------------------------------------------------------------------


class AsyncSnapshot(AsyncSession):
    """An ``AsyncSession`` that reads the past; made by :func:`as_of`.

    >>> async def read(session, first):
    ...     async with versioned.as_of(session, first) as past:
    ...         return type(past).__name__, past.moment.transaction_id
    >>> run(read)
    ('AsyncSnapshot', 1)
    """

    sync_session: Snapshot  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(sync_session_class=lambda **_: snapshot)  # type: ignore[arg-type]
        # As a Snapshot has it; an AsyncSession that is given none lacks the attribute.
        self.bind = None

    @property
    def moment(self) -> Moment:
        """The point in history that is read."""
        return self.sync_session.moment

    async def exec(self, statement: Any, **options: Any) -> Any:
        """Execute a statement as asynchronous sessions of SQLModel do.

        >>> async def names(session, first):
        ...     async with versioned.as_of(session, first) as past:
        ...         return (await past.exec(select(Article.name))).all()
        >>> run(names)
        [('Draft',)]
        """
        return await self.run_sync(lambda _: self.sync_session.exec(statement, **options))

    async def __aexit__(self, *details: Any) -> None:
        try:
            if details[0] is None:
                await self.run_sync(lambda _: self.sync_session.check_unpruned())
        finally:
            await super().__aexit__(*details)

    def __repr__(self) -> str:
        return f"<AsyncSnapshot as of {self.moment}>"


class as_of:  # Used like the function that it is the twin of.
    """Return a read-only session in which every versioned table reads as it stood at *when*.

    To be awaited, or used by ``async with``; otherwise as :func:`sqlalchemy_versioned.as_of`.

    >>> async def first_name(session, first):
    ...     async with versioned.as_of(session, first) as past:
    ...         return (await past.get(Article, 1)).name
    >>> run(first_name)
    'Draft'
    """

    def __init__(self, session: Any, when: Any, *, on_incomplete: str = "raise") -> None:
        self._session = _asynchronous(session)
        self._when = when
        self._on_incomplete = on_incomplete
        self._past: AsyncSnapshot | None = None

    async def _open(self) -> AsyncSnapshot:
        return AsyncSnapshot(
            await self._session.run_sync(_as_of, self._when, on_incomplete=self._on_incomplete)
        )

    def __await__(self) -> Generator[Any, None, AsyncSnapshot]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncSnapshot:
        self._past = await self._open()
        return self._past

    async def __aexit__(self, *details: Any) -> None:
        assert self._past is not None
        await self._past.__aexit__(*details)


# -- the versions of an object ---------------------------------------------------------------


class AsyncVersions:
    """The versions of one object, oldest first: ``article.versions`` for an ``AsyncSession``.

    :meth:`filter`, :meth:`filter_by`, :meth:`order_by` and :meth:`options` return narrower ones.

    >>> async def last_name(article):
    ...     return (await versioned.versions(article).get(-1)).name
    >>> run(last_name)
    'Final'
    """

    def __init__(self, obj: Any, found: VersionCollection[Any]) -> None:
        self._obj = obj
        self._found = found

    def select(self) -> Any:
        """Return the statement of this collection."""
        return self._found.select()

    async def all(self) -> list[Any]:
        """Return all versions as a list."""
        return await _run(self._obj, self._found.all)

    async def first(self) -> Any | None:
        """Return the first version, or ``None``."""
        return await _run(self._obj, self._found.first)

    async def get(self, place: int | slice) -> Any:
        """Return the version at a place, counted from 0 or, if negative, from the end.

        :raises IndexError: if there is none.
        """
        return await _run(self._obj, self._found.__getitem__, place)

    async def at(self, when: Any) -> Any | None:
        """Return the version that was the newest at *when*."""
        return await _run(self._obj, self._found.at, when)

    async def count(self) -> int:
        """Return how many versions there are."""
        return await _run(self._obj, self._found.count)

    async def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the place of a version among these.

        :raises ValueError: if it is not there.
        """
        return await _run(self._obj, self._found.index, value, start, stop)

    async def contains(self, value: Any) -> bool:
        """Tell whether *value* is one of these versions."""
        return await _run(self._obj, self._found.__contains__, value)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for version in await self.all():
            yield version

    def filter(self, *criteria: Any) -> AsyncVersions:
        """Return the versions that match *criteria* as well."""
        return AsyncVersions(self._obj, self._found.filter(*criteria))

    def filter_by(self, **values: Any) -> AsyncVersions:
        """Return the versions with these attribute values."""
        return AsyncVersions(self._obj, self._found.filter_by(**values))

    def order_by(self, *clauses: Any) -> AsyncVersions:
        """Return the versions in another order."""
        return AsyncVersions(self._obj, self._found.order_by(*clauses))

    def options(self, *options: Any) -> AsyncVersions:
        """Return the versions with loader options applied."""
        return AsyncVersions(self._obj, self._found.options(*options))


def versions(obj: Any) -> AsyncVersions:
    """Return the versions of *obj*; nothing is asked yet.

    >>> async def number_of_versions(article):
    ...     return await versioned.versions(article).count()
    >>> run(number_of_versions)
    2
    """
    return AsyncVersions(obj, versions_of(obj))


async def count_versions(obj: Any) -> int:
    """Return how many versions *obj* has; see :func:`sqlalchemy_versioned.count_versions`.

    >>> async def ask(article):
    ...     return await versioned.count_versions(article)
    >>> run(ask)
    2
    """
    return await _run(obj, _count_versions, obj)


async def version_at(
    session: Any, model: Any, primary_key_values: Any, transaction_id: Any
) -> Any | None:
    """Return the version of one object that was the newest at a transaction.

    See :meth:`.Version.version_at`.

    >>> async def first_name(session, first):
    ...     return (await versioned.version_at(session, Article, 1, first)).name
    >>> run(first_name)
    'Draft'
    """
    found = version_class(model).version_at
    return await _asynchronous(session).run_sync(found, primary_key_values, transaction_id)


async def all_versions(
    session: Any,
    model: Any,
    primary_key_values: Any,
    limit: int | None = None,
    offset: int | None = None,
    desc: bool = True,
) -> list[Any]:
    """Return the versions of one object, newest first unless *desc* is false.

    See :meth:`.Version.all_versions`.

    >>> async def ask(session):
    ...     newest, *_ = await versioned.all_versions(session, Article, 1)
    ...     return newest.name
    >>> run(ask)
    'Final'
    """
    found = version_class(model).all_versions
    return list(
        await _asynchronous(session).run_sync(found, primary_key_values, limit, offset, desc)
    )


# -- one version -----------------------------------------------------------------------------


def _ask(version: Any, name: str) -> Any:
    return getattr(_api(version), name)


def _api(version: Any) -> VersionAPI:
    if not isinstance(version, Version):
        raise ImproperlyConfigured(
            f"{version!r} is no version; give one, such as await versions(article).get(-1)"
        )
    return version_api(version)


async def previous(version: Any) -> Any | None:
    """Return the version before *version*, or ``None`` for the oldest.

    >>> async def ask(article):
    ...     last = await versioned.versions(article).get(-1)
    ...     return (await versioned.previous(last)).name
    >>> run(ask)
    'Draft'
    """
    return await _run(version, _ask, version, "previous")


async def next(version: Any) -> Any | None:
    """Return the version after *version*, or ``None`` for the newest.

    >>> async def ask(article):
    ...     oldest = await versioned.versions(article).first()
    ...     return (await versioned.next(oldest)).name
    >>> run(ask)
    'Final'
    """
    return await _run(version, _ask, version, "next")


async def index(version: Any) -> int:
    """Return the place of *version* among those of its object, from 0.

    >>> async def ask(article):
    ...     last = await versioned.versions(article).get(-1)
    ...     return await versioned.index(last)
    >>> run(ask)
    1
    """
    place: int = await _run(version, _ask, version, "index")
    return place


async def is_delete(version: Any) -> bool:
    """Tell whether *version* records that its object was deleted.

    >>> async def ask(article):
    ...     return await versioned.is_delete(await versioned.versions(article).get(-1))
    >>> run(ask)
    False
    """
    found: bool = await _run(version, _ask, version, "is_delete")
    return found


async def operation_type(version: Any) -> int:
    """Return what *version* records, as an :class:`.Operation` value.

    >>> async def ask(article):
    ...     last = await versioned.versions(article).get(-1)
    ...     return await versioned.operation_type(last) == Operation.UPDATE
    >>> run(ask)
    True
    """
    operation: int = await _run(version, _ask, version, "operation_type")
    return operation


async def transaction(version: Any) -> Any | None:
    """Return the transaction that made *version*.

    >>> async def ask(article, first):
    ...     oldest = await versioned.versions(article).first()
    ...     return await versioned.transaction(oldest) is first
    >>> run(ask)
    True
    """
    return await _run(version, _ask, version, "transaction")


async def version_parent(version: Any) -> Any | None:
    """Return the live object, or ``None`` if it is deleted.

    >>> async def ask(article):
    ...     oldest = await versioned.versions(article).first()
    ...     return await versioned.version_parent(oldest) is article
    >>> run(ask)
    True
    """
    return await _run(version, _ask, version, "version_parent")


async def changeset(subject: Any) -> dict[str, list[Any]]:
    """Return what a version changed, or what is changed in an object and not flushed.

    See :attr:`.Version.changeset` and :func:`sqlalchemy_versioned.changeset`.

    >>> async def ask(article):
    ...     last = await versioned.versions(article).get(-1)
    ...     return await versioned.changeset(last)
    >>> run(ask)
    {'name': ['Draft', 'Final']}
    """
    if isinstance(subject, Version):
        changes: dict[str, list[Any]] = await _run(subject, _ask, subject, "changeset")
        return changes
    return await _run(subject, _changeset, subject)


async def diff(version: Any, other: Any, relations: Any = ()) -> dict[str, list[Any]]:
    """Return in what *other* differs from *version*; see :meth:`.Version.diff`.

    >>> async def ask(article):
    ...     oldest, last = await versioned.versions(article).all()
    ...     return await versioned.diff(oldest, last)
    >>> run(ask)
    {'name': ['Draft', 'Final']}
    """
    return await _run(version, lambda: _api(version).diff(other, relations))


async def to_dict(version: Any) -> dict[str, Any]:
    """Return the values of *version* by attribute name, loading what is expired.

    >>> async def ask(article):
    ...     last = await versioned.versions(article).get(-1)
    ...     return (await versioned.to_dict(last))['name']
    >>> run(ask)
    'Final'
    """
    return await _run(version, lambda: _api(version).to_dict())


async def revert(
    version: Any, relations: Iterable[str] | str | None = (), on_missing: str = "raise"
) -> Any | None:
    """Put an object, and the relations that are named, back to *version*.

    See :meth:`.Version.revert`.

    >>> async def restore(article):
    ...     oldest = await versioned.versions(article).first()
    ...     return (await versioned.revert(oldest)).name
    >>> run(restore)
    'Draft'
    """
    return await _run(version, _revert, version, relations, on_missing)


async def revert_plan(
    version: Any, relations: Iterable[str] | str | None = (), on_missing: str = "raise"
) -> RevertPlan:
    """Return what reverting to *version* would do; see :func:`sqlalchemy_versioned.revert_plan`.

    >>> async def ask(article):
    ...     oldest = await versioned.versions(article).first()
    ...     plan = await versioned.revert_plan(oldest)
    ...     return len(plan.steps)
    >>> run(ask)
    1
    """
    return await _run(version, _revert_plan, version, relations, on_missing)


# -- changes ---------------------------------------------------------------------------------


async def get_changes(model: Any, session: Any, **asked: Any) -> list[ChangeRecord]:
    """Return what changed of the objects of a class, newest first.

    :param asked: as for :func:`sqlalchemy_versioned.get_changes`.

    >>> async def deletions(session):
    ...     return await versioned.get_changes(Article, session, operations="D")
    >>> run(deletions)
    []
    """
    return await _asynchronous(session).run_sync(lambda sync: _get_changes(model, sync, **asked))


async def blame(obj: Any) -> dict[str, Any]:
    """Return the transaction that last set each column of an object or version, by attribute.

    See :func:`sqlalchemy_versioned.blame`.

    >>> async def ask(article, first):
    ...     return (await versioned.blame(article))['id'] is first
    >>> run(ask)
    True
    """
    return await _run(obj, _blame, obj)


class paused:  # Used like the function that it is the twin of.
    """Record nothing that *session* writes inside the block; other sessions go on.

    See :class:`sqlalchemy_versioned.paused`.

    >>> async def touch(session, article):
    ...     async with versioned.paused(session):
    ...         article.name = "Not worth a version"
    ...     return await versioned.count_versions(article)
    >>> run(touch)
    2
    """

    def __init__(self, session: Any) -> None:
        self._session = _asynchronous(session)
        self._block = _paused(self._session.sync_session)

    async def __aenter__(self) -> None:
        await self._session.run_sync(lambda _: self._block.__enter__())

    async def __aexit__(self, *details: Any) -> None:
        await self._session.run_sync(lambda _: self._block.__exit__(*details))


# -- transactions ----------------------------------------------------------------------------


def _tell(transaction: Any, name: str) -> Any:
    if not hasattr(type_of(transaction), name):
        raise InvalidArgumentType(
            f"{transaction!r} is no transaction; give one, such as await transaction(version)"
        )
    return getattr(transaction, name)


async def changed_entities(transaction: Any) -> dict[type[Any], list[Any]]:
    """Return the versions that *transaction* made, by version class.

    See :attr:`.TransactionBase.changed_entities`.

    >>> async def ask(first):
    ...     (versions,) = (await versioned.changed_entities(first)).values()
    ...     return [version.name for version in versions]
    >>> run(ask)
    ['Draft']
    """
    found: dict[type[Any], list[Any]] = await _run(
        transaction, _tell, transaction, "changed_entities"
    )
    return found


async def entity_names(transaction: Any) -> list[str]:
    """Return the names of the classes of which *transaction* changed objects, sorted.

    >>> async def ask(first):
    ...     return await versioned.entity_names(first)
    >>> run(ask)
    ['Article']
    """
    found: list[str] = await _run(transaction, _tell, transaction, "entity_names")
    return found


async def create_transaction(unit_of_work: UnitOfWork, **attributes: Any) -> Any:
    """Write a transaction now, whatever is changed later, and return it.

    See :meth:`.UnitOfWork.create_transaction`.

    >>> async def begin_import(session):
    ...     unit = versioning_manager.unit_of_work(session)
    ...     begun = await versioned.create_transaction(unit, remote_addr="127.0.0.1")
    ...     return begun is unit.current_transaction
    >>> run(begin_import)
    True
    """
    given: Any = unit_of_work
    if not isinstance(given, UnitOfWork):
        raise InvalidArgumentType(
            f"{given!r} is no unit of work; give that of the session, "
            "versioning_manager.unit_of_work(session)"
        )
    create = unit_of_work.create_transaction
    return await _run_in(unit_of_work.session, unit_of_work, lambda: create(**attributes))


class session_variables:  # Used like the function that it is the twin of.
    """Say who writes, and why, inside a block, for the transaction of a session or connection.

    :param session_or_connection: an ``AsyncSession``, a registry of them, or an
        ``AsyncConnection``.
    :param values: as for :func:`sqlalchemy_versioned.session_variables`.

    >>> async def rename(session, article):
    ...     async with versioned.session_variables(session, remote_addr="::1"):
    ...         article.name = "Best"
    ...     last = await versioned.versions(article).get(-1)
    ...     return (await versioned.transaction(last)).remote_addr
    >>> run(rename)
    '::1'
    """

    def __init__(self, session_or_connection: Any, /, **values: Any) -> None:
        self._on = _on(session_or_connection)
        self._values = values

    async def __aenter__(self) -> None:
        def enter(sync: Any) -> AbstractContextManager[None]:
            block = _session_variables(sync, **self._values)
            block.__enter__()
            return block

        self._block = await self._on.run_sync(enter)

    async def __aexit__(self, *details: Any) -> None:
        await self._on.run_sync(lambda _: self._block.__exit__(*details))


async def set_session_variables(session_or_connection: Any, /, **values: Any) -> None:
    """Say who writes, and why, for the transaction that a session or connection is in.

    :param session_or_connection: an ``AsyncSession``, a registry of them, or an
        ``AsyncConnection``.
    :param values: as for :func:`sqlalchemy_versioned.set_session_variables`.

    >>> async def say_why(session):
    ...     await versioned.set_session_variables(session, remote_addr="::1")
    >>> run(say_why)
    """
    await _on(session_or_connection).run_sync(lambda sync: _set_session_variables(sync, **values))


def _on(session_or_connection: Any) -> AsyncSession | AsyncConnection:
    if isinstance(session_or_connection, AsyncConnection):
        return session_or_connection
    return _asynchronous(session_or_connection)


# -- looking after history -------------------------------------------------------------------


async def verify(session: Any, *models: Any, **asked: Any) -> list[Fault]:
    """Compare history with the live rows, and with itself; return what is wrong.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.verify`.

    >>> async def ask(session):
    ...     return await versioned.verify(session, Article)
    >>> run(ask)
    []
    """
    return await _asynchronous(session).run_sync(lambda sync: _verify(sync, *models, **asked))


async def repair(session: Any, *models: Any, **asked: Any) -> Repair:
    """Mend the faults of a history, as far as it can be known what is right.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.repair`.

    >>> async def ask(session):
    ...     return (await versioned.repair(session)).left
    >>> run(ask)
    ()
    """
    return await _asynchronous(session).run_sync(lambda sync: _repair(sync, *models, **asked))


async def baseline(session: Any, model: Any, **asked: Any) -> int:
    """Give the rows that have no version one of their present state; return how many there were.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.baseline`.

    >>> async def ask(session):
    ...     return await versioned.baseline(session, Article)
    >>> run(ask)
    0
    """
    return await _asynchronous(session).run_sync(lambda sync: _baseline(sync, model, **asked))


async def prune(session: Any, model: Any, **asked: Any) -> int:
    """Remove old versions of a class; return how many.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.prune`.

    >>> async def ask(session):
    ...     return await versioned.prune(session, Article, keep=1)
    >>> run(ask)
    1
    """
    return await _asynchronous(session).run_sync(lambda sync: _prune(sync, model, **asked))


async def redact(session: Any, model: Any, **asked: Any) -> int:
    """Empty columns of the versions of some objects; return how many versions had something.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.redact`.

    >>> async def ask(session):
    ...     return await versioned.redact(session, Article, object_ids=1, columns='name')
    >>> run(ask)
    1
    """
    return await _asynchronous(session).run_sync(lambda sync: _redact(sync, model, **asked))


async def update_end_tx_column(session: Any, model: Any, **asked: Any) -> int:
    """Let each version of a class end where the next one begins; return how many did not.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.update_end_tx_column`.

    >>> async def ask(session):
    ...     return await versioned.update_end_tx_column(session, Article)
    >>> run(ask)
    0
    """
    mend = _update_end_tx_column
    return await _asynchronous(session).run_sync(lambda sync: mend(sync, model, **asked))


async def update_property_mod_flags(session: Any, model: Any, **asked: Any) -> int:
    """Set modification flags as the versions of a class say; return how many rows were wrong.

    :param asked: as for :func:`sqlalchemy_versioned.maintenance.update_property_mod_flags`.

    >>> async def mend(session):
    ...     return await versioned.update_property_mod_flags(session, Article)
    >>> run(mend)
    Traceback (most recent call last):
      ...
    sqlalchemy_versioned.exc.ImproperlyConfigured: ... has no modification flags; give ...
    """
    mend = _update_property_mod_flags
    return await _asynchronous(session).run_sync(lambda sync: mend(sync, model, **asked))


async def vacuum(session: Any, model: type[Any]) -> int:
    """Remove the versions of a class that say nothing new.

    See :func:`sqlalchemy_versioned.vacuum`.

    >>> async def ask(session):
    ...     return await versioned.vacuum(session, Article)
    >>> run(ask)
    0
    """
    return await _asynchronous(session).run_sync(_vacuum, model)
