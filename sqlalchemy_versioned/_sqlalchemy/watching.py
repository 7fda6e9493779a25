"""Connections that have somebody look at what they execute.

An engine with one listener tells of every event, and each session pays for all of them.  These
connections tell of what is wanted alone.
"""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, Engine

from .connections import root_engine_of

__all__ = [
    "WatchedConnection",
    "Watcher",
    "await_result",
    "unwatch_engine",
    "watch_connection",
    "watch_engine",
]

Sets = Sequence[Mapping[str, Any]]
_LOCK = Lock()


class Watcher(Protocol):
    """Who looks at what connections execute."""

    def before_statement(
        self, connection: Connection, statement: Any, sets: Sets, options: Mapping[str, Any]
    ) -> tuple[Any, Sets]:
        """Return what is to be executed in the place of a statement and its sets of parameters."""
        ...

    def after_statement(self, connection: Connection, statement: Any, result: Any) -> None:
        """Look at what a statement has brought about, where :func:`await_result` was called."""

    def savepoint_set(self, connection: Connection) -> None:
        """Hear that a savepoint is about to be set."""

    def savepoint_rolled_back(self, connection: Connection, name: str) -> None:
        """Hear that a savepoint is about to be rolled back."""


class WatchedConnection(Connection):
    """A connection that has watchers.

    Overrides ``Connection._execute_clauseelement()`` and ``_invoke_before_exec_event()``, by which
    every statement comes that is no string, ``_savepoint_impl()`` and
    ``_rollback_to_savepoint_impl()``.
    """

    _watchers: ClassVar[list[Watcher]]
    _is_awaited = False
    #: What has been looked at, if that made somebody listen to the connection.
    _looked_at: Any = None

    def _execute_clauseelement(
        self, elem: Any, distilled_parameters: Any, execution_options: Any
    ) -> Any:
        # Listeners may have another statement executed, so that they go first.
        if not (self._has_events or self.engine._has_events):
            execution_options = elem._execution_options.merge_with(
                self._execution_options, execution_options
            )
            # Every statement comes by here: a call would be felt.
            for watcher in self._watchers:
                elem, distilled_parameters = watcher.before_statement(
                    self, elem, distilled_parameters, execution_options
                )
            if self._has_events:
                self._looked_at = elem
        result = super()._execute_clauseelement(elem, distilled_parameters, execution_options)
        if self._is_awaited:
            self._is_awaited = False
            for watcher in self._watchers:
                watcher.after_statement(self, result.context.invoked_statement, result)
        return result

    def _invoke_before_exec_event(
        self, elem: Any, distilled_params: Any, execution_options: Any
    ) -> Any:
        looked_at, self._looked_at = self._looked_at, None
        told = super()._invoke_before_exec_event(elem, distilled_params, execution_options)
        if looked_at is elem:
            return told
        elem, sets = told[:2]
        for watcher in self._watchers:
            elem, sets = watcher.before_statement(self, elem, sets, execution_options)
        return elem, sets, *(([], sets[0]) if len(sets) == 1 else (sets, {}))

    def _savepoint_impl(self, name: str | None = None) -> str:
        for watcher in self._watchers:
            watcher.savepoint_set(self)
        return super()._savepoint_impl(name)

    def _rollback_to_savepoint_impl(self, name: str) -> None:
        for watcher in self._watchers:
            watcher.savepoint_rolled_back(self, name)
        super()._rollback_to_savepoint_impl(name)


def watch_engine(engine: Engine, watcher: Watcher) -> None:
    """Have connections watched that an engine, and those it makes of itself, open from now on.

    Uses ``Engine._connection_cls``, and ``_option_cls``, of which ``execution_options()`` makes
    other engines.  Those that were made before open theirs as they did.
    """
    root: Any = root_engine_of(engine)
    # Its first sessions may begin at once.
    with _LOCK:
        if not issubclass(root._connection_cls, WatchedConnection):
            watched = _watched(root._connection_cls, [])
            name, others = root._option_cls.__name__, (root._option_cls,)
            option: Any = type(name, others, {"_connection_cls": watched})
            option._option_cls = option
            root._connection_cls, root._option_cls = watched, option
        engine._connection_cls = root._connection_cls
        watchers = _watchers_of(engine)
        if watcher not in watchers:
            watchers.append(watcher)


def unwatch_engine(engine: Engine, watcher: Watcher) -> None:
    """Let a watcher of an engine look no longer."""
    watchers = _watchers_of(engine)
    if watcher in watchers:
        watchers.remove(watcher)


def watch_connection(connection: Connection, watcher: Watcher) -> bool:
    """Have what a connection executes from now on looked at, and that of its engine.

    :returns: whether it was not before.
    """
    if isinstance(connection, WatchedConnection) and watcher in connection._watchers:
        return False
    watch_engine(connection.engine, watcher)
    if not isinstance(connection, WatchedConnection):
        found: Any = connection
        found.__class__ = _watched(type(connection), _watchers_of(connection.engine))
    return True


def _watched(cls: type[Connection], watchers: list[Watcher]) -> Any:
    return type(cls.__name__, (WatchedConnection, cls), {"_watchers": watchers})


def _watchers_of(engine: Engine) -> list[Watcher]:
    cls: Any = engine._connection_cls
    watchers: list[Watcher] = cls._watchers
    return watchers


def await_result(connection: Connection) -> None:
    """Have watchers look at the result of the statement that is about to be executed."""
    watched: Any = connection
    watched._is_awaited = True
