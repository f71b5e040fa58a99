"""PURE. This process's share of one endpoint's limits: its requests in flight, its rate, and its slow start.

An endpoint's partitions may have several owners; each takes its part of what all may do together.
"""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.delivery.breaker import Bucket
from tellwire.model.deliveries import Endpoint
from tellwire.model.routing import partitions
from tellwire.model.units import Micros

_RAMP = 2
_UNLIMITED = 1 << 30


class Quota:
    """One process's share of one endpoint's limits. `most`: requests in flight. `partitions`: those of the endpoint
    that are owned here."""

    def __init__(self, endpoint_id: str) -> None:
        self._every = partitions(endpoint_id)
        self._ramp = _UNLIMITED
        self._bucket: Bucket | None = None
        self._rate: float | None = None
        self.partitions: tuple[int, ...] = ()
        self.most = 1

    def divide(self, endpoint: Endpoint, leases: Mapping[int, int], *, per_endpoint: int, now: Micros) -> None:
        """Compute this owner's share of the endpoint's limits; `per_endpoint` is used when the endpoint sets none."""
        self.partitions = tuple(p for p in self._every if p in leases)
        part = len(self.partitions) / len(self._every)
        self.most = max(1, int((endpoint.max_in_flight or per_endpoint) * part))
        limit = endpoint.rate_limit_per_second
        rate = limit * part if limit and part else None
        if rate == self._rate:
            return
        self._rate = rate
        if rate is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = Bucket(rate, now)
        else:
            self._bucket.change(rate, now)

    def any_of(self, some: set[int]) -> bool:
        """Return whether one of these partitions is the endpoint's."""
        return not some.isdisjoint(self._every)

    # --- how many at once ---------------------------------------------------------------------------------------------

    @property
    def places(self) -> int:
        """Return how many requests may be in flight at the moment."""
        return min(self.most, self._ramp)

    def start_gently(self) -> None:
        """Begin with few requests in flight, because the endpoint has just come back."""
        self._ramp = _RAMP

    def allow_one_more(self) -> None:
        """Allow one more request in flight, because the endpoint accepted one."""
        if self._ramp < self.most:
            self._ramp += 1

    # --- how many in a second -----------------------------------------------------------------------------------------

    def ready_at(self, now: Micros) -> Micros:
        """Return when the rate admits the next; `now` or earlier when it does already."""
        return now if self._bucket is None else self._bucket.ready_at(now)

    def take(self) -> None:
        """Spend one request of the rate; `ready_at` has just said that it is allowed."""
        if self._bucket is not None:
            self._bucket.take()
