"""Looking after history that is append-only: what may change it is announced for a statement."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, TextClause, text
from sqlalchemy.exc import DBAPIError

from ..database.dialects import has_statement_triggers
from .native_tables import guards
from .settings import UPKEEP

__all__ = ["build_upkeep", "upkeep"]


@contextmanager
def upkeep(connection: Connection, *tables: Table) -> Generator[None, None, None]:
    """Let a connection change *tables* of history in the block, if anything guards them.

    The database believes it of members of the role that owns them only.
    """
    is_guarded = has_statement_triggers(connection.dialect) and any(
        guard.table is table for table in tables for guard in guards(table.metadata)
    )
    if not is_guarded:
        yield
        return
    connection.execute(build_upkeep())
    try:
        yield
    except DBAPIError:
        # The transaction, or the savepoint, is undone, and what was said with it.
        raise
    except BaseException:
        connection.execute(build_upkeep(is_over=True))
        raise
    connection.execute(build_upkeep(is_over=True))


def build_upkeep(*, is_over: bool = False) -> TextClause:
    """Return the statement that announces it for what follows in the transaction, or ends it."""
    return text(f"SELECT set_config('{UPKEEP}', '{'' if is_over else '1'}', true)")
