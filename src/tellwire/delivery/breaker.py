"""PURE. Whether an endpoint as a whole takes deliveries (the breaker), how it is probed, and its rate limit.

Source: docs/reference/delivery.md, "Order" and "Breaker".

Everything here is one endpoint's, in memory, and rebuilt from nothing: an endpoint is healthy until an answer says
otherwise. Times are micros.
"""

from __future__ import annotations

from tellwire.delivery.retry import LONGEST_PROBE, Kind
from tellwire.model.units import MICROS, Micros, micros

_MOST_FAILURES = 10
_LONGEST_FAILING = micros(30)
_FIRST_PROBE = micros(2)
_TRIES_PER_HEAD = 2


class Breaker:
    """The health of one endpoint, as its attempts show it.

    `accepted_at`: its last 2xx to a live delivery. `recovered_at`: the end of its last outage. `forgiven_at`: the end
    of its last outage in which several keys failed, so that it is no key's fault.
    """

    __slots__ = (
        "_failing_since",
        "_failures",
        "_first_key",
        "_several",
        "_steps",
        "_tries",
        "accepted_at",
        "down",
        "forgiven_at",
        "next_probe",
        "probing",
        "recovered_at",
        "tried",
    )

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, now: Micros) -> None:
        """Start again as healthy: earlier failures count against no key."""
        self.down = False
        self.probing = False
        self.next_probe: Micros = 0
        self.tried = ""
        self.accepted_at: Micros = 0
        self.recovered_at = now
        self.forgiven_at = now
        self._failures = 0
        self._first_key = ""
        self._several = False
        self._failing_since: Micros = 0
        self._steps = 0
        self._tries = 0

    def accepted(self, now: Micros, *, live: bool) -> bool:
        """Record a 2xx; return True when it ended an outage."""
        recovered = self.down
        if recovered:
            self.down = False
            self.recovered_at = now
            if self._several:
                self.forgiven_at = now
        self._failures = 0
        self._several = False
        if live:
            self.accepted_at = now
        return recovered

    def failed(
        self,
        key: str,
        kind: Kind,
        *,
        started_at: Micros,
        failed_before: Micros,
        now: Micros,
        probe: bool,
        pace: Micros | None = None,
        wait: Micros = 0,
    ) -> bool:
        """Record a failure; return True when its attempt counts, so that its delivery uses up a gap.

        Args:
            key: the order key whose delivery failed.
            kind: of whom the answer speaks.
            started_at: when the attempt began; one that hung while others were accepted speaks of itself only.
            failed_before: when the same delivery failed the last time, 0 if never; failing again after others were
                accepted in between, it speaks of itself only.
            now: when the answer was there.
            probe: whether this was the probe of an endpoint that is down.
            pace: the probing gap that a given schedule sets.
            wait: how long the answer asks us to wait.
        """
        was_down = self.down
        if not was_down and self._contradicted(kind, started_at=started_at, failed_before=failed_before):
            counted = kind == "whole"
            kind = "own"
        else:
            counted = kind == "own" and not was_down
        self._count(key, now)
        probe = probe and was_down
        if probe:
            self._steps += 1
        elif not was_down and (kind != "own" or self._nothing_but_failures(now)):
            self.down = True
            self._steps = 0
            self.tried, self._tries = key, 1
        if probe or self.down is not was_down:
            gap = pace if pace is not None else min(_FIRST_PROBE << min(self._steps, 10), LONGEST_PROBE)
            self.next_probe = now + max(gap, wait)
        elif kind != "own":
            self.next_probe = max(self.next_probe, now + wait)
        return counted

    def _contradicted(self, kind: Kind, *, started_at: Micros, failed_before: Micros) -> bool:
        if kind == "whole":
            return self.accepted_at > started_at or 0 < failed_before < self.accepted_at
        return kind == "slow" and 0 < failed_before < self.accepted_at

    def _count(self, key: str, now: Micros) -> None:
        if not self._failures:
            self._first_key = key
            self._failing_since = now
        elif key != self._first_key:
            self._several = True
        self._failures += 1

    def _nothing_but_failures(self, now: Micros) -> bool:
        if self._failures >= _MOST_FAILURES and self._several:
            return True
        return self._failures >= 2 and now - self._failing_since >= _LONGEST_FAILING

    def may_probe(self, now: Micros) -> bool:
        """Return whether an endpoint that is down may be tried now."""
        return not self.probing and now >= self.next_probe

    @property
    def wants_another(self) -> bool:
        """Return whether the head that was tried last has used up its tries in this outage, so that another is to be
        tried."""
        return self._tries >= _TRIES_PER_HEAD

    def probe(self, key: str) -> None:
        """Record that a head of this key is sent as the probe."""
        self._tries = self._tries + 1 if key == self.tried else 1
        self.tried = key
        self.probing = True


class Bucket:
    """A token bucket: `rate` per second, a burst of a second's worth (at least one)."""

    __slots__ = ("_at", "_rate", "_size", "_tokens")

    def __init__(self, rate: float, now: Micros) -> None:
        self._rate = rate / MICROS
        self._size = max(1.0, rate)
        self._tokens = self._size
        self._at = now

    def change(self, rate: float, now: Micros) -> None:
        """Set another rate; what is left of the burst keeps its proportion."""
        self.ready_at(now)
        left = self._tokens / self._size
        self._rate = rate / MICROS
        self._size = max(1.0, rate)
        self._tokens = left * self._size

    def ready_at(self, now: Micros) -> Micros:
        """Return when the next token is there; `now` or earlier when one is."""
        if now > self._at:
            self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
            self._at = now
        return now if self._tokens >= 1 else now + int((1 - self._tokens) / self._rate) + 1

    def take(self) -> None:
        """Spend one token; `ready_at` has just said that there is one."""
        self._tokens -= 1
