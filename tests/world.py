"""A store on a real file, the ingest use case on it, a clock that tests set, and Meta payloads of invented people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, text
from tests.postgres_server import drop_database, fresh_database

from tellwire.conversations.changes import Options
from tellwire.formats import FORMATS
from tellwire.inbox.ingest import Ingest
from tellwire.model.deliveries import Endpoint, Event, Secret, SentAs
from tellwire.model.inbound import EVERYTHING, Inbound, SpeaksFor
from tellwire.model.routing import PARTITIONS
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.storage import Outbox
from tellwire.security.vault import Vault
from tellwire.stores.migrate import migrate_sqlite
from tellwire.stores.postgres.connections import PostgresServer
from tellwire.stores.postgres.outbox import PostgresOutbox
from tellwire.stores.postgres.store import PostgresStore
from tellwire.stores.records import ledger_rows
from tellwire.stores.sqlite.outbox import SqliteOutbox
from tellwire.stores.sqlite.store import SqliteStore

NUMBER = "375446602312881"
DISPLAY = "919123456789"
WABA = "102290129340398"
CUSTOMER = "5215588392274"
USER_ID = "MX.13491208655302741918"
START = 1_778_038_763_000_000
"""2026-05-06T03:39:23Z, the instant of the first document's examples."""
NAMES = {name: module.names for name, module in FORMATS.items()}
EVENT = ", ".join(ledger_rows.EVENT)
HOUR = 3_600_000_000
DAY = 24 * HOUR
Kind = Literal["sqlite", "postgres"]
KIND: ContextVar[Kind] = ContextVar("KIND", default="sqlite")
"""The store that a test runs over: the fixture `each_store` sets it."""


class SetClock:
    """Time stands until a test moves it."""

    def __init__(self, now: int = START) -> None:
        self.at = now

    def now(self) -> int:
        return self.at

    def move(self, micros: int) -> None:
        self.at += micros


