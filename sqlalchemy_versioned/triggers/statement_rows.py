"""The rows of the statement that triggers fire for: which they are, and which have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, and_

from ..database.expressions import SameValue
from ..model.spec import VersionSpec
from ..query.rows import compared_columns
from .partitions import TRUNCATED
from .spec import Event
from .statement_templates import HOLDING, MEETING
from .templates import UNLESS_CHANGED
from .text import fill
from .version_text import VersionText

__all__ = ["StatementRows"]


class StatementRows(VersionText):
    """Writes what selects the rows that a statement has touched."""

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

    def _rows(self, event: Event) -> dict[str, str]:
        """Return what has the old and the new rows of a statement, as ``o`` and ``n``."""
        rows = {"o": "versioned_old", "n": "versioned_new"}
        if event is Event.UPDATE:
            return rows
        alias = "n" if event is Event.INSERT else "o"
        return {alias: rows[alias]}

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
        before, after = (self._text.aliased(self._spec.parent_table, name) for name in "on")
        same = and_(*[SameValue(before[c.key], after[c.key]) for c in compared])
        return f"NOT ({self._text.expression(same)})"

    def _hold(self, event: Event) -> str:
        """Lock the objects of which the rows are parts."""
        root = self._root
        if event is Event.TRUNCATE:
            return ""
        held = "" if root is self._spec else f"\n{self._hold_part(root, event, 'NO KEY UPDATE')}"
        others = [each for each in self._triggers.related if each is not root]
        if not others or event is Event.INSERT or root.end_column is not None:
            # Who changes another part meets others at the version that both end.
            return held
        parts = "\n".join(self._hold_part(each, event, "SHARE") for each in others)
        return f"{held}\n{fill(MEETING, parts=parts)}"

    def _hold_part(self, spec: VersionSpec, event: Event, lock: str) -> str:
        """Lock the rows of one table that objects have."""
        text = self._text
        same = [
            f"{text.column('l', pair.parent)} = {value}"
            for pair, value in zip(spec.key, self._row(spec, None), strict=True)
        ]
        return fill(
            HOLDING,
            part=text.table(spec.parent_table),
            lock=lock,
            keys=", ".join(self._names),
            l_is_t=" AND ".join(same),
            touched=self._touched(event),
        )

    def _unless_changed(self, event: Event) -> str:
        """Leave a transaction alone by which nothing changes but what makes no version."""
        if event is not Event.UPDATE:
            return ""
        changed = self._differing(self._telling)
        return fill(UNLESS_CHANGED, changed=changed)
