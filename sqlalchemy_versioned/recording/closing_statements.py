"""Statements that end versions, and open them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Select,
    Update,
    func,
    literal_column,
    not_,
    null,
    select,
    update,
)

from ..database.dialects import forgets_whole_keys, repeats_subqueries
from ..database.key_conditions import KeyConditions
from ..database.keys import Style
from ..query.newest import newest_version, through_key
from ..query.rows import as_stored, compared_columns, holds_values, newest_before, same_key
from .table_statements import TableStatements

__all__ = ["ClosingStatements"]


class ClosingStatements(TableStatements):
    """Builds statements that write ends; see :class:`.TableStatements`."""

    def close(self) -> Executable:
        """End the versions before those of this transaction, which every row has."""
        # A key that is given as a value is planned better than a set of one.
        if self.style is Style.ONE:
            return self._close_one()
        rows = self.keys.rows("keys")
        labels = [row.label(f"key_{place}") for place, row in enumerate(rows)]
        touched = select(*labels).subquery(f"{self.spec.prefix}touched")
        return self._close_before(list(touched.c))

    def close_found(self) -> Executable:
        """End versions that are known by key and transaction, if they are open."""
        # Found before, so that InnoDB locks just these rows and no gaps between them.
        columns = [*[pair.version for pair in self.spec.key], self.spec.transaction_column]
        versions = KeyConditions(columns, self.style, self.spec.prefix)
        return self._through_key(self._end(versions.member(columns, "keys")))

    def newest(self) -> Executable:
        """Select the keys with the last transaction before this one that has a version of them."""
        spec = self.spec
        key = [pair.version for pair in spec.key]
        newest = select(*key, func.max(spec.transaction_column)).group_by(*key)
        newest = newest.where(self._in_versions(), spec.transaction_column < self.tx)
        return through_key(spec, spec.version_table, newest)

    def close_recorded(self) -> Executable:
        """End the versions before those of this transaction, where there are such."""
        own = self.spec.version_table.alias()
        keys = [own.c[pair.version.key] for pair in self.spec.key]
        transaction = own.c[self.spec.transaction_column.key]
        return self._close_before(
            keys, transaction == self.tx, self.keys.member(keys, "keys"), own=own
        )

    def close_changed(self) -> Executable:
        """End the versions before of those rows that are no longer as these say."""
        spec = self.spec
        columns = dict.fromkeys([*[pair.parent for pair in spec.key], *compared_columns(spec)])
        labels = [column.label(f"value_{place}") for place, column in enumerate(columns)]
        key = [as_stored(pair.parent) for pair in spec.key]
        newest = newest_before(spec, key, self.tx).label("newest")
        looked_up = select(*labels, newest).where(self._in("keys"))
        if repeats_subqueries(self._dialect) or forgets_whole_keys(self._dialect):
            looked_up = _kept_whole(looked_up)
        found = looked_up.subquery(f"{spec.prefix}rows")
        *values, transaction = found.c
        rows = dict(zip(columns, values, strict=True))
        return self._end(
            *[pair.version == as_stored(rows[pair.parent]) for pair in spec.key],
            spec.transaction_column == transaction,
            not_(holds_values(spec, spec.version_table, rows)),
        )

    def close_open_changed(self) -> Executable:
        """End the open versions of those rows that are no longer as these say; of very many rows.

        Of few rows, a look for what is open might read all of their history.
        """
        spec = self.spec
        return self._end(*self._differs(), spec.transaction_column < self.tx)

    def _differs(self) -> list[ColumnElement[bool]]:
        """Match versions of rows that differ from them."""
        spec = self.spec
        row = {pair.parent: pair.parent for pair in spec.pairs}
        same = holds_values(spec, spec.version_table, row)
        return [self._in("keys"), same_key(spec, spec.version_table), not_(same)]

    def reopen(self) -> Executable:
        """Undo :meth:`close`."""
        spec = self.spec
        assert spec.end_column is not None
        reopening = (
            update(spec.version_table)
            .where(
                self._in_versions(),
                spec.end_column == self.tx,
                spec.transaction_column < self.tx,
            )
            .values({spec.end_column: null()})
        )
        return self._through_key(reopening)

    def move_ends(self) -> Executable:
        """Let the versions before end at another id."""
        spec, own = self.spec, self.spec.version_table.alias()
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(
                *[own.c[pair.version.key] == pair.version for pair in spec.key],
                own.c[spec.transaction_column.key] == self.tx,
                spec.end_column == self.tx,
            )
            .values({spec.end_column: self._new_tx})
        )

    def _close_one(self, *, sorts: bool = False) -> Update:
        spec = self.spec
        newest = newest_before(spec, self.keys.values("keys"), self.tx, sorts=sorts)
        return self._end(self._in_versions(), spec.transaction_column == newest)

    def end_newest(self, drawing: ColumnElement[int]) -> Update:
        """End the newest version of one row, if it is open and before this transaction.

        Only for one that has no version of the row itself.

        :param drawing: draws the number of the transaction.
        """
        spec = self.spec
        newest = newest_version(spec, self.keys.values("keys"), sorts=True)
        number = spec.transaction_column
        return self._end(self._in_versions(), number == newest, number < drawing)

    def _close_before(
        self,
        rows: Sequence[ColumnElement[Any]],
        *criteria: ColumnElement[bool],
        own: FromClause | None = None,
    ) -> Update:
        """End the versions before those of this transaction, of rows known by key.

        :param own: the alias of the version table that *rows* are columns of, if they are.
        """
        spec = self.spec
        labels = [key.label(f"key_{place}") for place, key in enumerate(rows)]
        newest = newest_before(spec, rows, self.tx).label("newest")
        found = select(*labels, newest).where(*criteria)
        if own is not None:
            found = through_key(spec, own, found)
        if forgets_whole_keys(self._dialect):
            found = _kept_whole(found)
        before = found.subquery(f"{spec.prefix}before")
        *keys, transaction = before.c
        same = [p.version == key for p, key in zip(spec.key, keys, strict=True)]
        return self._end(*same, spec.transaction_column == transaction)

    def _end(self, *criteria: ColumnElement[bool]) -> Update:
        """End the open versions that match *criteria* at this transaction."""
        spec = self.spec
        assert spec.end_column is not None
        return (
            update(spec.version_table)
            .where(*criteria, spec.end_column.is_(None))
            .values({spec.end_column: self.tx})
        )


def _kept_whole(subquery: Select[Any]) -> Select[Any]:
    """Keep a planner from making one query of a subquery and the statement around it."""
    return subquery.offset(literal_column("0"))
