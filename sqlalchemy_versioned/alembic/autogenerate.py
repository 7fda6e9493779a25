"""What autogenerate does differently where history is concerned.

Version tables are ordinary tables of the ``MetaData``, so that Alembic sees by itself what they
lack.  Before it compares, mappers are configured; after it, what it has found is amended: a column
is never dropped from a version table, and what lets history go on is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, Sequence, Table
from sqlalchemy.orm import configure_mappers

from .._typing import is_column
from ..exc import ImproperlyConfigured
from ..model.naming import cut_name
from ..model.spec import VersionSpec
from .beginnings import first_versions
from .changes import amend_changes
from .found import Found, metadata_of
from .moves import move_tables
from .rebuilding import rebuild_tables
from .sequence_operations import CreateSequenceOp, DropSequenceOp
from .trigger_changes import compare_triggers
from .types import plain_column, plain_info

__all__ = ["amend", "configure", "configure_late"]


def configure(autogen_context: AutogenContext, upgrade_ops: ops.UpgradeOps) -> None:
    """Configure mappers, which makes version tables, before tables are compared."""
    configure_mappers()


def configure_late(autogen_context: AutogenContext) -> None:
    """Make sure that there were version tables when tables were compared.

    :raises ImproperlyConfigured: if mappers were not configured before.
    """
    before = [set(metadata.tables) for metadata in metadata_of(autogen_context)]
    configure_mappers()
    if before != [set(metadata.tables) for metadata in metadata_of(autogen_context)]:
        raise ImproperlyConfigured(
            "tables were compared before mappers were configured, so that version tables were "
            "missing; call sqlalchemy.orm.configure_mappers() in env.py, after importing the "
            "models, or install Alembic 1.18 or later"
        )


def amend(autogen_context: AutogenContext, upgrade_ops: ops.UpgradeOps) -> None:
    """Amend what Alembic has found."""
    found = Found(autogen_context)
    move_tables(found, upgrade_ops)
    rebuild_tables(found, upgrade_ops)
    triggers = compare_triggers(autogen_context, found, upgrade_ops)
    kept: list[MigrateOperation] = []
    begun: list[VersionSpec] = []
    for operation in upgrade_ops.ops:
        if isinstance(operation, ops.CreateTableOp):
            _amend_creation(found, operation)
            begun += filter(None, [found.by_version.get(found.place(operation))])
        elif isinstance(operation, ops.DropTableOp):
            _drop_numbering(found, operation)
        elif isinstance(operation, ops.ModifyTableOps):
            kept += amend_changes(found, operation)
            continue
        kept.append(operation)
    upgrade_ops.ops[:] = [
        *triggers.first,
        *found.first,
        *_in_order(kept),
        *found.last,
        # By now versions say all that is told of them, and where they end.
        *first_versions(found, begun),
        *triggers.last,
    ]


def _amend_creation(found: Found, creation: ops.CreateTableOp) -> None:
    creation.info = plain_info(creation.info)
    place = found.place(creation)
    number = None
    if place in found.transactions:
        number = _make_numbering(found, found.transactions[place])
    creation.columns = [
        plain_column(each, **({"autoincrement": False} if each is number else {}))
        if is_column(each)
        else each
        for each in creation.columns
    ]


def _make_numbering(found: Found, table: Table) -> Column[Any] | None:
    """Have a sequence made for the ids of a transaction table; return their column if it has."""
    number = next(iter(table.primary_key.columns))
    sequence = number.default
    if not isinstance(sequence, Sequence) or not found.dialect.supports_sequences:
        return None
    if not found.has_sequence(sequence.name, sequence.schema):
        found.first.append(CreateSequenceOp(sequence.name, schema=sequence.schema))
    return number


def _drop_numbering(found: Found, drop: ops.DropTableOp) -> None:
    """Remove the sequence of a transaction table that is no more."""
    name = cut_name(f"{drop.table_name}_id_seq")
    # The models have it no more, so what it was is told by its columns.
    if {"id", "issued_at"} <= set(drop.to_table().c.keys()) and found.has_sequence(
        name, drop.schema
    ):
        found.add_last(DropSequenceOp(name, schema=drop.schema))


def _in_order(operations: Iterable[MigrateOperation]) -> list[MigrateOperation]:
    """Return operations with tables dropped in the end, those first that others do not need."""
    drops: dict[str, MigrateOperation] = {}
    others: list[MigrateOperation] = []
    needed: dict[str, set[str]] = {}
    for operation in operations:
        if not isinstance(operation, ops.DropTableOp):
            others.append(operation)
            continue
        table = operation.to_table()
        drops[table.fullname] = operation
        for key in table.foreign_keys:
            target = key.target_fullname.rpartition(".")[0]
            if target != table.fullname:
                needed.setdefault(target, set()).add(table.fullname)
    try:
        order = list(
            TopologicalSorter({name: needed.get(name, set()) for name in drops}).static_order()
        )
    except CycleError:
        # No order is right then, and Alembic's own is as good as another.
        order = list(drops)
    return [*others, *(drops[name] for name in order if name in drops)]
