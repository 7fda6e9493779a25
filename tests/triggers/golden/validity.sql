CREATE OR REPLACE FUNCTION press."Article_versioned"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned__$
-- sqlalchemy_versioned 1 afa2af003ba76e0b7f9d3f23a9bf607a
#variable_conflict use_variable
DECLARE
    versioned_tx bigint;
    versioned_count bigint;
    versioned_left bigint := 0;
    versioned_open bigint;
    versioned_begun boolean := false;
    versioned_flags jsonb := '{}';
    versioned_fresh boolean;
    versioned_untouched boolean;
    versioned_again boolean;
    versioned_lacking bigint;
    versioned_gone bigint;
    versioned_one record;
    versioned_part regclass;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        IF TG_OP = 'UPDATE' AND NOT EXISTS (
            SELECT FROM (SELECT OLD.*) AS o CROSS JOIN (SELECT NEW.*) AS n WHERE o.id IS DISTINCT FROM n.id OR NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.secret IS NOT DISTINCT FROM n.secret))
        ) THEN
            RETURN NULL;
        END IF;
        versioned_tx := -1;
        IF EXISTS (
            SELECT FROM (SELECT OLD.id UNION SELECT NEW.id) AS t (k1)
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM press."Article" AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM press."Article_version" AS v
                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p."select" IS NOT DISTINCT FROM l."select"))
        OR TG_OP = 'UPDATE' AND l.versioned_here AND OLD.id = NEW.id AND ((OLD.secret IS DISTINCT FROM NEW.secret AND NOT (p.secret_mask AND p.transaction_id IS NOT DISTINCT FROM public.transaction_versioned_current())))
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = 'the partition ' || TG_RELID::regclass || ' lacks the triggers of ' || 'Article',
                HINT = 'Call install_triggers(), which gives them to all partitions.';
        END IF;
        RETURN NULL;
    END IF;
    IF TG_RELID <> 'press."Article"'::regclass THEN
        IF NOT EXISTS (
            WITH RECURSIVE above (relid) AS (
                SELECT TG_RELID
                UNION
                SELECT i.inhparent FROM above JOIN pg_inherits AS i ON i.inhrelid = above.relid
            )
            SELECT FROM above WHERE above.relid = 'press."Article"'::regclass
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = TG_RELID::regclass || ' has triggers of ' || 'Article'
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
            CROSS JOIN LATERAL (SELECT count(*) AS versioned_here FROM press."Article" AS l WHERE l.id = n.id) AS seen
            WHERE seen.versioned_here > 1
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'serialization_failure',
                MESSAGE = 'could not serialize access due to concurrent delete: rows of ' || 'Article'
                    || ' come back that others have deleted since the transaction began to read',
                HINT = 'The transaction might succeed if retried.';
        END IF;
    END IF;
    IF TG_OP = 'INSERT' THEN
        versioned_tx := (
            NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            ->> 'public.transaction'::regclass::oid::text
        )::bigint;
        SELECT n.id AS k1, n.secret IS NOT NULL AS f1,
            true AS is_changed,
            NOT EXISTS (SELECT FROM versioned_new OFFSET 1) AS is_alone,
            (
                SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
            ) AS is_known
        INTO versioned_one FROM versioned_new AS n;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        IF versioned_tx IS NOT NULL AND versioned_one.is_known IS NOT TRUE THEN
            versioned_tx := public.transaction_versioned_current();
        END IF;
        IF versioned_tx IS NULL THEN
            versioned_fresh := coalesce(current_setting('versioned.transactions', true), '') = '';
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        IF versioned_one.is_changed AND versioned_one.is_alone THEN
            INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
            SELECT l.id, l."select", l.seen, versioned_one.f1, versioned_tx, 0 FROM press."Article" AS l WHERE l.id = versioned_one.k1
                AND NOT EXISTS (SELECT FROM press."Article_version" AS p WHERE p.id = versioned_one.k1);
            IF FOUND THEN
                versioned_left := 1;
            END IF;
        END IF;
        IF versioned_left = 0 THEN
            FOR versioned_drawn IN 1..100 LOOP
                EXIT WHEN NOT (
                    (SELECT max(v.transaction_id) FROM press."Article_version" AS v) > versioned_tx
                    AND EXISTS (SELECT FROM (SELECT n.id FROM versioned_new AS n) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT FROM press."Article_version" AS v
                WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
            ) AS later)
                );
                IF versioned_drawn = 100 THEN
                    RAISE EXCEPTION USING
                        ERRCODE = 'integrity_constraint_violation',
                        MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'Article',
                        HINT = 'Let what numbers transactions go on after the greatest transaction id.';
                END IF;
                versioned_tx := public.transaction_versioned_move(versioned_tx);
            END LOOP;
            versioned_untouched := versioned_begun OR NOT EXISTS (
                SELECT FROM (SELECT n.id FROM versioned_new AS n) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT FROM press."Article_version" AS v WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                ) AS own
            );
            IF NOT versioned_begun THEN
                IF NOT versioned_untouched THEN
                    DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                        SELECT v.ctid
                        FROM versioned_new AS n
                        CROSS JOIN LATERAL (
                            SELECT FROM press."Article_version" AS own
                            WHERE own.id = n.id AND own.transaction_id = versioned_tx
                                AND own.operation_type <> 2 OFFSET 0
                        ) AS own
                        CROSS JOIN LATERAL (
                            SELECT v.ctid, v.* FROM press."Article_version" AS v
                            WHERE v.id = n.id AND v.transaction_id = 0 OFFSET 0
                        ) AS v
                        WHERE (v.id IS NOT DISTINCT FROM n.id) AND (v."select" IS NOT DISTINCT FROM n."select") AND (v.seen IS NOT DISTINCT FROM n.seen) AND NOT EXISTS (
                            SELECT FROM press."Article_version" AS e
                            WHERE e.id = n.id AND e.transaction_id NOT IN (0, versioned_tx)
                        )
                    ));
                    WITH erased AS (
                        DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                            SELECT own.ctid
                            FROM (SELECT n.id FROM versioned_new AS n) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, v.* FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                            ) AS own
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here, r.* FROM press."Article" AS r
                                WHERE r.id = t.k1 OFFSET 0
                            ) AS l ON true
                            WHERE l.versioned_here OR own.operation_type <> 2
                        )) RETURNING jsonb_build_array(0, v.id)::text AS k, ARRAY[v.secret_mask] AS f
                    ), flagged AS (
                        SELECT jsonb_object_agg(k, to_jsonb(f)) AS f FROM erased WHERE true = ANY (f)
                    )
                    SELECT (SELECT count(*) FROM erased), versioned_flags || coalesce(flagged.f, '{}')
                    FROM flagged INTO versioned_count, versioned_flags;
                    versioned_left := versioned_left - versioned_count;
                END IF;
            END IF;
            IF versioned_untouched THEN
                WITH found AS MATERIALIZED (
                    SELECT l.id, l."select", l.seen, CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END AS versioned_here_what, l.versioned_here AS versioned_here_lives, p.versioned_here AS versioned_here_is_known,
                        p.ctid AS versioned_here_place, l.versioned_here AND p.end_transaction_id IS NULL AS versioned_here_is_open, t.f1 AS versioned_here_f1
                    FROM (SELECT n.id, n.secret IS NOT NULL FROM versioned_new AS n) AS t (k1, f1)
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM press."Article" AS r
                    WHERE r.id = t.k1 OFFSET 0
                ) AS l ON true
                    LEFT JOIN LATERAL (
                        SELECT v.ctid, true AS versioned_here, v.*
                        FROM press."Article_version" AS v
                        WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                        ORDER BY v.transaction_id DESC LIMIT 1
                    ) AS p ON true
                    WHERE (l.versioned_here IS NULL OR (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
                    OR l.versioned_here AND NOT ((p."select" IS NOT DISTINCT FROM l."select"))
                OR t.f1)
                ), image AS (
                    INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                    SELECT found.id, found."select", found.seen, found.versioned_here_f1, versioned_tx, found.versioned_here_what FROM found WHERE found.versioned_here_lives
                ), ended AS (
                    UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
                    WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found WHERE found.versioned_here_is_open))
                    RETURNING true
                )
                SELECT count(versioned_here_lives), count(*) - count(versioned_here_is_known), count(*) - count(versioned_here_lives),
                    count(versioned_here_place) FILTER (WHERE versioned_here_is_open) - (SELECT count(*) FROM ended)
                FROM found INTO versioned_count, versioned_lacking, versioned_gone, versioned_open;
                IF versioned_open > 0 THEN
                    LOOP
                        WITH found AS MATERIALIZED (
                            SELECT p.ctid AS versioned_here_place
                            FROM (SELECT n.id FROM versioned_new AS n) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, true AS versioned_here, v.*
                                FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                                ORDER BY v.transaction_id DESC LIMIT 1
                            ) AS p
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                            ) AS own ON true
                            WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                        ), ended AS (
                            UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                            WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                        )
                        SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                        EXIT WHEN versioned_open = 0;
                    END LOOP;
                END IF;
                versioned_left := versioned_count;
            ELSE
                INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                SELECT l.id, l."select", l.seen, t.f1 OR coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx,
                    CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
                FROM (SELECT n.id, n.secret IS NOT NULL FROM versioned_new AS n) AS t (k1, f1)
                CROSS JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM press."Article" AS r
                    WHERE r.id = t.k1 OFFSET 0
                ) AS l
                CROSS JOIN LATERAL (
                    SELECT CASE WHEN versioned_flags <> '{}' THEN
                        versioned_flags -> jsonb_build_array(0, t.k1)::text
                    END AS versioned_here OFFSET 0
                ) AS f0
                LEFT JOIN LATERAL (
                    SELECT v.ctid, true AS versioned_here, v.*
                    FROM press."Article_version" AS v
                    WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                    ORDER BY v.transaction_id DESC LIMIT 1
                ) AS p ON true
                WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
                    OR l.versioned_here AND NOT ((p."select" IS NOT DISTINCT FROM l."select"))
                OR t.f1 OR coalesce((f0.versioned_here ->> 0)::boolean, false);
                GET DIAGNOSTICS versioned_count = ROW_COUNT;
                versioned_left := versioned_left + versioned_count;
                LOOP
                    WITH found AS MATERIALIZED (
                        SELECT p.ctid AS versioned_here_place
                        FROM (SELECT n.id FROM versioned_new AS n) AS t (k1)
                        CROSS JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                        ) AS own ON true
                        WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                    ), ended AS (
                        UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                        WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                    )
                    SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                    EXIT WHEN versioned_open = 0;
                END LOOP;
            END IF;
        END IF;
        IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        versioned_tx := (
            NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            ->> 'public.transaction'::regclass::oid::text
        )::bigint;
        SELECT n.id AS k1, CASE WHEN false THEN n.secret IS NOT NULL ELSE NOT (o.secret IS NOT DISTINCT FROM n.secret) END AS f1,
            o.id = n.id AND NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.secret IS NOT DISTINCT FROM n.secret)) AS is_changed,
            NOT EXISTS (SELECT FROM versioned_old OFFSET 1) AS is_alone,
            (
                SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
            ) AS is_known
        INTO versioned_one FROM versioned_old AS o CROSS JOIN versioned_new AS n;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        IF versioned_tx IS NOT NULL AND versioned_one.is_known IS NOT TRUE THEN
            versioned_tx := public.transaction_versioned_current();
        END IF;
        IF versioned_tx IS NULL THEN
            IF NOT versioned_one.is_changed THEN
                IF NOT EXISTS (SELECT DISTINCT coalesce(n.id, o.id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.secret IS NOT DISTINCT FROM n.secret)) END) THEN
                    RETURN NULL;
                END IF;
            END IF;
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        IF versioned_one.is_changed AND versioned_one.is_alone THEN
            UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
            WHERE v.ctid = (
                SELECT CASE WHEN p.transaction_id < versioned_tx AND p.end_transaction_id IS NULL
                    AND p.operation_type <> 2 AND EXISTS (SELECT FROM press."Article" AS l WHERE l.id = versioned_one.k1 AND (NOT ((p."select" IS NOT DISTINCT FROM l."select")) OR versioned_one.f1))
                THEN p.ctid END
                FROM press."Article_version" AS p WHERE p.id = versioned_one.k1 ORDER BY p.transaction_id DESC LIMIT 1
            );
            IF FOUND THEN
                INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                SELECT l.id, l."select", l.seen, versioned_one.f1, versioned_tx, 1 FROM press."Article" AS l WHERE l.id = versioned_one.k1;
                versioned_left := 1;
            END IF;
        END IF;
        IF versioned_left = 0 THEN
            FOR versioned_drawn IN 1..100 LOOP
                EXIT WHEN NOT (
                    (SELECT max(v.transaction_id) FROM press."Article_version" AS v) > versioned_tx
                    AND EXISTS (SELECT FROM (SELECT DISTINCT coalesce(n.id, o.id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT FROM press."Article_version" AS v
                WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
            ) AS later)
                );
                IF versioned_drawn = 100 THEN
                    RAISE EXCEPTION USING
                        ERRCODE = 'integrity_constraint_violation',
                        MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'Article',
                        HINT = 'Let what numbers transactions go on after the greatest transaction id.';
                END IF;
                versioned_tx := public.transaction_versioned_move(versioned_tx);
            END LOOP;
            versioned_untouched := versioned_begun OR NOT EXISTS (
                SELECT FROM (SELECT o.id FROM versioned_old AS o UNION ALL SELECT n.id FROM versioned_new AS n) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT FROM press."Article_version" AS v WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                ) AS own
            );
            IF NOT versioned_untouched THEN
                IF EXISTS (
                    SELECT FROM versioned_old AS o
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                    ) AS p ON true
                    WHERE p.versioned_here IS NULL
                ) THEN
                    INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                    SELECT o.id, o."select", o.seen, false, 0, 0
                    FROM (
                        SELECT DISTINCT ON (w.id) w.* FROM (
                            SELECT u.*, sum(u.versioned_here_side) OVER (PARTITION BY u.id) AS versioned_here_count,
                                min(u.versioned_here_place) FILTER (WHERE u.versioned_here_side < 0)
                                    OVER (PARTITION BY u.id) AS versioned_here_arrival
                            FROM (
                                SELECT o.*, 1 AS versioned_here_side, row_number() OVER () AS versioned_here_place
                                FROM versioned_old AS o
                                UNION ALL
                                SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
                            ) AS u
                        ) AS w
                        LEFT JOIN LATERAL (
                            SELECT 1 AS versioned_here FROM press."Article" AS r WHERE r.id = w.id LIMIT 1
                        ) AS r ON true
                        WHERE w.versioned_here_side = 1 AND (
                            w.versioned_here_count + coalesce(r.versioned_here, 0) > 0 OR w.versioned_here_place <= w.versioned_here_arrival
                        )
                        ORDER BY w.id, w.versioned_here_place
                    ) AS o
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                    ) AS p ON true
                    WHERE p.versioned_here IS NULL
                    ON CONFLICT DO NOTHING;
                END IF;
            END IF;
            IF NOT versioned_begun THEN
                IF NOT versioned_untouched THEN
                    WITH erased AS (
                        DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                            SELECT own.ctid
                            FROM (SELECT DISTINCT coalesce(n.id, o.id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, v.* FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                            ) AS own
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here, r.* FROM press."Article" AS r
                                WHERE r.id = t.k1 OFFSET 0
                            ) AS l ON true
                            WHERE l.versioned_here OR own.operation_type <> 2
                        )) RETURNING jsonb_build_array(0, v.id)::text AS k, ARRAY[v.secret_mask] AS f
                    ), flagged AS (
                        SELECT jsonb_object_agg(k, to_jsonb(f)) AS f FROM erased WHERE true = ANY (f)
                    )
                    SELECT (SELECT count(*) FROM erased), versioned_flags || coalesce(flagged.f, '{}')
                    FROM flagged INTO versioned_count, versioned_flags;
                    versioned_left := versioned_left - versioned_count;
                END IF;
            END IF;
            IF versioned_untouched THEN
                LOOP
                    WITH found AS MATERIALIZED (
                        SELECT l.id, l."select", l.seen, CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END AS versioned_here_what, l.versioned_here AS versioned_here_lives, p.versioned_here AS versioned_here_is_known,
                            p.ctid AS versioned_here_place, l.versioned_here AND p.end_transaction_id IS NULL AS versioned_here_is_open, t.f1 AS versioned_here_f1
                        FROM (SELECT coalesce(n.id, o.id), bool_or(CASE WHEN o.id IS NULL THEN n.secret IS NOT NULL ELSE NOT (o.secret IS NOT DISTINCT FROM n.secret) END) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END GROUP BY 1) AS t (k1, f1)
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here, r.* FROM press."Article" AS r
                        WHERE r.id = t.k1 OFFSET 0
                    ) AS l ON true
                        LEFT JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p ON true
                        WHERE (l.versioned_here IS NULL OR (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
                        OR l.versioned_here AND NOT ((p."select" IS NOT DISTINCT FROM l."select"))
                    OR t.f1)
                    ), image AS (
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT found.id, found."select", found.seen, found.versioned_here_f1, versioned_tx, found.versioned_here_what FROM found WHERE found.versioned_here_lives
                    ), ended AS (
                        UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
                        WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found WHERE found.versioned_here_is_open))
                        RETURNING true
                    )
                    SELECT count(versioned_here_lives), count(*) - count(versioned_here_is_known), count(*) - count(versioned_here_lives),
                        count(versioned_here_place) FILTER (WHERE versioned_here_is_open) - (SELECT count(*) FROM ended)
                    FROM found INTO versioned_count, versioned_lacking, versioned_gone, versioned_open;
                    EXIT WHEN versioned_lacking = 0 OR versioned_again;
                    versioned_again := true;
                    DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                        SELECT own.ctid
                        FROM (SELECT DISTINCT coalesce(n.id, o.id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END) AS t (k1)
                        CROSS JOIN LATERAL (
                            SELECT v.ctid FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                        ) AS own
                    ));
                    IF EXISTS (
                        SELECT FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                    ) THEN
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT o.id, o."select", o.seen, false, 0, 0
                        FROM (
                            SELECT DISTINCT ON (w.id) w.* FROM (
                                SELECT u.*, sum(u.versioned_here_side) OVER (PARTITION BY u.id) AS versioned_here_count,
                                    min(u.versioned_here_place) FILTER (WHERE u.versioned_here_side < 0)
                                        OVER (PARTITION BY u.id) AS versioned_here_arrival
                                FROM (
                                    SELECT o.*, 1 AS versioned_here_side, row_number() OVER () AS versioned_here_place
                                    FROM versioned_old AS o
                                    UNION ALL
                                    SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
                                ) AS u
                            ) AS w
                            LEFT JOIN LATERAL (
                                SELECT 1 AS versioned_here FROM press."Article" AS r WHERE r.id = w.id LIMIT 1
                            ) AS r ON true
                            WHERE w.versioned_here_side = 1 AND (
                                w.versioned_here_count + coalesce(r.versioned_here, 0) > 0 OR w.versioned_here_place <= w.versioned_here_arrival
                            )
                            ORDER BY w.id, w.versioned_here_place
                        ) AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                        ON CONFLICT DO NOTHING;
                    END IF;
                END LOOP;
                versioned_left := versioned_count;
                IF versioned_gone > 0 THEN
                    INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                    SELECT DISTINCT ON (o.id) o.id, o."select", o.seen, coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx, 2
                    FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id
                    CROSS JOIN LATERAL (
                        SELECT CASE WHEN versioned_flags <> '{}' THEN
                            versioned_flags -> jsonb_build_array(0, o.id)::text
                        END AS versioned_here OFFSET 0
                    ) AS f0
                    CROSS JOIN LATERAL (
                        SELECT v.ctid, true AS versioned_here, v.*
                        FROM press."Article_version" AS v
                        WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                        ORDER BY v.transaction_id DESC LIMIT 1
                    ) AS p
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here, r.* FROM press."Article" AS r
                        WHERE r.id = o.id OFFSET 0
                    ) AS l ON true
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here FROM press."Article_version" AS v
                        WHERE v.id = o.id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
                    ) AS own ON true
                    WHERE p.operation_type <> 2 AND n.id IS NULL AND l.versioned_here IS NULL AND own.versioned_here IS NULL;
                    GET DIAGNOSTICS versioned_count = ROW_COUNT;
                    versioned_left := versioned_left + versioned_count;
                    versioned_open := versioned_open + versioned_gone;
                END IF;
                IF versioned_open > 0 THEN
                    LOOP
                        WITH found AS MATERIALIZED (
                            SELECT p.ctid AS versioned_here_place
                            FROM (SELECT DISTINCT coalesce(n.id, o.id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, true AS versioned_here, v.*
                                FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                                ORDER BY v.transaction_id DESC LIMIT 1
                            ) AS p
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                            ) AS own ON true
                            WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                        ), ended AS (
                            UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                            WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                        )
                        SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                        EXIT WHEN versioned_open = 0;
                    END LOOP;
                END IF;
            ELSE
                INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                SELECT l.id, l."select", l.seen, t.f1 OR coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx,
                    CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
                FROM (SELECT coalesce(n.id, o.id), bool_or(CASE WHEN o.id IS NULL THEN n.secret IS NOT NULL ELSE NOT (o.secret IS NOT DISTINCT FROM n.secret) END) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END GROUP BY 1) AS t (k1, f1)
                CROSS JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM press."Article" AS r
                    WHERE r.id = t.k1 OFFSET 0
                ) AS l
                CROSS JOIN LATERAL (
                    SELECT CASE WHEN versioned_flags <> '{}' THEN
                        versioned_flags -> jsonb_build_array(0, t.k1)::text
                    END AS versioned_here OFFSET 0
                ) AS f0
                LEFT JOIN LATERAL (
                    SELECT v.ctid, true AS versioned_here, v.*
                    FROM press."Article_version" AS v
                    WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                    ORDER BY v.transaction_id DESC LIMIT 1
                ) AS p ON true
                WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
                    OR l.versioned_here AND NOT ((p."select" IS NOT DISTINCT FROM l."select"))
                OR t.f1 OR coalesce((f0.versioned_here ->> 0)::boolean, false);
                GET DIAGNOSTICS versioned_count = ROW_COUNT;
                versioned_left := versioned_left + versioned_count;
                INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                SELECT DISTINCT ON (o.id) o.id, o."select", o.seen, coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx, 2
                FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id
                CROSS JOIN LATERAL (
                    SELECT CASE WHEN versioned_flags <> '{}' THEN
                        versioned_flags -> jsonb_build_array(0, o.id)::text
                    END AS versioned_here OFFSET 0
                ) AS f0
                CROSS JOIN LATERAL (
                    SELECT v.ctid, true AS versioned_here, v.*
                    FROM press."Article_version" AS v
                    WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                    ORDER BY v.transaction_id DESC LIMIT 1
                ) AS p
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM press."Article" AS r
                    WHERE r.id = o.id OFFSET 0
                ) AS l ON true
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here FROM press."Article_version" AS v
                    WHERE v.id = o.id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
                ) AS own ON true
                WHERE p.operation_type <> 2 AND n.id IS NULL AND l.versioned_here IS NULL AND own.versioned_here IS NULL;
                GET DIAGNOSTICS versioned_count = ROW_COUNT;
                versioned_left := versioned_left + versioned_count;
                LOOP
                    WITH found AS MATERIALIZED (
                        SELECT p.ctid AS versioned_here_place
                        FROM (SELECT DISTINCT coalesce(n.id, o.id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.id = n.id WHERE CASE WHEN o.id IS NULL OR n.id IS NULL THEN true ELSE NOT ((o."select" IS NOT DISTINCT FROM n."select") AND (o.seen IS NOT DISTINCT FROM n.seen) AND (o.secret IS NOT DISTINCT FROM n.secret)) END) AS t (k1)
                        CROSS JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                        ) AS own ON true
                        WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                    ), ended AS (
                        UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                        WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                    )
                    SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                    EXIT WHEN versioned_open = 0;
                END LOOP;
            END IF;
        END IF;
        IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        versioned_tx := (
            NULLIF(current_setting('versioned.transactions', true), '')::jsonb
            ->> 'public.transaction'::regclass::oid::text
        )::bigint;
        SELECT o.id AS k1,
            true AS is_changed,
            NOT EXISTS (SELECT FROM versioned_old OFFSET 1) AS is_alone,
            (
                SELECT t.id = versioned_tx AND t.xmin = pg_current_xact_id()::xid FROM public.transaction AS t
                WHERE t.id >= versioned_tx ORDER BY t.id LIMIT 1
            ) AS is_known
        INTO versioned_one FROM versioned_old AS o;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        IF versioned_tx IS NOT NULL AND versioned_one.is_known IS NOT TRUE THEN
            versioned_tx := public.transaction_versioned_current();
        END IF;
        IF versioned_tx IS NULL THEN
            versioned_fresh := coalesce(current_setting('versioned.transactions', true), '') = '';
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        IF versioned_one.is_changed AND versioned_one.is_alone THEN
            UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
            WHERE v.ctid = (
                SELECT CASE WHEN p.transaction_id < versioned_tx AND p.end_transaction_id IS NULL
                    AND p.operation_type <> 2 AND NOT EXISTS (SELECT FROM press."Article" AS l WHERE l.id = versioned_one.k1)
                THEN p.ctid END
                FROM press."Article_version" AS p WHERE p.id = versioned_one.k1 ORDER BY p.transaction_id DESC LIMIT 1
            );
            IF FOUND THEN
                INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                SELECT o.id, o."select", o.seen, false, versioned_tx, 2 FROM versioned_old AS o;
                versioned_left := 1;
            END IF;
        END IF;
        IF versioned_left = 0 THEN
            FOR versioned_drawn IN 1..100 LOOP
                EXIT WHEN NOT (
                    (SELECT max(v.transaction_id) FROM press."Article_version" AS v) > versioned_tx
                    AND EXISTS (SELECT FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT FROM press."Article_version" AS v
                WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
            ) AS later)
                );
                IF versioned_drawn = 100 THEN
                    RAISE EXCEPTION USING
                        ERRCODE = 'integrity_constraint_violation',
                        MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'Article',
                        HINT = 'Let what numbers transactions go on after the greatest transaction id.';
                END IF;
                versioned_tx := public.transaction_versioned_move(versioned_tx);
            END LOOP;
            versioned_untouched := versioned_begun OR NOT EXISTS (
                SELECT FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT FROM press."Article_version" AS v WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                ) AS own
            );
            IF NOT versioned_untouched THEN
                IF EXISTS (
                    SELECT FROM versioned_old AS o
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                    ) AS p ON true
                    WHERE p.versioned_here IS NULL
                ) THEN
                    INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                    SELECT o.id, o."select", o.seen, false, 0, 0
                    FROM versioned_old AS o
                    LEFT JOIN LATERAL (
                        SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                    ) AS p ON true
                    WHERE p.versioned_here IS NULL
                    ON CONFLICT DO NOTHING;
                END IF;
            END IF;
            IF NOT versioned_begun THEN
                IF NOT versioned_untouched THEN
                    WITH erased AS (
                        DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                            SELECT own.ctid
                            FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, v.* FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                            ) AS own
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here, r.* FROM press."Article" AS r
                                WHERE r.id = t.k1 OFFSET 0
                            ) AS l ON true
                            WHERE l.versioned_here IS NULL AND own.operation_type <> 2
                        )) RETURNING jsonb_build_array(0, v.id)::text AS k, ARRAY[v.secret_mask] AS f
                    ), flagged AS (
                        SELECT jsonb_object_agg(k, to_jsonb(f)) AS f FROM erased WHERE true = ANY (f)
                    )
                    SELECT (SELECT count(*) FROM erased), versioned_flags || coalesce(flagged.f, '{}')
                    FROM flagged INTO versioned_count, versioned_flags;
                    versioned_left := versioned_left - versioned_count;
                END IF;
            END IF;
            IF versioned_fresh THEN
                LOOP
                    WITH found AS MATERIALIZED (
                        SELECT o.id, o."select", o.seen, p.versioned_here AS versioned_here_is_known,
                            p.ctid AS versioned_here_place, p.end_transaction_id IS NULL AS versioned_here_is_open
                        FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p ON true
                        WHERE (p.versioned_here IS NULL OR p.operation_type <> 2)
                    ), image AS (
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT found.id, found."select", found.seen, false, versioned_tx, 2 FROM found WHERE found.versioned_here_is_known
                    ), ended AS (
                        UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
                        WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found WHERE found.versioned_here_is_open))
                        RETURNING true
                    )
                    SELECT count(versioned_here_is_known), count(*) - count(versioned_here_is_known), count(versioned_here_place) FILTER (WHERE versioned_here_is_open) - (SELECT count(*) FROM ended)
                    FROM found INTO versioned_count, versioned_lacking, versioned_open;
                    EXIT WHEN versioned_lacking = 0 OR versioned_again;
                    versioned_again := true;
                    DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                        SELECT own.ctid
                        FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                        CROSS JOIN LATERAL (
                            SELECT v.ctid FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                        ) AS own
                    ));
                    IF EXISTS (
                        SELECT FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                    ) THEN
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT o.id, o."select", o.seen, false, 0, 0
                        FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                        ON CONFLICT DO NOTHING;
                    END IF;
                END LOOP;
                versioned_left := versioned_count;
                IF versioned_open > 0 THEN
                    LOOP
                        WITH found AS MATERIALIZED (
                            SELECT p.ctid AS versioned_here_place
                            FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, true AS versioned_here, v.*
                                FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                                ORDER BY v.transaction_id DESC LIMIT 1
                            ) AS p
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                            ) AS own ON true
                            WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                        ), ended AS (
                            UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                            WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                        )
                        SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                        EXIT WHEN versioned_open = 0;
                    END LOOP;
                END IF;
            ELSIF versioned_untouched THEN
                LOOP
                    WITH found AS MATERIALIZED (
                        SELECT o.id, o."select", o.seen, p.versioned_here AS versioned_here_is_known,
                            p.ctid AS versioned_here_place, p.end_transaction_id IS NULL AS versioned_here_is_open
                        FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p ON true
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here, r.* FROM press."Article" AS r
                            WHERE r.id = o.id OFFSET 0
                        ) AS l ON true
                        WHERE (p.versioned_here IS NULL OR p.operation_type <> 2) AND l.versioned_here IS NULL
                    ), image AS (
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT found.id, found."select", found.seen, false, versioned_tx, 2 FROM found WHERE found.versioned_here_is_known
                    ), ended AS (
                        UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
                        WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found WHERE found.versioned_here_is_open))
                        RETURNING true
                    )
                    SELECT count(versioned_here_is_known), count(*) - count(versioned_here_is_known), count(versioned_here_place) FILTER (WHERE versioned_here_is_open) - (SELECT count(*) FROM ended)
                    FROM found INTO versioned_count, versioned_lacking, versioned_open;
                    EXIT WHEN versioned_lacking = 0 OR versioned_again;
                    versioned_again := true;
                    DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                        SELECT own.ctid
                        FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                        CROSS JOIN LATERAL (
                            SELECT v.ctid FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                        ) AS own
                    ));
                    IF EXISTS (
                        SELECT FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                    ) THEN
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT o.id, o."select", o.seen, false, 0, 0
                        FROM versioned_old AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                        ON CONFLICT DO NOTHING;
                    END IF;
                END LOOP;
                versioned_left := versioned_count;
                IF versioned_open > 0 THEN
                    LOOP
                        WITH found AS MATERIALIZED (
                            SELECT p.ctid AS versioned_here_place
                            FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                            CROSS JOIN LATERAL (
                                SELECT v.ctid, true AS versioned_here, v.*
                                FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                                ORDER BY v.transaction_id DESC LIMIT 1
                            ) AS p
                            LEFT JOIN LATERAL (
                                SELECT true AS versioned_here FROM press."Article_version" AS v
                                WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                            ) AS own ON true
                            WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                        ), ended AS (
                            UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                            WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                        )
                        SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                        EXIT WHEN versioned_open = 0;
                    END LOOP;
                END IF;
            ELSE
                INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                SELECT DISTINCT ON (o.id) o.id, o."select", o.seen, coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx, 2
                FROM versioned_old AS o
                CROSS JOIN LATERAL (
                    SELECT CASE WHEN versioned_flags <> '{}' THEN
                        versioned_flags -> jsonb_build_array(0, o.id)::text
                    END AS versioned_here OFFSET 0
                ) AS f0
                CROSS JOIN LATERAL (
                    SELECT v.ctid, true AS versioned_here, v.*
                    FROM press."Article_version" AS v
                    WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                    ORDER BY v.transaction_id DESC LIMIT 1
                ) AS p
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM press."Article" AS r
                    WHERE r.id = o.id OFFSET 0
                ) AS l ON true
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here FROM press."Article_version" AS v
                    WHERE v.id = o.id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
                ) AS own ON true
                WHERE p.operation_type <> 2 AND l.versioned_here IS NULL AND own.versioned_here IS NULL;
                GET DIAGNOSTICS versioned_count = ROW_COUNT;
                versioned_left := versioned_left + versioned_count;
                LOOP
                    WITH found AS MATERIALIZED (
                        SELECT p.ctid AS versioned_here_place
                        FROM (SELECT o.id FROM versioned_old AS o) AS t (k1)
                        CROSS JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v
                            WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                        ) AS own ON true
                        WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                    ), ended AS (
                        UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                        WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                    )
                    SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                    EXIT WHEN versioned_open = 0;
                END LOOP;
            END IF;
        END IF;
        IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
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
                    versioned_open bigint;
                    versioned_begun boolean := false;
                    versioned_flags jsonb := '{}';
                    versioned_fresh boolean;
                    versioned_untouched boolean;
                    versioned_again boolean;
                    versioned_lacking bigint;
                    versioned_gone bigint;
                    versioned_one record;
                BEGIN
                    IF NOT EXISTS (SELECT FROM ONLY versioned_truncated AS o) THEN
                        RETURN;
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
                    FOR versioned_drawn IN 1..100 LOOP
                        EXIT WHEN NOT (
                            (SELECT max(v.transaction_id) FROM press."Article_version" AS v) > versioned_tx
                            AND EXISTS (SELECT FROM (SELECT o.id FROM ONLY versioned_truncated AS o) AS t (k1)
                    CROSS JOIN LATERAL (
                        SELECT FROM press."Article_version" AS v
                        WHERE v.id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
                    ) AS later)
                        );
                        IF versioned_drawn = 100 THEN
                            RAISE EXCEPTION USING
                                ERRCODE = 'integrity_constraint_violation',
                                MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'Article',
                                HINT = 'Let what numbers transactions go on after the greatest transaction id.';
                        END IF;
                        versioned_tx := public.transaction_versioned_move(versioned_tx);
                    END LOOP;
                    IF EXISTS (
                        SELECT FROM ONLY versioned_truncated AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                    ) THEN
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT o.id, o."select", o.seen, false, 0, 0
                        FROM ONLY versioned_truncated AS o
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v WHERE v.id = o.id LIMIT 1
                        ) AS p ON true
                        WHERE p.versioned_here IS NULL
                        ON CONFLICT DO NOTHING;
                    END IF;
                    IF NOT versioned_begun THEN
                        WITH erased AS (
                            DELETE FROM press."Article_version" AS v WHERE v.ctid = ANY (ARRAY(
                                SELECT own.ctid
                                FROM (SELECT o.id FROM ONLY versioned_truncated AS o) AS t (k1)
                                CROSS JOIN LATERAL (
                                    SELECT v.ctid, v.* FROM press."Article_version" AS v
                                    WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                                ) AS own
                                WHERE true
                            )) RETURNING jsonb_build_array(0, v.id)::text AS k, ARRAY[v.secret_mask] AS f
                        ), flagged AS (
                            SELECT jsonb_object_agg(k, to_jsonb(f)) AS f FROM erased WHERE true = ANY (f)
                        )
                        SELECT (SELECT count(*) FROM erased), versioned_flags || coalesce(flagged.f, '{}')
                        FROM flagged INTO versioned_count, versioned_flags;
                        versioned_left := versioned_left - versioned_count;
                    END IF;
                    IF versioned_begun THEN
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT DISTINCT ON (o.id) o.id, o."select", o.seen, coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx, 2
                        FROM ONLY versioned_truncated AS o
                        CROSS JOIN LATERAL (
                            SELECT CASE WHEN versioned_flags <> '{}' THEN
                                versioned_flags -> jsonb_build_array(0, o.id)::text
                            END AS versioned_here OFFSET 0
                        ) AS f0
                        CROSS JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v
                            WHERE v.id = o.id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
                        ) AS own ON true
                        WHERE p.operation_type <> 2 AND true AND own.versioned_here IS NULL;
                        GET DIAGNOSTICS versioned_count = ROW_COUNT;
                        versioned_left := versioned_left + versioned_count;
                        LOOP
                            WITH found AS MATERIALIZED (
                                SELECT p.ctid AS versioned_here_place
                                FROM press."Article_version" AS own
                                CROSS JOIN LATERAL (
                                    SELECT v.ctid, true AS versioned_here, v.*
                                    FROM press."Article_version" AS v
                                    WHERE v.id = own.id AND v.transaction_id <> versioned_tx
                                    ORDER BY v.transaction_id DESC LIMIT 1
                                ) AS p
                                WHERE own.transaction_id = versioned_tx AND p.end_transaction_id IS NULL
                            ), ended AS (
                                UPDATE press."Article_version" AS v SET end_transaction_id = versioned_tx
                                WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                            )
                            SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                            EXIT WHEN versioned_open = 0;
                        END LOOP;
                    ELSE
                        INSERT INTO press."Article_version" (id, "select", seen, secret_mask, transaction_id, operation_type)
                        SELECT DISTINCT ON (o.id) o.id, o."select", o.seen, coalesce((f0.versioned_here ->> 0)::boolean, false), versioned_tx, 2
                        FROM ONLY versioned_truncated AS o
                        CROSS JOIN LATERAL (
                            SELECT CASE WHEN versioned_flags <> '{}' THEN
                                versioned_flags -> jsonb_build_array(0, o.id)::text
                            END AS versioned_here OFFSET 0
                        ) AS f0
                        CROSS JOIN LATERAL (
                            SELECT v.ctid, true AS versioned_here, v.*
                            FROM press."Article_version" AS v
                            WHERE v.id = o.id AND v.transaction_id <> versioned_tx
                            ORDER BY v.transaction_id DESC LIMIT 1
                        ) AS p
                        LEFT JOIN LATERAL (
                            SELECT true AS versioned_here FROM press."Article_version" AS v
                            WHERE v.id = o.id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
                        ) AS own ON true
                        WHERE p.operation_type <> 2 AND true AND own.versioned_here IS NULL;
                        GET DIAGNOSTICS versioned_count = ROW_COUNT;
                        versioned_left := versioned_left + versioned_count;
                        LOOP
                            WITH found AS MATERIALIZED (
                                SELECT p.ctid AS versioned_here_place
                                FROM (SELECT o.id FROM ONLY versioned_truncated AS o) AS t (k1)
                                CROSS JOIN LATERAL (
                                    SELECT v.ctid, true AS versioned_here, v.*
                                    FROM press."Article_version" AS v
                                    WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                                    ORDER BY v.transaction_id DESC LIMIT 1
                                ) AS p
                                LEFT JOIN LATERAL (
                                    SELECT true AS versioned_here FROM press."Article_version" AS v
                                    WHERE v.id = t.k1 AND v.transaction_id = versioned_tx LIMIT 1
                                ) AS own ON true
                                WHERE CASE WHEN own.versioned_here THEN p.end_transaction_id IS NULL ELSE p.end_transaction_id = versioned_tx END
                            ), ended AS (
                                UPDATE press."Article_version" AS v SET end_transaction_id = CASE WHEN v.end_transaction_id IS NULL THEN versioned_tx END
                                WHERE v.ctid = ANY (ARRAY(SELECT found.versioned_here_place FROM found)) RETURNING true
                            )
                            SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM ended) INTO versioned_open;
                            EXIT WHEN versioned_open = 0;
                        END LOOP;
                    END IF;
                    IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
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
REVOKE ALL ON FUNCTION press."Article_versioned"() FROM PUBLIC;
DROP TRIGGER IF EXISTS "Article_versioned_insert" ON press."Article";
CREATE TRIGGER "Article_versioned_insert" AFTER INSERT ON press."Article"
REFERENCING NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"();
DROP TRIGGER IF EXISTS "Article_versioned_update" ON press."Article";
CREATE TRIGGER "Article_versioned_update" AFTER UPDATE ON press."Article"
REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"();
DROP TRIGGER IF EXISTS "Article_versioned_delete" ON press."Article";
CREATE TRIGGER "Article_versioned_delete" AFTER DELETE ON press."Article"
REFERENCING OLD TABLE AS versioned_old
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"();
DROP TRIGGER IF EXISTS "Article_versioned_truncate" ON press."Article";
CREATE TRIGGER "Article_versioned_truncate" BEFORE TRUNCATE ON press."Article"
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"();
DO $versioned$
DECLARE
    versioned_parts regclass[] := ARRAY(
        WITH RECURSIVE part (relid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = 'press."Article"'::regclass
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
            MESSAGE = versioned_part.place || ' is a foreign table and part of ' || 'press."Article"'::regclass
                || ', and triggers are not told which of its rows are written',
            HINT = 'Take it off, or leave out native=True.';
    END LOOP;
    FOR versioned_part IN
        SELECT t.tgrelid::regclass AS place, quote_ident(t.tgname) AS trigger
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = 'press."Article_versioned"()'::regprocedure AND t.tgparentid = 0
            AND (t.tgrelid <> 'press."Article"'::regclass OR t.tgtype & 1 = 1)
    LOOP
        EXECUTE 'DROP TRIGGER ' || versioned_part.trigger || ' ON ' || versioned_part.place;
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'press."Article"'::regclass AND c.relkind = 'p'
    ) THEN
        CREATE CONSTRAINT TRIGGER "Article_versioned_sentry" AFTER INSERT OR UPDATE OR DELETE ON press."Article"
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION press."Article_versioned"();
    END IF;
    FOR versioned_part IN
        SELECT c.oid::regclass AS place, c.relkind <> 'p' AND c.relispartition AS is_leaf
        FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (versioned_parts)
    LOOP
        EXECUTE 'CREATE TRIGGER "Article_versioned_insert" AFTER INSERT ON '
            || versioned_part.place || '
        REFERENCING NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"()';
        EXECUTE 'CREATE TRIGGER "Article_versioned_update" AFTER UPDATE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"()';
        EXECUTE 'CREATE TRIGGER "Article_versioned_delete" AFTER DELETE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old
        FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"()';
        EXECUTE 'CREATE TRIGGER "Article_versioned_truncate" BEFORE TRUNCATE ON '
            || versioned_part.place || '
        FOR EACH STATEMENT EXECUTE FUNCTION press."Article_versioned"()';
        IF versioned_part.is_leaf THEN
            EXECUTE 'ALTER TABLE ' || versioned_part.place || ' DISABLE TRIGGER "Article_versioned_sentry"';
        END IF;
    END LOOP;
END
$versioned$;
CREATE OR REPLACE FUNCTION press."Article_version_versioned_guard"() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 cda70f74ea4bdbc4938dd70866fc2a47
DECLARE
    versioned_xid bigint;
BEGIN
    -- Of what transaction_versioned_current() numbers.
    IF (pg_trigger_depth() > 1 OR NULLIF(current_setting('versioned.upkeep', true), '') IS NOT NULL)
        AND pg_has_role(
            current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'MEMBER'
        )
    THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'VH001',
        MESSAGE = TG_OP || ' is refused: ' || TG_TABLE_NAME || ' is append-only history',
        HINT = 'What looks after history is in sqlalchemy_versioned.maintenance.';
END
$versioned$;
DROP TRIGGER IF EXISTS "Article_version_versioned_guard_update" ON press."Article_version";
CREATE TRIGGER "Article_version_versioned_guard_update" BEFORE UPDATE ON press."Article_version"
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_version_versioned_guard"();
DROP TRIGGER IF EXISTS "Article_version_versioned_guard_delete" ON press."Article_version";
CREATE TRIGGER "Article_version_versioned_guard_delete" BEFORE DELETE ON press."Article_version"
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_version_versioned_guard"();
DROP TRIGGER IF EXISTS "Article_version_versioned_guard_truncate" ON press."Article_version";
CREATE TRIGGER "Article_version_versioned_guard_truncate" BEFORE TRUNCATE ON press."Article_version"
FOR EACH STATEMENT EXECUTE FUNCTION press."Article_version_versioned_guard"()
