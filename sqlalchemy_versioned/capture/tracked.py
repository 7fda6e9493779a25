"""What one manager records: classes, association tables, and the tables of histories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from .. import _sqlalchemy
from ..model.spec import ClassSpec, Hierarchy, VersionSpec
from ..options import POLICIES
from .links import LinkTable
from .recorder import Target
from .touched import ClassReader

__all__ = ["Tracked"]


class Tracked:
    """What is recorded of classes and association tables.

    :param is_on: tells whether recording is switched on for a class.
    :param are_links_on: tells whether it is for association tables.
    """

    def __init__(
        self, *, is_on: Callable[[ClassSpec], bool], are_links_on: Callable[[], bool]
    ) -> None:
        self.is_on = is_on
        self.are_links_on = are_links_on
        self.readers: dict[Mapper[Any], ClassReader] = {}
        self.associations: dict[Table, LinkTable] = {}
        self.mappers: dict[Table, list[Mapper[Any]]] = {}
        #: The tables that are versioned without a class; relationships may use them as well.
        self.cores: dict[Table, Target] = {}
        #: The classes of which objects have the id of their newest version, with the attribute.
        self.live_ids: dict[type[Any], str] = {}
        #: The tables that only we write.
        self.histories: set[Any] = set()

    def base_mapper_of(
        self, statement: Any, execution_options: Mapping[str, Any]
    ) -> Mapper[Any] | None:
        """Return the base mapper of the objects that a statement of a flush writes, or ``None``."""
        for mapper in self.mappers.get(statement.table, ()):
            if _sqlalchemy.is_of_mapper(execution_options, mapper):
                return mapper.base_mapper
        return None

    def is_link_on(self, table: Table) -> bool:
        """Tell whether what relationships write to an association table is recorded, now."""
        core = self.cores.get(table)
        return self.are_links_on() if core is None else core.is_on()

    def target_of(self, hierarchy: Hierarchy, spec: VersionSpec) -> Target:
        """Return what is recorded of a table that classes are mapped to.

        A statement knows no classes: it is recorded while one of them is switched on, and follows
        the strictest of their policies.
        """
        specs = [self.readers[mapper].spec for mapper in self.mappers[spec.parent_table]]

        def is_on() -> bool:
            # Of each that is, what has been said since is looked at.
            return bool([each for each in specs if self.is_on(each)])

        policy = min((each.options.capture for each in specs), key=POLICIES.index)
        return Target(hierarchy, spec, is_on, policy)

    def clear(self) -> None:
        """Forget all of it."""
        self.readers.clear()
        self.associations.clear()
        self.mappers.clear()
        self.cores.clear()
        self.live_ids.clear()
        self.histories.clear()
