-- Assistant: what people asked and were told. Written and read by the role eros_assistant alone;
-- deleted with the account by assistant.forget, which accounts calls.

DO $$
BEGIN
    -- As in 0001: it may be there already.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'eros_assistant') THEN
        BEGIN
            CREATE ROLE eros_assistant NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'eros_assistant', 'SET') THEN
        EXECUTE format('GRANT eros_assistant TO %I', current_user);
    END IF;
END
$$;

CREATE SCHEMA assistant AUTHORIZATION eros_assistant;

CREATE TABLE assistant.conversations (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    -- The number of the newest message. Whoever adds one raises it first: the row's lock is what
    -- puts requests at the same time in an order.
    last_number integer NOT NULL DEFAULT 0 CHECK (last_number >= 0),
    -- Raised by every change, so that a slow reader cannot cache an older state.
    revision integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX conversations_user ON assistant.conversations (user_id, updated_at DESC);

-- Odd numbers are the person's messages, the even one after it is the answer to it.
CREATE TABLE assistant.messages (
    conversation_id uuid NOT NULL REFERENCES assistant.conversations ON DELETE CASCADE,
    number integer NOT NULL CHECK (number > 0),
    text text NOT NULL,
    -- Of answers only.
    intent text CHECK ((intent IS NULL) = (number % 2 = 1)),
    actions jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, number)
);

-- Tokens of the language model that a person used on a day (UTC).
CREATE TABLE assistant.model_use (
    user_id uuid NOT NULL,
    day date NOT NULL,
    tokens integer NOT NULL CHECK (tokens >= 0),
    PRIMARY KEY (user_id, day)
);
CREATE INDEX model_use_day ON assistant.model_use (day);

-- Cached conversations that could not be deleted yet; the nil id means what was prepared by night.
CREATE TABLE assistant.cache_drops (
    user_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
);

-- Everything of these people goes, in the caller's transaction; the assistant takes the cached
-- copies away within seconds. Returns how many conversations there were.
CREATE FUNCTION assistant.forget(p_users uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone integer;
BEGIN
    DELETE FROM assistant.model_use WHERE user_id = ANY (p_users);
    WITH deleted AS (
        DELETE FROM assistant.conversations WHERE user_id = ANY (p_users)
        RETURNING user_id, id
    ), noted AS (
        INSERT INTO assistant.cache_drops
        SELECT user_id, id FROM deleted
        UNION SELECT unnest(p_users), '00000000-0000-0000-0000-000000000000'
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO gone FROM deleted;
    RETURN gone;
END
$$;

-- All that is kept of a person, for their export: conversations with their messages, oldest first.
CREATE FUNCTION assistant.export(p_user uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'conversationId', c.id,
        'createdAt', c.created_at,
        'messages', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'role', CASE WHEN m.number % 2 = 1 THEN 'user' ELSE 'assistant' END,
                'text', m.text,
                'createdAt', m.created_at
            ) ORDER BY m.number), '[]')
            FROM assistant.messages m WHERE m.conversation_id = c.id
        )
    ) ORDER BY c.created_at, c.id), '[]')
    FROM assistant.conversations c WHERE c.user_id = p_user
$$;

ALTER FUNCTION assistant.forget(uuid[]) OWNER TO eros_assistant;
ALTER FUNCTION assistant.export(uuid) OWNER TO eros_assistant;
REVOKE EXECUTE ON FUNCTION assistant.forget(uuid[]), assistant.export(uuid) FROM PUBLIC;
GRANT USAGE ON SCHEMA assistant TO eros_accounts;
GRANT EXECUTE ON FUNCTION assistant.forget(uuid[]), assistant.export(uuid) TO eros_accounts;

-- A conversation begins only where there still is an account.
GRANT USAGE ON SCHEMA accounts TO eros_assistant;
GRANT EXECUTE ON FUNCTION accounts.hold_user(uuid) TO eros_assistant;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    assistant.conversations, assistant.messages, assistant.model_use, assistant.cache_drops
    TO eros_assistant;
