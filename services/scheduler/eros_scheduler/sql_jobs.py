"""The SQL of leases and sleep. What others call is published in the migrations.

Locks are taken in the order (user_id, kind), or not waited for.
"""

from __future__ import annotations

from typing import Final

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
RETURNING j.user_id, j.kind, j.token, j.zone, j.solo_at, j.lease_until,
    j.asleep_since IS NULL AS awake
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
    SELECT j.user_id, j.kind FROM (
        SELECT m.user_id FROM scheduler.jobs m
        WHERE m.kind = 3 AND m.asleep_since IS NOT NULL
            AND NOT EXISTS (SELECT FROM pg_temp.sleepers s WHERE s.user_id = m.user_id)
    ) p JOIN scheduler.jobs j USING (user_id)
    WHERE j.asleep_since IS NOT NULL
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
the news that they fell asleep then, still under way somewhere, is outdated. Who sleeps is asked of
one row of theirs, as all of them say the same: of all rows it is a walk along the key, and takes
ten times as long."""

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
    WHERE back_at <= now()
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
