"""What one version table is asked before something is made of it, and how statements are run.

Statements are built when they are first needed, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Executable, delete, false
from sqlalchemy.engine import Dialect

from ..context.values import row_values
from ..database.dialects import has_concurrent_writers, has_writable_ctes, locks_what_is_missing
from ..database.key_forms import KeyForms
from ..database.keys import Key, KeyParameters, KeySets, Style, bare_key
from ..database.upserts import has_insert_or_mark, has_upsert
from ..model.operation import BEFORE_RECORDING
from ..model.spec import VersionSpec
from .ours import OURS
from .shapes import Shape
from .stamps import stamp
from .statements import StatementBuilder

__all__ = ["TableLooks"]

#: More rows than this are not looked through for one without a version.
_MANY = 100_000
#: How many keys are looked up one by one by one statement.
_LOOKED_UP = 100


class TableLooks:
    """Looks at the versions of one table, and at its rows.

    :param related: the other tables that share objects with it, under joined inheritance: a
        change in any of them makes a version in all.
    """

    def __init__(self, spec: VersionSpec, related: Sequence[VersionSpec], dialect: Dialect) -> None:
        self.spec = spec
        self.related: tuple[VersionSpec, ...] = tuple(related)
        self.keys: KeyParameters = KeyParameters(
            [pair.parent for pair in spec.key], dialect, spec.prefix
        )
        versions = [*[pair.version for pair in spec.key], spec.transaction_column]
        self._versions = KeyParameters(versions, dialect, spec.prefix)
        self.forms: KeyForms = KeyForms([pair.parent for pair in spec.key], dialect)
        #: The names of the parameters for this transaction and for another id of it.
        self._prefix = spec.prefix
        self._tx, self._new = f"{self._prefix}tx", f"{self._prefix}new"
        self.can_replace: bool = spec.key_is_primary and has_upsert(dialect)
        #: Whether versions have values that are not copied, here or in a table beside it.
        self.has_added: bool = bool(spec.added) or any(each.masked for each in related)
        #: Whether :meth:`.TableWriter.write_and_close` is for the table.
        self.closes_at_once: bool = spec.end_column is not None and has_writable_ctes(dialect)
        #: Whether :meth:`.TableWriter.write_with_end` is.
        self.replaces_ends: bool = (
            has_insert_or_mark(dialect)
            and spec.key_is_primary
            and spec.end_column is not None
            and not spec.operation_column.nullable
        )
        self._is_stamped = spec.is_stamped
        #: Whether new versions have values that are neither of rows nor of a transaction.
        self._has_events: bool = self._is_stamped or bool(spec.variables)
        # See docs/decisions/0007.
        self._looks_apart = locks_what_is_missing(dialect)
        self._ends_apart = self._looks_apart and spec.key_is_primary
        self._dialect = dialect
        self._statements: dict[Any, Any] = {}

    def recorded(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows have a version of this transaction."""
        return self._which(connection, "recorded", keys, tx)

    def undone(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows are as they were before this transaction."""
        if self._looks_apart:
            keys = self._which(connection, "seemingly_undone", keys, tx)
        return self._which(connection, "undone", keys, tx) if keys else []

    def is_overtaken(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of a later transaction."""
        return bool(self._ask(connection, "overtaken", keys, tx))

    def has_earlier(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row has a version of an earlier transaction; locks nothing."""
        return bool(self._ask(connection, "earlier", keys, tx))

    def lacks_versions(self, connection: Connection) -> bool | None:
        """Tell whether some row has no version; of a large table it is ``None``: not looked up."""
        if not has_concurrent_writers(self._dialect):
            # While others write, SQLite lets nobody write who has begun with a look.
            locking = delete(self.spec.version_table).where(false())
            connection.execute(locking, execution_options=OURS)
        statement: Any = self._builder(Style.LIST).lack_of_versions(_MANY + 1)
        row: Any = connection.execute(statement).one()
        count, is_lacking = row
        return None if count > _MANY else bool(is_lacking)

    def unchanged(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows are just like their newest version."""
        if self._looks_apart:
            keys = self._which(connection, "unchanged", keys, tx)
        return self._which(connection, "certainly_unchanged", keys, tx) if keys else []

    def alive(self, connection: Connection, keys: list[Key]) -> list[Key]:
        """Return which rows were there when something was last recorded of them."""
        return self._which(connection, "alive", keys, 0)

    def there(self, connection: Connection, keys: list[Key], tx: int) -> list[Key]:
        """Return which rows that this transaction has recorded are in the parent table."""
        return self._which(connection, "taken", keys, tx)

    def hold(self, connection: Connection, keys: list[Key]) -> None:
        """Keep others from writing rows until the transaction ends."""
        self._ask(connection, "held", keys, 0)

    def is_any_taken(self, connection: Connection, keys: list[Key], tx: int) -> bool:
        """Tell whether some row of the parent table has one of *keys*."""
        return bool(self._ask(connection, "taken", keys, tx))

    def stored_forms(
        self, connection: Connection, keys: list[Key], tx: int, *, are_recorded: bool
    ) -> dict[Key, Key]:
        """Return the forms that the database has of *keys*, those that it has.

        :param are_recorded: look at the versions of this transaction, not at the parent table.
        """
        forms: dict[Key, Key] = {}
        builder = self._builder(Style.ONE)
        for start in range(0, len(keys), _LOOKED_UP):
            part = keys[start : start + _LOOKED_UP]
            statement = builder.stored_forms(part, are_recorded=are_recorded)
            for number, *form in connection.execute(statement, {self._tx: tx}):
                forms[part[number]] = self.forms.as_loaded([bare_key(form)])[0]
        return forms

    # -- running -----------------------------------------------------------------------------

    def _run(
        self,
        connection: Connection,
        what: str | Shape,
        sets: KeySets,
        tx: int,
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> int:
        """Run a statement for *sets*, in chunks where they must be; return the row count.

        :param values: further parameters.
        """
        rows, event = 0, self._event(connection, tx)
        for chunk in sets.chunks():
            parameters = {self._tx: tx, **event, **values, **chunk.parameters()}
            rows += connection.execute(self._statement(what, chunk.style), parameters).rowcount
        return rows

    def _event(self, connection: Connection, tx: int) -> dict[str, Any]:
        """Return the parameters of new versions that are neither of rows nor of a transaction."""
        parameters: dict[str, Any] = {}
        if self._is_stamped:
            parameters[f"{self._prefix}stamp"] = stamp()
        # What was there before is nobody's event.
        if self.spec.variables and tx != BEFORE_RECORDING:
            said = row_values(self.spec.variables, connection)
            parameters |= {f"{self._prefix}said_{key}": value for key, value in said.items()}
        return parameters

    def _ask(self, connection: Connection, what: str, keys: list[Key], tx: int) -> list[Key]:
        found: list[Key] = []
        for chunk in self.keys.sets(keys).chunks():
            parameters = {self._tx: tx, **chunk.parameters()}
            rows = connection.execute(self._statement(what, chunk.style), parameters)
            found.extend(map(bare_key, rows))
        return self.forms.as_loaded(found)

    def _which(self, connection: Connection, what: str, keys: list[Key], tx: int) -> list[Key]:
        """Return those of *keys* that a statement selects, as they are written in *keys*."""
        found = self._ask(connection, what, keys, tx)
        if self.forms.are_certain or not (others := set(found).difference(keys)):
            return found
        asked = [key for key in keys if key not in found]
        forms = self.stored_forms(connection, asked, tx, are_recorded=True)
        unchanged = [key for key in found if key not in others]
        return unchanged + [key for key, form in forms.items() if form in others]

    def _statement(self, what: str | Shape, style: Style = Style.LIST) -> Any:
        """Return a statement, built when it is first needed."""

        def build() -> Executable:
            builder = self._builder(style)
            return builder.image(what) if isinstance(what, Shape) else getattr(builder, what)()

        if isinstance(what, Shape) and any(rows is not None for _, rows in what.added):
            # One of very many, as rows differ in what was set of them.
            return build().execution_options(**OURS)
        return self._kept((what, style), build)

    def _kept(self, name: Any, build: Callable[[], Executable]) -> Any:
        """Return the statement that was built for *name*, marked as ours."""
        statement = self._statements.get(name)
        if statement is None:
            statement = self._statements[name] = build().execution_options(**OURS)
        return statement

    def _builder(self, style: Style) -> StatementBuilder:
        return StatementBuilder(
            self.spec,
            self.related,
            self._dialect,
            style,
            keys_may_vary=not self.forms.are_certain,
        )
