-- Scheduler: what is worked on, for whom, and when it stops. One row per (person, kind), for ever.
-- Written by the role eros_scheduler; others cross by the functions below, and only by them.

CREATE TABLE scheduler.jobs (
    user_id uuid NOT NULL,
    -- 1 analyze, 2 score, 3 match, 4 prepare (due once a night, by the completion of the match): a
    -- row each of every person. 5 learn: nobody's, a row a learner, under the same fences.
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
    -- The fence. Raised by every claim, checkpoint, failure and takeover; never lowered. No claim
    -- gives out a number twice, even if the server dies and forgets the first: it is the time then.
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
    -- When the lease began, for how long things take.
    leased_at timestamptz,
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
-- Not by their state: then who waits could be looked for in here too, and is, from end to end, once
-- an ANALYZE had none of those few rows in its sample and takes the index for empty.
CREATE INDEX jobs_aside ON scheduler.jobs (back_at) WHERE back_at IS NOT NULL;
-- Of whom something waits is asked with every result.
CREATE INDEX jobs_waiting ON scheduler.jobs (user_id) WHERE state = 'w';
CREATE INDEX jobs_dead ON scheduler.jobs (kind) WHERE state = 'x';

-- Every zone a job row ever had: what a claim goes through.
CREATE TABLE scheduler.zones (zone text PRIMARY KEY);

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

-- Every halt with its legs, wall clock. Written in batches, never changed.
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

GRANT USAGE, CREATE ON SCHEMA scheduler TO eros_scheduler;
GRANT SELECT, INSERT, UPDATE, DELETE ON scheduler.jobs, scheduler.zones TO eros_scheduler;
GRANT SELECT, INSERT ON scheduler.audit, scheduler.halts TO eros_scheduler;
GRANT USAGE ON SEQUENCE scheduler.halt_ids TO eros_scheduler;
GRANT USAGE ON SCHEMA scheduler TO eros_accounts, eros_matcher;

-- The partitions of today and the next days. Attaching holds nobody up who writes; it does wait for
-- whoever reads the rest, such as a backup, and gives up. What was written of a day before its
-- partition was there is moved to it: begun again after days, there may be such rows. The owner is
-- whoever owns the tables, so that the role that appends cannot change what is appended.
CREATE FUNCTION scheduler.keep_partitions(p_days_ahead integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
AS $$
DECLARE
    parent text;
    child text;
    day timestamp;
    since timestamptz;
    until timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('scheduler.partitions'));
    FOREACH parent IN ARRAY ARRAY['audit', 'halts'] LOOP
        FOR ahead IN 0..p_days_ahead LOOP
            day := date_trunc('day', now() AT TIME ZONE 'UTC') + ahead * interval '1 day';
            child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
            CONTINUE WHEN to_regclass('scheduler.' || child) IS NOT NULL;
            since := day AT TIME ZONE 'UTC';
            until := (day + interval '1 day') AT TIME ZONE 'UTC';
            EXECUTE format(
                'CREATE TABLE scheduler.%I (LIKE scheduler.%I INCLUDING ALL)', child, parent
            );
            EXECUTE format('LOCK TABLE scheduler.%I IN ACCESS EXCLUSIVE MODE', parent || '_rest');
            EXECUTE format(
                'WITH early AS (DELETE FROM scheduler.%1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *)
                 INSERT INTO scheduler.%5$I SELECT * FROM early',
                parent || '_rest', CASE parent WHEN 'audit' THEN 'at' ELSE 'event_at' END,
                since, until, child
            );
            EXECUTE format(
                'ALTER TABLE scheduler.%I ATTACH PARTITION scheduler.%I FOR VALUES FROM (%L) TO (%L)',
                parent, child, since, until
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
