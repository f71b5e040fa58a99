"""No neighbour noise: one that hangs and one that floods change nothing for the quiet; a retry storm waits its turn."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from tests.contract.listening import Peer, sending
from tests.proofs.deployments import OnSqlite
from tests.proofs.meta_load import Load, contact
from tests.proofs.reconciler import Arrival
from tests.proofs.subscriber import Subscriber, accept, saying, subscribing
from tests.unit.simulated import Reply, Simulation, endpoint

from tellwire.extras import Limits
from tellwire.model import Delivery
from tellwire.ports import Sender

# --- 200 quiet endpoints, by a clock that jumps -----------------------------------------------------------------------

QUIET = [f"quiet{number}" for number in range(200)]
SECONDS = 20
_HANGS = Reply(failure="timeout", after=15_000_000)
_SLOW = Reply(after=200_000)


def answered(delivery: Delivery, _: float) -> Reply:
    match delivery.endpoint_id:
        case "hanging":
            return _HANGS
        case "flooded":
            return _SLOW
        case _:
            return Reply(after=5_000 + int(delivery.id) * 7919 % 40_000)


def quiet_latencies(limits: Limits, *, noisy: bool) -> list[float]:
    """Seconds from the commit of a quiet endpoint's event to its answer."""
    names = [*QUIET, "hanging", "flooded"]
    simulation = Simulation([endpoint(name) for name in names], answered, limits=limits)
    committed: dict[str, float] = {}

    def commit(*places: tuple[str, str]) -> None:
        committed.update(dict.fromkeys(simulation.commits(*places), simulation.seconds))

    for tick in range(SECONDS * 10):
        at = tick / 10
        simulation.at(at, partial(commit, *((name, f"k{tick}") for name in QUIET[tick % 10 :: 10])))
        if noisy:
            simulation.at(at, partial(commit, *(("flooded", f"k{tick}x{n}") for n in range(40))))
            simulation.at(at, partial(commit, *(("hanging", f"k{tick}x{n}") for n in range(4))))
    simulation.run(SECONDS + 1)
    return [
        sent.at + answered(sent.delivery, 0).after / 1_000_000 - committed[sent.delivery.id]
        for sent in simulation.sent
        if sent.delivery.endpoint_id in QUIET
    ]


@pytest.mark.parametrize("places", [256, 64])
def test_quiet_endpoints_do_not_see_one_that_hangs_and_one_that_floods(places: int) -> None:
    """400 events/s for an endpoint that takes 320 or less, 40/s for one that never answers, 200/s for 200 others."""
    limits = Limits(in_flight=places)
    alone, beside = quiet_latencies(limits, noisy=False), quiet_latencies(limits, noisy=True)
    assert len(alone) == len(beside) == SECONDS * 200
    p99 = [statistics.quantiles(latencies, n=100)[98] for latencies in (alone, beside)]
    assert p99[1] <= 2 * p99[0], p99


# --- a retry storm, by a real clock -----------------------------------------------------------------------------------

STORM = 100_000
FRESH = 30
BOUND_SECONDS = 1.0
_STORM = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :storm)
INSERT INTO deliveries SELECT {columns} FROM deliveries d, n WHERE d.id = :copied
"""
_CHANGED = {
    "id": "printf('01970000-0000-7000-8000-%012x', i)",
    "webhook_id": "printf('msg_storm%012x', i)",
    "endpoint_id": "json_extract(:endpoints, '$[' || (i % :count) || ']')",
    "order_key": "'storm' || i",
    "partition": "i % 64",
    "state": "'retrying'",
    "lane": "'late'",
    "attempts": "5",
    "burned": "5",
    "due_at": "d.due_at - i",
    "first_attempt_at": "d.created_at",
}


def test_a_retry_storm_of_100_000_does_not_delay_a_fresh_event_by_a_second(tmp_path: Path, figures: list[str]) -> None:
    """Half of the retries fail again; the fresh events go to an endpoint that has none."""
    storming = [f"row-storm{number}" for number in range(10)]

    async def answer(arrival: Arrival, peer: Peer) -> Literal["taken", "refused", "gone"]:
        refuse = arrival.endpoint != "row" and arrival.endpoint in storming[5:]
        return await (saying(500) if refuse else accept)(arrival, peer)

    async def prove() -> None:
        subscriber = Subscriber(otherwise=answer)
        async with subscribing(subscriber), OnSqlite(tmp_path) as deployment, sending() as sender:
            ids = await deployment.subscribe(subscriber.url, "row")
            ids |= await deployment.subscribe(subscriber.url, *storming, accounts=["15550000000"])
            load = Load(deployment.url(), seed=1)
            await load.write(sender, 0)
            await subscriber.until(lambda: len(subscriber.taken) == 2, what="the first message")
            await deployment.stop("all")
            await asyncio.to_thread(brew, tmp_path / "tellwire.db", [ids[name] for name in storming])
            before = len(subscriber.arrivals)
            await deployment.start("all")
            delays: list[float] = []
            for number in range(FRESH):
                await subscriber.more(50)
                delays.append(await delay(load, sender, subscriber, 1 + number % 19))
            left = len(await deployment.unrecorded())
            stormed = len(subscriber.arrivals) - before - FRESH
        figures.append(
            f"retry storm: {stormed} of {STORM} retries were made while {FRESH} fresh events of another endpoint took "
            f"{statistics.median(delays) * 1000:.0f} ms (median), {max(delays) * 1000:.0f} ms (longest)"
        )
        assert left > STORM / 2, "the storm still went on"
        assert stormed > 1000
        assert max(delays) <= BOUND_SECONDS

    asyncio.run(prove())


async def delay(load: Load, sender: Sender, subscriber: Subscriber, number: int) -> float:
    """POST a contact's next step; return how many seconds later it was there."""
    began = time.monotonic()
    facts = await load.write(sender, number)
    assert facts
    fresh = ("row", contact(number), facts[-1])
    await subscriber.until(
        lambda: any((a.endpoint, a.key, a.fact) == fresh for a in reversed(subscriber.taken)), what="a fresh event"
    )
    return time.monotonic() - began


def brew(database: Path, endpoints: list[str]) -> None:
    """Deliveries whose late retries are due, spread over the endpoints; they tell what the newest delivery tells."""
    with closing(sqlite3.connect(database)) as db, db:
        [copied] = db.execute("SELECT max(id) FROM deliveries").fetchone()
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(deliveries)")]
        made = ", ".join(_CHANGED.get(name, f'd."{name}"') for name in columns)
        db.execute(
            _STORM.format(columns=made),
            {"storm": STORM, "copied": copied, "endpoints": json.dumps(endpoints), "count": len(endpoints)},
        )
