"""What `serve` and `dev` share: a loop that signals end, a bound address, an ASGI application on it."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import uvicorn
import uvloop

from tellwire.errors import TellwireError

GRACE_SECONDS = 10
"""How long requests and deliveries under way may take to end after a signal."""
_BACKLOG = 2048
_MOVES = 50


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> int:
    """Run `main` on uvloop and return what it returns. It is given an event that SIGINT and SIGTERM set.

    A second signal ends the process at once.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_with_signals(main))


async def _with_signals(main: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def stopped() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped)
    return await main(stop)


def bind(host: str, port: int, *, move: bool = False) -> socket.socket:
    """Listen on an address; with `move` on the next free port if this one is taken.

    Raises:
        TellwireError: the port is taken, or the host is no address of this machine.
    """
    for candidate in [port, *range(port + 1, min(port + _MOVES, 65536)), 0] if move else [port]:
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and move:
                continue
            raise TellwireError(_why(host, candidate, error)) from None
    raise TellwireError(f"no port is free on {host}")


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = min(found, key=lambda each: each[0])  # 127.0.0.1 before ::1 for localhost
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)  # at once: two sockets may be bound to a port, but only one listens
        sock.settimeout(0)  # as the loop wants it
    except BaseException:
        sock.close()
        raise
    return sock


def _why(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is taken: stop what listens there, or choose another with TELLWIRE_PORT"
        case errno.EACCES:
            return f"this user may not listen on port {port}: choose one above 1023 with TELLWIRE_PORT"
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror}; see TELLWIRE_HOST and TELLWIRE_PORT"


def url_of(sock: socket.socket) -> str:
    """The URL that reaches a listening socket from this machine."""
    host, port = sock.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


class Site:
    """An ASGI application on a listening socket, in the running loop.

    Answers without `Server` header and access log; a stop ends what is under way within `GRACE_SECONDS`.
    """

    def __init__(self, application: Any, sock: socket.socket, *, grace_seconds: int = GRACE_SECONDS) -> None:
        config = uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=grace_seconds,
        )
        self._server = _Server(config)
        self._sock = sock
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once requests are answered."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._sock]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            ready.cancel()
            await self._serving

    async def stop(self) -> None:
        """Take nothing new and finish what is under way."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """uvicorn as a part: signals are the process's, and its readiness can be waited for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()
