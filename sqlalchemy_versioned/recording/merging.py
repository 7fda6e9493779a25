"""The changes of one flush to one table, where a transaction has one version of each row.

First the images, while the versions before them are still open and can be compared with; then the
closing of those versions; then the rare case of rows that are as they were before the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..database.dialects import locks_what_is_missing
from ..database.keys import Key
from ..model.operation import Operation
from .added import shared_values
from .changes import Changes
from .image import Image
from .recorded_table import RecordedTable
from .rivals import refuse_rivals
from .sorting import Sorted, sort_changes

__all__ = ["MergedTable"]

_NO_VALUES: Mapping[str, Any] = MappingProxyType({})


class MergedTable(RecordedTable):
    """One table in one flush; see :class:`.RecordedTable` for the parameters."""

    #: What has to be done with the rows.
    _work: Sorted
    #: Rows whose version before this transaction must be closed.
    _closing: list[Key]
    #: How many versions of rows that differ from them were ended before the images were taken.
    _ended: int | None = None
    #: How many versions before are ended by now, where nothing is left to be closed.
    _closed: int | None = None
    #: Whether each of the rows to be closed has a version of this transaction.
    _is_complete: bool = True
    #: How many of them are new rows, which have no version before.
    _new: int = 0

    def take_images(self, changes: Changes, *, locks: bool) -> None:
        """Write the versions of the rows; those before them stay open for now."""
        self._settle_keys(changes)
        work = self._work = sort_changes(self.spec, changes, self._records)
        self._closing = []
        self._give_values(changes, work.image)
        try:
            if not self._write_new(work):
                self._write_image(work, locks=locks)
        except IntegrityError as error:
            refuse_rivals(self.spec, error)
            raise
        self._write_departures(work)

    def _give_values(self, changes: Changes, image: Image) -> None:
        """Add to *image* the values of added columns, and the rows that must be compared."""
        doubtful = changes.doubtful
        if self._writer.has_added:
            added = self._merge_added(image.keys(), changes.added)
            image.added = shared_values(added, self.spec)
            doubtful = doubtful.difference(self._masked(added))
        if doubtful:
            updated = image.fresh.get(Operation.UPDATE, [])
            image.checked = [key for key in updated if key in doubtful]

    def _merge_added(
        self, keys: Iterable[Key], given: Mapping[Key, Mapping[str, Any]]
    ) -> dict[Key, Mapping[str, Any]]:
        """Return the values of added columns; what is recorded stays unless it is given anew."""
        merged = {key: given.get(key, _NO_VALUES) for key in keys}
        if self._records.has_added(self.spec):
            for key in keys:
                if earlier := self._records.added(self.spec, key):
                    merged[key] = {**earlier, **merged[key]}
        self._layer.note_added(self.spec, merged)
        return merged

    # -- images ------------------------------------------------------------------------------

    def _write_new(self, work: Sorted) -> bool:
        """Write inserted rows whose keys the database made, if none of them has a history."""
        image = work.image
        if image.fresh.keys() != {Operation.INSERT} or not (work.is_fresh and self._keys_are_new):
            return False
        keys = image.fresh[Operation.INSERT]
        if not self._insert_new(image):
            # Some have one, so none of it holds; write all of them again.
            self._closing = list(keys)
            image.fresh, image.again = {}, {Operation.INSERT: keys}
            return False
        self._layer.note(self.spec, keys, Operation.INSERT)
        return True

    def _insert_new(self, image: Image) -> bool:
        """Write INSERT versions of rows; tell whether none of these rows has a history."""
        writer, connection, transaction = self._writer, self._connection, self._transaction
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

    def _write_image(self, work: Sorted, *, locks: bool) -> None:
        image = work.image
        expected = len(image.keys()) + len(image.given)
        if not expected:
            return
        written = self._write_rows(work, is_one=expected == 1 and work.is_fresh, locks=locks)
        self._closing += [key for part in image.fresh.values() for key in part] + image.given
        if Operation.INSERT in image.fresh and self._keys_are_new:
            self._new = len(image.fresh[Operation.INSERT])
        if self._may_lack(image, is_short=written < expected, locks=locks):
            self._drop_unwritten(image)
        elif image.again and image.fresh.get(Operation.DELETE):
            self._is_complete = False
        if self._ended == len(self._closing):
            self._closed = self._ended
        self._note(image)

    def _may_lack(self, image: Image, *, is_short: bool, locks: bool) -> bool:
        """Tell whether some rows of *image* may have got no version.

        :param is_short: whether fewer were written than there are rows.
        """
        if not image.again:
            return is_short
        # A row that replaces another counts twice on some databases, so the number tells nothing.
        return bool(image.checked or (locks and image.fresh.get(Operation.DELETE)))

    def _write_rows(self, work: Sorted, *, is_one: bool, locks: bool) -> int:
        """Write versions, and end those before where that takes no more; return how many."""
        if is_one and self._writer.closes_at_once:
            return self._write_one(work.image, locks=locks)
        tx = self._tx
        if is_one and self._writer.replaces_ends:
            written, self._closed = self._writer.write_with_end(self._connection, work.image, tx)
            return written
        return self._write_several(work, tx, locks=locks)

    def _write_one(self, image: Image, *, locks: bool) -> int:
        """Write the version of one row and end the one before; return how many were ended."""
        ended = self._write_at_once(image, locks=locks)
        # With locks it may have waited for another transaction, whose version it does not see.
        self._closed = ended or (None if locks else 0)
        return ended

    def _write_at_once(self, image: Image, *, locks: bool) -> int:
        """Write this, and if need be the transaction along with it; return how many ended."""
        writer, connection, transaction = self._writer, self._connection, self._transaction
        insertion = transaction.insertion(connection)
        if insertion is not None:
            begun = writer.begin_write_and_close(connection, insertion, image, locks=locks)
            if begun is not None:
                number, closed = begun
                transaction.begun(insertion, number)
                return closed
        return writer.write_and_close(connection, image, transaction.id, locks=locks)

    def _write_several(self, work: Sorted, tx: int, *, locks: bool) -> int:
        """Write versions of rows; return how many."""
        image, writer = work.image, self._writer
        ended = None if work.departed else writer.close_changed(self._connection, image, tx)
        if ended == len(image.keys()):
            # Each of them differs; nothing is left to compare.
            image.checked = []
        self._ended = ended
        return writer.write(self._connection, image, tx, locks=locks)

    def _drop_unwritten(self, image: Image) -> None:
        """Forget rows that are as they were, and those that were gone before they were deleted."""
        fresh, tx = image.fresh, self._tx
        candidates = [key for keys in fresh.values() for key in keys]
        found = set(self._writer.recorded(self._connection, candidates, tx))
        if len(found) >= len(candidates):
            return
        self.absent = set(fresh.get(Operation.DELETE, ())) - found
        if self._writer.has_added:
            self._layer.note_added(self.spec, {k: {} for k in candidates if k not in found})
        for operation, keys in fresh.items():
            fresh[operation] = [key for key in keys if key in found]
        self._closing = [key for key in self._closing if key in found] + image.given
        self.came_to_nothing = True

    def _note(self, image: Image) -> None:
        """Remember what is recorded of the rows of *image*."""
        if image.given:
            self._layer.note(self.spec, image.given, Operation.DELETE)
        for part in (image.fresh, image.again):
            for operation, keys in part.items():
                self._layer.note(self.spec, keys, operation)

    def _write_departures(self, work: Sorted) -> None:
        if not (work.departed or work.marked or work.vanished):
            return
        tx = self._tx
        if work.departed:
            self._writer.depart(self._connection, work.departed, tx)
            self._closing += work.departed
            self._is_complete = False
            self._layer.note(self.spec, work.departed, Operation.DELETE)
        if work.marked:
            self._writer.mark_deleted(self._connection, work.marked, tx)
            self._layer.note(self.spec, work.marked, Operation.DELETE)
        if work.vanished:
            self.remove(work.vanished, tx)

    # -- afterwards --------------------------------------------------------------------------

    def close(self, tx: int) -> bool:
        """End the versions before; tell whether another transaction has overtaken this one."""
        keys, writer = self._closing, self._writer
        if not keys:
            return False
        chosen = len(self._work.image.fresh.get(Operation.INSERT, ())) - self._new
        closed, self._closed = self._closed, None
        if closed is None:
            closed = writer.close(
                self._connection,
                keys,
                tx,
                everyone=self._is_complete,
                new=self._new,
                chosen=chosen,
            )
        missing = len(keys) - self._new - closed
        # Also where what numbers transactions is behind the history, as after a restore.
        is_odd = self.spec.end_column is not None and missing > chosen
        if is_odd or (self._scope.may_be_overtaken and missing > 0):
            return writer.is_overtaken(self._connection, keys, tx)
        return False

    def find_undone(self, tx: int) -> list[Key]:
        """Return rows that are again as they were before the transaction."""
        again = self._work.image.again.get(Operation.UPDATE, [])
        return self._writer.undone(self._connection, again, tx) if again else []
