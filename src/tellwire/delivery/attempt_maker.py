"""Makes one attempt: builds and sends its request, and decides what the answer means; another module records it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from tellwire.delivery import attempt as attempts
from tellwire.delivery import counting
from tellwire.delivery.attempt import Try, Wire
from tellwire.delivery.endpoint_queue import Ticket
from tellwire.delivery.recorder import Entry
from tellwire.delivery.retry import Delivered, Disable
from tellwire.delivery.scheduler import Scheduler
from tellwire.model.deliveries import DeliveryState, Endpoint, ReplayEdit
from tellwire.model.registry import Registry
from tellwire.model.routing import order_key
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Answer, Request, Sender
from tellwire.ports.storage import Outbox


class AttemptPolicy(Struct, frozen=True):
    """How attempts are made and repeated.

    Args:
        wire: the means with which every request is made.
        schedule: gaps in seconds between the attempts of endpoints that set none.
        random: returns a number from 0 to 1, for jitter.
    """

    wire: Wire
    schedule: tuple[float, ...] | None
    random: Callable[[], float]


class AttemptMaker:
    """Makes the attempts that the dispatcher hands out, each in a task of its own.

    Args:
        outbox, sender, clock: rows, HTTP out, and the time of every decision.
        scheduler: takes note of how each attempt went.
        policy: how attempts are made and repeated.
        holds: whether a partition is still owned under an epoch.
        made: given each result, which is to be recorded.
        withheld: told of each delivery that was not sent because its partition is no longer owned.
        counters: count attempts.
    """

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        clock: Clock,
        scheduler: Scheduler,
        *,
        policy: AttemptPolicy,
        holds: Callable[[int, int], bool],
        made: Callable[[Entry], None],
        withheld: Callable[[Ticket], None],
        counters: Counters,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._scheduler = scheduler
        self._policy = policy
        self._holds = holds
        self._put = made
        self._withheld = withheld
        self._counters = counters
        self._barred: set[str] = set()
        self.made = 0
        self.delivered = 0

    def bar(self, registry: Registry) -> None:
        """Stop sending what memory holds for people who are being erased, by whichever process."""
        self._barred |= {order_key(a.id, contact) for contact in registry.erasing for a in registry.accounts.values()}

    def standing(self, ticket: Ticket) -> DeliveryState:
        """Return the state of a delivery that is to be tried again."""
        if ticket.queue.open:
            return DeliveryState.RETRYING
        known = ticket.queue.endpoint.id in self._outbox.registry().endpoints
        return DeliveryState.PARKED if known else DeliveryState.CANCELLED

    async def make(self, ticket: Ticket) -> None:
        """Make the next attempt of a delivery, and give its result to `made`."""
        endpoint, edit = ticket.queue.endpoint, None
        delivery = ticket.work.delivery
        may_send = partial(self._holds, delivery.partition, ticket.epoch)
        request: Request | None = None
        try:
            if delivery.lane == "replay":
                edit = await self._outbox.replay_edit(delivery)
            if delivery.order_key not in self._barred:
                request = attempts.request(
                    ticket.work, endpoint, now=ticket.started_at, wire=self._policy.wire, edit=edit, may_send=may_send
                )
        except Exception as error:  # noqa: BLE001 - what can't be encoded costs its own delivery, never the loop
            request = Request(url=endpoint.url)
            answer = _unmade(error)
        else:
            if request is None:
                self._scheduler.unsent(ticket)
                now = self._clock.now()
                self._put(Entry(ticket, tuple(attempts.cancelled(w.delivery, now) for w in ticket.work.members)))
                return
            try:
                answer = await self._sender.send(request)
            except Exception as error:  # noqa: BLE001 - the port promises that there is none
                answer = _unmade(error)
        if answer.withheld:
            self._withheld(ticket)
        else:
            self._put(self._entry(ticket, endpoint, request, answer, edit=edit))

    def _entry(
        self, ticket: Ticket, endpoint: Endpoint, request: Request, answer: Answer, *, edit: ReplayEdit | None
    ) -> Entry:
        """Decide what the answer means for the delivery and for its endpoint."""
        now, standing, disables = self._clock.now(), self.standing(ticket), ""
        tried = Try(
            work=ticket.work,
            endpoint=endpoint,
            request=request,
            answer=answer,
            started_at=ticket.started_at,
            ended_at=now,
            edit=edit,
        )
        decision, attribution = attempts.conclude(
            tried,
            schedule=self._policy.schedule,
            jitter=self._policy.random(),
            attribute=partial(self._scheduler.failed, ticket),
        )
        self.made += 1
        counting.count(self._counters, ticket.work.delivery, answer, decision, started_at=ticket.started_at, now=now)
        if isinstance(decision, Delivered):
            self.delivered += 1
        if tried.aside:
            self._scheduler.unsent(ticket)
        elif isinstance(decision, Delivered):
            self._scheduler.accepted(ticket, now)
        elif isinstance(decision, Disable):
            disables = decision.reason
            self._scheduler.stop(ticket)
        return Entry(
            ticket, attempts.settle(tried, decision=decision, attribution=attribution, otherwise=standing), disables
        )


def _unmade(error: Exception) -> Answer:
    return Answer(failure="protocol", cause=f"the request could not be made ({type(error).__name__})")
