"""Flags of versions, as triggers find them: which columns a statement gave another value.

Those of masked columns and those that plugins have added are told by the old and the new rows of a
statement.  A transaction that writes a row repeatedly adds them up: before a version is written
anew, the flags of the one that it replaces are kept in ``versioned_flags``, by table and key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, not_

from ..database.expressions import SameValue
from ..model.spec import VersionSpec
from ..query.flags import FLAGGED
from ..query.images import has_value
from .spec import Event
from .text import Text

__all__ = ["Flag", "Flags", "list_flags"]


@dataclass(frozen=True, slots=True, eq=False)
class Flag:
    """A flag in a version table."""

    spec: VersionSpec
    column: Column[bool]
    #: The column of the parent table that it tells of.
    parent: Column[object]
    is_masked: bool
    #: Its place among the flags of its table.
    place: int

    @property
    def name(self) -> str:
        """What it is called beside the keys of rows that were touched."""
        return f"f{self.place + 1}"


def list_flags(spec: VersionSpec) -> tuple[Flag, ...]:
    """Return the flags of a version table."""
    masked = {pair.version: pair.parent for pair in spec.masked}
    told = {c: c.info[FLAGGED] for c in spec.added if FLAGGED in c.info} | masked
    found = [(column, told[column]) for column in spec.added if column in told]
    return tuple(
        Flag(spec, column, parent, column in masked, place)
        for place, (column, parent) in enumerate(found)
    )


class Flags:
    """Writes what concerns the flags of one table, and of those that it shares objects with.

    :param tables: the table itself first.
    """

    def __init__(self, tables: Sequence[VersionSpec], text: Text, here: str) -> None:
        self._text = text
        self._here = here
        self._own = tables[0]
        self._places = {spec: place for place, spec in enumerate(tables)}
        self._flags = {spec: list_flags(spec) for spec in tables}

    def __bool__(self) -> bool:
        return any(self._flags.values())

    def of(self, spec: VersionSpec) -> tuple[Flag, ...]:
        """Return the flags of one table."""
        return self._flags[spec]

    # -- what a statement did --------------------------------------------------------------------

    def are_told_by(self, event: Event) -> bool:
        """Tell whether a statement gives columns of living rows other values."""
        return event in (Event.INSERT, Event.UPDATE) and bool(self._flags[self._own])

    def told(self, event: Event, arrived: str) -> list[str]:
        """Return what the old and the new row say of each flag of the table itself.

        :param arrived: the condition that a row of an UPDATE has no old one.
        """
        return [self.told_of(flag, event, arrived) for flag in self._flags[self._own]]

    def told_of(self, flag: Flag, event: Event, arrived: str) -> str:
        """Return what the old and the new row say of one flag."""
        key = flag.parent.key
        old, new = (self._text.aliased(self._own.parent_table, alias)[key] for alias in "on")
        is_given = self._text.expression(has_value(new))
        if event is Event.INSERT:
            return is_given
        differs = self._text.expression(not_(SameValue(old, new)))
        return f"CASE WHEN {arrived} THEN {is_given} ELSE {differs} END"

    # -- what was said before --------------------------------------------------------------------

    def key_of(self, spec: VersionSpec, keys: Iterable[str]) -> str:
        """Return what a row is called in ``versioned_flags``."""
        return f"jsonb_build_array({', '.join([str(self._places[spec]), *keys])})::text"

    def kept(self, spec: VersionSpec, alias: str) -> str:
        """Return the flags of a version as an array."""
        return f"ARRAY[{self._text.columns(alias, [flag.column for flag in self._flags[spec]])}]"

    def look_up(self, spec: VersionSpec, keys: Sequence[str], *, masks: bool = True) -> str:
        """Join what versions said that are written anew: of a table, and of masks in others.

        :param keys: the key of the row.
        """
        tables = [each for each in self._flags if each is spec or (masks and each.masked)]
        return "\n".join(
            f"CROSS JOIN LATERAL (\n"
            f"    SELECT CASE WHEN versioned_flags <> '{{}}' THEN\n"
            f"        versioned_flags -> {self.key_of(each, keys)}\n"
            f"    END AS {self._here} OFFSET 0\n"
            f") AS {self._alias(each)}"
            for each in tables
            if self._flags[each]
        )

    def said(self, flag: Flag) -> str:
        """Return what the version said that is written anew."""
        kept = f"{self._alias(flag.spec)}.{self._here} ->> {flag.place}"
        return f"coalesce(({kept})::boolean, false)"

    def now(self, flag: Flag, event: Event) -> str:
        """Return what the version of a living row is to say."""
        said = self.said(flag)
        is_told = flag.spec is self._own and self.are_told_by(event)
        return f"t.{flag.name} OR {said}" if is_told else said

    def at_last(self, flag: Flag, event: Event, *, adds_up: bool = True) -> str:
        """Return what the version of a row that is gone is to say.

        One that has left its key is not deleted, nor given other values.
        """
        if event is not Event.UPDATE and not flag.is_masked:
            return "true"
        return self.said(flag) if adds_up else "false"

    def masks(self, event: Event) -> list[str]:
        """Return the conditions that a masked column of an object was changed."""
        found = [flag for flags in self._flags.values() for flag in flags if flag.is_masked]
        return [self.now(flag, event) for flag in found]

    def _alias(self, spec: VersionSpec) -> str:
        return f"f{self._places[spec]}"
