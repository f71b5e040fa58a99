"""PURE. What is known of an endpoint's health over restarts, and when it is given up.

Source: docs/reference/delivery.md, "Disabling".

Each process keeps a `HealthRecorder` in memory and reports it now and then; the store merges reports into one
`EndpointHealth` per endpoint. Evidence is time in which failures were witnessed, not the age of the first one: neither
a clock that jumped nor a week in which nothing ran can disable an endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.units import DAY, HOUR, MINUTE, Micros, micros

PATIENCE: Micros = 5 * DAY
"""So long nothing but failures, and the endpoint is disabled."""
NOTABLE: Micros = 10 * MINUTE
"""An outage as long as this is told of when it is over."""
WITNESSED: Micros = 30 * HOUR
"""Two failures further apart say nothing of the time between: the longest gap of the usual schedule, jittered, fits."""
SETTLED: Micros = micros(10)
"""Failures among successes are no evidence: an endpoint is reported as failing after this much of nothing else."""
AGAIN: Micros = MINUTE
"""How often a process reports failures that go on."""
STILL_WELL: Micros = 5 * MINUTE
"""How often it reports that all is well."""


class EndpointHealth(Struct, frozen=True, kw_only=True):
    """The health of an endpoint. `failing_since`: the first failure after the last success, 0 when healthy.

    `failing_for`: micros between failures without a success. `resumed_at`: when it was resumed; what
    failed before does not count.
    """

    endpoint_id: str
    organization_id: str
    failing_since: Micros = 0
    failing_for: Micros = 0
    failures: int = 0
    last_failure_at: Micros = 0
    last_success_at: Micros = 0
    resumed_at: Micros = 0
    cause: str = ""
    updated_at: Micros = 0


class Report(Struct, frozen=True, kw_only=True):
    """What one process has seen since its last report. `failures` counts those after its last success."""

    endpoint_id: str
    organization_id: str
    first_failure_at: Micros = 0
    last_failure_at: Micros = 0
    last_success_at: Micros = 0
    failures: int = 0
    cause: str = ""


def merged(standing: EndpointHealth, report: Report, now: Micros) -> EndpointHealth:
    """Return an endpoint's health with what a process reports. Any success, of any process, ends what failed before
    it."""
    before = _not_ahead(standing, now)
    success = max(before.last_success_at, min(report.last_success_at, now))
    good = max(success, before.resumed_at)
    seen = min(report.last_failure_at, now)
    failure = max(before.last_failure_at, seen)
    goes_on = before.failing_since > good
    starts = [at for at in (before.failing_since, min(report.first_failure_at, now), seen) if at > good]
    if not starts:
        return replace(
            before,
            failing_since=0,
            failing_for=0,
            failures=0,
            last_failure_at=failure,
            last_success_at=success,
            cause="",
            updated_at=now,
        )
    fresh = seen > good
    since = min(starts)
    known = before.failing_for if goes_on else 0
    start = before.last_failure_at if goes_on else since
    gap = seen - start if fresh else 0
    return replace(
        before,
        failing_since=since,
        failing_for=known + (gap if 0 < gap <= WITNESSED else 0),
        failures=(before.failures if goes_on else 0) + (report.failures if fresh else 0),
        last_failure_at=failure,
        last_success_at=success,
        cause=report.cause if fresh else before.cause,
        updated_at=now,
    )


def _not_ahead(standing: EndpointHealth, now: Micros) -> EndpointHealth:
    """Correct times that lie ahead: they were taken from a clock that has been set back since."""
    return replace(
        standing,
        failing_since=min(standing.failing_since, now),
        last_failure_at=min(standing.last_failure_at, now),
        last_success_at=min(standing.last_success_at, now),
        resumed_at=min(standing.resumed_at, now),
    )


def start_again(standing: EndpointHealth, now: Micros) -> EndpointHealth:
    """Return the health of an endpoint that was resumed: it starts again."""
    return replace(standing, failing_since=0, failing_for=0, failures=0, resumed_at=now, cause="", updated_at=now)


def is_hopeless(standing: EndpointHealth) -> bool:
    """Return whether the endpoint has failed for so long that it is to be disabled."""
    return standing.failing_for >= PATIENCE


def ended_outage(before: EndpointHealth, after: EndpointHealth) -> bool:
    """Return whether a success has ended an outage that is long enough to report."""
    return before.failing_for >= NOTABLE and not after.failing_since and after.last_success_at > before.failing_since


class _Seen:
    __slots__ = ("cause", "failures", "first", "last", "organization_id", "reported_at", "reported_failing", "success")

    def __init__(self, organization_id: str) -> None:
        self.organization_id = organization_id
        self.first: Micros = 0
        self.last: Micros = 0
        self.success: Micros = 0
        self.failures = 0
        self.cause = ""
        self.reported_at: Micros = 0
        self.reported_failing = True  # by whoever ran before: the first success says that it is over


class HealthRecorder:
    """Records how the attempts of one process went, by endpoint, between two reports."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._news: set[str] = set()

    def note(self, endpoint_id: str, organization_id: str, *, ok: bool, cause: str, now: Micros) -> None:
        """Record an attempt."""
        seen = self._seen.get(endpoint_id)
        if seen is None:
            seen = self._seen[endpoint_id] = _Seen(organization_id)
        if ok:
            seen.success = now
            seen.first = seen.failures = 0
        else:
            seen.first = seen.first or now
            seen.last = now
            seen.failures += 1
            seen.cause = cause
        self._news.add(endpoint_id)

    def reports(self, now: Micros) -> list[Report]:
        """Return what is to be reported now: changes at once, and what goes on now and then. They count as reported."""
        found = []
        for endpoint_id in list(self._news):
            seen = self._seen[endpoint_id]
            failing = seen.first != 0
            if failing and seen.last - seen.first < SETTLED and now - seen.first < SETTLED:
                continue
            if failing is seen.reported_failing and 0 <= now - seen.reported_at < (AGAIN if failing else STILL_WELL):
                continue
            self._news.discard(endpoint_id)
            found.append(
                Report(
                    endpoint_id=endpoint_id,
                    organization_id=seen.organization_id,
                    first_failure_at=seen.first,
                    last_failure_at=seen.last if failing else 0,
                    last_success_at=seen.success,
                    failures=seen.failures,
                    cause=seen.cause if failing else "",
                )
            )
            seen.reported_failing, seen.reported_at = failing, now
            seen.failures = 0
        return found

    def unreported(self, reports: Iterable[Report]) -> None:
        """Take back reports that could not be written, so that they are made again."""
        for report in reports:
            seen = self._seen.get(report.endpoint_id)
            if seen is not None:
                if seen.first == report.first_failure_at:
                    seen.failures += report.failures
                seen.reported_at = 0
                self._news.add(report.endpoint_id)

    def forget(self, endpoint_ids: Iterable[str]) -> None:
        """Forget endpoints that are gone or start again."""
        for endpoint_id in endpoint_ids:
            self._seen.pop(endpoint_id, None)
            self._news.discard(endpoint_id)
