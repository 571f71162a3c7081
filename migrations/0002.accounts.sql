-- Accounts: who people are, how they sign in, what they say about themselves.
-- Written and read by the role eros_accounts alone.

CREATE TABLE accounts.users (
    id uuid PRIMARY KEY,
    -- Lower case, so that one address is one account. NULL: imported without one.
    email text UNIQUE CHECK (email = lower(email)),
    -- argon2id in PHC form. NULL: nobody can sign in by password.
    password_hash text,
    roles text[] NOT NULL DEFAULT '{}' CHECK (roles <@ ARRAY['admin']),
    -- Where an imported account comes from and what it is called there.
    source text,
    external_id text,
    created_at timestamptz NOT NULL,
    UNIQUE (source, external_id),
    CHECK ((source IS NULL) = (external_id IS NULL))
);

-- Admins, who are few.
CREATE INDEX users_with_roles ON accounts.users (id) WHERE roles <> '{}';

-- All that a person may change, in one row: a save is one UPDATE.
CREATE TABLE accounts.profiles (
    user_id uuid PRIMARY KEY REFERENCES accounts.users ON DELETE CASCADE,
    name text NOT NULL,
    bio text NOT NULL DEFAULT '',
    photos text[] NOT NULL DEFAULT '{}',
    interests text[] NOT NULL DEFAULT '{}',
    birth_year smallint,
    gender text CHECK (gender IN ('female', 'male', 'nonbinary')),
    city text NOT NULL DEFAULT '',
    -- Degrees, WGS 84.
    lat double precision CHECK (lat BETWEEN -90 AND 90),
    lon double precision CHECK (lon BETWEEN -180 AND 180),
    -- IANA name. Empty: the configured default, whatever it is by then.
    time_zone text NOT NULL DEFAULT '',
    -- Whom the person seeks; NULL bounds are open.
    seeks text[] NOT NULL DEFAULT '{}' CHECK (seeks <@ ARRAY['female', 'male', 'nonbinary']),
    age_min smallint CHECK (age_min >= 18),
    age_max smallint CHECK (age_max >= age_min),
    max_distance_km double precision CHECK (max_distance_km > 0),
    -- Raised by every change: a cache may only be filled with the newest it has heard of.
    version bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL,
    CHECK ((lat IS NULL) = (lon IS NULL))
)
-- Room for the new version of a row on its own page: saves touch no index.
WITH (fillfactor = 85);

-- One sign-in and the family of its refresh tokens.
CREATE TABLE accounts.sessions (
    sid text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES accounts.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    -- When its newest refresh token expires; swept after that.
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoke_reason text CHECK (revoke_reason IN ('logout', 'reuse')),
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);
CREATE INDEX sessions_user ON accounts.sessions (user_id);
CREATE INDEX sessions_expiry ON accounts.sessions (expires_at);
CREATE INDEX sessions_revoked ON accounts.sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE accounts.refresh_tokens (
    -- SHA-256 of a random 256-bit token: nothing to guess, so nothing slower is needed.
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    sid text NOT NULL REFERENCES accounts.sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    -- Exchanged for the next one. Seen again after that, the whole family is revoked.
    spent_at timestamptz
);
CREATE INDEX refresh_tokens_session ON accounts.refresh_tokens (sid);
CREATE INDEX refresh_tokens_expiry ON accounts.refresh_tokens (expires_at);

-- People whose cached profile could not be dropped, because the cache did not answer, and the version
-- that it must have at least.
CREATE TABLE accounts.cache_drops (
    user_id uuid PRIMARY KEY,
    version bigint NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA accounts TO eros_accounts;
