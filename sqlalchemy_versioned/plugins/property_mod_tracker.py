"""Flags that tell which columns an object's version was made for.

For each column of a versioned class that is kept and is no key, its version table gets a flag:
``name_mod`` is true where the application gave ``name`` another value, or deleted the object.
Flags are values for the one statement that takes the images, so they cost no statement.  What a
statement (``session.execute(update(...))``) sets is flagged in all of its rows that changed at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Boolean, Column, false, inspect
from sqlalchemy.orm import Mapper

from ..exc import ImproperlyConfigured
from ..hooks import Plugin, TableBuilder
from ..model.naming import cut_name
from ..model.operation import Operation
from ..model.spec import VersionSpec
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
    column_suffix: str = "_mod"

    def __init__(self, column_suffix: str | None = None) -> None:
        if column_suffix is not None:
            self.column_suffix = column_suffix
        given: Any = self.column_suffix
        if not isinstance(given, str) or not given:
            raise ImproperlyConfigured(
                f"column_suffix is {self.column_suffix!r}; give what the names of flags end with, "
                "such as '_mod'"
            )

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

    def column_values(
        self, spec: VersionSpec, columns: Collection[Column[Any]], operation: Operation
    ) -> dict[str, bool]:
        """Flag what was set; of what was deleted, everything."""
        flagged = {flag.key: flag.info.get(FLAGGED) for flag in spec.added}
        is_gone = operation is Operation.DELETE
        return {
            key: True
            for key, column in flagged.items()
            if column is not None and (is_gone or column in columns)
        }
