"""Serve `/sources/{id}`, as bare ASGI: what other systems send beside Meta (docs/reference/rest-api.md, "Sources").

Whoever does not show a source's secret learns nothing, not even whether there is a source with that id.
"""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import parse_qsl

from msgspec.structs import replace

from tellwire.errors import Busy, Problem
from tellwire.model.shares import FairShare
from tellwire.model.sources import Source
from tellwire.security.source_secrets import is_shown
from tellwire.web.commit_waits import CommitWaits
from tellwire.web.edge import Receive, Scope, Send, request_id_of, send_problem
from tellwire.web.held_bodies import HeldBody
from tellwire.web.post_intake import EMPTY, OK, BodyLimits, ClientGoneError, PostIntake, announced
from tellwire.web.problems import problem_of
from tellwire.web.services import Services

SOURCES_PATH = "/sources/"
_LIMITS = replace(BodyLimits(), waiting=500, held=64 * 1024 * 1024)
"""Less than Meta's POSTs may have, and apart from it, so that no source keeps those out."""
_MOST_CHALLENGE = 1024


class SourceRoute:
    """The ASGI app at `/sources/{id}`. Organizations share the places of POSTs that wait for their commit."""

    def __init__(self, services: Services, limits: BodyLimits = _LIMITS) -> None:
        self._services = services
        self._intake = PostIntake(limits, CommitWaits())
        self._shared = FairShare(limits.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match scope["method"]:
            case "POST":
                await self._post(scope, receive, send)
            case "GET":
                await _challenge(scope, send)
            case _:
                wrong = problem_of(405, "method-not-allowed", "This path takes GET and POST.")
                await send_problem(send, wrong, request_id_of(scope), (b"allow", b"GET, POST"))

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        held = self._intake.bodies.begin()
        try:
            refusal = await self._taken(scope, receive, held)
        except ClientGoneError:
            return
        except Busy as busy:
            refusal = busy
        finally:
            held.release()
        if refusal is None:
            await send(OK)
            await send(EMPTY)
        else:
            await send_problem(send, refusal, request_id_of(scope))

    async def _taken(self, scope: Scope, receive: Receive, held: HeldBody) -> Problem | None:
        """Read, verify and apply a POST. Return None once it is durable, else the problem."""
        headers = scope["headers"]
        if announced(headers) > self._intake.limits.largest:
            return self._intake.too_big()
        body = await self._intake.read(receive, held, _unused)
        if isinstance(body, Problem):
            return body
        source = self._services.store.registry().sources.get(scope["path"].removeprefix(SOURCES_PATH))
        if not is_shown(source, headers, scope["query_string"], body) or source is None:
            return problem_of(401, "bad-secret", "There is no source with this id and this secret.")
        return await self._applied(source, body)

    async def _applied(self, source: Source, body: bytes) -> Problem | None:
        whose = source.organization_id
        if not self._shared.admits(whose):
            return Busy("Too many POSTs of the organization's sources are waiting.")
        self._shared.take(whose)
        try:
            work = partial(self._services.ingest.receive_from, source, body)
            done = await self._intake.durable(work, "a source")
        finally:
            self._shared.give_back(whose)
        return done if isinstance(done, Problem) else None


async def _challenge(scope: Scope, send: Send) -> None:
    """Answer the challenge by which chats are registered, whatever the id is: it proves nothing to the other side."""
    asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), errors="replace")).get("challenge", "")
    if not asked or len(asked) > _MOST_CHALLENGE:
        wrong = problem_of(400, "no-challenge", "A GET of this path takes ?challenge=, and everything else is a POST.")
        await send_problem(send, wrong, request_id_of(scope))
        return
    body = json.dumps({"challenge": asked}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unused(_chunk: bytes) -> None:
    """Do nothing: a signature is made of the whole body, once it is known under which secret."""
