"""First versions of rows that are older than their history, as migrations write them.

What :func:`~sqlalchemy_versioned.maintenance.baseline` finds row by row is told by names here, so
that it is one statement.  Where that cannot be done, nothing is written: each row gets its first
version when it is changed, or by ``baseline()``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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
    names = _names(spec, columns=[str(pair.parent.name) for pair in spec.pairs])
    if spec.id_column is None or spec.is_numbered:
        names = replace(names, id_column=None)
    if base is not spec:
        # Its rows have what those of the base-most table have got before them.
        are_alike = _bookkeeping(base) == _bookkeeping(spec)
        which = FirstVersions(base=_names(base))
        return BaselineVersionsOp(names, which) if are_alike else None
    left_out: dict[str, list[Any]] = {}
    if place.left_out is not None:
        left_out = _left_out(found, place)
        if not left_out:
            return None
    names = replace(names, read=tuple(left_out))
    return BaselineVersionsOp(names, FirstVersions(left_out=left_out))


def _names(spec: VersionSpec, columns: Sequence[str] = ()) -> HistoryNames:
    """Return the names of a history whose ends do not matter."""
    return replace(HistoryNames.of(spec, columns=columns), end_column=None)


def _bookkeeping(spec: VersionSpec) -> list[str]:
    return [str(column.name) for column in (*spec.place, spec.operation_column)]


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
