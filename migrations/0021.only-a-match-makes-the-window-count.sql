-- Whether the window counts for a person depends on their last match alone. Completing analyze or
-- score said so too, so that whoever had no match waited with the next score for the window, and with
-- the match behind it.

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
                WHEN p_kind IN (3, 4) THEN j.claimed_at + interval '24 hours' ELSE j.solo_at
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
