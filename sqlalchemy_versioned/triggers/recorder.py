"""The function that a versioned table's triggers call: what a statement did, as versions.

It looks at sets: the rows of the statement come as transition tables, ``versioned_old`` and
``versioned_new``.  What is recorded follows from states alone, so that it does not matter how often
a transaction changed a row: the version before this transaction, and the row as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, and_

from ..database.dialects import SameValue
from ..model.operation import BEFORE_RECORDING, Operation
from ..model.spec import VersionSpec
from ..query.rows import compared_columns
from .entity_names import entity_names_of, write_names
from .flags import Flag, Flags
from .partitions import DETACHED, LACKING, SENTRY, TRUNCATED, TRUNCATING, WORK
from .spec import EMPTIED, Event, TriggerSpec
from .templates import (
    BEFORE_UPDATE,
    BRANCH,
    CHANGED_ELSEWHERE,
    COUNT,
    DEPARTURES,
    EITHER,
    ENDS,
    ENDS_OF_BEGUN,
    ERASING,
    ERASING_FLAGGED,
    FIRST_STATES,
    FOLLOWING,
    FUNCTION,
    IF_LACKING,
    IMAGES,
    MISTAKEN,
    OVERTAKEN,
    OWN,
    PREVIOUS,
    UNLESS_ANY,
    UNLESS_CHANGED,
    VARIABLES,
)
from .text import Text, dollar_quoted, fill
from .transactions import INVOKER, now, tells_moment

__all__ = ["Recorder"]

#: How many numbers a statement draws at most.
_MOST_DRAWN = 100


class Recorder:
    """Writes the function of one table."""

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

    def body(self) -> str:
        """Return the body of the function."""
        # It stands inside of a string there, to be looked up while the function runs.
        table = self._text.table(self._spec.parent_table).replace("'", "''")
        name = self._text.string(self._spec.parent_table.name)
        return fill(
            FUNCTION,
            variables=self._variables(),
            sentry=self._sentry(fill(LACKING, name=name)),
            detached=fill(DETACHED, table=f"'{table}'", name=name),
            invoker=INVOKER,
            on_insert=self._branch(Event.INSERT),
            on_update=self._branch(Event.UPDATE),
            on_delete=self._branch(Event.DELETE),
            on_truncate=self._truncating() if self._triggers.truncates else self._refusal(),
        )

    def _variables(self) -> str:
        flags = "versioned_flags jsonb := '{}';" if self._adds_flags_up else ""
        return fill(VARIABLES, flags=flags)

    def _sentry(self, lacking: str) -> str:
        """Refuse rows of partitions without triggers, unless they are recorded."""
        text, key = self._text, self._key
        moved = [
            f"{text.column('o', each)} IS DISTINCT FROM {text.column('n', each)}" for each in key
        ]
        return fill(
            SENTRY,
            differs_from_old=" OR ".join([*moved, self._differs_from_old()]),
            old_key=text.columns("OLD", key),
            new_key=text.columns("NEW", key),
            keys=", ".join(self._names),
            live=self._live(self._spec, join="LEFT JOIN"),
            previous=self._previous(self._spec),
            differs=self._differs(self._spec),
            lacking=lacking,
        )

    def _truncating(self) -> str:
        # What DO executes is no trigger and returns nothing.
        branch = self._branch(Event.TRUNCATE).replace("RETURN NULL;", "RETURN;")
        work = fill(WORK, variables=self._variables(), branch=branch)
        return fill(TRUNCATING, work=dollar_quoted(f"DO {dollar_quoted(work)}"))

    def _refusal(self) -> str:
        name = self._text.string(f"{self._spec.parent_table.name} is versioned")
        return (
            "RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',\n"
            f"    MESSAGE = 'TRUNCATE is refused: ' || {name},\n"
            "    HINT = 'Use DELETE, or the option truncate=''record''.';"
        )

    def _branch(self, event: Event) -> str:
        return fill(
            BRANCH,
            unless_any=fill(UNLESS_ANY, rows=f"SELECT FROM {self._new_rows(event)}"),
            unless_changed=self._unless_changed(event),
            is_fresh=self._is_fresh(event),
            following=self._following(event),
            first_states=self._all_first_states(event),
            erasing=self._mistaken(event) + self._all(lambda each: self._erasing(each, event)),
            versions=self._versions(event),
            names=self._entity_names(event),
            **self._steps,
        )

    def _is_fresh(self, event: Event) -> str:
        """Find out whether this transaction has recorded nothing at all."""
        return ""

    def _entity_names(self, event: Event) -> str:
        """Write how the objects are called that were changed, if anybody wants to know."""
        names = entity_names_of(self._spec)
        if names is None:
            return ""
        touched = self._touched(event) if self._key else None
        return write_names(
            names,
            self._text,
            spec=self._spec,
            touched=touched,
            slots=self._slots(names.root),
        )

    def _all_first_states(self, event: Event) -> str:
        return self._all(lambda each: self._first_states(each, event))

    def _versions(self, event: Event) -> str:
        """Write versions, and the ends of those before."""
        written = self._images_and_departures(event)
        if self._spec.end_column is None:
            return written
        begun = "\n".join([written, self._all(self._ends_of_begun)])
        return fill(EITHER, begun=begun, otherwise=self._in_any_transaction(event))

    def _images_and_departures(self, event: Event) -> str:
        images = [
            self._images(each, event)
            for each in self._triggers.tables
            if each is not self._spec or not self._removes(event)
        ]
        return "\n".join(images if event is Event.INSERT else [*images, self._departures(event)])

    def _in_any_transaction(self, event: Event) -> str:
        """Write versions and ends, whatever this transaction has recorded before."""
        ends = self._all(lambda each: self._ends(each, event))
        return "\n".join([self._images_and_departures(event), ends])

    def _removes(self, event: Event) -> bool:
        """Tell whether none of the rows is left, unless a trigger has put it back and said so."""
        return event is Event.TRUNCATE or (event is Event.DELETE and self._is_keyed(self._spec))

    def _all(self, build: Callable[[VersionSpec], str]) -> str:
        made = [build(each) for each in self._triggers.tables]
        return "\n".join(each for each in made if each)

    # -- which rows ------------------------------------------------------------------------------

    def _source(self, event: Event) -> str:
        """Return the rows of the statement, as ``o`` and ``n``."""
        if event is Event.INSERT:
            return "versioned_new AS n"
        if event is Event.DELETE:
            return "versioned_old AS o"
        if event is Event.TRUNCATE:
            # A table that others inherit from is truncated by itself, and each of these fires its
            # own.
            return f"ONLY {TRUNCATED} AS o"
        # A full join is never made by comparing each with each, however stale the plan.
        same = [
            f"{self._text.column('o', column)} = {self._text.column('n', column)}"
            for column in self._key
        ]
        return f"versioned_old AS o FULL JOIN versioned_new AS n ON {' AND '.join(same)}"

    def _new_rows(self, event: Event) -> str:
        return "versioned_new AS n" if event is Event.UPDATE else self._source(event)

    def _touched(self, event: Event) -> str:
        """Select the keys of the rows that the statement has changed."""
        if event is not Event.UPDATE:
            # A mapper's key need not be one to the database, so several rows may have it.
            distinct = "" if self._is_keyed(self._spec) else "DISTINCT "
            columns = ", ".join(self._keys_of(event))
            return f"SELECT {distinct}{columns} FROM {self._source(event)}"
        return self._differing(self._kept)

    def _flagged(self, event: Event) -> str:
        """Select the same keys, with what the statement says of the flags of their versions."""
        if not self._flags.are_told_by(event):
            return self._touched(event)
        told = self._flags.told(event, self._arrived)
        if event is Event.INSERT and self._is_keyed(self._spec):
            return f"SELECT {', '.join([*self._keys_of(event), *told])} FROM {self._source(event)}"
        # A row may be touched more than once by a statement, as by one that moves keys about.
        selected = [*self._keys_of(event), *[f"bool_or({each})" for each in told]]
        places = ", ".join(str(place) for place, _ in enumerate(self._key, start=1))
        condition = f" WHERE {self._moved(self._kept)}" if event is Event.UPDATE else ""
        rows = f"{self._source(event)}{condition}"
        return f"SELECT {', '.join(selected)} FROM {rows} GROUP BY {places}"

    @property
    def _arrived(self) -> str:
        """The condition that a row of an UPDATE had another key before."""
        return f"{self._text.column('o', self._key[0])} IS NULL"

    @property
    def _adds_flags_up(self) -> bool:
        return bool(self._flags) and self._spec.strategy.merges

    @property
    def _kept(self) -> list[Column[Any]]:
        """The columns of which versions say something."""
        return [pair.parent for pair in (*self._spec.pairs, *self._spec.masked)]

    @property
    def _telling(self) -> list[Column[Any]]:
        """The columns whose change makes a version."""
        return [*compared_columns(self._spec), *[pair.parent for pair in self._spec.masked]]

    def _keys_of(self, event: Event) -> list[str]:
        """Return the key of each row of the statement."""
        text = self._text
        if event is Event.UPDATE:
            return [f"coalesce({text.column('n', c)}, {text.column('o', c)})" for c in self._key]
        alias = "n" if event is Event.INSERT else "o"
        return [text.column(alias, column) for column in self._key]

    def _differing(self, columns: Sequence[Column[Any]]) -> str:
        """Select the keys of rows that an UPDATE has changed in some of *columns*, or moved."""
        keys, source = ", ".join(self._keys_of(Event.UPDATE)), self._source(Event.UPDATE)
        return f"SELECT DISTINCT {keys} FROM {source} WHERE {self._moved(columns)}"

    def _moved(self, columns: Sequence[Column[Any]]) -> str:
        """Return the condition that an UPDATE has changed or moved a row, by some *columns*."""
        old, new = (f"{self._text.column(alias, self._key[0])} IS NULL" for alias in "on")
        differs = self._differs_from_old(columns)
        # As a condition that joined columns are not NULL it would make another join of it.
        return f"CASE WHEN {old} OR {new} THEN true ELSE {differs} END"

    def _differs_from_old(self, columns: Sequence[Column[Any]] | None = None) -> str:
        """Return the condition that a row of an UPDATE has other values of some *columns*."""
        found = self._telling if columns is None else columns
        # Rows are joined by their key, so it is the same; who has another has no partner.
        compared = [column for column in found if column not in self._key]
        if not compared:
            return "false"
        before, after = (self._spec.parent_table.alias(name) for name in "on")
        same = and_(*[SameValue(before.c[c.key], after.c[c.key]) for c in compared])
        return f"NOT ({self._text.expression(same)})"

    def _unless_changed(self, event: Event) -> str:
        """Leave a transaction alone by which nothing changes but what makes no version."""
        if event is not Event.UPDATE:
            return ""
        changed = self._differing(self._telling)
        return fill(UNLESS_CHANGED, changed=changed)

    def _following(self, event: Event) -> str:
        return self._following_in(self._spec, event)

    def _following_in(self, spec: VersionSpec, event: Event) -> str:
        """Draw a number that is later than those of the versions of an object."""
        slots = self._slots(spec)
        return fill(
            FOLLOWING,
            most=str(_MOST_DRAWN),
            overtaken=fill(OVERTAKEN, touched=self._touched(event), **slots),
            name=self._text.string(self._spec.parent_table.name),
            **slots,
            **self._steps,
        )

    def _is_keyed(self, spec: VersionSpec) -> bool:
        """Tell whether rows are recognised by the primary key of their table."""
        return {pair.parent for pair in spec.key} == set(spec.parent_table.primary_key.columns)

    # -- names -----------------------------------------------------------------------------------

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
        flags = [flag.column for flag in self._flags.of(spec)]
        return [*(pair.version for pair in spec.pairs), *spec.stamps, *flags]

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
        values = self._row(spec, alias)
        return " AND ".join(
            f"{self._text.column(version, pair.version)} = {self._text.kept(value, pair.parent)}"
            for pair, value in zip(spec.key, values, strict=True)
        )

    def _live(
        self, spec: VersionSpec, *, join: str = "CROSS JOIN", alias: str | None = None
    ) -> str:
        """Join the live rows of what was touched, as ``l``."""
        table = self._text.table(spec.parent_table)
        same = " AND ".join(
            f"{self._text.column('r', pair.parent)} = {value}"
            for pair, value in zip(spec.key, self._row(spec, alias), strict=True)
        )
        if self._is_keyed(spec):
            # OFFSET keeps a plan from reading the whole table for a few rows.
            condition = "" if join == "CROSS JOIN" else " ON true"
            return (
                f"{join} LATERAL (\n    SELECT true AS {self._here}, r.* FROM {table} AS r\n"
                f"    WHERE {same} OFFSET 0\n) AS l{condition}"
            )
        inner = "JOIN" if join == "CROSS JOIN" else join
        same = same.replace("r.", "l.")
        return f"{inner} (SELECT true AS {self._here}, r.* FROM {table} AS r) AS l ON {same}"

    def _previous(self, spec: VersionSpec, alias: str | None = None) -> str:
        is_row = self._is_row("v", spec, alias)
        return fill(PREVIOUS, v_is_row=is_row, **self._slots(spec))

    def _own(self, spec: VersionSpec, alias: str | None = None, *, unless_begun: str = "") -> str:
        is_row = self._is_row("v", spec, alias)
        return fill(OWN, v_is_row=is_row, unless_begun=unless_begun, **self._slots(spec))

    # -- statements ------------------------------------------------------------------------------

    def _first_states(self, spec: VersionSpec, event: Event) -> str:
        """Keep what rows were that are older than their history."""
        is_own = spec is self._spec
        # Rows that have just come into being were nothing before.
        if is_own and event is Event.INSERT:
            return ""
        touched = self._touched_live(spec, event)
        lacking = source = self._old_rows(event) if is_own else touched
        if event is Event.UPDATE:
            before = self._before_update()
            # Of other tables of the object, what is there now is what was there: they were not
            # written.
            keys = f"(SELECT {self._text.columns('o', self._key)} FROM {before})"
            living = f"{keys} AS t ({', '.join(self._names)})\n{self._live(spec)}"
            source = before if is_own else living
        return fill(
            IF_LACKING,
            source=lacking,
            v_is_row=self._is_row("v", spec, "o" if is_own else "l"),
            first_states=self._first_states_from(source, spec),
            **self._slots(spec),
        )

    def _old_rows(self, event: Event) -> str:
        return "versioned_old AS o" if event is Event.UPDATE else self._source(event)

    def _first_states_from(self, source: str, spec: VersionSpec) -> str:
        alias = "o" if spec is self._spec else "l"
        return fill(
            FIRST_STATES,
            values=self._values(alias, spec),
            before_recording=str(BEFORE_RECORDING),
            source=source,
            v_is_row=self._is_row("v", spec, alias),
            **self._slots(spec),
        )

    def _before_update(self) -> str:
        text, table = self._text, self._text.table(self._spec.parent_table)
        same = [f"{text.column('r', c)} = {text.column('w', c)}" for c in self._key]
        return fill(
            BEFORE_UPDATE,
            here=self._here,
            parent=table,
            u_key=text.columns("u", self._key),
            w_key=text.columns("w", self._key),
            r_is_w=" AND ".join(same),
        )

    def _touched_live(self, spec: VersionSpec, event: Event) -> str:
        touched, names = self._touched(event), ", ".join(self._names)
        return f"({touched}) AS t ({names})\n{self._live(spec)}"

    def _erasing(self, spec: VersionSpec, event: Event) -> str:
        """Remove what this transaction has recorded of the rows so far."""
        slots = self._slots(spec)
        is_truncated = event is Event.TRUNCATE
        # Rows of other tables are still there, whatever becomes of this one.
        if is_truncated and spec is not self._spec:
            return ""
        # Rows of other tables that are gone are for the triggers of those.
        is_stale = "{own_operation} <> {delete}".format_map(slots)
        erased = f"l.{self._here}"
        if spec is self._spec:
            # A deletion that was recorded is right again if the row is gone once more.
            removes = self._removes(event)
            erased = f"{erased} IS NULL AND {is_stale}" if removes else f"{erased} OR {is_stale}"
        return fill(
            ERASING_FLAGGED if self._flags.of(spec) else ERASING,
            flags_key=self._flags.key_of(spec, self._version_keys("v", spec)),
            flags=self._flags.kept(spec, "v"),
            touched=self._touched(event),
            live_if_any="" if is_truncated else self._live(spec, join="LEFT JOIN"),
            erased="true" if is_truncated else erased,
            count=fill(COUNT, sign="-"),
            **slots,
        )

    def _mistaken(self, event: Event) -> str:
        if event is not Event.INSERT:
            return ""
        spec = self._spec
        mistaken = fill(
            MISTAKEN,
            touched=self._touched(event),
            before_recording=str(BEFORE_RECORDING),
            own_is_t=self._is_row("own", spec),
            own_transaction=self._text.column("own", spec.transaction_column),
            **self._slots(spec),
        )
        return f"{mistaken}\n"

    def _images(self, spec: VersionSpec, event: Event) -> str:
        """Take the images of the living rows of objects that are not as they were."""
        is_truncated = event is Event.TRUNCATE
        return fill(
            IMAGES,
            distinct="" if spec.parent_table.primary_key.columns else "DISTINCT ",
            values=self._values("l", spec, lambda flag: self._flags.now(flag, event)),
            touched=self._flagged(event),
            live=self._live(spec),
            flags=self._flags.look_up(spec, self._row(spec, None)),
            previous=self._previous(spec),
            changed=self._is_unrecorded(spec) if is_truncated else self._is_changed(spec, event),
            count=fill(COUNT, sign="+"),
            **self._slots_of_images(spec, event),
        )

    def _slots_of_images(self, spec: VersionSpec, event: Event) -> dict[str, str]:
        slots = self._slots(spec)
        if self._flags.are_told_by(event):
            names = [flag.name for flag in self._flags.of(self._spec)]
            slots["columns_of_t"] = ", ".join([*self._names, *names])
        return slots

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
        compared = [pair for pair in spec.pairs if pair.parent in set(compared_columns(spec))]
        if not compared:
            return came_or_went
        live, before = spec.parent_table.alias("l"), spec.version_table.alias("p")
        same = and_(*[SameValue(before.c[p.version.key], live.c[p.parent.key]) for p in compared])
        return f"{came_or_went}\n    OR l.{self._here} AND NOT ({self._text.expression(same)})"

    def _departures(self, event: Event) -> str:
        """Keep the last values of rows that are gone."""
        spec, is_truncated = self._spec, event is Event.TRUNCATE
        gone = "true" if is_truncated else f"l.{self._here} IS NULL"
        if event is Event.UPDATE:
            # Of an UPDATE, only those that have left their key and whose key nobody has taken.
            gone = f"{self._text.column('n', self._key[0])} IS NULL AND {gone}"
        # Rows that share a mapper's key count once each, and the last of them is kept.
        primary = set(spec.parent_table.primary_key.columns) | set(self._key)
        return fill(
            DEPARTURES,
            o_row_key=self._text.columns("o", [c for c in spec.parent_table.c if c in primary]),
            values=self._values(
                "o", spec, lambda flag: self._flags.at_last(flag, event), is_gone=True
            ),
            source=self._source(event),
            flags=self._flags.look_up(spec, self._row(spec, "o"), masks=False),
            previous=self._previous(spec, "o"),
            live_if_any="" if is_truncated else self._live(spec, join="LEFT JOIN", alias="o"),
            own=self._own(spec, "o", unless_begun=" AND NOT versioned_begun"),
            gone=gone,
            count=fill(COUNT, sign="+"),
            **self._slots(spec),
        )

    def _end_slots(self, spec: VersionSpec) -> dict[str, str]:
        assert spec.end_column is not None
        return {
            "end": self._text.columns(None, [spec.end_column]),
            "v_end": self._text.column("v", spec.end_column),
            "p_end": self._text.column("p", spec.end_column),
            **self._slots(spec),
        }

    def _ends(self, spec: VersionSpec, event: Event) -> str:
        """End the version before, where this transaction has one, and open it where not."""
        return fill(
            ENDS,
            touched=self._touched(event),
            previous=self._previous(spec),
            own=self._own(spec),
            **self._end_slots(spec),
        )

    def _ends_of_begun(self, spec: VersionSpec) -> str:
        of_own = [self._text.column("own", pair.version) for pair in spec.key]
        same = [
            f"{self._text.column('v', pair.version)} = {value}"
            for pair, value in zip(spec.key, of_own, strict=True)
        ]
        slots = self._end_slots(spec)
        return fill(
            ENDS_OF_BEGUN,
            own_transaction=self._text.column("own", spec.transaction_column),
            previous=fill(PREVIOUS, v_is_row=" AND ".join(same), **slots),
            **slots,
        )
