"""The `Mailer` port over SMTP: one connection a mail, in a thread, with a deadline over everything.

The server's address is the operator's own setting and may be any, a private one too; no rule of deliveries applies to
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage

from tellwire.ports.mail import Handed, MailServer

_STEP_SECONDS = 10.0
_Refused = dict[str, tuple[int, bytes]]


class Smtp:
    """Hands mails to one mail server.

    Args:
        server: where it is, and who we are there.
        name: who we say that we are (EHLO).
        tls: what its certificate is verified with; the system's authorities by default.
        seconds: the deadline over everything.
    """

    def __init__(
        self, server: MailServer, *, name: str, tls: ssl.SSLContext | None = None, seconds: float = 20.0
    ) -> None:
        self._server, self._name, self._tls, self._seconds = server, name, tls, seconds

    async def send(self, mail: EmailMessage, to: Sequence[str]) -> Handed:
        """Hand a mail over; whatever the server does is an answer, never an exception."""
        exchange = _Exchange(self._server, self._name, self._tls)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(exchange.run, mail, to)
        except TimeoutError:
            return Handed(ok=False, answer=f"it did not take the mail within {self._seconds:g} s")
        finally:
            exchange.abandon()


class _Exchange:
    """One mail in a thread; the event loop may abandon it."""

    def __init__(self, server: MailServer, name: str, tls: ssl.SSLContext | None) -> None:
        self._server, self._name, self._tls = server, name, tls
        self._socket: socket.socket | None = None
        self._abandoned = False

    def abandon(self) -> None:
        """End the connection, so that the thread ends too."""
        self._abandoned = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def run(self, mail: EmailMessage, to: Sequence[str]) -> Handed:
        try:
            with self._connect() as client:
                refused = self._hand_over(client, mail, to)
        except smtplib.SMTPRecipientsRefused as refusal:
            return Handed(ok=False, answer=f"it refused every recipient: {_first(refusal.recipients)}")
        except smtplib.SMTPResponseException as refusal:
            return Handed(ok=False, answer=f"it answered {refusal.smtp_code}: {_words(refusal.smtp_error)}")
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            return Handed(ok=False, answer=_plain(error))
        if refused:
            return Handed(ok=True, answer=f"it took the mail, but not for every recipient: {_first(refused)}")
        return Handed(ok=True, answer="it took the mail")

    def _connect(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.tls == "always":
            tls = self._tls or ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, self._name, timeout=_STEP_SECONDS, context=tls)
        return smtplib.SMTP(host, port, self._name, timeout=_STEP_SECONDS)

    def _hand_over(self, client: smtplib.SMTP, mail: EmailMessage, to: Sequence[str]) -> _Refused:
        self._socket = client.sock
        client.ehlo()
        if self._server.tls == "starttls":
            client.starttls(context=self._tls or ssl.create_default_context())  # raises if it is not offered
            self._socket = client.sock
            client.ehlo()
        if self._server.user:
            client.login(self._server.user, self._server.password)
        if self._abandoned:
            raise TimeoutError
        return client.send_message(mail, to_addrs=list(to))


def _first(refused: _Refused) -> str:
    code, words = next(iter(refused.values()))
    return f"{code} {_words(words)}"


def _words(said: bytes | str) -> str:
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:200]


def _plain(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return "the mail server did not answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {error.verify_message}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case smtplib.SMTPNotSupportedError():
            return f"it does not offer what is needed: {error}"
        case _:
            return _words(str(error)) or type(error).__name__
