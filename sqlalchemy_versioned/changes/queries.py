"""Change records as queries: a statement, its parameters, and what makes records of its rows.

No session is seen here, so that whoever has one, synchronous or not, can execute them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Select, Table
from sqlalchemy.engine import Dialect

from .._typing import select_rows
from ..database.key_conditions import KeyConditions
from ..database.keys import Style
from ..model.lookup import CONTEXT_TABLE
from ..model.spec import ClassSpec
from ..query.change_rows import BuiltChanges
from ..query.changes import build_changes
from ..query.filters import Shape
from ..query.images import family_of
from ..query.member_rows import build_events
from .asked import Asked, check_class, key_parameters, value_parameters
from .reading import Members, Relations, identity, read_members, read_records
from .records import ChangeRecord

__all__ = ["ChangeQuery", "kept", "select_changes"]

T = TypeVar("T")

#: How many statements a class keeps before it builds them anew: callers may ask for any fields.
_MOST_KEPT = 200


@dataclass(frozen=True, slots=True, eq=False)
class ChangeQuery:
    """What to execute for change records, and what makes records of the rows; no session is seen.

    Execute :attr:`statement` with :attr:`parameters`; then, for each of :meth:`member_queries`, its
    statement with its parameters, and that of :meth:`context_query` if there is one; and give all
    rows to :meth:`records`.

    >>> query = select_changes(Article, limit=1)
    >>> rows = session.execute(query.statement, query.parameters).all()
    >>> [record.operation.name for record in query.records(rows)]
    ['UPDATE']
    """

    spec: ClassSpec
    shape: Shape
    #: What :attr:`statement` is executed with.
    parameters: dict[str, Any]
    _built: BuiltChanges
    _dialect: Dialect | None

    @property
    def statement(self) -> Select[Any]:
        """The statement that reads a page of records."""
        return self._built.statement

    def member_queries(self, rows: Sequence[Any]) -> list[tuple[str, Select[Any], dict[str, Any]]]:
        """Return relationship, statement and parameters for each that rows elsewhere tell of.

        :param rows: what :attr:`statement` returned.
        """
        names = list(self._built.memberships)
        if not rows or not names:
            return []
        place = self._built.layout.key
        keys = {identity(row[place]) for row in rows}
        columns = [pair.version for pair in self.spec.root.key]
        own, parameters = key_parameters(columns, list(keys), self._dialect)
        numbers = list(dict.fromkeys(row[0] for row in rows))
        column = self.spec.root.transaction_column
        made, more = value_parameters("transactions", column, numbers, self._dialect)
        return [
            (name, _events(self.spec, name, keys=own, transactions=made), {**parameters, **more})
            for name in names
        ]

    def context_query(self, rows: Sequence[Any]) -> tuple[Select[Any], dict[str, Any]] | None:
        """Return what reads the context that is kept beside transactions, with its parameters.

        :param rows: what :attr:`statement` returned.
        """
        table: Table | None = getattr(self.spec.transaction_class, CONTEXT_TABLE, None)
        if table is None or not rows:
            return None
        numbers = list(dict.fromkeys(row[0] for row in rows))
        column = table.c.transaction_id
        style, parameters = value_parameters("transactions", column, numbers, self._dialect)
        made = KeyConditions([table.c.transaction_id], style, "")
        is_asked = made.member([table.c.transaction_id], "transactions")
        statement = select_rows(table.c.transaction_id, table.c.key, table.c.value)
        return statement.where(is_asked), parameters

    def records(
        self,
        rows: Sequence[Any],
        member_rows: dict[str, Sequence[Any]] | None = None,
        context_rows: Sequence[Any] = (),
    ) -> list[ChangeRecord]:
        """Return the records that rows are.

        :param rows: what :attr:`statement` returned.
        :param member_rows: by relationship, what :meth:`member_queries` returned.
        :param context_rows: what :meth:`context_query` returned.
        """
        size = self._built.layout.key_size
        members: Members = {
            name: read_members(found, size) for name, found in (member_rows or {}).items()
        }
        scalars = frozenset(name for name, one in self._built.memberships.items() if one)
        further: dict[int, dict[str, Any]] = {}
        for number, key, value in context_rows:
            further.setdefault(number, {})[key] = value
        relations = Relations(self.shape.relations, members, scalars)
        return read_records(self._built, rows, relations, further)


def _events(spec: ClassSpec, name: str, *, keys: Style, transactions: Style) -> Select[Any]:
    build = partial(build_events, spec, name, keys=keys, transactions=transactions)
    return kept(spec, ("events", name, keys, transactions), build)


def kept(spec: ClassSpec, shape: Any, build: Callable[[], T]) -> T:
    """Return what was built for a shape; building takes longer than reading a page."""
    # Subclasses and columns may have been added since.
    size = (len(family_of(spec)), *(len(table.pairs) for table in spec.hierarchy.tables))
    if (shape, size) not in spec.built:
        if len(spec.built) >= _MOST_KEPT:
            spec.built.clear()
        spec.built[shape, size] = build()
    found: T = spec.built[shape, size]
    return found


def select_changes(
    model: Any,
    *,
    object_ids: Any = None,
    fields: Any = None,
    relations: Any = None,
    user_ids: Any = None,
    between: tuple[datetime | None, datetime | None] | None = None,
    transaction: Any = None,
    operations: Any = None,
    sort_by: str = "issued_at",
    descending: bool = True,
    limit: int | None = None,
    offset: int | None = None,
    dialect: Dialect | None = None,
) -> ChangeQuery:
    """Return what :func:`get_changes` executes, and what makes records of the rows.

    Arguments and errors are those of :func:`get_changes`; nothing is flushed.

    :param dialect: of the database that will be asked; with it, sets of objects of any size are one
        parameter where the database can take that.

    >>> query = select_changes(Article, fields=["name"], operations="U")
    >>> rows = session.execute(query.statement, query.parameters).all()
    >>> [(change.old, change.new) for record in query.records(rows) for change in record.changes]
    [('Draft', 'Final')]
    """
    spec = check_class(model)
    asked = Asked(spec, dialect)
    shape = asked.shape(
        object_ids=object_ids,
        fields=fields,
        relations=relations,
        user_ids=user_ids,
        between=between,
        transaction=transaction,
        operations=operations,
        sort_by=sort_by,
        descending=descending,
        limit=limit,
        offset=offset,
    )
    built = kept(spec, shape, lambda: build_changes(spec, shape))
    return ChangeQuery(spec, shape, asked.parameters, built, dialect)
