"""The text of statements on versions in the functions that tables' triggers call, with slots.

In these statements ``t`` are the keys that were touched, ``l`` is the live row, ``p`` the version
before the transaction, ``own`` the version of the transaction, ``o`` and ``n`` are the old and the
new row of the statement.  No plan for one of them is bad for many rows, nor the other way round:
what is looked up by keys is LATERAL, with a LIMIT or OFFSET; old and new rows meet in a full join.
"""

from __future__ import annotations

from textwrap import indent

__all__ = [
    "CHANGED_ELSEWHERE",
    "COUNT",
    "DEPARTURES",
    "ENDS",
    "ENDS_OF_BEGUN",
    "ERASING",
    "ERASING_FLAGGED",
    "HOLDING",
    "IMAGES",
    "MEETING",
    "MISTAKEN",
    "OVERTAKEN",
    "OWN",
    "PREVIOUS",
    "RETURNING",
    "RIVALS",
]

#: A transaction with a snapshot does not see what others have written of a key since.  If they have
#: deleted its row, it still sees that, beside the row that it gives the key.  A join would stop at
#: the first row of a key.
RETURNING = """
IF TG_OP IN ('INSERT', 'UPDATE')
    AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
THEN
    IF EXISTS (
        SELECT FROM versioned_new AS n
        CROSS JOIN LATERAL (SELECT count(*) AS {here} FROM {table} AS l WHERE {l_is_n}) AS seen
        WHERE seen.{here} > 1
    ) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'serialization_failure',
            MESSAGE = 'could not serialize access due to concurrent delete: rows of ' || {name}
                || ' come back that others have deleted since the transaction began to read',
            HINT = 'The transaction might succeed if retried.';
    END IF;
END IF;
"""

#: Rows of one link that differ would be one in history.
RIVALS = """
IF EXISTS (
    SELECT FROM ({touched}) AS t ({keys})
    {live}
    GROUP BY {keys_of_t} HAVING count(DISTINCT ROW({l_columns})) > 1
) THEN
    RAISE EXCEPTION USING
        ERRCODE = 'unique_violation',
        MESSAGE = 'several rows of ' || {name} || ' are one in history, and differ',
        HINT = 'Give the table a primary key, or a unique constraint on what its rows link.';
END IF;
"""

#: Versions tell of all tables of an object, another of which some other transaction may be writing:
#: their order is that of locks on the base-most row.  What this one has written itself is locked.
HOLDING = """
PERFORM FROM (SELECT * FROM ({touched}) AS t ({keys}) ORDER BY {keys}) AS t
CROSS JOIN LATERAL (
    SELECT FROM {part} AS l
    WHERE {l_is_t} AND l.xmin <> pg_current_xact_id()::xid FOR {lock}
) AS held;
"""

#: A snapshot may hide what others have written to the other parts; a lock meets it.
MEETING = """
IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    {parts}
END IF;
"""

COUNT = """
GET DIAGNOSTICS versioned_count = ROW_COUNT;
versioned_left := versioned_left {sign} versioned_count;
"""

OVERTAKEN = """
SELECT FROM ({touched}) AS t ({keys})
CROSS JOIN LATERAL (
    SELECT FROM {version} AS v
    WHERE {v_is_t} AND {v_transaction} > versioned_tx LIMIT 1
) AS later
"""

_ERASED = """DELETE FROM {version} AS v WHERE v.ctid = ANY (ARRAY(
    SELECT own.ctid
    FROM ({touched}) AS t ({keys})
    CROSS JOIN LATERAL (
        SELECT v.ctid, v.* FROM {version} AS v
        WHERE {v_is_t} AND {v_transaction} = versioned_tx OFFSET 0
    ) AS own
    {live_if_any}
    WHERE {erased}
))"""

ERASING = "\n" + _ERASED + ";\n{count}\n"

#: The same, of a table whose versions have flags; what they said is kept.
ERASING_FLAGGED = (
    "\nWITH erased AS (\n"
    + indent(_ERASED, "    ")
    + """ RETURNING {flags_key} AS k, {flags} AS f
), flagged AS (
    SELECT jsonb_object_agg(k, to_jsonb(f)) AS f FROM erased WHERE true = ANY (f)
)
SELECT (SELECT count(*) FROM erased), versioned_flags || coalesce(flagged.f, '{{}}')
FROM flagged INTO versioned_count, versioned_flags;
versioned_left := versioned_left - versioned_count;
"""
)

