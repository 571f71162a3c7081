"""Batches' input: profiles to analyze, or people to match and the market to match them with."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from eros_common import logging, postgres
from eros_common.clocks import Clock
from eros_common.errors import Unavailable
from eros_common.ids import UserId
from eros_common.phases import DAY
from eros_matcher.accounts import AccountsProfiles
from eros_matcher.compute.program import BatchSpec
from eros_matcher.domain.lists import BEYOND
from eros_matcher.features import model as models
from eros_matcher.features.analysis import filters_of
from eros_matcher.features.record import Record, pack
from eros_matcher.ports import StoredModel
from eros_matcher.programs import analyze, learn, match, prepare
from eros_matcher.programs.payload import pack as pack_payload
from eros_matcher.store_features import PostgresFeatures
from eros_matcher.store_kept import PostgresKept
from eros_matcher.store_lists import PostgresLists
from eros_matcher.store_models import PostgresModels
from eros_matcher.work.advising import inputs
from eros_matcher.work.helpers import HelperHangsError
from eros_matcher.work.learning import HostLearning, LearnedElsewhereError
from eros_matcher.work.markets import HostMarkets, OpenMarket
from eros_matcher.worker.jobs import JobKind, LeasedBatch, PreparedBatch
from eros_matcher.worker.store_fence import StoreUnavailableError

log = logging.get("matcher.source")

SAMPLE_TILES: Final = 6
"""What `score` looks at: about 6,000 people."""
KEEP_FROM_PEOPLE: Final = 250_000
"""In smaller markets a whole search takes less than keeping and asking again (docs/adr/0402)."""
SPARE: Final = 60
"""How many more than a night needs a search looks for and keeps, where the model stays: enough for
about five nights of ten new people."""
_STAYING: Final = 1.5
"""A model that is served for so many nights was not followed by another last night."""


@dataclass(frozen=True, slots=True)
class MatcherSource:
    """See `eros_matcher.worker.ports.BatchSource`."""

    features: PostgresFeatures
    models: PostgresModels
    kept: PostgresKept
    profiles: AccountsProfiles
    markets: HostMarkets
    lists: PostgresLists
    learning: HostLearning
    clock: Clock
    congestion_strength: float
    matches_a_day: int
    learn_every_nights: int
    keep_from_people: int

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        """Raises StoreUnavailableError, NoMarketError, NoModelError, NothingGatheredError, and
        what accounts answers but that it is not there."""
        try:
            return await self._prepare(batch)
        except (*postgres.AWAY, Unavailable, HelperHangsError, LearnedElsewhereError) as error:
            raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error

    async def _prepare(self, batch: LeasedBatch) -> PreparedBatch:
        model = await self.models.current()
        match batch.kind:
            case JobKind.ANALYZE:
                return await self._analyze(batch, model)
            case JobKind.SCORE:
                return await self._match(batch, model, daily=0, sample=SAMPLE_TILES)
            case JobKind.MATCH:
                return await self._match(batch, model, daily=self.matches_a_day, sample=None)
            case JobKind.PREPARE:
                return await self._advice(batch)
            case JobKind.LEARN:
                return await self._learn(batch, model)
            case _:
                assert_never(batch.kind)

    async def _advice(self, batch: LeasedBatch) -> PreparedBatch:
        dates = {lease.user_id: lease.list_date for lease in batch.leases}
        year = batch.night_now.year
        made = await inputs(self.lists, self.profiles, dates, year)
        return _prepared(
            list(dates),
            {user: (data,) for user, data in made.items()},
            header={"year": year},
            factory=prepare.FACTORY,
            files=(),
            snapshot_bytes=prepare.SNAPSHOT_BYTES,
            result_bytes=prepare.RESULT_BYTES,
            model_version="",
            market_version="",
        )

    async def _analyze(self, batch: LeasedBatch, model: StoredModel) -> PreparedBatch:
        users = [lease.user_id for lease in batch.leases]
        profiles = await self.profiles.of(users)
        year = batch.night_now.year
        leanings = await self.features.leanings(users, model.version)
        parts = {
            user: (profiles[user].SerializeToString(), leanings.get(user, b""))
            for user in users
            if user in profiles
        }
        return _prepared(
            users,
            parts,
            header={"model": model.body, "model_version": model.version, "year": year},
            factory=analyze.FACTORY,
            files=(),
            snapshot_bytes=analyze.SNAPSHOT_BYTES,
            result_bytes=analyze.RESULT_BYTES,
            model_version=str(model.version),
            market_version="",
        )

    async def _learn(self, batch: LeasedBatch, model: StoredModel) -> PreparedBatch:
        """One row: the model. A turn of the same night goes on with the same file."""
        (lease,) = batch.leases
        year = batch.night_now.year
        if self._stays(model):
            log.info("model_stays", version=model.version)
            return PreparedBatch(None, (), (lease.user_id,))
        # What an earlier learning left behind comes first.
        await self.learning.publish(year)
        model = await self.models.current()
        night = f"{lease.list_date:%Y%m%d}"
        gathered = await self.learning.gathered(night, model.version, year)
        log.info("learning", people=gathered.people, observations=gathered.observations)
        spec = BatchSpec(
            factory=learn.FACTORY,
            payload=pack_payload(
                {
                    "model": model.body,
                    "seed": models.SEED,
                    "strength": self.congestion_strength,
                },
                [()],
            ),
            files=(gathered.path,),
            row_versions=(gathered.digest,),
            snapshot_bytes=learn.snapshot_bytes(gathered.people, gathered.observations),
            result_bytes=learn.result_bytes(gathered.people),
            model_version=str(model.version),
            market_version=gathered.digest,
        )
        return PreparedBatch(spec, (lease.user_id,))

    async def _match(
        self, batch: LeasedBatch, model: StoredModel, *, daily: int, sample: int | None
    ) -> PreparedBatch:
        users = [lease.user_id for lease in batch.leases]
        year = batch.night_now.year
        market = await self.markets.current(model.version, year)
        people = await self._people(users, model)
        dates = {lease.user_id: lease.list_date for lease in batch.leases}
        seen = await self.features.seen({user: dates[user] for user in people})
        spare = SPARE if sample is None and self._keeps(model, market) else 0
        kept = await self.kept.of(list(people), model.version) if spare else {}
        parts = {
            user: (*who, seen[user].excluded, seen[user].shown, kept.get(user, b""))
            for user, who in people.items()
        }
        wanted = daily + BEYOND
        return _prepared(
            users,
            parts,
            header={
                "model": model.body,
                "model_version": model.version,
                "market_version": market.version,
                "year": year,
                "wanted": wanted,
                "daily": daily,
                "spare": spare,
                "sample": sample,
            },
            factory=match.FACTORY,
            files=(market.path,),
            snapshot_bytes=match.snapshot_bytes(wanted, spare),
            result_bytes=match.RESULT_BYTES,
            model_version=str(model.version),
            market_version=market.version,
        )

    def _stays(self, model: StoredModel) -> bool:
        """Whether tonight is too early for the next model. One set by hand waits for none."""
        if self.learn_every_nights == 1 or not model.model.was_learned:
            return False
        return self._nights_of(model) < self.learn_every_nights - 0.5

    def _keeps(self, model: StoredModel, market: OpenMarket) -> bool:
        """Whether it is likely that the model is still served tomorrow night, and worth it."""
        stays = self.learn_every_nights > 1 or self._nights_of(model) > _STAYING
        return stays and market.people >= self.keep_from_people

    def _nights_of(self, model: StoredModel) -> float:
        """For how many nights it has been served."""
        return (self.clock.wall() - model.published_at) * self.clock.rate / DAY

    async def _people(
        self, users: Sequence[UserId], model: StoredModel
    ) -> dict[UserId, tuple[bytes, bytes]]:
        """Each one's record, or the profile where there is no good one; not who left the market."""
        records = await self.features.records(users, model.version)
        broken = [user for user, record in records.items() if not _is_whole(record)]
        if broken:
            log.warning("broken_vectors", people=len(broken), first=str(broken[0]))
        good = {user: record for user, record in records.items() if user not in set(broken)}
        unknown = [user for user in users if user not in good]
        profiles = await self.profiles.of(unknown) if unknown else {}
        people = {user: (pack(r), b"") for user, r in good.items() if r.filters is not None}
        for user, profile in profiles.items():
            if filters_of(profile) is not None:
                people[user] = (b"", profile.SerializeToString())
        return people


