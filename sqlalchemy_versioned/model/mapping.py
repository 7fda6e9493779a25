"""Read-only questions to a mapper: nothing here changes one or touches a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import ColumnProperty, InstanceState, Mapper, RelationshipProperty
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.selectable import AliasedReturnsRows
from sqlalchemy.sql.visitors import iterate

from .._sqlalchemy import plain_column
from .._typing import is_table, mapper_of
from ..exc import ImproperlyConfigured

__all__ = [
    "USER_ID",
    "USER_IS_SAID",
    "class_named",
    "column_properties",
    "is_many_to_many",
    "is_union",
    "primary_key_attributes",
    "root_mapper",
    "stored_key",
    "superclass_mappers",
    "table_chain",
    "user_reference",
]


def column_properties(mapper: Mapper[Any]) -> Iterator[ColumnProperty[Any]]:
    """Yield the properties of *mapper* that stand for columns of its tables."""
    for prop in mapper.column_attrs:
        column = prop.columns[0]
        if isinstance(column, Column) and is_table(column.table):
            yield prop


def class_named(beside: type[Any], name: str | None) -> type[Any] | None:
    """Return the class of a name that is mapped in the registry of another, if there is one."""
    mappers = mapper_of(beside).registry.mappers if name is not None else ()
    return next((each.class_ for each in mappers if each.class_.__name__ == name), None)


def primary_key_attributes(mapper: Mapper[Any]) -> tuple[str, ...]:
    """Return the attribute keys of the primary key, in the mapper's order."""
    return tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)


def stored_key(obj: object, names: Sequence[str]) -> tuple[Any, ...]:
    """Return attributes by which an object is known; of its primary key no row is read.

    :param obj: an object, or something that stands for one.
    """
    state: InstanceState[Any] = instance_state(obj)
    if state.key is None:
        return tuple(getattr(obj, name) for name in names)
    known = dict(zip(primary_key_attributes(state.mapper), state.key[1], strict=True))
    return tuple(known[name] if name in known else getattr(obj, name) for name in names)


def superclass_mappers(mapper: Mapper[Any]) -> Iterator[Mapper[Any]]:
    """Yield the mapper and those it shares rows with, base-most last.

    A concrete mapper shares rows with none.
    """
    current: Mapper[Any] | None = mapper
    while current is not None:
        yield current
        current = None if current.concrete else current.inherits


def root_mapper(mapper: Mapper[Any]) -> Mapper[Any]:
    """Return the base-most mapper that *mapper* shares rows with."""
    *_, root = superclass_mappers(mapper)
    return root


def is_union(mapper: Mapper[Any]) -> bool:
    """Tell whether objects of a class are loaded from the tables of several concrete classes."""
    source = getattr(mapper.polymorphic_on, "table", None)
    return isinstance(source, AliasedReturnsRows)


def table_chain(mapper: Mapper[Any]) -> tuple[Table, ...]:
    """Return the tables an object of *mapper* has rows in, base-most first.

    :raises ImproperlyConfigured: if the class is mapped to something else than tables.
    """
    chain: list[Table] = []
    for current in superclass_mappers(mapper):
        table = current.local_table
        if not is_table(table):
            raise ImproperlyConfigured(
                f"{mapper.class_.__name__} cannot be versioned: it is mapped to "
                f"{type(table).__name__.lower()} {str(table)!r}; "
                "only classes mapped to tables can; version these tables with versioned_table()"
            )
        if table not in chain:
            chain.insert(0, table)
    return tuple(chain)


def key_columns(mapper: Mapper[Any], table: Table) -> tuple[Column[Any], ...]:
    """Return the columns of *table* that hold the primary key of *mapper*, in its order."""
    columns: list[Column[Any]] = []
    for primary in mapper.primary_key:
        same = [c for c in _equivalents(mapper, primary) if c.table is table]
        if not same:
            raise ImproperlyConfigured(
                f"{mapper.class_.__name__} cannot be versioned: table {table.fullname!r} has no "
                f"column that equals {primary}"
            )
        columns.append(same[0])
    return tuple(columns)


def _equivalents(mapper: Mapper[Any], column: Any) -> list[Column[Any]]:
    """Return the columns that joins between the mapper's tables set equal to *column*."""
    found, queue = [column], [column]
    pairs = [pair for m in superclass_mappers(mapper) for pair in _inherit_pairs(m)]
    while queue:
        current = queue.pop()
        for left, right in pairs:
            for one, other in ((left, right), (right, left)):
                if one is current and other not in found:
                    found.append(other)
                    queue.append(other)
    return found


def _inherit_pairs(mapper: Mapper[Any]) -> list[tuple[Column[Any], Column[Any]]]:
    from_join = mapper.inherit_condition
    if from_join is None or mapper.concrete:
        return []
    return [
        (plain_column(binary.left), plain_column(binary.right))
        for binary in iterate(from_join)
        if isinstance(binary, BinaryExpression)
        and isinstance(binary.left, Column)
        and isinstance(binary.right, Column)
    ]


def is_many_to_many(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether *relationship* reads and writes links in an association table."""
    return relationship.secondary is not None and not relationship.viewonly


#: The attribute of transactions that has the key of a user, if it is one column.
USER_ID = "user_id"

#: The attribute of transactions that tells whether somebody has said who the user is, and not only
#: answered when asked; they have it where objects may name users themselves.
USER_IS_SAID = "user_is_said"


def user_reference(mapper: Mapper[Any]) -> list[tuple[Column[Any], str]]:
    """Return the columns by which a transaction knows its user, in the order of the key of users.

    Each comes with the attribute of users that it refers to; none if there is no ``user``.
    """
    relationship: RelationshipProperty[Any] | None = mapper.relationships.get("user")
    if relationship is None:
        return []
    target: Mapper[Any] = relationship.mapper
    names = primary_key_attributes(target)
    pairs: list[tuple[Any, str]] = [
        (local, target.get_property_by_column(remote).key)
        for local, remote in relationship.local_remote_pairs or ()
    ]
    return sorted(pairs, key=lambda pair: names.index(pair[1]) if pair[1] in names else -1)
