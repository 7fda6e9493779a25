"""The frame of the functions that tables' triggers call: in which order what is done.

What they do to rows is in :mod:`.statement_templates`.
"""

from __future__ import annotations

__all__ = [
    "BRANCH",
    "EITHER",
    "FOLLOWING",
    "FUNCTION",
    "KNOWN",
    "NUMBER",
    "RECORDING",
    "REQUIRED",
    "UNLESS_ANY",
    "UNLESS_CHANGED",
    "VARIABLES",
    "WRITTEN",
]

FUNCTION = """
#variable_conflict use_variable
DECLARE
    {variables}
    versioned_part regclass;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        {sentry}
    END IF;
    {detached}
    IF NULLIF(current_setting('versioned.paused', true), '') IS NOT NULL THEN
        IF NOT pg_has_role({invoker}, current_user, 'MEMBER') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'insufficient_privilege',
                MESSAGE = 'only the owner of history may pause its recording',
                HINT = 'Leave the setting versioned.paused alone.';
        END IF;
        RETURN NULL;
    END IF;
    {returning}
    IF TG_OP = 'INSERT' THEN
        {on_insert}
    ELSIF TG_OP = 'UPDATE' THEN
        {on_update}
    ELSIF TG_OP = 'DELETE' THEN
        {on_delete}
    ELSIF TG_OP = 'TRUNCATE' THEN
        {on_truncate}
    END IF;
    RETURN NULL;
END
"""

VARIABLES = """
versioned_tx bigint;
versioned_count bigint;
versioned_left bigint := 0;
{open}
versioned_begun boolean := false;
{flags}
"""

UNLESS_ANY = """
IF NOT EXISTS ({rows}) THEN
    RETURN NULL;
END IF;
"""

BRANCH = """
{known}
IF versioned_tx IS NULL THEN
    {unless_changed}
    {is_fresh}
    versioned_tx := {begin}();
    versioned_begun := true;
END IF;
{recording}
{names}
IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
    PERFORM {release}(versioned_tx);
END IF;
"""

#: What the setting says.
NUMBER = """
versioned_tx := (
    NULLIF(current_setting('versioned.transactions', true), '')::jsonb
    ->> '{table_text}'::regclass::oid::text
)::bigint;
"""

#: Whether the transaction that goes on has written that row, and outside of savepoints.  A table of
#: a few rows would be read as a whole, were its order not asked for.
WRITTEN = """
SELECT {number} = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM {table} AS t
WHERE {number} >= versioned_tx ORDER BY {number} LIMIT 1
"""

#: The transaction that goes on.  Whether it has written its row in any other way, the function
#: tells, and a call of it takes longer.
KNOWN = """
{said_number}
IF versioned_tx IS NOT NULL THEN
    IF (
        {written}
    ) IS NOT TRUE THEN
        versioned_tx := {current}();
    END IF;
END IF;
"""

#: Whatever this transaction has recorded before.
RECORDING = """
{rivals}
{following}
{first_states}
IF NOT versioned_begun THEN
    {erasing}
END IF;
{versions}
"""

UNLESS_CHANGED = """
IF NOT EXISTS ({changed}) THEN
    RETURN NULL;
END IF;
"""

#: Draw a later number if a row has a version of a later transaction.  Rows are locked by now, so
#: one is enough; where what numbers transactions was reset, none is.
FOLLOWING = """
FOR versioned_drawn IN 1..{most} LOOP
    EXIT WHEN NOT (
        (SELECT max({v_transaction}) FROM {version} AS v) > versioned_tx
        AND EXISTS ({overtaken})
    );
    IF versioned_drawn = {most} THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || {name},
            HINT = 'Let what numbers transactions go on after the greatest transaction id.';
    END IF;
    versioned_tx := {move}(versioned_tx);
END LOOP;
"""

EITHER = """
IF versioned_begun THEN
    {begun}
ELSE
    {otherwise}
END IF;
"""

#: In *said*, an object of JSON, a variable that is wanted must be.
REQUIRED = """
IF coalesce({said} ->> {name}, '') = '' THEN
    RAISE EXCEPTION USING
        ERRCODE = 'not_null_violation',
        MESSAGE = 'the session variable ' || {setting} || ' is missing or empty',
        HINT = 'Set it for the transaction, by set_config() or set_session_variables().';
END IF;
"""
