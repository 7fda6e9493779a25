"""Collection classes for relationships of versions: those of the live relationships, if they can.

Collections of live objects may write to them, or look into them by way of live columns.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from sqlalchemy.ext.orderinglist import OrderingList
from sqlalchemy.orm import KeyFuncDict, RelationshipProperty, attribute_keyed_dict, keyfunc_mapping

from .. import _sqlalchemy
from ..model.spec import ClassSpec

__all__ = ["version_collection_class"]

# Of Any, checkers would make KeyFuncDict[Unknown, Unknown].
_KEYED: Any = KeyFuncDict


def version_collection_class(
    relationship: RelationshipProperty[Any], target: ClassSpec | None
) -> Any:
    """Return the collection class of a relationship between versions; ``None`` for the default.

    :param target: the spec of the class it leads to, or ``None`` if that is not versioned.
    """
    untyped: Any = relationship
    given = untyped.collection_class
    if given is None or not relationship.uselist:
        return None
    example = given()
    if isinstance(example, OrderingList):
        # It numbers its members, which would be writing to versions.
        return list
    if target is None or not isinstance(example, _KEYED):
        return given
    columns = _sqlalchemy.columns_of_keyfunc(example.keyfunc, relationship.mapper)
    if columns is not None:
        return _keyed_by_columns(columns, relationship, target, example)
    key = _sqlalchemy.attribute_of_keyfunc(example.keyfunc)
    return given if key is None or _has(target, key) else list


def _keyed_by_columns(
    columns: tuple[Any, ...],
    relationship: RelationshipProperty[Any],
    target: ClassSpec,
    example: KeyFuncDict[Any, Any],
) -> Any:
    keys = [relationship.mapper.get_property_by_column(column).key for column in columns]
    if not all(key in target.columns for key in keys):
        return list
    ignore = example.ignore_unpopulated_attribute
    if len(keys) == 1:
        return attribute_keyed_dict(keys[0], ignore_unpopulated_attribute=ignore)
    by_values: Any = keyfunc_mapping
    return by_values(attrgetter(*keys), ignore_unpopulated_attribute=ignore)


def _has(target: ClassSpec, path: str) -> bool:
    first = path.partition(".")[0]
    known = (*target.columns, *target.relationships)
    return first in known or hasattr(target.version_class, first)
