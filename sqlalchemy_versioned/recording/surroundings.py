"""What all units of work of a manager share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from ..context.transaction_values import Places
from ..database.dialects import has_statement_triggers
from ..database.keys import Key
from ..exc import CaptureError
from ..hooks import PluginCollection
from ..model.spec import VersionSpec
from ..options import Options
from ..triggers.catalogue import stored_triggers
from .defaults import Defaults
from .writer import TableWriter

__all__ = ["Surroundings"]


class Surroundings:
    """What all units of work of a manager share.

    :param transaction_class: returns the Transaction class.
    :param plugins: returns the plugins.
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
        plugins: Callable[[], PluginCollection],
        versioned: Callable[[], Iterable[dict[str, Any]]],
        options: Callable[[], Iterable[Options]],
        current_user: Callable[[], Callable[[], Any] | None],
        is_native: Callable[[], bool] = lambda: False,
    ) -> None:
        self.transaction_class = transaction_class
        self.plugins = plugins
        self.versioned = versioned
        self._options = options
        self._current_user = current_user
        self._places: Places | None = None
        self._defaults: Defaults | None = None
        self._is_native = is_native
        # By engine, so that they go with it.
        self._writers: WeakKeyDictionary[Engine, dict[Any, TableWriter]] = WeakKeyDictionary()
        self._lacking: WeakKeyDictionary[Engine, dict[VersionSpec, bool]] = WeakKeyDictionary()
        self._triggered: WeakKeyDictionary[Engine, set[tuple[str, str]]] = WeakKeyDictionary()

    def places(self) -> Places:
        """Return where transactions keep what is said of them."""
        if self._places is None:
            mapper: Mapper[Any] = inspect(self.transaction_class())
            self._places = Places(
                mapper,
                current_user=self._current_user(),
                variables={
                    column.key
                    for options in self._options()
                    for column in options.session_variables
                },
                takes_further=lambda: bool(self.plugins().overriding("store_context")),
            )
        return self._places

    def defaults(self) -> Defaults:
        """Return what Python gives to the rows of transactions."""
        if self._defaults is None:
            mapper: Mapper[Any] = inspect(self.transaction_class())
            self._defaults = Defaults(mapper.local_table)
        return self._defaults

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
        self._refuse_triggered(spec, connection)
        writers = self._writers.setdefault(_sqlalchemy.root_engine(connection), {})
        writer = writers.get((spec, related))
        if writer is None:
            writer = TableWriter(spec, related, connection.dialect)
            writers[spec, related] = writer
        return writer

    def _refuse_triggered(self, spec: VersionSpec, connection: Connection) -> None:
        """Refuse to record what triggers record; they are looked up once for each engine."""
        dialect, table = connection.dialect, spec.parent_table
        if not has_statement_triggers(dialect) or self.leaves_to_triggers(dialect, spec):
            return
        engine = _sqlalchemy.root_engine(connection)
        triggered = self._triggered.get(engine)
        if triggered is None:
            found = stored_triggers(connection)
            triggered = {(t.schema, t.table) for t in found if t.is_enabled}
            self._triggered[engine] = triggered
        if not triggered:
            return
        options = connection.get_execution_options()
        schema = _sqlalchemy.translated_schema(options, table.schema)
        if (schema or dialect.default_schema_name, table.name) in triggered:
            raise CaptureError(
                f"a session writes {table.fullname}, which has triggers in this database that "
                "record it, and so it would be recorded twice; say make_versioned(native=True), "
                "or remove them with uninstall_triggers(metadata, engine)"
            )

    def may_lack_versions(self, connection: Connection, spec: VersionSpec) -> bool:
        """Tell whether some row of a table may have no version.

        That is looked up once for each engine and table.
        """
        lacking = self._lacking.setdefault(_sqlalchemy.root_engine(connection), {})
        if spec not in lacking:
            lacking[spec] = self.writer(spec, (), connection).may_lack_versions(connection)
        return lacking[spec]

    def keep_first_state(self, connection: Connection, spec: VersionSpec, keys: list[Key]) -> None:
        """Write versions of those rows of a table that have none, before they are changed."""
        if keys and self.may_lack_versions(connection, spec):
            self.writer(spec, (), connection).keep_first_state(connection, keys)

    def look_again(self) -> None:
        """Forget which tables have rows without versions, or triggers."""
        self._lacking.clear()
        self._triggered.clear()

    def forget(self) -> None:
        """Drop what is kept of classes that may be other ones."""
        self._places = self._defaults = None
        self._writers.clear()
        self.look_again()
