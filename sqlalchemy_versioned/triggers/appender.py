"""The function of a table whose versions are events: each that a statement makes is one more row.

Nothing is merged, ended or removed.  Rows without a primary key have no more than their values: an
UPDATE records those of its new rows that were not among the old ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, ColumnElement, String, literal_column

from ..database.expressions import StampedUuid
from ..model.operation import Operation
from ..model.spec import VersionSpec
from ..query.rows import compared_columns
from .append_templates import APPENDING, EVENTS, KEYLESS, SAID, SHOWING, STAMPING
from .flags import Flag
from .others import Others
from .spec import Event, Variable
from .statement_templates import COUNT
from .templates import REQUIRED, UNLESS_ANY
from .text import fill

__all__ = ["Appender"]


class Appender(Others):
    """Writes the function of one table."""

    def _variables(self) -> str:
        said = "versioned_said jsonb := '{}';"
        stamp = ["versioned_moment bigint;", "versioned_stamp text;"] if self._is_stamped else []
        return "\n".join([super()._variables(), said, *stamp])

    @property
    def _is_stamped(self) -> bool:
        return self._root.is_stamped

    def _sentry(self, lacking: str) -> str:
        # Whether all events are there cannot be told from states.
        return lacking

    def _branch(self, event: Event) -> str:
        return fill(
            APPENDING,
            unless_any=self._unless_any(event),
            said=self._said(),
            known=self._known,
            hold=self._hold(event),
            following=self._following(event) if self._key else "",
            stamping=STAMPING.strip() if self._is_stamped else "",
            first_states=self._all_first_states(event) if self._key else "",
            others=self._others(event),
            events="\n".join(self._events(event)),
            names=self._entity_names(event),
            showing=self._showing(event),
            **self._steps,
        )

    def _unless_any(self, event: Event) -> str:
        """Leave a transaction alone by which nothing changes."""
        rows = f"SELECT FROM {self._new_rows(event)}"
        if event is Event.UPDATE and self._spec.live_id_column is not None:
            rows = self._touched_rows(event)
        elif event is Event.UPDATE and not self._spec.keeps_unchanged:
            rows = (
                self._differing(self._telling)
                if self._key
                else f"SELECT FROM {self._keyless()} WHERE o.{self._here}_row IS NULL"
            )
        return fill(UNLESS_ANY, rows=rows)

    # -- what versions are to say ----------------------------------------------------------------

    def _said(self) -> str:
        variables, names = self._triggers.variables, self._variable_names()
        if not variables:
            return ""
        text = self._text
        pairs = [
            f"{text.string(names[each])}, NULLIF(current_setting({text.string(each.setting)},"
            " true), '')"
            for each in variables
        ]
        required = [
            fill(
                REQUIRED,
                said="versioned_said",
                name=text.string(names[each]),
                setting=text.string(each.setting),
            )
            for each in variables
            if each.is_required
        ]
        settings = f"jsonb_strip_nulls(jsonb_build_object({', '.join(pairs)}))"
        return "\n".join([fill(SAID, variables=settings), *required])

    def _variable_names(self) -> dict[Variable, str]:
        columns = {column.key: column.name for column in self._root.context_columns}
        return {each: columns[each.key] for each in self._triggers.variables}

    def _numbered(self, spec: VersionSpec) -> list[Column[Any]]:
        number = spec.id_column
        return [] if number is None or not spec.is_stamped else [number]

    def _numbers(self, alias: str, spec: VersionSpec) -> list[str]:
        if not spec.is_stamped or spec.id_column is None:
            return []
        stamp: ColumnElement[str] = literal_column("versioned_stamp", String())
        return [self._text.expression(StampedUuid(stamp, spec.id_column.type))]

    def _showing(self, event: Event) -> str:
        """Give rows the ids of their newest versions, where they have a column for it."""
        root, text = self._root, self._text
        if root.live_id_column is None or root.id_column is None or event is Event.TRUNCATE:
            return ""
        return fill(
            SHOWING,
            parent=text.table(root.parent_table),
            live_id=text.columns(None, [root.live_id_column]),
            number=text.columns(None, [root.id_column]),
            touched=self._touched_rows(event),
            r_is_t=" AND ".join(
                f"{text.column('r', pair.parent)} = {value}"
                for pair, value in zip(root.key, self._row(root, None), strict=True)
            ),
            **self._slots(root),
        )

    def _touched_rows(self, event: Event) -> str:
        """Select the keys of the rows that events are of."""
        if event is not Event.UPDATE:
            return self._touched(event)
        if self._spec.keeps_unchanged:
            keys = ", ".join(self._keys_of(event))
            return f"SELECT DISTINCT {keys} FROM {self._source(event)} WHERE {self._is_shown}"
        return self._differing(self._telling)

    @property
    def _is_shown(self) -> str:
        """The condition that an UPDATE did more than to give a row the id of a version."""
        column = self._spec.live_id_column
        if column is None:
            return "true"
        old, new = (self._text.column(alias, column) for alias in "on")
        return f"{old} IS NOT DISTINCT FROM {new}"

    # -- events ----------------------------------------------------------------------------------

    def _events(self, event: Event) -> list[str]:
        if event is Event.UPDATE and not self._key:
            return [self._keyless_update()]
        source = self._source(event)
        return [
            self._record(
                alias,
                source,
                what,
                f"{condition}{self._unless_done(event, alias)}",
                self._flag_of(alias, event),
            )
            for alias, what, condition in self._happenings(event)
        ]

    def _happenings(self, event: Event) -> list[tuple[str, str, str]]:
        """Return which rows of a statement are events, what they are, and on which condition."""
        spec, text = self._spec, self._text
        if event is Event.INSERT:
            return [("n", text.operation(spec, Operation.INSERT), "true")]
        if event is not Event.UPDATE:
            return [("o", text.operation(spec, Operation.DELETE), "true")]
        old, new = (f"{text.column(alias, self._key[0])} IS NULL" for alias in "on")
        insert, update, delete = (text.operation(spec, operation) for operation in Operation)
        what = f"CASE WHEN {old} THEN {insert} ELSE {update} END"
        differs = self._is_shown if spec.keeps_unchanged else self._differs_from_old()
        changed = f"CASE WHEN {new} THEN false WHEN {old} THEN true ELSE {differs} END"
        # A row leaves its key before it has another.
        return [("o", delete, new), ("n", what, changed)]

    def _flag_of(self, alias: str, event: Event) -> Callable[[Flag], str]:
        """Return what tells the flags of an event."""

        def tell(flag: Flag) -> str:
            if alias == "o":
                return self._flags.at_last(flag, event, adds_up=False)
            return self._flags.told_of(flag, event, self._arrived)

        return tell

    def _record(
        self,
        alias: str,
        source: str,
        what: str,
        condition: str,
        flag: Callable[[Flag], str] = lambda flag: "false",
    ) -> str:
        return fill(
            EVENTS,
            values=self._values(alias, self._spec, flag, is_gone=alias == "o"),
            source=source,
            condition=condition,
            count=fill(COUNT, sign="+"),
            **{**self._slots(self._spec), **self._context(self._spec), "what": what},
        )

    def _context(self, spec: VersionSpec) -> dict[str, str]:
        """Return what adds what is said of a version to it."""
        text, said = self._text, spec.context_columns
        names = ("more_columns", "more_values", "more_source")
        if not said:
            return dict.fromkeys(names, "")
        record = f"jsonb_populate_record(NULL::{text.table(spec.version_table)}, versioned_said)"
        values = (text.columns(None, said), text.columns("s", said))
        slots = (*[f", {each}" for each in values], f"\nCROSS JOIN {record} AS s")
        return dict(zip(names, slots, strict=True))

    def _keyless_update(self) -> str:
        update = self._text.operation(self._spec, Operation.UPDATE)
        if self._spec.keeps_unchanged:
            return self._record("n", "versioned_new AS n", update, "true")
        return self._record("n", self._keyless(), update, f"o.{self._here}_row IS NULL")

    def _keyless(self) -> str:
        compared = compared_columns(self._spec)
        rows = {
            f"{alias}_row": f"ROW({self._text.columns(alias, compared)})::text" for alias in "on"
        }
        return fill(KEYLESS, here=self._here, **rows)
