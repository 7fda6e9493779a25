"""The statements by which versions are written, ended or taken back.

Each is for the versions of one table, of all rows that the statement of the application touched.
"""

from __future__ import annotations

from sqlalchemy import and_

from ..database.expressions import SameValue
from ..model.operation import BEFORE_RECORDING
from ..model.spec import VersionSpec
from .first_states import FirstStates
from .spec import Event
from .statement_templates import (
    COUNT,
    DEPARTURES,
    ENDS,
    ENDS_OF_BEGUN,
    ERASING,
    ERASING_FLAGGED,
    IMAGES,
    MISTAKEN,
    PREVIOUS,
)
from .text import fill

__all__ = ["VersionStatements"]


class VersionStatements(FirstStates):
    """Writes them for a table and those that its objects have rows in, too."""

    def _removes(self, event: Event) -> bool:
        """Tell whether none of the rows is left, unless a trigger has put it back and said so."""
        return event is Event.TRUNCATE or (event is Event.DELETE and self._is_keyed(self._spec))

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
        spec, text = self._spec, self._text
        kept, new = text.aliased(spec.version_table, "v"), text.aliased(spec.parent_table, "n")
        same = [SameValue(kept[p.version.key], new[p.parent.key]) for p in spec.pairs]
        mistaken = fill(
            MISTAKEN,
            before_recording=str(BEFORE_RECORDING),
            own_is_n=self._is_row("own", spec, "n"),
            own_transaction=text.column("own", spec.transaction_column),
            v_is_n=self._is_row("v", spec, "n"),
            v_is_like_n=text.expression(and_(*same)),
            e_is_n=self._is_row("e", spec, "n"),
            e_transaction=text.column("e", spec.transaction_column),
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
