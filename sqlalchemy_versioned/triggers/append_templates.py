"""The text of what is done where versions are events, with slots.

The aliases are those of :mod:`.statement_templates`.
"""

from __future__ import annotations

__all__ = [
    "APPENDING",
    "BROUGHT",
    "EVENTS",
    "IS_LATEST",
    "IS_UNTOLD",
    "KEYLESS",
    "OTHERS",
    "SAID",
    "SHOWING",
    "STAMPING",
]

APPENDING = """
{unless_any}
{said}
{known}{hold}
IF versioned_tx IS NULL THEN
    versioned_tx := {begin}();
    versioned_begun := true;
END IF;
{following}
{stamping}
{first_states}
{others}
{events}
{names}
{showing}
IF versioned_begun AND versioned_left = 0 THEN
    PERFORM {release}(versioned_tx);
END IF;
"""

SAID = """
versioned_said := {variables}
    || coalesce(NULLIF(current_setting('versioned.said', true), '')::jsonb, '{{}}');
"""

EVENTS = """
INSERT INTO {version} ({columns}, {transaction}, {operation}{more_columns})
SELECT {values}, versioned_tx, {what}{more_values}
FROM {source}{more_source}
WHERE {condition};
{count}
"""

#: New rows of an UPDATE that were not among the old ones, each as often as it is new.
KEYLESS = """
(
    SELECT o.*, {o_row} AS {here}_row, row_number() OVER (PARTITION BY {o_row}) AS {here}_copy
    FROM versioned_old AS o
) AS o FULL JOIN (
    SELECT n.*, {n_row} AS {here}_row, row_number() OVER (PARTITION BY {n_row}) AS {here}_copy
    FROM versioned_new AS n
) AS n ON o.{here}_row = n.{here}_row AND o.{here}_copy = n.{here}_copy
"""

#: Whether there are triggers of others that may have fired for the statement.
OTHERS = """
versioned_others := EXISTS (
    SELECT FROM pg_trigger AS own
    JOIN pg_trigger AS other ON other.tgrelid = own.tgrelid AND other.tgfoid <> own.tgfoid
    WHERE own.tgrelid = TG_RELID AND own.tgname = TG_NAME
        AND NOT other.tgisinternal AND other.tgtype & 2 = 0
);
"""

#: They have not changed the row since.
IS_LATEST = """(NOT versioned_others OR EXISTS (
        SELECT FROM {parent} AS l WHERE {l_is_like_n}
    ))"""

#: They have done nothing to a row that is inserted.
IS_UNTOLD = """(NOT versioned_others OR (
        SELECT {own_operation} = {delete} FROM {version} AS own
        WHERE {own_is_n} AND {own_transaction} = versioned_tx ORDER BY {own_number} DESC LIMIT 1
    ) IS NOT FALSE AND EXISTS (SELECT FROM {parent} AS l WHERE {l_is_n}))"""

#: The first that they have done to a row that is inserted.
BROUGHT = """
IF versioned_others THEN
    {mistaken}
    UPDATE {version} AS v SET {operation} = {insert}
    FROM versioned_new AS n
    CROSS JOIN LATERAL (
        SELECT {own_number} FROM {version} AS own
        WHERE {own_is_n} AND {own_transaction} = versioned_tx AND {own_number} > ALL (
            SELECT {gone_number} FROM {version} AS gone
            WHERE {gone_is_n} AND {gone_transaction} = versioned_tx
                AND {gone_operation} = {delete}
        )
        ORDER BY {own_number} LIMIT 1
    ) AS first ({number})
    WHERE {v_number} = first.{number} AND {v_operation} = {update};
END IF;
"""

#: Rows say which version is their newest; that they say another is no event.
SHOWING = """
UPDATE {parent} AS r SET {live_id} = p.{number}
FROM ({touched}) AS t ({keys})
CROSS JOIN LATERAL (
    SELECT v.* FROM {version} AS v WHERE {v_is_t} AND {v_transaction} = versioned_tx
    ORDER BY v.{number} DESC LIMIT 1
) AS p
WHERE {r_is_t} AND r.{live_id} IS DISTINCT FROM p.{number};
"""

#: Ids of statements that follow each other are in their order, whatever is done to the clock.
STAMPING = """
versioned_moment := greatest(
    NULLIF(current_setting('versioned.moment', true), '')::bigint + 1,
    floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint
);
PERFORM set_config('versioned.moment', versioned_moment::text, true);
versioned_stamp := lpad(to_hex(versioned_moment), 15, '0');
versioned_stamp := overlay(versioned_stamp placing '7' FROM 13 FOR 0);
"""
