"""No neighbour noise: one that hangs and one that floods change nothing for the quiet; a retry storm waits its turn."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.contract.listening import Peer, sending
from tests.proofs.deployments import OnPostgres, OnSqlite
from tests.proofs.meta_load import Load, contact
from tests.proofs.reconciler import Arrival
from tests.proofs.subscriber import Subscriber, accept, saying, subscribing
from tests.unit.delivery.simulated import Reply, Simulation, endpoint

from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.model.deliveries import Delivery
from tellwire.ports.http_out import Sender

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


def quiet_latencies(limits: SideLaneLimits, *, noisy: bool) -> list[float]:
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


@pytest.mark.parametrize("places", [512, 128])
def test_quiet_endpoints_do_not_see_one_that_hangs_and_one_that_floods(places: int) -> None:
    """400 events/s for an endpoint that takes 320 or less, 40/s for one that never answers, 200/s for 200 others.

    All are of one organization, which alone has half of the places.
    """
    limits = SideLaneLimits(in_flight=places)
    alone, beside = quiet_latencies(limits, noisy=False), quiet_latencies(limits, noisy=True)
    assert len(alone) == len(beside) == SECONDS * 200
    p99 = [statistics.quantiles(latencies, n=100)[98] for latencies in (alone, beside)]
    assert p99[1] <= 2 * p99[0], p99


# --- a retry storm, by a real clock -----------------------------------------------------------------------------------

STORM = 100_000
FRESH = 30
BOUND_SECONDS = 1.0
_STORM = """
INSERT INTO deliveries SELECT {columns} FROM deliveries d, {numbers} WHERE d.id = (SELECT max(id) FROM deliveries)
"""
_CHANGED = {
    "id": "'01970000-0000-7000-8000-' || {padded}",
    "webhook_id": "'msg_storm' || {padded}",
    "order_key": "'storm' || i",
    "partition": "i % 64",
    "state": "'retrying'",
    "lane": "'late'",
    "attempts": "5",
    "counted_attempts": "5",
    "due_at": "d.due_at - i",
    "first_attempt_at": "d.created_at",
}


def storm(columns: Iterable[str], endpoints: Sequence[str], *, numbers: str, padded: str) -> str:
    """SQL that makes deliveries whose late retries are due, spread over the endpoints; they tell what the newest one
    tells. `numbers` is a relation of every number `i`, `padded` such a number as twelve digits."""
    turns = " ".join(f"WHEN {number} THEN '{each}'" for number, each in enumerate(endpoints))
    changed = _CHANGED | {"endpoint_id": f"CASE i % {len(endpoints)} {turns} END"}
    made = ", ".join(changed[name].format(padded=padded) if name in changed else f"d.{name}" for name in columns)
    return _STORM.format(columns=made, numbers=numbers)


async def brew_on_sqlite(deployment: OnSqlite, endpoints: Sequence[str]) -> None:
    count = f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {STORM}) SELECT i FROM n"

    def run() -> None:
        with closing(sqlite3.connect(deployment.folder / "tellwire.db")) as db, db:
            columns = [name for _, name, *_ in db.execute("PRAGMA table_info(deliveries)")]
            db.execute(storm(columns, endpoints, numbers=f"({count}) n", padded="printf('%012d', i)"))

    await asyncio.to_thread(run)


async def brew_on_postgres(deployment: OnPostgres, endpoints: Sequence[str]) -> None:
    rows = await deployment.query(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'deliveries' ORDER BY ordinal_position"
    )
    count = f"generate_series(0, {STORM - 1}) n(i)"
    await deployment.query(storm([row[0] for row in rows], endpoints, numbers=count, padded="lpad(i::text, 12, '0')"))


@pytest.mark.alone
def test_a_retry_storm_on_sqlite_does_not_delay_a_fresh_event_by_a_second(tmp_path: Path, figures: list[str]) -> None:
    asyncio.run(weather(OnSqlite(tmp_path), brew_on_sqlite, figures, store="SQLite"))


@pytest.mark.alone
def test_a_retry_storm_on_postgres_does_not_delay_a_fresh_event_by_a_second(tmp_path: Path, figures: list[str]) -> None:
    asyncio.run(weather(OnPostgres(tmp_path, {"all": ()}), brew_on_postgres, figures, store="PostgreSQL"))


async def weather(deployment: Any, brew: Callable[..., Awaitable[None]], figures: list[str], *, store: str) -> None:
    """100 000 late retries are due; half of them fail again. The fresh events go to an endpoint that has none."""
    storming = [f"row-storm{number}" for number in range(10)]

    async def answer(arrival: Arrival, peer: Peer) -> Literal["taken", "refused", "gone"]:
        refuse = arrival.endpoint != "row" and arrival.endpoint in storming[5:]
        return await (saying(500) if refuse else accept)(arrival, peer)

    subscriber = Subscriber(otherwise=answer)
    async with subscribing(subscriber), deployment, sending() as sender:
        ids = await deployment.subscribe(subscriber.url, "row")
        ids |= await deployment.subscribe(subscriber.url, *storming, accounts=["15550000000"])
        load = Load(deployment.url(), seed=1)
        await load.write(sender, 0)
        await subscriber.until(lambda: len(subscriber.taken) == 2, what="the first message")
        await deployment.stop("all")
        await brew(deployment, [ids[name] for name in storming])
        before = len(subscriber.arrivals)
        await deployment.start("all")
        delays: list[float] = []
        for number in range(FRESH):
            await subscriber.more(25)
            delays.append(await delay(load, sender, subscriber, 1 + number % 19))
        left = len(await deployment.unrecorded())
        stormed = len(subscriber.arrivals) - before - FRESH
    figures.append(
        f"retry storm on {store}: {stormed} of {STORM} retries were made while {FRESH} fresh events of another endpoint"
        f" took {statistics.median(delays) * 1000:.0f} ms (median), {max(delays) * 1000:.0f} ms (longest)"
    )
    assert left > STORM / 2, "the storm still went on"
    assert stormed > FRESH * 20
    assert max(delays) <= BOUND_SECONDS


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
