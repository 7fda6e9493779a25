"""Versions that nobody can change through a session: the option ``immutable_versions``.

Flushes are refused by listeners on version classes, which end with them; statements by a
:class:`Guard`, before they are executed.  The library's own statements say that they are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from sqlalchemy import Connection, Delete, Insert, Table, Update, event, inspect
from sqlalchemy.orm import Mapper, object_session
from sqlalchemy.sql.dml import UpdateBase

from .. import _sqlalchemy
from ..exc import VersionIsImmutable, VersionIsImmutableDelete, VersionIsImmutableUpdate
from ..model.spec import ClassSpec, VersionSpec
from ..recording.ours import is_ours
from .textual_writes import TextualWrites

__all__ = ["Guard", "guard_versions"]

#: What a statement would do, and the error that refuses it.
_REFUSED: dict[type[Any], tuple[str, type[VersionIsImmutable]]] = {
    Insert: ("insert into", VersionIsImmutable),
    Update: ("update", VersionIsImmutableUpdate),
    Delete: ("delete from", VersionIsImmutableDelete),
}


def guard_versions(spec: ClassSpec) -> None:
    """Refuse flushes that would add, change or delete versions of a class."""
    mapper: Mapper[Any] = inspect(spec.version_class)
    event.listen(mapper, "before_insert", _refuse_insert)
    event.listen(mapper, "before_update", _refuse_update)
    event.listen(mapper, "before_delete", _refuse_delete)


def _refuse_insert(mapper: Mapper[Any], connection: Connection, version: Any) -> None:
    raise VersionIsImmutable(
        f"{version!r} was about to be added, but its class has the option 'immutable_versions', so "
        "that only changes of live objects make versions; expunge it"
    )


def _refuse_update(mapper: Mapper[Any], connection: Connection, version: Any) -> None:
    session = object_session(version)
    if session is not None and not session.is_modified(version, include_collections=False):
        return
    state = inspect(version)
    changed = [each.key for each in state.attrs if each.history.has_changes()]
    raise VersionIsImmutableUpdate(
        f"{version!r} was given another {', '.join(changed)}, but its class has the option "
        "'immutable_versions'; expire or expunge it, and change the live object instead"
    )


def _refuse_delete(mapper: Mapper[Any], connection: Connection, version: Any) -> None:
    raise VersionIsImmutableDelete(
        f"{version!r} was about to be deleted, but its class has the option 'immutable_versions'"
    )


class Guard:
    """Refuses statements that write version tables which nobody may write.

    Each method takes *is_stored*, which tells whether a parent table is in the database that a
    statement is sent to; it is asked where only a name tells that a table is meant.
    """

    def __init__(self) -> None:
        self._specs: dict[Table, VersionSpec] = {}
        self._texts = TextualWrites(())
        #: Whether there is anything to guard.
        self.is_on: bool = False

    def watch(self, specs: Iterable[VersionSpec]) -> None:
        """Guard the version tables of further specs."""
        self._specs.update({spec.version_table: spec for spec in specs})
        self._texts = TextualWrites(self._specs)
        self.is_on = bool(self._specs)

    def clear(self) -> None:
        """Let go of all tables."""
        self._specs.clear()
        self._texts = TextualWrites(())
        self.is_on = False

    def check_statement(
        self, statement: UpdateBase, options: Mapping[str, Any], is_stored: Callable[[Table], bool]
    ) -> None:
        """Refuse an INSERT, UPDATE or DELETE, unless it is ours.

        :param options: the execution options of the statement.
        :raises VersionIsImmutable: if it writes a table that is guarded.
        """
        if is_ours(options):
            return
        for table in _sqlalchemy.written_tables(statement):
            if table in self._specs or self._is_meant(table, is_stored):
                _refuse(statement, table)

    def check_nested(
        self, nested: Iterable[Any], options: Mapping[str, Any], is_stored: Callable[[Table], bool]
    ) -> None:
        """Refuse what statements within another one write; see :meth:`check_statement`."""
        for each in nested:
            if isinstance(each, UpdateBase):
                self.check_statement(each, options, is_stored)

    def check_text(self, text: str, is_stored: Callable[[Table], bool]) -> None:
        """Refuse SQL text that writes a table which is guarded."""
        name = self._texts.find(text)
        for table, spec in self._specs.items() if name is not None else ():
            if str(table.name).lower() == str(name).lower() and is_stored(spec.parent_table):
                raise VersionIsImmutable(
                    f"the text {' '.join(text.split())[:80]!r} would write versions in "
                    f"{table.fullname}, whose class has the option 'immutable_versions'; change "
                    "the live rows, or use sqlalchemy_versioned.maintenance"
                )

    def _is_meant(self, table: Any, is_stored: Callable[[Table], bool]) -> bool:
        """Tell whether a table that is no version table goes by the name of one."""
        place = (getattr(table, "name", None), getattr(table, "schema", None))
        return any(
            (guarded.name, guarded.schema) == place and is_stored(spec.parent_table)
            for guarded, spec in self._specs.items()
        )


def _refuse(statement: UpdateBase, table: Any) -> NoReturn:
    verb, error = next(each for kind, each in _REFUSED.items() if isinstance(statement, kind))
    raise error(
        f"a statement would {verb} {table.name}, whose versions are of a class with the option "
        "'immutable_versions'; change the live rows, or use sqlalchemy_versioned.maintenance"
    )
