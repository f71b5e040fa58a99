"""Tellwire as it is deployed, in processes that can be killed: what runs, who may die, what was recorded by then."""

from __future__ import annotations

import asyncio
import base64
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import asyncpg
from tests.acceptance.processes import Running, logged_url, request
from tests.postgres_server import Postgres, free_port, fresh_database
from tests.proofs.meta_load import APP_SECRET
from tests.proofs.news import PATIENCE, asked
from tests.proofs.subscriber import SECRET

from tellwire.model.routing import PARTITIONS

ADMIN = "an-invented-admin-key-for-the-proofs"
DATABASE = "database"
"""The name of the database server, where it is a process of its own."""
_UNRECORDED = (
    "SELECT CASE WHEN together <> '' THEN together ELSE webhook_id END FROM deliveries"
    " WHERE state NOT IN ('delivered', 'cancelled', 'failed')"
)


def draft(name: str, url: str, **settings: Any) -> dict[str, Any]:
    """An endpoint to create: it listens on the path of its name, whose first part is its format."""
    return {"url": f"{url}/{name}", "format": name.partition("-")[0], "secret": SECRET} | settings


class Deployment:
    """Processes by name.

    Args:
        folder: the working directory.
        parts: the arguments of `serve` by the process's name; the first one answers the REST API.
        within: a command that every process is run by (see `Running`).
        settings: of every process, without their prefix.
    """

    def __init__(
        self, folder: Path, parts: Mapping[str, Sequence[str]], *, within: Sequence[str] = (), **settings: str
    ) -> None:
        self.folder = folder
        self.parts = parts
        self.processes: dict[str, Running] = {}
        self._ports = {name: free_port() for name in parts}
        self._within = within
        self._settings = {
            "ADMIN_KEY": ADMIN,
            "META_APP_SECRET": APP_SECRET,
            "AUTO_ACCOUNTS": "true",
            "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        } | settings

    # --- life ---------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Start everything."""
        await asyncio.gather(*map(self.start, self.parts))

    async def end(self) -> None:
        """Kill whatever still runs."""
        await asyncio.gather(*map(self.kill, list(self.processes)))

    async def __aenter__(self) -> Self:
        try:
            await self.begin()
        except BaseException:
            await self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def start(self, name: str) -> None:
        """Start a part on the port that is its own; return once it is ready."""
        settings = self._settings | {"PORT": str(self._ports[name])}
        process = Running("serve", *self.parts[name], cwd=self.folder, within=self._within, **settings)
        self.processes[name] = process
        await asyncio.to_thread(process.wait_for, logged_url, stream="err")

    async def kill(self, name: str) -> None:
        """SIGKILL a part; return once it is dead."""
        await asyncio.to_thread(self.processes.pop(name).stop, signal.SIGKILL)

    async def stop(self, name: str) -> int:
        """SIGTERM a part; return its exit code."""
        return await asyncio.to_thread(self.processes.pop(name).stop, signal.SIGTERM)

    def signal(self, name: str, number: int) -> None:
        """Send a part a signal that does not end it."""
        self.processes[name].process.send_signal(number)

    # --- use ----------------------------------------------------------------------------------------------------------

    def url(self, name: str = "") -> str:
        """Of a part, by default the first."""
        return f"http://127.0.0.1:{self._ports[name or next(iter(self.parts))]}"

    @property
    def ingests(self) -> list[str]:
        """The URLs that Meta may POST to."""
        return [self.url(name) for name, arguments in self.parts.items() if "deliver" not in arguments]

    async def call(self, method: str, path: str, body: Any = None, *, part: str = "") -> tuple[int, Any]:
        """A request to the REST API."""
        return await asyncio.to_thread(request, f"{self.url(part)}{path}", key=ADMIN, method=method, body=body)

    async def subscribe(self, url: str, *names: str, **settings: Any) -> dict[str, str]:
        """Create an endpoint for each name; return their ids by name."""
        ids: dict[str, str] = {}
        for name in names:
            status, answer = await self.call("POST", "/v1/webhook-endpoints", draft(name, url, **settings))
            assert status == 201, answer
            ids[name] = answer["id"]
        return ids

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        raise AssertionError("no database is known here")

    async def unrecorded(self) -> set[str]:
        """The webhook-ids under which deliveries are still to be made, by the database itself."""
        return {row[0] for row in await self.query(_UNRECORDED)}


class OnSqlite(Deployment):
    """One process on one file."""

    def __init__(self, folder: Path, *, within: Sequence[str] = (), **settings: str) -> None:
        super().__init__(folder, {"all": ()}, within=within, **settings)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.processes["all"].process.pid

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""

        def read() -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(self.folder / "tellwire.db")) as db:
                return [tuple(row) for row in db.execute(sql)]

        return await asyncio.to_thread(read)


class OnPostgres(Deployment):
    """Many processes on one database; the server is one more, which has no port of ours.

    Args:
        server: one of the test's own, that may be killed too; None: the one that all tests share.
        settings: of every process, without their prefix.
    """

    def __init__(
        self, folder: Path, parts: Mapping[str, Sequence[str]], *, server: Postgres | None = None, **settings: str
    ) -> None:
        self.server = server
        self.database = fresh_database(server=server.url if server is not None else "")
        key = base64.b64encode(bytes(32)).decode()
        super().__init__(folder, parts, DATABASE_URL=self.database, MASTER_KEY=key, **settings)

    async def start(self, name: str) -> None:
        """See `Deployment.start`."""
        if name == DATABASE and self.server is not None:
            await asyncio.to_thread(self.server.start)
        else:
            await super().start(name)

    async def kill(self, name: str) -> None:
        """See `Deployment.kill`."""
        if name == DATABASE and self.server is not None:
            await asyncio.to_thread(self.server.kill)
        else:
            await super().kill(name)

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        connection = await asyncpg.connect(self.database)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def owners(self) -> dict[str, int]:
        """How many partitions each owner has."""
        return dict(await self.query("SELECT owner, count(*) FROM leases WHERE owner <> '' GROUP BY owner"))

    async def shared_by(self, processes: int, *, seconds: float = PATIENCE) -> dict[str, int]:
        """Return once all partitions are shared fairly by so many."""
        fair = [PARTITIONS // processes] * processes
        what = f"fair shares of {processes}"
        return await asked(self.owners, lambda owners: list(owners.values()) == fair, what=what, seconds=seconds)
