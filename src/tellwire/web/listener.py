"""Accept connections: never more than fit, and on and on when descriptors run out.

An event loop's own server accepts everything that waits before anybody can refuse it, down to the last descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

import structlog

from tellwire.web.bounded import BoundedProtocol
from tellwire.web.bounds import peer_of
from tellwire.web.connections import Connections, Peer

log = structlog.get_logger("tellwire.web")

_BURST = 32
"""How many are accepted before the event loop goes on with what else there is to do."""
_PAUSE_SECONDS = 0.05
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_WORDS = b"Too many connections are open; try again."
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 1\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_WORDS), _WORDS)
)


class Listener:
    """A listening socket whose connections get a protocol each, within the caps of the register."""

    def __init__(
        self,
        sock: socket.socket,
        connections: Connections,
        protocol_of: Callable[[Peer], BoundedProtocol],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._sock = sock
        self._connections = connections
        self._protocol_of = protocol_of
        self._loop = loop
        self._paused: asyncio.TimerHandle | None = None
        self._starting: set[asyncio.Task[None]] = set()
        sock.settimeout(0)
        self._listen()

    def close(self) -> None:
        """Accept nothing more."""
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._sock)

    async def wait_closed(self) -> None:
        """Wait until what was accepted has got its protocol."""
        await asyncio.gather(*self._starting, return_exceptions=True)

    def _listen(self) -> None:
        self._paused = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_BURST):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause()
                    return
                continue  # the peer is gone already
            self._admit(sock, self._connections.peer(peer_of(address[0])))

    def _pause(self) -> None:
        """Give up a connection that can be spared, and go on in a moment: the one that waits stays where it is."""
        self._connections.closed("no_descriptor", Peer("-"))
        self._connections.drop_spare()
        self._loop.remove_reader(self._sock)
        self._paused = self._loop.call_later(_PAUSE_SECONDS, self._listen)

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        sock.settimeout(0)
        reason = self._connections.make_room(peer)
        if reason is None:
            task = self._loop.create_task(self._start(sock, self._protocol_of(peer)))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
            return
        self._connections.closed(reason, peer)
        with contextlib.suppress(OSError):
            sock.send(_REFUSAL)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(64 * 1024)  # what is unread when a socket is closed may take the answer with it
        sock.close()

    async def _start(self, sock: socket.socket, protocol: BoundedProtocol) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:
            sock.close()
            self._connections.leave(protocol)
