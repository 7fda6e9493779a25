"""The statements of migrations: one each, however many rows there are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Update,
    exists,
    insert,
    literal_column,
    not_,
    select,
    update,
)

from ..database.dialects import AsDeclared
from ..model.operation import BEFORE_RECORDING, Operation
from ..model.spec import ColumnPair, VersionSpec
from ..query.neighbours import Neighbours, rows_with_neighbours
from ..query.rows import same_key

__all__ = ["build_baseline", "build_filling", "build_restoring"]


def build_baseline(spec: VersionSpec) -> Insert:
    """Give rows without a version one of their present state, before all transactions."""
    versions = spec.version_table.alias()
    is_recorded = exists().where(same_key(spec, versions)).correlate(spec.parent_table)
    kept: list[tuple[Column[Any], ColumnElement[Any]]] = [(p.version, p.parent) for p in spec.pairs]
    kept += [
        (spec.transaction_column, literal_column(str(BEFORE_RECORDING))),
        (spec.operation_column, spec.operation(Operation.INSERT)),
    ]
    # A column of versions may be called like one of ours in the statement, never by its key.
    source = select(*[value.label(f"c{place}") for place, (_, value) in enumerate(kept)])
    return insert(spec.version_table).from_select(
        [column for column, _ in kept],
        source.select_from(spec.parent_table).where(not_(is_recorded)),
        include_defaults=False,
    )


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
