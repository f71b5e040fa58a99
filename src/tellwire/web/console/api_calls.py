"""Call our own REST API for a page, in this process and as the person who looks at it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode

import msgspec
from litestar.types import ASGIApp
from msgspec import Struct

from tellwire.web import places
from tellwire.web.auth import KNOWN_CALLER, Caller

_JSON = (b"content-type", b"application/json")

Body = bytes | AsyncIterator[bytes]
"""A body, whole or as it comes."""


class ApiProblem(Exception):  # noqa: N818 - named after what is wrong
    """A call was refused; `status`, `detail` and `errors` are those of its problem (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail", ""))
        self.status = status
        self.detail: str = problem.get("detail", "")
        self.kind: str = str(problem.get("type", "")).rpartition(":")[2]
        self.errors: list[dict[str, str]] = list(problem.get("errors", ()))


class Part(Struct, frozen=True):
    """What a part of a page shows: `data`, or in words why it cannot be had."""

    data: Any = None
    problem: str = ""


class Api:
    """The REST API, as one caller sees it.

    Args:
        app: the routes.
        state: what the server keeps with a request: the app's state and the request's id.
    """

    def __init__(self, app: ASGIApp, state: Mapping[str, Any], caller: Caller) -> None:
        self._app = app
        self._state = state
        self._caller = caller

    async def get(self, path: str, **query: object) -> Any:
        """Return what a GET of `/v1` answers; parameters that are empty are left out.

        Raises:
            ApiProblem: it is refused.
        """
        return await self._call("GET", path, query)

    async def part(self, path: str, **query: object) -> Part:
        """Return what a GET answers, or why it cannot be had, for a page that shows the rest all the same."""
        try:
            return Part(await self._call("GET", path, query))
        except ApiProblem as problem:
            return Part(problem=problem.detail)

    async def send(self, method: str, path: str, body: object = None, *, once: str = "") -> Any:
        """Return what another call of `/v1` answers, None for nothing; with `once` it is done once.

        Raises:
            ApiProblem: it is refused.
        """
        return await self._call(method, path, {}, body, once=once)

    async def upload(
        self, path: str, file: AsyncIterator[bytes], fields: Mapping[str, str], *, name: str, mime_type: str, once: str
    ) -> Any:
        """Return what is answered to a form with a file (`file`) behind other fields; its bytes go on as they come.

        Raises:
            ApiProblem: it is refused.
        """
        boundary = secrets.token_hex(16)
        name, kind = (quote(each, safe=" /.-_()+;=") for each in (name, mime_type))
        heads = [f'name="{each}"\r\n\r\n{value}\r\n' for each, value in fields.items()]
        heads.append(f'name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n')
        head = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {each}" for each in heads)

        async def form() -> AsyncIterator[bytes]:
            yield head.encode()
            async for chunk in file:
                yield chunk
            yield f"\r\n--{boundary}--\r\n".encode()

        headers = [(b"content-type", f"multipart/form-data; boundary={boundary}".encode())]
        return await self._answer("POST", path, b"", [*headers, *_once(once)], form())

    async def _call(
        self, method: str, path: str, query: Mapping[str, object], body: object = None, once: str = ""
    ) -> Any:
        sent = b"" if body is None else msgspec.json.encode(body)
        headers = [(b"content-length", str(len(sent)).encode()), *_once(once), *([_JSON] if body is not None else [])]
        given = {name: str(value) for name, value in query.items() if value not in ("", None)}
        return await self._answer(method, path, urlencode(given).encode(), headers, sent)

    async def _answer(
        self, method: str, path: str, query: bytes, headers: Sequence[tuple[bytes, bytes]], body: Body
    ) -> Any:
        state = {**self._state, KNOWN_CALLER: self._caller}
        headers = [(b"accept", b"application/json"), *headers]
        status, answer = await fetched(self._app, state, method, f"/v1{path}", query=query, headers=headers, body=body)
        found = msgspec.json.decode(answer) if answer else None
        if status >= 400:
            raise ApiProblem(status, found if isinstance(found, dict) else {})
        return found


def _once(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"idempotency-key", key.encode())] if key else []


async def _messages(body: Body) -> AsyncIterator[Any]:
    if isinstance(body, bytes):
        yield {"type": "http.request", "body": body, "more_body": False}
        return
    async for chunk in body:
        yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


async def fetched(
    app: ASGIApp,
    state: Mapping[str, Any],
    method: str,
    path: str,
    *,
    query: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    body: Body = b"",
) -> tuple[int, bytes]:
    """Return the status and the body of an answer of the routes; `path` and `query` as they stand in a URL."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": None,
        "server": None,
        "state": dict(state),
    }
    answer = _Collected()
    messages = _messages(body)

    async def receive() -> Any:
        return await anext(messages, {"type": "http.disconnect"})

    try:
        await app(scope, receive, answer)  # type: ignore[arg-type]
    finally:
        if (place := places.of(scope)) is not None:
            place.leave()
    return answer.status, answer.body


class _Collected:
    """An answer, collected."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    async def __call__(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
