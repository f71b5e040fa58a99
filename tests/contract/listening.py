"""A web server on loopback that follows a script byte by byte, and counts its clients."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

import pytest
import uvloop

from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.connector import Resolve
from tellwire.http_client.proxy import Proxy
from tellwire.http_client.sender import open_sender
from tellwire.ports.http_out import Sender
from tellwire.security.addresses import Reach
from tellwire.settings.values import allowed_network

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE: Final = 10.0
"""Seconds after which a test that waits has failed."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listener = listener
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The next request, head and body; b"" when the client has gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next((line[15:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), b"0")
            whole = head + await self._reader.readexactly(int(length))
        except (asyncio.IncompleteReadError, OSError):
            return b""
        self._listener.requests.append(whole)
        return whole

    async def begun(self) -> None:
        """Return once the first byte of a request has come, and read no more than that."""
        await self._reader.readexactly(1)

    async def say(self, data: bytes) -> None:
        """Send, as far as the client takes it; ConnectionError when it has gone."""
        self._writer.write(data)
        await self._writer.drain()

    async def gone(self) -> None:
        """Return once the client has closed its side."""
        try:
            while await self._reader.read(65536):
                pass
        except OSError:
            pass
        self._listener.departures.release()

    async def drip(self, data: bytes, seconds: float) -> None:
        """Send a byte each so many seconds until the client leaves."""
        loop = asyncio.get_running_loop()

        def drop(left: bytes) -> None:
            if left and not self._writer.is_closing():
                self._writer.write(left[:1])
                loop.call_later(seconds, drop, left[1:])

        drop(data)
        await self.gone()

    def reset(self) -> None:
        """Close with a TCP reset."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Listener:
    """What a server has seen: `requests` raw, the ports of `clients`; tests may wait for arrivals and departures."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.clients: list[int] = []
        self.requests: list[bytes] = []
        self.arrivals = asyncio.Semaphore(0)
        self.departures = asyncio.Semaphore(0)

    @property
    def connections(self) -> int:
        return len(self.clients)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def untouched(self) -> bool:
        """Return whether no client has connected: one would be before us in the queue."""
        _, writer = await asyncio.open_connection(self.host, self.port)
        async with asyncio.timeout(PATIENCE):
            await self.arrivals.acquire()
        ours: int = writer.get_extra_info("sockname")[1]
        writer.close()
        await writer.wait_closed()
        return self.clients[0] == ours

    async def departed(self, number: int = 1) -> None:
        """Return once so many more clients have left."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(number):
                await self.departures.acquire()


@contextlib.asynccontextmanager
async def listening(
    script: Script, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Listener]:
    """Serve every connection by the script, which closes it by returning."""
    loop = asyncio.get_running_loop()
    listener = Listener()
    tasks: set[asyncio.Task[None]] = set()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.create_server((host, port), family=family, backlog=1024)
    door.setblocking(False)
    listener.host, listener.port = host, door.getsockname()[1]

    async def serve(sock: socket.socket) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls)
        except OSError:  # the client did not like our certificate
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await script(Peer(listener, reader, writer))
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def accept() -> None:
        while True:
            sock, address = await loop.sock_accept(door)
            listener.clients.append(address[1])
            listener.arrivals.release()
            tasks.add(asyncio.create_task(serve(sock)))

    accepting = asyncio.create_task(accept())
    try:
        yield listener
    finally:
        accepting.cancel()
        await asyncio.wait([accepting])
        door.close()
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert not failures, failures


def answering(*answers: bytes) -> Script:
    """Answer the requests of a connection with these, one each, the last one for ever."""

    async def script(peer: Peer) -> None:
        number = 0
        while await peer.request():
            await peer.say(answers[min(number, len(answers) - 1)])
            number += 1
        await peer.gone()

    return script


def tunnelling(asked: list[str], *, status: bytes = b"200 Connection established", noise: bytes = b"") -> Script:
    """An HTTP proxy that makes tunnels, or answers with another status; `asked` gets what each CONNECT was for."""

    async def script(peer: Peer) -> None:
        head = await peer._reader.readuntil(b"\r\n\r\n")
        method, authority, _ = head.split(b"\r\n")[0].decode().split(" ")
        asked.append(f"{method} {authority}")
        await peer.say(b"HTTP/1.1 " + status + b"\r\n\r\n" + noise)
        if not status.startswith(b"200"):
            return
        host, _, port = authority.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        async with asyncio.TaskGroup() as group:
            group.create_task(_relayed(peer._reader, writer))
            group.create_task(_relayed(reader, peer._writer))

    return script


async def _relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def saying(data: bytes) -> Script:
    """Answer one request with these bytes and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(data)

    return script


@contextlib.asynccontextmanager
async def sending(
    *allow: str,
    resolver: Resolve | None = None,
    limits: ConnectionLimits | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
    shows_answers: bool = True,
    **more: Any,
) -> AsyncIterator[Sender]:
    """An open sender that may reach `allow`, by default loopback; `more` are further fields of its `Reach`."""
    networks = tuple(map(allowed_network, allow or ("127.0.0.0/8", "::1/128")))
    reach = Reach(allow=networks, shows_answers=shows_answers, **more)
    sender = open_sender(reach=reach, resolver=resolver, limits=limits, tls=tls, proxy=proxy)
    try:
        yield sender
    finally:
        async with asyncio.timeout(PATIENCE):
            await sender.close()


BOTH_LOOPS: Final[Callable[[Callable[..., None]], Callable[..., None]]] = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a plain test of an async one, run on asyncio's loop and on uvloop, where nothing may go wrong unseen."""

    @functools.wraps(test)
    def plain(*, loop: Callable[[], asyncio.AbstractEventLoop], **arguments: object) -> None:
        unseen: list[dict[str, Any]] = []

        async def timed() -> None:
            async with asyncio.timeout(3 * PATIENCE):
                await test(**arguments)

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: unseen.append(context))
            runner.run(timed())
        assert not unseen, unseen

    signature = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    plain.__signature__ = signature.replace(parameters=[*signature.parameters.values(), loop])  # type: ignore[attr-defined]
    return BOTH_LOOPS(plain)
