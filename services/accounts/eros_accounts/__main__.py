"""The composition root: ``python -m eros_accounts``."""

from __future__ import annotations

from importlib import resources

import uvloop

from eros.accounts.v1 import accounts_pb2_grpc
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros_accounts.config import AccountsSettings
from eros_accounts.domain.common_passwords import CommonPasswords
from eros_accounts.housekeeping import Housekeeping
from eros_accounts.keyring import KeyRing
from eros_accounts.leaving import Leaving
from eros_accounts.passwords import Argon2Passwords
from eros_accounts.profiles import Profiles
from eros_accounts.servicer import AccountsServicer
from eros_accounts.shortcut import ShortProfiles
from eros_accounts.signin import SignIn
from eros_accounts.store_cache import ValkeyProfileCache
from eros_accounts.store_database import Database
from eros_accounts.store_drops import PostgresCacheDrops
from eros_accounts.store_leaving import PostgresLeaving
from eros_accounts.store_profiles import PostgresProfiles
from eros_accounts.store_sessions import PostgresSessions
from eros_accounts.store_throttle import ValkeyThrottle
from eros_accounts.store_traces import Traces
from eros_common import postgres
from eros_common.auth import Revocations
from eros_common.cache_reads import CacheReads
from eros_common.config import SettingsFault
from eros_common.lifecycle import App, main
from eros_common.postgres_drops import OwedDrops
from eros_common.redis import open_redis
from eros_common.shielded import Shield


async def compose(app: App[AccountsSettings]) -> None:
    """Wires the service."""
    settings, clock = app.settings, app.clock
    try:
        keys = KeyRing(settings.signing_keys_dir, clock, settings.signing_key_settle_seconds)
    except ValueError as error:
        raise SettingsFault([f"EROS_SIGNING_KEYS_DIR: {error}"]) from None
    app.user_keys = keys.verifying
    app.background("accounts.keys", keys.watch)

    pool = await app.enter(
        postgres.open_pool(
            settings.database_url,
            role="eros_accounts",
            app=app.name,
            size=settings.database_pool_size,
            ready=postgres.READY,
            leaves_nothing=True,
        )
    )
    database = Database(pool)
    cache_redis = await app.enter(
        open_redis(
            settings.cache_redis_url,
            app=app.name,
            timeout_seconds=settings.cache_timeout_seconds,
            retries=0,
        )
    )
    reads = CacheReads(cache_redis, clock)
    cache = ValkeyProfileCache(cache_redis, clock, reads, PostgresCacheDrops(database))
    owed = OwedDrops(
        pool, "accounts.cache_drops", cache.drop_owed, clock, settings.cache_drop_seconds
    )
    app.background("accounts.cache", cache.run)
    app.background("accounts.cache_reads", reads.run)
    activity_redis = await app.enter(open_redis(settings.activity_redis_url, app=app.name))
    passwords = await app.enter(
        Argon2Passwords.open(
            settings.hash_cost, threads=settings.hash_threads, queue=settings.hash_queue
        )
    )

    shield = Shield()
    # After the server has stopped, before what the work needs is closed.
    app.stack.push_async_callback(shield.settle)
    sign_in = SignIn(
        PostgresSessions(database),
        passwords,
        keys,
        Revocations(activity_redis, clock=clock),
        settings.lifetimes,
        clock,
        shield,
        ValkeyThrottle(activity_redis, settings.throttling),
        CommonPasswords((resources.files("eros_accounts") / "common_passwords.txt").read_text()),
    )
    activity = ActivityServiceStub(app.channel(settings.activity_address, "activity"))
    leaving = Leaving(
        PostgresLeaving(database),
        Traces(cache, cache_redis, activity),
        sign_in,
        clock,
        shield,
        settings.lifetimes,
    )
    housekeeping = Housekeeping(sign_in, leaving, clock)
    app.background("accounts.erase", housekeeping.erase)
    app.background("accounts.announce", housekeeping.announce)
    app.background("accounts.cache_drops", owed.run)
    app.background("accounts.sweep", housekeeping.sweep)
    profiles = Profiles(PostgresProfiles(database), cache, clock, shield)
    app.serve(
        accounts_pb2_grpc.add_AccountsServiceServicer_to_server,
        AccountsServicer(sign_in, profiles, leaving, keys),
    )
    app.serve_reads(settings.reads_listen, ShortProfiles(profiles).by_method())


if __name__ == "__main__":
    # Of a read from the cache asyncio's own loop is a fifth of the cost.
    main("accounts", AccountsSettings, compose, loop=uvloop.new_event_loop)
