"""The loop: takes what the scheduler hands out, sends it, decides with `retry`, and records it before the next of its
key.

Source: docs/reference/delivery.md, "Rows and hints".

Rows are the truth: hints only save the reading of them, and a sweep finds what they missed. Only what this process has
a lease on is sent, and what it recorded under an outdated one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import structlog
from msgspec import Struct

from tellwire.delivery import attempt as attempts
from tellwire.delivery.attempt import Wire
from tellwire.delivery.attempt_maker import AttemptMaker, AttemptPolicy
from tellwire.delivery.endpoint_queue import Ticket
from tellwire.delivery.reader import Reader
from tellwire.delivery.recorder import Entry, Recorder
from tellwire.delivery.scheduler import Scheduler
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.errors import TellwireError
from tellwire.leases import Leases
from tellwire.model.deliveries import Attempt, Delivery, DeliveryState, Work
from tellwire.model.registry import Registry
from tellwire.model.units import MICROS, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Sender
from tellwire.ports.storage import Outbox
from tellwire.ports.tracing import Tracer

log = structlog.get_logger("tellwire.dispatcher")

_PAUSE_SECONDS = 0.5
_LONGEST_SLEEP = 60.0


class Observers(Struct, frozen=True, kw_only=True):
    """The observers of attempts: counters, traces, and a listener that is called for each one once it is recorded."""

    counters: Counters
    tracer: Tracer | None = None
    on_attempt: Callable[[Attempt, Delivery], None] | None = None


class Dispatcher:
    """Delivers what the outbox holds.

    Args:
        outbox, sender, clock: rows, HTTP out, and the time of every decision.
        wire: what requests are made with.
        schedule: the gaps between tries, in seconds, for endpoints that set none.
        limits: caps.
        random: a number from 0 to 1, for jitter.
        observers: who hears of attempts.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        clock: Clock,
        *,
        wire: Wire,
        schedule: tuple[float, ...] | None = None,
        limits: SideLaneLimits | None = None,
        random: Callable[[], float],
        observers: Observers | None = None,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._observers = observers = observers or Observers(counters=Counters())
        joining = {name: form.JOINING for name, form in wire.formats.items()}
        self._scheduler = Scheduler(limits or SideLaneLimits(), joining)
        self._reader = Reader(outbox, clock, self._scheduler, self._pump)
        self._recorder = Recorder(outbox, recorded=self._recorded, refused=self._refused)
        self.leases = Leases(outbox, clock, under_way=self._scheduler.under_way, moved=self._leased)
        self._attempts = AttemptMaker(
            outbox,
            sender,
            clock,
            self._scheduler,
            policy=AttemptPolicy(wire, schedule, random),
            holds=self.leases.holds,
            made=self._recorder.put,
            withheld=self._withheld,
            counters=observers.counters,
        )
        self._subscribed = False
        self._running = False
        self._sending: set[asyncio.Task[None]] = set()
        self._due_work: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: Micros | None = None
        self.refused = 0

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, owner: str) -> None:
        """Take the leases that are free, and begin to deliver."""
        if not self._subscribed:
            self._subscribed = True
            self._outbox.subscribe(
                committed=self._committed,
                changed=self._changed,
                elsewhere=self._elsewhere,
                released=self.leases.nudge,
            )
        self._attempts.bar(self._outbox.registry())
        self._scheduler.begin(self._outbox.registry().endpoints, self._clock.now())
        self._running = True
        await self.leases.start(owner)
        self._recorder.start()
        self._reader.start()

    async def stop(self, timeout_seconds: float) -> None:
        """Take no more deliveries, finish and record those in flight within the bound, and give the leases back.

        What could not be finished stays as it was in its row, to be sent again by the next owner.
        """
        self._running = False
        self._set_timer(None)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        await self._reader.stop()
        await self.leases.stop(timeout_seconds)
        if self._sending:
            await asyncio.wait(self._sending, timeout=max(deadline - loop.time(), 0.0))
        await self._recorder.stop(max(deadline - loop.time(), 0.0))
        left = self._sending | self._due_work
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.leases.release()

    def wake(self) -> None:
        """Read the rows now, because a replay was asked for or the store is available again."""
        self.leases.nudge()
        self._reader.wake()
        self._recorder.nudge()

    def tick(self) -> None:
        """Act on the current time."""
        self._pump()

    def forget(self, delivery_ids: Iterable[str]) -> None:
        """Drop deliveries that were cancelled, unless they are in flight already."""
        self._scheduler.forget(delivery_ids, self._clock.now())

    @property
    def attempts(self) -> int:
        """The number of attempts that were made."""
        return self._attempts.made

    @property
    def delivered(self) -> int:
        """The number of attempts that the receiver accepted."""
        return self._attempts.delivered

    @property
    def in_flight(self) -> int:
        """The number of deliveries that were sent and whose result is not committed."""
        return self._scheduler.shares.in_flight

    @property
    def held(self) -> int:
        """The number of deliveries in memory."""
        return self._scheduler.shares.held

    @property
    def partitions(self) -> Collection[int]:
        """The partitions that this process owns."""
        return self.leases.owned

    @property
    def lease_moves(self) -> int:
        """How many times a partition came or went."""
        return self.leases.moves

    @property
    def unrecorded(self) -> int:
        """The number of results that wait for the store; above zero for long when it cannot commit (`failing` says
        why)."""
        return self._recorder.unrecorded

    @property
    def failing(self) -> str:
        """Why results cannot be written at the moment; "" when they can."""
        return self._recorder.failing

    # --- what the outbox tells ----------------------------------------------------------------------------------------

    def _committed(self, works: Sequence[Work]) -> None:
        if self._running:
            self._scheduler.offer(works, self._clock.now())
            self._pump()

    def _changed(self, registry: Registry) -> None:
        self._attempts.bar(registry)
        if self._running:
            self._scheduler.configure(registry.endpoints, self._clock.now())
            self._pump()

    def _elsewhere(self, endpoint_ids: Sequence[str]) -> None:
        if self._running:
            self._scheduler.elsewhere(endpoint_ids, self._clock.now())
            self._pump()

    def _leased(self, leases: Mapping[int, int]) -> None:
        if self._scheduler.own(leases, self._clock.now()):
            self._reader.wake()
        self._pump()

    # --- handing out --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start every attempt and every read that may be started now."""
        if not self._running:
            return
        if not self.leases.live():
            self.leases.nudge()
            return
        scheduler, now = self._scheduler, self._clock.now()
        while (ticket := scheduler.next(now)) is not None:
            ticket.started_at = now
            task = asyncio.create_task(self._attempts.make(ticket))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        for ticket in scheduler.changed():
            change = attempts.joined if ticket.joins else partial(attempts.overtaken, now=now, followed=ticket.followed)
            self._recorder.put(Entry(ticket, tuple(change(work.delivery) for work in ticket.work.members)))
        self._reader.read_pages()
        self._set_timer(scheduler.wake_at())

    def _set_timer(self, at: Micros | None) -> None:
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, at
        if at is not None:
            seconds = min(max((at - self._clock.now()) / MICROS, 0.0), _LONGEST_SLEEP)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._alarm)

    def _alarm(self) -> None:
        self._timer = self._timer_at = None
        self._pump()

    # --- recorded -----------------------------------------------------------------------------------------------------

    def _recorded(self, entries: Sequence[Entry]) -> None:
        now = self._clock.now()
        for entry in entries:
            self._settle(entry, now)
        self.leases.finished()
        self._pump()

    def _settle(self, entry: Entry, now: Micros) -> None:
        ticket, delivery = entry.ticket, entry.results[0].delivery
        for work, result in zip(ticket.work.members, entry.results, strict=True):
            if result.attempt is not None:
                self._tell(work, result.attempt, result.delivery)
        if entry.disables:
            task = asyncio.create_task(self._disable(ticket.queue.endpoint.id, entry.disables))
            self._due_work.add(task)
            task.add_done_callback(self._due_work.discard)
        elif delivery.state is DeliveryState.RETRYING or delivery.state is DeliveryState.PARKED:
            standing = self._attempts.standing(ticket)
            if standing is not delivery.state:
                # The endpoint was paused or resumed while the result was being written: the row must not disagree.
                self._recorder.put(entry.of_each(partial(attempts.restated, state=standing, now=now)))
                return
            if delivery.lane != "live":
                self._reader.due_at(delivery.due_at, now)
        self._scheduler.settled(ticket, entry.after, now)
        if ticket.key is None and not ticket.queue.extras.waiting:
            self._reader.extras_ran_out()

    def _tell(self, work: Work, attempt: Attempt, delivery: Delivery) -> None:
        observers = self._observers
        if observers.tracer is not None:
            observers.tracer.attempted(work, attempt)
        if observers.on_attempt is not None:
            try:
                observers.on_attempt(attempt, delivery)
            except Exception:
                log.exception("on_attempt_failed")

    def _withheld(self, ticket: Ticket) -> None:
        """Put back a delivery that was not sent, because its lease ended first: no attempt was made."""
        self._scheduler.unsent(ticket)
        self._scheduler.dropped(ticket)
        self.leases.finished()
        self._pump()

    def _refused(self, entries: Sequence[Entry]) -> None:
        """Drop deliveries whose results the store refused: their partitions have or had another owner, and only the
        rows are true."""
        log.warning("results_refused", count=len(entries))
        self.refused += len(entries)
        for entry in entries:
            self.leases.lost(entry.ticket.work.delivery.partition, entry.ticket.epoch)
            self._scheduler.dropped(entry.ticket)
        self.leases.finished()
        self._reader.wake()
        self._pump()

    async def _disable(self, endpoint_id: str, reason: str) -> None:
        while True:
            try:
                await self._outbox.disable(endpoint_id, reason)
            except TellwireError as error:
                log.warning("disable_waits", endpoint_id=endpoint_id, reason=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                log.warning("endpoint_disabled", endpoint_id=endpoint_id, reason=reason)
                return
