"""A real `serve` under attack: its process, its figures, and raw connections to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.acceptance.processes import Running, logged_url, request

import tellwire_sdk

ADMIN_KEY = "hostile-tests-admin-key-0123456789abcdef"
APP_SECRET = "an app secret of the hostile tests"
MIB = 1024 * 1024
T = TypeVar("T")
_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))
os.execv(sys.argv[1], sys.argv[1:])
"""
_TICKS = os.sysconf("SC_CLK_TCK")


class Target:
    """A running `serve`."""

    def __init__(self, process: Running, url: str) -> None:
        self.process = process
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.pid = process.process.pid

    def rss(self) -> int:
        """Bytes of memory that the process has now."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]

    def cpu(self) -> float:
        """Seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def descriptors(self) -> int:
        """How many descriptors the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def call(self, path: str, *, method: str = "GET", body: Any = None, key: str = ADMIN_KEY) -> tuple[int, Any]:
        """Make a request as a client does; the status and the answer."""
        return request(f"{self.url}{path}", key=key, method=method, body=body)

    def post(self, body: Any) -> int:
        """POST a signed body as Meta does; the status."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(raw, APP_SECRET)}
        return request(f"{self.url}/meta/webhook", method="POST", body=raw, headers=signed)[0]

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        status, text = self.call("/metrics")
        assert status == 200, text
        shown = ",".join(f'{label}="{value}"' for label, value in labels.items())
        line = re.search(rf"^{re.escape(name + (f'{{{shown}}}' if shown else ''))} (\S+)$", text, re.MULTILINE)
        return float(line[1]) if line else 0.0

    def closed(self, reason: str) -> float:
        """How many connections were refused or closed for a reason."""
        return self.metric("tellwire_http_closed_total", reason=reason)

    def connect(self, source: str = "127.0.0.1", *, receives: int = 0) -> socket.socket:
        """A connection from an address of this machine; `receives`: the size of its receive buffer."""
        sock = socket.socket()
        sock.settimeout(20)
        if receives:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def answer_to(self, *pieces: bytes) -> bytes:
        """Everything that comes back until the connection is closed."""
        with self.connect() as sock:
            send(sock, pieces)
            return rest_of(sock)


@contextmanager
def serving(folder: Path, *, descriptors: int = 0, **settings: str) -> Iterator[Target]:
    """A `serve` on SQLite, under a limit of descriptors if one is given."""
    given = {"ADMIN_KEY": ADMIN_KEY, "META_APP_SECRET": APP_SECRET, "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8"} | settings
    within = (sys.executable, "-c", _LIMITED.format(descriptors)) if descriptors else ()
    process = Running("serve", cwd=folder, within=within, **given)
    try:
        yield Target(process, process.wait_for(logged_url, stream="err"))
    finally:
        process.stop(signal.SIGKILL)


def send(sock: socket.socket, pieces: Iterable[bytes]) -> int:
    """Send pieces until the other side takes no more; how many bytes it took."""
    taken = 0
    with contextlib.suppress(OSError):
        for piece in pieces:
            sock.sendall(piece)
            taken += len(piece)
    return taken


def rest_of(sock: socket.socket) -> bytes:
    """What still comes until the other side closes."""
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(65536):
            found += piece
    return bytes(found)


def drip(sock: socket.socket, data: bytes, *, pause: float, longest: float) -> tuple[bytes, float]:
    """Send byte after byte until the other side answers or closes; what it answered, and after how many seconds."""
    began = time.monotonic()
    for position in range(len(data)):
        with contextlib.suppress(OSError):
            sock.sendall(data[position : position + 1])
        ready, _, _ = select.select([sock], [], [], pause)
        if ready or time.monotonic() - began > longest:
            break
    return rest_of(sock), time.monotonic() - began


def status_of(answer: bytes) -> int:
    """The status of an answer; 0 for none."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found[1]) if found else 0


def allow_many_descriptors() -> None:
    """Let this process open as many sockets as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def together(*works: Callable[[], T]) -> list[T]:
    """Do several things at the same time; what each returned."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]
