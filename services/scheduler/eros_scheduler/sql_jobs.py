"""The SQL of claims, leases and sleep. What others call is published in the migrations.

Locks are taken in the order (user_id, kind), or not waited for.
"""

from __future__ import annotations

from typing import Final

CLAIM: Final = """
WITH solo AS MATERIALIZED (
    SELECT j.ctid AS at, j.user_id FROM scheduler.jobs j
    WHERE j.kind = $1 AND j.state = 'q' AND j.rested_at IS NOT NULL
        AND greatest(j.due_at, j.rested_at, j.solo_at) <= $3
    ORDER BY greatest(j.due_at, j.rested_at, j.solo_at)
    LIMIT $4
    FOR UPDATE OF j SKIP LOCKED
), windowed AS MATERIALIZED (
    SELECT c.at, c.user_id
    FROM unnest($2::text[]) z(zone) CROSS JOIN LATERAL (
        SELECT j.ctid AS at, j.user_id FROM scheduler.jobs j
        WHERE j.kind = $1 AND j.zone = z.zone AND j.state = 'q' AND j.rested_at IS NOT NULL
            AND greatest(j.due_at, j.rested_at) <= $3 AND j.solo_at > $3
        ORDER BY greatest(j.due_at, j.rested_at)
        LIMIT $4
        FOR UPDATE OF j SKIP LOCKED
    ) c
    LIMIT $4 - (SELECT count(*) FROM solo)
), met AS MATERIALIZED (
    SELECT p.at, p.user_id, p.looked_up, (
        SELECT true FROM scheduler.jobs e WHERE e.user_id = p.user_id AND e.state = 'l'
    ) AS working
    FROM (
        SELECT at, user_id, $1 < 3 AS looked_up FROM solo
        UNION ALL
        SELECT at, user_id, false FROM windowed
    ) p
), picked AS MATERIALIZED (
    SELECT p.at, p.working, coalesce(p.working, $1 > 1 AND (
        SELECT true FROM scheduler.jobs e
        WHERE e.user_id = p.user_id AND e.kind < $1 AND e.due_at <= $3 AND e.state <> 'x'
        LIMIT 1
    ), false) AS blocked, CASE WHEN p.looked_up THEN (
        SELECT m.solo_at FROM scheduler.jobs m
        WHERE m.user_id = p.user_id AND m.kind = 3 AND m.solo_at > $3
    ) END AS solo_at
    FROM met p
), outdated AS (
    UPDATE scheduler.jobs j SET solo_at = p.solo_at
    FROM picked p WHERE p.solo_at IS NOT NULL AND j.ctid = p.at
    RETURNING 1
), aside AS (
    UPDATE scheduler.jobs j SET
        state = 'w', back_at = clock_timestamp() + interval '60 seconds'
    FROM picked p WHERE p.blocked AND p.solo_at IS NULL AND j.ctid = p.at
    RETURNING j.user_id, p.working
), leased AS (
    UPDATE scheduler.jobs j SET
        state = 'l', owner = $5,
        token = greatest(j.token + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
        claimed_at = $3, leased_at = now(),
        lease_until = clock_timestamp() + $6 * interval '1 second'
    FROM picked p WHERE NOT p.blocked AND p.solo_at IS NULL AND j.ctid = p.at
    RETURNING j.user_id, j.kind, j.token, j.zone, j.solo_at, j.checkpoint, j.lease_until
), noted AS (
    INSERT INTO scheduler.audit (event, kind, worker, users, tokens)
    SELECT 1, $1, $5, array_agg(user_id), array_agg(token) FROM leased HAVING count(*) > 0
)
SELECT *, false AS awake, 0 AS aside, NULL::uuid[] AS behind FROM leased
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    (SELECT count(*) FROM aside) + (SELECT count(*) FROM outdated),
    (SELECT array_agg(user_id) FROM aside WHERE working)
"""
"""$1 kind, $2 open zones, $3 night, $4 limit, $5 owner, $6 lease seconds.

Each scan reads one range of one index, in order, until it has enough: whatever is not ripe lies
beyond its end. Rows that met another kind of their person are set aside, and come back after a
minute at the latest. Rows that learned before their person's match that the window does not count
learn that it does, unless they follow the match. The last row counts both, and names whom another
kind of theirs is being worked on for: `BEHIND` is to be asked of these.

Whether a row is blocked is asked row by row, in subqueries that are values: for EXISTS a plan may
make a hash of all that is leased. A locked row is written by where it is (ctid). One that changed
between the snapshot and the lock is not found there, and is left for the next claim.

Nobody waits until a claim is on disk, so a server that dies may forget the last ones, fences
included. A fence is therefore the time, in microseconds, where that is more than the last one and
one: the next claim of a row never has the number of one that was forgotten.
"""

