"""Start the compared systems, each in an empty folder; the given stack stops them."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.options import Options
from bench.processes import answers, finish, free_port, running
from bench.product import Installation, serve, subscribe
from bench.protocol import Aim

WEB_WORKERS = 1
CELERY_WORKERS = 2
_READY_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A running system: what to load, and the processes whose trees are its cost."""

    aim: Aim
    pids: tuple[int, ...]


Start = Callable[[ExitStack, Path, str, Options], System]
"""A function (stack that stops it, empty folder, URL of the sink, options) that returns the system, ready for load."""


def user_built(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """Start FastAPI, PostgreSQL and Celery on Redis: see `bench/peers/user_built.py`."""
    del options
    database, broker = servers.postgres(stack, folder), servers.redis(stack, folder)
    ready, port = folder / "worker-ready", free_port()
    app_secret, signing_secret = _app_secret(), _signing_secret()
    env = {
        "BENCH_POSTGRES": database.url.replace("postgresql:", "postgresql+psycopg:"),
        "BENCH_REDIS": broker.url,
        "BENCH_SINK": sink,
        "BENCH_APP_SECRET": app_secret,
        "BENCH_SIGNING_SECRET": signing_secret,
        "BENCH_WORKER_READY": str(ready),
    }
    module = "bench.peers.user_built"
    finish([sys.executable, "-m", module], name="tables", folder=folder, env=env)
    celery = [sys.executable, "-m", "celery", "-A", f"{module}:queue", "worker", "--pool", "prefork"]
    celery += ["--concurrency", str(CELERY_WORKERS), "--loglevel", "WARNING"]
    celery += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = stack.enter_context(running(celery, name="celery", folder=folder, env=env))
    uvicorn = [sys.executable, "-m", "uvicorn", f"{module}:app", "--port", str(port), "--workers", str(WEB_WORKERS)]
    uvicorn += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    web = stack.enter_context(running(uvicorn, name="web", folder=folder, env=env))
    worker.wait_until(ready.exists, seconds=_READY_SECONDS)
    web.wait_until(lambda: answers(port), seconds=_READY_SECONDS)
    aim = Aim(ports=(port,), path="/webhook", app_secret=app_secret, signing_secret=signing_secret)
    return System(aim=aim, pids=(database.child.pid, broker.child.pid, worker.pid, web.pid))


def bare(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """Start one process with the least in it: see `bench/peers/bare.py`."""
    del options
    port, app_secret, signing_secret = free_port(), _app_secret(), _signing_secret()
    env = {
        "BENCH_PORT": str(port),
        "BENCH_SQLITE": str(folder / "bare.db"),
        "BENCH_SINK": sink,
        "BENCH_APP_SECRET": app_secret,
        "BENCH_SIGNING_SECRET": signing_secret,
    }
    child = stack.enter_context(
        running([sys.executable, "-m", "bench.peers.bare"], name="bare", folder=folder, env=env)
    )
    child.wait_until(lambda: answers(port), seconds=_READY_SECONDS)
    aim = Aim(ports=(port,), path="/webhook", app_secret=app_secret, signing_secret=signing_secret)
    return System(aim=aim, pids=(child.pid,))


def tellwire(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """Start `tellwire serve` on SQLite, with one endpoint in the `row` format that subscribes to `messages.insert`."""
    served = serve(stack, folder, options, Installation(database=f"sqlite:///{folder / 'bench.db'}"))
    return System(aim=served.aim(subscribe(served, sink)), pids=served.pids)


def tellwire_postgresql(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """Start the same on PostgreSQL, whose server has the settings of the user-built peer's and counts as its cost."""
    database = servers.postgres(stack, folder)
    served = serve(stack, folder, options, Installation(database=database.url, pids=(database.child.pid,)), "--migrate")
    return System(aim=served.aim(subscribe(served, sink)), pids=served.pids)


SYSTEMS: dict[str, Start] = {
    "user-built": user_built,
    "bare": bare,
    "tellwire": tellwire,
    "tellwire-postgresql": tellwire_postgresql,
}


def _app_secret() -> str:
    return secrets.token_hex(16)


def _signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
