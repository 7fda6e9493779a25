"""From changes to the database: a fixed number of statements for each version table.

A :class:`TableWriter` knows one table on one database.  Images are taken by the database itself
(``INSERT … SELECT`` from the parent table), so that a version is exactly what was stored.  Which
rows, and what happened to them, is decided in :mod:`.recording`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from .dialects import has_upsert
from .keys import Key, KeyParameters, Style
from .operation import Operation
from .spec import VersionSpec
from .statements import Shape, StatementBuilder

__all__ = ["Image", "Key", "TableWriter"]


@dataclass(slots=True)
class Image:
    """Rows of one table that a flush has touched, by what must be written of them."""

    #: Rows that get a new version, by operation.
    fresh: dict[Operation, list[Key]] = field(default_factory=dict)
    #: Updated rows that get one only if they differ from their last version.
    checked: list[Key] = field(default_factory=list)
    #: Rows of which this transaction has a version already, by what it must become.
    again: dict[Operation, list[Key]] = field(default_factory=dict)
    #: Values for columns that plugins have added: column key -> value -> rows.
    added: dict[str, dict[Any, list[Key]]] = field(default_factory=dict)
    #: Deleted rows that consist of nothing but their key.
    given: list[Key] = field(default_factory=list)

    def keys(self) -> list[Key]:
        """Return the keys of all rows."""
        return [key for part in (self.fresh, self.again) for keys in part.values() for key in keys]


class TableWriter:
    """Writes the versions of one table.

    :param related: the other tables that share objects with it, under joined inheritance: a
        change in any of them makes a version in all.
    """

    def __init__(self, spec: VersionSpec, related: Sequence[VersionSpec], dialect: Dialect) -> None:
        self.spec = spec
        self.related = tuple(related)
        self.keys = KeyParameters([pair.parent for pair in spec.key], dialect)
        self.can_replace = spec.key_is_primary and has_upsert(dialect)
        self._dialect = dialect
        self._statements: dict[Any, Any] = {}

    # -- what can be written -----------------------------------------------------------------

    def insert_new(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Write INSERT versions of rows without history; tell whether that was all of them."""
        shape = Shape(Operation.INSERT, "unopened", replaces=False, locks=False)
        return self._run(connection, shape, keys, {"versioned_tx": tx}) == len(keys)

    def write(self, connection: Connection, image: Image, tx: int, *, locks: bool) -> int:
        """Write the versions of *image* and return how many rows were written.

        :param locks: lock the rows until the transaction ends, for those about to be deleted.
        """
        keys = image.keys()
        if not keys and not image.given:
            return 0
        if image.again and not self.can_replace:
            self.erase(connection, [k for ks in image.again.values() for k in ks], tx)
        if not keys:
            return self._write_given(connection, image.given, tx)
        rows = 0
        shape, lists = self._shape(image, locks=locks)
        if image.given and self.keys.style({"keys": keys, "given": image.given}) is Style.LIST:
            rows = self._write_given(connection, image.given, tx)
        elif image.given:
            shape, lists = shape._replace(gives=True), {**lists, "given": image.given}
        if image.added:
            return rows + self._write_added(connection, shape, image, {"versioned_tx": tx}, lists)
        return rows + self._run(connection, shape, keys, {"versioned_tx": tx}, lists)

    def _write_given(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Write DELETE versions of rows that are their keys."""
        if self.keys.style({"keys": keys}) is not Style.LIST:
            return self._run(connection, "given", keys, {"versioned_tx": tx})
        spec = self.spec
        names = [pair.version.key for pair in spec.key]
        fixed = {
            spec.transaction_column.key: tx,
            spec.operation_column.key: int(Operation.DELETE),
        }
        values = [{**dict(zip(names, key, strict=True)), **fixed} for key in keys]
        connection.execute(spec.version_table.insert(), values)
        return len(keys)

    def depart(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Write DELETE versions of rows that are no longer found under their key."""
        return self._run(connection, "depart", keys, {"versioned_tx": tx})

    def mark_deleted(self, connection: Connection, keys: list[Key], tx: int) -> int:
        """Turn this transaction's versions into DELETE versions, as they are."""
        return self._run(connection, "mark_deleted", keys, {"versioned_tx": tx})

    def close(self, connection: Connection, keys: list[Key], tx: int, *, everyone: bool) -> int:
        """End the versions before those of this transaction; return how many were open.

        :param everyone: whether every row of *keys* is known to have one, which is cheaper.
        """
        if self.spec.end_column is None:
            return 0
        is_known = everyone and self.keys.can_look_up(keys)
        return self._run(
            connection, "close" if is_known else "close_recorded", keys, {"versioned_tx": tx}
        )

    def erase(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Remove this transaction's versions of some rows."""
        self._run(connection, "erase", keys, {"versioned_tx": tx})

    def reopen(self, connection: Connection, keys: list[Key], tx: int) -> None:
        """Undo :meth:`close`."""
        if self.spec.end_column is not None:
            self._run(connection, "reopen", keys, {"versioned_tx": tx})

    def move(self, connection: Connection, tx: int, new: int) -> None:
        """Give all versions of this transaction another transaction id."""
        if self.spec.end_column is not None:
            connection.execute(
                self._statement("move_ends"), {"versioned_tx": tx, "versioned_new": new}
            )
        connection.execute(self._statement("move"), {"versioned_tx": tx, "versioned_new": new})

    # -- what can be asked -------------------------------------------------------------------

    def recorded(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows have a version of this transaction."""
        return self._ask(connection, "recorded", keys, tx)

    def undone(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows are as they were before this transaction."""
        return self._ask(connection, "undone", keys, tx)

    def is_overtaken(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of a later transaction."""
        return bool(self._ask(connection, "overtaken", keys, tx))

    def has_earlier(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of an earlier transaction; locks nothing."""
        return bool(self._ask(connection, "earlier", keys, tx))

    # -- running -----------------------------------------------------------------------------

    def _run(
        self,
        connection: Connection,
        what: str | Shape,
        keys: list[Key],
        values: Mapping[str, Any],
        lists: Mapping[str, list[Key]] | None = None,
    ) -> int:
        """Run a statement for *keys*, in chunks where they must be; return the row count."""
        rows = 0
        for chunk in self.keys.chunks(keys, lists or {}):
            style = self.keys.style(chunk)
            statement = self._statement(what, style)
            parameters = {**values, **self.keys.parameters(chunk, style)}
            rows += connection.execute(statement, parameters).rowcount
        return rows

    def _ask(self, connection: Connection, what: str, keys: list[Key], tx: int) -> list[Key]:
        found: list[Key] = []
        for chunk in self.keys.chunks(keys, {}):
            style = self.keys.style(chunk)
            parameters = {"versioned_tx": tx, **self.keys.parameters(chunk, style)}
            rows = connection.execute(self._statement(what, style), parameters)
            found.extend(row[0] if len(row) == 1 else tuple(row) for row in rows)
        return found

    def _statement(self, what: str | Shape, style: Style = Style.LIST) -> Any:
        """Return a statement, built when it is first needed."""
        statement = self._statements.get((what, style))
        if statement is None:
            builder = self._builder(style)
            statement = builder.image(what) if isinstance(what, Shape) else getattr(builder, what)()
            self._statements[what, style] = statement
        return statement

    def _builder(self, style: Style) -> StatementBuilder:
        return StatementBuilder(self.spec, self.related, self._dialect, style)

    def _shape(self, image: Image, *, locks: bool) -> tuple[Shape, dict[str, list[Key]]]:
        """Return the statement that *image* needs, and the lists of keys that it takes."""
        operations: dict[Operation, list[Key]] = {}
        for part in (image.fresh, image.again):
            for operation, keys in part.items():
                operations.setdefault(operation, []).extend(keys)
        lists: dict[str, list[Key]] = {}
        one = next(iter(operations)) if len(operations) == 1 else None
        if one is None:
            lists["inserts"] = operations.get(Operation.INSERT, [])
            lists["deletes"] = operations.get(Operation.DELETE, [])
        condition = ""
        if image.checked:
            everything = len(image.checked) == len(image.keys())
            condition = "changed" if everything else "listed"
            if not everything:
                lists["checked"] = image.checked
        replaces = bool(image.again) and self.can_replace
        return Shape(one, condition, replaces, locks), lists

    def _write_added(
        self,
        connection: Connection,
        shape: Shape,
        image: Image,
        values: Mapping[str, Any],
        lists: dict[str, list[Key]],
    ) -> int:
        """Write an image whose rows differ in added columns: still one statement."""
        numbered = list(enumerate(_groups(image.added)))
        sets = lists | {f"added_{number}": keys for number, (_, _, keys) in numbered}
        groups = {f"added_{number}": (name, value) for number, (name, value, _) in numbered}
        rows = 0
        for chunk in self.keys.chunks(image.keys(), sets):
            style = self.keys.style(chunk)
            statement = self._builder(style).image(shape, groups)
            parameters = {**values, **self.keys.parameters(chunk, style)}
            rows += connection.execute(statement, parameters).rowcount
        return rows


def _groups(added: Mapping[str, Mapping[Any, list[Key]]]) -> Iterator[tuple[str, Any, list[Key]]]:
    for name, by_value in added.items():
        for value, keys in by_value.items():
            yield name, value, keys
