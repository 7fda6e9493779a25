"""Versions and rows of one table, as the function that records them names them in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, and_

from ..database.expressions import SameValue
from ..model.operation import Operation
from ..model.spec import ColumnPair, VersionSpec
from ..query.rows import compared_columns
from .flags import Flag, Flags
from .spec import EMPTIED, Event, TriggerSpec, tells_moment
from .statement_templates import CHANGED_ELSEWHERE, OWN, PREVIOUS
from .templates import KNOWN, NUMBER, WRITTEN
from .text import Text, fill
from .transaction_row import INVOKER, now

__all__ = ["VersionText"]


class VersionText:
    """Writes what statements on versions need: columns, values, conditions and joins."""

    def __init__(self, triggers: TriggerSpec, text: Text) -> None:
        self._triggers = triggers
        self._spec = triggers.spec
        self._text = text
        #: A column that no table has.
        self._here = max((each.prefix for each in triggers.tables), key=len) + "here"
        self._key = [pair.parent for pair in self._spec.key]
        self._names = [f"k{place}" for place, _ in enumerate(self._key, start=1)]
        self._flags = Flags(triggers.tables, text, self._here)
        self._steps = {
            step.value: text.beside(triggers.transaction.table, name)
            for step, name in triggers.transaction.functions.items()
        }

    @property
    def _root(self) -> VersionSpec:
        """The base-most table of the objects."""
        return self._spec.base or self._spec

    @property
    def _known(self) -> str:
        """Find the number of the transaction that goes on."""
        return fill(KNOWN, **self._slots_of_transaction)

    @property
    def _slots_of_transaction(self) -> dict[str, str]:
        """Return what tells the number of the transaction that goes on."""
        transaction, text = self._triggers.transaction, self._text
        table, number = text.table(transaction.table), text.column("t", transaction.number)
        return {
            # It stands inside of a string.
            "said_number": fill(NUMBER, table_text=table.replace("'", "''")),
            "written": fill(WRITTEN, table=table, number=number),
            **self._steps,
        }

    def _is_keyed(self, spec: VersionSpec) -> bool:
        """Tell whether rows are recognised by the primary key of their table."""
        return {pair.parent for pair in spec.key} == set(spec.parent_table.primary_key.columns)

    def _slots(self, spec: VersionSpec) -> dict[str, str]:
        """Return what all statements on the versions of one table name."""
        text = self._text
        slots = {
            "here": self._here,
            "version": text.table(spec.version_table),
            "columns": text.columns(None, self._written(spec)),
            "transaction": text.columns(None, [spec.transaction_column]),
            "operation": text.columns(None, [spec.operation_column]),
            "keys": ", ".join(self._names),
            "columns_of_t": ", ".join(self._names),
            "v_is_t": self._is_row("v", spec),
            "v_transaction": text.column("v", spec.transaction_column),
            "own_operation": text.column("own", spec.operation_column),
            "p_operation": text.column("p", spec.operation_column),
            "insert": text.operation(spec, Operation.INSERT),
            "update": text.operation(spec, Operation.UPDATE),
            "delete": text.operation(spec, Operation.DELETE),
        }
        # What comes back after a deletion is inserted again, as far as this transaction tells.
        gone = "p.{here} IS NULL OR {p_operation} = {delete}".format_map(slots)
        slots["what"] = f"CASE WHEN {gone} THEN {slots['insert']} ELSE {slots['update']} END"
        return slots

    def _written(self, spec: VersionSpec) -> list[Column[Any]]:
        """Return the columns of new versions that are not of the transaction."""
        return [*self._held(spec), *self._numbered(spec)]

    def _held(self, spec: VersionSpec) -> list[Column[Any]]:
        """Return the columns of versions that tell of their row."""
        flags = [flag.column for flag in self._flags.of(spec)]
        return [*(pair.version for pair in spec.pairs), *spec.stamps, *flags]

    def _numbered(self, spec: VersionSpec) -> list[Column[Any]]:
        """Return the column of the id of versions, if it must be given."""
        return []

    def _values(
        self,
        alias: str,
        spec: VersionSpec,
        flag: Callable[[Flag], str] = lambda flag: "false",
        *,
        is_gone: bool = False,
    ) -> str:
        """Return what new versions hold of a row, the moment and the user included.

        :param flag: returns what a flag is to say.
        :param is_gone: whether they say that the row is no more.
        """
        flags = [flag(each) for each in self._flags.of(spec)]
        # In the order of _written(), on which all that inserts versions relies.
        image = self._image(alias, spec, is_gone=is_gone)
        return ", ".join([*image, *flags, *self._numbers(alias, spec)])

    def _numbers(self, alias: str, spec: VersionSpec) -> list[str]:
        """Return the id of the version of a row, if it must be given."""
        return []

    def _image(
        self, alias: str, spec: VersionSpec, *, is_gone: bool = False, is_version: bool = False
    ) -> list[str]:
        """Return the values that are kept of a row, or of what a version has kept."""
        kept = [
            "NULL"
            if is_gone and EMPTIED in pair.version.info
            else self._text.column(alias, pair.version if is_version else pair.parent)
            for pair in spec.pairs
        ]
        said = [
            now(column, self._text.dialect) if tells_moment(column) else INVOKER
            for column in spec.stamps
        ]
        return [*kept, *said]

    def _row(self, spec: VersionSpec, alias: str | None) -> list[str]:
        """Return the key of a row: of an alias of the parent table, or of what was touched."""
        parents = [pair.parent for pair in spec.key]
        if alias is None:
            return [f"t.{name}" for name in self._names]
        return [self._text.column(alias, column) for column in parents]

    def _version_keys(self, alias: str, spec: VersionSpec) -> list[str]:
        """Return the key of a version."""
        return [self._text.column(alias, pair.version) for pair in spec.key]

    def _is_row(self, version: str, spec: VersionSpec, alias: str | None = None) -> str:
        """Return the condition that a version is of a row."""
        return self._is_version(version, spec, self._row(spec, alias))

    def _is_version(self, version: str, spec: VersionSpec, row: list[str]) -> str:
        """Return the condition that a version is of a row, or of its object, with this key."""
        return " AND ".join(
            f"{self._text.column(version, pair.version)} = {self._text.kept(value, pair.parent)}"
            for pair, value in zip(spec.key, row, strict=True)
        )

    def _live(
        self,
        spec: VersionSpec,
        *,
        join: str = "CROSS JOIN",
        alias: str | None = None,
        columns: Sequence[Column[Any]] | None = None,
    ) -> str:
        """Join the live rows of what was touched, as ``l``.

        :param columns: the columns that are asked for; for one row, each more takes time to start.
        """
        table, is_keyed = self._text.table(spec.parent_table), self._is_keyed(spec)
        same = " AND ".join(
            f"{self._text.column('r' if is_keyed else 'l', pair.parent)} = {value}"
            for pair, value in zip(spec.key, self._row(spec, alias), strict=True)
        )
        if is_keyed:
            # OFFSET keeps a plan from reading the whole table for a few rows.
            condition = "" if join == "CROSS JOIN" else " ON true"
            read = ["r.*"] if columns is None else [self._text.column("r", c) for c in columns]
            selected = ", ".join([f"true AS {self._here}", *read])
            return (
                f"{join} LATERAL (\n    SELECT {selected} FROM {table} AS r\n"
                f"    WHERE {same} OFFSET 0\n) AS l{condition}"
            )
        inner = "JOIN" if join == "CROSS JOIN" else join
        return f"{inner} (SELECT true AS {self._here}, r.* FROM {table} AS r) AS l ON {same}"

    def _previous(self, spec: VersionSpec, alias: str | None = None) -> str:
        is_row = self._is_row("v", spec, alias)
        return fill(PREVIOUS, v_is_row=is_row, **self._slots(spec))

    def _own(self, spec: VersionSpec, alias: str | None = None, *, unless_begun: str = "") -> str:
        is_row = self._is_row("v", spec, alias)
        return fill(OWN, v_is_row=is_row, unless_begun=unless_begun, **self._slots(spec))

    def _is_unrecorded(self, spec: VersionSpec) -> str:
        """Return the condition that this transaction has no version of a row yet."""
        return f"NOT EXISTS (\n    {self._own(spec)}\n)"

    def _is_changed(self, spec: VersionSpec, event: Event, *, is_begun: bool = False) -> str:
        """Return the condition that an object is not as it was before this transaction.

        :param is_begun: whether the transaction has recorded nothing before.
        """
        conditions = [self._differs(spec)]
        if is_begun:
            conditions += [f"t.{flag.name}" for flag in self._flags.of(spec) if flag.is_masked]
        else:
            conditions += self._flags.masks(event)
        for other in self._triggers.tables:
            if other is not spec:
                conditions.append(
                    fill(
                        CHANGED_ELSEWHERE,
                        live_if_any=self._live(other, join="LEFT JOIN"),
                        previous=self._previous(other),
                        changed=self._differs(other),
                    )
                )
        return "\nOR ".join(conditions)

    def _differs(self, spec: VersionSpec) -> str:
        """Return the condition that a live row differs from the version before."""
        deleted = "{p_operation} = {delete}".format_map(self._slots(spec))
        came_or_went = f"(l.{self._here} IS NULL) <> (p.{self._here} IS NULL OR {deleted})"
        if not self._compared(spec):
            return came_or_went
        return f"{came_or_went}\n    OR l.{self._here} AND {self._differs_in_values(spec)}"

    def _compared(self, spec: VersionSpec) -> list[ColumnPair]:
        """Return the columns by which a live row may differ from the version before."""
        telling = set(compared_columns(spec))
        return [pair for pair in spec.pairs if pair.parent in telling]

    def _differs_in_values(self, spec: VersionSpec) -> str:
        """Return the condition that a live row has other values than the version before."""
        compared = self._compared(spec)
        if not compared:
            return "false"
        live = self._text.aliased(spec.parent_table, "l")
        before = self._text.aliased(spec.version_table, "p")
        same = and_(*[SameValue(before[p.version.key], live[p.parent.key]) for p in compared])
        return f"NOT ({self._text.expression(same)})"
