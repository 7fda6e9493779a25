"""Flags that tell which columns an object's version was made for.

For each column of a versioned class that is kept and is no key, its version table gets a flag:
``name_mod`` is true where the application gave ``name`` another value, or deleted the object.
Flags are values for the one statement that takes the images, so they cost no statement.  What a
statement (``session.execute(update(...))``) sets is flagged in all of its rows that changed at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Boolean, Column, false, inspect
from sqlalchemy.orm import InstanceState, Mapper

from .._sqlalchemy import is_expression, original_values
from ..exc import ImproperlyConfigured
from ..hooks import Plugin, TableBuilder
from ..model.lookup import find_spec
from ..model.naming import cut_name
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from ..query.flags import FLAGGED

__all__ = ["PropertyModTrackerPlugin"]


class PropertyModTrackerPlugin(Plugin):
    """Adds a flag to versions for each column: whether it was changed.

    :param column_suffix: what is appended to the name of a column, and to that of its attribute,
        for the flag; a subclass can have an attribute of that name instead.
    :raises ImproperlyConfigured: if it is no suffix; when mappers are configured, if a flag would
        have the name of something else.

    >>> PropertyModTrackerPlugin().column_suffix
    '_mod'
    """

    is_single = True
    is_known_to_triggers = True
    column_suffix = "_mod"

    def __init__(self, column_suffix: str | None = None) -> None:
        if column_suffix is not None:
            self.column_suffix = column_suffix
        if not isinstance(self.column_suffix, str) or not self.column_suffix:
            raise ImproperlyConfigured(
                f"column_suffix is {self.column_suffix!r}; give what the names of flags end with, "
                "such as '_mod'"
            )
        # By version class, so that they go with it.
        self._flags: WeakKeyDictionary[type[Any], dict[str, list[str]]] = WeakKeyDictionary()

    def create_mod_column(self, column: Column[Any]) -> Column[Any]:
        """Return the flag for *column*, a column of a parent table."""
        name = cut_name(f"{column.name}{self.column_suffix}")
        return Column(name, Boolean, nullable=False, default=False, server_default=false())

    def after_build_version_table_columns(
        self, table_builder: TableBuilder, columns: list[Column[Any]]
    ) -> None:
        """Add the flags of a table."""
        if table_builder.model is None:
            return
        mapper: Mapper[Any] = inspect(table_builder.model)
        keys = {*mapper.primary_key, *table_builder.parent_table.primary_key.columns}
        taken = {name for c, key in table_builder.kept.items() for name in (c.name, key)}
        for column, key in table_builder.kept.items():
            if column in keys:
                continue
            flag = self.create_mod_column(column)
            # Attributes of versions are called like those of the class, columns like columns.
            flag.key = f"{key}{self.column_suffix}"
            flag.info[FLAGGED] = column
            if taken.intersection((flag.name, flag.key)):
                raise ImproperlyConfigured(
                    f"{table_builder.model.__name__} has {flag.key!r}, which the flag for {key!r} "
                    "would be called; give PropertyModTrackerPlugin another 'column_suffix'"
                )
            columns.append(flag)

    def version_values(
        self, spec: ClassSpec, state: InstanceState[Any], operation: Operation
    ) -> dict[str, bool]:
        """Flag what was changed of an object; of one that was deleted, everything."""
        flags = self._flags_of(spec)
        if operation is Operation.DELETE:
            return {flag: True for own in flags.values() for flag in own}
        changed = {
            key
            for key in flags.keys() & original_values(state).keys()
            if state.attrs[key].history.has_changes()
        }
        session = state.session
        noted = {} if session is None else session.info.get(self, {})
        changed |= noted.get(state, set()) & flags.keys()
        return {flag: True for key in changed for flag in flags[key]}

    def statement_values(
        self, spec: VersionSpec, columns: Collection[Column[Any]], operation: Operation
    ) -> dict[str, bool]:
        """Flag what a statement sets; of what it deletes, everything."""
        flagged = {flag.key: flag.info.get(FLAGGED) for flag in spec.added}
        is_gone = operation is Operation.DELETE
        return {
            key: True
            for key, column in flagged.items()
            if column is not None and (is_gone or column in columns)
        }

    def is_session_modified(self, session: Any) -> bool:
        """Note what is set to SQL expressions; a flush leaves nothing of them in the objects."""
        noted: dict[InstanceState[Any], set[str]] = {}
        for instance in (*session.new, *session.dirty):
            if find_spec(type(instance)) is not None:
                state: InstanceState[Any] = inspect(instance)
                found = {
                    key for key in original_values(state) if is_expression(state.dict.get(key))
                }
                if found:
                    noted[state] = found
        session.info.pop(self, None)
        if noted:
            session.info[self] = noted
        return False

    def after_create_version_objects(self, uow: Any, session: Any) -> None:
        """Forget what was noted of a flush."""
        session.info.pop(self, None)

    def _flags_of(self, spec: ClassSpec) -> dict[str, list[str]]:
        """Return for each attribute of a class its flags, more than one under inheritance."""
        flags = self._flags.get(spec.version_class)
        if flags is None:
            mapper: Mapper[Any] = inspect(spec.parent_class)
            keys: dict[Any, str] = {
                column: prop.key for prop in mapper.column_attrs for column in prop.columns
            }
            flags = self._flags[spec.version_class] = {}
            for added in (column for table in spec.tables for column in table.added):
                key = keys.get(added.info.get(FLAGGED))
                if key is not None:
                    flags.setdefault(key, []).append(added.key)
        return flags
