-- One schema a service, owned by a role of its own. Services connect as one login and take their
-- role, so a service can touch another's tables only through functions that the owner publishes.

-- Roles belong to the whole server: another database on it may have made them already, or whoever
-- keeps the server; only where one is missing must our login be allowed to make it.
DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['eros_accounts', 'eros_scheduler', 'eros_matcher'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', service);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;
            END;
        END IF;
        IF NOT pg_has_role(current_user, service, 'SET') THEN
            EXECUTE format('GRANT %I TO %I', service, current_user);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA accounts AUTHORIZATION eros_accounts;

CREATE SCHEMA scheduler AUTHORIZATION eros_scheduler;

CREATE SCHEMA matcher AUTHORIZATION eros_matcher;
