"""Opening connections: names are resolved once, every address is checked, and only checked ones are connected to."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from threading import Thread
from typing import Final, Protocol, cast

from tellwire.errors import Forbidden
from tellwire.http_client.connection import Connection, ConnectionLimits, Exchange
from tellwire.http_client.proxy import Proxy, ProxyError, open_socket, tunnel
from tellwire.http_client.tls_errors import EXPIRED, NOT_YET_VALID, date_cause, tls_cause
from tellwire.loops import FairSlots
from tellwire.security.addresses import Address, ParsedTarget, Reach, check_resolved, is_allow_listed


class Resolve(Protocol):
    """From a host name to the texts of its addresses, in the order to try them; raises OSError when there are none.
    `organization_id`: for whom."""

    def __call__(self, host: str, organization_id: str = "", /) -> Awaitable[Sequence[str]]: ...


_PLAIN: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset while connecting",
    errno.EHOSTUNREACH: "the host cannot be reached",
    errno.ENETUNREACH: "the network cannot be reached",
    errno.ETIMEDOUT: "the host does not respond",
    errno.EMFILE: "too many open files on our side",
    errno.ENFILE: "too many open files on our side",
}
_NO_LIMIT: Final = 86400.0  # the exchange's deadline bounds the handshake
_SHUTDOWN_SECONDS: Final = 1.0


def look_up(host: str) -> list[str] | OSError:
    """Ask the system for a host's addresses, blocking for as long as it takes."""
    try:
        return [str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError as error:
        return error
    except UnicodeError:
        return OSError("not a host name")


class SystemResolver:
    """The system's resolver, in threads of its own.

    One look-up per name runs at a time, so that a name server that hangs costs one thread and delays no other name;
    threads are shared by organization, so that one with many such names leaves some to others. They are daemons, so
    that none delays the end of the process either.
    """

    def __init__(self, ask: Callable[[str], list[str] | OSError] = look_up, *, threads: int = 128) -> None:
        self._ask = ask
        self._slots = FairSlots(threads)
        self._running: dict[str, asyncio.Task[list[str] | OSError]] = {}

    async def __call__(self, host: str, organization_id: str = "", /) -> Sequence[str]:
        task = self._running.get(host)
        if task is None:
            task = self._running[host] = asyncio.create_task(self._in_thread(host, organization_id))
            task.add_done_callback(lambda _: self._running.pop(host, None))
        found = await asyncio.shield(task)
        if isinstance(found, OSError):
            raise found
        return found

    async def _in_thread(self, host: str, organization_id: str) -> list[str] | OSError:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str] | OSError] = loop.create_future()

        def settle(found: list[str] | OSError) -> None:
            if not future.done():
                future.set_result(found)

        def ask() -> None:
            found = self._ask(host)
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(settle, found)

        async with self._slots.place(organization_id):
            Thread(target=ask, name="resolver", daemon=True).start()
            return await future


class Connector:
    """Opens connections to targets; what goes wrong is noted in the exchange that asked for one."""

    def __init__(
        self,
        *,
        reach: Reach,
        resolve: Resolve,
        limits: ConnectionLimits,
        lost: Callable[[Connection], None],
        tls: ssl.SSLContext | None,
        proxy: Proxy | None,
    ) -> None:
        self._proxy = proxy
        self._proxy_resolve = SystemResolver()
        self._reach = reach
        self._resolve = resolve
        self._limits = limits
        self._lost = lost
        self._given_tls = tls

    async def connect(self, target: ParsedTarget, exchange: Exchange) -> Connection | None:
        """Return a connection to one of the target's addresses; None when the exchange has failed."""
        addresses = await self._addresses(target, exchange)
        dialled = await self._dial(addresses, target.port, exchange) if addresses else None
        if dialled is None:
            return None
        sock, address = dialled
        exchange.allow_listed = is_allow_listed(address, target.port, self._reach)
        connection = Connection(self._limits, self._lost, allow_listed=exchange.allow_listed)
        if target.scheme == "http":
            await asyncio.get_running_loop().create_connection(lambda: connection, sock=sock)
            return connection
        exchange.enter("tls")
        try:
            await _start_tls(lambda: connection, sock, self._tls, target.host)
        except ssl.SSLError as error:
            exchange.fail("tls", tls_cause(error))
            quoted = self._reach.shows_answers or not exchange.allow_listed
            if quoted and isinstance(error, ssl.SSLCertVerificationError):
                exchange.cause = await self._dated(error, target, address) or exchange.cause
            return None
        except OSError:
            exchange.fail("tls", "your server closed the connection during the TLS handshake")
            return None
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._given_tls is not None:
            return self._given_tls
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _addresses(self, target: ParsedTarget, exchange: Exchange) -> list[Address]:
        try:
            if target.address is not None:
                return check_resolved(target, [str(target.address)], self._reach)
            exchange.enter("dns")
            found = await self._resolve(target.host, exchange.organization_id)
            if found:
                return check_resolved(target, found, self._reach)
        except Forbidden as refusal:
            exchange.fail("forbidden", str(refusal))
        except OSError:
            pass
        exchange.fail("dns", "could not resolve the host name")
        return []

    async def _dial(
        self, addresses: Sequence[Address], port: int, exchange: Exchange
    ) -> tuple[socket.socket, Address] | None:
        """Return a socket that is connected to the first address that accepts it, and that address; None for none."""
        exchange.enter("connect")
        causes: dict[str, None] = {}
        for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            seconds = self._limits.connect_seconds if left else None  # the deadline bounds the last
            try:
                async with asyncio.timeout(seconds):
                    return await self._open(address, port), address
            except OSError as error:  # TimeoutError is one, with an errno when it is the system's
                ours = error.errno is None and isinstance(error, TimeoutError)
                causes[f"no connection within {seconds:g} s" if ours else _plain(error)] = None
        exchange.fail("refused", "; ".join(causes))
        return None

    async def _open(self, address: Address, port: int) -> socket.socket:
        if self._proxy is None:
            return await open_socket(address, port)
        return await tunnel(self._proxy, address, port, resolve=self._proxy_resolve)

    async def _dated(self, error: ssl.SSLCertVerificationError, target: ParsedTarget, address: Address) -> str | None:
        """Return the cause, with the date, for a certificate that was refused because of its dates; else None.

        OpenSSL does not hand out a certificate that it refuses, so it is fetched by a handshake that verifies nothing
        and over which nothing is sent.
        """
        if error.verify_code not in (EXPIRED, NOT_YET_VALID):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            sock = await self._open(address, target.port)
            transport = await _start_tls(asyncio.Protocol, sock, context, target.host)
        except OSError:
            return None
        own = cast("ssl.SSLObject", transport.get_extra_info("ssl_object")).getpeercert(binary_form=True)
        cast("asyncio.Transport", transport).abort()
        return None if own is None else date_cause(error.verify_code, own, datetime.now(UTC))


def _plain(error: OSError) -> str:
    if isinstance(error, ProxyError):
        return str(error)
    words = _PLAIN.get(error.errno or 0)
    return words or f"could not connect: {(error.strerror or 'unknown reason').lower()}"


async def _start_tls(
    protocol: Callable[[], asyncio.Protocol], sock: socket.socket, context: ssl.SSLContext, host: str
) -> asyncio.BaseTransport:
    transport, _ = await asyncio.get_running_loop().create_connection(
        protocol,
        sock=sock,
        ssl=context,
        server_hostname=host,
        ssl_handshake_timeout=_NO_LIMIT,
        ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    return transport
