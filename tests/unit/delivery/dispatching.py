"""A dispatcher over an outbox in memory, a sender that does as told and a clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from msgspec import Raw
from msgspec.structs import replace
from tests.unit.delivery.leasing import LENGTH, LeaseTable
from tests.unit.delivery.own_format import OwnFormat

from tellwire.delivery.attempt import Wire
from tellwire.delivery.dispatcher import Dispatcher, Observers
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.errors import Unavailable
from tellwire.model.deliveries import (
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    ReplayEdit,
    SentAs,
    Snapshot,
    Work,
)
from tellwire.model.registry import Registry
from tellwire.model.routing import PARTITIONS, partition
from tellwire.model.tenancy import Account
from tellwire.observability.counters import Counters
from tellwire.ports.http_out import Answer, Request
from tellwire.ports.storage import Lease, Result

START = 1_778_038_763_000_000
SECOND = 1_000_000
LIVE = (DeliveryState.PENDING, DeliveryState.RETRYING)
OK = Answer(status=200)
BAD = Answer(status=500, cause="your server answered 500")
GONE = Answer(status=410, cause="your server answered 410")


class SetClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at


class MemoryOutbox:
    """`Outbox` over a dict. `fails` raises on writes, `gate` holds commits up, `poison` fails for one delivery."""

    def __init__(self, clock: SetClock, endpoints: Iterable[Endpoint]) -> None:
        self.clock = clock
        self.rows: dict[str, Delivery] = {}
        self.events: dict[str, Event] = {}
        self.attempts: list[Attempt] = []
        self.writes: list[list[Result]] = []
        self.disabled: list[tuple[str, str]] = []
        self.released: list[str] = []
        self.leases = LeaseTable()
        self.deaf = False
        self.fails: Exception | None = None
        self.broken: list[str] = []
        self.poison = ""
        self.edits: dict[tuple[str, int], ReplayEdit] = {}
        self.unreadable = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._registry = Registry(version=1, accounts={}, endpoints={e.id: e for e in endpoints})
        self._committed: Callable[[Sequence[Work]], None] = lambda _: None
        self._changed: Callable[[Registry], None] = lambda _: None
        self.elsewhere: Callable[[Sequence[str]], None] = lambda _: None
        self.hint_released: Callable[[], None] = lambda: None
        self._ids = count(1)

    # --- the port -----------------------------------------------------------------------------------------------------

    def registry(self) -> Registry:
        return self._registry

    def subscribe(
        self,
        *,
        committed: Callable[[Sequence[Work]], None],
        changed: Callable[[Registry], None],
        elsewhere: Callable[[Sequence[str]], None],
        released: Callable[[], None],
    ) -> None:
        self._committed, self._changed = committed, changed
        self.elsewhere, self.hint_released = elsewhere, released

    async def renew(self, owner: str) -> Lease:
        await asyncio.sleep(0)
        if self.deaf:
            raise Unavailable("no")
        return self.leases.renew(owner, self.clock.now())

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        self.released.append(owner)
        self.leases.release(owner, partitions)

    async def waiting(self, partitions: Collection[int]) -> list[str]:
        self._read("waiting")
        return sorted({row.endpoint_id for row in self._live(partitions) if row.lane == "live"})

    async def backlog(self, endpoint_id: str, *, partitions: Collection[int], after: str, limit: int) -> list[Work]:
        self._read("backlog")
        await asyncio.sleep(0)
        ids = [r.id for r in self._live(partitions) if r.endpoint_id == endpoint_id and r.lane == "live"]
        return [self._work(i) for i in sorted(ids) if i > after][:limit]

    async def in_line(self, organization_id: str, delivery_ids: Collection[str]) -> Collection[str]:
        self._read("in_line")
        await asyncio.sleep(0)
        return [each for each in delivery_ids if each in self.rows and self.rows[each].in_line]

    async def due(
        self, now: int, *, partitions: Collection[int], limit: int, without: Sequence[str] = ()
    ) -> list[Work]:
        self._read("due")
        rows = [r for r in self._live(partitions) if r.lane != "live" and r.due_at <= now]
        rows = [r for r in rows if r.endpoint_id not in without]
        return [self._work(r.id) for r in sorted(rows, key=lambda r: r.due_at)][:limit]

    async def record(self, results: Iterable[Result]) -> Collection[str]:
        batch = list(results)
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        if any(result.delivery.id == self.poison for result in batch):
            raise ValueError("one of them cannot be written")
        refused = {r.delivery.id for r in batch if r.epoch != self.leases.epochs[r.delivery.partition]}
        self.writes.append(batch)
        for result in batch:
            if result.delivery.id in refused:
                continue
            known = self.rows[result.delivery.id]
            joined = replace(known, together=result.delivery.together)
            self.rows[result.delivery.id] = joined if result.joins else result.delivery
            if result.attempt is not None:
                self.attempts.append(result.attempt)
        return refused

    async def replay_edit(self, delivery: Delivery) -> ReplayEdit | None:
        await asyncio.sleep(0)
        if self.unreadable:
            raise OSError("the rows cannot be read")
        return self.edits.get((delivery.id, delivery.replay))

    async def disable(self, endpoint_id: str, reason: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.disabled.append((endpoint_id, reason))
        self.change(endpoint_id, state="disabled", disabled_reason=reason)

    # --- the outside --------------------------------------------------------------------------------------------------

    def commit(self, *keys: str, endpoint: str = "ep", hint: bool = True, **event: Any) -> list[str]:
        """Commit one delivery per order key."""
        ids = []
        for key in keys:
            identifier = f"{next(self._ids):06d}"
            self.events[identifier] = event_of(key, **event)
            self.rows[identifier] = Delivery(
                id=identifier,
                organization_id="o",
                event_id=identifier,
                endpoint_id=endpoint,
                order_key=key,
                partition=partition(endpoint, key),
                webhook_id=f"msg_{identifier}",
                due_at=self.clock.now(),
                created_at=self.clock.now(),
            )
            ids.append(identifier)
        if hint:
            self._committed([self._work(identifier) for identifier in ids])
        return ids

    def tell(self, *ids: str) -> None:
        """Hint at deliveries that were committed without one."""
        self._committed([self._work(identifier) for identifier in ids])

    def erase(self, account_id: str, contact_id: str) -> None:
        """Another process has begun to erase a person."""
        account = Account(id=account_id, organization_id="", phone_number_id="1")
        self._registry = replace(
            self._registry,
            version=self._registry.version + 1,
            accounts={"1": account},
            erasing=frozenset({contact_id}),
        )
        self._changed(self._registry)

    def change(self, endpoint_id: str, **settings: Any) -> None:
        """Change an endpoint; pausing and disabling park, resuming lets go."""
        endpoints = dict(self._registry.endpoints)
        endpoints[endpoint_id] = replace(endpoints[endpoint_id], **settings)
        self._registry = Registry(version=self._registry.version + 1, accounts={}, endpoints=endpoints)
        active = endpoints[endpoint_id].state == "active"
        for row in list(self.rows.values()):
            if active and row.state is DeliveryState.PARKED:
                self.rows[row.id] = replace(row, state=DeliveryState.PENDING)
            elif not active and row.state in LIVE:
                self.rows[row.id] = replace(row, state=DeliveryState.PARKED)
        self._changed(self._registry)

    def delete(self, endpoint_id: str) -> None:
        endpoints = {i: e for i, e in self._registry.endpoints.items() if i != endpoint_id}
        self._registry = Registry(version=self._registry.version + 1, accounts={}, endpoints=endpoints)
        self._changed(self._registry)

    def states(self) -> list[str]:
        return [self.rows[identifier].state.value for identifier in sorted(self.rows)]

    def take_over(self, *partitions: int, owner: str = "another") -> None:
        """Another process takes partitions, as after a lapse."""
        for each in partitions or range(PARTITIONS):
            self.leases.epochs[each] += 1
            self.leases.owners[each] = (owner, self.clock.now() + LENGTH)

    def _live(self, partitions: Collection[int]) -> list[Delivery]:
        return [row for row in self.rows.values() if row.state in LIVE and row.partition in partitions]

    def _work(self, identifier: str) -> Work:
        return Work(self.rows[identifier], self.events[identifier])

    def _read(self, what: str) -> None:
        if what in self.broken:
            self.broken.remove(what)
            raise Unavailable("no")


class ScriptedSender:
    """Answers 200, or as told per webhook id; what hangs waits for `let_go`."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.requests: list[Request] = []
        self.answers: dict[str, Answer | Exception] = {}
        self.hanging: dict[str, asyncio.Future[Answer]] = {}
        self.hangs: set[str] = set()
        self.connecting: asyncio.Event | None = None
        self.withheld: list[str] = []
        self.most = 0
        self.now = 0

    async def send(self, request: Request) -> Answer:
        identifier = dict(request.headers)["webhook-id"].removeprefix("msg_")
        self.sent.append(identifier)
        self.requests.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.connecting is not None:
                await self.connecting.wait()
            if request.may_send is not None and not request.may_send():
                self.withheld.append(identifier)
                return Answer(withheld=True)
            if identifier in self.hangs:
                self.hanging[identifier] = asyncio.get_running_loop().create_future()
                return await self.hanging[identifier]
            await asyncio.sleep(0)
            answer = self.answers.get(identifier, OK)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.now -= 1

    def let_go(self, identifier: str, answer: Answer = OK) -> None:
        self.hanging.pop(identifier).set_result(answer)

    async def close(self) -> None:
        self.hanging.clear()


