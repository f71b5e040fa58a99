"""Tellwire as it is deployed, in processes that can be killed: what runs, who may die, what was recorded by then."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from tests.acceptance.processes import Running, logged_url, request
from tests.proofs.meta_load import APP_SECRET
from tests.proofs.subscriber import SECRET

ADMIN = "an-admin-key-for-the-proofs"
_UNRECORDED = "SELECT webhook_id FROM deliveries WHERE state NOT IN ('delivered', 'cancelled', 'failed')"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now, so that a restarted server has the same URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def draft(name: str, url: str, **settings: Any) -> dict[str, Any]:
    """An endpoint to create: it listens on the path of its name, whose first part is its format."""
    return {"url": f"{url}/{name}", "format": name.partition("-")[0], "secret": SECRET} | settings


class Deployment:
    """Processes by name, each started with its own arguments and the settings of all.

    Args:
        folder: the working directory.
        within: a command that every process is run by (see `Running`).
        settings: of every process, without their prefix.
    """

    def __init__(self, folder: Path, *, within: Sequence[str] = (), **settings: str) -> None:
        self.url = ""
        self.processes: dict[str, Running] = {}
        self.folder = folder
        self._within = within
        self._ports: dict[str, int] = {}
        self._settings = {
            "ADMIN_KEY": ADMIN,
            "META_APP_SECRET": APP_SECRET,
            "AUTO_ACCOUNTS": "true",
            "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        } | settings

    async def start(self, name: str, *arguments: str) -> str:
        """Start `serve` under a name, on the port that it had before; return its URL once it is ready."""
        port = self._ports.setdefault(name, free_port())
        settings = self._settings | {"PORT": str(port)}
        process = Running("serve", *arguments, cwd=self.folder, within=self._within, **settings)
        self.processes[name] = process
        return await asyncio.to_thread(process.wait_for, logged_url, stream="err")

    async def kill(self, name: str) -> None:
        """SIGKILL a process and wait until it is dead."""
        await asyncio.to_thread(self.processes.pop(name).stop, signal.SIGKILL)

    async def stop(self, name: str) -> int:
        """SIGTERM a process; return its exit code."""
        return await asyncio.to_thread(self.processes.pop(name).stop, signal.SIGTERM)

    async def begin(self) -> None:
        """Start everything."""
        raise AssertionError("nothing is deployed here")

    async def __aenter__(self) -> Self:
        try:
            await self.begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill whatever still runs."""
        for name in list(self.processes):
            await self.kill(name)

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request to the REST API."""
        return await asyncio.to_thread(request, f"{self.url}{path}", key=ADMIN, method=method, body=body)

    async def subscribe(self, url: str, *names: str, **settings: Any) -> dict[str, str]:
        """Create an endpoint for each name; return their ids by name."""
        ids: dict[str, str] = {}
        for name in names:
            status, answer = await self.call("POST", "/v1/webhook-endpoints", draft(name, url, **settings))
            assert status == 201, answer
            ids[name] = answer["id"]
        return ids

    async def unrecorded(self) -> set[str]:
        """The webhook-ids whose deliveries are still to be made, by the database itself."""
        raise AssertionError("no database is known here")


class OnSqlite(Deployment):
    """One process on one file."""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.processes["all"].process.pid

    async def begin(self) -> None:
        """See `Deployment.begin`."""
        self.url = await self.start("all")

    async def unrecorded(self) -> set[str]:
        """See `Deployment.unrecorded`."""

        def read() -> set[str]:
            with closing(sqlite3.connect(self.folder / "tellwire.db")) as db:
                return {row[0] for row in db.execute(_UNRECORDED)}

        return await asyncio.to_thread(read)
