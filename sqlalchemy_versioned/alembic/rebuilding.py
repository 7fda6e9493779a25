"""Version tables that need another primary key than they have: found, and made anew.

That is so where rows are recognised by other columns, and where a class has come to the strategy
``'append'`` or left it, whose versions have keys of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import Boolean, MetaData, Table

from .._typing import is_column
from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from .columns import is_renaming, version_renamings_of
from .found import Found
from .names import HistoryNames
from .rebuild_operations import Rebuild, SetAsideOp, TakeBackOp
from .types import plain_column, plain_info

__all__ = ["rebuild_tables"]

#: What can be done to a version table while it is made anew.
_POSSIBLE = (
    ops.AddColumnOp,
    ops.AlterColumnOp,
    ops.CreateIndexOp,
    ops.DropColumnOp,
    ops.DropIndexOp,
)


def rebuild_tables(found: Found, upgrade_ops: ops.UpgradeOps) -> None:
    """Have version tables made anew that need another key, instead of what Alembic has found.

    :raises ImproperlyConfigured: if history cannot go on in such a table.
    """
    for spec in found.by_version.values():
        before = _key_before(found, spec) if found.is_meant(spec.version_table) else None
        if before is not None:
            _rebuild(found, upgrade_ops, spec, before)


def _rebuild(
    found: Found, upgrade_ops: ops.UpgradeOps, spec: VersionSpec, before: HistoryNames
) -> None:
    place = found.place(spec.version_table)
    changed = [each for each in upgrade_ops.ops if isinstance(each, ops.ModifyTableOps)]
    own = _operations_on(found, place, changed)
    _check_alone(spec, own, _operations_on(found, found.place(spec.parent_table), changed))
    # The new table has its columns and indexes from the beginning.
    taken = [each for each in changed if found.place(each) == place]
    upgrade_ops.ops[:] = [each for each in upgrade_ops.ops if each not in taken]
    found.remade.add(place)
    for operation in _rebuilt(found, spec, before):
        found.add_last(operation)
    live = found.columns_of(spec.parent_table)
    added = [str(each.column.name) for each in own if isinstance(each, ops.AddColumnOp)]
    for name in added:
        if name in live:
            found.align(spec, name)


def _operations_on(
    found: Found, place: Any, changed: Iterable[ops.ModifyTableOps]
) -> list[MigrateOperation]:
    return [op for table in changed if found.place(table) == place for op in table.ops]


def _key_before(found: Found, spec: VersionSpec) -> HistoryNames | None:
    """Return what a version table is in the database, if it needs another key."""
    columns = found.columns_of(spec.version_table)
    # Alembic itself compares no primary keys.
    present: set[str] = set(found.primary_key_of(spec.version_table)) if columns else set()
    renamed = {old: new for new, old in version_renamings_of(spec, columns).items()}
    transaction = str(spec.transaction_column.name)
    # Others may have made a table that never had the columns of rows in its key.
    if not present - {transaction} or _is_as_wanted(spec, columns, present, renamed):
        return None
    if renamed:
        raise _refused(spec, f"has columns with other names, {', '.join(map(repr, renamed))}")
    key, events = _recognised_by(found, spec, columns, present)
    if (events is None) != (spec.id_column is None):
        _check_events(found, spec)
    return HistoryNames(
        version_table=str(spec.version_table.name),
        table=str(spec.parent_table.name),
        key=key,
        columns=[],
        schema=spec.parent_table.schema,
        version_schema=spec.version_table.schema,
        transaction_column=transaction,
        end_column=next((name for name in columns if name in found.end_names), None),
        operation_column=str(spec.operation_column.name),
        id_column=events,
    )


def _is_as_wanted(
    spec: VersionSpec, columns: Any, present: set[str], renamed: dict[str, str]
) -> bool:
    """Tell whether a version table has the key that it needs, if under names of before."""
    wanted = {column.name for column in spec.version_table.primary_key}
    return {renamed.get(name, name) for name in present} == wanted and not any(
        _is_lacking(columns, renamed, name) for name in _key_of(spec)
    )


def _recognised_by(
    found: Found, spec: VersionSpec, columns: Any, present: set[str]
) -> tuple[list[str], str | None]:
    """Return the columns by which versions tell rows apart, and that of their ids, if it is one."""
    transaction = str(spec.transaction_column.name)
    key = [name for name in columns if name in present and name != transaction]
    if transaction in present:
        return key, None
    # Its key is one number, so that only the table itself tells by what rows were recognised.
    (events, *more), key = key, found.primary_key_of(spec.parent_table)
    if more or not set(key) <= set(columns):
        raise _refused(spec, f"has the primary key {sorted(present)}, which is not one of ours")
    return key, events


def _is_lacking(columns: Any, renamed: dict[str, str], name: str) -> bool:
    before = {new: old for old, new in renamed.items()}.get(name, name)
    return before not in columns or columns[before]["nullable"]


def _key_of(spec: VersionSpec) -> list[str]:
    """Return the columns by which a version table tells rows apart."""
    if spec.id_column is not None:
        return [str(pair.version.name) for pair in spec.key]
    return [str(c.name) for c in spec.version_table.primary_key if c is not spec.transaction_column]


def _check_events(found: Found, spec: VersionSpec) -> None:
    """Refuse events whose ids say more than their order."""
    has_base = spec.base is not None or any(each.base is spec for each in found.by_parent.values())
    if has_base:
        raise _refused(spec, "has versions whose ids are those of other tables of the same objects")
    if spec.live_id_column is not None:
        raise _refused(spec, f"has rows that keep ids of versions, in {spec.live_id_column.name!r}")
    if spec.id_column is not None and not spec.is_numbered:
        raise _refused(spec, "has ids that no database gives to versions of before, UUIDs")


def _check_alone(
    spec: VersionSpec, own: Iterable[MigrateOperation], live: Iterable[MigrateOperation]
) -> None:
    """Refuse other changes that would have to come before, or after."""
    for each in (*own, *live):
        if isinstance(each, ops.AlterColumnOp) and _is_other(each):
            raise _refused(spec, f"has a column {each.column_name!r} that is changed itself")
    kept = {str(column.name) for column in spec.parent_table.columns}
    for each in own:
        if _lost_by(each) in kept or not isinstance(each, _POSSIBLE):
            raise _refused(spec, f"is changed otherwise, too: {each.to_diff_tuple()[0]}")
    for name in filter(None, map(_lost_by, live)):
        raise _refused(spec, f"keeps {name!r}, which rows are about to lose")


def _is_other(operation: ops.AlterColumnOp) -> bool:
    """Tell whether a column has other values, or another name, after it is altered."""
    return operation.modify_type is not None or is_renaming(operation)


def _lost_by(operation: MigrateOperation) -> str | None:
    """Return the column that an operation drops, if it drops one."""
    return operation.column_name if isinstance(operation, ops.DropColumnOp) else None


def _refused(spec: VersionSpec, found: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{spec.version_table.fullname!r} needs another primary key than it has, and {found}; "
        "give the key a migration of its own, after what it needs and before what it replaces, or "
        "give the class another 'table_name', and leave this table out with include_object, so "
        "that its history begins anew"
    )


def _rebuilt(found: Found, spec: VersionSpec, before: HistoryNames) -> Iterable[MigrateOperation]:
    name, schema = str(spec.version_table.name), spec.version_table.schema
    old = Table(name, MetaData(), schema=schema)
    found.context.inspector.reflect_table(old, None, resolve_fks=False)
    now = replace(HistoryNames.of(spec, columns=[]), key=_key_of(spec))
    rows = found.columns_of(spec.parent_table)
    models = {str(column.name) for column in spec.parent_table.columns}
    rebuild = Rebuild(
        before,
        now,
        fill=[each for each in now.key or () if each not in old.c or each not in rows],
        lost=[each for each in before.key or () if each not in models],
        flags=[str(c.name) for c in spec.added if isinstance(c.type, Boolean)],
    )
    yield SetAsideOp(rebuild)
    yield from _indexes(old, ops.DropIndexOp)
    yield ops.DropTableOp.from_table(old)
    yield _creation(spec, old, before)
    yield from _indexes(spec.version_table, ops.CreateIndexOp)
    yield TakeBackOp(now, rebuild.reversed())


def _indexes(table: Table, kind: Any) -> Iterable[MigrateOperation]:
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    made = [kind.from_index(each) for each in indexes]
    if made:
        yield ops.ModifyTableOps(str(table.name), made, schema=table.schema)


def _creation(spec: VersionSpec, old: Table, before: HistoryNames) -> ops.CreateTableOp:
    """Return what creates the table, with the columns besides that only history has."""
    creation = ops.CreateTableOp.from_table(spec.version_table)
    needed = {*_key_of(spec), *(str(column.name) for column in spec.bookkeeping)}
    columns: list[Any] = []
    for each in creation.columns:
        if is_column(each):
            is_new = each.name not in old.c and each.name not in needed
            # Versions of before have no value for it.
            loose = {"nullable": True} if is_new and each.server_default is None else {}
            each = plain_column(each, **loose)
        columns.append(each)
    gone = {*spec.version_table.c.keys(), before.end_column, before.id_column}
    gone |= {str(column.name) for column in spec.version_table.columns}
    for column in old.columns:
        if column.name not in gone:
            columns.append(plain_column(column, nullable=True, primary_key=False))
    creation.columns, creation.info = columns, plain_info(creation.info)
    return creation
