"""What all units of work of a manager share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from .._typing import mapper_of
from ..context.transaction_values import Places
from ..database.dialects import has_statement_triggers
from ..database.keys import Key
from ..exc import CaptureError
from ..hooks import PluginCollection
from ..model.spec import VersionSpec
from ..options import Options
from ..triggers.catalogue import stored_triggers
from .defaults import Defaults
from .schemas import Schemas
from .writer import TableWriter

__all__ = ["Surroundings"]


class _Known:
    """What was found out about the tables of one engine."""

    def __init__(self) -> None:
        #: By table, and those that share objects with it.
        self.writers: dict[Any, TableWriter] = {}
        #: Whether rows may have no version, by table and where it is.
        self.lacking: dict[tuple[VersionSpec, Hashable], bool] = {}
        #: The tables that have triggers of ours, by schema and name; ``None`` until looked up.
        self.triggered: set[tuple[str, str]] | None = None


class Surroundings:
    """What all units of work of a manager share.

    :param transaction_class: returns the Transaction class.
    :param plugins: the plugins; others may be assigned.
    :param versioned: returns the bind arguments of what is versioned, of which the first that a
        session has a database for tells where transactions are numbered, if the Transaction class
        has none.
    :param options: returns the options of all that is versioned.
    :param current_user: returns what tells the user where the context does not, or ``None``.
    :param is_native: tells whether triggers record some table, in databases that have them.
    """

    def __init__(
        self,
        *,
        transaction_class: Callable[[], type[Any]],
        plugins: PluginCollection,
        versioned: Callable[[], Iterable[dict[str, Any]]],
        options: Callable[[], Iterable[Options]],
        current_user: Callable[[], Callable[[], Any] | None],
        is_native: Callable[[], bool] = lambda: False,
    ) -> None:
        self.transaction_class = transaction_class
        self.plugins: PluginCollection = plugins
        self.versioned = versioned
        #: Where connections find tables.
        self.schemas: Schemas = Schemas()
        self._options = options
        self._current_user = current_user
        self._is_native = is_native
        # By engine, so that it goes with it.
        self._known: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()

    @cached_property
    def transaction_mapper(self) -> Mapper[Any]:
        """The mapper of the Transaction class."""
        return mapper_of(self.transaction_class())

    @cached_property
    def places(self) -> Places:
        """Where transactions keep what is said of them."""
        return Places(
            self.transaction_mapper,
            current_user=self._current_user(),
            variables={
                column.key for options in self._options() for column in options.session_variables
            },
            takes_further=lambda: bool(self.plugins.overriding("store_context")),
        )

    @cached_property
    def defaults(self) -> Defaults:
        """What Python gives to the rows of transactions."""
        return Defaults(self.transaction_mapper.local_table)

    def leaves_to_triggers(self, dialect: Dialect, spec: VersionSpec | None = None) -> bool:
        """Tell whether what is written to a database is recorded by its triggers.

        :param spec: the table that is written; any of them unless given.
        """
        is_native = self._is_native() if spec is None else spec.is_native
        return is_native and has_statement_triggers(dialect)

    def writer(
        self, spec: VersionSpec, related: tuple[VersionSpec, ...], connection: Connection
    ) -> TableWriter:
        """Return the writer of a table, which keeps its statements.

        :raises CaptureError: if triggers record the table, too.
        """
        known = self._known_of(connection)
        if known.triggered is None or known.triggered:
            self._refuse_triggered(spec, connection, known)
        writer = known.writers.get((spec, related))
        if writer is None:
            writer = TableWriter(spec, related, connection.dialect)
            known.writers[spec, related] = writer
        return writer

    def hold(self, connection: Connection, spec: VersionSpec, keys: list[Key]) -> None:
        """Keep others from writing rows until the transaction ends."""
        if keys:
            self.writer(spec, (), connection).hold(connection, keys)

    def _known_of(self, connection: Connection) -> _Known:
        engine = _sqlalchemy.root_engine(connection)
        return self._known.get(engine) or self._known.setdefault(engine, _Known())

    def _refuse_triggered(self, spec: VersionSpec, connection: Connection, known: _Known) -> None:
        """Refuse to record what triggers record; they are looked up once for each engine."""
        dialect, table = connection.dialect, spec.parent_table
        if self.leaves_to_triggers(dialect, spec):
            return
        if known.triggered is None:
            found = stored_triggers(connection) if has_statement_triggers(dialect) else ()
            known.triggered = {(t.schema, t.table) for t in found if t.is_enabled}
        default, triggered = dialect.default_schema_name, known.triggered
        schemas = self.schemas.found(connection, table.schema)
        if any((each or default, table.name) in triggered for each in schemas):
            raise CaptureError(
                f"a session writes {table.fullname}, which has triggers in this database that "
                "record it, and so it would be recorded twice; say make_versioned(native=True), "
                "or remove them with uninstall_triggers(metadata, engine)"
            )

    def may_lack_versions(
        self, connection: Connection, spec: VersionSpec, *, born: Collection[VersionSpec] = ()
    ) -> bool:
        """Tell whether some row of a table may have no version.

        That is looked up once for each engine, table and schema, or again if it was due to new
        rows.

        :param born: the tables with rows that were inserted and are still to be recorded.
        """
        lacking = self._known_of(connection).lacking
        place = (spec, self.schemas.place(connection, spec))
        known = lacking.get(place)
        if known is not None:
            return known
        found = self.writer(spec, (), connection).lacks_versions(connection)
        if not found or spec not in born:
            lacking[place] = found is not False
        return found is not False

    def keep_first_state(
        self,
        connection: Connection,
        spec: VersionSpec,
        keys: list[Key],
        *,
        born: Collection[VersionSpec] = (),
    ) -> None:
        """Write versions of those rows of a table that have none, before they are changed."""
        if keys and self.may_lack_versions(connection, spec, born=born):
            self.writer(spec, (), connection).keep_first_state(connection, keys)

    def look_again(self) -> None:
        """Forget which tables have rows without versions, or triggers."""
        for known in list(self._known.values()):
            known.lacking.clear()
            known.triggered = None

    def forget(self) -> None:
        """Drop what is kept of classes that may be other ones."""
        for name in ("transaction_mapper", "places", "defaults"):
            vars(self).pop(name, None)
        self._known.clear()
