"""Statements that look at versions and rows before something is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Executable, Select, exists, func, not_, select, union_all

from .._typing import select_rows, sql_literal
from ..model.operation import Operation
from ..query.newest import comes_after, place_in, through_key
from ..query.rows import as_stored, differs_elsewhere, restores_previous
from .table_statements import TableStatements

__all__ = ["LookingStatements"]


class LookingStatements(TableStatements):
    """Builds statements that only select; see :class:`.TableStatements`."""

    def lack_of_versions(self, limit: int) -> Executable:
        """Select how many rows there are, up to *limit*, and whether one of them has no version."""
        spec, parent = self.spec, self.spec.parent_table
        # Small tables are looked at in whole; large ones would make the first flush slow.
        rows = select(*[pair.parent for pair in spec.key]).limit(limit).subquery()
        versions = spec.version_table.alias()
        same = [
            versions.c[pair.version.key] == as_stored(rows.c[pair.parent.key]) for pair in spec.key
        ]
        lacking = not_(exists().where(*same).correlate(rows))
        some = select(sql_literal("1").label("one")).select_from(parent).limit(limit).subquery()
        return select(
            select(func.count()).select_from(some).scalar_subquery(),
            exists().select_from(rows).where(lacking),
        )

    def recorded(self) -> Executable:
        """Select the keys of which this transaction has versions."""
        return select(*[pair.version for pair in self.spec.key]).where(*self._own())

    def held(self) -> Executable:
        """Lock rows as an UPDATE does, in the order of their keys."""
        key = [pair.parent for pair in self.spec.key]
        return select(*key).where(self._in("keys")).order_by(*key).with_for_update(key_share=True)

    def taken(self) -> Executable:
        """Select the keys of the parent table that are in a set."""
        return select(*[pair.parent for pair in self.spec.key]).where(self._in("keys"))

    def stored_forms(self, keys: Sequence[Any], *, are_recorded: bool) -> Executable:
        """Select the number of each of *keys* and the form that the database has of it."""
        spec = self.spec
        columns = [pair.version if are_recorded else pair.parent for pair in spec.key]
        parts: list[Select[Any]] = []
        for number, key in enumerate(keys):
            values = key if len(columns) > 1 else (key,)
            same = [column == value for column, value in zip(columns, values, strict=True)]
            # Keys of rows that are gone are known from the versions of this transaction alone.
            own = [spec.transaction_column == self.tx] if are_recorded else []
            parts.append(select_rows(sql_literal(str(number)), *columns).where(*same, *own))
        return union_all(*parts)

    def overtaken(self) -> Executable:
        """Select a key of which a later transaction has a version."""
        spec = self.spec
        later = spec.transaction_column > self.tx
        key = select(*[pair.version for pair in spec.key]).where(self._in_versions(), later)
        # What others have committed since a snapshot was taken is what this is about.
        return self._now(through_key(spec, spec.version_table, key).limit(1))

    def earlier(self) -> Executable:
        """Select a key of which an earlier transaction has a version."""
        spec = self.spec
        before = spec.transaction_column < self.tx
        keys = select(*[pair.version for pair in spec.key])
        return keys.where(self._in_versions(), before).limit(1)

    def alive(self) -> Executable:
        """Select the keys whose newest version is no deletion."""
        spec, later = self.spec, self.spec.version_table.alias()
        same = [later.c[pair.version.key] == pair.version for pair in spec.key]
        newer = comes_after(place_in(spec, later), spec.place)
        found: Any = select(sql_literal("1")).where(*same, newer).correlate(spec.version_table)
        statement = select(*[pair.version for pair in spec.key]).where(
            self._in_versions(),
            spec.operation_column != Operation.DELETE,
            # A lock of the statement around does not reach in here.
            not_(self._now(found).exists()),
        )
        # A row may have come or gone since a snapshot was taken that lets it be written.
        return self._now(statement)

    def unchanged(self) -> Executable:
        """Select the keys of rows that are just like their newest version."""
        key = [pair.parent for pair in self.spec.key]
        return select(*key).where(self._in("keys"), not_(self._changed()))

    def certainly_unchanged(self) -> Executable:
        """Select the same, whatever a snapshot shows."""
        key = [pair.parent for pair in self.spec.key]
        found = select(*key).where(self._in("keys"), not_(self._changed(locks=self._must_lock)))
        # A lock reads what is committed, where a snapshot would show what was.
        return found.with_for_update(read=True) if self._must_lock else found

    def undone(self) -> Executable:
        """Select the keys of rows that are as they were before this transaction."""
        return self._undone(locks=self._must_lock)

    def seemingly_undone(self) -> Executable:
        """Select the same, as far as a snapshot shows."""
        return self._undone(locks=False)

    def _undone(self, *, locks: bool) -> Executable:
        spec = self.spec
        own = spec.version_table.alias()
        return select(*[own.c[pair.version.key] for pair in spec.key]).where(
            self.keys.member([own.c[pair.version.key] for pair in spec.key], "keys"),
            own.c[spec.transaction_column.key] == self.tx,
            own.c[spec.operation_column.key] == Operation.UPDATE,
            restores_previous(spec, own, self.tx, locks=locks),
            *[
                not_(differs_elsewhere(other, spec, own, self.tx, locks=locks))
                for other in self.related
            ],
        )
