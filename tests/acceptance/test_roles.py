"""Processes that do a part: what each role answers, delivers and leaves to others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.served import served
from tests.world import DAY, World, incoming

from tellwire.app import App, Role
from tellwire.model.inbound import EVERYTHING
from tellwire.ports.http_out import Answer, Request
from tellwire.settings import Settings
from tellwire.stores.opening import OpenedStore


class Taking:
    """A sender to receivers that take everything."""

    def __init__(self) -> None:
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        return Answer(status=200)

    async def close(self) -> None:
        pass


def app_of(world: World, sender: Taking, role: Role) -> App:
    """A process over a world's store, which another may serve too."""
    opened = OpenedStore(world.store, world.outbox)
    return App(Settings(), opened, sender, clock=world.clock, role=role)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what the conditions look at is a database
            await asyncio.sleep(0.01)


def test_one_that_only_delivers_answers_how_it_goes_and_nothing_else(tmp_path: Path) -> None:
    with served(tmp_path, probes_only=True) as app:
        for path in ("/livez", "/readyz"):
            assert app.get(path) == {"status": "ok"}
        assert app.call("GET", "/metrics").status == 200
        for path in ("/", "/version", "/openapi.json", "/v1/accounts", "/meta/webhook"):
            app.call("GET", path).problem(404)
        app.call("POST", "/meta/webhook", {}).problem(404)


async def test_one_that_only_ingests_delivers_nothing_and_owns_nothing(world: World) -> None:
    sender = Taking()
    await world.endpoint()
    ingesting = app_of(world, sender, "ingest")
    await ingesting.start()
    await ingesting.ingest.receive(b"{}", EVERYTHING)
    await world.post(incoming("wamid.1"))
    world.clock.move(2 * DAY)
    refreshed = world.store.counters.commits
    await until(lambda: _commits(world, refreshed + 2))
    assert sender.sent == []
    assert await world.query("SELECT DISTINCT owner FROM leases") == []
    assert await world.query("SELECT status FROM conversations") == [("open",)]
    delivering = app_of(world, sender, "deliver")
    await delivering.start()
    await until(lambda: _all(world, "deliveries", "state", "delivered"))
    await until(lambda: _all(world, "conversations", "status", "closed"))
    assert len(sender.sent) >= 2
    for app in (delivering, ingesting):
        await app.dispatcher.stop(1)
        for loop in app.loops:
            await loop.stop()


async def _commits(world: World, number: int) -> bool:
    return world.store.counters.commits >= number


async def _all(world: World, table: str, column: str, state: str) -> bool:
    return await world.query(f"SELECT DISTINCT {column} FROM {table}") == [(state,)]


@pytest.mark.parametrize("role", ["ingest", "deliver"])
def test_on_sqlite_one_process_does_everything(tmp_path: Path, role: Role) -> None:
    with pytest.raises(Exception, match="needs PostgreSQL") as refused:
        asyncio.run(App.open(Settings(database_url=f"sqlite:///{tmp_path}/x.db"), role=role))
    assert type(refused.value).__name__ == "BadSettings"
    assert list(tmp_path.iterdir()) == []
