"""A subscriber in the test's own process: it keeps every request in the order of arrival and answers as it is told."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

from tests.contract.listening import OK, Peer, listening
from tests.proofs.news import PATIENCE, OperationalEvent
from tests.proofs.reconciler import Arrival

import tellwire_sdk

SECRET = "a secret that every subscriber of the proofs shares"
THOUGHT_SECONDS = 0.03
"""How long a subscriber takes at most that is `thinking`."""
_CHALLENGE = re.compile(r"[?&]challenge=([^& ]+)")
_DIGITS = re.compile(r"\d+")
_LINE = "\r\n"

Answer = Callable[[Arrival, Peer], Awaitable[Literal["taken", "refused", "gone"]]]
"""Answers one request; "gone" when that was the last one of its connection."""


async def accept(_: Arrival, peer: Peer) -> Literal["taken"]:
    """200 at once."""
    await peer.say(OK)
    return "taken"


def thinking(rng: random.Random) -> Answer:
    """200 after a moment, so that something is in flight at any time."""

    async def answer(arrival: Arrival, peer: Peer) -> Literal["taken"]:
        await asyncio.sleep(rng.uniform(0, THOUGHT_SECONDS))
        return await accept(arrival, peer)

    return answer


def saying(status: int, *headers: str) -> Answer:
    """No, with this status."""
    lines = [f"HTTP/1.1 {status} No", "Content-Length: 0", *headers, "", ""]

    async def refuse(_: Arrival, peer: Peer) -> Literal["refused"]:
        await peer.say(_LINE.join(lines).encode())
        return "refused"

    return refuse


async def reset(_: Arrival, peer: Peer) -> Literal["gone"]:
    """A TCP reset in place of an answer."""
    peer.reset()
    return "gone"


class Subscriber:
    """Listens for every endpoint, each on the path of its name; the name begins with its format.

    Args:
        answers: how an endpoint's deliveries are answered, by name; the others by `otherwise`.
    """

    def __init__(self, answers: dict[str, Answer] | None = None, *, otherwise: Answer = accept) -> None:
        self.arrivals: list[Arrival] = []
        self.taken: list[Arrival] = []
        """Those that were answered 200."""
        self.times: list[float] = []
        """When each arrival came, by the event loop's clock."""
        self.lines: list[int] = []
        """The number of the connection that each arrival came on."""
        self.ended: set[int] = set()
        """The numbers of the connections that have ended."""
        self.url = ""
        self._answers = answers or {}
        self._otherwise = otherwise
        self._connections = 0
        self._fault: Exception | None = None
        self._news = OperationalEvent()

    async def serve(self, peer: Peer) -> None:
        """Serve one connection."""
        self._connections += 1
        line = self._connections
        try:
            while raw := await peer.request():
                method, target, headers, body = _taken_apart(raw)
                if method == "GET":
                    await peer.say(_echo(target))
                    continue
                tellwire_sdk.verify(body, headers, SECRET, now=int(headers["webhook-timestamp"]))
                arrival = arrival_of(target.strip("/"), headers, body)
                self.arrivals.append(arrival)
                self.lines.append(line)
                self.times.append(asyncio.get_running_loop().time())
                self._news.tell()
                answered = await self._answers.get(arrival.endpoint, self._otherwise)(arrival, peer)
                if answered == "taken":
                    self.taken.append(arrival)
                    self._news.tell()
                elif answered == "gone":
                    return
        except ConnectionError:
            pass
        except Exception as error:
            self._fault = error
            raise
        finally:
            self.ended.add(line)
            self._news.tell()

    async def until(self, ready: Callable[[], bool], *, what: str, seconds: float = PATIENCE) -> None:
        """Return once `ready`; it is asked after every request and every end of a connection."""
        await self._news.until(lambda: self._fault is not None or ready(), what=what, seconds=seconds)
        if self._fault is not None:
            raise self._fault

    async def more(self, number: int) -> None:
        """Return once so many more requests have come."""
        goal = len(self.arrivals) + number
        await self.until(lambda: len(self.arrivals) >= goal, what=f"{number} more requests")

    async def caught_up(self) -> None:
        """Return once everything that was sent before has been read: who asks now comes after it."""
        port = int(self.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def subscribing(subscriber: Subscriber, *, port: int = 0) -> AsyncIterator[Subscriber]:
    """Let a subscriber listen, by default on a port of the system's choice."""
    async with listening(subscriber.serve, port=port) as door:
        subscriber.url = f"http://127.0.0.1:{door.port}"
        yield subscriber


def arrival_of(endpoint: str, headers: dict[str, str], body: bytes) -> Arrival:
    """A delivery in the words of `meta_load`: whom it is about, and what it tells."""
    payload = json.loads(body)
    if endpoint.startswith("chat"):
        told = [_told_by_chat(payload)]
    else:
        rows = payload["data"] if isinstance(payload["data"], list) else [payload["data"]]
        told = [_told_by_row(payload["entity"], row) for row in rows]
    assert int(headers.get("tellwire-count", "1")) == len(told)
    (key,) = {key for key, _ in told}
    *before, fact = (fact for _, fact in told)
    return Arrival(
        endpoint=endpoint,
        key=key,
        fact=fact,
        sequence=int(headers["tellwire-sequence"]),
        webhook_id=headers["webhook-id"],
        before=tuple(before),
    )


def _told_by_row(entity: str, row: dict[str, Any]) -> tuple[str, str]:
    if entity == "conversations":
        return row["contact_address"], "conversation"
    if row["direction"] == "incoming":
        return row["from"], row["content"]["text"]["body"]
    at, name = max((at, name) for name, at in row["status"].items())
    return row["to"], f"{name} at {int(datetime.fromisoformat(at).timestamp())}"


def _told_by_chat(payload: dict[str, Any]) -> tuple[str, str]:
    contact = payload["participants"]["sender"]["from"]
    if payload["message_type"] == "incoming_message":
        return contact, payload["message"]["text"]["body"]
    status = payload["statuses"][0]
    return contact, f"{status['status']} at {status['timestamp']}"


def _taken_apart(raw: bytes) -> tuple[str, str, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split(_LINE)
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, target, {name.lower(): value.strip() for name, _, value in pairs}, body


def _echo(target: str) -> bytes:
    found = _CHALLENGE.search(target)
    body = json.dumps({"challenge": found[1] if found else ""}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
