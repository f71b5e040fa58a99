"""Call a running server: its REST API, and streams of Server-Sent Events. Synchronous and light, for commands."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from tellwire.cli import FAILED, MISUSED, NO_SERVER, NOT_FOUND
from tellwire.errors import BadSettings, TellwireError

_SECONDS = 30.0
_PAGE = 200
_EXIT_CODES = {400: MISUSED, 404: NOT_FOUND, 413: MISUSED, 415: MISUSED, 422: MISUSED}


class NoServer(TellwireError):  # noqa: N818 - what is there, or is not
    """The server does not answer; the text names its URL, and how to start it."""

    exit_code = NO_SERVER


class Rejected(TellwireError):  # noqa: N818 - an answer of the server
    """An answer that is not 2xx: its status, and its problem in words."""

    def __init__(self, status: int, said: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(said)
        self.status = status
        self.problem = problem or {}
        self.exit_code = _EXIT_CODES.get(status, FAILED)


class ServerEvent(Struct, frozen=True):
    """One Server-Sent Event."""

    id: str
    event: str
    data: str


class Client:
    """A caller of one server with one key.

    Args:
        url: where the server is reached; a path in it is the sub-path that a proxy serves it under.
        organization: the organization to act in, "" for the key's own.
        host: the name that the server answers to (its ALLOWED_HOSTS), where that is not the URL's.
        start_hint: how to start the server, told when nothing answers.

    Raises:
        BadSettings: the URL is none.
    """

    is_server = True

    def __init__(self, url: str, key: str, *, organization: str = "", host: str = "", start_hint: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise BadSettings(
                f"a server's URL is like https://tellwire.example.com or http://127.0.0.1:8700; not {url}"
            )
        for what, given in (("an API key", key), ("the id of an organization", organization), ("a host", host)):
            if not (given.isascii() and given.isprintable()):  # said here: http.client would quote it
                raise BadSettings(f"{what} has letters, digits and signs only, no line breaks and no others")
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._place = parts.netloc.rpartition("@")[2]
        self._base = parts.path.rstrip("/")
        self._start_hint = start_hint
        self._headers = {"Content-Type": "application/json", "Connection": "close"}  # each call has its own
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        if host:
            self._headers["Host"] = host
        if organization:
            self._headers["Tellwire-Organization"] = organization

    def call(
        self, method: str, *path: str, body: object = None, query: Mapping[str, str] | None = None, once: str = ""
    ) -> Any:
        """Return the JSON of a call's answer, None when it has no content.

        Args:
            path: what follows /v1, in parts.
            once: the `Idempotency-Key` of a POST.

        Raises:
            Rejected: the answer is not 2xx; the text says why, field by field.
            NoServer: there is no answer.
        """
        content = None if body is None else msgspec.json.encode(body)
        status, answer = self.exchange(method, v1(*path), query=query, body=content, once=once)
        document = _decoded(answer)
        if not 200 <= status < 300:
            raise rejected(status, document)
        return document

    def pages(self, *path: str, query: Mapping[str, str] | None = None) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list, newest first, as the API gives them."""
        asked = {"limit": str(_PAGE), **(query or {})}
        while True:
            page = self.call("GET", *path, query=asked)
            yield page["data"]
            if page["next_cursor"] is None:
                return
            asked["cursor"] = page["next_cursor"]

    def every(self, *path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return all rows of a list, newest first."""
        return [row for page in self.pages(*path, query=query) for row in page]

    def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        once: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = _SECONDS,
    ) -> tuple[int, bytes]:
        """Return the status and the bytes of any answer; `path` begins with a slash, below the server's own path.

        Raises:
            NoServer: there is no answer.
        """
        more = {**(headers or {}), **({"Idempotency-Key": once} if once else {})}
        answer = self._ask(method, _target(path, query), body=body, headers=more, timeout=timeout)
        try:
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            raise self._gone(error) from None
        finally:
            answer.close()

    def stream(
        self, *path: str, query: Mapping[str, str] | None = None, after: str = "", silence: float = _SECONDS
    ) -> Iterator[ServerEvent]:
        """Yield the events of a stream until it ends.

        Args:
            path: what follows /v1, in parts.
            after: the id of the last event that was seen (`Last-Event-ID`).
            silence: seconds without a byte, a comment of the server's included, after which it counts as broken.

        Raises:
            Rejected: the answer is not 2xx.
            NoServer: there is no server, or the stream broke off.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        answer = self._ask("GET", _target(v1(*path), query), body=None, headers=headers, timeout=silence)
        try:
            if answer.status != 200:
                raise rejected(answer.status, _decoded(answer.read()))
            yield from _events(answer)
        except (OSError, HTTPException) as error:
            raise self._gone(error) from None
        finally:
            answer.close()

    def streams(self, *path: str, seconds: float) -> bool:
        """Return whether the first bytes of a stream come within so many seconds of silence: no proxy holds them back.

        Raises:
            Rejected: the answer is not 2xx.
        """
        try:
            answer = self._ask("GET", v1(*path), body=None, headers={"Accept": "text/event-stream"}, timeout=seconds)
        except NoServer:
            return False
        try:
            if answer.status != 200:
                raise rejected(answer.status, _decoded(answer.read()))
            return bool(answer.read1(1))
        except (OSError, HTTPException):
            return False
        finally:
            answer.close()

    def _ask(
        self, method: str, target: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> HTTPResponse:
        connection: HTTPConnection | None = None
        try:
            connection = (
                HTTPSConnection(self._place, timeout=timeout, context=ssl.create_default_context())
                if self._secure
                else HTTPConnection(self._place, timeout=timeout)
            )
            connection.request(method, self._base + target, body, {**self._headers, **headers})
            return connection.getresponse()
        except (OSError, HTTPException, ValueError) as error:
            if connection is not None:
                connection.close()
            raise self._gone(error) from None

    def _gone(self, error: Exception) -> NoServer:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = f"; {self._start_hint}" if self._start_hint else ""
        return NoServer(f"no answer from the server at {self.url}: {why}{hint}")


def v1(*path: str) -> str:
    """Return the path of a call of the REST API."""
    return "/v1/" + "/".join(quote(part, safe="") for part in path)


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def rejected(status: int, document: Any) -> Rejected:
    """Return the error for an answer that is not 2xx: its detail, and each field that is wrong."""
    if not isinstance(document, dict):
        return Rejected(status, f"the server answered {status} and gave no reason: is it Tellwire, and the right path?")
    faults = [f"{each['pointer'].lstrip('/')} {each['message']}" for each in document.get("errors") or ()]
    said = " ".join([str(document.get("detail", "")), "; ".join(faults)]).strip()
    return Rejected(status, said or f"the server answered {status}", document)


def _decoded(answer: bytes) -> Any:
    try:
        return msgspec.json.decode(answer) if answer else None
    except msgspec.DecodeError:
        return answer.decode("utf-8", "replace")


def _events(lines: HTTPResponse) -> Iterator[ServerEvent]:
    """Yield events after https://html.spec.whatwg.org/multipage/server-sent-events.html; comments are left out."""
    last, kind, data = "", "message", list[str]()
    for raw in lines:
        line = raw.decode().rstrip("\r\n")
        if not line:
            if data:
                yield ServerEvent(last, kind, "\n".join(data))
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                last = value
            case "event":
                kind = value
            case "data":
                data.append(value)
