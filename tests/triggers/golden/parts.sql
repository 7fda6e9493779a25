CREATE OR REPLACE FUNCTION public.wheel_versioned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 c0f5b44819b5e8129e2cf0781098c44f
#variable_conflict use_variable
DECLARE
    versioned_tx bigint;
    versioned_count bigint;
    versioned_left bigint := 0;
    versioned_begun boolean := false;
    versioned_others boolean;
    versioned_said jsonb := '{}';
    versioned_moment bigint;
    versioned_stamp text;
    versioned_since uuid;
    versioned_first uuid;
    versioned_event jsonb;
    versioned_part regclass;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the partition ' || TG_RELID::regclass || ' lacks the triggers of ' || 'wheel',
            HINT = 'Call install_triggers(), which gives them to all partitions.';
    END IF;
    IF TG_RELID <> 'public.wheel'::regclass THEN
        IF NOT EXISTS (
            WITH RECURSIVE above (relid) AS (
                SELECT TG_RELID
                UNION
                SELECT i.inhparent FROM above JOIN pg_inherits AS i ON i.inhrelid = above.relid
            )
            SELECT FROM above WHERE above.relid = 'public.wheel'::regclass
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = TG_RELID::regclass || ' has triggers of ' || 'wheel'
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
    IF TG_OP IN ('INSERT', 'UPDATE')
        AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
    THEN
        IF EXISTS (
            SELECT FROM versioned_new AS n
            CROSS JOIN LATERAL (SELECT count(*) AS versioned_here FROM public.wheel AS l WHERE l.part_id = n.part_id) AS seen
            WHERE seen.versioned_here > 1
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'serialization_failure',
                MESSAGE = 'could not serialize access due to concurrent delete: rows of ' || 'wheel'
                    || ' come back that others have deleted since the transaction began to read',
                HINT = 'The transaction might succeed if retried.';
        END IF;
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
        PERFORM FROM (SELECT * FROM (SELECT n.part_id FROM versioned_new AS n) AS t (k1) ORDER BY k1) AS t
        CROSS JOIN LATERAL (
            SELECT FROM public.part AS l
            WHERE l.id = t.k1 AND l.xmin <> pg_current_xact_id()::xid FOR NO KEY UPDATE
        ) AS held;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        FOR versioned_drawn IN 1..100 LOOP
            EXIT WHEN NOT (
                (SELECT max(v.transaction_id) FROM public.part_version AS v) > versioned_tx
                AND EXISTS (SELECT FROM (SELECT n.part_id FROM versioned_new AS n) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT FROM public.part_version AS v
            WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
        ) AS later)
            );
            IF versioned_drawn = 100 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'integrity_constraint_violation',
                    MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'wheel',
                    HINT = 'Let what numbers transactions go on after the greatest transaction id.';
            END IF;
            versioned_tx := public.transaction_versioned_move(versioned_tx);
        END LOOP;
        versioned_moment := greatest(
            NULLIF(current_setting('versioned.moment', true), '')::bigint + 1,
            floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint
        );
        PERFORM set_config('versioned.moment', versioned_moment::text, true);
        versioned_stamp := lpad(to_hex(versioned_moment), 15, '0');
        versioned_stamp := overlay(versioned_stamp placing '7' FROM 13 FOR 0);
        IF EXISTS (
            SELECT FROM (SELECT n.part_id FROM versioned_new AS n) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.part_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type)
            SELECT l.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), 0, 0
            FROM (SELECT n.part_id FROM versioned_new AS n) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.part AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.part_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
            ON CONFLICT DO NOTHING;
        END IF;
        versioned_event := NULLIF(current_setting('versioned.event', true), '')::jsonb;
        versioned_since := (versioned_event ->> 'public.part_version'::regclass::oid::text)::uuid;
        WITH made AS (
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type, reason)
            SELECT l.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), versioned_tx, CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END, s.reason
            FROM (SELECT n.part_id FROM versioned_new AS n) AS t (k1)
            CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, v.* FROM public.part_version AS v
        WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
        ) AS p ON true
        CROSS JOIN jsonb_populate_record(NULL::public.part_version, versioned_said) AS s
            WHERE true AND NOT coalesce(p.transaction_id = versioned_tx AND (p.version_id >= versioned_since OR p.operation_type = 2), false)
            RETURNING version_id AS k
        )
        SELECT count(*), (SELECT m.k FROM made AS m ORDER BY m.k LIMIT 1)
        FROM made INTO versioned_count, versioned_first;
        versioned_left := versioned_left + versioned_count;
        IF versioned_event IS NOT NULL AND versioned_since IS NULL AND versioned_first IS NOT NULL THEN
            versioned_since := versioned_first;
            versioned_event := versioned_event
                || jsonb_build_object('public.part_version'::regclass::oid::text, versioned_since);
            PERFORM set_config('versioned.event', versioned_event::text, true);
        END IF;
        INSERT INTO public.wheel_version AS v (part_id, size, version_id, transaction_id, operation_type)
        SELECT n.part_id, n.size, (SELECT v.version_id FROM public.part_version AS v WHERE v.id = n.part_id ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1), versioned_tx, 0
        FROM versioned_new AS n
        WHERE true
        ON CONFLICT (version_id) DO UPDATE SET (part_id, size) = ROW(excluded.part_id, excluded.size), operation_type = CASE WHEN excluded.operation_type = 2 THEN 2 WHEN v.operation_type = 2 THEN 1 WHEN v.operation_type = 0 THEN 0 ELSE excluded.operation_type END;
        IF versioned_begun AND versioned_left = 0 THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) THEN
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
        PERFORM FROM (SELECT * FROM (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) AS t (k1) ORDER BY k1) AS t
        CROSS JOIN LATERAL (
            SELECT FROM public.part AS l
            WHERE l.id = t.k1 AND l.xmin <> pg_current_xact_id()::xid FOR NO KEY UPDATE
        ) AS held;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        FOR versioned_drawn IN 1..100 LOOP
            EXIT WHEN NOT (
                (SELECT max(v.transaction_id) FROM public.part_version AS v) > versioned_tx
                AND EXISTS (SELECT FROM (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT FROM public.part_version AS v
            WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
        ) AS later)
            );
            IF versioned_drawn = 100 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'integrity_constraint_violation',
                    MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'wheel',
                    HINT = 'Let what numbers transactions go on after the greatest transaction id.';
            END IF;
            versioned_tx := public.transaction_versioned_move(versioned_tx);
        END LOOP;
        versioned_moment := greatest(
            NULLIF(current_setting('versioned.moment', true), '')::bigint + 1,
            floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint
        );
        PERFORM set_config('versioned.moment', versioned_moment::text, true);
        versioned_stamp := lpad(to_hex(versioned_moment), 15, '0');
        versioned_stamp := overlay(versioned_stamp placing '7' FROM 13 FOR 0);
        IF EXISTS (
            SELECT FROM (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) AS t (k1)
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.part AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, v.* FROM public.part_version AS v
                WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
            ) AS p ON true
            WHERE l.versioned_here IS NULL
                AND (p.versioned_here IS NULL OR p.operation_type = 2 AND p.transaction_id <> versioned_tx)
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = 'rows of ' || 'part' || ' are deleted that are older than their history',
                HINT = 'Call maintenance.baseline() before, or write each table by its own statement.';
        END IF;
        IF EXISTS (
            SELECT FROM (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.part_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type)
            SELECT l.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), 0, 0
            FROM (SELECT o.part_id FROM (
                SELECT DISTINCT ON (w.part_id) w.* FROM (
                    SELECT u.*, sum(u.versioned_here_side) OVER (PARTITION BY u.part_id) AS versioned_here_count,
                        min(u.versioned_here_place) FILTER (WHERE u.versioned_here_side < 0)
                            OVER (PARTITION BY u.part_id) AS versioned_here_arrival
                    FROM (
                        SELECT o.*, 1 AS versioned_here_side, row_number() OVER () AS versioned_here_place
                        FROM versioned_old AS o
                        UNION ALL
                        SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
                    ) AS u
                ) AS w
                LEFT JOIN LATERAL (
                    SELECT 1 AS versioned_here FROM public.wheel AS r WHERE r.part_id = w.part_id LIMIT 1
                ) AS r ON true
                WHERE w.versioned_here_side = 1 AND (
                    w.versioned_here_count + coalesce(r.versioned_here, 0) > 0 OR w.versioned_here_place <= w.versioned_here_arrival
                )
                ORDER BY w.part_id, w.versioned_here_place
            ) AS o) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.part AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.part_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
            ON CONFLICT DO NOTHING;
        END IF;
        IF EXISTS (
            SELECT FROM versioned_old AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.wheel_version AS v WHERE v.part_id = o.part_id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.wheel_version (part_id, size, transaction_id, operation_type, version_id)
            SELECT o.part_id, o.size, coalesce(b.transaction_id, 0), CASE WHEN b.versioned_here_comes IS FALSE THEN b.operation_type ELSE 0 END, b.version_id
            FROM (
                SELECT DISTINCT ON (w.part_id) w.* FROM (
                    SELECT u.*, sum(u.versioned_here_side) OVER (PARTITION BY u.part_id) AS versioned_here_count,
                        min(u.versioned_here_place) FILTER (WHERE u.versioned_here_side < 0)
                            OVER (PARTITION BY u.part_id) AS versioned_here_arrival
                    FROM (
                        SELECT o.*, 1 AS versioned_here_side, row_number() OVER () AS versioned_here_place
                        FROM versioned_old AS o
                        UNION ALL
                        SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
                    ) AS u
                ) AS w
                LEFT JOIN LATERAL (
                    SELECT 1 AS versioned_here FROM public.wheel AS r WHERE r.part_id = w.part_id LIMIT 1
                ) AS r ON true
                WHERE w.versioned_here_side = 1 AND (
                    w.versioned_here_count + coalesce(r.versioned_here, 0) > 0 OR w.versioned_here_place <= w.versioned_here_arrival
                )
                ORDER BY w.part_id, w.versioned_here_place
            ) AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.wheel_version AS v WHERE v.part_id = o.part_id LIMIT 1
            ) AS p ON true
            LEFT JOIN LATERAL (
                SELECT v.*, row_number() OVER (ORDER BY v.transaction_id, v.version_id) = 1 AS versioned_here_comes
                FROM public.part_version AS v
                WHERE v.id = o.part_id AND v.transaction_id <> versioned_tx AND NOT EXISTS (
                    SELECT FROM public.part_version AS e
                    WHERE e.id = o.part_id AND e.transaction_id <> versioned_tx
                        AND (e.transaction_id, e.version_id) >= (v.transaction_id, v.version_id) AND (e.operation_type = 2)
                )
            ) AS b ON true
            WHERE p.versioned_here IS NULL AND (b.versioned_here_comes IS NOT NULL OR NOT EXISTS (SELECT FROM public.part_version AS v WHERE v.id = o.part_id))
            ON CONFLICT DO NOTHING;
        END IF;
        versioned_event := NULLIF(current_setting('versioned.event', true), '')::jsonb;
        versioned_since := (versioned_event ->> 'public.part_version'::regclass::oid::text)::uuid;
        WITH made AS (
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type, reason)
            SELECT l.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), versioned_tx, CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END, s.reason
            FROM (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) AS t (k1)
            CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, v.* FROM public.part_version AS v
        WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
        ) AS p ON true
        CROSS JOIN jsonb_populate_record(NULL::public.part_version, versioned_said) AS s
            WHERE true AND NOT coalesce(p.transaction_id = versioned_tx AND (p.version_id >= versioned_since OR p.operation_type = 2 OR p.operation_type = 0 AND NOT EXISTS (SELECT FROM public.wheel_version AS w WHERE w.version_id = p.version_id)), false)
            RETURNING version_id AS k
        )
        SELECT count(*), (SELECT m.k FROM made AS m ORDER BY m.k LIMIT 1)
        FROM made INTO versioned_count, versioned_first;
        versioned_left := versioned_left + versioned_count;
        IF versioned_event IS NOT NULL AND versioned_since IS NULL AND versioned_first IS NOT NULL THEN
            versioned_since := versioned_first;
            versioned_event := versioned_event
                || jsonb_build_object('public.part_version'::regclass::oid::text, versioned_since);
            PERFORM set_config('versioned.event', versioned_event::text, true);
        END IF;
        WITH made AS (
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type, reason)
            SELECT p.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), versioned_tx, 2, s.reason
            FROM (SELECT DISTINCT coalesce(n.part_id, o.part_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id WHERE CASE WHEN o.part_id IS NULL OR n.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END) AS t (k1)
            CROSS JOIN LATERAL (
            SELECT true AS versioned_here, v.* FROM public.part_version AS v
        WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
        ) AS p
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l ON true
        CROSS JOIN jsonb_populate_record(NULL::public.part_version, versioned_said) AS s
            WHERE l.versioned_here IS NULL AND p.operation_type <> 2 AND NOT coalesce(p.transaction_id = versioned_tx AND (p.version_id >= versioned_since OR p.operation_type = 2 OR p.operation_type = 0 AND NOT EXISTS (SELECT FROM public.wheel_version AS w WHERE w.version_id = p.version_id)), false)
            RETURNING version_id AS k
        )
        SELECT count(*), (SELECT m.k FROM made AS m ORDER BY m.k LIMIT 1)
        FROM made INTO versioned_count, versioned_first;
        versioned_left := versioned_left + versioned_count;
        IF versioned_event IS NOT NULL AND versioned_since IS NULL AND versioned_first IS NOT NULL THEN
            versioned_since := versioned_first;
            versioned_event := versioned_event
                || jsonb_build_object('public.part_version'::regclass::oid::text, versioned_since);
            PERFORM set_config('versioned.event', versioned_event::text, true);
        END IF;
        INSERT INTO public.wheel_version AS v (part_id, size, version_id, transaction_id, operation_type)
        SELECT o.part_id, o.size, (SELECT v.version_id FROM public.part_version AS v WHERE v.id = o.part_id ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1), versioned_tx, 2
        FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id
        WHERE n.part_id IS NULL
        ON CONFLICT (version_id) DO UPDATE SET (part_id, size) = ROW(excluded.part_id, excluded.size), operation_type = CASE WHEN excluded.operation_type = 2 THEN 2 WHEN v.operation_type = 2 THEN 1 WHEN v.operation_type = 0 THEN 0 ELSE excluded.operation_type END;
        INSERT INTO public.wheel_version AS v (part_id, size, version_id, transaction_id, operation_type)
        SELECT n.part_id, n.size, (SELECT v.version_id FROM public.part_version AS v WHERE v.id = n.part_id ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1), versioned_tx, CASE WHEN o.part_id IS NULL THEN 0 ELSE 1 END
        FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.part_id = n.part_id
        WHERE CASE WHEN n.part_id IS NULL THEN false WHEN o.part_id IS NULL THEN true ELSE NOT ((o.size IS NOT DISTINCT FROM n.size)) END
        ON CONFLICT (version_id) DO UPDATE SET (part_id, size) = ROW(excluded.part_id, excluded.size), operation_type = CASE WHEN excluded.operation_type = 2 THEN 2 WHEN v.operation_type = 2 THEN 1 WHEN v.operation_type = 0 THEN 0 ELSE excluded.operation_type END;
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
        PERFORM FROM (SELECT * FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1) ORDER BY k1) AS t
        CROSS JOIN LATERAL (
            SELECT FROM public.part AS l
            WHERE l.id = t.k1 AND l.xmin <> pg_current_xact_id()::xid FOR NO KEY UPDATE
        ) AS held;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        FOR versioned_drawn IN 1..100 LOOP
            EXIT WHEN NOT (
                (SELECT max(v.transaction_id) FROM public.part_version AS v) > versioned_tx
                AND EXISTS (SELECT FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT FROM public.part_version AS v
            WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
        ) AS later)
            );
            IF versioned_drawn = 100 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'integrity_constraint_violation',
                    MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'wheel',
                    HINT = 'Let what numbers transactions go on after the greatest transaction id.';
            END IF;
            versioned_tx := public.transaction_versioned_move(versioned_tx);
        END LOOP;
        versioned_moment := greatest(
            NULLIF(current_setting('versioned.moment', true), '')::bigint + 1,
            floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint
        );
        PERFORM set_config('versioned.moment', versioned_moment::text, true);
        versioned_stamp := lpad(to_hex(versioned_moment), 15, '0');
        versioned_stamp := overlay(versioned_stamp placing '7' FROM 13 FOR 0);
        IF EXISTS (
            SELECT FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1)
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.part AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, v.* FROM public.part_version AS v
                WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
            ) AS p ON true
            WHERE l.versioned_here IS NULL
                AND (p.versioned_here IS NULL OR p.operation_type = 2 AND p.transaction_id <> versioned_tx)
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = 'rows of ' || 'part' || ' are deleted that are older than their history',
                HINT = 'Call maintenance.baseline() before, or write each table by its own statement.';
        END IF;
        IF EXISTS (
            SELECT FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.part_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type)
            SELECT l.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), 0, 0
            FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.part AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.part_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
            ON CONFLICT DO NOTHING;
        END IF;
        IF EXISTS (
            SELECT FROM versioned_old AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.wheel_version AS v WHERE v.part_id = o.part_id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.wheel_version (part_id, size, transaction_id, operation_type, version_id)
            SELECT o.part_id, o.size, coalesce(b.transaction_id, 0), CASE WHEN b.versioned_here_comes IS FALSE THEN b.operation_type ELSE 0 END, b.version_id
            FROM versioned_old AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.wheel_version AS v WHERE v.part_id = o.part_id LIMIT 1
            ) AS p ON true
            LEFT JOIN LATERAL (
                SELECT v.*, row_number() OVER (ORDER BY v.transaction_id, v.version_id) = 1 AS versioned_here_comes
                FROM public.part_version AS v
                WHERE v.id = o.part_id AND v.transaction_id <> versioned_tx AND NOT EXISTS (
                    SELECT FROM public.part_version AS e
                    WHERE e.id = o.part_id AND e.transaction_id <> versioned_tx
                        AND (e.transaction_id, e.version_id) >= (v.transaction_id, v.version_id) AND (e.operation_type = 2)
                )
            ) AS b ON true
            WHERE p.versioned_here IS NULL AND (b.versioned_here_comes IS NOT NULL OR NOT EXISTS (SELECT FROM public.part_version AS v WHERE v.id = o.part_id))
            ON CONFLICT DO NOTHING;
        END IF;
        versioned_event := NULLIF(current_setting('versioned.event', true), '')::jsonb;
        versioned_since := (versioned_event ->> 'public.part_version'::regclass::oid::text)::uuid;
        WITH made AS (
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type, reason)
            SELECT l.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), versioned_tx, CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END, s.reason
            FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1)
            CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, v.* FROM public.part_version AS v
        WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
        ) AS p ON true
        CROSS JOIN jsonb_populate_record(NULL::public.part_version, versioned_said) AS s
            WHERE true AND NOT coalesce(p.transaction_id = versioned_tx AND (p.version_id >= versioned_since OR p.operation_type = 2), false)
            RETURNING version_id AS k
        )
        SELECT count(*), (SELECT m.k FROM made AS m ORDER BY m.k LIMIT 1)
        FROM made INTO versioned_count, versioned_first;
        versioned_left := versioned_left + versioned_count;
        IF versioned_event IS NOT NULL AND versioned_since IS NULL AND versioned_first IS NOT NULL THEN
            versioned_since := versioned_first;
            versioned_event := versioned_event
                || jsonb_build_object('public.part_version'::regclass::oid::text, versioned_since);
            PERFORM set_config('versioned.event', versioned_event::text, true);
        END IF;
        WITH made AS (
            INSERT INTO public.part_version (id, version_id, transaction_id, operation_type, reason)
            SELECT p.id, CAST(versioned_stamp || substr(CAST(gen_random_uuid() AS TEXT), 20) AS UUID), versioned_tx, 2, s.reason
            FROM (SELECT o.part_id FROM versioned_old AS o) AS t (k1)
            CROSS JOIN LATERAL (
            SELECT true AS versioned_here, v.* FROM public.part_version AS v
        WHERE v.id = t.k1 ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1
        ) AS p
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.part AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l ON true
        CROSS JOIN jsonb_populate_record(NULL::public.part_version, versioned_said) AS s
            WHERE l.versioned_here IS NULL AND p.operation_type <> 2 AND NOT coalesce(p.transaction_id = versioned_tx AND (p.version_id >= versioned_since OR p.operation_type = 2), false)
            RETURNING version_id AS k
        )
        SELECT count(*), (SELECT m.k FROM made AS m ORDER BY m.k LIMIT 1)
        FROM made INTO versioned_count, versioned_first;
        versioned_left := versioned_left + versioned_count;
        IF versioned_event IS NOT NULL AND versioned_since IS NULL AND versioned_first IS NOT NULL THEN
            versioned_since := versioned_first;
            versioned_event := versioned_event
                || jsonb_build_object('public.part_version'::regclass::oid::text, versioned_since);
            PERFORM set_config('versioned.event', versioned_event::text, true);
        END IF;
        INSERT INTO public.wheel_version AS v (part_id, size, version_id, transaction_id, operation_type)
        SELECT o.part_id, o.size, (SELECT v.version_id FROM public.part_version AS v WHERE v.id = o.part_id ORDER BY v.transaction_id DESC, v.version_id DESC LIMIT 1), versioned_tx, 2
        FROM versioned_old AS o
        WHERE true
        ON CONFLICT (version_id) DO UPDATE SET (part_id, size) = ROW(excluded.part_id, excluded.size), operation_type = CASE WHEN excluded.operation_type = 2 THEN 2 WHEN v.operation_type = 2 THEN 1 WHEN v.operation_type = 0 THEN 0 ELSE excluded.operation_type END;
        IF versioned_begun AND versioned_left = 0 THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'TRUNCATE is refused: ' || 'wheel is versioned',
            HINT = 'Use DELETE, or the option truncate=''record''.';
    END IF;
    RETURN NULL;
