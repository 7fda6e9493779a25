"""How relationships of versions are compared with objects, and with ``None``, in statements.

SQLAlchemy compares the columns of a join with values of the object, or with NULL.  The joins of
versions also say when a row stood, so the database is asked for what was related instead.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Null, and_, inspect, not_
from sqlalchemy.orm import RelationshipProperty

from .._typing import STATE
from ..exc import InvalidArgumentType

__all__ = ["ComparesRelated"]


class ComparesRelated(RelationshipProperty.Comparator[Any]):
    """Compares what a version was related to, by primary key."""

    def __eq__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        """Match versions that were related to *other*, or to nothing."""
        if other is None or isinstance(other, Null):
            return not_(self._is_related(()))
        if self.property.uselist or not self._takes(other):
            refused: ColumnElement[bool] = super().__eq__(other)
            return refused
        return self._is_related(self._key_of(other))

    def __ne__(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
        """Match the other versions."""
        return not_(self.__eq__(other))

    def contains(self, other: Any, **kw: Any) -> ColumnElement[bool]:
        """Match versions that had *other* in a collection."""
        if not (self.property.uselist and self._takes(other)):
            return super().contains(other, **kw)
        return self._is_related(self._key_of(other))

    def _takes(self, other: Any) -> bool:
        """Tell whether *other* is an object; SQLAlchemy says what is wrong with all else.

        :raises InvalidArgumentType: if it is one of another class.
        """
        state = inspect(other, raiseerr=False)
        if not isinstance(state, STATE):
            return False
        if not state.mapper.isa(self.property.mapper):
            wanted = self.property.mapper.class_.__name__
            raise InvalidArgumentType(
                f"{self.property} cannot be compared with {other!r}, which is no {wanted}; give one"
            )
        return True

    def _key_of(self, other: Any) -> list[ColumnElement[bool]]:
        mapper = self.property.mapper
        values = inspect(other).identity or mapper.primary_key_from_instance(other)
        keys = [mapper.get_property_by_column(column) for column in mapper.primary_key]
        return [p.class_attribute == value for p, value in zip(keys, values, strict=True)]

    def _is_related(self, key: Any) -> ColumnElement[bool]:
        find = self.any if self.property.uselist else self.has
        found: ColumnElement[bool] = find(and_(*key)) if key else find()
        return found
