CREATE OR REPLACE FUNCTION public.transaction_versioned_current() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 d7e7b2c4588da573c268e3abacad3562
DECLARE
    versioned_number bigint := (
        NULLIF(current_setting('versioned.transactions', true), '')::jsonb
        ->> 'public.transaction'::regclass::oid::text
    )::bigint;
    versioned_xid bigint;
BEGIN
    IF versioned_number IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT t.xmin::text::bigint INTO versioned_xid FROM public.transaction AS t
    WHERE t.id = versioned_number;
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
$versioned$;
REVOKE ALL ON FUNCTION public.transaction_versioned_current() FROM PUBLIC;
CREATE OR REPLACE FUNCTION public.transaction_versioned_begin() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 76603701c0ab218356b83d13d2881240
DECLARE
    versioned_said jsonb := NULLIF(current_setting('versioned.values', true), '')::jsonb;
    versioned_all jsonb := jsonb_strip_nulls(jsonb_build_object('db_user', NULLIF(current_setting('audit.db_user', true), ''), 'reason', NULLIF(current_setting('audit.reason', true), ''))) || coalesce(versioned_said, '{}');
    versioned_number bigint;
    versioned_moment text;
BEGIN
    IF coalesce(versioned_all ->> 'reason', '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'not_null_violation',
            MESSAGE = 'the session variable ' || 'audit.reason' || ' is missing or empty',
            HINT = 'Set it for the transaction, by set_config() or set_session_variables().';
    END IF;
    INSERT INTO public.transaction (id, issued_at, remote_addr, db_user, reason) SELECT nextval('public.transaction_id_seq'), coalesce(s.issued_at, clock_timestamp() AT TIME ZONE 'UTC'), coalesce(s.remote_addr, CASE WHEN versioned_said IS NULL THEN host(inet_client_addr()) END), coalesce(s.db_user, CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END), s.reason FROM jsonb_populate_record(NULL::public.transaction, versioned_all) AS s
    RETURNING id, extract(epoch FROM issued_at) INTO versioned_number, versioned_moment;
    PERFORM set_config(
        'versioned.transactions',
        (coalesce(NULLIF(current_setting('versioned.transactions', true), ''), '{}')::jsonb
            || jsonb_build_object('public.transaction'::regclass::oid::text, versioned_number))::text,
        true
    );
    IF versioned_said ->> 'issued_at' IS NULL THEN
        PERFORM set_config(
            'versioned.moments',
            (coalesce(NULLIF(current_setting('versioned.moments', true), ''), '{}')::jsonb
                || jsonb_build_object(
                    'public.transaction'::regclass::oid || ':' || versioned_number, versioned_moment
                ))::text,
            true
        );
    END IF;
    RETURN versioned_number;
END
$versioned$;
REVOKE ALL ON FUNCTION public.transaction_versioned_begin() FROM PUBLIC;
CREATE OR REPLACE FUNCTION public.transaction_versioned_move(versioned_old bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 bc99f12d35db842f8e7172c6b6888727
DECLARE
    versioned_number bigint;
    versioned_moment text;
    versioned_stamped boolean;
    versioned_kept text := coalesce(current_setting('versioned.upkeep', true), '');
BEGIN
    -- Sessions may call this, for the transaction that goes on and for no other.
    IF versioned_old IS DISTINCT FROM public.transaction_versioned_current() THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'transaction ' || versioned_old || ' is not the one that goes on';
    END IF;
    -- Where sessions call it, guards of history cannot tell it from others.
    PERFORM set_config('versioned.upkeep', '1', true);
    SELECT extract(epoch FROM t.issued_at)::text = NULLIF(current_setting('versioned.moments', true), '')::jsonb
        ->> ('public.transaction'::regclass::oid || ':' || versioned_old)
    INTO versioned_stamped FROM public.transaction AS t WHERE t.id = versioned_old;
    INSERT INTO public.transaction (id, issued_at, remote_addr, db_user, reason) SELECT nextval('public.transaction_id_seq'), CASE WHEN versioned_stamped THEN clock_timestamp() AT TIME ZONE 'UTC' ELSE t.issued_at END, t.remote_addr, t.db_user, t.reason FROM public.transaction AS t WHERE t.id = versioned_old
    RETURNING id, extract(epoch FROM issued_at) INTO versioned_number, versioned_moment;
    UPDATE public.event_version AS v SET transaction_id = versioned_number
    WHERE v.transaction_id = versioned_old;
    UPDATE press."Article_version" AS v SET end_transaction_id = versioned_number
    FROM press."Article_version" AS own
    WHERE own.transaction_id = versioned_old AND own.id = v.id AND v.end_transaction_id = versioned_old;
    UPDATE press."Article_version" AS v SET transaction_id = versioned_number
    WHERE v.transaction_id = versioned_old;
    UPDATE public.animal_version AS v SET transaction_id = versioned_number
    WHERE v.transaction_id = versioned_old;
    UPDATE public.part_version AS v SET transaction_id = versioned_number
    WHERE v.transaction_id = versioned_old;
    UPDATE public.dog_version AS v SET transaction_id = versioned_number
    WHERE v.transaction_id = versioned_old;
    UPDATE public.wheel_version AS v SET transaction_id = versioned_number
    WHERE v.transaction_id = versioned_old;
    DELETE FROM public.transaction AS t WHERE t.id = versioned_old;
    PERFORM set_config('versioned.upkeep', versioned_kept, true);
    PERFORM set_config(
        'versioned.transactions',
        (coalesce(NULLIF(current_setting('versioned.transactions', true), ''), '{}')::jsonb
            || jsonb_build_object('public.transaction'::regclass::oid::text, versioned_number))::text,
        true
    );
    IF versioned_stamped THEN
        PERFORM set_config(
            'versioned.moments',
            (coalesce(NULLIF(current_setting('versioned.moments', true), ''), '{}')::jsonb
                || jsonb_build_object(
                    'public.transaction'::regclass::oid || ':' || versioned_number, versioned_moment
                ))::text,
            true
        );
    END IF;
    RETURN versioned_number;
END
$versioned$;
REVOKE ALL ON FUNCTION public.transaction_versioned_move(bigint) FROM PUBLIC;
CREATE OR REPLACE FUNCTION public.transaction_versioned_release(versioned_old bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 00c423a95ce009f2f11936ccab770a29
BEGIN
    IF NULLIF(current_setting('versioned.wanted', true), '') IS NOT NULL THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM public.event_version AS v WHERE v.transaction_id = versioned_old)
    OR EXISTS (SELECT FROM press."Article_version" AS v WHERE v.transaction_id = versioned_old)
    OR EXISTS (SELECT FROM public.animal_version AS v WHERE v.transaction_id = versioned_old)
    OR EXISTS (SELECT FROM public.part_version AS v WHERE v.transaction_id = versioned_old)
    OR EXISTS (SELECT FROM public.dog_version AS v WHERE v.transaction_id = versioned_old)
    OR EXISTS (SELECT FROM public.wheel_version AS v WHERE v.transaction_id = versioned_old) THEN
        RETURN NULL;
    END IF;
    DELETE FROM public.transaction AS t WHERE t.id = versioned_old;
    PERFORM set_config(
        'versioned.transactions',
        (NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            - 'public.transaction'::regclass::oid::text)::text,
        true
    );
    RETURN NULL;
END
$versioned$;
REVOKE ALL ON FUNCTION public.transaction_versioned_release(bigint) FROM PUBLIC
