"""Which rows one flush has touched by its objects, as SQLAlchemy registered them.

Questions only: nothing here listens, decides or writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstanceState, Mapper, UOWTransaction

from .. import _sqlalchemy
from ..database.keys import Key, bare_key
from ..hooks import Plugin, PluginCollection
from ..model.lookup import find_spec
from ..model.operation import Operation
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..recording.changes import Changes
from .flushes import Flush
from .touched import ClassReader
from .work import Work

__all__ = ["classes_of_added", "collect_work", "find_switched"]

_NOTHING: frozenset[str] = frozenset()

#: Tells values of columns that are no copies: of tables, of rows of which some columns were set.
ValuesOf = Callable[
    [Sequence[VersionSpec], Collection[ColumnElement[Any]], Operation], Mapping[str, Any]
]


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
    gives_rows = False
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
        gives_rows |= bool(changes.replaced)
    told = [work for work in found.values() if work.is_telling]
    for work in told if gives_rows else ():
        _lose_replaced(flush, work)
    return told


def _lose_replaced(flush: Flush, work: Work) -> None:
    """Have changes tell of what is left: SQLAlchemy deletes rows that it has given to others."""
    assert work.mapper is not None
    if _sqlalchemy.deletes_switched_rows(flush.context, work.mapper.base_mapper):
        for changes in work.changes.values():
            changes.lose_replaced()


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


def classes_of_added(context: UOWTransaction) -> Mapping[tuple[Hierarchy, Key], ClassSpec]:
    """Return the classes of the objects that a flush has added, by row, of those with kinds."""
    added = _sqlalchemy.added_states(context)
    found: dict[tuple[Hierarchy, Key], ClassSpec] = {}
    for mapper in _sqlalchemy.flushed_mappers(context):
        spec = find_spec(mapper.class_)
        if spec is None or len(mapper.polymorphic_map) == 1:
            continue
        for state, is_deleted, _ in _sqlalchemy.flushed_states(context, mapper):
            if state in added and not is_deleted:
                key = mapper.primary_key_from_instance(state.obj())
                found[spec.hierarchy, bare_key(key)] = spec
    return found


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
