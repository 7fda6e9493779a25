"""Changes of columns that autogenerate does not know of: renaming, and converting for sure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, MetaData, Table

from ..database.dialects import conversion_arguments
from ..exc import ImproperlyConfigured
from ..model.spec import VersionSpec
from ..options import DEFAULTS
from ..query.flags import FLAGGED

__all__ = [
    "RENAMED_FROM",
    "ChangeColumnOp",
    "check_renamings",
    "convert",
    "is_renaming",
    "rename_columns",
    "renamings_of",
    "version_renamings_of",
]

#: The key of ``Column.info`` that says how a column was called before.
RENAMED_FROM = "renamed_from"


class ChangeColumnOp(ops.AlterColumnOp):
    """An ``alter_column()`` that says how values are converted, and that can undo a new name."""

    def reverse(self) -> ops.AlterColumnOp:
        """Change it back."""
        back = super().reverse()
        if self.modify_name is not None:
            back.column_name, back.modify_name = self.modify_name, self.column_name
        return back

    def has_changes(self) -> bool:
        """Tell whether something differs."""
        return self.modify_name is not None or super().has_changes()

    def to_diff_tuple(self) -> Any:
        """Say what differs, for ``compare_metadata()``."""
        name = ("modify_name", self.schema, self.table_name, self.column_name, self.modify_name)
        return [*super().to_diff_tuple(), *([name] if self.modify_name is not None else [])]


@renderers.dispatch_for(ChangeColumnOp)
def _render(autogen_context: AutogenContext, operation: ChangeColumnOp) -> str:
    text: str = renderers.dispatch(ops.AlterColumnOp)(autogen_context, operation)
    old, new = operation.existing_type, operation.modify_type
    arguments: dict[str, str] = {}
    if operation.modify_name is not None and "new_column_name=" not in text:
        # Alembic writes names only of late.
        arguments["new_column_name"] = operation.modify_name
    if old is not None and new is not None:
        # PostgreSQL converts by itself only where nothing could be lost.
        arguments |= conversion_arguments(autogen_context.dialect, operation.column_name, old, new)
    more = "".join(f",\n           {key}={value!r}" for key, value in arguments.items())
    return f"{text[:-1]}{more})"


def is_renaming(operation: MigrateOperation) -> bool:
    """Tell whether an operation gives a column another name."""
    return isinstance(operation, ops.AlterColumnOp) and operation.modify_name is not None


def convert(operation: ops.AlterColumnOp) -> ChangeColumnOp:
    """Return an operation that says how values are converted where the database must be told."""
    kinds = ("type", "server_default", "nullable", "comment")
    names = [f"{what}_{kind}" for what in ("existing", "modify") for kind in kinds]
    said = {name: getattr(operation, name) for name in [*names, "modify_name"]}
    # Columns of versions are never numbered, which only MySQL needs to be told.
    more = {key: value for key, value in operation.kw.items() if value is not False}
    table, column, schema = operation.table_name, operation.column_name, operation.schema
    return ChangeColumnOp(table, column, schema=schema, **said, **more)


def rename_columns(
    autogen_context: AutogenContext, table: ops.ModifyTableOps, renamed: Mapping[str, str]
) -> None:
    """Let columns be renamed that would be dropped and added under another name.

    :param renamed: the names of before by those of now.
    """
    added = {op.column.name: op for op in table.ops if isinstance(op, ops.AddColumnOp)}
    dropped = {op.column_name: op for op in table.ops if isinstance(op, ops.DropColumnOp)}
    renamings: dict[MigrateOperation, MigrateOperation] = {}
    for new, old in renamed.items():
        # Only what would be lost otherwise; a name that is said may have been given long ago.
        if new in added and old in dropped:
            renamings[added[new]] = _renaming(autogen_context, dropped.pop(old), added[new].column)
    if not renamings:
        return
    gone = {*renamings, *_drops(table.ops)} - set(dropped.values())
    first = [op for op in _drops(table.ops) if not isinstance(op, ops.DropColumnOp)]
    rest = [op for op in table.ops if op not in gone]
    # What is about the columns has their names of before in a downgrade, too.
    table.ops[:] = [*first, *renamings.values(), *rest]


def _drops(operations: Iterable[MigrateOperation]) -> list[MigrateOperation]:
    kinds = (ops.DropIndexOp, ops.DropConstraintOp, ops.DropColumnOp)
    return [op for op in operations if isinstance(op, kinds)]


def _renaming(
    autogen_context: AutogenContext, dropped: ops.DropColumnOp, new: Column[Any]
) -> ChangeColumnOp:
    old, table_of_new = dropped.to_column(), getattr(new, "table", None)
    if table_of_new is None:
        # Comparing asks for it, and a copy with a plain type has none.
        Table(dropped.table_name, MetaData(), new)
    renaming = ChangeColumnOp(
        dropped.table_name,
        dropped.column_name,
        schema=dropped.schema,
        existing_type=old.type,
        existing_nullable=old.nullable,
        existing_comment=old.comment,
    )
    # Before Alembic 1.18, comparators were those of the module.
    known: Any = getattr(autogen_context, "comparators", comparators)
    compare = known.dispatch("column", qualifier=autogen_context.dialect.name)
    table, schema = dropped.table_name, dropped.schema
    compare(autogen_context, renaming, schema, table, dropped.column_name, old, new)
    renaming.modify_name = str(new.name)
    return renaming


def renamings_of(spec: VersionSpec, present: Container[str]) -> dict[str, str]:
    """Return the columns that a table of rows still has by their names of before.

    :param present: the columns that the table has in the database.
    :returns: the names of before by those of now.
    :raises ImproperlyConfigured: if a column does not say a name.
    """
    return _still(_said_names(spec), present)


def version_renamings_of(spec: VersionSpec, present: Container[str]) -> dict[str, str]:
    """Return the columns that a version table still has by their names of before.

    Those are columns whose values are kept, flags that are called after columns, and columns of
    ours that had the usual names.

    :param present: the columns that the version table has in the database.
    :returns: the names of before by those of now.
    :raises ImproperlyConfigured: if a column does not say a name.
    """
    said = _said_names(spec)
    kept = {str(pair.version.name): said.get(str(pair.parent.name)) for pair in spec.pairs}
    flags = [(pair.parent, pair.version) for pair in spec.masked]
    flags += [(flag.info[FLAGGED], flag) for flag in spec.added if FLAGGED in flag.info]
    for column, flag in flags:
        old, new = said.get(str(column.name)), str(column.name)
        # A name that was cut to what a database takes does not tell of its column.
        if old is not None and flag.name.startswith(new):
            kept[str(flag.name)] = old + flag.name.removeprefix(new)
    said_of_kept = {new: old for new, old in kept.items() if old is not None}
    return _still(said_of_kept | _usual_names(spec), present)


def _usual_names(spec: VersionSpec) -> dict[str, str]:
    """Return how bookkeeping columns are called that an option gives another name.

    What option they had before nobody knows; mostly none.
    """
    number, end = spec.id_column, spec.end_column
    usual: list[tuple[Column[Any] | None, str]] = [
        (spec.transaction_column, DEFAULTS.transaction_column_name),
        (spec.operation_column, DEFAULTS.operation_type_column_name),
        (end, DEFAULTS.end_transaction_column_name),
        (number, DEFAULTS.version_id_column_name),
    ]
    taken = {str(column.name) for column in spec.version_table.columns}
    return {str(c.name): old for c, old in usual if c is not None and old not in taken}


def _said_names(spec: VersionSpec) -> dict[str, str]:
    said: dict[str, str] = {}
    for column in spec.parent_table.columns:
        old = column.info.get(RENAMED_FROM)
        if old is not None and not isinstance(old, str):
            raise ImproperlyConfigured(
                f"{column} has {RENAMED_FROM!r} {old!r} in its info; give the name that the "
                "column had before"
            )
        if old is not None:
            said[str(column.name)] = old
    return said


def _still(names: Mapping[str, str], present: Container[str]) -> dict[str, str]:
    return {new: old for new, old in names.items() if old in present and new not in present}


def check_renamings(spec: VersionSpec, renamed: Mapping[str, str], kept: Container[str]) -> None:
    """Refuse to rename a column to what another was called, of which history keeps the values.

    :param renamed: what the parent table is about to rename.
    :param kept: the columns that the version table has in the database.
    :raises ImproperlyConfigured: if there is such a column.
    """
    for new, old in renamed.items():
        if new in kept and old in kept:
            name = str(spec.version_table.name)
            raise ImproperlyConfigured(
                f"{old!r} cannot be renamed to {new!r} in {name!r}, which keeps the values of a "
                f"column of that name that is no more; rename that one first, by "
                f"op.alter_column({name!r}, {new!r}, new_column_name={new + '_before'!r})"
            )
