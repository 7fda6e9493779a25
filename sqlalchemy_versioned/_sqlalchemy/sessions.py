"""Sessions that borrow connections, and guard their objects."""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from sqlalchemy import Connection, inspect
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.base import PassiveFlag

__all__ = [
    "BorrowingSession",
    "begun_connections",
    "guard_attached",
    "guard_modified",
    "is_savepoint_of",
    "refuse_reading",
    "related_value",
    "session_options",
    "sync_target",
]


class BorrowingSession(Session):
    """A session on connections of others: it begins, commits and rolls back nothing on them.

    Its ``get_bind()`` returns connections.  Overrides ``Session._connection_for_bind()``, where a
    transaction of the session would become that of the connection.
    """

    def _connection_for_bind(self, engine: Any, *args: Any, **kw: Any) -> Any:
        return engine


def is_savepoint_of(session: Session, savepoint: Any) -> bool:
    """Tell whether a session has set a savepoint of a connection, and not somebody else.

    Uses ``Session._transaction`` and ``SessionTransaction._connections``.
    """
    untyped: Any = session
    transaction = untyped._transaction
    while transaction is not None:
        if any(each[1] is savepoint for each in transaction._connections.values()):
            return True
        transaction = transaction.parent
    return False


def begun_connections(session: Session) -> list[Connection]:
    """Return the connections on which a session has begun its transaction.

    Uses ``SessionTransaction._connections``.
    """
    transaction: Any = session.get_transaction()
    begun = None if transaction is None else transaction._connections
    return [each for each in begun if isinstance(each, Connection)] if begun else []


def session_options(session: Session) -> dict[str, Any]:
    """Return the arguments by which another session treats statements like *session*.

    Uses ``Session._query_cls``; ``execution_options`` are new in SQLAlchemy 2.1.
    """
    options: dict[str, Any] = {"query_cls": session._query_cls}
    if said := getattr(session, "execution_options", None):
        options["execution_options"] = said
    return options


def sync_target(session: Any) -> Any:
    """Return what to listen to for sessions: of what is asynchronous, the synchronous part."""
    if hasattr(session, "sync_session"):
        return session.sync_session
    # A factory has its class, and may have been given a Session class for its sessions.
    cls = getattr(session, "class_", session)
    said = getattr(session, "kw", {}).get("sync_session_class")
    return said or getattr(cls, "sync_session_class", session)


def guard_modified(session: Session, guard: Callable[[InstanceState[Any]], None]) -> None:
    """Call *guard* before an attribute of an object of *session* is changed.

    Replaces ``WeakInstanceDict._modified``, to which a changed object is added just before.  Uses
    ``InstanceState.modified`` and ``.committed_state``.
    """
    session.identity_map._modified = _GuardedStates(guard)


class _GuardedStates(set[InstanceState[Any]]):
    """The changed objects of a session: none, because *guard* raises."""

    def __init__(self, guard: Callable[[InstanceState[Any]], None]) -> None:
        super().__init__()
        self._guard = guard

    def add(self, state: InstanceState[Any]) -> None:
        # What was noted of the change so far.
        state.modified = False
        state.committed_state.clear()
        self._guard(state)


def guard_attached(session: Session, refuse: Callable[[], NoReturn]) -> None:
    """Call *refuse* when an object of *session* is added to another one, or the other way round.

    There is no event for that: SQLAlchemy raises before it sends any.  What it says has
    ``Session.hash_key`` of both sessions in it, and this one raises when it is shown.
    """
    key = session.hash_key = _GuardedKey(session.hash_key)
    key.refuse = refuse


class _GuardedKey(int):
    """The number by which objects know their session; showing it raises.

    Objects have it, so it must not hold their session.
    """

    refuse: Callable[[], NoReturn]

    def __str__(self) -> NoReturn:
        self.refuse()


def related_value(obj: Any, key: str) -> Any:
    """Return the value of a relationship, loaded even if its ``lazy`` is ``'raise'``.

    Uses ``PassiveFlag.PASSIVE_MERGE``, as ``Session.merge()`` does, and ``AttributeImpl.get()``.
    """
    state: InstanceState[Any] = inspect(obj)
    return state.manager[key].impl.get(state, state.dict, PassiveFlag.PASSIVE_MERGE)


def refuse_reading(state: InstanceState[Any], key: str, refuse: Callable[..., Any]) -> None:
    """Let *refuse* be called when an attribute of one object is read.

    Uses ``InstanceState.callables`` and ``.expired_attributes``.
    """
    state.dict.pop(key, None)
    state.expired_attributes.discard(key)
    state.callables = {**(state.callables or {}), key: refuse}
