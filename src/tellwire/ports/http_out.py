"""HTTP to subscribers and to Meta's Graph API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from msgspec import Struct

from tellwire.model.units import HOUR, MICROS, Micros, micros

LONGEST_WAIT = 6 * HOUR
"""How much of a Retry-After counts."""


def retry_after(headers: Iterable[tuple[str, str]], now: Micros) -> Micros:
    """How long the answer asks us to wait (RFC 9110 section 10.2.3: seconds or a date), at most 6 h; 0 when it doesn't
    or when it can't be read."""
    for name, value in headers:
        if name.lower() == "retry-after":
            return max(0, min(_wait(value.strip(), now), LONGEST_WAIT))
    return 0


def _wait(value: str, now: Micros) -> Micros:
    if value.isascii() and value.isdigit():
        return int(value[:9]) * MICROS if len(value) < 10 else LONGEST_WAIT
    try:
        at = parsedate_to_datetime(value)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
    return micros(seconds) - now


Failure = Literal["", "refused", "dns", "tls", "timeout", "forbidden", "broken", "protocol"]
"""Why no answer came: "" when one did. All but "" and "protocol" speak of the endpoint as a whole."""


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request out. `timeout` in seconds over everything, DNS to the end of the answer's body.

    `may_send` is asked right before the first byte is written: a process that was frozen meanwhile has lost its leave.
    `once`: what may have been written is never written again, not even when a kept connection turns out to be closed.
    """

    url: str
    method: Literal["POST", "GET", "DELETE"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 15.0
    may_send: Callable[[], bool] | None = None
    once: bool = False


class Answer(Struct, frozen=True, kw_only=True):
    """What came back. `cause` says in plain words what went wrong ("connection refused", "certificate expired on …",
    "redirects are not followed", "your server answered 401"), "" for a 2xx. `body` is cut to 16 KiB.
    `durations`: milliseconds by phase (dns, connect, tls, send, first_byte, body, total; the phases that ran).
    `allow_listed`: an address of the allow list was connected to, so the body may be a private network's.
    `withheld`: `may_send` said no, so nothing was sent; there is no answer, and nobody failed.
    `written`: some of the request may have left, so the other side may have acted on it.
    """

    status: int = 0
    failure: Failure = ""
    cause: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    durations: dict[str, float] = {}
    allow_listed: bool = False
    withheld: bool = False
    written: bool = False

    @property
    def ok(self) -> bool:
        """Whether the receiver took it: a 2xx and nothing else."""
        return not self.failure and 200 <= self.status < 300


class Sender(Protocol):
    """HTTP out with a total deadline, no redirects, a bounded read and an address check before each connection."""

    async def send(self, request: Request) -> Answer:
        """Never raises for what the other side does: every failure is an `Answer`."""
        ...

    async def close(self) -> None: ...


class Graph(Protocol):
    """Meta's Graph API, as JSON calls; nothing here says what an answer means."""

    async def ask(
        self,
        token: str,
        path: str,
        *,
        method: Literal["GET", "POST", "DELETE"] = "GET",
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        may_send: Callable[[], bool] | None = None,
        timeout_seconds: float = 20.0,
    ) -> Answer:
        """Ask below META_GRAPH_URL; never raises for what the other side does.

        Args:
            token: the account's access token, sent as Bearer to that host only.
            path: without leading slash (`<phone_number_id>/messages`).
            body: JSON, for a POST.
            timeout_seconds: over everything.
        """
        ...

    async def close(self) -> None: ...
