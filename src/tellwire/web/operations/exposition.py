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
    def __init__(self, now: MetricSources, *, whole: bool) -> None:
        self._now = now
        self._shown = [metric for metric in METRICS if whole or metric.for_all]

    def collect(self) -> Iterator[Family]:
        """Return every metric that may be shown, with its values."""
        return (_family(metric, metric.read(self._now)) for metric in self._shown)


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


def exposition(now: MetricSources, *, whole: bool) -> bytes:
    """Return the metrics in Prometheus' text format; unless `whole` those alone that are one organization's."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(now, whole=whole))
    return generate_latest(registry)


_PREFACE = """<!-- Made from tellwire.web.operations.metrics by `./run config --metrics`; a test compares them. -->
# Metrics

`GET /metrics`, in Prometheus' text format, with an operator's API key, or without any where `OPEN_OPERATIONS` is set.
Counters and histograms are one process's and begin at 0 with it: add them up over processes. Gauges of deliveries,
endpoints and items are the whole installation's, as of at most 5 s ago: take one process's. No label holds an id, a
phone number or an address. Any other key sees {own}, of its organization alone. Which ones to alarm on:
[Operate](../how-to/operate.md).

| metric | type | labels | meaning |
|---|---|---|---|"""


def reference() -> str:
    """Return the reference page of the metrics, in Markdown (docs/reference/metrics.md)."""
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |"
        for each in METRICS
    ]
    *names, last = [f"`{each.name}`" for each in METRICS if each.for_all]
    return "\n".join([_PREFACE.format(own=f"{', '.join(names)} and {last}"), *rows, ""])
