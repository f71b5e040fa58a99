"""Make calls of the API as a session of the console makes them, without a page in between."""

from __future__ import annotations

import json
from typing import Any

from tests.console.visitor import Visitor
from tests.served import SETTINGS, Reply, Served, services_of

from tellwire.security.console_secrets import csrf_of, digest
from tellwire.stores.queries import console_sessions
from tellwire.web import create_app
from tellwire.web.auth import KNOWN_CALLER
from tellwire.web.console.api_calls import fetched
from tellwire.web.console.sessions import Session


class Calls:
    """The API of a served app."""

    def __init__(self, app: Served) -> None:
        self._app = app
        self._web = app.run(self._made())

    async def _made(self) -> Any:
        return create_app(services_of(self._app.world, self._app.outside, SETTINGS, self._app.files))

    def call(self, visitor: Visitor, method: str, target: str, body: Any = None) -> Reply:
        """The answer to a call; `target` is a path with its query."""
        return self._app.run(self._call(visitor, method, target, body))

    async def _call(self, visitor: Visitor, method: str, target: str, body: Any) -> Reply:
        store, now = self._app.world.store, self._app.clock.now()
        stored = await store.read(lambda c: console_sessions.find(c, digest(visitor.cookie), now))
        assert stored is not None, "nobody is logged in"
        caller = Session(stored=stored, csrf=csrf_of(visitor.cookie)).caller
        path, _, query = target.partition("?")
        sent = b"" if body is None else json.dumps(body).encode()
        headers = [(b"host", b"localhost"), (b"content-length", str(len(sent)).encode())]
        headers += [(b"content-type", b"application/json")] if sent else []
        state = {KNOWN_CALLER: caller}
        status, answer = await fetched(self._web, state, method, path, query=query.encode(), headers=headers, body=sent)
        return Reply(status, {}, answer)
