"""A world whose files come from a simulated Meta on loopback: what customers send is posted, fetched and looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import text
from tests.simulator.running import CUSTOMER, NUMBER, Meta, meta
from tests.world import DAY, KIND, START, SetClock, World

from tellwire.conversations.changes import Options
from tellwire.http_client.graph import open_graph
from tellwire.http_client.media import HttpMediaWire
from tellwire.inbox.ingest import Ingest
from tellwire.media.downloads import DownloadSource, DownloadWorker
from tellwire.model.messaging import Media
from tellwire.simulator import TOKEN
from tellwire.stores.files.folder import Folder
from tellwire.stores.queries import media as media_queries
from tellwire.stores.records import ledger_rows
from tellwire.stores.work_queues.media import SqlMediaFiles

BASE = "https://hooks.example.org"
MOST = 100 * 1024 * 1024


def downloads_of(world: World, files: Folder, source: DownloadSource) -> DownloadWorker:
    """What fetches a world's files, in a process that owns everything."""
    counters = world.store.counters
    rows = SqlMediaFiles(world.store)
    return DownloadWorker(world.store, rows, files, world.clock, source, owns=lambda: True, counters=counters)


class MediaWorld:
    """A world in which files are downloaded from a Meta on loopback."""

    def __init__(self, world: World, there: Meta, files: Folder, graph_url: str, most_bytes: int) -> None:
        self.world = world
        self.clock = world.clock
        self.meta = there
        self.files = files
        self.graph = open_graph(graph_url)
        self.wire = HttpMediaWire(graph_url)
        world.ingest = Ingest(world.store, Options(auto_accounts=True, window=DAY, public_url=BASE))
        source = DownloadSource(graph=self.graph, wire=self.wire, graph_url=graph_url, most_bytes=most_bytes)
        self.download_worker = downloads_of(world, files, source)

    async def close(self) -> None:
        await self.graph.close()
        await self.wire.close()

    async def receives(self, kind: str = "image", **given: Any) -> Media:
        """A customer sends a file, Meta posts it, and its row is there."""
        before = len(self.meta.callback.bodies)
        status, _ = await self.meta.control("customer", wa_id=CUSTOMER, name="Ana", type=kind, **given)
        assert status == 200
        await self.meta.callback.until(lambda: len(self.meta.callback.bodies) > before)
        await self.world.post_body(self.meta.callback.bodies[-1])
        return (await self.media())[-1]

    async def media(self) -> list[Media]:
        """Every row, oldest first."""
        ids = [row[0] for row in await self.world.query("SELECT id FROM media ORDER BY id")]
        found = await self.world.store.read(lambda c: [media_queries.find(c, each) for each in ids])
        return [each for each in found if each is not None]

    async def fetched(self) -> Media:
        """Fetch what is due, and return the newest file."""
        await self.download_worker.round()
        await self.download_worker.settled()
        return (await self.media())[-1]

    async def content(self, media: Media) -> bytes | None:
        chunks = await self.files.read(media.id)
        return None if chunks is None else b"".join([chunk async for chunk in chunks])

    async def set_token(self, token: str) -> None:
        """Give the account another access token."""
        account = self.world.store.registry().accounts[NUMBER]
        columns = ledger_rows.account_values(replace(account, access_token=token), self.world.store.vault)

        def work(connection: Any) -> None:
            change = text("UPDATE accounts SET access_token = :token WHERE phone_number_id = :number")
            connection.execute(change, {"token": columns["access_token"], "number": NUMBER})
            connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))

        await self.world.store.write(work)
        assert self.world.store.registry().accounts[NUMBER].access_token == token

    async def told(self, name: str) -> list[dict[str, Any]]:
        """What operational events of a name say."""
        return [json.loads(bytes(e.snapshot.row)) for e in await self.world.events() if e.name == name]


def visit(
    tmp_path: Path,
    scenario: Callable[[MediaWorld], Awaitable[None]],
    *,
    graph_url: str = "",
    most_bytes: int = MOST,
    **knobs: Any,
) -> None:
    """Run a scenario with an account that has a token."""

    async def run() -> None:
        clock = SetClock(START)
        async with meta(clock=clock, **knobs) as there:
            world = World(tmp_path / "world.db", clock, DAY, auto_accounts=True, kind=KIND.get())
            await world.store.open()
            files = Folder(tmp_path / "media")
            media_world = MediaWorld(world, there, files, graph_url or f"{there.simulator.url}/v24.0", most_bytes)
            try:
                await there.control("customer", wa_id=CUSTOMER, name="Ana", text="Hi")
                await there.callback.until(lambda: there.callback.bodies)
                await world.post_body(there.callback.bodies[-1])
                await media_world.set_token(TOKEN)
                await scenario(media_world)
            finally:
                await media_world.close()
                await world.close()

    asyncio.run(run())