END
$versioned$;
REVOKE ALL ON FUNCTION public.wheel_versioned() FROM PUBLIC;
DROP TRIGGER IF EXISTS wheel_versioned_insert ON public.wheel;
CREATE TRIGGER wheel_versioned_insert AFTER INSERT ON public.wheel
REFERENCING NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned();
DROP TRIGGER IF EXISTS wheel_versioned_update ON public.wheel;
CREATE TRIGGER wheel_versioned_update AFTER UPDATE ON public.wheel
REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned();
DROP TRIGGER IF EXISTS wheel_versioned_delete ON public.wheel;
CREATE TRIGGER wheel_versioned_delete AFTER DELETE ON public.wheel
REFERENCING OLD TABLE AS versioned_old
FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned();
DROP TRIGGER IF EXISTS wheel_versioned_truncate ON public.wheel;
CREATE TRIGGER wheel_versioned_truncate BEFORE TRUNCATE ON public.wheel
FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned();
DO $versioned$
DECLARE
    versioned_parts regclass[] := ARRAY(
        WITH RECURSIVE part (relid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = 'public.wheel'::regclass
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
            MESSAGE = versioned_part.place || ' is a foreign table and part of ' || 'public.wheel'::regclass
                || ', and triggers are not told which of its rows are written',
            HINT = 'Take it off, or leave out native=True.';
    END LOOP;
    FOR versioned_part IN
        SELECT t.tgrelid::regclass AS place, quote_ident(t.tgname) AS trigger
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = 'public.wheel_versioned()'::regprocedure AND t.tgparentid = 0
            AND (t.tgrelid <> 'public.wheel'::regclass OR t.tgtype & 1 = 1)
    LOOP
        EXECUTE 'DROP TRIGGER ' || versioned_part.trigger || ' ON ' || versioned_part.place;
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'public.wheel'::regclass AND c.relkind = 'p'
    ) THEN
        CREATE CONSTRAINT TRIGGER wheel_versioned_sentry AFTER INSERT OR UPDATE OR DELETE ON public.wheel
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.wheel_versioned();
    END IF;
    FOR versioned_part IN
        SELECT c.oid::regclass AS place, c.relkind <> 'p' AND c.relispartition AS is_leaf
        FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (versioned_parts)
    LOOP
        EXECUTE 'CREATE TRIGGER wheel_versioned_insert AFTER INSERT ON '
            || versioned_part.place || '
        REFERENCING NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned()';
        EXECUTE 'CREATE TRIGGER wheel_versioned_update AFTER UPDATE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned()';
        EXECUTE 'CREATE TRIGGER wheel_versioned_delete AFTER DELETE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old
        FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned()';
        EXECUTE 'CREATE TRIGGER wheel_versioned_truncate BEFORE TRUNCATE ON '
            || versioned_part.place || '
        FOR EACH STATEMENT EXECUTE FUNCTION public.wheel_versioned()';
        IF versioned_part.is_leaf THEN
            EXECUTE 'ALTER TABLE ' || versioned_part.place || ' DISABLE TRIGGER wheel_versioned_sentry';
        END IF;
    END LOOP;
END
$versioned$
