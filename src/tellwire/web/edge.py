"""Handle what comes before every handler, as bare ASGI: request ids, the Host check, headers, and unexpected errors."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import structlog

from tellwire.errors import Busy, Problem
from tellwire.model.shares import FairShare
from tellwire.web import places
from tellwire.web.error_answers import SHAPES, SLASHED, error_answer, tell_defect
from tellwire.web.held_bodies import HeldBodies
from tellwire.web.problems import problem_of

log = structlog.get_logger("tellwire.web")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY = 1024 * 1024
"""How many bytes of a body are collected; a file is stored as it comes."""
_MOST_HELD = 256 * 1024 * 1024
"""How many bytes of all bodies may be in memory at once; organizations share them."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?")
_UNCHECKED = frozenset(("/livez", "/readyz"))
_PRIVATE = ("/v1/", *SHAPES)
"""How the paths begin whose answers are for their callers only."""
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


class Edge:
    """An ASGI app around another. The inner app finds the request's id in `scope["state"]["request_id"]`, and in
    `"gone"` whether its client has left."""

    def __init__(self, app: Asgi, hosts: Sequence[str], *, most_held: int = _MOST_HELD) -> None:
        self._app = app
        self._shared = FairShare(most_held)
        self._bodies = HeldBodies(most_held)
        self._hosts = [host.lower().strip("[]") for host in hosts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() != b"x-request-id"]
                message["headers"] = [*kept, (b"x-request-id", request_id.encode()), *_HEADERS]
                if scope["path"].startswith(_PRIVATE):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        async def in_pieces(message: Message) -> None:
            nonlocal started
            started = True
            await outgoing(message)

        if (refusal := self._refusal(scope)) is not None:
            await send_problem(stamped, refusal, request_id, path=scope["path"])
            return
        incoming = _Incoming(receive, scope, self._bodies, self._shared)
        outgoing = _Outgoing(stamped, scope, request_id)
        try:
            await self._app(scope, incoming, in_pieces)
        except Problem as problem:  # of an answer that had begun: the server ends its connection
            log.info("answer_cut_off", request_id=request_id, reason=problem.detail)
        except Exception as error:  # noqa: BLE001 - it is logged
            tell_defect(scope, error)
            if not started:
                words = "Something went wrong on our side; the server's log has it under this request_id."
                await send_problem(stamped, Problem(words), request_id, path=scope["path"])
        finally:
            incoming.release()
            if (place := places.of(scope)) is not None:
                place.leave()

    def _refusal(self, scope: Scope) -> Problem | None:
        """Return what is wrong with the Host header or the path, None for nothing."""
        if scope["path"] not in _UNCHECKED and not self.admits(host_of(scope)):
            words = f"The Host header {host_of(scope)!r} is not one of ALLOWED_HOSTS."
            return problem_of(400, "host-not-allowed", words)
        if not _is_plain(scope["path"]):
            words = "There is nothing at this path: slashes at its end or beside each other count."
            return problem_of(404, "not-found", words)
        return None

    def admits(self, host: str) -> bool:
        """Return whether ALLOWED_HOSTS allows this host (without port)."""
        return any(
            allowed in {"*", host} or (allowed.startswith("*.") and host.endswith(allowed[1:]))
            for allowed in self._hosts
        )


def _is_plain(path: str) -> bool:
    """Return whether a path is in its one spelling, so that a proxy's rule for a path holds for all that is served
    there. Only where everything takes a key, under `/v1` and `/graph`, a slash at the end does not matter."""
    return "//" not in path and (not path.endswith("/") or path == "/" or path.startswith(SLASHED))


class _Incoming:
    """What comes of a request, counted until it is released as its organization's, once that is known."""

    def __init__(self, receive: Receive, scope: Scope, bodies: HeldBodies, shared: FairShare) -> None:
        self._receive = receive
        self._scope = scope
        self._held = bodies.begin()
        self._shared = shared
        self._taken = 0
        self._whose = ""

    async def __call__(self) -> Message:
        message = await self._held.wait(self._receive)
        if message["type"] == "http.disconnect":
            self._scope["state"]["gone"] = True
        elif message.get("body"):
            count = min(len(message["body"]), LARGEST_BODY - self._held.size)
            self._count(count)
            self._held.add(count, more=message.get("more_body", False))
        return message

    def _count(self, more: int) -> None:
        """Count what has come as the organization's, if the request is one's."""
        place = places.of(self._scope)
        if place is None:
            return
        self._whose = place.organization_id
        if not self._shared.admits(self._whose):
            raise Busy("Too many bytes are waiting.")
        self._taken += more
        self._shared.take(self._whose, more)

    def release(self) -> None:
        if self._taken:
            self._shared.give_back(self._whose, self._taken)
        self._held.release()


class _Outgoing:
    """An answer, given to the connection piece by piece as its client takes it. A large one is counted meanwhile, and
    when there is no memory for it, the answer is that instead."""

    def __init__(self, send: Send, scope: Scope, request_id: str) -> None:
        self._send = send
        self._scope = scope
        self._request_id = request_id
        self._start: Message | None = None
        self._refused = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        body = message.get("body", b"")
        if self._start is not None:
            start, self._start = self._start, None
            place = places.of(self._scope)
            if len(body) > places.PIECE and place is not None and not place.holds(len(body)):
                self._refused = True
                busy = Busy("Too many answers to this organization wait for their clients; read those first.")
                await send_problem(self._send, busy, self._request_id, path=self._scope["path"])
                return
            await self._send(start)
        if not self._refused:
            await self._all(message, body)

    async def _all(self, message: Message, body: bytes) -> None:
        for at in range(0, len(body) - places.PIECE, places.PIECE):
            await self._send({"type": message["type"], "body": body[at : at + places.PIECE], "more_body": True})
        last = max(0, len(body) - 1) // places.PIECE * places.PIECE
        await self._send({**message, "body": body[last:] if last else body})


def request_id_of(scope: Scope) -> str:
    """Return the id that the request brings if it is well-formed, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return f"req_{uuid.uuid4().hex}"


def host_of(scope: Mapping[str, Any]) -> str:
    """Return the Host header's name in lower case, without port and brackets; "" when it is missing, malformed or given
    twice."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    found = _HOST.fullmatch(given[0].strip()) if len(given) == 1 else None
    return found[1].lower().strip("[]") if found else ""


async def send_problem(
    send: Send, problem: Problem, request_id: str, *more: tuple[bytes, bytes], path: str = ""
) -> None:
    """Answer with a problem, in the shape of errors at `path`."""
    shown = error_answer(problem, path, request_id)
    headers = [(name.encode(), value.encode()) for name, value in shown.headers.items()]
    if shown.status == 408:
        headers.append((b"connection", b"close"))
    await _send(send, shown.status, shown.media_type.encode(), shown.body, [*headers, *more])


async def send_text(send: Send, status: int, body: bytes) -> None:
    """Answer with plain text."""
    await _send(send, status, b"text/plain; charset=utf-8", body, [(b"x-content-type-options", b"nosniff")])


async def _send(send: Send, status: int, media_type: bytes, body: bytes, more: list[tuple[bytes, bytes]]) -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
