"""One HTTP/1.1 connection as a client: a request written in one piece, an answer read by llhttp within bounds.

What llhttp refuses is read again by `TolerantReader`, and then the connection is not kept. An `Exchange` holds what is
known of one request and its answer at any moment, so that a deadline in the middle can still say what had happened.
RFC 9110 and 9112; decision record 0002 says why this is not a library, 0023 why a readable status counts.
"""

from __future__ import annotations

import asyncio
import re
import select
import ssl
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Final, Literal, cast

from httptools import HttpParserError, HttpResponseParser
from msgspec import Struct

from tellwire import __version__
from tellwire.errors import Forbidden
from tellwire.http_client.tls_errors import tls_cause
from tellwire.http_client.tolerant import ReadLimits, TolerantReader
from tellwire.ports.http_out import Failure, Request
from tellwire.security.addresses import ParsedTarget

ExchangePhase = Literal["", "dns", "connect", "tls", "send", "first_byte", "body"]
_DOING: Final[dict[ExchangePhase, str]] = {
    "": "waiting for its turn",
    "dns": "resolving the host name",
    "connect": "connecting",
    "tls": "agreeing on TLS",
    "send": "sending the request",
    "first_byte": "waiting for the headers",
    "body": "reading the body",
}

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_FOR_CALLERS: Final = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect")
)
_FRAMING: Final = frozenset(("content-length", "transfer-encoding"))
_USER_AGENT: Final = f"User-Agent: Tellwire/{__version__}\r\n"


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """How much of an answer is read and how many connections are kept. Sizes in bytes, times in seconds."""

    body: int = 16 * 1024
    head: int = 64 * 1024
    """of everything that comes before the body"""
    headers: int = 128
    """that are kept; the others are left out"""
    wire: int = 128 * 1024
    """of an answer as sent: chunk headers can outweigh the body"""
    connections: int = 512
    """open at once; above that, the one that is idle longest is closed"""
    idle_per_host: int = 64
    idle_seconds: float = 30.0
    connect_seconds: float = 3.0
    """for one address while others are left to try"""


class Exchange:
    """A request and its answer: the time of each phase, the answer as far as it came, and what went wrong."""

    __slots__ = (
        "_since", "_started", "allow_listed", "answered", "body", "cause", "complete", "durations", "failure",
        "headers", "may_send", "organization_id", "phase", "request", "status", "timeout", "truncated", "withheld",
        "written",
    )  # fmt: skip

    def __init__(
        self,
        request: bytes,
        timeout: float,
        may_send: Callable[[], bool] | None = None,
        organization_id: str = "",
    ) -> None:
        self.request = request
        self.organization_id = organization_id
        self.may_send = may_send
        self.withheld = False
        self.written = False  # a byte of it may have been sent
        self.timeout = timeout
        self.phase: ExchangePhase = ""
        self.durations: dict[str, float] = {}
        self.status = 0  # 0 until the headers are complete
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.answered = False  # a byte of an answer has come
        self.complete = False
        self.truncated = False
        self.allow_listed = False
        self.failure: Failure = ""
        self.cause = ""
        self._started = self._since = perf_counter()

    def enter(self, phase: ExchangePhase) -> None:
        """End the phase that runs and start another; "" only ends it."""
        now = perf_counter()
        if self.phase:
            self.durations[self.phase] = self.durations.get(self.phase, 0.0) + (now - self._since) * 1000
        self.phase = phase
        self._since = now

    def total(self) -> float:
        """Return milliseconds since the start."""
        return (perf_counter() - self._started) * 1000

    def fail(self, failure: Failure, cause: str) -> None:
        """Note why no whole answer came; the first reason stays."""
        if not self.failure:
            self.failure = failure
            self.cause = cause

    def expire(self) -> None:
        """Note that the deadline has passed, and in which phase."""
        doing = _DOING["first_byte" if self.answered and not self.status else self.phase]
        self.fail("timeout", f"no answer within {self.timeout:g} s (while {doing})")


