-- What others call of the scheduler, and only that: each defined once, each checking fences.
-- Locks are always taken in the order (user_id, kind), or not waited for: no deadlocks.

-- Rows that are locked are written by where they are (ctid): looked for once, not twice. That is right
-- in a later statement of the same function only: its snapshot sees what the lock has waited for.

-- What is leased is looked up person by person (LATERAL, which a lock keeps from being planned as a
-- join), in the small index of leases: a plan made while little is leased would else read all of it.

-- Milliseconds of wall time since then. Without a search path of its own it becomes part of whatever
-- calls it; a call a row would cost more than the row.
CREATE FUNCTION scheduler.ms_since(p_at timestamptz) RETURNS integer
LANGUAGE sql
AS $$
    SELECT least(extract(epoch FROM pg_catalog.clock_timestamp() - p_at) * 1000, 2147483647)::integer;
$$;

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
-- A new person's prepare is not due before a match is done.
CREATE FUNCTION scheduler.mark_due(
    p_users uuid[], p_zones text[], p_kind smallint, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- A save marks one person, and to plan this for one took four times as long as to do it. The plan
-- that is kept is of rows by their key, though it may be made while the table is nearly empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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

-- Locks these jobs until the transaction ends; returns those whose token is still live.
CREATE FUNCTION scheduler.hold(p_users uuid[], p_kind smallint, p_tokens bigint[])
RETURNS TABLE (user_id uuid, token bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT h.user_id, h.token
        FROM (
            SELECT * FROM unnest(p_users, p_tokens) p(user_id, token) ORDER BY p.user_id
        ) p CROSS JOIN LATERAL (
            SELECT j.user_id, j.token FROM scheduler.jobs j
            WHERE j.user_id = p.user_id AND j.state = 'l' AND j.kind = p_kind
                AND j.token = p.token
            FOR UPDATE
        ) h;
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
DECLARE
    rows tid[];
    users uuid[];
    tokens bigint[];
    kept bytea[];
    took integer[];
    who text;
BEGIN
    SELECT array_agg(h.ctid), array_agg(h.user_id), array_agg(h.token), array_agg(p.checkpoint),
        array_agg(scheduler.ms_since(h.leased_at)), max(h.owner)
    INTO rows, users, tokens, kept, took, who
    FROM (
        SELECT * FROM unnest(p_users, p_tokens, p_checkpoints) p(user_id, token, checkpoint)
        ORDER BY p.user_id
    ) p CROSS JOIN LATERAL (
        SELECT j.ctid, j.user_id, j.token, j.leased_at, j.owner FROM scheduler.jobs j
        WHERE j.user_id = p.user_id AND j.state = 'l' AND j.kind = p_kind AND j.token = p.token
        FOR UPDATE
    ) h;
    IF rows IS NOT NULL THEN
        UPDATE scheduler.jobs j SET
            state = 'q', token = j.token + 1, owner = NULL, lease_until = NULL,
            checkpoint = coalesce(h.checkpoint, j.checkpoint), last_halt = p_reason
        FROM unnest(rows, kept) h(at, checkpoint) WHERE j.ctid = h.at;
        INSERT INTO scheduler.audit (event, kind, worker, why, users, tokens, ms, bytes)
            SELECT 2, p_kind, who, p_reason, users, tokens, took,
                array_agg(coalesce(octet_length(k.checkpoint), 0) ORDER BY k.number)
            FROM unnest(kept) WITH ORDINALITY k(checkpoint, number);
    END IF;
    PERFORM scheduler.requeue_waiting(p_users);
    RETURN QUERY SELECT h.user_id, h.token + 1 FROM unnest(users, tokens) h(user_id, token);
END
$$;

-- Where to go on with these jobs: what is stored, of those whose token is live and that have been
-- somewhere. Nothing is locked: what a row is fenced for meanwhile keeps nothing.
CREATE FUNCTION scheduler.checkpoints(p_users uuid[], p_kind smallint, p_tokens bigint[])
RETURNS TABLE (user_id uuid, checkpoint bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT p.user_id, c.checkpoint
        FROM unnest(p_users, p_tokens) p(user_id, token) CROSS JOIN LATERAL (
            SELECT j.checkpoint FROM scheduler.jobs j
            WHERE j.user_id = p.user_id AND j.state = 'l' AND j.kind = p_kind
                AND j.token = p.token AND j.checkpoint IS NOT NULL
            -- As a lock does: keeps it from being planned as a join.
            OFFSET 0
        ) c;
END
$$;

-- These jobs are done: due again at p_due_at (night clock), prepare when the next match is done.
-- A match that is done makes prepare due. Returns those whose token was live. Locks: the rows of
-- p_kind in order, then those of prepare in the same order of people; whoever holds one of those
-- without the match before it holds it for prepare alone, in that order too.
-- Whether the window counts for a person depends on their last match alone, not on analyze or score.
CREATE FUNCTION scheduler.complete(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_due_at timestamptz[]
) RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    rows tid[];
    users uuid[];
    tokens bigint[];
    due timestamptz[];
    claimed timestamptz[];
    took integer[];
    who text;
    next_rows tid[];
    next_due timestamptz[];
BEGIN
    SELECT array_agg(h.ctid), array_agg(h.user_id), array_agg(h.token), array_agg(p.due_at),
        array_agg(h.claimed_at), array_agg(scheduler.ms_since(h.leased_at)), max(h.owner)
    INTO rows, users, tokens, due, claimed, took, who
    FROM (
        SELECT * FROM unnest(p_users, p_tokens, p_due_at) p(user_id, token, due_at)
        ORDER BY p.user_id
    ) p CROSS JOIN LATERAL (
        SELECT j.ctid, j.user_id, j.token, j.claimed_at, j.leased_at, j.owner
        FROM scheduler.jobs j
        WHERE j.user_id = p.user_id AND j.state = 'l' AND j.kind = p_kind AND j.token = p.token
        FOR UPDATE
    ) h;
    IF rows IS NOT NULL THEN
        UPDATE scheduler.jobs j SET
            state = 'q', attempts = 0, owner = NULL, lease_until = NULL, checkpoint = NULL,
            last_error = NULL,
            due_at = CASE WHEN p_kind = 4 THEN 'infinity' ELSE h.due_at END,
            solo_at = CASE
                WHEN p_kind IN (3, 4) THEN j.claimed_at + interval '24 hours' ELSE j.solo_at
                END
        FROM unnest(rows, due) h(at, due_at) WHERE j.ctid = h.at;
        INSERT INTO scheduler.audit (event, kind, worker, users, tokens, ms)
            VALUES (3, p_kind, who, users, tokens, took);
    END IF;
    IF p_kind = 3 THEN
        SELECT array_agg(k.ctid), array_agg(m.claimed_at) INTO next_rows, next_due
        -- In the order in which the matches were locked.
        FROM unnest(users, claimed) m(user_id, claimed_at) CROSS JOIN LATERAL (
            SELECT k.ctid FROM scheduler.jobs k
            WHERE k.user_id = m.user_id AND k.kind = 4 AND k.due_at > m.claimed_at
            FOR UPDATE
        ) k;
        UPDATE scheduler.jobs k SET due_at = r.at
        FROM unnest(next_rows, next_due) r(row, at) WHERE k.ctid = r.row;
    END IF;
    PERFORM scheduler.requeue_waiting(p_users);
    RETURN QUERY SELECT h.user_id FROM unnest(users) h(user_id);
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
DECLARE
    rows tid[];
    users uuid[];
    tokens bigint[];
    died boolean[];
    wrong text[];
    took integer[];
    who text;
BEGIN
    SELECT array_agg(h.ctid), array_agg(h.user_id), array_agg(h.token), array_agg(h.dead),
        array_agg(left(p.error, 500)), array_agg(scheduler.ms_since(h.leased_at)), max(h.owner)
    INTO rows, users, tokens, died, wrong, took, who
    FROM (
        SELECT * FROM unnest(p_users, p_tokens, p_error) p(user_id, token, error)
        ORDER BY p.user_id
    ) p CROSS JOIN LATERAL (
        SELECT j.ctid, j.user_id, j.token, j.attempts >= 4 AS dead, j.leased_at, j.owner
        FROM scheduler.jobs j
        WHERE j.user_id = p.user_id AND j.state = 'l' AND j.kind = p_kind AND j.token = p.token
        FOR UPDATE
    ) h;
    IF rows IS NOT NULL THEN
        UPDATE scheduler.jobs j SET
            state = CASE WHEN h.dead THEN 'x' ELSE 'b' END,
            attempts = j.attempts + 1, token = j.token + 1, owner = NULL, lease_until = NULL,
            back_at = CASE WHEN NOT h.dead THEN
                clock_timestamp() + least(interval '30 seconds' * 2 ^ j.attempts, interval '1 hour')
                    * (0.75 + 0.5 * random())
                END,
            checkpoint = NULL, last_error = h.error
        FROM unnest(rows, died, wrong) h(at, dead, error) WHERE j.ctid = h.at;
        INSERT INTO scheduler.audit (event, kind, worker, users, tokens, ms, errors)
            VALUES (4, p_kind, who, users, tokens, took, wrong);
    END IF;
    PERFORM scheduler.requeue_waiting(p_users);
    RETURN QUERY SELECT f.user_id, f.dead FROM unnest(users, died) f(user_id, dead);
END
$$;

-- A learner: one row, for ever, in no zone: its window is open wherever one is. It always rests, and
-- the window always counts.
-- Its id is its number in 16 bytes, which no person has: theirs are random.
CREATE FUNCTION scheduler.add_learner(p_learner smallint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO scheduler.zones (zone) VALUES ('*') ON CONFLICT DO NOTHING;
    INSERT INTO scheduler.jobs (
        user_id, kind, zone, due_at, asleep_since, rested_at, seen_at, solo_at
    ) VALUES (
        lpad(to_hex(p_learner::integer), 32, '0')::uuid, 5, '*', to_timestamp(0), to_timestamp(0),
        to_timestamp(0), 'infinity', 'infinity'
    ) ON CONFLICT DO NOTHING;
$$;

ALTER FUNCTION scheduler.ms_since(timestamptz) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.requeue_waiting(uuid[]) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.mark_due(uuid[], text[], smallint, timestamptz) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.hold(uuid[], smallint, bigint[]) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.checkpoint(uuid[], smallint, bigint[], bytea[], text)
    OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.checkpoints(uuid[], smallint, bigint[]) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.complete(uuid[], smallint, bigint[], timestamptz[])
    OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.fail(uuid[], smallint, bigint[], text[]) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.add_learner(smallint) OWNER TO eros_scheduler;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA scheduler FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scheduler.mark_due(uuid[], text[], smallint, timestamptz)
    TO eros_accounts, eros_matcher;
GRANT EXECUTE ON FUNCTION
    scheduler.hold(uuid[], smallint, bigint[]),
    scheduler.checkpoint(uuid[], smallint, bigint[], bytea[], text),
    scheduler.checkpoints(uuid[], smallint, bigint[]),
    scheduler.complete(uuid[], smallint, bigint[], timestamptz[]),
    scheduler.fail(uuid[], smallint, bigint[], text[])
    TO eros_matcher;

-- The model of matching.
DO $$ BEGIN PERFORM scheduler.add_learner(0::smallint); END $$;
