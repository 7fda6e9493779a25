"""Changes of tables that Alembic has found, amended so that history goes on.

A column that is dropped stays in the version table; one that is renamed or gets another type takes
its history along; one that comes back gets its values back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, Integer
from sqlalchemy.sql.elements import False_

from ..build.columns import StoredEnum
from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from .columns import (
    check_renamings,
    convert,
    is_renaming,
    rename_columns,
    renamings_of,
    version_renamings_of,
)
from .found import Found
from .names import HistoryNames
from .operations import AlignVersionsOp, OnDowngrade, UpdateEndsOp
from .types import is_generated, plain_column, plain_type

__all__ = ["amend_changes"]


def amend_changes(found: Found, table: ops.ModifyTableOps) -> list[ops.ModifyTableOps]:
    """Amend the changes of one table; return what becomes of them."""
    table.ops[:] = [_plain(operation) for operation in table.ops]
    place = found.place(table)
    if place in found.by_version:
        _amend_versions(found, table, found.by_version[place])
    elif place in found.by_parent:
        _amend_rows(found, table, found.by_parent[place])
    elif place in found.transactions:
        table.ops[:] = [each for each in map(_loosened, table.ops) if not _is_idle(each)]
    # Where SQLite makes another table, that has indexes on columns of before, or of now.
    parts = [list(part) for _, part in groupby(table.ops, is_renaming)]
    return [ops.ModifyTableOps(table.table_name, each, schema=table.schema) for each in parts]


def _plain(operation: MigrateOperation) -> MigrateOperation:
    """Let an operation have no types of ours."""
    if isinstance(operation, ops.AddColumnOp):
        operation.column = plain_column(operation.column)
    elif isinstance(operation, ops.AlterColumnOp) and operation.modify_type is not None:
        operation.modify_type = plain_type(operation.modify_type)
    return operation


def _loosened(operation: MigrateOperation) -> MigrateOperation:
    """Let no column be required that rows of before have no value for."""
    if isinstance(operation, ops.AddColumnOp):
        column = operation.column
        if not column.nullable and column.server_default is None:
            operation.column = plain_column(column, nullable=True)
    elif isinstance(operation, ops.AlterColumnOp) and operation.modify_nullable is False:
        operation.modify_nullable = None
    return operation


def _is_idle(operation: MigrateOperation) -> bool:
    """Tell whether nothing is left of an operation."""
    return isinstance(operation, ops.AlterColumnOp) and not operation.has_changes()


# -- version tables ----------------------------------------------------------------------------


def _amend_versions(found: Found, table: ops.ModifyTableOps, spec: VersionSpec) -> None:
    renamed = version_renamings_of(spec, found.columns_of(spec.version_table))
    rename_columns(found.context, table, renamed)
    kept: list[MigrateOperation | None] = []
    for operation in table.ops:
        if isinstance(operation, ops.DropColumnOp):
            kept.append(_retired(found, operation, spec))
            continue
        if isinstance(operation, ops.AddColumnOp):
            _fill(found, operation.column, spec)
        elif isinstance(operation, ops.AlterColumnOp):
            _check_numbers(operation, spec)
            if _has_room(found, operation, spec):
                operation.modify_type = None
            operation = convert(operation)
            if _are_both_false(operation.existing_server_default, operation.modify_server_default):
                operation.modify_server_default = False
        kept.append(_loosened(operation))
    table.ops[:] = [each for each in kept if each is not None and not _is_idle(each)]


def _check_numbers(operation: ops.AlterColumnOp, spec: VersionSpec) -> None:
    """Refuse to make numbers of ours something else by their type alone.

    :raises ImproperlyConfigured: if operations or ids are about to be stored otherwise.
    """
    before, after = operation.existing_type, operation.modify_type
    if after is None or isinstance(before, Integer) == isinstance(after, Integer):
        return
    options = {spec.operation_column: "operation_type_format", spec.id_column: "version_id_type"}
    for column, option in options.items():
        if column is not None and column.name == operation.column_name:
            raise ImproperlyConfigured(
                f"{spec.version_table.fullname!r} has {before!r} for {column.name!r}, and by the "
                f"option {option!r} it would be {after!r}; another type alone would make what is "
                "stored unreadable: leave the option as it was, or convert the column and its "
                "values by hand, before this migration is generated"
            )


def _has_room(found: Found, operation: ops.AlterColumnOp, spec: VersionSpec) -> bool:
    """Tell whether a column is text that takes the members of its enum already."""
    kept = {pair.version.name: pair.version.type for pair in spec.pairs}
    type_, stored = kept.get(operation.column_name), operation.existing_type
    if not isinstance(type_, StoredEnum) or stored is None:
        return False
    return type_.has_room_in(stored, found.dialect)


def _are_both_false(stored: Any, wanted: Any) -> bool:
    """Tell whether defaults of a flag are the same, which MySQL shows by its number."""
    shown = str(getattr(getattr(stored, "arg", None), "text", ""))
    return shown == "0" and isinstance(getattr(wanted, "arg", None), False_)


def _retired(found: Found, drop: ops.DropColumnOp, spec: VersionSpec) -> MigrateOperation | None:
    """Return what to do instead of dropping a column from a version table; mostly nothing."""
    name, column = drop.column_name, drop.to_column()
    if name in found.primary_key_of(spec.version_table):
        raise _other_key(spec, f"has {name!r} in its primary key, which the models have not")
    if spec.end_column is None and name in found.end_names:
        names = replace(HistoryNames.of(spec), end_column=name)
        found.first.append(OnDowngrade(UpdateEndsOp(names)))
        return drop
    if name in {parent.name for parent in spec.parent_table.columns}:
        # It is excluded: rows go on with it, and what they had would soon be taken for what they
        # have.
        found.first.append(OnDowngrade(AlignVersionsOp(HistoryNames.of(spec, columns=[name]))))
        return drop
    # What was recorded stays; versions to come must do without a value.
    if column.nullable or column.server_default is not None:
        return None
    return _with_null(drop, column)


def _other_key(spec: VersionSpec, found: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{spec.version_table.fullname!r} {found}; rows are found in history by their keys, and "
        "the strategy 'append' has keys of its own, so that history cannot go on in this table: "
        "give the class another 'table_name' and leave this table out with include_object, or "
        "migrate the tables by hand"
    )


def _with_null(drop: ops.DropColumnOp, column: Column[Any]) -> ops.AlterColumnOp:
    """Let a column hold nothing that is about to be dropped."""
    return ops.AlterColumnOp(
        drop.table_name,
        drop.column_name,
        schema=drop.schema,
        existing_type=column.type,
        existing_nullable=False,
        existing_comment=column.comment,
        modify_nullable=True,
    )


def _fill(found: Found, column: Column[Any], spec: VersionSpec) -> None:
    """Have the values written that versions lack in a column that is added to their table."""
    if column.primary_key:
        raise _other_key(spec, f"has no {column.name!r} in its primary key, as the models have")
    if spec.end_column is not None and column.name == spec.end_column.name:
        found.add_last(UpdateEndsOp(HistoryNames.of(spec)))
        return
    live = found.columns_of(spec.parent_table)
    for pair in spec.pairs:
        has_values = column.name in live or pair.parent.server_default is not None
        if pair.version.name == column.name and live and has_values:
            found.align(spec, str(column.name))


# -- the tables whose rows are recorded --------------------------------------------------------


def _amend_rows(found: Found, table: ops.ModifyTableOps, spec: VersionSpec) -> None:
    versions = found.columns_of(spec.version_table)
    renamed = renamings_of(spec, found.columns_of(spec.parent_table))
    check_renamings(spec, renamed, versions)
    rename_columns(found.context, table, renamed)
    kept: list[MigrateOperation] = []
    for operation in table.ops:
        if isinstance(operation, ops.AlterColumnOp):
            operation = convert(operation)
        elif isinstance(operation, ops.AddColumnOp) and operation.column.name in versions:
            found.align(spec, str(operation.column.name))
        elif isinstance(operation, ops.DropColumnOp) and operation.column_name in versions:
            operation = _restorable(found, operation, spec, renamed)
        kept.append(operation)
    table.ops[:] = kept


def _restorable(
    found: Found, drop: ops.DropColumnOp, spec: VersionSpec, renamed: Mapping[str, str]
) -> ops.DropColumnOp:
    """Let a downgrade take the values of a dropped column from history."""
    column = drop.to_column()
    if not column.nullable and column.server_default is None:
        loosening = ops.ModifyTableOps(
            drop.table_name, [_with_null(drop, column)], schema=drop.schema
        )
        found.first.append(loosening)
        column = plain_column(column, nullable=True)
        drop = ops.DropColumnOp.from_column_and_tablename(drop.schema, drop.table_name, column)
    # In a downgrade the columns have their names of before again.
    now = HistoryNames.of(spec, columns=[drop.column_name])
    before = replace(
        now,
        key=[renamed.get(name, name) for name in now.key or ()],
        generated=(drop.column_name,) if is_generated(column) else (),
    )
    found.first.append(OnDowngrade(AlignVersionsOp(before)))
    return drop
