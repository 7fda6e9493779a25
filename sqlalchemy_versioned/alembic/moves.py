"""Version tables that get another name or schema by an option: found, and moved.

Alembic would drop the table that there is and create the other, and history would begin anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from alembic.operations import MigrateOperation, ops
from sqlalchemy import Table

from ..exc import ImproperlyConfigured
from ..model.naming import cut_name
from ..model.spec import VersionSpec
from ..options import DEFAULTS
from .found import Found
from .move_operations import MoveVersionsOp

__all__ = ["move_tables"]


def move_tables(found: Found, upgrade_ops: ops.UpgradeOps) -> None:
    """Have version tables moved that would be dropped, and created elsewhere.

    :raises ImproperlyConfigured: if such a table would have to be changed as well.
    """
    created = [each for each in upgrade_ops.ops if isinstance(each, ops.CreateTableOp)]
    dropped = [each for each in upgrade_ops.ops if isinstance(each, ops.DropTableOp)]
    for creation in created:
        spec = found.by_version.get(found.place(creation))
        if spec is None or not found.columns_of(spec.parent_table):
            continue
        tables = [(each, each.to_table()) for each in dropped]
        before = [(each, table) for each, table in tables if _may_be(found, table, spec)]
        if len(before) == 1:
            (drop, table) = before[0]
            _check_same(table, spec)
            _move(found, upgrade_ops, drop, creation)


def _may_be(found: Found, table: Table, spec: VersionSpec) -> bool:
    """Tell whether a table has the versions that *spec* would have in another one."""
    parent = str(spec.parent_table.name)
    names = (str(each.name) for each in found.tables if each is not spec.parent_table)
    if table.name in {_usual_name(each) for each in names if each != parent}:
        # Those of another table, which is not versioned any more.
        return False
    needed = [spec.transaction_column, spec.operation_column, *[p.version for p in spec.key]]
    is_called_so = re.search(rf"(^|_){re.escape(parent)}(_|$)", str(table.name)) is not None
    is_called_so = is_called_so or table.name in (spec.version_table.name, _usual_name(parent))
    return is_called_so and all(str(column.name) in table.c for column in needed)


def _usual_name(parent: str) -> str:
    return cut_name(DEFAULTS.table_name % parent)


def _check_same(table: Table, spec: VersionSpec) -> None:
    """Refuse to move a table that would have to be changed, which autogenerate compares then."""
    told = _difference(table, spec)
    if told is not None:
        raise ImproperlyConfigured(
            f"{table.fullname!r} shall become {spec.version_table.fullname!r}, and {told}; give "
            "the move a migration of its own, before or after what changes the table, or leave the "
            "table out with include_object, so that its history begins anew"
        )


def _difference(table: Table, spec: VersionSpec) -> str | None:
    """Return what would have to be changed about a table; ``None`` if nothing."""
    wanted = spec.version_table
    present, kept, live = (
        {str(column.name): None for column in each.columns}
        for each in (table, wanted, spec.parent_table)
    )
    if lacking := [repr(name) for name in kept if name not in present]:
        return f"has not the columns {', '.join(lacking)}"
    # What the models have no more stays.
    if excluded := [repr(name) for name in present if name in live and name not in kept]:
        return f"has the columns {', '.join(excluded)}, which are excluded"
    keys = [{str(column.name) for column in each.primary_key} for each in (table, wanted)]
    return None if keys[0] == keys[1] else "has not the same primary key"


def _move(
    found: Found, upgrade_ops: ops.UpgradeOps, drop: ops.DropTableOp, creation: ops.CreateTableOp
) -> None:
    old, new = found.place(drop), found.place(creation)
    found.moved.add(old)
    # Indexes are called after their table; their operations are there already.
    about = {place: _about(found, upgrade_ops, place) for place in (old, new)}
    move = MoveVersionsOp((drop.schema, drop.table_name), (creation.schema, creation.table_name))
    gone = [drop, creation, *about[old], *about[new]]
    rest = [each for each in upgrade_ops.ops if each not in gone]
    upgrade_ops.ops[:] = [*about[old], move, *about[new], *rest]


def _about(found: Found, upgrade_ops: ops.UpgradeOps, place: object) -> list[MigrateOperation]:
    changes: Iterable[MigrateOperation] = upgrade_ops.ops
    return [e for e in changes if isinstance(e, ops.ModifyTableOps) and found.place(e) == place]
