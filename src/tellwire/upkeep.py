"""The loops beside delivery: evidence of health is written, parking that was cut off is ended, recoveries go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from tellwire.chores import Recovering, report_health
from tellwire.errors import Unavailable
from tellwire.evidence import Witness
from tellwire.model import Attempt, Delivery
from tellwire.ports import Clock
from tellwire.routing import Names
from tellwire.stores.cold_store import ColdStore
from tellwire.stores.recoveries import Recoveries
from tellwire.stores.wellbeing import Wellbeing

log = structlog.get_logger("tellwire")

_SECONDS = 1.0
_PARKING_SECONDS = 60.0


class Upkeep:
    """What an installation needs done about its endpoints; any number of processes may do it.

    Args:
        store, clock: where and when.
        names: per payload format, the names under which an event is subscribed to.
        supplied: called when deliveries were made due.
    """

    def __init__(
        self, store: ColdStore, clock: Clock, names: Mapping[str, Names], *, supplied: Callable[[], None]
    ) -> None:
        self._clock = clock
        self.witness = Witness()
        self.wellbeing = Wellbeing(store)
        self.recovering = Recovering(Recoveries(store, names), clock, supplied)
        self._tasks: list[asyncio.Task[None]] = []

    def attempted(self, attempt: Attempt, delivery: Delivery) -> None:
        """Take down an attempt that is recorded; one that went to another URL says nothing of its endpoint."""
        if "url" in attempt.edited:
            return
        self.witness.note(
            delivery.endpoint_id,
            delivery.organization_id,
            ok=attempt.outcome == "delivered",
            cause=attempt.cause,
            now=self._clock.now(),
        )

    def start(self) -> None:
        """Begin, in the running loop."""
        self._tasks = [
            asyncio.create_task(self._forever(self._report, _SECONDS)),
            asyncio.create_task(self._forever(self._park, _PARKING_SECONDS)),
            asyncio.create_task(self._forever(self.recovering.go_on, _SECONDS)),
        ]

    async def stop(self) -> None:
        """End at once; all of it can be gone on with by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def last_report(self) -> None:
        """Write down what is not yet, before the store closes."""
        try:
            await self._report()
        except Unavailable as error:
            log.warning("store_unavailable", detail=str(error))

    async def _report(self) -> bool:
        await report_health(self.wellbeing, self.witness, self._clock)
        return False

    async def _park(self) -> bool:
        await self.wellbeing.park_left(self._clock.now())
        return False

    async def _forever(self, work: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Do it over and over, at once while it says that there is more."""
        while True:
            more = False
            try:
                more = await work()
            except Unavailable as error:
                log.warning("store_unavailable", detail=str(error))
            except Exception:
                log.exception("upkeep_failed")
            await asyncio.sleep(0 if more else seconds)
