"""The changes of one flush to one table where nothing is merged: each event is one more version.

What is recorded stays as it is, whatever follows in the same transaction; nothing is ended, and
nothing removed but what did not happen after all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from ..database.keys import Key
from ..exc import CaptureError
from ..model.operation import Operation
from ..model.spec import Hierarchy, VersionSpec
from .added import shared_values
from .changes import Changes
from .image import Image
from .recorded_table import RecordedTable, Scope
from .shapes import Transaction
from .writer import TableWriter

__all__ = ["AppendedTable", "with_tables_above"]


def with_tables_above(
    hierarchy: Hierarchy, changes: Mapping[VersionSpec, Changes]
) -> Mapping[VersionSpec, Changes]:
    """Return *changes* with the tables of superclasses, the base-most of which numbers versions.

    Statements that name a table write that table alone.
    """
    whole = dict(changes)
    for spec, each in changes.items():
        for above in hierarchy.above(spec):
            known = set(whole[above].keys()) if above in whole else set[Key]()
            keys = [key for key in each.keys() if key not in known]  # noqa: SIM118
            if keys:
                added = Changes(updated=keys)
                if above in whole:
                    added.extend(whole[above])
                whole[above] = added
    return whole


class AppendedTable(RecordedTable):
    """One table in one flush; see :class:`.RecordedTable` for the parameters.

    :param root: the base-most table of the flush, if that is another one.
    """

    def __init__(
        self,
        scope: Scope,
        spec: VersionSpec,
        writer: TableWriter,
        transaction: Transaction,
        *,
        root: RecordedTable | None,
    ) -> None:
        super().__init__(scope, spec, writer, transaction)
        if root is not None:
            self.unchanged = root.unchanged
        #: Rows that another transaction may have recorded meanwhile.
        self._touched: list[Key] = []

    def take_images(self, changes: Changes, *, locks: bool) -> None:
        """Write the versions of the rows."""
        self._settle_keys(changes)
        changes.settle()
        if self._records.knows(self.spec):
            self._follow_records(changes)
        self._touched = self._seen_first(changes)
        if changes.returned:
            self._take_back(changes.returned)
        self._leave_out_unchanged(changes)
        if changes.departed:
            # A row leaves its key before it has another.
            self._writer.depart(self._connection, changes.departed, self._tx)
            self._layer.note(self.spec, changes.departed, Operation.DELETE)
        if changes:
            self._write_events(changes, locks=locks)

    def _follow_records(self, changes: Changes) -> None:
        """Leave out what is recorded: foreign keys let one row be told of repeatedly."""
        known = {key: self._records.of(self.spec, key) for key in changes.keys()}  # noqa: SIM118
        there = (Operation.INSERT, Operation.UPDATE)
        again = [key for key in changes.inserted if known[key] in there]
        changes.inserted = [key for key in changes.inserted if known[key] not in there]
        changes.updated += again
        changes.doubtful.update(again)
        for keys in (changes.deleted, changes.departed, changes.given):
            keys[:] = [key for key in keys if known[key] is not Operation.DELETE]
        gone = {key for key in changes.updated if known[key] is Operation.DELETE}
        if gone:
            # An object of another class may have the key, and no row in this table.
            back = set(self._writer.there(self._connection, list(gone), self._tx))
            changes.inserted += list(back.difference(changes.inserted))
            changes.updated = [key for key in changes.updated if key not in gone]

    def _seen_first(self, changes: Changes) -> list[Key]:
        """Return the rows that another transaction may have recorded meanwhile.

        Those that this one has recorded before are its own.  A new one may have the key of a row
        that is gone, also where the database numbers rows.
        """
        return [
            key
            for key in changes.keys()  # noqa: SIM118
            if self._records.of(self.spec, key) is None
        ]

    def _take_back(self, keys: list[Key]) -> None:
        """Remove what says that rows are gone which are there."""
        self._writer.erase_deletions(self._connection, keys, self._tx)
        self._layer.note(self.spec, keys, None)
        self.came_to_nothing = True

    def _leave_out_unchanged(self, changes: Changes) -> None:
        """Forget updated rows that are as they were, in every table of their objects."""
        if self.spec.keeps_unchanged:
            return
        if self.spec.base is None and changes.doubtful:
            unsure = changes.doubtful.difference(self._masked(changes.added))
            doubtful = [key for key in changes.updated if key in unsure]
            found = self._writer.unchanged(self._connection, doubtful, self._tx)
            self.unchanged = frozenset(found)
        if self.unchanged:
            changes.updated = [key for key in changes.updated if key not in self.unchanged]
            self.came_to_nothing = True

    def _write_events(self, changes: Changes, *, locks: bool) -> None:
        image = Image(given=changes.given)
        events = {
            Operation.INSERT: changes.inserted,
            Operation.UPDATE: changes.updated,
            Operation.DELETE: changes.deleted,
        }
        image.fresh = {operation: keys for operation, keys in events.items() if keys}
        keys, tx = image.keys(), self._tx
        if self.spec.added:
            added = {key: changes.added.get(key, {}) for key in keys}
            image.added = shared_values(added, self.spec)
        written = self._writer.write(self._connection, image, tx, locks=locks)
        wanted = len(keys) + len(changes.given)
        if written > wanted and self.spec.parent_table.primary_key.columns:
            self._refuse_returning()
        if written < wanted:
            self._forget_missing(image, tx)
        there = [*image.fresh.get(Operation.INSERT, ()), *image.fresh.get(Operation.UPDATE, ())]
        self._writer.show_ids(self._connection, there, tx)
        for operation, some in image.fresh.items():
            self._layer.note(self.spec, some, operation)
        self._layer.note(self.spec, changes.given, Operation.DELETE)

    def _refuse_returning(self) -> NoReturn:
        """Refuse rows of which a snapshot still shows what others have deleted since."""
        raise CaptureError(
            f"rows of {self.spec.parent_table.fullname} come back that another transaction has "
            "deleted since this one began to read, and it cannot see what history says of them "
            "by now; roll back, and try again"
        )

    def _forget_missing(self, image: Image, tx: int) -> None:
        """Forget rows that were not there to be recorded.

        Those of which this transaction has recorded something before are its own, so they are.
        """
        strangers = [key for key in image.keys() if self._records.of(self.spec, key) is None]  # noqa: SIM118
        found = self._writer.recorded(self._connection, strangers, tx)
        missing = set(strangers).difference(found)
        self.absent = missing.intersection(image.fresh.get(Operation.DELETE, ()))
        for operation, keys in image.fresh.items():
            image.fresh[operation] = [key for key in keys if key not in missing]
        self.came_to_nothing = True

    # -- afterwards --------------------------------------------------------------------------

    def close(self, tx: int) -> bool:
        """Tell whether another transaction has overtaken this one; nothing is ended."""
        if not (self._scope.may_be_overtaken and self._touched):
            return False
        return self._writer.is_overtaken(self._connection, self._touched, tx)
