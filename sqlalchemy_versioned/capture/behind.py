"""Rows behind others, which the database changes or deletes along with them, recorded.

:mod:`.cascades` knows which they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.orm import Session

from ..database.keys import Key
from ..model.spec import Hierarchy, VersionSpec
from ..recording.changes import Changes
from .cascaded import Cascaded, Values
from .cascades import Cascades
from .pending import Pending
from .recorder import Recorder, add_values, changes_of_update
from .refusals import give_up
from .targets import Targets

__all__ = ["RowsBehind"]


class RowsBehind:
    """Has recorded what foreign keys do to rows of versioned tables."""

    def __init__(self, recorder: Recorder, targets: Targets) -> None:
        self._recorder = recorder
        self._targets = targets

    @property
    def cascades(self) -> Cascades:
        """What the database does along with deletions and other keys."""
        return self._targets.cascades

    def record(self, session: Session, connection: Connection, cascaded: Cascaded) -> None:
        """Record rows that the database is going to delete along with others.

        :raises CaptureError: if it gives other rows keys that cannot be known.
        """
        self.keep(connection, cascaded)
        changes = {spec: Changes(deleted=list(keys)) for spec, keys in cascaded.deleted.items()}
        grouped = list(self._by_hierarchy(changes))
        # What refuses to be recorded does so before anything is.
        for _, some in grouped:
            add_values(self._recorder, list(some), some)
        for hierarchy, some in grouped:
            self._recorder.record(session, connection, hierarchy, some, locks=True)

    def _by_hierarchy(
        self, changes: Mapping[VersionSpec, Changes]
    ) -> Iterator[tuple[Hierarchy, dict[VersionSpec, Changes]]]:
        """Yield changes of the tables that are recorded, those that share objects together."""
        grouped: dict[Hierarchy, dict[VersionSpec, Changes]] = {}
        for spec, each in changes.items():
            target = self._targets.of_spec(spec)
            if target.is_on():
                grouped.setdefault(target.hierarchy, {})[spec] = each
        yield from grouped.items()

    def keep(self, connection: Connection, cascaded: Cascaded) -> None:
        """Keep the first states of rows behind others."""
        for spec in cascaded.unknown:
            if (reason := self.unknown(cascaded)) is not None:
                give_up(self._targets.of_spec(spec), reason)
        for found in (cascaded.updated, cascaded.following, cascaded.deleted):
            for spec, keys in found.items():
                target = self._targets.of_spec(spec)
                specs = dict.fromkeys(target.specs(), keys)
                self._recorder.keep_first_state(connection, target.hierarchy, specs)

    def settle(self, session: Session, connection: Connection, cascaded: Cascaded) -> None:
        """Record what has become of rows behind others that were deleted or changed."""
        # A trigger may have put a row back, or the statement may not have deleted it after all.
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

    def look_behind(
        self,
        connection: Connection,
        table: Table,
        keys: list[Key],
        changed: set[Column[Any]] | None,
    ) -> Cascaded:
        """Return what is behind rows that are about to change, as far as it must be known before.

        :param changed: the columns that change; ``None`` for any.
        """
        if not self.cascades.acts_on_update(table, changed):
            return Cascaded()
        behind = self.cascades.behind(table, changed)
        # A look at rows behind locks them, and costs a statement: only if it is needed.
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
        target = self._targets.of_spec(spec)
        if target.is_on():
            changes = {each: changes_of_update(moved) for each in target.specs()}
            self._recorder.record(
                session, connection, target.hierarchy, changes, locks=False, written=spec
            )

    def unknown(self, found: Cascaded) -> str | None:
        """Return why it cannot be known what becomes of rows behind others."""
        for spec in found.unknown:
            if self._targets.of_spec(spec).is_on():
                name = spec.parent_table.fullname
                return f"a foreign key gives rows of {name} other keys, by SET NULL or SET DEFAULT"
        return None

    def follow(self, pending: Pending, connection: Connection, moved: Mapping[Key, Key]) -> None:
        """Record what has become of rows behind those that were updated."""
        for table in pending.tables():
            values = pending.cascaded.values.get(table)
            self.follow_updated(pending.session, connection, table, moved, pending.changed, values)
        self.settle(pending.session, connection, pending.cascaded)
