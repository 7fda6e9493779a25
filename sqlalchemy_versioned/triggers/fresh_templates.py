"""The text of what is done where a transaction has no versions yet of the rows of a statement.

The aliases are those of :mod:`.statement_templates`.
"""

from __future__ import annotations

__all__ = [
    "DELETED",
    "EITHER",
    "ENDED",
    "FRESH",
    "IF_FRESH",
    "IF_GONE",
    "IF_OPEN",
    "INSERTED",
    "IS_FRESH",
    "IS_FRESH_UPDATE",
    "IS_UNTOUCHED",
    "OPEN",
    "ROWS_OF_UPDATE",
    "UNLESS_UNTOUCHED",
    "UPDATED",
]

#: Once recorded, a transaction has the setting, even if nothing has come of it; so statements that
#: the statement has caused, and that changed rows of it, are known.
IS_FRESH = """
versioned_fresh := coalesce(current_setting('versioned.transactions', true), '') = '';
"""

#: The same where rows are changed.  Foreign keys may do so, by one statement repeatedly; then its
#: rows are not what is there now.
IS_FRESH_UPDATE = """
versioned_fresh := coalesce(current_setting('versioned.transactions', true), '') = ''
    AND NOT EXISTS (
        SELECT FROM pg_constraint AS c WHERE c.conrelid = TG_RELID AND c.contype = 'f'
            AND (c.confupdtype IN ('c', 'n', 'd') OR c.confdeltype IN ('c', 'n', 'd'))
    );
"""

#: Of rows that this transaction has no version of there is nothing to be merged.
IS_UNTOUCHED = """
versioned_untouched := versioned_begun OR NOT EXISTS (
    SELECT FROM ({touched}) AS t ({keys})
    CROSS JOIN LATERAL (
        SELECT FROM {version} AS v WHERE {v_is_t} AND {v_transaction} = versioned_tx LIMIT 1
    ) AS own
);
"""

UNLESS_UNTOUCHED = """
IF NOT versioned_untouched THEN
    {statements}
END IF;
"""

EITHER = """
IF versioned_untouched THEN
    {untouched}
ELSE
    {otherwise}
END IF;
"""

IF_FRESH = """
IF versioned_fresh THEN
    {fresh}
ELS"""

#: Rows that have no version may be older than their history.
FRESH = """
LOOP
    {statement}
    EXIT WHEN versioned_lacking = 0 OR versioned_again;
    versioned_again := true;
    DELETE FROM {version} AS v WHERE v.ctid = ANY (ARRAY(
        SELECT own.ctid
        FROM ({touched}) AS t ({keys})
        CROSS JOIN LATERAL (
            SELECT v.ctid FROM {version} AS v
            WHERE {v_is_t} AND {v_transaction} = versioned_tx OFFSET 0
        ) AS own
    ));
    {first_states}
END LOOP;
versioned_left := versioned_count;
"""

IF_GONE = """
IF versioned_gone > 0 THEN
    {departures}
    versioned_open := versioned_open + versioned_gone;
END IF;
"""

#: Some were changed meanwhile; see there.
IF_OPEN = """
IF versioned_open > 0 THEN
    {ends}
END IF;
"""

ENDED = """
UPDATE {version} AS v SET {end} = versioned_tx
WHERE v.ctid = ANY (ARRAY(SELECT found.{here}_place FROM found WHERE found.{here}_is_open))
RETURNING true
"""

#: How many have not ended.
OPEN = "count({here}_place) FILTER (WHERE {here}_is_open) - (SELECT count(*) FROM ended)"

INSERTED = """
WITH found AS MATERIALIZED (
    SELECT {found}, {what} AS {here}_what,
        p.ctid AS {here}_place, {p_end} IS NULL AS {here}_is_open
    FROM (SELECT true AS {here}, n.* FROM versioned_new AS n) AS l
    LEFT JOIN LATERAL (
        {previous}
    ) AS p ON true
    WHERE {changed}
), image AS (
    INSERT INTO {version} ({columns}, {transaction}, {operation})
    SELECT {values}, versioned_tx, found.{here}_what FROM found
), ended AS (
    {ended}
)
SELECT count(*), {open}
FROM found INTO versioned_left, versioned_open;
"""

UPDATED = """
WITH found AS MATERIALIZED (
    SELECT {found}, {what} AS {here}_what, l.{here} AS {here}_lives, p.{here} AS {here}_is_known,
        p.ctid AS {here}_place, l.{here} AND {p_end} IS NULL AS {here}_is_open{flags}
    FROM {rows}
    LEFT JOIN LATERAL (
        {previous}
    ) AS p ON true
    WHERE {condition}(l.{here} IS NULL OR {changed})
), image AS (
    INSERT INTO {version} ({columns}, {transaction}, {operation})
    SELECT {values}, versioned_tx, found.{here}_what FROM found WHERE found.{here}_lives
), ended AS (
    {ended}
)
SELECT count({here}_lives), count(*) - count({here}_is_known), count(*) - count({here}_lives),
    {open}
FROM found INTO versioned_count, versioned_lacking, versioned_gone, versioned_open;
"""

DELETED = """
WITH found AS MATERIALIZED (
    SELECT {found}, p.{here} AS {here}_is_known,
        p.ctid AS {here}_place, {p_end} IS NULL AS {here}_is_open
    FROM versioned_old AS o
    LEFT JOIN LATERAL (
        {previous}
    ) AS p ON true
    {live}
    WHERE (p.{here} IS NULL OR {p_operation} <> {delete}){unless_alive}
), image AS (
    INSERT INTO {version} ({columns}, {transaction}, {operation})
    SELECT {values}, versioned_tx, {delete} FROM found WHERE found.{here}_is_known
), ended AS (
    {ended}
)
SELECT count({here}_is_known), count(*) - count({here}_is_known), {open}
FROM found INTO versioned_count, versioned_lacking, versioned_open;
"""

#: Old and new rows that are what was there, and what is there now.
ROWS_OF_UPDATE = """
{source}
CROSS JOIN LATERAL (SELECT {key}) AS t ({keys})
CROSS JOIN LATERAL (
    SELECT CASE WHEN {arrived} IS NOT NULL THEN true END AS {here}, n.*
) AS l
"""