BEHIND: Final = """
WITH waiting AS MATERIALIZED (
    SELECT w.at, w.user_id FROM unnest($2::uuid[]) u(user_id) CROSS JOIN LATERAL (
        SELECT j.ctid AS at, j.user_id FROM scheduler.jobs j
        WHERE j.user_id = u.user_id AND j.kind = $1 AND j.state = 'w'
        FOR UPDATE SKIP LOCKED
    ) w
), ahead AS MATERIALIZED (
    SELECT w.at FROM waiting w CROSS JOIN LATERAL (
        SELECT FROM scheduler.jobs e WHERE e.user_id = w.user_id AND e.state = 'l'
        FOR KEY SHARE SKIP LOCKED
    ) e
)
UPDATE scheduler.jobs j SET back_at = least(j.back_at, clock_timestamp() + interval '1 second')
FROM waiting w WHERE j.ctid = w.at AND NOT EXISTS (SELECT FROM ahead a WHERE a.at = w.at)
"""
"""$1 kind, $2 users whose rows of it a claim has just set aside.

Whoever ends the other kind's lease brings back what waits, but cannot see what a claim has not
committed yet: had it begun by then, the row would wait for its minute. So this is asked after the
claim. A leased row that can be locked is not being ended, and whoever does so later sees what
waits. One that cannot, or is leased no more, is: look again in a second.
"""

SWEEP: Final = """
SELECT (
    SELECT count(*) FROM (
        SELECT FROM scheduler.jobs j
        WHERE j.kind = $1 AND j.state = 'q' AND j.rested_at IS NOT NULL
        ORDER BY greatest(j.due_at, j.rested_at, j.solo_at)
        LIMIT 1
    ) s
) + (
    SELECT count(*) FROM unnest($2::text[]) z(zone) CROSS JOIN LATERAL (
        SELECT FROM scheduler.jobs j
        WHERE j.kind = $1 AND j.zone = z.zone AND j.state = 'q' AND j.rested_at IS NOT NULL
        ORDER BY greatest(j.due_at, j.rested_at)
        LIMIT 1
    ) w
)
"""
"""$1 kind, $2 zones. Walks over what is dead at the head of a claim's indexes, up to the first row
that is not, and marks it so in the index: the next walk steps over it. Locks nothing."""

RENEW: Final = """
WITH held AS MATERIALIZED (
    SELECT h.user_id, h.kind
    FROM (
        SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[]) p(user_id, kind, token)
        ORDER BY p.user_id, p.kind
    ) p CROSS JOIN LATERAL (
        SELECT j.user_id, j.kind FROM scheduler.jobs j
        WHERE j.user_id = p.user_id AND j.state = 'l' AND j.kind = p.kind AND j.token = p.token
        FOR UPDATE
    ) h
)
UPDATE scheduler.jobs j SET lease_until = clock_timestamp() + $4 * interval '1 second'
FROM held WHERE j.user_id = held.user_id AND j.kind = held.kind
RETURNING j.user_id, j.kind, j.token, j.zone, j.solo_at, NULL::bytea AS checkpoint,
    j.lease_until, j.asleep_since IS NULL AS awake
"""
"""$1 users, $2 kinds, $3 tokens, $4 lease seconds."""

RELEASE: Final = """
SELECT scheduler.checkpoint(
    $1::uuid[], $2::smallint, $3::bigint[], array_fill(NULL::bytea, ARRAY[cardinality($1)]),
    'released'
)
"""
"""$1 users, $2 kind, $3 tokens."""

FALL_ASLEEP: Final = """
WITH news AS MATERIALIZED (
    SELECT j.user_id, j.kind, p.at, r.rested_at
    FROM unnest($1::uuid[], $2::timestamptz[]) p(user_id, at)
    JOIN scheduler.jobs j USING (user_id)
    CROSS JOIN LATERAL (
        SELECT p.at + ($3::float8[])[j.kind] * interval '1 second' AS rested_at
    ) r
    WHERE j.seen_at <= p.at
        AND (j.asleep_since, j.rested_at) IS DISTINCT FROM (p.at, r.rested_at)
    ORDER BY j.user_id, j.kind
    FOR UPDATE OF j
)
UPDATE scheduler.jobs j SET
    asleep_since = news.at, seen_at = news.at, rested_at = news.rested_at, solo_at = m.solo_at
FROM news JOIN scheduler.jobs m ON m.user_id = news.user_id AND m.kind = 3
WHERE j.user_id = news.user_id AND j.kind = news.kind
"""
"""$1 users, $2 last interactions, $3 idle seconds by kind."""

WAKE: Final = """
WITH news AS MATERIALIZED (
    SELECT j.user_id, j.kind, p.at
    FROM unnest($1::uuid[], $2::timestamptz[]) p(user_id, at)
    JOIN scheduler.jobs j USING (user_id)
    WHERE j.seen_at < p.at
    ORDER BY j.user_id, j.kind
    FOR UPDATE OF j
)
UPDATE scheduler.jobs j SET asleep_since = NULL, rested_at = NULL, seen_at = news.at
FROM news WHERE j.user_id = news.user_id AND j.kind = news.kind
"""
"""$1 users, $2 touches."""

LEASED_OF: Final = """
SELECT user_id, kind, token, owner FROM scheduler.jobs
WHERE state = 'l' AND user_id = ANY ($1::uuid[])
"""

