"""UPDATEs and DELETEs, with the rows that they change, looked up before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Delete, Table, Update, delete, false
from sqlalchemy.orm import Session

from .. import _sqlalchemy
from ..database.dialects import has_concurrent_writers
from ..database.keys import Key, bare_key
from ..model.spec import VersionSpec
from ..recording.changes import Changes
from ..recording.ours import OURS
from .behind import RowsBehind
from .pending import Pending
from .recorder import Recorder, Target, add_values, changes_of_update
from .targets import Targets
from .writes import Write

__all__ = ["RowChanges"]


class RowChanges:
    """Finds out what UPDATEs and DELETEs do, and has it recorded."""

    def __init__(self, recorder: Recorder, targets: Targets, behind: RowsBehind) -> None:
        self._recorder = recorder
        self._targets = targets
        self._behind = behind

    def prepare(
        self, pending: Pending, connection: Connection, sets: Sequence[Mapping[str, Any]]
    ) -> str | None:
        """Look up the rows before it; return why it cannot be known which they are."""
        write, dialect = pending.write, connection.dialect
        if _sqlalchemy.is_limited(pending.statement):
            return (
                "which rows it takes when it stops at a number of them is not known beforehand; "
                "select their keys first, and name those"
            )
        if isinstance(pending.statement, Update):
            pending.changed = set(write.assigned)
            if reason := self._doubt_update(pending):
                return reason
        keys = write.known_keys()
        is_listed = keys is None and write.can_be_listed(connection)
        if keys is None and not is_listed and self._can_tell_itself(pending, connection):
            pending.statement, pending.tells_itself = write.telling(), True
            return None
        if keys is None or pending.target is None:
            self._begin_writing(pending, connection)
            look_up = self._list_rows if is_listed else self._look_up
            pending.moved = look_up(write, connection)
            if has_concurrent_writers(dialect):
                pending.statement = write.restricted_to(list(pending.moved), dialect)
        else:
            pending.moved = dict(zip(keys, keys, strict=True))
        if not pending.moved:
            return None
        return self._keep_before(pending, connection)

    def _begin_writing(self, pending: Pending, connection: Connection) -> None:
        """Let nobody else write from now on, where only one can; a look keeps nobody from it."""
        if pending.target is not None and not has_concurrent_writers(connection.dialect):
            locking = delete(pending.target.spec.version_table).where(false())
            connection.execute(locking, execution_options=OURS)

    def _list_rows(self, write: Write, connection: Connection) -> dict[Key, Key]:
        listed = write.listed_keys(connection.execute(*write.list_rows()).scalar_one())
        return dict(zip(listed, listed, strict=True))

    def _doubt_update(self, pending: Pending) -> str | None:
        """Return why it cannot be known what an UPDATE does that goes on after conflicts."""
        if pending.target is None:
            return None
        for word in ("REPLACE", "FAIL"):
            if _sqlalchemy.has_prefix(pending.statement, word):
                return f"with {word} it does something to other rows as well, or to some only"
        if pending.write.moves_keys and _sqlalchemy.has_prefix(pending.statement, "IGNORE"):
            return "which rows keep their keys is not known beforehand"
        if pending.write.moves_parts_of_keys:
            return "which keys rows get of whose keys a part is set is not known beforehand"
        return None

    def _keep_before(self, pending: Pending, connection: Connection) -> str | None:
        """Keep what rows are, and those behind them, before they are changed or deleted."""
        table, rows = pending.table, list(pending.moved)
        if isinstance(pending.statement, Update):
            for each in pending.tables():
                found = self._behind.look_behind(connection, each, rows, pending.changed)
                pending.cascaded.extend(found)
            if (reason := self._behind.unknown(pending.cascaded)) is not None:
                return reason
        if pending.target is not None:
            specs = pending.target.specs()
            self._recorder.keep_first_state(
                connection, pending.target.hierarchy, dict.fromkeys(specs, rows)
            )
        if isinstance(pending.statement, Update):
            self._behind.record(pending.session, connection, pending.cascaded)
            return None
        if self._targets.cascades.may_move_keys_on_delete(table):
            # Rows may be behind that nothing tells of; then nothing must be recorded so far.
            found = self._targets.cascades.of_deleted(connection, table, rows)
            if (reason := self._behind.unknown(found)) is not None:
                return reason
        if pending.target is None:
            self._record_behind(pending, connection)
            return None
        self._record_deletion(pending, connection, rows)
        # Versions say that rows are gone which stay, if the statement is never executed.
        with self._recorder.noting(connection):
            self._record_behind(pending, connection)
        return None

    def _record_behind(self, pending: Pending, connection: Connection) -> None:
        """Record what goes along with rows that are about to be deleted, which are locked."""
        # Rows that refer to others are looked up once nobody can add any.
        rows = list(pending.moved)
        for each in pending.tables():
            if self._targets.cascades.acts_on_delete(each):
                pending.cascaded.extend(self._targets.cascades.of_deleted(connection, each, rows))
        self._behind.record(pending.session, connection, pending.cascaded)

    def _record_deletion(self, pending: Pending, connection: Connection, rows: list[Key]) -> None:
        assert pending.target is not None
        spec, hierarchy = pending.target.spec, pending.target.hierarchy
        there = rows
        if spec.base is not None and not spec.strategy.merges:
            # Each would be an event of an object, which is there without a row in this table.
            there = self._targets.cascades.remaining(connection, spec, rows)
        changes = {each: Changes(deleted=list(there)) for each in pending.target.specs_of_row()}
        add_values(self._recorder, pending.target.specs(), changes)
        deleted = self._recorder.record(pending.session, connection, hierarchy, changes, locks=True)
        absent = {*rows}.difference(there).union(deleted.get(spec, ()))
        if absent:
            pending.statement, pending.sets = pending.write.without(absent)
            pending.moved = {key: key for key in rows if key not in absent}

    def _can_tell_itself(self, pending: Pending, connection: Connection) -> bool:
        """Tell whether nothing need be known before an UPDATE, and it tells what it has done."""
        if pending.target is None or not isinstance(pending.statement, Update):
            return False
        if not pending.write.can_tell_changed_rows(connection.dialect):
            return False
        specs = pending.target.specs()
        for table in pending.tables():
            if self._targets.cascades.must_look_first(table, pending.changed):
                return False
            specs += self._targets.cascades.behind(table, pending.changed)
        return not any(self._recorder.may_lack_versions(connection, spec) for spec in specs)

    def _look_up(self, write: Write, connection: Connection) -> dict[Key, Key]:
        told = write.told_moves()
        if told is not None:
            there = self._read_moves(write, connection, moves=False)
            if there.keys() <= told.keys():
                return {key: told[key] for key in there}
        return self._read_moves(write, connection, moves=True)

    def _read_moves(self, write: Write, connection: Connection, *, moves: bool) -> dict[Key, Key]:
        found: dict[Key, Key] = {}
        size = write.width
        for statement, parameters in write.select_rows(connection.dialect, moves=moves):
            for row in connection.execute(statement, parameters):
                # Where none is assigned, each key stays what it is.
                found[bare_key(row[:size])] = bare_key(row[size:] or row[:size])
        return found

    def _finish_deletion(self, pending: Pending, connection: Connection, result: Any) -> None:
        if pending.target is not None and (
            pending.target.spec.may_have_twins or result.rowcount not in (-1, len(pending.moved))
        ):
            # Triggers keep rows, and so does IGNORE; a twin of one that is gone stands.
            self._settle_deletion(pending, connection)
        # Where nothing is merged, the deletion was an event of the whole object.
        if pending.target is not None and pending.moved and pending.target.spec.strategy.merges:
            target, keys = pending.target, list(pending.moved)
            changes = {each: Changes(updated=list(keys)) for each in target.specs_above()}
            if changes:
                self._recorder.record(
                    pending.session, connection, target.hierarchy, changes, locks=False
                )
        self._behind.settle(pending.session, connection, pending.cascaded)

    def _settle_deletion(self, pending: Pending, connection: Connection) -> None:
        """Record that rows are there which were to be deleted by a statement."""
        assert pending.target is not None
        for key in self.settle_deletion(
            pending.session, connection, pending.table, list(pending.moved)
        ):
            pending.moved.pop(key, None)

    def settle_deletion(
        self, session: Session, connection: Connection, table: Table, keys: list[Key]
    ) -> list[Key]:
        """Record that rows of a versioned table are there which were to be deleted; return them."""
        target = self._targets.get(table)
        assert target is not None
        there = self._targets.cascades.remaining(connection, target.spec, keys)
        if there:
            changes = {each: Changes(returned=list(there)) for each in target.specs_of_row()}
            self._recorder.record(session, connection, target.hierarchy, changes, locks=False)
        return there

    def _record(
        self,
        pending: Pending,
        connection: Connection,
        build: Callable[[], Changes],
        *,
        locks: bool,
    ) -> Mapping[VersionSpec, set[Key]]:
        if pending.target is None:
            return {}
        specs, hierarchy = pending.target.specs(), pending.target.hierarchy
        changes = {spec: build() for spec in specs}
        add_values(self._recorder, specs, changes, given=pending.changed, changed=pending.changed)
        return self._recorder.record(
            pending.session,
            connection,
            hierarchy,
            changes,
            locks=locks,
            written=pending.target.spec,
        )

    def finish(self, pending: Pending, connection: Connection, result: Any) -> None:
        """Record what has become of the rows."""
        if pending.tells_itself:
            changed = pending.write.changed_keys(result)
            pending.moved = dict(zip(changed, changed, strict=True))
        if isinstance(pending.statement, Delete):
            self._finish_deletion(pending, connection, result)
        elif pending.moved:
            # Otherwise each key is what it was.
            is_moved, moved = pending.write.moves_keys, pending.moved
            target = pending.target
            build = partial(changes_of_update, moved)
            if is_moved and target is not None and target.spec.may_have_twins:
                build = partial(self._changes_of_links, pending, target, connection)
            self._record(pending, connection, build, locks=False)
            before = {now: key for key, now in moved.items()} if is_moved else moved
            self._behind.follow(pending, connection, before)

    def _changes_of_links(
        self, pending: Pending, target: Target, connection: Connection
    ) -> Changes:
        """Return the changes of an UPDATE of links: each stands as long as a twin of it does."""
        changes = changes_of_update(pending.moved)
        there = self._targets.cascades.remaining(connection, target.spec, changes.departed)
        changes.departed = [key for key in changes.departed if key not in there]
        changes.inserted, _ = self._recorder.split_upserted(
            pending.session, connection, target.spec, changes.inserted
        )
        return changes

    def take_back(self, pending: Pending, connection: Connection) -> None:
        """Record that rows are there which a DELETE was to delete that was refused."""
        if pending.target is not None and pending.moved:
            self._settle_deletion(pending, connection)

    def settle(self, pending: Pending, connection: Connection) -> Mapping[Key, Key]:
        """Record what was written for the first of several sets of parameters, before a refusal.

        :returns: for the key of each row that may have been updated, the key that it had before.
        """
        asked = list(dict.fromkeys([*pending.moved, *pending.moved.values()]))
        there = set(self._targets.cascades.taken(connection, pending.table, asked))
        moved = _find_moved(pending.moved, there)
        self._record(pending, connection, lambda: changes_of_update(moved), locks=False)
        return {now: key for key, now in moved.items()}


def _find_moved(moved: Mapping[Key, Key], there: Collection[Key]) -> dict[Key, Key]:
    """Return the longest beginning of *moved* after which there would be just what is *there*.

    Sets of parameters are executed in order, until one is refused.
    """
    wrong = {key for key, now in moved.items() if key != now and key not in there}
    most = 0
    for number, (key, now) in enumerate(moved.items(), 1):
        for each, is_taken in ((key, False), (now, True)) if key != now else ():
            if (each in there) is is_taken:
                wrong.discard(each)
            else:
                wrong.add(each)
        if not wrong:
            most = number
    return {key: now for key, now in list(moved.items())[:most] if now in there}
