"""What triggers of the application do to the rows of a statement, where versions are events.

They may fire before the function that records hears of the statement.  Then what they have done is
recorded already, and the statement is no event beside it: rows have become what they have made of
them.
"""

from __future__ import annotations

from sqlalchemy import and_, true

from ..database.expressions import SameValue
from ..model.operation import Operation
from .append_templates import BROUGHT, IS_LATEST, IS_UNTOLD, OTHERS
from .recorder import Recorder
from .spec import Event
from .text import fill

__all__ = ["Others"]


class Others(Recorder):
    """Writes what leaves such statements to what is recorded of them."""

    def _variables(self) -> str:
        return f"{super()._variables()}\nversioned_others boolean;"

    def _others(self, event: Event) -> str:
        """Find whether there are any, and record as inserted what they have changed so far."""
        if not self._may_follow_others(event):
            return ""
        if event is Event.UPDATE:
            return OTHERS.strip("\n")
        slots = self._slots_of_others()
        return OTHERS + fill(BROUGHT, mistaken=self._mistaken(event), **slots)

    def _may_follow_others(self, event: Event) -> bool:
        return bool(self._key) and event in (Event.INSERT, Event.UPDATE)

    def _unless_done(self, event: Event, alias: str) -> str:
        """Return the further condition that nobody has changed the rows since."""
        if alias != "n" or not self._may_follow_others(event):
            return ""
        template = IS_UNTOLD if event is Event.INSERT else IS_LATEST
        return f"\n    AND {fill(template, **self._slots_of_others())}"

    def _slots_of_others(self) -> dict[str, str]:
        spec, text = self._spec, self._text
        assert spec.id_column is not None
        live, new = (text.aliased(spec.parent_table, alias) for alias in "ln")
        telling = [c for c in self._telling if c not in self._key]
        same = and_(true(), *[SameValue(live[c.key], new[c.key]) for c in telling])
        of_key = [f"{text.column('l', c)} = {text.column('n', c)}" for c in self._key]
        slots = self._slots(spec)
        for alias in ("own", "gone"):
            number = spec.transaction_column
            slots[f"{alias}_is_n"] = self._is_row(alias, spec, "n")
            slots[f"{alias}_transaction"] = text.column(alias, number)
            slots[f"{alias}_operation"] = text.column(alias, spec.operation_column)
            slots[f"{alias}_number"] = text.column(alias, spec.id_column)
        return {
            **slots,
            "parent": text.table(spec.parent_table),
            "l_is_n": " AND ".join(of_key),
            "l_is_like_n": " AND ".join([*of_key, text.expression(same)]),
            "number": text.columns(None, [spec.id_column]),
            "v_number": text.column("v", spec.id_column),
            "v_operation": text.column("v", spec.operation_column),
            "update": text.operation(spec, Operation.UPDATE),
        }
