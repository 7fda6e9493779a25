"""The function that a versioned table's triggers call: what a statement did, as versions.

It looks at sets: the rows of the statement come as transition tables, ``versioned_old`` and
``versioned_new``.  What is recorded follows from states alone, so that it does not matter how often
a transaction changed a row: the version before this transaction, and the row as it is now.

It is longer than others, so that all that may stand in the function stands in one place.
"""

from __future__ import annotations

from collections.abc import Callable

from ..model.operation import BEFORE_RECORDING
from ..model.spec import VersionSpec
from .entity_names import entity_names_of, write_names
from .first_states import FirstStates
from .partitions import DETACHED, LACKING, SENTRY, TRUNCATING, WORK
from .spec import Event
from .templates import (
    BRANCH,
    COUNT,
    DEPARTURES,
    EITHER,
    ENDS,
    ENDS_OF_BEGUN,
    ERASING,
    ERASING_FLAGGED,
    FOLLOWING,
    FUNCTION,
    IMAGES,
    MISTAKEN,
    OVERTAKEN,
    PREVIOUS,
    RECORDING,
    RIVALS,
    UNLESS_ANY,
    VARIABLES,
)
from .text import dollar_quoted, fill
from .transaction_row import INVOKER

__all__ = ["Recorder"]

#: How many numbers a statement draws at most.
_MOST_DRAWN = 100


class Recorder(FirstStates):
    """Writes the function of one table."""

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
            differs=f"{self._differs(self._spec)}{self._is_mask_missing()}",
            lacking=lacking,
        )

    def _is_mask_missing(self) -> str:
        """Return the further condition that a masked column was changed, and nothing says so."""
        text, spec = self._text, self._spec
        stays = [f"{text.column('OLD', c)} = {text.column('NEW', c)}" for c in self._key]
        number = text.column("p", spec.transaction_column)
        current = f"{number} IS NOT DISTINCT FROM {self._steps['current']}()"
        found = [
            f"({text.column('OLD', pair.parent)} IS DISTINCT FROM {text.column('NEW', pair.parent)}"
            f" AND NOT ({text.column('p', pair.version)} AND {current}))"
            for pair in spec.masked
        ]
        if not found:
            return ""
        is_update = f"TG_OP = 'UPDATE' AND l.{self._here} AND {' AND '.join(stays)}"
        return f"\nOR {is_update} AND ({' OR '.join(found)})"

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
            known=f"{self._rows_and_transaction(event)}{self._hold(event)}",
            unless_changed=self._unless_changed(event),
            is_fresh=self._is_fresh(event),
            recording=self._recording(event),
            names=self._entity_names(event),
            **self._steps,
        )

    def _rows_and_transaction(self, event: Event) -> str:
        """Find whether there are rows at all, and the transaction that goes on."""
        return "\n".join([self._unless_any(event), self._known])

    def _unless_any(self, event: Event) -> str:
        """Leave a transaction alone by which nothing changes."""
        return fill(UNLESS_ANY, rows=f"SELECT FROM {self._new_rows(event)}")

    def _recording(self, event: Event) -> str:
        return fill(
            RECORDING,
            rivals=self._rivals(event),
            following=self._following(event),
            first_states=self._all_first_states(event),
            erasing=self._all_erasing(event),
            versions=self._versions(event),
        )

    def _rivals(self, event: Event) -> str:
        """Refuse rows that history could not tell apart."""
        spec, text = self._spec, self._text
        if not spec.may_have_rivals or event not in (Event.INSERT, Event.UPDATE):
            return ""
        return fill(
            RIVALS,
            touched=self._touched(event),
            keys=", ".join(self._names),
            keys_of_t=", ".join(self._row(spec, None)),
            live=self._live(spec),
            l_columns=text.columns("l", [pair.parent for pair in spec.pairs]),
            name=text.string(spec.parent_table.name),
        )

    def _is_fresh(self, event: Event) -> str:
        """Find out whether this transaction has recorded nothing at all."""
        return ""

    def _all_erasing(self, event: Event) -> str:
        return self._mistaken(event) + self._all(lambda each: self._erasing(each, event))

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

    # -- statements ------------------------------------------------------------------------------

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
