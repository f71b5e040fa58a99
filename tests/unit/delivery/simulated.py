"""The lanes in a world of their own: rows on a pretended disk, receivers that answer as scripted, time that jumps.

It drives `Scheduler` and `attempt.conclude` as the dispatcher does, checks at every step what must always hold, and
keeps a log of what was sent and accepted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from msgspec import Raw, Struct
from msgspec.structs import replace

from tellwire.delivery import attempt
from tellwire.delivery.buffering import group_id
from tellwire.delivery.endpoint_queue import Ticket
from tellwire.delivery.recorder import Entry
from tellwire.delivery.retry import Disable
from tellwire.delivery.scheduler import BacklogPage, Scheduler
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.formats.row import JOINING
from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint, Event, Snapshot, Work
from tellwire.model.routing import PARTITIONS, partition
from tellwire.model.units import MICROS, Micros
from tellwire.ports.http_out import Answer, Failure, Request

START = 1_778_038_763_000_000
LIVE_STATES = (DeliveryState.PENDING, DeliveryState.RETRYING)
EVENT = Event(
    id="e",
    organization_id="o",
    account_id="a",
    entity="messages",
    action="insert",
    name="messages.insert",
    order_key="k",
    snapshot=Snapshot(row=Raw(b"{}")),
)


class Reply(Struct):
    """How a receiver answers one request, `after` so many micros."""

    status: int = 200
    failure: Failure = ""
    after: Micros = 20_000
    headers: tuple[tuple[str, str], ...] = ()


Script = Callable[[Delivery, float], Reply]
"""(delivery, seconds since the start) → reply"""


class Sent(Struct):
    """One attempt that was answered; `webhook_id`: of the request, which it may have shared with others."""

    delivery: Delivery
    at: float
    ok: bool
    webhook_id: str = ""


def endpoint(identifier: str = "ep0", organization_id: str = "o", **settings: Any) -> Endpoint:
    url = f"https://{identifier}.example/"
    return Endpoint(id=identifier, organization_id=organization_id, url=url, format="row", **settings)


class Simulation:
    """A process with its rows. Times in the log are seconds since the start."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        script: Script,
        *,
        limits: SideLaneLimits | None = None,
        schedule: tuple[float, ...] | None = None,
        jitter: float = 0.0,
        commit: Micros = 3_000,
        read: Micros = 1_000,
    ) -> None:
        self.now: Micros = START
        self.script = script
        self.limits = limits or SideLaneLimits()
        self.schedule = schedule
        self.jitter = jitter
        self.commit = commit
        self.read = read
        self.endpoints = {e.id: e for e in endpoints}
        self.rows: dict[str, Delivery] = {}
        self.events: dict[str, Event] = {}
        self.sent: list[Sent] = []
        self.epochs = dict.fromkeys(range(PARTITIONS), 1)
        self.away: set[int] = set()
        self.refused = 0
        self.most_held = 0
        self._live: dict[str, dict[str, None]] = defaultdict(dict)
        self._extra: dict[str, None] = {}
        self._ids = count(1)
        self._steps: list[tuple[Micros, int, Callable[[], None]]] = []
        self._world: list[tuple[Micros, int, Callable[[], None]]] = []
        self._serial = count()
        self.flying: Counter[str] = Counter()
        self._flying_keys: set[tuple[str, str]] = set()
        self._flying_ids: set[str] = set()
        self.kill()

    # --- the outside --------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        return (self.now - START) / MICROS

    def kill(self) -> None:
        """End the process and begin with empty memory: what was in flight is forgotten."""
        self._steps.clear()
        self.flying.clear()
        self._flying_keys.clear()
        self._flying_ids.clear()
        self.lanes = Scheduler(self.limits, {"row": JOINING})
        self.lanes.begin(self.endpoints, self.now)
        self.lanes.own(self._leases(), self.now)
        self._sweep()

    def _leases(self) -> dict[int, int]:
        return {p: epoch for p, epoch in self.epochs.items() if p not in self.away}

    def lose(self, *partitions: int) -> None:
        """Another process takes partitions, and nobody says so before the next renewal, which is now."""
        for each in partitions:
            self.epochs[each] += 1
            self.away.add(each)
        self.lanes.own(self._leases(), self.now)
        self._pump()

    def hand_over(self, *partitions: int) -> None:
        """They are to go elsewhere: nothing more is handed out from them, and what is in flight is still taken."""
        self.away.update(partitions)
        self.lanes.own(self._leases(), self.now)
        self._pump()

    def gain(self, *partitions: int) -> None:
        """They are this process's, again."""
        self.away.difference_update(partitions)
        self.lanes.own(self._leases(), self.now)
        self._sweep(again=False)
        self._pump()

    def delivered_elsewhere(self, endpoint_id: str, key: str) -> None:
        """The other owner delivers the oldest of a key, if the partition is its."""
        if partition(endpoint_id, key) in self.away:
            for row in sorted(self.rows.values(), key=lambda r: r.id):
                if (row.endpoint_id, row.order_key) == (endpoint_id, key) and row.state in LIVE_STATES:
                    self.store(replace(row, state=DeliveryState.DELIVERED, attempts=row.attempts + 1))
                    return

    def commits(self, *places: tuple[str, str], hint: bool = True, event: Event = EVENT) -> list[str]:
        """Commit one delivery of an event per (endpoint, order key); without a hint they are on disk only."""
        works = []
        for endpoint_id, key in places:
            identifier = f"{next(self._ids):08d}"
            active = self.endpoints[endpoint_id].state == "active"
            delivery = Delivery(
                id=identifier,
                organization_id="o",
                event_id="e",
                endpoint_id=endpoint_id,
                order_key=key,
                partition=partition(endpoint_id, key),
                state=DeliveryState.PENDING if active else DeliveryState.PARKED,
                webhook_id=f"msg_{identifier}",
                due_at=self.now,
                created_at=self.now,
            )
            self.events[identifier] = event
            self.store(delivery)
            works.append(Work(delivery, event))
        if hint:
            self.lanes.offer(works, self.now)
            self._pump()
        return [work.delivery.id for work in works]

    def change(self, identifier: str, **settings: Any) -> None:
        """Change an endpoint as the API does: pausing parks, resuming lets go."""
        self.endpoints = {**self.endpoints, identifier: replace(self.endpoints[identifier], **settings)}
        active = self.endpoints[identifier].state == "active"
        for row in list(self.rows.values()):
            if row.endpoint_id == identifier:
                if active and row.state is DeliveryState.PARKED:
                    self.store(replace(row, state=DeliveryState.RETRYING if row.attempts else DeliveryState.PENDING))
                elif not active and row.state in LIVE_STATES:
                    self.store(replace(row, state=DeliveryState.PARKED))
        self.lanes.configure(self.endpoints, self.now)
        self._pump()

    def replay(self, *ids: str) -> None:
        """Ask for deliveries again, as the API does."""
        for identifier in ids:
            row = self.rows[identifier]
            self.store(
                replace(
                    row,
                    state=DeliveryState.PENDING,
                    lane="replay",
                    replay=row.replay + 1,
                    counted_attempts=0,
                    first_attempt_at=0,
                    due_at=self.now,
                )
            )
        self._due()
        self._pump()

    def at(self, seconds: float, step: Callable[[], Any]) -> None:
        """Do something at a time."""
        heappush(self._world, (START + int(seconds * MICROS), next(self._serial), step))

    def run(self, seconds: float) -> None:
        """Let time pass up to so many seconds after the start."""
        end = START + int(seconds * MICROS)
        self._pump()
        while True:
            wake = self.lanes.wake_at()
            at = min([heap[0][0] for heap in (self._steps, self._world) if heap] + [wake or end + 1])
            if at > end:
                self.now = max(self.now, end)
                return
            self.now = max(self.now, at)
            for heap in (self._steps, self._world):
                while heap and heap[0][0] <= self.now:
                    heappop(heap)[2]()
            self._pump()

    def accepted(self, endpoint_id: str = "ep0", key: str | None = None) -> list[str]:
        """Ids in the order in which they were accepted."""
        return [
            s.delivery.id
            for s in self.sent
            if s.ok and s.delivery.endpoint_id == endpoint_id and key in (None, s.delivery.order_key)
        ]

    def tries(self, identifier: str) -> list[float]:
        """When a delivery was sent."""
        return [round(s.at, 2) for s in self.sent if s.delivery.id == identifier]

    def states(self) -> Counter[str]:
        return Counter(row.state.value for row in self.rows.values())

    def waits(self, endpoint_id: str) -> bool:
        """Whether something live of an endpoint is due and not in flight."""
        live = (i for i in self._live[endpoint_id] if i not in self._flying_ids)
        return any(self.rows[i].due_at <= self.now for i in live)

    def works(self, *, lane: str) -> list[Work]:
        return [self._work(row.id) for row in self.rows.values() if row.lane == lane]

    def _work(self, identifier: str) -> Work:
        return Work(self.rows[identifier], self.events[identifier])

    # --- the disk -----------------------------------------------------------------------------------------------------

    def store(self, delivery: Delivery) -> None:
        self.rows[delivery.id] = delivery
        self._live[delivery.endpoint_id].pop(delivery.id, None)
        self._extra.pop(delivery.id, None)
        if delivery.state in LIVE_STATES:
            if delivery.lane == "live":
                self._live[delivery.endpoint_id][delivery.id] = None
            else:
                self._extra[delivery.id] = None

    def _page(self, page: BacklogPage) -> Sequence[Work]:
        live = self._live[page.endpoint_id]
        ids = sorted(i for i in live if i > page.after and self.rows[i].partition in page.partitions)[: page.limit]
        return [self._work(identifier) for identifier in ids]

    # --- what the dispatcher does -------------------------------------------------------------------------------------

    def _later(self, at: Micros, step: Callable[[], None]) -> None:
        heappush(self._steps, (at, next(self._serial), step))

    def _sweep(self, *, again: bool = True) -> None:
        owned = self.lanes.leases
        waiting = [e for e, live in self._live.items() if any(self.rows[i].partition in owned for i in live)]
        self.lanes.sweep(waiting, self.now, owned)
        self._due()
        # Nothing is missed in a pretended process, so that a quiet one may jump.
        if again:
            self._later(self.now + (5 if self.seconds < 600 else 3600) * MICROS, self._sweep)

    def _due(self) -> None:
        self.lanes.begin_due()
        due = sorted((self.rows[i] for i in self._extra if self.rows[i].due_at <= self.now), key=lambda d: d.due_at)
        due = [d for d in due if d.partition in self.lanes.leases]
        self.lanes.due([self._work(d.id) for d in due if self.endpoints[d.endpoint_id].state == "active"], self.now)

    def _pump(self) -> None:
        lanes = self.lanes
        while (ticket := lanes.next(self.now)) is not None:
            self._send(ticket)
        for ticket in lanes.changed():
            change = (
                attempt.joined if ticket.joins else partial(attempt.overtaken, now=self.now, followed=ticket.followed)
            )
            changed = tuple(change(work.delivery) for work in ticket.work.members)
            self._later(self.now + self.commit, partial(self._commit, Entry(ticket, changed)))
        for page in lanes.pages(4):
            works = self._page(page)
            self._later(self.now + self.read, lambda p=page, w=works: self.lanes.page(p, w, self.now))  # type: ignore[misc]
        self.most_held = max(self.most_held, lanes.shares.held)

    def _send(self, ticket: Ticket) -> None:
        delivery, settings = ticket.work.delivery, ticket.queue.endpoint
        ticket.started_at = self.now
        ids = [work.delivery.id for work in ticket.work.members]
        assert not self._flying_ids.intersection(ids), "sent while it was in flight"
        assert all(self.rows[each].state in LIVE_STATES for each in ids), "sent though it was settled"
        assert ids == sorted(ids)
        if len(ids) > 1:
            together = {self.rows[each].together for each in ids}
            assert len(together) == 1, "sent unrecorded"
            assert "" not in together, "sent unrecorded"
        assert settings.state == "active"
        assert delivery.partition not in self.away, "sent though it is another's"
        assert self.epochs[delivery.partition] == ticket.epoch
        self._flying_ids.update(ids)
        self.flying[settings.id] += 1
        assert self.flying[settings.id] <= (settings.max_in_flight or self.limits.per_endpoint)
        assert self.flying.total() <= self.limits.in_flight
        if delivery.lane == "live" and settings.ordering != "none":
            place = (settings.id, delivery.order_key)
            assert place not in self._flying_keys, "two of a key in flight"
            self._flying_keys.add(place)
            earlier = set(self._earlier(ticket.work.members[-1].delivery)).difference(ids)
            assert not earlier, f"{ids} before {earlier}"
        reply = self.script(delivery, self.seconds)
        self._later(self.now + reply.after, lambda: self._answer(ticket, reply))

    def _earlier(self, delivery: Delivery) -> list[str]:
        """Live deliveries of the same key that should have gone before."""
        return [
            i
            for i in self._live[delivery.endpoint_id]
            if i < delivery.id and self.rows[i].order_key == delivery.order_key
        ]

    def _answer(self, ticket: Ticket, reply: Reply) -> None:
        settings = ticket.queue.endpoint
        answer = Answer(status=reply.status, failure=reply.failure, headers=reply.headers)
        tried = attempt.Try(
            work=ticket.work,
            endpoint=settings,
            request=Request(url=settings.url),
            answer=answer,
            started_at=ticket.started_at,
            ended_at=self.now,
        )
        decision, attribution = attempt.conclude(
            tried,
            schedule=self.schedule,
            jitter=self.jitter,
            attribute=lambda kind, *, now, pace, wait: self.lanes.failed(ticket, kind, now=now, pace=pace, wait=wait),
        )
        if answer.ok:
            self.lanes.accepted(ticket, self.now)
        elif isinstance(decision, Disable):
            self.lanes.stop(ticket)
        webhook_id = group_id(ticket.work.members)
        for work in ticket.work.members:
            self.sent.append(Sent(work.delivery, (ticket.started_at - START) / MICROS, answer.ok, webhook_id))
        results = attempt.settle(
            tried,
            decision=decision,
            attribution=attribution,
            otherwise=DeliveryState.RETRYING if ticket.queue.open else DeliveryState.PARKED,
        )
        self._later(self.now + self.commit, lambda: self._commit(Entry(ticket, results)))

    def _commit(self, entry: Entry) -> None:
        ticket, delivery = entry.ticket, entry.results[0].delivery
        if delivery.state in (DeliveryState.RETRYING, DeliveryState.PARKED):
            standing = DeliveryState.RETRYING if ticket.queue.open else DeliveryState.PARKED
            entry = entry.of_each(partial(attempt.restated, state=standing, now=delivery.updated_at))
            delivery = entry.results[0].delivery
        refused = ticket.epoch != self.epochs[delivery.partition]
        for result in () if refused else entry.results:
            known = self.rows[result.delivery.id]
            self.store(replace(known, together=result.delivery.together) if ticket.joins else result.delivery)
        if ticket.attempts:
            self._flying_ids.difference_update(result.delivery.id for result in entry.results)
            self.flying[delivery.endpoint_id] -= 1
            if ticket.key is not None:
                self._flying_keys.discard((delivery.endpoint_id, delivery.order_key))
        if refused:
            self.refused += 1
            self.lanes.dropped(ticket)
            self._due()
            return
        self.lanes.settled(ticket, entry.after, self.now)
        if delivery.lane != "live" and delivery.state is DeliveryState.RETRYING:
            self._later(delivery.due_at, self._due)
