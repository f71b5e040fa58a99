"""The `Graph` port over the HTTP client: JSON calls below META_GRAPH_URL, with the account's token as Bearer.

The token goes to that one host: it is the operator's own setting, no part of a call can change it, and redirects are
not followed. META_GRAPH_URL may name any address, a private one too; no rule of deliveries applies to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.sender import open_sender
from tellwire.ports.http_out import Answer, Request, Sender
from tellwire.security.addresses import ANYWHERE

_LIMITS: Final = ConnectionLimits(
    body=4 * 1024 * 1024,  # a page of templates
    wire=8 * 1024 * 1024,
    idle_per_host=256,
    idle_seconds=10.0,  # when the other side closes a kept connection, nobody knows whether the message was sent
)


class HttpGraph:
    """Meta's Graph API at one address; what was written once is never written again."""

    def __init__(self, url: str, sender: Sender) -> None:
        """`url`: META_GRAPH_URL, without a slash at its end."""
        self._url = url
        self._sender = sender

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
        """Make one call, at most once; every failure is an `Answer`."""
        headers = [("Authorization", f"Bearer {token}"), ("Accept", "application/json")]
        if body:
            headers.append(("Content-Type", "application/json"))
        asked = f"?{urlencode(query)}" if query else ""
        answer = await self._sender.send(
            Request(
                url=f"{self._url}/{quote(path, safe='/')}{asked}",
                method=method,
                headers=tuple(headers),
                body=body,
                timeout=timeout_seconds,
                may_send=may_send,
                once=True,
            )
        )
        return replace(answer, cause=answer.cause.replace("your server", "Meta", 1))

    async def close(self) -> None:
        """Drop every connection."""
        await self._sender.close()


def open_graph(url: str) -> HttpGraph:
    """Return the Graph API at META_GRAPH_URL."""
    return HttpGraph(url, open_sender(reach=ANYWHERE, limits=_LIMITS))
