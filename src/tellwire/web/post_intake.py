"""Read POSTs that other systems send, and make them durable, within bounds (docs/reference/rest-api.md, "Endpoint for
Meta" and "Sources")."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec import Struct

from tellwire.errors import Busy, NotJson, Problem, TooBig, Unavailable
from tellwire.model.inbound import Inbound
from tellwire.web.commit_waits import CommitWaits
from tellwire.web.edge import Receive
from tellwire.web.held_bodies import HeldBodies, HeldBody
from tellwire.web.problems import problem_of

log = logging.getLogger("tellwire.web")

OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
EMPTY = {"type": "http.response.body", "body": b""}

Headers = Sequence[tuple[bytes, bytes]]


class BodyLimits(Struct, frozen=True, kw_only=True):
    """How much is accepted at once.

    `largest`: bytes of a POST (Meta's own limit is 3 MB). `waiting`: complete POSTs at once. `held`: bytes of all large
    bodies in memory, without the first `small` of each, so that nobody keeps usual POSTs out by sending large ones;
    beyond it the one that has stalled for longest is given up. `seconds`: a body that is not complete by then is
    answered 408. `commit_seconds`: a POST that is not durable by then is answered 503, and removed from the queue if
    its commit has not begun.
    """

    largest: int = 4 * 1024 * 1024
    waiting: int = 2_000
    held: int = 256 * 1024 * 1024
    small: int = 64 * 1024
    seconds: float = 30.0
    commit_seconds: float = 10.0


class ClientGoneError(Exception):
    """Raised when the client closed the connection before its body was complete."""


class PostIntake:
    """The POSTs of one path. `waits` are those that wait for their commit."""

    def __init__(self, limits: BodyLimits, waits: CommitWaits) -> None:
        self.limits = limits
        self._waits = waits
        waits.most, waits.seconds = limits.waiting, limits.commit_seconds
        self.bodies = HeldBodies(limits.held, free=limits.small)

    async def read(self, receive: Receive, held: HeldBody, on_chunk: Callable[[bytes], None]) -> bytes | Problem:
        """Return the body, of which `on_chunk` is given every piece, or the problem with it.

        Raises:
            ClientGoneError: it will never be complete.
        """
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self._read(receive, held, on_chunk)
        except TimeoutError:
            return problem_of(408, "timeout", f"The body was not there within {self.limits.seconds:g} s.")
        except (Busy, TooBig) as problem:
            return problem

    async def _read(self, receive: Receive, held: HeldBody, on_chunk: Callable[[bytes], None]) -> bytes:
        chunks, more = list[bytes](), True
        while more:
            message = await held.wait(receive)
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if held.size + len(chunk) > self.limits.largest:
                raise self.too_big()
            held.add(len(chunk), more=more)
            chunks.append(chunk)
            on_chunk(chunk)
        return b"".join(chunks)

    async def durable(self, begin: Callable[[], Awaitable[Inbound]], whence: str) -> Inbound | Problem:
        """Return the POST once it is durable, or the problem; `whence` it came is for the log."""
        waits = self._waits
        if waits.count >= self.limits.waiting:
            return Busy("Too many POSTs are waiting.")
        task = waits.begin()
        try:
            return await begin()
        except asyncio.CancelledError:
            if not waits.is_late(task):
                raise
            return Busy(f"This was not durable within {self.limits.commit_seconds:g} s.")
        except NotJson as error:
            return problem_of(400, "not-json", f"The body is not JSON: {error}")
        except Unavailable:
            return Busy("This cannot be made durable just now; nothing was applied.")
        except Exception:
            log.exception("a POST from %s could not be applied", whence)
            return Problem("Something went wrong on our side; nothing was applied.")
        finally:
            waits.end(task)

    def too_big(self) -> TooBig:
        """Return the problem of a body that is larger than the limit."""
        return TooBig(f"The body is larger than {self.limits.largest / 1024 / 1024:g} MiB.")


def announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the length that a request says its body has, 0 for none."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
