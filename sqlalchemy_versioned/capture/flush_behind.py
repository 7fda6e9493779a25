"""What flushes do to rows that refer to those of their objects, by foreign keys that act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from ..database.keys import Key
from ..model.spec import VersionSpec
from ..recording.surroundings import Surroundings
from .captures import Captures
from .cascaded import Cascaded
from .flushes import Flush
from .work import Work

__all__ = ["FlushBehind"]


class FlushBehind:
    """Has recorded what becomes of rows behind those that flushes write."""

    def __init__(self, surroundings: Surroundings, captures: Captures) -> None:
        self._surroundings = surroundings
        self._captures = captures

    # -- before rows are updated -------------------------------------------------------------

    def may_change_first(self, connection: Connection, specs: Sequence[VersionSpec]) -> bool:
        """Tell whether an update may be the first change of a row, or of one that refers to it."""
        cascades = self._captures.on(connection).cascades
        for spec in specs:
            if cascades.acts_on_update(spec.parent_table):
                return True
            if self._surroundings.may_lack_versions(connection, spec):
                return True
        return False

    def keep(self, flush: Flush, connection: Connection, table: Table, keys: list[Key]) -> None:
        """Keep the first states of rows behind those that are about to be updated."""
        behind = self._captures.on(connection).behind
        found = behind.look_behind(connection, table, keys, None)
        behind.keep(connection, self._note(flush, connection, found))

    # -- before rows are deleted -------------------------------------------------------------

    def record(
        self,
        flush: Flush,
        connection: Connection,
        table: Table,
        keys: list[Key],
        *,
        again: bool = False,
    ) -> None:
        """Record the rows that go along with others, or lose what they refer to.

        :param again: whether rows may have other values than when they were recorded before.
        """
        capture = self._captures.on(connection)
        cascades = capture.cascades
        if keys and cascades.acts_on_delete(table):
            found = cascades.of_deleted(connection, table, keys)
            if not again and (known := flush.cascaded.get(connection)) is not None:
                # A row behind two goes once: if it is new, nothing of it is left to be ended.
                found = found.without(known.deleted)
            capture.behind.record(flush.session, connection, self._note(flush, connection, found))

    def look_again(self, flush: Flush, connection: Connection, table: Any) -> None:
        """Look up what goes along with rows that are still to be deleted, if that may be more.

        Classes that refer to each other in a circle are written in turn: rows may come to refer to
        what is deleted next.
        """
        place = (connection, table)
        if place in flush.moved:
            flush.moved.discard(place)
            self.record(flush, connection, table, flush.going[place], again=True)

    def _note(self, flush: Flush, connection: Connection, found: Cascaded) -> Cascaded:
        """Remember rows behind until the end of the flush; return those that are recorded now."""
        if found or found.following:
            # What becomes of rows that the flush has inserted is seen when images are taken.
            found = found.without(flush.born())
        flush.cascaded.setdefault(connection, Cascaded()).extend(found)
        return found

    # -- afterwards --------------------------------------------------------------------------

    def leave_gone(self, flush: Flush, work: Work) -> None:
        """Leave out rows that have gone along with others after the flush had updated them.

        Their deletion is recorded; those that are there all the same are seen in the end.
        """
        for found in flush.cascaded.values():
            for spec, keys in found.deleted.items():
                changes = work.changes.get(spec)
                if changes is not None:
                    gone = set(keys)
                    changes.updated = [key for key in changes.updated if key not in gone]

    def is_followed(self, work: Work) -> bool:
        """Tell whether rows may follow those that were updated."""
        cascades = self._captures.of_all.cascades
        followed = [spec for spec in work.changes if cascades.acts_on_update(spec.parent_table)]
        return bool(followed)

    def follow(self, flush: Flush, connection: Connection, work: Work) -> None:
        """Record the rows that have followed others which were updated."""
        behind = self._captures.on(connection).behind
        known = flush.cascaded.get(connection, Cascaded()).values
        for spec, changes in work.changes.items():
            table, moved = spec.parent_table, {key: key for key in changes.updated} | changes.former
            if moved:
                values = known.get(table)
                behind.follow_updated(flush.session, connection, table, moved, values=values)

    def settle(self, flush: Flush) -> None:
        """Record what has become of rows behind, and of rows that were not deleted after all."""
        for connection, table in flush.kept() if flush.deletions else ():
            keys = flush.going.get((connection, table), [])
            if keys:
                changes = self._captures.on(connection).changes
                changes.settle_deletion(flush.session, connection, table, keys)
        for connection, found in flush.cascaded.items():
            self._captures.on(connection).behind.settle(flush.session, connection, found)
