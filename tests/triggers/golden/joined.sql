CREATE OR REPLACE FUNCTION public.dog_versioned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 c01bdb711679d7be0e0416f3b2d5a0e0
#variable_conflict use_variable
DECLARE
    versioned_tx bigint;
    versioned_count bigint;
    versioned_left bigint := 0;
    versioned_begun boolean := false;
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
            SELECT FROM (SELECT OLD.*) AS o CROSS JOIN (SELECT NEW.*) AS n WHERE o.dog_id IS DISTINCT FROM n.dog_id OR NOT ((o.breed IS NOT DISTINCT FROM n.breed))
        ) THEN
            RETURN NULL;
        END IF;
        versioned_tx := -1;
        IF EXISTS (
            SELECT FROM (SELECT OLD.dog_id UNION SELECT NEW.dog_id) AS t (k1)
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.dog AS r
                WHERE r.dog_id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM public.dog_version AS v
                WHERE v.dog_id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.breed IS NOT DISTINCT FROM l.breed))
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = 'the partition ' || TG_RELID::regclass || ' lacks the triggers of ' || 'dog',
                HINT = 'Call install_triggers(), which gives them to all partitions.';
        END IF;
        RETURN NULL;
    END IF;
    IF TG_RELID <> 'public.dog'::regclass THEN
        IF NOT EXISTS (
            WITH RECURSIVE above (relid) AS (
                SELECT TG_RELID
                UNION
                SELECT i.inhparent FROM above JOIN pg_inherits AS i ON i.inhrelid = above.relid
            )
            SELECT FROM above WHERE above.relid = 'public.dog'::regclass
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = TG_RELID::regclass || ' has triggers of ' || 'dog'
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
            CROSS JOIN LATERAL (SELECT count(*) AS versioned_here FROM public.dog AS l WHERE l.dog_id = n.dog_id) AS seen
            WHERE seen.versioned_here > 1
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'serialization_failure',
                MESSAGE = 'could not serialize access due to concurrent delete: rows of ' || 'dog'
                    || ' come back that others have deleted since the transaction began to read',
                HINT = 'The transaction might succeed if retried.';
        END IF;
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM versioned_new AS n) THEN
            RETURN NULL;
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
        PERFORM FROM (SELECT * FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1) ORDER BY k1) AS t
        CROSS JOIN LATERAL (
            SELECT FROM public.animal AS l
            WHERE l.id = t.k1 AND l.xmin <> pg_current_xact_id()::xid FOR NO KEY UPDATE
        ) AS held;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        FOR versioned_drawn IN 1..100 LOOP
            EXIT WHEN NOT (
                (SELECT max(v.transaction_id) FROM public.dog_version AS v) > versioned_tx
                AND EXISTS (SELECT FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT FROM public.dog_version AS v
            WHERE v.dog_id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
        ) AS later)
            );
            IF versioned_drawn = 100 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'integrity_constraint_violation',
                    MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'dog',
                    HINT = 'Let what numbers transactions go on after the greatest transaction id.';
            END IF;
            versioned_tx := public.transaction_versioned_move(versioned_tx);
        END LOOP;
        IF EXISTS (
            SELECT FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.animal AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.animal_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.animal_version (id, kind, transaction_id, operation_type)
            SELECT l.id, l.kind, 0, 0
            FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.animal AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.animal_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
            ON CONFLICT DO NOTHING;
        END IF;
        IF NOT versioned_begun THEN
            DELETE FROM public.dog_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT v.ctid
                FROM versioned_new AS n
                CROSS JOIN LATERAL (
                    SELECT FROM public.dog_version AS own
                    WHERE own.dog_id = n.dog_id AND own.transaction_id = versioned_tx
                        AND own.operation_type <> 2 OFFSET 0
                ) AS own
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.dog_version AS v
                    WHERE v.dog_id = n.dog_id AND v.transaction_id = 0 OFFSET 0
                ) AS v
                WHERE (v.dog_id IS NOT DISTINCT FROM n.dog_id) AND (v.breed IS NOT DISTINCT FROM n.breed) AND NOT EXISTS (
                    SELECT FROM public.dog_version AS e
                    WHERE e.dog_id = n.dog_id AND e.transaction_id NOT IN (0, versioned_tx)
                )
            ));
            DELETE FROM public.dog_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT own.ctid
                FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.dog_version AS v
                    WHERE v.dog_id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                ) AS own
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM public.dog AS r
                    WHERE r.dog_id = t.k1 OFFSET 0
                ) AS l ON true
                WHERE l.versioned_here OR own.operation_type <> 2
            ));
            GET DIAGNOSTICS versioned_count = ROW_COUNT;
            versioned_left := versioned_left - versioned_count;
            DELETE FROM public.animal_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT own.ctid
                FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.animal_version AS v
                    WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                ) AS own
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM public.animal AS r
                    WHERE r.id = t.k1 OFFSET 0
                ) AS l ON true
                WHERE l.versioned_here
            ));
            GET DIAGNOSTICS versioned_count = ROW_COUNT;
            versioned_left := versioned_left - versioned_count;
        END IF;
        INSERT INTO public.dog_version (dog_id, breed, transaction_id, operation_type)
        SELECT l.dog_id, l.breed, versioned_tx,
            CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
        FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.dog AS r
            WHERE r.dog_id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.dog_version AS v
            WHERE v.dog_id = t.k1 AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p ON true
        WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.breed IS NOT DISTINCT FROM l.breed))
        OR EXISTS (
            SELECT FROM (SELECT) AS one
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.animal AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM public.animal_version AS v
                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.kind IS NOT DISTINCT FROM l.kind))
        );
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        INSERT INTO public.animal_version (id, kind, transaction_id, operation_type)
        SELECT l.id, l.kind, versioned_tx,
            CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
        FROM (SELECT n.dog_id FROM versioned_new AS n) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.animal AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.animal_version AS v
            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p ON true
        WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.kind IS NOT DISTINCT FROM l.kind))
        OR EXISTS (
            SELECT FROM (SELECT) AS one
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.dog AS r
                WHERE r.dog_id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM public.dog_version AS v
                WHERE v.dog_id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.breed IS NOT DISTINCT FROM l.breed))
        );
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM versioned_new AS n) THEN
            RETURN NULL;
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
        PERFORM FROM (SELECT * FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1) ORDER BY k1) AS t
        CROSS JOIN LATERAL (
            SELECT FROM public.animal AS l
            WHERE l.id = t.k1 AND l.xmin <> pg_current_xact_id()::xid FOR NO KEY UPDATE
        ) AS held;
        IF versioned_tx IS NULL THEN
            IF NOT EXISTS (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) THEN
                RETURN NULL;
            END IF;
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        FOR versioned_drawn IN 1..100 LOOP
            EXIT WHEN NOT (
                (SELECT max(v.transaction_id) FROM public.dog_version AS v) > versioned_tx
                AND EXISTS (SELECT FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT FROM public.dog_version AS v
            WHERE v.dog_id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
        ) AS later)
            );
            IF versioned_drawn = 100 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'integrity_constraint_violation',
                    MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'dog',
                    HINT = 'Let what numbers transactions go on after the greatest transaction id.';
            END IF;
            versioned_tx := public.transaction_versioned_move(versioned_tx);
        END LOOP;
        IF EXISTS (
            SELECT FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.animal AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.animal_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.animal_version (id, kind, transaction_id, operation_type)
            SELECT l.id, l.kind, 0, 0
            FROM (SELECT o.dog_id FROM (
                SELECT DISTINCT ON (w.dog_id) w.* FROM (
                    SELECT u.*, sum(u.versioned_here_side) OVER (PARTITION BY u.dog_id) AS versioned_here_count,
                        min(u.versioned_here_place) FILTER (WHERE u.versioned_here_side < 0)
                            OVER (PARTITION BY u.dog_id) AS versioned_here_arrival
                    FROM (
                        SELECT o.*, 1 AS versioned_here_side, row_number() OVER () AS versioned_here_place
                        FROM versioned_old AS o
                        UNION ALL
                        SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
                    ) AS u
                ) AS w
                LEFT JOIN LATERAL (
                    SELECT 1 AS versioned_here FROM public.dog AS r WHERE r.dog_id = w.dog_id LIMIT 1
                ) AS r ON true
                WHERE w.versioned_here_side = 1 AND (
                    w.versioned_here_count + coalesce(r.versioned_here, 0) > 0 OR w.versioned_here_place <= w.versioned_here_arrival
                )
                ORDER BY w.dog_id, w.versioned_here_place
            ) AS o) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.animal AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.animal_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
            ON CONFLICT DO NOTHING;
        END IF;
        IF EXISTS (
            SELECT FROM versioned_old AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.dog_version AS v WHERE v.dog_id = o.dog_id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.dog_version (dog_id, breed, transaction_id, operation_type)
            SELECT o.dog_id, o.breed, coalesce(b.transaction_id, 0), CASE WHEN b.versioned_here_comes IS FALSE THEN b.operation_type ELSE 0 END
            FROM (
                SELECT DISTINCT ON (w.dog_id) w.* FROM (
                    SELECT u.*, sum(u.versioned_here_side) OVER (PARTITION BY u.dog_id) AS versioned_here_count,
                        min(u.versioned_here_place) FILTER (WHERE u.versioned_here_side < 0)
                            OVER (PARTITION BY u.dog_id) AS versioned_here_arrival
                    FROM (
                        SELECT o.*, 1 AS versioned_here_side, row_number() OVER () AS versioned_here_place
                        FROM versioned_old AS o
                        UNION ALL
                        SELECT n.*, -1, row_number() OVER () FROM versioned_new AS n
                    ) AS u
                ) AS w
                LEFT JOIN LATERAL (
                    SELECT 1 AS versioned_here FROM public.dog AS r WHERE r.dog_id = w.dog_id LIMIT 1
                ) AS r ON true
                WHERE w.versioned_here_side = 1 AND (
                    w.versioned_here_count + coalesce(r.versioned_here, 0) > 0 OR w.versioned_here_place <= w.versioned_here_arrival
                )
                ORDER BY w.dog_id, w.versioned_here_place
            ) AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.dog_version AS v WHERE v.dog_id = o.dog_id LIMIT 1
            ) AS p ON true
            LEFT JOIN LATERAL (
                SELECT v.*, row_number() OVER (ORDER BY v.transaction_id) = 1 AS versioned_here_comes
                FROM public.animal_version AS v
                WHERE v.id = o.dog_id AND v.transaction_id <> versioned_tx AND NOT EXISTS (
                    SELECT FROM public.animal_version AS e
                    CROSS JOIN (SELECT coalesce(
                        (SELECT r.kind FROM public.animal AS r WHERE r.id = o.dog_id LIMIT 1),
                        (SELECT v.kind FROM public.animal_version AS v WHERE v.id = o.dog_id ORDER BY v.transaction_id DESC LIMIT 1)
                    )) AS n (kind)
                    WHERE e.id = o.dog_id AND e.transaction_id <> versioned_tx
                        AND (e.transaction_id) >= (v.transaction_id) AND (e.operation_type = 2 OR NOT (e.kind IS NOT DISTINCT FROM n.kind))
                )
            ) AS b ON true
            WHERE p.versioned_here IS NULL AND (b.versioned_here_comes IS NOT NULL OR NOT EXISTS (SELECT FROM public.animal_version AS v WHERE v.id = o.dog_id))
            ON CONFLICT DO NOTHING;
        END IF;
        IF NOT versioned_begun THEN
            DELETE FROM public.dog_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT own.ctid
                FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.dog_version AS v
                    WHERE v.dog_id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                ) AS own
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM public.dog AS r
                    WHERE r.dog_id = t.k1 OFFSET 0
                ) AS l ON true
                WHERE l.versioned_here OR own.operation_type <> 2
            ));
            GET DIAGNOSTICS versioned_count = ROW_COUNT;
            versioned_left := versioned_left - versioned_count;
            DELETE FROM public.animal_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT own.ctid
                FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.animal_version AS v
                    WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                ) AS own
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM public.animal AS r
                    WHERE r.id = t.k1 OFFSET 0
                ) AS l ON true
                WHERE l.versioned_here
            ));
            GET DIAGNOSTICS versioned_count = ROW_COUNT;
            versioned_left := versioned_left - versioned_count;
        END IF;
        INSERT INTO public.dog_version (dog_id, breed, transaction_id, operation_type)
        SELECT l.dog_id, l.breed, versioned_tx,
            CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
        FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.dog AS r
            WHERE r.dog_id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.dog_version AS v
            WHERE v.dog_id = t.k1 AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p ON true
        WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.breed IS NOT DISTINCT FROM l.breed))
        OR EXISTS (
            SELECT FROM (SELECT) AS one
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.animal AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM public.animal_version AS v
                WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.kind IS NOT DISTINCT FROM l.kind))
        );
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        INSERT INTO public.animal_version (id, kind, transaction_id, operation_type)
        SELECT l.id, l.kind, versioned_tx,
            CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
        FROM (SELECT DISTINCT coalesce(n.dog_id, o.dog_id) FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id WHERE CASE WHEN o.dog_id IS NULL OR n.dog_id IS NULL THEN true ELSE NOT ((o.breed IS NOT DISTINCT FROM n.breed)) END) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.animal AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.animal_version AS v
            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p ON true
        WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.kind IS NOT DISTINCT FROM l.kind))
        OR EXISTS (
            SELECT FROM (SELECT) AS one
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.dog AS r
                WHERE r.dog_id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM public.dog_version AS v
                WHERE v.dog_id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.breed IS NOT DISTINCT FROM l.breed))
        );
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        INSERT INTO public.dog_version (dog_id, breed, transaction_id, operation_type)
        SELECT DISTINCT ON (o.dog_id) o.dog_id, o.breed, versioned_tx, 2
        FROM versioned_old AS o FULL JOIN versioned_new AS n ON o.dog_id = n.dog_id
        CROSS JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.dog_version AS v
            WHERE v.dog_id = o.dog_id AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.dog AS r
            WHERE r.dog_id = o.dog_id OFFSET 0
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here FROM public.dog_version AS v
            WHERE v.dog_id = o.dog_id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
        ) AS own ON true
        WHERE p.operation_type <> 2 AND n.dog_id IS NULL AND l.versioned_here IS NULL AND own.versioned_here IS NULL;
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM versioned_old AS o) THEN
            RETURN NULL;
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
        PERFORM FROM (SELECT * FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1) ORDER BY k1) AS t
        CROSS JOIN LATERAL (
            SELECT FROM public.animal AS l
            WHERE l.id = t.k1 AND l.xmin <> pg_current_xact_id()::xid FOR NO KEY UPDATE
        ) AS held;
        IF versioned_tx IS NULL THEN
            versioned_tx := public.transaction_versioned_begin();
            versioned_begun := true;
        END IF;
        FOR versioned_drawn IN 1..100 LOOP
            EXIT WHEN NOT (
                (SELECT max(v.transaction_id) FROM public.dog_version AS v) > versioned_tx
                AND EXISTS (SELECT FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT FROM public.dog_version AS v
            WHERE v.dog_id = t.k1 AND v.transaction_id > versioned_tx LIMIT 1
        ) AS later)
            );
            IF versioned_drawn = 100 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'integrity_constraint_violation',
                    MESSAGE = 'transaction ' || versioned_tx || ' is behind the history of ' || 'dog',
                    HINT = 'Let what numbers transactions go on after the greatest transaction id.';
            END IF;
            versioned_tx := public.transaction_versioned_move(versioned_tx);
        END LOOP;
        IF EXISTS (
            SELECT FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.animal AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.animal_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.animal_version (id, kind, transaction_id, operation_type)
            SELECT l.id, l.kind, 0, 0
            FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1)
            CROSS JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.animal AS r
                WHERE r.id = t.k1 OFFSET 0
            ) AS l
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.animal_version AS v WHERE v.id = l.id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
            ON CONFLICT DO NOTHING;
        END IF;
        IF EXISTS (
            SELECT FROM versioned_old AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.dog_version AS v WHERE v.dog_id = o.dog_id LIMIT 1
            ) AS p ON true
            WHERE p.versioned_here IS NULL
        ) THEN
            INSERT INTO public.dog_version (dog_id, breed, transaction_id, operation_type)
            SELECT o.dog_id, o.breed, coalesce(b.transaction_id, 0), CASE WHEN b.versioned_here_comes IS FALSE THEN b.operation_type ELSE 0 END
            FROM versioned_old AS o
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here FROM public.dog_version AS v WHERE v.dog_id = o.dog_id LIMIT 1
            ) AS p ON true
            LEFT JOIN LATERAL (
                SELECT v.*, row_number() OVER (ORDER BY v.transaction_id) = 1 AS versioned_here_comes
                FROM public.animal_version AS v
                WHERE v.id = o.dog_id AND v.transaction_id <> versioned_tx AND NOT EXISTS (
                    SELECT FROM public.animal_version AS e
                    CROSS JOIN (SELECT coalesce(
                        (SELECT r.kind FROM public.animal AS r WHERE r.id = o.dog_id LIMIT 1),
                        (SELECT v.kind FROM public.animal_version AS v WHERE v.id = o.dog_id ORDER BY v.transaction_id DESC LIMIT 1)
                    )) AS n (kind)
                    WHERE e.id = o.dog_id AND e.transaction_id <> versioned_tx
                        AND (e.transaction_id) >= (v.transaction_id) AND (e.operation_type = 2 OR NOT (e.kind IS NOT DISTINCT FROM n.kind))
                )
            ) AS b ON true
            WHERE p.versioned_here IS NULL AND (b.versioned_here_comes IS NOT NULL OR NOT EXISTS (SELECT FROM public.animal_version AS v WHERE v.id = o.dog_id))
            ON CONFLICT DO NOTHING;
        END IF;
        IF NOT versioned_begun THEN
            DELETE FROM public.dog_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT own.ctid
                FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.dog_version AS v
                    WHERE v.dog_id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                ) AS own
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM public.dog AS r
                    WHERE r.dog_id = t.k1 OFFSET 0
                ) AS l ON true
                WHERE l.versioned_here IS NULL AND own.operation_type <> 2
            ));
            GET DIAGNOSTICS versioned_count = ROW_COUNT;
            versioned_left := versioned_left - versioned_count;
            DELETE FROM public.animal_version AS v WHERE v.ctid = ANY (ARRAY(
                SELECT own.ctid
                FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1)
                CROSS JOIN LATERAL (
                    SELECT v.ctid, v.* FROM public.animal_version AS v
                    WHERE v.id = t.k1 AND v.transaction_id = versioned_tx OFFSET 0
                ) AS own
                LEFT JOIN LATERAL (
                    SELECT true AS versioned_here, r.* FROM public.animal AS r
                    WHERE r.id = t.k1 OFFSET 0
                ) AS l ON true
                WHERE l.versioned_here
            ));
            GET DIAGNOSTICS versioned_count = ROW_COUNT;
            versioned_left := versioned_left - versioned_count;
        END IF;
        INSERT INTO public.animal_version (id, kind, transaction_id, operation_type)
        SELECT l.id, l.kind, versioned_tx,
            CASE WHEN p.versioned_here IS NULL OR p.operation_type = 2 THEN 0 ELSE 1 END
        FROM (SELECT o.dog_id FROM versioned_old AS o) AS t (k1)
        CROSS JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.animal AS r
            WHERE r.id = t.k1 OFFSET 0
        ) AS l
        LEFT JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.animal_version AS v
            WHERE v.id = t.k1 AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p ON true
        WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.kind IS NOT DISTINCT FROM l.kind))
        OR EXISTS (
            SELECT FROM (SELECT) AS one
            LEFT JOIN LATERAL (
                SELECT true AS versioned_here, r.* FROM public.dog AS r
                WHERE r.dog_id = t.k1 OFFSET 0
            ) AS l ON true
            LEFT JOIN LATERAL (
                SELECT v.ctid, true AS versioned_here, v.*
                FROM public.dog_version AS v
                WHERE v.dog_id = t.k1 AND v.transaction_id <> versioned_tx
                ORDER BY v.transaction_id DESC LIMIT 1
            ) AS p ON true
            WHERE (l.versioned_here IS NULL) <> (p.versioned_here IS NULL OR p.operation_type = 2)
            OR l.versioned_here AND NOT ((p.breed IS NOT DISTINCT FROM l.breed))
        );
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        INSERT INTO public.dog_version (dog_id, breed, transaction_id, operation_type)
        SELECT DISTINCT ON (o.dog_id) o.dog_id, o.breed, versioned_tx, 2
        FROM versioned_old AS o
        CROSS JOIN LATERAL (
            SELECT v.ctid, true AS versioned_here, v.*
            FROM public.dog_version AS v
            WHERE v.dog_id = o.dog_id AND v.transaction_id <> versioned_tx
            ORDER BY v.transaction_id DESC LIMIT 1
        ) AS p
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here, r.* FROM public.dog AS r
            WHERE r.dog_id = o.dog_id OFFSET 0
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT true AS versioned_here FROM public.dog_version AS v
            WHERE v.dog_id = o.dog_id AND v.transaction_id = versioned_tx AND NOT versioned_begun LIMIT 1
        ) AS own ON true
        WHERE p.operation_type <> 2 AND l.versioned_here IS NULL AND own.versioned_here IS NULL;
        GET DIAGNOSTICS versioned_count = ROW_COUNT;
        versioned_left := versioned_left + versioned_count;
        IF versioned_left < 0 OR (versioned_begun AND versioned_left = 0) THEN
            PERFORM public.transaction_versioned_release(versioned_tx);
        END IF;
    ELSIF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'TRUNCATE is refused: ' || 'dog is versioned',
            HINT = 'Use DELETE, or the option truncate=''record''.';
    END IF;
    RETURN NULL;
