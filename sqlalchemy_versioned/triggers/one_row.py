"""The function of a table, where a statement has changed one row, as those of sessions mostly have.

Starting a statement takes longer then than executing it.  So the common case takes two: one ends
the version before, if it is as it is expected to be, and one adds the next.  If it ended none, the
:class:`.FreshRecorder` does what is to be done, whatever that is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column

from .fresh import FreshRecorder
from .spec import Event
from .text import fill

__all__ = ["OneRowRecorder"]

#: Leave a transaction alone by which nothing changes.
COUNTED = """
PERFORM FROM {rows} LIMIT 2;
GET DIAGNOSTICS versioned_rows = ROW_COUNT;
IF versioned_rows = 0 THEN
    RETURN NULL;
END IF;
"""

#: As this is for one row only, old and new rows can meet in any join.
IF_ONE = """
IF versioned_rows = 1 THEN
    {one}
END IF;
IF versioned_left = 0 THEN
    {otherwise}
END IF;
"""

#: The newest version is of an earlier transaction, so this one has none, nor was it overtaken.
SUCCEEDED = """
UPDATE {version} AS v SET {end} = versioned_tx
WHERE v.ctid = (
    SELECT p.ctid
    FROM ({touched}) AS t ({columns_of_t})
    {live}
    CROSS JOIN LATERAL (
        SELECT v.ctid, {compared} FROM {version} AS v
        WHERE {v_is_t} ORDER BY {v_transaction} DESC LIMIT 1
    ) AS p
    WHERE {p_transaction} < versioned_tx AND {p_end} IS NULL AND {p_operation} <> {delete}
        AND ({changed})
);
IF FOUND THEN
    INSERT INTO {version} ({columns}, {transaction}, {operation})
    SELECT {values}, versioned_tx, {what}
    FROM {source};
    versioned_left := 1;
END IF;
"""

#: A row that has never been there has no version before.
FIRST = """
INSERT INTO {version} ({columns}, {transaction}, {operation})
SELECT {values}, versioned_tx, {insert}
FROM ({touched}) AS t ({columns_of_t})
{live}
LEFT JOIN LATERAL (
    SELECT true AS {here} FROM {version} AS v WHERE {v_is_t} LIMIT 1
) AS p ON true
WHERE p.{here} IS NULL;
IF FOUND THEN
    versioned_left := 1;
END IF;
"""

#: Mostly the first row tells that something has changed.
IS_FIRST_CHANGED = """
IF NOT EXISTS ({first}) AND NOT EXISTS ({changed}) THEN
    RETURN NULL;
END IF;
"""


class OneRowRecorder(FreshRecorder):
    """Writes the function of one table."""

    def _variables(self) -> str:
        return f"{super()._variables()}\nversioned_rows bigint;"

    def _unless_any(self, event: Event) -> str:
        if not self._is_known(event):
            return super()._unless_any(event)
        return fill(COUNTED, rows=next(iter(self._rows(event).values())))

    def _recording(self, event: Event) -> str:
        otherwise = super()._recording(event)
        if not self._is_known(event):
            return otherwise
        return fill(IF_ONE, one=self._one_row(event), otherwise=otherwise)

    def _one_row(self, event: Event) -> str:
        spec = self._spec
        slots = {
            **self._end_slots(spec),
            **self._slots_of_images(spec, event),
            "touched": self._one(event),
            "p_transaction": self._text.column("p", spec.transaction_column),
        }
        if event is Event.INSERT:
            return fill(FIRST, values=self._values_of_one(event), live=self._image_of_one, **slots)
        return fill(SUCCEEDED, **(slots | self._succession(event)))

    def _succession(self, event: Event) -> dict[str, str]:
        """Return what the version before is compared with, and what the next one is made of."""
        spec, values = self._spec, self._values_of_one(event)
        slots = self._slots_of_images(spec, event)
        if event is Event.DELETE:
            return {
                "live": self._live(spec, join="LEFT JOIN", columns=[]),
                "compared": self._of_version_before([]),
                "changed": f"l.{self._here} IS NULL",
                "values": values,
                "what": slots["delete"],
                "source": "versioned_old AS o",
            }
        compared = self._compared(spec)
        flags = [f"t.{flag.name}" for flag in self._flags.of(spec) if flag.is_masked]
        return {
            "live": self._live(spec, columns=[pair.parent for pair in compared]),
            "compared": self._of_version_before([pair.version for pair in compared]),
            "changed": " OR ".join([self._differs_in_values(spec), *flags]),
            "values": values,
            "what": slots["update"],
            # That they are one row is known by then.
            "source": f"({self._read(event)}) AS t ({slots['columns_of_t']})\n{self._image_of_one}",
        }

    @property
    def _image_of_one(self) -> str:
        return self._live(self._spec, columns=[pair.parent for pair in self._spec.pairs])

    def _of_version_before(self, columns: list[Column[Any]]) -> str:
        """Return what is read of the version before: some columns, and what it must be."""
        spec = self._spec
        assert spec.end_column is not None
        telling = (spec.transaction_column, spec.end_column, spec.operation_column)
        return self._text.columns("v", dict.fromkeys((*telling, *columns)))

    def _values_of_one(self, event: Event) -> str:
        if event is Event.DELETE:
            return self._values(
                "o",
                self._spec,
                lambda flag: self._flags.at_last(flag, event, adds_up=False),
                is_gone=True,
            )
        return self._values("l", self._spec, lambda flag: f"t.{flag.name}")

    def _one(self, event: Event) -> str:
        """Select the key of the row of a statement, and its flags, if it was changed."""
        if event is not Event.UPDATE:
            return self._read(event)
        changed = f"{self._is_same_row} AND {self._differs_from_old(self._kept)}"
        return f"{self._read(event, 'on')} WHERE {changed}"

    def _read(self, event: Event, aliases: str | None = None) -> str:
        """Select the key of the row of a statement, and its flags.

        :param aliases: which of the old and the new row to read, if there is more to be known.
        """
        told = self._flags.told(event, "false") if self._flags.are_told_by(event) else []
        key = "o" if event is Event.DELETE else "n"
        keys = [self._text.column(key, column) for column in self._key]
        read = aliases or ("on" if told else key)
        rows = [f"{table} AS {a}" for a, table in self._rows(event).items() if a in read]
        return f"SELECT {', '.join([*keys, *told])} FROM {' CROSS JOIN '.join(rows)}"

    @property
    def _is_same_row(self) -> str:
        text = self._text
        return " AND ".join(f"{text.column('o', c)} = {text.column('n', c)}" for c in self._key)

    def _unless_changed(self, event: Event) -> str:
        if event is not Event.UPDATE or not self._is_known(event):
            return super()._unless_changed(event)
        rows = [
            f"(SELECT * FROM {table} LIMIT 1) AS {alias}"
            for alias, table in self._rows(event).items()
        ]
        condition = f"{self._is_same_row} AND {self._differs_from_old(self._telling)}"
        return fill(
            IS_FIRST_CHANGED,
            first=f"SELECT FROM {' CROSS JOIN '.join(rows)} WHERE {condition}",
            changed=self._differing(self._telling),
        )
