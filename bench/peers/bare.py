"""The bare peer: the least that can be durable and at least once, and so the ceiling of one Python process.

A raw ASGI application on uvicorn (uvloop, httptools), msgspec, one SQLite writer thread that commits whatever waits
in one transaction (WAL, synchronous=FULL), aiohttp for the deliveries. It answers 200 after the commit of message,
conversation and outbox row; a delivery is marked done in a later commit; at the start, what is not done is sent
again. No retries with a schedule, no history of attempts, no order, one subscriber, one format.

Run: `python -m bench.peers.bare`, with BENCH_PORT, BENCH_SQLITE, BENCH_SINK, BENCH_APP_SECRET,
BENCH_SIGNING_SECRET.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import aiohttp
import msgspec
import uvicorn
from msgspec import Struct, field

IN_FLIGHT = 64
LARGEST_COMMIT = 512

SCHEMA = """
create table if not exists messages (
    wamid text primary key, account text not null, contact text not null, at integer not null, body blob not null
) without rowid;
create table if not exists conversations (
    account text, contact text, last_at integer not null, messages integer not null, primary key (account, contact)
) without rowid;
create table if not exists outbox (id integer primary key, wamid text not null, body blob not null, done integer);
create index if not exists outbox_open on outbox (id) where done is null;
"""


class Metadata(Struct):
    phone_number_id: str


class Text(Struct):
    body: str


class Message(Struct, rename={"from_": "from"}):
    id: str
    from_: str
    timestamp: str
    type: str
    text: Text | None = None


class Value(Struct):
    metadata: Metadata
    messages: list[Message] = field(default_factory=list)


class Change(Struct):
    field: str
    value: Value


class Entry(Struct):
    id: str
    changes: list[Change]


class Webhook(Struct):
    object: str
    entry: list[Entry]


class Delivered(Struct):
    """The body that the subscriber receives."""

    entity: str
    action: str
    data: Message


class Row(Struct):
    wamid: str
    account: str
    contact: str
    at: int
    body: bytes


class Arrival(Struct):
    """Rows to commit, and the future to complete after the commit."""

    rows: list[Row]
    committed: asyncio.Future[None]


class Done(Struct):
    outbox: int


class Stop(Struct):
    pass


Job = Arrival | Done | Stop
Due = tuple[int, str, bytes]
"""A delivery: its outbox id, the wamid, the body."""


class Writer(threading.Thread):
    """The thread that owns the database; all jobs that wait when a commit begins go into that commit."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, offer: Callable[[Due], None]) -> None:
        super().__init__(name="writer")
        self._path = path
        self._loop = loop
        self._offer = offer
        self.jobs: SimpleQueue[Job] = SimpleQueue()

    def run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        database.executescript(SCHEMA)
        open_rows = database.execute("select id, wamid, body from outbox where done is null order by id").fetchall()
        self._loop.call_soon_threadsafe(self._announce, [], open_rows)
        going = True
        while going:
            going = self._commit(database, self._waiting())
        database.close()

    def _waiting(self) -> list[Job]:
        jobs = [self.jobs.get()]
        with suppress(Empty):
            while len(jobs) < LARGEST_COMMIT:
                jobs.append(self.jobs.get_nowait())
        return jobs

    def _commit(self, database: sqlite3.Connection, jobs: list[Job]) -> bool:
        answers: list[asyncio.Future[None]] = []
        due: list[Due] = []
        done: list[tuple[int]] = []
        going = True
        database.execute("begin immediate")
        for job in jobs:
            match job:
                case Arrival(rows, committed):
                    due.extend(_insert(database, rows))
                    answers.append(committed)
                case Done(outbox):
                    done.append((outbox,))
                case Stop():
                    going = False
        database.executemany("update outbox set done = 1 where id = ?", done)
        database.execute("commit")
        if answers:
            self._loop.call_soon_threadsafe(self._announce, answers, due)
        return going

    def _announce(self, answers: list[asyncio.Future[None]], due: list[Due]) -> None:
        for answer in answers:
            if not answer.done():
                answer.set_result(None)
        for one in due:
            self._offer(one)


def _insert(database: sqlite3.Connection, rows: list[Row]) -> Iterator[Due]:
    for row in rows:
        new = database.execute(
            "insert into messages values (?, ?, ?, ?, ?) on conflict do nothing",
            (row.wamid, row.account, row.contact, row.at, row.body),
        )
        if not new.rowcount:
            continue
        database.execute(
            "insert into conversations values (?, ?, ?, 1) on conflict do update set"
            " last_at = max(last_at, excluded.last_at), messages = messages + 1",
            (row.account, row.contact, row.at),
        )
        outbox = database.execute("insert into outbox (wamid, body) values (?, ?)", (row.wamid, row.body)).lastrowid
        yield outbox or 0, row.wamid, row.body


class Application:
    """The ASGI application."""

    def __init__(self) -> None:
        self._app_secret = os.environ["BENCH_APP_SECRET"].encode()
        self._key = base64.b64decode(os.environ["BENCH_SIGNING_SECRET"].removeprefix("whsec_"))
        self._decode = msgspec.json.Decoder(Webhook).decode
        self._encode = msgspec.json.Encoder().encode
        self._due: asyncio.Queue[Due] = asyncio.Queue()
        self._writer: Writer | None = None

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        status = await self._take(dict(scope["headers"]).get(b"x-hub-signature-256", b""), body)
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _take(self, signature: bytes, body: bytes) -> int:
        wanted = "sha256=" + hmac.new(self._app_secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), signature):
            return 401
        try:
            rows = [
                Row(m.id, change.value.metadata.phone_number_id, m.from_, int(m.timestamp), self._payload(m))
                for entry in self._decode(body).entry
                for change in entry.changes
                for m in change.value.messages
            ]
        except (msgspec.MsgspecError, ValueError):
            return 400
        if self._writer is None:
            return 503
        committed = asyncio.get_running_loop().create_future()
        self._writer.jobs.put(Arrival(rows, committed))
        await committed
        return 200

    def _payload(self, message: Message) -> bytes:
        return self._encode(Delivered("messages", "insert", message))

    async def _live(
        self,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        await receive()
        writer = Writer(os.environ["BENCH_SQLITE"], asyncio.get_running_loop(), self._due.put_nowait)
        writer.start()
        self._writer = writer
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=IN_FLIGHT), timeout=aiohttp.ClientTimeout(total=15)
        ) as session:
            senders = [asyncio.create_task(self._deliver(session, writer)) for _ in range(IN_FLIGHT)]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            for sender in senders:
                sender.cancel()
        writer.jobs.put(Stop())
        await asyncio.to_thread(writer.join)
        await send({"type": "lifespan.shutdown.complete"})

    async def _deliver(self, session: aiohttp.ClientSession, writer: Writer) -> None:
        url = os.environ["BENCH_SINK"]
        while True:
            outbox, wamid, body = await self._due.get()
            at = str(int(time.time()))
            signed = b".".join((wamid.encode(), at.encode(), body))
            signature = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
            headers = {
                "content-type": "application/json",
                "webhook-id": wamid,
                "webhook-timestamp": at,
                "webhook-signature": f"v1,{signature}",
            }
            with suppress(aiohttp.ClientError, TimeoutError):  # stays in the outbox until the next start
                async with session.post(url, data=body, headers=headers) as answer:
                    if answer.status < 300:
                        writer.jobs.put(Done(outbox))


if __name__ == "__main__":
    uvicorn.run(
        Application(),
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
