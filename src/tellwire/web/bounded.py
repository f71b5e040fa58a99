"""Bound what a connection may send and how long it may take (docs/reference/rest-api.md, "Limits").

uvicorn's protocol gives every byte to llhttp and has no deadlines. Here a head is collected within its bounds and parsed
as a whole; the body's length decides where the next head begins, llhttp never sees a body or a trailer. While a request
is not answered what follows it waits as bytes. Deadlines cost no timers: a register looks at every connection
now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from enum import Enum, auto
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from tellwire.web import bounds as rules
from tellwire.web.bounds import BodyProgress, CloseReason, ReadingProgress, Refusal
from tellwire.web.chunked import ChunkedBody, NotChunked
from tellwire.web.connections import Connections, Peer
from tellwire.web.problems import MEDIA_TYPE, problem_body, problem_of
from tellwire.web.sockets import unsent

_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"expect"))
_LONGEST_LENGTH = 15
"""Digits of a Content-Length."""
_VERSIONS = frozenset(("1.0", "1.1"))
_NOT_HTTP = rules.malformed("This is not HTTP/1.1.")


class _State(Enum):
    HEAD = auto()
    """A head is next, or has begun."""
    BODY = auto()
    CHUNKED = auto()
    ANSWERING = auto()
    """The request is there, its answer is not; what comes now waits."""
    OVER = auto()
    """Nothing more is read: what comes is thrown away until the connection ends."""


_HEAD, _BODY, _CHUNKED, _ANSWERING, _OVER = _State


class _Deaf:
    """What a parser calls that is only asked whether bytes are HTTP."""


class BoundedProtocol(HttpToolsProtocol):
    """The HTTP protocol of one connection, within bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
        peer: Peer,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.peer = peer
        self._connections = connections
        self._bounds = connections.bounds
        self._state = _HEAD
        self._held = b""  # a head that has not ended, or what waits for an answer
        self._searched = 0  # of a head that has not ended, for its end
        self._requests = 0
        self._started = False  # the request whose head is parsed
        self._fault: Refusal | None = None
        self._length: int | None = None
        self._is_chunked = False
        self._left = self._received = self._unread = self._over = 0
        self._chunks: ChunkedBody | None = None
        self._watched: tuple[_State, int, bool] | None = None  # what the last look saw: the state, and of which request
        self._watched_since = 0.0
        self._body_progress: BodyProgress | None = None
        self._reading_progress: ReadingProgress | None = None
        connections.enter(self)

    # --- called by the transport --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._connections.idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._state, self._held = _OVER, b""
        self._connections.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, however it is cut."""
        if self._held:
            data, self._held = self._held + data, b""
        while data:
            match self._state:
                case _State.HEAD:
                    data = self._take_head(data)
                case _State.BODY:
                    data = self._take_body(data)
                case _State.CHUNKED:
                    data = self._take_chunks(data)
                case _State.ANSWERING:
                    self._wait_with(data)
                    return
                case _State.OVER:
                    self._throw_away(len(data))
                    return

    # --- heads --------------------------------------------------------------------------------------------------------

    def _take_head(self, data: bytes) -> bytes:
        """Parse a head if it is there; return what follows it."""
        if data[0] in b"\r\n":
            data = data.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines before a request
            if not data:
                return data
        most = self._bounds.head
        end = data.find(b"\r\n\r\n", self._searched, most) + 4
        if end < 4:
            self._take_part_of_head(data, most)
            return b""
        self._searched = 0
        head = data[:end]
        if head.count(b"\n") - 2 > self._bounds.fields:
            self._refuse(_fault_of_line(head) or rules.too_many_fields(self._bounds))
            return b""
        refusal = self._parse(head)
        if refusal is not None:
            self._refuse(refusal)
            return b""
        self._connections.busy(self)
        if self._is_chunked:
            self._state, self._chunks = _CHUNKED, ChunkedBody()
        elif self._left:
            self._state = _BODY
        else:
            self._end_message()
        return data[end:]

    def _take_part_of_head(self, data: bytes, most: int) -> None:
        if len(data) >= most:
            allowed = data[:most]
            self._refuse(_fault_of_line(allowed) or rules.oversized(allowed, self._bounds))
            return
        if not self._searched or b"\n" in data[self._searched :]:
            fault = _fault_of_line(data)  # said at once, where it can be known
            if fault is not None:
                self._refuse(fault)
                return
        self._held = data
        self._searched = max(len(data) - 3, 0)

    def _parse(self, head: bytes) -> Refusal | None:
        self._requests += 1
        self._started = False
        self.parser = HttpRequestParser(self)
        try:
            self.parser.feed_data(head)
        except HttpParserUpgrade:
            pass  # RFC 9110, 7.8: an upgrade may be ignored
        except HttpParserError:
            return self._fault or _NOT_HTTP
        return None if self._started else self._fault or _NOT_HTTP

    def on_message_begin(self) -> None:
        """Begin a request, at its first line."""
        super().on_message_begin()
        self._fault = self._length = None
        self._is_chunked = False
        self._left = self._received = self._unread = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        name = name.lower()
        if name in _FRAMING:
            self._frame(name, value)
        self.headers.append((name, value))

    def _frame(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding":
            if self._is_chunked or value.lower() != b"chunked":
                self._fault = rules.malformed("Transfer-Encoding takes `chunked`, once.")
            self._is_chunked = True
        elif self._length is not None or not value.isdigit() or len(value) > _LONGEST_LENGTH:
            self._fault = rules.malformed("Content-Length takes one number.")
        else:
            self._length = self._left = int(value)

    def on_headers_complete(self) -> None:
        """Start the request, if its head is in order."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            self._fault = _NOT_HTTP
        elif self._is_chunked and (self._length is not None or version != "1.1"):
            self._fault = rules.malformed("Transfer-Encoding stands beside Content-Length, or before HTTP/1.1.")
        elif len(self.url) > self._bounds.url:
            self._fault = rules.url_too_long(self._bounds)
        if self._fault is None:
            super().on_headers_complete()
            self._started = True

    def on_body(self, body: bytes) -> None:
        """Refuse what llhttp takes for a body: it only gets heads."""
        self._fault = rules.malformed("The head ends before its end.")

    def on_message_complete(self) -> None:
        """Leave the end of a request to its length."""

    # --- bodies -------------------------------------------------------------------------------------------------------

    def _take_body(self, data: bytes) -> bytes:
        body, rest = data[: self._left], data[self._left :]
        self._left -= len(body)
        self._add(body)
        if not self._left:
            self._end_message()
        return rest

    def _take_chunks(self, data: bytes) -> bytes:
        try:
            body, rest = self._chunks.feed(data)  # type: ignore[union-attr]
        except NotChunked as error:
            self._refuse(rules.malformed(f"The body is not chunked: {error}."))
            return b""
        self._add(body)
        if rest is None:
            return b""
        self._end_message()
        return rest

    def _add(self, body: bytes) -> None:
        cycle = self.cycle
        self._received += len(body)
        if cycle.response_complete:
            self._unread += len(body)
            if self._unread > self._bounds.unread:
                self._close("too_much_unread")
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _end_message(self) -> None:
        if self._state is _OVER:
            return
        self._chunks = self._body_progress = None
        cycle = self.cycle
        if cycle.response_complete:
            self._state = _HEAD
            return
        self._state = _ANSWERING
        cycle.more_body = False
        cycle.message_event.set()

    # --- answers ------------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Go on with what waits behind the request that was answered."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._state is _OVER:
            return
        self._connections.idle(self)
        if self._state is not _ANSWERING:
            if self.expect_100_continue:
                self._linger()  # whether the body still comes is for the client to choose, so nobody knows what is next
            else:
                self.flow.resume_reading()
            return
        self._state = _HEAD
        self.flow.resume_reading()
        if self._held:
            self.data_received(b"")

    def _wait_with(self, data: bytes) -> None:
        self.flow.pause_reading()
        if len(data) <= self._bounds.pipelined:
            self._held = data
        elif self.cycle.keep_alive:
            self._connections.closed("pipelined", self.peer)
            self.cycle.keep_alive = False  # it is closed after this answer

    # --- ends ---------------------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """Close the connection at once."""
        self._state, self._held = _OVER, b""
        if self.transport is not None:
            self.transport.abort()

    def _close(self, reason: CloseReason) -> None:
        self._connections.closed(reason, self.peer)
        self.drop()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer that a request is not read any further, and close."""
        self._connections.closed(refusal.reason, self.peer)
        cycle = self.cycle
        answered = self._state is not _HEAD and cycle.response_started
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if answered:
            self.drop()
            return
        self._write(refusal)
        self._linger()

    def _write(self, refusal: Refusal) -> None:
        problem = problem_of(refusal.status, refusal.kind, refusal.detail)
        request_id = f"req_{uuid.uuid4().hex}"
        body = problem_body(problem, request_id)
        fields = (
            *self.server_state.default_headers,
            (b"x-request-id", request_id.encode()),
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        )
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[refusal.status], lines, body))

    def _linger(self) -> None:
        """Close in a moment: a connection that is closed while bytes come in may take the answer with it."""
        self._state, self._held = _OVER, b""
        self._connections.idle(self)
        self.flow.resume_reading()
        with contextlib.suppress(OSError, RuntimeError):  # the client has closed it meanwhile
            self.transport.write_eof()

    def _throw_away(self, count: int) -> None:
        self._over += count
        if self._over > self._bounds.linger:
            self.drop()

    # --- deadlines ----------------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Close the connection if it has not gone on for too long; called now and then."""
        if self.flow is None:
            return
        if self.flow.write_paused or self.transport.is_closing():
            self._look_at_writing(now)
            return
        self._reading_progress = None
        seen = (self._state, self._requests, bool(self._held and self._requests))
        if seen != self._watched:
            self._watched, self._watched_since = seen, now
            self._body_progress = None
            if self._state in (_BODY, _CHUNKED):
                self._body_progress = BodyProgress(self._bounds, now=now, received=self._received)
            return
        self._look_at_reading(now, waited=now - self._watched_since)

    def _look_at_reading(self, now: float, waited: float) -> None:
        match self._state:
            case _State.HEAD if self._held or not self._requests:
                if waited >= self._bounds.head_seconds:
                    self._give_up_head()
            case _State.HEAD:
                if waited >= self._bounds.idle_seconds:
                    self.transport.close()
            case _State.BODY | _State.CHUNKED:
                if self._body_progress is not None and self._body_progress.is_late(
                    now=now, received=self._received, held_up=self.flow.read_paused or self._awaits_100
                ):
                    self._refuse(rules.LATE_BODY)
            case _State.OVER:
                if waited >= self._bounds.linger_seconds:
                    self.drop()
            case _State.ANSWERING:
                pass

    @property
    def _awaits_100(self) -> bool:
        return self.cycle.waiting_for_100_continue

    def _give_up_head(self) -> None:
        if self._held:
            self._refuse(rules.late_head(self._bounds))
        else:
            self._close("head_timeout")

    def _look_at_writing(self, now: float) -> None:
        left = unsent(self.transport)
        if self._reading_progress is None:
            self._reading_progress = ReadingProgress(self._bounds, now=now, left=left)
        elif self._reading_progress.is_late(now=now, left=left):
            self._close("slow_reader")


def _fault_of_line(data: bytes) -> Refusal | None:
    """Return why a head cannot be one of HTTP/1.1, as its first byte says, and its first line once that is there."""
    if not data[:1].isupper():
        return _NOT_HTTP
    end = data.find(b"\n") + 1
    if not end:
        return None
    parser = HttpRequestParser(_Deaf())
    try:
        parser.feed_data(data[:end])
    except (HttpParserError, HttpParserUpgrade):
        return _NOT_HTTP
    return None if parser.get_http_version() in _VERSIONS else _NOT_HTTP
