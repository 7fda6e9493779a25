"""Which rows one flush has touched: its objects, as SQLAlchemy registered them, and its links.

Questions only: nothing here listens, decides or writes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Table,
    Update,
    select,
    tuple_,
)
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.orm import InstanceState, Mapper, Session, UOWTransaction

from .. import _sqlalchemy
from .._typing import new_dict, new_set
from ..database.keys import Key, bare_key, key_values
from ..hooks import Plugin, PluginCollection
from ..model.operation import Operation
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..recording.changes import Changes
from ..recording.unit_of_work import UnitOfWork
from .cascaded import Cascaded
from .touched import ClassReader
from .writes import Write

__all__ = ["Flush", "LinkTable", "Work", "collect_work", "find_switched"]

#: How many keys are looked up by one statement.
_CHUNK = 500
_NOTHING: frozenset[str] = frozenset()

#: Tells values of columns that are no copies: of tables, of rows of which some columns were set.
ValuesOf = Callable[
    [Sequence[VersionSpec], Collection[ColumnElement[Any]], Operation], Mapping[str, Any]
]


@dataclass(slots=True)
class Work:
    """The changes to the tables of one hierarchy."""

    hierarchy: Hierarchy
    mapper: Mapper[Any] | None
    connection: Connection | None = None
    changes: dict[VersionSpec, Changes] = field(default_factory=new_dict)
    #: Whether anything is to be recorded.
    is_telling: bool = False
    #: Rows that were there before, of what was linked.
    standing: set[Key] = field(default_factory=new_set)


class Flush:
    """One flush of one session, from its beginning to its end.

    :param outer: the flush of another session in the midst of which this one happens.
    """

    def __init__(self, session: Session, context: UOWTransaction, outer: Flush | None) -> None:
        #: Rows whose loaded versions are no longer true, by hierarchy; ``None`` for all.
        self.touched: list[tuple[Hierarchy, list[Key] | None]] = []
        self.session = session
        self.context = context
        self.outer: weakref.ref[Flush] | None = None if outer is None else weakref.ref(outer)
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


# -- objects ---------------------------------------------------------------------------------


def collect_work(
    flush: Flush,
    readers: Mapping[Mapper[Any], ClassReader],
    values_of: ValuesOf,
    plugins: PluginCollection,
) -> list[Work]:
    """Return what a flush did with the objects of the mappers in *readers*.

    :param values_of: tells the values of columns that are no copies.
    :param plugins: some of them may tell more, for each object.
    """
    found: dict[Hierarchy, Work] = {}
    for mapper, reader in readers.items():
        spec, changes = reader.spec, reader.changes(flush.context, mapper)
        if mapper.base_mapper not in flush.updated:
            changes.leave_doubtful()
        is_telling = bool(changes)
        if not is_telling and not changes.replaced:
            continue
        if reader.has_added:
            states = _sqlalchemy.flushed_states(flush.context, mapper)
            asked = plugins.overriding("version_values")
            _add_values(states, reader, changes, values_of, asked, flush.expressed)
        work = found.get(spec.hierarchy)
        if work is None:
            work = found[spec.hierarchy] = Work(spec.hierarchy, mapper)
        *above, own = spec.tables
        for table in above:
            work.changes.setdefault(table, Changes()).extend(changes)
        if own in work.changes:
            work.changes[own].extend(changes)
        else:
            # Nobody else has them.
            work.changes[own] = changes
        work.is_telling |= is_telling
    return [_without_lost(flush, work) for work in found.values() if work.is_telling]


def _without_lost(flush: Flush, work: Work) -> Work:
    """Have changes tell of what is left: SQLAlchemy deletes rows that it has given to others."""
    assert work.mapper is not None
    replaced = any(changes.replaced for changes in work.changes.values())
    if replaced and _sqlalchemy.deletes_switched_rows(flush.context, work.mapper.base_mapper):
        for changes in work.changes.values():
            changes.lose_replaced()
    return work


def find_switched(
    context: UOWTransaction, readers: Mapping[Mapper[Any], ClassReader]
) -> Mapping[InstanceState[Any], ClassSpec]:
    """Return the objects that a flush is to delete where it adds others with the same keys.

    Each comes with the class of the other.  To be asked before the flush writes them: SQLAlchemy
    makes updates of the two (a row switch).
    """
    if not _sqlalchemy.may_switch_rows(context):
        return {}
    deleted: dict[tuple[Hierarchy, Key], InstanceState[Any]] = {}
    for mapper, reader in readers.items():
        for state, is_deleted, _ in _sqlalchemy.flushed_states(context, mapper):
            if is_deleted and state.key is not None:
                deleted[reader.spec.hierarchy, bare_key(state.key[1])] = state
    new = _sqlalchemy.added_states(context)
    added = {
        (reader.spec.hierarchy, reader.key_of(state)): reader.spec
        for mapper, reader in readers.items()
        for state, is_deleted, _ in _sqlalchemy.flushed_states(context, mapper)
        if (state.key is None or state in new) and not is_deleted
    }
    return {deleted[place]: spec for place, spec in added.items() if place in deleted}


def _add_values(
    states: Iterable[tuple[InstanceState[Any], bool, bool]],
    reader: ClassReader,
    changes: Changes,
    values_of: ValuesOf,
    plugins: Sequence[Plugin],
    expressed: Mapping[InstanceState[Any], frozenset[str]],
) -> None:
    """Find the values of columns that are no copies, once for each set of changed attributes."""
    found: dict[tuple[Operation, frozenset[str]], Mapping[str, Any]] = {}
    kinds = dict.fromkeys(changes.inserted, Operation.INSERT)
    kinds |= dict.fromkeys([*changes.updated, *changes.replaced], Operation.UPDATE)
    kinds |= dict.fromkeys(changes.deleted, Operation.DELETE)
    for state, is_deleted, is_bystander in states:
        key = bare_key(state.key[1]) if is_deleted and state.key else reader.key_of(state)
        if key not in kinds or (is_deleted and is_bystander):
            continue
        operation = kinds[key]
        changed = _NOTHING if operation is Operation.DELETE else reader.changed(state)
        if state in expressed:
            changed |= expressed[state]
        values = found.get((operation, changed))
        if values is None:
            values = values_of(reader.spec.tables, reader.columns(changed), operation)
            found[operation, changed] = values
        for plugin in plugins:
            values = {**values, **plugin.version_values(reader.spec, state, operation)}
        changes.added[key] = values


# -- association tables ----------------------------------------------------------------------


class LinkTable:
    """An association table, and where its rows are recorded.

    :param hierarchy: the table by itself.
    :param mapped: the spec of a versioned class that has the table too: the rows are recorded
        as that class's, by its key, so that both see one history.
    """

    def __init__(self, hierarchy: Hierarchy, mapped: ClassSpec | None) -> None:
        self.hierarchy: Hierarchy = hierarchy if mapped is None else mapped.hierarchy
        self.spec: VersionSpec = hierarchy.root if mapped is None else mapped.tables[-1]
        own, linked = [pair.parent for pair in self.spec.key], self.spec.linked
        #: Whether what is linked tells which row it is.
        self._is_told = set(own) <= set(linked)
        #: The columns of which relationships tell the values.
        self._told = own if self._is_told else list(linked)

    def understands(self, statement: Any, sets: Iterable[Any]) -> bool:
        """Tell whether the parameters of *statement* say which rows it is about."""
        prefixes = ("", "old_") if isinstance(statement, Update) else ("",)
        names = [prefix + column.key for column in self._told for prefix in prefixes]
        return all(name in each for each in sets for name in names)

    def changes(self, statement: Any, sets: Iterable[Any], connection: Connection) -> Changes:
        """Return what *statement* does; inserted rows may only be looked up by :meth:`settle`."""
        if isinstance(statement, Insert):
            return Changes(inserted=[self._key(each) for each in sets])
        if isinstance(statement, Update):
            departed = [self._key(each, prefix="old_") for each in sets]
            return Changes(
                departed=self._known(departed, connection, locks=True),
                inserted=[self._key(each) for each in sets],
            )
        assert isinstance(statement, Delete)
        gone = self._known([self._key(each) for each in sets], connection, locks=True)
        return Changes(given=gone) if self.spec.is_all_key else Changes(deleted=gone)

    def standing(self, changes: Changes, made: Collection[Key], connection: Connection) -> set[Key]:
        """Return the rows that link already what is about to be linked once more.

        :param made: what was linked before by the same flush.
        """
        if not self.spec.may_have_twins and self._is_told:
            return set()
        known = set(made)
        new = [key for key in changes.inserted if key not in known]
        return {*self._look_up(new, connection)}.difference(changes.departed)

    def made(self, work: Work) -> list[Key]:
        """Return the rows that were inserted so far, as far as they are there."""
        assert work.connection is not None
        return self._known(work.changes[self.spec].inserted, work.connection)

    def settle(self, work: Work) -> None:
        """Find the rows that were inserted, once they are."""
        made = self.made(work)
        work.changes[self.spec].inserted = [key for key in made if key not in work.standing]

    def _key(self, parameters: Any, *, prefix: str = "") -> Any:
        return bare_key([parameters[prefix + column.key] for column in self._told])

    def _known(self, keys: list[Any], connection: Connection, *, locks: bool = False) -> list[Any]:
        """Return the keys under which rows are recorded, for what they link.

        :param locks: lock the rows, which are about to be written, as they are by now.
        """
        return keys if self._is_told else self._look_up(keys, connection, locks=locks)

    def _look_up(
        self, keys: list[Any], connection: Connection, *, locks: bool = False
    ) -> list[Any]:
        wanted = [pair.parent for pair in self.spec.key]
        given = tuple_(*self._told)
        found: dict[Any, None] = {}
        for start in range(0, len(keys), _CHUNK):
            part = [key_values(key) for key in keys[start : start + _CHUNK]]
            statement = select(*wanted).where(given.in_(part))
            rows = connection.execute(statement.with_for_update() if locks else statement)
            found.update(dict.fromkeys(bare_key(row) for row in rows))
        return list(found)
