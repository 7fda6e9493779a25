"""What the triggers of a database consist of, made and removed in the order in which it is used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.schema import ExecutableDDLElement

from .ddl import build_creation, build_removal
from .guards import GuardSpec, build_guard_creation, build_guard_removal
from .native_tables import guards, transaction_specs, trigger_specs
from .schemas import default_schema, is_mock
from .spec import TransactionSpec, TriggerSpec
from .transaction_ddl import build_transaction_creation, build_transaction_removal
from .virtual import check_columns

__all__ = ["Installation", "execute", "installation_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is made, or removed, together."""

    #: Whose functions all others call.
    transactions: Collection[TransactionSpec] = ()
    tables: Collection[TriggerSpec] = ()
    guards: Collection[GuardSpec] = ()

    def creation(self, schema: str | None) -> Iterator[ExecutableDDLElement]:
        """Yield the statements that make it, or renew what is there.

        :param schema: where tables are that name none.
        """
        for transaction in self.transactions:
            yield from build_transaction_creation(transaction, default_schema=schema)
        for spec in self.tables:
            yield from build_creation(spec, default_schema=schema)
        for guard in self.guards:
            yield from build_guard_creation(guard, default_schema=schema)

    def removal(self, schema: str | None) -> Iterator[ExecutableDDLElement]:
        """Yield the statements that remove it.

        :param schema: where tables are that name none.
        """
        for spec in self.tables:
            yield from build_removal(spec, default_schema=schema)
        for guard in self.guards:
            yield from build_guard_removal(guard, default_schema=schema)
        for transaction in self.transactions:
            yield from build_transaction_removal(transaction, default_schema=schema)

    def create(self, connection: Connection) -> None:
        """Make it in a database.

        :raises ImproperlyConfigured: if a version would keep what is computed when it is read.
        """
        if not is_mock(connection):
            # Two who replace a function at once are not made to wait: one of them fails.
            lock = "SELECT pg_advisory_xact_lock(hashtext('sqlalchemy_versioned'))"
            connection.execute(text(lock))
        schema = default_schema(connection)
        for spec in self.tables:
            check_columns(connection, spec, schema)
        execute(connection, self.creation(schema))


def installation_of(metadata: MetaData) -> Installation:
    """Return all that a ``MetaData`` needs."""
    return Installation(
        transactions=transaction_specs(metadata),
        tables=trigger_specs(metadata),
        guards=guards(metadata),
    )


def execute(connection: Connection, elements: Iterable[ExecutableDDLElement]) -> None:
    """Execute statements, one after the other."""
    for element in elements:
        connection.execute(element)
