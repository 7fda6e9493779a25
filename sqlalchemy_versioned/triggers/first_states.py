"""First versions of rows that are older than their history, as triggers keep them.

Before a row is changed for the first time, what it was becomes its first version: before all
transactions or, in the table of a subclass, wherever the base-most table tells of the object.
"""

from __future__ import annotations

from ..database.expressions import SameValue
from ..model.operation import BEFORE_RECORDING
from ..model.spec import VersionSpec
from .spec import Event
from .statement_rows import StatementRows
from .text import fill

__all__ = ["FirstStates"]

FIRST_STATES = """
INSERT INTO {version} ({columns}, {bookkeeping})
SELECT {values}, {told}
FROM {source}
LEFT JOIN LATERAL (
    SELECT true AS {here} FROM {version} AS v WHERE {v_is_row} LIMIT 1
) AS p ON true
{along}
WHERE p.{here} IS NULL{unless_another}
ON CONFLICT DO NOTHING;
"""

IF_LACKING = """
IF EXISTS (
    SELECT FROM {source}
    LEFT JOIN LATERAL (
        SELECT true AS {here} FROM {version} AS v WHERE {v_is_row} LIMIT 1
    ) AS p ON true
    WHERE p.{here} IS NULL
) THEN
    {first_states}
END IF;
"""

#: The versions of the object in the base-most table, since it came and as what it is, but for those
#: of this transaction: foreign keys delete rows once it is told there that the object has gone.
ALONG = """
LEFT JOIN LATERAL (
    SELECT v.*, row_number() OVER (ORDER BY {v_place}) = 1 AS {here}_comes
    FROM {base} AS v
    WHERE {v_is_object} AND {v_transaction} <> versioned_tx AND NOT EXISTS (
        SELECT FROM {base} AS e
        {kind}
        WHERE {e_is_object} AND {e_transaction} <> versioned_tx
            AND ({e_place}) >= ({v_place}) AND ({is_another})
    )
) AS b ON true
"""

#: Where that tells of another object only, nobody knows since when the row has been there.
UNLESS_ANOTHER = (
    " AND (b.{here}_comes IS NOT NULL OR NOT EXISTS (SELECT FROM {base} AS v WHERE {v_is_object}))"
)

#: Its row tells what an object is or, where foreign keys have deleted that, its history.
KIND = """
coalesce(
    (SELECT {r_kind} FROM {base_parent} AS r WHERE {r_is_object} LIMIT 1),
    (SELECT {v_kind} FROM {base} AS v WHERE {v_is_object} ORDER BY {v_newest} LIMIT 1)
)
"""

#: The rows that were there before an UPDATE.  Foreign keys may have it change a row several times,
#: so that what it was in between is among both the old and the new ones, and delete it then.  Both
#: are in one order: a key that was there before leaves no later than it arrives.
BEFORE_UPDATE = """
(
    SELECT DISTINCT ON ({w_key}) w.* FROM (
        SELECT u.*, sum(u.{here}_side) OVER (PARTITION BY {u_key}) AS {here}_count,
            min(u.{here}_place) FILTER (WHERE u.{here}_side < 0)
                OVER (PARTITION BY {u_key}) AS {here}_arrival
        FROM (
            SELECT o.*, 1 AS {here}_side, row_number() OVER () AS {here}_place
            FROM versioned_old AS o
            UNION ALL
            SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
        ) AS u
    ) AS w
    LEFT JOIN LATERAL (
        SELECT 1 AS {here} FROM {parent} AS r WHERE {r_is_w} LIMIT 1
    ) AS r ON true
    WHERE w.{here}_side = 1 AND (
        w.{here}_count + coalesce(r.{here}, 0) > 0 OR w.{here}_place <= w.{here}_arrival
    )
    ORDER BY {w_key}, w.{here}_place
) AS o
"""


