"""What was seen, as messages."""

from __future__ import annotations

from typing import Final

from eros.gateway.v1 import gateway_pb2 as pb
from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_gateway.front.health import Health, Look

_PHASES: Final = {
    work_pb2.JOB_KIND_ANALYZE: 1,
    work_pb2.JOB_KIND_SCORE: 2,
    work_pb2.JOB_KIND_MATCH: 3,
    work_pb2.JOB_KIND_PREPARE: 3,
    work_pb2.JOB_KIND_LEARN: 3,
}
_MEGABYTE: Final = 1_000_000


def health(source: Health, look: Look) -> pb.GetHealthResponse:
    """For everybody: which parts, not why."""
    return pb.GetHealthResponse(
        status=look.status,
        uptime=source.uptime,
        components={name: part.status.value for name, part in look.components.items()},
        metrics=_metrics(source, look),
    )


def detailed(source: Health, look: Look) -> pb.GetDetailedHealthResponse:
    """For administrators."""
    return pb.GetDetailedHealthResponse(
        status=look.status,
        uptime=source.uptime,
        components={
            name: pb.ComponentHealth(
                status=part.status, latency_ms=part.latency_ms, message=part.message
            )
            for name, part in look.components.items()
        },
        metrics=_metrics(source, look),
        cache=_cache(look),
        scheduler=_scheduler(look),
    )


def _metrics(source: Health, look: Look) -> pb.HealthMetrics:
    kinds = look.night.kinds if look.night is not None else ()
    return pb.HealthMetrics(
        check_ms=look.seconds * 1000,
        age_seconds=source.age(look),
        workers=len(look.night.workers) if look.night is not None else 0,
        jobs_ready=sum(kind.ready for kind in kinds),
        jobs_running=sum(kind.running for kind in kinds),
    )


def _cache(look: Look) -> pb.CacheHealth:
    found = pb.CacheHealth(status=look.components["cache"].status)
    if look.cache is not None:
        found.used_megabytes = look.cache.used_bytes / _MEGABYTE
        for key, reads in look.cache.reads.items():
            found.reads.add(key=key, hits=reads.hits, misses=reads.misses, hit_rate=reads.hit_rate)
    return found


def _scheduler(look: Look) -> pb.SchedulerHealth:
    found = pb.SchedulerHealth(status=look.components["scheduler"].status)
    if (night := look.night) is not None:
        found.workers.extend(map(_worker, night.workers))
        found.kinds.extend(map(_kind, night.kinds))
        found.people_by_phase.extend(night.people_by_phase)
        found.pause_reason = night.pause_reason
        found.halts = night.halts
        found.queue_age_seconds = night.queue_age_seconds
    return found


def _worker(worker: scheduler_pb2.WorkerOverview) -> pb.WorkerHealth:
    return pb.WorkerHealth(
        worker_id=worker.worker_id,
        kind=_name(worker.kind) if worker.kind else "",
        batch_size=worker.batch_size,
        cpu=worker.cpu,
        cpu_cap=worker.cpu_cap,
        batches_done=worker.batches_done,
    )


def _kind(kind: scheduler_pb2.KindOverview) -> pb.KindHealth:
    return pb.KindHealth(
        kind=_name(kind.kind),
        phase=_PHASES.get(kind.kind, 0),
        ready=kind.ready,
        running=kind.running,
        done=kind.done,
        failed=kind.failed,
        dead=kind.dead,
        duration_seconds=kind.mean_seconds,
        success_rate=kind.success_rate,
    )


def _name(kind: work_pb2.JobKind.ValueType) -> str:
    return work_pb2.JobKind.Name(kind).removeprefix("JOB_KIND_").lower()
