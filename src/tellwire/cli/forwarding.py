"""POST a pulled delivery to code on this machine, byte for byte, and tell what came back."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urljoin, urlsplit

from msgspec import Struct

from tellwire.errors import BadSettings

MOST_SHOWN = 4096
"""Bytes of an answer that are kept."""
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection"))
"""Headers that are of a connection, and ours."""
NOBODY_THERE = frozenset(("refused", "dns"))
"""Failures after which nothing was sent, so that the delivery may go on waiting."""


class Forwarded(Struct, frozen=True):
    """What came back: a status, or the kind of failure (the API's words) and its cause."""

    url: str
    status: int
    milliseconds: float
    failure: str = ""
    cause: str = ""
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether it was a 2xx."""
        return 200 <= self.status < 300


class Forwarder:
    """Sends deliveries on.

    Args:
        url: where to.
        paths: event name (`*` stands for anything) → another URL, or a path beside `url`.
        headers: set on every request, also in the place of one of the delivery's.
        seconds: how long an answer may take.

    Raises:
        BadSettings: a URL is none that can be posted to, or a header is of the connection.
    """

    def __init__(
        self, url: str, *, paths: Mapping[str, str], headers: Sequence[tuple[str, str]], seconds: float
    ) -> None:
        self._url = checked_url("--forward-to", url)
        self._paths = {name: checked_url("--path", urljoin(self._url, other)) for name, other in paths.items()}
        self._headers = headers
        self._replaced = {name.lower() for name, _ in headers}
        if framing := sorted(self._replaced & _FRAMING):
            raise BadSettings(f"--header cannot set {framing[0]}: it is of the connection")
        self._seconds = seconds

    def url_of(self, event: str) -> str:
        """Return where an event of this name goes."""
        return next((url for name, url in self._paths.items() if fnmatchcase(event, name)), self._url)

    def send(self, event: str, headers: Sequence[tuple[str, str]], body: bytes) -> Forwarded:
        """POST a body; whatever the other side does is a result."""
        url, began = self.url_of(event), time.perf_counter()
        try:
            answer, begun = self._post(urlsplit(url), headers, body)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a header that HTTP has no place for
            return Forwarded(url, 0, _millis(began), *_failure(error))
        if not 100 <= answer.status < 600:
            return Forwarded(url, 0, _millis(began), "protocol", f"{answer.status} is no status of HTTP")
        return Forwarded(url, answer.status, _millis(began), body=begun)

    def _post(self, parts: SplitResult, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[HTTPResponse, bytes]:
        host, port = parts.hostname or "", parts.port
        connection = (
            HTTPSConnection(host, port, timeout=self._seconds, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(host, port, timeout=self._seconds)
        )
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.putrequest("POST", target, skip_host="host" in self._replaced, skip_accept_encoding=True)
            kept = [each for each in headers if each[0].lower() not in {*self._replaced, *_FRAMING, "host"}]
            for name, value in (*kept, *self._headers, ("content-length", str(len(body)))):
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read(MOST_SHOWN)
        finally:
            connection.close()


def checked_url(option: str, url: str) -> str:
    """Return a URL that can be posted to.

    Raises:
        BadSettings: it is none.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isascii()
        valid = valid and url.isprintable() and " " not in url and parts.username is None
    except ValueError:
        valid = False
    if not valid:
        raise BadSettings(f"{option} takes a URL like http://localhost:3000/webhook; not {url}")
    return url


def _failure(error: Exception) -> tuple[str, str]:
    """Return the kind of a failure and its cause in words."""
    match error:
        case ConnectionRefusedError():
            return "refused", "connection refused"
        case socket.gaierror():
            return "dns", "no such host"
        case TimeoutError():
            return "timeout", "no answer in time"
        case ssl.SSLError():
            return "tls", f"TLS: {error.reason or 'failed'}"[:200]
        case ValueError():
            return "protocol", "its headers or URL have characters that HTTP has no place for"
        case HTTPException():
            return "protocol", f"the answer is no HTTP ({type(error).__name__})"
        case _:
            return "broken", f"the connection broke ({type(error).__name__})"


def _millis(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
