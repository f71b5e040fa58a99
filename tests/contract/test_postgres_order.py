"""PostgreSQL: deliveries of one process never go before those that another committed earlier, with or without hints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.world import DAY, NAMES, START, SetClock, World, incoming

from tellwire.clock import SystemClock
from tellwire.conversations.changes import Options
from tellwire.delivery.attempt import Wire
from tellwire.delivery.dispatcher import Dispatcher
from tellwire.formats import FORMATS
from tellwire.inbox.ingest import Ingest
from tellwire.model.inbound import SpeaksFor
from tellwire.ports.http_out import Answer, Request
from tellwire.security.vault import Vault
from tellwire.stores.postgres.connections import PostgresServer
from tellwire.stores.postgres.outbox import PostgresOutbox
from tellwire.stores.postgres.store import PostgresStore


class Mute:
    """A process that ingests and sends no hints."""

    def __init__(self, world: World) -> None:
        assert world._fresh
        vault = Vault([bytes(32)])
        self.store = PostgresStore(
            PostgresServer(world._fresh), clock=world.clock, vault=vault, window=DAY, names=NAMES
        )
        self.ingest = Ingest(self.store, Options(auto_accounts=True, window=DAY))

    async def post(self, wamid: str) -> None:
        await World.post(self, incoming(wamid))  # type: ignore[arg-type]

    async def post_body(self, body: object, speaks_for: SpeaksFor) -> object:
        return await World.post_body(self, body, speaks_for)  # type: ignore[arg-type]


class Taking:
    """A receiver that records the sequence numbers of deliveries."""

    def __init__(self) -> None:
        self.sequences: list[int] = []

    async def send(self, request: Request) -> Answer:
        await asyncio.sleep(0.001)
        self.sequences.append(int(dict(request.headers)["tellwire-sequence"]))
        return Answer(status=200)

    async def close(self) -> None:
        pass


def two(scenario: Callable[[World, Mute], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(Path(), SetClock(START), DAY, auto_accounts=True, kind="postgres")
        await world.store.open()
        other = Mute(world)
        try:
            await other.store.open(serving=False)
            try:
                await scenario(world, other)
            finally:
                await other.store.close()
        finally:
            await world.close()

    asyncio.run(main())


def test_a_commit_after_anothers_names_the_endpoints_first():
    async def scenario(world: World, other: Mute) -> None:
        endpoint, second = await world.endpoint(), await world.endpoint(events=("conversations.insert",))
        told: list[object] = []
        world.outbox.subscribe(
            committed=lambda works: told.append({w.delivery.endpoint_id for w in works}),
            changed=lambda _: None,
            elsewhere=lambda ids: told.append(sorted(ids)),
            released=lambda: None,
        )
        every = sorted((endpoint.id, second.id))
        await world.post(incoming("wamid.0"))
        await world.post(incoming("wamid.1"))
        assert told == [{endpoint.id, second.id}, {endpoint.id}]
        told.clear()
        await other.post("wamid.2")
        await world.post(incoming("wamid.3"))
        await world.post(incoming("wamid.4"))
        assert told == [every, {endpoint.id}, {endpoint.id}]
        told.clear()
        await other.post("wamid.5")
        await world.set_account(name="changed")
        await world.post(incoming("wamid.5"))
        assert told == [every]

    two(scenario)


def test_what_two_processes_ingest_of_one_contact_comes_in_order():
    async def scenario(world: World, other: Mute) -> None:
        assert isinstance(world.store, PostgresStore)
        await world.endpoint()
        taking = Taking()
        clock = SystemClock()
        dispatcher = Dispatcher(
            PostgresOutbox(world.store, clock=clock),
            taking,
            clock,
            wire=Wire(
                formats=FORMATS,
                sign=lambda body, *, webhook_id, timestamp, secrets: "",
                hub_signature=lambda body, secret: "",
            ),
            random=lambda: 0.0,
        )
        await dispatcher.start("one")
        await world.post(incoming("wamid.first"))
        for turn in range(30):
            await asyncio.gather(world.post(incoming(f"wamid.a{turn}")), other.post(f"wamid.b{turn}"))
        async with asyncio.timeout(20):
            while len(taking.sequences) < 62:  # noqa: ASYNC110 - what it waits for comes over the dispatcher
                await asyncio.sleep(0.01)
        await dispatcher.stop(5)
        assert taking.sequences == sorted(taking.sequences)

    two(scenario)
