"""Statements that ask history what was related to what at a transaction.

Each serves many objects at once.  They return version objects, and never live ones but where a
class is not versioned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, inspect, or_, select
from sqlalchemy.orm import MANYTOONE, Mapper, RelationshipProperty, aliased, selectin_polymorphic
from sqlalchemy.sql.schema import Column

from .. import _sqlalchemy
from .._typing import is_column, is_table, replaced, select_rows
from ..exc import ReverterException
from ..model.lookup import find_spec, shared_spec_of, table_spec_of
from ..model.operation import Operation
from ..model.spec import ClassSpec, VersionSpec
from ..query.conditions import (
    is_row_of,
    place_of,
    previous_of,
    same_object,
    transaction_of,
    valid_at,
)
from ..query.newest import comes_before, place_in
from ..query.rows import rows_valid_at
from .associations import Association, association_of

__all__ = [
    "Crossing",
    "is_one_of",
    "select_first_operations",
    "select_versions_of",
    "subclass_options",
]


def is_one_of(
    spec: ClassSpec, entity: Any, identities: Sequence[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Match the rows of several objects."""
    if len(spec.key) == 1:
        one: ColumnElement[bool] = getattr(entity, spec.key[0]).in_([i[0] for i in identities])
        return one
    return or_(*[is_row_of(spec, entity, identity) for identity in identities])


def subclass_options(mapper: Mapper[Any]) -> list[Any]:
    """Return loader options that load the columns of subclasses without a query per object."""
    subclasses = [m.class_ for m in mapper.self_and_descendants if m is not mapper]
    return [selectin_polymorphic(mapper.class_, subclasses)] if subclasses else []


def select_versions_of(
    spec: ClassSpec, identities: Sequence[tuple[Any, ...]], at: int
) -> Select[Any]:
    """Select the newest version of each of several objects at transaction *at*."""
    cls = spec.version_class
    return (
        select(cls)
        .where(is_one_of(spec, cls, identities), valid_at(spec, cls, at))
        .options(*subclass_options(inspect(cls)))
    )


def select_first_operations(spec: ClassSpec, identities: Sequence[tuple[Any, ...]]) -> Select[Any]:
    """Select key and operation of the oldest version of each of several objects."""
    cls = spec.version_class
    keys = [getattr(cls, key) for key in spec.key]
    return select_rows(*keys, getattr(cls, spec.operation_key)).where(
        is_one_of(spec, cls, identities), _is_first(spec, cls)
    )


def _is_first(spec: ClassSpec, entity: Any) -> ColumnElement[bool]:
    other = aliased(spec.version_class, flat=True)
    earlier = previous_of(spec, other, place_of(spec, entity))
    # Key and place may be columns of different tables, which only the class joins.
    return ~exists(select(1).select_from(other).where(same_object(spec, other, entity), earlier))


