-- Scheduler: what is worked on, for whom, and when it stops. One row per (person, kind), for ever.
-- Written by the role eros_scheduler; others cross by the functions below, and only by them.

CREATE TABLE scheduler.jobs (
    user_id uuid NOT NULL,
    -- 1 analyze, 2 score, 3 match; per person. Others come with their workers.
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 5),
    -- q queued: claimed once due, the person idle long enough, the window open.
    -- l leased: a worker has it.
    -- w waiting: due, but an earlier kind of the same person is due too, or another kind is being
    --   worked on; set aside until that is done, so that no claim meets the row again and again.
    --   back_at is for the case that nobody brings it back.
    -- b backing off after an error, until back_at.
    -- x dead: failed too often.
    state text NOT NULL DEFAULT 'q' CHECK (state IN ('q', 'l', 'w', 'b', 'x')),
    attempts smallint NOT NULL DEFAULT 0,
    -- The fence. Raised by every claim, checkpoint, failure and takeover; never lowered.
    token bigint NOT NULL DEFAULT 0,

    -- Night clock.
    due_at timestamptz NOT NULL,
    -- The person's last interaction; NULL: awake, or never heard of.
    asleep_since timestamptz,
    -- When they have been idle long enough for this kind; NULL with asleep_since.
    rested_at timestamptz,
    -- The newest interaction that was heard of, so that late news change nothing.
    seen_at timestamptz NOT NULL DEFAULT '-infinity',
    -- From then on the window no longer counts: a day after the person's last completed match, as
    -- known when the row was last marked due, completed, or its person fell asleep.
    solo_at timestamptz NOT NULL DEFAULT '-infinity',
    claimed_at timestamptz,

    -- The database's wall clock.
    lease_until timestamptz,
    back_at timestamptz,

    -- IANA name; empty: the configured default.
    zone text NOT NULL,
    owner text,
    last_error text,
    last_halt text,
    checkpoint bytea,

    PRIMARY KEY (user_id, kind),
    CHECK ((asleep_since IS NULL) = (rested_at IS NULL)),
    CHECK ((state = 'l') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('w', 'b')) = (back_at IS NOT NULL))
)
-- A row's versions of one night stay on its page, beside its siblings, which a claim looks at.
-- Vacuum often: claims walk over what is dead at the head of an index until it is cleaned.
WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.03,
    autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.2
);

-- Floats do not compress, and a halt does not wait for trying.
ALTER TABLE scheduler.jobs ALTER COLUMN checkpoint SET STORAGE EXTERNAL;

-- One key for "due" and "idle long enough": whatever is not ripe yet, done for tonight included, is
-- beyond the end of a claim's scan instead of in its way.
CREATE INDEX jobs_window ON scheduler.jobs (kind, zone, (greatest(due_at, rested_at)))
    WHERE state = 'q' AND rested_at IS NOT NULL;
-- The same for those whom the window does not hold back, in all zones.
CREATE INDEX jobs_solo ON scheduler.jobs (kind, (greatest(due_at, rested_at, solo_at)))
    WHERE state = 'q' AND rested_at IS NOT NULL;
-- One job of a person at a time. lease_until is in no index: renewing is a heap-only update.
CREATE UNIQUE INDEX jobs_leased ON scheduler.jobs (user_id) WHERE state = 'l';
CREATE INDEX jobs_aside ON scheduler.jobs (back_at) WHERE state IN ('w', 'b');
CREATE INDEX jobs_dead ON scheduler.jobs (kind) WHERE state = 'x';

-- Every zone a job row ever had: what a claim goes through.
CREATE TABLE scheduler.zones (zone text PRIMARY KEY);

-- Every halt with its legs, wall clock. Written in batches, never changed.
CREATE TABLE scheduler.halts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
);
CREATE INDEX halts_user ON scheduler.halts (user_id, id);

GRANT USAGE, CREATE ON SCHEMA scheduler TO eros_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON scheduler.jobs, scheduler.zones TO eros_scheduler;
GRANT SELECT, INSERT ON scheduler.halts TO eros_scheduler;
GRANT USAGE ON SCHEMA scheduler TO eros_accounts, eros_matcher;

-- Locks are always taken in the order (user_id, kind), or not waited for: no deadlocks.

