-- Matcher: what is learned each night.

-- What a profile says besides filters and interests, so that all vectors of a new model can be made
-- without asking accounts again: photos, and characters of text (300 stand for more).
ALTER TABLE matcher.features
    ADD COLUMN photos smallint NOT NULL DEFAULT 0 CHECK (photos >= 0),
    ADD COLUMN words smallint NOT NULL DEFAULT 0 CHECK (words BETWEEN 0 AND 300);

ALTER TABLE matcher.vectors
    -- Congestion price in nats: lists are ordered by log score - price.
    ADD COLUMN price real NOT NULL DEFAULT 0 CHECK (price >= 0 AND price < 100),
    -- The person's own part of the model, float32, little endian: what behaviour says beyond the
    -- profile. NULL: nothing. It outlives a change of the profile.
    ADD COLUMN leaning bytea CHECK (octet_length(leaning) % 4 = 0);

ALTER TABLE matcher.models
    -- Everybody's own part and price, as the learner left it; removed once it is in the vectors.
    ADD COLUMN people bytea;

-- Up to when the learning of a night, from one model, reads: the same on every host that has a turn.
CREATE TABLE matcher.learnings (
    night text PRIMARY KEY,
    cutoff timestamptz NOT NULL,
    -- What the host that learns has read, and when it had its last turn.
    digest text,
    turn_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON matcher.learnings TO eros_matcher;

-- What is learned from is read in this order: each pair's last word.
CREATE INDEX actions_at ON matcher.actions (at);
