"""A simulator on loopback, a callback URL that keeps what comes there and checks its signature, and a client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

import tellwire_sdk
from tellwire.ports.clock import Clock
from tellwire.simulator import BUSINESS, TOKEN, Knobs, Simulator, State

SECRET = "an-invented-app-secret"
NUMBER = BUSINESS.phone_number_id
WABA = BUSINESS.waba_id
CUSTOMER = "5215500000001"
AT_ONCE = {"delivered_after": 0, "read_after": 0, "played_after": 0, "approve_seconds": 0, "webhook_retry_seconds": 0}


def text(to: str = CUSTOMER, **more: Any) -> dict[str, Any]:
    """A text message, as it is sent."""
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "Hi"}, **more}


class Callback:
    """Keeps the webhooks that were signed; `answers` are statuses to give, 200 once they are used up."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.unsigned = 0
        self.answers: list[int] = []
        self._news = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("X-Hub-Signature-256") != tellwire_sdk.hub_signature(body, SECRET):
            self.unsigned += 1
            return web.Response(status=401)
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.bodies.append(json.loads(body))
        self._news.set()
        return web.Response(status=status)

    def values(self, field: str = "messages") -> list[dict[str, Any]]:
        changes = [change for body in self.bodies for entry in body["entry"] for change in entry["changes"]]
        return [change["value"] for change in changes if change["field"] == field]

    def statuses(self) -> list[dict[str, Any]]:
        return [status for value in self.values() for status in value.get("statuses", [])]

    def messages(self) -> list[dict[str, Any]]:
        return [message for value in self.values() for message in value.get("messages", [])]

    async def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Meta:
    """What a test holds: the simulator, what it posted, and calls to it."""

    def __init__(self, simulator: Simulator, callback: Callback, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.state = simulator.state
        self.callback = callback
        self.session = session

    async def call(self, method: str, path: str, *, token: str = TOKEN, **given: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(method, self.simulator.url + path, headers=headers, **given) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if raw else None

    async def send(self, body: object, *, number: str = NUMBER, **given: Any) -> tuple[int, Any]:
        return await self.call("POST", f"/v24.0/{number}/messages", json=body, **given)

    async def control(self, path: str, **given: Any) -> tuple[int, Any]:
        return await self.call("POST", f"/_simulator/{path}", token="", json=given)

    async def look(self, path: str) -> Any:
        status, answer = await self.call("GET", f"/_simulator/{path}", token="")
        assert status == 200
        return answer


@asynccontextmanager
async def meta(*, clock: Clock | None = None, seed: int = 1, **knobs: Any) -> AsyncIterator[Meta]:
    """A simulator whose statuses come at once unless `knobs` say otherwise."""
    callback = Callback()
    application = web.Application()
    application.router.add_post("/webhook", callback.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    state = State(seed=seed, clock=clock, knobs=Knobs(**{**AT_ONCE, **knobs}))
    simulator = Simulator(state, callback=f"http://127.0.0.1:{port}/webhook", secret=SECRET)
    await simulator.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            yield Meta(simulator, callback, session)
    finally:
        await simulator.stop()
        await runner.cleanup()


def running(test: Callable[..., Coroutine[Any, Any, None]], **knobs: Any) -> None:
    """Run a test of one simulator."""

    async def run() -> None:
        async with meta(**knobs) as there:
            await test(there)

    asyncio.run(run())