-- Puts back in the queue what waited for another kind of these people. A row that somebody else
-- is writing just now is left: it comes back by itself at back_at.
CREATE FUNCTION scheduler.requeue_waiting(p_users uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE scheduler.jobs j SET state = 'q', back_at = NULL
    FROM (
        SELECT user_id, kind FROM scheduler.jobs
        WHERE user_id = ANY (p_users) AND state = 'w'
        FOR UPDATE SKIP LOCKED
    ) w
    WHERE j.user_id = w.user_id AND j.kind = w.kind;
$$;

-- Makes one kind of job due at p_now (night clock) for these people, creating the rows of every
-- kind that people have, all due, where they are absent. A zone that changed is taken over. What
-- is running of that kind is fenced: it began with what is outdated now. The dead come back.
CREATE FUNCTION scheduler.mark_due(
    p_users uuid[], p_zones text[], p_kind smallint, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_kind IS NULL OR p_kind NOT IN (1, 2, 3) THEN
        RAISE EXCEPTION 'no such kind of job: %', p_kind USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO scheduler.zones (zone)
        SELECT DISTINCT z.zone FROM unnest(p_zones) z(zone)
        WHERE NOT EXISTS (SELECT FROM scheduler.zones k WHERE k.zone = z.zone)
        ORDER BY z.zone
        ON CONFLICT DO NOTHING;
    INSERT INTO scheduler.jobs (user_id, kind, zone, due_at)
        SELECT p.user_id, k.kind, p.zone, p_now
        FROM unnest(p_users, p_zones) p(user_id, zone) CROSS JOIN (VALUES (1), (2), (3)) k(kind)
        ORDER BY p.user_id, k.kind
        ON CONFLICT DO NOTHING;
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
        SELECT j.user_id, j.kind, p.zone, j.kind = p_kind AS marked, m.solo_at
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
    WHERE j.user_id = c.user_id AND j.kind = c.kind;
END
$$;

-- Locks these jobs until the transaction ends; returns those whose token is still live.
CREATE FUNCTION scheduler.hold(p_users uuid[], p_kind smallint, p_tokens bigint[])
RETURNS TABLE (user_id uuid, token bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT j.user_id, j.token
        FROM unnest(p_users, p_tokens) p(user_id, token)
        JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
        WHERE j.state = 'l' AND j.token = p.token
        ORDER BY j.user_id
        FOR UPDATE OF j;
END
$$;

-- Keeps where these jobs are and gives them back: no failed attempt. Returns the new fence of those
-- whose token was live; a NULL checkpoint leaves the stored one. p_reason becomes last_halt.
CREATE FUNCTION scheduler.checkpoint(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_checkpoints bytea[], p_reason text
) RETURNS TABLE (user_id uuid, token bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT j.user_id, p.checkpoint
            FROM unnest(p_users, p_tokens, p_checkpoints) p(user_id, token, checkpoint)
            JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
            WHERE j.state = 'l' AND j.token = p.token
            ORDER BY j.user_id
            FOR UPDATE OF j
        )
        UPDATE scheduler.jobs j SET
            state = 'q', token = j.token + 1, owner = NULL, lease_until = NULL,
            checkpoint = coalesce(held.checkpoint, j.checkpoint), last_halt = p_reason
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id, j.token;
    PERFORM scheduler.requeue_waiting(p_users);
END
$$;

-- These jobs are done: due again at p_due_at (night clock). Returns those whose token was live.
CREATE FUNCTION scheduler.complete(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_due_at timestamptz[]
) RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT j.user_id, p.due_at
            FROM unnest(p_users, p_tokens, p_due_at) p(user_id, token, due_at)
            JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
            WHERE j.state = 'l' AND j.token = p.token
            ORDER BY j.user_id
            FOR UPDATE OF j
        )
        UPDATE scheduler.jobs j SET
            state = 'q', due_at = held.due_at, solo_at = j.claimed_at + interval '24 hours',
            attempts = 0, owner = NULL, lease_until = NULL, checkpoint = NULL, last_error = NULL
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id;
    PERFORM scheduler.requeue_waiting(p_users);
END
$$;

-- These jobs raised: back off with jitter, 30 s to 1 h of wall time, doubling; the fifth time they
-- are dead. They start from the beginning: the checkpoint may be what they failed on. Returns
-- those whose token was live, and which are dead now.
CREATE FUNCTION scheduler.fail(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_error text[]
) RETURNS TABLE (user_id uuid, dead boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT j.user_id, p.error, j.attempts >= 4 AS dead
            FROM unnest(p_users, p_tokens, p_error) p(user_id, token, error)
            JOIN scheduler.jobs j ON j.user_id = p.user_id AND j.kind = p_kind
            WHERE j.state = 'l' AND j.token = p.token
            ORDER BY j.user_id
            FOR UPDATE OF j
        )
        UPDATE scheduler.jobs j SET
            state = CASE WHEN held.dead THEN 'x' ELSE 'b' END,
            attempts = j.attempts + 1, token = j.token + 1, owner = NULL, lease_until = NULL,
            back_at = CASE WHEN NOT held.dead THEN
                clock_timestamp() + least(interval '30 seconds' * 2 ^ j.attempts, interval '1 hour')
                    * (0.75 + 0.5 * random())
                END,
            checkpoint = NULL, last_error = left(held.error, 500)
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id, held.dead;
    PERFORM scheduler.requeue_waiting(p_users);
END
$$;

ALTER FUNCTION scheduler.requeue_waiting(uuid[]) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.mark_due(uuid[], text[], smallint, timestamptz) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.hold(uuid[], smallint, bigint[]) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.checkpoint(uuid[], smallint, bigint[], bytea[], text)
    OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.complete(uuid[], smallint, bigint[], timestamptz[])
    OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.fail(uuid[], smallint, bigint[], text[]) OWNER TO eros_scheduler;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA scheduler FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scheduler.mark_due(uuid[], text[], smallint, timestamptz)
    TO eros_accounts, eros_matcher;
GRANT EXECUTE ON FUNCTION
    scheduler.hold(uuid[], smallint, bigint[]),
    scheduler.checkpoint(uuid[], smallint, bigint[], bytea[], text),
    scheduler.complete(uuid[], smallint, bigint[], timestamptz[]),
    scheduler.fail(uuid[], smallint, bigint[], text[])
    TO eros_matcher;
