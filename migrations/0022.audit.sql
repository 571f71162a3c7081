-- What happened to which job: every lease, halt, checkpoint and result, written by the transaction
-- that made it so; and the halts with their legs. Appended, never changed; a partition a day, so
-- that forgetting is dropping a table. A row is a whole batch: 100 jobs cost one insert.

CREATE TABLE scheduler.audit (
    -- The database's wall clock.
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- 1 leased, 2 given back (a halt, or never sent), 3 done, 4 failed, 5 expired, 6 outdated (its
    -- input changed while it ran), 7 retried, 8 cancelled.
    event smallint NOT NULL CHECK (event BETWEEN 1 AND 8),
    kind smallint NOT NULL,
    -- Whose lease it was; NULL: nobody's.
    worker text,
    -- Of 2: the reason of the halt.
    why text,
    -- In the same order: whose jobs; their fences, of 1 the new one and else the one that ended; the
    -- milliseconds since they were leased; of 2 the bytes that were kept; of 4 what was wrong.
    users uuid[] NOT NULL,
    tokens bigint[] NOT NULL,
    ms integer[],
    bytes integer[],
    errors text[]
) PARTITION BY RANGE (at);
-- Random bytes do not compress, and are what is looked for.
ALTER TABLE scheduler.audit ALTER COLUMN users SET STORAGE MAIN;
CREATE INDEX audit_at ON scheduler.audit (at);
CREATE TABLE scheduler.audit_rest PARTITION OF scheduler.audit DEFAULT;

ALTER TABLE scheduler.halts RENAME TO halts_before;
CREATE SEQUENCE scheduler.halt_ids;
CREATE TABLE scheduler.halts (
    id bigint NOT NULL DEFAULT nextval('scheduler.halt_ids'),
    user_id uuid NOT NULL,
    kind smallint NOT NULL,
    reason smallint NOT NULL,
    worker text NOT NULL,
    touched_at timestamptz,
    event_at timestamptz NOT NULL,
    dispatched_at timestamptz NOT NULL,
    received_at timestamptz,
    durable_at timestamptz,
    left_at timestamptz,
    killed boolean NOT NULL
) PARTITION BY RANGE (event_at);
CREATE INDEX halts_id ON scheduler.halts (id);
CREATE INDEX halts_of ON scheduler.halts (user_id, id);
CREATE TABLE scheduler.halts_rest PARTITION OF scheduler.halts DEFAULT;
INSERT INTO scheduler.halts (
    user_id, kind, reason, worker, touched_at, event_at, dispatched_at, received_at, durable_at,
    left_at, killed
)
    SELECT user_id, kind, reason, worker, touched_at, event_at, dispatched_at, received_at,
        durable_at, left_at, killed
    FROM scheduler.halts_before ORDER BY id;
DROP TABLE scheduler.halts_before;

GRANT SELECT, INSERT ON scheduler.audit, scheduler.halts TO eros_scheduler;
GRANT USAGE ON SEQUENCE scheduler.halt_ids TO eros_scheduler;

-- When the lease began (wall clock), for how long things take.
ALTER TABLE scheduler.jobs ADD COLUMN leased_at timestamptz;

-- The partitions of today and the next days. Attaching holds nobody up who writes. The owner is
-- whoever owns the tables, so that the role that appends cannot change what is appended.
CREATE FUNCTION scheduler.keep_partitions(p_days_ahead integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
AS $$
DECLARE
    parent text;
    child text;
    day timestamp;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('scheduler.partitions'));
    FOREACH parent IN ARRAY ARRAY['audit', 'halts'] LOOP
        FOR ahead IN 0..p_days_ahead LOOP
            day := date_trunc('day', now() AT TIME ZONE 'UTC') + ahead * interval '1 day';
            child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
            CONTINUE WHEN to_regclass('scheduler.' || child) IS NOT NULL;
            EXECUTE format(
                'CREATE TABLE scheduler.%I (LIKE scheduler.%I INCLUDING ALL)', child, parent
            );
            EXECUTE format(
                'ALTER TABLE scheduler.%I ATTACH PARTITION scheduler.%I FOR VALUES FROM (%L) TO (%L)',
                parent, child, day AT TIME ZONE 'UTC', (day + interval '1 day') AT TIME ZONE 'UTC'
            );
        END LOOP;
    END LOOP;
END
$$;

