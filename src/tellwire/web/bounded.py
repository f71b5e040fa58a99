"""Bound what a connection may send and how long it may take (docs/reference/rest-api.md, "Limits").

uvicorn's protocol gives every byte to llhttp and has no deadlines. Here a head is collected within its bounds and
parsed as a whole; the body's length decides where the next head begins, llhttp never sees a body or a trailer. While a
request is not answered what follows it waits as bytes. Deadlines cost no timers: a register looks at every connection
now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from enum import Enum, auto
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tellwire.web import bounds as rules
from tellwire.web.bounds import BodyProgress, CloseReason, ReadingProgress, Refusal
from tellwire.web.chunked import ChunkedBody, NotChunked
from tellwire.web.connections import Connections, Peer
from tellwire.web.error_answers import error_answer
from tellwire.web.heads import Head, read_head, refusal_of_part
from tellwire.web.sockets import unsent


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
        self._left = self._received = self._unread = self._over = 0
        self._renewed = 0  # how much of a body had come when the connection last began to wait anew
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
        self._connections.waits(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._state, self._held = _OVER, b""
        self._connections.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client does not take its answer."""
        super().pause_writing()
        if self._state is not _OVER:
            self._connections.waits(self)

    def resume_writing(self) -> None:
        """Note that the client has taken what was written."""
        super().resume_writing()
        if self._state is _ANSWERING:
            self._connections.busy(self)
        elif self._state is not _OVER:
            self._connections.waits(self)

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
        """Start a request if its head is there; return what follows the head."""
        if data[0] in b"\r\n":
            data = data.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines before a request
            if not data:
                return data
        end = data.find(b"\r\n\r\n", self._searched, self._bounds.head) + 4
        if end < 4:
            refusal = refusal_of_part(data, self._bounds, looked_at=self._searched)
            if refusal is not None:
                self._refuse(refusal)
            else:
                self._held, self._searched = data, max(len(data) - 3, 0)
            return b""
        self._searched = 0
        self._requests += 1
        head = read_head(data[:end], self._bounds)
        if isinstance(head, Refusal):
            self._refuse(head)
            return b""
        return self._start(head, data[end:])

    def _start(self, head: Head, rest: bytes) -> bytes:
        """Start a request; return what follows its body, as far as that is there."""
        if self.flow.write_paused:
            self._connections.waits(self)  # by the answer to the request before
        else:
            self._connections.busy(self)
        self.expect_100_continue = head.expects_100
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": "",
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.fields,
            "state": self.app_state.copy(),
        }
        self.cycle = cycle = RequestResponseCycle(
            scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            head.expects_100,
            not head.closes and head.version == "1.1",
            self.on_response_complete,
        )
        self._start_asgi_task(cycle, self.app)
        self._received = self._unread = self._renewed = 0
        if head.is_chunked:
            self._state, self._chunks = _CHUNKED, ChunkedBody()
            self._connections.waits(self)
            return rest
        length = head.length or 0
        if len(rest) < length:
            self._state, self._left = _BODY, length
            self._connections.waits(self)
            return rest
        # Nearly always: all of it is there.
        self._state = _ANSWERING
        if length:
            cycle.body += rest[:length]
        cycle.more_body = False
        cycle.message_event.set()
        return rest[length:]

    # --- bodies -------------------------------------------------------------------------------------------------------

    def _take_body(self, data: bytes) -> bytes:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            self._add(data)
            return b""
        self._left = 0
        self._add(data[:left])
        self._end_message()
        return data[left:]

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
        if self._received - self._renewed >= self._bounds.body_renews:
            self._renewed = self._received
            self._connections.waits(self)  # as of now
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
        if not self.flow.write_paused:
            self._connections.busy(self)
        cycle.more_body = False
        cycle.message_event.set()

    # --- answers ------------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Go on with what waits behind the request that was answered."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._state is _OVER:
            return
        self._connections.waits(self)
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
        request_id = f"req_{uuid.uuid4().hex}"
        path = "" if self._state is _HEAD else self.cycle.scope["path"]
        shown = error_answer(refusal.problem, path, request_id)
        fields = (
            *self.server_state.default_headers,
            (b"x-request-id", request_id.encode()),
            (b"content-type", shown.media_type.encode()),
            (b"content-length", b"%d" % len(shown.body)),
            *((name.encode(), value.encode()) for name, value in shown.headers.items()),
            (b"connection", b"close"),
        )
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[shown.status], lines, shown.body))

    def _linger(self) -> None:
        """Close in a moment: a connection that is closed while bytes come in may take the answer with it."""
        self._state, self._held = _OVER, b""
        self._connections.waits(self)
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
