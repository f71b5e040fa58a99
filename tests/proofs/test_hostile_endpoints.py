"""Endpoints that mean no good, over the whole product: only they suffer, and their attempts say in plain words why."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import Struct
from tests.acceptance.processes import every
from tests.contract.listening import Peer
from tests.postgres_server import free_port
from tests.proofs.deployments import ADMIN, Deployment, OnSqlite
from tests.proofs.meta_load import Load, loading
from tests.proofs.reconciler import Arrival, reconcile
from tests.proofs.subscriber import Answer, Subscriber, reset, saying, subscribing

TIMEOUT_SECONDS = 2
HEALTHY = ("row", "chat")
POSTS = 200
HOUR = 3600
_MOST_LOOKS = 100
_HUGE = 10_000_000
_PIECE = b"x" * 50_000
_HEADERS = f"no answer within {TIMEOUT_SECONDS} s (while waiting for the headers)"
_BODY = f"no answer within {TIMEOUT_SECONDS} s (while reading the body)"


async def hang(_: Arrival, peer: Peer) -> Literal["gone"]:
    await peer.gone()
    return "gone"


async def drip(_: Arrival, peer: Peer) -> Literal["gone"]:
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await peer.drip(b"x" * 1000, TIMEOUT_SECONDS / 20)
    return "gone"


async def talk_nonsense(_: Arrival, peer: Peer) -> Literal["gone"]:
    await peer.say(b"220 mail.example.org ESMTP\r\n")
    return "gone"


def overwhelm(status: int) -> Answer:
    async def script(__: Arrival, peer: Peer) -> Literal["gone"]:
        await peer.say(b"HTTP/1.1 %d Fine\r\nContent-Length: %d\r\n\r\n" % (status, _HUGE))
        for _ in range(_HUGE // len(_PIECE)):
            await peer.say(_PIECE)
        return "gone"

    return script


class Case(Struct, frozen=True):
    """What an endpoint does, what its attempts must say, and how its deliveries may stand then."""

    answer: Answer | None
    cause: str
    states: tuple[str, ...] = ("pending", "retrying")
    waits: tuple[int, int] = (0, HOUR)
    """Seconds until the next attempt of one that was tried, from and to."""


CASES = {
    "row-hanging": Case(hang, _HEADERS),
    "row-dripping": Case(drip, _BODY),
    "row-huge": Case(overwhelm(200), "", ("delivered",)),
    "row-huge-500": Case(overwhelm(500), "your server answered 500"),
    "row-301": Case(saying(301, "Location: /row"), "redirects are not followed"),
    "row-307": Case(saying(307, "Location: http://127.0.0.1:9/"), "redirects are not followed"),
    "row-reset": Case(reset, "your server reset the connection before answering"),
    "row-nonsense": Case(talk_nonsense, "your server's answer is not valid HTTP"),
    "row-refused": Case(None, "connection refused"),
    "row-hour": Case(saying(429, "Retry-After: 3600"), "your server answered 429", waits=(HOUR - 120, HOUR * 2)),
    "row-year": Case(saying(503, "Retry-After: 31536000"), "your server answered 503", waits=(HOUR * 5, HOUR * 6)),
    "row-gone": Case(saying(410), "your server answered 410", ("parked",)),
}


@pytest.mark.alone
def test_hostile_endpoints_harm_only_themselves_and_are_told_why(tmp_path: Path, figures: list[str]) -> None:
    async def prove() -> None:
        subscriber = Subscriber({name: case.answer for name, case in CASES.items() if case.answer is not None})
        async with subscribing(subscriber), OnSqlite(tmp_path) as deployment:
            ids = await deployment.subscribe(subscriber.url, *HEALTHY)
            listening = [name for name, case in CASES.items() if case.answer is not None]
            ids |= await deployment.subscribe(subscriber.url, *listening, timeout_seconds=TIMEOUT_SECONDS)
            ids |= await deployment.subscribe(f"http://127.0.0.1:{free_port()}", "row-refused")
            load = Load(deployment.url(), seed=1, pause=1.2)
            async with loading(load):
                await load.more(200, POSTS)
            owed = load.owed(HEALTHY)
            expected = sum(map(len, owed.values()))
            await subscriber.until(
                lambda: len({arrival.webhook_id for arrival in subscriber.taken}) >= expected, what="what is owed"
            )
            assert reconcile(owed, subscriber.taken).faults == []
            rows = await settled(deployment, ids)
            for name, case in CASES.items():
                await judge(deployment, name, case, rows[ids[name]], count=sum(map(len, load.owed([name]).values())))
            _, gone = await deployment.call("GET", f"/v1/webhook-endpoints/{ids['row-gone']}")
            assert (gone["state"], gone["disabled_reason"]) == ("disabled", "it answered 410 Gone")
            delays = [lag(row) for name in HEALTHY for row in rows[ids[name]]]
        p99 = statistics.quantiles(delays, n=100)[98]
        figures.append(
            f"{len(CASES)} hostile endpoints: {expected} deliveries of two healthy ones beside them took "
            f"{statistics.median(delays) * 1000:.0f} ms (median), {p99 * 1000:.0f} ms (p99)"
        )
        assert p99 < TIMEOUT_SECONDS, "nobody waits for a neighbour's deadline"

    asyncio.run(prove())


async def settled(deployment: Deployment, ids: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The deliveries by endpoint, once all that can be made are made and every endpoint has had an attempt."""
    well = {ids[name] for name in (*HEALTHY, "row-huge")}
    for _ in range(_MOST_LOOKS):
        rows: dict[str, list[dict[str, Any]]] = {identifier: [] for identifier in ids.values()}
        for row in await asyncio.to_thread(every, deployment.url(), "deliveries", key=ADMIN):
            rows[row["endpoint_id"]].append(row)
        done = all(row["state"] == "delivered" for one in well for row in rows[one])
        if done and all(any(row["attempt_count"] for row in each) for each in rows.values()):
            return rows
    raise AssertionError("some endpoint was left out")


def lag(row: dict[str, Any]) -> float:
    """Seconds from the event's commit to the recorded answer."""
    made, done = (datetime.fromisoformat(row[name]) for name in ("created_at", "delivered_at"))
    return (done - made).total_seconds()


async def judge(deployment: Deployment, name: str, case: Case, rows: list[dict[str, Any]], *, count: int) -> None:
    """Nothing of an endpoint's deliveries has vanished, and those that were tried say what happened."""
    assert len(rows) == count
    assert {row["state"] for row in rows} <= set(case.states), (name, Counter(row["state"] for row in rows))
    tried = [row for row in rows if row["attempt_count"]]
    for row in tried[:10]:
        status, answer = await deployment.call("GET", f"/v1/deliveries/{row['id']}/attempts")
        assert status == 200
        causes = {attempt["cause"] or "" for attempt in answer["data"]}
        assert all(cause.startswith(case.cause) and bool(cause) == bool(case.cause) for cause in causes), (name, causes)
        assert all(len(attempt["response_body"] or "") <= 16_384 for attempt in answer["data"])
        if row["next_attempt_at"] is not None:
            seconds = (datetime.fromisoformat(row["next_attempt_at"]) - datetime.now(UTC)).total_seconds()
            assert seconds <= case.waits[1], (name, seconds)
            assert seconds >= case.waits[0] or not case.waits[0], (name, seconds)
