"""SchedulerService: proto to domain and back, nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from eros.scheduler.v1 import scheduler_pb2 as pb
from eros.scheduler.v1 import work_pb2
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceServicer
from eros_common.errors import Unavailable
from eros_common.ids import UserId, user_id_from_bytes
from eros_scheduler import reports
from eros_scheduler.core.answers import LeasesTaken
from eros_scheduler.core.model import JobKind
from eros_scheduler.engine import Engine
from eros_scheduler.explaining import explain
from eros_scheduler.overview import Counting
from eros_scheduler.ports import Audit, HaltLog, JobStore, StoreUnavailableError
from eros_scheduler.work_stream import WorkStreams

DEFAULT_LIMIT = 100
DEFAULT_HISTORY = 50
DEFAULT_DAYS = 2
RETRY_MOST = 10_000


class SchedulerServicer(SchedulerServiceServicer):
    """Errors of the work stream are raised by `WorkStreams`."""

    def __init__(
        self,
        engine: Engine,
        streams: WorkStreams,
        jobs: JobStore,
        halts: HaltLog,
        audit: Audit,
        counting: Counting,
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._jobs = jobs
        self._halts = halts
        self._audit = audit
        self._counting = counting

    async def Work(
        self, request_iterator: AsyncIterator[work_pb2.WorkRequest], context: Any
    ) -> AsyncGenerator[work_pb2.WorkResponse, None]:
        async with aclosing(self._streams.serve(request_iterator)) as messages:
            async for message in messages:
                yield message

    async def GetOverview(
        self, request: pb.GetOverviewRequest, context: Any
    ) -> pb.GetOverviewResponse:
        try:
            counts = await self._counting.counts()
        except StoreUnavailableError as error:
            raise Unavailable("the job rows cannot be read now") from error
        return reports.overview(self._engine.core.state, counts, self._engine.now())

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        try:
            rows = await self._jobs.jobs(
                user_id=_user(request.user_id),
                states=reports.STATES[request.state],
                limit=request.limit or DEFAULT_LIMIT,
            )
        except StoreUnavailableError as error:
            raise Unavailable("the job rows cannot be read now") from error
        return pb.ListJobsResponse(jobs=map(reports.job, rows))

    async def ListHalts(self, request: pb.ListHaltsRequest, context: Any) -> pb.ListHaltsResponse:
        try:
            records = await self._halts.latest(
                limit=request.limit or DEFAULT_LIMIT, user_id=_user(request.user_id)
            )
        except StoreUnavailableError as error:
            raise Unavailable("the halts cannot be read now") from error
        return pb.ListHaltsResponse(halts=map(reports.halt, records))

    async def ExplainJobs(
        self, request: pb.ExplainJobsRequest, context: Any
    ) -> pb.ExplainJobsResponse:
        user_id = user_id_from_bytes(request.user_id)
        try:
            rows = await self._jobs.jobs(user_id=user_id, states=frozenset(), limit=len(JobKind))
            entries = await self._audit.of(
                user_id,
                days=request.days or DEFAULT_DAYS,
                limit=request.limit or DEFAULT_HISTORY,
            )
        except StoreUnavailableError as error:
            raise Unavailable("the job rows cannot be read now") from error
        state, now = self._engine.core.state, self._engine.now()
        return pb.ExplainJobsResponse(
            jobs=[reports.explanation(row, explain(row, rows, state, now)) for row in rows],
            history=map(reports.audit_entry, entries),
        )

    async def RetryJobs(self, request: pb.RetryJobsRequest, context: Any) -> pb.RetryJobsResponse:
        try:
            retried = await self._jobs.retry(
                user_id=_user(request.user_id), kind=_kind(request.kind), limit=RETRY_MOST
            )
        except StoreUnavailableError as error:
            raise Unavailable("the job rows cannot be written now") from error
        return pb.RetryJobsResponse(retried=retried)

    async def CancelJobs(
        self, request: pb.CancelJobsRequest, context: Any
    ) -> pb.CancelJobsResponse:
        user_id = user_id_from_bytes(request.user_id)
        why = f"cancelled: {request.reason}"
        try:
            count, leased = await self._jobs.cancel(user_id, kind=_kind(request.kind), why=why)
        except StoreUnavailableError as error:
            raise Unavailable("the job rows cannot be written now") from error
        # Fenced as if its lease had been taken over; whoever has it stops.
        self._engine.post(LeasesTaken(leased))
        return pb.CancelJobsResponse(cancelled=count)


def _kind(number: int) -> JobKind | None:
    return JobKind(number) if number else None


def _user(data: bytes) -> UserId | None:
    return user_id_from_bytes(data) if data else None
