-- Leaving for good, what may be taken along, and who must not see whom.
--
-- Each schema that holds something of people publishes two functions, and accounts finds them by
-- name: forget(p_users uuid[]) removes all of it, in the transaction that deletes the account;
-- export(p_user uuid) tells all of it.

CREATE TABLE accounts.erasures (
    user_id uuid PRIMARY KEY,
    -- Wall clock.
    requested_at timestamptz NOT NULL,
    -- Sessions that ended with the account, to be told to every service.
    sids text[] NOT NULL,
    -- An admin's are told for longer: as long as a sign-in to the console holds.
    is_admin boolean NOT NULL,
    -- When its traces outside PostgreSQL were last removed. Done again and again until no answer to
    -- a request of the person can still be under way.
    swept_at timestamptz
);

-- A registration that is repeated with the same key is answered as the first was.
CREATE TABLE accounts.registrations (
    key_hash bytea PRIMARY KEY CHECK (octet_length(key_hash) = 32),
    user_id uuid NOT NULL REFERENCES accounts.users ON DELETE CASCADE,
    -- SHA-256 of what was asked for.
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    created_at timestamptz NOT NULL
);
CREATE INDEX registrations_user ON accounts.registrations (user_id);
CREATE INDEX registrations_age ON accounts.registrations (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts.erasures, accounts.registrations TO eros_accounts;

CREATE FUNCTION accounts.export(p_user uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'account', (
            SELECT jsonb_build_object('userId', u.id, 'email', u.email, 'roles', u.roles,
                'source', u.source, 'createdAt', u.created_at)
            FROM accounts.users u WHERE u.id = p_user
        ),
        'profile', (SELECT to_jsonb(p) - 'user_id' - 'version' FROM accounts.profiles p
            WHERE p.user_id = p_user),
        'sessions', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('createdAt', s.created_at,
                'expiresAt', s.expires_at, 'endedAt', s.revoked_at) ORDER BY s.created_at), '[]')
            FROM accounts.sessions s WHERE s.user_id = p_user
        )
    )
$$;