-- Forgets what is older than so many whole days. Returns how many partitions that were.
CREATE FUNCTION scheduler.drop_partitions(p_days_kept integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
    child name;
    since timestamp := date_trunc('day', now() AT TIME ZONE 'UTC') - p_days_kept * interval '1 day';
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('scheduler.partitions'));
    FOR child IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('scheduler.audit'::regclass, 'scheduler.halts'::regclass)
            AND c.relname ~ '_\d{8}$' AND right(c.relname, 8) < to_char(since, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE scheduler.%I', child);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM scheduler.audit_rest WHERE at < since AT TIME ZONE 'UTC';
    DELETE FROM scheduler.halts_rest WHERE event_at < since AT TIME ZONE 'UTC';
    RETURN dropped;
END
$$;

REVOKE EXECUTE ON FUNCTION scheduler.keep_partitions(integer), scheduler.drop_partitions(integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scheduler.keep_partitions(integer), scheduler.drop_partitions(integer)
    TO eros_scheduler;
DO $$ BEGIN PERFORM scheduler.keep_partitions(2); END $$;

-- ---- The published functions, as before, but for what they write to the audit.

CREATE OR REPLACE FUNCTION scheduler.mark_due(
    p_users uuid[], p_zones text[], p_kind smallint, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_kind IS NULL OR p_kind NOT IN (1, 2, 3, 4) THEN
        RAISE EXCEPTION 'no such kind of job: %', p_kind USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO scheduler.zones (zone)
        SELECT DISTINCT z.zone FROM unnest(p_zones) z(zone)
        WHERE NOT EXISTS (SELECT FROM scheduler.zones k WHERE k.zone = z.zone)
        ORDER BY z.zone
        ON CONFLICT DO NOTHING;
    INSERT INTO scheduler.jobs (user_id, kind, zone, due_at)
        SELECT p.user_id, k.kind, p.zone,
            CASE WHEN k.kind = 4 AND p_kind <> 4 THEN 'infinity' ELSE p_now END
        FROM unnest(p_users, p_zones) p(user_id, zone)
        CROSS JOIN (VALUES (1), (2), (3), (4)) k(kind)
        ORDER BY p.user_id, k.kind
        ON CONFLICT DO NOTHING;
    WITH marked AS (
        UPDATE scheduler.jobs j SET
            zone = c.zone,
            due_at = CASE WHEN c.marked THEN least(j.due_at, p_now) ELSE j.due_at END,
            solo_at = CASE WHEN c.marked THEN c.solo_at ELSE j.solo_at END,
            token = j.token + CASE WHEN c.marked AND j.state = 'l' THEN 1 ELSE 0 END,
            state = CASE WHEN c.marked AND j.state <> 'w' THEN 'q' ELSE j.state END,
            attempts = CASE WHEN c.marked THEN 0 ELSE j.attempts END,
            checkpoint = CASE WHEN c.marked THEN NULL ELSE j.checkpoint END,
            owner = CASE WHEN c.marked THEN NULL ELSE j.owner END,
            lease_until = CASE WHEN c.marked THEN NULL ELSE j.lease_until END,
            back_at = CASE WHEN c.marked AND j.state <> 'w' THEN NULL ELSE j.back_at END
        FROM (
            SELECT j.user_id, j.kind, p.zone, j.kind = p_kind AS marked, m.solo_at,
                j.owner, j.token, j.leased_at
            FROM unnest(p_users, p_zones) p(user_id, zone)
            JOIN scheduler.jobs j ON j.user_id = p.user_id
            JOIN scheduler.jobs m ON m.user_id = p.user_id AND m.kind = 3
            WHERE j.zone <> p.zone
                OR j.kind = p_kind
                AND (
                    j.due_at > p_now OR j.state IN ('l', 'b', 'x') OR j.attempts > 0
                    OR j.checkpoint IS NOT NULL OR j.solo_at <> m.solo_at
                )
            ORDER BY j.user_id, j.kind
            FOR UPDATE OF j
        ) c
        WHERE j.user_id = c.user_id AND j.kind = c.kind
        RETURNING j.user_id, c.marked, c.owner, c.token, c.leased_at
    )
    INSERT INTO scheduler.audit (event, kind, worker, users, tokens, ms)
        SELECT 6, p_kind, m.owner, array_agg(m.user_id), array_agg(m.token),
            array_agg(scheduler.ms_since(m.leased_at))
        FROM marked m WHERE m.marked AND m.owner IS NOT NULL GROUP BY m.owner;
END
$$;

CREATE FUNCTION scheduler.ms_since(p_at timestamptz) RETURNS integer
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT (extract(epoch FROM clock_timestamp() - p_at) * 1000)::integer; $$;

CREATE OR REPLACE FUNCTION scheduler.checkpoint(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_checkpoints bytea[], p_reason text
) RETURNS TABLE (user_id uuid, token bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    halted uuid[];
    old_tokens bigint[];
    took integer[];
    kept integer[];
    who text;
BEGIN
    WITH held AS MATERIALIZED (
        SELECT j.user_id, p.checkpoint, j.owner
        FROM unnest(p_users, p_tokens, p_checkpoints) p(user_id, token, checkpoint)
        JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
        WHERE j.state = 'l' AND j.token = p.token
        ORDER BY j.user_id
        FOR UPDATE OF j
    ), given_back AS (
        UPDATE scheduler.jobs j SET
            state = 'q', token = j.token + 1, owner = NULL, lease_until = NULL,
            checkpoint = coalesce(held.checkpoint, j.checkpoint), last_halt = p_reason
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id, j.token - 1 AS token, scheduler.ms_since(j.leased_at) AS ms,
            coalesce(octet_length(held.checkpoint), 0) AS bytes, held.owner
    )
    SELECT coalesce(array_agg(g.user_id), '{}'), array_agg(g.token), array_agg(g.ms),
        array_agg(g.bytes), max(g.owner)
    INTO halted, old_tokens, took, kept, who FROM given_back g;
    IF halted <> '{}' THEN
        INSERT INTO scheduler.audit (event, kind, worker, why, users, tokens, ms, bytes)
            VALUES (2, p_kind, who, p_reason, halted, old_tokens, took, kept);
    END IF;
    PERFORM scheduler.requeue_waiting(p_users);
    RETURN QUERY SELECT h.user_id, h.token + 1 FROM unnest(halted, old_tokens) h(user_id, token);
END
$$;

CREATE OR REPLACE FUNCTION scheduler.complete(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_due_at timestamptz[]
) RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    done uuid[];
    tokens bigint[];
    took integer[];
    who text;
BEGIN
    WITH held AS MATERIALIZED (
        SELECT j.user_id, p.due_at, j.owner
        FROM unnest(p_users, p_tokens, p_due_at) p(user_id, token, due_at)
        JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
        WHERE j.state = 'l' AND j.token = p.token
        ORDER BY j.user_id
        FOR UPDATE OF j
    ), completed AS (
        UPDATE scheduler.jobs j SET
            state = 'q', attempts = 0, owner = NULL, lease_until = NULL, checkpoint = NULL,
            last_error = NULL,
            due_at = CASE WHEN p_kind = 4 THEN 'infinity' ELSE held.due_at END,
            solo_at = CASE
                WHEN p_kind IN (3, 4) THEN j.claimed_at + interval '24 hours' ELSE j.solo_at
                END
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id, j.token, scheduler.ms_since(j.leased_at) AS ms, held.owner
    )
    SELECT coalesce(array_agg(c.user_id), '{}'), array_agg(c.token), array_agg(c.ms), max(c.owner)
    INTO done, tokens, took, who FROM completed c;
    IF done <> '{}' THEN
        INSERT INTO scheduler.audit (event, kind, worker, users, tokens, ms)
            VALUES (3, p_kind, who, done, tokens, took);
    END IF;
    IF p_kind = 3 THEN
        UPDATE scheduler.jobs j SET due_at = least(j.due_at, ready.at)
        FROM (
            SELECT k.user_id, m.claimed_at AS at
            FROM unnest(done) d(user_id)
            JOIN scheduler.jobs k ON k.user_id = d.user_id AND k.kind = 4
            JOIN scheduler.jobs m ON m.user_id = d.user_id AND m.kind = 3
            WHERE k.due_at > m.claimed_at
            ORDER BY k.user_id
            FOR UPDATE OF k
        ) ready
        WHERE j.user_id = ready.user_id AND j.kind = 4;
    END IF;
    PERFORM scheduler.requeue_waiting(p_users);
    RETURN QUERY SELECT d.user_id FROM unnest(done) d(user_id);
END
$$;

CREATE OR REPLACE FUNCTION scheduler.fail(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_error text[]
) RETURNS TABLE (user_id uuid, dead boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    failed uuid[];
    died boolean[];
    old_tokens bigint[];
    took integer[];
    wrong text[];
    who text;
BEGIN
    WITH held AS MATERIALIZED (
        SELECT j.user_id, left(p.error, 500) AS error, j.attempts >= 4 AS dead, j.owner
        FROM unnest(p_users, p_tokens, p_error) p(user_id, token, error)
        JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
        WHERE j.state = 'l' AND j.token = p.token
        ORDER BY j.user_id
        FOR UPDATE OF j
    ), failed AS (
        UPDATE scheduler.jobs j SET
            state = CASE WHEN held.dead THEN 'x' ELSE 'b' END,
            attempts = j.attempts + 1, token = j.token + 1, owner = NULL, lease_until = NULL,
            back_at = CASE WHEN NOT held.dead THEN
                clock_timestamp() + least(interval '30 seconds' * 2 ^ j.attempts, interval '1 hour')
                    * (0.75 + 0.5 * random())
                END,
            checkpoint = NULL, last_error = held.error
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id, held.dead, j.token - 1 AS token,
            scheduler.ms_since(j.leased_at) AS ms, held.error, held.owner
    )
    SELECT coalesce(array_agg(f.user_id), '{}'), array_agg(f.dead), array_agg(f.token),
        array_agg(f.ms), array_agg(f.error), max(f.owner)
    INTO failed, died, old_tokens, took, wrong, who FROM failed f;
    IF failed <> '{}' THEN
        INSERT INTO scheduler.audit (event, kind, worker, users, tokens, ms, errors)
            VALUES (4, p_kind, who, failed, old_tokens, took, wrong);
    END IF;
    PERFORM scheduler.requeue_waiting(p_users);
    RETURN QUERY SELECT f.user_id, f.dead FROM unnest(failed, died) f(user_id, dead);
END
$$;

ALTER FUNCTION scheduler.ms_since(timestamptz) OWNER TO eros_scheduler;
REVOKE EXECUTE ON FUNCTION scheduler.ms_since(timestamptz) FROM PUBLIC;
