"""What partitions need so that statements by their own names are recorded as well.

A statement fires the triggers of the table that it names.  So each partition has the triggers of
the partitioned table; tables that inherit from it are treated alike.  Partitions that come later
have a sentry, a trigger for rows that PostgreSQL copies to them: it finds at the end of a
transaction what was not recorded.  Where it is not needed it is disabled, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..model.naming import cut_name
from .text import dollar_quoted, fill

__all__ = [
    "DETACHED",
    "LACKING",
    "SENTRY",
    "TRUNCATED",
    "TRUNCATING",
    "WORK",
    "sentry_name",
    "write_spreading",
]

#: Stands for the table that TRUNCATE empties.
TRUNCATED = "versioned_truncated"

#: Whoever takes a partition off has its rows vanish without a statement; what it does is no news
#: of the partitioned table any more.
DETACHED = """
IF TG_RELID <> {table}::regclass THEN
    IF NOT EXISTS (
        WITH RECURSIVE above (relid) AS (
            SELECT TG_RELID
            UNION
            SELECT i.inhparent FROM above JOIN pg_inherits AS i ON i.inhrelid = above.relid
        )
        SELECT FROM above WHERE above.relid = {table}::regclass
    ) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = TG_RELID::regclass || ' has triggers of ' || {name}
                || ', and is no part of it',
            HINT = 'Call install_triggers(), which takes them off.';
    END IF;
END IF;
"""

#: What is done by partitions without triggers is not recorded, or cannot be told from what is.
LACKING = """
RAISE EXCEPTION USING
    ERRCODE = 'object_not_in_prerequisite_state',
    MESSAGE = 'the partition ' || TG_RELID::regclass || ' lacks the triggers of ' || {name},
    HINT = 'Call install_triggers(), which gives them to all partitions.';
"""

#: Rows of which the newest version is not what they are.
SENTRY = """
IF TG_OP = 'UPDATE' AND NOT EXISTS (
    SELECT FROM (SELECT OLD.*) AS o CROSS JOIN (SELECT NEW.*) AS n WHERE {differs_from_old}
) THEN
    RETURN NULL;
END IF;
versioned_tx := -1;
IF EXISTS (
    SELECT FROM (SELECT {old_key} UNION SELECT {new_key}) AS t ({keys})
    {live}
    LEFT JOIN LATERAL (
        {previous}
    ) AS p ON true
    WHERE {differs}
) THEN
    {lacking}
END IF;
RETURN NULL;
"""

#: TRUNCATE fires the triggers of all tables that it empties: each takes care of the table itself
#: and of those below that have none.  The rows are read by the name of their table alone, because
#: PostgreSQL would read all partitions for those of one.
TRUNCATING = """
FOR versioned_part IN
    WITH RECURSIVE part (relid) AS (
        SELECT TG_RELID
        UNION
        SELECT i.inhrelid FROM part JOIN pg_inherits AS i ON i.inhparent = part.relid
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger AS t
            WHERE t.tgrelid = i.inhrelid AND t.tgname = TG_NAME AND t.tgenabled IN ('O', 'A')
        )
    )
    SELECT part.relid FROM part JOIN pg_class AS c ON c.oid = part.relid WHERE c.relkind <> 'p'
LOOP
    EXECUTE replace(
        {work}
        , 'versioned_truncated', versioned_part::text
    );
END LOOP;
"""

#: What is done for each of these tables.
WORK = """
#variable_conflict use_variable
DECLARE
    {variables}
BEGIN
    {branch}
END
"""

SPREADING = """
DECLARE
    versioned_parts regclass[] := ARRAY(
        WITH RECURSIVE part (relid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = {table_text}::regclass
            UNION
            SELECT i.inhrelid FROM part
            JOIN pg_catalog.pg_inherits AS i ON i.inhparent = part.relid
        )
        SELECT part.relid FROM part
    );
    versioned_part record;
BEGIN
    FOR versioned_part IN
        SELECT c.oid::regclass AS place FROM pg_catalog.pg_class AS c
        WHERE c.oid = ANY (versioned_parts) AND c.relkind = 'f'
    LOOP
        RAISE EXCEPTION USING
            ERRCODE = 'wrong_object_type',
            MESSAGE = versioned_part.place || ' is a foreign table and part of ' || {name}
                || ', and triggers are not told which of its rows are written',
            HINT = 'Take it off, or leave out native=True.';
    END LOOP;
    FOR versioned_part IN
        SELECT t.tgrelid::regclass AS place, quote_ident(t.tgname) AS trigger
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = {function_text}::regprocedure AND t.tgparentid = 0
            AND (t.tgrelid <> {table_text}::regclass OR t.tgtype & 1 = 1)
    LOOP
        EXECUTE 'DROP TRIGGER ' || versioned_part.trigger || ' ON ' || versioned_part.place;
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.oid = {table_text}::regclass AND c.relkind = 'p'
    ) THEN
        CREATE CONSTRAINT TRIGGER {sentry} AFTER INSERT OR UPDATE OR DELETE ON {table}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {function}();
    END IF;
    FOR versioned_part IN
        SELECT c.oid::regclass AS place, c.relkind <> 'p' AND c.relispartition AS is_leaf
        FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (versioned_parts)
    LOOP
        {triggers}
        IF versioned_part.is_leaf THEN
            EXECUTE 'ALTER TABLE ' || versioned_part.place || {disabling};
        END IF;
    END LOOP;
END
"""


def sentry_name(function: str) -> str:
    """Return what the sentry of a table is called, by the name of the function that it calls."""
    return cut_name(f"{function}_sentry")


def write_spreading(
    table: str, function: str, sentry: str, triggers: Iterable[str], *, place: str
) -> str:
    """Return the statement that gives the partitions of a table its triggers, or renews them.

    Those of partitions that have been detached are removed.

    :param table: with its schema, as all names quoted where they must be.
    :param sentry: the name of the sentry.
    :param triggers: the statements that make them, for a table of the name *place*.
    """
    return "DO " + dollar_quoted(
        "\n"
        + fill(
            SPREADING,
            table=table,
            function=function,
            table_text=_literal(table),
            name=f"{_literal(table)}::regclass",
            function_text=_literal(f"{function}()"),
            sentry=sentry,
            disabling=_literal(f" DISABLE TRIGGER {sentry}"),
            triggers="\n".join(_executing(each, place) for each in triggers),
        )
        + "\n"
    )


def _executing(statement: str, place: str) -> str:
    before, _, after = statement.partition(place)
    return f"EXECUTE {_literal(before)}\n    || versioned_part.place || {_literal(after)};"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
