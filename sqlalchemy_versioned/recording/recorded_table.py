"""What recording the rows of one table takes, whatever becomes of what was recorded before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ..database.dialects import numbers_may_recur
from ..database.keys import Key
from ..model.spec import Hierarchy, VersionSpec
from .changes import Changes
from .records import Layer, Records
from .same_rows import find_known_forms
from .shapes import Transaction
from .writer import TableWriter

__all__ = ["RecordedTable", "Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One flush, one hierarchy, one connection.

    :param layer: of *records*, the one that remembers what is recorded now.
    :param may_be_overtaken: whether the transaction's id may be older than the locks on these
        rows, so that another transaction may have passed it.
    """

    hierarchy: Hierarchy
    connection: Connection
    records: Records
    layer: Layer
    may_be_overtaken: bool


class RecordedTable(ABC):
    """One table in one flush."""

    def __init__(
        self, scope: Scope, spec: VersionSpec, writer: TableWriter, transaction: Transaction
    ) -> None:
        self.spec = spec
        #: Whether something that was recorded, or might have been, is not there in the end.
        self.came_to_nothing: bool = False
        #: Updated objects that are as they were in every table, where that is known beforehand.
        self.unchanged: frozenset[Key] = frozenset()
        #: Rows that were to be deleted and were not there.
        self.absent: set[Key] = set()
        self._scope = scope
        self._connection = scope.connection
        self._records = scope.records
        self._layer = scope.layer
        self._writer = writer
        self._transaction = transaction

    @property
    def are_keys_certain(self) -> bool:
        """Whether keys that differ are always of two rows."""
        return self._writer.forms.are_certain

    @abstractmethod
    def take_images(self, changes: Changes, *, locks: bool) -> None:
        """Write the versions of the rows; those before them stay open for now.

        :param locks: lock the rows, because they are about to be deleted.
        """

    @abstractmethod
    def close(self, tx: int) -> bool:
        """End the versions before; tell whether another transaction has overtaken this one."""

    def find_undone(self, tx: int) -> list[Key]:
        """Return rows that are again as they were before the transaction, and leave no version."""
        return []

    def remove(self, keys: list[Key], tx: int) -> None:
        """Remove what this transaction has recorded of some rows."""
        self._writer.erase(self._connection, keys, tx)
        self._writer.reopen(self._connection, keys, tx)
        self._layer.note(self.spec, keys, None)
        if self._writer.has_added:
            self._layer.note_added(self.spec, {key: {} for key in keys})
        self.came_to_nothing = True

    # -- what all of them need ---------------------------------------------------------------

    @property
    def _tx(self) -> int:
        """The id of the transaction, which is written with the first question for it."""
        return self._transaction.id

    def _settle_keys(self, changes: Changes) -> None:
        """Give the keys of one row one form."""
        forms = self._writer.forms
        changes.rename(forms.find_new([*changes.keys(), *changes.replaced]))
        if not forms.are_certain:
            changes.unite(
                find_known_forms(
                    self._writer,
                    self._connection,
                    self._tx,
                    records=self._records,
                    left=changes.departed,
                    keys=changes.keys(),
                )
            )

    def _masked(self, added: Mapping[Key, Mapping[str, Any]]) -> Iterator[Key]:
        """Yield rows of which a masked column was changed, in any table of the object."""
        tables = (self.spec, *self._scope.hierarchy.related(self.spec))
        flags = {pair.version.key for table in tables for pair in table.masked}
        for key, values in added.items() if flags else ():
            if any(values.get(flag) for flag in flags):
                yield key

    @property
    def _keys_are_new(self) -> bool:
        """Whether inserted rows get keys that no row had before."""
        root = self._scope.hierarchy.root.parent_table
        is_numbered = root.autoincrement_column is not None
        return is_numbered and not numbers_may_recur(self._connection.dialect, root)
