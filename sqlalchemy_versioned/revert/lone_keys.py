"""What foreign keys that are put back refer to, where no relationship stands for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ForeignKeyConstraint, inspect
from sqlalchemy.orm import Mapper

from .._typing import mapper_of
from .columns import keys_of
from .missing import Missing, class_behind
from .nodes import Node, Objects, Reference
from .paths import is_reference, pair_keys
from .staying import StayingRows
from .steps import Target

__all__ = ["LoneKeys"]

_Value = tuple[Any, ...]


class LoneKeys:
    """The foreign keys of a plan that only the tables know.

    :param missing: what to do about rows that are not there.
    """

    def __init__(self, objects: Objects, *, staying: StayingRows, missing: Missing) -> None:
        self._objects = objects
        self._staying = staying
        self._missing = missing

    def settle(self, nodes: Iterable[Node]) -> Iterator[Reference]:
        """Yield what the foreign keys of some nodes refer to, as far as that is in the plan.

        :raises ReverterException: if there is nothing, and no way to do without.
        :raises IncompleteHistory: if something is to be restored that is not known.
        """
        for constraint, some in self._constraints(nodes):
            yield from self._settle(constraint, some)

    def _constraints(
        self, nodes: Iterable[Node]
    ) -> Iterable[tuple[ForeignKeyConstraint, list[Node]]]:
        groups: dict[ForeignKeyConstraint, list[Node]] = {}
        for node in nodes:
            for table in node.spec.tables:
                for constraint in table.parent_table.foreign_key_constraints:
                    if self._is_open(constraint, node):
                        groups.setdefault(constraint, []).append(node)
        return groups.items()

    def _is_open(self, constraint: ForeignKeyConstraint, node: Node) -> bool:
        mapper: Mapper[Any] = inspect(node.spec.parent_class)
        if constraint.referred_table in mapper.tables and _is_key(mapper, constraint):
            # The link between the tables of one object.
            return False
        keys = _keys_of(mapper, constraint)
        if keys is None or not node.keys.issuperset(keys):
            return False
        covered = any(
            is_reference(each) and set(keys) <= set(pair_keys(each)[0])
            for each in mapper.relationships
        )
        return not covered and self._objects.has_others(node, keys)

    def _settle(self, constraint: ForeignKeyConstraint, nodes: list[Node]) -> Iterator[Reference]:
        table = constraint.referred_table
        wanted: dict[int, tuple[tuple[str, ...], _Value]] = {}
        for node in nodes:
            keys = _keys_of(inspect(node.spec.parent_class), constraint) or ()
            wanted[id(node)] = keys, tuple(node.value(key) for key in keys)
        values = [value for _, value in wanted.values() if None not in value]
        known = self._referred_to(constraint, values)
        for node in nodes:
            keys, value = wanted[id(node)]
            if None not in value and value not in known:
                self._missing.do_without(node, keys, class_behind(table), table.name)
            elif (target := known.get(value)) is not None:
                yield Reference(node, keys, target, None)

    def _referred_to(
        self, constraint: ForeignKeyConstraint, values: list[_Value]
    ) -> dict[_Value, Target | None]:
        """Return which values there are, with the objects of the plan that have them."""
        columns = [element.column for element in constraint.elements]
        known: dict[_Value, Target | None] = {**self._planned(constraint.referred_table, columns)}
        cls = class_behind(constraint.referred_table)
        missing = [value for value in values if value not in known]
        # That they are there is enough: rows that the plan does not touch need no target.
        known |= dict.fromkeys(self._staying.values(cls, columns, missing))
        missing = [value for value in values if value not in known]
        if cls is None or not missing:
            return known
        return known | self._missing.restore(cls, keys_of(mapper_of(cls), columns), missing)

    def _planned(self, table: Any, columns: list[Any]) -> dict[_Value, Target]:
        """Return the objects of the plan that have rows in a table, by what they are to have."""
        planned: dict[_Value, Target] = {}
        for node in self._objects.nodes:
            mapper: Mapper[Any] = inspect(node.spec.parent_class)
            keys = keys_of(mapper, columns) if table in mapper.tables else ()
            if keys and node.keys.issuperset(keys):
                planned[tuple(map(node.value, keys))] = node.target
        return planned


def _is_key(mapper: Mapper[Any], constraint: ForeignKeyConstraint) -> bool:
    properties = [mapper.get_property_by_column(column) for column in mapper.primary_key]
    primary = {column for prop in properties for column in prop.columns}
    return primary.issuperset(constraint.columns)


def _keys_of(mapper: Mapper[Any], constraint: ForeignKeyConstraint) -> tuple[str, ...] | None:
    """Return the attributes of a foreign key, or ``None`` if the class lacks one."""
    mapped = {column for prop in mapper.column_attrs for column in prop.columns}
    if not mapped.issuperset(constraint.columns):
        return None
    return keys_of(mapper, constraint.columns)
