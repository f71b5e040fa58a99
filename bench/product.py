"""Run Tellwire itself: start it, call its REST API, and fill its database."""

from __future__ import annotations

import base64
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
MASTER_KEY = "TELLWIRE_MASTER_KEY"
WEBHOOK = "/meta/webhook"


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """What all processes of an installation share: the database (a `TELLWIRE_DATABASE_URL`) and the secrets.

    `pids`: the processes of the database's server, if it has one.
    """

    database: str
    pids: tuple[int, ...] = ()
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    app_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    master_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())

    @property
    def environment(self) -> dict[str, str]:
        """Return the installation as settings; on SQLite the file's own master key is used."""
        sealing = {} if self.database.startswith("sqlite:") else {MASTER_KEY: self.master_key}
        return sealing | {
            "TELLWIRE_DATABASE_URL": self.database,
            "TELLWIRE_PORT": "0",
            "TELLWIRE_META_APP_SECRET": self.app_secret,
            "TELLWIRE_ADMIN_KEY": self.key,
            "TELLWIRE_AUTO_ACCOUNTS": "true",
            "TELLWIRE_DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A running `tellwire serve`; `ready_seconds`: the time from its start to its first 200 on `/readyz`."""

    installation: Installation
    port: int
    child: Child
    ready_seconds: float

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the processes whose trees are its cost, the database's server included."""
        return (*self.installation.pids, self.child.pid)

    def aim(
        self,
        signing_secret: str,
        *,
        accounts: int = 1,
        first_account: int = 0,
        first_message: int = 0,
        sink: SinkWay = "takes",
        others: tuple[Served, ...] = (),
    ) -> Aim:
        """Return what a driver loads (its connections take turns with `others`), and what its subscriber does."""
        return Aim(
            ports=(self.port, *(other.port for other in others)),
            path=WEBHOOK,
            app_secret=self.installation.app_secret,
            signing_secret=signing_secret,
            accounts=accounts,
            first_account=first_account,
            first_message=first_message,
            sink=sink,
        )

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None, *, cookie: str = "") -> bytes:
        """Send one request, by the API key or by the cookie of a session, and return the answer's body. Raises
        BenchError unless the answer is 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.installation.key}", "Content-Type": "application/json"}
        if cookie:
            headers = {"Cookie": cookie}
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

    def log_in(self) -> str:
        """Return the cookie of a session of the console. Raises BenchError."""
        path = urlsplit(self.create("/v1/login-links", {})["url"]).path
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", path)
        cookie = connection.getresponse().getheader("set-cookie")
        connection.close()
        if cookie is None:
            raise BenchError("the console gave no cookie")
        return cookie.partition(";")[0]

    def get(self, path: str) -> Any:
        """GET a JSON resource and return its value. Raises BenchError."""
        return json.loads(self.ask("GET", path))

    def create(self, path: str, body: Mapping[str, object]) -> Any:
        """POST and return the created resource. Raises BenchError."""
        return json.loads(self.ask("POST", path, body))


def serve(
    stack: ExitStack,
    folder: Path,
    options: Options,
    installation: Installation,
    *arguments: str,
    name: str = "tellwire",
    gently: bool = True,
) -> Served:
    """Start `tellwire serve ARGUMENTS`; `stack` stops it.

    `gently` False kills it at the end, because it would wait for subscribers that hang. Raises BenchError.
    """
    command, sources = tellwire_command(options)
    begin = time.monotonic()
    child = stack.enter_context(
        running(
            [*command, "serve", "--json", *arguments],
            name=name,
            folder=folder,
            env=installation.environment | sources,
            stop=signal.SIGTERM if gently else signal.SIGKILL,
            patience=30,
        )
    )
    child.wait_until(lambda: _status(_port(child.log), "/readyz") == 200, seconds=_READY_SECONDS)
    ready = round(time.monotonic() - begin, 3)
    return Served(installation=installation, port=_port(child.log), child=child, ready_seconds=ready)


def subscribe(served: Served, sink: str) -> str:
    """Create the endpoint of the end-to-end scenario over the API; return its signing secret."""
    endpoint = {"url": sink, "format": "row", "events": ["messages.insert"]}
    return str(served.create("/v1/webhook-endpoints", endpoint)["secret"])


def fill(folder: Path, options: Options, installation: Installation, plan: Fill) -> Filled:
    """Create the database and fill it as planned, in the product's own Python, within an hour. Raises BenchError."""
    python, sources = _product_python(options)
    result = folder / "filled.json"
    order = folder / "fill.json"
    order.write_bytes(msgspec.json.encode(plan))
    finish(
        [str(python), "-m", "bench.filler", installation.database, str(order), str(result)],
        name="filler",
        folder=folder,
        env=sources | {MASTER_KEY: installation.master_key},
        seconds=_FILL_SECONDS,
    )
    return msgspec.json.decode(result.read_bytes(), type=Filled)


def tellwire_command(options: Options) -> tuple[list[str], dict[str, str]]:
    """Return how Tellwire is started here: (command, environment).

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
    """Return an interpreter with the product's dependencies, and the environment in which it finds the sources."""
    own = ROOT / ".venv" / "bin" / "python"
    fallback = own if own.is_file() else Path(os.environ.get(LAUNCHER, sys.executable))
    sources = os.pathsep.join((str(ROOT / "src"), str(ROOT / "sdk" / "src"), str(ROOT)))
    return options.tellwire_python or fallback, {"PYTHONPATH": sources}


def _port(log: Path) -> int:
    """Return the port that a server has chosen, as its log says; 0 while the log does not say it."""
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
