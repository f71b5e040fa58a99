"""An endpoint that is gone, told of, resumed, tested and caught up with, over real sockets and real loops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from tests.contract.listening import PATIENCE, Peer, listening
from tests.world import envelope, incoming

from tellwire.app import App
from tellwire.endpoints import lifecycle
from tellwire.endpoints.recovery import Job, Wanted
from tellwire.model.deliveries import Delivery, Endpoint, Secret
from tellwire.model.inbound import EVERYTHING
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.settings import Settings
from tellwire.settings.values import allowed_network
from tellwire.stores.queries import jobs
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.endpoints import SqlEndpointRepository

NEWS = ("endpoint.disabled", "endpoint.recovered", "delivery.exhausted")


class Receiver:
    """Answers with `status` and keeps what came: headers and body."""

    def __init__(self) -> None:
        self.status = 200
        self.came: list[tuple[dict[str, str], Any]] = []
        self._some = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while request := await peer.request():
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
            self.came.append(({name.lower(): value for name, _, value in lines}, json.loads(body)))
            self._some.set()
            await peer.say(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.status)

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once what came is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._some.clear()
                await self._some.wait()

    def named(self, event: str) -> list[tuple[dict[str, str], Any]]:
        return [each for each in self.came if each[0]["tellwire-event"] == event]


def on_shelf(app: App, work: Callable[[SqlEndpointRepository], Any]) -> Any:
    def run(connection: Connection) -> Any:
        deed = AuditChange(DEFAULT_ORGANIZATION, "a test", app.clock.now(), app.store.new_id)
        return work(SqlEndpointRepository(connection, deed, app.store.vault))

    return app.store.write(run)


def subscribe(app: App, url: str, *events: str) -> Any:
    def work(shelf: SqlEndpointRepository) -> Endpoint:
        endpoint = Endpoint(
            id=shelf.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            url=url,
            format="row",
            events=events,
            secrets=(Secret("an invented secret of 32 characters"),),
        )
        shelf.add(endpoint)
        return endpoint

    return on_shelf(app, work)


def recover(app: App, endpoint: Endpoint) -> Any:
    def work(connection: Connection) -> None:
        now = app.clock.now()
        deed = AuditChange(DEFAULT_ORGANIZATION, "a test", now, app.store.new_id)
        job = Job(
            id=deed.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            endpoint_id=endpoint.id,
            wanted=Wanted(since=0, until=now, include="all"),
        )
        jobs.add(connection, deed, job)

    return app.store.write(work)


def test_an_endpoint_that_is_gone_is_told_of_resumed_tested_and_caught_up_with(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = Settings(
            database_url=f"sqlite:///{tmp_path}/x.db",
            auto_accounts=True,
            delivery_allow_cidrs=(allowed_network("127.0.0.1/32"),),
        )
        made: asyncio.Queue[Delivery] = asyncio.Queue()
        app = await App.open(settings, on_attempt=lambda _, delivery: made.put_nowait(delivery))
        watched, hears = Receiver(), Receiver()
        async with listening(watched) as first, listening(hears) as second:
            try:
                endpoint = await subscribe(app, first.url, "messages.insert", *NEWS)
                await subscribe(app, second.url, *NEWS)
                await app.start()
                watched.status = 410
                await app.ingest.receive(json.dumps(envelope(incoming("wamid.1"))).encode(), EVERYTHING)
                await hears.until(lambda: hears.named("endpoint.disabled"))
                headers, body = hears.came[0]
                assert (body["type"], body["data"]["reason"]) == ("endpoint.disabled", "it answered 410 Gone")
                assert headers["tellwire-sequence"] == "1"

                name, attempt = await app.endpoint_tester.send_test(endpoint, "")
                assert (name, attempt.response_status, attempt.cause) == (
                    "messages.insert",
                    410,
                    "your server answered 410",
                )
                assert watched.came[-1][0]["tellwire-test"] == "true"

                watched.status = 200
                await on_shelf(app, lambda shelf: lifecycle.resume(shelf, endpoint.id))
                await hears.until(lambda: hears.named("endpoint.recovered"))
                await watched.until(lambda: len(watched.came) == 3)
                assert watched.came[2][0]["webhook-id"] == watched.came[0][0]["webhook-id"]

                async with asyncio.timeout(PATIENCE):
                    while (last := await made.get()).endpoint_id != endpoint.id or last.state != "delivered":
                        pass  # what is not recorded yet is on its way, and left alone by a recovery
                await recover(app, endpoint)
                await watched.until(lambda: len(watched.came) == 4)
                headers, body = watched.came[3]
                assert (headers["tellwire-replay"], headers["tellwire-sequence"]) == ("1", "1")
                assert body == watched.came[0][1]
                assert [each["type"] for _, each in hears.came] == ["endpoint.disabled", "endpoint.recovered"]
            finally:
                await app.stop(grace_seconds=1)

    asyncio.run(scenario())
