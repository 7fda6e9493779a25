"""From changes to the database: a fixed number of statements for each version table.

A :class:`TableWriter` knows one table on one database.  Images are taken by the database itself
(``INSERT … SELECT`` from the parent table), so that a version is exactly what was stored.  Which
rows, and what happened to them, is decided in :mod:`.recording`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ..context.values import row_values
from ..database.dialects import has_writable_ctes, joins_whole_tables
from ..database.keys import Key, Style, bare_key, key_values
from ..model.operation import BEFORE_RECORDING, Operation
from .image import Image
from .looks import TableLooks
from .ours import OURS
from .shapes import Insertion, Shape
from .stamps import build_uuid, stamp

__all__ = ["TableWriter"]

#: Of so many rows it is sooner found which versions are open than which is the last of each.
_JOINED = 10_000


class TableWriter(TableLooks):
    """Writes the versions of one table; see :class:`.TableLooks` for the parameters."""

    def insert_new(self, connection: Connection, image: Image, tx: int) -> bool:
        """Write INSERT versions of rows without history; tell whether that was all of them."""
        keys = image.keys()
        shape, lists = image.shape(can_replace=self.can_replace, locks=False)
        shape, sets = shape._replace(condition="unopened"), self.keys.sets(keys, lists)
        return self._run(connection, shape, sets, tx, image.values(self._prefix)) == len(keys)

    def write(self, connection: Connection, image: Image, tx: int, *, locks: bool) -> int:
        """Write the versions of *image* and return how many rows were written.

        :param locks: lock the rows until the transaction ends, for those about to be deleted.
        """
        keys = image.keys()
        if not keys and not image.given:
            return 0
        # Without locks first: nearly always all rows have changed, and nothing need be compared
        # again.
        if image.checked and self._looks_apart and not self._unchanged(connection, image, tx):
            image = replace(image, checked=[])
        # Then they are written anew below, as if for the first time.
        if image.again and not self.can_replace:
            self.erase(connection, [k for ks in image.again.values() for k in ks], tx)
        if not keys:
            return self._write_given(connection, image.given, tx)
        rows = 0
        shape, lists = image.shape(can_replace=self.can_replace, locks=locks)
        sets = self.keys.sets(keys, lists) if lists or image.sets is None else image.sets
        # A list of parameters cannot be selected from, as an array or JSON can.
        if shape.gives and sets.style is Style.LIST:
            rows = self._write_given(connection, image.given, tx)
            shape, sets = shape._replace(gives=False), sets.without("given")
        return rows + self._run(connection, shape, sets, tx, image.values(self._prefix))

    def write_with_end(self, connection: Connection, image: Image, tx: int) -> tuple[int, int]:
        """Write the version of one row and end the one before, by one INSERT.

        :returns: how many versions were written, and how many ended.
        """
        shape, _ = image.shape(can_replace=False, locks=False)
        statement = self._kept(
            ("with end", shape), lambda: self._builder(Style.ONE).image_with_end(shape)
        )
        parameters = {self._tx: tx, **self._of_one(image)}
        written = connection.execute(statement, parameters).rowcount
        return min(written, 1), max(written - 1, 0)

    def write_and_close(self, connection: Connection, image: Image, tx: int, *, locks: bool) -> int:
        """Write the version of one row and end the one before, in one round trip.

        :returns: how many versions were ended; if none, nothing may have been written.
        """
        shape, _ = image.shape(can_replace=self.can_replace, locks=locks)
        statement = self._kept(
            ("at once", shape), lambda: self._builder(Style.ONE).image_and_close(shape)
        )
        ended = connection.execute(statement, {self._tx: tx, **self._of_one(image)}).rowcount
        if not ended:
            self._write_unended(connection, shape, image, tx)
        return ended

    def begin_write_and_close(
        self, connection: Connection, transaction: Insertion, image: Image, *, locks: bool
    ) -> tuple[int, int] | None:
        """Write a transaction too, in the same round trip as :meth:`write_and_close`.

        :returns: the id of the transaction, and how many versions were ended; ``None`` if nothing
            was written.
        """
        shape, _ = image.shape(can_replace=self.can_replace, locks=locks)
        statement = self._kept(
            ("begin", shape, transaction.table, tuple(transaction.values)),
            lambda: self._builder(Style.ONE).begin_image_and_close(shape, transaction),
        )
        row = self._begin(connection, statement, transaction, image)
        if row is None:
            return None
        # Where that is what it begins with, there is nothing but the number.
        if row[-1] is not None:
            return row[0], 1
        self._write_unended(connection, shape, image, row[0])
        return row[0], 0

    def can_begin_new(self, transaction: Insertion, image: Image) -> bool:
        """Tell whether :meth:`begin_insert_new` can write *image*: one row, numbered with it."""
        is_one = has_writable_ctes(self._dialect) and len(image.keys()) == 1
        return is_one and transaction.numbers is not None and not self._has_events

    def begin_insert_new(
        self, connection: Connection, transaction: Insertion, image: Image
    ) -> int | None:
        """Write the version of a new row, and a transaction too, in one round trip.

        :returns: the id of the transaction; ``None`` if the row has a history, and so nothing was
            written.
        """
        shape, _ = image.shape(can_replace=self.can_replace, locks=False)
        numbers = transaction.numbers
        assert numbers is not None
        statement = self._kept(
            ("begin new", shape, transaction.table, tuple(transaction.values)),
            lambda: self._builder(Style.ONE).begin_new(shape, transaction, numbers),
        )
        row = self._begin(connection, statement, transaction, image)
        return None if row is None else row[0]

    def _begin(
        self, connection: Connection, statement: Any, transaction: Insertion, image: Image
    ) -> Any:
        """Execute *statement* for the one row of *image*; return what it selects, if anything."""
        parameters = {**transaction.parameters(self._prefix), **self._of_one(image)}
        return connection.execute(statement, parameters).first()

    def _of_one(self, image: Image) -> dict[str, Any]:
        """Return the parameters of a statement for the one row of *image*."""
        ((key,),) = image.fresh.values()
        parameters = self.keys.one(key)
        return parameters | image.values(self._prefix) if image.added else parameters

    def _write_unended(self, connection: Connection, shape: Shape, image: Image, tx: int) -> None:
        """Write the version of a row that differs, but had no open version to be ended."""
        if self._builder(Style.ONE).ends_first(shape):
            sets = self.keys.sets(image.keys())
            self._run(connection, shape, sets, tx, image.values(self._prefix))

    def close_changed(self, connection: Connection, image: Image, tx: int) -> int | None:
        """End the versions before of rows of *image* that differ from them.

        One look at each of those versions is saved if that goes before the image is taken.

        :returns: how many were ended; ``None`` if *image* is not of such rows alone, or they cannot
            be looked up that way.
        """
        keys = image.fresh.get(Operation.UPDATE, [])
        is_plain = not (image.again or image.given or self.related)
        if not is_plain or not len(image.checked) == len(keys) == len(image.keys()) > 1:
            return None
        image.sets = sets = self.keys.sets(keys)
        if self.spec.end_column is None or self.spec.may_lack_ends or not sets.can_be_looked_up:
            return None
        is_joined = len(keys) >= _JOINED and joins_whole_tables(self._dialect)
        return self._run(
            connection, "close_open_changed" if is_joined else "close_changed", sets, tx
        )

    def _write_given(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Write DELETE versions of rows that are their keys."""
        sets = self.keys.sets(keys)
        if sets.style is not Style.LIST:
            return self._run(connection, "given", sets, tx)
        spec = self.spec
        names = [pair.version.key for pair in spec.key]
        values = [dict(zip(names, key, strict=True)) for key in keys]
        self.write_rows(connection, Operation.DELETE, values, tx)
        return len(keys)

    def write_rows(
        self,
        connection: Connection,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
        tx: int,
    ) -> None:
        """Write versions of rows that are known, and not looked up."""
        spec = self.spec
        fixed: dict[str, Any] = {
            spec.transaction_column.key: tx,
            spec.operation_column.key: operation,
        }
        if spec.variables:
            fixed |= row_values(spec.variables, connection)
        values = [{**row, **fixed} for row in rows]
        if self._is_stamped and spec.id_column is not None:
            # One moment for all, so that they stay together in the order of ids.
            begun = stamp()
            values = [{**each, spec.id_column.key: build_uuid(begun)} for each in values]
        connection.execute(spec.version_table.insert(), values, execution_options=OURS)

    def depart(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Write DELETE versions of rows that are no longer found under their key."""
        return self._run(connection, "depart", self.keys.sets(keys), tx)

    def mark_deleted(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Turn this transaction's versions into DELETE versions, as they are."""
        return self._run(connection, "mark_deleted", self.keys.sets(keys), tx)

    def _unchanged(self, connection: Connection, image: Image, tx: int) -> list[Key]:
        """Return rows that seem to be as they were; whoever sees one must look again, and lock.

        A row that a snapshot shows as it was then was not changed by this transaction, or has its
        former values again.
        """
        return self._ask(connection, "unchanged", image.checked, tx)

    def close(
        self,
        connection: Connection,
        keys: list[Key],
        tx: int,
        *,
        everyone: bool,
        new: int = 0,
        chosen: int = 0,
    ) -> int:
        """End the versions before those of this transaction; return how many were open.

        :param everyone: whether every row of *keys* is known to have one, which is cheaper.
        :param new: how many of *keys* are of new rows, which have none.
        :param chosen: how many are of inserted rows whose keys the application has chosen; they
            rarely have one.
        """
        if self.spec.end_column is None:
            return 0
        closed = 0
        if self._ends_apart and chosen < len(keys):
            found, closed = self._close_found(connection, keys, tx)
            # Everyone who has a version before had it open, and was found: nobody is left.
            if closed == len(found) >= len(keys) - new:
                return closed
            if closed == len(found):
                # Those that a snapshot knows nothing of may have been written since it was taken.
                keys = [key for key in keys if key not in found]
        sets = self.keys.sets(keys)
        is_known = everyone and sets.can_be_looked_up
        return closed + self._run(connection, "close" if is_known else "close_recorded", sets, tx)

    def _close_found(
        self, connection: Connection, keys: list[Key], tx: int
    ) -> tuple[dict[Key, int], int]:
        """End the versions that are the last ones as far as a snapshot shows.

        A version that has no end is the last one.  It is locked, and nothing around it.

        :returns: the transactions of the last versions, and how many of them were open.
        """
        found: dict[Key, int] = {}
        for chunk in self.keys.sets(keys).chunks():
            parameters = {self._tx: tx, **chunk.parameters()}
            rows = connection.execute(self._statement("newest", chunk.style), parameters)
            found |= {bare_key(key): last for *key, last in rows}
        closed = 0
        ends = [(*key_values(key), last) for key, last in found.items()]
        for chunk in self._versions.sets(ends).chunks():
            parameters = {self._tx: tx, **chunk.parameters()}
            statement = self._statement("close_found", chunk.style)
            closed += connection.execute(statement, parameters).rowcount
        return found, closed

    def show_ids(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Give rows the ids of their newest versions, where they have a column for it."""
        if keys and self.spec.live_id_column is not None:
            self._run(connection, "show_ids", self.keys.sets(keys), tx)

    def erase_deletions(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Remove this transaction's last versions of rows, which say that they are gone."""
        self._run(connection, "erase_deletions", self.keys.sets(keys), tx)

    def erase(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Remove this transaction's versions of some rows."""
        self._run(connection, "erase", self.keys.sets(keys), tx)

    def reopen(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Undo :meth:`close`."""
        if self.spec.end_column is not None:
            self._run(connection, "reopen", self.keys.sets(keys), tx)

    def move(self, connection: Connection, tx: int, new: int) -> None:
        """Give all versions of this transaction another transaction id."""
        if self.spec.end_column is not None:
            connection.execute(self._statement("move_ends"), {self._tx: tx, self._new: new})
        connection.execute(self._statement("move"), {self._tx: tx, self._new: new})

    def keep_first_state(self, connection: Connection, keys: list[Key]) -> None:
        """Write versions of rows that have none, as they are now."""
        self._run(connection, "first_state", self.keys.sets(keys), BEFORE_RECORDING)
