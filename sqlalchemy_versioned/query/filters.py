"""Which changes are wanted: conditions on transactions, objects and operations, order and page.

A :class:`Shape` says which filters there are, and not their values, so that one statement serves
all questions of a shape and is built and compiled once.  The values are parameters by the names of
the filters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Integer, Select, and_, bindparam, inspect, or_
from sqlalchemy.orm import Mapper

from ..database.expressions import ReadFirst
from ..database.key_conditions import KeyConditions, key_expression
from ..database.keys import Style
from ..model.mapping import USER_ID, USER_IS_SAID, user_reference
from ..model.spec import ClassSpec
from .named import Writer, had_name, user_column, user_of

__all__ = [
    "ISSUED_AT",
    "OBJECT",
    "OPERATION",
    "TRANSACTION",
    "Filters",
    "Shape",
    "transaction_facts",
    "user_facts",
]

#: By what changes can be sorted.
ISSUED_AT, TRANSACTION, OBJECT, OPERATION = "issued_at", "transaction_id", "object_id", "operation"


class Shape(NamedTuple):
    """What distinguishes statements that read changes."""

    #: The attributes asked for, or ``None`` for all.
    fields: tuple[str, ...] | None = None
    relations: tuple[str, ...] = ()
    #: How the keys of objects are given, if they are.
    keys: Style | None = None
    #: How that is given which objects are called, if it is not their keys.
    names: Style | None = None
    #: The other filters: ``users``, ``no_user``, ``start``, ``end``, ``transactions``,
    #: ``operations``, ``limit`` (with ``last``, the number of the last record) and ``offset``.
    filters: frozenset[str] = frozenset()
    sort_by: str = ISSUED_AT
    is_descending: bool = True


def transaction_facts(spec: ClassSpec) -> dict[str, str]:
    """Return the column key of each attribute of the transactions of a class."""
    mapper: Mapper[Any] = inspect(spec.transaction_class)
    return {
        prop.key: prop.columns[0].key
        for prop in mapper.column_attrs
        if getattr(prop.columns[0], "table", None) is mapper.local_table
    }


def user_facts(spec: ClassSpec) -> tuple[str, ...]:
    """Return the attributes by which transactions know their users, in the order of the key."""
    mapper: Mapper[Any] = inspect(spec.transaction_class)
    columns = [column for column, _ in user_reference(mapper)]
    names = tuple(mapper.get_property_by_column(column).key for column in columns)
    return names or tuple({USER_ID} & transaction_facts(spec).keys())


class Filters:
    """The conditions, the order and the page of one shape.

    Transactions are given as what :meth:`transactions` returns, or as a subquery of it.
    """

    def __init__(self, spec: ClassSpec, shape: Shape) -> None:
        self.shape = shape
        self.facts: dict[str, str] = transaction_facts(spec)
        self._spec = spec

    def transactions(self) -> FromClause:
        """Return an alias of the transactions."""
        return self._spec.root.transaction_table.alias()

    def number(self, transactions: FromClause) -> ColumnElement[Any]:
        """Return the id of transactions."""
        return transactions.c[self.facts["id"]]

    @property
    def reads_transactions_first(self) -> bool:
        """Whether a page is found by going through transactions, and not through few objects.

        What has no end is read in whole, which a database plans well by itself.
        """
        is_page = "limit" in self.shape.filters
        is_by_transaction = self.shape.sort_by in (ISSUED_AT, TRANSACTION)
        names_objects = self.shape.keys is not None or self.shape.names is not None
        return is_page and is_by_transaction and not names_objects

    def number_to_join(self, transactions: FromClause) -> ColumnElement[Any]:
        """Return the id of transactions, to join versions to it."""
        number = self.number(transactions)
        return ReadFirst(number) if self.reads_transactions_first else number

    def moment(self, transactions: FromClause) -> ColumnElement[Any] | None:
        """Return when transactions were issued, or ``None`` if they do not tell."""
        return transactions.c[self.facts[ISSUED_AT]] if ISSUED_AT in self.facts else None

    def conditions(
        self,
        transactions: FromClause,
        key: Sequence[ColumnElement[Any]],
        operation: ColumnElement[Any],
        *,
        writer: Writer | None = None,
    ) -> Iterator[ColumnElement[bool]]:
        """Yield what must hold of a transaction, an object and an operation.

        :param writer: what the version tells of who has written it.
        """
        yield from self.transaction_conditions(transactions)
        if self.asks_objects_for_users:
            yield self._is_by_users(self.user(transactions, writer))
        is_wanted = [*self._is_wanted(key)]
        if is_wanted:
            yield or_(*is_wanted)
        if "operations" in self.shape.filters:
            yield operation.in_(bindparam("operations", expanding=True))

    def _is_wanted(self, key: Sequence[ColumnElement[Any]]) -> Iterator[ColumnElement[bool]]:
        """Yield the ways in which an object may be one of those that were asked for."""
        if self.shape.keys is not None:
            columns = [pair.version for pair in self._spec.root.key]
            yield KeyConditions(columns, self.shape.keys).member(key, "keys")
        if self.shape.names is not None:
            yield had_name(self._spec, key, self.shape.names)

    def transaction_conditions(self, transactions: FromClause) -> Iterator[ColumnElement[bool]]:
        """Yield what must hold of a transaction."""
        filters, moment = self.shape.filters, self.moment(transactions)
        if "start" in filters and moment is not None:
            yield moment >= bindparam("start", type_=moment.type)
        if "end" in filters and moment is not None:
            yield moment <= bindparam("end", type_=moment.type)
        if "transactions" in filters:
            yield self.number(transactions).in_(bindparam("transactions", expanding=True))
        if filters & {"users", "no_user"} and not self.asks_objects_for_users:
            yield self._is_by_users(self.user(transactions))

    @property
    def asks_objects_for_users(self) -> bool:
        """Whether users are asked for, and objects name them."""
        is_asked = bool(self.shape.filters & {"users", "no_user"})
        return is_asked and user_column(self._spec) is not None

    def user(
        self, transactions: FromClause, writer: Writer | None = None
    ) -> list[ColumnElement[Any]]:
        """Return the key of the user who has made a change.

        :param writer: what the version tells of that, if there is one.
        """
        names = user_facts(self._spec)
        key: list[ColumnElement[Any]] = [transactions.c[self.facts[name]] for name in names]
        if writer is None:
            return key
        (user,) = key
        return [user_of(user, transactions.c[self.facts[USER_IS_SAID]], writer)]

    def _is_by_users(self, key: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        is_one: ColumnElement[bool] = key_expression(key).in_(bindparam("users", expanding=True))
        if "no_user" not in self.shape.filters:
            return is_one
        # IN never matches NULL, so who asks for no user is answered apart.
        is_none = and_(*[column.is_(None) for column in key])
        return or_(is_none, is_one) if "users" in self.shape.filters else is_none

    def order(
        self,
        transactions: FromClause,
        key: Sequence[ColumnElement[Any]] = (),
        operation: ColumnElement[Any] | None = None,
        number: Sequence[ColumnElement[Any]] = (),
        name: ColumnElement[Any] | None = None,
    ) -> list[ColumnElement[Any]]:
        """Return the order, in which the transaction and the object decide between equals.

        :param number: the id of the version, where versions have one.
        :param name: what the object is called, if not by its key.
        """
        made_by, moment = self.number(transactions), self.moment(transactions)
        orders: dict[str, list[Any]] = {
            ISSUED_AT: [*(() if moment is None else (moment,)), made_by, *key],
            TRANSACTION: [made_by, *key],
            OBJECT: [*(() if name is None else (name,)), *key, made_by],
            OPERATION: [operation, made_by, *key],
        }
        return self.directed([*orders[self.shape.sort_by], *number])

    def directed(self, order: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return columns as the shape orders them: this way, or the other way round."""
        return [column.desc() if self.shape.is_descending else column for column in order]

    def page(self, statement: Select[Any]) -> Select[Any]:
        """Cut what is selected to the page."""
        if "limit" in self.shape.filters:
            statement = statement.limit(bindparam("limit", type_=Integer()))
        if "offset" in self.shape.filters:
            statement = statement.offset(bindparam("offset", type_=Integer()))
        return statement

    def up_to_page(self, statement: Select[Any]) -> Select[Any]:
        """Cut what is selected to what comes before the end of the page, if it has an end."""
        if "limit" not in self.shape.filters:
            return statement
        return statement.limit(bindparam("last", type_=Integer()))
