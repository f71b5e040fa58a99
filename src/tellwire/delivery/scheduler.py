"""PURE. Decides what is sent next: fair over the organizations, then over the endpoints of each, in order within each
key, within every limit.

Source: docs/reference/delivery.md, "Lanes".

Memory only: rows are the truth, and everything here can be dropped and read again. Time is an argument; nothing is
sent, read or written here. Each step costs the same however many organizations, endpoints and keys
there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from msgspec import Struct

from tellwire.delivery.endpoint_queue import EndpointQueue, Ticket
from tellwire.delivery.organization import Organizations
from tellwire.delivery.retry import Attribution, Kind
from tellwire.delivery.side_lanes import Shares, SideLaneLimits
from tellwire.model.deliveries import DeliveryState, Endpoint, Work
from tellwire.model.units import Micros
from tellwire.ports.formats import Joining

_PAGE = 256


class BacklogPage(Struct, frozen=True):
    """A page of rows to read: `limit` live deliveries of an endpoint in these partitions with an id above `after`."""

    queue: EndpointQueue
    partitions: tuple[int, ...]
    after: str
    limit: int

    @property
    def endpoint_id(self) -> str:
        return self.queue.endpoint.id


def _turn(work: Work) -> tuple[Micros, str]:
    """Late retries go by age; replays in the order in which they were asked for."""
    delivery = work.delivery
    return (delivery.due_at if delivery.lane == "replay" else 0), delivery.id


class Scheduler:
    """The queues of all endpoints, and the turns among organizations. `joining`: how formats put messages together, by
    their names."""

    def __init__(self, limits: SideLaneLimits, joining: Mapping[str, Joining | None] | None = None) -> None:
        self.limits = limits
        self._joining = joining or {}
        self.shares = Shares()
        self.queues: dict[str, EndpointQueue] = {}
        self._endpoints: Mapping[str, Endpoint] = {}
        self._organizations = Organizations(limits, self.shares)
        self._alarms: list[tuple[Micros, int, EndpointQueue]] = []
        self._serial = 0
        self._swept = False
        self._left_extras: set[str] | None = None
        self._changed: list[Ticket] = []
        self._under_way: Counter[int] = Counter()
        self._barred: set[EndpointQueue] = set()

    # --- endpoints ----------------------------------------------------------------------------------------------------

    def configure(self, endpoints: Mapping[str, Endpoint], now: Micros) -> None:
        """Apply the current endpoints: those paused, disabled or gone leave memory, and those that are back are read
        anew."""
        before, self._endpoints = self._endpoints, endpoints
        for identifier, queue in list(self.queues.items()):
            endpoint = endpoints.get(identifier)
            if endpoint is not None:
                queue.configure(endpoint, now)
                self._touch(queue)
                continue
            queue.close()
            if not queue.in_flight:
                del self.queues[identifier]
        for identifier, endpoint in endpoints.items():
            if endpoint.state == "active" and identifier not in self.queues:
                known = before.get(identifier)
                if known is not None and known.state != "active":
                    queue = self._create(endpoint, now, read=True)
                    queue.reopen(now)
                    self._touch(queue)

    def stop(self, ticket: Ticket) -> None:
        """Close the queue of an endpoint whose receiver answered 410, before the registry says so."""
        ticket.queue.unsent(ticket)
        ticket.queue.stop()

    def begin(self, endpoints: Mapping[str, Endpoint], now: Micros) -> None:
        """Start, or start again, knowing nothing of what waits on disk until the first `sweep`."""
        self._swept = False
        self.configure(endpoints, now)

    # --- leases -------------------------------------------------------------------------------------------------------

    @property
    def leases(self) -> Mapping[int, int]:
        """The epoch of each partition that may be handed out from; another object after every change."""
        return self.shares.leases

    def own(self, leases: Mapping[int, int], now: Micros) -> bool:
        """Hand out from these partitions only; return True when some are new, whose rows are to be read.

        Of those that are gone only what is in flight stays known, until its result is written or refused.
        """
        before = self.shares.leases
        lost = {p for p, epoch in before.items() if leases.get(p) != epoch}
        gained = {p for p, epoch in leases.items() if before.get(p) != epoch}
        if not lost and not gained:
            return False
        self.shares.leases = dict(leases)
        if gained:
            self._swept = False
            self._left_extras = None  # what is being read may be older than the lease
        for queue in self.queues.values():
            queue.own(lost, gained, now)
            self._touch(queue)
            self._arm(queue, now)
        return bool(gained)

    def under_way(self, partition: int) -> int:
        """Return how many of a partition's deliveries are in flight, or wait for their result to be written."""
        return self._under_way[partition]

    def _create(self, endpoint: Endpoint, now: Micros, *, read: bool) -> EndpointQueue:
        share = self._organizations.share_of(endpoint)
        queue = EndpointQueue(endpoint, share=share, joining=self._joining.get(endpoint.format), now=now)
        queue.backlog.more = read
        self.queues[endpoint.id] = queue
        return queue

    def _queue_of(self, work: Work, now: Micros) -> EndpointQueue | None:
        """Return the queue of a delivery's endpoint, made if there is none; None while the endpoint takes nothing."""
        queue = self.queues.get(work.delivery.endpoint_id)
        if queue is not None:
            return queue
        endpoint = self._endpoints.get(work.delivery.endpoint_id)
        if endpoint is None or endpoint.state != "active":
            return None
        # Before the first sweep nobody knows what else waits on disk.
        return self._create(endpoint, now, read=not self._swept)

    # --- coming in ----------------------------------------------------------------------------------------------------

    def offer(self, works: Iterable[Work], now: Micros) -> None:
        """Take in deliveries that were committed, in this order."""
        leases = self.shares.leases
        for work in works:
            if work.delivery.partition not in leases:
                continue
            queue = self._queue_of(work, now)
            if queue is None:
                continue
            queue.hint(work, now)
            self._touch(queue)

    def elsewhere(self, endpoint_ids: Iterable[str], now: Micros) -> None:
        """Read on for these endpoints, for which other processes committed deliveries."""
        for identifier in endpoint_ids:
            queue = self.queues.get(identifier)
            if queue is None:
                endpoint = self._endpoints.get(identifier)
                if endpoint is None or endpoint.state != "active":
                    continue
                queue = self._create(endpoint, now, read=True)
            else:
                queue.backlog.expect()
            self._touch(queue)

    def sweep(self, endpoint_ids: Iterable[str], now: Micros, leases: Mapping[int, int]) -> None:
        """Read the rows of these endpoints, which have live deliveries on disk, where memory knows nothing of them.

        `leases`: what was owned when the rows were looked at.
        """
        for identifier in endpoint_ids:
            queue = self.queues.get(identifier)
            if queue is None:
                endpoint = self._endpoints.get(identifier)
                if endpoint is None or endpoint.state != "active":
                    continue
                queue = self._create(endpoint, now, read=True)
            elif queue.open and queue.idle:
                queue.backlog.rewind("")
            self._touch(queue)
        self._swept = self._swept or leases is self.shares.leases
        self._barred |= {queue for queue in self.queues.values() if queue.order.barred}
        for queue in self.queues.values():
            if queue.backlog.more:
                self._touch(queue)

    def pages(self, most: int) -> list[BacklogPage]:
        """Return up to `most` pages that are to be read now, of each organization in turn; each is to be answered with
        `page` or `unread`."""
        pages: list[BacklogPage] = []
        while len(pages) < most and (queue := self._organizations.next_for_page()) is not None:
            if queue.wants_page:
                limit = min(_PAGE, queue.window())
                pages.append(BacklogPage(queue, queue.quota.partitions, queue.backlog.begin(), limit))
        return pages

    def page(self, page: BacklogPage, works: Sequence[Work], now: Micros) -> None:
        """Take in a page that was read."""
        page.queue.page(works, complete=len(works) < page.limit, now=now)
        self._touch(page.queue)
        self._arm(page.queue, now)

    def unread(self, page: BacklogPage) -> None:
        """Ask again for a page that could not be read."""
        page.queue.backlog.end(complete=False)
        self._touch(page.queue)

    def barred(self) -> list[tuple[EndpointQueue, frozenset[str]]]:
        """Return what is to be looked up now: deliveries that heads wait for, by endpoint; to be answered with
        `unbarred`."""
        if not self._barred:
            return []
        some, self._barred = self._barred, set()
        found = [(queue, frozenset[str]().union(*(k.behind for k in queue.order.barred.values()))) for queue in some]
        return [(queue, names) for queue, names in found if names]

    def unbarred(self, queue: EndpointQueue, delivery_ids: Iterable[str]) -> None:
        """Let the heads go that waited for these deliveries alone, which have had their turn."""
        queue.order.out_of_line(delivery_ids)
        self._touch(queue)

    def begin_due(self) -> None:
        """Note that the late retries and replays that are due are being read."""
        self._left_extras = set()

    def due(self, works: Iterable[Work], now: Micros) -> set[str]:
        """Accept the late retries and replays that were read; return the endpoints that have no room for more, of their
        own or of their organization's."""
        left, self._left_extras = self._left_extras, None
        if left is None:
            return set()
        full: set[str] = set()
        full_organizations: set[str] = set()
        for work in sorted(works, key=_turn):
            if work.delivery.id in left or work.delivery.partition not in self.shares.leases:
                continue
            queue = self._queue_of(work, now)
            if queue is None:
                continue
            if not queue.offer_extra(work, now):
                full.add(work.delivery.endpoint_id)
                if queue.share.full:
                    full_organizations.add(queue.endpoint.organization_id)
            self._touch(queue)
        if full_organizations:
            full.update(e.id for e in self._endpoints.values() if e.organization_id in full_organizations)
        return full

    def forget(self, delivery_ids: Iterable[str], now: Micros) -> None:
        """Drop deliveries that were cancelled, unless they are in flight."""
        for identifier in delivery_ids:
            for queue in self.queues.values():
                if queue.remove(identifier, now):
                    self._touch(queue)
                    break

    # --- going out ----------------------------------------------------------------------------------------------------

    def next(self, now: Micros) -> Ticket | None:
        """Hand out the next attempt: the organization that has the fewest in flight has its turn, and of it the
        endpoint that has the fewest."""
        if self._alarms and self._alarms[0][0] <= now:
            self._advance(now)
        organizations = self._organizations
        while (queue := organizations.first()) is not None:
            ticket = queue.pick(now)
            if queue.order.joined:
                self._note_changed(queue)
            if ticket is not None:
                organizations.enlist(queue)
                self._give(ticket)
                return ticket
            organizations.delist(queue)
            self._arm(queue, now)
        return None

    def _give(self, ticket: Ticket) -> None:
        partition = ticket.work.delivery.partition
        ticket.epoch = self.shares.leases[partition]
        self._under_way[partition] += 1

    def changed(self) -> list[Ticket]:
        """Return the heads that lost their place in the order, or were put together with what is sent with them: they
        are to be recorded so, then `settled`."""
        found, self._changed = self._changed, []
        return found

    def wake_at(self) -> Micros | None:
        """Return when `next` may have something again by time alone."""
        return self._alarms[0][0] if self._alarms else None

    # --- coming back --------------------------------------------------------------------------------------------------

    def accepted(self, ticket: Ticket, now: Micros) -> None:
        """Record that the receiver accepted the delivery of a ticket."""
        ticket.queue.accepted(ticket, now)
        self._touch(ticket.queue)

    def failed(
        self, ticket: Ticket, kind: Kind, *, now: Micros, pace: Micros | None = None, wait: Micros = 0
    ) -> Attribution:
        """Record that the receiver did not accept the delivery of a ticket; return what that costs it.

        Args:
            kind: of whom the answer speaks.
            pace: the probing gap that a given schedule sets.
            wait: how long the answer asks us to wait.
        """
        return ticket.queue.failed(ticket, kind, now=now, pace=pace, wait=wait)

    def unsent(self, ticket: Ticket) -> None:
        """End a ticket for which there was nothing to send."""
        ticket.queue.unsent(ticket)

    def settled(self, ticket: Ticket, after: Work, now: Micros) -> None:
        """Go on after the result of an attempt is committed, as its deliveries show it."""
        queue, delivery = ticket.queue, after.delivery
        queue.settled(ticket, after, now)
        self._under_way[delivery.partition] -= 1
        if ticket.key is None:
            self._extra_settled(ticket)
        elif delivery.attempts > 1 or delivery.state is DeliveryState.RETRYING:
            self._arm(queue, now)
        self._touch(queue)

    def dropped(self, ticket: Ticket) -> None:
        """Drop a ticket that has no result: it was withheld, or the store refused its result."""
        delivery = ticket.work.delivery
        ticket.queue.dropped(ticket)
        self._under_way[delivery.partition] -= 1
        if ticket.key is None:
            self._extra_settled(ticket)
        self._touch(ticket.queue)

    def _extra_settled(self, ticket: Ticket) -> None:
        """Give some of those a turn that had no place for a late retry or a replay."""
        if self._left_extras is not None:
            self._left_extras.add(ticket.work.delivery.id)
        for queue in self._organizations.wanting_lane(ticket.queue):
            self._touch(queue)

    # --- turn and time ------------------------------------------------------------------------------------------------

    def _touch(self, queue: EndpointQueue) -> None:
        """Give a queue its turn again, because something changed."""
        self._organizations.enlist(queue)
        if queue.backlog.more:
            self._organizations.want_page(queue)
            queue.make_way()
        if queue.order.newly_barred:
            queue.order.newly_barred = False
            self._barred.add(queue)
        if queue.order.overtaken:
            self._note_changed(queue)

    def _note_changed(self, queue: EndpointQueue) -> None:
        tickets = queue.changed()
        for ticket in tickets:
            self._give(ticket)
        self._changed += tickets

    def _arm(self, queue: EndpointQueue, now: Micros) -> None:
        at = queue.next_time(now)
        if at is None:
            return
        at = max(at, now)
        if not queue.alarm or at < queue.alarm:
            queue.alarm = at
            self._serial += 1
            heappush(self._alarms, (at, self._serial, queue))

    def _advance(self, now: Micros) -> None:
        while self._alarms and self._alarms[0][0] <= now:
            at, _, queue = heappop(self._alarms)
            if at == queue.alarm:
                queue.alarm = 0
            queue.tick(now)
            self._touch(queue)
            self._arm(queue, now + 1)
