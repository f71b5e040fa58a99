"""Run the HTTP server around the app."""

from __future__ import annotations

import socket

import uvicorn

from tellwire.web.asgi import WebApp
from tellwire.web.protocol import Protocol

_KEEP_ALIVE_SECONDS = 75


class Server(uvicorn.Server):
    """The HTTP server of a `WebApp`; it ends the app's streams before it waits for its connections.

    Args:
        app: the app to serve.
        grace_seconds: how long requests in flight may take after `shutdown` begins.
    """

    def __init__(self, app: WebApp, *, grace_seconds: int = 10) -> None:
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
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=grace_seconds,
                backlog=2048,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: end the streams first, then wait for requests in flight."""
        self._app.drain()
        await super().shutdown(sockets)


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free one.

    Raises:
        OSError: the address cannot be used, for example because the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)
