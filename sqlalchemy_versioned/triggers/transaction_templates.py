"""The text of the functions that write the row of a transaction, with slots.

``versioned_old`` is their argument, the number that the row has.
"""

from __future__ import annotations

__all__ = [
    "BEGIN",
    "CURRENT",
    "IF_THERE",
    "MOVE",
    "MOVE_ENDS",
    "MOVE_REFERRING",
    "MOVE_VERSIONS",
    "RELEASE",
    "RELEASE_REFERRING",
    "REMEMBER",
    "STAMP",
    "STAMPED",
    "USED",
]

CURRENT = """
DECLARE
    versioned_number bigint := (
        NULLIF(current_setting('versioned.transactions', true), '')::jsonb
        ->> '{table_text}'::regclass::oid::text
    )::bigint;
    versioned_xid bigint;
BEGIN
    IF versioned_number IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT t.xmin::text::bigint INTO versioned_xid FROM {table} AS t
    WHERE {number} = versioned_number;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- A row that is seen, and whose writer goes on, was written by this very transaction.
    versioned_xid := versioned_xid | ((pg_current_xact_id()::text::bigint >> 32) << 32);
    IF pg_xact_status(versioned_xid::text::xid8) IS DISTINCT FROM 'in progress' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'versioned.transactions names a transaction of others',
            HINT = 'Leave the setting alone; it is set by what records versions.';
    END IF;
    RETURN versioned_number;
END
"""

BEGIN = """
DECLARE
    versioned_said jsonb := NULLIF(current_setting('versioned.values', true), '')::jsonb;
    versioned_all jsonb := {variables} || coalesce(versioned_said, '{{}}');
    versioned_number bigint;
    versioned_moment text;
BEGIN
    {required}
    INSERT INTO {table} {row}
    RETURNING {returned} INTO versioned_number, versioned_moment;
    {remember}
    {stamp}
    RETURN versioned_number;
END
"""

REMEMBER = """
PERFORM set_config(
    'versioned.transactions',
    (coalesce(NULLIF(current_setting('versioned.transactions', true), ''), '{{}}')::jsonb
        || jsonb_build_object('{table_text}'::regclass::oid::text, versioned_number))::text,
    true
);
"""

#: When a row was written is remembered, unless the application said it: only then does it become
#: later if the row is written anew.
STAMP = """
IF {is_stamped} THEN
    PERFORM set_config(
        '{moments}',
        (coalesce(NULLIF(current_setting('{moments}', true), ''), '{{}}')::jsonb
            || jsonb_build_object(
                '{table_text}'::regclass::oid || ':' || versioned_number, versioned_moment
            ))::text,
        true
    );
END IF;
"""

STAMPED = """
SELECT {moment}::text = NULLIF(current_setting('{moments}', true), '')::jsonb
    ->> ('{table_text}'::regclass::oid || ':' || versioned_old)
INTO versioned_stamped FROM {table} AS t WHERE {number} = versioned_old;
"""

MOVE = """
DECLARE
    versioned_number bigint;
    versioned_moment text;
    versioned_stamped boolean;
    versioned_kept text := coalesce(current_setting('{upkeep}', true), '');
BEGIN
    -- Sessions may call this, for the transaction that goes on and for no other.
    IF versioned_old IS DISTINCT FROM {current}() THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'transaction ' || versioned_old || ' is not the one that goes on';
    END IF;
    -- Where sessions call it, guards of history cannot tell it from others.
    PERFORM set_config('{upkeep}', '1', true);
    {stamped}
    INSERT INTO {table} {row}
    RETURNING {returned} INTO versioned_number, versioned_moment;
    {versions}
    {referring}
    DELETE FROM {table} AS t WHERE {number} = versioned_old;
    PERFORM set_config('{upkeep}', versioned_kept, true);
    {remember}
    {stamp}
    RETURN versioned_number;
END
"""

MOVE_ENDS = """
UPDATE {version} AS v SET {end} = versioned_number
FROM {version} AS own
WHERE {own_transaction} = versioned_old AND {same_row} AND {v_end} = versioned_old;
"""

MOVE_VERSIONS = """
UPDATE {version} AS v SET {transaction} = versioned_number
WHERE {v_transaction} = versioned_old;
"""

MOVE_REFERRING = """
UPDATE {other} SET {reference} = versioned_number WHERE {reference} = versioned_old;
"""

RELEASE_REFERRING = """
DELETE FROM {other} WHERE {reference} = versioned_old;
"""

#: Tables of another MetaData may be in another database, or not be there yet.
IF_THERE = """
IF to_regclass('{table_text}') IS NOT NULL THEN
    {statements}
END IF;
"""

USED = """
IF {used} THEN
    RETURN NULL;
END IF;
"""

RELEASE = """
BEGIN
    IF NULLIF(current_setting('versioned.wanted', true), '') IS NOT NULL THEN
        RETURN NULL;
    END IF;
    {used}
    {referring}
    DELETE FROM {table} AS t WHERE {number} = versioned_old;
    PERFORM set_config(
        'versioned.transactions',
        (NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            - '{table_text}'::regclass::oid::text)::text,
        true
    );
    RETURN NULL;
END
"""
