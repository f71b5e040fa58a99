"""Record one phase: when each message was sent, acknowledged and delivered; and compute the phase's result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.protocol import PhaseResult, Quantiles
from bench.webhooks import contact_of, verifies

_NEVER = math.nan
_SAMPLE = 50
"""One of so many deliveries is kept, so that its signature can be checked after the phase."""


class Phase:
    """The record of messages `first` … `first + count - 1`; all times are in seconds of one monotonic clock."""

    def __init__(self, *, first: int, count: int, contacts: int) -> None:
        self.first = first
        self.count = count
        self.contacts = contacts
        self.sent = [_NEVER] * count
        self.acked = [_NEVER] * count
        self.arrived = [_NEVER] * count
        self.late: list[float] = []
        self.outstanding = 0
        self.duplicates = 0
        self.foreign = 0
        self.trouble: Counter[str] = Counter()
        self._samples: list[tuple[bytes, bytes]] = []

    def send(self, numbers: range, at: float) -> None:
        """Record that these messages are sent, in one POST."""
        for number in numbers:
            self.sent[number - self.first] = at

    def accept(self, numbers: range, at: float) -> None:
        """Record that the system answered 200 to the POST of these messages."""
        for number in numbers:
            index = number - self.first
            self.acked[index] = at
            self.outstanding += math.isnan(self.arrived[index])

    def refuse(self, reason: str) -> None:
        """Record that the system answered otherwise, or that the connection broke."""
        self.trouble[reason] += 1

    def arrive(self, number: int | None, at: float, head: bytes, payload: bytes) -> None:
        """Record a delivery at the sink; one of an earlier phase is a duplicate, one of no phase is foreign."""
        if number is None or number >= self.first + self.count:
            self.foreign += 1
            return
        index = number - self.first
        if index < 0 or not math.isnan(self.arrived[index]):
            self.duplicates += 1
            return
        self.arrived[index] = at
        self.outstanding -= not math.isnan(self.acked[index])
        if number % _SAMPLE == 0:
            self._samples.append((head, payload))

    def result(self, *, secret: str, cpu_seconds: float) -> PhaseResult:
        """Return the result; `secret` verifies the sampled signatures, `cpu_seconds` is the driver's own CPU time."""
        accepted = sum(_known(self.acked))
        delivered = sum(_known(self.arrived))
        begin = min(_only(self.sent), default=0.0)
        seconds = max(_only(self.arrived), default=begin) - begin
        pairs = list(self._order())
        return PhaseResult(
            messages=self.count,
            accepted=accepted,
            refused=self.count - accepted,
            delivered=delivered,
            lost=self.outstanding,
            duplicates=self.duplicates,
            foreign=self.foreign,
            signatures_checked=len(self._samples),
            signatures_bad=sum(not verifies(head, payload, secret) for head, payload in self._samples),
            ordered_pairs=len(pairs),
            reordered=pairs.count(False),
            seconds=round(seconds, 3),
            messages_per_second=round(delivered / seconds, 1) if seconds else 0.0,
            ack=quantiles(_spans(self.sent, self.acked)),
            end_to_end=quantiles(_spans(self.sent, self.arrived)),
            late=quantiles(self.late),
            driver_cpu_ms_per_message=round(cpu_seconds * 1000 / max(1, self.count), 3),
            trouble=tuple(f"{times} × {reason}" for reason, times in self.trouble.most_common(5)),
        )

    def _order(self) -> Iterator[bool]:
        """Give, for each pair of a contact's consecutive messages with a certain order, whether they arrived in it."""
        last: dict[int, int] = {}
        for index in range(self.count):
            if math.isnan(self.acked[index]) or math.isnan(self.arrived[index]):
                continue
            before = last.get(who := contact_of(self.first + index, self.contacts))
            if before is not None and self.acked[before] < self.sent[index]:
                yield self.arrived[before] < self.arrived[index]
            last[who] = index


def quantiles(spans: Sequence[float]) -> Quantiles:
    """Return p50, p99 (nearest rank) and maximum of `spans` (seconds) in milliseconds; zeros for no spans."""
    ordered = sorted(spans)
    if not ordered:
        return Quantiles(p50=0.0, p99=0.0, max=0.0)

    def rank(share: float) -> float:
        return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 3)

    return Quantiles(p50=rank(0.5), p99=rank(0.99), max=rank(1))


def _known(times: Sequence[float]) -> Iterator[bool]:
    return (not math.isnan(at) for at in times)


def _only(times: Sequence[float]) -> Iterator[float]:
    return (at for at in times if not math.isnan(at))


def _spans(begin: Sequence[float], end: Sequence[float]) -> list[float]:
    return [b - a for a, b in zip(begin, end, strict=True) if not (math.isnan(a) or math.isnan(b))]
