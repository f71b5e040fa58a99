"""Build the ASGI app: Meta's webhook and those of sources as bare ASGI, everything else through Litestar."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from litestar import Litestar, Request, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope as AnyScope

from tellwire.errors import Busy, Problem
from tellwire.observability.counters import Counters
from tellwire.web import sub_path
from tellwire.web.auth import KNOWN_CALLER
from tellwire.web.edge import LARGEST_BODY, Edge, Message, Receive, Scope, Send, request_id_of, send_problem
from tellwire.web.error_answers import answer
from tellwire.web.inbound import InboundRoute
from tellwire.web.operations import probes
from tellwire.web.parameters import Strict, json_body, known_parameters
from tellwire.web.places import Places
from tellwire.web.post_intake import Headers
from tellwire.web.request import AppState, RequestContext
from tellwire.web.services import Services
from tellwire.web.sources import SOURCES_PATH, SourceRoute

WEBHOOK_PATH = "/meta/webhook"
_BARE = (WEBHOOK_PATH, SOURCES_PATH)
"""Paths that are answered without Litestar."""
_APP_STATE = "app_state"


class WebApp:
    """The ASGI app. `drain` ends the endless answers; call it before the server stops."""

    def __init__(self, services: Services, *, probes_only: bool = False) -> None:
        self.app_state = AppState(services)
        self.app_state.describe = lambda: openapi(services.webhooks, services.settings.public_url)
        routed = _routed(probes_only=probes_only)
        self._edge = Edge(routed, services.settings.accepted_hosts)  # type: ignore[arg-type]
        self._sub_path = services.settings.sub_path
        if self._sub_path:
            sub_path.check(self._sub_path, {path.split("/")[1] for path in (*_BARE, *(r.path for r in routed.routes))})
        self._inbound = None if probes_only else InboundRoute(services, self.app_state.meters)
        self._sources = None if probes_only else SourceRoute(services)
        self._post_paths = frozenset(() if probes_only else (WEBHOOK_PATH, self._sub_path + WEBHOOK_PATH))
        self._draining = False

    @property
    def counters(self) -> Counters:
        """Return the counts of this process."""
        return self.app_state.services.counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or a lifespan event of the server."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.app_state.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        if self._sub_path:
            sub_path.enter(scope, self._sub_path)
            send = sub_path.leaving(send, self._sub_path)

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            taken = self._taking(scope["path"])
            if not taken:
                scope.setdefault("state", {})[_APP_STATE] = self.app_state
            await (taken or self._edge)(scope, receive, noted)
        except asyncio.CancelledError:
            if started or not self._draining:
                raise
            stopping = Busy("The server is stopping; try again.")
            await send_problem(send, stopping, request_id_of(scope), path=scope["path"])

    def _taking(self, path: str) -> InboundRoute | SourceRoute | None:
        """Return what takes the POSTs that come to a path."""
        if path == WEBHOOK_PATH:
            return self._inbound
        return self._sources if path.startswith(SOURCES_PATH) else None

    def share_connections(self, count: int) -> None:
        """Let requests of organizations take so many connections; call it before the first request."""
        self.app_state.places = Places(count)

    @property
    def post_paths(self) -> frozenset[str]:
        """Return the paths where this process accepts Meta's POSTs."""
        return self._post_paths

    async def meta_post(self, headers: Headers, body: bytes) -> Problem | None:
        """Accept a POST of Meta's whose body is complete: the short way for servers that support it (`web.protocol`).
        Return None once it is durable, else the problem."""
        if self._inbound is None:
            raise RuntimeError("this process takes no POSTs of Meta's")
        try:
            return await self._inbound.accept_complete(headers, body)
        except asyncio.CancelledError:
            if not self._draining:
                raise
            return Busy("The server is stopping; try again.")

    def drain(self) -> None:
        """End event streams and long waits, and refuse new streams; what the server cuts off from now on is answered
        503."""
        self._draining = True
        self.app_state.draining.set()
        self.app_state.streams.stop()


def create_app(services: Services, *, probes_only: bool = False) -> WebApp:
    """Return the ASGI app over these services: all routes, or only the probes and the metrics."""
    return WebApp(services, probes_only=probes_only)


async def authenticate(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Authenticate the caller, check the scope, and take a place for the request, as a guard of Litestar's."""
    app_state = shared(connection.scope)
    await app_state.auth.guard(connection, handler)
    if KNOWN_CALLER in connection.scope["state"]:
        return  # the page that makes the call has a place
    app_state.places.take(connection.scope, connection.auth.organization_id)  # type: ignore[arg-type]


def context(request: Request[Any, Any, Any]) -> RequestContext:
    """Return the context of a request under `/v1`."""
    return RequestContext(shared(request.scope), request.auth, request.scope["state"]["request_id"])


def shared(scope: AnyScope) -> AppState:
    """Return the state that all requests share."""
    return cast("AppState", scope["state"][_APP_STATE])


DEPENDENCIES = {
    "context": Provide(context, sync_to_thread=False),
    "app_state": Provide(shared, sync_to_thread=False),
}


def routes() -> list[Any]:
    """Return everything that Litestar serves. Loaded here: a process that has only the probes needs none of it."""
    from tellwire.web.api import NOUNS  # noqa: PLC0415
    from tellwire.web.api.media import file_bytes  # noqa: PLC0415
    from tellwire.web.console import routes as console  # noqa: PLC0415
    from tellwire.web.graph import dispatch as graph  # noqa: PLC0415
    from tellwire.web.wakit import routes as wakit  # noqa: PLC0415
    from tellwire.web.wappcloud import routes as wappcloud  # noqa: PLC0415

    return [
        Router(
            "/v1",
            route_handlers=[handler for noun in NOUNS.values() for handler in noun.HANDLERS],
            guards=[authenticate, known_parameters, json_body],
            dto=Strict,
            return_dto=None,
        ),
        *wakit.HANDLERS,
        *wappcloud.HANDLERS,
        *probes.HANDLERS,
        *file_bytes.HANDLERS,
        *console.HANDLERS,
        *graph.HANDLERS,
    ]


def openapi(webhooks: Mapping[str, Any], server: str = "") -> dict[str, Any]:
    """Return the OpenAPI document of this version; `webhooks` describes the webhooks that Tellwire sends, `server` is
    where it is reached, "" for where the document comes from."""
    from tellwire.web.docs.openapi import document  # noqa: PLC0415

    return {**document(routes(), DEPENDENCIES, webhooks), "servers": [{"url": server or "/"}]}


@cache
def _routed(*, probes_only: bool) -> Litestar:
    """The routes, made once a process: what they work with comes with each request."""
    return Litestar(
        [*probes.PROBES] if probes_only else routes(),
        dependencies=DEPENDENCIES,
        exception_handlers={Exception: answer},
        request_max_body_size=LARGEST_BODY,
        openapi_config=None,
        logging_config=None,
    )
