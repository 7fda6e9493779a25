CREATE OR REPLACE FUNCTION public.transaction_versioned_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
SET jit = off SET row_security = off
AS $versioned$
-- sqlalchemy_versioned 1 92bfb745e66917f702ae587c60cf2574
DECLARE
    versioned_xid bigint;
BEGIN
    -- Of what transaction_versioned_current() numbers.
    IF (pg_trigger_depth() > 1 OR NULLIF(current_setting('versioned.upkeep', true), '') IS NOT NULL)
        AND pg_has_role(
            current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = TG_RELID), 'MEMBER'
        )
    THEN
        IF TG_OP = 'UPDATE' THEN
            RETURN NEW;
        END IF;
        RETURN OLD;
    END IF;
    IF TG_LEVEL = 'ROW' THEN
        versioned_xid := OLD.xmin::text::bigint
            | ((pg_current_xact_id()::text::bigint >> 32) << 32);
        IF pg_xact_status(versioned_xid::text::xid8) = 'in progress' THEN
            IF TG_OP = 'UPDATE' THEN
                RETURN NEW;
            END IF;
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'VH001',
        MESSAGE = TG_OP || ' is refused: ' || TG_TABLE_NAME || ' is append-only history',
        HINT = 'What looks after history is in sqlalchemy_versioned.maintenance.';
END
$versioned$;
DROP TRIGGER IF EXISTS transaction_versioned_guard_update ON public.transaction;
CREATE TRIGGER transaction_versioned_guard_update BEFORE UPDATE ON public.transaction
FOR EACH ROW EXECUTE FUNCTION public.transaction_versioned_guard();
DROP TRIGGER IF EXISTS transaction_versioned_guard_delete ON public.transaction;
CREATE TRIGGER transaction_versioned_guard_delete BEFORE DELETE ON public.transaction
FOR EACH ROW EXECUTE FUNCTION public.transaction_versioned_guard();
DROP TRIGGER IF EXISTS transaction_versioned_guard_truncate ON public.transaction;
CREATE TRIGGER transaction_versioned_guard_truncate BEFORE TRUNCATE ON public.transaction
FOR EACH STATEMENT EXECUTE FUNCTION public.transaction_versioned_guard()
