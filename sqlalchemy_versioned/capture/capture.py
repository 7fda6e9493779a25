"""Recording statements that write versioned tables without objects.

Whatever writes a versioned table and is no flush of an object comes by here: ORM-enabled and Core
statements, bulk operations, upserts, on the connection of a session or on one that no session has.
The rows that a statement will change are locked and looked up before it, and their images taken
after it; what is to be deleted is recorded before; what was made tells itself.  What cannot be
known is refused before it is executed, or let through as the option ``capture`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Table, Update
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.orm import Session

from .. import _sqlalchemy
from .._typing import TABLE
from ..database.dialects import can_go_on_after_errors
from .behind import RowsBehind
from .cascades import Cascades
from .changing import RowChanges
from .conflicts import is_replacing
from .inserting import Inserts
from .keyless import KeylessWrite
from .pending import KeylessPending, Pending, Waiting
from .recorder import Recorder, Target
from .refusals import ALIASED, Refusals, give_up
from .targets import Targets
from .writes import Write

__all__ = ["Capture"]


class Capture:
    """Recognises statements that write versioned tables, and has them recorded."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._targets = Targets()
        #: Tells whether a statement may write rows of versioned tables, as its tables tell.
        self.concerns: Callable[[Any], bool] = self._targets.are_concerned
        self._name = f"{name}_pending"
        #: Refuses what it says it cannot follow.
        self.refusals: Refusals = Refusals(recorder, self._targets)
        #: What the database does to other rows.
        self.behind: RowsBehind = RowsBehind(recorder, self._targets)
        self.inserts: Inserts = Inserts(recorder, self._targets, self.behind)
        self.changes: RowChanges = RowChanges(recorder, self._targets, self.behind)

    def watch(self, targets: Mapping[Table, Target]) -> None:
        """Record writes to further tables."""
        self._targets.add(targets)

    def clear(self) -> None:
        """Let go of all tables."""
        self._targets.clear()
        self.inserts.clear()

    @property
    def has_tables(self) -> bool:
        """Whether there is anything to record."""
        return bool(self._targets)

    @property
    def cascades(self) -> Cascades:
        """What the database does along with deletions and other keys."""
        return self._targets.cascades

    def before(
        self,
        connection: Connection,
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
    ) -> tuple[Any, Sequence[Mapping[str, Any]] | None]:
        """Prepare to record *statement*; return what is to be executed in its place.

        :param options: the execution options of the statement.
        :returns: a statement, and its sets of parameters if they are not to be *sets*.
        :raises CaptureError: if it cannot be known which rows it touches.
        """
        table = _sqlalchemy.written_table(statement)
        target = self._targets.recorded(table)
        if target is None:
            self.refusals.check_name(connection, table)
        else:
            self.refusals.check_schemas(connection, target, options)
        if isinstance(statement, Update):
            self.refusals.check_other_tables(connection, statement)
        meant = _sqlalchemy.unaliased(table)
        if target is None and not self._has_versions_behind(connection, statement, meant, sets):
            return statement, None
        session = self._recorder.session_of(connection)
        if session is None or self._recorder.is_paused(session):
            return statement, None
        spec = None if target is None else target.spec
        self._recorder.prepare(session, connection, spec)
        if target is not None and not target.spec.key:
            return self._before_keyless(connection, target, session, statement, sets)
        write = Write(self.cascades.key_of(meant), statement, sets)
        pending = Pending(statement, write, meant, target, session)
        reason: str | None = ALIASED
        if meant is table:
            reason = self._follower_of(pending).prepare(pending, connection, sets)
        if reason is not None:
            for each in self._concerned(pending):
                give_up(each, reason)
            return statement, None
        self._await(connection, pending)
        return pending.statement, pending.sets

    def _concerned(self, pending: Pending) -> list[Target]:
        """Return what a statement writes: a versioned table, or those behind one that is not."""
        if pending.target is not None:
            return [pending.target]
        table, changed = pending.table, pending.changed
        specs = self.cascades.behind(table, changed) if changed else self.cascades.reached(table)
        return [each for each in map(self._targets.of_spec, specs) if each.is_on()]

    def _before_keyless(
        self,
        connection: Connection,
        target: Target,
        session: Session,
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
    ) -> tuple[Any, None]:
        """Have a statement tell which rows of a table without a key it writes."""
        write, table = KeylessWrite(target.spec, statement, sets), target.spec.parent_table
        reason = write.refusal(connection.dialect)
        if reason is None and self._has_versions_behind(connection, statement, table, sets):
            reason = "foreign keys let the database do something to rows of other tables with it"
        if reason is not None:
            give_up(target, reason)
            return statement, None
        telling = write.telling()
        self._await(connection, KeylessPending(telling, write, target, session))
        return telling, None

    def _await(self, connection: Connection, pending: Pending | KeylessPending) -> None:
        """Keep what is known of a statement until it is executed.

        A default may be a function that executes another in the midst of it.
        """
        info = _sqlalchemy.info_of(connection)
        # What could not be compiled is never heard of again; it goes with its session.
        around = [each for each in info.get(self._name, ()) if each.session is pending.session]
        info[self._name] = [*around, pending]

    def awaits(self, connection: Connection) -> bool:
        """Tell whether a statement is about to be executed that is recorded afterwards."""
        return bool(_sqlalchemy.info_of(connection).get(self._name))

    def _has_versions_behind(
        self, connection: Connection, statement: Any, table: Any, sets: Any
    ) -> bool:
        """Tell whether writing a table that is not versioned may change rows of others that are."""
        if isinstance(statement, Update):
            acts = self.cascades.acts_on_update(table)
            # Those of an alias have the keys of the columns that they stand for.
            assigned = _sqlalchemy.assigned_columns(statement, sets) if acts else ()
            return acts and self.cascades.acts_on_update(table, {table.c[c.key] for c in assigned})
        if isinstance(statement, Delete):
            return self.cascades.acts_on_delete(table)
        if not isinstance(statement, Insert) or not isinstance(table, TABLE):
            return False
        if self.cascades.acts_on_delete(table) and is_replacing(
            statement, table, connection.dialect
        ):
            return True
        changed = _sqlalchemy.columns_on_conflict(statement)
        return bool(changed) and self.cascades.acts_on_update(table, changed)

    def after(self, connection: Connection, statement: Any, result: Any) -> None:
        """Record what *statement* has done."""
        pending = self._take(connection, statement)
        if pending is not None:
            _sqlalchemy.read_streamed(result)
        if isinstance(pending, KeylessPending):
            spec, write = pending.target.spec, pending.write
            rows = write.take_rows(result)
            self._recorder.record_rows(pending.session, connection, spec, write.operation, rows)
        elif pending is not None:
            self._follower_of(pending).finish(pending, connection, result)

    def _follower_of(self, pending: Pending) -> Inserts | RowChanges:
        return self.inserts if isinstance(pending.statement, Insert) else self.changes

    def failed(
        self, connection: Connection, executed: ExecutionContext | None, *, is_lost: bool
    ) -> None:
        """Take back what was recorded of a statement that the database refused.

        :param executed: what has executed it; ``None`` if it has not come to that.
        :param is_lost: whether the database has rolled back all of the transaction.
        """
        waiting: Waiting = _sqlalchemy.info_of(connection).get(self._name, [])
        if not waiting:
            return
        statement = waiting[-1].statement if executed is None else executed.invoked_statement
        pending = self._take(connection, statement)
        if isinstance(pending, KeylessPending):
            # Of one that fails, nothing is left.
            return
        if pending is None or is_lost or not can_go_on_after_errors(connection.dialect):
            return
        if isinstance(pending.statement, Delete):
            self.changes.take_back(pending, connection)
        elif pending.write.is_repeated:
            moved = self._follower_of(pending).settle(pending, connection)
            self.behind.follow(pending, connection, moved)
            return
        self.behind.settle(pending.session, connection, pending.cascaded)

    def _take(self, connection: Connection, statement: Any) -> Pending | KeylessPending | None:
        waiting: Waiting = _sqlalchemy.info_of(connection).get(self._name, [])
        for place, pending in enumerate(waiting):
            if pending.statement is statement:
                del waiting[place:]
                return pending
        return None
