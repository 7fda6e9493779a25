"""Where transactions are at home: the Transaction class of a manager, its table, and its copies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from .._typing import mapper_of
from ..exc import ImproperlyConfigured
from .classes import place_beside
from .context_columns import check_columns
from .registry import TRANSACTION_CLASS, Registry
from .transaction import forget_transaction_table
from .transaction_copies import extend_transaction_table

__all__ = ["check_transaction_class", "first_class_in", "settle_transaction_class"]


def first_class_in(metadata: MetaData) -> Mapper[Any] | None:
    """Return the first mapper of a table of *metadata*, or ``None``."""
    for mapper in _sqlalchemy.all_mappers():
        table = mapper.local_table
        if isinstance(table, Table) and table.metadata is metadata:
            return mapper
    return None


def settle_transaction_class(
    registry: Registry, cls: type[Any], *, owner: type[Any] | None
) -> bool:
    """Note the Transaction class that was made, and let tables follow that were there before it.

    :param owner: a class, beside which it is placed.
    :returns: whether tables have another transaction table now.
    """
    registry.transaction_class, registry.makes_transactions = cls, True
    if owner is not None:
        place_beside(cls, owner, attribute=TRANSACTION_CLASS)
        registry.transaction_owner = owner
    home, known = registry.transaction_table, registry.transaction_tables
    begun = known.get(home.metadata, home)
    known[home.metadata] = home
    for table in known.values():
        extend_transaction_table(table, home)
    if begun is home:
        return False
    forget_transaction_table(begun)
    for hierarchy in registry.cores.values():
        hierarchy.root.follow_transactions(begun, home)
    return True


def check_transaction_class(
    cls: type[Any], columns: Iterable[Column[Any]], *, needs_user: bool
) -> None:
    """Refuse a Transaction class that cannot keep what options ask for.

    :param columns: what it must have.
    :param needs_user: whether users must be kept.
    :raises ImproperlyConfigured: if it cannot.
    """
    check_columns(cls, columns)
    if needs_user and not {"user", "user_id"} & set(mapper_of(cls).attrs.keys()):
        raise ImproperlyConfigured(
            f"make_versioned() has a current_user, and {cls.__name__} no place for users; give "
            "it a user_cls, or transaction_columns=[Column('user_id', …)]"
        )
