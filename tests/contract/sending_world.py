"""A sending worker over a real store, with a Meta that answers as a test sets."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from msgspec.structs import replace
from tests.world import NUMBER, START, World, envelope, incoming

from tellwire.conversations import outgoing
from tellwire.conversations.outgoing import Draft
from tellwire.errors import Unavailable
from tellwire.leases import Leases
from tellwire.model.messaging import Message, Send
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.observability.counters import Counters
from tellwire.ports.http_out import Answer
from tellwire.sending.answers import SendAnswers
from tellwire.sending.attempt import MessageSender
from tellwire.sending.worker import SendingWorker
from tellwire.stores.queries import accounts
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.records import sending_rows
from tellwire.stores.schema.sending import sends
from tellwire.stores.work_queues.sends import SqlDueSends

PATIENCE = 20.0
_PAUSE = 0.005
TEXT = b'{"type":"text","text":{"body":"Hello!"}}'
Script = Callable[[dict[str, Any]], Answer]


def taken(body: dict[str, Any]) -> Answer:
    """Return the answer by which Meta accepts a message, with a wamid made from our id."""
    wamid = f"wamid.{body['biz_opaque_callback_data']}"
    answer = {"messaging_product": "whatsapp", "messages": [{"id": wamid}]}
    return Answer(status=200, body=json.dumps(answer).encode(), written=True)


def error(code: int, status: int = 400) -> Answer:
    """Return an answer by which Meta refuses a message."""
    body = {"error": {"message": f"(#{code}) No", "type": "OAuthException", "code": code}}
    return Answer(status=status, body=json.dumps(body).encode(), written=True)


LOST = Answer(failure="timeout", cause="no answer within 20 s (while waiting for the headers)", written=True)
UNREACHED = Answer(failure="refused", cause="connection refused")


class Meta:
    """The Graph API: gives the answers in `answers`, then accepts everything; `held` calls wait for `release`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: deque[Answer] = deque()
        self.by_recipient: dict[str, deque[Answer]] = {}
        self.before: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.came = asyncio.Semaphore(0)
        self.under_way = 0
        self.most_under_way = 0
        self._closed = asyncio.Event()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.asked]

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
        self.before()
        if may_send is not None and not may_send():
            return Answer(withheld=True)
        sent = json.loads(body)
        self.asked.append((token, path, sent))
        self.came.release()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        waiting = {asyncio.ensure_future(self.gate.wait()), asyncio.ensure_future(self._closed.wait())}
        _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in pending:
            one.cancel()
        self.under_way -= 1
        if not self.gate.is_set():
            return Answer(failure="broken", cause="Tellwire is stopping", written=True)
        mine = self.by_recipient.get(sent.get("to") or sent.get("recipient", ""))
        if mine:
            return mine.popleft()
        return self.answers.popleft() if self.answers else taken(sent)

    async def close(self) -> None:
        self._closed.set()


