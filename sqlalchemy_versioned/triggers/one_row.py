"""The function of a table, where a statement has changed one row, as those of sessions mostly have.

Starting a statement takes longer then than executing it: each step of its plan does, and each
column that a step hands on.  So the common case takes three short ones.  The first reads what the
statement did, the second ends the version before, if it is as it is expected to be, and the third
adds the next.  If none was ended, the :class:`.FreshRecorder` does what is to be done, whatever
that is.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model.operation import Operation
from ..model.spec import ColumnPair
from .fresh import FreshRecorder
from .spec import Event
from .text import fill

__all__ = ["OneRowRecorder"]

#: The first row of the statement, if there is one, whether it is alone, and whether the transaction
#: is known that goes on.  No more is fetched, so old and new rows can meet in any join.
FOUND = """
{said_number}
SELECT {read},
    {changed} AS is_changed,
    NOT EXISTS (SELECT FROM {rows} OFFSET 1) AS is_alone,
    (
        {written}
    ) AS is_known
INTO versioned_one FROM {source};
IF NOT FOUND THEN
    RETURN NULL;
END IF;
IF versioned_tx IS NOT NULL AND versioned_one.is_known IS NOT TRUE THEN
    versioned_tx := {current}();
END IF;
"""

IF_ONE = """
IF versioned_one.is_changed AND versioned_one.is_alone THEN
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
    SELECT CASE WHEN {p_transaction} < versioned_tx AND {p_end} IS NULL
        AND {p_operation} <> {delete} AND {succeeded}
    THEN p.ctid END
    FROM {version} AS p WHERE {p_is_one} ORDER BY {p_transaction} DESC LIMIT 1
);
IF FOUND THEN
    INSERT INTO {version} ({columns}, {transaction}, {operation})
    SELECT {values}, versioned_tx, {what} FROM {source};
    versioned_left := 1;
END IF;
"""

#: This transaction has the newest version, which stays what it is and holds what the row is now.
#: Writing it anew would leave a dead one each time, which all look-ups of the row step over.
CONTINUED = """
IF versioned_left = 0 THEN
    UPDATE {version} AS v SET ({columns}) = ROW({values})
    FROM {live} AND v.ctid = (
        SELECT CASE WHEN {own_transaction} = versioned_tx AND (
            {own_operation} = {insert} OR {own_operation} = {update} AND (
                SELECT {p_end} = versioned_tx AND {p_operation} <> {delete} AND {succeeded}
                FROM {version} AS p WHERE {p_is_one} AND {p_transaction} < versioned_tx
                ORDER BY {p_transaction} DESC LIMIT 1
            )
        ) THEN own.ctid END
        FROM {version} AS own WHERE {own_is_one} ORDER BY {own_transaction} DESC LIMIT 1
    );
    IF FOUND THEN
        versioned_left := 1;
    END IF;
END IF;
"""

#: A row that has never been there has no version before.
FIRST = """
INSERT INTO {version} ({columns}, {transaction}, {operation})
SELECT {values}, versioned_tx, {insert} FROM {live}
    AND NOT EXISTS (SELECT FROM {version} AS p WHERE {p_is_one});
IF FOUND THEN
    versioned_left := 1;
END IF;
"""

#: Mostly the first row tells that something has changed.
UNLESS_FIRST_CHANGED = """
IF NOT versioned_one.is_changed THEN
    {unless_changed}
