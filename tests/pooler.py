"""A real pgbouncer in transaction mode for tests, where the machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.postgres_server import READY_SECONDS, free_port, in_a_thread, unprivileged

SERVER_SESSIONS = 3
"""So few that clients must share them."""


def pgbouncer() -> str:
    """The program; a test is skipped where there is none, but not in CI, which installs it."""
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        reason = "there is no pgbouncer to try: `apt-get install pgbouncer` (Debian), `brew install pgbouncer`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """The URL of the same database through a pooler of its own."""
    program, parts, port = pgbouncer(), urlsplit(url), free_port()
    password = f"password={parts.password}" if parts.password else ""
    folder = Path(mkdtemp(prefix="tellwire-pooler-"))
    folder.chmod(0o755)  # another user runs it
    settings = folder / "pgbouncer.ini"
    settings.write_text(f"""
[databases]
* = host={parts.hostname} port={parts.port or 5432} user={parts.username} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SERVER_SESSIONS}
max_client_conn = 200
""")
    with (folder / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(
            [program, str(settings)], cwd="/", stdout=log, stderr=log, start_new_session=True, **unprivileged()
        )
    pooler = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
    try:
        end = time.monotonic() + READY_SECONDS
        while not _answers(pooler):
            assert process.poll() is None, (folder / "pgbouncer.log").read_text()
            assert time.monotonic() < end, (folder / "pgbouncer.log").read_text()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        yield pooler
    finally:
        process.kill()
        process.wait(20)
        shutil.rmtree(folder)


def _answers(url: str) -> bool:
    async def ask() -> None:
        connection = await asyncpg.connect(url, statement_cache_size=0, timeout=5)
        await connection.close()

    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        in_a_thread(ask())
        return True
    return False
