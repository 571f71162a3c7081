-- A night's rows of 300 people in every schema, for backups. Leases end by the functions that services
-- call, which write the audit.
CREATE TEMP TABLE people AS SELECT n, gen_random_uuid() AS who FROM generate_series(1, 300) n;
INSERT INTO accounts.users (id, email, password_hash, created_at)
    SELECT who, n || '@example.org', '$argon2id$' || n, now() FROM people;
INSERT INTO accounts.profiles (user_id, name, bio, photos, birth_year, gender, seeks, lat, lon, updated_at)
    SELECT who, 'Zoë ' || n, E'a "quoted"\n\t', ARRAY['https://a/' || n], 1990, 'female', '{male}',
        n / 7.0, n / 3.0, now() FROM people;
INSERT INTO accounts.sessions (sid, user_id, created_at, expires_at)
    SELECT 's' || n, who, now(), now() + interval '30 days' FROM people;
INSERT INTO accounts.refresh_tokens (token_hash, sid, expires_at)
    SELECT sha256(('t' || n)::bytea), 's' || n, now() + interval '30 days' FROM people;
INSERT INTO matcher.models (version, kind, body, sha256, seed, data_cutoff, created_at)
    SELECT 1, 'test', body, sha256(body), 1, now(), now()
    FROM (SELECT decode(repeat('00ff', 50000), 'hex') AS body);
INSERT INTO matcher.features (user_id, in_market, zone, birth_year, gender, seeks, age_min, age_max,
        interests, tokens, updated_at)
    SELECT who, true, 'Europe/Berlin', 1990, 1, 2, 18, 120, '{tea,rain}', decode('01', 'hex'), now() FROM people;
INSERT INTO matcher.vectors (model_version, user_id, vector)
    SELECT 1, who, decode(repeat(lpad(to_hex(n), 8, '0'), 8), 'hex') FROM people;
INSERT INTO matcher.matches
    SELECT p.who, current_date, q.who, 1 + q.n % 10, gen_random_uuid(), 2, q.n / 300.0, q.n, '{Both like tea.}',
        1, 'm1', now()
    FROM people p JOIN people q ON q.n % 30 = p.n % 30 AND q.n <> p.n;
INSERT INTO matcher.recommendations
    SELECT who, current_date, 1, ARRAY[gen_random_uuid()], '{0.25}', '{NULL}', '{So.}', 1, 'm1', now() FROM people;
INSERT INTO matcher.actions (user_id, other_id, match_id, action, at)
    SELECT user_id, other_id, match_id, 1, now() FROM matcher.matches WHERE rank = 1;
INSERT INTO matcher.decisions SELECT user_id, other_id, action, at FROM matcher.actions;
INSERT INTO assistant.conversations (id, user_id, last_number, created_at, updated_at)
    SELECT who, who, 2, now(), now() FROM people;
INSERT INTO assistant.messages (conversation_id, number, text, intent, created_at)
    SELECT who, 1, 'Hello?', NULL, now() FROM people
    UNION ALL SELECT who, 2, 'Good day.', 'greeting', now() FROM people;
SELECT scheduler.keep_partitions(2);
SELECT scheduler.mark_due(array_agg(who), array_agg('Europe/Berlin'::text), 1::smallint, now()) FROM people;
UPDATE scheduler.jobs SET state = 'l', token = 7, owner = 'w', lease_until = now() + interval '1 hour',
    leased_at = now() WHERE kind = 1;
-- A third is halted, a third is done, the rest is still being worked on.
SELECT count(*) FROM scheduler.checkpoint(
    (SELECT array_agg(who ORDER BY n) FROM people WHERE n % 3 = 0), 1::smallint, array_fill(7::bigint, ARRAY[100]),
    (SELECT array_agg(decode(repeat('00ff', 700), 'hex')) FROM people WHERE n % 3 = 0), 'woke');
SELECT count(*) FROM scheduler.complete(
    (SELECT array_agg(who ORDER BY n) FROM people WHERE n % 3 = 1), 1::smallint, array_fill(7::bigint, ARRAY[100]),
    array_fill(now() + interval '1 day', ARRAY[100]));
INSERT INTO scheduler.halts (user_id, kind, reason, worker, event_at, dispatched_at, killed)
    SELECT who, 1, 1, 'w', now(), now(), false FROM people WHERE n % 3 = 0;