END IF;
"""


class OneRowRecorder(FreshRecorder):
    """Writes the function of one table."""

    def _variables(self) -> str:
        # A record takes any type; of some, no variable can be NULL.
        return f"{super()._variables()}\nversioned_one record;"

    def _rows_and_transaction(self, event: Event) -> str:
        if not self._is_known(event):
            return super()._rows_and_transaction(event)
        rows = self._rows(event)
        return fill(
            FOUND,
            read=self._read(event),
            changed=self._is_first_changed if event is Event.UPDATE else "true",
            rows=next(iter(rows.values())),
            source=" CROSS JOIN ".join(f"{table} AS {alias}" for alias, table in rows.items()),
            **self._slots_of_transaction,
        )

    def _read(self, event: Event) -> str:
        """Return what is read of the first row: its key, and what the statement says of flags."""
        alias = "o" if event is Event.DELETE else "n"
        keys = [
            f"{self._text.column(alias, column)} AS {name}"
            for column, name in zip(self._key, self._names, strict=True)
        ]
        if not self._flags.are_told_by(event):
            return ", ".join(keys)
        told = [
            f"{self._flags.told_of(flag, event, 'false')} AS {flag.name}"
            for flag in self._flags.of(self._spec)
        ]
        return ", ".join([*keys, *told])

    @property
    def _is_first_changed(self) -> str:
        """The condition that the first row has its key, and tells that it has changed."""
        text = self._text
        same = [f"{text.column('o', each)} = {text.column('n', each)}" for each in self._key]
        return " AND ".join([*same, self._differs_from_old(self._telling)])

    def _unless_changed(self, event: Event) -> str:
        unless_changed = super()._unless_changed(event)
        if not unless_changed or not self._is_known(event):
            return unless_changed
        return fill(UNLESS_FIRST_CHANGED, unless_changed=unless_changed)

    def _recording(self, event: Event) -> str:
        otherwise = super()._recording(event)
        if not self._is_known(event):
            return otherwise
        return fill(IF_ONE, one=self._one_row(event), otherwise=otherwise)

    def _one_row(self, event: Event) -> str:
        spec, text = self._spec, self._text
        slots = {
            **self._end_slots(spec),
            "p_transaction": text.column("p", spec.transaction_column),
            "p_is_one": self._is_one("p"),
        }
        if event is Event.DELETE:
            return fill(SUCCEEDED, **(slots | self._after_delete()))
        slots["values"] = self._values("l", spec, lambda flag: f"versioned_one.{flag.name}")
        if event is Event.INSERT:
            return fill(FIRST, live=self._live_one, **slots)
        slots |= self._after_update()
        return "\n".join([fill(SUCCEEDED, **slots), *self._continued(slots)])

    def _continued(self, slots: dict[str, str]) -> Iterator[str]:
        """Yield what brings a version of the same transaction up to date."""
        # What flags said before is added up elsewhere.
        if self._flags.of(self._spec):
            return
        yield fill(
            CONTINUED,
            live=self._live_one,
            own_transaction=self._text.column("own", self._spec.transaction_column),
            own_is_one=self._is_one("own"),
            **slots,
        )

    def _is_one(self, alias: str) -> str:
        """Return the condition that versions are of the row."""
        return self._is_version(alias, self._spec, [value for _, value in self._key_of_one])

    def _after_update(self) -> dict[str, str]:
        """Return when a version succeeds to the one before, and what it is made of."""
        spec = self._spec
        masks = [f"versioned_one.{f.name}" for f in self._flags.of(spec) if f.is_masked]
        differs = " OR ".join([self._differs_in_values(spec), *masks])
        return {
            "succeeded": f"EXISTS (SELECT FROM {self._live_one} AND ({differs}))",
            "what": self._text.operation(spec, Operation.UPDATE),
            "source": self._live_one,
        }

    def _after_delete(self) -> dict[str, str]:
        spec, event = self._spec, Event.DELETE
        values = self._values(
            "o", spec, lambda flag: self._flags.at_last(flag, event, adds_up=False), is_gone=True
        )
        return {
            "succeeded": f"NOT EXISTS (SELECT FROM {self._live_one})",
            "values": values,
            "what": self._text.operation(spec, Operation.DELETE),
            "source": self._source(event),
        }

    @property
    def _key_of_one(self) -> list[tuple[ColumnPair, str]]:
        """The columns of the key, and what the row has in them."""
        values = [f"versioned_one.{name}" for name in self._names]
        return list(zip(self._spec.key, values, strict=True))

    @property
    def _live_one(self) -> str:
        """What is left of the row, as ``l``, and its condition."""
        text = self._text
        same = [f"{text.column('l', pair.parent)} = {value}" for pair, value in self._key_of_one]
        return f"{text.table(self._spec.parent_table)} AS l WHERE {' AND '.join(same)}"
