"""The SQL of claims. Locks are not waited for."""

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
    RETURNING j.user_id, j.kind, j.token, j.zone, j.solo_at, j.lease_until
), noted AS (
    INSERT INTO scheduler.audit (event, kind, worker, users, tokens)
    SELECT 1, $1, $5, array_agg(user_id), array_agg(token) FROM leased HAVING count(*) > 0
)
SELECT *, false AS awake, 0 AS aside, NULL::uuid[] AS behind FROM leased
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL,
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
one: the next claim of a row never has the number of one that was forgotten, unless the server's
clock was set back below the row's last fence just before it died.
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

ALL_ZONES: Final = "SELECT array(SELECT zone FROM scheduler.zones)"
