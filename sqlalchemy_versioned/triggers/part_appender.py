"""The function of a table that has a part of objects, whose versions are events.

Under joined inheritance the versions of the base-most table number the events of an object: a
change in any of its tables is an event of the whole object, with a version in each table that it
has a row in.  A statement is an event; those of one flush, which an application says by the setting
``versioned.event``, are one event of each object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column

from ..model.spec import VersionSpec
from .appender import Appender
from .flags import Flag
from .part_templates import (
    FLUSH,
    IS_TOLD,
    JOINING,
    MERGED,
    NEWEST,
    NUMBERING,
    OTHER_PARTS,
    PARTS,
    UNKNOWN,
)
from .spec import Event
from .text import fill

__all__ = ["PartAppender"]


class PartAppender(Appender):
    """Writes the function of one table."""

    def _variables(self) -> str:
        number_type = "uuid" if self._root.is_stamped else "bigint"
        names = ("versioned_since", "versioned_first")
        own = "\n".join([*[f"{name} {number_type};" for name in names], "versioned_event jsonb;"])
        return f"{super()._variables()}\n{own}"

    def _may_follow_others(self, event: Event) -> bool:
        # What several tables tell of one event is merged by what it is of, not by its order.
        return False

    def _following(self, event: Event) -> str:
        return self._following_in(self._root, event)

    def _all_first_states(self, event: Event) -> str:
        made = super()._all_first_states(event)
        if self._spec is self._root or event is Event.INSERT:
            return made
        return f"{self._unknown(event)}\n{made}"

    def _events(self, event: Event) -> list[str]:
        flush = fill(FLUSH, **self._base_slots)
        if self._spec is self._root:
            own = [each for told in self._happenings(event) for each in self._whole(event, *told)]
        else:
            own = [*self._wholes_of_parts(event)]
            own += [self._part(event, *told) for told in self._happenings(event)]
        others = [
            self._other_part(each, event)
            for each in self._triggers.tables
            if each not in (self._spec, self._root) and event is not Event.TRUNCATE
        ]
        return [flush, *own, *others]

    # -- names -----------------------------------------------------------------------------------

    def _numbered(self, spec: VersionSpec) -> list[Column[Any]]:
        number = spec.id_column
        return super()._numbered(spec) if number is None or spec is self._root else [number]

    def _numbers(self, alias: str, spec: VersionSpec) -> list[str]:
        if spec is self._root:
            return super()._numbers(alias, spec)
        is_event = self._is_version("v", self._root, self._row(spec, alias))
        newest = (
            "(SELECT {v_number} FROM {version} AS v WHERE {v_is_row}"
            " ORDER BY {v_transaction} DESC, {v_number} DESC LIMIT 1)"
        )
        return [newest.format_map({**self._base_slots, "v_is_row": is_event})]

    @property
    def _base_slots(self) -> dict[str, str]:
        """Return what all statements on events name."""
        root, text = self._root, self._text
        assert root.id_column is not None
        slots = self._slots(root)
        return {
            **slots,
            **self._context(root),
            "base_name": text.string(root.parent_table.name),
            "base_text": slots["version"].replace("'", "''"),
            "number_type": "uuid" if root.is_stamped else "bigint",
            "number": text.columns(None, [root.id_column]),
            "v_number": text.column("v", root.id_column),
            "p_number": text.column("p", root.id_column),
            "p_transaction": text.column("p", root.transaction_column),
        }

    def _newest(self, alias: str | None) -> str:
        """Select the newest event of a row, or of what was touched."""
        spec = self._spec if alias else self._root
        is_event = self._is_version("v", self._root, self._row(spec, alias))
        return fill(NEWEST, **{**self._base_slots, "v_is_row": is_event})

    def _is_told(self, is_same: str) -> str:
        return fill(IS_TOLD, **self._base_slots, is_same=is_same)

    def _merging(self, spec: VersionSpec, what: str, flag: Callable[[Flag], str]) -> dict[str, str]:
        """Return what is set where a version of the same event is there.

        :param what: what happened to the row.
        :param flag: returns what a flag is to say.
        """
        text = self._text
        flags = self._flags.of(spec)
        kept = [*(pair.version for pair in spec.pairs), *spec.stamps]
        slots = {**self._slots(spec), "new": what}
        slots["v_operation"] = text.column("v", spec.operation_column)
        return {
            "kept": text.columns(None, kept),
            "excluded": text.columns("excluded", kept),
            "merged": MERGED.format_map(slots),
            "flags": "".join(
                f", {text.columns(None, [each.column])}"
                f" = {text.column('v', each.column)} OR {flag(each)}"
                for each in flags
            ),
        }

    # -- events of whole objects -----------------------------------------------------------------

    def _whole(self, event: Event, alias: str, what: str, condition: str) -> list[str]:
        """Record what happened to rows of the base-most table itself."""
        spec, source, slots = self._spec, self._source(event), self._base_slots
        flag, is_gone = self._flag_of(alias, event), alias == "o"
        insert, delete = slots["insert"], slots["delete"]
        is_deletion = f"{slots['p_operation']} = {delete}"
        # Tables with foreign keys that act have told of the row before.
        is_same = is_deletion if is_gone else f"{what} = {insert} AND NOT {is_deletion}"
        newest = self._newest(alias)
        shared = {"source": source, "condition": condition}
        joining = fill(
            JOINING,
            newest=newest,
            values=", ".join(self._image(alias, spec, is_gone=is_gone)),
            **shared,
            **self._merging(spec, what, flag),
            **slots,
        )
        numbering = fill(
            NUMBERING,
            values=self._values(alias, spec, flag, is_gone=is_gone),
            joined=f"LEFT JOIN LATERAL (\n    {newest}\n) AS p ON true",
            is_told=self._is_told(is_same),
            **shared,
            **{**slots, "what": what},
        )
        return [joining, numbering]

    def _wholes_of_parts(self, event: Event) -> list[str]:
        """Record events of objects of which this table has a part."""
        root, slots = self._root, self._base_slots
        newest = f"LATERAL (\n    {self._newest(None)}\n) AS p"
        is_told = self._is_told(self._is_told_along(event))
        source = f"({self._touched_rows(event)}) AS t ({slots['keys']})"
        living = fill(
            NUMBERING,
            values=self._values("l", root),
            source=source,
            joined=f"{self._live(root)}\nLEFT JOIN {newest} ON true",
            condition="true",
            is_told=is_told,
            **slots,
        )
        if event in (Event.INSERT, Event.TRUNCATE):
            return [living]
        last = self._image("p", root, is_gone=True, is_version=True)
        flags = [self._flags.at_last(f, event, adds_up=False) for f in self._flags.of(root)]
        gone = fill(
            NUMBERING,
            values=", ".join([*last, *flags, *self._numbers("p", root)]),
            source=source,
            joined=f"CROSS JOIN {newest}\n{self._live(root, join='LEFT JOIN')}",
            condition=f"l.{self._here} IS NULL AND {slots['p_operation']} <> {slots['delete']}",
            is_told=is_told,
            **{**slots, "what": slots["delete"]},
        )
        return [living, gone]

    def _is_told_along(self, event: Event) -> str:
        """Return the condition that the base-most table has told of what foreign keys do."""
        slots, text, number = self._base_slots, self._text, self._spec.id_column
        assert number is not None
        is_deletion = "{p_operation} = {delete}".format_map(slots)
        if event is not Event.UPDATE:
            return is_deletion
        versions = text.table(self._spec.version_table)
        own = f"SELECT FROM {versions} AS w WHERE {text.column('w', number)} = {slots['p_number']}"
        is_arrival = "{p_operation} = {insert}".format_map(slots)
        return f"{is_deletion} OR {is_arrival} AND NOT EXISTS ({own})"

    def _unknown(self, event: Event) -> str:
        return fill(
            UNKNOWN,
            touched=self._touched_rows(event),
            live_if_any=self._live(self._root, join="LEFT JOIN"),
            newest=self._newest(None),
            **self._base_slots,
        )

    # -- parts of them ---------------------------------------------------------------------------

    def _part(self, event: Event, alias: str, what: str, condition: str) -> str:
        """Record what happened to rows of this table, as a part of the newest events."""
        spec, text = self._spec, self._text
        assert spec.id_column is not None
        happened = text.column("excluded", spec.operation_column)
        merging = self._merging(spec, happened, lambda f: text.column("excluded", f.column))
        is_gone, flag = alias == "o", self._flag_of(alias, event)
        return fill(
            PARTS,
            values=self._values(alias, spec, flag, is_gone=is_gone),
            source=self._source(event),
            condition=condition,
            number=text.columns(None, [spec.id_column]),
            **merging,
            **{**self._slots(spec), "what": what},
        )

    def _other_part(self, spec: VersionSpec, event: Event) -> str:
        """Keep what the objects have in another table."""
        assert spec.id_column is not None
        return fill(
            OTHER_PARTS,
            values=self._values("l", spec),
            v_number=self._text.column("v", spec.id_column),
            touched=self._touched_rows(event),
            live=self._live(spec),
            **self._slots(spec),
        )
