"""Who belongs to whom: relationships, as rows of version tables tell of them.

A :class:`Membership` is recorded in rows beside the object: links in an association table, or the
children that point to their parent.  A :class:`Reference` is recorded in the object's own row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, and_
from sqlalchemy.orm import MANYTOMANY, MANYTOONE, Mapper, RelationshipProperty

from .._typing import is_table, mapper_of
from ..exc import ClassNotVersioned
from ..model.lookup import find_spec, table_spec_of
from ..model.mapping import is_union
from ..model.spec import ClassSpec, VersionSpec
from .images import family_of
from .joins import condition_of, kept_column, key_position, refuse, taken_apart, tells_class
from .newest import row_key

__all__ = ["Membership", "Reference", "relation_of", "relations_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A relationship whose target is named by columns of the object itself."""

    key: str
    #: The class that has it; subclasses do, too.
    spec: ClassSpec
    #: The version columns that hold the primary key of the target, in its order.
    target: tuple[Column[Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """A relationship that rows of another table are about."""

    key: str
    #: Whether there is one member at most.
    is_scalar: bool
    #: The table whose rows tell.
    spec: VersionSpec
    #: Its version columns with the primary key of the owner, in the order of that.
    owner: tuple[Column[Any], ...]
    #: Its version columns with the primary key of the member, in the order of that.
    member: tuple[Column[Any], ...]
    #: What else must hold of a row, said of the version table.
    condition: ColumnElement[bool] | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether a row says the same as long as it is there, as plain links do."""
        known = set(row_key(self.spec))
        return self.condition is None and known.issuperset((*self.owner, *self.member))


def relations_of(spec: ClassSpec, key: str) -> list[Membership | Reference]:
    """Return what a class, and its subclasses, have under the name of a relationship.

    :raises RelationshipNotVersioned: if history does not tell of it.
    """
    found: dict[Mapper[Any], RelationshipProperty[Any]] = {}
    for each in family_of(spec):
        if key in each.relationships:
            relationship = mapper_of(each.parent_class).relationships[key]
            found.setdefault(relationship.parent, relationship)
    return [_relation(relationship) for relationship in found.values()]


def relation_of(spec: ClassSpec, key: str) -> Membership | Reference | None:
    """Return what a class itself has under the name of a relationship, if it has it.

    :raises RelationshipNotVersioned: if history does not tell of it.
    """
    if key not in spec.relationships:
        return None
    return _relation(mapper_of(spec.parent_class).relationships[key])


def _relation(relationship: RelationshipProperty[Any]) -> Membership | Reference:
    if relationship.entity.is_aliased_class:
        refuse(relationship, f"it leads to an alias, {relationship.entity}")
    if is_union(relationship.mapper):
        cls = relationship.mapper.class_.__name__
        refuse(relationship, f"{cls} is a union of concrete classes")
    if relationship.direction is MANYTOONE:
        return _reference(relationship)
    if relationship.direction is MANYTOMANY:
        return _links(relationship)
    return _children(relationship)


# -- of each kind ----------------------------------------------------------------------------


def _reference(relationship: RelationshipProperty[Any]) -> Reference:
    spec = find_spec(relationship.parent.class_)
    assert spec is not None
    pairs, rest = taken_apart(relationship, relationship.primaryjoin)
    if rest:
        refuse(relationship, "its condition is more than a foreign key")
    held = [(there, here) for here, there in pairs]
    kept = _key_kept(relationship, relationship.mapper, held, spec.tables)
    return Reference(relationship.key, spec, tuple(version for _, version in kept))


def _children(relationship: RelationshipProperty[Any]) -> Membership:
    spec = find_spec(relationship.mapper.class_)
    if spec is None or not spec.exposed:
        name = relationship.mapper.class_.__name__
        refuse(relationship, f"it is recorded in {name}, which is not versioned")
    pairs, rest = taken_apart(relationship, relationship.primaryjoin)
    kept = _key_kept(relationship, relationship.parent, pairs, spec.tables)
    table = kept[0][0]
    conditions = [condition_of(relationship, table, each) for each in rest]
    conditions += tells_class(relationship, spec, table)
    # One version of one table must tell of a membership, or two would have to be joined.
    if any(each is not table for each, _ in kept):
        refuse(relationship, "its foreign key is spread over several tables")
    return Membership(
        relationship.key,
        is_scalar=not relationship.uselist,
        spec=table,
        owner=tuple(version for _, version in kept),
        member=tuple(pair.version for pair in table.key),
        condition=and_(*conditions) if conditions else None,
    )


def _links(relationship: RelationshipProperty[Any]) -> Membership:
    table = relationship.secondary
    if not is_table(table):
        refuse(relationship, f"its links come from {table}, which is no table")
    try:
        spec = table_spec_of(table)
    except ClassNotVersioned:
        refuse(relationship, f"its links are in {table.fullname!r}, which is not versioned")
    near, rest = taken_apart(relationship, relationship.primaryjoin)
    far, more = taken_apart(relationship, relationship.secondaryjoin)
    owner = _key_kept(relationship, relationship.parent, near, (spec,))
    member = _key_kept(relationship, relationship.mapper, far, (spec,))
    conditions = [condition_of(relationship, spec, each) for each in (*rest, *more)]
    return Membership(
        relationship.key,
        is_scalar=not relationship.uselist,
        spec=spec,
        owner=tuple(version for _, version in owner),
        member=tuple(version for _, version in member),
        condition=and_(*conditions) if conditions else None,
    )


def _key_kept(
    relationship: RelationshipProperty[Any],
    mapper: Mapper[Any],
    pairs: Iterable[tuple[Any, Any]],
    tables: Sequence[VersionSpec],
) -> list[tuple[VersionSpec, Column[Any]]]:
    """Return the version columns that hold a primary key, each with its table.

    :param pairs: columns of the key, each with the column that holds it.
    """
    # Foreign keys may name the columns of a composite key in another order.
    held = {key_position(relationship, mapper, column): holder for column, holder in pairs}
    columns = [held.get(place) for place in range(len(mapper.primary_key))]
    return [kept_column(relationship, tables, column) for column in columns]
