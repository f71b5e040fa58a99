"""A mail server on loopback in a thread of its own: it keeps what it takes, and refuses what a test says."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue


class MailBox:
    """What a mail server got, and how it answers: `answers` by the first word of a command, "" for never."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, logins: dict[str, str] | None = None) -> None:
        self.port = 0
        self.mails: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.hellos: list[str] = []
        self.answers: dict[str, str] = {}
        self.encrypted: list[bool] = []
        self.tls, self.logins = tls, logins or {}

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client to its end."""
        recipients: list[str] = []
        encrypted = False
        await self._say(writer, self.answers.get("", "220 here"))
        while line := (await reader.readline()).decode().strip():
            verb = line.split()[0].upper()
            if (said := self.answers.get(verb)) is not None and (verb != "RCPT" or "refused" in line):
                if not said:
                    await asyncio.Event().wait()
                await self._say(writer, said)
            elif verb in {"EHLO", "HELO"}:
                self.hellos.append(line.split()[1])
                offers = ["here", *(["STARTTLS"] if self.tls and not encrypted else [])]
                offers += ["AUTH PLAIN"] if self.logins else []
                await self._say(writer, "\r\n".join([*(f"250-{each}" for each in offers), "250 OK"]))
            elif verb == "STARTTLS" and self.tls:
                await self._say(writer, "220 go on")
                await writer.start_tls(self.tls)
                encrypted = True
            elif verb == "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                right = self.logins.get(user) == password
                await self._say(writer, "235 welcome" if right else f"535 wrong password for {user}")
            elif verb == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
                await self._say(writer, "250 OK")
            elif verb == "DATA":
                await self._say(writer, "354 go on")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
                self.recipients.append(recipients)
                self.encrypted.append(encrypted)
                recipients = []
                await self._say(writer, "250 taken")
            else:
                await self._say(writer, "221 bye" if verb == "QUIT" else "250 OK")
                if verb == "QUIT":
                    break
        writer.close()

    @staticmethod
    async def _say(writer: asyncio.StreamWriter, line: str) -> None:
        writer.write(line.encode() + b"\r\n")
        await writer.drain()


@contextmanager
def mail_server(
    box: MailBox | None = None, *, port: int = 0, wrapped: ssl.SSLContext | None = None
) -> Iterator[MailBox]:
    """A mail server that runs; `wrapped`: with TLS from the first byte."""
    box = box or MailBox()
    started: Queue[int] = Queue()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        talks: set[asyncio.Task[None]] = set()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            talks.add(task)
            try:
                await box.talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                talks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(talk, "127.0.0.1", port, ssl=wrapped)
        started.put(server.sockets[0].getsockname()[1])
        await ended.wait()
        server.close()
        for each in list(talks):
            each.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        box.port = started.get(timeout=10)
        yield box
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
