"""What one transaction has recorded of which row, in layers that follow savepoints.

Pure bookkeeping: no database, no session.  A layer holds what was recorded since a savepoint was
set; rolling the savepoint back drops the layer, releasing it merges the layer into the one below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ..database.keys import Key
from ..model.operation import Operation
from ..model.spec import VersionSpec

__all__ = ["Layer", "Records"]


class Layer:
    """What was recorded since *savepoint* was set; ``None`` stands for the whole transaction."""

    def __init__(self, savepoint: Any) -> None:
        self.savepoint = savepoint
        #: For each row what is recorded of it; ``None`` where nothing is left.
        self.rows: dict[VersionSpec, dict[Key, Operation | None]] = {}
        #: Values of columns that plugins have added, for each row.
        self.added: dict[VersionSpec, dict[Key, Mapping[str, Any]]] = {}
        #: The transaction that was begun in this layer, if any.
        self.transaction: Any = None
        #: Whether the transaction of a layer below was taken back in this one.
        self.is_taken_back: bool = False
        #: The ids that transactions had when the layer began, where they were changed in it.
        self.former_ids: dict[Any, int] = {}
        #: The transactions whose rows were copied to another database in it, with connections.
        self.copies: list[tuple[Any, Any]] = []
        self.is_released = False

    def note(self, spec: VersionSpec, keys: Iterable[Key], operation: Operation | None) -> None:
        """Remember what is recorded of some rows."""
        self.rows.setdefault(spec, {}).update(dict.fromkeys(keys, operation))

    def note_added(self, spec: VersionSpec, added: Mapping[Key, Mapping[str, Any]]) -> None:
        """Remember values of added columns."""
        self.added.setdefault(spec, {}).update(added)

    def absorb(self, released: Layer) -> None:
        """Add what was recorded in a savepoint that was released."""
        for spec, rows in released.rows.items():
            self.rows.setdefault(spec, {}).update(rows)
        for spec, added in released.added.items():
            self.added.setdefault(spec, {}).update(added)
        # The earliest counts: rolling back goes to where the layer began.
        for transaction, number in released.former_ids.items():
            self.former_ids.setdefault(transaction, number)
        self.copies += released.copies
        if released.transaction is not None or released.is_taken_back:
            self.transaction = released.transaction
            self.is_taken_back = released.is_taken_back


class Records:
    """The layers of one transaction."""

    def __init__(self) -> None:
        self.layers: list[Layer] = [Layer(None)]

    def layer(self, savepoint: Any) -> Layer:
        """Return the layer of the innermost *savepoint*, made if it is new."""
        if self.layers[-1].savepoint is not savepoint:
            self.layers.append(Layer(savepoint))
        return self.layers[-1]

    def released(self, savepoint: Any) -> None:
        """Note that *savepoint* was released; it ends later."""
        if self.layers[-1].savepoint is savepoint:
            self.layers[-1].is_released = True

    def ended(self, savepoint: Any, *, around: Any) -> Layer | None:
        """End *savepoint*; return its layer if it was rolled back, and so has come to nothing.

        :param around: the savepoint it was set in.
        """
        top = self.layers[-1]
        # Nothing was recorded in it, so there is no layer of it.
        if top.savepoint is not savepoint:
            return None
        self.layers.pop()
        if not top.is_released:
            return top
        self.layer(around).absorb(top)
        return None

    @property
    def transaction(self) -> Any:
        """The current transaction, or ``None``."""
        for layer in reversed(self.layers):
            if layer.transaction is not None:
                return layer.transaction
            if layer.is_taken_back:
                return None
        return None

    def forget(self, lost: Collection[VersionSpec], connection: Any) -> None:
        """Forget what was recorded of some tables, and rows copied through *connection*."""
        for layer in self.layers:
            layer.rows = {spec: rows for spec, rows in layer.rows.items() if spec not in lost}
            layer.added = {spec: rows for spec, rows in layer.added.items() if spec not in lost}
            layer.copies = [copy for copy in layer.copies if copy[1] is not connection]
            # The rows will be written again, under the ids that they have by then.
            layer.former_ids.clear()

    def take_back(self, savepoint: Any) -> None:
        """Forget the current transaction, until *savepoint* is rolled back."""
        layer = self.layer(savepoint)
        layer.transaction, layer.is_taken_back = None, True

    def knows(self, spec: VersionSpec) -> bool:
        """Tell whether anything is recorded of the rows of a table."""
        return any(layer.rows.get(spec) for layer in self.layers)

    def of(self, spec: VersionSpec, key: Key) -> Operation | None:
        """Return what is recorded of one row."""
        for layer in reversed(self.layers):
            rows = layer.rows.get(spec)
            if rows is not None and key in rows:
                return rows[key]
        return None

    def specs(self) -> Iterator[VersionSpec]:
        """Yield the tables of which something is or was recorded."""
        yield from dict.fromkeys(spec for layer in self.layers for spec in layer.rows)

    def has(self, spec: VersionSpec) -> bool:
        """Tell whether something is left of what was recorded of a table."""
        if len(self.layers) == 1:
            rows = self.layers[0].rows.get(spec, {})
            return any(operation is not None for operation in rows.values())
        return bool(self.operations(spec))

    def operations(self, spec: VersionSpec) -> dict[Key, Operation]:
        """Return what is recorded of the rows of one table."""
        merged: dict[Key, Operation | None] = {}
        for layer in self.layers:
            merged.update(layer.rows.get(spec, {}))
        return {key: operation for key, operation in merged.items() if operation is not None}

    def is_empty(self) -> bool:
        """Tell whether nothing is left of all that was recorded."""
        return not any(self.has(spec) for spec in self.specs())

    def has_added(self, spec: VersionSpec) -> bool:
        """Tell whether values of added columns are recorded of rows of a table."""
        return any(layer.added.get(spec) for layer in self.layers)

    def added(self, spec: VersionSpec, key: Key) -> Mapping[str, Any]:
        """Return the values of added columns that are recorded of one row."""
        for layer in reversed(self.layers):
            rows = layer.added.get(spec)
            if rows is not None and key in rows:
                return rows[key]
        return {}
