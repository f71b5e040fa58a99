"""The sources' POSTs that wait: one organization's keep no other's out, and 200 is given only once it is durable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.served import SETTINGS, Outside, services_of
from tests.world import DAY, START, SetClock, World

from tellwire.errors import Unavailable
from tellwire.model.inbound import Inbound, Outcome
from tellwire.model.sources import Source
from tellwire.stores.queries import organizations, sources
from tellwire.stores.queries.audit import AuditChange
from tellwire.web.post_intake import BodyLimits
from tellwire.web.sources import SourceRoute

SECRET = "an invented secret"


class Stalling:
    """An ingest that waits until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def receive_from(self, source: Source, body: bytes) -> Inbound:
        self.waiting.release()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return Inbound(id="", received_at=0, body=body, outcome=Outcome.RECORDED, source_id=source.id)


class Post:
    """A POST of a source, whose body is there at once."""

    def __init__(self, route: SourceRoute, source: Source) -> None:
        self.sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/sources/{source.id}",
            "query_string": b"",
            "headers": [(b"authorization", SECRET.encode())],
        }
        self.task = asyncio.ensure_future(route(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    async def status(self) -> int:
        await asyncio.wait_for(self.task, 20)
        return int(self.sent[0]["status"])

    @property
    def detail(self) -> str:
        return str(json.loads(self.sent[1]["body"])["detail"])


Scenario = Callable[[SourceRoute, Stalling, list[Source]], Awaitable[None]]


def over(tmp_path: Path, limits: BodyLimits, scenario: Scenario) -> None:
    """Run a scenario over a route whose ingest stalls, with a source of each of two organizations."""

    async def run() -> None:
        world = World(tmp_path / "world.db", SetClock(), DAY, auto_accounts=True)
        await world.store.open()
        try:
            ingest = Stalling()
            services = replace(services_of(world, Outside(), SETTINGS), ingest=ingest)
            made = [await _source(world, name) for name in ("one", "two")]
            await scenario(SourceRoute(services, limits), ingest, made)
        finally:
            await world.store.close()

    asyncio.run(run())


async def _source(world: World, name: str) -> Source:
    def work(connection: Any) -> Source:
        change = AuditChange("", "a test", START, world.store.new_id)
        organization = organizations.add(connection, change, name)
        source = Source(
            id=world.store.new_id(),
            organization_id=organization.id,
            name=name,
            kind="360dialog",
            authentication="header",
            header="Authorization",
            secret=SECRET,
        )
        return sources.add(connection, replace(change, organization_id=organization.id), world.store.vault, source)

    return await world.store.write(work)


def test_one_that_posts_without_end_keeps_no_other_out(tmp_path: Path) -> None:
    async def scenario(route: SourceRoute, ingest: Stalling, made: list[Source]) -> None:
        first = Post(route, made[0])
        await ingest.waiting.acquire()
        refused = Post(route, made[0])
        assert await refused.status() == 503
        assert refused.detail == "Too many POSTs of the organization's sources are waiting."
        other = Post(route, made[1])
        await ingest.waiting.acquire()
        ingest.go.set()
        assert [await first.status(), await other.status()] == [200, 200]
        assert await Post(route, made[0]).status() == 200

    over(tmp_path, BodyLimits(waiting=2), scenario)


def test_what_cannot_be_made_durable_is_503(tmp_path: Path) -> None:
    async def scenario(route: SourceRoute, ingest: Stalling, made: list[Source]) -> None:
        ingest.error = Unavailable("the disk is full")
        ingest.go.set()
        refused = Post(route, made[0])
        assert await refused.status() == 503
        assert "nothing was applied" in refused.detail

    over(tmp_path, BodyLimits(), scenario)


def test_what_takes_too_long_is_503(tmp_path: Path) -> None:
    async def scenario(route: SourceRoute, _: Stalling, made: list[Source]) -> None:
        refused = Post(route, made[0])
        assert await refused.status() == 503
        assert "not durable within" in refused.detail

    over(tmp_path, BodyLimits(commit_seconds=0.05), scenario)
