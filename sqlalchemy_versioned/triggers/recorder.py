"""The function that a versioned table's triggers call: what a statement did, as versions.

It looks at sets: the rows of the statement come as transition tables, ``versioned_old`` and
``versioned_new``.  What is recorded follows from states alone, so that it does not matter how often
a transaction changed a row: the version before this transaction, and the row as it is now.

All that may stand in the function stands here; :mod:`.version_statements` has what writes versions.
"""

from __future__ import annotations

from collections.abc import Callable

from ..model.spec import VersionSpec
from .entity_names import entity_names_of, write_names
from .partitions import DETACHED, LACKING, SENTRY, TRUNCATING, WORK
from .spec import Event
from .statement_templates import OVERTAKEN, RETURNING, RIVALS
from .templates import BRANCH, EITHER, FOLLOWING, FUNCTION, RECORDING, UNLESS_ANY, VARIABLES
from .text import dollar_quoted, fill
from .transaction_row import INVOKER
from .version_statements import VersionStatements

__all__ = ["Recorder"]

#: How many numbers a statement draws at most.
_MOST_DRAWN = 100


class Recorder(VersionStatements):
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
            returning=self._returning(),
            on_insert=self._branch(Event.INSERT),
            on_update=self._branch(Event.UPDATE),
            on_delete=self._branch(Event.DELETE),
            on_truncate=self._truncating() if self._triggers.truncates else self._refusal(),
        )

    def _variables(self) -> str:
        flags = "versioned_flags jsonb := '{}';" if self._adds_flags_up else ""
        ends = "versioned_open bigint;" if self._spec.end_column is not None else ""
        return fill(VARIABLES, flags=flags, open=ends)

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

    def _returning(self) -> str:
        """Refuse rows of keys that others have written since a snapshot was taken."""
        text, spec = self._text, self._spec
        if not (self._key and self._is_keyed(spec)):
            return ""
        same = [f"{text.column('l', c)} = {text.column('n', c)}" for c in self._key]
        return fill(
            RETURNING,
            table=text.table(spec.parent_table),
            l_is_n=" AND ".join(same),
            here=self._here,
            name=text.string(spec.parent_table.name),
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
