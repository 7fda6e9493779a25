"""The statements of migrations: one each, however many rows there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Insert,
    String,
    Update,
    Uuid,
    and_,
    exists,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    update,
)

from ..database.expressions import AsDeclared, StampedUuid
from ..model.operation import BEFORE_RECORDING, Operation
from ..model.spec import ColumnPair, VersionSpec
from ..query.neighbours import Neighbours, rows_with_neighbours
from ..query.rows import same_key
from ..recording.stamps import stamp

__all__ = ["build_baseline", "build_filling", "build_restoring"]


def build_baseline(
    spec: VersionSpec,
    left_out: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    base: VersionSpec | None = None,
) -> Insert:
    """Give rows without a version one of their present state, before all transactions.

    :param left_out: what columns say of rows that get none.
    :param base: the base-most table of their objects; they get one where it has one.
    """
    versions = spec.version_table.alias()
    is_recorded = exists().where(same_key(spec, versions)).correlate(spec.parent_table)
    kept: list[tuple[Column[Any], ColumnElement[Any]]] = [(p.version, p.parent) for p in spec.pairs]
    rows: FromClause = spec.parent_table
    if base is None:
        kept += [
            (spec.transaction_column, literal_column(str(BEFORE_RECORDING))),
            (spec.operation_column, spec.operation(Operation.INSERT)),
        ]
        if spec.id_column is not None:
            kept.append((spec.id_column, StampedUuid(literal(stamp(), String()), Uuid())))
    else:
        rows = rows.join(base.version_table, _is_first(spec, base))
        kept += zip(spec.bookkeeping, base.bookkeeping, strict=True)
    # NULL is no class that is left out.
    meant = [
        or_(spec.parent_table.c[name].is_(None), spec.parent_table.c[name].not_in(each))
        for name, each in left_out.items()
    ]
    # A column of versions may be called like one of ours in the statement, never by its key.
    source = select(*[value.label(f"c{place}") for place, (_, value) in enumerate(kept)])
    return insert(spec.version_table).from_select(
        [column for column, _ in kept],
        source.select_from(rows).where(not_(is_recorded), *meant),
        include_defaults=False,
    )


def _is_first(spec: VersionSpec, base: VersionSpec) -> ColumnElement[bool]:
    """Match rows with the first versions of their objects in the base-most table."""
    pairs = zip(spec.key, base.key, strict=True)
    same = [ours.parent == theirs.version for ours, theirs in pairs]
    other = base.version_table.alias()
    first = (
        select(other.c[base.identifier.key])
        .where(*[other.c[pair.version.key] == pair.version for pair in base.key])
        .order_by(*[other.c[each.key] for each in base.place])
        .limit(1)
        .correlate(base.version_table)
        .scalar_subquery()
    )
    return and_(*same, base.identifier == first)


def build_restoring(spec: VersionSpec, pair: ColumnPair) -> Update:
    """Give rows the values of a column that their newest versions hold."""
    newest = rows_with_neighbours(spec)
    return (
        update(spec.parent_table)
        .where(*_is_newest(spec, newest), same_key(spec, spec.version_table))
        .where(pair.version.is_not(None))
        .values({pair.parent: AsDeclared(pair.version, pair.parent)})
    )


def build_filling(spec: VersionSpec, pair: ColumnPair) -> Update:
    """Give the newest versions the values of a column that they lack and their rows have."""
    newest = rows_with_neighbours(spec)
    return (
        update(spec.version_table)
        .where(*_is_newest(spec, newest), same_key(spec, spec.version_table))
        .where(pair.version.is_(None), pair.parent.is_not(None))
        .values({pair.version: pair.parent})
    )


def _is_newest(spec: VersionSpec, rows: Neighbours) -> list[ColumnElement[bool]]:
    """Match the versions that none comes after, which are no deletions."""
    return [
        *[key == pair.version for key, pair in zip(rows.key, spec.key, strict=True)],
        rows.identifier == spec.identifier,
        rows.next.is_(None),
        spec.operation_column != spec.operation(Operation.DELETE),
    ]
