"""The loop with a buffer: what is sent together is recorded before and after, whatever comes in between."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace
from tests.unit.delivery.dispatching import BAD, GONE, Process, endpoint_of, run, started, turns, until

from tellwire.errors import Unavailable
from tellwire.model.deliveries import Buffer
from tellwire.model.routing import order_key

BUFFERED = endpoint_of(buffer=Buffer(seconds=2, most=3))


def burst(p: Process, number: int = 3, *, key: str = "a", **event: Any) -> list[str]:
    return p.outbox.commit(*[key] * number, direction="incoming", **event)


def name_of(ids: Sequence[str]) -> str:
    """What the sender knows a burst by."""
    return f"{ids[0]}_{blake2b(' '.join(ids).encode(), digest_size=8).hexdigest()}"


def bodies(p: Process) -> list[bytes]:
    return [request.body for request in p.sender.requests]


def test_a_burst_is_recorded_then_sent_then_recorded() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.gate.clear()
        ids = burst(p)
        await turns()
        assert p.sender.sent == []
        assert p.dispatcher.unrecorded == 1
        p.outbox.gate.set()
        await until(lambda: p.outbox.states() == ["delivered"] * 3)
        assert bodies(p) == [b"[3]"]
        (name,) = {p.row(each).together for each in ids}
        assert dict(p.sender.requests[0].headers)["webhook-id"] == name
        assert [len(batch) for batch in p.outbox.writes] == [3, 3]
        assert p.told == [(1, "delivered")] * 3
        assert [a.delivery_id for a in p.outbox.attempts] == ids
        assert (p.dispatcher.attempts, p.dispatcher.delivered) == (1, 1)
        await p.quiet()
        assert p.dispatcher.held == 0

    run(scenario, BUFFERED)


def test_a_burst_waits_for_the_clock_alone() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        burst(p, 2)
        p.move(1.9)
        await turns()
        assert p.sender.sent == []
        p.move(0.1)
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert bodies(p) == [b"[2]"]

    run(scenario, BUFFERED)


def test_a_store_that_cannot_write_holds_a_burst_up_and_loses_nothing() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.fails = Unavailable("no")
        burst(p)
        await until(lambda: p.dispatcher.failing)
        await turns()
        assert p.sender.sent == []
        p.outbox.fails = None
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 3)
        assert bodies(p) == [b"[3]"]

    run(scenario, BUFFERED)


def test_a_burst_of_a_person_who_is_being_erased_is_cancelled_whole() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        key = order_key("a", "a person")
        p.outbox.gate.clear()
        burst(p, key=key)
        await turns()
        p.outbox.erase("a", "a person")
        p.outbox.gate.set()
        await until(lambda: p.outbox.states() == ["cancelled"] * 3)
        assert p.sender.sent == []

    run(scenario, BUFFERED)


def test_a_burst_that_cannot_be_encoded_costs_nobody_else() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        burst(p, external=True)
        others = burst(p, key="b")
        await until(lambda: p.row(others[0]).state.value == "delivered")
        await until(lambda: p.outbox.states() == ["retrying"] * 3 + ["delivered"] * 3)

    run(scenario, BUFFERED)


def test_410_parks_a_burst() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.gate.clear()
        ids = burst(p)
        await turns()
        p.sender.answers = {name_of(ids): GONE}
        p.outbox.gate.set()
        await until(lambda: p.outbox.disabled and p.outbox.states() == ["parked"] * 3)
        assert bodies(p) == [b"[3]"]

    run(scenario, BUFFERED)


def test_a_pause_while_a_burst_is_in_flight_parks_all_of_it() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.gate.clear()
        ids = burst(p)
        await turns()
        name = name_of(ids)
        p.sender.hangs = {name}
        p.outbox.gate.set()
        await until(lambda: name in p.sender.hanging)
        p.outbox.change("ep", state="paused")
        p.sender.let_go(name, BAD)
        await p.quiet()
        assert p.outbox.states() == ["parked"] * 3
        assert {p.row(each).attempts for each in ids} == {1}

    run(scenario, BUFFERED)


def test_another_owner_sends_what_this_one_had_put_together() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.gate.clear()
        ids = burst(p)
        await turns()
        p.outbox.take_over()
        p.outbox.gate.set()
        await until(lambda: p.dispatcher.refused == 1)
        assert p.sender.sent == []
        assert {p.row(each).together for each in ids} == {""}

    run(scenario, BUFFERED)


def test_after_a_restart_a_burst_is_what_it_was() -> None:
    async def scenario(p: Process) -> None:
        ids = p.outbox.commit("a", "a", "a", "a", direction="incoming", hint=False)
        for each in ids[:2]:
            p.outbox.rows[each] = replace(p.row(each), together=f"msg_{name_of(ids[:2])}")
        async with started(p):
            await until(lambda: p.outbox.states()[:2] == ["delivered"] * 2)
            assert bodies(p) == [b"[2]"]
            assert dict(p.sender.requests[0].headers)["webhook-id"] == f"msg_{name_of(ids[:2])}"
            p.move(2)
            await until(lambda: p.outbox.states() == ["delivered"] * 4)
            assert bodies(p) == [b"[2]", b"[2]"]

    run(scenario, BUFFERED, start=False)
