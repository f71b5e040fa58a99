"""A store that cannot write: nothing is answered 200 that is not durable, what was accepted is delivered, once, and all
goes on by itself when the store can write again."""

from __future__ import annotations

import asyncio
import errno
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from io import FileIO
from pathlib import Path

import pytest
from tests.contract.listening import sending
from tests.proofs.deployments import Deployment, OnSqlite
from tests.proofs.meta_load import Load, loading
from tests.proofs.news import asked
from tests.proofs.reconciler import reconcile
from tests.proofs.subscriber import Subscriber, subscribing

ENDPOINTS = ("row", "chat")
SEED = 7
_SOME = 40
_READY_SECONDS = 15
_MEGABYTE = bytes(1 << 20)
_PRIVATE_DISK = 'mount -t tmpfs -o size=24m tmpfs . && cd "$PWD" && exec "$@"'

Fault = Callable[[OnSqlite], AbstractContextManager[None]]


@contextmanager
def file_size_limit(deployment: OnSqlite) -> Iterator[None]:
    """No file may grow, or be written beyond its first kilobyte: what a quota does."""
    limits = resource.prlimit(deployment.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(deployment.pid, resource.RLIMIT_FSIZE, (1024, limits[1]))
    yield
    resource.prlimit(deployment.pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def full_disk(deployment: OnSqlite) -> Iterator[None]:
    """A file takes all the space that the process's own file system has left."""
    ballast = Path(f"/proc/{deployment.pid}/root{deployment.folder}/ballast")
    with ballast.open("wb", buffering=0) as file:
        assert sum(iter(lambda: taken(file), 0)) > 0
    yield
    ballast.unlink()


def taken(file: FileIO) -> int:
    """Write a megabyte, or as much of it as there is space for."""
    try:
        return file.write(_MEGABYTE)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0


@contextmanager
def read_only_files(deployment: OnSqlite) -> Iterator[None]:
    """The kernel refuses every write to the database, also through files that are open already."""
    files = [str(deployment.folder / f"tellwire.db{end}") for end in ("", "-wal")]
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


def succeeds(*command: str, cwd: Path) -> bool:
    """Whether this machine lets us."""
    try:
        return subprocess.run(command, cwd=cwd, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


async def endure(deployment: Deployment, fault: AbstractContextManager[None]) -> None:
    """Go through a fault of the store under load."""
    subscriber = Subscriber()
    async with subscribing(subscriber):
        await deployment.subscribe(subscriber.url, *ENDPOINTS)
        load = Load(deployment.url(), seed=SEED)
        async with loading(load):
            await subscriber.more(100)
            with fault:
                await load.more(503, _SOME)
                assert (await deployment.call("GET", "/readyz"))[0] == 503
                assert (await deployment.call("GET", "/livez"))[0] == 200
            await load.more(200, _SOME)
            await becomes_ready(deployment)
        owed = load.owed(ENDPOINTS)
        expected = sum(map(len, owed.values()))
        await subscriber.until(lambda: len(subscriber.arrivals) >= expected, what="every delivery")
        assert await deployment.stop("all") == 0
        verdict = reconcile(owed, subscriber.arrivals)
    assert verdict.faults == [], "and nothing is delivered twice: results wait in memory"
    assert load.answers.keys() == {200, 503}


async def becomes_ready(deployment: Deployment) -> None:
    """It says so by itself, within the longest pause between two tries to write."""
    ready = partial(deployment.call, "GET", "/readyz")
    await asked(ready, lambda answer: answer[0] == 200, what="readiness", seconds=_READY_SECONDS)


def prove(deployment: OnSqlite, fault: Fault) -> None:
    async def run() -> None:
        async with deployment:
            await endure(deployment, fault(deployment))

    asyncio.run(run())


def test_a_quota_that_is_used_up(tmp_path: Path) -> None:
    prove(OnSqlite(tmp_path), file_size_limit)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    private = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _PRIVATE_DISK, "sh")
    if not succeeds(*private, "true", cwd=tmp_path):
        pytest.skip("a file system of our own needs user namespaces; the quota's test does the same to the database")
    prove(OnSqlite(tmp_path, within=private), full_disk)


def test_files_that_are_read_only(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.touch()
    if not succeeds("chattr", "+i", "probe", cwd=tmp_path):
        pytest.skip("to make files immutable needs root and a file system that can")
    subprocess.run(["chattr", "-i", "probe"], cwd=tmp_path, check=True)
    prove(OnSqlite(tmp_path), read_only_files)


def test_a_quiet_server_is_unready_for_as_long_as_it_cannot_commit(tmp_path: Path) -> None:
    """Nobody sends POSTs to a server that is not ready, so it must find out by itself that it can commit again."""

    async def prove() -> None:
        async with OnSqlite(tmp_path) as deployment, sending() as sender:
            load = Load(deployment.url(), seed=SEED)
            with file_size_limit(deployment):
                assert await load.write(sender, 0) == []
                assert load.answers == {503: 1}
                await asyncio.to_thread(
                    deployment.processes["all"].wait_for,
                    lambda lines: sum('"store_unavailable"' in line for line in lines) > 1 or None,
                    stream="err",
                )
                status, problem = await deployment.call("GET", "/readyz")
                assert status == 503
                assert problem["detail"].startswith("The last commit failed: ")
            await becomes_ready(deployment)
            assert await load.write(sender, 0)

    asyncio.run(prove())
