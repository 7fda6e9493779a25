"""Classes that plugins map beside the Transaction class, and take away again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Table, Unicode, inspect
from sqlalchemy.orm import Mapper, relationship
from sqlalchemy.sql.schema import BLANK_SCHEMA

from .. import _sqlalchemy
from .._typing import find_mapper
from ..build.classes import build_mapped_class, displace, forget_mapped_class, place_beside
from ..build.transaction import forget_transaction_table
from ..database.sessions import numbering_connection
from ..exc import ImproperlyConfigured
from ..hooks import Plugin
from ..model.naming import name_indexes

__all__ = ["ModelPlugin", "exact_text"]


def exact_text() -> Unicode:
    """Return the type of texts that are keys, and so differ by case on every database."""
    exact = Unicode(255, collation="utf8mb4_bin")
    return Unicode(255).with_variant(exact, "mysql", "mariadb")


class ModelPlugin(Plugin):
    """A plugin with a class of its own, whose objects belong to transactions.

    :param table_name: the name of its table, for applications that have one of the usual name.
    """

    is_single = True
    #: The name of the class.
    name = ""
    table_name: str = ""
    #: The relationship of the Transaction class by which applications write the objects, if they
    #: do; :meth:`attach` adds it.
    written_as: str | None = None

    def __init__(self, table_name: str | None = None) -> None:
        self.table_name: str = type(self).table_name if table_name is None else table_name
        given: Any = self.table_name
        if not isinstance(given, str) or not given:
            raise ImproperlyConfigured(
                f"table_name of {type(self).__name__} is {given!r}; give the name of a table"
            )
        #: The class, once mappers are configured.
        self.model_class: Any = None
        self.manager: Any = None
        self._table: Any = None
        #: The Transaction class, and what the plugin has added to it.
        self._transaction_class: Any = None
        self._attached: list[str] = []

    # -- what a plugin says --------------------------------------------------------------------

    def build_columns(self, transaction: Mapper[Any]) -> list[Column[Any]]:
        """Return the columns of the table."""
        raise NotImplementedError

    def attach(self, same: Any) -> None:
        """Add to the Transaction class what leads to the objects, by :meth:`add_property`."""

    @property
    def history_tables(self) -> tuple[Table, ...]:
        """The table, which belongs to the history of its transactions."""
        return () if self._table is None else (self._table,)

    # -- building ------------------------------------------------------------------------------

    def after_build_tx_class(self, manager: Any) -> None:
        """Map the class, once."""
        if self.manager is manager:
            return
        if self.manager is not None:
            raise ImproperlyConfigured(
                f"{self!r} is a plugin of two managers; give each manager one of its own"
            )
        transaction: Mapper[Any] = inspect(manager.transaction_cls)
        table = self._table = self._build_table(transaction)
        self.manager, self._transaction_class = manager, manager.transaction_cls
        same = table.c.transaction_id == transaction.primary_key[0]
        self.model_class = build_mapped_class(
            self.name,
            bases=self.bases(),
            declarative_base=manager.declarative_base,
            registry=transaction.registry,
            table=table,
            properties={"transaction": self._to_transaction(table, same)},
            module=__name__,
        )
        place_beside(self.model_class, manager.transaction_cls, attribute=f"__{self.table_name}__")
        self.attach(same)

    def bases(self) -> tuple[type[Any], ...]:
        """Return the bases of the class, beside the declarative base."""
        return (object,)

    def _to_transaction(self, table: Table, same: Any) -> Any:
        """Let an object know its transaction."""
        back: dict[str, Any] = {"viewonly": True}
        if self.written_as is not None:
            back = {"back_populates": self.written_as}
        return relationship(
            self._transaction_class,
            primaryjoin=same,
            foreign_keys=[table.c.transaction_id],
            **back,
        )

    def _build_table(self, transaction: Mapper[Any]) -> Table:
        beside = transaction.local_table
        assert isinstance(beside, Table)
        key = self.table_name if beside.schema is None else f"{beside.schema}.{self.table_name}"
        if key in beside.metadata.tables:
            raise ImproperlyConfigured(
                f"There is a table {key!r} already, and {type(self).__name__} needs one of its "
                "own; give it another 'table_name'"
            )
        columns = self.build_columns(transaction)
        schema = beside.schema or BLANK_SCHEMA
        table = Table(self.table_name, beside.metadata, *columns, schema=schema)
        name_indexes(table)
        return table

    def add_property(self, key: str, prop: Any) -> None:
        """Give the Transaction class a relationship."""
        self.check_free(key)
        inspect(self._transaction_class).add_property(key, prop)
        self._attached.append(key)

    def check_free(self, key: str) -> None:
        """Refuse a Transaction class that has an attribute of the name."""
        if hasattr(self._transaction_class, key):
            raise ImproperlyConfigured(
                f"{self._transaction_class.__name__} has an attribute {key!r} already, and "
                f"{type(self).__name__} needs it; rename that of the Transaction class"
            )

    def before_take_apart(self, manager: Any) -> None:
        """Take the class and all that leads to it away."""
        cls, transaction_class = self.model_class, self._transaction_class
        table, attached, self._attached = self._table, self._attached, []
        self.model_class = self._table = self.manager = self._transaction_class = None
        if table is None:
            return
        forget_transaction_table(table)
        if cls is None:
            return
        transaction = find_mapper(transaction_class, raiseerr=False)
        if transaction is not None:
            for key in attached:
                _sqlalchemy.remove_property(transaction, key)
        displace(cls, transaction_class, attribute=f"__{self.table_name}__")
        mapper = find_mapper(cls, raiseerr=False)
        if mapper is not None:
            forget_mapped_class(cls, mapper.registry)

    def read_again(self, session: Any, number: int, key: str) -> None:
        """Let a transaction that is loaded read what leads to the objects again."""
        mapper: Mapper[Any] = inspect(self._transaction_class)
        known = session.identity_map.get(mapper.identity_key_from_primary_key((number,)))
        if known is not None and key in inspect(known).dict:
            session.expire(known, [key])

    def connection(self, session: Any) -> Connection:
        """Return the connection on which the transactions of a session are numbered."""
        mapper: Mapper[Any] = inspect(self._transaction_class)
        return numbering_connection(session, mapper, self.manager.bind_arguments())
