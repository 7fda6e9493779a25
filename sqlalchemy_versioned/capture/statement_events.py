"""Statements, heard of before and after they are executed on the connections of engines."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from sqlalchemy import DDL, Connection, Delete, Engine, Insert, Select, Table, Update, event
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from ..database.dialects import has_rolled_back
from ..reading.past_objects import refuse_past_lookups
from ..recording.ours import is_ours
from .capture import Capture
from .captures import Captures
from .cascaded import Cascaded
from .flush_events import FlushEvents
from .flushes import Flush
from .immutable import Guard
from .native import refusal_of
from .refusals import COMPILED, UNSEEN
from .session_recorder import SessionRecorder
from .textual_writes import begins_like_write
from .tracked import Tracked
from .trigger_events import TriggerEvents

__all__ = ["StatementEvents"]

_WRITES = (Insert, Update, Delete)
#: What writes nothing but by itself and by its ``WITH``.
_EXPRESSIONS = (Select, *_WRITES)
_WATCHED = _sqlalchemy.WatchedConnection


class StatementEvents:
    """Has recorded what statements write, by whoever does that: a flush, capture or triggers."""

    def __init__(
        self,
        recorder: SessionRecorder,
        captures: Captures,
        flushes: FlushEvents,
        tracked: Tracked,
        name: str,
        build_late: Callable[[], None],
    ) -> None:
        self._recorder = recorder
        self._sessions = recorder.sessions
        self._captures = captures
        self._flushes = flushes
        self._tracked = tracked
        self._build_late = build_late
        self._engines: weakref.WeakSet[Engine] = weakref.WeakSet()
        #: Refuses changes to histories that are immutable.
        self.guard: Guard = Guard()
        #: Tells triggers what they must know.
        self.triggers: TriggerEvents = TriggerEvents(recorder, flushes, name)

    def stop(self) -> None:
        """Look at nothing any more."""
        for engine in list(self._engines):
            _sqlalchemy.unwatch_engine(engine, self)
            for name, listener in self._engine_listeners():
                event.remove(engine, name, listener)
        self._engines.clear()
        self.guard.clear()
        self.triggers.known.clear()

    def watch_engine(self, engine: Engine) -> None:
        """Look at what is executed on the connections that an engine opens."""
        _sqlalchemy.watch_engine(engine, self)
        self._listen(_sqlalchemy.root_engine_of(engine))

    def watch(self, connection: Connection) -> None:
        """Look at what is executed on a connection, and on those that its engine opens."""
        if _sqlalchemy.watch_connection(connection, self):
            self._listen(_sqlalchemy.root_engine(connection))

    def _listen(self, engine: Engine) -> None:
        if engine not in self._engines:
            for name, listener in self._engine_listeners():
                # Whoever executes statements himself keeps them from those who come after him.
                event.listen(engine, name, listener, insert=name != "handle_error")
            self._engines.add(engine)

    def _engine_listeners(self) -> list[tuple[str, Any]]:
        # SQLAlchemy tells of these without what other events of an engine cost.
        return [
            ("do_execute", self._before_cursor),
            ("do_executemany", self._before_cursor),
            ("do_execute_no_params", self._before_cursor_alone),
            ("handle_error", self._handle_error),
        ]

    def before_statement(
        self,
        connection: Connection,
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
    ) -> tuple[Any, Sequence[Mapping[str, Any]]]:
        """Prepare to record a statement; return what is to be executed in its place."""
        if is_ours(options):
            return statement, sets
        if not isinstance(statement, _WRITES):
            actual = _sqlalchemy.resolved(statement)
            if not isinstance(actual, _WRITES):
                refuse_past_lookups(options)
                return statement, sets
            statement = actual
        self._build_late()
        if self.guard.is_on:
            is_stored = partial(self._recorder.is_stored_by, connection)
            self.guard.check_statement(statement, options, is_stored)
        table, of_all = statement.table, self._captures.of_all
        if table in self._tracked.histories:
            return statement, sets
        if table not in self._tracked.mappers and not of_all.concerns(statement):
            return statement, sets
        capture = self._captures.on(connection)
        if capture is not of_all:
            self.triggers.tell(
                connection, self.triggers.known.targets_of(statement, of_all.cascades)
            )
            if not capture.has_tables or self.triggers.known.has(table):
                return statement, sets
        statement, others = self._before_write(capture, connection, statement, sets, options)
        return statement, sets if others is None else others

    def _before_write(
        self,
        capture: Capture,
        connection: Connection,
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
        execution_options: Mapping[str, Any],
    ) -> tuple[Any, Sequence[Mapping[str, Any]] | None]:
        """Prepare to record a statement; return what is to be executed in its place.

        :returns: a statement, and its sets of parameters if they are not to be *sets*.
        """
        base_mapper = self._tracked.base_mapper_of(statement, execution_options)
        flush = None if base_mapper is None else self._flushes.current_flush()
        if base_mapper is not None and flush is not None:
            return self._before_flushed(flush, connection, base_mapper, statement, sets)
        if self._flushes.note_links(connection, statement, sets):
            return statement, None
        self._flushes.before_others(connection, statement)
        prepared = capture.before(connection, statement, sets, execution_options)
        if capture.awaits(connection):
            _sqlalchemy.await_result(connection)
        return prepared

    def _before_flushed(
        self,
        flush: Flush,
        connection: Connection,
        base_mapper: Mapper[Any],
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
    ) -> tuple[Any, Sequence[Mapping[str, Any]] | None]:
        """Prepare to record what a flush writes."""
        flush.connections[statement.table] = connection
        if isinstance(statement, Insert):
            flush.has_born = True
        if not isinstance(statement, Delete):
            flush.moved.update(flush.going)
        if isinstance(statement, Update):
            self._flushes.before_updates(flush, connection, base_mapper)
            return statement, None
        if isinstance(statement, Delete):
            self._flushes.before_deletions(flush, connection, base_mapper, statement.table)
            return flush.without_absent(statement, sets)
        inserts = self._captures.on(connection).inserts
        found = inserts.replaced(flush.session, connection, statement, sets)
        if found:
            flush.cascaded.setdefault(connection, Cascaded()).extend(found)
        return statement, None

    def after_statement(self, connection: Connection, statement: Any, result: Any) -> None:
        """Record what a statement has done."""
        capture = self._captures.on(connection)
        with self._recorder.noting(connection):
            capture.after(connection, statement, result)
        if capture.awaits(connection):
            _sqlalchemy.await_result(connection)

    def _before_cursor_alone(self, cursor: Any, text: str, context: Any) -> None:
        self._before_cursor(cursor, text, None, context)

    def _before_cursor(self, cursor: Any, text: str, parameters: Any, context: Any) -> None:
        connection: Connection = context.root_connection
        compiled: Any = context.compiled
        # Asked here, as it is for every statement: a call would be felt.
        if not isinstance(getattr(compiled, "statement", None), _EXPRESSIONS) or compiled.ctes:
            self._before_other(connection, text, compiled, context)
        if context.invoked_statement is None or not isinstance(connection, _WATCHED):
            self._before_unseen(connection, text, context)
        elif context.isdelete:
            self._note_deletion(connection, context)

    def _before_unseen(self, connection: Connection, text: str, context: Any) -> None:
        """Refuse what nobody has looked at in time, and look at what comes after it."""
        is_watched = isinstance(connection, _WATCHED)
        self.watch(connection)
        statement = getattr(context.compiled, "statement", None)
        if isinstance(statement, _WRITES) and not is_ours(context.execution_options):
            self._before_text(connection, text, COMPILED if is_watched else UNSEEN)

    def _before_other(self, connection: Connection, text: str, compiled: Any, context: Any) -> None:
        """Look into what is or holds SQL text, or holds other statements."""
        if is_ours(context.execution_options):
            return
        if compiled is None or _sqlalchemy.text_of(compiled.statement) is not None:
            self._before_text(connection, text)
        elif isinstance(compiled.statement, DDL):
            # It may make a trigger or a function, which writes later and is no write itself.
            if begins_like_write(text):
                self._before_text(connection, text)
        else:
            self._before_nested(connection, _sqlalchemy.nested_statements(compiled))

    def _note_deletion(self, connection: Connection, context: Any) -> None:
        """Note how rows of objects are deleted, if they are by a flush."""
        statement, options = context.invoked_statement, context.execution_options
        if isinstance(statement, Delete) and self._tracked.base_mapper_of(statement, options):
            flush = self._flushes.current_flush()
            if flush is not None:
                flush.deletions.append((connection, cast("Table", statement.table), context))

    def _before_text(self, connection: Connection, text: str, reason: str | None = None) -> None:
        if begins_like_write(text):
            self._build_late()
        self._recorder.surroundings.schemas.hear(connection, text)
        capture = self._captures.on(connection)
        if capture is not self._captures.of_all:
            self.triggers.tell(connection, self.triggers.known.targets_in_text(text))
        capture.refusals.check_text(connection, text, reason)
        self.guard.check_text(text, partial(self._recorder.is_stored_by, connection))

    def _before_nested(self, connection: Connection, nested: Sequence[Any]) -> None:
        """Refuse what statements within another one write."""
        if not nested:
            return
        self._build_late()
        for each in nested:
            if (text := _sqlalchemy.text_of(each)) is not None:
                self._before_text(connection, text)
        capture = self._captures.on(connection)
        if capture is not self._captures.of_all:
            self.triggers.tell(connection, self.triggers.known.targets_in_nested(nested))
        capture.refusals.check_nested(connection, nested)
        if self.guard.is_on:
            is_stored = partial(self._recorder.is_stored_by, connection)
            self.guard.check_nested(nested, {}, is_stored)

    def savepoint_set(self, connection: Connection) -> None:
        """Note what a savepoint is going to keep."""
        self._sessions.savepoint_set(connection)

    def savepoint_rolled_back(self, connection: Connection, name: str) -> None:
        """Note whether a savepoint takes anything back that was recorded."""
        if self._sessions.loses_unknown(connection):
            self._recorder.failures.note_lost(connection, name)

    def _handle_error(self, context: Any) -> BaseException | None:
        connection: Connection | None = context.connection
        if connection is None:
            return None
        has_transaction = not (context.is_disconnect or _sqlalchemy.commits_by_itself(connection))
        is_lost = has_transaction and has_rolled_back(connection, context.original_exception)
        capture = self._captures.on(connection)
        with self._recorder.noting(connection):
            capture.failed(connection, context.execution_context, is_lost=is_lost)
        if is_lost:
            self._sessions.lose(connection)
        return refusal_of(context.original_exception, context.statement, context.parameters)
