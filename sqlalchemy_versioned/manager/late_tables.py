"""Version tables that are not there yet when ``create_all()`` or ``drop_all()`` is called.

SQLAlchemy lists the tables of a ``MetaData`` before it tells anybody what it is about to do, and
version tables are made when mappers are configured.  Where they wait for that, it is done then, and
the tables that come of it are made, or dropped, in the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.exc import SQLAlchemyError

from .. import _sqlalchemy
from ..exc import ImproperlyConfigured

__all__ = ["LateTables"]


class LateTables:
    """Lets ``create_all()`` and ``drop_all()`` know the version tables of one manager.

    :param awaits: tells whether something is versioned in a ``MetaData`` that is not built yet.
    :param build: builds everything.
    """

    def __init__(self, *, awaits: Callable[[MetaData], bool], build: Callable[[], None]) -> None:
        self._awaits = awaits
        self._build = build

    @property
    def listeners(self) -> list[tuple[Any, str, Any]]:
        """What is to be listened to, while the manager is on, and by what."""
        return [
            (MetaData, "before_create", self._before_create),
            (MetaData, "after_create", self._after_create),
            (MetaData, "before_drop", self._before_drop),
        ]

    def _before_create(
        self, metadata: MetaData, _: Connection, *, tables: list[Table], _ddl_runner: Any, **kw: Any
    ) -> None:
        came = self._tables_that_come(metadata, _ddl_runner, called="create_all()")
        late = _sqlalchemy.tables_to_create(_ddl_runner, came)
        # Listeners of the MetaData hear of all, and schemas that they make are there before.
        tables.extend(late)
        _ddl_runner.memo[self] = late

    def _after_create(self, *_: Any, _ddl_runner: Any, **kw: Any) -> None:
        # They may refer to others, and nothing that was listed can refer to them.
        _sqlalchemy.create_tables(_ddl_runner, _ddl_runner.memo.pop(self, ()))

    def _before_drop(
        self,
        metadata: MetaData,
        connection: Connection,
        *,
        tables: list[Table],
        _ddl_runner: Any,
        **kw: Any,
    ) -> None:
        heard = metadata.dispatch.before_drop
        came = self._tables_that_come(metadata, _ddl_runner, called="drop_all()")
        late = _sqlalchemy.tables_to_drop(_ddl_runner, came)
        tables[:0] = late
        for listener in _sqlalchemy.late_listeners(heard, metadata.dispatch.before_drop):
            listener(metadata, connection, tables=tables, _ddl_runner=_ddl_runner, **kw)
        _sqlalchemy.drop_tables(_ddl_runner, late)

    def _tables_that_come(self, metadata: MetaData, runner: Any, *, called: str) -> list[Table]:
        """Build what is awaited, and return the tables that this adds to a ``MetaData``.

        :raises ImproperlyConfigured: if it cannot be built.
        """
        # Whoever names tables wants these and no others.
        if _sqlalchemy.has_named_tables(runner) or not self._awaits(metadata):
            return []
        listed = set(metadata.tables.values())
        try:
            self._build()
        except SQLAlchemyError as error:
            raise ImproperlyConfigured(
                f"{called} is for version tables, too, and these are made when mappers are "
                f"configured, which has failed: {error}; declare or import all models before, or "
                f"name the tables that it is for, by tables=[…]"
            ) from error
        there = list(metadata.tables.values())
        if gone := listed.difference(there):
            raise ImproperlyConfigured(
                f"{called} has listed {', '.join(sorted(t.fullname for t in gone))}, in place of "
                "which there is another table since mappers are configured; call it again"
            )
        return [table for table in there if table not in listed]
