"""The loops about endpoints: they write health reports, finish parking that was cut off, and continue recoveries."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from tellwire.endpoints.health_history import HealthRecorder, Report
from tellwire.endpoints.recovery import Job, RecoveryStep
from tellwire.endpoints.traffic import Traffic, TrafficCounter
from tellwire.errors import Unavailable
from tellwire.loops import Loop, Work
from tellwire.model.deliveries import Attempt, Delivery
from tellwire.model.units import Micros
from tellwire.ports.clock import Clock

log = structlog.get_logger("tellwire")

_SECONDS = 1.0
_PARKING_SECONDS = 60.0
_TRAFFIC_SECONDS = 5.0
_MILLI = 1000


class EndpointWorker:
    """Runs the loops about endpoints; any number of processes may run them.

    Args:
        standings, recoveries: what is kept of the endpoints.
        clock: time.
        supplied: called when deliveries were made due.
        counted: called with an organization's id and how many attempts delivered and failed since the last time.
    """

    def __init__(
        self,
        standings: HealthStore,
        recoveries: RecoveryStore,
        clock: Clock,
        *,
        supplied: Callable[[], None],
        counted: Callable[[str, int, int], None],
    ) -> None:
        self._clock = clock
        self.witness = HealthRecorder()
        self.traffic = TrafficCounter()
        self._standings = standings
        self._counted = counted
        self.recovering = RecoveryRunner(recoveries, clock, supplied)
        self._loops = (
            _loop("endpoint-health", self._report, _SECONDS),
            _loop("endpoint-traffic", self._add_traffic, _TRAFFIC_SECONDS),
            _loop("parking", self._park, _PARKING_SECONDS),
            _loop("recoveries", self.recovering.go_on, _SECONDS),
        )

    def attempted(self, attempt: Attempt, delivery: Delivery) -> None:
        """Record an attempt whose result is stored; one that went to another URL says nothing about its endpoint."""
        if "url" in attempt.edited:
            return
        of, ok, now = (
            (delivery.endpoint_id, delivery.organization_id),
            attempt.outcome == "delivered",
            self._clock.now(),
        )
        self.witness.note(*of, ok=ok, cause=attempt.cause, now=now)
        self.traffic.note(*of, ok=ok, took=int(attempt.durations.get("total", 0.0) * _MILLI), now=now)

    def start(self) -> None:
        """Start the loops in the running event loop."""
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """Stop at once; another process can continue all of it."""
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    async def last_report(self) -> None:
        """Write the last health report and counts before the store closes."""
        try:
            await self._report()
            await self._add_traffic()
        except Unavailable as error:
            log.warning("store_unavailable", detail=str(error))

    async def _report(self) -> None:
        await report_health(self._standings, self.witness, self._clock)

    async def _add_traffic(self) -> None:
        for each in await add_traffic(self._standings, self.traffic, self._clock):
            self._counted(each.organization_id, each.delivered, each.failed)

    async def _park(self) -> None:
        await self._standings.park_left(self._clock.now())


def _loop(name: str, work: Work, seconds: float) -> Loop:
    return Loop(name, work, seconds=seconds, failed="endpoint_worker_failed")


_BATCHES = 20
"""In a round, of each organization; more when it has more jobs."""


_MOST_FAILURES = 5


class HealthStore(Protocol):
    """The store of how endpoints behave (`stores.health_store`)."""

    async def take_in(self, reports: Sequence[Report], now: Micros) -> list[str]:
        """Merge reports; return the endpoints that this disabled."""
        ...

    async def add_traffic(self, minutes: Sequence[Traffic], now: Micros) -> None:
        """Add counts of attempts to those that are stored."""
        ...

    async def park(self, endpoint_id: str, now: Micros) -> None:
        """Park what waits for an endpoint that is not active."""
        ...

    async def park_left(self, now: Micros) -> None:
        """Finish parking that was cut off."""
        ...


async def report_health(standings: HealthStore, witness: HealthRecorder, clock: Clock) -> None:
    """Store what the attempts of this process say about their endpoints, and park those that this disables."""
    reports = witness.reports(clock.now())
    if not reports:
        return
    try:
        disabled = await standings.take_in(reports, clock.now())
    except BaseException:
        witness.unreported(reports)
        raise
    for endpoint_id in disabled:
        await standings.park(endpoint_id, clock.now())


async def add_traffic(standings: HealthStore, traffic: TrafficCounter, clock: Clock) -> Sequence[Traffic]:
    """Store what this process has counted of the attempts of endpoints, and return it."""
    counted = traffic.take()
    if counted:
        try:
            await standings.add_traffic(counted, clock.now())
        except BaseException:
            traffic.give_back(counted)
            raise
    return counted


class RecoveryStore(Protocol):
    """The store of open recoveries (`stores.recovery_store`)."""

    async def open_jobs(self) -> list[Job]: ...

    async def advance(self, job: Job, now: Micros) -> RecoveryStep:
        """Go on with a job by one batch."""
        ...

    async def give_up(self, job: Job, why: str, now: Micros) -> None: ...


class RecoveryRunner:
    """Continues recoveries. A job that fails again and again ends as failed; the others continue.

    Args:
        recoveries, clock: what there is to do, and the time.
        supplied: called when something was made due.
    """

    def __init__(self, recoveries: RecoveryStore, clock: Clock, supplied: Callable[[], None]) -> None:
        self._recoveries = recoveries
        self._clock = clock
        self._supplied = supplied
        self._failures: dict[str, int] = {}

    async def go_on(self) -> bool:
        """Run some batches of every open job, of each organization as many as of any other; return True when there is
        more to do at once.

        Raises:
            Exception: what one of the jobs stumbled over.
        """
        more, failure = False, None
        open_jobs = await self._recoveries.open_jobs()
        jobs_of = Counter(job.organization_id for job in open_jobs)
        for job in open_jobs:
            try:
                more |= await self._some_batches(job, max(1, _BATCHES // jobs_of[job.organization_id]))
                self._failures.pop(job.id, None)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - raised below, when the others have had their turn
                failure = error
                await self._failed(job, error)
        if failure is not None:
            raise failure
        return more

    async def _some_batches(self, job: Job, most: int) -> bool:
        done = job.done
        for _ in range(most):
            step = await self._recoveries.advance(job, self._clock.now())
            job = step.job
            if step.came != "on":
                break
        if job.done != done:
            self._supplied()
        return step.came == "on"

    async def _failed(self, job: Job, error: Exception) -> None:
        self._failures[job.id] = self._failures.get(job.id, 0) + 1
        if self._failures[job.id] >= _MOST_FAILURES:
            del self._failures[job.id]
            why = f"stopped by an error ({type(error).__name__}); the server's log has it"
            await self._recoveries.give_up(job, why, self._clock.now())
