"""The kill matrix: SIGKILL at random moments under load; afterwards everything accepted is delivered, in order, once.

What was in flight at a kill is counted from both ends: the subscriber had got the whole request by the time the victim
was dead, and its delivery was not recorded in the database then. Those, and no others, may come a second time.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from time import monotonic
from typing import Literal

from tests.contract.listening import Peer
from tests.proofs.deployments import Deployment, OnSqlite
from tests.proofs.meta_load import Load, loading
from tests.proofs.reconciler import Arrival, Verdict, reconcile
from tests.proofs.subscriber import Subscriber, accept, subscribing
from tests.proofs.table import Row

ENDPOINTS = ("row", "chat")
SEED = int(os.environ.get("PROOFS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
KILLS = int(os.environ.get("PROOFS_KILLS", "5"))
_LONGEST_THOUGHT = 0.03


def thinking(rng: random.Random):
    """A subscriber that takes its time, so that something is in flight at any moment."""

    async def answer(arrival: Arrival, peer: Peer) -> Literal["taken"]:
        await asyncio.sleep(rng.uniform(0, _LONGEST_THOUGHT))
        return await accept(arrival, peer)

    return answer


async def survive(deployment: Deployment, victim: str, *arguments: str) -> tuple[Verdict, int, float]:
    """Kill and restart the victim under load; what came of it, how many POSTs, and the longest time until deliveries
    came again."""
    rng = random.Random(f"{SEED}/{victim}")
    subscriber = Subscriber(otherwise=thinking(random.Random(SEED)))
    kills: list[set[str]] = []
    gaps: list[float] = []
    async with subscribing(subscriber):
        await deployment.subscribe(subscriber.url, *ENDPOINTS)
        load = Load(deployment.url, seed=SEED)
        async with loading(load):
            for _ in range(KILLS):
                await subscriber.more(rng.randint(10, 400))
                await asyncio.sleep(rng.uniform(0, _LONGEST_THOUGHT))
                await deployment.kill(victim)
                killed = monotonic()
                await subscriber.deserted()
                came = {arrival.webhook_id for arrival in subscriber.arrivals}
                kills.append(came & await deployment.unrecorded())
                await deployment.start(victim, *arguments)
                await subscriber.more(1)
                gaps.append(monotonic() - killed)
        owed = load.owed(ENDPOINTS)
        expected = sum(map(len, owed.values()))
        await subscriber.until(
            lambda: len({arrival.webhook_id for arrival in subscriber.arrivals}) >= expected, what="every delivery"
        )
        assert await deployment.stop(victim) == 0
        assert await deployment.unrecorded() == set()
        verdict = reconcile(owed, subscriber.arrivals, kills)
    return verdict, load.answers[200], max(gaps)


def test_kill_9_of_the_one_process_on_sqlite(tmp_path: Path, matrix: list[Row]) -> None:
    async def prove() -> None:
        async with OnSqlite(tmp_path) as deployment:
            verdict, posts, gap = await survive(deployment, "all")
        matrix.append(
            Row(
                store="SQLite",
                victim="all (one process)",
                seed=SEED,
                kills=KILLS,
                posts=posts,
                verdict=verdict,
                gap=gap,
            )
        )
        assert verdict.faults == []

    asyncio.run(prove())