-- Whether there is such an account, which then stays until the transaction ends: whoever deletes it
-- waits, and finds what was written of the person. For schemas that write of people by their tokens.
CREATE FUNCTION accounts.hold_user(p_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM accounts.users u WHERE u.id = p_user FOR KEY SHARE;
    RETURN FOUND;
END
$$;

-- ---- scheduler

-- The log of halts is append-only for the scheduler, as matcher.actions is for the matcher; this is the
-- tables' owner's. The rows go, and with them the fences: whatever is computed for these people is never stored.
CREATE FUNCTION scheduler.forget(p_users uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone integer;
BEGIN
    PERFORM 1 FROM scheduler.jobs WHERE user_id = ANY (p_users) ORDER BY user_id, kind FOR UPDATE;
    DELETE FROM scheduler.jobs WHERE user_id = ANY (p_users);
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM scheduler.halts WHERE user_id = ANY (p_users);
    RETURN gone;
END
$$;

CREATE FUNCTION scheduler.export(p_user uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('jobs', coalesce(jsonb_agg(jsonb_build_object(
        'kind', j.kind, 'state', j.state, 'dueAt', j.due_at, 'asleepSince', j.asleep_since,
        'seenAt', nullif(j.seen_at, '-infinity'), 'zone', j.zone) ORDER BY j.kind), '[]'))
    FROM scheduler.jobs j WHERE j.user_id = p_user
$$;

-- mark_due for whoever does not know the zones: the rows have them.
CREATE FUNCTION scheduler.mark_due(p_users uuid[], p_kind smallint, p_now timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT scheduler.mark_due(array_agg(j.user_id), array_agg(j.zone), p_kind, p_now)
    FROM scheduler.jobs j WHERE j.user_id = ANY (p_users) AND j.kind = p_kind
    HAVING count(*) > 0
$$;

-- ---- matcher

-- Who blocked whom; what follows from it for both is in matcher.hidden.
CREATE TABLE matcher.blocks (
    user_id uuid NOT NULL,
    other_id uuid NOT NULL CHECK (other_id <> user_id),
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, other_id)
);

-- People whose own rows are gone, while others' lists may still name them.
CREATE TABLE matcher.erasures (
    user_id uuid PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When others' lists were looked through; done twice, for lists that were being made meanwhile.
    swept_at timestamptz,
    -- When that was done for the second time. The row stays until every market file without the
    -- person has long taken the place of those with them.
    finished_at timestamptz
);
CREATE INDEX erasures_due ON matcher.erasures (swept_at) WHERE finished_at IS NULL;

-- Answers to actions that came with a key, for a day.
CREATE TABLE matcher.answered (
    user_id uuid NOT NULL,
    key_hash bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    action smallint NOT NULL CHECK (action BETWEEN 1 AND 4),
    mutual boolean NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key_hash)
);
CREATE INDEX answered_age ON matcher.answered (at);

GRANT SELECT, INSERT, UPDATE, DELETE ON matcher.blocks, matcher.erasures, matcher.answered
    TO eros_matcher;
GRANT USAGE, CREATE ON SCHEMA matcher TO eros_matcher;
GRANT USAGE ON SCHEMA matcher TO eros_accounts;

-- What a person has here goes at once. Of features an empty row stays for a month, by which market
-- files learn that somebody left. Others' lists are cleaned by the matcher, which finds matcher.erasures.
CREATE FUNCTION matcher.forget(p_users uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone integer;
BEGIN
    -- As whoever changes lists does first (eros_matcher.store_locks): nobody writes or copies any
    -- of these people while their rows go, and nobody waits for a row that is held here.
    PERFORM pg_advisory_xact_lock(k.key) FROM (
        SELECT DISTINCT ('x' || left(replace(u.id::text, '-', ''), 16))::bit(64)::bigint AS key
        FROM unnest(p_users) u(id) ORDER BY key
    ) k;
    DELETE FROM matcher.vectors WHERE user_id = ANY (p_users);
    UPDATE matcher.features SET
        in_market = false, zone = '', birth_year = NULL, gender = NULL, seeks = NULL, age_min = 18,
        age_max = 120, lat = NULL, lon = NULL, max_km = NULL, interests = '{}', tokens = '',
        photos = 0, words = 0,
        written = pg_current_xact_id(), updated_at = clock_timestamp()
    WHERE user_id = ANY (p_users);
    DELETE FROM matcher.matches WHERE user_id = ANY (p_users);
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM matcher.recommendations WHERE user_id = ANY (p_users);
    DELETE FROM matcher.kept WHERE user_id = ANY (p_users);
    DELETE FROM matcher.decisions WHERE user_id = ANY (p_users);
    DELETE FROM matcher.actions WHERE user_id = ANY (p_users);
    DELETE FROM matcher.answered WHERE user_id = ANY (p_users);
    DELETE FROM matcher.blocks WHERE user_id = ANY (p_users);
    -- Hidden pairs are there in both directions.
    DELETE FROM matcher.hidden h USING matcher.hidden mine
    WHERE mine.user_id = ANY (p_users) AND h.user_id = mine.other_id AND h.other_id = mine.user_id;
    DELETE FROM matcher.hidden WHERE user_id = ANY (p_users);
    INSERT INTO matcher.erasures (user_id) SELECT unnest(p_users) ON CONFLICT DO NOTHING;
    INSERT INTO matcher.cache_drops (user_id) SELECT unnest(p_users) ON CONFLICT DO NOTHING;
    RETURN gone;
END
$$;

-- matcher.actions is append-only for the matcher; but for people who left. Owned by the owner of the
-- tables, as matcher.forget is.
CREATE FUNCTION matcher.forget_actions_with(p_users uuid[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM matcher.actions a USING matcher.erasures e
    WHERE a.other_id = ANY (p_users) AND e.user_id = a.other_id
$$;

CREATE FUNCTION matcher.export(p_user uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'features', (
            SELECT to_jsonb(f) - 'user_id' - 'tokens' - 'written' FROM matcher.features f
            WHERE f.user_id = p_user
        ),
        'matches', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('date', m.list_date, 'userId', m.other_id,
                'rank', m.rank, 'score', m.score, 'reasons', m.reasons)
                ORDER BY m.list_date, m.rank), '[]')
            FROM matcher.matches m WHERE m.user_id = p_user
        ),
        'actions', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('userId', a.other_id, 'at', a.at, 'action',
                (ARRAY['like', 'skip', 'view', 'report'])[a.action]) ORDER BY a.id), '[]')
            FROM matcher.actions a WHERE a.user_id = p_user
        ),
        'blocks', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('userId', b.other_id, 'at', b.at)
                ORDER BY b.at), '[]')
            FROM matcher.blocks b WHERE b.user_id = p_user
        )
    )
