"""Writes to tables without a key: which rows they make, change or remove, as they tell themselves.

Nothing tells two such rows apart, so a row cannot be looked up before or after; but the database
returns the rows that a statement has written.  Nothing is executed or recorded here; see
:mod:`.capture`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Delete, Insert, Update
from sqlalchemy.engine import Dialect

from .. import _sqlalchemy
from ..database.dialects import can_go_on_after_errors, returns_inserted
from ..model.operation import Operation
from ..model.spec import VersionSpec
from .conflicts import is_replacing

__all__ = ["KeylessWrite"]


class KeylessWrite:
    """An INSERT, UPDATE or DELETE of a table without a key, about to be executed.

    :param sets: the sets of parameters it is given, none for a statement that has its values.
    """

    def __init__(
        self, spec: VersionSpec, statement: Any, sets: Sequence[Mapping[str, Any]]
    ) -> None:
        self._spec = spec
        self._statement = statement
        self._sets = sets

    @property
    def operation(self) -> Operation:
        """What the statement does to the rows."""
        if isinstance(self._statement, Insert):
            return Operation.INSERT
        return Operation.UPDATE if isinstance(self._statement, Update) else Operation.DELETE

    def refusal(self, dialect: Dialect) -> str | None:
        """Return why the statement cannot tell what it does, or ``None`` if it can."""
        statement = self._statement
        if not self._returns_rows(dialect):
            word = self.operation.name
            return f"the table has no key, and the database does not return what an {word} writes"
        if statement._returning or statement._return_defaults:
            return "the table has no key, and the statement has a RETURNING of its own"
        if not isinstance(statement, Insert):
            several = len(self._sets) > 1
            return "of several sets of parameters, none returns its rows" if several else None
        if _sqlalchemy.may_meet_rows(statement) or is_replacing(
            statement, self._spec.parent_table, dialect
        ):
            return "it may change or remove rows that are there, and the table has no key"
        return self._doubt_parts(dialect)

    def _returns_rows(self, dialect: Dialect) -> bool:
        if not self._spec.parent_table.implicit_returning:
            return False
        if isinstance(self._statement, Insert):
            return returns_inserted(dialect, len(self._sets))
        if isinstance(self._statement, Update):
            return dialect.update_returning
        return isinstance(self._statement, Delete) and dialect.delete_returning

    def _doubt_parts(self, dialect: Dialect) -> str | None:
        """Tell of an INSERT in parts, of which the first may stay when another fails."""
        width = max(1, len(self._spec.parent_table.columns))
        most: Any = dialect.insertmanyvalues_max_parameters
        size = min(dialect.insertmanyvalues_page_size, most // width)
        if len(self._sets) <= size or not can_go_on_after_errors(dialect):
            return None
        return f"it is executed in parts, which may fail one by one; give it {size} rows at most"

    def telling(self) -> Any:
        """Return the statement, telling all that is kept of the rows that it writes."""
        return self._statement.returning(*[pair.parent for pair in self._spec.pairs])

    def take_rows(self, result: Any) -> list[dict[str, Any]]:
        """Return the rows, by the keys of the version columns; nobody else sees them."""
        names = [pair.version.key for pair in self._spec.pairs]
        rows = [dict(zip(names, row, strict=True)) for row in result.all()]
        _sqlalchemy.hide_returned(result, len(rows))
        return rows
