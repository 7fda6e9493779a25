CREATE OR REPLACE FUNCTION public.event_versioned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned__$
-- sqlalchemy_versioned 1 09f5a4fabc88d01e31eed0084a628f74
#variable_conflict use_variable
DECLARE
    versioned_tx bigint;
    versioned_count bigint;
    versioned_left bigint := 0;
    versioned_begun boolean := false;
    versioned_others boolean;
    versioned_said jsonb := '{}';
    versioned_part regclass;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the partition ' || TG_RELID::regclass || ' lacks the triggers of ' || 'event',
            HINT = 'Call install_triggers(), which gives them to all partitions.';
    END IF;
    IF TG_RELID <> 'public.event'::regclass THEN
        IF NOT EXISTS (
            WITH RECURSIVE above (relid) AS (
                SELECT TG_RELID
                UNION
                SELECT i.inhparent FROM above JOIN pg_inherits AS i ON i.inhrelid = above.relid
            )
            SELECT FROM above WHERE above.relid = 'public.event'::regclass
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = TG_RELID::regclass || ' has triggers of ' || 'event'
                    || ', and is no part of it',
                HINT = 'Call install_triggers(), which takes them off.';
        END IF;
    END IF;
    IF NULLIF(current_setting('versioned.paused', true), '') IS NOT NULL THEN
        IF NOT pg_has_role(CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END, current_user, 'MEMBER') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'insufficient_privilege',
                MESSAGE = 'only the owner of history may pause its recording',
                HINT = 'Leave the setting versioned.paused alone.';
        END IF;
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM versioned_new AS n) THEN
            RETURN NULL;
        END IF;
        versioned_said := jsonb_strip_nulls(jsonb_build_object('reason', NULLIF(current_setting('audit.reason', true), '')))
            || coalesce(NULLIF(current_setting('versioned.said', true), '')::jsonb, '{}');
        IF coalesce(versioned_said ->> 'reason', '') = '' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'not_null_violation',
                MESSAGE = 'the session variable ' || 'audit.reason' || ' is missing or empty',
                HINT = 'Set it for the transaction, by set_config() or set_session_variables().';
        END IF;
        versioned_tx := (
            NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            ->> 'public.transaction'::regclass::oid::text
        )::bigint;
        IF versioned_tx IS NOT NULL THEN
            IF (
                SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
            ) IS NOT TRUE THEN
                versioned_tx := public.transaction_versioned_current();
            END IF;
        END IF;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        INSERT INTO public.event_version (what, much, transaction_id, operation_type, reason)
        SELECT n.what, n.much, versioned_tx, 0, s.reason
        FROM versioned_new AS n
        CROSS JOIN jsonb_populate_record(NULL::public.event_version, versioned_said) AS s
        WHERE true;
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_begun AND versioned_left = 0 THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM (
            SELECT o.*, ROW(o.what, o.much)::text AS versioned_here_row, row_number() OVER (PARTITION BY ROW(o.what, o.much)::text) AS versioned_here_copy
            FROM versioned_old AS o
        ) AS o FULL JOIN (
            SELECT n.*, ROW(n.what, n.much)::text AS versioned_here_row, row_number() OVER (PARTITION BY ROW(n.what, n.much)::text) AS versioned_here_copy
            FROM versioned_new AS n
        ) AS n ON o.versioned_here_row = n.versioned_here_row AND o.versioned_here_copy = n.versioned_here_copy WHERE o.versioned_here_row IS NULL) THEN
            RETURN NULL;
        END IF;
        versioned_said := jsonb_strip_nulls(jsonb_build_object('reason', NULLIF(current_setting('audit.reason', true), '')))
            || coalesce(NULLIF(current_setting('versioned.said', true), '')::jsonb, '{}');
        IF coalesce(versioned_said ->> 'reason', '') = '' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'not_null_violation',
                MESSAGE = 'the session variable ' || 'audit.reason' || ' is missing or empty',
                HINT = 'Set it for the transaction, by set_config() or set_session_variables().';
        END IF;
        versioned_tx := (
            NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            ->> 'public.transaction'::regclass::oid::text
        )::bigint;
        IF versioned_tx IS NOT NULL THEN
            IF (
                SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
            ) IS NOT TRUE THEN
                versioned_tx := public.transaction_versioned_current();
            END IF;
        END IF;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        INSERT INTO public.event_version (what, much, transaction_id, operation_type, reason)
        SELECT n.what, n.much, versioned_tx, 1, s.reason
        FROM (
            SELECT o.*, ROW(o.what, o.much)::text AS versioned_here_row, row_number() OVER (PARTITION BY ROW(o.what, o.much)::text) AS versioned_here_copy
            FROM versioned_old AS o
        ) AS o FULL JOIN (
            SELECT n.*, ROW(n.what, n.much)::text AS versioned_here_row, row_number() OVER (PARTITION BY ROW(n.what, n.much)::text) AS versioned_here_copy
            FROM versioned_new AS n
        ) AS n ON o.versioned_here_row = n.versioned_here_row AND o.versioned_here_copy = n.versioned_here_copy
        CROSS JOIN jsonb_populate_record(NULL::public.event_version, versioned_said) AS s
        WHERE o.versioned_here_row IS NULL;
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_begun AND versioned_left = 0 THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM versioned_old AS o) THEN
            RETURN NULL;
        END IF;
        versioned_said := jsonb_strip_nulls(jsonb_build_object('reason', NULLIF(current_setting('audit.reason', true), '')))
            || coalesce(NULLIF(current_setting('versioned.said', true), '')::jsonb, '{}');
        IF coalesce(versioned_said ->> 'reason', '') = '' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'not_null_violation',
                MESSAGE = 'the session variable ' || 'audit.reason' || ' is missing or empty',
                HINT = 'Set it for the transaction, by set_config() or set_session_variables().';
        END IF;
        versioned_tx := (
            NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            ->> 'public.transaction'::regclass::oid::text
        )::bigint;
        IF versioned_tx IS NOT NULL THEN
            IF (
                SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
            ) IS NOT TRUE THEN
                versioned_tx := public.transaction_versioned_current();
            END IF;
        END IF;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        INSERT INTO public.event_version (what, much, transaction_id, operation_type, reason)
        SELECT o.what, o.much, versioned_tx, 2, s.reason
        FROM versioned_old AS o
        CROSS JOIN jsonb_populate_record(NULL::public.event_version, versioned_said) AS s
        WHERE true;
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_begun AND versioned_left = 0 THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'TRUNCATE' THEN
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
                $versioned_$DO $versioned$#variable_conflict use_variable
                DECLARE
                    versioned_tx bigint;
                    versioned_count bigint;
                    versioned_left bigint := 0;
                    versioned_begun boolean := false;
                    versioned_others boolean;
                    versioned_said jsonb := '{}';
                BEGIN
                    IF NOT EXISTS (SELECT FROM ONLY versioned_truncated AS o) THEN
                        RETURN;
                    END IF;
                    versioned_said := jsonb_strip_nulls(jsonb_build_object('reason', NULLIF(current_setting('audit.reason', true), '')))
                        || coalesce(NULLIF(current_setting('versioned.said', true), '')::jsonb, '{}');
                    IF coalesce(versioned_said ->> 'reason', '') = '' THEN
                        RAISE EXCEPTION USING
                            ERRCODE = 'not_null_violation',
                            MESSAGE = 'the session variable ' || 'audit.reason' || ' is missing or empty',
                            HINT = 'Set it for the transaction, by set_config() or set_session_variables().';
                    END IF;
                    versioned_tx := (
                        NULLIF(current_setting('versioned.transactions', true), '')::jsonb
                        ->> 'public.transaction'::regclass::oid::text
                    )::bigint;
                    IF versioned_tx IS NOT NULL THEN
                        IF (
                            SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                            WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
                        ) IS NOT TRUE THEN
                            versioned_tx := public.transaction_versioned_current();
                        END IF;
                    END IF;
                    IF versioned_tx IS NULL THEN
                        versioned_tx := public.transaction_versioned_begin();
                        versioned_begun := true;
                    END IF;
                    INSERT INTO public.event_version (what, much, transaction_id, operation_type, reason)
                    SELECT o.what, o.much, versioned_tx, 2, s.reason
                    FROM ONLY versioned_truncated AS o
                    CROSS JOIN jsonb_populate_record(NULL::public.event_version, versioned_said) AS s
                    WHERE true;
                    GET DIAGNOSTICS versioned_count = ROW_COUNT;
                    versioned_left := versioned_left + versioned_count;
                    IF versioned_begun AND versioned_left = 0 THEN
                        PERFORM public.transaction_versioned_release(versioned_tx);
                    END IF;
                END$versioned$$versioned_$
                , 'versioned_truncated', versioned_part::text
            );
        END LOOP;
    END IF;
    RETURN NULL;
