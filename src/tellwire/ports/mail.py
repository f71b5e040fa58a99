"""Mail to people who run the installation."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from typing import Literal, Protocol

from msgspec import Struct


class MailServer(Struct, frozen=True, kw_only=True):
    """Where a mail server is, and who we are there, "" for nobody. `tls`: from the first byte, after STARTTLS, or not
    at all."""

    host: str
    port: int
    tls: Literal["always", "starttls", "never"]
    user: str = ""
    password: str = ""


class Handed(Struct, frozen=True):
    """What came of a mail: whether the server took it for one recipient at least, and what it said in words."""

    ok: bool
    answer: str


class Mailer(Protocol):
    """Hands mails to a mail server."""

    async def send(self, mail: EmailMessage, to: Sequence[str]) -> Handed:
        """Hand a mail over; whatever the server does is an answer, never an exception."""
        ...
