"""The changes of one flush to the rows of one hierarchy, carried through table by table."""

from __future__ import annotations

from collections.abc import Mapping

from ..database.keys import Key
from ..model.spec import VersionSpec
from .appending import AppendedTable, with_tables_above
from .changes import Changes
from .merging import MergedTable
from .recorded_table import RecordedTable, Scope
from .shapes import Transaction
from .writer import TableWriter

__all__ = ["Recording"]


class Recording:
    """One flush, one hierarchy, one connection.

    :param changes: what the flush did to the tables of the hierarchy.
    """

    def __init__(self, scope: Scope, changes: Mapping[VersionSpec, Changes]) -> None:
        hierarchy = scope.hierarchy
        self._scope = scope
        self._merges = hierarchy.root.strategy.merges
        if not self._merges:
            changes = with_tables_above(hierarchy, changes)
        #: The changes by table, the base-most one first.
        self.changes: Mapping[VersionSpec, Changes] = {
            spec: changes[spec] for spec in hierarchy.tables if spec in changes
        }
        #: What has been recorded, in that order.
        self._tables: list[RecordedTable] = []

    @property
    def absent(self) -> dict[VersionSpec, set[Key]]:
        """Rows that were to be deleted and were not there, by table."""
        return {table.spec: table.absent for table in self._tables if table.absent}

    @property
    def are_keys_certain(self) -> bool:
        """Whether keys that differ are always of two rows."""
        return all(table.are_keys_certain for table in self._tables)

    @property
    def came_to_nothing(self) -> bool:
        """Whether something that was recorded, or might have been, is not there in the end."""
        nothing = [table for table in self._tables if table.came_to_nothing]
        return bool(nothing)

    def take_images(
        self, spec: VersionSpec, writer: TableWriter, transaction: Transaction, *, locks: bool
    ) -> None:
        """Write the versions of one table's rows; those before them stay open for now.

        :param locks: lock the rows, because they are about to be deleted.
        """
        table: RecordedTable
        if self._merges:
            table = MergedTable(self._scope, spec, writer, transaction)
        else:
            root = self._tables[0] if self._tables else None
            table = AppendedTable(self._scope, spec, writer, transaction, root=root)
        table.take_images(self.changes[spec], locks=locks)
        self._tables.append(table)

    def close(self, tx: int) -> bool:
        """End the versions before; tell whether another transaction has overtaken this one."""
        # All of them are ended, also those after one that was overtaken.
        overtaken = [table for table in self._tables if table.close(tx)]
        return bool(overtaken)

    def drop_undone(self, tx: int) -> None:
        """Remove versions of rows that are again as they were before the transaction."""
        undone = self._tables[0].find_undone(tx) if self._tables else []
        for table in self._tables if undone else ():
            table.remove(undone, tx)