class Joins:
    def takes(self, event: Event, types: Collection[str]) -> bool:
        return event.direction == "incoming"

    def encode(self, events: Sequence[Event], endpoint: Endpoint, sent: SentAs) -> bytes:
        if any(event.external for event in events):
            raise ValueError("cannot be encoded")
        return b"[%d]" % len(events)


class Tiny(OwnFormat):
    JOINING = Joins()

    def encode(self, event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:
        if event.external:
            raise ValueError("cannot be encoded")
        return None if event.history else b"{}"


WIRE = Wire(
    formats={"tiny": Tiny()},
    sign=lambda body, *, webhook_id, timestamp, secrets: "",
    hub_signature=lambda body, secret: "",
)


class Process:
    """A dispatcher with everything around it."""

    def __init__(
        self, *endpoints: Endpoint, limits: SideLaneLimits | None = None, schedule: tuple[float, ...] | None = None
    ):
        self.clock = SetClock()
        self.outbox = MemoryOutbox(self.clock, endpoints or (endpoint_of(),))
        self.sender = ScriptedSender()
        self.told: list[tuple[int, str]] = []
        self.listener_fails = False
        self.dispatcher = Dispatcher(
            self.outbox,
            self.sender,
            self.clock,
            wire=WIRE,
            schedule=schedule,
            limits=limits,
            random=lambda: 0.0,
            observers=Observers(counters=Counters(), on_attempt=self._tell),
        )

    def _tell(self, attempt: Attempt, delivery: Delivery) -> None:
        assert self.outbox.rows[delivery.id].attempts >= attempt.number, "told before it was recorded"
        self.told.append((attempt.number, delivery.state.value))
        if self.listener_fails:
            raise RuntimeError("a listener's fault is its own")

    def move(self, seconds: float) -> None:
        self.clock.at += int(seconds * SECOND)
        self.dispatcher.tick()

    async def quiet(self) -> None:
        """Until everything known is recorded."""
        await until(lambda: not self.dispatcher.in_flight and not self.dispatcher.unrecorded)

    def row(self, identifier: str) -> Delivery:
        return self.outbox.rows[identifier]


def endpoint_of(identifier: str = "ep", **settings: Any) -> Endpoint:
    return Endpoint(id=identifier, organization_id="o", url="https://a.example/", format="tiny", **settings)


def event_of(key: str, **event: Any) -> Event:
    return Event(
        id="e",
        organization_id="o",
        account_id="a",
        entity="messages",
        action="insert",
        name="messages.insert",
        order_key=key,
        snapshot=Snapshot(row=Raw(b"{}")),
        **event,
    )


async def until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what the conditions look at belongs to others
            await asyncio.sleep(0)


async def turns(number: int = 50) -> None:
    """Let everything happen that is not held up by something."""
    for _ in range(number):
        await asyncio.sleep(0)


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[Process]:
    await process.dispatcher.start("me")
    try:
        yield process
    finally:
        process.outbox.fails, process.outbox.poison = None, ""
        process.outbox.gate.set()
        await process.dispatcher.stop(0.2)


def run(scenario: Callable[[Process], Awaitable[None]], *endpoints: Endpoint, start: bool = True, **settings: Any):
    async def main() -> None:
        process = Process(*endpoints, **settings)
        if not start:
            await scenario(process)
            return
        async with started(process):
            await scenario(process)

    asyncio.run(main())
