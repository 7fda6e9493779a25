"""Flags that tell which columns a version was made for, found in what versions hold."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Update,
    case,
    false,
    func,
    not_,
    or_,
    select,
    true,
    update,
)

from ..database.expressions import SameValue
from ..model.operation import Operation
from ..model.spec import VersionSpec
from .images import has_value
from .ranges import Range, is_within

__all__ = ["FLAGGED", "build_flag_update", "flags_of"]

#: The key of ``Column.info`` under which a flag has the column that it is about.
FLAGGED = "sqlalchemy_versioned.flagged"


def flags_of(spec: VersionSpec) -> dict[Column[Any], Column[Any]]:
    """Return the flags of a table, each with the version column that it is about."""
    found: dict[Column[Any], Column[Any]] = {}
    for flag in spec.added:
        kept = spec.version_column(flag.info[FLAGGED]) if FLAGGED in flag.info else None
        if kept is not None:
            found[flag] = kept
    return found


def build_flag_update(spec: VersionSpec, within: Range) -> Update:
    """Set the flags of the versions in a range as what they hold says."""
    rows, key = _rows(spec, within), [pair.version for pair in spec.key]
    values = {
        flag: _is_changed(rows, kept, rows.c[f"own_{place}_"], rows.c[f"before_{place}_"])
        for place, (flag, kept) in enumerate(flags_of(spec).items())
    }
    return (
        update(spec.version_table)
        .where(
            *[column == rows.c[f"key_{place}_"] for place, column in enumerate(key)],
            spec.identifier == rows.c.identifier_,
            # Only wrong rows are written, and counted.
            or_(*[flag.is_distinct_from(value) for flag, value in values.items()]),
        )
        .values(values)
    )


def _rows(spec: VersionSpec, within: Range) -> FromClause:
    """Select versions with what they hold, and what the versions before them held."""
    key = [pair.version for pair in spec.key]

    def before(column: Column[Any]) -> ColumnElement[Any]:
        earlier = func.lag(column, type_=column.type)
        return earlier.over(partition_by=key, order_by=spec.place)

    named: dict[str, Any] = {f"key_{place}_": column for place, column in enumerate(key)}
    named |= {
        "identifier_": spec.identifier,
        "operation_": spec.operation_column,
        "operation_before_": before(spec.operation_column),
    }
    for place, kept in enumerate(flags_of(spec).values()):
        named |= {f"own_{place}_": kept, f"before_{place}_": before(kept)}
    columns = [column.label(name) for name, column in named.items()]
    return select(*columns).where(is_within(key, within)).subquery(f"{spec.prefix}rows")


def _is_changed(rows: FromClause, kept: Column[Any], own: Any, former: Any) -> ColumnElement[bool]:
    operation, before = rows.c.operation_, rows.c.operation_before_
    is_first = or_(operation == Operation.INSERT, before.is_(None), before == Operation.DELETE)
    return case(
        (operation == Operation.DELETE, true()),
        (is_first, case((has_value(own), true()), else_=false())),
        (not_(SameValue(own, former)), true()),
        else_=false(),
    )
