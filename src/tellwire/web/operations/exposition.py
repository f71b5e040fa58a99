"""Show the metrics: to Prometheus, and as a reference page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from tellwire.observability.counters import Histogram
from tellwire.web.operations.metrics import METRICS, Metric, MetricSources, Values


class _Collected(Collector):
    def __init__(self, now: MetricSources) -> None:
        self._now = now

    def collect(self) -> Iterator[Family]:
        """Return every metric with its values."""
        return (_family(metric, metric.read(self._now)) for metric in METRICS)


def _family(metric: Metric, values: Values | Histogram) -> Family:
    text = metric.help.replace("`", "")
    match values:
        case Histogram():
            histogram = HistogramMetricFamily(metric.name, text)
            bounds = [*map(str, values.bounds), "+Inf"]
            histogram.add_metric([], list(zip(bounds, accumulate(values.counts), strict=True)), values.total)
            return histogram
        case _ if metric.kind == "counter":
            family: CounterMetricFamily | GaugeMetricFamily = CounterMetricFamily(
                metric.name, text, labels=metric.labels
            )
        case _:
            family = GaugeMetricFamily(metric.name, text, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def exposition(now: MetricSources) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(now))
    return generate_latest(registry)


_PREFACE = """<!-- Made from tellwire.web.operations.metrics by `./run config --metrics`; a test compares them. -->
# Metrics

`GET /metrics`, in Prometheus' text format, with an API key or from the machine itself. Counters and histograms are one
process's and begin at 0 with it: add them up over processes. Gauges of deliveries, endpoints and items are the whole
installation's, as of at most 5 s ago: take one process's. No label holds an id, a phone number or an address. Which
ones to alarm on: [Operate](../how-to/operate.md).

| metric | type | labels | meaning |
|---|---|---|---|"""


def reference() -> str:
    """Return the reference page of the metrics, in Markdown (docs/reference/metrics.md)."""
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |"
        for each in METRICS
    ]
    return "\n".join([_PREFACE, *rows, ""])
