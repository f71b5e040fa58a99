"""The `Probe` port: requests to our own URLs, each over a connection of its own, whose certificate is looked at."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Literal
from urllib.parse import urlsplit

from tellwire.doctor.ports import Reached
from tellwire.http_client.connector import look_up
from tellwire.http_client.tls_errors import tls_cause

_SECONDS = 10.0
_MOST_BYTES = 4096


class SelfCalls:
    """Requests in threads, because they are few.

    Args:
        resolve: a host's addresses, or why there are none.
        dial: a connected socket to a host and a port.
        tls: what certificates are verified with; the system's authorities by default.
    """

    def __init__(
        self,
        *,
        resolve: Callable[[str], list[str] | OSError] = look_up,
        dial: Callable[[str, int], socket.socket] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._resolve = resolve
        self._dial = dial or _dial
        self._tls = tls

    async def addresses(self, host: str) -> Sequence[str]:
        """Return what a name resolves to, each once, nothing when it does not."""
        found = await asyncio.to_thread(self._resolve, host)
        return [] if isinstance(found, OSError) else list(dict.fromkeys(found))

    async def ask(
        self,
        url: str,
        *,
        method: Literal["GET", "POST"] = "GET",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Reached:
        """Make one request, follow no redirect, and verify the certificate; whatever happens is a `Reached`."""
        return await asyncio.to_thread(self._ask, url, method, dict(headers), body)

    def _ask(self, url: str, method: str, headers: dict[str, str], body: bytes) -> Reached:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        try:
            sock = self._dial(host, parts.port or (443 if secure else 80))
        except OSError as error:
            return Reached(failure="connect", cause=(error.strerror or str(error) or type(error).__name__).lower())
        expires_at = 0.0
        if secure:
            try:
                sock = (self._tls or ssl.create_default_context()).wrap_socket(sock, server_hostname=host)
            except ssl.SSLError as error:
                sock.close()
                return Reached(failure="tls", cause=tls_cause(error))
            except OSError:
                sock.close()
                return Reached(failure="tls", cause="the connection was closed during the TLS handshake")
            own = sock.getpeercert() or {}
            expires_at = ssl.cert_time_to_seconds(str(own["notAfter"])) if "notAfter" in own else 0.0
        connection = HTTPConnection(parts.netloc.rpartition("@")[2])
        connection.sock = sock
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body or None, {**headers, "Connection": "close"})
            with connection.getresponse() as answer:
                return Reached(
                    status=answer.status,
                    location=answer.headers.get("Location", ""),
                    body=answer.read(_MOST_BYTES),
                    expires_at=expires_at,
                )
        except (OSError, HTTPException, ValueError) as error:
            return Reached(
                failure="answer", cause=f"no answer: {str(error) or type(error).__name__}", expires_at=expires_at
            )
        finally:
            connection.close()


def _dial(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=_SECONDS)
