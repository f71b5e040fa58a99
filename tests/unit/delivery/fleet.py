"""Several processes over one store, each on an event loop of its own, in time that jumps.

A process is a real `Dispatcher`. Its loop runs only when the fleet lets it: one that is frozen does nothing at all,
and one that was killed never again. What was asked of the store or sent to a receiver before goes on without it. The
fleet checks at every request that nobody sends what is another's, and keeps what arrived.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from tests.unit.delivery.dispatching import LIVE, SECOND, START, WIRE, endpoint_of, event_of
from tests.unit.delivery.leasing import LENGTH, LeaseTable

from tellwire.delivery.dispatcher import Dispatcher
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.errors import Unavailable
from tellwire.model.deliveries import Delivery, Endpoint, ReplayEdit, Work
from tellwire.model.registry import Registry
from tellwire.model.routing import partition
from tellwire.ports.http_out import Answer, Request
from tellwire.ports.storage import Lease, Result

T = TypeVar("T")

LATENCY = 2_000
"""Micros to the store, or to a receiver, and back again."""
MOST_TURNS = 100_000


class Arrival(Struct):
    """A request that came to a receiver. `first`: the delivery had not come before."""

    delivery_id: str
    owner: str
    at: float
    first: bool


class TimedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the fleet's."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self._fleet = fleet

    def time(self) -> float:
        return self._fleet.seconds

    @property
    def busy(self) -> bool:
        """Whether something can be done without waiting."""
        due = self.due_at
        return bool(self._ready) or (due is not None and due <= self._fleet.now())  # type: ignore[attr-defined]

    @property
    def due_at(self) -> int | None:
        """When the next timer strikes."""
        timers = [timer for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        return min((START + int(timer.when() * SECOND) + 1 for timer in timers), default=None)

    def turn(self) -> None:
        """Do what can be done now, once."""
        self.call_soon(self.stop)
        self.run_forever()


class Process:
    """A dispatcher on its loop, with its views of the store and of the receivers."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.loop = TimedLoop(fleet)
        self.frozen = False
        self.dead = False
        self.gone = False
        self.dispatcher = Dispatcher(
            View(self),
            Wire(self),
            fleet,
            wire=WIRE,
            limits=fleet.limits,
            random=lambda: 0.0,
        )
        self.committed: Callable[[Sequence[Work]], None] = lambda _: None
        self.elsewhere: Callable[[Sequence[str]], None] = lambda _: None
        self.released: Callable[[], None] = lambda: None
        self.failed: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.failed.append(context))

    @property
    def runs(self) -> bool:
        return not (self.frozen or self.dead or self.gone)

    def do(self, step: Callable[[], object]) -> None:
        """Something reaches the process from outside."""
        if not self.dead and not self.gone:
            self.loop.call_soon(step)

    async def ask(self, work: Callable[[], T]) -> T:
        """Have the store do something: it does so whatever becomes of the process meanwhile."""
        answer: asyncio.Future[T] = self.loop.create_future()

        def settle(step: Callable[[], None]) -> None:
            if not answer.done():
                step()

        def serve() -> None:
            if self.fleet.store_fails(self):
                done = partial(answer.set_exception, Unavailable("no"))
            else:
                done = partial(answer.set_result, work())
            self.fleet.later(LATENCY // 2, lambda: self.do(partial(settle, done)))

        self.fleet.later(LATENCY // 2, serve)
        return await answer

    async def stop(self) -> None:
        """What SIGTERM does."""
        await self.dispatcher.stop(4)
        self.gone = True


class View:
    """`Outbox`, as one process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._fleet = process.fleet

    def registry(self) -> Registry:
        return self._fleet.registry

    def subscribe(self, *, committed: Any, changed: Any, elsewhere: Any, released: Any) -> None:
        self._process.committed = committed
        self._process.elsewhere = elsewhere
        self._process.released = released

    async def renew(self, owner: str) -> Lease:
        asked_at = self._fleet.now()
        lease = await self._process.ask(lambda: self._fleet.leases.renew(owner, self._fleet.now()))
        return replace(lease, until=asked_at + LENGTH)

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        await self._process.ask(lambda: self._fleet.release(owner, partitions))

    async def waiting(self, partitions: Collection[int]) -> list[str]:
        some = list(partitions)
        return await self._process.ask(
            lambda: sorted({d.endpoint_id for d in self._fleet.live(some) if d.lane == "live"})
        )

    async def backlog(self, endpoint_id: str, *, partitions: Collection[int], after: str, limit: int) -> list[Work]:
        def read() -> list[Work]:
            live = [d for d in self._fleet.live(partitions) if d.endpoint_id == endpoint_id and d.lane == "live"]
            ids = sorted(d.id for d in live if d.id > after)[:limit]
            return [self._fleet.work(identifier) for identifier in ids]

        return await self._process.ask(read)

    async def in_line(self, organization_id: str, delivery_ids: Collection[str]) -> Collection[str]:
        rows = self._fleet.rows
        return await self._process.ask(lambda: [each for each in delivery_ids if rows[each].in_line])

    async def due(
        self, now: int, *, partitions: Collection[int], limit: int, without: Sequence[str] = ()
    ) -> list[Work]:
        some = list(partitions)

        def read() -> list[Work]:
            late = [d for d in self._fleet.live(some) if d.lane != "live" and d.due_at <= now]
            late = [d for d in late if d.endpoint_id not in without]
            return [self._fleet.work(d.id) for d in sorted(late, key=lambda d: d.due_at)][:limit]

        return await self._process.ask(read)

    async def record(self, results: Iterable[Result]) -> Collection[str]:
        batch = list(results)
        return await self._process.ask(lambda: self._fleet.record(batch))

    async def replay_edit(self, delivery: Delivery) -> ReplayEdit | None:
        raise AssertionError(f"nothing of the fleet is replayed: {delivery.id}")

    async def disable(self, endpoint_id: str, reason: str) -> None:
        raise AssertionError(f"no receiver of the fleet wants {endpoint_id} disabled: {reason}")


class Wire:
    """`Sender`, as one process sees it: connecting takes a while, and what is written arrives in any case."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, request: Request) -> Answer:
        process, fleet = self._process, self._process.fleet
        identifier = dict(request.headers)["webhook-id"].removeprefix("msg_")
        await asyncio.sleep(fleet.connecting / SECOND)
        if request.may_send is not None and not request.may_send():
            fleet.withheld += 1
            return Answer(withheld=True)
        answer: asyncio.Future[Answer] = process.loop.create_future()
        fleet.arrive(identifier, process, answer)
        return await answer

    async def close(self) -> None:
        pass


class Fleet:
    """The store, the receivers, the time, and the processes. It is the `Clock` of all of them.

    `deaf` names the processes that the store refuses; `duplicates` counts arrivals of what was taken before.

    Args:
        endpoints, limits: for every process.
        fails: (delivery id, how often it came) → whether the receiver answers 500.
        replies_after, connecting: micros that a receiver, and a connection to it, take.
    """

    def __init__(
        self,
        *endpoints: Endpoint,
        limits: SideLaneLimits | None = None,
        fails: Callable[[str, int], bool] = lambda *_: False,
        replies_after: int = 20_000,
        connecting: int = 1_000,
    ) -> None:
        self.at = START
        self.limits = limits
        self.fails = fails
        self.replies_after = replies_after
        self.connecting = connecting
        self.deaf: set[str] = set()
        every = endpoints or (endpoint_of(),)
        self.registry = Registry(version=1, accounts={}, endpoints={e.id: e for e in every})
        self.leases = LeaseTable()
        self.rows: dict[str, Delivery] = {}
        self.arrivals: list[Arrival] = []
        self.came: Counter[str] = Counter()
        self.withheld = self.refused = self.duplicates = 0
        self._taken: set[str] = set()
        self.processes: list[Process] = []
        self._last_committer: dict[str, Process | None] = defaultdict(lambda: None)
        self._names = count(1)
        self._ids = count(1)
        self._serial = count()
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []

    def now(self) -> int:
        return self.at

    @property
    def seconds(self) -> float:
        return (self.at - START) / SECOND

    # --- processes ----------------------------------------------------------------------------------------------------

    def start(self) -> Process:
        process = Process(self, f"p{next(self._names)}")
        self.processes.append(process)

        async def begin() -> None:
            while True:
                try:
                    await process.dispatcher.start(process.name)
                except Unavailable:
                    await asyncio.sleep(1)
                else:
                    return

        process.do(lambda: process.loop.create_task(begin()))
        return process

    def freeze(self, process: Process) -> None:
        """SIGSTOP."""
        process.frozen = True

    def thaw(self, process: Process) -> None:
        """SIGCONT."""
        process.frozen = False

    def kill(self, process: Process) -> None:
        """SIGKILL."""
        process.dead = True

    def terminate(self, process: Process) -> None:
        """SIGTERM."""
        process.do(lambda: process.loop.create_task(process.stop()))

    def close(self) -> None:
        """End every loop, whatever is left on it."""
        for process in self.processes:
            process.dead = True
            for task in asyncio.all_tasks(process.loop):
                task.cancel()
            process.loop.turn()
            process.loop.turn()
            process.loop.close()

    # --- the store ----------------------------------------------------------------------------------------------------

    def commit(self, *places: tuple[str, str], by: Process | None = None, hint: bool = True) -> list[str]:
        """Commit one delivery per (endpoint, key), by one of the processes or by one that only ingests.

        Without a hint the others are not told; that there is a gap before its own next commit, the committer knows.
        """
        ids = []
        for endpoint_id, key in places:
            identifier = f"{next(self._ids):06d}"
            self.rows[identifier] = Delivery(
                id=identifier,
                organization_id="o",
                event_id=identifier,
                endpoint_id=endpoint_id,
                order_key=key,
                partition=partition(endpoint_id, key),
                webhook_id=f"msg_{identifier}",
                due_at=self.at,
            )
            ids.append(identifier)
        works = [self.work(identifier) for identifier in ids]
        touched = sorted({endpoint_id for endpoint_id, _ in places})
        if by is not None:
            if self._last_committer["o"] is not by:
                by.do(partial(by.elsewhere, list(self.registry.endpoints)))
            by.do(partial(by.committed, works))
        self._last_committer["o"] = by
        for process in self.processes:
            if hint and process is not by:
                process.do(partial(process.elsewhere, touched))
        return ids

    def work(self, identifier: str) -> Work:
        return Work(self.rows[identifier], event_of(self.rows[identifier].order_key))

    def live(self, partitions: Collection[int]) -> list[Delivery]:
        return [row for row in self.rows.values() if row.state in LIVE and row.partition in partitions]

    def record(self, batch: list[Result]) -> set[str]:
        refused = {r.delivery.id for r in batch if r.epoch != self.leases.epochs[r.delivery.partition]}
        self.refused += len(refused)
        for result in batch:
            if result.delivery.id not in refused:
                before = self.rows[result.delivery.id]
                assert before.state in LIVE, "written though it was settled"
                self.rows[result.delivery.id] = result.delivery
        return refused

    def release(self, owner: str, partitions: Collection[int] | None) -> None:
        self.leases.release(owner, partitions)
        for process in self.processes:
            if process.name != owner:
                process.do(process.released)

    def store_fails(self, process: Process) -> bool:
        return process.name in self.deaf

    def states(self) -> Counter[str]:
        return Counter(row.state.value for row in self.rows.values())

    # --- the receivers ------------------------------------------------------------------------------------------------

    def arrive(self, identifier: str, process: Process, answer: asyncio.Future[Answer]) -> None:
        """A request is written: check that it may be, and answer in time."""
        row = self.rows[identifier]
        assert self.leases.owner(row.partition) == process.name, f"{identifier} is another's"
        if self.registry.endpoints[row.endpoint_id].ordering != "none" and row.lane == "live":
            earlier = [r.id for r in self.live((row.partition,)) if r.lane == "live" and r.id < identifier]
            earlier = [i for i in earlier if (self.rows[i].endpoint_id, self.rows[i].order_key) == _place(row)]
            assert not earlier, f"{identifier} before {earlier}"
        self.came[identifier] += 1
        self.arrivals.append(Arrival(identifier, process.name, self.seconds, self.came[identifier] == 1))
        self.duplicates += identifier in self._taken
        status = 500 if self.fails(identifier, self.came[identifier]) else 200
        if status == 200:
            self._taken.add(identifier)

        def reply() -> None:
            if not answer.done():
                answer.set_result(Answer(status=status))

        self.later(self.replies_after, lambda: process.do(reply))

    def firsts(self, endpoint_id: str, key: str) -> list[str]:
        """The deliveries of a key in the order in which they first came."""
        return [
            a.delivery_id for a in self.arrivals if a.first and _place(self.rows[a.delivery_id]) == (endpoint_id, key)
        ]

    # --- time ---------------------------------------------------------------------------------------------------------

    def later(self, micros: int, step: Callable[[], object]) -> None:
        heappush(self._agenda, (self.at + micros, next(self._serial), step))

    def on(self, seconds: float, step: Callable[[], object]) -> None:
        """Do something at a time."""
        heappush(self._agenda, (START + int(seconds * SECOND), next(self._serial), step))

    def run(self, seconds: float) -> None:
        """Let time pass up to so many seconds after the start."""
        end = START + int(seconds * SECOND)
        while True:
            self._settle()
            due = [p.loop.due_at for p in self.processes if p.runs]
            times = [at for at in (*due, self._agenda[0][0] if self._agenda else None) if at is not None]
            if not times or min(times) > end:
                self.at = max(self.at, end)
                return
            self.at = max(self.at + 1, min(times))
            while self._agenda and self._agenda[0][0] <= self.at:
                heappop(self._agenda)[2]()

    def _settle(self) -> None:
        for _ in range(MOST_TURNS):
            busy = [process for process in self.processes if process.runs and process.loop.busy]
            for process in busy:
                process.loop.turn()
                assert not process.failed, process.failed
            if not busy:
                return
        raise AssertionError("a process never comes to rest")


def _place(row: Delivery) -> tuple[str, str]:
    return row.endpoint_id, row.order_key
