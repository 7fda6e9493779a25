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
from ..query.beginnings import beginning_of
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
    :param base: the base-most table of their objects; they begin where these do, and get none where
        it has none of what they are.
    """
    versions = spec.version_table.alias()
    is_recorded = exists().where(same_key(spec, versions)).correlate(spec.parent_table)
    rows, told = _begin_alone(spec) if base is None else _begin_along(spec, base)
    kept: list[tuple[Column[Any], ColumnElement[Any]]] = [(p.version, p.parent) for p in spec.pairs]
    kept += told.items()
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


def _begin_alone(spec: VersionSpec) -> tuple[FromClause, dict[Column[Any], ColumnElement[Any]]]:
    """Return what gets versions before all transactions, and the bookkeeping of these."""
    told: dict[Column[Any], ColumnElement[Any]] = {
        spec.transaction_column: literal_column(str(BEFORE_RECORDING)),
        spec.operation_column: spec.operation(Operation.INSERT),
    }
    if spec.id_column is not None:
        told[spec.id_column] = StampedUuid(literal(stamp(), String()), Uuid())
    return spec.parent_table, told


def _begin_along(
    spec: VersionSpec, base: VersionSpec
) -> tuple[FromClause, dict[Column[Any], ColumnElement[Any]]]:
    """Return what gets versions where the base-most table has some, and their bookkeeping."""
    versions, are_of_row, told = beginning_of(spec, base)
    return spec.parent_table.join(versions, are_of_row), told


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
