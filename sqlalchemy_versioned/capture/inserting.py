"""INSERTs, with the rows that they meet and may change or remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.orm import Session

from .. import _sqlalchemy
from ..database.dialects import returns_inserted
from ..database.keys import Key, bare_key
from ..recording.changes import Changes
from .behind import RowsBehind
from .cascaded import Cascaded
from .conflicts import Conflicts, is_replacing
from .pending import Pending
from .recorder import Recorder, Target, add_values
from .refusals import give_up
from .targets import Targets

__all__ = ["Inserts"]

_IN_PARTS = "of the rows that it removes, parts are in other tables"


class Inserts:
    """Finds out what INSERTs do, and has it recorded."""

    def __init__(self, recorder: Recorder, targets: Targets, behind: RowsBehind) -> None:
        self._recorder = recorder
        self._targets = targets
        self._behind = behind
        #: Whether what is inserted into a table removes rows by what the table says.
        self._replacing: dict[Table, bool] = {}

    def clear(self) -> None:
        """Forget what was found out about tables."""
        self._replacing.clear()

    def prepare(
        self, pending: Pending, connection: Connection, sets: Sequence[Mapping[str, Any]]
    ) -> str | None:
        """Look at what an INSERT does before it is executed; return why that cannot be known."""
        write, dialect, needs_returning = pending.write, connection.dialect, False
        if pending.target is not None:
            if any(spec.added for spec in pending.target.specs()):
                pending.given = _sqlalchemy.inserted_columns(pending.statement, sets)
            if write.hides_keys:
                return "its RETURNING leaves out the primary key; add the key columns to it"
            if _sqlalchemy.has_prefix(pending.statement, "FAIL"):
                return "it may stop at a row and keep those before it"
            needs_returning = write.needs_returning(dialect)
            if needs_returning and not returns_inserted(dialect, len(sets)):
                return "the database does not tell the keys of the rows; give them, or add objects"
        reason = self._prepare_meeting(pending, connection, sets)
        if reason is None and needs_returning:
            pending.statement, pending.is_ours = write.returning(), True
        return reason

    def _prepare_meeting(
        self, pending: Pending, connection: Connection, sets: Sequence[Mapping[str, Any]]
    ) -> str | None:
        """Look up the rows that an INSERT may change or remove, and keep what they are."""
        table, target = pending.table, pending.target
        replaces = is_replacing(pending.statement, table, connection.dialect)
        pending.changed = _sqlalchemy.columns_on_conflict(pending.statement) or set()
        if not replaces and not self._must_know_met(pending, connection):
            return None
        specs = [] if target is None else target.specs()
        if replaces and len(specs) > 1:
            return _IN_PARTS
        if replaces:
            # What it does not say is the default afterwards, whatever it was.
            pending.given = set(table.columns)
        key = self._targets.cascades.key_of(table)
        pending.met = self._find_met(Conflicts(key, pending.statement, sets), connection)
        if not pending.met:
            return None
        if replaces:
            found = self._of_replaced(connection, table, target, pending.met)
        elif self._moves_followed_keys(pending):
            return "it gives rows other keys, which the rows of other tables follow"
        else:
            found = self._targets.cascades.referring(
                connection, table, pending.met, pending.changed
            )
        if (reason := self._behind.unknown(found)) is not None:
            return reason
        pending.cascaded = found
        if target is not None:
            self._recorder.keep_first_state(
                connection, target.hierarchy, dict.fromkeys(specs, pending.met)
            )
        self._behind.record(pending.session, connection, found)
        return None

    def _moves_followed_keys(self, pending: Pending) -> bool:
        """Tell whether rows that are met may get keys which rows of other tables follow."""
        key = self._targets.cascades.key_of(pending.table)
        if not pending.changed.intersection(key):
            return False
        if not self._targets.cascades.acts_on_update(pending.table, key):
            return False
        return bool(set(pending.met).difference(pending.write.given_keys()))

    def _must_know_met(self, pending: Pending, connection: Connection) -> bool:
        """Tell whether an INSERT may do more to rows that are there than it tells by itself."""
        if not pending.changed:
            return False
        if self._targets.cascades.acts_on_update(pending.table, pending.changed):
            return True
        if pending.target is None:
            return False
        if pending.changed.intersection(self._targets.cascades.key_of(pending.table)):
            return True
        specs = pending.target.specs()
        return any(self._recorder.may_lack_versions(connection, spec) for spec in specs)

    def _find_met(self, conflicts: Conflicts, connection: Connection) -> list[Key]:
        found: dict[Key, None] = {}
        for statement in conflicts.select_rows(connection.dialect):
            for row in connection.execute(statement).all():
                found[bare_key(row)] = None
        return list(found)

    def replaced(
        self,
        session: Session,
        connection: Connection,
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
    ) -> Cascaded:
        """Record the rows that an INSERT of a flush is going to remove, as SQLite's tables may say.

        :returns: these rows, and those behind them, for :meth:`.RowsBehind.settle`.
        """
        target = (
            self._targets.written_by(statement) if connection.dialect.name == "sqlite" else None
        )
        if target is None or self._recorder.is_paused(session):
            return Cascaded()
        table = target.spec.parent_table
        if table not in self._replacing:
            self._replacing[table] = is_replacing(statement, table, connection.dialect)
        if not self._replacing[table]:
            return Cascaded()
        if len(target.specs()) > 1:
            give_up(target, _IN_PARTS)
            return Cascaded()
        met = self._find_met(
            Conflicts(self._targets.cascades.key_of(table), statement, sets), connection
        )
        found = self._of_replaced(connection, table, target, met) if met else Cascaded()
        self._behind.record(session, connection, found)
        return found

    def _of_replaced(
        self, connection: Connection, table: Table, target: Target | None, met: list[Key]
    ) -> Cascaded:
        found = self._targets.cascades.of_deleted(connection, table, met)
        if target is not None:
            found.extend(Cascaded(deleted={target.spec: met}))
        return found

    def finish(self, pending: Pending, connection: Connection, result: Any) -> None:
        """Record what an INSERT has made and changed."""
        if pending.target is not None:
            keys = pending.write.made_keys(result)
            if pending.is_ours:
                _sqlalchemy.hide_returned(result, len(keys or ()))
            if keys is None:
                reason = "the database does not tell which rows it has made"
                give_up(pending.target, reason)
                return
            # A twin of a row that stands is no news of their key.
            may_be_old = pending.write.is_upsert or pending.target.spec.may_have_twins
            self._record_left(pending, pending.target, connection)
            self._record_made(pending, pending.target, connection, keys, may_be_old=may_be_old)
        if pending.met:
            self._behind.follow(pending, connection, {key: key for key in pending.met})

    def _record_left(self, pending: Pending, target: Target, connection: Connection) -> None:
        """Record that rows have other keys which an INSERT has met."""
        if not pending.met or not pending.changed.intersection(
            self._targets.cascades.key_of(pending.table)
        ):
            return
        there = set(self._targets.cascades.remaining(connection, target.spec, pending.met))
        left = [key for key in pending.met if key not in there]
        if left:
            changes = {target.spec: Changes(departed=left)}
            self._recorder.record(
                pending.session, connection, target.hierarchy, changes, locks=False
            )

    def _record_made(
        self,
        pending: Pending,
        target: Target,
        connection: Connection,
        keys: list[Key],
        *,
        may_be_old: bool,
    ) -> None:
        spec, updated = target.spec, list[Key]()
        if not keys:
            return
        if may_be_old:
            keys, updated = self._recorder.split_upserted(pending.session, connection, spec, keys)
        changes = {spec: Changes(inserted=keys, updated=updated, doubtful=set(updated))}
        specs, above = target.specs(), target.specs_above()
        for other in specs:
            # The objects are changed in all of their tables; those below have no new rows yet.
            changed = [*keys, *updated] if other in above else updated
            if other is not spec and changed:
                changes[other] = Changes(updated=list(changed), doubtful=set(updated))
        add_values(self._recorder, specs, changes, given=pending.given, changed=pending.changed)
        # Their rows are what they were: they are not written.
        self._recorder.keep_first_state(connection, target.hierarchy, dict.fromkeys(above, keys))
        self._recorder.record(
            pending.session, connection, target.hierarchy, changes, locks=False, written=spec
        )

    def settle(self, pending: Pending, connection: Connection) -> Mapping[Key, Key]:
        """Record what was written for the first of several sets of parameters, before a refusal.

        :returns: for the key of each row that may have been updated, the key that it had before.
        """
        target = pending.target
        if target is not None:
            given = self._targets.cascades.remaining(
                connection, target.spec, pending.write.given_keys()
            )
            self._record_made(pending, target, connection, given, may_be_old=True)
        return {key: key for key in pending.met}
