"""The text of statements on events of objects that have rows in several tables, with slots.

In these statements ``p`` is the newest event of an object, in the base-most table.  The others are
those of :mod:`.statement_templates`.
"""

from __future__ import annotations

__all__ = [
    "FLUSH",
    "IS_TOLD",
    "JOINING",
    "MERGED",
    "NEWEST",
    "NUMBERING",
    "OTHER_PARTS",
    "PARTS",
    "UNKNOWN",
]

FLUSH = """
versioned_event := NULLIF(current_setting('versioned.event', true), '')::jsonb;
versioned_since := (versioned_event ->> '{base_text}'::regclass::oid::text)::{number_type};
"""

NEWEST = """
SELECT true AS {here}, v.* FROM {version} AS v
WHERE {v_is_row} ORDER BY {v_transaction} DESC, {v_number} DESC LIMIT 1
"""

#: The event that a row is a part of has been recorded: of this flush, or as a deletion by a table
#: whose rows were deleted along.
IS_TOLD = """
coalesce({p_transaction} = versioned_tx AND ({p_number} >= versioned_since OR {is_same}), false)
"""

#: Record events, and remember the first one of a flush.
NUMBERING = """
WITH made AS (
    INSERT INTO {version} ({columns}, {transaction}, {operation}{more_columns})
    SELECT {values}, versioned_tx, {what}{more_values}
    FROM {source}
    {joined}{more_source}
    WHERE {condition} AND NOT {is_told}
    RETURNING {number} AS k
)
SELECT count(*), (SELECT m.k FROM made AS m ORDER BY m.k LIMIT 1)
FROM made INTO versioned_count, versioned_first;
versioned_left := versioned_left + versioned_count;
IF versioned_event IS NOT NULL AND versioned_since IS NULL AND versioned_first IS NOT NULL THEN
    versioned_since := versioned_first;
    versioned_event := versioned_event
        || jsonb_build_object('{base_text}'::regclass::oid::text, versioned_since);
    PERFORM set_config('versioned.event', versioned_event::text, true);
END IF;
"""

#: An event of this flush is told more of.
JOINING = """
IF versioned_since IS NOT NULL THEN
    UPDATE {version} AS v SET ({kept}) = ROW({values}), {operation} = {merged}{flags}
    FROM {source} CROSS JOIN LATERAL (
        {newest}
    ) AS p
    WHERE {v_number} = {p_number} AND {condition}
        AND {p_transaction} = versioned_tx AND {p_number} >= versioned_since;
END IF;
"""

#: Rows of other tables go first where foreign keys delete them; what the whole was, must be known.
UNKNOWN = """
IF EXISTS (
    SELECT FROM ({touched}) AS t ({keys})
    {live_if_any}
    LEFT JOIN LATERAL (
        {newest}
    ) AS p ON true
    WHERE l.{here} IS NULL
        AND (p.{here} IS NULL OR {p_operation} = {delete} AND {p_transaction} <> versioned_tx)
) THEN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'rows of ' || {base_name} || ' are deleted that are older than their history',
        HINT = 'Call maintenance.baseline() before, or write each table by its own statement.';
END IF;
"""

PARTS = """
INSERT INTO {version} AS v ({columns}, {transaction}, {operation})
SELECT {values}, versioned_tx, {what}
FROM {source}
WHERE {condition}
ON CONFLICT ({number}) DO UPDATE SET ({kept}) = ROW({excluded}), {operation} = {merged}{flags};
"""

#: What has just come under its key, its own triggers tell.
OTHER_PARTS = """
INSERT INTO {version} ({columns}, {transaction}, {operation})
SELECT {values}, versioned_tx, {update}
FROM ({touched}) AS t ({keys})
{live}
CROSS JOIN LATERAL (
    SELECT v.* FROM {version} AS v
    WHERE {v_is_t} ORDER BY {v_transaction} DESC, {v_number} DESC LIMIT 1
) AS p
WHERE {p_operation} <> {delete}
ON CONFLICT DO NOTHING;
"""

MERGED = (
    "CASE WHEN {new} = {delete} THEN {delete} WHEN {v_operation} = {delete} THEN {update}"
    " WHEN {v_operation} = {insert} THEN {insert} ELSE {new} END"
)
