"""What all units of work of a manager share, and the session behind what applications hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from . import _sqlalchemy
from .exc import ImproperlyConfigured
from .hooks import PluginCollection
from .spec import VersionSpec
from .writer import TableWriter

__all__ = ["Surroundings", "sync_session"]


def sync_session(session: Any) -> Session:
    """Return the session behind a scoped or asynchronous one.

    :raises ImproperlyConfigured: if *session* is no session.
    """
    if isinstance(session, Session):
        return session
    # Known by what they have: importing sqlalchemy.ext.asyncio needs greenlet, which
    # synchronous applications do without.
    found = session() if hasattr(session, "registry") else session
    found = getattr(found, "sync_session", found)
    if not isinstance(found, Session):
        raise ImproperlyConfigured(
            f"{session!r} is no session; give a Session, a scoped_session or an AsyncSession"
        )
    return found


class Surroundings:
    """What all units of work of a manager share.

    :param transaction_class: returns the Transaction class.
    :param plugins: returns the plugins.
    :param versioned: returns the versioned classes, of which the first that a session has a
        database for tells where transactions are numbered, if the Transaction class has none.
    """

    def __init__(
        self,
        *,
        transaction_class: Callable[[], type[Any]],
        plugins: Callable[[], PluginCollection],
        versioned: Callable[[], Iterable[type[Any]]],
    ) -> None:
        self.transaction_class = transaction_class
        self.plugins = plugins
        self.versioned = versioned
        # By engine, so that they go with it.
        self._writers: WeakKeyDictionary[Engine, dict[Any, TableWriter]] = WeakKeyDictionary()

    def writer(
        self, spec: VersionSpec, related: tuple[VersionSpec, ...], connection: Connection
    ) -> TableWriter:
        """Return the writer of a table, which keeps its statements."""
        writers = self._writers.setdefault(_sqlalchemy.root_engine(connection), {})
        writer = writers.get((spec, related))
        if writer is None:
            writer = TableWriter(spec, related, connection.dialect)
            writers[spec, related] = writer
        return writer

    def forget(self) -> None:
        """Drop the writers."""
        self._writers.clear()