def encode_request(request: Request, target: ParsedTarget) -> bytes:
    """Return a request as it goes over the wire; Host, Content-Length and a missing User-Agent are added here.

    Raises:
        Forbidden: a header that cannot be sent as it stands (line break, NUL, no token) or is not the caller's to set.
    """
    lines = [f"{request.method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\n"]
    agent = _USER_AGENT
    for given, value in request.headers:
        name = _checked(given)
        if _CONTROL.search(value):
            raise Forbidden(f"the header {name} cannot be sent: its value contains a line break or a control character")
        if len(name) == len("user-agent") and name.lower() == "user-agent":
            agent = ""
        lines.append(f"{name}: {value}\r\n")
    length = f"Content-Length: {len(request.body)}\r\n" if request.body or request.method != "GET" else ""
    lines.append(f"{agent}{length}\r\n")
    try:
        return "".join(lines).encode() + request.body
    except UnicodeEncodeError:
        raise Forbidden("a header cannot be sent: its value is not text") from None


@lru_cache(maxsize=1024)
def _checked(name: str) -> str:
    """Return the name of a header, if callers may set it.

    Raises:
        Forbidden: they may not.
    """
    if name.lower() in _NOT_FOR_CALLERS or not _NAME.fullmatch(name):
        raise Forbidden(f"the header {name!r} cannot be set")
    return name


class _Enough(Exception):  # noqa: N818 - nothing is wrong: it stops the parser
    """Raised in a callback to stop the parser: enough of the answer has been read."""


