"""One tenant's 800 endpoints hang; what another tenant's events take from POST to arrival stays as it was."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import request
from tests.contract.listening import OK, Peer, listening, sending
from tests.proofs.deployments import ADMIN, Deployment, OnPostgres, OnSqlite
from tests.proofs.meta_load import APP_SECRET
from tests.world import contact, envelope, text_message, value

import tellwire_sdk
from tellwire.ports.http_out import Request, Sender

HANGING = 800
BLOCKS = 5
SAMPLES = 150
"""In a block. The p99 is the median of the blocks', so that what else the machine does for a moment is not counted."""
MOST = 2.0
"""How many times as long the slowest hundredth may take beside the hanging ones."""
NUMBERS = {"greedy": "100000000000001", "quiet": "100000000000002"}
TOKEN = "an-invented-access-token"

DEPLOYMENTS: dict[str, Callable[..., Deployment]] = {
    "SQLite": OnSqlite,
    "PostgreSQL": lambda folder, **settings: OnPostgres(folder, {"all": ()}, **settings),
}


async def graph(peer: Peer) -> None:
    """Meta's API, which shows every number to every token."""
    while raw := await peer.request():
        body = json.dumps({"id": raw.split(b"?")[0].rpartition(b"/")[2].decode(), "data": []}).encode()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Receivers:
    """Those that take a request and never answer, and the one that answers and keeps when each fact came."""

    def __init__(self) -> None:
        self.hanging = 0
        self.came: dict[str, float] = {}
        self._news = asyncio.Event()

    async def hang(self, peer: Peer) -> None:
        await peer.request()
        self.hanging += 1
        self._news.set()
        await peer.gone()
        self.hanging -= 1

    async def take(self, peer: Peer) -> None:
        while raw := await peer.request():
            row = json.loads(raw.partition(b"\r\n\r\n")[2])
            if row["entity"] == "messages":
                self.came[row["data"]["content"]["text"]["body"]] = time.perf_counter()
                self._news.set()
            await peer.say(OK)

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not ready():
                self._news.clear()
                await self._news.wait()


async def post(sender: Sender, url: str, tenant: str, text: str) -> None:
    told = value(number=NUMBERS[tenant], contacts=[contact()], messages=[text_message(f"wamid.{tenant}{text}", text)])
    raw = json.dumps(envelope(told)).encode()
    signature = tellwire_sdk.hub_signature(raw, APP_SECRET)
    headers = (("Content-Type", "application/json"), ("X-Hub-Signature-256", signature))
    answer = await sender.send(Request(url=f"{url}/meta/webhook", headers=headers, body=raw))
    assert answer.status == 200, answer


async def delays(receivers: Receivers, sender: Sender, url: str, *, block: str, count: int) -> list[float]:
    """Seconds from the POST of a message to its arrival, one after the other."""
    found = []
    for number in range(count):
        text, began = f"{block} {number}", time.perf_counter()
        await post(sender, url, "quiet", text)
        await receivers.until(lambda text=text: text in receivers.came)  # type: ignore[misc]
        found.append(receivers.came[text] - began)
    return found


async def tenant(url: str, name: str) -> Callable[..., Any]:
    """Create an organization with its account; return what calls the API with its key."""

    async def ask(key: str, method: str, path: str, body: Any = None) -> Any:
        status, answer = await asyncio.to_thread(request, f"{url}/v1/{path}", key=key, method=method, body=body)
        assert 200 <= status < 300, answer
        return answer

    made = await ask(ADMIN, "POST", "organizations", {"name": name})
    scopes = ["read", "accounts:manage", "webhooks:manage"]
    draft = {"organization_id": made["id"], "scopes": scopes}
    key = (await ask(ADMIN, "POST", "api-keys", draft))["key"]
    call = partial(ask, key)
    await call("POST", "accounts", {"phone_number_id": NUMBERS[name], "access_token": TOKEN})
    return call


async def measure(folder: Path, store: str) -> tuple[list[float], list[float], int]:
    """The delays of the quiet tenant alone, and beside the other's hanging endpoints; and how many hang."""
    receivers = Receivers()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        meta, hole, hook = [await enter(listening(each)) for each in (graph, receivers.hang, receivers.take)]
        settings = {
            "META_GRAPH_URL": f"http://127.0.0.1:{meta.port}",
            "QUOTA_WEBHOOK_ENDPOINTS": str(HANGING),
            "DELIVERY_TIMEOUT_SECONDS": "60",
        }
        deployment = await enter(DEPLOYMENTS[store](folder, **settings))
        sender = await enter(sending())
        url = deployment.url()
        greedy, quiet = await tenant(url, "greedy"), await tenant(url, "quiet")
        await quiet("POST", "webhook-endpoints", {"url": f"http://127.0.0.1:{hook.port}/", "format": "row"})
        draft = {"url": f"http://127.0.0.1:{hole.port}/", "format": "row", "events": ["messages.insert"]}
        for _ in range(0, HANGING, 8):
            await asyncio.gather(*(greedy("POST", "webhook-endpoints", draft) for _ in range(8)))
        await delays(receivers, sender, url, block="before", count=50)
        alone = await delays(receivers, sender, url, block="alone", count=BLOCKS * SAMPLES)
        await post(sender, url, "greedy", "to all")
        (late,) = await delays(receivers, sender, url, block="at once", count=1)
        assert late < 5, "nothing waits for a deadline"
        await receivers.until(lambda: receivers.hanging >= HANGING // 4)
        beside = await delays(receivers, sender, url, block="beside", count=BLOCKS * SAMPLES)
        return alone, beside, receivers.hanging


def p99_of(seconds: list[float]) -> float:
    blocks = [seconds[start : start + SAMPLES] for start in range(0, len(seconds), SAMPLES)]
    return statistics.median(statistics.quantiles(block, n=100)[98] for block in blocks)


@pytest.mark.alone
@pytest.mark.parametrize("store", DEPLOYMENTS)
def test_800_hanging_endpoints_of_one_tenant_do_not_slow_down_another(store: str, tmp_path: Path) -> None:
    alone, beside, hanging = asyncio.run(measure(tmp_path, store))
    p99 = [p99_of(some) for some in (alone, beside)]
    assert hanging >= HANGING // 4
    assert p99[1] <= MOST * p99[0], (p99, hanging)
