-- Two further kinds of job. prepare (4) is a person's: due once a night, by the completion of their
-- match. learn (5) is nobody's: a row per learner, under the same fences as everything else.

-- Existing people get the row that new ones get: asleep as their match is, due when it is done.
INSERT INTO scheduler.jobs (
    user_id, kind, zone, due_at, asleep_since, rested_at, seen_at, solo_at
)
    SELECT user_id, 4, zone, 'infinity', asleep_since, rested_at, seen_at, solo_at
    FROM scheduler.jobs WHERE kind = 3
    ON CONFLICT DO NOTHING;

-- As before, with prepare among the kinds that people have; until a match is done it is not due.
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

-- These jobs are done: due again at p_due_at (night clock), prepare when the next match is done.
-- A match that is done makes prepare due. Returns those whose token was live. Locks: the rows of
-- p_kind in order, then those of prepare in the same order of people; whoever holds one of those
-- without the match before it holds it for prepare alone, in that order too.
CREATE OR REPLACE FUNCTION scheduler.complete(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_due_at timestamptz[]
) RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    done uuid[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT j.user_id, p.due_at
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
                WHEN p_kind = 5 THEN j.solo_at ELSE j.claimed_at + interval '24 hours'
                END
        FROM held WHERE j.user_id = held.user_id AND j.kind = p_kind
        RETURNING j.user_id
    )
    SELECT coalesce(array_agg(c.user_id), '{}') INTO done FROM completed c;
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

-- A learner: one row, for ever, in the default zone. It always rests, and the window always counts.
-- Its id is its number in 16 bytes, which no person has: theirs are random.
CREATE FUNCTION scheduler.add_learner(p_learner smallint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO scheduler.zones (zone) VALUES ('') ON CONFLICT DO NOTHING;
    INSERT INTO scheduler.jobs (
        user_id, kind, zone, due_at, asleep_since, rested_at, seen_at, solo_at
    ) VALUES (
        lpad(to_hex(p_learner::integer), 32, '0')::uuid, 5, '', to_timestamp(0), to_timestamp(0),
        to_timestamp(0), 'infinity', 'infinity'
    ) ON CONFLICT DO NOTHING;
$$;
ALTER FUNCTION scheduler.add_learner(smallint) OWNER TO eros_scheduler;
REVOKE EXECUTE ON FUNCTION scheduler.add_learner(smallint) FROM PUBLIC;

-- The model of matching.
DO $$ BEGIN PERFORM scheduler.add_learner(0::smallint); END $$;
