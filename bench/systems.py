"""The systems compared, each started afresh in an empty folder and stopped with the stack that it was given."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import servers
from bench.environment import LAUNCHER, ROOT
from bench.errors import BenchError
from bench.options import Options
from bench.processes import answers, clean_environment, finish, free_port, running
from bench.protocol import Aim

WEB_WORKERS = 1
CELERY_WORKERS = 2
_READY_SECONDS = 60
_INSTALL_SECONDS = 900


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A running system: where to aim, and the processes whose trees are its cost."""

    aim: Aim
    pids: tuple[int, ...]


Start = Callable[[ExitStack, Path, str, Options], System]
"""(stack that stops it, empty folder, URL of the sink, options) → the system, ready for load."""


def user_built(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """FastAPI, PostgreSQL, Celery on Redis: see `bench/peers/user_built.py`."""
    del options
    database, broker = servers.postgres(stack, folder), servers.redis(stack, folder)
    ready, port = folder / "worker-ready", free_port()
    app_secret, signing_secret = _app_secret(), _signing_secret()
    env = {
        "BENCH_POSTGRES": database.url,
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
    aim = Aim(port=port, path="/webhook", app_secret=app_secret, signing_secret=signing_secret)
    return System(aim=aim, pids=(database.child.pid, broker.child.pid, worker.pid, web.pid))


def bare(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """One process with the least in it: see `bench/peers/bare.py`."""
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
    aim = Aim(port=port, path="/webhook", app_secret=app_secret, signing_secret=signing_secret)
    return System(aim=aim, pids=(child.pid,))


def tellwire(stack: ExitStack, folder: Path, sink: str, options: Options) -> System:
    """`tellwire serve` on SQLite, one endpoint in the `row` format subscribed to `messages.insert`."""
    port, app_secret, key = free_port(), _app_secret(), secrets.token_urlsafe(32)
    env = {
        "TELLWIRE_DATABASE_URL": f"sqlite:///{folder / 'bench.db'}",
        "TELLWIRE_PORT": str(port),
        "TELLWIRE_META_APP_SECRET": app_secret,
        "TELLWIRE_ADMIN_KEY": key,
        "TELLWIRE_AUTO_ACCOUNTS": "true",
        "TELLWIRE_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
    }
    command, more = tellwire_command(options)
    child = stack.enter_context(running([*command, "serve"], name="tellwire", folder=folder, env=env | more))
    child.wait_until(lambda: _status(port, "/readyz") == 200, seconds=_READY_SECONDS)
    endpoint = {"url": sink, "format": "row", "events": ["messages.insert"]}
    signing_secret = _create_endpoint(port, key, endpoint)
    aim = Aim(port=port, path="/meta/webhook", app_secret=app_secret, signing_secret=signing_secret)
    return System(aim=aim, pids=(child.pid,))


SYSTEMS: dict[str, Start] = {"user-built": user_built, "bare": bare, "tellwire": tellwire}


def tellwire_command(options: Options) -> tuple[list[str], dict[str, str]]:
    """How Tellwire is started here: (command, environment).

    `--tellwire-python` runs the sources with that interpreter; else `./run`, which makes the product's own
    environment; without a `run`, the interpreter that started the benchmark runs the sources.
    """
    run = ROOT / "run"
    if options.tellwire_python is None and run.is_file():
        return [str(run)], {}
    python = options.tellwire_python or Path(os.environ.get(LAUNCHER, sys.executable))
    sources = os.pathsep.join((str(ROOT / "src"), str(ROOT / "sdk" / "src")))
    return [str(python), "-m", "tellwire"], {"PYTHONPATH": sources}


def prepare_tellwire(options: Options) -> None:
    """Let `./run` make its environment before anything is timed. Raises BenchError when Tellwire does not start."""
    command, more = tellwire_command(options)
    try:
        done = subprocess.run(
            [*command, "--help"],
            cwd=ROOT,
            env=clean_environment(more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"Tellwire does not start: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        raise BenchError(f"Tellwire does not start (name a working one with --tellwire-python):\n{said}")


def _create_endpoint(port: int, key: str, endpoint: Mapping[str, object]) -> str:
    """Create the webhook endpoint; its signing secret. Raises BenchError with what the API answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/webhook-endpoints", json.dumps(endpoint), headers)
        answer = connection.getresponse()
        text = answer.read()
    except OSError as error:
        raise BenchError(f"POST /v1/webhook-endpoints broke: {error}") from error
    finally:
        connection.close()
    if answer.status != 201:
        raise BenchError(f"POST /v1/webhook-endpoints answered {answer.status}: {text[:500].decode(errors='replace')}")
    return str(json.loads(text)["secret"])


def _status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _app_secret() -> str:
    return secrets.token_hex(16)


def _signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
