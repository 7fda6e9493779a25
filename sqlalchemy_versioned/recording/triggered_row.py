"""The row of a transaction that triggers write: told beforehand, found when it is asked for.

Which row it is, and what it is to hold, is in settings of the database transaction.  They end with
it and go back with its savepoints, so nothing is left on a connection, whoever gets it next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary, ref

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    String,
    Table,
    cast,
    column,
    exists,
    extract,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import Text as LongText
from sqlalchemy.orm import Mapper, Session, object_session
from sqlalchemy.sql.elements import NamedColumn
from sqlalchemy.sql.functions import Function

from .._sqlalchemy import commits_by_itself, info_of, translated_schema
from ..database.expressions import BinaryJSON
from ..exc import CaptureError
from ..model.lookup import TABLES
from ..triggers.settings import MOMENTS, TRANSACTIONS, WANTED
from ..triggers.spec import TransactionStep, step_name
from .defaults import Defaults, number_column
from .shapes import Insertion
from .telling import build_setting
from .transaction_row import TransactionRow

__all__ = ["TriggeredRow"]

# Of Any, checkers would make ref[Unknown].
_REFERENCE: Any = ref

#: The key of ``Connection.info`` that has who has told triggers what a row is to hold, and in which
#: savepoint.
_TELLER = "sqlalchemy_versioned_teller"

#: Stands for a row whose session has done with it, while the database's transaction goes on.
_LEFT = "left"


class TriggeredRow(TransactionRow):
    """A transaction whose row triggers write, unless it is asked for before they do.

    Sessions that share a connection take turns with what they tell the triggers there.

    :param savepoint: returns the savepoint that the session is in.
    """

    def __init__(
        self,
        mapper: Mapper[Any],
        connection: Connection,
        values: Mapping[str, Any],
        *,
        defaults: Defaults,
        is_wanted: bool,
        savepoint: Callable[[], Any],
    ) -> None:
        self._savepoint = savepoint
        #: The savepoint in which triggers were told, and who had told them before, by connection.
        self._told: WeakKeyDictionary[Connection, tuple[Any, Any]] = WeakKeyDictionary()
        #: The number that the row had when another session took its turn, by connection.
        self._left: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
        super().__init__(mapper, connection, values, defaults=defaults, is_wanted=is_wanted)

    def announce(self, connection: Connection) -> bool:
        """Tell the triggers on a connection what the row is to hold; once is enough.

        :returns: whether they had to be told.
        """
        has_turn = self._has_turn(connection)
        if has_turn and (self._told_last(connection) or self._is_written_on(connection)):
            return False
        if commits_by_itself(connection):
            self._refuse_to_say()
            return False
        if not has_turn:
            self._take_turn(connection)
        # A row that is written is known where it is; another database writes one of its own.
        if connection in self._left or not self._is_written_on(connection):
            self._defaults.telling.tell(connection, self._all_said())
            info_of(connection)[_TELLER] = (ref(self), self._savepoint())
        return True

    def _told_last(self, connection: Connection) -> bool:
        """Tell whether no row of another manager was told of since: the setting is one for all."""
        teller, _ = info_of(connection).get(_TELLER, (None, None))
        return teller is not None and teller() is self

    def _is_written_on(self, connection: Connection) -> bool:
        return self._id is not None and connection in self._tables

    def _all_said(self) -> dict[str, Any]:
        """Return what is said of the transaction by now, but for its number."""
        number = self._defaults.key
        known = self._said | self._values | self._seen_values()
        said = {key: value for key, value in known.items() if key != number}
        complete = self._defaults.complete(said) or said
        # Only when it has its locks does a statement know when it writes.
        unknown = self._defaults.moments - said.keys()
        return {key: value for key, value in complete.items() if key not in unknown}

    def _refuse_to_say(self) -> None:
        """Refuse what is said of a transaction that ends before anything is written."""
        if self._values or self.is_wanted:
            raise CaptureError(
                f"a statement writes what triggers record, on a connection that commits each "
                f"statement by itself, and {', '.join(self._values) or 'a transaction'} is said of "
                "it; triggers know of one transaction only, so begin one, or say nothing"
            )

    # -- turns -------------------------------------------------------------------------------

    @property
    def _turn(self) -> str:
        """The key of ``Connection.info`` that has the row of which triggers were told last."""
        return f"sqlalchemy_versioned_turn_{self._table.fullname}"

    def _has_turn(self, connection: Connection) -> bool:
        if connection not in self._told:
            return False
        held = info_of(connection).get(self._turn)
        return isinstance(held, ref) and held() is self

    def _take_turn(self, connection: Connection) -> None:
        """Keep the number of the row that had it, and go on with that which this one had."""
        info = info_of(connection)
        held: Any = info.get(self._turn)
        other = held() if isinstance(held, _REFERENCE) else None
        if other is not None or held == _LEFT:
            number = connection.scalar(_cut_current(self._table))
            if other is not None:
                other.leave(connection, number)
            if connection in self._left:
                connection.execute(_set_current(self._table, self._left[connection]))
        self._told[connection] = (self._savepoint(), held)
        info[self._turn] = ref(self)

    def leave(self, connection: Connection, number: int | None) -> None:
        """Note the number that the row has while another has its turn."""
        self._told.pop(connection, None)
        self._left.pop(connection, None)
        if number is not None:
            self._left[connection] = number

    def released(self, savepoint: Any, around: Any) -> None:
        """Note that what was told in a savepoint belongs to that around it now."""
        for connection, (told, before) in list(self._told.items()):
            if told is savepoint:
                self._told[connection] = (around, before)
            if self._told_in(connection, savepoint):
                info_of(connection)[_TELLER] = (ref(self), around)

    def rolled_back(self, savepoint: Any) -> None:
        """Note that what was told in a savepoint is told no more."""
        for connection, (told, before) in list(self._told.items()):
            if self._told_in(connection, savepoint):
                del info_of(connection)[_TELLER]
            if told is savepoint:
                info_of(connection)[self._turn] = before
                del self._told[connection]

    def _told_in(self, connection: Connection, savepoint: Any) -> bool:
        return self._told_last(connection) and info_of(connection)[_TELLER][1] is savepoint

    def end(self, *, may_go_on: bool) -> None:
        """Let go of all connections.

        :param may_go_on: whether a transaction may be somebody else's, who then goes on with it.
        """
        for connection in list(self._told):
            if may_go_on and not connection.closed and connection.in_transaction():
                info_of(connection)[self._turn] = _LEFT
            else:
                info_of(connection).pop(self._turn, None)

    # -- the row -----------------------------------------------------------------------------

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
        if self._instance is None or not self.is_wanted:
            self._find(wants=True)
        return super().object_in(session)

    def find_again(self) -> None:
        """Let the object follow the row, which triggers may have numbered anew."""
        if self._instance is not None:
            self._find(wants=False)

    def _write(self) -> None:
        if commits_by_itself(self._authority):
            self._refuse_to_say()
        super()._write()
        if not self._has_turn(self._authority):
            self._take_turn(self._authority)
        assert self._id is not None
        moment = self._moment()
        going_on = _set_current(
            self._table,
            self._id,
            is_wanted=self.is_wanted,
            stamped=None if moment is None else moment.columns[0],
        )
        self._authority.execute(going_on)

    def take_back(self) -> bool:
        """Remove the row, unless triggers have written versions of the transaction as well."""
        number, table = self.id, self._table
        used = [
            exists().where(spec.transaction_column == number)
            for spec in table.metadata.info.get(TABLES, {}).values()
            if spec.transaction_table is table
        ]
        if self._authority.scalar(select(or_(*used))):
            return False
        return super().take_back()

    def _draw_again(self, old: int) -> int:
        # Versions that triggers have written follow it, which others need not be able to.
        schema = translated_schema(self._authority.get_execution_options(), self._table.schema)
        name = step_name(self._table, TransactionStep.MOVE)
        place = () if schema is None else (schema,)
        move: Function[int] = Function(name, old, packagenames=place, type_=BigInteger())
        number = self._authority.scalars(select(move)).one()
        self._values = {self._defaults.key: number}
        return number

    def _find(self, *, wants: bool) -> None:
        """Look up which row it is by now.

        :param wants: whether it is to be kept even if it comes to nothing.
        """
        number = self._look_up(wants=wants)
        if number == self._id:
            return
        before, self._id = self._id, number
        key = self._defaults.key
        session = None if self._instance is None else object_session(self._instance)
        # What else is in it, triggers may know better; a row that is gone is written as the first.
        self._values = dict(self._said) if number is None else {key: number}
        if session is not None and number is None:
            self.forget(session)
        elif session is not None:
            self._rename_references(session, before, number)
            self._forget_moment(session)
            self._rename_object(session)

    def _look_up(self, *, wants: bool) -> int | None:
        if self._has_turn(self._authority):
            number: int | None = self._authority.scalar(_select_current(self._table, wants=wants))
            return number
        known = self._left.get(self._authority)
        if known is None:
            return None
        column = number_column(self._table)
        return self._authority.scalar(select(column).where(column == known))


def _said(name: str) -> ColumnElement[str]:
    """Return a setting; one that was set earlier on the connection is empty, and not missing."""
    return func.nullif(func.current_setting(name, true()), literal_column("''"))


def _place(rows: FromClause) -> ColumnElement[str]:
    """Return what tells tables of one name apart."""
    oid: ColumnElement[Any] = column("tableoid", _selectable=rows)
    return cast(oid, LongText)


def _known(name: str = TRANSACTIONS) -> ColumnElement[Any]:
    """Return a setting that is an object; by default the transactions that go on, by table."""
    return cast(func.coalesce(_said(name), literal_column("'{}'")), BinaryJSON())


def _set_current(
    table: Table, number: int, *, is_wanted: bool = True, stamped: NamedColumn[Any] | None = None
) -> Any:
    """Let a transaction go on.

    :param is_wanted: whether it is to be kept even if it comes to nothing.
    :param stamped: the column in which Python has told when it was written, unless nobody has.
    """
    rows = table.alias()
    own = func.jsonb_build_object(_place(rows), number_column(rows))
    settings: list[Any] = [build_setting(TRANSACTIONS, _known().op("||")(own))]
    if is_wanted:
        settings.append(build_setting(WANTED, literal("1")))
    if stamped is not None:
        key = func.concat(_place(rows), literal_column("':'"), number_column(rows))
        moment = cast(extract("epoch", rows.c[stamped.key]), LongText)
        merged = _known(MOMENTS).op("||")(func.jsonb_build_object(key, moment))
        settings.append(build_setting(MOMENTS, merged))
    return select(*settings).select_from(rows).where(number_column(rows) == number)


def _select_current(table: Table, *, wants: bool) -> Any:
    """Select the number of the transaction that goes on, if it has a row."""
    rows = table.alias()
    also = [build_setting(WANTED, literal("1"))] if wants else []
    return _of_current(rows, *also)


def _cut_current(table: Table) -> Any:
    """Select the number of the transaction that goes on, and let it go on no more."""
    rows = table.alias()
    return _of_current(rows, build_setting(TRANSACTIONS, _known().op("-")(_place(rows))))


def _of_current(rows: FromClause, *also: ColumnElement[Any]) -> Any:
    said = func.jsonb_each_text(cast(_said(TRANSACTIONS), BinaryJSON())).table_valued(
        column("key", String), column("value", String), name="said"
    )
    number = number_column(rows)
    return (
        select(number, *also)
        .select_from(said.join(rows, number == cast(said.c.value, BigInteger)))
        .where(said.c.key == _place(rows))
    )
