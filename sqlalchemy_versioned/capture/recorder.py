"""What those who notice writes are told of tables, and what they ask of who records them.

:mod:`.session_recorder` records; :mod:`.capture` notices statements and knows nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Table
from sqlalchemy.orm import Session

from ..database.keys import Key
from ..model.operation import Operation
from ..model.spec import Hierarchy, VersionSpec
from ..recording.changes import Changes

__all__ = ["Recorder", "Target", "UnrecordedWrite", "add_values", "changes_of_update"]


class UnrecordedWrite(UserWarning):
    """A write to a versioned table was let through without being recorded, by ``capture="warn"``.

    >>> import warnings
    >>> warnings.simplefilter("error", UnrecordedWrite)
    """


@dataclass(frozen=True, slots=True)
class Target:
    """A versioned table, and what is done about writes to it that cannot be recorded."""

    hierarchy: Hierarchy
    spec: VersionSpec
    #: Tells whether the table is recorded, now.
    is_on: Callable[[], bool]
    #: ``'raise'``, ``'warn'`` or ``'ignore'``.
    policy: str

    def specs(self) -> list[VersionSpec]:
        """Return the tables in which a change of a row makes a version, base-most first."""
        related = (self.spec, *self.hierarchy.related(self.spec))
        return [spec for spec in self.hierarchy.tables if spec in related]

    def specs_above(self) -> list[VersionSpec]:
        """Return the tables of superclasses, of which rows stay when those of this one go."""
        return self.hierarchy.above(self.spec)

    def specs_of_row(self) -> list[VersionSpec]:
        """Return the tables of which rows go when those of this one go."""
        specs = self.specs()
        return specs[specs.index(self.spec) :]


class Recorder(Protocol):
    """Writes versions in the transaction of a session."""

    def session_of(self, connection: Connection) -> Session | None:
        """Return the session that a connection is recorded in, or ``None`` if it is not."""
        ...

    def is_paused(self, session: Session) -> bool:
        """Tell whether nothing is recorded in a session at present."""
        ...

    def is_stored_on(self, session: Session, connection: Connection, table: Table) -> bool:
        """Tell whether a connection may lead to the database that has a versioned table."""
        ...

    def prepare(self, session: Session, connection: Connection, spec: VersionSpec | None) -> None:
        """Refuse what could not be recorded because of what is said of it.

        :param spec: the table that is about to be written, if it is versioned.
        """

    def record(
        self,
        session: Session,
        connection: Connection,
        hierarchy: Hierarchy,
        changes: Mapping[VersionSpec, Changes],
        *,
        locks: bool,
        written: VersionSpec | None = None,
    ) -> Mapping[VersionSpec, set[Key]]:
        """Write the versions of what a statement has changed, or is going to delete.

        :param written: the table whose rows were changed, if that is one; others tell along.
        :returns: rows that were to be deleted and are not there, by table.
        """
        ...

    def noting(self, connection: Connection) -> AbstractContextManager[None]:
        """Let a transaction not be committed if the block fails, which goes on with recording."""
        ...

    def record_rows(
        self,
        session: Session,
        connection: Connection,
        spec: VersionSpec,
        operation: Operation,
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """Write versions of rows of a table without a key.

        :param rows: what they hold, by the key of the version column.
        """

    def keep_first_state(
        self, connection: Connection, hierarchy: Hierarchy, keys: Mapping[VersionSpec, list[Key]]
    ) -> None:
        """Write versions of rows that have none, before they are changed for the first time."""

    def may_lack_versions(self, connection: Connection, spec: VersionSpec) -> bool:
        """Tell whether some row of a table may have no version."""
        ...

    def added_values(
        self, specs: Sequence[VersionSpec], columns: Collection[Column[Any]], operation: Operation
    ) -> Mapping[str, Any]:
        """Return the values of columns that are no copies, for the rows that a statement writes.

        :param specs: the tables in which it makes versions.
        :param columns: the columns of parent tables that it sets.
        """
        ...

    def split_upserted(
        self, session: Session, connection: Connection, spec: VersionSpec, keys: list[Key]
    ) -> tuple[list[Key], list[Key]]:
        """Tell rows that were new from rows that were there."""
        ...


def add_values(
    recorder: Recorder,
    specs: Sequence[VersionSpec],
    changes: Mapping[VersionSpec, Changes],
    *,
    given: Collection[Column[Any]] = (),
    changed: Collection[Column[Any]] = (),
) -> None:
    """Find the values of columns that are no copies, the same for all rows of a kind.

    :param given: the columns that were set of rows that are new.
    :param changed: those that were set of rows that were there.
    """
    if not any(spec.added for spec in specs):
        return
    for each in changes.values():
        for keys, columns, operation in (
            (each.inserted, given, Operation.INSERT),
            (each.updated, changed, Operation.UPDATE),
            (each.deleted, (), Operation.DELETE),
        ):
            if keys and (values := recorder.added_values(specs, columns, operation)):
                each.added |= dict.fromkeys(keys, values)


def changes_of_update(moved: Mapping[Key, Key]) -> Changes:
    """Return the changes of an UPDATE, by the keys that rows had and have now."""
    stayed = [key for key, now in moved.items() if key is now or key == now]
    if len(stayed) == len(moved):
        return Changes(updated=stayed, doubtful=set(stayed))
    return Changes(
        inserted=[now for key, now in moved.items() if key != now],
        updated=stayed,
        departed=[key for key, now in moved.items() if key != now],
        doubtful=set(stayed),
    )
