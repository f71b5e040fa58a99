"""Show the metrics in Prometheus' text format."""

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
