"""PURE. Counts how the attempts of endpoints went, by minute and by hour, for figures and charts.

Each process counts in memory and adds its counts to the store every few seconds, so that no delivery costs another
write. Counts that were not added yet are lost with a process that is killed: figures are for people, and nothing is
decided by them.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from tellwire.model.time_buckets import start_of
from tellwire.model.units import DAY, HOUR, MINUTE, Micros

KEPT: dict[Micros, Micros] = {MINUTE: 2 * HOUR, HOUR: 32 * DAY}
"""Width of a bucket → how long it is kept. So an endpoint has 900 of them at the most."""


class Traffic(Struct, kw_only=True):
    """The attempts of an endpoint that ended in a bucket. `took`: micros of those that were delivered, in all;
    `slowest`: of the slowest of them."""

    organization_id: str
    endpoint_id: str
    width: Micros
    since: Micros
    delivered: int = 0
    failed: int = 0
    took: Micros = 0
    slowest: Micros = 0

    def add(self, other: Traffic) -> None:
        """Add the counts of another."""
        self.delivered += other.delivered
        self.failed += other.failed
        self.took += other.took
        self.slowest = max(self.slowest, other.slowest)


class TrafficCounter:
    """Counts the attempts of one process."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, Micros], Traffic] = {}

    def note(self, endpoint_id: str, organization_id: str, *, ok: bool, took: Micros, now: Micros) -> None:
        """Count an attempt."""
        since = start_of(now, MINUTE)
        known = self._counted.get((endpoint_id, since))
        if known is None:
            known = Traffic(organization_id=organization_id, endpoint_id=endpoint_id, width=MINUTE, since=since)
            self._counted[endpoint_id, since] = known
        if ok:
            known.delivered += 1
            known.took += took
            known.slowest = max(known.slowest, took)
        else:
            known.failed += 1

    def take(self) -> list[Traffic]:
        """Return what was counted since the last call, by minute."""
        counted, self._counted = self._counted, {}
        return list(counted.values())

    def give_back(self, counted: Iterable[Traffic]) -> None:
        """Count again what could not be stored."""
        for each in counted:
            known = self._counted.setdefault((each.endpoint_id, each.since), each)
            if known is not each:
                known.add(each)


def by_width(minutes: Iterable[Traffic]) -> list[Traffic]:
    """Return the same counts in buckets of every width that is kept, in a fixed order."""
    found: dict[tuple[str, str, Micros, Micros], Traffic] = {}
    for each in minutes:
        for width in KEPT:
            since = start_of(each.since, width)
            key = (each.organization_id, each.endpoint_id, width, since)
            if key not in found:
                found[key] = Traffic(
                    organization_id=each.organization_id, endpoint_id=each.endpoint_id, width=width, since=since
                )
            found[key].add(each)
    return [found[key] for key in sorted(found)]
