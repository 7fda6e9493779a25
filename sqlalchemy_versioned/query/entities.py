"""Which classes a transaction changed objects of: the versions tell, and none need be loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, not_, or_

from .._typing import mapper_of, select_rows
from ..model.lookup import spec_telling_of
from ..model.mapping import root_mapper
from ..model.spec import ClassSpec, Hierarchy

__all__ = ["families", "is_of_classes", "select_changed"]


def families(specs: Iterable[ClassSpec]) -> Iterator[list[ClassSpec]]:
    """Yield the classes that share tables with each other, of all that are given."""
    found: dict[Hierarchy, list[ClassSpec]] = {}
    for spec in specs:
        found.setdefault(spec.hierarchy, []).append(spec)
    yield from found.values()


def select_changed(family: Sequence[ClassSpec], at: Any) -> Select[Any]:
    """Select one row that tells of each class of a family whether a transaction changed objects.

    Objects of its subclasses are not its own, if anything tells them apart.

    :param at: the id of the transaction.
    """
    return select_rows(*[_has_versions(spec, family, at) for spec in family])


def is_of_classes(specs: Sequence[ClassSpec]) -> ColumnElement[bool] | None:
    """Match versions of some classes of a family, or return ``None`` if no column tells classes."""
    base = root_mapper(mapper_of(specs[0].version_class))
    kind: Any = base.polymorphic_on
    if kind is None:
        return None
    # Of classes that are not versioned, there are versions of the one above.
    known = mapper_of(specs[0].parent_class).polymorphic_map
    kinds = [each for each, found in known.items() if spec_telling_of(found) in specs]
    # What says nothing of its class is of the base-most one.
    is_base = any(spec.version_class is base.class_ for spec in specs)
    return or_(kind.in_(kinds), kind.is_(None)) if is_base else kind.in_(kinds)


def _has_versions(spec: ClassSpec, family: Sequence[ClassSpec], at: Any) -> ColumnElement[bool]:
    is_own = is_of_classes([spec])
    if is_own is not None:
        return exists().where(spec.root.transaction_column == at, is_own)
    own = spec.tables[-1]
    below = {each.tables[-1]: None for each in family if own in each.tables[:-1]}
    others: list[ColumnElement[bool]] = []
    for other in below:
        same = [
            theirs.version == ours.version for theirs, ours in zip(other.key, own.key, strict=True)
        ]
        same += [theirs == ours for theirs, ours in zip(other.place, own.place, strict=True)]
        others.append(not_(exists().where(*same).correlate(own.version_table)))
    return exists().where(and_(own.transaction_column == at, *others))
