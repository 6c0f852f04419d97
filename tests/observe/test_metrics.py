"""Metrics: their names are what dashboards rely on."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from localai.observe.metrics import Metrics, resident_bytes, server_memory


class Once:
    """A collector with one value."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("localai_test", "A test.", value=7)


def test_names_and_labels() -> None:
    metrics = Metrics()
    metrics.register(Once())
    metrics.requests.labels("/v1/models", "200").inc()
    metrics.api_call.labels("GET", "/v1/models").observe(0.1)
    families = {
        family.name: family for family in text_string_to_metric_families(metrics.text().decode())
    }
    assert {"localai_requests", "api_call", "localai_time_to_first_token_seconds", "localai_prompt_tokens",
            "localai_cached_prompt_tokens", "localai_completion_tokens", "localai_failures", "localai_test",
            } <= families.keys()  # fmt: skip
    total = next(
        sample for sample in families["localai_requests"].samples if sample.name.endswith("_total")
    )
    assert total.labels == {"route": "/v1/models", "status": "200"}
    assert total.value == 1


def test_two_servers_in_one_process_do_not_share() -> None:
    first, second = Metrics(), Metrics()
    first.requests.labels("/", "200").inc()
    assert b'route="/"' not in second.text()


def test_memory() -> None:
    assert resident_bytes() > 1e6
    assert next(server_memory()).samples[0].value > 1e6
