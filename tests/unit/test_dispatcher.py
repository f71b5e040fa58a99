"""The loop over an outbox in memory, a sender that does as told and a clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from tellwire.dispatcher import Defaults, Dispatcher
from tellwire.errors import Unavailable
from tellwire.extras import Limits
from tellwire.model import Attempt, Delivery, DeliveryState, Edit, Endpoint, Event, Registry, Snapshot, Work
from tellwire.ports import Answer, Request, Result

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
        self.epoch = 0
        self.fails: Exception | None = None
        self.broken: list[str] = []
        self.poison = ""
        self.edits: dict[tuple[str, int], Edit] = {}
        self.unreadable = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._registry = Registry(version=1, accounts={}, endpoints={e.id: e for e in endpoints})
        self._committed: Callable[[Sequence[Work]], None] = lambda _: None
        self._changed: Callable[[Registry], None] = lambda _: None
        self._ids = count(1)

    # --- the port -----------------------------------------------------------------------------------------------------

    def registry(self) -> Registry:
        return self._registry

    def subscribe(self, *, committed: Callable[[Sequence[Work]], None], changed: Callable[[Registry], None]) -> None:
        self._committed, self._changed = committed, changed

    async def take(self, owner: str) -> int:
        await asyncio.sleep(0)
        self.epoch += 1
        return self.epoch

    async def release(self, owner: str) -> None:
        self.released.append(owner)

    async def waiting(self) -> list[str]:
        self._read("waiting")
        return sorted({row.endpoint_id for row in self.rows.values() if row.lane == "live" and row.state in LIVE})

    async def backlog(self, endpoint_id: str, *, after: str, limit: int) -> list[Work]:
        self._read("backlog")
        await asyncio.sleep(0)
        ids = [i for i, r in self.rows.items() if r.endpoint_id == endpoint_id and r.lane == "live" and r.state in LIVE]
        return [self._work(i) for i in sorted(ids) if i > after][:limit]

    async def due(self, now: int, *, limit: int, without: Sequence[str] = ()) -> list[Work]:
        self._read("due")
        rows = [r for r in self.rows.values() if r.lane != "live" and r.state in LIVE and r.due_at <= now]
        rows = [r for r in rows if r.endpoint_id not in without]
        return [self._work(r.id) for r in sorted(rows, key=lambda r: r.due_at)][:limit]

    async def record(self, epoch: int, results: Iterable[Result]) -> int:
        batch = list(results)
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        if any(result.delivery.id == self.poison for result in batch):
            raise ValueError("one of them cannot be written")
        if epoch != self.epoch:
            return 0
        self.writes.append(batch)
        for result in batch:
            self.rows[result.delivery.id] = result.delivery
            if result.attempt is not None:
                self.attempts.append(result.attempt)
        return len(batch)

    async def edit(self, delivery: Delivery) -> Edit | None:
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
            self.events[identifier] = _event(key, **event)
            self.rows[identifier] = Delivery(
                id=identifier,
                organization_id="o",
                event_id=identifier,
                endpoint_id=endpoint,
                order_key=key,
                webhook_id=f"msg_{identifier}",
                due_at=self.clock.now(),
            )
            ids.append(identifier)
        if hint:
            self._committed([self._work(identifier) for identifier in ids])
        return ids

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
        self.most = 0
        self.now = 0

    async def send(self, request: Request) -> Answer:
        identifier = dict(request.headers)["webhook-id"].removeprefix("msg_")
        self.sent.append(identifier)
        self.requests.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
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


class Tiny:
    def encode(self, event: Event, endpoint: Endpoint) -> bytes | None:
        if event.external:
            raise ValueError("cannot be encoded")
        return None if event.history else b"{}"

    def headers(self, event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:
        return ()


class Process:
    """A dispatcher with everything around it."""

    def __init__(self, *endpoints: Endpoint, limits: Limits | None = None, schedule: tuple[float, ...] | None = None):
        self.clock = SetClock()
        self.outbox = MemoryOutbox(self.clock, endpoints or (_endpoint(),))
        self.sender = ScriptedSender()
        self.told: list[tuple[int, str]] = []
        self.listener_fails = False
        self.dispatcher = Dispatcher(
            self.outbox,
            self.sender,
            self.clock,
            formats={"tiny": Tiny()},
            sign=lambda body, *, webhook_id, timestamp, secrets: "",
            hub_signature=lambda body, secret: "",
            defaults=Defaults(retry_schedule=schedule),
            limits=limits,
            random=lambda: 0.0,
            on_attempt=self._tell,
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


def _endpoint(identifier: str = "ep", **settings: Any) -> Endpoint:
    return Endpoint(id=identifier, organization_id="o", url="https://a.example/", format="tiny", **settings)


def _event(key: str, **event: Any) -> Event:
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
async def _started(process: Process) -> AsyncIterator[Process]:
    await process.dispatcher.start("me")
    try:
        yield process
    finally:
        process.outbox.fails, process.outbox.poison = None, ""
        process.outbox.gate.set()
        await process.dispatcher.stop(0.2)


def _run(scenario: Callable[[Process], Awaitable[None]], *endpoints: Endpoint, start: bool = True, **settings: Any):
    async def main() -> None:
        process = Process(*endpoints, **settings)
        if not start:
            await scenario(process)
            return
        async with _started(process):
            await scenario(process)

    asyncio.run(main())


# --- the flow ---------------------------------------------------------------------------------------------------------


def test_what_is_committed_is_sent_and_recorded() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.listener_fails = True
        ids = p.outbox.commit("a", "b", "a")
        await until(lambda: p.outbox.states() == ["delivered"] * 3)
        assert sorted(p.sender.sent) == ids
        assert [a.outcome for a in p.outbox.attempts] == ["delivered"] * 3
        assert p.told == [(1, "delivered")] * 3
        await p.quiet()
        assert (p.dispatcher.attempts, p.dispatcher.delivered, p.dispatcher.held) == (3, 3, 0)

    _run(scenario)


def test_the_next_of_a_key_waits_for_the_commit_of_the_one_before() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.gate.clear()
        first, second, other = p.outbox.commit("a", "a", "b")
        await until(lambda: len(p.outbox.attempts) == 0 and p.dispatcher.unrecorded == 2)
        await turns()
        assert sorted(p.sender.sent) == [first, other]
        assert p.dispatcher.in_flight == 2
        p.outbox.gate.set()
        await until(lambda: second in p.sender.sent)

    _run(scenario)


def test_rows_that_wait_are_found_at_start_and_go_before_what_is_committed_meanwhile() -> None:
    async def scenario(p: Process) -> None:
        old = p.outbox.commit(*["a"] * 20, hint=False)
        async with _started(p):
            new = p.outbox.commit("a", "a")
            await until(lambda: p.outbox.states() == ["delivered"] * 22)
        assert p.sender.sent == old + new

    _run(scenario, start=False, limits=Limits(window=8))


def test_a_missed_hint_costs_latency_only() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit("a", "b", hint=False)
        await turns()
        assert p.sender.sent == []
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 2)

    _run(scenario)


def test_rows_that_could_not_be_read_are_read_again() -> None:
    async def scenario(p: Process) -> None:
        p.outbox.commit("a", hint=False)
        p.outbox.broken = ["backlog", "due"]
        async with _started(p):
            await until(lambda: p.outbox.states() == ["delivered"])
            assert p.outbox.broken == []
            p.outbox.broken = ["waiting"]
            p.outbox.commit("b", hint=False)
            p.dispatcher.wake()
            await until(lambda: not p.outbox.broken)
            p.dispatcher.wake()
            await until(lambda: p.outbox.states() == ["delivered"] * 2)

    _run(scenario, start=False)


def test_results_that_come_together_are_written_together() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit(*(f"k{n}" for n in range(60)))
        await until(lambda: p.outbox.states() == ["delivered"] * 60)
        assert len(p.outbox.writes) <= 4

    _run(scenario)


def test_caps_hold() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit(*(f"k{n}" for n in range(100)))
        await until(lambda: p.outbox.states() == ["delivered"] * 100)
        assert p.sender.most == 3

    _run(scenario, _endpoint(max_in_flight=3))


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_head_is_tried_again_when_its_time_has_come() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = BAD
        first, second = p.outbox.commit("a", "a")
        await until(lambda: p.row(first).attempts == 1)
        assert p.row(first).state is DeliveryState.RETRYING
        assert p.row(first).due_at == START + 2 * SECOND
        p.move(1.9)
        await turns()
        assert p.sender.sent == [first]
        p.sender.answers.clear()
        p.move(0.1)
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert p.sender.sent == [first, first, second]
        assert [a.number for a in p.outbox.attempts] == [1, 2, 1]
        assert [dict(r.headers)["tellwire-attempt"] for r in p.sender.requests] == ["1", "2", "1"]

    _run(scenario)


def test_a_given_schedule_ends_in_failed() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = Answer(failure="refused", cause="connection refused")
        (only,) = p.outbox.commit("a")
        for attempts in (1, 2, 3):
            await p.quiet()
            assert p.row(only).attempts == attempts
            p.move(1)
        assert p.row(only).state is DeliveryState.FAILED
        assert [a.cause for a in p.outbox.attempts] == ["connection refused"] * 3

    _run(scenario, schedule=(1.0, 1.0))


def test_a_poisoned_head_is_overtaken_and_tried_later() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = BAD
        first, second = p.outbox.commit("bad", "bad")
        for _ in range(61):
            p.outbox.commit("good")
            await turns()
            p.move(1)
        await until(lambda: p.row(second).state is DeliveryState.DELIVERED)
        assert (p.row(first).lane, p.row(first).out_of_order) == ("late", True)
        attempts = p.row(first).attempts
        p.clock.at = p.row(first).due_at
        p.sender.answers.clear()
        p.dispatcher.wake()
        await until(lambda: p.row(first).state is DeliveryState.DELIVERED)
        assert p.row(first).attempts == attempts + 1

    _run(scenario)


def test_a_late_retry_that_is_due_soon_needs_no_sweep() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = BAD
        (only,) = p.outbox.commit("a")
        await until(lambda: p.row(only).attempts == 1)
        assert p.row(only).lane == "late"
        p.clock.at = p.row(only).due_at
        p.sender.answers.clear()
        await until(lambda: p.row(only).state is DeliveryState.DELIVERED, seconds=3)

    _run(scenario, _endpoint(ordering="none", retry_schedule=(0.1,)))


def test_what_cannot_be_encoded_or_sent_costs_only_itself() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit("a", external=True)
        p.outbox.commit("b", history=True)
        p.outbox.commit("c", "d")
        p.sender.answers["000003"] = RuntimeError("a bug")
        await until(lambda: p.outbox.states() == ["retrying", "cancelled", "retrying", "delivered"])
        causes = {a.delivery_id: a.cause for a in p.outbox.attempts}
        assert causes["000001"] == "the request could not be made (ValueError)"
        assert causes["000003"] == "the request could not be made (RuntimeError)"
        assert "000002" not in causes

    _run(scenario)


def test_gone_disables_the_endpoint() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = GONE
        p.outbox.commit("a", "a")
        await until(lambda: p.outbox.disabled)
        p.outbox.commit("b")
        await turns()
        assert p.outbox.disabled == [("ep", "it answered 410 Gone")]
        assert p.sender.sent == ["000001"]
        assert p.outbox.states()[:2] == ["parked", "parked"]
        assert p.row("000001").attempts == 1

    _run(scenario)


def test_disabling_is_repeated_until_it_is_durable() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = GONE
        p.outbox.commit("a")
        await until(lambda: p.outbox.attempts)
        p.outbox.fails = Unavailable("disk full")
        await turns()
        assert p.outbox.disabled == []
        p.outbox.fails = None
        await until(lambda: p.outbox.disabled)
        assert p.sender.sent == ["000001"]

    _run(scenario)


# --- a store that cannot ----------------------------------------------------------------------------------------------


def test_results_outlive_a_full_disk_and_nothing_is_sent_twice() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.fails = Unavailable("disk full")
        first, second = p.outbox.commit("a", "a")
        await until(lambda: p.dispatcher.failing)
        assert (p.dispatcher.unrecorded, p.dispatcher.failing) == (1, "disk full")
        p.dispatcher.wake()
        await turns(200)
        assert p.sender.sent == [first]
        p.outbox.fails = None
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert p.sender.sent == [first, second]
        assert (p.dispatcher.unrecorded, p.dispatcher.failing) == (0, "")

    _run(scenario)


def test_what_cannot_be_sent_on_is_bounded_by_the_caps() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.fails = Unavailable("disk full")
        p.outbox.commit(*(f"k{n}" for n in range(100)))
        await until(lambda: p.dispatcher.failing)
        await turns(200)
        assert len(p.sender.sent) == 5

    _run(scenario, _endpoint(max_in_flight=5))


def test_one_result_that_cannot_be_written_does_not_hold_up_the_others() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.poison = "000002"
        p.outbox.commit("a", "b", "c", "b")
        await until(lambda: p.outbox.states() == ["delivered", "pending", "delivered", "pending"])
        assert p.dispatcher.unrecorded == 1
        p.outbox.commit("d")
        await until(lambda: p.row("000005").state is DeliveryState.DELIVERED)
        p.outbox.poison = ""
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 5)
        assert sorted(p.sender.sent) == sorted(set(p.sender.sent))

    _run(scenario)


def test_an_outdated_epoch_stops_it_until_it_takes_the_leases_again() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000002"}
        p.outbox.commit("a", "b", "a")
        p.outbox.epoch += 1
        await until(lambda: p.dispatcher.fenced)
        p.outbox.commit("c")
        p.dispatcher.wake()
        p.outbox.change("ep", description="changed")
        await turns()
        assert sorted(p.sender.sent) == ["000001", "000002"]
        assert p.outbox.states() == ["pending"] * 4
        await p.dispatcher.start("me")
        assert not p.dispatcher.fenced
        await until(lambda: [s for s in p.outbox.states() if s == "delivered"] == ["delivered"] * 3)
        assert p.row("000002").state is DeliveryState.PENDING
        p.sender.hangs.clear()
        p.sender.let_go("000002")
        await until(lambda: p.outbox.states() == ["delivered"] * 4)
        assert p.sender.sent.count("000002") == 2
        assert p.sender.sent.index("000003") > len(p.sender.sent) - 1 - p.sender.sent[::-1].index("000001")

    _run(scenario)


# --- endpoints that change --------------------------------------------------------------------------------------------


def test_a_failure_under_a_paused_endpoint_is_parked_and_goes_on_when_it_is_back() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        first, second = p.outbox.commit("a", "a")
        await until(lambda: p.sender.hanging)
        p.outbox.change("ep", state="paused")
        p.sender.let_go(first, BAD)
        await p.quiet()
        assert p.outbox.states() == ["parked", "parked"]
        assert p.dispatcher.held == 0
        p.sender.hangs.clear()
        p.outbox.change("ep", state="active")
        p.move(2)
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert p.sender.sent == [first, first, second]

    _run(scenario)


def test_a_result_that_overtook_a_change_of_its_endpoint_is_put_right() -> None:
    """Paused and resumed while a result is on its way: the row must not stay parked, nor be tried while paused."""

    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        (only,) = p.outbox.commit("a")
        await until(lambda: p.sender.hanging)
        p.outbox.change("ep", state="paused")
        p.outbox.gate.clear()
        p.sender.let_go(only, BAD)
        await until(lambda: p.dispatcher.unrecorded)
        p.outbox.change("ep", state="active")
        p.outbox.gate.set()
        await p.quiet()
        assert p.row(only).state is DeliveryState.RETRYING
        await until(lambda: p.dispatcher.held == 1)
        p.outbox.gate.clear()
        p.move(2)
        await until(lambda: p.sender.hanging)
        p.sender.let_go(only, BAD)
        await until(lambda: p.dispatcher.unrecorded)
        p.outbox.change("ep", state="paused")
        p.outbox.gate.set()
        await p.quiet()
        assert p.row(only).state is DeliveryState.PARKED

    _run(scenario)


def test_a_failure_of_a_deleted_endpoint_is_cancelled() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        (only,) = p.outbox.commit("a")
        await until(lambda: p.sender.hanging)
        p.outbox.delete("ep")
        p.sender.let_go(only, BAD)
        await until(lambda: p.row(only).state is DeliveryState.CANCELLED)
        assert len(p.outbox.attempts) == 1

    _run(scenario)


# --- replays ----------------------------------------------------------------------------------------------------------


def test_a_replay_goes_out_when_woken_also_many() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        ids = p.outbox.commit(*(f"k{n}" for n in range(300)))
        await until(lambda: p.outbox.states() == ["delivered"] * 300)
        for identifier in ids:
            p.outbox.rows[identifier] = replace(
                p.row(identifier), state=DeliveryState.PENDING, lane="replay", replay=1, first_attempt_at=0
            )
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 300, seconds=4)
        assert len(p.sender.sent) == 600
        assert {row.attempts for row in p.outbox.rows.values()} == {2}
        assert dict(p.sender.requests[-1].headers)["tellwire-replay"] == "1"

    _run(scenario)


def _replayed(p: Process, identifier: str, edit: Edit) -> None:
    p.outbox.rows[identifier] = replace(
        p.row(identifier), state=DeliveryState.PENDING, lane="replay", replay=1, first_attempt_at=0
    )
    p.outbox.edits[identifier, 1] = edit
    p.dispatcher.wake()


def test_a_replay_may_go_elsewhere_with_another_body_and_says_so() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        (only,) = p.outbox.commit("a")
        await until(lambda: p.outbox.states() == ["delivered"])
        _replayed(p, only, Edit(url="https://b.example/", body=b"{}"))
        await until(lambda: len(p.outbox.attempts) == 2)
        request = p.sender.requests[-1]
        assert (request.url, request.body) == ("https://b.example/", b"{}")
        assert dict(request.headers)["tellwire-replay-edited"] == "url, body"
        assert [a.edited for a in p.outbox.attempts] == [(), ("url", "body")]

    _run(scenario)


@pytest.mark.parametrize("answer", [GONE, Answer(failure="refused", cause="connection refused"), OK])
def test_what_another_server_answers_says_nothing_of_the_endpoint(answer: Answer) -> None:
    async def scenario(p: Process) -> None:
        await turns()
        (first,) = p.outbox.commit("a")
        await until(lambda: p.outbox.states() == ["delivered"])
        p.sender.answers[first] = answer
        _replayed(p, first, Edit(url="https://b.example/"))
        await until(lambda: len(p.outbox.attempts) == 2)
        p.outbox.commit("b")
        await until(lambda: len(p.outbox.attempts) == 3)
        assert p.outbox.disabled == []
        assert p.outbox.attempts[-1].outcome == "delivered"
        state = DeliveryState.DELIVERED if answer is OK else DeliveryState.RETRYING
        assert p.row(first).state is state
        assert p.row(first).burned == (answer is not OK)

    _run(scenario)


def test_a_replay_whose_edit_cannot_be_read_is_not_sent_unedited() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        (only,) = p.outbox.commit("a")
        await until(lambda: p.outbox.states() == ["delivered"])
        p.outbox.unreadable = True
        _replayed(p, only, Edit(body=b"{}"))
        await until(lambda: len(p.outbox.attempts) == 2)
        assert p.sender.sent == [only]
        assert p.outbox.attempts[-1].cause == "the request could not be made (OSError)"
        assert p.row(only).state is DeliveryState.RETRYING

    _run(scenario)


def test_what_was_cancelled_is_not_sent() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        first, second, third = p.outbox.commit("a", "a", "a")
        await until(lambda: p.sender.hanging)
        p.outbox.rows[second] = replace(p.row(second), state=DeliveryState.CANCELLED)
        p.dispatcher.forget([second])
        p.sender.let_go(first)
        await until(lambda: p.row(third).state is DeliveryState.DELIVERED)
        assert p.sender.sent == [first, third]

    _run(scenario)


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more() -> None:
    async def scenario(p: Process) -> None:
        await p.dispatcher.start("me")
        await turns()
        p.sender.hangs = {"000001"}
        first, _ = p.outbox.commit("a", "a")
        await until(lambda: p.sender.hanging)
        stopping = asyncio.create_task(p.dispatcher.stop(10))
        await turns()
        p.outbox.commit("b")
        assert not stopping.done()
        p.sender.let_go(first)
        await stopping
        assert p.outbox.states() == ["delivered", "pending", "pending"]
        assert p.outbox.released == ["me"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(scenario, start=False)


def test_stopping_does_not_wait_longer_than_its_bound() -> None:
    async def scenario(p: Process) -> None:
        await p.dispatcher.start("me")
        await turns()
        p.sender.hangs = {"000001"}
        p.outbox.commit("a", "b")
        await until(lambda: p.row("000002").state is DeliveryState.DELIVERED)
        p.outbox.fails = Unavailable("disk full")
        p.outbox.commit("c")
        await until(lambda: p.dispatcher.failing)
        async with asyncio.timeout(5):
            await p.dispatcher.stop(0.05)
        assert p.outbox.states() == ["pending", "delivered", "pending"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(scenario, start=False)
