"""The session that applications hold or make, and the connection it numbers transactions on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import wraps
from inspect import isgenerator
from typing import Any, NoReturn, ParamSpec, TypeVar

from sqlalchemy import Connection, update
from sqlalchemy.exc import MissingGreenlet, StatementError, UnboundExecutionError
from sqlalchemy.orm import Mapper, Session

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured, MustBeAwaited, VersioningError

__all__ = [
    "awaited_as",
    "check_databases",
    "flush",
    "numbering_connection",
    "opened_session",
    "registered_session",
    "sync_session",
]

P = ParamSpec("P")
T = TypeVar("T")


def awaited_as(form: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that asks a database say what there is where its answer must be awaited.

    :param form: the name of it in ``sqlalchemy_versioned.asyncio``, as it is used.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def ask(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except (MissingGreenlet, StatementError) as error:
                # What was called from outside says it, not what it called itself.
                cause = error.__cause__ if isinstance(error, MustBeAwaited) else error
                # Where a statement was about to be executed, it is wrapped.
                if not isinstance(getattr(cause, "orig", cause), MissingGreenlet):
                    raise
                raise MustBeAwaited(
                    "the driver of this database must be awaited, which nothing does here; use "
                    f"sqlalchemy_versioned.asyncio.{form}, or call this by session.run_sync()"
                ) from cause

        return ask

    return decorate


def registered_session(session: Any) -> Any:
    """Return the session that a registry of sessions has now; something else as it is.

    Objects of applications may have a registry, too, that of their classes.
    """
    return session() if hasattr(session, "registry") and callable(session) else session


def sync_session(session: Any) -> Session:
    """Return the session behind a scoped or asynchronous one.

    :raises ImproperlyConfigured: if *session* is no session.
    """
    if isinstance(session, Session):
        return session
    # Known by what they have: importing sqlalchemy.ext.asyncio needs greenlet, which
    # synchronous applications do without.
    found = registered_session(session)
    found = getattr(found, "sync_session", found)
    if not isinstance(found, Session):
        raise ImproperlyConfigured(
            f"{session!r} is no session; give a Session, a scoped_session or an AsyncSession"
        )
    return found


def check_databases(session: Session) -> None:
    """Refuse to look at history with a session that finds a database for each object.

    It would ask all of them, or one that need not be the right one: a version that is not found
    there seems never to have been.

    :raises VersioningError: if *session* is one.
    """
    if session.connection_callable is not None:
        raise VersioningError(
            f"{type(session).__name__} finds a database for each object, and each of these has a "
            "history of its own, with transactions that it numbers by itself; look at it with a "
            "session for each database"
        )


def flush(session: Session) -> bool:
    """Flush what waits, as a query would; tell whether there was anything."""
    waits = bool(session.new or session.deleted or session.dirty)
    if not waits or not session.autoflush or _sqlalchemy.is_flushing(session):
        return False
    session.flush()
    return True


@contextmanager
def opened_session(factory: Callable[[], Any]) -> Generator[Session, None, None]:
    """Open a session as an application does, for a block, and close it at its end.

    :param factory: returns a session, yields one, or returns a context manager that has one.
    :raises ImproperlyConfigured: if it gives something else.
    """
    # A registry of sessions would give, and close, the one that its thread is using.
    fresh: Any = getattr(factory, "session_factory", factory)
    made: Any = fresh()
    opened: Any = _yielded(made) if isgenerator(made) else made
    if not hasattr(opened, "__enter__"):
        _refuse(factory, made)
    with opened as session:
        if not isinstance(session, Session):
            _refuse(factory, session)
        yield session


@contextmanager
def _yielded(generator: Any) -> Generator[Any, None, None]:
    """Return what a generator yields, and let it go on at the end of the block."""
    yield from generator


def _refuse(factory: Any, made: Any) -> NoReturn:
    raise ImproperlyConfigured(
        f"session_factory is {factory!r}, which gave {made!r}; give a sessionmaker, or a function "
        "that returns or yields a Session"
    )


def numbering_connection(
    session: Session,
    transactions: Mapper[Any],
    others: Iterable[dict[str, Any]],
    *,
    writing: Connection | None = None,
    is_read: bool = False,
) -> Connection:
    """Return the connection on which transactions are numbered.

    :param transactions: the mapper of the Transaction class.
    :param others: bind arguments of what is versioned, one of which a session may know the database
        of where it does not know that of the Transaction class.
    :param writing: a connection of the session's transaction, which is nearly always the one.
    :param is_read: whether transactions are only looked up.
    """
    # Sessions that read from replicas know writes by the statement, many of them these only.
    is_own = type(session).get_bind is Session.get_bind
    clause = None if is_read or is_own else update(transactions.class_)
    try:
        bind = session.get_bind(mapper=transactions, clause=clause)
        if writing is not None and bind in (writing.engine, writing):
            return writing
        return session.connection(bind_arguments={"bind": bind})
    except UnboundExecutionError:
        for arguments in others:
            try:
                return session.connection(bind_arguments=arguments)
            except UnboundExecutionError:
                continue
        raise
