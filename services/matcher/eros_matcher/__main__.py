"""The matcher's API: the only place that wires it."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import uvloop
from threadpoolctl import threadpool_limits

from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros.activity.v1.activity_pb2 import ListRecentlyActiveRequest
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros.matcher.v1.matcher_pb2_grpc import add_MatcherServiceServicer_to_server
from eros_common import idempotency, logging, postgres
from eros_common.cache_reads import CacheReads
from eros_common.errors import from_rpc_error
from eros_common.ids import UserId, user_id_from_bytes
from eros_common.lifecycle import App, main
from eros_common.postgres_drops import OwedDrops
from eros_common.redis import open_redis
from eros_matcher import store_cache
from eros_matcher.accounts import AccountsProfiles
from eros_matcher.config import MatcherSettings
from eros_matcher.preview import Previews
from eros_matcher.reading import Reading
from eros_matcher.recent import RecentPeople
from eros_matcher.relations import Relations
from eros_matcher.servicer import MatcherServicer
from eros_matcher.shortcut import ShortLists
from eros_matcher.store_actions import PostgresActions
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.store_erasures import PostgresErasures
from eros_matcher.store_features import PostgresFeatures
from eros_matcher.store_jobs import mark_match_due
from eros_matcher.store_lists import PostgresLists
from eros_matcher.store_models import NoModelError, PostgresModels
from eros_matcher.store_relations import PostgresRelations

log = logging.get("matcher")


async def compose(app: App[MatcherSettings]) -> None:
    settings, clock = app.settings, app.clock
    # One request, one small product: threads would only get in each other's way.
    threadpool_limits(limits=1)
    pool = await app.enter(
        postgres.open_pool(
            settings.database_url,
            app="matcher",
            role="eros_matcher",
            size=settings.database_pool_size,
            ready=postgres.READY,
            leaves_nothing=True,
        )
    )
    cache_redis = await app.enter(
        open_redis(
            settings.cache_redis_url,
            app="matcher",
            timeout_seconds=store_cache.TIMEOUT_SECONDS,
            retries=0,
        )
    )
    reads = CacheReads(cache_redis, clock)
    cache = ValkeyLists(cache_redis, reads)
    accounts = AccountsServiceStub(app.channel(settings.accounts_address, "accounts"))
    activity = ActivityServiceStub(app.channel(settings.activity_address, "activity"))

    async def recent(limit: int) -> Iterable[UserId]:
        try:
            response = await activity.ListRecentlyActive(ListRecentlyActiveRequest(limit=limit))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        # One after the other, as they are used: all at once are 5 ms of the loop.
        return map(user_id_from_bytes, response.user_ids)

    lists = PostgresLists(pool)
    models = PostgresModels(pool)
    actions = PostgresActions(pool, cache)
    erasures = PostgresErasures(pool, cache)
    features = PostgresFeatures(pool)
    profiles = AccountsProfiles(accounts)
    people = RecentPeople(
        records=features,
        profiles=profiles.of,
        models=models,
        recent=recent,
        clock=clock,
        renew_seconds=settings.preview_renew_seconds,
    )
    previews = Previews(
        people=people,
        features=features,
        lists=lists,
        queue=lambda user, zone: mark_match_due(pool, user, zone, clock.night()),
        clock=clock,
        matches_a_day=settings.matches_a_day,
        renew_seconds=settings.preview_renew_seconds,
    )
    reading = Reading(
        lists=lists,
        cache=cache,
        profiles=profiles,
        previews=previews,
        clock=clock,
        window=settings.window,
        default_zone=settings.default_time_zone,
    )
    relations = Relations(PostgresRelations(pool, cache), profiles, clock)

    async def refresh_previews() -> None:
        while True:
            await clock.sleep(settings.preview_refresh_seconds)
            try:
                await people.refresh()
            except (*postgres.AWAY, NoModelError) as error:
                log.warning("previews_stay", error=repr(error))

    async def forget() -> None:
        # Not with owed drops: a walk over all that is stored may take minutes.
        while True:
            await clock.sleep(settings.cache_drop_seconds)
            try:
                await erasures.sweep()
                await erasures.forget()
                await actions.forget_answers(clock.wall() - idempotency.KEPT)
            except postgres.AWAY as error:
                log.warning("erasures_wait", error=repr(error))

    async def warm() -> None:
        await models.ensure_first(clock.wall())
        await people.refresh()

    app.on_warm(warm)
    app.background("matcher.previews", refresh_previews)
    owed = OwedDrops(
        pool, "matcher.cache_drops", cache.drop_owed, clock, settings.cache_drop_seconds
    )
    app.background("matcher.cache_drops", owed.run)
    app.background("matcher.erasures", forget)
    app.background("matcher.cache_reads", reads.run)
    app.serve(
        add_MatcherServiceServicer_to_server,
        MatcherServicer(reading, actions, relations, clock),
    )
    app.serve_reads(settings.reads_listen, ShortLists(reading).by_method())


if __name__ == "__main__":
    # Of a read from the cache asyncio's own loop is a fifth of the cost.
    main("matcher", MatcherSettings, compose, loop=uvloop.new_event_loop)
