"""PURE. What one process counts while it works: plain numbers, raised where things happen, read by whoever shows them.

A raise costs an addition, so that the hot paths can afford it. Each number has one writer (the event loop or the
store's thread); labels are words of a fixed small set, never an id, a number or an address.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

LAG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)
COMMIT_JOBS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STRIDE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class Spread:
    """How values are spread over bounds: `counts[i]` of those up to `bounds[i]`, the last of those above all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Tally:
    """The counts of one process.

    `attempts` by outcome and kind of failure; `retries` by kind; `leases` by what became of a partition. `sent` is the
    lag from the commit to the start of the first attempt, `accepted` to a receiver's 2xx, both in seconds. `refused`:
    results that came too late for their lease. `removed`: rows that retention took away, by table, `removed_until` the
    micros up to which its last whole round took everything, `rounds` how many it has made.
    """

    __slots__ = (
        "accepted",
        "attempts",
        "commit_jobs",
        "commit_seconds",
        "leases",
        "refused",
        "removed",
        "removed_until",
        "retries",
        "rounds",
        "sent",
        "strides",
    )

    def __init__(self) -> None:
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.retries: Counter[str] = Counter()
        self.leases: Counter[str] = Counter()
        self.refused = 0
        self.sent = Spread(LAG_SECONDS)
        self.accepted = Spread(LAG_SECONDS)
        self.commit_jobs = Spread(COMMIT_JOBS)
        self.commit_seconds = Spread(COMMIT_SECONDS)
        self.removed: Counter[str] = Counter()
        self.removed_until = 0
        self.rounds = 0
        self.strides = Spread(STRIDE_SECONDS)
