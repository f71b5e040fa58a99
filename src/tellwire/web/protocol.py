"""Extend the HTTP protocol by a short way for Meta's POSTs.

The body of nearly every POST is complete when the app is called. Such a POST needs no ASGI messages and no deadline for
its body, and its usual answer is always the same. All other requests take the usual way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tellwire.web.asgi import WebApp
from tellwire.web.bounded import BoundedProtocol
from tellwire.web.edge import Receive, Scope, Send, request_id_of, send_problem

_Default = list[tuple[bytes, bytes]]


class _OkAnswer:
    """The answer "200, no body" as bytes, rebuilt when uvicorn's own headers change (once a second)."""

    def __init__(self) -> None:
        self._headers: _Default | None = None
        self._text = b""

    def text(self, headers: _Default) -> bytes:
        """Return the whole answer as it is written to the connection."""
        if headers is not self._headers:
            lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self._headers, self._text = headers, b"HTTP/1.1 200 OK\r\n%bcontent-length: 0\r\n\r\n" % lines
        return self._text


_ok_answer = _OkAnswer()


class Protocol(BoundedProtocol):
    """The HTTP protocol of a `WebApp`."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        direct = cycle.scope["method"] == "POST" and isinstance(app, WebApp) and cycle.scope["path"] in app.post_paths
        if direct:
            app = partial(_answer_directly, cycle, app)
        super()._start_asgi_task(cycle, app)


async def _answer_directly(
    cycle: RequestResponseCycle, app: WebApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a POST of Meta's. This runs as the cycle's app, so that errors are answered and logged as usual."""
    if cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected:
        await app(scope, receive, send)
        return
    body, cycle.body = bytes(cycle.body), bytearray()
    refusal = await app.meta_post(scope["headers"], body)
    if cycle.disconnected:
        return
    if refusal is not None:
        await send_problem(send, refusal, request_id_of(scope))
    elif cycle.keep_alive and not cycle.flow.write_paused:
        cycle.transport.write(_ok_answer.text(cycle.default_headers))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
