"""Foreign keys that refer to a class, and what a flush does about them that deletes an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, inspect
from sqlalchemy.orm import MANYTOONE, ONETOMANY, Mapper, RelationshipProperty

from .._typing import mapper_of, type_of
from .live import is_unloadable
from .paths import is_never_loaded
from .steps import Target

__all__ = ["is_ordered", "is_seen_to", "referring_to"]


def referring_to(mapper: Mapper[Any]) -> Iterator[ForeignKeyConstraint]:
    """Yield the foreign keys of rows that refer to objects of *mapper*."""
    tables: list[Table] = [each for each in mapper.tables if isinstance(each, Table)]
    for table in dict.fromkeys(each for one in tables for each in one.metadata.tables.values()):
        for constraint in table.foreign_key_constraints:
            # The rows of one object refer to each other by their primary keys.
            is_own = table in tables and set(constraint.columns) <= set(table.primary_key)
            if constraint.referred_table in tables and not is_own:
                yield constraint


def is_seen_to(target: Target, constraint: ForeignKeyConstraint) -> bool:
    """Tell whether deleting an object deletes the rows that refer to it, or empties their keys."""
    if (constraint.ondelete or "").upper() in ("CASCADE", "SET NULL", "SET DEFAULT"):
        return True
    mapper: Mapper[Any] = inspect(target.cls)
    can_be_empty = all(column.nullable for column in constraint.columns)
    return any(
        _links_by(each, constraint)
        or (_stands_for(each, constraint, ONETOMANY) and (each.cascade.delete or can_be_empty))
        for each in mapper.relationships
        if not (each.viewonly or is_never_loaded(each))
    )


def _links_by(relationship: RelationshipProperty[Any], constraint: ForeignKeyConstraint) -> bool:
    """Tell whether a foreign key of an association table is that of a relationship's own side."""
    pairs: Any = relationship.synchronize_pairs
    is_near = {column for _, column in pairs} == set(constraint.columns)
    return relationship.secondary is constraint.table and is_near


def is_ordered(obj: Any, target: Target, constraint: ForeignKeyConstraint) -> bool:
    """Tell whether a relationship has one flush move *obj* away before *target* is deleted."""
    here, there = mapper_of(type_of(obj)), mapper_of(target.cls)
    children = [each for each in there.relationships if _stands_for(each, constraint, ONETOMANY)]
    if any(each.cascade.delete and is_unloadable(each) for each in children):
        # The session reads what to delete from the database, before anything is flushed.
        return False
    parents = (each for each in here.relationships if _stands_for(each, constraint, MANYTOONE))
    return bool(children) or any(parents)


def _stands_for(
    relationship: RelationshipProperty[Any], constraint: ForeignKeyConstraint, direction: Any
) -> bool:
    if relationship.direction is not direction or relationship.viewonly:
        return False
    place = 0 if direction is MANYTOONE else 1
    columns = {pair[place] for pair in relationship.local_remote_pairs or ()}
    return columns == set(constraint.columns) and relationship.passive_deletes != "all"
