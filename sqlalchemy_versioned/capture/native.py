"""What triggers are told before a statement that they record is executed.

They record whatever comes; what is told is who writes and why, and whether nothing is to be
recorded.  A table whose triggers are missing is refused, because nobody would record it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update, literal, select, text
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

from .. import _sqlalchemy
from ..context.values import column_values, said_on
from ..database.dialects import state_and_message
from ..exc import CaptureError, HistoryIsAppendOnly
from ..model.spec import VersionSpec
from ..recording.paused import PAUSED_CONNECTIONS, is_paused
from ..recording.schemas import Schemas
from ..recording.telling import Telling, build_setting
from ..recording.unit_of_work import UnitOfWork
from ..triggers.guards import REFUSED
from ..triggers.settings import EVENT, PAUSED, SAID
from ..triggers.spec import Event, build_trigger_names
from .cascades import Cascades
from .flushes import Flush
from .recorder import Target
from .textual_writes import TextualWrites

__all__ = [
    "Triggers",
    "end_events",
    "refusal_of",
]

#: The key of ``Session.info`` that has what triggers were told of the context, by connection.
_TOLD = "sqlalchemy_versioned_told"

_ENABLED = text(
    "SELECT count(*) FROM pg_catalog.pg_trigger AS t"
    " JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relname = :table AND t.tgname = ANY (:names) AND t.tgenabled IN ('O', 'A')"
    " AND coalesce(n.nspname = CAST(:schema AS text), pg_table_is_visible(c.oid))"
)


def refusal_of(error: BaseException, statement: Any, parameters: Any) -> HistoryIsAppendOnly | None:
    """Return what to raise for an error of the database, if it is a guard's of history."""
    state, told = state_and_message(error)
    if state != REFUSED:
        return None
    message = f"{told}; what looks after history is in sqlalchemy_versioned.maintenance"
    return HistoryIsAppendOnly(message, statement, parameters, error)


def _has_parts(target: Target) -> bool:
    """Tell whether objects have rows in several tables, whose changes are numbered as events."""
    spec = target.spec
    return not spec.strategy.merges and bool(target.hierarchy.related(spec))


def end_events(flush: Flush) -> None:
    """Tell triggers that a flush is over."""
    for connection in flush.events:
        connection.execute(select(build_setting(EVENT, literal(""))))


