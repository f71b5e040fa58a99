"""HTTP to subscribers and to Meta's Graph API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.units import HOUR, MICROS, Micros, micros

LONGEST_WAIT = 6 * HOUR
"""How much of a Retry-After counts."""


def retry_after(headers: Iterable[tuple[str, str]], now: Micros) -> Micros:
    """Return how long an answer asks us to wait, in micros and at most 6 h; 0 without a readable Retry-After.

    Source: RFC 9110, section 10.2.3: seconds or a date.
    """
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
"""Why no answer came: "" when one did. All but "" and "protocol" concern the endpoint as a whole, not one delivery."""


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request out. `timeout` in seconds over everything, DNS to the end of the answer's body.

    `may_send` is called right before the first byte is written: a process that was frozen before may have lost its
    lease. `once`: what may have been written is never written again, not even when a kept connection turns out to be
    closed. `organization_id`: for whom it is made, so that look-ups of names are shared fairly.
    """

    url: str
    method: Literal["POST", "GET", "DELETE", "OPTIONS"] = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 15.0
    may_send: Callable[[], bool] | None = None
    once: bool = False
    organization_id: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    """The result of a request. `cause` says in plain words what went wrong ("connection refused", "certificate expired
    on …", "redirects are not followed", "your server answered 401"), "" for a 2xx. `body` is cut to 16 KiB.
    `truncated`: it is not the whole one, or nobody can say whether it is; the status counts all the same.
    `durations`: milliseconds by phase (dns, connect, tls, send, first_byte, body, total; the phases that ran).
    `withheld`: `may_send` returned False, so nothing was sent; there is no answer, and that is no failure. `written`: a
    byte of the request may have been sent, so the other side may have acted on it.

    Everything but `hidden` may be shown to whoever chose the URL. What came from an allow-listed address is a private
    network's: it is made with `without_what_was_said`, and only code that parses it looks at `actual`.
    """

    status: int = 0
    failure: Failure = ""
    cause: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    durations: dict[str, float] = {}
    withheld: bool = False
    written: bool = False
    hidden: Answer | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver accepted the request, that is, answered 2xx."""
        return not self.failure and 200 <= self.status < 300

    @property
    def actual(self) -> Answer:
        """The answer as it came, for code that parses it and shows nothing of it."""
        return self if self.hidden is None else self.hidden


def without_what_was_said(answer: Answer) -> Answer:
    """Return an answer of a private network as it may be shown: without headers and body, which stay in `actual`.

    What is left is the status and our own account of how it went, in words that quote nothing of the other side.

    Source: docs/reference/delivery.md, "What is told of answers".
    """
    return replace(answer, headers=(), body=b"", truncated=False, hidden=answer)


class Sender(Protocol):
    """HTTP out with a total deadline, no redirects, a bounded read and an address check before each connection."""

    async def send(self, request: Request) -> Answer:
        """Send a request; whatever the other side does is an `Answer`, never an exception."""
        ...

    async def close(self) -> None: ...


class Graph(Protocol):
    """Meta's Graph API as JSON calls; what an answer means is for the caller."""

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
        """Make one call below META_GRAPH_URL; whatever the other side does is an `Answer`, never an exception.

        Args:
            token: the account's access token, sent as Bearer to that host only.
            path: without leading slash (`<phone_number_id>/messages`).
            body: JSON, for a POST.
            timeout_seconds: over everything.
        """
        ...

    async def close(self) -> None: ...
