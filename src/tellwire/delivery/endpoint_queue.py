"""PURE. One endpoint's deliveries in memory, and which of them may be sent now (docs/reference/delivery.md, "Lanes").

Live deliveries stand in their `Order`; late retries and replays beside it, on budgets of their own. Memory holds a
window of what is on disk (`ReadCursor`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tellwire.delivery.breaker import Breaker
from tellwire.delivery.buffering import buffering_of
from tellwire.delivery.held import Held
from tellwire.delivery.key import Key
from tellwire.delivery.order import Order
from tellwire.delivery.quota import Quota
from tellwire.delivery.read_cursor import ReadCursor
from tellwire.delivery.retry import Attribution, Kind
from tellwire.delivery.side_lanes import OrganizationShare, SideLanes
from tellwire.model.deliveries import DeliveryState, Endpoint, Work
from tellwire.model.units import MICROS, Micros, micros
from tellwire.ports.formats import Joining

_EXTRA_TURN = 8
_BLOCKED_WINDOWS = 8
_LEAST_WINDOW = 8


class Ticket(Struct, eq=False):
    """Permission to make one attempt; without `attempts` it only says that a head is overtaken, or was put together
    with what is sent with it (`joins`), which is to be recorded.

    `epoch`: of the lease under which it was given.
    """

    work: Work
    queue: EndpointQueue
    key: Key | None = None
    epoch: int = 0
    probe: bool = False
    attempts: bool = True
    joins: bool = False
    started_at: Micros = 0
    held_until: Micros = 0
    followed: bool = False


class EndpointQueue:
    """One endpoint's deliveries in memory. `alarm` belongs to the `Scheduler`."""

    def __init__(self, endpoint: Endpoint, *, share: OrganizationShare, joining: Joining | None, now: Micros) -> None:
        self.limits = share.limits
        self.shares = share.shares
        self.share = share
        self._joining = joining
        self.health = Breaker()
        self.backlog = ReadCursor()
        self.order = Order(self.health, crowd=self.limits.window // 2)
        self.open = True
        self._told_to_stop = False
        self.alarm: Micros = 0
        self.in_flight = 0
        self._known = Held(share)
        self.extras = SideLanes(self.limits, share)
        self._turn = 0
        self.quota = Quota(endpoint.id)
        self._apply(endpoint, now)

    # --- settings -----------------------------------------------------------------------------------------------------

    def configure(self, endpoint: Endpoint, now: Micros) -> None:
        """Apply the endpoint's current settings: it may have been opened, closed or changed."""
        known = self.endpoint
        self._apply(endpoint, now)
        if endpoint.state != "active":
            self.close()
            self._told_to_stop = False
        elif self._told_to_stop:
            return
        elif not self.open or (endpoint.ordering, endpoint.buffer) != (known.ordering, known.buffer):
            self.close()
            self.reopen(now)
        elif endpoint.url != known.url and self.health.down:
            self.health.next_probe = now

    def _apply(self, endpoint: Endpoint, now: Micros) -> None:
        self.endpoint = endpoint
        seconds = endpoint.head_of_line_seconds
        bound = self.limits.head_of_line_seconds if seconds is None else seconds
        self.order.configure(endpoint.ordering, micros(bound), buffering_of(endpoint, self._joining))
        self._divide(now)

    def _divide(self, now: Micros) -> None:
        self.quota.divide(self.endpoint, self.shares.leases, per_endpoint=self.limits.per_endpoint, now=now)
        self.extras.configure(self.quota.most)

    def own(self, lost: set[int], gained: set[int], now: Micros) -> None:
        """Apply changed leases: forget what is no longer owned, except what is in flight, and read what is new. The
        breaker keeps its state."""
        self._divide(now)
        self._known.forget([*self.order.drop_partitions(lost), *self.extras.drop(lost)])
        if self.open and self.quota.any_of(gained):
            self.backlog.rewind("")

    def holds(self, ticket: Ticket) -> bool:
        """Return whether the lease under which a ticket was given is still there."""
        return self.shares.leases.get(ticket.work.delivery.partition) == ticket.epoch

    def close(self) -> None:
        """Forget everything but what is in flight, because the endpoint is paused, disabled or deleted."""
        self.open = False
        self.order.drop()
        self.extras.clear()
        flying = {work.delivery.id for key in self.order.keys.values() for work in key.works[0].members}
        self._known.keep(flying | self.extras.in_flight)

    def stop(self) -> None:
        """Stop sending, because the receiver answered 410; the queue stays closed until the registry says so too."""
        self.close()
        self._told_to_stop = True

    def reopen(self, now: Micros) -> None:
        """Start again for an endpoint that is active again: read everything from disk, and begin with few requests."""
        self.open = True
        self.health.reset(now)
        self.backlog.rewind("")
        self.quota.start_gently()

    # --- coming in ----------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do here: no delivery is in memory and no reading is asked for."""
        return not self.order.keys and not self.backlog.more

    def make_way(self) -> None:
        """Let what waits for others go at once when it takes the room of rows that are to be read."""
        if self.order.collecting and self._size() * 2 >= self.window():
            self.order.hurry()

    @property
    def wants_page(self) -> bool:
        """Whether the next page of rows should be read."""
        if not (self.open and self.quota.partitions and self.backlog.more) or self.backlog.reading:
            return False
        # What is read of a group waits for the rest of it, so that room is made by reading on.
        return self._size() * (1 if self.order.collecting else 2) < self.window()

    def _size(self) -> int:
        return len(self._known) - self.order.blocked

    def window(self) -> int:
        """Return how many deliveries may be in memory, heads that wait for their next attempt aside."""
        if self.order.blocked >= self.limits.window * _BLOCKED_WINDOWS:
            return 0
        return min(self.limits.window, max(_LEAST_WINDOW, self.share.room))

    def _has_room(self) -> bool:
        if self._size() < self.window():
            return True
        self._known.forget(self.order.cut_blocked())
        return self._size() < self.window()

    def hint(self, work: Work, now: Micros) -> None:
        """Take in a delivery that was committed, or remember that it is on disk."""
        if not self.open or not self.backlog.takes(work.delivery.id):
            return
        if not self._has_room():
            self.backlog.more = True
            return
        self._take(work, now)

    def page(self, works: Sequence[Work], *, complete: bool, now: Micros) -> None:
        """Take in the rows after the cursor; `complete` when there are no more."""
        if self.open and self.backlog.fits():
            for work in works:
                if not self._take_row(work, now):
                    complete = False
                    break
        self.backlog.end(complete=complete)

    def _take_row(self, work: Work, now: Micros) -> bool:
        identifier = work.delivery.id
        owned = work.delivery.partition in self.shares.leases
        if owned and identifier not in self._known and not self.backlog.is_stale(identifier):
            key = self.order.keys.get(self.order.name(work))
            if key is not None and key.place == "waiting":
                # What stands behind a blocked head stays on disk, so that it takes no room from other keys.
                key.cut = True
            elif not self._has_room():
                return False
            else:
                self._take(work, now)
        self.backlog.after = max(self.backlog.after, identifier)
        return True

    def _take(self, work: Work, now: Micros) -> None:
        identifier = work.delivery.id
        self.backlog.after = identifier
        name = self.order.name(work)
        key = self.order.keys.get(name)
        if key is not None and key.cut:
            return
        self._known.add(identifier)
        self.order.add(name, work, now)

    def offer_extra(self, work: Work, now: Micros) -> bool:
        """Take in a late retry or a replay that is due; False when there is no room for it just now."""
        identifier = work.delivery.id
        if not self.open:
            return False
        if work.delivery.lane == "replay":  # it takes the place of the live delivery, unless that is in flight
            self.remove(identifier, now, only_live=True)
        if identifier in self._known:
            return True
        if not self.extras.offer(work):
            return False
        self._known.add(identifier)
        return True

    def remove(self, delivery_id: str, now: Micros, *, only_live: bool = False) -> bool:
        """Take a delivery out of memory unless it is in flight; True when it was there."""
        if delivery_id not in self._known:
            return False
        found = self.order.remove(delivery_id, now)
        if found:
            self.backlog.left(delivery_id)
            self.backlog.rewind(delivery_id)
        elif not only_live:
            found = self.extras.remove(delivery_id)
        if found:
            self._known.remove(delivery_id)
            self.order.out_of_line((delivery_id,))
        return found

    @property
    def wants_turn(self) -> bool:
        """Whether there may be something to send now or later."""
        order = self.order
        return order.has_ready or order.blocked > 0 or self.health.down or self.extras.waiting or bool(order.collecting)

    # --- going out ----------------------------------------------------------------------------------------------------

    def pick(self, now: Micros) -> Ticket | None:
        """Hand out the next attempt, if one may be made now; the `Scheduler` has found a place for it."""
        if self.in_flight >= self.quota.places or self.quota.ready_at(now) > now:
            return None
        ticket = self._probe(now) if self.health.down else self._next()
        if ticket is not None:
            self.in_flight += 1
            self.share.fly(1)
            self.quota.take()
        return ticket

    def _next(self) -> Ticket | None:
        self._turn += 1
        if self._turn % _EXTRA_TURN == 0 and (ticket := self._extra()) is not None:
            return ticket
        key = self.order.next_ready()
        return self._extra() if key is None else Ticket(key.works[0], self, key)

    def _probe(self, now: Micros) -> Ticket | None:
        if not self.health.may_probe(now) or not self.share.may_probe():
            return None
        key = self.order.next_probe()
        ticket = self._extra() if key is None else Ticket(key.works[0], self, key)
        if ticket is not None:
            ticket.probe = True
            self.share.probe(1)
            self.health.probe(key.name if key is not None else ticket.work.delivery.id)
        return ticket

    def _extra(self) -> Ticket | None:
        work = self.extras.take(self.order.in_flight()) if self.extras.waiting else None
        return None if work is None else Ticket(work, self)

    # --- coming back --------------------------------------------------------------------------------------------------

    def accepted(self, ticket: Ticket, now: Micros) -> None:
        """Record that the receiver accepted the delivery."""
        self.unsent(ticket)
        live = ticket.key is not None
        if self.health.accepted(now, live=live):
            self.quota.start_gently()
            if self.health.forgiven_at == now:
                self.order.forgive(now)
            self.order.tick(now)
        else:
            self.quota.allow_one_more()
        if live:
            self.order.accepted(now)

    def failed(self, ticket: Ticket, kind: Kind, *, now: Micros, pace: Micros | None, wait: Micros) -> Attribution:
        """Record that the receiver did not accept the delivery; return what that costs it."""
        self.unsent(ticket)
        key, delivery = ticket.key, ticket.work.delivery
        before = key.failed_at if key is not None else delivery.updated_at if delivery.lane == "late" else 0
        counted = self.health.failed(
            key.name if key is not None else delivery.id,
            kind,
            started_at=ticket.started_at,
            failed_before=before,
            now=now,
            probe=ticket.probe,
            pace=pace,
            wait=wait,
        )
        ticket.held_until = now + wait if wait else 0
        if key is None or not self.open:
            return Attribution(counted)
        if self.endpoint.ordering == "none":
            return Attribution(counted, late=not self.health.down)
        if kind == "busy":
            return Attribution(counted)
        late = self.order.failed(key, sent_at=ticket.started_at, now=now)
        return Attribution(counted, late=late, out_of_order=late)

    def unsent(self, ticket: Ticket) -> None:
        """End an attempt that was not made or counts for nothing: another probe may go."""
        if ticket.probe:
            self.share.probe(-1)
            self.health.probing = False

    def settled(self, ticket: Ticket, after: Work, now: Micros) -> None:
        """Go on after the result of an attempt is committed: the key continues, or its head waits."""
        if ticket.attempts:
            self.in_flight -= 1
            self.share.fly(-1)
        key, delivery = ticket.key, after.delivery
        goes_on = delivery.lane == "live" and (ticket.joins or delivery.state is DeliveryState.RETRYING)
        if key is None:
            self.extras.settled(ticket.work)
            self._known.forget((ticket.work,))
        elif self.open and goes_on and self.holds(ticket):
            if after.more and self.order.buffering is None:
                self._read_again(key)
            elif ticket.joins:
                self.order.recorded(key)
            else:
                self.order.retry_later(key, after, held_until=ticket.held_until, now=now)
                if self.backlog.more:
                    self._known.forget(self.order.cut(key))
        else:
            self._known.forget((ticket.work,))
            self.backlog.left(delivery.id)
            for work in after.more:
                self.backlog.left(work.delivery.id)
            if self.order.release(key, now):
                self.backlog.rewind(after.members[-1].delivery.id)
            if self.order.barred:
                self.order.out_of_line([work.delivery.id for work in after.members if not work.delivery.in_line])

    def dropped(self, ticket: Ticket) -> None:
        """Drop a delivery whose attempt has no result: only its row is true, so it is read again with all that follows
        it."""
        if ticket.attempts:
            self.in_flight -= 1
            self.share.fly(-1)
        if ticket.key is None:
            self.extras.settled(ticket.work)
            self._known.forget((ticket.work,))
            return
        self._read_again(ticket.key)

    def _read_again(self, key: Key) -> None:
        self._known.forget(self.order.discard(key))
        if self.open:
            self.backlog.rewind("")

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: Micros) -> None:
        """Release the deliveries whose time has come."""
        self.order.tick(now)

    def changed(self) -> list[Ticket]:
        """Return the heads that are to be recorded as overtaken, or as put together with others."""
        overtaken, self.order.overtaken = self.order.overtaken, []
        joined, self.order.joined = self.order.joined, []
        tickets = [Ticket(k.works[0], self, k, attempts=False, followed=len(k.works) > 1 or k.cut) for k in overtaken]
        return tickets + [Ticket(k.works[0], self, k, attempts=False, joins=True) for k in joined]

    def next_time(self, now: Micros) -> Micros | None:
        """Return when something changes here by time alone."""
        at = self.order.next_time()
        extra: Micros | None = None
        if self.health.down:
            if not self.health.probing and (self.order.keys or self.extras.waiting):
                extra = self.health.next_probe
                if not self.share.may_probe():
                    extra = max(extra, now + MICROS)
        elif self.order.has_ready or self.extras.waiting:
            extra = self.quota.ready_at(now)
            if self.extras.refused and not self.order.has_ready:
                extra = max(extra, now + MICROS)
        if extra is not None and extra > now:
            at = extra if at is None else min(at, extra)
        return at
