"""PURE. The late retries and replays of one endpoint, which run beside the live lanes within budgets of their own.

They are read from disk when they are due, a few at a time; of each order key one is in flight, in id order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Container, Mapping

from msgspec import Struct

from tellwire.model.deliveries import Lane, Work

_SHARE = 8
"""Of an endpoint's attempts in flight, late ones and replays are each at most one of so many."""


def replays_at_once(most_in_flight: int) -> int:
    """Return how many replays, and as many late retries, an endpoint may have in flight that may have so many of all
    lanes."""
    return max(1, most_in_flight // _SHARE)


class SideLaneLimits(Struct, frozen=True, kw_only=True):
    """Bounds, of which one organization alone gets half; an endpoint's own settings win over `per_endpoint` and
    `head_of_line_seconds`."""

    in_flight: int = 1024
    """attempts of the process: each has a connection of its own"""
    per_endpoint: int = 128
    """attempts of an endpoint that sets none"""
    window: int = 512
    """deliveries of an endpoint in memory, heads that wait for their next attempt aside"""
    held: int = 16_384
    """deliveries of the process in memory; near it windows shrink"""
    late: int = 64
    """late retries of the process in flight"""
    replays: int = 64
    """replays of the process in flight"""
    probes: int = 128
    """probes in flight, of endpoints that are down"""
    extras: int = 32
    """late retries in memory of an endpoint, and as many replays"""
    extras_per_organization: int = 1024
    """late retries and replays in memory of an organization"""
    head_of_line_seconds: float = 60.0

    def of(self, lane: Lane) -> int:
        """Return how many attempts of the process may be in flight in a lane that is not `live`."""
        return self.late if lane == "late" else self.replays


class Shares:
    """What all organizations together have in flight and in memory. `leases`: the epoch of each partition that may be
    handed out from."""

    __slots__ = ("flying", "held", "in_flight", "leases", "probes")

    def __init__(self) -> None:
        self.leases: Mapping[int, int] = {}
        self.in_flight = 0
        self.held = 0
        self.probes = 0
        self.flying: dict[Lane, int] = {"late": 0, "replay": 0}


class OrganizationShare:
    """What one organization has of what all share.

    The rule is the same for each: an organization may take one more only while it has less than what is still free. So
    one alone gets half, two that want everything a third each, and one that comes later always finds room.

    `waiting`: its late retries and replays in memory that are not in flight.
    """

    __slots__ = ("flying", "held", "in_flight", "limits", "probes", "shares", "waiting")

    def __init__(self, limits: SideLaneLimits, shares: Shares) -> None:
        self.limits = limits
        self.shares = shares
        self.in_flight = 0
        self.held = 0
        self.probes = 0
        self.waiting = 0
        self.flying: dict[Lane, int] = {"late": 0, "replay": 0}

    def fly(self, count: int) -> None:
        """Count an attempt that begins, or is settled with -1."""
        self.in_flight += count
        self.shares.in_flight += count

    def hold(self, count: int) -> None:
        """Count deliveries that come into memory, or leave it when `count` is negative."""
        self.held += count
        self.shares.held += count

    @property
    def room(self) -> int:
        """How many more deliveries may come into memory."""
        return self.limits.held - self.shares.held - self.held

    def may_probe(self) -> bool:
        """Return whether another endpoint that is down may be probed."""
        return self.probes < self.limits.probes - self.shares.probes

    def probe(self, count: int) -> None:
        """Count a probe that begins, or ends with -1."""
        self.probes += count
        self.shares.probes += count

    def may_use(self, lane: Lane) -> bool:
        """Return whether another late retry or replay may be sent."""
        return self.flying[lane] < self.limits.of(lane) - self.shares.flying[lane]

    def use(self, lane: Lane, count: int) -> None:
        """Count a late retry or replay that is sent, or settled with -1."""
        self.flying[lane] += count
        self.shares.flying[lane] += count

    @property
    def full(self) -> bool:
        """Whether no more late retries and replays may come into memory."""
        return self.waiting >= self.limits.extras_per_organization


class SideLanes:
    """One endpoint's late retries and replays in memory. `refused`: the last that was to be taken had no place,
    because of others."""

    def __init__(self, limits: SideLaneLimits, share: OrganizationShare) -> None:
        self._limits = limits
        self._share = share
        self.refused = False
        self._most = 1
        self._waiting: dict[Lane, deque[Work]] = {"late": deque(), "replay": deque()}
        self._flying: dict[Lane, int] = {"late": 0, "replay": 0}
        self._keys: dict[str, str] = {}

    def configure(self, most_in_flight: int) -> None:
        """Set what part of the endpoint's requests in flight may be used here."""
        self._most = replays_at_once(most_in_flight)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting["late"] or self._waiting["replay"])

    @property
    def in_flight(self) -> set[str]:
        """The ids of the deliveries in flight."""
        return set(self._keys)

    def offer(self, work: Work) -> bool:
        """Take in a delivery; return False when there is no room."""
        waiting = self._waiting[work.delivery.lane]
        if len(waiting) >= self._limits.extras or self._share.full:
            return False
        waiting.append(work)
        self._share.waiting += 1
        return True

    def take(self, busy: Container[str]) -> Work | None:
        """Take the next to be sent; `busy` names the order keys that have a live delivery in flight."""
        self.refused = False
        for lane, waiting in self._waiting.items():
            if not waiting or self._flying[lane] >= self._most:
                continue
            if not self._share.may_use(lane):
                self.refused = True
                continue
            flying = set(self._keys.values())
            for work in waiting:
                name = work.delivery.order_key
                if name not in flying and name not in busy:
                    waiting.remove(work)
                    self._share.waiting -= 1
                    self._share.use(lane, 1)
                    self._flying[lane] += 1
                    self._keys[work.delivery.id] = name
                    return work
        return None

    def settled(self, work: Work) -> None:
        """Release a delivery whose result is committed."""
        self._flying[work.delivery.lane] -= 1
        self._share.use(work.delivery.lane, -1)
        del self._keys[work.delivery.id]

    def remove(self, delivery_id: str) -> bool:
        """Remove a waiting delivery."""
        for waiting in self._waiting.values():
            for work in waiting:
                if work.delivery.id == delivery_id:
                    waiting.remove(work)
                    self._share.waiting -= 1
                    return True
        return False

    def drop(self, partitions: Collection[int]) -> list[Work]:
        """Forget the waiting deliveries of these partitions; return them."""
        dropped: list[Work] = []
        for waiting in self._waiting.values():
            gone = [work for work in waiting if work.delivery.partition in partitions]
            for work in gone:
                waiting.remove(work)
            dropped += gone
        self._share.waiting -= len(dropped)
        return dropped

    def clear(self) -> None:
        """Forget the waiting deliveries."""
        for waiting in self._waiting.values():
            self._share.waiting -= len(waiting)
            waiting.clear()
