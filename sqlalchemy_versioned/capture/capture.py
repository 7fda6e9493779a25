"""Recording statements that write versioned tables without objects.

Whatever writes a versioned table and is no flush of an object comes by here: ORM-enabled and Core
statements, bulk operations, upserts, on the connection of a session or on one that no session has.
The rows that a statement will change are locked and looked up before it, and their images taken
after it; what is to be deleted is recorded before; what was made tells itself.  What cannot be
known is refused before it is executed, or let through as the option ``capture`` says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, Delete, Insert, Table, Update, delete, false
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

from .. import _sqlalchemy
from ..database.dialects import can_go_on_after_errors, has_concurrent_writers
from ..database.keys import Key
from ..exc import CaptureError
from ..model.operation import Operation
from ..model.spec import Hierarchy, VersionSpec
from ..recording.recording import Changes
from ..recording.statements import OURS
from .cascades import Cascaded, Cascades, Values
from .conflicts import Conflicts, is_replacing
from .keyless import KeylessWrite
from .recorder import Recorder, Target, UnrecordedWrite
from .textual_writes import TextualWrites
from .writes import Write

__all__ = ["Capture"]


_IN_PARTS = "of the rows that it removes, parts are in other tables"


@dataclass(slots=True)
class _Pending:
    """A statement that is being executed."""

    statement: Any
    write: Write
    table: Table
    #: ``None`` for a table that is not versioned and has others behind it.
    target: Target | None
    session: Session
    #: The rows that it is going to change, with what their keys are going to be.
    moved: dict[Key, Key] = field(default_factory=dict)
    #: What the database is going to do along with it.
    cascaded: Cascaded = field(default_factory=Cascaded)
    #: Whether the application did not ask for the rows that come back.
    is_ours: bool = False
    #: Whether the statement returns the keys of the rows that it has changed.
    tells_itself: bool = False
    #: The sets of parameters, if they are not those that the application gave.
    sets: Sequence[Mapping[str, Any]] | None = None
    #: The columns that it may change of rows that are there.
    changed: set[Column[Any]] = field(default_factory=set)
    #: The columns that it gives to rows that it makes, where that is to be known.
    given: set[Column[Any]] = field(default_factory=set)
    #: The rows that an INSERT may meet.
    met: list[Key] = field(default_factory=list)


@dataclass(slots=True)
class _Keyless:
    """A statement that is being executed on a table without a key."""

    statement: Any
    write: KeylessWrite
    target: Target
    session: Session


class Capture:
    """Recognises statements that write versioned tables, and has them recorded."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._targets: dict[Table, Target] = {}
        self._by_spec: dict[VersionSpec, Target] = {}
        self._texts: TextualWrites | None = None
        self._cascades: Cascades | None = None
        #: Whether what is inserted into a table removes rows by what the table says.
        self._replacing: dict[Table, bool] = {}
        self._name = f"{name}_pending"

    def watch(self, targets: Mapping[Table, Target]) -> None:
        """Record writes to further tables."""
        self._targets.update(targets)
        self._by_spec.update({target.spec: target for target in targets.values()})
        self._texts = self._cascades = None

    def clear(self) -> None:
        """Let go of all tables."""
        self._targets.clear()
        self._by_spec.clear()
        self._replacing.clear()
        self._texts = self._cascades = None

    @property
    def cascades(self) -> Cascades:
        """What the database does along with deletions and other keys."""
        if self._cascades is None:
            targets = self._targets.items()
            specs = {table: target.spec for table, target in targets if target.spec.key}

            def related(spec: VersionSpec) -> tuple[VersionSpec, ...]:
                return self._by_spec[spec].hierarchy.related(spec)

            self._cascades = Cascades(specs, related)
        return self._cascades

    # -- before ------------------------------------------------------------------------------

    def target_of(self, statement: Any) -> Target | None:
        """Return the versioned table that *statement* writes."""
        if not isinstance(statement, (Insert, Update, Delete)):
            return None
        target = self._targets.get(_sqlalchemy.written_table(statement))
        return target if target is not None and target.is_on() else None

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
        target, table = self.target_of(statement), _sqlalchemy.written_table(statement)
        if target is None:
            self._check_name(connection, table)
        elif _moves_schemas(connection, target, options):
            self._refuse(
                connection,
                target,
                "its schema_translate_map is not that of its connection, by which versions are "
                "written; give it to the connection or to the engine",
            )
        if isinstance(statement, Update):
            self._check_other_tables(connection, statement)
        if target is None and not self._has_versions_behind(connection, statement, table, sets):
            return statement, None
        session = self._recorder.session_of(connection)
        if session is None or self._recorder.is_paused(session):
            return statement, None
        spec = None if target is None else target.spec
        self._recorder.prepare(session, connection, spec)
        if target is not None and not target.spec.key:
            return self._before_keyless(connection, target, session, statement, sets)
        write = Write(self.cascades.key_of(table), statement, sets)
        pending = _Pending(statement, write, table, target, session)
        if isinstance(statement, Insert):
            reason = self._prepare_insert(pending, connection, sets)
        else:
            reason = self._prepare_change(pending, connection, sets)
        if reason is not None:
            self._give_up(target, reason)
            return statement, None
        _sqlalchemy.info_of(connection)[self._name] = pending
        return pending.statement, pending.sets

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
            self._give_up(target, reason)
            return statement, None
        telling = write.telling()
        _sqlalchemy.info_of(connection)[self._name] = _Keyless(telling, write, target, session)
        return telling, None

    def replaced(
        self,
        session: Session,
        connection: Connection,
        statement: Any,
        sets: Sequence[Mapping[str, Any]],
    ) -> Cascaded:
        """Record the rows that an INSERT of a flush is going to remove, as SQLite's tables may say.

        :returns: these rows, and those behind them, for :meth:`settle_cascaded`.
        """
        target = self.target_of(statement) if connection.dialect.name == "sqlite" else None
        if target is None or self._recorder.is_paused(session):
            return Cascaded()
        table = target.spec.parent_table
        if table not in self._replacing:
            self._replacing[table] = is_replacing(statement, table, connection.dialect)
        if not self._replacing[table]:
            return Cascaded()
        if len(self._specs_of(target)) > 1:
            self._give_up(target, _IN_PARTS)
            return Cascaded()
        met = self._find_met(Conflicts(self.cascades.key_of(table), statement, sets), connection)
        found = self._of_replaced(connection, table, target, met) if met else Cascaded()
        self.record_cascaded(session, connection, found)
        return found

    def _of_replaced(
        self, connection: Connection, table: Table, target: Target | None, met: list[Key]
    ) -> Cascaded:
        found = self.cascades.of_deleted(connection, table, met)
        if target is not None:
            found.extend(Cascaded(deleted={target.spec: met}))
        return found

    def awaits(self, connection: Connection) -> bool:
        """Tell whether a statement is about to be executed that is recorded afterwards."""
        return self._name in _sqlalchemy.info_of(connection)

    def _has_versions_behind(
        self, connection: Connection, statement: Any, table: Any, sets: Any
    ) -> bool:
        """Tell whether writing a table that is not versioned may change rows of others that are."""
        if isinstance(statement, Update):
            acts = self.cascades.acts_on_update(table)
            return acts and self.cascades.acts_on_update(
                table, _sqlalchemy.assigned_columns(statement, sets)
            )
        if isinstance(statement, Delete):
            return self.cascades.acts_on_delete(table)
        if not isinstance(statement, Insert) or not isinstance(table, Table):
            return False
        if self.cascades.acts_on_delete(table) and is_replacing(
            statement, table, connection.dialect
        ):
            return True
        changed = _sqlalchemy.columns_on_conflict(statement)
        return bool(changed) and self.cascades.acts_on_update(table, changed)

    def _prepare_insert(
        self, pending: _Pending, connection: Connection, sets: Sequence[Mapping[str, Any]]
    ) -> str | None:
        write, dialect = pending.write, connection.dialect
        if pending.target is not None:
            if any(spec.added for spec in self._specs_of(pending.target)):
                pending.given = _sqlalchemy.inserted_columns(pending.statement, sets)
            if write.hides_keys:
                return "its RETURNING leaves out the primary key; add the key columns to it"
            if _sqlalchemy.has_prefix(pending.statement, "FAIL"):
                return "it may stop at a row and keep those before it"
            needs_returning = write.needs_returning(dialect)
            if needs_returning and not dialect.insert_returning:
                return "the database does not tell which rows an INSERT of this kind makes"
        reason = self._prepare_meeting(pending, connection, sets)
        if reason is None and pending.target is not None and needs_returning:
            pending.statement, pending.is_ours = write.returning(), True
        return reason

    def _prepare_meeting(
        self, pending: _Pending, connection: Connection, sets: Sequence[Mapping[str, Any]]
    ) -> str | None:
        """Look up the rows that an INSERT may change or remove, and keep what they are."""
        table, target = pending.table, pending.target
        replaces = is_replacing(pending.statement, table, connection.dialect)
        pending.changed = _sqlalchemy.columns_on_conflict(pending.statement) or set()
        if not replaces and not self._must_know_met(pending, connection):
            return None
        specs = [] if target is None else self._specs_of(target)
        if replaces and len(specs) > 1:
            return _IN_PARTS
        if replaces:
            # What it does not say is the default afterwards, whatever it was.
            pending.given = set(table.columns)
        key = self.cascades.key_of(table)
        pending.met = self._find_met(Conflicts(key, pending.statement, sets), connection)
        if not pending.met:
            return None
        if replaces:
            found = self._of_replaced(connection, table, target, pending.met)
        else:
            if pending.changed.intersection(key) and self.cascades.acts_on_update(table, key):
                others = set(pending.met).difference(pending.write.given_keys())
                if others:
                    return "it gives rows other keys, which the rows of other tables follow"
            found = self.cascades.referring(connection, table, pending.met, pending.changed)
        if (reason := self._unknown(found)) is not None:
            return reason
        pending.cascaded = found
        if target is not None:
            self._recorder.keep_first_state(
                connection, target.hierarchy, dict.fromkeys(specs, pending.met)
            )
        self.record_cascaded(pending.session, connection, found)
        return None

    def _must_know_met(self, pending: _Pending, connection: Connection) -> bool:
        """Tell whether an INSERT may do more to rows that are there than it tells by itself."""
        if not pending.changed:
            return False
        if self.cascades.acts_on_update(pending.table, pending.changed):
            return True
        if pending.target is None:
            return False
        if pending.changed.intersection(self.cascades.key_of(pending.table)):
            return True
        specs = self._specs_of(pending.target)
        return any(self._recorder.may_lack_versions(connection, spec) for spec in specs)

    def _find_met(self, conflicts: Conflicts, connection: Connection) -> list[Key]:
        found: dict[Key, None] = {}
        for statement in conflicts.select_rows(connection.dialect):
            for row in connection.execute(statement).all():
                found[row[0] if len(row) == 1 else tuple(row)] = None
        return list(found)

    def _prepare_change(
        self, pending: _Pending, connection: Connection, sets: Sequence[Mapping[str, Any]]
    ) -> str | None:
        write, dialect = pending.write, connection.dialect
        if _sqlalchemy.is_limited(pending.statement):
            return "which rows it takes when it stops at a number of them is not known beforehand"
        if isinstance(pending.statement, Update):
            pending.changed = set(_sqlalchemy.assigned_columns(pending.statement, sets))
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

    def _begin_writing(self, pending: _Pending, connection: Connection) -> None:
        """Let nobody else write from now on, where only one can; a look keeps nobody from it."""
        if pending.target is not None and not has_concurrent_writers(connection.dialect):
            locking = delete(pending.target.spec.version_table).where(false())
            connection.execute(locking, execution_options=OURS)

    def _list_rows(self, write: Write, connection: Connection) -> dict[Key, Key]:
        listed = write.listed_keys(connection.execute(*write.list_rows()).scalar_one())
        return dict(zip(listed, listed, strict=True))

    def _doubt_update(self, pending: _Pending) -> str | None:
        """Return why it cannot be known what an UPDATE does that goes on after conflicts."""
        if pending.target is None:
            return None
        for word in ("REPLACE", "FAIL"):
            if _sqlalchemy.has_prefix(pending.statement, word):
                return f"with {word} it does something to other rows as well, or to some only"
        if pending.write.moves_keys and _sqlalchemy.has_prefix(pending.statement, "IGNORE"):
            return "which rows keep their keys is not known beforehand"
        return None

    def _keep_before(self, pending: _Pending, connection: Connection) -> str | None:
        """Keep what rows are, and those behind them, before they are changed or deleted."""
        table, rows = pending.table, list(pending.moved)
        if isinstance(pending.statement, Update):
            for each in self._tables_of(pending):
                found = self._look_behind(connection, each, rows, pending.changed)
                pending.cascaded.extend(found)
            if (reason := self._unknown(pending.cascaded)) is not None:
                return reason
        if pending.target is not None:
            specs = self._specs_of(pending.target)
            self._recorder.keep_first_state(
                connection, pending.target.hierarchy, dict.fromkeys(specs, rows)
            )
        if isinstance(pending.statement, Update):
            self.record_cascaded(pending.session, connection, pending.cascaded)
            return None
        if self.cascades.may_move_keys_on_delete(table):
            # Rows may be behind that nothing tells of; then nothing must be recorded so far.
            found = self.cascades.of_deleted(connection, table, rows)
            if (reason := self._unknown(found)) is not None:
                return reason
        self._record_deletion(pending, connection, rows)
        # Rows that refer to others are looked up once nobody can add any.
        rows = list(pending.moved)
        for each in self._tables_of(pending):
            if self.cascades.acts_on_delete(each):
                pending.cascaded.extend(self.cascades.of_deleted(connection, each, rows))
        self.record_cascaded(pending.session, connection, pending.cascaded)
        return None

    def _tables_of(self, pending: _Pending) -> list[Table]:
        """Return the tables that the rows of a statement are in, by the same keys."""
        if pending.target is None:
            return [pending.table]
        return [spec.parent_table for spec in self._specs_of(pending.target)]

    def _unknown(self, found: Cascaded) -> str | None:
        """Return why it cannot be known what becomes of rows behind others."""
        for spec in found.unknown:
            if self._by_spec[spec].is_on():
                name = spec.parent_table.fullname
                return f"a foreign key gives rows of {name} other keys, by SET NULL or SET DEFAULT"
        return None

    def _record_deletion(self, pending: _Pending, connection: Connection, rows: list[Key]) -> None:
        if pending.target is None:
            return
        spec, hierarchy = pending.target.spec, pending.target.hierarchy
        changes = {
            each: Changes(deleted=list(rows))
            for each in self._specs_of(pending.target)
            if each not in self._specs_above(pending.target)
        }
        self._add_values(self._specs_of(pending.target), changes)
        deleted = self._recorder.record(pending.session, connection, hierarchy, changes, locks=True)
        absent = deleted.get(spec)
        if absent:
            pending.statement, pending.sets = pending.write.without(absent)
            pending.moved = {key: key for key in rows if key not in absent}

    def _can_tell_itself(self, pending: _Pending, connection: Connection) -> bool:
        """Tell whether nothing need be known before an UPDATE, and it tells what it has done."""
        if pending.target is None or not isinstance(pending.statement, Update):
            return False
        if not pending.write.can_tell_changed_rows(connection.dialect):
            return False
        specs = self._specs_of(pending.target)
        for table in self._tables_of(pending):
            if self.cascades.must_look_first(table, pending.changed):
                return False
            specs += self.cascades.behind(table, pending.changed)
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
                key = row[0] if size == 1 else tuple(row[:size])
                moved = row[size:] or (key if isinstance(key, tuple) else (key,))
                found[key] = moved[0] if size == 1 else tuple(moved)
        return found

    # -- after -------------------------------------------------------------------------------

    def after(self, connection: Connection, statement: Any, result: Any) -> None:
        """Record what *statement* has done."""
        pending = self._take(connection, statement)
        if pending is None:
            return
        if isinstance(pending, _Keyless):
            spec, write = pending.target.spec, pending.write
            rows = write.take_rows(result)
            self._recorder.record_rows(pending.session, connection, spec, write.operation, rows)
            return
        if pending.tells_itself:
            changed = pending.write.changed_keys(result)
            pending.moved = dict(zip(changed, changed, strict=True))
        if isinstance(statement, Insert):
            self._after_insert(pending, connection, result)
        elif isinstance(statement, Delete):
            self._after_delete(pending, connection, result)
        elif pending.moved:
            moved = pending.moved
            self._record(pending, connection, lambda: _changes_of_update(moved), locks=False)
            # Otherwise each key is what it was.
            is_moved = pending.write.moves_keys
            before = {now: key for key, now in moved.items()} if is_moved else moved
            self._follow(pending, connection, before)

    def _after_delete(self, pending: _Pending, connection: Connection, result: Any) -> None:
        if pending.target is not None and result.rowcount not in (-1, len(pending.moved)):
            # Triggers keep rows, and so does IGNORE.
            self._settle_deletion(pending, connection)
        # Where nothing is merged, the deletion was an event of the whole object.
        if pending.target is not None and pending.moved and pending.target.spec.strategy.merges:
            target, keys = pending.target, list(pending.moved)
            changes = {each: Changes(updated=list(keys)) for each in self._specs_above(target)}
            if changes:
                self._recorder.record(
                    pending.session, connection, target.hierarchy, changes, locks=False
                )
        self.settle_cascaded(pending.session, connection, pending.cascaded)

    def _settle_deletion(self, pending: _Pending, connection: Connection) -> None:
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
        target = self._targets[table]
        there = self.cascades.remaining(connection, target.spec, keys)
        if there:
            changes = {
                each: Changes(returned=list(there))
                for each in self._specs_of(target)
                if each not in self._specs_above(target)
            }
            self._recorder.record(session, connection, target.hierarchy, changes, locks=False)
        return there

    def _follow(self, pending: _Pending, connection: Connection, moved: Mapping[Key, Key]) -> None:
        """Record what has become of rows behind those that were updated."""
        for table in self._tables_of(pending):
            values = pending.cascaded.values.get(table)
            self.follow_updated(pending.session, connection, table, moved, pending.changed, values)
        self.settle_cascaded(pending.session, connection, pending.cascaded)

    def _after_insert(self, pending: _Pending, connection: Connection, result: Any) -> None:
        if pending.target is not None:
            keys = pending.write.made_keys(result)
            if pending.is_ours:
                _sqlalchemy.hide_returned(result, len(keys or ()))
            if keys is None:
                reason = "the database does not tell which rows it has made"
                self._give_up(pending.target, reason)
                return
            is_upsert = pending.write.is_upsert
            self._record_left(pending, pending.target, connection)
            self._record_made(pending, pending.target, connection, keys, may_be_old=is_upsert)
        if pending.met:
            self._follow(pending, connection, {key: key for key in pending.met})

    def _record_left(self, pending: _Pending, target: Target, connection: Connection) -> None:
        """Record that rows have other keys which an INSERT has met."""
        if not pending.met or not pending.changed.intersection(self.cascades.key_of(pending.table)):
            return
        there = set(self.cascades.remaining(connection, target.spec, pending.met))
        left = [key for key in pending.met if key not in there]
        if left:
            changes = {target.spec: Changes(departed=left)}
            self._recorder.record(
                pending.session, connection, target.hierarchy, changes, locks=False
            )

    def _record_made(
        self,
        pending: _Pending,
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
        specs = self._specs_of(target)
        self._add_values(specs, changes, given=pending.given, changed=pending.changed)
        self._recorder.record(pending.session, connection, target.hierarchy, changes, locks=False)

    def failed(self, connection: Connection, *, is_lost: bool) -> None:
        """Take back what was recorded of a statement that the database refused.

        :param is_lost: whether the database has rolled back all of the transaction.
        """
        pending: _Pending | _Keyless | None = _sqlalchemy.info_of(connection).pop(self._name, None)
        if isinstance(pending, _Keyless):
            # Of one that fails, nothing is left.
            return
        if pending is None or is_lost or not can_go_on_after_errors(connection.dialect):
            return
        if isinstance(pending.statement, Delete):
            if pending.target is not None and pending.moved:
                self._settle_deletion(pending, connection)
        elif pending.write.is_repeated:
            moved = self._settle_repeated(pending, connection)
            self._follow(pending, connection, moved)
            return
        self.settle_cascaded(pending.session, connection, pending.cascaded)

    def _settle_repeated(self, pending: _Pending, connection: Connection) -> Mapping[Key, Key]:
        """Record what was written for the first of several sets of parameters.

        :returns: for the key of each row that may have been updated, the key that it had before.
        """
        target = pending.target
        if isinstance(pending.statement, Insert):
            if target is not None:
                given = self.cascades.remaining(connection, target.spec, pending.write.given_keys())
                self._record_made(pending, target, connection, given, may_be_old=True)
            return {key: key for key in pending.met}
        asked = list(dict.fromkeys([*pending.moved, *pending.moved.values()]))
        there = set(self.cascades.taken(connection, pending.table, asked))
        moved = _find_moved(pending.moved, there)
        self._record(pending, connection, lambda: _changes_of_update(moved), locks=False)
        return {now: key for key, now in moved.items()}

    def _take(self, connection: Connection, statement: Any) -> _Pending | _Keyless | None:
        pending: _Pending | _Keyless | None = _sqlalchemy.info_of(connection).get(self._name)
        if pending is None or pending.statement is not statement:
            return None
        del _sqlalchemy.info_of(connection)[self._name]
        return pending

    def _record(
        self,
        pending: _Pending,
        connection: Connection,
        build: Callable[[], Changes],
        *,
        locks: bool,
    ) -> Mapping[VersionSpec, set[Key]]:
        if pending.target is None:
            return {}
        specs, hierarchy = self._specs_of(pending.target), pending.target.hierarchy
        changes = {spec: build() for spec in specs}
        self._add_values(specs, changes, given=pending.changed, changed=pending.changed)
        return self._recorder.record(pending.session, connection, hierarchy, changes, locks=locks)

    def _add_values(
        self,
        specs: Sequence[VersionSpec],
        changes: Mapping[VersionSpec, Changes],
        *,
        given: Collection[Column[Any]] = (),
        changed: Collection[Column[Any]] = (),
    ) -> None:
        """Find the values of columns that are no copies, the same for all rows of a kind.

        :param given: the columns that were set of rows that are new.
        :param changed: those that were set of rows that were there.
        """
        if not any(spec.added for spec in specs):
            return
        for each in changes.values():
            for keys, columns, operation in (
                (each.inserted, given, Operation.INSERT),
                (each.updated, changed, Operation.UPDATE),
                (each.deleted, (), Operation.DELETE),
            ):
                if keys and (values := self._recorder.added_values(specs, columns, operation)):
                    each.added |= dict.fromkeys(keys, values)

    def _specs_above(self, target: Target) -> list[VersionSpec]:
        """Return the tables of superclasses, of which rows stay when those of *target* go."""
        specs = self._specs_of(target)
        return specs[: specs.index(target.spec)]

    def _specs_of(self, target: Target) -> list[VersionSpec]:
        """Return the tables in which a change of a row makes a version, base-most first."""
        related = (target.spec, *target.hierarchy.related(target.spec))
        return [spec for spec in target.hierarchy.tables if spec in related]

    # -- cascades ----------------------------------------------------------------------------

    def record_cascaded(self, session: Session, connection: Connection, cascaded: Cascaded) -> None:
        """Record rows that the database is going to delete along with others.

        :raises CaptureError: if it gives other rows keys that cannot be known.
        """
        self._keep_cascaded(connection, cascaded)
        changes = {spec: Changes(deleted=list(keys)) for spec, keys in cascaded.deleted.items()}
        for hierarchy, some in self._by_hierarchy(changes):
            self._add_values(list(some), some)
            self._recorder.record(session, connection, hierarchy, some, locks=True)

    def _by_hierarchy(
        self, changes: Mapping[VersionSpec, Changes]
    ) -> Iterator[tuple[Hierarchy, dict[VersionSpec, Changes]]]:
        """Yield changes of the tables that are recorded, those that share objects together."""
        grouped: dict[Hierarchy, dict[VersionSpec, Changes]] = {}
        for spec, each in changes.items():
            target = self._by_spec[spec]
            if target.is_on():
                grouped.setdefault(target.hierarchy, {})[spec] = each
        yield from grouped.items()

    def _keep_cascaded(self, connection: Connection, cascaded: Cascaded) -> None:
        """Keep the first states of rows behind others."""
        for spec in cascaded.unknown:
            if (reason := self._unknown(cascaded)) is not None:
                self._give_up(self._by_spec[spec], reason)
        for found in (cascaded.updated, cascaded.following, cascaded.deleted):
            for spec, keys in found.items():
                target = self._by_spec[spec]
                specs = dict.fromkeys(self._specs_of(target), keys)
                self._recorder.keep_first_state(connection, target.hierarchy, specs)

    def settle_cascaded(self, session: Session, connection: Connection, cascaded: Cascaded) -> None:
        """Record what has become of rows behind others that were deleted or changed."""
        there = {
            spec: self.cascades.remaining(connection, spec, keys)
            for spec, keys in cascaded.deleted.items()
        }
        returned = {spec: Changes(returned=keys) for spec, keys in there.items() if keys}
        for hierarchy, some in self._by_hierarchy(returned):
            self._recorder.record(session, connection, hierarchy, some, locks=False)
        for spec, keys in cascaded.updated.items():
            left = self.cascades.remaining(connection, spec, keys)
            if left:
                self._record_updated(session, connection, spec, {key: key for key in left})

    def keep_referring(self, connection: Connection, table: Table, keys: list[Key]) -> Cascaded:
        """Keep the first states of rows that the database may change along with updates.

        :returns: these rows, for :meth:`follow_updated` and :meth:`settle_cascaded`.
        """
        found = self._look_behind(connection, table, keys, None)
        self._keep_cascaded(connection, found)
        return found

    def _look_behind(
        self,
        connection: Connection,
        table: Table,
        keys: list[Key],
        changed: set[Column[Any]] | None,
    ) -> Cascaded:
        if not self.cascades.acts_on_update(table, changed):
            return Cascaded()
        behind = self.cascades.behind(table, changed)
        may_lack = any(self._recorder.may_lack_versions(connection, spec) for spec in behind)
        if not may_lack and not self.cascades.must_look_first(table, changed):
            return Cascaded()
        return self.cascades.referring(connection, table, keys, changed)

    def follow_updated(
        self,
        session: Session,
        connection: Connection,
        table: Table,
        moved: Mapping[Key, Key],
        changed: set[Column[Any]] | None = None,
        values: Values | None = None,
    ) -> None:
        """Record rows that the database has changed along with rows that were updated.

        :param moved: for the key of each row that was updated, the key that it had before.
        :param changed: the columns that were changed, if that is known.
        :param values: what the rows had in columns that are followed, by their former keys.
        """
        if not self.cascades.acts_on_update(table, changed):
            return
        found = self.cascades.of_updated(connection, table, moved, changed, values)
        for spec, rows in found.items():
            former = {before: now for now, before in rows.items()}
            self._record_updated(session, connection, spec, former)

    def _record_updated(
        self, session: Session, connection: Connection, spec: VersionSpec, moved: Mapping[Key, Key]
    ) -> None:
        target = self._by_spec[spec]
        if target.is_on():
            changes = {each: _changes_of_update(moved) for each in self._specs_of(target)}
            self._recorder.record(session, connection, target.hierarchy, changes, locks=False)

    # -- what cannot be known ----------------------------------------------------------------

    def check_text(self, connection: Connection, text: str) -> None:
        """Refuse SQL text that writes a versioned table."""
        if self._texts is None:
            self._texts = TextualWrites(self._targets)
        name = self._texts.find(text)
        for target in self._named(name) if name is not None else ():
            self._refuse(connection, target, f"it is text: {' '.join(text.split())[:80]!r}")

    def _check_name(self, connection: Connection, table: Any) -> None:
        """Refuse a statement that knows a versioned table by an object that is not its own."""
        if table in self._targets:
            return
        schema = _schema_of(connection, getattr(table, "schema", None))
        for target in self._named(table.name):
            if _schema_of(connection, target.spec.parent_table.schema) == schema:
                reason = "it is made with another Table object of that name"
                self._refuse(connection, target, reason)

    def _check_other_tables(self, connection: Connection, statement: Any) -> None:
        """Refuse an UPDATE that sets columns of several tables."""
        for table in _sqlalchemy.other_written_tables(statement):
            target = self._targets.get(table)
            if target is not None and target.is_on():
                self._refuse(connection, target, "it updates several tables")

    def _named(self, name: str) -> list[Target]:
        """Return the versioned tables of a name, in any schema."""
        found = [t for table, t in self._targets.items() if str(table.name).lower() == name.lower()]
        return [target for target in found if target.is_on()]

    def check_ctes(self, connection: Connection, ctes: Iterable[Any]) -> None:
        """Refuse a statement that writes a versioned table in its ``WITH``."""
        for cte in ctes:
            element = cte.element
            if isinstance(element, UpdateBase) and (target := self.target_of(element)):
                self._refuse(connection, target, "it stands in the WITH of another statement")

    def _refuse(self, connection: Connection, target: Target, reason: str) -> None:
        session = self._recorder.session_of(connection)
        if session is None or self._recorder.is_paused(session):
            return
        if self._recorder.is_stored_on(session, connection, target.spec.parent_table):
            self._give_up(target, reason)

    def _give_up(self, target: Target | None, reason: str) -> None:
        if target is None:
            return
        message = (
            f"a statement writes {target.spec.parent_table.fullname} in a way that cannot be "
            f"recorded: {reason}. Write it with insert(), update() or delete(), or let it through "
            "with paused(session) or the option capture='ignore'"
        )
        if target.policy == "raise":
            raise CaptureError(message)
        if target.policy == "warn":
            warnings.warn(message, UnrecordedWrite, stacklevel=3)


def _schema_of(connection: Connection, schema: str | None) -> str | None:
    """Return the schema in the database that is meant by a schema in the metadata."""
    mapped = _sqlalchemy.translated_schema(connection.get_execution_options(), schema)
    return mapped or connection.dialect.default_schema_name


def _moves_schemas(connection: Connection, target: Target, options: Mapping[str, Any]) -> bool:
    """Tell whether a statement has tables elsewhere than its connection has them."""
    own, name = connection.get_execution_options(), "schema_translate_map"
    if options.get(name) == own.get(name):
        return False
    spec = target.spec
    return any(
        _sqlalchemy.translated_schema(options, table.schema)
        != _sqlalchemy.translated_schema(own, table.schema)
        for table in (spec.parent_table, spec.version_table, spec.transaction_table)
    )


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


def _changes_of_update(moved: Mapping[Key, Key]) -> Changes:
    """Return the changes of an UPDATE, by the keys that rows had and have now."""
    stayed = [key for key, now in moved.items() if key is now or key == now]
    if len(stayed) == len(moved):
        return Changes(updated=stayed, doubtful=set(stayed))
    return Changes(
        inserted=[now for key, now in moved.items() if key != now],
        updated=stayed,
        departed=[key for key, now in moved.items() if key != now],
        doubtful=set(stayed),
    )
