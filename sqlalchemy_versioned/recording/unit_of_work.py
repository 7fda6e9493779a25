"""The unit of work of one session: its current transaction, and the recording of its flushes.

A :class:`UnitOfWork` belongs to the outermost transaction of one session and goes with it; there
is no map of connections, no lock and nothing global.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, SessionTransaction

from .. import _sqlalchemy
from ..context.request import current_request
from ..context.transaction_values import TransactionValues
from ..context.values import said_on
from ..database.dialects import has_concurrent_writers
from ..database.keys import Key
from ..database.sessions import awaited_as, numbering_connection, sync_session
from ..exc import CaptureError, ImproperlyConfigured
from ..model.operation import Operation
from ..model.spec import Hierarchy, VersionSpec
from .changes import Changes, objects_in_parts
from .recorded_table import Scope
from .recording import Recording
from .records import Layer, Records
from .surroundings import Surroundings
from .transaction_row import TransactionRow
from .triggered_row import TriggeredRow

__all__ = ["UnitOfWork"]

#: How many later ids are drawn at most.  Rows are locked by then, so one is enough but where
#: several transactions add the same link; a sequence that is behind would be drawn from for ever.
_MOST_DRAWN = 100


class UnitOfWork:
    """What one session records between two commits: one transaction of history."""

    def __init__(
        self, session: Session, surroundings: Surroundings, renew: Callable[[Session], UnitOfWork]
    ) -> None:
        self._session = session
        self._surroundings = surroundings
        self._renew = renew
        self._is_over = False
        #: The id that the transaction had before it drew later ones.
        self._former_id: int | None = None
        self._records = Records()
        self._connections: dict[VersionSpec, Connection] = {}
        self._recordings: list[Recording] = []
        #: How often versions were written, which tells whether any were since a moment.
        self.writes = 0
        #: Attributes of the transaction that the next flush is to write.
        self._later: dict[str, Any] = {}
        #: What is said of the transaction that plugins are to store.
        self._further: dict[str, str] = {}
        #: What they have stored.
        self._stored: dict[str, str] = {}
        #: What the next transaction says, if that was asked before the statement that begins it.
        self._prepared: TransactionValues | None = None

    # -- the transaction ---------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session that is recorded."""
        return self._session

    @property
    def current_transaction(self) -> Any | None:
        """The current transaction as an object of the session, or ``None``.

        >>> versioning_manager.unit_of_work(session).current_transaction is None
        True
        """
        row = self._row
        return None if row is None else row.object_in(self._session)

    @property
    def transaction_id(self) -> int | None:
        """The id of the current transaction, or ``None`` if there is none or it is not written.

        Unlike with :attr:`current_transaction`, one that comes to nothing is still taken back.

        >>> versioning_manager.unit_of_work(session).transaction_id is None
        True
        """
        row = self._row
        return row.id if row is not None and row.is_written else None

    @property
    def oldest_id(self) -> int | None:
        """The smallest id that versions of this transaction may ever have had."""
        return self.transaction_id if self._former_id is None else self._former_id

    @awaited_as("create_transaction(…)")
    def create_transaction(self, session: Any = None, **attributes: Any) -> Any:
        """Write a transaction now, whatever is changed later, and return it.

        :param session: taken for compatibility; the unit of work knows its session.
        :param attributes: attributes of the transaction, relationships included.
        :raises ImproperlyConfigured: if the Transaction class has no such attribute.

        >>> unit = versioning_manager.unit_of_work(session)
        >>> unit.create_transaction(session, remote_addr="127.0.0.1").remote_addr
        '127.0.0.1'
        """
        if session is not None and sync_session(session) is not self._session:
            raise ImproperlyConfigured(
                "create_transaction() was given another session than unit_of_work(); "
                "ask unit_of_work() with the session that is to be recorded"
            )
        if self._is_over:
            return self._renew(self._session).create_transaction(**attributes)
        self._begin_transaction(attributes, is_wanted=True)
        return self.current_transaction

    def ensure_transaction(
        self, writing: Connection | None = None, *, is_wanted: bool, is_told: bool = False
    ) -> bool:
        """Make sure there is a transaction; tell whether there may have been one before.

        :param writing: a connection that the session writes by.
        :param is_wanted: whether it is kept when nothing is recorded.
        :param is_told: whether triggers are about to write it.
        """
        if self._row is not None:
            return True
        row = self._begin_transaction({}, writing, is_wanted=is_wanted, is_told=is_told)
        if self._later:
            row.is_wanted = True
        # Triggers may have begun it at any time.
        return isinstance(row, TriggeredRow)

    @property
    def _row(self) -> TransactionRow | None:
        row: TransactionRow | None = self._records.transaction
        return row

    def _layer(self) -> Layer:
        """Return what is recorded since the savepoint that the session is in."""
        return self._records.layer(self._session.get_nested_transaction())

    def prepare(self, connection: Connection) -> None:
        """Refuse what is said of the transaction and cannot be written, before anything is.

        :param connection: the one that is about to write.
        :raises VersioningError: if it has no place, cannot be stored, or is missing.
        """
        self._prepared = None
        if self._row is None and (
            self._surroundings.places.asks or said_on(connection) or current_request()
        ):
            numbering = self._numbering_connection(connection)
            self._prepared = self._values({}, numbering, is_checked=True)

    def _numbering_connection(self, writing: Connection | None) -> Connection:
        surroundings = self._surroundings
        return numbering_connection(
            self._session,
            surroundings.transaction_mapper,
            surroundings.versioned(),
            writing=writing,
        )

    def _values(
        self, attributes: Mapping[str, Any], connection: Connection, *, is_checked: bool
    ) -> TransactionValues:
        """Return what a transaction says that is about to begin.

        :param is_checked: whether to look if all is said that must be; triggers do by themselves.
        """
        said, places = said_on(connection), self._surroundings.places
        request, plugins = current_request(), self._surroundings.plugins
        if not (said or attributes or request or plugins or places.asks):
            return TransactionValues()
        # Looking for the user, or for the key of an expired one, must not flush: that would begin
        # a transaction as well.
        with self._session.no_autoflush:
            by_plugins = {} if request is None else request.find(places.has)
            for returned in plugins.call("transaction_args", self, self._session):
                by_plugins.update(returned)
            return places.values(
                said,
                connection.dialect,
                by_plugins=by_plugins,
                given=attributes,
                is_flushed=_sqlalchemy.is_flushing(self._session),
                is_checked=is_checked,
            )

    def _begin_transaction(
        self,
        attributes: Mapping[str, Any],
        writing: Connection | None = None,
        *,
        is_wanted: bool,
        is_told: bool = False,
    ) -> TransactionRow:
        is_flushing = _sqlalchemy.is_flushing(self._session)
        connection = self._numbering_connection(writing)
        values, self._prepared = self._prepared, None
        # A flush is another occasion than the statement that was prepared, as is being asked.
        is_native = self._surroundings.leaves_to_triggers(connection.dialect)
        if values is None or is_flushing or is_wanted:
            is_checked = not (is_native and (is_told or is_wanted))
            values = self._values(attributes, connection, is_checked=is_checked)
        mapper = self._surroundings.transaction_mapper
        build: Callable[..., TransactionRow] = TransactionRow
        if is_native:
            build = partial(TriggeredRow, savepoint=self._session.get_nested_transaction)
        defaults = self._surroundings.defaults
        row = build(mapper, connection, values.columns, defaults=defaults, is_wanted=is_wanted)
        self._layer().transaction = row
        self._later, self._further, self._stored = values.later, values.further, {}
        self._store_further()
        if not is_flushing:
            self.set_later()
        return row

    def _store_further(self) -> None:
        """Hand what transactions have no column for to plugins, once there is a row."""
        if self._further and self._row is not None and self._row.is_written:
            self._stored, self._further = self._further, {}
            self._surroundings.plugins.call("store_context", self, self._session, self._stored)

    def announce(self, connection: Connection) -> bool:
        """Tell the triggers on a connection what the row of the transaction is to hold.

        :returns: whether they had to be told.
        """
        self.ensure_transaction(connection, is_wanted=False, is_told=True)
        row = self._row
        return isinstance(row, TriggeredRow) and row.announce(connection)

    def find_transaction(self) -> None:
        """Look at the row that triggers have written: its number, and what plugins add to it."""
        if isinstance(self._row, TriggeredRow):
            # A savepoint that is rolled back takes back what they have written in it.
            self._records.layer(self._session.get_nested_transaction())
            self._row.find_again()
            self._store_further()

    def set_later(self) -> None:
        """Set attributes of a transaction that only a flush can write; none may be going on."""
        later, self._later = self._later, {}
        for key, value in later.items():
            setattr(self.current_transaction, key, value)

    # -- savepoints --------------------------------------------------------------------------

    def released(self, savepoint: SessionTransaction) -> None:
        """Note that *savepoint* was released; it ends later."""
        if isinstance(self._row, TriggeredRow):
            self._row.released(savepoint, _sqlalchemy.savepoint_around(savepoint))
        self._records.released(savepoint)

    def ended(self, savepoint: SessionTransaction) -> bool:
        """Keep what was recorded in *savepoint* for the transaction around, or drop it.

        :returns: whether something was dropped.
        """
        if isinstance(self._row, TriggeredRow):
            self._row.rolled_back(savepoint)
        dropped = self._records.ended(savepoint, around=_sqlalchemy.savepoint_around(savepoint))
        if dropped is None:
            return False
        self._recordings.clear()
        for row, connection in dropped.copies:
            row.forget_copy(connection)
        for row, number in dropped.former_ids.items():
            row.rename(self._session, number)
        if dropped.transaction is not None:
            self._later, self._further = {}, {}
            dropped.transaction.forget(self._session)
        return True

    def lose(self, connection: Connection) -> None:
        """Forget what was written in a transaction that the database has rolled back by itself.

        The session may go on all the same, if that happened in a savepoint; what it records from
        then on has the same transaction, whose row is written again.
        """
        lost = {spec for spec, other in self._connections.items() if other is connection}
        for layer in self._records.layers:
            if layer.transaction is not None:
                layer.transaction.lose(connection)
        self._records.forget(lost, connection)
        self._recordings.clear()
        self._further = {**self._stored, **self._further}

    def discard(self) -> None:
        """Let go of transactions whose rows were rolled back."""
        for layer in self._records.layers:
            if layer.transaction is not None:
                layer.transaction.forget(self._session)
        self.end(may_go_on=True)

    def end(self, *, may_go_on: bool = False) -> None:
        """Let go of everything: the session's transaction is over.

        :param may_go_on: whether that of the database may be somebody else's, and go on.
        """
        self._is_over = True
        if isinstance(self._row, TriggeredRow):
            self._row.end(may_go_on=may_go_on)
        self._records = Records()
        self._connections.clear()
        self._recordings.clear()

    # -- recording ---------------------------------------------------------------------------

    def take_images(
        self,
        hierarchy: Hierarchy,
        changes: Mapping[VersionSpec, Changes],
        connection: Connection,
        *,
        is_early: bool,
        locks: bool = False,
        held: Collection[Key] | None = (),
    ) -> Recording:
        """Write versions of what a flush changed; :meth:`finish` must follow.

        :param is_early: whether the transaction's id may be older than the locks on these rows.
        :param locks: lock the rows, because they are about to be deleted.
        :param held: rows of the base-most table that were written or locked; ``None`` for all.
        :returns: what has come of it so far.
        """
        if hierarchy.is_joined and held is not None and has_concurrent_writers(connection.dialect):
            root, written = hierarchy.root, objects_in_parts(hierarchy.root, changes)
            keys = [k for k in written if k not in held and self._records.of(root, k) is None]
            self._surroundings.hold(connection, root, keys)
        may_be_overtaken = is_early and self._has_rivals(connection)
        scope = Scope(hierarchy, connection, self._records, self._layer(), may_be_overtaken)
        recording = Recording(scope, changes)
        self._recordings.append(recording)
        for spec in recording.changes:
            row = self._write_to(spec, connection)
            writer = self._surroundings.writer(spec, hierarchy.related(spec), connection)
            recording.take_images(spec, writer, row, locks=locks)
        return recording

    def write_rows(
        self,
        spec: VersionSpec,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
        connection: Connection,
    ) -> None:
        """Write versions of rows of a table without a key, as they are told."""
        row = self._write_to(spec, connection)
        writer = self._surroundings.writer(spec, (), connection)
        writer.write_rows(connection, operation, rows, row.id)
        # Which rows they were cannot be told; that there were some can.
        self._layer().note(spec, [()], operation)

    def _write_to(self, spec: VersionSpec, connection: Connection) -> TransactionRow:
        """Return the transaction, with its row where versions of a table are written next."""
        row = self._row
        assert row is not None
        self.writes += 1
        if row.ensure_on(connection, spec.transaction_table):
            self._layer().copies.append((row, connection))
        self._connections[spec] = connection
        return row

    def _has_rivals(self, connection: Connection) -> bool:
        """Tell whether others may write while this transaction is open."""
        # Several sessions may share a connection that was given to them.
        is_given = isinstance(self._session.bind, Connection)
        return is_given or has_concurrent_writers(connection.dialect)

    def finish(self) -> None:
        """Close the versions before, once all images of a flush are taken."""
        recordings, self._recordings = self._recordings, []
        row, came_to_nothing = self._row, False
        if recordings:
            assert row is not None
            self._close(recordings, row)
            for recording in recordings:
                recording.drop_undone(row.id)
                came_to_nothing |= recording.came_to_nothing
        if row is not None and not row.is_written:
            # A savepoint that is rolled back later would take it along.
            self._records.take_back(self._session.get_nested_transaction())
        elif came_to_nothing:
            self._take_back_if_empty()
        self._store_further()

    def _close(self, recordings: list[Recording], row: TransactionRow) -> None:
        """Close the versions before, under a later id if other transactions have overtaken it."""
        for drawn in range(_MOST_DRAWN + 1):
            if drawn:
                self._renumber(row)
            tx = row.id
            recordings = [recording for recording in recordings if recording.close(tx)]
            if not recordings:
                return
        raise CaptureError(
            f"transaction {row.id} changes rows that have versions of later transactions, and so "
            f"would the next {_MOST_DRAWN}: what numbers transactions is behind the history, as "
            "after a restore; let it go on after the greatest transaction id"
        )

    def __repr__(self) -> str:
        row = self._row
        return f"<UnitOfWork {'without a transaction' if row is None else f'of {row.id}'}>"

    def recorded_tables(self) -> list[VersionSpec]:
        """Return the tables of whose rows something is recorded."""
        return [spec for spec in self._records.specs() if self._records.has(spec)]

    def operations(self, spec: VersionSpec) -> dict[Key, Operation]:
        """Return what is recorded of the rows of one table, by key."""
        return self._records.operations(spec)

    def _renumber(self, row: TransactionRow) -> None:
        """Draw a later id: another transaction drew its own later, but wrote first.

        The rows are locked by now, so nobody can pass the new id.
        """

        def move(old: int, new: int) -> None:
            for spec, connection in self._connections.items():
                self._surroundings.writer(spec, (), connection).move(connection, old, new)

        self._layer().former_ids.setdefault(row, row.id)
        self._former_id = min(self._former_id or row.id, row.id)
        row.renumber(self._session, move)

    def _take_back_if_empty(self) -> None:
        row = self._row
        if row is None or row.is_wanted or not self._records.is_empty():
            return
        if row.take_back():
            self._records.take_back(self._session.get_nested_transaction())
