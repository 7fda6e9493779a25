"""Where members were gained and lost: the places of change records that other rows tell.

An object whose members change need not have a version of its own, so a page of records is put
together of what versions say and what rows of members say, each in the order of the page and no
longer than it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    cast,
    func,
    null,
    select,
    union,
)
from sqlalchemy.orm import aliased

from .._typing import sql_literal
from ..model.operation import Operation
from ..model.spec import ClassSpec
from .filters import ISSUED_AT, OBJECT, OPERATION, Filters
from .member_events import Events
from .members import Membership
from .named import Writer, name_at, table_of, user_column
from .newest import of_key

__all__ = ["MemberChanges"]


class _Told(NamedTuple):
    """What rows tell: of whom, what was done, where it is read, and when that is so."""

    source: FromClause
    owner: list[ColumnElement[Any]]
    operation: ColumnElement[Any]
    conditions: list[ColumnElement[bool]]


class MemberChanges:
    """Where records of a class are told by rows of its members.

    Each place is selected as ``key_0`` and so on, ``number`` (the transaction), ``version`` where
    versions have ids, and ``sorted_by`` where the order needs it.
    """

    def __init__(
        self, spec: ClassSpec, filters: Filters, memberships: Sequence[Membership]
    ) -> None:
        self._spec = spec
        self._filters = filters
        self._memberships = memberships

    def pages(self, others: Iterable[Select[Any]]) -> Subquery:
        """Return the places of one page, with those that *others* select."""
        parts = [*others, *self._places()]
        if "limit" in self._filters.shape.filters:
            # United, they are put in order anew; none needs to be read further than the page goes.
            cut = [
                self._filters.up_to_page(part.order_by(*self.order(_labels(part)))).subquery()
                for part in parts
            ]
            parts = [select(part) for part in cut]
        united = union(*parts).subquery()
        return self._filters.page(select(united).order_by(*self.order(united.c))).subquery()

    def order(self, places: Any) -> list[ColumnElement[Any]]:
        """Return the order of places, given their columns by label."""
        key = [places[f"key_{place}"] for place in range(len(self._spec.key))]
        order = [places["number"], *key]
        if self._filters.shape.sort_by == OBJECT:
            order = [*key, places["number"]]
        if "sorted_by" in places:
            order = [places["sorted_by"], *order]
        return self._filters.directed([*order, *self.place_in(places)[1:]])

    def place_in(self, places: Any) -> list[ColumnElement[Any]]:
        """Return the transaction of places and, where versions have ids, that of the version.

        There is no id where members tell of an object, and not a version of its own.
        """
        named = () if self._spec.id_key is None else (places["version"],)
        return [places["number"], *named]

    def place(
        self,
        transactions: FromClause,
        key: Sequence[ColumnElement[Any]],
        operation: ColumnElement[Any],
        number: Sequence[ColumnElement[Any]] | None = None,
        name: ColumnElement[Any] | None = None,
    ) -> Select[Any]:
        """Select an object and a transaction.

        :param number: the id of the version that tells of them, where versions have ids.
        :param name: what the object is called, if not by its key.
        """
        column = self._spec.root.id_column
        # Of the same type in each part, or the parts could not be united.
        if number is None:
            number = [] if column is None else [cast(null(), column.type)]
        sorted_by = {
            ISSUED_AT: self._filters.moment(transactions),
            OPERATION: operation,
            OBJECT: name,
        }.get(self._filters.shape.sort_by)
        return select(
            *[column.label(f"key_{place}") for place, column in enumerate(key)],
            self._filters.number(transactions).label("number"),
            *[each.label("version") for each in number],
            *(() if sorted_by is None else [sorted_by.label("sorted_by")]),
        )

    def name_in_order(
        self, key: Sequence[ColumnElement[Any]], number: ColumnElement[Any]
    ) -> ColumnElement[Any] | None:
        """Return what an object was called at a transaction, if places are sorted by that.

        It is the same wherever a place comes from, so that places are one that are told twice.
        """
        is_sorted_so = self._spec.name_key is not None and self._filters.shape.sort_by == OBJECT
        return name_at(self._spec, key, number) if is_sorted_so else None

    def _places(self) -> Iterator[Select[Any]]:
        for membership in self._memberships:
            for is_gain in (True, False):
                yield self._place(membership, is_gain=is_gain)

    def _place(self, membership: Membership, *, is_gain: bool) -> Select[Any]:
        """Select where members were gained, or lost; once, however many they are."""
        transactions = self._filters.transactions()
        if self._reads_last_transactions:
            transactions = self._last_transactions(membership, is_gain=is_gain)
        told = self._told(membership, transactions, is_gain=is_gain)
        name = self.name_in_order(told.owner, self._filters.number(transactions))
        found = self.place(transactions, told.owner, told.operation, name=name)
        return found.select_from(told.source).where(*told.conditions).distinct()

    @property
    def _reads_last_transactions(self) -> bool:
        """Whether the page is among a few transactions that an index leads to.

        PostgreSQL puts everything in order for a DISTINCT, even if it has a LIMIT.
        """
        filters = self._filters.shape.filters
        is_page = "limit" in filters and "transactions" not in filters
        return is_page and self._filters.reads_transactions_first

    def _last_transactions(self, membership: Membership, *, is_gain: bool) -> Subquery:
        """Return the transactions that make up a page if each of them has one place in it."""
        transactions = self._filters.transactions()
        told = self._told(membership, transactions, is_gain=is_gain, is_joined=False)
        happened = (
            select(sql_literal("1"))
            .select_from(told.source)
            .where(*told.conditions)
            .correlate(transactions)
            .exists()
        )
        found = select(transactions).where(
            *self._filters.transaction_conditions(transactions), happened
        )
        return self._filters.up_to_page(
            found.order_by(*self._filters.order(transactions))
        ).subquery()

    def _told(
        self,
        membership: Membership,
        transactions: FromClause,
        *,
        is_gain: bool,
        is_joined: bool = True,
    ) -> _Told:
        """Return what rows tell of the members gained, or lost, in *transactions*."""
        events, number = Events(membership), self._filters.number(transactions)
        owner = events.columns(membership.owner, is_gain=is_gain)
        conditions = [events.is_gain() if is_gain else events.is_loss()]
        source = events.rows()
        if is_joined:
            source = events.join_made_by(transactions, self._filters.number_to_join(transactions))
        else:
            # The statement around it has the transactions.
            conditions.append(events.transaction == number)
        operation = self._spec.root.operation(Operation.UPDATE)
        writer: Writer | None = None
        shape, asks_objects = self._filters.shape, self._filters.asks_objects_for_users
        # What became of members is an update, unless the object's own version says something else.
        if asks_objects or "operations" in shape.filters or shape.sort_by == OPERATION:
            source, operation, writer = self._with_version(source, owner, events.transaction)
        conditions += self._filters.conditions(transactions, owner, operation, writer=writer)
        if self._spec.superclasses:
            conditions.append(self._is_of_class(owner))
        return _Told(source, owner, operation, conditions)

    def _with_version(
        self, source: FromClause, key: list[ColumnElement[Any]], number: ColumnElement[Any]
    ) -> tuple[FromClause, ColumnElement[Any], Writer | None]:
        """Join the versions of objects, and return what was done to them, and by whom.

        An object that has none in the transaction was updated, by what became of its members; so
        was any object where each event is told by itself.
        """
        root, named = self._spec.root, user_column(self._spec)
        update = root.operation(Operation.UPDATE)
        # An event is no sum of a transaction: what happened to the object is told by its own.
        if root.id_column is not None:
            return source, update, None
        table = root if named is None else table_of(self._spec, named)
        version = table.version_table.alias()
        operation = version.c[table.operation_column.key]
        is_here = version.c[table.transaction_column.key] == number
        writer = None if named is None else Writer(operation, version.c[named.key])
        joined = source.outerjoin(version, and_(*of_key(table, version, key), is_here))
        return joined, func.coalesce(operation, update), writer

    def _is_of_class(self, key: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        """Match keys of objects of a subclass."""
        version = aliased(self._spec.version_class, flat=True)
        same = [getattr(version, k) == value for k, value in zip(self._spec.key, key, strict=True)]
        return (
            select(sql_literal("1"))
            .select_from(version)
            .where(*same)
            .correlate_except(version)
            .exists()
        )


def _labels(statement: Select[Any]) -> dict[str, Any]:
    return dict(statement.selected_columns.items())
