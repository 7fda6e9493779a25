"""What gives rows that are older than their history a first version: ``op.baseline_versions()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alembic.operations import Operations

from .._typing import LISTS, MAPPING, new_dict
from ..exc import InvalidArgument, InvalidArgumentType
from ..options import DEFAULTS
from .given import check_columns
from .names import HistoryNames
from .operations import HistoryOp, connection_of, execute, keywords_for
from .rendering import render_by_itself
from .statements import build_baseline

__all__ = ["BaselineVersionsOp", "FirstVersions"]


@dataclass(frozen=True, slots=True)
class FirstVersions:
    """Which rows get a first version, of a table that has rows of several classes."""

    #: What a column says of those that get none.
    left_out: Mapping[str, Sequence[Any]] = field(default_factory=new_dict)
    #: The base-most table, where it tells of the rows of a subclass which get one.
    base: HistoryNames | None = None

    def __post_init__(self) -> None:
        """Refuse what tells of no column."""
        given: Any = self.left_out
        if not isinstance(given, MAPPING):
            raise InvalidArgumentType(
                f"left_out is {given!r}; give what columns say, such as {{'kind': ['robot']}}"
            )
        check_columns("left_out", list(given))
        for name, values in given.items():
            if not isinstance(values, LISTS):
                raise InvalidArgumentType(
                    f"left_out has {name!r}: {values!r}; give a list of values"
                )


@Operations.register_operation("baseline_versions")
class BaselineVersionsOp(HistoryOp):
    """Gives rows that are older than their history a first version.

    >>> BaselineVersionsOp(HistoryNames("article_version", table="article")).render("op.")
    "op.baseline_versions('article', 'article_version')"
    """

    name = "baseline_versions"
    keywords: Mapping[str, str] = keywords_for("columns", "schema", "operation_format", "id_column")

    def __init__(self, names: HistoryNames, which: FirstVersions = FirstVersions()) -> None:
        super().__init__(replace(names, read=tuple(which.left_out)))
        self.which = which

    def arguments(self) -> list[str]:
        """Return what is written, with which rows are meant."""
        more: dict[str, Any] = {}
        if self.which.left_out:
            more["left_out"] = {name: list(each) for name, each in self.which.left_out.items()}
        base = self.which.base
        if base is not None:
            if base.end_column != DEFAULTS.end_transaction_column_name:
                more["end_transaction_column_name"] = base.end_column
            more["base_version_table_name"] = base.version_table
            more["base_key"] = list(base.key or ())
            said = {
                "base_version_schema": base.version_schema,
                "base_table_name": base.table,
                "base_schema": base.schema,
                "base_kind": base.kind,
            }
            more |= {keyword: name for keyword, name in said.items() if name is not None}
        return [*super().arguments(), *[f"{key}={value!r}" for key, value in more.items()]]

    @classmethod
    def baseline_versions(
        cls,
        operations: Operations,
        table_name: str,
        version_table_name: str,
        *,
        key: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        schema: str | None = None,
        version_schema: str | None = None,
        transaction_column_name: str = "transaction_id",
        operation_type_column_name: str = "operation_type",
        operation_type_format: str = "number",
        version_id_column_name: str | None = None,
        end_transaction_column_name: str | None = DEFAULTS.end_transaction_column_name,
        left_out: Mapping[str, Sequence[Any]] | None = None,
        base_version_table_name: str | None = None,
        base_key: Sequence[str] | None = None,
        base_version_schema: str | None = None,
        base_table_name: str | None = None,
        base_schema: str | None = None,
        base_kind: str | None = None,
    ) -> None:
        """Give the rows of a table that have no version one of their present state.

        They are those of :func:`~sqlalchemy_versioned.maintenance.baseline`: before all
        transactions or, in the table of a subclass, one for each that the object has in the
        base-most table since it came and as what it is.  Doing it again does nothing.

        :param table_name: the table; *schema* is its schema.
        :param version_table_name: the table of its versions; *version_schema* is its schema.
        :param key: the columns by which rows are recognised; unless given, the primary key.
        :param columns: the columns that are kept; unless given, those that both tables have.
        :param transaction_column_name: as the option of this name.
        :param operation_type_column_name: as the option of this name.
        :param operation_type_format: as the option of this name; with a connection, it is found by
            itself.
        :param version_id_column_name: as the option of this name, for the strategy ``'append'``,
            unless the database numbers the versions of this table: with UUIDs, and for the tables
            of subclasses, whose versions have the ids of those of the base-most table.
        :param end_transaction_column_name: as the option of this name, where there is a base-most
            table; ``None`` if versions have no end.
        :param left_out: what a column says of rows that get none, because their class is not
            versioned: ``{"kind": ["robot"]}``.
        :param base_version_table_name: the table of the versions of the base-most table, of which
            this one has the rows of a subclass.  *base_version_schema* is its schema.
        :param base_key: the columns by which it recognises rows, in the order of *key*; unless
            given, they have the same names.
        :param base_table_name: the base-most table itself; *base_schema* is its schema.
        :param base_kind: the column of it, and of its versions, that tells classes apart; unless
            given, objects are taken to have always been of their class.
        :raises InvalidArgumentType: if *left_out* is no dictionary, or there is one name where a
            list belongs.
        :raises InvalidArgument: if *base_kind* is given without *base_table_name*, or if there is
            no such table.
        :raises ImproperlyConfigured: if a table has no such column.
        """
        which = FirstVersions({} if left_out is None else left_out)
        shared = HistoryNames(
            version_table=version_table_name,
            key=key,
            version_schema=version_schema,
            transaction_column=transaction_column_name,
            end_column=end_transaction_column_name if base_version_table_name else None,
            operation_column=operation_type_column_name,
            operation_format=operation_type_format,
            id_column=version_id_column_name,
        )
        if base_version_table_name is not None:
            base = _base_of(shared, base_version_table_name, base_table_name, base_key, base_kind)
            base = replace(base, schema=base_schema, version_schema=base_version_schema)
            which = replace(which, base=base)
        names = replace(shared, table=table_name, columns=columns, schema=schema)
        operations.invoke(cls(names, which))


def _base_of(
    shared: HistoryNames,
    version_table: str,
    table: str | None,
    key: Sequence[str] | None,
    kind: str | None,
) -> HistoryNames:
    """Return the names of the base-most table, which calls what is ours as the other one does."""
    return replace(
        shared,
        version_table=version_table,
        table=table,
        key=shared.key if key is None else key,
        columns=() if kind is None else (kind,),
        kind=kind,
    )


@Operations.implementation_for(BaselineVersionsOp)
def _baseline(operations: Operations, operation: BaselineVersionsOp) -> None:
    connection, which = connection_of(operations), operation.which
    base = None if which.base is None else which.base.spec(connection)
    spec = operation.names.spec(connection)
    if base is not None and len(base.key) != len(spec.key):
        raise InvalidArgument(
            f"{base.version_table.name!r} recognises rows by {len(base.key)} columns, and "
            f"{spec.version_table.name!r} by {len(spec.key)}; give key=[...] and base_key=[...], "
            "the same columns in the same order"
        )
    execute(operations, build_baseline(spec, which.left_out, base))


render_by_itself(BaselineVersionsOp)
