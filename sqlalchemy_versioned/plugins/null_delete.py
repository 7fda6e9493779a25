"""Deletions that keep nothing but the key.

The version of a deletion has the last values of its row; this plugin empties it, by one statement
for each table that rows were deleted from.  The version before still has the values: restore what
was deleted by ``version.previous.revert()``.  The ``changeset`` of a deletion is what it emptied.
Rows of association tables are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, inspect, null, update
from sqlalchemy.orm import ColumnProperty, Mapper

from .._typing import mapper_of
from ..hooks import Plugin
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from ..recording.ours import OURS
from ..triggers.spec import EMPTIED

__all__ = ["NullDeletePlugin"]


class NullDeletePlugin(Plugin):
    """Empties the versions of deleted objects, but for their keys and what tells their class.

    >>> NullDeletePlugin().should_nullify_column(version_class(Article), None)
    True
    """

    is_single = True
    is_known_to_triggers = True

    def __init__(self) -> None:
        self._columns: dict[VersionSpec, list[Column[Any]]] = {}
        self._mappers: dict[VersionSpec, Mapper[Any]] = {}

    def should_nullify_column(self, version_obj: Any, prop: Any) -> bool:
        """Tell whether a column is emptied; for a subclass to say otherwise.

        Asked once, when mappers are configured, for each attribute that is no key.

        :param version_obj: the version class.
        :param prop: the ``ColumnProperty`` of it.
        """
        return True

    def after_build_models(self, manager: Any) -> None:
        """Find out what is to be emptied."""
        self._forget()
        specs = [cls.__version_spec__ for cls in manager.version_class_map]
        kept = {column for spec in specs for column in self._chosen(spec, is_emptied=False)}
        for spec in specs:
            emptied = [c for c in self._chosen(spec, is_emptied=True) if c not in kept]
            for table in spec.tables:
                self._mappers.setdefault(table, inspect(spec.parent_class))
                known = self._columns.setdefault(table, [])
                known += [c for c in emptied if c.table is table.version_table and c not in known]
        for column in self._all():
            column.info[EMPTIED] = True

    def before_take_apart(self, manager: Any) -> None:
        """Forget the tables."""
        self._forget()

    def _forget(self) -> None:
        for column in self._all():
            column.info.pop(EMPTIED, None)
        self._columns, self._mappers = {}, {}

    def _all(self) -> Iterator[Column[Any]]:
        for columns in self._columns.values():
            yield from columns

    def after_create_version_objects(self, uow: Any, session: Any) -> None:
        """Empty the versions of what was deleted; triggers write them so."""
        for table in uow.recorded_tables():
            columns = self._columns.get(table)
            if columns and Operation.DELETE in uow.operations(table).values():
                own = [
                    table.transaction_column == uow.transaction_id,
                    table.operation_column == Operation.DELETE,
                ]
                emptying = update(table.version_table).where(*own)
                bind = {"mapper": self._mappers[table]}
                session.connection(bind_arguments=bind).execute(
                    emptying.values({column: null() for column in columns}), execution_options=OURS
                )

    def _chosen(self, spec: ClassSpec, *, is_emptied: bool) -> list[Any]:
        mapper: Mapper[Any] = inspect(spec.version_class)
        return [
            column
            for key in spec.columns
            for column in mapper.column_attrs[key].columns
            if self._is_emptied(spec, mapper.column_attrs[key]) is is_emptied
        ]

    def _is_emptied(self, spec: ClassSpec, prop: ColumnProperty[Any]) -> bool:
        kind = mapper_of(spec.version_class).polymorphic_on
        if kind is not None and any(column in set(kind.base_columns) for column in prop.columns):
            return False
        if not all(getattr(column, "nullable", True) for column in prop.columns):
            # A version is recognised by it.
            return False
        return bool(self.should_nullify_column(spec.version_class, prop))
