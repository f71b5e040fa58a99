"""Open the store that a database's URL names. A new kind of store is added here only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, NullPool, create_engine

from tellwire.errors import BadSettings, NotMigrated
from tellwire.model.routing import NamesOf
from tellwire.model.units import Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.queues import WaitingItems
from tellwire.ports.storage import Outbox
from tellwire.security.vault import Vault, read_or_make_master_key
from tellwire.stores.migrate import (
    HEAD,
    Migration,
    found_in_file,
    lacking_in_file,
    migrate_sqlite,
    what_they_do,
)
from tellwire.stores.queries import reencryption
from tellwire.stores.sqlite.outbox import SqliteOutbox
from tellwire.stores.sqlite.store import SqliteStore

T = TypeVar("T")


class Store(WaitingItems, Protocol):
    """The part of a store that a process uses, beside the outbox."""

    vault: Vault
    counters: Counters

    @property
    def failing(self) -> str:
        """Why the last commit failed; "" when it did not."""
        ...

    def new_id(self) -> str:
        """Return an id for a write (inside a job only: ids rise in commit order)."""
        ...

    def on_events(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop after every commit that recorded events."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read-only query."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a write; return its result once durable."""
        ...

    async def purge_erased(self) -> None:
        """Remove erased data from the database's files as well, as far as the store can."""
        ...

    async def refresh(self) -> None:
        """Read the changes that other processes made to accounts and endpoints."""
        ...

    async def close(self) -> None:
        """Commit the waiting jobs and close the database."""
        ...


class OpenedStore(Struct, frozen=True):
    """A store and the outbox over it."""

    store: Store
    outbox: Outbox


async def open_store(
    url: str,
    *,
    clock: Clock,
    master_keys: Sequence[bytes],
    window: Micros,
    names: Mapping[str, NamesOf],
    serving: bool = True,
    pooled: bool = False,
    migrate: bool = False,
    lenient: bool = False,
) -> OpenedStore:
    """Open the store that a URL names. SQLite is migrated first, PostgreSQL only with `migrate`.

    Args:
        url: `DATABASE_URL`.
        clock: the source of time.
        master_keys: the keys that secrets are sealed with; with none, SQLite uses a file beside the database.
        window: micros after which an idle conversation closes.
        names: per payload format, the names under which an event is subscribed to.
        serving: False for a command beside a running server.
        pooled: `DATABASE_POOLER`.
        migrate: bring PostgreSQL to this version's schema first.
        lenient: leave out accounts and endpoints whose secrets no master key opens.

    Raises:
        BadSettings: another kind of database, or a setting is missing.
        AlreadyRunning: another process serves this database, which allows one only.
        NotMigrated: PostgreSQL lacks this version's schema, or no migration leads to it, or a newer one wrote it.
        Unavailable: PostgreSQL cannot be reached.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        await asyncio.to_thread(migrate_sqlite, path)
        vault = Vault(master_keys or (await asyncio.to_thread(_key_beside, path),))
        file = SqliteStore(path, clock=clock, vault=vault, window=window, names=names)
        await file.open(serving=serving, lenient=lenient)
        return OpenedStore(file, SqliteOutbox(file, clock=clock))
    # Imported here, because a start on SQLite does not need it.
    from tellwire.stores.postgres import migrate as postgres_migrate  # noqa: PLC0415
    from tellwire.stores.postgres.connections import PostgresServer  # noqa: PLC0415
    from tellwire.stores.postgres.outbox import PostgresOutbox  # noqa: PLC0415
    from tellwire.stores.postgres.store import PostgresStore  # noqa: PLC0415

    if not master_keys:
        raise BadSettings("MASTER_KEY is required with PostgreSQL")
    server = PostgresServer(url, pooled=pooled)
    if migrate:
        await postgres_migrate.migrate(server)
    elif await postgres_migrate.lacking_in(server):
        raise NotMigrated(f"the database {server.name} lacks this version's schema: run `tellwire migrate` first")
    store = PostgresStore(server, clock=clock, vault=Vault(master_keys), window=window, names=names)
    await store.open(serving=serving, lenient=lenient)
    return OpenedStore(store, PostgresOutbox(store, clock=clock))


def _key_beside(path: Path) -> bytes:
    """Return the key beside an SQLite database, made only for one in which nothing is sealed."""

    def holds_sealed() -> bool:
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        with engine.connect() as connection:
            return reencryption.holds_sealed(connection)

    return read_or_make_master_key(path, holds_sealed=holds_sealed)


async def migrate_store(url: str, *, pooled: bool = False) -> str:
    """Bring a database to this version's schema, making an SQLite file when there is none; return its name.

    Raises:
        BadSettings: PostgreSQL is too old.
        NotMigrated: no migration leads to this version's schema.
        Unavailable: PostgreSQL cannot be reached.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        await asyncio.to_thread(migrate_sqlite, path)
        return str(path)
    from tellwire.stores.postgres import migrate as postgres_migrate  # noqa: PLC0415
    from tellwire.stores.postgres.connections import PostgresServer  # noqa: PLC0415

    server = PostgresServer(url, pooled=pooled)
    await postgres_migrate.migrate(server)
    return server.name


class MigrationPlan(Struct, frozen=True):
    """What `migrate` would do to a database: from which revision ("" for none) to which, by which steps."""

    database: str
    revision: str
    newest: str
    migrations: list[Migration]


async def plan_migration(url: str, *, pooled: bool = False) -> MigrationPlan:
    """Return what `migrate_store` would do; nothing is changed or made.

    Raises:
        BadSettings, NotMigrated, Unavailable: those of `migrate_store`.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        found, missing, name = found_in_file(path), lacking_in_file(path), str(path)
    else:
        from tellwire.stores.postgres import migrate as postgres_migrate  # noqa: PLC0415
        from tellwire.stores.postgres.connections import PostgresServer  # noqa: PLC0415

        server = PostgresServer(url, pooled=pooled)
        found, missing = await postgres_migrate.found_schema(server), await postgres_migrate.lacking_in(server)
        name = server.name
    return MigrationPlan(name, found.revision, HEAD, what_they_do(missing))
