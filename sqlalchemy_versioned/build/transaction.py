"""The Transaction class: one row for each transaction that wrote something versioned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, Column, Index, MetaData, Sequence, String, Table, and_, inspect
from sqlalchemy.orm import Mapper, registry, relationship

from .. import _sqlalchemy
from .._typing import find_mapper, mapper_of
from ..exc import ImproperlyConfigured
from ..model.lookup import MANAGER
from ..model.mapping import USER_IS_SAID
from ..model.naming import cut_name, name_indexes
from ..recording.stamps import utc_now
from .classes import build_mapped_class
from .columns import UTCDateTime, transaction_id_type
from .transaction_base import TransactionBase
from .transaction_copies import check_place

__all__ = [
    "ADDRESS_LENGTH",
    "TransactionFactory",
    "UTCDateTime",
    "forget_transaction_table",
]

#: How many characters ``remote_addr`` holds: any address, with a zone of usual length.
ADDRESS_LENGTH = 50


class TransactionFactory:
    """Makes the Transaction class of a manager; subclass it to make another one.

    :param remote_addr: whether the class has a ``remote_addr``.
    :param name: the name of the class.
    :param table_name: the name of its table, for applications that have a ``transaction`` of
        their own.

    >>> TransactionFactory(table_name="audit_transaction").table_name
    'audit_transaction'
    """

    def __init__(
        self,
        remote_addr: bool = True,
        *,
        name: str = "Transaction",
        table_name: str = "transaction",
    ) -> None:
        self.remote_addr = remote_addr
        self.name = name
        self.table_name = table_name

    def __call__(self, manager: Any) -> type[Any]:
        """Return the Transaction class of *manager*, made by :meth:`create_class`."""
        cls = self.create_class(manager)
        if MANAGER not in vars(cls):
            setattr(cls, MANAGER, manager)
        return cls

    def create_class(self, manager: Any) -> type[Any]:
        """Make and map the class.

        :param manager: has ``declarative_base``, the base of the models, their ``registry`` and
            ``metadata``, ``user_cls``, ``context_columns``, which are new columns,
            ``begun_transaction_table``, if there is a table by now, and ``objects_name_users``.
        """
        reg = manager.registry
        # What may be missing or wrong is looked for first, so that nothing is left if it is.
        user_class, further = _user_class(manager.user_cls, reg), manager.context_columns
        table = manager.begun_transaction_table
        if table is None:
            table = self.build_table(manager.metadata, further)
        properties: dict[str, Any] = {}
        if user_class is not None:
            users = _user_columns(user_class)
            for column in further:
                _check_free(column, table, {"user", *(each.key for each in users)})
            properties["user"] = _attach_user(table, user_class, users)
        if manager.objects_name_users:
            table.append_column(Column(USER_IS_SAID, Boolean()), replace_existing=True)
        return build_mapped_class(
            self.name,
            bases=(TransactionBase,),
            declarative_base=manager.declarative_base,
            registry=reg,
            table=table,
            properties=properties,
            module=__name__,
        )

    def build_table(self, metadata: MetaData, further: Iterable[Column[Any]] = ()) -> Table:
        """Make the table of the class, without what refers to users.

        :param further: columns for what transactions are to keep of the context.
        """
        name, schema = self.table_name, metadata.schema
        check_place(name if schema is None else f"{schema}.{name}", metadata)
        columns: list[Column[Any]] = [
            Column(
                "id",
                transaction_id_type(),
                _id_sequence(name, metadata),
                primary_key=True,
                autoincrement=True,
            ),
            Column("issued_at", UTCDateTime(), default=utc_now),
        ]
        if self.remote_addr:
            columns.append(Column("remote_addr", String(ADDRESS_LENGTH)))
        # Pages of changes are read from its end, and moments are looked up in it.
        table = Table(name, metadata, *columns, Index(None, "issued_at", "id"))
        for column in further:
            _check_free(column, table, {key for each in table.c for key in (each.key, each.name)})
            table.append_column(column)
        name_indexes(table)
        return table


def _id_sequence(table_name: str, metadata: MetaData) -> Sequence:
    return Sequence(cut_name(f"{table_name}_id_seq"), metadata=metadata)


def _user_class(said: Any, reg: registry) -> type[Any] | None:
    """Return the user class: *said*, the one of that name, or by default ``User`` if mapped."""
    if not said:
        return None
    if not isinstance(said, (str, DefaultName)):
        if not isinstance(said, type) or find_mapper(said, raiseerr=False) is None:
            raise _no_user_class(said, "which is no mapped class")
        return said
    found = _sqlalchemy.named_class(reg, str(said))
    if found is None and isinstance(said, str):
        raise _no_user_class(said, "and no mapped class has that name")
    return found


def _no_user_class(said: Any, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"user_cls is {said!r}, {why}; give the class, the name of a mapped one, or None"
    )


class DefaultName:
    """A class name that need not exist."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{self.name!r} if there is one"


def _user_columns(user_class: type[Any]) -> list[Column[Any]]:
    """Return what refers to a user: ``user_id``, or for a key of several columns one for each."""
    mapper: Mapper[Any] = inspect(user_class)
    keys = list(mapper.primary_key)
    # As other libraries call it, whatever the key of users is called.
    names = ["user_id"]
    if len(keys) > 1:
        names = [f"user_{mapper.get_property_by_column(key).key}" for key in keys]
    pairs = zip(names, keys, strict=True)
    return [Column(name, key.type, index=name == names[0]) for name, key in pairs]


def _attach_user(table: Table, user_class: type[Any], columns: list[Column[Any]]) -> Any:
    """Add columns that refer to a user, and return the relationship."""
    for column in columns:
        # They may be there since an attempt that failed.
        table.append_column(column, replace_existing=True)
    name_indexes(table)
    keys = mapper_of(user_class).primary_key
    # There is no foreign key: users go, and who has written what stays known.
    same = [column == key for column, key in zip(columns, keys, strict=True)]
    return relationship(user_class, primaryjoin=and_(*same), foreign_keys=columns)


def _check_free(column: Column[Any], table: Table, taken: set[str]) -> None:
    """Refuse a further column that is called like something transactions have."""
    if hasattr(TransactionBase, column.key) or taken.intersection((column.key, column.name)):
        forget_transaction_table(table)
        raise ImproperlyConfigured(
            f"make_versioned() asks for a column {column.name!r} of transactions, which have "
            f"{column.key!r} already; call it something else"
        )


def forget_transaction_table(table: Table) -> None:
    """Take a transaction table, and the sequence of its ids, out of its ``MetaData``."""
    table.metadata.remove(table)
    for column in table.primary_key.columns:
        if isinstance(column.default, Sequence):
            _sqlalchemy.forget_sequence(table.metadata, column.default)