$$;

-- Whether these two must not see each other.
CREATE FUNCTION matcher.is_hidden(p_user uuid, p_other uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM matcher.hidden h WHERE h.user_id = p_user AND h.other_id = p_other
    )
$$;

-- Locks people's lists together with others who copy them, until the transaction ends, and looks
-- then: each statement in here sees what was committed before it began, so what was changed before
-- the locks were free. Rows of kind 1 and 2 name the newest daily list and recommendations of each
-- that are dated p_since or later; those of kind 3 whom of p_of and p_others, which are pairs, the
-- first must not be shown any more. Lists are known by their date and when they were made.
CREATE FUNCTION matcher.hold_lists(
    p_keys bigint[], p_users uuid[], p_since date, p_of uuid[], p_others uuid[]
) RETURNS TABLE (kind integer, user_id uuid, list_date date, created_at timestamptz, other_id uuid)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(k.key) FROM unnest(p_keys) k(key);
    RETURN QUERY
    SELECT 1, u.user_id, newest.list_date, newest.created_at, NULL::uuid
    FROM unnest(p_users) u(user_id)
    CROSS JOIN LATERAL (
        SELECT n.list_date, n.created_at FROM matcher.matches n
        WHERE n.user_id = u.user_id AND n.list_date >= p_since
        ORDER BY n.list_date DESC LIMIT 1
    ) newest
    UNION ALL
    SELECT 2, u.user_id, newest.list_date, newest.created_at, NULL
    FROM unnest(p_users) u(user_id)
    CROSS JOIN LATERAL (
        SELECT r.list_date, r.created_at FROM matcher.recommendations r
        WHERE r.user_id = u.user_id AND r.list_date >= p_since
        ORDER BY r.list_date DESC LIMIT 1
    ) newest
    UNION ALL
    SELECT 3, p.user_id, NULL, NULL, p.other_id
    FROM unnest(p_of, p_others) p(user_id, other_id)
    WHERE EXISTS (
            SELECT FROM matcher.hidden h
            WHERE h.user_id = p.user_id AND h.other_id = p.other_id
        ) OR EXISTS (
            SELECT FROM matcher.decisions d
            WHERE d.user_id = p.user_id AND d.other_id = p.other_id
        ) OR EXISTS (SELECT FROM matcher.erasures e WHERE e.user_id = p.other_id);
END
$$;

ALTER FUNCTION accounts.export(uuid) OWNER TO eros_accounts;
ALTER FUNCTION accounts.hold_user(uuid) OWNER TO eros_accounts;
ALTER FUNCTION scheduler.export(uuid) OWNER TO eros_scheduler;
ALTER FUNCTION scheduler.mark_due(uuid[], smallint, timestamptz) OWNER TO eros_scheduler;
ALTER FUNCTION matcher.export(uuid) OWNER TO eros_matcher;
ALTER FUNCTION matcher.is_hidden(uuid, uuid) OWNER TO eros_matcher;

REVOKE EXECUTE ON FUNCTION
    accounts.export(uuid), accounts.hold_user(uuid), scheduler.forget(uuid[]),
    scheduler.export(uuid), scheduler.mark_due(uuid[], smallint, timestamptz), matcher.forget(uuid[]),
    matcher.export(uuid), matcher.is_hidden(uuid, uuid), matcher.forget_actions_with(uuid[]),
    matcher.hold_lists(bigint[], uuid[], date, uuid[], uuid[])
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    accounts.export(uuid), scheduler.forget(uuid[]), scheduler.export(uuid), matcher.forget(uuid[]),
    matcher.export(uuid), matcher.is_hidden(uuid, uuid)
    TO eros_accounts;
GRANT EXECUTE ON FUNCTION
    scheduler.mark_due(uuid[], smallint, timestamptz), matcher.forget_actions_with(uuid[]),
    matcher.hold_lists(bigint[], uuid[], date, uuid[], uuid[])
    TO eros_matcher;
