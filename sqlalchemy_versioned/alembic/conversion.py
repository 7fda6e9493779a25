"""Versions under another key, or of a strategy with other keys: which rows history has then.

Every row of a version table becomes a row of the next one, but for events of one transaction, which
are merged where the strategy has one version for all of them.  What cannot be told truly under the
new key is found before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    MetaData,
    Select,
    Table,
    and_,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
)

from .._typing import select_rows
from ..exc import ImproperlyConfigured, IncompleteHistory
from ..model.operation import Operation
from ..model.spec import VersionSpec

__all__ = ["Conversion"]

#: A default that gives all rows the same, as databases show it.
_CONSTANT = re.compile(r"\(*(-?\d+(\.\d+)?|'([^']|'')*'(::[\w ]+)?)\)*")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What becomes of the versions that a spec describes.

    :param key: the columns by which rows are recognised from now on.
    :param fill: those of them whose values versions lack, so that rows give them.
    :param flags: columns that tell of changes, which are true if one of several events had one.
    :param merges: whether there is one version for all events of a transaction.
    """

    spec: VersionSpec
    key: Sequence[str]
    fill: Sequence[str] = ()
    flags: Sequence[str] = ()
    merges: bool = True

    def build_table(self, name: str) -> Table:
        """Return a table for the converted rows."""
        # Ids are of the table: the next one gives its own, in the order of events.
        kept = [column for column in self._versions.columns if column is not self.spec.id_column]
        columns = [Column(column.name, column.type) for column in kept]
        known = {column.name for column in columns}
        live = self.spec.parent_table.c
        columns += [Column(each, live[each].type) for each in self.key if each not in known]
        return Table(name, MetaData(), *columns, schema=self._versions.schema)

    def select_rows(self, names: Sequence[str]) -> Select[Any]:
        """Select the converted rows.

        :param names: the columns of the table that they are for.
        """
        rows = self._keyed()
        operation: Any = rows.c[self._operation]
        if not self.merges:
            return select(*[rows.c[name] for name in names])
        group = [*[rows.c[name] for name in self._keys], rows.c[self.spec.transaction_column.name]]
        order = self._order(rows)
        window: Any = {"partition_by": group, "order_by": order}
        backwards: Any = {"partition_by": group, "order_by": [each.desc() for each in order]}
        marked: Any = select(
            *rows.c,
            func.first_value(operation, type_=operation.type).over(**window).label("first_"),
            func.row_number().over(**backwards).label("rank_"),
            *[
                func.max(case((rows.c[flag], 1), else_=0))
                .over(partition_by=group)
                .label(f"{flag}_")
                for flag in self.flags
            ],
        ).subquery()
        values: dict[str, Any] = {name: marked.c[name] for name in names}
        # Numbers, because not all databases have a maximum of truth values.
        values |= {flag: marked.c[f"{flag}_"] == 1 for flag in self.flags if flag in values}
        values[self._operation] = self._merged(marked.c.first_, marked.c[self._operation])
        # What began and ended in one transaction was never there for anybody else.
        is_nothing = and_(
            marked.c.first_ == self.spec.operation(Operation.INSERT),
            marked.c[self._operation] == self.spec.operation(Operation.DELETE),
        )
        chosen = select_rows(*[value.label(name) for name, value in values.items()])
        return chosen.where(marked.c.rank_ == 1, ~is_nothing)

    def check(self, connection: Connection) -> None:
        """Refuse what the new key cannot tell.

        :raises IncompleteHistory: if versions have no value for the key.
        :raises ImproperlyConfigured: if a row had several keys, or several rows one.
        """
        rows, table = self._keyed(), self._versions.fullname
        lacking = [rows.c[name].is_(None) for name in self._keys]
        count: Any = select(func.count()).select_from(rows)
        found = connection.scalar(count.where(or_(*lacking)))
        if found:
            raise IncompleteHistory(
                f"{found} versions in {table!r} have no value for the key {self._shown}: their "
                "rows are gone, or had none at the time; give the column a constant "
                "server_default, or give these versions values before"
            )
        # The same rows as before, so no two of them can have become one.
        if set(self.key) == {str(pair.version.name) for pair in self.spec.key}:
            return
        for group, other, told in (
            (self._old_keys, self._keys, "rows that had another {0} before"),
            (self._keys, self._old_keys, "rows that had the {0} of another at the time"),
        ):
            found = connection.scalar(self._count_overlaps(rows, group, other))
            if found:
                raise ImproperlyConfigured(
                    f"{table!r} has {found} versions of {told.format(self._shown)}, so that "
                    "history cannot be told by that key; keep the key, or give the class another "
                    "'table_name', and leave this table out with include_object, so that its "
                    "history begins anew"
                )

    # -- pieces of statements -----------------------------------------------------------------

    @property
    def _versions(self) -> Table:
        return self.spec.version_table

    @property
    def _operation(self) -> str:
        return str(self.spec.operation_column.name)

    @property
    def _keys(self) -> list[str]:
        return [f"new_{place}_" for place, _ in enumerate(self.key)]

    @property
    def _old_keys(self) -> list[str]:
        return [str(pair.version.name) for pair in self.spec.key]

    @property
    def _shown(self) -> str:
        return f"({', '.join(self.key)})"

    def _keyed(self) -> FromClause:
        """Return the versions with their values of the new key, also under names of ours."""
        values: dict[str, ColumnElement[Any]] = {str(c.name): c for c in self._versions.columns}
        new = {name: self._key_value(name) for name in self.key}
        ours = dict(zip(self._keys, new.values(), strict=True))
        return select(
            *[value.label(name) for name, value in {**values, **new, **ours}.items()]
        ).subquery()

    def _key_value(self, name: str) -> ColumnElement[Any]:
        kept: ColumnElement[Any] = null()
        if name in self._versions.c:
            kept = self._versions.c[name]
        if name not in self.fill:
            return kept
        live = self.spec.parent_table.alias("live_")
        same = [live.c[pair.parent.name] == pair.version for pair in self.spec.key]
        present = select(live.c[name]).where(*same).correlate(self._versions).scalar_subquery()
        # What history has comes first: a row may have changed since.
        choices: list[ColumnElement[Any]] = [kept] if name in self._versions.c else []
        choices.append(present)
        # Rows that are gone get what a column gives all rows to which it is added.
        default: Any = getattr(self.spec.parent_table.c[name].server_default, "arg", None)
        shown = str(getattr(default, "text", default))
        if _CONSTANT.fullmatch(shown):
            choices.append(literal_column(shown, live.c[name].type))
        return func.coalesce(*choices) if len(choices) > 1 else choices[0]

    def _order(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """Return what puts versions in order, also those of several rows that become one."""
        transaction = rows.c[self.spec.transaction_column.name]
        if self.spec.id_column is not None:
            return [transaction, rows.c[self.spec.id_column.name]]
        # Who takes the key of another in one transaction comes after that is gone.
        is_gone = rows.c[self._operation] == self.spec.operation(Operation.DELETE)
        return [transaction, case((is_gone, 0), else_=1)]

    def _count_overlaps(
        self, rows: FromClause, group: Sequence[str], other: Sequence[str]
    ) -> Select[Any]:
        """Count versions that follow one of the same *group* and another *other* which lived."""
        operation: Any = rows.c[self._operation]
        window: Any = {
            "partition_by": [rows.c[name] for name in group],
            "order_by": self._order(rows),
        }
        before = func.lag(operation, type_=operation.type).over(**window)
        lagged = [func.lag(rows.c[name]).over(**window).label(f"was_{name}") for name in other]
        marked: Any = select(
            *[rows.c[name] for name in other], *lagged, before.label("before_")
        ).subquery()
        # Without one before, it is compared with NULL, which differs from nothing.
        differs = [marked.c[name] != marked.c[f"was_{name}"] for name in other]
        was_there = marked.c.before_ != self.spec.operation(Operation.DELETE)
        return select(func.count()).select_from(marked).where(or_(*differs), was_there)

    def _merged(self, first: ColumnElement[Any], last: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return what a version is that stands for several, as :func:`.merge` has it."""
        insert, update, delete = (self.spec.operation(each) for each in Operation)
        return case(
            (first == insert, insert),
            (last == delete, delete),
            else_=update,
        )
