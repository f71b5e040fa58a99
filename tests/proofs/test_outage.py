"""Endpoints that are down for ten minutes under load, and a contact whose event is refused: by a set clock."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Literal

from tests.contract.listening import Peer
from tests.postgres_server import free_port
from tests.proofs.in_process import InProcess, in_process
from tests.proofs.meta_load import contact
from tests.proofs.reconciler import Arrival, reconcile
from tests.proofs.subscriber import Answer, Subscriber, accept, reset, saying, subscribing

OUTAGE_SECONDS = 600
STEP_SECONDS = 2.0


def test_endpoints_that_are_down_for_ten_minutes_get_everything_in_order(tmp_path: Path) -> None:
    """Four kinds of outage at once, beside an endpoint that is well: none is marked out of order for its outage."""
    down, rng = True, random.Random(3)

    def while_down(answer: Answer) -> Answer:
        async def script(arrival: Arrival, peer: Peer) -> Literal["taken", "refused", "gone"]:
            return await (answer if down else accept)(arrival, peer)

        return script

    subscriber = Subscriber(
        {
            "row-reset": while_down(reset),
            "row-503": while_down(saying(503)),
            "row-500": while_down(saying(500)),
        }
    )
    absent, port = Subscriber(), free_port()

    async def prove(world: InProcess) -> None:
        nonlocal down
        healthy, failing = ("chat",), ("row-reset", "row-503", "row-500")
        for name in (*healthy, *failing):
            await world.subscribe(name, subscriber.url)
        await world.subscribe("row-refused", f"http://127.0.0.1:{port}")
        while world.seconds < OUTAGE_SECONDS:
            for _ in range(2):
                await world.writes(rng.randrange(20))
            await world.passes(STEP_SECONDS)
        probes = Counter(arrival.endpoint for arrival in subscriber.arrivals if arrival.endpoint in failing)
        assert {arrival.endpoint for arrival in subscriber.taken} == set(healthy)
        assert reconcile(world.load.owed(healthy), subscriber.taken).faults == []
        down = False
        async with subscribing(absent, port=port):
            owed = world.load.owed((*healthy, *failing, "row-refused"))
            expected = sum(map(len, owed.values()))
            for _ in range(60):
                await world.passes(STEP_SECONDS)
            await subscriber.until(lambda: len(subscriber.taken + absent.taken) >= expected, what="every delivery")
            await world.rests()
        assert reconcile(owed, subscriber.taken + absent.taken).faults == []
        rows = await world.deliveries()
        assert Counter(row["state"] for row in rows) == {"delivered": expected}
        assert not [row for row in rows if row["out_of_order"]]
        assert max(probes.values()) < 60, f"it was probed, not stormed: {probes}"

    async def run() -> None:
        async with subscribing(subscriber), in_process(tmp_path) as world:
            await prove(world)

    asyncio.run(run())


def test_a_poisoned_contact_delays_only_itself_then_shows_its_gap(tmp_path: Path) -> None:
    bad, poison = contact(0), "message 0"
    cured = False

    async def answer(arrival: Arrival, peer: Peer) -> Literal["taken", "refused", "gone"]:
        poisoned = (arrival.key, arrival.fact) == (bad, poison) and not cured
        return await (saying(500) if poisoned else accept)(arrival, peer)

    subscriber = Subscriber(otherwise=answer)

    async def prove(world: InProcess) -> None:
        nonlocal cured
        await world.subscribe("row", subscriber.url)
        rng = random.Random(4)
        while world.seconds < 120:
            await world.writes(0)
            facts, number = [], rng.randrange(1, 20)
            facts = await world.writes(number)
            await world.rests()
            told = {arrival.fact for arrival in subscriber.taken if arrival.key == contact(number)}
            assert told.issuperset(facts), "others are not a moment late"
            if world.seconds < 60:
                assert [a.fact for a in subscriber.taken if a.key == bad] == ["conversation"]
            await world.passes(STEP_SECONDS)
        came = [arrival.fact for arrival in subscriber.taken if arrival.key == bad]
        assert came == ["conversation", *world.load.accepted[bad][1:]], "all but the poisoned one, in order"
        marked = [row for row in await world.deliveries() if row["out_of_order"]]
        assert [(row["state"], row["sequence"]) for row in marked] == [("retrying", 2)]
        cured = True
        await world.passes(360)
        await subscriber.until(lambda: subscriber.taken[-1].fact == poison, what="the poisoned one")
        await world.rests()
        rows = await world.deliveries()
        assert {row["state"] for row in rows} == {"delivered"}
        assert [row["id"] for row in rows if row["out_of_order"]] == [marked[0]["id"]], "the gap stays visible"
        verdict = reconcile(world.load.owed(("row",)), subscriber.taken)
        assert (verdict.lost, verdict.duplicates) == ([], 0)

    async def run() -> None:
        async with subscribing(subscriber), in_process(tmp_path) as world:
            await prove(world)

    asyncio.run(run())
