"""Leases: what one keeper does, and what several processes come to together when they come, go, freeze and die."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.delivery.dispatching import endpoint_of
from tests.unit.delivery.fleet import Fleet, Process
from tests.world import SetClock

from tellwire.leases import Leases, surplus
from tellwire.model.routing import PARTITIONS
from tellwire.ports.storage import Lease, Outbox

KEYS = [f"k{n}" for n in range(12)]


@contextmanager
def ending(fleet: Fleet) -> Iterator[Fleet]:
    try:
        yield fleet
    finally:
        fleet.close()


def several(**settings: Any) -> Fleet:
    """A fleet with endpoints enough for every process to own some of their partitions."""
    return Fleet(*(endpoint_of(f"ep{n}") for n in range(5)), **settings)


def load(fleet: Fleet, seconds: float) -> None:
    """Deliveries of every key now and then, of one half of the keys between those of the other."""
    for n in range(int(seconds / 0.2)):
        places = [(identifier, key) for identifier in fleet.registry.endpoints for key in KEYS[n % 2 : 6 : 2]]
        fleet.on(fleet.seconds + n * 0.2, partial(fleet.commit, *places))


def complete_and_in_order(fleet: Fleet) -> bool:
    """Everything was delivered, and each key came in order."""
    assert fleet.states() == ({"delivered": len(fleet.rows)} if fleet.rows else {})
    for endpoint in fleet.registry.endpoints.values():
        for key in {row.order_key for row in fleet.rows.values()}:
            firsts = fleet.firsts(endpoint.id, key)
            assert endpoint.ordering == "none" or firsts == sorted(firsts), (endpoint.id, key)
    for process in fleet.processes:
        if process.runs:
            assert process.dispatcher.in_flight == process.dispatcher.held == process.dispatcher.unrecorded == 0
    return True


def owned(process: Process) -> int:
    return len(process.dispatcher.partitions)


# --- choosing what to give back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("partitions", "share", "leaving", "given_back"),
    [
        ((1, 2, 3), 3, (), set()),
        ((1, 2, 3), 64, (2,), set()),
        ((1, 2, 3), 2, (), {1}),
        ((1, 2, 3), 2, (3,), {3}),
        ((1, 2, 3), 1, (9, 3), {1, 3}),
        ((), 0, (7,), set()),
    ],
)
def test_what_is_over_the_share_goes_and_a_choice_stays(partitions, share, leaving, given_back) -> None:
    assert surplus(Lease(dict.fromkeys(partitions, 1), 0, share), leaving) == given_back


# --- coming and going -------------------------------------------------------------------------------------------------


def test_one_that_comes_gets_its_share_and_nothing_is_sent_twice() -> None:
    with ending(several(replies_after=300_000)) as fleet:
        first = fleet.start()
        load(fleet, 20)
        fleet.run(3)
        assert owned(first) == PARTITIONS
        second = fleet.start()
        fleet.run(10)
        assert (owned(first), owned(second)) == (PARTITIONS // 2, PARTITIONS // 2)
        third = fleet.start()
        fleet.run(20)
        assert [owned(p) for p in (first, second, third)] == [22, 22, 20]
        fleet.run(60)
        assert complete_and_in_order(fleet)
        assert (fleet.duplicates, fleet.refused) == (0, 0)
        assert {a.owner for a in fleet.arrivals} == {"p1", "p2", "p3"}


def test_one_that_stops_hands_over_at_once_and_nothing_is_sent_twice() -> None:
    with ending(several(replies_after=300_000)) as fleet:
        first, second = fleet.start(), fleet.start()
        load(fleet, 20)
        fleet.run(10)
        assert owned(first) == owned(second) == PARTITIONS // 2
        fleet.terminate(first)
        fleet.run(10.5)
        assert first.gone
        assert owned(second) == PARTITIONS
        fleet.run(40)
        assert complete_and_in_order(fleet)
        assert (fleet.duplicates, fleet.refused) == (0, 0)


def test_what_one_that_was_killed_had_is_taken_within_ten_seconds() -> None:
    with ending(several(replies_after=300_000)) as fleet:
        first, second = fleet.start(), fleet.start()
        load(fleet, 30)
        fleet.run(10)
        in_flight = first.dispatcher.in_flight
        assert in_flight
        fleet.kill(first)
        fleet.run(20)
        assert owned(second) == PARTITIONS
        fleet.run(60)
        assert complete_and_in_order(fleet)
        assert fleet.duplicates <= in_flight


def test_one_that_was_frozen_past_its_lease_sends_and_writes_nothing_of_anothers() -> None:
    with ending(several(replies_after=300_000, connecting=50_000)) as fleet:
        first, second = fleet.start(), fleet.start()
        load(fleet, 40)
        fleet.run(10.02)
        in_flight = first.dispatcher.in_flight
        assert in_flight
        fleet.freeze(first)
        fleet.run(25)
        assert owned(second) == PARTITIONS
        sent = len(fleet.arrivals)
        fleet.thaw(first)
        fleet.run(25.001)
        assert not [a for a in fleet.arrivals[sent:] if a.owner == "p1"]
        fleet.run(30)
        assert fleet.refused
        assert fleet.withheld
        assert fleet.duplicates <= in_flight
        fleet.run(60)
        assert owned(first) == owned(second) == PARTITIONS // 2
        assert complete_and_in_order(fleet)


def test_one_that_cannot_reach_the_store_stops_by_its_own_clock() -> None:
    with ending(several()) as fleet:
        first, second = fleet.start(), fleet.start()
        load(fleet, 40)
        fleet.run(10)
        fleet.deaf.add(first.name)
        fleet.run(20)
        assert owned(first) == 0
        assert owned(second) == PARTITIONS
        sent = [a for a in fleet.arrivals if a.owner == "p1"]
        assert max(a.at for a in sent) < 16.1
        fleet.deaf.clear()
        fleet.run(60)
        assert owned(first) == PARTITIONS // 2
        assert complete_and_in_order(fleet)


def test_a_store_that_is_away_for_a_minute_costs_time_only() -> None:
    with ending(several()) as fleet:
        both = [fleet.start(), fleet.start()]
        fleet.run(5)
        load(fleet, 10)
        fleet.run(8)
        fleet.deaf |= {p.name for p in both}
        fleet.run(70)
        fleet.deaf.clear()
        fleet.run(100)
        assert complete_and_in_order(fleet)


def test_what_another_process_committed_needs_no_hint_to_be_found() -> None:
    with ending(Fleet()) as fleet:
        fleet.start()
        fleet.run(2)
        fleet.commit(("ep", "a"), ("ep", "a"), hint=False)
        fleet.run(8)
        assert complete_and_in_order(fleet)
        fleet.commit(("ep", "a"))
        fleet.run(8.1)
        assert complete_and_in_order(fleet)


def test_a_limit_holds_over_all_owners_of_an_endpoint() -> None:
    keys = [f"k{n}" for n in range(200)]
    with ending(Fleet(endpoint_of(max_in_flight=8), replies_after=500_000)) as fleet:
        both = [fleet.start(), fleet.start()]
        fleet.run(8)
        fleet.commit(*[("ep", key) for key in keys])
        most = 0
        for step in range(200):
            fleet.run(8 + step / 50)
            most = max(most, sum(p.dispatcher.in_flight for p in both))
        assert most <= 8
        fleet.run(60)
        assert complete_and_in_order(fleet)


# --- whatever happens -------------------------------------------------------------------------------------------------

STEPS = ("start", "freeze", "thaw", "kill", "terminate", "deaf", "hear", "commit", "commit", "commit")


@st.composite
def _stories(draw: st.DrawFn) -> tuple[Fleet, list[tuple[str, int, float]]]:
    """Endpoints and receivers, and what happens to which process after how long."""
    endpoints = [
        endpoint_of(
            f"ep{n}",
            ordering=draw(st.sampled_from(("keyed", "keyed", "strict", "none"))),
            max_in_flight=draw(st.sampled_from((None, 1, 3))),
        )
        for n in range(draw(st.integers(1, 2)))
    ]
    failing = draw(st.sampled_from((0, 0, 5, 3)))
    fleet = Fleet(
        *endpoints,
        fails=lambda identifier, came: bool(failing) and int(identifier) % failing == 0 and came == 1,
        replies_after=draw(st.sampled_from((1_000, 300_000, 4_000_000))),
        connecting=draw(st.sampled_from((0, 1_000, 2_000_000))),
    )
    steps = st.tuples(
        st.sampled_from(STEPS), st.integers(0, 3), st.sampled_from((0.0, 0.001, 0.01, 0.3, 1.0, 3.0, 7.0))
    )
    return fleet, draw(st.lists(steps, min_size=1, max_size=40))


def _tell(fleet: Fleet, story: list[tuple[str, int, float]]) -> int:
    """Play it, and say how many were in flight at all kills, freezes and stops."""
    allowed = 0
    fleet.start()
    for serial, (step, which, seconds) in enumerate(story):
        fleet.run(fleet.seconds + seconds)
        there = [p for p in fleet.processes if not p.dead and not p.gone]
        process = there[which % len(there)] if there else None
        if step == "start" and len(there) < 3:
            fleet.start()
        elif step == "commit":
            places = [(e, KEYS[(serial + n) % 4]) for e in fleet.registry.endpoints for n in range(which + 1)]
            by = process if process is not None and process.runs and serial % 2 else None
            fleet.commit(*places, by=by, hint=serial % 3 > 0)
        elif process is not None and step in ("freeze", "kill", "deaf", "terminate"):
            allowed += process.dispatcher.in_flight
            if step == "deaf":
                fleet.deaf.add(process.name)
            else:
                getattr(fleet, step)(process)
        elif process is not None and step == "thaw":
            fleet.thaw(process)
        elif step == "hear":
            fleet.deaf.clear()
    return allowed


@given(_stories())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whoever_freezes_dies_or_comes_nothing_is_lost_or_reordered(
    told: tuple[Fleet, list[tuple[str, int, float]]],
) -> None:
    """The fleet itself asserts at every request that it is the owner's, and that no earlier one of its key waits."""
    fleet, story = told
    with ending(fleet):
        allowed = _tell(fleet, story)
        fleet.deaf.clear()
        for process in fleet.processes:
            fleet.thaw(process)
        fleet.start()
        fleet.run(fleet.seconds + 30)
        for process in fleet.processes[:-1]:
            if process.runs:
                allowed += process.dispatcher.in_flight
                fleet.terminate(process)
        fleet.run(fleet.seconds + 600)
        assert complete_and_in_order(fleet)
        assert owned(fleet.processes[-1]) == PARTITIONS
        if "deaf" not in [step for step, *_ in story]:
            assert fleet.duplicates <= allowed


# --- several that work under the same leases --------------------------------------------------------------------------


class Crowded:
    """An outbox of partitions 1 and 2, of which this process should have one."""

    def __init__(self) -> None:
        self.released: list[set[int]] = []

    async def renew(self, owner: str) -> Lease:
        left = {1, 2} - set().union(*self.released)
        return Lease(dict.fromkeys(left, 7), 10**18, 1)

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        self.released.append(set(partitions or ()))


def test_a_partition_is_kept_until_nobody_has_anything_under_way_there() -> None:
    async def scenario() -> None:
        outbox, busy = Crowded(), {1: 1, 2: 1}
        told: list[dict[int, int]] = []
        keeper = Leases(cast("Outbox", outbox), SetClock(), under_way=lambda _: 0, moved=lambda _: None)
        keeper.join(under_way=busy.__getitem__, moved=lambda epochs: told.append(dict(epochs)))
        await keeper.start("one")
        await keeper._give_back()
        assert outbox.released == []
        (staying,) = told[-1]
        busy[3 - staying] = 0
        await keeper._give_back()
        assert outbox.released == [{3 - staying}]
        assert keeper.holds(staying, 7)
        await keeper.stop(1.0)

    asyncio.run(scenario())
