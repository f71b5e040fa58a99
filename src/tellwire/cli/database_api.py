"""Call the REST API without a server: in this process, on the database that the settings name.

So a command does exactly what the REST call does, also beside a running server, and needs no key.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from tellwire.app import App
from tellwire.cli.client import rejected, v1
from tellwire.cli.database import usable
from tellwire.cli.serving import log_to_stderr, services_of
from tellwire.settings import Settings
from tellwire.web import WebApp, create_app

_HOST = "localhost"
_PAGE = 200


class DatabaseApi:
    """A caller of the REST API in this process, as an operator in the named organization ("" for the default one)."""

    is_server = False

    def __init__(self, application: WebApp, runner: asyncio.Runner, key: str, organization: str) -> None:
        self._application = application
        self._runner = runner
        self._headers = {"host": _HOST, "authorization": f"Bearer {key}", "content-type": "application/json"}
        if organization:
            self._headers["tellwire-organization"] = organization

    def call(
        self, method: str, *path: str, body: object = None, query: Mapping[str, str] | None = None, once: str = ""
    ) -> Any:
        """Return the JSON of a call's answer; see `Client.call`.

        Raises:
            Rejected: the answer is not 2xx; the text says why, field by field.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        headers = self._headers | ({"idempotency-key": once} if once else {})
        asked = self._ask(method, v1(*path), urlencode(query or {}), content, headers)
        status, answer = self._runner.run(asked)
        document: Any = msgspec.json.decode(answer) if answer else None
        if not 200 <= status < 300:
            raise rejected(status, document)
        return document

    def every(self, *path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return all rows of a list, newest first; the pages are followed."""
        rows: list[dict[str, Any]] = []
        asked = {"limit": str(_PAGE), **(query or {})}
        while True:
            page = self.call("GET", *path, query=asked)
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            asked["cursor"] = page["next_cursor"]

    async def _ask(
        self, method: str, path: str, query: str, body: bytes, given: Mapping[str, str]
    ) -> tuple[int, bytes]:
        headers = {**given, "content-length": str(len(body))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": (_HOST, 80),
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        return int(sent[0]["status"]), b"".join(message.get("body", b"") for message in sent[1:])


@contextmanager
def opened(settings: Settings, organization: str) -> Iterator[DatabaseApi]:
    """Open the database of the settings, provide its API, and close the database.

    Raises:
        TellwireError: the database cannot be opened.
    """
    log_to_stderr()
    key = f"tw_{secrets.token_urlsafe(32)}"
    settings = replace(settings, admin_key=key, allowed_hosts=(_HOST,))
    with asyncio.Runner() as runner:
        app = runner.run(_open(settings))
        try:
            web = create_app(replace(services_of(app), route_unrouted=_left_to_the_server))
            try:
                yield DatabaseApi(web, runner, key, organization)
            finally:
                runner.run(web.app_state.close())
        finally:
            runner.run(app.stop())


async def _open(settings: Settings) -> App:
    with usable(settings):
        return await App.open(settings, serving=False)


async def _left_to_the_server(_: str) -> None:
    """Do nothing: the serving process applies what waits for an account, because only it may make deliveries."""
