"""Send the driver's load: a closed loop over N connections, or an open loop at a fixed rate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple, cast

from bench.http1 import MalformedError, Messages, status_of
from bench.phase import Phase

_BROKEN = 0
"""The status of a request whose connection broke."""


class Post(NamedTuple):
    """One request of the load, and the numbers of its messages."""

    numbers: range
    request: bytes


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way; a closed one is opened again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.WriteTransport | None = None
        self._messages = Messages()
        self._answer: asyncio.Future[int] | None = None

    async def open(self) -> None:
        """Connect to the system; raises OSError."""
        self._messages = Messages()
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    async def post(self, request: bytes) -> int:
        """Send one request and return its status, 0 when the connection broke."""
        try:
            if self._transport is None or self._transport.is_closing():
                await self.open()
        except OSError:
            return _BROKEN
        if self._transport is None:
            return _BROKEN
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's streams don't inherit from it

    def data_received(self, data: bytes) -> None:
        try:
            for head, _ in self._messages.feed(data):
                self._settle(status_of(head))
        except MalformedError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._settle(_BROKEN)

    def _settle(self, status: int) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(status)


async def closed_loop(phase: Phase, posts: Sequence[Post], connections: Sequence[Connection]) -> None:
    """Send on each connection the next POST as soon as the last one is answered."""
    todo = iter(posts)

    async def work(connection: Connection) -> None:
        for post in todo:
            phase.send(post.numbers, perf_counter())
            await _send(phase, post, connection)

    await asyncio.gather(*(work(connection) for connection in connections))


async def open_loop(phase: Phase, posts: Sequence[Post], connections: Sequence[Connection], *, rate: float) -> None:
    """Send POST k when it is due, k / rate seconds after the start, whatever the earlier answers; that is its send
    time."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def one(post: Post, due: float) -> None:
        connection = await free.get()
        phase.late.append(perf_counter() - due)
        try:
            await _send(phase, post, connection)
        finally:
            free.put_nowait(connection)

    start = perf_counter()
    async with asyncio.TaskGroup() as under_way:
        for at, post in enumerate(posts):
            due = start + at / rate
            if (ahead := due - perf_counter()) > 0:
                await asyncio.sleep(ahead)
            phase.send(post.numbers, due)
            under_way.create_task(one(post, due))


async def _send(phase: Phase, post: Post, connection: Connection) -> None:
    status = await connection.post(post.request)
    if status == 200:
        phase.accept(post.numbers, perf_counter())
    else:
        phase.refuse(f"status {status}" if status else "broken connection")
