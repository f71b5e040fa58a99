"""A connection to an echoing app, without a network: bytes in, cut as a test likes, and bytes out."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tellwire.observability.counters import Counters
from tellwire.web.bounded import BoundedProtocol
from tellwire.web.bounds import Bounds, ConnectionCaps
from tellwire.web.connections import Connections

App = Callable[[Any, Any, Any], Awaitable[None]]
SMALL = Bounds(head=400, fields=6, url=60, pipelined=2000, linger=3000, unread=1500)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the app saw of a request, once its body is there."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    names = sorted(name.decode("latin-1") for name, _ in scope["headers"])
    seen = [scope["method"], scope["path"], names, body.decode("latin-1")]
    await answer(send, json.dumps(seen).encode())


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    """Answer without reading the body."""
    await answer(send, scope["path"].encode())


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Wire(asyncio.Transport):
    """The transport of a connection whose other side is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.out = bytearray()
        self.paused = self.ended = self.closing = False
        self.stuck = 0

    def write(self, data: Any) -> None:
        assert not self.ended, "nothing is written after the end"
        self.out += data

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return self.stuck


class Wired:
    """A connection, its register and its counts."""

    def __init__(self, app: App = echo, bounds: Bounds = SMALL, caps: ConnectionCaps | None = None) -> None:
        self.counters = Counters()
        self.connections = Connections(bounds, caps or ConnectionCaps(10, 10), self.counters)
        self._config = uvicorn.Config(app, ws="none", lifespan="off", access_log=False, log_config=None)
        self._config.load()
        self._state = ServerState()
        self.wire, self.protocol = self.connect()

    def connect(self, peer: str = "192.0.2.1") -> tuple[Wire, BoundedProtocol]:
        """Another connection."""
        wire = Wire()
        protocol = BoundedProtocol(
            self._config, self._state, {}, connections=self.connections, peer=self.connections.peer(peer)
        )
        protocol.connection_made(wire)
        return wire, protocol

    async def give(self, *pieces: bytes) -> None:
        """Send pieces, each as soon as the connection reads, and let the app do what it can."""
        for piece in pieces:
            await self._settled()
            if self.wire.closing:
                return
            if not self.wire.paused:
                self.protocol.data_received(piece)
        await self._settled()

    async def _settled(self) -> None:
        """Let everything run that can."""
        written = -1
        while written != len(self.wire.out):
            written = len(self.wire.out)
            for _ in range(12):
                await asyncio.sleep(0)

    @property
    def closed(self) -> Counter[str]:
        """The reasons for which connections were closed."""
        return +self.counters.http_closed

    def answers(self) -> list[tuple[int, bytes]]:
        """Status and body of each answer."""
        left, found = bytes(self.wire.out), []
        while left:
            head, _, left = left.partition(b"\r\n\r\n")
            if b" 100 " in head:
                continue
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            found.append((int(head[9:12]), left[:length]))
            left = left[length:]
        return found

    def outcome(self) -> tuple[list[tuple[int, bytes]], Counter[str], bool]:
        """Everything that the other side learns, and what was counted."""
        answers = [(status, re.sub(rb"req_[0-9a-f]+", b"", body)) for status, body in self.answers()]
        return answers, self.closed, self.wire.ended or self.wire.closing


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[begin:end] for begin, end in pairwise(places)]
