"""Who removes versions, or empties them, does so one after the other.

What is to be done is found out for each table of an object by itself, so nobody else may change in
between what it depends on.  Who records goes on meanwhile.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.orm import Session

from .._typing import mapper_of
from ..database.dialects import has_concurrent_writers
from ..database.sessions import numbering_connection
from ..model.lookup import bind_arguments_of
from ..model.spec import ClassSpec
from ..query.filters import transaction_facts
from ..query.pruning import hold_oldest

__all__ = ["numbering_of", "take_turn", "transactions_of"]


def numbering_of(session: Session, spec: ClassSpec) -> Connection:
    """Return the connection on which the transactions of a class are."""
    return numbering_connection(
        session, mapper_of(spec.transaction_class), [bind_arguments_of(spec)]
    )


def transactions_of(spec: ClassSpec) -> tuple[Table, str]:
    """Return the table of the transactions of a class, and the key of their number."""
    table: Table = spec.transaction_class.__table__
    return table, transaction_facts(spec)["id"]


def take_turn(session: Session, spec: ClassSpec) -> int | None:
    """Wait until nobody else is at it, and let others wait until the transaction ends.

    :returns: the oldest transaction, if there is one.
    """
    connection = numbering_of(session, spec)
    statement, before = hold_oldest(*transactions_of(spec)), None
    oldest: int | None = connection.scalar(statement)
    # Who waited for another who prunes gets what was the oldest then.
    while has_concurrent_writers(connection.dialect) and oldest != before:
        before, oldest = oldest, connection.scalar(statement)
    return oldest
