"""Putting right what is wrong about the triggers of a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import MetaData

from .binds import connection_of
from .check import TriggerFault, TriggerState, check_triggers
from .ddl import DropByName
from .install import install_triggers
from .native_tables import check_metadata

__all__ = ["sync_triggers"]


def sync_triggers(metadata: MetaData, bind: Any) -> list[TriggerFault]:
    """Let a database have the triggers that the models ask for, and none that are left over.

    Where nothing is wrong nothing is done, so it can be called whenever an application has
    migrated.  What is left over of other ``MetaData`` stays.

    :param metadata: the ``MetaData`` of the tables, which are there.
    :param bind: an engine, a connection or a session, whose transaction is left open.
    :returns: what was wrong, as :func:`check_triggers` tells it.
    :raises ImproperlyConfigured: if no table of it is recorded by triggers, or the database is not
        PostgreSQL.

    >>> sync_triggers(blog.metadata, session)
    Traceback (most recent call last):
    sqlalchemy_versioned.exc.ImproperlyConfigured: no table of this MetaData is recorded by...
    """
    check_metadata(metadata)
    with connection_of(bind) as connection:
        faults = check_triggers(metadata, connection)
        if faults:
            install_triggers(metadata, connection)
            # What is installed may have taken some of them off.
            for element in _removal(check_triggers(metadata, connection)):
                connection.execute(element)
    return faults


def _removal(faults: Iterable[TriggerFault]) -> Iterator[DropByName]:
    """Yield what removes triggers that are left over, and then their functions."""
    left = [fault for fault in faults if fault.state is TriggerState.ORPHAN]
    for fault in sorted(left, key=lambda each: each.table is None):
        yield DropByName(fault.schema, fault.name, fault.table)