SNAPSHOT: Final = "CREATE TEMPORARY TABLE sleepers (user_id uuid)"
SNAPSHOT_OVER: Final = "DROP TABLE IF EXISTS pg_temp.sleepers"

WAKE_OTHERS: Final = """
WITH others AS MATERIALIZED (
    SELECT j.user_id, j.kind FROM scheduler.jobs j
    WHERE j.asleep_since IS NOT NULL AND j.kind <> 5
        AND NOT EXISTS (SELECT FROM pg_temp.sleepers s WHERE s.user_id = j.user_id)
    ORDER BY j.user_id, j.kind
    FOR UPDATE OF j
), woken AS (
    UPDATE scheduler.jobs j SET
        asleep_since = NULL, rested_at = NULL,
        seen_at = CASE
            WHEN j.asleep_since <= $1
            THEN greatest(j.seen_at, j.asleep_since + interval '1 microsecond')
            ELSE j.seen_at
            END
    FROM others WHERE j.user_id = others.user_id AND j.kind = others.kind
    RETURNING j.user_id, j.kind, j.token, j.owner, j.state
)
SELECT user_id, kind, token, owner FROM woken WHERE state = 'l'
"""
"""$1: whoever was seen last by then and is not among the sleepers was seen since (see `ports.py`):
the news that they fell asleep then, still under way somewhere, is outdated."""

UNHEARD: Final = """
SELECT user_id FROM scheduler.jobs WHERE kind = 3 AND asleep_since IS NULL AND seen_at < $1
"""

TAKE_EXPIRED: Final = """
WITH expired AS MATERIALIZED (
    SELECT user_id, kind, token, owner FROM scheduler.jobs
    WHERE state = 'l' AND lease_until <= now()
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE scheduler.jobs j SET
        state = 'q', token = j.token + 1, owner = NULL, lease_until = NULL, last_halt = 'expired'
    FROM expired e WHERE j.user_id = e.user_id AND j.kind = e.kind
    RETURNING e.user_id, e.kind, e.token, e.owner, j.leased_at
), noted AS (
    INSERT INTO scheduler.audit (event, kind, worker, users, tokens, ms)
    SELECT 5, kind, owner, array_agg(user_id), array_agg(token),
        array_agg(scheduler.ms_since(leased_at))
    FROM taken GROUP BY kind, owner
)
SELECT user_id, kind, token, owner FROM taken
"""

REQUEUE_WAITING: Final = "SELECT scheduler.requeue_waiting($1::uuid[])"

BRING_BACK: Final = """
WITH back AS MATERIALIZED (
    SELECT user_id, kind FROM scheduler.jobs
    WHERE state IN ('w', 'b') AND back_at <= now()
    ORDER BY back_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE scheduler.jobs j SET state = 'q', back_at = NULL
FROM back WHERE j.user_id = back.user_id AND j.kind = back.kind
"""

RETRY: Final = """
WITH stuck AS MATERIALIZED (
    SELECT user_id, kind FROM scheduler.jobs
    WHERE state IN ('b', 'x')
        AND ($1::uuid IS NULL OR user_id = $1) AND ($2::smallint IS NULL OR kind = $2)
    ORDER BY user_id, kind
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), retried AS (
    UPDATE scheduler.jobs j SET state = 'q', attempts = 0, back_at = NULL
    FROM stuck s WHERE j.user_id = s.user_id AND j.kind = s.kind
    RETURNING j.user_id, j.kind, j.token
), noted AS (
    INSERT INTO scheduler.audit (event, kind, users, tokens)
    SELECT 7, kind, array_agg(user_id), array_agg(token) FROM retried GROUP BY kind
)
SELECT count(*) FROM retried
"""
"""$1 user or NULL, $2 kind or NULL, $3 limit."""

CANCEL: Final = """
WITH held AS MATERIALIZED (
    SELECT user_id, kind, token, owner, leased_at FROM scheduler.jobs
    WHERE user_id = $1 AND ($2::smallint IS NULL OR kind = $2) AND state <> 'x'
    ORDER BY user_id, kind
    FOR UPDATE
), cancelled AS (
    UPDATE scheduler.jobs j SET
        state = 'x', token = j.token + 1, owner = NULL, lease_until = NULL, back_at = NULL,
        checkpoint = NULL, last_error = $3
    FROM held h WHERE j.user_id = h.user_id AND j.kind = h.kind
    RETURNING h.user_id, h.kind, h.token, h.owner, h.leased_at
), noted AS (
    INSERT INTO scheduler.audit (event, kind, worker, why, users, tokens, ms)
    SELECT 8, kind, owner, $3, ARRAY[user_id], ARRAY[token],
        ARRAY[CASE WHEN owner IS NOT NULL THEN scheduler.ms_since(leased_at) END]
    FROM cancelled
)
SELECT user_id, kind, token, owner FROM cancelled
"""
"""$1 user, $2 kind or NULL, $3 why."""

ZONES: Final = "SELECT zone FROM scheduler.zones"
