"""Call the REST API without a server: in this process, on the database that the settings name.

So a command does exactly what the REST call does, also beside a running server, and needs no key.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from tellwire.app import App
from tellwire.cli import settings_in_force
from tellwire.cli.database import usable
from tellwire.cli.serving import log_to_stderr, services_of
from tellwire.errors import TellwireError
from tellwire.web import WebApp, create_app

T = TypeVar("T")
_HOST = "localhost"
_PAGE = 200


class Api:
    """A caller of an ASGI application, as an operator in the named organization ("" for the default one).

    `server_url`: where the server of the same settings is reached, if one runs.
    """

    def __init__(self, application: WebApp, key: str, organization: str, server_url: str) -> None:
        self.server_url = server_url
        self._application = application
        self._headers = {"host": _HOST, "authorization": f"Bearer {key}", "content-type": "application/json"}
        if organization:
            self._headers["tellwire-organization"] = organization

    async def call(self, method: str, *path: str, body: object = None, query: dict[str, str] | None = None) -> Any:
        """Return the JSON of a call's answer; `path` is what follows /v1, in parts.

        Raises:
            TellwireError: the answer is not 2xx; the text says why, field by field.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        target = "/v1/" + "/".join(quote(part, safe="") for part in path)
        status, answer = await self._ask(method, target, urlencode(query or {}), content)
        document: Any = msgspec.json.decode(answer) if answer else None
        if not 200 <= status < 300:
            raise TellwireError(_told(document))
        return document

    async def every(self, noun: str) -> list[dict[str, Any]]:
        """Return all rows of a list, newest first; the pages are followed."""
        rows: list[dict[str, Any]] = []
        query = {"limit": str(_PAGE)}
        while True:
            page = await self.call("GET", noun, query=query)
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            query["cursor"] = page["next_cursor"]

    async def _ask(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        headers = {**self._headers, "content-length": str(len(body))}
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


def ask(work: Callable[[Api], Coroutine[Any, Any, T]], *, organization: str = "") -> T:
    """Open the database, run `work` on the API, and close the database.

    Raises:
        TellwireError: a call was refused, or the database cannot be opened.
    """
    log_to_stderr()
    return asyncio.run(_ask(work, organization))


async def _ask(work: Callable[[Api], Coroutine[Any, Any, T]], organization: str) -> T:
    key = f"tw_{secrets.token_urlsafe(32)}"
    settings = replace(settings_in_force.load(), admin_key=key, allowed_hosts=(_HOST,))
    with usable(settings):
        app = await App.open(settings, serving=False)
    try:
        web = create_app(replace(services_of(app), route_unrouted=_left_to_the_server))
        try:
            return await work(Api(web, key, organization, replace(settings, public_url="").base_url))
        finally:
            await web.app_state.close()
    finally:
        await app.stop()


async def _left_to_the_server(_: str) -> None:
    """Do nothing: the serving process applies what waits for an account, because only it may make deliveries."""


def _told(problem: Any) -> str:
    if not isinstance(problem, dict):
        return "the API gave no reason"
    faults = [f"{each['pointer'].lstrip('/')} {each['message']}" for each in problem.get("errors", ())]
    return " ".join([str(problem.get("detail", "")), "; ".join(faults)]).strip()
