"""The built-in catcher: a small HTTP server that receives deliveries as a user's own code would, and verifies them.

It runs on its own (`asyncio` and `httptools` only), so that what it proves does not rest on our web server. What is
peculiar to a format, its vendor's signature and its handshake, it reads from `FORMATS`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

import tellwire_sdk
from tellwire.formats import FORMATS
from tellwire.ports.http_out import Answer
from tellwire_sdk import Payload, WebhookError

_LARGEST = 8 * 1024 * 1024
_JSON = (("Content-Type", "application/json"),)


class Catch(Struct, frozen=True, kw_only=True):
    """A POST as it was caught. `error` says why it did not verify, "" when it did; `payload` is None then, and if the
    SDK has no types for the format."""

    format: str
    headers: dict[str, str]
    body: bytes
    payload: Payload | None = None
    error: str = ""

    @property
    def verified(self) -> bool:
        return not self.error

    @property
    def webhook_id(self) -> str:
        return self.headers.get("webhook-id", "")

    @property
    def event(self) -> str:
        return self.headers.get("tellwire-event", "")

    @property
    def message_id(self) -> str:
        return self.headers.get("tellwire-message-id", "")


class CatchCounts(Struct):
    """How many came under a format, how many of them verified and how many did not."""

    received: int = 0
    verified: int = 0
    failed: int = 0


class Catcher:
    """Catches on `/<format>`, with a secret for each format.

    Args:
        secrets: format → the endpoint's secret as the customer knows it.
        on_catch: called for every POST, on the event loop.
        keep: how many catches `recent` remembers.
    """

    def __init__(
        self, secrets: Mapping[str, str], *, on_catch: Callable[[Catch], None] | None = None, keep: int = 100
    ) -> None:
        self._secrets = dict(secrets)
        self._on_catch = on_catch
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.tallies = {format: CatchCounts() for format in secrets}  # noqa: A001
        self.recent: deque[Catch] = deque(maxlen=keep)
        self._news = asyncio.Event()

    async def start(self, sock: socket.socket | None = None) -> int:
        """Catch what comes to a listening socket, or to a free port on 127.0.0.1; returns the port."""
        loop = asyncio.get_running_loop()
        if sock is None:
            self._server = await loop.create_server(self._connection, "127.0.0.1", 0)
        else:
            self._server = await loop.create_server(self._connection, sock=sock)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; it is asked now and after every catch."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def stop(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.hang_up()
            await self._server.wait_closed()

    def _connection(self) -> _Connection:
        return _Connection(self.answer, self._connections)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """What a request is answered; `headers` by lower-case name."""
        format = urlsplit(target).path.strip("/")  # noqa: A001
        if format not in self._secrets:
            tries = ", ".join("/" + name for name in self._secrets)
            return _told(404, {"error": f"nothing is caught here; try {tries}"})
        if method == "POST":
            return self._catch(format, headers, body)
        handshake = FORMATS[format].HANDSHAKE
        consent = handshake.consent(method, target, headers) if handshake is not None else None
        return consent or _told(405, {"error": "only deliveries are taken here, and what the format's handshake asks"})

    def _catch(self, format: str, headers: dict[str, str], body: bytes) -> Answer:  # noqa: A002
        payload, error = None, ""
        try:
            self._verify(format, headers, body)
            payload = tellwire_sdk.parse(body) if FORMATS[format].TYPED else None
        except WebhookError as refused:
            error = str(refused)
        catch = Catch(format=format, headers=headers, body=body, payload=payload, error=error)
        tally = self.tallies[format]
        tally.received += 1
        if catch.verified:
            tally.verified += 1
        else:
            tally.failed += 1
        self.recent.append(catch)
        if self._on_catch is not None:
            self._on_catch(catch)
        self._news.set()
        return _told(200, {"ok": True}) if catch.verified else _told(401, {"error": error})

    def _verify(self, format: str, headers: dict[str, str], body: bytes) -> None:  # noqa: A002
        secret = self._secrets[format]
        tellwire_sdk.verify(body, headers, secret, require_timestamp=True)
        if vendor := FORMATS[format].SIGNATURE.lower():
            tellwire_sdk.verify(body, {name: text for name, text in headers.items() if name == vendor}, secret)


def _told(status: int, content: object) -> Answer:
    return Answer(status=status, headers=_JSON, body=json.dumps(content).encode())


class _Connection(asyncio.Protocol):
    """One connection; it is also what the parser calls back. Requests are answered in their order, at once."""

    def __init__(
        self,
        answer: Callable[[str, str, dict[str, str], bytes], Answer],
        connections: set[_Connection],
    ) -> None:
        self._answer = answer
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._reply(_told(400, {"error": "this is no HTTP/1.1 request"}), keep_alive=False)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- called by the parser -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > _LARGEST:
            self._reply(_told(413, {"error": "too large"}), keep_alive=False)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("latin-1")
        answer = self._answer(method, self._target.decode("latin-1"), self._headers, bytes(self._body))
        self._reply(answer, keep_alive=self._parser.should_keep_alive())

    def _reply(self, answer: Answer, *, keep_alive: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {answer.status} {'OK' if answer.status == 200 else 'Refused'}\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
            + f"Content-Length: {len(answer.body)}\r\nConnection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + answer.body)
        if not keep_alive:
            self._transport.close()
