"""What relationships say by their joins, said of version tables, or refused if it cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from sqlalchemy import BinaryExpression, BooleanClauseList, Column, ColumnElement
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.sql import operators
from sqlalchemy.sql.visitors import iterate

from .. import _sqlalchemy
from .._typing import is_column, replaced
from ..exc import RelationshipNotVersioned
from ..model.lookup import find_spec
from ..model.spec import ClassSpec, VersionSpec

__all__ = ["condition_of", "kept_column", "key_position", "refuse", "taken_apart", "tells_class"]


def refuse(relationship: RelationshipProperty[Any], why: str) -> NoReturn:
    """Say that history does not tell of a relationship.

    :raises RelationshipNotVersioned: always.
    """
    raise RelationshipNotVersioned(
        f"{relationship} cannot be shown in change records: {why}; leave it out of 'relations'"
    )


def taken_apart(
    relationship: RelationshipProperty[Any], join: Any
) -> tuple[list[tuple[Any, Any]], list[Any]]:
    """Return the pairs of columns that a join sets equal, near and far, and what else it says."""
    is_list = isinstance(join, BooleanClauseList) and join.operator is operators.and_
    pairs: list[tuple[Any, Any]] = []
    rest: list[Any] = []
    for clause in join.clauses if is_list else [join]:
        pair = _pair(clause)
        if pair is None:
            rest.append(clause)
        else:
            pairs.append(pair)
    return pairs, rest


def _pair(clause: Any) -> tuple[Any, Any] | None:
    if not isinstance(clause, BinaryExpression) or clause.operator is not operators.eq:
        return None
    if not isinstance(clause.left, Column) or not isinstance(clause.right, Column):
        return None
    # Applications write either side first.
    sides = sorted((clause.left, clause.right), key=_is_remote)
    if [_is_remote(side) for side in sides] != [False, True]:
        return None
    near, far = map(_sqlalchemy.plain_column, sides)
    return near, far


def _is_remote(column: Any) -> bool:
    return "remote" in _sqlalchemy.relationship_marks(column)


def key_position(relationship: RelationshipProperty[Any], mapper: Mapper[Any], column: Any) -> int:
    """Return the place of *column* in the primary key of a class."""
    spec = find_spec(mapper.class_)
    tables = () if spec is None else spec.tables
    # Under joined inheritance a foreign key may lead to the key of any table of the object.
    keys: list[Sequence[Any]] = [[pair.parent for pair in table.key] for table in tables]
    for key in [mapper.primary_key, *keys]:
        for place, each in enumerate(key):
            if each is column:
                return place
    name = mapper.class_.__name__
    refuse(relationship, f"it joins {column}, which is not the primary key of {name}")


def kept_column(
    relationship: RelationshipProperty[Any], tables: Sequence[VersionSpec], column: Any
) -> tuple[VersionSpec, Column[Any]]:
    """Return the column that keeps a foreign key, and its table."""
    if column is None:
        refuse(relationship, "it does not join the whole primary key")
    for table in tables:
        version = table.version_column(column)
        if version is not None:
            return table, version
    refuse(relationship, f"it needs {column}, which is excluded from history")


def condition_of(relationship: RelationshipProperty[Any], spec: VersionSpec, clause: Any) -> Any:
    """Return what a join says beside its keys; it must be about the rows that tell of members."""
    for column in _columns_in(clause):
        if not _is_remote(column):
            refuse(relationship, f"its condition needs {column}")
    return adapted(relationship, spec, clause)


def adapted(relationship: RelationshipProperty[Any], spec: VersionSpec, expression: Any) -> Any:
    """Return a condition on rows of a table, said of their versions."""
    for column in _columns_in(expression):
        if spec.version_column(_sqlalchemy.plain_column(column)) is None:
            refuse(relationship, f"its condition needs {column}")

    def replace(element: Any, **_: Any) -> Any:
        if is_column(element):
            return spec.version_column(_sqlalchemy.plain_column(element))
        return None

    return replaced(expression, replace)


def tells_class(
    relationship: RelationshipProperty[Any], spec: ClassSpec, table: VersionSpec
) -> Iterator[ColumnElement[bool]]:
    """Yield what tells the members from others that have rows in the same table."""
    mapper: Mapper[Any] = relationship.mapper
    is_own = table is spec.tables[-1] and not mapper.single
    if is_own or mapper.polymorphic_on is None or mapper.inherits is None or mapper.concrete:
        return
    identities = [each.polymorphic_identity for each in mapper.self_and_descendants]
    yield adapted(relationship, table, mapper.polymorphic_on).in_(identities)


def _columns_in(expression: Any) -> list[Column[Any]]:
    return [element for element in iterate(expression) if isinstance(element, Column)]
