"""The SQL of what people look at: counts, job rows, halts."""

from __future__ import annotations

from typing import Final

KIND_COUNTS: Final = """
SELECT k.kind,
    (SELECT count(*) FROM scheduler.jobs j
     WHERE j.kind = k.kind AND j.state = 'q' AND j.rested_at IS NOT NULL
         AND greatest(j.due_at, j.rested_at, j.solo_at) <= $1)
    + (SELECT count(*) FROM unnest($2::text[], $3::smallint[]) z(zone, cap)
       JOIN scheduler.jobs j ON j.kind = k.kind AND j.zone = z.zone
           AND j.state = 'q' AND j.rested_at IS NOT NULL
           AND greatest(j.due_at, j.rested_at) <= $1 AND j.solo_at > $1
       WHERE z.cap >= k.phase) AS ready,
    (SELECT count(*) FROM scheduler.jobs j WHERE j.state = 'l' AND j.kind = k.kind) AS running,
    (SELECT count(*) FROM scheduler.jobs j WHERE j.state = 'x' AND j.kind = k.kind) AS dead,
    least(
        (SELECT min(greatest(j.due_at, j.rested_at, j.solo_at)) FROM scheduler.jobs j
         WHERE j.kind = k.kind AND j.state = 'q' AND j.rested_at IS NOT NULL
             AND greatest(j.due_at, j.rested_at, j.solo_at) <= $1),
        (SELECT min(o.ripe_at) FROM unnest($2::text[], $3::smallint[]) z(zone, cap)
         CROSS JOIN LATERAL (
             SELECT greatest(j.due_at, j.rested_at) AS ripe_at FROM scheduler.jobs j
             WHERE j.kind = k.kind AND j.zone = z.zone AND j.state = 'q'
                 AND j.rested_at IS NOT NULL AND greatest(j.due_at, j.rested_at) <= $1
             ORDER BY greatest(j.due_at, j.rested_at) LIMIT 1
         ) o
         WHERE z.cap >= k.phase)
    ) AS oldest
FROM unnest($4::smallint[], $5::smallint[]) k(kind, phase)
"""
"""$1 night, $2 zones, $3 their caps, $4 kinds, $5 their phases."""

DAY: Final = """
SELECT count(*) FILTER (WHERE done OR slept) AS people, count(*) FILTER (WHERE done) AS ready
FROM scheduler.jobs j JOIN unnest($2::text[], $3::timestamptz[]) z(zone, over_at) USING (zone)
CROSS JOIN LATERAL (
    SELECT j.due_at > $1 AS done,
        j.due_at <= z.over_at AND (j.rested_at <= z.over_at OR j.seen_at >= z.over_at) AS slept
) d
WHERE j.kind = 3
"""
"""$1 night, $2 zones where it is day, $3 when their nights ended.

Slept, and was not matched: has been idle long enough since before the end, or was first heard of
after it. Whoever was up until then, came to EROS after it or was not seen for weeks did not."""

SLEEPERS: Final = """
WITH asleep AS (
    SELECT zone, rested_at, asleep_since, solo_at FROM scheduler.jobs
    WHERE kind = 3 AND state = 'q' AND rested_at IS NOT NULL
    UNION ALL
    SELECT zone, rested_at, asleep_since, solo_at FROM scheduler.jobs
    WHERE kind = 3 AND state = 'l' AND rested_at IS NOT NULL
    UNION ALL
    SELECT zone, rested_at, asleep_since, solo_at FROM scheduler.jobs
    WHERE kind = 3 AND back_at IS NOT NULL AND rested_at IS NOT NULL
    UNION ALL
    SELECT zone, rested_at, asleep_since, solo_at FROM scheduler.jobs
    WHERE kind = 3 AND state = 'x' AND rested_at IS NOT NULL
)
SELECT phase, count(*) AS people
FROM asleep a LEFT JOIN unnest($2::text[], $3::smallint[]) z(zone, cap) USING (zone)
CROSS JOIN LATERAL (
    SELECT count(*)::smallint AS idle FROM unnest($4::float8[]) s
    WHERE a.asleep_since + s * interval '1 second' <= $1
) i
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.solo_at <= $1 THEN i.idle ELSE least(i.idle, coalesce(z.cap, 0)) END AS phase
) p
GROUP BY phase
"""
"""$1 night, $2 zones, $3 their caps, $4 idle seconds of the phases. A branch a partial index."""

ROWS_ROUGHLY: Final = """
SELECT reltuples::float8 FROM pg_catalog.pg_class WHERE oid = 'scheduler.jobs'::regclass
"""

ASLEEP_SHARE: Final = """
SELECT coalesce(avg((asleep_since IS NOT NULL)::int), 0)::float8
FROM scheduler.jobs TABLESAMPLE SYSTEM ($1) WHERE kind = 3
"""
"""$1 the share of the table's pages to look at, percent."""

JOBS: Final = """
SELECT user_id, kind, state, nullif(due_at, 'infinity') AS due_at, asleep_since, lease_until,
    owner, attempts, last_error, zone, token, checkpoint IS NOT NULL AS has_checkpoint,
    rested_at, nullif(solo_at, 'infinity') AS solo_at, back_at, last_halt
FROM scheduler.jobs
WHERE {where}
ORDER BY user_id, kind
LIMIT $1
"""
"""$1 limit. A state is written out, so that its partial index is found."""

APPEND_HALTS: Final = """
INSERT INTO scheduler.halts (
    user_id, kind, reason, worker, touched_at, event_at, dispatched_at, received_at, durable_at,
    left_at, killed
)
SELECT p.user_id, p.kind, p.reason, p.worker, to_timestamp(p.touched_at), to_timestamp(p.event_at),
    to_timestamp(p.dispatched_at), to_timestamp(p.received_at), to_timestamp(p.durable_at),
    to_timestamp(p.left_at), p.killed
FROM unnest(
    $1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::float8[], $6::float8[],
    $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::boolean[]
) p(
    user_id, kind, reason, worker, touched_at, event_at, dispatched_at, received_at, durable_at,
    left_at, killed
)
"""

LATEST_HALTS: Final = """
SELECT user_id, kind, reason, worker, touched_at, event_at, dispatched_at, received_at, durable_at,
    left_at, killed
FROM scheduler.halts
WHERE $1::uuid IS NULL OR user_id = $1
ORDER BY id DESC
LIMIT $2
"""
"""$1 user or NULL, $2 limit."""
