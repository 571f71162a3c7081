-- Matcher: what is computed of people, whom they are shown, what they think of each other.
-- Written and read by the role eros_matcher alone.

-- A model is one row. Published ones are served, the newest first.
CREATE TABLE matcher.models (
    version integer PRIMARY KEY CHECK (version > 0),
    -- Names the code that reads the body.
    kind text NOT NULL,
    body bytea NOT NULL,
    -- Of the body: what was cut short or altered is not used.
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    seed bigint NOT NULL,
    -- Nothing newer than this was learned from.
    data_cutoff timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    published_at timestamptz
);

-- What decides whether two people can meet at all, as of their last analysis.
CREATE TABLE matcher.features (
    user_id uuid PRIMARY KEY,
    -- False: age, gender or whom they seek is missing, or the account is gone.
    in_market boolean NOT NULL,
    -- IANA name; empty: the configured default.
    zone text NOT NULL,
    birth_year smallint,
    -- 1 female, 2 male, 4 nonbinary; `seeks` is a mask of them.
    gender smallint CHECK (gender IN (1, 2, 4)),
    seeks smallint CHECK (seeks BETWEEN 0 AND 7),
    -- Years; open bounds are 18 and 120.
    age_min smallint NOT NULL,
    age_max smallint NOT NULL,
    -- Degrees, WGS 84.
    lat double precision,
    lon double precision,
    -- Kilometres; NULL: anywhere.
    max_km double precision,
    -- As the person wrote them, and the 64-bit hashes that are compared.
    interests text[] NOT NULL,
    tokens bytea NOT NULL,
    -- The transaction that wrote the row: a market file knows which ones it has seen.
    written xid8 NOT NULL DEFAULT pg_current_xact_id(),
    updated_at timestamptz NOT NULL,
    CHECK (NOT in_market
        OR (birth_year IS NOT NULL AND gender IS NOT NULL AND seeks IS NOT NULL AND seeks > 0)),
    CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE INDEX features_written ON matcher.features (written);
-- The preview's way to people when nobody nearby was active lately.
CREATE INDEX features_market ON matcher.features (gender, birth_year) WHERE in_market;

-- Apart from features, so that the next model's can be made while this one's are served.
CREATE TABLE matcher.vectors (
    model_version integer NOT NULL REFERENCES matcher.models,
    user_id uuid NOT NULL REFERENCES matcher.features ON DELETE CASCADE,
    -- float32, little endian: taste, trait, selectivity, popularity.
    vector bytea NOT NULL CHECK (octet_length(vector) % 8 = 0),
    PRIMARY KEY (model_version, user_id)
);
-- Floats do not compress.
ALTER TABLE matcher.vectors ALTER COLUMN vector SET STORAGE EXTERNAL;

-- Daily lists: the current one and the history. A list is replaced as a whole.
CREATE TABLE matcher.matches (
    user_id uuid NOT NULL,
    -- The local date on which the person's window ends.
    list_date date NOT NULL,
    other_id uuid NOT NULL CHECK (other_id <> user_id),
    -- From 1, the best.
    rank smallint NOT NULL,
    match_id uuid NOT NULL,
    -- 1 score, 2 match, 3 preview.
    source smallint NOT NULL CHECK (source BETWEEN 1 AND 3),
    -- How likely both say yes.
    score real NOT NULL CHECK (score BETWEEN 0 AND 1),
    -- Whole kilometres; NULL: unknown.
    distance_km integer,
    reasons text[] NOT NULL,
    model_version integer NOT NULL,
    market_version text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, list_date, other_id)
);

-- People beyond the daily list: one row a list, because there are fifty of them.
CREATE TABLE matcher.recommendations (
    user_id uuid NOT NULL,
    list_date date NOT NULL,
    source smallint NOT NULL CHECK (source BETWEEN 1 AND 3),
    -- The best first; one entry a person in each.
    others uuid[] NOT NULL,
    scores real[] NOT NULL,
    distances integer[] NOT NULL,
    -- Sentences, a line each.
    reasons text[] NOT NULL,
    model_version integer NOT NULL,
    market_version text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, list_date)
);

-- What was found of a person's whole search under a model, so that the next one under the same model
-- asks only these and whoever changed since (services/matcher/eros_matcher/domain/kept.py).
CREATE TABLE matcher.kept (
    user_id uuid PRIMARY KEY,
    model_version integer NOT NULL,
    -- What this transaction and later ones wrote may be unknown to the search.
    since xid8 NOT NULL,
    -- Whoever fits and is not in `others` is worth at most this; -1: nobody else fits.
    floor real NOT NULL,
    -- A digest of what of the person was compared.
    seeker bytea NOT NULL CHECK (octet_length(seeker) = 16),
    others uuid[] NOT NULL
);

-- All that was ever done with a match. Append-only: models learn from it up to a cutoff.
CREATE TABLE matcher.actions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid NOT NULL,
    other_id uuid NOT NULL,
    match_id uuid NOT NULL,
    -- 1 like, 2 skip, 3 view, 4 report.
    action smallint NOT NULL CHECK (action BETWEEN 1 AND 4),
    -- Wall clock.
    at timestamptz NOT NULL
);
CREATE INDEX actions_pair ON matcher.actions (user_id, other_id);

-- What a person thinks of another now. A view is no decision.
CREATE TABLE matcher.decisions (
    user_id uuid NOT NULL,
    other_id uuid NOT NULL,
    action smallint NOT NULL CHECK (action IN (1, 2, 4)),
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, other_id)
);
-- Who skipped me will not like me: no use in showing them.
CREATE INDEX decisions_skipped ON matcher.decisions (other_id) WHERE action = 2;

-- Pairs that never see each other again, in both directions.
CREATE TABLE matcher.hidden (
    user_id uuid NOT NULL,
    other_id uuid NOT NULL,
    -- 1 report, 2 block.
    reason smallint NOT NULL CHECK (reason IN (1, 2)),
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, other_id)
);

-- People whose cached lists could not be deleted, because the cache did not answer.
CREATE TABLE matcher.cache_drops (
    user_id uuid PRIMARY KEY
);

GRANT SELECT, INSERT, UPDATE ON matcher.models TO eros_matcher;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    matcher.features, matcher.vectors, matcher.matches, matcher.recommendations,
    matcher.decisions, matcher.hidden, matcher.cache_drops, matcher.kept
    TO eros_matcher;
GRANT SELECT, INSERT ON matcher.actions TO eros_matcher;
