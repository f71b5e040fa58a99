"""What is counted is shown: docs/contributing/adding-a-command-or-a-metric.md, "A metric"."""

from __future__ import annotations

from pathlib import Path

from tellwire.observability.counters import Counters

OPERATIONS = Path(__file__).parents[3] / "src/tellwire/web/operations"


def test_every_count_is_read_by_a_metric() -> None:
    text = (OPERATIONS / "metrics.py").read_text()
    unread = [name for name in vars(Counters()) if f"counters.{name}" not in text]
    assert not unread, f"no metric reads the counts {unread}: add a row each to METRICS of web/operations/metrics.py"