class Crossing:
    """The way from versions across a relationship to what was related at a transaction.

    :param relationship: a relationship of a versioned parent class.
    """

    def __init__(self, relationship: RelationshipProperty[Any], at: int) -> None:
        self._relationship = relationship
        self._at = at
        self._parent_spec = shared_spec_of(relationship.parent)
        self._parent = aliased(self._parent_spec.version_class, flat=True)
        self._spec = find_spec(relationship.mapper.class_)
        cls = relationship.mapper.class_
        self._target: Any = cls if self._spec is None else self._spec.version_class
        self._links_spec = _links_spec(relationship)
        self._links: FromClause | None = None
        if self._links_spec is not None:
            self._links = self._links_spec.version_table.alias()
        #: The association table, if it has columns to put back.
        self.association: Association | None = association_of(relationship)

    def select_related(self, identities: Sequence[tuple[Any, ...]]) -> Select[Any]:
        """Select the keys of parents, what was related to each of them, and the links.

        Deletions are among the versions; there is none where history knows nothing.
        """
        condition = [] if self._spec is None else [valid_at(self._spec, self._target, self._at)]
        links = self.association.expressions(self._link_column) if self.association else []
        selected = select_rows(*self._parent_keys(), self._target, *links)
        statement = selected.select_from(self._parent)
        # Where a row here says that there was something, what history does not know of it comes as
        # None, and is refused.
        if self._links is None:
            on = and_(self._adapt(self._relationship.primaryjoin), *condition)
            is_optional = self._relationship.direction is MANYTOONE
            statement = statement.join(self._target, on, isouter=is_optional)
        else:
            on = and_(self._adapt(self._relationship.secondaryjoin), *condition)
            statement = statement.join(self._links, self._is_linked(self._links))
            statement = statement.join(self._target, on, isouter=True)
        options = subclass_options(inspect(self._target))
        statement = statement.where(*self._is_parent(identities)).order_by(*self._order())
        return statement.options(*options)

    def select_unknown(self, identities: Sequence[tuple[Any, ...]]) -> Select[Any]:
        """Select the keys of parents that something may have been related to.

        That is so where the history of an object, or of a link, begins later, and begins with
        something else than its insertion.
        """
        condition = self._is_unknown()
        primary = self._adapt(self._relationship.primaryjoin)
        related = self._target if self._links is None else self._links
        return (
            select_rows(*self._parent_keys())
            .select_from(self._parent)
            .join(related, and_(primary, condition))
            .where(*self._is_parent(identities))
        )

    def select_ever_linked(self, identities: Sequence[tuple[Any, ...]]) -> Select[Any]:
        """Select the keys of parents and of the live objects ever linked to them."""
        assert self._links is not None
        primary = self._adapt(self._relationship.primaryjoin)
        secondary = self._adapt(self._relationship.secondaryjoin, keeps_target=True)
        return (
            select_rows(*self._parent_keys(), *self._relationship.mapper.primary_key)
            .select_from(self._parent)
            .join(self._links, primary)
            .join(self._relationship.mapper.class_, secondary)
            .where(*self._is_parent(identities))
            # A link may have come and gone more than once.
            .distinct()
        )

    # -- parts -------------------------------------------------------------------------------

    def _parent_keys(self) -> list[Any]:
        return [getattr(self._parent, key) for key in self._parent_spec.key]

    def _is_parent(self, identities: Sequence[tuple[Any, ...]]) -> list[ColumnElement[bool]]:
        spec, parent = self._parent_spec, self._parent
        return [is_one_of(spec, parent, identities), valid_at(spec, parent, self._at)]

    def _is_linked(self, links: FromClause) -> ColumnElement[bool]:
        spec = self._links_spec
        assert spec is not None
        return and_(
            self._adapt(self._relationship.primaryjoin),
            rows_valid_at(spec, links, self._at),
            links.c[spec.operation_column.key] != Operation.DELETE,
        )

    def _is_unknown(self) -> ColumnElement[bool]:
        if self._links is not None:
            spec, links = self._links_spec, self._links
            assert spec is not None
            transaction = links.c[spec.transaction_column.key]
            operation = links.c[spec.operation_column.key]
            first = _is_first_row(spec, links)
        else:
            assert self._spec is not None
            transaction = transaction_of(self._spec, self._target)
            operation = getattr(self._target, self._spec.operation_key)
            first = _is_first(self._spec, self._target)
        return and_(transaction > self._at, operation != Operation.INSERT, first)

    def _order(self) -> list[Any]:
        ordered = [self._adapt(each) for each in self._relationship.order_by or ()]
        if self._spec is None:
            return [*ordered, *self._relationship.mapper.primary_key]
        return [*ordered, *[getattr(self._target, key) for key in self._spec.key]]

    def _adapt(self, expression: Any, *, keeps_target: bool = False) -> Any:
        """Return *expression* about versions instead of live rows."""
        versions_target = self._spec is not None and not keeps_target

        def replace(element: Any, **_: Any) -> Any:
            if not is_column(element):
                return None
            if self._links_spec is not None and element.table is self._links_spec.parent_table:
                return self._link_column(element)
            if "local" in _sqlalchemy.relationship_marks(element):
                return _attribute(self._parent, self._relationship.parent, element)
            if versions_target and element.table in self._relationship.mapper.tables:
                return _attribute(self._target, self._relationship.mapper, element)
            return None

        return replaced(expression, replace)

    def _link_column(self, column: Column[Any]) -> Any:
        assert self._links is not None
        assert self._links_spec is not None
        live = self._links_spec.parent_table.c[column.key]
        kept = self._links_spec.version_column(live)
        if kept is None:
            raise ReverterException(
                f"{live} is excluded from history, but a relationship that is to be reverted "
                "depends on it; leave the relationship out, or version the column"
            )
        return self._links.c[kept.key]


def _attribute(entity: Any, mapper: Mapper[Any], column: Any) -> Any:
    key = mapper.get_property_by_column(column).key
    if not hasattr(entity, key):
        raise ReverterException(
            f"{mapper.class_.__name__}.{key} is excluded from history, but a relationship that "
            "is to be reverted depends on it; leave the relationship out, or version the column"
        )
    return getattr(entity, key).expression


def _links_spec(relationship: RelationshipProperty[Any]) -> VersionSpec | None:
    table = relationship.secondary
    return table_spec_of(table) if is_table(table) else None


def _is_first_row(spec: VersionSpec, rows: FromClause) -> ColumnElement[bool]:
    other = spec.version_table.alias()
    same_link = [other.c[p.version.key] == rows.c[p.version.key] for p in spec.key]
    earlier = comes_before(place_in(spec, other), place_in(spec, rows))
    return ~exists(select(1).select_from(other).where(*same_link, earlier).correlate_except(other))