def _is_whole(record: Record) -> bool:
    """Whether the vector, if there is to be one, is of this code's size, and all of it numbers."""
    if record.filters is None:
        return True
    if len(record.vector) != 4 * models.VECTOR_FLOATS:
        return False
    # A sum is finite only if all of it is.
    return math.isfinite(sum(array("f", record.vector)))


def _prepared(
    users: Sequence[UserId],
    parts: Mapping[UserId, tuple[bytes, ...]],
    *,
    header: dict[str, str | int | None],
    factory: str,
    files: tuple[Path, ...],
    snapshot_bytes: int,
    result_bytes: int,
    model_version: str,
    market_version: str,
) -> PreparedBatch:
    """The batch of those who have input; the others need no computing."""
    computed = tuple(user for user in users if user in parts)
    settled = tuple(user for user in users if user not in parts)
    if not computed:
        return PreparedBatch(None, (), settled)
    year = str(header["year"]).encode()
    spec = BatchSpec(
        factory=factory,
        payload=pack_payload(header, [parts[user] for user in computed]),
        files=files,
        row_versions=tuple(_version_of(parts[user], year) for user in computed),
        snapshot_bytes=snapshot_bytes,
        result_bytes=result_bytes,
        model_version=model_version,
        market_version=market_version,
    )
    return PreparedBatch(spec, computed, settled)


def _version_of(parts: tuple[bytes, ...], year: bytes) -> str:
    """The same for the same input of a row, in whatever batch."""
    state = hashlib.blake2b(year, digest_size=12)
    for part in parts:
        state.update(len(part).to_bytes(4, "little"))
        state.update(part)
    return state.hexdigest()
