"""The changes of one flush to the rows of one hierarchy, carried through in order.

First the images of every table, while the versions before them are still open and can be compared
with; then the closing of those versions; then the rare cases: rows that are as they were before
the transaction, and versions of a transaction that drew a later id but wrote first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from .._typing import new_list
from ..database.dialects import locks_what_is_missing, numbers_may_recur
from ..database.keys import Key
from ..model.operation import Operation, merge
from ..model.spec import Hierarchy, VersionSpec
from .added import shared_values
from .changes import Changes
from .image import Image
from .records import Layer, Records
from .rivals import refusing_rivals
from .same_rows import find_known_forms
from .shapes import Transaction
from .writer import TableWriter

__all__ = ["Recording"]

_NO_VALUES: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class _Sorted:
    """The changes to one table, by what has to be done."""

    image: Image = field(default_factory=Image)
    #: Rows of which nothing is left: they came and went in this transaction.
    vanished: list[Key] = field(default_factory=new_list)
    departed: list[Key] = field(default_factory=new_list)
    #: Departed rows of which this transaction has a version.
    marked: list[Key] = field(default_factory=new_list)
    #: Rows whose version before this transaction must be closed.
    closing: list[Key] = field(default_factory=new_list)
    #: How many of them were ended together with the image, if they were.
    closed: int | None = None
    #: Whether each of these has a version of this transaction.
    is_complete: bool = True
    #: How many of them are new rows, which have no version before.
    new: int = 0


class Recording:
    """One flush, one hierarchy, one connection.

    :param layer: of *records*, the one that remembers what is recorded now.
    :param writers: the writer of each table.
    :param may_be_overtaken: whether the transaction's id may be older than the locks on these
        rows, so that another transaction may have passed it.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        connection: Connection,
        *,
        records: Records,
        layer: Layer,
        writers: Mapping[VersionSpec, TableWriter],
        may_be_overtaken: bool,
    ) -> None:
        self.hierarchy = hierarchy
        self.connection = connection
        self._records = records
        self._layer = layer
        self._writers = writers
        self._may_be_overtaken = may_be_overtaken
        self._sorted: dict[VersionSpec, _Sorted] = {}
        #: The keys of all rows that were looked at, by table.
        self._touched: dict[VersionSpec, list[Key]] = {}
        #: Whether something that was recorded, or might have been, is not there in the end.
        self.came_to_nothing: bool = False
        #: Rows that were to be deleted and were not there, by table.
        self.absent: dict[VersionSpec, set[Key]] = {}

    @property
    def are_keys_certain(self) -> bool:
        """Whether keys that differ are always of two rows."""
        return all(writer.forms.are_certain for writer in self._writers.values())

    # -- images ------------------------------------------------------------------------------

    def take_images(
        self, spec: VersionSpec, changes: Changes, transaction: Transaction, *, locks: bool
    ) -> None:
        """Write the versions of one table's rows; those before them stay open for now."""
        self._settle_keys(spec, changes, transaction)
        work = self._sorted[spec] = self._sort(spec, changes)
        with refusing_rivals(spec):
            if not self._are_all_new(spec, work, transaction):
                self._write_image(spec, work, transaction, locks=locks)
        self._write_departures(spec, work, transaction)

    def _settle_keys(self, spec: VersionSpec, changes: Changes, transaction: Transaction) -> None:
        """Give the keys of one row one form."""
        writer = self._writers[spec]
        changes.rename(writer.forms.find_new([*changes.keys(), *changes.replaced]))
        if not writer.forms.are_certain:
            changes.rename(
                find_known_forms(
                    writer,
                    self.connection,
                    transaction.id,
                    records=self._records,
                    left=changes.departed,
                    keys=changes.keys(),
                )
            )

    def _sort(self, spec: VersionSpec, changes: Changes) -> _Sorted:
        """Tell rows that this transaction has recorded before from those it has not."""
        changes.settle()
        arrived = {
            Operation.INSERT: [*changes.inserted, *changes.returned],
            Operation.UPDATE: changes.updated,
            Operation.DELETE: changes.deleted,
        }
        work = _Sorted()
        if self._records.knows(spec):
            self._merge(spec, arrived, work)
            self._merge_gone(spec, changes.departed, work, fresh=work.departed)
            self._merge_gone(spec, changes.given, work, fresh=work.image.given)
        else:
            work.image.fresh = {operation: keys for operation, keys in arrived.items() if keys}
            work.departed, work.image.given = changes.departed, changes.given
        doubtful = changes.doubtful
        if self._writers[spec].has_added:
            added = self._merge_added(spec, changes, work.image)
            work.image.added = shared_values(added, spec)
            doubtful = doubtful.difference(self._masked(spec, added))
        if doubtful:
            updated = work.image.fresh.get(Operation.UPDATE, [])
            work.image.checked = [key for key in updated if key in doubtful]
        return work

    def _masked(self, spec: VersionSpec, added: Mapping[Key, Mapping[str, Any]]) -> Iterator[Key]:
        """Yield rows of which a masked column was changed, in any table of the object."""
        tables = (spec, *self.hierarchy.related(spec))
        flags = {pair.version.key for table in tables for pair in table.masked}
        for key, values in added.items() if flags else ():
            if any(values.get(flag) for flag in flags):
                yield key

    def _merge_added(
        self, spec: VersionSpec, changes: Changes, image: Image
    ) -> dict[Key, Mapping[str, Any]]:
        """Return the values of added columns; what is recorded stays unless it is given anew."""
        keys, given = image.keys(), changes.added
        merged = {key: given.get(key, _NO_VALUES) for key in keys}
        if self._records.has_added(spec):
            for key in keys:
                if earlier := self._records.added(spec, key):
                    merged[key] = {**earlier, **merged[key]}
        self._layer.note_added(spec, merged)
        return merged

    def _merge(
        self, spec: VersionSpec, arrived: Mapping[Operation, list[Key]], work: _Sorted
    ) -> None:
        for operation, keys in arrived.items():
            for key in keys:
                before = self._records.of(spec, key)
                after = merge(before, operation)
                if after is None:
                    work.vanished.append(key)
                    continue
                part = work.image.fresh if before is None else work.image.again
                part.setdefault(after, []).append(key)

    def _merge_gone(
        self, spec: VersionSpec, keys: list[Key], work: _Sorted, *, fresh: list[Key]
    ) -> None:
        for key in keys:
            before = self._records.of(spec, key)
            after = merge(before, Operation.DELETE)
            if before is None:
                fresh.append(key)
            elif after is None:
                work.vanished.append(key)
            else:
                work.marked.append(key)

    @property
    def _keys_are_new(self) -> bool:
        """Whether inserted rows get keys that no row had before."""
        root = self.hierarchy.root.parent_table
        is_numbered = root.autoincrement_column is not None
        return is_numbered and not numbers_may_recur(self.connection.dialect, root)

    def _are_all_new(self, spec: VersionSpec, work: _Sorted, transaction: Transaction) -> bool:
        """Write inserted rows whose keys the database made, if none of them has a history."""
        image = work.image
        others = image.again or image.given or work.departed
        if set(image.fresh) != {Operation.INSERT} or others or not self._keys_are_new:
            return False
        keys = image.fresh[Operation.INSERT]
        if not self._write_new(spec, image, transaction):
            # Some have one, so none of it holds; write all of them again.
            work.closing = list(keys)
            image.fresh, image.again = {}, {Operation.INSERT: keys}
            return False
        self._layer.note(spec, keys, Operation.INSERT)
        return True

    def _write_new(self, spec: VersionSpec, image: Image, transaction: Transaction) -> bool:
        """Write INSERT versions of rows; tell whether none of these rows has a history."""
        writer, connection = self._writers[spec], self.connection
        insertion = transaction.insertion(connection)
        if insertion is not None and writer.can_begin_new(insertion, image):
            number = writer.begin_insert_new(connection, insertion, image)
            if number is None:
                return False
            transaction.begun(insertion, number)
            return True
        tx = transaction.id
        if not locks_what_is_missing(connection.dialect):
            return writer.insert_new(connection, image, tx)
        # Apart, a look reads what is committed and locks nothing.
        writer.write(connection, image, tx, locks=False)
        return not writer.has_earlier(connection, image.keys(), tx)

    def _write_image(
        self, spec: VersionSpec, work: _Sorted, transaction: Transaction, *, locks: bool
    ) -> None:
        image, writer = work.image, self._writers[spec]
        expected = len(image.keys()) + len(image.given)
        if not expected:
            return
        ended: int | None = None
        is_one = expected == 1 and not (image.again or image.given or work.departed)
        if is_one and writer.closes_at_once:
            written = self._write_one(spec, work, transaction, locks=locks)
        elif is_one and writer.replaces_ends:
            written, work.closed = writer.write_with_end(self.connection, image, transaction.id)
        else:
            written, ended = self._write_several(spec, work, transaction.id, locks=locks)
        work.closing += [key for part in image.fresh.values() for key in part] + image.given
        if Operation.INSERT in image.fresh and self._keys_are_new:
            work.new = len(image.fresh[Operation.INSERT])
        deletes = bool(image.fresh.get(Operation.DELETE))
        # A row that replaces another counts twice on some databases.
        is_short = not image.again and written < expected
        if is_short or (image.again and (image.checked or (locks and deletes))):
            self._drop_unwritten(spec, work, transaction.id)
        elif image.again and deletes:
            work.is_complete = False
        if ended is not None and ended == len(work.closing):
            work.closed = ended
        if image.given:
            self._layer.note(spec, image.given, Operation.DELETE)
        for part in (image.fresh, image.again):
            for operation, some in part.items():
                self._layer.note(spec, some, operation)

    def _write_one(
        self, spec: VersionSpec, work: _Sorted, transaction: Transaction, *, locks: bool
    ) -> int:
        """Write the version of one row and end the one before; return how many were ended."""
        ended = self._write_at_once(self._writers[spec], work.image, transaction, locks=locks)
        # With locks it may have waited for another transaction, whose version it does not see.
        work.closed = ended or (None if locks else 0)
        return ended

    def _write_several(
        self, spec: VersionSpec, work: _Sorted, tx: int, *, locks: bool
    ) -> tuple[int, int | None]:
        """Write versions of rows; return how many, and how many were ended beforehand, if any."""
        image, writer = work.image, self._writers[spec]
        ended = None if work.departed else writer.close_changed(self.connection, image, tx)
        if ended == len(image.keys()):
            # Each of them differs; nothing is left to compare.
            image.checked = []
        return writer.write(self.connection, image, tx, locks=locks), ended

    def _write_at_once(
        self, writer: TableWriter, image: Image, transaction: Transaction, *, locks: bool
    ) -> int:
        """Write these, and if need be the transaction along with them; return how many ended."""
        insertion = transaction.insertion(self.connection)
        if insertion is not None:
            begun = writer.begin_write_and_close(self.connection, insertion, image, locks=locks)
            if begun is not None:
                number, closed = begun
                transaction.begun(insertion, number)
                return closed
        return writer.write_and_close(self.connection, image, transaction.id, locks=locks)

    def _drop_unwritten(self, spec: VersionSpec, work: _Sorted, tx: int) -> None:
        """Forget rows that are as they were, and those that were gone before they were deleted."""
        fresh = work.image.fresh
        candidates = [key for keys in fresh.values() for key in keys]
        found = set(self._writers[spec].recorded(self.connection, candidates, tx))
        if len(found) >= len(candidates):
            return
        gone = set(fresh.get(Operation.DELETE, ())) - found
        if gone:
            self.absent[spec] = gone
        if self._writers[spec].has_added:
            self._layer.note_added(spec, {key: {} for key in candidates if key not in found})
        for operation, keys in fresh.items():
            fresh[operation] = [key for key in keys if key in found]
        work.closing = [key for key in work.closing if key in found] + work.image.given
        self.came_to_nothing = True

    def _write_departures(self, spec: VersionSpec, work: _Sorted, transaction: Transaction) -> None:
        if not (work.departed or work.marked or work.vanished):
            return
        writer, connection, tx = self._writers[spec], self.connection, transaction.id
        if work.departed:
            writer.depart(connection, work.departed, tx)
            work.closing += work.departed
            work.is_complete = False
            self._layer.note(spec, work.departed, Operation.DELETE)
        if work.marked:
            writer.mark_deleted(connection, work.marked, tx)
            self._layer.note(spec, work.marked, Operation.DELETE)
        if work.vanished:
            self._remove(spec, work.vanished, tx)

    def _remove(self, spec: VersionSpec, keys: list[Key], tx: int) -> None:
        """Remove what this transaction has recorded of some rows."""
        self._writers[spec].erase(self.connection, keys, tx)
        self._writers[spec].reopen(self.connection, keys, tx)
        self._layer.note(spec, keys, None)
        if self._writers[spec].has_added:
            self._layer.note_added(spec, {key: {} for key in keys})
        self.came_to_nothing = True

    # -- afterwards --------------------------------------------------------------------------

    def close(self, tx: int) -> bool:
        """End the versions before; tell whether another transaction has overtaken this one."""
        overtaken = False
        for spec, work in self._sorted.items():
            if not work.closing:
                continue
            writer = self._writers[spec]
            closed, work.closed = work.closed, None
            chosen = len(work.image.fresh.get(Operation.INSERT, ())) - work.new
            if closed is None:
                closed = writer.close(
                    self.connection,
                    work.closing,
                    tx,
                    everyone=work.is_complete,
                    new=work.new,
                    chosen=chosen,
                )
            missing = len(work.closing) - work.new - closed
            # Also where what numbers transactions is behind the history, as after a restore.
            is_odd = spec.end_column is not None and missing > chosen
            if is_odd or (self._may_be_overtaken and missing > 0):
                overtaken |= writer.is_overtaken(self.connection, work.closing, tx)
        return overtaken

    def drop_undone(self, tx: int) -> None:
        """Remove versions of rows that are again as they were before the transaction."""
        root = self.hierarchy.root
        spec = root if root in self._sorted else next(iter(self._sorted), None)
        if spec is None:
            return
        again = self._sorted[spec].image.again.get(Operation.UPDATE, [])
        undone = self._writers[spec].undone(self.connection, again, tx) if again else []
        if undone:
            for each in self._sorted:
                self._remove(each, undone, tx)
