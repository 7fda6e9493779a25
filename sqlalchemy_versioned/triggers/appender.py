"""The function of a table whose versions are events: each that a statement makes is one more row.

Nothing is merged, ended or removed.  Rows without a primary key have no more than their values: an
UPDATE records those of its new rows that were not among the old ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, ColumnElement, String, literal_column

from ..database.dialects import StampedUuid
from ..model.operation import Operation
from ..model.spec import VersionSpec
from ..query.rows import compared_columns
from .flags import Flag
from .recorder import Recorder
from .spec import Event, Variable
from .templates import COUNT, REQUIRED, UNLESS_ANY
from .text import fill

__all__ = ["Appender"]

APPENDING = """
{unless_any}
{said}
versioned_tx := {current}();
IF versioned_tx IS NULL THEN
    versioned_tx := {begin}();
    versioned_begun := true;
{or_overtaken}
END IF;
{stamping}
{first_states}
{events}
IF versioned_begun AND versioned_left = 0 THEN
    PERFORM {release}(versioned_tx);
END IF;
"""

OR_OVERTAKEN = """
ELSIF EXISTS ({overtaken}) THEN
    versioned_tx := {move}(versioned_tx);
"""

SAID = """
versioned_said := {variables}
    || coalesce(NULLIF(current_setting('versioned.said', true), '')::jsonb, '{{}}');
"""

EVENTS = """
INSERT INTO {version} ({columns}, {transaction}, {operation}{more_columns})
SELECT {values}, versioned_tx, {what}{more_values}
FROM {source}{more_source}
WHERE {condition};
{count}
"""

#: New rows of an UPDATE that were not among the old ones, each as often as it is new.
KEYLESS = """
(
    SELECT o.*, {o_row} AS {here}_row, row_number() OVER (PARTITION BY {o_row}) AS {here}_copy
    FROM versioned_old AS o
) AS o FULL JOIN (
    SELECT n.*, {n_row} AS {here}_row, row_number() OVER (PARTITION BY {n_row}) AS {here}_copy
    FROM versioned_new AS n
) AS n ON o.{here}_row = n.{here}_row AND o.{here}_copy = n.{here}_copy
"""


#: Ids of statements that follow each other are in their order, whatever is done to the clock.
STAMPING = """
versioned_moment := greatest(
    NULLIF(current_setting('versioned.moment', true), '')::bigint + 1,
    floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint
);
PERFORM set_config('versioned.moment', versioned_moment::text, true);
versioned_stamp := lpad(to_hex(versioned_moment), 15, '0');
versioned_stamp := overlay(versioned_stamp placing '7' FROM 13 FOR 0);
"""


class Appender(Recorder):
    """Writes the function of one table."""

    def _variables(self) -> str:
        stamp = "versioned_moment bigint;\nversioned_stamp text;" if self._is_stamped else ""
        return "\n".join(each for each in (super()._variables(), stamp) if each)

    @property
    def _is_stamped(self) -> bool:
        return any(each.is_stamped for each in self._triggers.tables)

    def _guard(self, lacking: str) -> str:
        # Whether all events are there cannot be told from states.
        return lacking

    def _branch(self, event: Event) -> str:
        return fill(
            APPENDING,
            unless_any=self._unless_any(event),
            said=self._said(),
            or_overtaken=self._or_overtaken(event),
            stamping=STAMPING.strip() if self._is_stamped else "",
            first_states=self._first_states(self._spec, event) if self._key else "",
            events="\n".join(self._events(event)),
            **self._steps,
        )

    def _unless_any(self, event: Event) -> str:
        """Leave a transaction alone by which nothing changes."""
        rows = f"SELECT FROM {self._new_rows(event)}"
        if event is Event.UPDATE and not self._spec.keeps_unchanged:
            rows = (
                self._differing(self._telling)
                if self._key
                else f"SELECT FROM {self._keyless()} WHERE o.{self._here}_row IS NULL"
            )
        return fill(UNLESS_ANY, rows=rows)

    def _or_overtaken(self, event: Event) -> str:
        if not self._key:
            return ""
        return fill(OR_OVERTAKEN, overtaken=self._overtaken(event), **self._steps)

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
        columns = {column.key: column.name for column in self._spec.context_columns}
        return {each: columns[each.key] for each in self._triggers.variables}

    def _written(self, spec: VersionSpec) -> list[Column[Any]]:
        written = super()._written(spec)
        number = spec.id_column
        return written if number is None or not spec.is_stamped else [*written, number]

    def _values(
        self,
        alias: str,
        spec: VersionSpec,
        flag: Callable[[Flag], str] = lambda flag: "false",
        *,
        is_gone: bool = False,
    ) -> str:
        values = super()._values(alias, spec, flag, is_gone=is_gone)
        if not spec.is_stamped or spec.id_column is None:
            return values
        stamp: ColumnElement[str] = literal_column("versioned_stamp", String())
        return f"{values}, {self._text.expression(StampedUuid(stamp, spec.id_column.type))}"

    # -- events ----------------------------------------------------------------------------------

    def _events(self, event: Event) -> list[str]:
        spec, text = self._spec, self._text
        if event is Event.INSERT:
            return [self._event("n", event, text.operation(spec, Operation.INSERT))]
        if event is not Event.UPDATE:
            return [self._event("o", event, text.operation(spec, Operation.DELETE))]
        if not self._key:
            return [self._keyless_update()]
        old, new = (f"{text.column(alias, self._key[0])} IS NULL" for alias in "on")
        insert, update, delete = (text.operation(spec, operation) for operation in Operation)
        what = f"CASE WHEN {old} THEN {insert} ELSE {update} END"
        differs = "true" if spec.keeps_unchanged else self._differs_from_old()
        changed = f"CASE WHEN {new} THEN false WHEN {old} THEN true ELSE {differs} END"
        # A row leaves its key before it has another.
        return [
            self._event("o", event, delete, condition=new),
            self._event("n", event, what, condition=changed),
        ]

    def _event(self, alias: str, event: Event, what: str, *, condition: str = "true") -> str:
        def say(flag: Flag) -> str:
            if alias == "o":
                return self._flags.at_last(flag, event, adds_up=False)
            return self._flags.told_of(flag, event, self._arrived)

        return self._record(alias, self._source(event), what, condition, say)

    def _record(
        self,
        alias: str,
        source: str,
        what: str,
        condition: str,
        flag: Callable[[Flag], str] = lambda flag: "false",
    ) -> str:
        spec, text = self._spec, self._text
        said = spec.context_columns
        table = text.table(spec.version_table)
        return fill(
            EVENTS,
            values=self._values(alias, spec, flag, is_gone=alias == "o"),
            source=source,
            condition=condition,
            more_columns=f", {text.columns(None, said)}" if said else "",
            more_values=f", {text.columns('s', said)}" if said else "",
            more_source=(
                f"\nCROSS JOIN jsonb_populate_record(NULL::{table}, versioned_said) AS s"
                if said
                else ""
            ),
            count=fill(COUNT, sign="+"),
            **{**self._slots(spec), "what": what},
        )

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
