"""PostgreSQL restarted, gone for longer than any lease, and read-only as after a failover: POSTs are refused meanwhile,
nothing accepted is lost, and every process goes on by itself."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.postgres_server import Postgres, execute, in_a_thread
from tests.proofs.deployments import OnPostgres
from tests.proofs.meta_load import Load, loading
from tests.proofs.news import asked
from tests.proofs.reconciler import reconcile
from tests.proofs.subscriber import Subscriber, subscribing, thinking

ENDPOINTS = ("row", "chat")
PARTS = {"ingest": ("--role", "ingest"), "one": ("--role", "deliver"), "other": ("--role", "deliver")}
OUTAGE_SECONDS = float(os.environ.get("PROOFS_OUTAGE_SECONDS", "12"))
"""Twice a lease, by default."""
_SOME = 20
_READY_SECONDS = 15


def set_read_only(value: str, server: Postgres) -> None:
    """For every transaction that begins from now on, of connections that are open too."""
    for sql in (f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()"):
        in_a_thread(execute(server.url, sql))


async def becomes(deployment: OnPostgres, part: str, status: int) -> None:
    """A part says of itself whether it is ready, once it has tried."""
    ready = partial(deployment.call, "GET", "/readyz", part=part)
    await asked(ready, lambda answer: answer[0] == status, what=f"{status} of {part}", seconds=_READY_SECONDS)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        pytest.param(("restarted", Postgres.shut_down, Postgres.start), 0, id="restarted"),
        pytest.param(("gone", Postgres.kill, Postgres.start), OUTAGE_SECONDS, id="gone"),
        pytest.param(("read-only", partial(set_read_only, "on"), partial(set_read_only, "off")), 0, id="read-only"),
    ],
)
def test_nothing_is_lost_while_postgres_is_away(
    tmp_path: Path,
    figures: list[str],
    fault: tuple[str, Callable[[Postgres], None], Callable[[Postgres], None]],
    seconds: float,
    own_server: Postgres,
) -> None:
    cause, end, begin = fault

    async def prove(server: Postgres) -> None:
        loop = asyncio.get_running_loop()
        subscriber = Subscriber(otherwise=thinking(random.Random(1)))
        async with subscribing(subscriber), OnPostgres(tmp_path, PARTS, server=server) as deployment:
            await deployment.subscribe(subscriber.url, *ENDPOINTS)
            await deployment.shared_by(2)
            load = Load(*deployment.ingests, seed=1, pause=1.5)
            async with loading(load):
                await subscriber.more(200)
                await asyncio.to_thread(end, server)
                gone = loop.time()
                await load.more(503, _SOME)
                for part in PARTS:
                    await becomes(deployment, part, 503)
                    assert (await deployment.call("GET", "/livez", part=part))[0] == 200
                while loop.time() < gone + seconds:
                    await load.more(503, 1)
                await subscriber.caught_up()
                came = {arrival.webhook_id for arrival in subscriber.arrivals}
                await asyncio.to_thread(begin, server)
                back = loop.time()
                in_flight = came & await deployment.unrecorded()
                await load.more(200, _SOME)
                accepting = loop.time() - back
                await subscriber.until(
                    lambda: len(came.union(a.webhook_id for a in subscriber.arrivals)) > len(came),
                    what="a new delivery",
                )
                delivering = loop.time() - back
                await deployment.shared_by(2)
                for part in PARTS:
                    await becomes(deployment, part, 200)
            owed = load.owed(ENDPOINTS)
            expected = sum(map(len, owed.values()))
            await subscriber.until(
                lambda: len({arrival.webhook_id for arrival in subscriber.arrivals}) >= expected, what="every delivery"
            )
            for name in list(deployment.processes):
                assert await deployment.stop(name) == 0
            assert await deployment.unrecorded() == set()
        verdict = reconcile(owed, subscriber.arrivals, [in_flight])
        figures.append(
            f"PostgreSQL {cause} for {back - gone:.0f} s: {load.answers[503]} POSTs answered 503; {verdict.accepted}"
            f" deliveries owed, {verdict.delivered} made, {verdict.duplicates} twice ({verdict.in_flight} were in"
            f" flight); once it was back {_SOME} POSTs were accepted after {accepting:.1f} s, and deliveries went on"
            f" after {delivering:.1f} s"
        )
        assert verdict.faults == []
        assert load.answers.keys() == {200, 503}

    asyncio.run(prove(own_server))
