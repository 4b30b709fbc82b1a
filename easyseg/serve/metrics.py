"""What is counted and measured, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

import easyseg
from easyseg.serve.models import ServedModels, describe_model

MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The counters of one server in one process; nothing is shared with others."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = Counter(
            "easyseg_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "easyseg_request_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "easyseg_stage_seconds",
            "Seconds that an image spent in a stage.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "easyseg_batch_size",
            "Images that went through the network together.",
            buckets=BATCHES,
            registry=self.registry,
        )
        self.rejections = Counter(
            "easyseg_rejections",
            "Requests that were refused, by the code of the problem.",
            ("reason",),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "easyseg_in_flight", "Requests that are being answered.", registry=self.registry
        )
        self._queue = Gauge(
            "easyseg_queue_length", "Images that wait for the network.", registry=self.registry
        )
        self._models = Gauge(
            "easyseg_model_info",
            "The models; always 1.",
            ("model", "label_set", "runtime", "precision", "version"),
            registry=self.registry,
        )

    def describe(self, models: ServedModels, queue_length: Callable[[], int]) -> None:
        """Sets what is known once the models are there."""
        self._queue.set_function(lambda: float(queue_length()))
        for name, seg in models.items():
            told = describe_model(name, seg)
            labels = [told[key] for key in ("name", "label_set", "runtime", "precision")]
            self._models.labels(*labels, easyseg.__version__).set(1)

    def observe_stages(self, milliseconds: Mapping[str, float]) -> None:
        """Adds the steps of one image."""
        for stage, value in milliseconds.items():
            self.stages.labels(stage).observe(value / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus's format."""
        return generate_latest(self.registry)
