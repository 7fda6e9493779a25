"""Flushes, with what was found out about each until it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.orm import InstanceState, Mapper, Session, UOWTransaction

from .. import _sqlalchemy
from ..database.keys import Key
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..recording.unit_of_work import UnitOfWork
from .cascaded import Cascaded
from .links import LinkTable
from .touched import ClassReader
from .work import Work
from .writes import Write

__all__ = ["Flush"]


class Flush:
    """One flush of one session, from the first that is asked of it to its end."""

    def __init__(self, session: Session, context: UOWTransaction) -> None:
        #: Rows whose loaded versions are no longer true, by hierarchy; ``None`` for all.
        self.touched: list[tuple[Hierarchy, list[Key] | None]] = []
        self.session = session
        self.context = context
        #: The base mappers of which images were taken before rows were deleted.
        self.imaged: set[Mapper[Any]] = set()
        #: The base mappers of which rows were updated, those without versions being looked for.
        self.updated: set[Mapper[Any]] = set()
        #: The rows of base-most tables that it updates or has locked.
        self.held: dict[VersionSpec, set[Key]] = {}
        #: The objects that are deleted and leave their rows to new ones, with the classes of
        #: these, by base mapper.
        self.switched: dict[Mapper[Any], Mapping[InstanceState[Any], ClassSpec]] = {}
        #: What reads the objects that are recorded; ``None`` until that is asked.
        self.readers: Mapping[Mapper[Any], ClassReader] | None = None
        #: The connections that rows are written through, by table.
        self.connections: dict[Any, Connection] = {}
        #: The rows that were to be deleted, by connection and table.
        self.going: dict[tuple[Connection, Table], list[Key]] = {}
        #: Those of them behind which rows may have changed since they were looked up.
        self.moved: set[tuple[Connection, Table]] = set()
        #: How rows of which tables were deleted.
        self.deletions: list[tuple[Connection, Table, ExecutionContext]] = []
        #: What the database does along with it, by connection.
        self.cascaded: dict[Connection, Cascaded] = {}
        #: Rows that were to be deleted and were not there, by table.
        self.absent: dict[VersionSpec, set[Key]] = {}
        #: What happened to rows of association tables.
        self.links: dict[LinkTable, Work] = {}
        #: Attributes that were set to SQL expressions, where that must be known, by object.
        self.expressed: dict[InstanceState[Any], frozenset[str]] = {}
        #: What records it, once there is anything to record.
        self.unit: UnitOfWork | None = None
        #: Whether it wrote what triggers record.
        self.is_left_to_triggers = False
        #: Connections whose triggers were told that statements are of one event.
        self.events: set[Connection] = set()
        #: Whether statements were executed since it began to write that are recorded as well.
        self.is_interrupted = False
        #: Whether it has inserted rows since all were recorded that it had inserted.
        self.has_born = False
        #: Whether any image was taken.
        self.is_imaged = False
        #: Whether the transaction's id may be older than the locks on the rows.
        self.is_early = False

    def without_absent(
        self, statement: Any, sets: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, Sequence[Mapping[str, Any]] | None]:
        """Return a DELETE and its parameters, for no row that was not there to be recorded.

        Another transaction may have added it by then, as another row.
        """
        for spec, keys in self.absent.items():
            if spec.parent_table is statement.table:
                key = [pair.parent for pair in spec.key]
                return Write(key, statement, sets).without(keys)
        return statement, None

    def has_imaged(self, mapper: Mapper[Any] | None) -> bool:
        """Tell whether images of a mapper's rows were taken before."""
        return mapper is not None and mapper.base_mapper in self.imaged

    def born(self) -> dict[VersionSpec, set[Key]]:
        """Return the rows that it has inserted and of which no images were taken, by table."""
        found: dict[VersionSpec, set[Key]] = {}
        standing: dict[VersionSpec, set[Key]] = {}
        for mapper, reader in (self.readers or {}).items():
            if self.has_imaged(mapper):
                continue
            changes = reader.changes(self.context, mapper)
            for spec in reader.spec.tables if changes.inserted or changes.replaced else ():
                found.setdefault(spec, set()).update(changes.inserted)
                # An object that took the place of another has its row.
                standing.setdefault(spec, set()).update(changes.replaced)
        for link, work in self.links.items():
            found.setdefault(link.spec, set()).update(link.made(work))
            standing.setdefault(link.spec, set()).update(work.standing)
        return {spec: keys - standing[spec] for spec, keys in found.items()}

    def kept(self) -> set[tuple[Connection, Table]]:
        """Return where fewer rows were deleted than were to be: triggers keep rows."""
        return {
            (connection, table)
            for connection, table, context in self.deletions
            if _sqlalchemy.has_missed_rows(context)
        }

    def is_due(self, mapper: Mapper[Any]) -> bool:
        """Tell whether images of a mapper's rows are still to be taken."""
        if not self.has_imaged(mapper):
            return True
        return _sqlalchemy.has_post_updates(self.context, mapper)
