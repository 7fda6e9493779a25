"""Running tests once more with asynchronous drivers.

The tests of reading, reverting and flushing run on ``sqlite+aiosqlite`` and ``embedded+asyncpg``
as well, as they are: setup, test and teardown of each run in one greenlet of one event loop, which
is where ``AsyncSession.run_sync()`` puts what an application gives it. What needs a loop there
finds it, and what leaves the greenlet fails with ``MissingGreenlet``.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

#: The asynchronous variants of databases. Other servers would tell nothing new of the drivers.
VARIANTS = {"sqlite": "sqlite+aiosqlite", "embedded": "embedded+asyncpg"}

#: What reads and reverts, and flushes of every kind. Random histories are left out: they take
#: longer than all the rest.
FILES = (
    "build/test_relationships.py",
    "build/test_relationships_collections.py",
    "build/test_relationships_shapes.py",
    "query/test_conditions.py",
    "query/test_history.py",
    "query/test_rows.py",
    "revert/test_columns.py",
    "revert/test_kinds.py",
    "revert/test_links.py",
    "revert/test_references.py",
    "revert/test_relations.py",
    "revert/test_styles.py",
    "revert/test_unique.py",
    "scenarios/test_changed_keys.py",
    "scenarios/test_core_tables.py",
    "scenarios/test_operation_sequences.py",
    "scenarios/test_savepoints.py",
    "scenarios/test_stored_values.py",
    "test_asynchronous.py",
    "changes/test_relations.py",
    "changes/test_changes.py",
    "reading/test_changeset.py",
    "reading/test_collection.py",
    "reading/test_snapshot.py",
    "test_utilities.py",
    "reading/test_version.py",
)

#: The drivers do not care for strategies, so one will do.
STRATEGIES = ("", "validity")

ROOT = Path(__file__).parent
PATHS = {str(ROOT / name) for name in FILES}


def list_variants(path: Path, names: list[str]) -> list[str]:
    """Return the asynchronous variants of databases on which the tests of a file run."""
    if str(path) not in PATHS:
        return []
    return [VARIANTS[name] for name in names if name in VARIANTS]


def is_left_out(item: pytest.Item) -> bool:
    """Tell whether an asynchronous variant has nothing to add to the synchronous one."""
    return is_asynchronous(item) and _parameters(item).get("strategy", "") not in STRATEGIES


def is_asynchronous(item: pytest.Item) -> bool:
    """Tell whether a test runs with an asynchronous driver."""
    return _parameters(item).get("database") in VARIANTS.values()


def _parameters(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec else {}


def run_in_greenlet(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Set up, run and tear down a test in a greenlet of an event loop."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    asyncio.run(greenlet_spawn(runtestprotocol, item, nextitem=nextitem))
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def open_session(engine: Engine, **options: Any) -> Session:
    """Return a session on *engine*: that of an ``AsyncSession``, if the driver is asynchronous."""
    if engine.dialect.is_async:
        return AsyncSession(AsyncEngine(engine), **options).sync_session
    return Session(engine, **options)
