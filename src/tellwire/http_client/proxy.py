"""Sockets to checked addresses, directly or through an HTTP proxy, by a tunnel (RFC 9110, section 9.3.6)."""

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
    """Where the egress proxy listens: the operator chooses it, so the rules for deliveries do not apply."""

    host: str
    port: int


class ProxyError(OSError):
    """The proxy could not be reached or made no tunnel; the text says why in plain words."""


async def open_socket(address: Address, port: int) -> socket.socket:
    """Return a socket that is connected to an address."""
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
    """Return a socket that is connected through a proxy to an address; the proxy gets no name, so it resolves none.

    Raises:
        ProxyError: there is no tunnel.
    """
    sock = await _reach_proxy(proxy, resolve)
    try:
        status = await _ask_for_tunnel(
            sock, f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"
        )
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


async def _reach_proxy(proxy: Proxy, resolve: Callable[[str], Awaitable[Sequence[str]]]) -> socket.socket:
    try:
        addresses: Sequence[str] = [str(ip_address(proxy.host))]
    except ValueError:
        try:
            addresses = await resolve(proxy.host)
        except OSError:
            addresses = []
    if not addresses:
        raise ProxyError("the egress proxy's name could not be resolved")
    why = OSError()
    for address in addresses:
        try:
            return await open_socket(ip_address(address), proxy.port)
        except OSError as error:
            why = error
    words = (
        "connection refused" if isinstance(why, ConnectionRefusedError) else (why.strerror or "unknown reason").lower()
    )
    raise ProxyError(f"the egress proxy cannot be reached: {words}") from why


async def _ask_for_tunnel(sock: socket.socket, authority: str) -> int:
    """Return the status that the proxy answers CONNECT with."""
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
