"""PURE. The counts of one process: plain numbers that are raised where things happen and read where they are shown.

To raise one costs an addition, which the hot path can afford. Each number has one writer (the event loop or the store's
thread); labels are words of a fixed small set, never an id, a number or an address.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

LAG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
COMMIT_JOBS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RETENTION_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class Histogram:
    """How values are spread over bounds: `counts[i]` is how many are in the range that ends with `bounds[i]`, and the
    last one how many are above all bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counters:
    """The counts of one process."""

    def __init__(self) -> None:
        self.posts: Counter[int] = Counter()
        """POSTs from Meta by the status of the answer."""
        self.items: Counter[str] = Counter()
        """Items of POSTs by outcome."""
        self.quota_refusals: Counter[str] = Counter()
        """What was refused because an organization has all that a quota allows, by quota."""
        self.commits = 0
        self.commit_jobs = Histogram(COMMIT_JOBS)
        """How many jobs (POSTs, batches of results, changes) shared a commit."""
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        self.attempts: Counter[tuple[str, str]] = Counter()
        """Attempts by what follows ("delivered", "retried", "exhausted", "disabled") and cause."""
        self.sent = Histogram(LAG_SECONDS)
        """Seconds from the recording of an event to the first byte of a delivery's first attempt."""
        self.accepted = Histogram(LAG_SECONDS)
        """Seconds from the recording of an event to a receiver's 2xx; replays are not counted."""
        self.downloads: Counter[str] = Counter()
        """Attempts to fetch a file of a message, by result ("stored", "retried", "failed", "expired")."""
        self.removed: Counter[str] = Counter()
        """Rows that retention deleted, by table."""
        self.removed_until = 0
        """The time in micros before which the last whole round of retention left nothing that may be deleted."""
        self.rounds = 0
        """Whole rounds of retention."""
        self.retention_batches = Histogram(RETENTION_BATCH_SECONDS)
        """Seconds for which each batch of retention kept the store's writer busy."""
        self.agent_runs: Counter[str] = Counter()
        """Turns that a model was asked for, by outcome."""
        self.sends: Counter[str] = Counter()
        """Attempts to send a message, by result ("accepted", "failed", "unknown", "throttled", …)."""
        self.http_connections = 0
        """Connections to the HTTP server that are open now."""
        self.http_closed: Counter[str] = Counter()
        """Connections that the HTTP server refused or closed, by reason."""
        self.request_failures = 0
        """Requests that failed because of a defect of ours, whatever status their answer had."""
        self.wrong_keys: Counter[str] = Counter()
        """Wrong API keys, by answer ("refused", "throttled")."""
        self.alerts: Counter[tuple[str, str]] = Counter()
        """Messages with alerts by channel and result ("sent", "failed")."""
