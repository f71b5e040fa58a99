"""Reads rows into memory: pages of waiting deliveries, late retries and replays that are due, and what hints missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import structlog

from tellwire.delivery.endpoint_queue import EndpointQueue
from tellwire.delivery.scheduler import BacklogPage, Scheduler
from tellwire.model.deliveries import Work
from tellwire.model.units import MICROS, Micros
from tellwire.ports.clock import Clock
from tellwire.ports.storage import Outbox

log = structlog.get_logger("tellwire.dispatcher")

_SWEEP_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_MOST_PAGES = 4
_DUE_PAGE = 256
_DUE_ROUNDS = 8
_DUE_TICK = MICROS // 10


class Reader:
    """Keeps the scheduler supplied with rows.

    Args:
        outbox, clock, scheduler: where rows are, what time it is, where they go.
        supplied: called when there may be something new to send.
    """

    def __init__(self, outbox: Outbox, clock: Clock, scheduler: Scheduler, supplied: Callable[[], None]) -> None:
        self._outbox = outbox
        self._clock = clock
        self._scheduler = scheduler
        self._supplied = supplied
        self._woken = asyncio.Event()
        self._sweep_wanted = True
        self._extras_left = False
        self._due_ticks: set[int] = set()
        self._pages: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sweep now and every few seconds."""
        self.wake()
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_forever())

    async def stop(self) -> None:
        """Stop reading."""
        tasks = [*self._pages, *([self._sweeper] if self._sweeper is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sweeper = None

    def wake(self) -> None:
        """Sweep now."""
        self._sweep_wanted = True
        self._woken.set()

    # --- pages --------------------------------------------------------------------------------------------------------

    def read_pages(self) -> None:
        """Begin to read the pages that the scheduler wants."""
        for page in self._scheduler.pages(_MOST_PAGES - len(self._pages)):
            task = asyncio.create_task(self._read(page))
            self._pages.add(task)
            task.add_done_callback(self._page_done)
        for queue, names in self._scheduler.barred():
            task = asyncio.create_task(self._look_up(queue, names))
            self._pages.add(task)
            task.add_done_callback(self._page_done)

    async def _look_up(self, queue: EndpointQueue, names: Collection[str]) -> None:
        """See which deliveries that heads wait for have had their turn; the next sweep asks again for the others."""
        try:
            waiting = await self._outbox.in_line(queue.endpoint.organization_id, names)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next sweep asks again
            log.warning("order_unread", endpoint_id=queue.endpoint.id, error=type(error).__name__)
        else:
            self._scheduler.unbarred(queue, set(names).difference(waiting))

    def _page_done(self, task: asyncio.Task[None]) -> None:
        self._pages.discard(task)
        self._supplied()

    async def _read(self, page: BacklogPage) -> None:
        try:
            works = await self._outbox.backlog(
                page.endpoint_id, partitions=page.partitions, after=page.after, limit=page.limit
            )
        except Exception as error:  # noqa: BLE001 - whatever it was, the rows are still there
            log.warning("backlog_unread", endpoint_id=page.endpoint_id, error=type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)
            self._scheduler.unread(page)
        else:
            self._scheduler.page(page, works, self._clock.now())

    # --- sweeps -------------------------------------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._sweep()
            except Exception as error:  # noqa: BLE001 - the next sweep tries again
                self._sweep_wanted = True
                log.warning("sweep_failed", error=type(error).__name__)
            self._supplied()
            try:
                async with asyncio.timeout(_SWEEP_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                self._sweep_wanted = True

    async def _sweep(self) -> None:
        leases = self._scheduler.leases
        if not leases:
            return
        if self._sweep_wanted:
            self._sweep_wanted = False
            self._scheduler.sweep(await self._outbox.waiting(leases.keys()), self._clock.now(), leases)
            self._supplied()
        await self._read_due()

    async def _read_due(self) -> None:
        """Fill up with the late retries and replays that are due, past those of endpoints that are full."""
        without: set[str] = set()
        self._extras_left = False
        for _ in range(_DUE_ROUNDS):
            self._scheduler.begin_due()
            works: Sequence[Work] = ()
            try:
                works = await self._outbox.due(
                    self._clock.now(), partitions=self._scheduler.leases.keys(), limit=_DUE_PAGE, without=tuple(without)
                )
            finally:
                full = self._scheduler.due(works, self._clock.now())
            without |= full
            self._extras_left = bool(without) or len(works) == _DUE_PAGE
            self._supplied()
            if not full or len(works) < _DUE_PAGE:
                return

    # --- late retries and replays -------------------------------------------------------------------------------------

    def due_at(self, at: Micros, now: Micros) -> None:
        """Note when a late retry is due; times further away than the next sweep are left to the sweep."""
        tick = at // _DUE_TICK + 1
        if at - now < 2 * _SWEEP_SECONDS * MICROS and tick not in self._due_ticks:
            self._due_ticks.add(tick)
            seconds = max(0.0, (tick * _DUE_TICK - now) / MICROS)
            asyncio.get_running_loop().call_later(seconds, self._look_for_due, tick)

    def _look_for_due(self, tick: int) -> None:
        self._due_ticks.discard(tick)
        self._woken.set()

    def extras_ran_out(self) -> None:
        """Read on for an endpoint that has no late retries or replays left in memory."""
        if self._extras_left:
            self._woken.set()
