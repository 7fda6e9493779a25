"""First versions of rows that are older than their history, as migrations write them.

What :func:`~sqlalchemy_versioned.maintenance.baseline` finds row by row is told by names here, so
that it is one statement.  Where that cannot be done, nothing is written: each row gets its first
version when it is changed, or by ``baseline()``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy.types import TypeEngine

from .._typing import is_column
from ..maintenance.places import Place, find_places
from ..model.spec import VersionSpec
from .baseline_operations import BaselineVersionsOp, FirstVersions
from .found import Found
from .names import HistoryNames

__all__ = ["first_versions"]


def first_versions(found: Found, begun: Collection[VersionSpec]) -> Iterator[BaselineVersionsOp]:
    """Yield what gives rows their first versions, those of base-most tables first.

    :param begun: the histories that begin with the migration.
    """
    own = set(found.by_parent.values())
    places = [each for each in find_places(()) if each.spec in own and _is_meant(found, each.spec)]
    # Rows of a class that was left out until now lack versions in the tables above it, too.
    roots = {each.first for each in places if each.spec in begun and _has_rows(found, each.spec)}
    for place in places:
        if place.first in roots and _has_rows(found, place.spec):
            operation = _first_versions_of(found, place)
            if operation is not None:
                yield operation


def _is_meant(found: Found, spec: VersionSpec) -> bool:
    return found.is_meant(spec.parent_table) and found.is_meant(spec.version_table)


def _has_rows(found: Found, spec: VersionSpec) -> bool:
    return bool(spec.key and found.columns_of(spec.parent_table))


def _first_versions_of(found: Found, place: Place) -> BaselineVersionsOp | None:
    spec, base = place.spec, place.first
    needed = [column for column in spec.added if not column.nullable]
    if any(column.server_default is None for column in needed):
        return None
    names = HistoryNames.of(spec, columns=[str(pair.parent.name) for pair in spec.pairs])
    if base is not spec:
        # Its rows have what those of the base-most table have got before them.
        are_alike = _bookkeeping(base) == _bookkeeping(spec)
        return BaselineVersionsOp(names, FirstVersions(base=_base(base))) if are_alike else None
    # Nothing comes after a version that is alone.
    names = replace(names, end_column=None)
    if spec.is_numbered:
        names = replace(names, id_column=None)
    left_out: dict[str, list[Any]] = {}
    if place.left_out is not None:
        left_out = _left_out(found, place)
        if not left_out:
            return None
    return BaselineVersionsOp(names, FirstVersions(left_out=left_out))


def _base(spec: VersionSpec) -> HistoryNames:
    """Return the names of a base-most table, and of what tells classes apart in it."""
    kind = None if spec.kind is None else str(spec.kind.parent.name)
    columns = [] if kind is None else [kind]
    return replace(HistoryNames.of(spec, columns=columns), kind=kind)


def _bookkeeping(spec: VersionSpec) -> list[str]:
    return [str(column.name) for column in spec.bookkeeping]


def _left_out(found: Found, place: Place) -> dict[str, list[Any]]:
    """Return what the column that tells classes apart says of those that are not recorded.

    Nothing, if a migration cannot say it.
    """
    assert place.left_out is not None
    assert place.mapper is not None
    kind: Any = place.mapper.base_mapper.polymorphic_on
    if not is_column(kind) or kind.table is not place.spec.parent_table:
        return {}
    stored_as: TypeEngine[Any] = kind.type.dialect_impl(found.dialect)
    process = stored_as.bind_processor(found.dialect)
    identities = place.left_out.identities
    stored = [each if process is None else process(each) for each in identities]
    return {str(kind.name): stored} if all(isinstance(each, str | int) for each in stored) else {}