class Triggers:
    """The triggers of one manager's tables, as sessions see them."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._targets: dict[Table, Target] = {}
        self._texts: TextualWrites | None = None
        #: What tells of the context, by the table that keeps it.
        self._tellings: dict[VersionSpec, Telling] = {}
        #: Tables that were found to have their triggers, by where they are and name.
        self._installed: WeakKeyDictionary[Engine, set[Any]] = WeakKeyDictionary()

    def watch(self, targets: Mapping[Table, Target]) -> None:
        """Know of further tables."""
        self._targets.update(targets)
        self._texts = None

    def has(self, table: Any) -> bool:
        """Tell whether triggers record a table."""
        return table in self._targets

    def clear(self) -> None:
        """Forget all tables."""
        self._targets.clear()
        self._tellings.clear()
        self._installed.clear()
        self._texts = None

    def targets_of(self, statement: Any, cascades: Cascades) -> list[Target]:
        """Return a versioned table that a statement writes, or may write by foreign keys."""
        table = _sqlalchemy.meant_table(statement)
        target = self._targets.get(table)
        if target is None and self._reaches(statement, table, cascades):
            target = next(iter(self._targets.values()), None)
        return [] if target is None else [target]

    def _reaches(self, statement: Any, table: Any, cascades: Cascades) -> bool:
        if isinstance(statement, Insert):
            return any(table.name == each.name for each in self._targets)
        if isinstance(statement, Delete) and cascades.acts_on_delete(table):
            return True
        return isinstance(statement, Update) and cascades.acts_on_update(table)

    def targets_in_nested(self, nested: Iterable[Any]) -> list[Target]:
        """Return the versioned tables that statements within another one write."""
        written = [each for each in nested if isinstance(each, UpdateBase)]
        tables = [_sqlalchemy.meant_table(each) for each in written]
        return [self._targets[table] for table in tables if table in self._targets]

    def targets_in_text(self, statement: str) -> list[Target]:
        """Return the versioned tables that SQL text seems to write."""
        if self._texts is None:
            self._texts = TextualWrites(self._targets)
        name = self._texts.find(statement)
        if name is None:
            return []
        return [t for table, t in self._targets.items() if table.name.lower() == name.lower()]

    def tell(
        self,
        targets: Iterable[Target],
        connection: Connection,
        session: Session,
        unit: UnitOfWork,
        *,
        flush: Flush | None = None,
    ) -> None:
        """Tell the triggers on a connection what they must know.

        :param flush: the flush that statements are of.
        :raises CaptureError: if a table has no triggers there.
        """
        for target in targets:
            is_off = is_paused(session) or not target.is_on()
            self._pause(connection, session, is_off=is_off)
            if not is_off:
                self._check_installed(connection, target.spec.parent_table)
                if unit.announce(connection):
                    # Another session may have said something else there.
                    session.info.get(_TOLD, {}).pop(connection, None)
                self._say(connection, session, target.spec.base or target.spec)
                if flush is not None and _has_parts(target):
                    self._begin_event(connection, flush)

    def _begin_event(self, connection: Connection, flush: Flush) -> None:
        """Tell that what follows is one event of each object."""
        if connection not in flush.events:
            flush.events.add(connection)
            connection.execute(select(build_setting(EVENT, literal("{}"))))

    def _pause(self, connection: Connection, session: Session, *, is_off: bool) -> None:
        """Tell triggers whether they are to record, if they were told otherwise."""
        info = _sqlalchemy.info_of(connection)
        if is_off and _sqlalchemy.commits_by_itself(connection):
            raise CaptureError(
                "a paused session writes what triggers record, on a connection that commits each "
                "statement by itself; triggers are paused for one transaction, so begin one"
            )
        if is_off:
            session.info.setdefault(PAUSED_CONNECTIONS, WeakSet()).add(connection)
            info[PAUSED_CONNECTIONS] = True
        elif PAUSED_CONNECTIONS not in info:
            return
        elif connection.get_nested_transaction() is None:
            del info[PAUSED_CONNECTIONS]
        # Said each time in savepoints: going back to one takes back what was said after it.
        connection.execute(select(build_setting(PAUSED, literal("1" if is_off else ""))))

    def _say(self, connection: Connection, session: Session, spec: VersionSpec) -> None:
        """Tell what versions that are events are to hold of the context."""
        if not spec.variables:
            return
        said = said_on(connection)
        variables = [column for column in spec.variables if column.key in said]
        values = column_values(variables, said, connection.dialect)
        for column in spec.variables:
            default = column.default
            if column.key not in said and default is not None and default.is_scalar:
                values[column.key] = default.arg  # type: ignore[attr-defined]
        told = session.info.setdefault(_TOLD, WeakKeyDictionary())
        # Going back to a savepoint takes back what was said after it.
        telling = (session.get_nested_transaction(), values)
        if told.get(connection, (None, {})) != telling:
            told[connection] = telling
            self._telling(spec).tell(connection, values)

    def _telling(self, spec: VersionSpec) -> Telling:
        if spec not in self._tellings:
            self._tellings[spec] = Telling(SAID, spec.version_table)
        return self._tellings[spec]

    def _check_installed(self, connection: Connection, table: Table) -> None:
        schema = _sqlalchemy.translated_schema(connection.get_execution_options(), table.schema)
        place = (self._schemas.found(connection, table.schema), table.name)
        known = self._installed.setdefault(_sqlalchemy.root_engine(connection), set())
        if place in known:
            return
        names = list(build_trigger_names(table).values())
        sought = {"schema": schema, "table": table.name, "names": names}
        found = connection.scalar(_ENABLED, sought)
        if found != len(Event):
            raise CaptureError(
                f"{table.fullname} is to be recorded by triggers, and has {found} of its "
                f"{len(Event)} triggers in this database; call install_triggers(metadata, engine)"
            )
        known.add(place)
