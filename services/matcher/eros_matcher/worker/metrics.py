"""What learning came to, as OpenTelemetry sees it."""

from __future__ import annotations

from datetime import datetime

from eros_common import telemetry
from eros_matcher.programs.payload import LearnedModel


class LearnMetrics:
    """One a worker; whoever ends a learning measures it."""

    def __init__(self) -> None:
        meter = telemetry.meter()
        self._duration = meter.create_histogram(
            "eros.matcher.learn.duration",
            unit="s",
            description="From reading what is learned from to storing the model, all turns",
        )
        self._blocks = meter.create_counter(
            "eros.matcher.learn.blocks",
            unit="{block}",
            description="Blocks of work of learnings that were finished",
        )
        self._version = meter.create_gauge(
            "eros.matcher.model.version",
            unit="1",
            description="The model learned last by this worker",
        )
        self._loss = meter.create_gauge(
            "eros.matcher.learn.loss",
            unit="1",
            description="Log loss a decision of that model on what it learned from, in nats",
        )
        self._auc = meter.create_gauge(
            "eros.matcher.learn.auc",
            unit="1",
            description="How well it tells likes from skips that it had not seen: 0.5 is chance",
        )
        self._imbalance = meter.create_gauge(
            "eros.matcher.learn.imbalance",
            unit="1",
            description="How far its congestion prices still moved at the end, in nats",
        )
        self._markets = meter.create_gauge(
            "eros.matcher.learn.markets",
            unit="{market}",
            description="Markets that have a balance of their own",
        )

    def learned(self, version: int, model: LearnedModel, at: datetime) -> None:
        """A model was stored at this wall instant."""
        self._duration.record(max((at - model.cutoff).total_seconds(), 0.0))
        self._blocks.add(model.blocks)
        self._version.set(version)
        if model.loss is not None:
            self._loss.set(model.loss)
        if model.auc is not None:
            self._auc.set(model.auc)
        self._imbalance.set(model.imbalance)
        self._markets.set(model.markets)
