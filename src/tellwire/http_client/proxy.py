"""Connections, by way of an HTTP proxy where one is set: a tunnel (RFC 9110, section 9.3.6) to a judged address."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct

from tellwire import __version__
from tellwire.security.addresses import Address

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 16 * 1024


class Proxy(Struct, frozen=True):
    """Where the egress proxy listens: the operator's choice, which no rule for deliveries judges."""

    host: str
    port: int


class ProxyError(OSError):
    """The proxy could not be reached or made no tunnel; the text says why in plain words."""


async def connected(address: Address, port: int) -> socket.socket:
    """A socket that is connected to an address."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


async def tunnel(
    proxy: Proxy, address: Address, port: int, *, resolve: Callable[[str], Awaitable[Sequence[str]]]
) -> socket.socket:
    """A socket that is connected through a proxy to an address; the proxy is told no name, so it resolves none.

    Raises:
        ProxyError: there is no tunnel.
    """
    sock = await _reached(proxy, resolve)
    try:
        status = await _asked(sock, f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}")
    except ProxyError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise ProxyError("the egress proxy closed the connection") from error
    except BaseException:
        sock.close()
        raise
    if not 200 <= status < 300:
        sock.close()
        raise ProxyError(f"the egress proxy refused the connection: {status}")
    return sock


async def _reached(proxy: Proxy, resolve: Callable[[str], Awaitable[Sequence[str]]]) -> socket.socket:
    try:
        places: Sequence[str] = [str(ip_address(proxy.host))]
    except ValueError:
        try:
            places = await resolve(proxy.host)
        except OSError:
            places = []
    if not places:
        raise ProxyError("the egress proxy's name could not be resolved")
    why = OSError()
    for place in places:
        try:
            return await connected(ip_address(place), proxy.port)
        except OSError as error:
            why = error
    words = (
        "connection refused" if isinstance(why, ConnectionRefusedError) else (why.strerror or "unknown reason").lower()
    )
    raise ProxyError(f"the egress proxy cannot be reached: {words}") from why


async def _asked(sock: socket.socket, authority: str) -> int:
    """The status that the proxy answers CONNECT with."""
    loop = asyncio.get_running_loop()
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: Tellwire/{__version__}\r\n\r\n"
    await loop.sock_sendall(sock, head.encode())
    answer = b""
    while _END not in answer:
        data = await loop.sock_recv(sock, _LONGEST_HEAD)
        answer += data
        if not data:
            raise ProxyError("the egress proxy closed the connection")
        if len(answer) > _LONGEST_HEAD:
            raise ProxyError("the egress proxy's answer is too long")
    found = _STATUS.match(answer)
    if found is None:
        raise ProxyError("the egress proxy's answer is not HTTP")
    if 200 <= int(found[1]) < 300 and not answer.endswith(_END):
        raise ProxyError("the egress proxy said something before it was asked")
    return int(found[1])
