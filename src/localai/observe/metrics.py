"""What Prometheus may scrape. Names ending in _s, _bytes, _total say their unit."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one server. `model` labels are names of installed models, never free text."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "localai_requests",
            "HTTP requests, by route and status.",
            ("route", "status"),
            registry=registry,
        )
        self.api_call = Histogram(
            "api_call", "Seconds from a request to the end of its answer.", ("method", "path"),
            buckets=_FAST_S, registry=registry,
        )  # fmt: skip
        self.first_token = Histogram(
            "localai_time_to_first_token_seconds", "Seconds from a request to the first piece of its answer.",
            ("model",), buckets=_FAST_S, registry=registry,
        )  # fmt: skip
        self.prompt_tokens = Counter(
            "localai_prompt_tokens", "Prompt tokens.", ("model",), registry=registry
        )
        self.cached_tokens = Counter(
            "localai_cached_prompt_tokens",
            "Prompt tokens that were in the cache.",
            ("model",),
            registry=registry,
        )
        self.completion_tokens = Counter(
            "localai_completion_tokens", "Generated tokens.", ("model",), registry=registry
        )
        self.audio_seconds = Counter(
            "localai_audio_seconds",
            "Seconds of audio that were heard or spoken.",
            ("model", "task"),
            registry=registry,
        )
        self.failures = Counter(
            "localai_failures",
            "Answers that ended with an error, by its kind.",
            ("kind",),
            registry=registry,
        )

    def register(self, collector: Collector) -> None:
        """Ask `collector` at every scrape."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


def server_memory() -> Iterator[Metric]:
    """The server's own memory."""
    yield GaugeMetricFamily(
        "localai_server_memory_bytes", "Resident memory of the server.", value=resident_bytes()
    )


def resident_bytes() -> int:
    """This process's resident memory; its peak where the system does not tell the present."""
    try:
        with Path("/proc/self/statm").open(encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
