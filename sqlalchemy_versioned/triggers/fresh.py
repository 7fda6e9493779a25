"""The function of a table, where a transaction has no versions yet of the rows of a statement.

It is so for most statements, and then there is nothing to be merged: versions are found once, for
the images and for the ends, and what is rare is looked for only if there is a sign of it.  The
others, and tables of which this is not known, are left to the :class:`.Recorder`.
"""

from __future__ import annotations

from .fresh_templates import (
    DELETED,
    EITHER,
    ENDED,
    FRESH,
    IF_FRESH,
    IF_GONE,
    IF_OPEN,
    INSERTED,
    IS_FRESH,
    IS_FRESH_UPDATE,
    IS_UNTOUCHED,
    OPEN,
    ROWS_OF_UPDATE,
    UNLESS_UNTOUCHED,
    UPDATED,
)
from .recorder import Recorder
from .spec import Event
from .text import fill

__all__ = ["FreshRecorder"]


class FreshRecorder(Recorder):
    """Writes the function of one table."""

    def _is_known(self, event: Event) -> bool:
        """Tell whether a statement is done otherwise in a transaction that is fresh."""
        spec = self._spec
        return (
            event is not Event.TRUNCATE
            and spec.end_column is not None
            and not self._triggers.related
            and self._is_keyed(spec)
        )

    def _variables(self) -> str:
        return "\n".join(
            [
                super()._variables(),
                "versioned_fresh boolean;",
                "versioned_untouched boolean;",
                "versioned_again boolean;",
                "versioned_lacking bigint;",
                "versioned_gone bigint;",
            ]
        )

    def _is_fresh(self, event: Event) -> str:
        if not self._is_known(event):
            return ""
        if event is not Event.UPDATE:
            return IS_FRESH.strip("\n")
        return IS_FRESH_UPDATE.strip("\n") if self._are_new_rows_alive() else ""

    def _following(self, event: Event) -> str:
        following = super()._following(event)
        if not self._is_known(event):
            return following
        keys = [
            f"SELECT {self._text.columns(alias, self._key)} FROM {rows} AS {alias}"
            for alias, rows in self._rows(event).items()
        ]
        touched = " UNION ALL ".join(keys)
        untouched = fill(IS_UNTOUCHED, touched=touched, **self._slots(self._spec))
        return "\n".join([following, untouched])

    def _all_erasing(self, event: Event) -> str:
        return self._unless_untouched(super()._all_erasing(event), event)

    def _all_first_states(self, event: Event) -> str:
        return self._unless_untouched(super()._all_first_states(event), event)

    def _unless_untouched(self, statements: str, event: Event) -> str:
        if not statements or not self._is_known(event):
            return statements
        return fill(UNLESS_UNTOUCHED, statements=statements)

    def _versions(self, event: Event) -> str:
        if not self._is_known(event):
            return super()._versions(event)
        write = {Event.UPDATE: self._updated, Event.DELETE: self._deleted}.get(
            event, self._inserted
        )
        either = fill(EITHER, untouched=write(event), otherwise=self._in_any_transaction(event))
        fresh = self._fresh(event)
        return fill(IF_FRESH, fresh=fresh) + either if fresh else either

    def _loop(self, statement: str, event: Event) -> str:
        return fill(
            FRESH,
            statement=statement,
            touched=self._touched(event),
            first_states=super()._all_first_states(event),
            **self._slots(self._spec),
        )

    def _fresh(self, event: Event) -> str:
        """Write versions of the rows of the statement as it says that they are."""
        if event is Event.DELETE:
            return self._deleted(event, looks=False)
        if not self._are_new_rows_alive():
            return ""
        if event is Event.UPDATE:
            return self._updated(event, looks=False)
        spec = self._spec
        slots = self._end_slots(spec)
        statement = fill(
            INSERTED,
            found=self._text.columns("l", [pair.parent for pair in spec.pairs]),
            values=self._values("found", spec),
            previous=self._previous(spec, "l"),
            changed=self._differs(spec),
            ended=fill(ENDED, **slots),
            open=fill(OPEN, **slots),
            **slots,
        )
        return self._and_end(statement, event)

    def _inserted(self, event: Event) -> str:
        statement = self._and_end(self._updated_rows(event), event)
        return f"{statement}\nversioned_left := versioned_count;"

    def _are_new_rows_alive(self) -> bool:
        """Tell whether the new rows are what versions are to hold.

        Columns that make no version may be changed again, and nothing said of it; those that are
        computed may be no part of new rows.
        """
        kept = [pair.parent for pair in self._spec.pairs]
        # Looked up by identity: not every type has an equality.
        known = {*self._telling, *self._key}
        # Triggers of the application's own can change a row again before this one fires.
        return not self._flags.of(self._spec) and all(
            column.computed is None and column in known for column in kept
        )

    def _updated(self, event: Event, *, looks: bool = True) -> str:
        """Write versions of the rows that are there, and of those that have left their key."""
        statement = self._loop(self._updated_rows(event, looks=looks), event)
        gone = fill(IF_GONE, departures=self._departures(event))
        return self._and_end(f"{statement}\n{gone}", event)

    def _and_end(self, statement: str, event: Event) -> str:
        """End what a statement has left open."""
        return f"{statement}\n{fill(IF_OPEN, ends=self._ends(self._spec, event))}"

    def _updated_rows(self, event: Event, *, looks: bool = True) -> str:
        """Write versions of the rows that are there.

        :param looks: whether others may have changed them again.
        """
        spec = self._spec
        slots = {**self._end_slots(spec), **self._slots_of_images(spec, event)}
        return fill(
            UPDATED,
            found=self._text.columns("l", [pair.parent for pair in spec.pairs]),
            flags="".join(f", t.{f.name} AS {self._here}_{f.name}" for f in self._flags.of(spec)),
            values=self._values("found", spec, lambda flag: f"found.{self._here}_{flag.name}"),
            rows=self._rows_and_keys(event, looks=looks),
            condition="" if looks else f"{self._moved(self._kept)} AND ",
            previous=self._previous(spec),
            changed=self._is_changed(spec, event, is_begun=True),
            ended=fill(ENDED, **slots),
            open=fill(OPEN, **slots),
            **slots,
        )

    def _rows_and_keys(self, event: Event, *, looks: bool) -> str:
        slots = self._slots_of_images(self._spec, event)
        if looks:
            live = self._live(self._spec, join="LEFT JOIN")
            return f"({self._flagged(event)}) AS t ({slots['columns_of_t']})\n{live}"
        return fill(
            ROWS_OF_UPDATE,
            source=self._source(event),
            key=", ".join(self._keys_of(event)),
            arrived=self._text.column("n", self._key[0]),
            **slots,
        )

    def _deleted(self, event: Event, *, looks: bool = True) -> str:
        """Write versions of rows that are gone.

        :param looks: whether others may have put them back.
        """
        spec, slots = self._spec, self._end_slots(self._spec)
        values = self._values(
            "found",
            spec,
            lambda flag: self._flags.at_last(flag, event, adds_up=False),
            is_gone=True,
        )
        statement = fill(
            DELETED,
            found=self._text.columns("o", [pair.parent for pair in spec.pairs]),
            values=values,
            previous=self._previous(spec, "o"),
            live=self._live(spec, join="LEFT JOIN", alias="o") if looks else "",
            unless_alive=f" AND l.{self._here} IS NULL" if looks else "",
            ended=fill(ENDED, **slots),
            open=fill(OPEN, **slots),
            **slots,
        )
        return self._and_end(self._loop(statement, event), event)
