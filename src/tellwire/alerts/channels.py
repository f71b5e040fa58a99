"""The channels: each puts a message into its shape and hands it over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from tellwire.alerts.bodies import as_chat, as_json, as_mail
from tellwire.alerts.findings import ChannelName
from tellwire.alerts.message import Message
from tellwire.model.units import MICROS
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Request, Sender
from tellwire.ports.mail import Mailer

_SECONDS = 15.0


class Sign(Protocol):
    """Makes the value of `webhook-signature` (Standard Webhooks 1.0); `timestamp` in Unix seconds."""

    def __call__(self, body: bytes, *, webhook_id: str, timestamp: int, secrets: Sequence[str]) -> str: ...


class Sent(Struct, frozen=True):
    """What came of a message: whether the channel took it, and what it answered in words."""

    ok: bool
    answer: str


class Route(Protocol):
    """A channel that is set."""

    @property
    def name(self) -> ChannelName: ...

    @property
    def to(self) -> str:
        """Where it leads, without anything secret."""
        ...

    async def send(self, message: Message, may_send: Callable[[], bool]) -> Sent:
        """Hand a message over, unless `may_send` says right before that it must not go; a failure is no exception."""
        ...


class Webhook:
    """Our JSON to a URL, signed after Standard Webhooks when there is a secret."""

    name: ChannelName = "webhook"

    def __init__(self, url: str, secret: str, sender: Sender, sign: Sign, clock: Clock) -> None:
        self.to = _origin(url)
        self._url, self._secrets, self._sender, self._sign, self._clock = url, [secret], sender, sign, clock

    async def send(self, message: Message, may_send: Callable[[], bool]) -> Sent:
        """POST it; any 2xx takes it."""
        body, now = as_json(message), self._clock.now() // MICROS
        headers = [("webhook-id", message.id), ("webhook-timestamp", str(now))]
        if self._secrets != [""]:
            signature = self._sign(body, webhook_id=message.id, timestamp=now, secrets=self._secrets)
            headers.append(("webhook-signature", signature))
        return await _post(self._sender, self._url, headers, body, may_send)


class Chat:
    """A chat's incoming webhook in Slack's shape."""

    name: ChannelName = "slack"

    def __init__(self, url: str, sender: Sender) -> None:
        self.to = _origin(url)
        self._url, self._sender = url, sender

    async def send(self, message: Message, may_send: Callable[[], bool]) -> Sent:
        """POST it; any 2xx takes it."""
        return await _post(self._sender, self._url, [], as_chat(message), may_send)


class Mail:
    """Mails by SMTP."""

    name: ChannelName = "mail"

    def __init__(self, mailer: Mailer, *, sender: str, to: Sequence[str]) -> None:
        self.to = ", ".join(to)
        self._mailer, self._from, self._to = mailer, sender, to

    async def send(self, message: Message, may_send: Callable[[], bool]) -> Sent:
        """Give it to the mail server; it is sent once that took it for one recipient at least."""
        if not may_send():
            return _WITHHELD
        handed = await self._mailer.send(as_mail(message, sender=self._from, to=self._to), self._to)
        return Sent(handed.ok, handed.answer)


_WITHHELD = Sent(ok=False, answer="another process tells by now")


async def _post(
    sender: Sender, url: str, headers: list[tuple[str, str]], body: bytes, may_send: Callable[[], bool]
) -> Sent:
    answer = await sender.send(
        Request(
            url=url,
            headers=(("content-type", "application/json"), *headers),
            body=body,
            timeout=_SECONDS,
            may_send=may_send,
        )
    )
    if answer.withheld:
        return _WITHHELD
    return Sent(answer.ok, answer.cause.replace("your server", "it") or f"it answered {answer.status}")


def _origin(url: str) -> str:
    """Return the beginning of a URL: what follows may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
