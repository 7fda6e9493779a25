"""One relationship between versions, made after the like of one between live objects.

For a version with transaction T it leads to what was there at T: the versions that stood then, or
live objects where the other class is not versioned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Table, and_, inspect
from sqlalchemy.orm import RelationshipProperty, relationship, remote

from .. import _sqlalchemy
from ..model.mapping import is_union
from ..model.spec import ClassSpec, Hierarchy
from .adaption import CannotFollow, Side, adapt, columns_in
from .collection_classes import version_collection_class
from .comparing import ComparesRelated
from .links import build_links
from .merging import NOT_MERGED
from .validity import is_row_alive

__all__ = ["build_mirror"]


def build_mirror(
    live: RelationshipProperty[Any],
    spec: ClassSpec,
    classes: Mapping[type[Any], ClassSpec],
    associations: Mapping[Table, Hierarchy],
) -> Any:
    """Build the relationship that versions of *spec* have in place of *live*.

    :param classes: the specs of versioned classes.
    :param associations: the versioned association tables.
    :raises CannotFollow: if there is no saying what it led to in the past.
    """
    if live.entity.is_aliased_class:
        raise CannotFollow(f"it leads to an alias, {live.entity}")
    if is_union(live.mapper):
        raise CannotFollow(
            f"{live.mapper.class_.__name__} is a union of concrete classes, and the versions of "
            "each are apart"
        )
    source = Side(inspect(spec.parent_class), spec)
    target = Side(live.mapper, _exposed(classes.get(live.mapper.class_)))
    arguments = (
        _joined(live, source, target)
        if live.secondary is None
        else _linked(live, source, target, associations)
    )
    return relationship(
        live.mapper.class_ if target.spec is None else target.spec.version_class,
        viewonly=True,
        cascade=NOT_MERGED,
        uselist=live.uselist,
        # Eager loading of the past for each version would be paid by who only lists versions.
        lazy="dynamic" if live.lazy == "dynamic" else "select",
        collection_class=version_collection_class(live, target.spec),
        comparator_factory=ComparesRelated,
        **arguments,
    )


def _exposed(spec: ClassSpec | None) -> ClassSpec | None:
    return spec if spec is not None and spec.exposed else None


def _joined(live: RelationshipProperty[Any], source: Side, target: Side) -> dict[str, Any]:
    """Return the arguments of a relationship without an association table."""

    def find(column: Any) -> Any:
        return (target if _is_targets(column, source, target) else source).find(column)

    conditions = [adapt(live.primaryjoin, find)]
    if target.spec is not None:
        # What a version is related to is what stood when it was made, not when it ended.
        at = source.tables[0].transaction_column
        root = target.spec.root
        conditions.append(is_row_alive(root, root.version_table, at, mark=remote))
    return {
        "primaryjoin": and_(*conditions),
        "order_by": _order(live, target.find),
    }


def _linked(
    live: RelationshipProperty[Any],
    source: Side,
    target: Side,
    associations: Mapping[Table, Hierarchy],
) -> dict[str, Any]:
    """Return the arguments of a relationship with an association table."""
    outside = [live.secondaryjoin, *(live.order_by or ())]
    needed = [column for expression in outside for column in columns_in(expression)]
    links = build_links(live, source, associations, needed=needed)

    def find(column: Any) -> Any:
        link = links.find(column)
        return target.find(column) if link is None else link

    conditions = [adapt(live.secondaryjoin, find)]
    if target.spec is not None:
        root = target.spec.root
        conditions.append(is_row_alive(root, root.version_table, links.transaction))
    return {
        "secondary": links.rows,
        "primaryjoin": links.primaryjoin,
        "secondaryjoin": and_(*conditions),
        "order_by": _order(live, find),
    }


def _is_targets(column: Any, source: Side, target: Side) -> bool:
    """Tell whether a column in a join condition is one of the class the relationship leads to."""
    marks = _sqlalchemy.relationship_marks(column)
    if marks & {"remote", "local"}:
        return "remote" in marks
    # Without marks, as in conditions of the application's own; who refers to itself is the target.
    return target.has(column) or not source.has(column)


def _order(live: RelationshipProperty[Any], find: Callable[[Any], Any]) -> Any:
    """Return the order of a relationship, without what history does not keep."""
    order: list[Any] = []
    for clause in live.order_by or ():
        try:
            order.append(adapt(clause, find, keep_marks=False))
        except CannotFollow:
            # Its members are right without it; excluded columns cannot put them in order.
            continue
    return order or False