#: A row that another trigger has changed before this one heard of its insertion was taken for one
#: that is older than its history.  Its first version is what was inserted; what is older, is not.
MISTAKEN = """
DELETE FROM {version} AS v WHERE v.ctid = ANY (ARRAY(
    SELECT v.ctid
    FROM versioned_new AS n
    CROSS JOIN LATERAL (
        SELECT FROM {version} AS own
        WHERE {own_is_n} AND {own_transaction} = versioned_tx
            AND {own_operation} <> {delete} OFFSET 0
    ) AS own
    CROSS JOIN LATERAL (
        SELECT v.ctid, v.* FROM {version} AS v
        WHERE {v_is_n} AND {v_transaction} = {before_recording} OFFSET 0
    ) AS v
    WHERE {v_is_like_n} AND NOT EXISTS (
        SELECT FROM {version} AS e
        WHERE {e_is_n} AND {e_transaction} NOT IN ({before_recording}, versioned_tx)
    )
));
"""

IMAGES = """
INSERT INTO {version} ({columns}, {transaction}, {operation})
SELECT {distinct}{values}, versioned_tx,
    {what}
FROM ({touched}) AS t ({columns_of_t})
{live}
{flags}
LEFT JOIN LATERAL (
    {previous}
) AS p ON true
WHERE {changed};
{count}
"""

DEPARTURES = """
INSERT INTO {version} ({columns}, {transaction}, {operation})
SELECT DISTINCT ON ({o_row_key}) {values}, versioned_tx, {delete}
FROM {source}
{flags}
CROSS JOIN LATERAL (
    {previous}
) AS p
{live_if_any}
LEFT JOIN LATERAL (
    {own}
) AS own ON true
WHERE {p_operation} <> {delete} AND {gone} AND own.{here} IS NULL;
{count}
"""

#: Whoever changes a version meanwhile puts it in another place, and this statement waits for it and
#: leaves it alone: it is looked for again.
_ENDING = """
LOOP
    WITH found AS MATERIALIZED (
        {found}
    ), ended AS (
        UPDATE {{version}} AS v SET {{end}} = {becomes}
        WHERE v.ctid = ANY (ARRAY(SELECT found.{{here}}_place FROM found)) RETURNING true
    )
    SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
    EXIT WHEN versioned_open = 0;
END LOOP;
"""

#: An open end is filled in where there is a version of this transaction, and opened where not.
ENDS = _ENDING.format(
    becomes="CASE WHEN {v_end} IS NULL THEN versioned_tx END",
    found="""SELECT p.ctid AS {here}_place
        FROM ({touched}) AS t ({keys})
        CROSS JOIN LATERAL (
            {previous}
        ) AS p
        LEFT JOIN LATERAL (
            {own}
        ) AS own ON true
        WHERE CASE WHEN own.{here} THEN {p_end} IS NULL ELSE {p_end} = versioned_tx END""",
)

PREVIOUS = """
SELECT v.ctid, true AS {here}, v.*
FROM {version} AS v
WHERE {v_is_row} AND {v_transaction} <> versioned_tx
ORDER BY {v_transaction} DESC LIMIT 1
"""

#: A transaction that has just begun has no other versions than those of this statement.
ENDS_OF_BEGUN = _ENDING.format(
    becomes="versioned_tx",
    found="""SELECT p.ctid AS {here}_place
        FROM {version} AS own
        CROSS JOIN LATERAL (
            {previous}
        ) AS p
        WHERE {own_transaction} = versioned_tx AND {p_end} IS NULL""",
)

OWN = """
SELECT true AS {here} FROM {version} AS v
WHERE {v_is_row} AND {v_transaction} = versioned_tx{unless_begun} LIMIT 1
"""

CHANGED_ELSEWHERE = """
EXISTS (
    SELECT FROM (SELECT) AS one
    {live_if_any}
    LEFT JOIN LATERAL (
        {previous}
    ) AS p ON true
    WHERE {changed}
)
"""
