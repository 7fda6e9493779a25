"""What a manager does for sessions and engines, which it records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session

from ..capture.tracking import Tracker
from ..exc import ImproperlyConfigured
from ..model.spec import Hierarchy, VersionSpec
from ..recording.changes import Changes
from ..recording.unit_of_work import UnitOfWork
from .overview import Overview

__all__ = ["RecordedSessions"]


class RecordedSessions(Overview):
    """What of a manager is about sessions and engines; the manager itself puts it together."""

    _tracker: Tracker
    #: Whose sessions are recorded.
    _sessions: list[Any]

    def unit_of_work(self, session: Any) -> UnitOfWork:
        """Return the unit of work of a session's current transaction.

        :param session: a Session, a ``scoped_session`` or an ``AsyncSession``.

        >>> versioning_manager.unit_of_work(session)
        <UnitOfWork without a transaction>
        """
        return self._tracker.unit_of_work(session)

    def record_engine(self, engine: Any) -> None:
        """Record what any connection of *engine* writes, also those that no session has.

        Needed where an engine is used without sessions, or only with sessions that were not named
        to :func:`.make_versioned`; the engines of the others are found when they begin.

        :param engine: an ``Engine`` or an ``AsyncEngine``.
        :raises ImproperlyConfigured: if it is neither.

        >>> versioning_manager.record_engine(engine)
        """
        found = getattr(engine, "sync_engine", engine)
        if not isinstance(found, Engine):
            raise ImproperlyConfigured(f"{engine!r} is no engine; give an Engine or an AsyncEngine")
        self._tracker.record_engine(found)

    def record_changes(
        self,
        session: Session,
        connection: Connection,
        hierarchy: Hierarchy,
        changes: Mapping[VersionSpec, Changes],
    ) -> None:
        """Record changes that somebody has made behind its back, as of the current transaction."""
        self._tracker.record(session, connection, hierarchy, changes)

    def look_again(self) -> None:
        """Find out anew, at the next flushes, which tables have rows without versions.

        That is looked up once in a process, so call it after rows were written unrecorded: by
        another program, or inside of :class:`.paused`.

        >>> versioning_manager.look_again()
        """
        self._surroundings.look_again()

    def _listen_to(self, sessions: Any) -> None:
        try:
            self._tracker.listen_to_sessions(sessions)
        # The former is what has events of another kind, such as an engine.
        except (AttributeError, InvalidRequestError) as error:
            raise ImproperlyConfigured(
                f"session is {sessions!r}; give Session for all, a class derived from it, a "
                "sessionmaker, a scoped_session or a session"
            ) from error
        self._sessions.append(sessions)
