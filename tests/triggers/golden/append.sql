CREATE OR REPLACE FUNCTION public.event_versioned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $versioned$
-- sqlalchemy_versioned 1 09d01c47ceba75b635bdcc69823b4d6c
#variable_conflict use_variable
DECLARE
    versioned_tx bigint;
    versioned_count bigint;
    versioned_left bigint := 0;
    versioned_begun boolean := false;
    versioned_said jsonb := '{}';
BEGIN
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
        versioned_tx := public.transaction_versioned_current();
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
        versioned_tx := public.transaction_versioned_current();
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
        versioned_tx := public.transaction_versioned_current();
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
        IF NOT EXISTS (SELECT FROM public.event AS o) THEN
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
        versioned_tx := public.transaction_versioned_current();
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        INSERT INTO public.event_version (what, much, transaction_id, operation_type, reason)
        SELECT o.what, o.much, versioned_tx, 2, s.reason
        FROM public.event AS o
        CROSS JOIN jsonb_populate_record(NULL::public.event_version, versioned_said) AS s
        WHERE true;
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_begun AND versioned_left = 0 THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    END IF;
    RETURN NULL;
END
$versioned$;
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
FOR EACH STATEMENT EXECUTE FUNCTION public.event_versioned()
