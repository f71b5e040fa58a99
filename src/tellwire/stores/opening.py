"""Which store a database's URL means, opened: the one place that a new store is added to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from tellwire.errors import BadSettings
from tellwire.model import Inbound, Micros, Registry
from tellwire.ports import Book, Clock, Outbox
from tellwire.routing import Names
from tellwire.stores.migrate import migrate_sqlite
from tellwire.stores.sqlite import SqliteStore
from tellwire.stores.sqlite_outbox import SqliteOutbox
from tellwire.vault import Vault, master_key_beside

T = TypeVar("T")


class Store(Book, Protocol):
    """What a process uses of its store, beside the outbox."""

    vault: Vault

    @property
    def failing(self) -> str:
        """Why the last commit failed; "" when it did not."""
        ...

    @property
    def commits(self) -> int:
        """Commits of this process since the store was opened."""
        ...

    def registry(self) -> Registry:
        """Accounts and endpoints as of the last commit that changed them."""
        ...

    def new_id(self) -> str:
        """An id for a cold write (inside a job only: ids rise in commit order)."""
        ...

    def on_changed(self, changed: Callable[[Registry], None]) -> None:
        """Call `changed` on the event loop after every commit that touched accounts or endpoints."""
        ...

    def on_events(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop after every commit that recorded events."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read-only query."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a cold write; return its result once durable."""
        ...

    async def refresh(self) -> None:
        """Take in what other processes changed of accounts and endpoints."""
        ...

    async def idle_conversations(self, *, limit: int) -> list[tuple[str, str]]:
        """(organization id, id) of open conversations whose last row is at least the window ago."""
        ...

    async def unrouted(self, phone_number_id: str, *, after: str, limit: int) -> list[tuple[Inbound, frozenset[str]]]:
        """Kept POSTs with items that waited for an account, oldest first, each with the pointers of those items."""
        ...

    async def close(self) -> None:
        """Commit what waits and let go of the database."""
        ...


class Opened(Struct, frozen=True):
    """A store and the outbox over it."""

    store: Store
    outbox: Outbox


async def open_store(
    url: str,
    *,
    clock: Clock,
    master_keys: Sequence[bytes],
    window: Micros,
    names: Mapping[str, Names],
    serving: bool = True,
) -> Opened:
    """Open the store that a URL means, migrated first where that is done unasked.

    Args:
        url: `DATABASE_URL`.
        clock: time.
        master_keys: what secrets are sealed with; none on SQLite: a file beside the database holds one.
        window: micros after which an idle conversation closes.
        names: per payload format, the names under which an event is subscribed to.
        serving: False for a command beside a running server.

    Raises:
        BadSettings: another kind of database.
        AlreadyRunning: another process serves this database, and it takes one only.
    """
    if not url.startswith("sqlite:///"):
        raise BadSettings("DATABASE_URL: this version serves sqlite:///path only; postgresql:// comes next")
    path = Path(url.removeprefix("sqlite:///"))
    await asyncio.to_thread(migrate_sqlite, path)
    vault = Vault(master_keys or (master_key_beside(path),))
    store = SqliteStore(path, clock=clock, vault=vault, window=window, names=names)
    await store.open(serving=serving)
    return Opened(store, SqliteOutbox(store, clock=clock))