END
$versioned__$;
REVOKE ALL ON FUNCTION public.event_versioned() FROM PUBLIC;
DROP TRIGGER IF EXISTS event_versioned_insert ON public.event;
CREATE TRIGGER event_versioned_insert AFTER INSERT ON public.event
REFERENCING NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned();
DROP TRIGGER IF EXISTS event_versioned_update ON public.event;
CREATE TRIGGER event_versioned_update AFTER UPDATE ON public.event
REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned();
DROP TRIGGER IF EXISTS event_versioned_delete ON public.event;
CREATE TRIGGER event_versioned_delete AFTER DELETE ON public.event
REFERENCING OLD TABLE AS versioned_old
FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned();
DROP TRIGGER IF EXISTS event_versioned_truncate ON public.event;
CREATE TRIGGER event_versioned_truncate BEFORE TRUNCATE ON public.event
FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned();
DO $versioned$
DECLARE
    versioned_parts regclass[] := ARRAY(
        WITH RECURSIVE part (relid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = 'public.event'::regclass
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
            MESSAGE = versioned_part.place || ' is a foreign table and part of ' || 'public.event'::regclass
                || ', and triggers are not told which of its rows are written',
            HINT = 'Take it off, or leave out native=True.';
    END LOOP;
    FOR versioned_part IN
        SELECT t.tgrelid::regclass AS place, quote_ident(t.tgname) AS trigger
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = 'public.event_versioned()'::regprocedure AND t.tgparentid = 0
            AND (t.tgrelid <> 'public.event'::regclass OR t.tgtype & 1 = 1)
    LOOP
        EXECUTE 'DROP TRIGGER ' || versioned_part.trigger || ' ON ' || versioned_part.place;
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'public.event'::regclass AND c.relkind = 'p'
    ) THEN
        CREATE CONSTRAINT TRIGGER event_versioned_sentry AFTER INSERT OR UPDATE OR DELETE ON public.event
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.event_versioned();
    END IF;
    FOR versioned_part IN
        SELECT c.oid::regclass AS place, c.relkind <> 'p' AND c.relispartition AS is_leaf
        FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (versioned_parts)
    LOOP
        EXECUTE 'CREATE TRIGGER event_versioned_insert AFTER INSERT ON '
            || versioned_part.place || '
        REFERENCING NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned()';
        EXECUTE 'CREATE TRIGGER event_versioned_update AFTER UPDATE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned()';
        EXECUTE 'CREATE TRIGGER event_versioned_delete AFTER DELETE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old
        FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned()';
        EXECUTE 'CREATE TRIGGER event_versioned_truncate BEFORE TRUNCATE ON '
            || versioned_part.place || '
        FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned()';
        IF versioned_part.is_leaf THEN
            EXECUTE 'ALTER TABLE ' || versioned_part.place || ' DISABLE TRIGGER event_versioned_sentry';
        END IF;
    END LOOP;
END
$versioned$
