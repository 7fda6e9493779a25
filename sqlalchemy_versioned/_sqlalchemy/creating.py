"""``create_all()`` and ``drop_all()`` while they run, for those whom events tell of them.

What makes or drops the tables is the ``_ddl_runner`` of these events.
"""

# pyright: reportPrivateUsage=false
# Private names of SQLAlchemy are what this package is for.

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from sqlalchemy import Table
from sqlalchemy.schema import sort_tables

__all__ = [
    "create_tables",
    "drop_tables",
    "has_named_tables",
    "late_listeners",
    "tables_to_create",
    "tables_to_drop",
]


def has_named_tables(runner: Any) -> bool:
    """Tell whether somebody has said which tables to make or drop.  Uses ``tables``."""
    return runner.tables is not None


def tables_to_create(runner: Any, tables: Collection[Table]) -> list[Table]:
    """Return which of some further tables are to be made, those first that others refer to.

    Uses ``_can_create_table()``, which looks whether they are there if it is told to.
    """
    further = _further(runner, tables)
    return [table for table in sort_tables(tables) if further._can_create_table(table)]


def tables_to_drop(runner: Any, tables: Collection[Table]) -> list[Table]:
    """Return which of some further tables are to be dropped, those last that others refer to.

    Uses ``_can_drop_table()``.
    """
    further = _further(runner, tables)
    return [table for table in reversed(sort_tables(tables)) if further._can_drop_table(table)]


def create_tables(runner: Any, tables: Iterable[Table]) -> None:
    """Make further tables, in their order, as the run makes its own.

    Uses ``visit_table()`` as ``visit_metadata()`` does.
    """
    for table in tables:
        runner.traverse_single(table, create_ok=True, _is_metadata_operation=True)


def drop_tables(runner: Any, tables: Iterable[Table]) -> None:
    """Drop further tables, in their order, as the run drops its own.

    Uses ``visit_table()`` as ``visit_metadata()`` does.
    """
    for table in tables:
        runner.traverse_single(table, drop_ok=True, _is_metadata_operation=True)


def _further(runner: Any, tables: Collection[Table]) -> Any:
    # Since SQLAlchemy 2.1 a runner looks only for the tables that it has listed at its start.
    kind: Any = runner.__class__
    return kind(runner.dialect, runner.connection, runner.checkfirst, list(tables))


def late_listeners(heard: Any, now: Any) -> list[Callable[..., Any]]:
    """Return those who do not hear of an event because they listen only since it has begun.

    Uses that the first listener of an object gives it another collection than it had.

    :param heard: where they were when it began, such as ``target.dispatch.before_drop``.
    :param now: where they are now.
    """
    return [] if now is heard else list(now.listeners)
