"""Post webhooks as Meta does: bodies signed as Meta signs them, and the GET handshake."""

from __future__ import annotations

from urllib.parse import urlencode

import tellwire_sdk
from tellwire.ports.http_out import Answer, Request, Sender
from tellwire.simulator.payloads import Update, body_of

_HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Type", "application/json"),
    ("User-Agent", "facebookexternalua"),
    ("Accept", "*/*"),
)


class Poster:
    """A client that posts to one callback URL.

    Args:
        sender: sends HTTP; it must be allowed to reach the URL.
        url: the callback URL, as it is entered at Meta.
        secret: the app secret that signs `X-Hub-Signature-256`; "" posts unsigned.
    """

    def __init__(self, sender: Sender, url: str, secret: str, *, timeout: float = 30.0) -> None:
        self._sender = sender
        self._url = url
        self._secret = secret
        self._timeout = timeout

    async def post_updates(self, *updates: Update) -> Answer:
        """POST these updates in one body."""
        return await self.post(body_of(updates))

    async def post(self, body: bytes) -> Answer:
        """POST a body as it is."""
        headers = _HEADERS
        if self._secret:
            headers += (("X-Hub-Signature-256", tellwire_sdk.hub_signature(body, self._secret)),)
        return await self._sender.send(Request(url=self._url, headers=headers, body=body, timeout=self._timeout))

    async def handshake(self, verify_token: str, challenge: str) -> bool:
        """Ask as Meta does when a callback URL is saved. Return whether the answer is 200 and the bare challenge."""
        asked = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        url = f"{self._url}{'&' if '?' in self._url else '?'}{urlencode(asked)}"
        answer = await self._sender.send(Request(url=url, method="GET", timeout=self._timeout))
        return answer.status == 200 and answer.body == challenge.encode()
