"""What the versions of rows that tell of members did: who was gained, and who was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, and_, case, exists, func, not_, or_
from sqlalchemy.sql.visitors import replacement_traverse

from ..model.operation import Operation
from .members import Membership
from .newest import comes_before, newest_version, place_in, row_key

__all__ = ["Events", "says"]


class Events:
    """What the versions of a membership's rows did: who was gained, and who was lost.

    A row is compared with its version before.  Of an update that has none, nothing is said: what
    the row was is not known.
    """

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._spec = membership.spec
        self._own: FromClause = self._spec.version_table.alias()
        self._before: FromClause = self._spec.version_table.alias()

    def join_made_by(self, source: FromClause, transaction: ColumnElement[Any]) -> FromClause:
        """Join the versions that *transaction* of each row of *source* has made."""
        joined = source.join(self._own, self.transaction == transaction)
        return self._join_before(joined)

    def rows(self) -> FromClause:
        """Return all versions."""
        return self._join_before(self._own)

    def _join_before(self, joined: FromClause) -> FromClause:
        if self._membership.is_fixed:
            return joined
        key = [column.key for column in row_key(self._spec)]
        values = [self._own.c[name] for name in key]
        newest = newest_version(
            self._spec,
            values,
            lambda rows: comes_before(place_in(self._spec, rows), place_in(self._spec, self._own)),
            key=row_key(self._spec),
        )
        same = [self._before.c[name] == value for name, value in zip(key, values, strict=True)]
        is_before = self._before.c[self._spec.identifier.key] == newest
        return joined.outerjoin(self._before, and_(*same, is_before))

    @property
    def transaction(self) -> ColumnElement[Any]:
        """The transaction in which it happened."""
        return self._own.c[self._spec.transaction_column.key]

    def columns(self, columns: Sequence[Column[Any]], *, is_gain: bool) -> list[Any]:
        """Return columns of who was gained, or of who was lost."""
        own = [self._own.c[column.key] for column in columns]
        if is_gain or set(columns) <= set(row_key(self._spec)):
            return own
        before = [self._before.c[column.key] for column in columns]
        had_none = self._operation_before.is_(None)
        # A deletion without a version before it holds the last values itself.
        return [case((had_none, one), else_=other) for one, other in zip(own, before, strict=True)]

    def is_gain(self) -> ColumnElement[bool]:
        """Match rows that made someone a member."""
        return self._unless_linked(self._is_new(), is_gain=True)

    def is_loss(self) -> ColumnElement[bool]:
        """Match rows that ended someone's membership."""
        return self._unless_linked(self._is_gone(), is_gain=False)

    def _is_new(self) -> ColumnElement[bool]:
        is_new = self._operation == Operation.INSERT
        if self._membership.is_fixed:
            return is_new
        had_row = self._operation_before != Operation.DELETE
        is_new = or_(is_new, self._operation_before == Operation.DELETE)
        # An update that moves a row to another owner is a gain there and a loss here.
        is_other = not_(and_(self._says(self._before), self._is_same()))
        return and_(
            self._operation != Operation.DELETE,
            self._says(self._own),
            or_(is_new, and_(had_row, is_other)),
        )

    def _is_gone(self) -> ColumnElement[bool]:
        is_gone = self._operation == Operation.DELETE
        if self._membership.is_fixed:
            return is_gone
        had_none = self._operation_before.is_(None)
        stays = and_(self._says(self._own), self._is_same())
        return or_(
            and_(
                self._operation_before != Operation.DELETE,
                self._operation != Operation.INSERT,
                self._says(self._before),
                or_(is_gone, not_(stays)),
            ),
            and_(is_gone, had_none, self._says(self._own)),
        )

    def _unless_linked(self, done: ColumnElement[bool], *, is_gain: bool) -> ColumnElement[bool]:
        """Match what was *done* to a row, unless another links the same two, before or since."""
        ends, key = self._ends, row_key(self._spec)
        if set(key) <= set(ends):
            return done
        other = self._spec.version_table.alias()
        values = [other.c[column.key] for column in key]
        linked = self.columns(ends, is_gain=is_gain)
        # What else the transaction did counts where it is told of as a whole.
        is_after = self._spec.strategy.merges and not is_gain
        own = place_in(self._spec, self._own)
        newest = newest_version(
            self._spec,
            values,
            lambda rows: comes_before(place_in(self._spec, rows), own, or_is=is_after),
            key=key,
        )
        stands = exists().where(
            *[other.c[c.key] == end for c, end in zip(ends, linked, strict=True)],
            or_(*[self._own.c[c.key] != value for c, value in zip(key, values, strict=True)]),
            other.c[self._spec.identifier.key] == newest,
            other.c[self._spec.operation_column.key] != Operation.DELETE,
            self._says(other),
        )
        return and_(done, not_(stands.correlate_except(other)))

    @property
    def _operation(self) -> ColumnElement[Any]:
        return self._own.c[self._spec.operation_column.key]

    @property
    def _operation_before(self) -> ColumnElement[Any]:
        return self._before.c[self._spec.operation_column.key]

    def _is_same(self) -> ColumnElement[bool]:
        """Match rows that are about the same two as before."""
        own, before = self._own.c, self._before.c
        return and_(*[own[c.key].is_not_distinct_from(before[c.key]) for c in self._ends])

    @property
    def _ends(self) -> tuple[Column[Any], ...]:
        return (*self._membership.owner, *self._membership.member)

    def _says(self, rows: FromClause) -> ColumnElement[bool]:
        return says(self._membership, rows)


def says(membership: Membership, rows: FromClause) -> ColumnElement[bool]:
    """Match rows that say that someone belongs to someone, and are never NULL about it."""
    ends = [rows.c[column.key].is_not(None) for column in membership.owner]
    if membership.condition is None:
        return and_(*ends)

    def replace(element: Any, **_: Any) -> Any:
        if isinstance(element, Column) and element.table is membership.spec.version_table:
            return rows.c[element.key]
        return None

    # The condition is said of the table; the rows are those of an alias.
    holds = replacement_traverse(membership.condition, {}, replace)
    return and_(*ends, func.coalesce(holds, False))
