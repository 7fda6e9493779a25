"""The row of a transaction that triggers write: told beforehand, found when it is asked for.

Which row it is, and what it is to hold, is in settings of the database transaction.  They end with
it and go back with its savepoints, so nothing is left on a connection, whoever gets it next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    String,
    Table,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy import Text as LongText
from sqlalchemy.orm import Mapper, Session, object_session

from ..database.dialects import BinaryJSON
from ..triggers.settings import TRANSACTIONS, VALUES, WANTED
from .shapes import Insertion
from .transaction_row import TransactionRow, with_defaults

__all__ = ["TriggeredRow", "build_object", "build_setting"]


class TriggeredRow(TransactionRow):
    """A transaction whose row triggers write, unless it is asked for before they do."""

    def __init__(
        self,
        mapper: Mapper[Any],
        connection: Connection,
        values: Mapping[str, Any],
        *,
        is_wanted: bool,
    ) -> None:
        self._announced: WeakSet[Connection] = WeakSet()
        super().__init__(mapper, connection, values, is_wanted=is_wanted)

    def announce(self, connection: Connection) -> None:
        """Tell the triggers on a connection what the row is to hold; once is enough."""
        if connection not in self._announced and self._id is None:
            self._announced.add(connection)
            values = with_defaults(self._table, self._values) or self._values
            said = build_object(self._table, values)
            connection.execute(select(build_setting(VALUES, said)))

    @property
    def id(self) -> int:
        """The number of the transaction; its row is written if there is none yet."""
        self._find(wants=False)
        if self._id is None:
            self._write()
        assert self._id is not None
        return self._id

    @property
    def is_written(self) -> bool:
        """Whether there is a row."""
        self._find(wants=False)
        return self._id is not None

    def insertion(self, connection: Connection) -> Insertion | None:
        """Return ``None``: the row is written alone."""
        return None

    def object_in(self, session: Session) -> Any:
        """Return the transaction as an object of *session*; its row is kept from now on."""
        self._find(wants=True)
        return super().object_in(session)

    def find_again(self) -> None:
        """Let the object follow the row, which triggers may have numbered anew."""
        if self._instance is not None:
            self._find(wants=False)

    def _write(self) -> None:
        super()._write()
        rows = self._table.alias()
        number = rows.c[next(iter(self._table.primary_key.columns)).key]
        known = func.coalesce(_said(TRANSACTIONS), literal_column("'{}'"))
        own = func.jsonb_build_object(_place(rows), number)
        merged = cast(known, BinaryJSON()).op("||")(own)
        telling = select(build_setting(TRANSACTIONS, merged), build_setting(WANTED, literal("1")))
        self._authority.execute(telling.select_from(rows).where(number == self._id))

    def _find(self, *, wants: bool) -> None:
        """Look up which row it is by now.

        :param wants: whether it is to be kept even if it comes to nothing.
        """
        number = self._authority.scalar(_select_current(self._table, wants=wants))
        if number == self._id:
            return
        self._id = number
        key = next(iter(self._table.primary_key.columns)).key
        session = None if self._instance is None else object_session(self._instance)
        if number is not None:
            # What else is in it, triggers may know better.
            self._values = {key: number}
        if session is not None and number is None:
            self.forget(session)
        elif session is not None:
            self._rename_object(session)


def build_setting(name: str, value: ColumnElement[Any]) -> ColumnElement[str]:
    """Set a setting until the end of the transaction, or of the savepoint if that is undone."""
    return func.set_config(name, cast(value, LongText), true())


def _said(name: str) -> ColumnElement[str]:
    """Return a setting; one that was set earlier on the connection is empty, and not missing."""
    return func.nullif(func.current_setting(name, true()), literal_column("''"))


def _place(rows: FromClause) -> ColumnElement[str]:
    """Return what tells tables of one name apart."""
    oid: ColumnElement[Any] = column("tableoid", _selectable=rows)
    return cast(oid, LongText)


def _select_current(table: Table, *, wants: bool) -> Any:
    """Select the number of the transaction that goes on, if it has a row."""
    rows = table.alias()
    said = func.jsonb_each_text(cast(_said(TRANSACTIONS), BinaryJSON())).table_valued(
        column("key", String), column("value", String), name="said"
    )
    number = rows.c[next(iter(table.primary_key.columns)).key]
    also = [build_setting(WANTED, literal("1"))] if wants else []
    return (
        select(number, *also)
        .select_from(said.join(rows, number == cast(said.c.value, BigInteger)))
        .where(said.c.key == _place(rows))
    )


def build_object(table: Table, values: Mapping[str, Any]) -> ColumnElement[Any]:
    """Return values of columns as an object of JSON that the database makes."""
    pairs: list[ColumnElement[Any]] = []
    for key, value in values.items():
        target: Column[Any] = table.c[key]
        name = cast(literal(target.name), LongText)
        pairs += [name, cast(literal(value, target.type), target.type)]
    return func.jsonb_build_object(*pairs)
