"""Two dispatchers on one PostgreSQL: one is frozen past its lease, killed or stopped, and the other takes over."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.proofs.deployments import OnPostgres
from tests.proofs.meta_load import Load, loading
from tests.proofs.news import asked
from tests.proofs.reconciler import reconcile
from tests.proofs.subscriber import THOUGHT_SECONDS, Subscriber, subscribing, thinking

ENDPOINTS = ("row", "chat")
PARTS = {"ingest": ("--role", "ingest"), "one": ("--role", "deliver"), "other": ("--role", "deliver")}
TAKEOVER_SECONDS = 10
FREEZES = 2
FREEZE_SECONDS = 25
"""A lease and, for one that was frozen within a transaction, what PostgreSQL waits for it."""
_AT_ONCE_SECONDS = 3
_WAITING = """
SELECT d.webhook_id, l.owner FROM deliveries d JOIN leases l USING (partition)
WHERE d.state NOT IN ('delivered', 'cancelled', 'failed')
"""

Story = Callable[[OnPostgres, Subscriber], Awaitable[list[set[str]]]]
"""What happens under load; returns the webhook-ids that each event may have doubled."""


def prove(folder: Path, story: Story) -> None:
    """Let a story happen under load: nothing is lost, reordered or doubled that was not in flight."""

    async def run() -> None:
        subscriber = Subscriber(otherwise=thinking(random.Random(1)))
        async with subscribing(subscriber), OnPostgres(folder, PARTS) as deployment:
            await deployment.subscribe(subscriber.url, *ENDPOINTS)
            await deployment.shared_by(2)
            load = Load(*deployment.ingests, seed=1, pause=1.5)
            async with loading(load):
                doubled = await story(deployment, subscriber)
            owed = load.owed(ENDPOINTS)
            expected = sum(map(len, owed.values()))
            await subscriber.until(
                lambda: len({arrival.webhook_id for arrival in subscriber.arrivals}) >= expected, what="every delivery"
            )
            for name in list(deployment.processes):
                assert await deployment.stop(name) == 0
            assert await deployment.unrecorded() == set()
        assert reconcile(owed, subscriber.arrivals, doubled).faults == []

    asyncio.run(run())


async def waiting(deployment: OnPostgres, subscriber: Subscriber) -> dict[str, str]:
    """What has come and is not recorded, with the owner whose it is to record it."""
    await subscriber.caught_up()
    came = {arrival.webhook_id for arrival in subscriber.arrivals}
    return {webhook_id: owner for webhook_id, owner in await deployment.query(_WAITING) if webhook_id in came}


def test_one_that_is_frozen_past_its_lease_writes_and_sends_nothing_more(tmp_path: Path, figures: list[str]) -> None:
    rng = random.Random(2)

    async def story(deployment: OnPostgres, subscriber: Subscriber) -> list[set[str]]:
        doubled: list[set[str]] = []
        refused = 0
        for number in range(FREEZES):
            frozen = ("one", "other")[number % 2]
            await subscriber.more(rng.randint(50, 300))
            await asyncio.sleep(rng.uniform(0, THOUGHT_SECONDS))
            deployment.signal(frozen, signal.SIGSTOP)
            in_flight = await waiting(deployment, subscriber)
            [survivor] = await deployment.shared_by(1, seconds=FREEZE_SECONDS)
            doubled.append({webhook_id for webhook_id, owner in in_flight.items() if owner != survivor})
            await subscriber.more(100)
            deployment.signal(frozen, signal.SIGCONT)
            await deployment.shared_by(2)
            refused += await refusals(deployment, frozen, expected=bool(doubled[-1]))
            await subscriber.more(100)
        figures.append(
            f"{FREEZES} freezes past the lease: {sum(map(len, doubled))} deliveries were in flight; {refused} results"
            " were refused when the frozen process went on"
        )
        assert 0 < refused <= sum(map(len, doubled))
        return doubled

    prove(tmp_path, story)


async def refusals(deployment: OnPostgres, name: str, *, expected: bool) -> int:
    """How many results of a process were refused, by its own log; waited for if there must be some."""

    async def count() -> int:
        lines = [line for line in deployment.processes[name].err if '"results_refused"' in line]
        return sum(json.loads(line)["count"] for line in lines)

    return await asked(count, lambda number: bool(number) or not expected, what="a refusal")


def test_the_other_takes_over_within_ten_seconds_of_a_kill_and_at_once_when_it_is_planned(
    tmp_path: Path, figures: list[str]
) -> None:
    async def story(deployment: OnPostgres, subscriber: Subscriber) -> list[set[str]]:
        loop = asyncio.get_running_loop()
        await subscriber.more(100)
        await deployment.kill("one")
        began = loop.time()
        in_flight = await waiting(deployment, subscriber)
        [survivor] = await deployment.shared_by(1, seconds=TAKEOVER_SECONDS)
        after_kill = loop.time() - began
        await deployment.start("one")
        await deployment.shared_by(2)
        await subscriber.more(100)
        assert await deployment.stop("other") == 0
        began = loop.time()
        await deployment.shared_by(1, seconds=_AT_ONCE_SECONDS)
        figures.append(
            f"takeover of all partitions: {after_kill:.1f} s after SIGKILL, {loop.time() - began:.2f} s after the exit"
            " that SIGTERM asked for"
        )
        await subscriber.more(100)
        return [{webhook_id for webhook_id, owner in in_flight.items() if owner != survivor}]

    prove(tmp_path, story)
