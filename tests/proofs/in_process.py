"""The whole app in the test's process: a real store, real sockets on both sides, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.processes import every, request
from tests.contract.listening import sending
from tests.proofs.deployments import ADMIN, draft
from tests.proofs.meta_load import APP_SECRET, Load
from tests.proofs.news import OperationalEvent
from tests.world import SetClock

from tellwire.app import App
from tellwire.cli.serving import Site, bind, url_of
from tellwire.ports.http_out import Sender
from tellwire.settings import AppSecret, Settings
from tellwire.settings.values import allowed_network

SECOND = 1_000_000


class InProcess:
    """An app whose time is the test's."""

    def __init__(self, app: App, clock: SetClock, sender: Sender, url: str, news: OperationalEvent) -> None:
        self.app = app
        self.clock = clock
        self.load = Load(url, seed=1)
        self._sender = sender
        self._url = url
        self._news = news
        self._began = clock.now()

    @property
    def seconds(self) -> float:
        """How long it has been running, by its clock."""
        return (self.clock.now() - self._began) / SECOND

    async def subscribe(self, name: str, url: str, **settings: Any) -> str:
        """Create an endpoint; return its id."""
        status, answer = await asyncio.to_thread(
            request, f"{self._url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft(name, url, **settings)
        )
        assert status == 201, answer
        return str(answer["id"])

    async def deliveries(self) -> list[dict[str, Any]]:
        """Every delivery, as the REST API shows it."""
        return await asyncio.to_thread(every, self._url, "deliveries", key=ADMIN)

    async def writes(self, number: int) -> list[str]:
        """A contact's next step is accepted; return the facts that it tells."""
        facts = await self.load.write(self._sender, number)
        assert facts
        return facts

    async def passes(self, seconds: float) -> None:
        """Let time pass; return once all that was sent then is answered and recorded."""
        self.clock.move(int(seconds * SECOND))
        self.app.dispatcher.wake()
        self.app.dispatcher.tick()
        await self.rests()

    async def rests(self) -> None:
        """Return once nothing is in flight."""
        await self._news.until(lambda: not self.app.dispatcher.in_flight, what="the end of what is in flight")


@asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[InProcess]:
    """A running app over a fresh file."""
    settings = Settings(
        database_url=f"sqlite:///{folder / 'tellwire.db'}",
        admin_key=ADMIN,
        meta_app_secret=(AppSecret(APP_SECRET),),
        auto_accounts=True,
        delivery_allow_cidrs=(allowed_network("127.0.0.0/8"),),
    )
    clock, news = SetClock(), OperationalEvent()

    def recorded(*_: object) -> None:
        asyncio.get_running_loop().call_soon(news.tell)  # once the dispatcher has taken note too

    app = await App.open(settings, clock=clock, on_attempt=recorded)
    sock = bind("127.0.0.1", 0)
    site = Site(app, sock)
    try:
        await app.start()
        await site.start()
        async with sending() as sender:
            yield InProcess(app, clock, sender, url_of(sock), news)
    finally:
        await site.stop()
        await app.stop()
        sock.close()
