"""The statements that write and compare the versions of one table.

Statements are values: a :class:`StatementBuilder` knows a spec and how sets of keys are given,
and never sees a connection.  Parameters are ``tx`` (and ``new``, where it is given another id), and
the sets of keys by name, all behind the prefix of the spec.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable, delete, exists, not_, select, update

from ..model.operation import Operation
from ..query.newest import comes_after, newest_version, place_in
from ..query.rows import as_stored
from .beginning_statements import BeginningStatements
from .looking_statements import LookingStatements
from .table_statements import default_of

__all__ = ["StatementBuilder"]


class StatementBuilder(BeginningStatements, LookingStatements):
    """Builds all statements for one table; see :class:`.TableStatements`."""

    def mark_deleted(self) -> Executable:
        """Turn this transaction's versions into DELETE versions."""
        values: dict[Any, Any] = {self.spec.operation_column: Operation.DELETE}
        values |= {column: default_of(column) for column in self.spec.stamps}
        marking = update(self.spec.version_table).where(*self._own()).values(values)
        return self._through_key(marking)

    def erase(self) -> Executable:
        """Remove this transaction's versions."""
        return delete(self.spec.version_table).where(*self._own())

    def erase_deletions(self) -> Executable:
        """Remove this transaction's versions that say that rows are gone, and are the last ones."""
        spec, later = self.spec, self.spec.version_table.alias()
        same = [later.c[pair.version.key] == pair.version for pair in spec.key]
        newer = comes_after(place_in(spec, later), spec.place)
        last = select(spec.identifier).where(
            *self._own(),
            spec.operation_column == Operation.DELETE,
            not_(exists().where(*same, newer).correlate(spec.version_table)),
        )
        # MySQL refuses to read the table that it deletes from, unless it must be read beforehand.
        return delete(spec.version_table).where(spec.identifier.in_(select(*last.subquery().c)))

    def show_ids(self) -> Executable:
        """Give rows of the parent table the ids of the versions just written, and nothing else."""
        spec, parent = self.spec, self.spec.parent_table
        key = [as_stored(pair.parent) for pair in spec.key]
        newest = newest_version(spec, key, self._is_own)
        # What would change by itself with an UPDATE stays.
        kept = [
            c for c in parent.columns if c.onupdate is not None or c.server_onupdate is not None
        ]
        values: dict[Any, Any] = {column: column for column in kept}
        return update(parent).where(self._in("keys")).values(values | {spec.live_id_column: newest})

    def move(self) -> Executable:
        """Give this transaction's versions another id."""
        column = self.spec.transaction_column
        return (
            update(self.spec.version_table).where(column == self.tx).values({column: self._new_tx})
        )