class FirstStates(StatementRows):
    """Writes what keeps the rows of a statement that have no version, as they were before it."""

    def _all_first_states(self, event: Event) -> str:
        # Those of the base-most table tell where the others begin.
        tables = dict.fromkeys((self._root, *self._triggers.tables))
        made = [self._first_states(each, event) for each in tables]
        return "\n".join(each for each in made if each)

    def _first_states(self, spec: VersionSpec, event: Event) -> str:
        """Keep what rows of one table were that are older than their history."""
        is_own = spec is self._spec
        # Rows that have just come into being were nothing before.
        if is_own and event is Event.INSERT:
            return ""
        alias = "o" if is_own else "l"
        slots = self._slots(spec) | {"v_is_row": self._is_row("v", spec, alias)}
        begins = self._begins_alone if spec.base is None else self._begins_along
        kept = slots | begins(spec, alias) | {"source": self._rows_before(spec, event)}
        return fill(
            IF_LACKING,
            source=self._old_rows(event) if is_own else self._touched_live(spec, event),
            first_states=fill(FIRST_STATES, **kept),
            **slots,
        )

    # -- where they begin ------------------------------------------------------------------------

    def _begins_alone(self, spec: VersionSpec, alias: str) -> dict[str, str]:
        """Return what puts first versions before all transactions."""
        slots = self._slots(spec)
        return {
            "values": self._values(alias, spec),
            "bookkeeping": "{transaction}, {operation}".format_map(slots),
            "told": "{before}, {insert}".format(before=BEFORE_RECORDING, **slots),
            "along": "",
            "unless_another": "",
        }

    def _begins_along(self, spec: VersionSpec, alias: str) -> dict[str, str]:
        """Return what puts first versions where those of the base-most table are."""
        base, text, flags = self._root, self._text, self._flags.of(spec)
        told = {
            own: text.column("b", theirs)
            for own, theirs in zip(spec.bookkeeping, base.bookkeeping, strict=True)
        }
        slots = self._slots(spec) | self._slots_of_object(self._row(spec, alias))
        number, operation = told[spec.transaction_column], told[spec.operation_column]
        told[spec.transaction_column] = f"coalesce({number}, {BEFORE_RECORDING})"
        later = f"b.{self._here}_comes IS FALSE"
        told[spec.operation_column] = (
            f"CASE WHEN {later} THEN {operation} ELSE {slots['insert']} END"
        )
        return {
            "columns": text.columns(None, self._held(spec)),
            "values": ", ".join([*self._image(alias, spec), *["false" for _ in flags]]),
            "bookkeeping": text.columns(None, told),
            "told": ", ".join(told.values()),
            "along": fill(ALONG, **slots),
            "unless_another": UNLESS_ANOTHER.format_map(slots),
        }

    def _slots_of_object(self, row: list[str]) -> dict[str, str]:
        """Return what tells the life of an object, given the key of its row in some table."""
        base, text = self._root, self._text
        kind = base.kind
        delete = self._slots(base)["delete"]
        slots = {
            "base": text.table(base.version_table),
            "v_is_object": self._is_version("v", base, row),
            "e_is_object": self._is_version("e", base, row),
            "v_transaction": text.column("v", base.transaction_column),
            "e_transaction": text.column("e", base.transaction_column),
            "v_place": text.columns("v", base.place),
            "e_place": text.columns("e", base.place),
            "is_another": f"{text.column('e', base.operation_column)} = {delete}",
            "kind": "",
        }
        if kind is not None:
            name = text.columns(None, [kind.version])
            slots["kind"] = f"CROSS JOIN (SELECT {self._kind(row)}) AS n ({name})"
            now, then = (base.version_table.alias(each).c[kind.version.key] for each in "ne")
            slots["is_another"] += f" OR NOT {text.expression(SameValue(then, now))}"
        return slots

    def _kind(self, row: list[str]) -> str:
        """Return what an object was before the statement, given the key of its row."""
        base, text = self._root, self._text
        assert base.kind is not None
        if self._spec is base:
            return f"t.{self._here}_kind"
        pairs = zip(base.key, row, strict=True)
        return fill(
            KIND,
            r_kind=text.kept(text.column("r", base.kind.parent), base.kind.parent),
            v_kind=text.column("v", base.kind.version),
            base_parent=text.table(base.parent_table),
            r_is_object=" AND ".join(f"{text.column('r', p.parent)} = {key}" for p, key in pairs),
            base=text.table(base.version_table),
            v_is_object=self._is_version("v", base, row),
            v_newest=", ".join(f"{text.column('v', each)} DESC" for each in base.place),
        )

    # -- rows ------------------------------------------------------------------------------------

    def _old_rows(self, event: Event) -> str:
        return "versioned_old AS o" if event is Event.UPDATE else self._source(event)

    def _touched_live(self, spec: VersionSpec, event: Event) -> str:
        touched, names = self._touched(event), ", ".join(self._names)
        return f"({touched}) AS t ({names})\n{self._live(spec)}"

    def _rows_before(self, spec: VersionSpec, event: Event) -> str:
        """Return the rows of one table as they were before the statement."""
        rows = self._before_update() if event is Event.UPDATE else self._source(event)
        if spec is self._spec:
            return rows
        # Of other tables of the object, what is there now is what was there: they were not
        # written.
        alias, names = "n" if event is Event.INSERT else "o", list(self._names)
        read = [self._text.column(alias, column) for column in self._key]
        kind = self._spec.kind
        if self._spec is self._root and kind is not None:
            read.append(self._text.kept(self._text.column(alias, kind.parent), kind.parent))
            names.append(f"{self._here}_kind")
        return (
            f"(SELECT {', '.join(read)} FROM {rows}) AS t ({', '.join(names)})\n{self._live(spec)}"
        )

    def _before_update(self) -> str:
        text, table = self._text, self._text.table(self._spec.parent_table)
        same = [f"{text.column('r', c)} = {text.column('w', c)}" for c in self._key]
        return fill(
            BEFORE_UPDATE,
            here=self._here,
            parent=table,
            u_key=text.columns("u", self._key),
            w_key=text.columns("w", self._key),
            r_is_w=" AND ".join(same),
        )
