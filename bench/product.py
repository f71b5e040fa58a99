"""Tellwire itself: how it is started here, its REST interface, and the filling of its database."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.environment import LAUNCHER, ROOT
from bench.errors import BenchError
from bench.options import Options
from bench.processes import Child, clean_environment, finish, running, tail
from bench.protocol import Aim, Fill, Filled, SinkWay

_READY_SECONDS = 60
_INSTALL_SECONDS = 900
_FILL_SECONDS = 3600
_READY = re.compile(rb'"event":"ready","url":"http://127\.0\.0\.1:(\d+)"')
WEBHOOK = "/meta/webhook"


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A running `tellwire serve`; `ready_seconds` from its start to its first 200 on `/readyz`."""

    port: int
    key: str
    app_secret: str
    child: Child
    ready_seconds: float

    def aim(
        self,
        signing_secret: str,
        *,
        accounts: int = 1,
        first_account: int = 0,
        first_message: int = 0,
        sink: SinkWay = "takes",
    ) -> Aim:
        """Where a driver sends, and what its subscriber does."""
        return Aim(
            port=self.port,
            path=WEBHOOK,
            app_secret=self.app_secret,
            signing_secret=signing_secret,
            accounts=accounts,
            first_account=first_account,
            first_message=first_message,
            sink=sink,
        )

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
        """The answer's body of one request. Raises BenchError unless it is a 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"{method} {path} broke: {error}\n{tail(self.child.log)}") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise BenchError(f"{method} {path} answered {answer.status}: {text[:500].decode(errors='replace')}")
        return text

    def get(self, path: str) -> Any:
        """What a GET of a JSON resource holds. Raises BenchError."""
        return json.loads(self.ask("GET", path))

    def create(self, path: str, body: Mapping[str, object]) -> Any:
        """What a POST made. Raises BenchError."""
        return json.loads(self.ask("POST", path, body))


def serve(stack: ExitStack, folder: Path, options: Options, *, database: str, gently: bool = True) -> Served:
    """Start `tellwire serve` on a database (a `TELLWIRE_DATABASE_URL`), stopped with `stack`.

    `gently` False kills it in the end: it would wait for subscribers that hang. Raises BenchError.
    """
    app_secret, key = secrets.token_hex(16), secrets.token_urlsafe(32)
    env = {
        "TELLWIRE_DATABASE_URL": database,
        "TELLWIRE_PORT": "0",
        "TELLWIRE_META_APP_SECRET": app_secret,
        "TELLWIRE_ADMIN_KEY": key,
        "TELLWIRE_AUTO_ACCOUNTS": "true",
        "TELLWIRE_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
    }
    command, sources = tellwire_command(options)
    begin = time.monotonic()
    stop = signal.SIGTERM if gently else signal.SIGKILL
    child = stack.enter_context(
        running(
            [*command, "serve", "--json"], name="tellwire", folder=folder, env=env | sources, stop=stop, patience=30
        )
    )
    child.wait_until(lambda: _status(_port(child.log), "/readyz") == 200, seconds=_READY_SECONDS)
    ready, port = round(time.monotonic() - begin, 3), _port(child.log)
    return Served(port=port, key=key, app_secret=app_secret, child=child, ready_seconds=ready)


def fill(folder: Path, options: Options, *, database: str, plan: Fill) -> Filled:
    """Make the database and fill it as planned, in the product's own Python; bounded. Raises BenchError."""
    python, sources = _product_python(options)
    result = folder / "filled.json"
    order = folder / "fill.json"
    order.write_bytes(msgspec.json.encode(plan))
    finish(
        [str(python), "-m", "bench.filler", database, str(order), str(result)],
        name="filler",
        folder=folder,
        env=sources,
        seconds=_FILL_SECONDS,
    )
    return msgspec.json.decode(result.read_bytes(), type=Filled)


def tellwire_command(options: Options) -> tuple[list[str], dict[str, str]]:
    """How Tellwire is started here: (command, environment).

    `--tellwire-python` runs the sources with that interpreter; else `./run`, which makes the product's own
    environment; without a `run`, the interpreter that started the benchmark runs the sources.
    """
    run = ROOT / "run"
    if options.tellwire_python is None and run.is_file():
        return [str(run)], {}
    python, sources = _product_python(options)
    return [str(python), "-m", "tellwire"], sources


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


def _product_python(options: Options) -> tuple[Path, dict[str, str]]:
    """An interpreter with the product's dependencies, and the environment in which it finds the sources."""
    own = ROOT / ".venv" / "bin" / "python"
    fallback = own if own.is_file() else Path(os.environ.get(LAUNCHER, sys.executable))
    sources = os.pathsep.join((str(ROOT / "src"), str(ROOT / "sdk" / "src"), str(ROOT)))
    return options.tellwire_python or fallback, {"PYTHONPATH": sources}


def _port(log: Path) -> int:
    """Where a server listens that chose its port itself; 0 while it does not say."""
    said = _READY.search(log.read_bytes())
    return int(said[1]) if said else 0


def _status(port: int, path: str) -> int:
    if not port:
        return 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