class Office:
    """The world of a test: the worker, its account, its store and Meta."""

    def __init__(self, world: World, meta: Meta, *, most: int, store: Any = None) -> None:
        self.world = world
        self.meta = meta
        self.counters = Counters()
        self.answers = SendAnswers()
        self.leases = Leases(world.outbox, world.clock, under_way=lambda _: 0, moved=lambda _: None)
        due = SqlDueSends(store or world.store)
        self.sending_worker = SendingWorker(
            store or world.store,
            due,
            world.clock,
            self.leases,
            MessageSender(
                store or world.store,
                due,
                meta,
                world.clock,
                holds=self.leases.holds,
                options=world.ingest.options,
                random=lambda: 0.5,
                counters=self.counters,
                answers=self.answers,
            ),
            counters=self.counters,
            most=most,
        )

    @property
    def account(self) -> Account:
        return self.world.store.registry().accounts[NUMBER]

    async def change(self, **changes: Any) -> None:
        """Change the account."""
        store = self.world.store
        audit_change = AuditChange(DEFAULT_ORGANIZATION, "test", self.world.clock.now(), store.new_id)
        account = replace(self.account, **changes)
        await store.write(lambda c: accounts.change(c, audit_change, store.vault, account))

    async def queue(
        self, to: str = "+5215588392274", content: bytes = TEXT, *, number: str = NUMBER, **options: Any
    ) -> str:
        """Queue a message and return its id."""
        account = self.world.store.registry().accounts[number]
        draft = Draft(account=account, content=content, to=to, **options)
        made: tuple[Message, Send] = await self.world.store.apply(
            outgoing.keys_of(draft), lambda ledger: outgoing.queue(ledger, draft, window=self.world.window)
        )
        return made[0].id

    async def sends(self) -> dict[str, Send]:
        columns = [sends.c[name] for name in sending_rows.SEND]
        rows = await self.world.store.read(lambda c: c.execute(sends.select().with_only_columns(*columns)).all())
        return {row[0]: sending_rows.send(row) for row in rows}

    async def states(self) -> list[str]:
        """Return the states of sends, in the order in which they were queued."""
        return [send.state for _, send in sorted((await self.sends()).items())]

    async def until(self, *states: str) -> None:
        """Return once the sends have these states and every answer of Meta is recorded."""
        async with asyncio.timeout(PATIENCE):
            while await self.states() != list(states) or self.sending_worker.in_flight > self.meta.under_way:
                self.sending_worker.wake()
                await asyncio.sleep(_PAUSE)

    async def tried(self, message_id: str) -> None:
        """Return once a message waits for its next try."""
        async with asyncio.timeout(PATIENCE):
            while (send := (await self.sends())[message_id]).state != "queued" or send.due_at <= self.world.clock.now():
                self.sending_worker.wake()
                await asyncio.sleep(_PAUSE)

    async def rounds(self, count: int = 2) -> None:
        """Let the worker look for due sends so many times."""
        async with asyncio.timeout(PATIENCE):
            enough = self.sending_worker.rounds + count
            while self.sending_worker.rounds < enough:
                self.sending_worker.wake()
                await asyncio.sleep(_PAUSE)

    async def statuses(self, message_id: str) -> dict[str, Any]:
        """Return the newest `status` of a message, from its events."""
        rows = [row for row in await self.world.rows() if row.get("id") == message_id]
        found: dict[str, Any] = rows[-1]["status"]
        return found


async def add_account(world: World, number: str, organization_id: str = DEFAULT_ORGANIZATION) -> None:
    """Add an account with a token."""
    store = world.store
    audit_change = AuditChange(DEFAULT_ORGANIZATION, "test", START, store.new_id)
    account = Account(
        id=store.new_id(),
        organization_id=organization_id,
        phone_number_id=number,
        access_token="EAA-invented",
        created_at=START,
        updated_at=START,
    )
    await store.write(lambda c: accounts.add(c, audit_change, store.vault, account))


@asynccontextmanager
async def office(
    world: World, *, started: bool = True, most: int = 256, owner: str = "one", store: Any = None
) -> AsyncIterator[Office]:
    """Give a sending worker over the world, for one account with a token; `store` replaces the world's."""
    if NUMBER not in world.store.registry().accounts:
        await add_account(world, NUMBER)
    opened = Office(world, Meta(), most=most, store=store)
    await opened.leases.start(owner)
    if started:
        opened.sending_worker.start()
    try:
        yield opened
    finally:
        await opened.sending_worker.stop(1.0)
        await opened.leases.stop(1.0)
        await opened.leases.release()


async def hears(world: World, *, sender: str, at: int) -> None:
    """Receive a message of a customer, at a time of Meta's."""
    await world.post_body(envelope(incoming(f"wamid.{sender}", sender=sender, at=at)))


class Stumbling:
    """A store that fails: `refusing` before a commit is applied, `forgetful` after it is durable."""

    def __init__(self, world: World) -> None:
        self._store = world.store
        self.refusing = 0
        self.forgetful = 0
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, keys: Any, decide: Any) -> Any:
        if self.refusing:
            self.refusing -= 1
            self.failed += 1
            raise Unavailable("the disk is full")
        done = await self._store.apply(keys, decide)
        if self.forgetful:
            self.forgetful -= 1
            self.failed += 1
            raise Unavailable("the connection was lost at the commit")
        return done
