"""What migrations do where a version table gets another primary key.

Its rows are set aside as they shall be, the table is dropped and created anew, and they are taken
back: the same on every database, none of which could change such a table in all the ways needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection, insert, select
from sqlalchemy.schema import CreateTable, DropTable

from ..exc import InvalidArgument, InvalidArgumentType
from ..model.naming import cut_name
from ..query.neighbours import build_end_repair
from ..recording.ours import OURS
from .conversion import Conversion
from .given import check_columns
from .names import HistoryNames, reflect
from .operations import HistoryOp, keywords_for
from .rendering import render_by_itself

__all__ = ["Rebuild", "SetAsideOp", "TakeBackOp"]


class Rebuild:
    """What a version table is before and after it is made anew.

    :param fill: columns of the key that the versions of before lack, so that rows give them.
    :param lost: those that the versions of now would lack in a downgrade.
    :param flags: columns that tell of changes.
    """

    def __init__(
        self,
        before: HistoryNames,
        now: HistoryNames,
        *,
        fill: Sequence[str] = (),
        lost: Sequence[str] = (),
        flags: Sequence[str] = (),
    ) -> None:
        self.before = before
        self.now = now
        self.fill = fill
        self.lost = lost
        self.flags = flags

    @property
    def merges(self) -> bool:
        """Whether there is one version for all events of a transaction from now on."""
        return self.now.id_column is None

    def reversed(self) -> Rebuild:
        """Return what a downgrade does."""
        return Rebuild(self.now, self.before, fill=self.lost, lost=self.fill, flags=self.flags)


@Operations.register_operation("set_versions_aside")
class SetAsideOp(HistoryOp):
    """Copies versions as they are under another key; the first half of making a table anew."""

    name = "set_versions_aside"
    keywords: Mapping[str, str] = keywords_for("schema", "id_column")

    def __init__(self, rebuild: Rebuild) -> None:
        super().__init__(rebuild.before)
        check_columns("new_key", rebuild.now.key)
        check_columns("fill", rebuild.fill, among=rebuild.now.key)
        check_columns("flags", rebuild.flags)
        self.rebuild = rebuild

    def reverse(self) -> MigrateOperation:
        """Take them back."""
        return TakeBackOp(self.rebuild.before, self.rebuild.reversed())

    def arguments(self) -> list[str]:
        """Return what is written, with what shall be."""
        more: dict[str, Any] = {"new_key": list(self.rebuild.now.key or ())}
        if self.rebuild.fill:
            more["fill"] = list(self.rebuild.fill)
        if self.rebuild.flags:
            more["flags"] = list(self.rebuild.flags)
        if not self.rebuild.merges:
            more["merge"] = False
        return [*super().arguments(), *[f"{key}={value!r}" for key, value in more.items()]]

    @classmethod
    def set_versions_aside(
        cls,
        operations: Operations,
        table_name: str,
        version_table_name: str,
        *,
        key: Sequence[str],
        new_key: Sequence[str],
        fill: Sequence[str] = (),
        flags: Sequence[str] = (),
        merge: bool = True,
        schema: str | None = None,
        version_schema: str | None = None,
        transaction_column_name: str = "transaction_id",
        operation_type_column_name: str = "operation_type",
        version_id_column_name: str | None = None,
    ) -> None:
        """Copy versions as they are under another key, before their table is dropped.

        The copy is a table of the same name and ``_aside``.  Nothing is written if history could
        not be told truly under the new key.

        :param table_name: the table; *schema* is its schema.
        :param version_table_name: the table of its versions; *version_schema* is its schema.
        :param key: the columns by which rows were recognised.
        :param new_key: those by which they are from now on.
        :param fill: columns of the new key whose values rows give, where versions have none.
        :param flags: columns that tell of changes, where several versions become one.
        :param merge: whether the strategy has one version for all that happens to a row in a
            transaction; not so for ``'append'``.
        :param transaction_column_name: as the option of this name.
        :param operation_type_column_name: as the option of this name.
        :param version_id_column_name: as the option of this name, if the strategy was
            ``'append'``.
        """
        before = HistoryNames(
            version_table=version_table_name,
            table=table_name,
            key=key,
            columns=[],
            schema=schema,
            version_schema=version_schema,
            transaction_column=transaction_column_name,
            end_column=None,
            operation_column=operation_type_column_name,
            id_column=version_id_column_name,
        )
        said: Any = merge
        if not isinstance(said, bool):
            raise InvalidArgumentType(f"merge is {merge!r}; give True or False")
        events = None if merge else "version_id"
        now = HistoryNames(version_table=version_table_name, key=new_key, id_column=events)
        operations.invoke(cls(Rebuild(before, now, fill=fill, flags=flags)))


@Operations.register_operation("take_versions_back")
class TakeBackOp(HistoryOp):
    """Fills a table that was made anew with the versions that were set aside."""

    name = "take_versions_back"
    keywords: Mapping[str, str] = keywords_for("schema", "end_column")

    def __init__(self, names: HistoryNames, back: Rebuild | None = None) -> None:
        super().__init__(names)
        #: What a downgrade does.
        self.back = back

    def reverse(self) -> MigrateOperation:
        """Set them aside."""
        if self.back is None:
            raise ValueError("what the versions were before is not known; write the downgrade")
        return SetAsideOp(self.back)

    @classmethod
    def take_versions_back(
        cls,
        operations: Operations,
        table_name: str,
        version_table_name: str,
        *,
        key: Sequence[str],
        schema: str | None = None,
        version_schema: str | None = None,
        transaction_column_name: str = "transaction_id",
        end_transaction_column_name: str | None = "end_transaction_id",
        operation_type_column_name: str = "operation_type",
    ) -> None:
        """Fill a version table that was made anew with what ``set_versions_aside`` has copied.

        Versions end where the next ones begin, and the copy is dropped.

        :param table_name: the table; *schema* is its schema.
        :param version_table_name: the table of its versions; *version_schema* is its schema.
        :param key: the columns by which rows are recognised.
        :param transaction_column_name: as the option of this name.
        :param end_transaction_column_name: as the option of this name; ``None`` if versions have
            no end.
        :param operation_type_column_name: as the option of this name.
        """
        names = HistoryNames(
            version_table=version_table_name,
            table=table_name,
            key=key,
            columns=[],
            schema=schema,
            version_schema=version_schema,
            transaction_column=transaction_column_name,
            end_column=end_transaction_column_name,
            operation_column=operation_type_column_name,
        )
        operations.invoke(cls(names))


# -- what they do ------------------------------------------------------------------------------


@Operations.implementation_for(SetAsideOp)
def _set_aside(operations: Operations, operation: SetAsideOp) -> None:
    rebuild, connection = operation.rebuild, _connection(operations, operation)
    spec = rebuild.before.spec(connection)
    kept, live = spec.version_table.c.keys(), spec.parent_table.c.keys()
    check_columns("new_key", rebuild.now.key, among=[*kept, *live])
    check_columns("fill", rebuild.fill, among=live)
    check_columns("flags", rebuild.flags, among=kept)
    conversion = Conversion(
        spec,
        key=rebuild.now.key or (),
        fill=rebuild.fill,
        flags=rebuild.flags,
        merges=rebuild.merges,
    )
    # Before anything is made: databases that commit each change of a table keep what they had.
    conversion.check(connection)
    aside = conversion.build_table(_aside(rebuild.before))
    connection.execute(CreateTable(aside))
    rows = conversion.select_rows([column.name for column in aside.columns])
    connection.execute(insert(aside).from_select(list(aside.columns), rows))


@Operations.implementation_for(TakeBackOp)
def _take_back(operations: Operations, operation: TakeBackOp) -> None:
    names, connection = operation.names, _connection(operations, operation)
    spec = names.spec(connection)
    aside = reflect(connection, _aside(names), names.version_schema)
    # Ends may be in one of them only, and so may the parts of the other key.
    both = [column.name for column in aside.columns if column.name in spec.version_table.c]
    # Versions that the database numbers get their numbers in the order of what happened.
    order = [aside.c[spec.transaction_column.name], *[aside.c[name] for name in names.key or ()]]
    rows = select(*[aside.c[name] for name in both]).order_by(*order)
    filled = insert(spec.version_table).from_select(both, rows, include_defaults=False)
    connection.execute(filled, execution_options=OURS)
    if spec.end_column is not None:
        connection.execute(build_end_repair(spec), execution_options=OURS)
    connection.execute(DropTable(aside))


def _aside(names: HistoryNames) -> str:
    return cut_name(f"{names.version_table}_aside")


def _connection(operations: Operations, operation: HistoryOp) -> Connection:
    context = operations.migration_context
    if context.as_sql or context.connection is None:
        raise InvalidArgument(
            f"op.{operation.name}() looks at versions before it moves them, and cannot be written "
            "for later (--sql); run this migration with a connection"
        )
    return context.connection


render_by_itself(SetAsideOp, TakeBackOp)