class World:
    """What the tests act on and look at."""

    def __init__(
        self,
        path: Path,
        clock: SetClock,
        window: int,
        auto_accounts: bool,
        *,
        kind: Kind = "sqlite",
        server: PostgresServer | None = None,
    ) -> None:
        """`server`: a database of PostgreSQL that is there already, as for a second process."""
        self.clock = clock
        self.window = window
        self._fresh = ""
        self.store: SqliteStore | PostgresStore
        vault = Vault([bytes(32)])
        if server is None and kind == "postgres":
            self._fresh = fresh_database()
            server = PostgresServer(self._fresh)
        if server is None:
            migrate_sqlite(path)
            self.store = SqliteStore(path, clock=clock, vault=vault, window=window, names=NAMES)
        else:
            self.store = PostgresStore(server, clock=clock, vault=vault, window=window, names=NAMES)
        self.ingest = Ingest(self.store, Options(auto_accounts=auto_accounts, window=window))

    @property
    def outbox(self) -> Outbox:
        """The deliveries of this world."""
        if isinstance(self.store, SqliteStore):
            return SqliteOutbox(self.store, clock=self.clock)
        return PostgresOutbox(self.store, clock=self.clock)

    async def close(self) -> None:
        await self.store.close()
        if self._fresh:
            drop_database(self._fresh)

    async def post(self, *values: Any, field: str = "messages", speaks_for: SpeaksFor = EVERYTHING) -> Inbound:
        """POST one change per value."""
        return await self.post_body(envelope(*values, field=field), speaks_for=speaks_for)

    async def post_body(self, body: Any, speaks_for: SpeaksFor = EVERYTHING) -> Inbound:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.ingest.receive(raw, speaks_for)

    async def endpoint(self, format: str = "row", **options: Any) -> Endpoint:  # noqa: A002
        """Add a subscriber, straight into the store."""

        def work(connection: Connection) -> Endpoint:
            endpoint = Endpoint(
                id=self.store.new_id(),
                organization_id=DEFAULT_ORGANIZATION,
                url="http://127.0.0.1:9/hook",
                format=format,
                secrets=(Secret("an invented secret of 32 characters"),),
                created_at=self.clock.now(),
                updated_at=self.clock.now(),
                **options,
            )
            columns = ledger_rows.endpoint_values(endpoint, self.store.vault)
            names = ", ".join(columns)
            places = ", ".join(f":{name}" for name in columns)
            connection.execute(text(f"INSERT INTO endpoints({names}) VALUES ({places})"), columns)
            connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))
            return endpoint

        return await self.store.write(work)

    async def set_account(self, **columns: Any) -> None:
        """Change the account that the payloads speak of."""
        names = ", ".join(f"{name} = :{name}" for name in columns)

        def work(connection: Connection) -> None:
            connection.execute(
                text(f"UPDATE accounts SET {names} WHERE phone_number_id = :n"), {**columns, "n": NUMBER}
            )
            connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))

        await self.store.write(work)

    async def events(self) -> list[Event]:
        """Every event so far, in commit order."""
        return await self.store.read(
            lambda c: [ledger_rows.event(row) for row in c.execute(text(f"SELECT {EVENT} FROM events ORDER BY id"))]
        )

    async def names(self) -> list[str]:
        return [event.name for event in await self.events()]

    async def rows(self, name: str = "") -> list[dict[str, Any]]:
        """The rows that the events show."""
        return [json.loads(bytes(e.snapshot.row)) for e in await self.events() if name in ("", e.name)]

    async def delivered(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """The payloads that an endpoint would be sent, in order, as it would parse them."""
        work = await self.outbox.backlog(endpoint.id, partitions=range(PARTITIONS), after="", limit=10_000)
        bodies = [FORMATS[endpoint.format].encode(w.event, endpoint, SentAs("an id")) for w in work]
        assert all(body is not None for body in bodies)
        return [json.loads(body) for body in bodies if body is not None]

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.store.read(lambda c: [tuple(row) for row in c.execute(text(sql))])


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[World]:
    """A world whose store is open."""
    await world.store.open()
    try:
        yield world
    finally:
        await world.close()


def play(
    tmp_path: Path,
    scenario: Callable[[World], Awaitable[None]],
    *,
    window: int = DAY,
    auto_accounts: bool = True,
) -> None:
    """Run a scenario in a fresh world that is unlike the fixture `world`."""

    async def run() -> None:
        async with opened(World(tmp_path / "world.db", SetClock(), window, auto_accounts, kind=KIND.get())) as world:
            await scenario(world)

    asyncio.run(run())


def envelope(*values: Any, field: str = "messages", waba: str = WABA) -> dict[str, Any]:
    """A webhook body with one change per value."""
    changes = [{"value": value, "field": field} for value in values]
    return {"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": changes}]}


def value(*, number: str = NUMBER, display: str = DISPLAY, **content: Any) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": display, "phone_number_id": number},
        **content,
    }


def contact(wa_id: str | None = CUSTOMER, name: str | None = "Bharath", user_id: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if name is not None:
        entry["profile"] = {"name": name}
    if wa_id is not None:
        entry["wa_id"] = wa_id
    if user_id is not None:
        entry["user_id"] = user_id
    return entry


def text_message(
    wamid: str, body: str = "Hello!", *, sender: str | None = CUSTOMER, at: int | str = 1_778_038_763, **more: Any
) -> dict[str, Any]:
    return ({"from": sender} if sender else {}) | {
        "id": wamid,
        "timestamp": str(at) if isinstance(at, int) else at,
        "type": "text",
        "text": {"body": body},
        **more,
    }


def incoming(
    wamid: str, body: str = "Hello!", *, name: str = "Bharath", sender: str = CUSTOMER, **more: Any
) -> dict[str, Any]:
    """A value with one text message of a customer."""
    return value(contacts=[contact(sender, name)], messages=[text_message(wamid, body, sender=sender, **more)])


def status(wamid: str, name: str, at: int = 1_778_038_766, *, to: str | None = CUSTOMER, **more: Any) -> dict[str, Any]:
    recipient = {"recipient_id": to} if to else {}
    return {"id": wamid, "status": name, "timestamp": str(at), **recipient, **more}


def statuses(*items: dict[str, Any]) -> dict[str, Any]:
    return value(statuses=list(items))
