"""From changes to the database: a fixed number of statements for each version table.

A :class:`TableWriter` knows one table on one database.  Images are taken by the database itself
(``INSERT … SELECT`` from the parent table), so that a version is exactly what was stored.  Which
rows, and what happened to them, is decided in :mod:`.recording`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Executable, delete, false
from sqlalchemy.engine import Dialect

from ..context.values import row_values
from ..database.dialects import (
    has_concurrent_writers,
    has_upsert,
    has_writable_ctes,
    joins_whole_tables,
    locks_what_is_missing,
)
from ..database.key_forms import KeyForms
from ..database.keys import Key, KeyParameters, KeySets, Style
from ..model.operation import BEFORE_RECORDING, Operation
from ..model.spec import VersionSpec
from .image import Image
from .ours import OURS
from .shapes import Insertion, Shape
from .stamps import build_uuid, stamp
from .statements import StatementBuilder

__all__ = ["TableWriter"]

#: More rows than this are not looked through for one without a version.
_MANY = 100_000
#: Of so many rows it is sooner found which versions are open than which is the last of each.
_JOINED = 10_000
#: How many keys are looked up one by one by one statement.
_LOOKED_UP = 100


class TableWriter:
    """Writes the versions of one table.

    :param related: the other tables that share objects with it, under joined inheritance: a
        change in any of them makes a version in all.
    """

    def __init__(self, spec: VersionSpec, related: Sequence[VersionSpec], dialect: Dialect) -> None:
        self.spec = spec
        self.related: tuple[VersionSpec, ...] = tuple(related)
        self.keys: KeyParameters = KeyParameters(
            [pair.parent for pair in spec.key], dialect, spec.prefix
        )
        versions = [*[pair.version for pair in spec.key], spec.transaction_column]
        self._versions = KeyParameters(versions, dialect, spec.prefix)
        self.forms: KeyForms = KeyForms([pair.parent for pair in spec.key], dialect)
        #: The names of the parameters for this transaction and for another id of it.
        self._prefix = spec.prefix
        self._tx, self._new = f"{self._prefix}tx", f"{self._prefix}new"
        self.can_replace: bool = spec.key_is_primary and has_upsert(dialect)
        self._is_stamped = spec.is_stamped
        #: Whether new versions have values that are neither of rows nor of a transaction.
        self._has_events: bool = self._is_stamped or bool(spec.variables)
        # See docs/decisions/0007.
        self._looks_apart = locks_what_is_missing(dialect)
        self._ends_apart = self._looks_apart and spec.key_is_primary
        self._dialect = dialect
        self._statements: dict[Any, Any] = {}

    # -- what can be written -----------------------------------------------------------------

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

    def can_close_at_once(self, image: Image) -> bool:
        """Tell whether :meth:`write_and_close` can write *image*: one row, written once."""
        return (
            not (image.again or image.given)
            and self.spec.end_column is not None
            and has_writable_ctes(self._dialect)
            and len(image.keys()) == 1
        )

    def write_and_close(self, connection: Connection, image: Image, tx: int, *, locks: bool) -> int:
        """Write the version of one row and end the one before, in one round trip.

        :returns: how many versions were ended; if none, nothing may have been written.
        """
        shape, _ = image.shape(can_replace=self.can_replace, locks=locks)
        statement = self._kept(
            ("at once", shape), lambda: self._builder(Style.ONE).image_and_close(shape)
        )
        sets, values = self.keys.sets(image.keys()), image.values(self._prefix)
        parameters = {self._tx: tx, **sets.parameters(), **values}
        ended = connection.execute(statement, parameters).rowcount
        if not ended:
            self._write_unended(connection, shape, sets, tx, values)
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
        sets, values = self.keys.sets(image.keys()), image.values(self._prefix)
        self._write_unended(connection, shape, sets, row[0], values)
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
        parameters = {
            **transaction.parameters(self._prefix),
            **self.keys.sets(image.keys()).parameters(),
            **image.values(self._prefix),
        }
        return connection.execute(statement, parameters).one_or_none()

    def _write_unended(
        self,
        connection: Connection,
        shape: Shape,
        sets: KeySets,
        tx: int,
        values: Mapping[str, Any],
    ) -> None:
        """Write the version of a row that differs, but had no open version to be ended."""
        if self._builder(Style.ONE).ends_first(shape):
            self._run(connection, shape, sets, tx, values)

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
            found |= {key[0] if len(key) == 1 else tuple(key): last for *key, last in rows}
        closed = 0
        ends = [(*(key if self.keys.width > 1 else (key,)), last) for key, last in found.items()]
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

    # -- what can be asked -------------------------------------------------------------------

    def recorded(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows have a version of this transaction."""
        return self._which(connection, "recorded", keys, tx)

    def undone(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows are as they were before this transaction."""
        if self._looks_apart:
            keys = self._which(connection, "seemingly_undone", keys, tx)
        return self._which(connection, "undone", keys, tx) if keys else []

    def is_overtaken(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of a later transaction."""
        return bool(self._ask(connection, "overtaken", keys, tx))

    def has_earlier(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of an earlier transaction; locks nothing."""
        return bool(self._ask(connection, "earlier", keys, tx))

    def keep_first_state(self, connection: Connection, keys: list[Key]) -> None:
        """Write versions of rows that have none, as they are now."""
        self._run(connection, "first_state", self.keys.sets(keys), BEFORE_RECORDING)

    def may_lack_versions(self, connection: Connection) -> bool:
        """Tell whether some row may have no version; of a large table that is not looked up."""
        if not has_concurrent_writers(self._dialect):
            # While others write, SQLite lets nobody write who has begun with a look.
            locking = delete(self.spec.version_table).where(false())
            connection.execute(locking, execution_options=OURS)
        statement: Any = self._builder(Style.LIST).lack_of_versions(_MANY + 1)
        row: Any = connection.execute(statement).one()
        count, is_lacking = row
        return bool(is_lacking) or count > _MANY

    def unchanged(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows are just like their newest version."""
        if self._looks_apart:
            keys = self._which(connection, "unchanged", keys, tx)
        return self._which(connection, "certainly_unchanged", keys, tx) if keys else []

    def alive(self, connection: Connection, keys: list[Key]) -> list[Key]:
        """Return which rows were there when something was last recorded of them."""
        return self._which(connection, "alive", keys, 0)

    def is_any_taken(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row of the parent table has one of *keys*."""
        return bool(self._ask(connection, "taken", keys, tx))

    def stored_forms(
        self, connection: Connection, keys: list[Key], tx: int, *, are_recorded: bool
    ) -> dict[Key, Key]:
        """Return the forms that the database has of *keys*, those that it has.

        :param are_recorded: look at the versions of this transaction, not at the parent table.
        """
        forms: dict[Key, Key] = {}
        builder = self._builder(Style.ONE)
        for start in range(0, len(keys), _LOOKED_UP):
            part = keys[start : start + _LOOKED_UP]
            statement = builder.stored_forms(part, are_recorded=are_recorded)
            for number, *form in connection.execute(statement, {self._tx: tx}):
                key = form[0] if len(form) == 1 else tuple(form)
                forms[part[number]] = self.forms.as_loaded([key])[0]
        return forms

    # -- running -----------------------------------------------------------------------------

    def _run(
        self,
        connection: Connection,
        what: str | Shape,
        sets: KeySets,
        tx: int,
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> int:
        """Run a statement for *sets*, in chunks where they must be; return the row count.

        :param values: further parameters.
        """
        rows, event = 0, self._event(connection)
        for chunk in sets.chunks():
            parameters = {self._tx: tx, **event, **values, **chunk.parameters()}
            rows += connection.execute(self._statement(what, chunk.style), parameters).rowcount
        return rows

    def _event(self, connection: Connection) -> dict[str, Any]:
        """Return the parameters of new versions that are neither of rows nor of a transaction."""
        parameters: dict[str, Any] = {}
        if self._is_stamped:
            parameters[f"{self._prefix}stamp"] = stamp()
        if self.spec.variables:
            said = row_values(self.spec.variables, connection)
            parameters |= {f"{self._prefix}said_{key}": value for key, value in said.items()}
        return parameters

    def _ask(self, connection: Connection, what: str, keys: list[Key], tx: int) -> list[Key]:
        found: list[Key] = []
        for chunk in self.keys.sets(keys).chunks():
            parameters = {self._tx: tx, **chunk.parameters()}
            rows = connection.execute(self._statement(what, chunk.style), parameters)
            found.extend(row[0] if len(row) == 1 else tuple(row) for row in rows)
        return self.forms.as_loaded(found)

    def _which(self, connection: Connection, what: str, keys: list[Key], tx: int) -> list[Key]:
        """Return those of *keys* that a statement selects, as they are written in *keys*."""
        found = self._ask(connection, what, keys, tx)
        if self.forms.are_certain or not (others := set(found).difference(keys)):
            return found
        asked = [key for key in keys if key not in found]
        forms = self.stored_forms(connection, asked, tx, are_recorded=True)
        unchanged = [key for key in found if key not in others]
        return unchanged + [key for key, form in forms.items() if form in others]

    def _statement(self, what: str | Shape, style: Style = Style.LIST) -> Any:
        """Return a statement, built when it is first needed."""

        def build() -> Executable:
            builder = self._builder(style)
            return builder.image(what) if isinstance(what, Shape) else getattr(builder, what)()

        if isinstance(what, Shape) and any(rows is not None for _, rows in what.added):
            # One of very many, as rows differ in what was set of them.
            return build().execution_options(**OURS)
        return self._kept((what, style), build)

    def _kept(self, name: Any, build: Callable[[], Executable]) -> Any:
        """Return the statement that was built for *name*, marked as ours."""
        statement = self._statements.get(name)
        if statement is None:
            statement = self._statements[name] = build().execution_options(**OURS)
        return statement

    def _builder(self, style: Style) -> StatementBuilder:
        return StatementBuilder(
            self.spec,
            self.related,
            self._dialect,
            style,
            keys_may_vary=not self.forms.are_certain,
        )
