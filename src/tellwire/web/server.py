"""Run the HTTP server around the app."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from tellwire.web.asgi import WebApp
from tellwire.web.bounds import Bounds, ConnectionCaps
from tellwire.web.connections import Connections, Peer
from tellwire.web.listener import Listener
from tellwire.web.protocol import Protocol

_CAPS = ConnectionCaps(1000, 1000)


class Server(uvicorn.Server):
    """The HTTP server of a `WebApp`; it ends the app's streams before it waits for its connections.

    Args:
        app: the app to serve.
        grace_seconds: how long requests in flight may take after `shutdown` begins.
        caps: how many connections may be open.
        bounds: what a connection may send, and how long it may take.
    """

    def __init__(
        self, app: WebApp, *, grace_seconds: int = 10, caps: ConnectionCaps = _CAPS, bounds: Bounds | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="on",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=grace_seconds,
            )
        )
        self._app = app
        app.share_connections(min(caps.per_peer, max(caps.total // 2, 1)))
        self._connections = Connections(bounds or Bounds(), caps, app.counters)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then accept connections on these sockets."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        loop = asyncio.get_running_loop()
        self._connections.start(loop)
        listeners: Any = [Listener(sock, self._connections, self._protocol, loop) for sock in sockets or ()]
        self.servers = listeners
        self.started = True

    def _protocol(self, peer: Peer) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state, connections=self._connections, peer=peer)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: end the streams first, then wait for requests in flight."""
        self._app.drain()
        await super().shutdown(sockets)
        self._connections.stop()


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free one.

    Raises:
        OSError: the address cannot be used, for example because the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)
