"""Which rows of a class a flush has touched, read from the states of its objects.

Told apart as finely as Python can: rows that are known to differ from before need no look at what
they were; the database tells about the others.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, inspect, types
from sqlalchemy.orm import InstanceState, Mapper, UOWTransaction

from .. import _sqlalchemy
from .._typing import COLUMN
from ..database.keys import Key, key_values
from ..model.spec import ClassSpec
from ..recording.changes import Changes

__all__ = ["ClassReader"]

#: Types whose values a database stores as they are, so that what differs here differs there.
_PLAIN_TYPES = (types.Integer, types.String, types.Boolean, types.Date, types.Uuid)
#: Texts of which it does not: spaces at the end are nothing in CHAR.
_FORMED_TYPES = (types.Enum, types.CHAR, types.NCHAR)
_PLAIN_VALUES = frozenset({int, str, bool, datetime.date, uuid.UUID})
_NOTHING: frozenset[str] = frozenset()


class ClassReader:
    """Reads what a flush did with the objects of one class."""

    def __init__(self, spec: ClassSpec) -> None:
        self.spec = spec
        self.key_of: Callable[[InstanceState[Any]], Any] = _key_getter(spec.key)
        self._key = frozenset(spec.key)
        self._bare: Callable[[Any], Any] = itemgetter(0) if len(spec.key) == 1 else tuple
        mapper: Mapper[Any] = inspect(spec.parent_class)
        ignored = {column for table in spec.tables for column in table.ignored}
        kept = (*spec.columns, *spec.masked)
        columns = {key: mapper.column_attrs[key].columns[0] for key in kept}
        #: Attributes whose change makes a version.
        self._telling = frozenset(k for k, column in columns.items() if column not in ignored)
        self._plain = frozenset(key for key in self._telling if _is_plain(columns[key]))
        #: Attributes whose change may bring about a change of those.
        self._moving = self._telling
        if any(_changes_by_itself(mapper, columns[key]) for key in self._telling):
            self._moving = frozenset(prop.key for prop in mapper.column_attrs)
        #: Whether a flush reads at once what the database has computed, and leaves no sign of it.
        self._fetches = mapper.eager_defaults is True
        #: Whether its versions have values that are no copies and depend on what was set.
        self.has_added: bool = any(len(table.added) > len(table.stamps) for table in spec.tables)
        #: The columns behind each attribute.
        self._columns = {prop.key: frozenset(prop.columns) for prop in mapper.column_attrs}

    def changed(self, state: InstanceState[Any]) -> frozenset[str]:
        """Return the attributes of an object that were given another value."""
        changed: list[str] = []
        now = state.dict
        for key, before in _sqlalchemy.original_values(state).items():
            if key in self._plain and type(before) in _PLAIN_VALUES:
                after = now.get(key)
                if type(after) is type(before):
                    if after != before:
                        changed.append(key)
                    continue
            if key in self._columns and _sqlalchemy.has_changed(state, key, before):
                changed.append(key)
        return frozenset(changed)

    def expressed(self, state: InstanceState[Any]) -> frozenset[str]:
        """Return the attributes of an object that are set to SQL expressions.

        To be asked before the flush, which expires them.
        """
        now = state.dict
        found: list[str] = []
        for key in _sqlalchemy.original_values(state):
            value = now.get(key)
            if type(value) not in _PLAIN_VALUES and _sqlalchemy.is_expression(value):
                found.append(key)
        return frozenset(found).intersection(self._columns) if found else _NOTHING

    def columns(self, keys: frozenset[str]) -> frozenset[ColumnElement[Any]]:
        """Return the columns behind some attributes."""
        return frozenset(chain.from_iterable(self._columns[key] for key in keys))

    def changes(self, context: UOWTransaction, mapper: Mapper[Any]) -> Changes:
        """Return the rows that a flush has touched, by what happened to them."""
        changes, added = Changes(), _sqlalchemy.added_states(context)
        for state, is_deleted, is_bystander in _sqlalchemy.flushed_states(context, mapper):
            if is_deleted:
                if state.key is None:
                    # It was never stored, and goes with what it refers to; SQLAlchemy refuses that.
                    continue
                # The row of an object that is only looked at is given to a new object.
                keys = changes.replaced if is_bystander else changes.deleted
                keys.append(self._bare(state.key[1]))
            elif state.key is None or state in added:
                if not is_bystander:
                    changes.inserted.append(self.key_of(state))
            else:
                self._add_update(changes, state, self._bare(state.key[1]))
        return changes

    def writes_base(self, context: UOWTransaction, mapper: Mapper[Any]) -> dict[Key, bool]:
        """Tell, for each row that a flush is to update, whether it does in the base-most table."""
        updated = set(self.changes(context, mapper).updated)
        base, found = self.spec.root.parent_table, dict[Key, bool]()
        is_alone = len(self.spec.tables) == 1
        for state, *_ in _sqlalchemy.flushed_states(context, mapper):
            if state.key is not None and (key := self._bare(state.key[1])) in updated:
                tables = [getattr(c, "table", None) for c in self.columns(self.changed(state))]
                found[key] = is_alone or base in tables
        return found

    def _add_update(self, changes: Changes, state: InstanceState[Any], before: Any) -> None:
        """Add an object that has a row, if the flush may have changed what is kept of it."""
        former = _sqlalchemy.original_values(state)
        if self._moving.isdisjoint(former) and not self._is_expressed(state):
            return
        # Only what was assigned changes a key; one that is loaded may come back in another form.
        now = before
        if not self._key.isdisjoint(former):
            now = self.key_of(state)
            if before == now:
                # An object of which defaults were asked for in the midst of a flush has a new key.
                before = self._former_key(former, now)
        if before != now:
            changes.departed.append(before)
            changes.inserted.append(now)
            changes.former[now] = before
            return
        changes.updated.append(now)
        if not self._differs(state.dict, former):
            changes.doubtful.add(now)

    def _former_key(self, former: Mapping[str, Any], now: Any) -> Any:
        """Return the key that an object had, of what its attributes were and the key it has."""
        before = [
            former[name] if name in former and _sqlalchemy.is_value(former[name]) else value
            for name, value in zip(self.spec.key, key_values(now), strict=True)
        ]
        return self._bare(before)

    def _is_expressed(self, state: InstanceState[Any]) -> bool:
        """Tell whether attributes may have been set to SQL expressions.

        The flush has expired them, unless it has read them since.
        """
        if not state.modified:
            return False
        return self._fetches or not self._telling.isdisjoint(state.expired_attributes)

    def _differs(self, now: Mapping[str, Any], former: Mapping[str, Any]) -> bool:
        """Tell whether a flush has certainly changed what is kept of an object."""
        for key, before in former.items():
            if key in self._plain and type(before) in _PLAIN_VALUES:
                after = now.get(key)
                if type(after) is type(before) and after != before:
                    return True
        return False


def _changes_by_itself(mapper: Mapper[Any], column: Any) -> bool:
    """Tell whether a column may change when only others are set."""
    if column is mapper.version_id_col:
        return True
    names = ("computed", "onupdate", "server_onupdate")
    return any(getattr(column, name, None) is not None for name in names)


def _is_plain(column: Any) -> bool:
    """Tell whether values of a column that differ are stored as such, on every database."""
    if not isinstance(column, COLUMN):
        return False
    type_: types.TypeEngine[Any] = column.type
    return all(map(_is_plain_type, (type_, *_sqlalchemy.variants_of(type_).values())))


def _is_plain_type(type_: types.TypeEngine[Any]) -> bool:
    if isinstance(type_, types.Uuid) and not type_.as_uuid:
        # It is written in more than one way.
        return False
    return isinstance(type_, _PLAIN_TYPES) and not isinstance(type_, _FORMED_TYPES)


def _key_getter(keys: tuple[str, ...]) -> Callable[[InstanceState[Any]], Any]:
    """Return a function from a state to the key its row has now."""

    def one(state: InstanceState[Any]) -> Any:
        try:
            return state.dict[keys[0]]
        except KeyError:
            return state.mapper.primary_key_from_instance(state.obj())[0]

    def several(state: InstanceState[Any]) -> Any:
        try:
            return tuple([state.dict[key] for key in keys])
        except KeyError:
            return tuple(state.mapper.primary_key_from_instance(state.obj()))

    return one if len(keys) == 1 else several
