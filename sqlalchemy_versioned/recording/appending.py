"""The changes of one flush where nothing is merged: each event of a row is one more version.

What is recorded stays as it is, whatever follows in the same transaction; nothing is ended, and
nothing removed but what did not happen after all.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..database.keys import Key
from ..model.operation import Operation
from ..model.spec import Hierarchy, VersionSpec
from .added import shared_values
from .changes import Changes
from .image import Image
from .recording import Recording
from .shapes import Transaction

__all__ = ["Appending", "with_tables_above"]


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


class Appending(Recording):
    """One flush, one hierarchy, one connection; see :class:`.Recording` for the parameters."""

    #: Rows of the base-most table that are as they were.
    _unchanged: frozenset[Key] = frozenset()

    def take_images(
        self, spec: VersionSpec, changes: Changes, transaction: Transaction, *, locks: bool
    ) -> None:
        """Write the versions of one table's rows."""
        self._settle_keys(spec, changes, transaction)
        changes.settle()
        if self._records.knows(spec):
            self._follow_records(spec, changes, transaction.id)
        self._touched.setdefault(spec, []).extend(self._seen_first(spec, changes))
        if changes.returned:
            self._take_back(spec, changes.returned, transaction.id)
        self._leave_out_unchanged(spec, changes, transaction)
        if changes.departed:
            # A row leaves its key before it has another.
            self._writers[spec].depart(self.connection, changes.departed, transaction.id)
            self._layer.note(spec, changes.departed, Operation.DELETE)
        if changes:
            self._write_events(spec, changes, transaction, locks=locks)

    def _follow_records(self, spec: VersionSpec, changes: Changes, tx: int) -> None:
        """Leave out what is recorded: foreign keys let one row be told of repeatedly."""
        known = {key: self._records.of(spec, key) for key in changes.keys()}  # noqa: SIM118
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
            back = set(self._writers[spec].there(self.connection, list(gone), tx))
            changes.inserted += list(back.difference(changes.inserted))
            changes.updated = [key for key in changes.updated if key not in gone]

    def _seen_first(self, spec: VersionSpec, changes: Changes) -> list[Key]:
        """Return the rows that another transaction may have recorded meanwhile.

        Those that this one has recorded before are its own, and new ones have no history.
        """
        keys = changes.keys()
        if self._keys_are_new:
            new = set(changes.inserted)
            keys = [key for key in keys if key not in new]
        return [key for key in keys if self._records.of(spec, key) is None]

    def _take_back(self, spec: VersionSpec, keys: list[Key], tx: int) -> None:
        """Remove what says that rows are gone which are there."""
        self._writers[spec].erase_deletions(self.connection, keys, tx)
        self._layer.note(spec, keys, None)
        self.came_to_nothing: bool = True

    def _leave_out_unchanged(
        self, spec: VersionSpec, changes: Changes, transaction: Transaction
    ) -> None:
        """Forget updated rows that are as they were, in every table of their objects."""
        if spec.keeps_unchanged:
            return
        if spec.base is None and changes.doubtful:
            unsure = changes.doubtful.difference(self._masked(spec, changes.added))
            doubtful = [key for key in changes.updated if key in unsure]
            found = self._writers[spec].unchanged(self.connection, doubtful, transaction.id)
            self._unchanged = frozenset(found)
        if self._unchanged:
            changes.updated = [key for key in changes.updated if key not in self._unchanged]
            self.came_to_nothing = True

    def _write_events(
        self, spec: VersionSpec, changes: Changes, transaction: Transaction, *, locks: bool
    ) -> None:
        image = Image(given=changes.given)
        events = {
            Operation.INSERT: changes.inserted,
            Operation.UPDATE: changes.updated,
            Operation.DELETE: changes.deleted,
        }
        image.fresh = {operation: keys for operation, keys in events.items() if keys}
        keys, tx = image.keys(), transaction.id
        if spec.added:
            image.added = shared_values({key: changes.added.get(key, {}) for key in keys}, spec)
        written = self._writers[spec].write(self.connection, image, tx, locks=locks)
        if written < len(keys) + len(changes.given):
            self._forget_missing(spec, image, tx)
        there = [*image.fresh.get(Operation.INSERT, ()), *image.fresh.get(Operation.UPDATE, ())]
        self._writers[spec].show_ids(self.connection, there, tx)
        for operation, some in image.fresh.items():
            self._layer.note(spec, some, operation)
        self._layer.note(spec, changes.given, Operation.DELETE)

    def _forget_missing(self, spec: VersionSpec, image: Image, tx: int) -> None:
        """Forget rows that were not there to be recorded.

        Those of which this transaction has recorded something before are its own, so they are.
        """
        strangers = [key for key in image.keys() if self._records.of(spec, key) is None]  # noqa: SIM118
        missing = set(strangers).difference(
            self._writers[spec].recorded(self.connection, strangers, tx)
        )
        gone = missing.intersection(image.fresh.get(Operation.DELETE, ()))
        if gone:
            self.absent[spec] = gone
        for operation, keys in image.fresh.items():
            image.fresh[operation] = [key for key in keys if key not in missing]
        self.came_to_nothing = True

    # -- afterwards --------------------------------------------------------------------------

    def close(self, tx: int) -> bool:
        """Tell whether another transaction has overtaken this one; nothing is ended."""
        if not self._may_be_overtaken:
            return False
        return any(
            self._writers[spec].is_overtaken(self.connection, keys, tx)
            for spec, keys in self._touched.items()
            if keys
        )

    def drop_undone(self, tx: int) -> None:
        """Leave versions alone, also of rows that are again as they were."""
