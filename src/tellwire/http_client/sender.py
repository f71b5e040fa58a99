"""The `Sender` port over HTTP/1.1: kept connections, one deadline over everything, and plain words for what fails."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from functools import lru_cache, partial

from tellwire.errors import Forbidden
from tellwire.http_client.connection import Connection, ConnectionLimits, Exchange, encode_request
from tellwire.http_client.connector import Connector, Resolve, SystemResolver
from tellwire.http_client.proxy import Proxy
from tellwire.ports.http_out import Answer, Request, Sender, without_what_was_said
from tellwire.security.addresses import Origin, ParsedTarget, Reach, check_url


def open_sender(
    *,
    reach: Reach,
    resolver: Resolve | None = None,
    limits: ConnectionLimits | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
) -> Sender:
    """Return a sender for one purpose.

    Args:
        reach: the addresses that it may reach beside the global ones, and whether their answers are shown.
        resolver: host name to addresses; the system's by default.
        limits: bounds on answers and connections.
        tls: what certificates are verified with; the system's authorities by default.
        proxy: every connection is made through it; the addresses are checked all the same.
    """
    return HttpSender(
        reach=reach, resolver=resolver or SystemResolver(), limits=limits or ConnectionLimits(), tls=tls, proxy=proxy
    )


class HttpSender:
    """The `Sender` port over HTTP/1.1, on the event loop that it is first used on."""

    def __init__(
        self,
        *,
        reach: Reach,
        resolver: Resolve,
        limits: ConnectionLimits,
        tls: ssl.SSLContext | None,
        proxy: Proxy | None,
    ) -> None:
        self._limits = limits
        self._shows_answers = reach.shows_answers
        self._connector = Connector(reach=reach, resolve=resolver, limits=limits, lost=self._lost, tls=tls, proxy=proxy)
        self._check = lru_cache(maxsize=4096)(partial(check_url, reach=reach))
        self._open: set[Connection] = set()
        self._idle: OrderedDict[Connection, tuple[Origin, float]] = OrderedDict()  # the longest idle first
        self._stacks: dict[Origin, list[Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed: asyncio.Event | None = None

    async def send(self, request: Request) -> Answer:
        """Make one attempt; whatever the other side does is an `Answer`, never an exception.

        Raises:
            RuntimeError: the sender has been closed.
        """
        if self._closed:
            raise RuntimeError("the sender has been closed")
        try:
            target = self._check(request.url)
            exchange = Exchange(
                encode_request(request, target), request.timeout, request.may_send, request.organization_id
            )
        except Forbidden as refusal:
            return Answer(failure="forbidden", cause=str(refusal))
        deadline = asyncio.get_running_loop().time() + request.timeout
        await self._attempt(target, exchange, deadline, once=request.once)
        answer = _answer(exchange)
        return without_what_was_said(answer) if exchange.allow_listed and not self._shows_answers else answer

    async def close(self) -> None:
        """Drop every connection; requests under way end as failures."""
        self._closed = self._closed or asyncio.Event()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._open):
            connection.abort("Tellwire is stopping")
        if self._open:
            await self._closed.wait()

    async def _attempt(self, target: ParsedTarget, exchange: Exchange, deadline: float, *, once: bool) -> None:
        origin = target.origin
        kept = self._take(origin)
        while once and kept is not None and kept.closed_by_peer():
            kept.abort()
            kept = self._take(origin)
        if kept is not None:
            await self._run(kept, origin, exchange, deadline)
            if exchange.answered or exchange.withheld or exchange.failure != "broken" or self._closed:
                return
            if once and exchange.written:
                return
            exchange.failure = exchange.cause = ""  # it was closed while idle: try once more, on a fresh one
        try:
            async with asyncio.timeout_at(deadline):
                fresh = await self._connector.connect(target, exchange)
        except TimeoutError:
            exchange.expire()
            return
        if fresh is not None:
            self._admit(fresh)
            await self._run(fresh, origin, exchange, deadline)

    async def _run(self, connection: Connection, origin: Origin, exchange: Exchange, deadline: float) -> None:
        try:
            await connection.run(exchange, deadline)
        finally:
            if exchange.complete and connection.reusable:
                self._keep(connection, origin)
            else:
                connection.abort()

    # --- connections kept ---------------------------------------------------------------------------------------------

    def _admit(self, connection: Connection) -> None:
        if self._idle and len(self._open) >= self._limits.connections:
            oldest = next(iter(self._idle))
            self._forget(oldest)
            oldest.close()
        if connection.reusable:  # else it is gone already
            self._open.add(connection)
        if self._closed:
            connection.abort("Tellwire is stopping")

    def _take(self, origin: Origin) -> Connection | None:
        while stack := self._stacks.get(origin):
            connection = stack[-1]
            self._forget(connection)
            if connection.reusable:
                return connection
        return None

    def _keep(self, connection: Connection, origin: Origin) -> None:
        stack = self._stacks.setdefault(origin, [])
        if len(stack) >= self._limits.idle_per_host:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        stack.append(connection)
        self._idle[connection] = origin, loop.time()
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._limits.idle_seconds, self._sweep)

    def _forget(self, connection: Connection) -> None:
        """Remove a connection from the idle ones."""
        origin, _ = self._idle.pop(connection)
        stack = self._stacks[origin]
        stack.remove(connection)
        if not stack:
            del self._stacks[origin]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = None
        while self._idle:
            connection, (_, since) = next(iter(self._idle.items()))
            if since + self._limits.idle_seconds > loop.time():
                self._sweeping = loop.call_at(since + self._limits.idle_seconds, self._sweep)
                return
            self._forget(connection)
            connection.close()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._forget(connection)
        if self._closed and not self._open:
            self._closed.set()


def _answer(exchange: Exchange) -> Answer:
    exchange.enter("")
    durations: dict[str, float] = {phase: int(spent * 1000) / 1000 for phase, spent in exchange.durations.items()}
    durations["total"] = int(exchange.total() * 1000) / 1000
    return Answer(
        status=exchange.status,
        failure=exchange.failure,
        cause=exchange.cause or _cause_of_status(exchange.status),
        headers=tuple(exchange.headers),
        body=bytes(exchange.body),
        truncated=exchange.truncated,
        durations=durations,
        withheld=exchange.withheld,
        written=exchange.written,
    )


def _cause_of_status(status: int) -> str:
    """Return why an answer with this status is a failure; "" for a 2xx."""
    if 200 <= status < 300:
        return ""
    return "redirects are not followed" if 300 <= status < 400 else f"your server answered {status}"