END
$versioned$;
REVOKE ALL ON FUNCTION public.dog_versioned() FROM PUBLIC;
DROP TRIGGER IF EXISTS dog_versioned_insert ON public.dog;
CREATE TRIGGER dog_versioned_insert AFTER INSERT ON public.dog
REFERENCING NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned();
DROP TRIGGER IF EXISTS dog_versioned_update ON public.dog;
CREATE TRIGGER dog_versioned_update AFTER UPDATE ON public.dog
REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned();
DROP TRIGGER IF EXISTS dog_versioned_delete ON public.dog;
CREATE TRIGGER dog_versioned_delete AFTER DELETE ON public.dog
REFERENCING OLD TABLE AS versioned_old
FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned();
DROP TRIGGER IF EXISTS dog_versioned_truncate ON public.dog;
CREATE TRIGGER dog_versioned_truncate BEFORE TRUNCATE ON public.dog
FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned();
DO $versioned$
DECLARE
    versioned_parts regclass[] := ARRAY(
        WITH RECURSIVE part (relid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = 'public.dog'::regclass
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
            MESSAGE = versioned_part.place || ' is a foreign table and part of ' || 'public.dog'::regclass
                || ', and triggers are not told which of its rows are written',
            HINT = 'Take it off, or leave out native=True.';
    END LOOP;
    FOR versioned_part IN
        SELECT t.tgrelid::regclass AS place, quote_ident(t.tgname) AS trigger
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = 'public.dog_versioned()'::regprocedure AND t.tgparentid = 0
            AND (t.tgrelid <> 'public.dog'::regclass OR t.tgtype & 1 = 1)
    LOOP
        EXECUTE 'DROP TRIGGER ' || versioned_part.trigger || ' ON ' || versioned_part.place;
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'public.dog'::regclass AND c.relkind = 'p'
    ) THEN
        CREATE CONSTRAINT TRIGGER dog_versioned_sentry AFTER INSERT OR UPDATE OR DELETE ON public.dog
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.dog_versioned();
    END IF;
    FOR versioned_part IN
        SELECT c.oid::regclass AS place, c.relkind <> 'p' AND c.relispartition AS is_leaf
        FROM pg_catalog.pg_class AS c WHERE c.oid = ANY (versioned_parts)
    LOOP
        EXECUTE 'CREATE TRIGGER dog_versioned_insert AFTER INSERT ON '
            || versioned_part.place || '
        REFERENCING NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned()';
        EXECUTE 'CREATE TRIGGER dog_versioned_update AFTER UPDATE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old NEW TABLE AS versioned_new
        FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned()';
        EXECUTE 'CREATE TRIGGER dog_versioned_delete AFTER DELETE ON '
            || versioned_part.place || '
        REFERENCING OLD TABLE AS versioned_old
        FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned()';
        EXECUTE 'CREATE TRIGGER dog_versioned_truncate BEFORE TRUNCATE ON '
            || versioned_part.place || '
        FOR EACH STATEMENT EXECUTE FUNCTION public.dog_versioned()';
        IF versioned_part.is_leaf THEN
            EXECUTE 'ALTER TABLE ' || versioned_part.place || ' DISABLE TRIGGER dog_versioned_sentry';
        END IF;
    END LOOP;
END
$versioned$