class Connection(asyncio.Protocol):
    """A connection that carries one exchange after the other; `lost` is called once when it is gone."""

    __slots__ = (
        "_allow_listed", "_exchange", "_limits", "_lost", "_parser", "_paused", "_raw", "_refusal", "_timer",
        "_tolerant", "_transport", "_waiter", "_wire", "reusable",
    )  # fmt: skip

    def __init__(self, limits: ConnectionLimits, lost: Callable[[Connection], None], *, allow_listed: bool) -> None:
        self._limits = limits
        self._lost = lost
        self._allow_listed = allow_listed
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None  # None while idle
        self._timer: asyncio.TimerHandle | None = None
        self._exchange = Exchange(b"", 0.0)
        self._paused = False
        self._wire = 0
        self._raw: list[bytes] = []  # the answer as it came, for the tolerant reader
        self._tolerant: TolerantReader | None = None
        self._refusal = ""  # why the parser gave the answer up
        self.reusable = False

    def run(self, exchange: Exchange, deadline: float) -> asyncio.Future[None]:
        """Write the exchange's request; the future is done once its answer is complete, cut, or known never to come.

        Args:
            exchange: filled in on the way.
            deadline: when to give up, by the loop's clock.
        """
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        self._exchange = exchange
        self._wire = 0
        exchange.allow_listed = self._allow_listed
        if self._transport is None or self._transport.is_closing():  # lost while it was idle
            self._end_of_stream(None)
            return waiter
        if exchange.may_send is not None and not exchange.may_send():
            exchange.withheld = True
            self._settle()
            return waiter
        self._timer = loop.call_at(deadline, self._expire)
        exchange.enter("send")
        exchange.written = True
        self._transport.write(exchange.request)
        if not self._paused:
            exchange.enter("first_byte")
        return waiter

    def closed_by_peer(self) -> bool:
        """Return whether the other side of an idle connection has closed it (or sent something unasked), also when the
        event loop has not seen that yet."""
        if self._transport is None or self._transport.is_closing():
            return True
        waiting = select.poll()
        waiting.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        """Close an idle connection in the orderly way of its protocol."""
        self.reusable = False
        if self._transport is not None:
            self._transport.close()

    def abort(self, cause: str = "") -> None:
        """Drop the connection at once; an exchange that runs on it fails with `cause` if no status has come."""
        self.reusable = False
        if self._waiter is not None:
            self._cut("broken", cause)
            self._settle()
        if self._transport is not None:
            self._transport.abort()

    def _expire(self) -> None:
        self._exchange.expire()
        self._settle()

    def _settle(self) -> None:
        waiter, self._waiter = self._waiter, None
        self._raw.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._exchange.enter("")
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- called by the transport --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1, low=0)  # resume_writing then means: all of it is out
        self.reusable = True

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._exchange.phase == "send":
            self._exchange.enter("first_byte")

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # bytes that no request asked for
            self.abort()
            return
        exchange = self._exchange
        if not exchange.answered:
            exchange.answered = True
            exchange.enter("body")
        self._wire += len(data)
        if self._tolerant is not None:
            self._read_on(self._tolerant, data)
        else:
            self._raw.append(data)
            try:
                self._parser.feed_data(data)
            except HttpParserError as error:
                self.reusable = False
                if not exchange.complete and not exchange.failure:
                    self._refusal = f"your server's answer is not valid HTTP: {error}"
                    self._read_on(self._read_again(), b"".join(self._raw))
        if not exchange.complete and self._wire > (self._limits.wire if exchange.status else self._limits.head):
            self._cut("protocol", "your server's answer has too many or too long headers")
        if exchange.complete or exchange.failure:
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.reusable = False
        if self._waiter is not None:
            self._end_of_stream(exc)
        self._lost(self)

    def _end_of_stream(self, exc: Exception | None) -> None:
        exchange = self._exchange
        if self._tolerant is not None:
            self._tolerant.end(orderly=exc is None)
            self._take_over(self._tolerant)
        elif exchange.status and exc is None and _until_close(exchange.headers):
            exchange.complete = True
        if not exchange.complete:
            how = "closed" if exc is None else "reset"
            where = "in the middle of its headers" if exchange.answered else "before answering"
            if isinstance(exc, ssl.SSLError):
                self._cut("tls", tls_cause(exc))
            else:
                self._cut("broken", f"your server {how} the connection {where}")
        self._settle()

    def _read_again(self) -> TolerantReader:
        """Begin to read with patience what the parser has refused or not understood yet."""
        self.reusable = False
        self._tolerant = TolerantReader(ReadLimits(self._limits.body, self._limits.headers))
        return self._tolerant

    def _read_on(self, reader: TolerantReader, data: bytes) -> None:
        reader.feed(data)
        self._take_over(reader)
        if reader.unreadable:
            self._cut("protocol", self._refusal)

    def _take_over(self, reader: TolerantReader) -> None:
        """Let the exchange have what the tolerant reader has read."""
        if reader.status:
            exchange = self._exchange
            exchange.status, exchange.headers, exchange.body = reader.status, reader.headers, reader.body
            exchange.truncated, exchange.complete = reader.truncated, reader.complete

    def _cut(self, failure: Failure, cause: str) -> None:
        """Stop reading: an answer whose status can be read counts, cut as it is; else the exchange has failed."""
        self.reusable = False
        exchange = self._exchange
        if not exchange.status:
            reader = self._tolerant
            if reader is None:
                reader = self._read_again()
                reader.feed(b"".join(self._raw))
            reader.end(orderly=False)
            self._take_over(reader)
        if exchange.status:
            exchange.truncated = exchange.complete = True
        else:
            exchange.fail(failure, cause)

    # --- called by the parser -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._exchange.complete:  # something follows the answer
            raise _Enough

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self._exchange
        if exchange.status:  # a trailer
            return
        known = name.decode("latin-1").lower()
        if len(exchange.headers) < self._limits.headers or known in _FRAMING:
            exchange.headers.append((known, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        status = self._parser.get_status_code()
        if status < 100 or status == 101 or self._parser.get_http_version() not in ("1.1", "1.0"):
            exchange.fail("protocol", "your server's answer is not an HTTP/1.1 answer to this request")
            raise _Enough
        if status < 200:  # 100 Continue and its like: the answer is still to come
            exchange.headers.clear()
        else:
            exchange.status = status

    def on_body(self, data: bytes) -> None:
        body = self._exchange.body
        left = self._limits.body - len(body)
        body += data[:left]
        if len(data) > left:
            self._exchange.truncated = self._exchange.complete = True
            raise _Enough

    def on_message_complete(self) -> None:
        if self._exchange.status:
            self._exchange.complete = True
            self.reusable = self.reusable and not self._paused and self._parser.should_keep_alive()


def _until_close(headers: list[tuple[str, str]]) -> bool:
    """Return whether the end of the connection is the end of the body (RFC 9112, section 6.3)."""
    return not any(
        name == "content-length" or (name == "transfer-encoding" and "chunked" in value.lower())
        for name, value in headers
    )
