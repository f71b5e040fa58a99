"""The store for many processes: PostgreSQL. Every organization has one writer at a time, in whichever process.

A group commit holds a lock for each organization that it touches, and shares one of the whole installation; any other
write holds that last lock alone. So decisions never race, and ids rise in commit order within an organization.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import asyncpg
from msgspec import Struct
from sqlalchemy import Connection as QueryConnection

from tellwire.ids import IdMaker, micros_of
from tellwire.model.deliveries import Work
from tellwire.model.inbound import WaitingPost
from tellwire.model.keys import ConversationKey, Keys
from tellwire.model.ledger import Ledger
from tellwire.model.registry import Registry
from tellwire.model.routing import NamesOf, Routes
from tellwire.model.units import Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.storage import Result
from tellwire.security.vault import Vault
from tellwire.stores.fair_batches import decide_in_turn
from tellwire.stores.listeners import Listeners
from tellwire.stores.postgres import ledger_load, ledger_write, sending
from tellwire.stores.postgres.committer import Committer
from tellwire.stores.postgres.connections import (
    SET_LOCAL,
    Connection,
    LedgerConnection,
    PostgresServer,
    check,
    is_server_error,
    reporting_connect_errors,
    unavailable,
)
from tellwire.stores.postgres.notifications import Hint, HintChannel
from tellwire.stores.postgres.query_runner import PostgresQueryRunner
from tellwire.stores.queries import operational, write_probe
from tellwire.stores.records import inbound_rows, ledger_keys, registry_rows
from tellwire.stores.schema.sending import OPEN_SEND

T = TypeVar("T")

_READERS = 4
_LARGE = 64
"""A decision about so many items is made in a thread, so that it does not hold the event loop."""
_CHECK_IDLE = f"""
SELECT c.organization_id, c.id, c.last_row_at, {ledger_keys.LAST_ROW} FROM conversations c
WHERE c.status = 'open' AND c.check_at > 0 AND c.check_at <= $1
AND NOT EXISTS (SELECT 1 FROM sends s WHERE s.conversation_id = c.id AND s.{OPEN_SEND})
ORDER BY c.check_at LIMIT $2
"""
_CHECK_LATER = """
UPDATE conversations c SET check_at = k.at FROM unnest($1::text[], $2::text[], $3::bigint[]) k(a, b, at)
WHERE c.organization_id = k.a AND c.id = k.b
"""


class _Apply(Struct, frozen=True):
    keys: Keys
    decide: Callable[[Ledger], Any]

    @property
    def size(self) -> int:
        return self.keys.size


def _size(job: _Apply) -> int:
    return job.size


def _whose(job: _Apply) -> str:
    return job.keys.whose


class PostgresStore(Listeners):
    """`LedgerStore` and the runner of queries over one database; `PostgresOutbox` uses it.

    Args:
        server: the database, migrated already.
        clock, vault: time, and the sealing of secrets.
        window: micros after which an idle conversation closes.
        names: per payload format, the names under which an event is subscribed to (see `Routes`).
    """

    def __init__(
        self, server: PostgresServer, *, clock: Clock, vault: Vault, window: Micros, names: Mapping[str, NamesOf]
    ) -> None:
        super().__init__()
        self.server = server
        self._clock = clock
        self.vault = vault
        self._window = window
        self._names = names
        self._registry = Registry(version=-1, accounts={}, endpoints={})
        self._routes = Routes(self._registry, names)
        self._ids = IdMaker()
        self._last: dict[str, str] = {}
        self._applying = LedgerConnection(server)
        self._recording = LedgerConnection(server)
        self.counters = Counters()
        self._appliers = Committer(self._apply_batch, is_server_error, counters=self.counters, size=_size, whose=_whose)
        self._recorders = Committer(self._record_batch, is_server_error, counters=self.counters)
        self._queries = PostgresQueryRunner(server)
        self._lenient = False
        self._hints: HintChannel | None = None
        self._pool: asyncpg.Pool[Any] | None = None
        self.lease_error = ""

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self, *, serving: bool = True, lenient: bool = False) -> None:
        """Connect and start; a server also listens to other processes, a command line (`serving=False`) does not.

        `lenient` leaves out accounts and endpoints whose secrets no master key opens.

        Raises:
            BadSettings: the server is too old.
            Unavailable: it cannot be reached.
        """
        self._lenient = lenient
        with reporting_connect_errors(self.server):
            connection = await self._applying.connection()
            await check(connection)
            if serving:
                await sending.make_key(connection, self.vault)
            self._adopt_registry(await ledger_load.registry(connection, self.vault, lenient=self._lenient))
        self._pool = await asyncpg.create_pool(**self.server.options(ledger=True), min_size=0, max_size=_READERS)
        self._appliers.start()
        self._recorders.start()
        if serving and not self.server.pooled:
            self._hints = HintChannel(self.server, self._on_hint)
            self._hints.start()

    async def close(self) -> None:
        """Commit the waiting jobs and close the database."""
        await self._appliers.stop()
        await self._recorders.stop()
        if self._hints is not None:
            await self._hints.stop()
        await self._applying.close()
        await self._recording.close()
        if self._pool is not None:
            self._pool.terminate()
        await self._queries.close()

    def registry(self) -> Registry:
        """Return the registry as of the last commit that changed it."""
        return self._registry

    def new_id(self) -> str:
        """Return an id for a write (inside a job only: ids rise in commit order)."""
        return self._ids.make(self._clock.now())

    @property
    def failing(self) -> str:
        """Why the last commit, or the last renewal of leases, failed; "" when they did not."""
        return self._appliers.failing or self.lease_error

    # --- LedgerStore --------------------------------------------------------------------------------------------------

    async def apply(self, keys: Keys, decide: Callable[[Ledger], T]) -> T:
        """See `ports.storage.LedgerStore.apply`."""
        return await self._appliers.do(_Apply(keys, decide))  # type: ignore[no-any-return]

    async def purge_erased(self) -> None:
        """Do nothing: the server's VACUUM overwrites erased data."""

    async def refresh(self) -> None:
        """Read what other processes changed of accounts and endpoints; while commits fail, try one."""
        if self.failing:
            await self.write(write_probe.write)
        await self._appliers.do(_Apply(Keys(), lambda _: None))

    async def _apply_batch(self, jobs: Sequence[_Apply]) -> tuple[list[Any], Callable[[], None]]:
        keys = Keys()
        for job in jobs:
            keys.add(job.keys)
        while True:
            connection = await self._applying.connection()
            try:
                done = await self._apply(connection, keys, jobs)
            except BaseException:
                await self._applying.roll_back()
                raise
            if done is not None:
                return done

    async def _apply(
        self, connection: Connection, keys: Keys, jobs: Sequence[_Apply]
    ) -> tuple[list[Any], Callable[[], None]] | None:
        """Do one commit; return None when the registry was outdated and has been read anew."""
        registry = self._registry
        organizations = ledger_load.organizations(keys, registry)
        await connection.execute(self._applying.begin + _locks(organizations))
        loaded = await ledger_load.read(connection, keys, registry, organizations)
        if loaded.version != registry.version:
            fresh = await ledger_load.registry(connection, self.vault, lenient=self._lenient)
            await connection.execute("ROLLBACK")
            self._adopt_registry(fresh)
            return None
        self._ids.rise(loaded.floor)
        now = self._clock.now()
        ledger = Ledger(now=now, new_id=lambda: self._ids.make(now), registry=registry, routes=self._routes)
        ledger.asked |= keys.addresses
        ledger_load.fill(ledger, loaded)
        await sending.load_agents(connection, ledger, keys)
        if loaded.held_bodies or any(job.size >= _LARGE for job in jobs):
            results = await asyncio.to_thread(decide_in_turn, ledger, [job.decide for job in jobs])
        else:
            results = decide_in_turn(ledger, [job.decide for job in jobs])
        work = await ledger_write.write(connection, ledger, self.vault, self._window)
        fresh = registry
        if ledger.changes_registry:
            fresh = await ledger_load.registry(connection, self.vault, lenient=self._lenient)
        await _commit(connection)
        self._adopt_registry(fresh)
        others = {each for each, last in loaded.last.items() if last > self._last.get(each, "")}
        self._last |= loaded.last | {each.delivery.organization_id: each.delivery.id for each in work}
        hint = Hint(events=bool(ledger.events), due_work=ledger.has_due_work, registry=fresh is not registry)
        return results, lambda: self._notify(work, others, hint)

    def _notify(self, work: list[Work], others: Collection[str], hint: Hint) -> None:
        """Call the listeners after a commit; in organizations `others`, another process committed deliveries before.

        Their hints may be late or lost, and our deliveries must not go out before theirs.
        """
        if others:
            known = self._registry.endpoints.values()
            self._elsewhere([e.id for e in known if e.state == "active" and e.organization_id in others])
        if work:
            self._committed(work)
        self._wake(events=hint.events, due_work=hint.due_work)
        if self._hints is not None and (hint.events or hint.due_work or hint.registry):
            self._hints.send(hint, {each.delivery.endpoint_id for each in work})

    def _adopt_registry(self, registry: Registry) -> None:
        """Use a registry from now on, unless a newer one is known."""
        if registry.version <= self._registry.version:
            return
        self._registry, self._routes = registry, Routes(registry, self._names)
        for changed in self._registry_listeners:
            changed(registry)

    def _on_hint(self, hint: Hint) -> None:
        """Call the listeners for a hint of another process."""
        if hint.registry:
            self._appliers.submit(_Apply(Keys(), lambda _: None))
        if hint.look:
            self._elsewhere([e.id for e in self._registry.endpoints.values() if e.state == "active"])
        elif hint.endpoints:
            self._elsewhere(hint.endpoints)
        self._wake(events=hint.events, due_work=hint.due_work)
        if hint.released:
            self._released()

    def announce_released(self) -> None:
        """Tell other processes that partitions are free."""
        if self._hints is not None:
            self._hints.send(Hint(released=True))

    # --- results ------------------------------------------------------------------------------------------------------

    async def record(self, results: Sequence[Result]) -> set[str]:
        """Write results in the next commit of results; return the ids of those whose epoch is outdated."""
        return await self._recorders.do(results)  # type: ignore[no-any-return]

    async def _record_batch(self, jobs: Sequence[Sequence[Result]]) -> tuple[list[set[str]], Callable[[], None]]:
        results = [result for job in jobs for result in job]
        connection = await self._recording.connection()
        try:
            await connection.execute(self._recording.begin)
            refused = await ledger_write.write_results(connection, results) if results else set()
            await _commit(connection)
        except BaseException:
            await self._recording.roll_back()
            raise
        return [refused.intersection(r.delivery.id for r in job) for job in jobs], lambda: None

    # --- queries ------------------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[QueryConnection], T]) -> T:
        """Run a read-only query."""
        return await self._queries.read(work)

    async def write(self, work: Callable[[QueryConnection], T]) -> T:
        """Run a write while no other runs in the whole installation; return its result once durable."""
        fresh = self._registry

        async def before(connection: Connection) -> None:
            self._ids.rise(await connection.fetchval(ledger_load.HIGHEST) or "")

        async def after(connection: Connection) -> None:
            nonlocal fresh
            version = await connection.fetchval(registry_rows.VERSION)
            if version != self._registry.version:
                fresh = await ledger_load.registry(connection, self.vault, lenient=self._lenient)

        def notifying(connection: QueryConnection) -> tuple[T, list[str] | None]:
            return work(connection), operational.take_notified(connection)

        result, notified = await self._queries.write(notifying, lock=_LOCK_ALL, before=before, after=after)
        if fresh.version > self._registry.version:
            self._adopt_registry(fresh)
            if self._hints is not None:
                self._hints.send(Hint(registry=True, look=True))
        if notified is not None:
            self._elsewhere(notified)
            self._wake(events=True, due_work=False)
            if self._hints is not None:
                self._hints.send(Hint(events=True), set(notified))
        return result

    # --- queries with the settings of the ledger's statements ---------------------------------------------------------

    async def query(self, work: Callable[[Connection], Any]) -> Any:
        """Run a query, or a few in one transaction, on a connection with the settings of the ledger's statements.

        Raises:
            Unavailable: the database cannot answer.
        """
        if self._pool is None:
            raise RuntimeError("the store is not open")
        try:
            async with self._pool.acquire(timeout=15) as connection, connection.transaction():
                if self.server.pooled:
                    await connection.execute(SET_LOCAL)
                return await work(connection)
        except Exception as error:
            if is_server_error(error):
                raise unavailable(error) from None
            raise

    async def idle_conversations(self, *, limit: int) -> list[ConversationKey]:
        """Return open conversations whose last row is at least the window ago."""
        now, window = self._clock.now(), self._window

        async def move(connection: Connection) -> list[ConversationKey]:
            idle: list[ConversationKey] = []
            more = True
            while more and not idle:
                rows = await connection.fetch(_CHECK_IDLE, now, limit)
                more = len(rows) == limit
                later = []
                for organization_id, identifier, opened_at, last_message in rows:
                    check_at = max(opened_at, micros_of(last_message) if last_message else 0) + window
                    if check_at <= now:
                        idle.append(ConversationKey(organization_id, identifier))
                    else:
                        later.append((organization_id, identifier, check_at))
                if later:
                    await connection.execute(_CHECK_LATER, *zip(*later, strict=True))
            return idle

        return await self.query(move)  # type: ignore[no-any-return]

    async def unrouted(self, phone_number_id: str, *, after: str, limit: int) -> list[WaitingPost]:
        """Return stored POSTs with items that waited for an account, oldest first, each with those items' pointers."""
        query = (
            "SELECT h.inbound_id, array_agg(h.pointer) AS pointers FROM held_items h WHERE h.phone_number_id = $1"
            " AND h.wamid = '' AND h.outcome = 'unrouted' AND h.inbound_id > $2 GROUP BY 1 ORDER BY 1 LIMIT $3"
        )

        async def fetch(connection: Connection) -> list[WaitingPost]:
            found = {row[0]: frozenset(row[1]) for row in await connection.fetch(query, phone_number_id, after, limit)}
            rows = await connection.fetch("SELECT * FROM inbound WHERE id = ANY($1::text[]) ORDER BY id", list(found))
            return [WaitingPost(inbound_rows.inbound(row), found[row["id"]]) for row in rows]

        return await self.query(fetch)  # type: ignore[no-any-return]


def _lock_key(name: str) -> int:
    return int.from_bytes(blake2b(f"tellwire/{name}".encode(), digest_size=8).digest(), "big", signed=True)


_LOCK_ALL = f"SELECT pg_advisory_xact_lock({_lock_key('')})"


def _locks(organization_ids: Sequence[str]) -> str:
    """Return the SQL that takes the locks of these organizations, always in the same order."""
    keys = sorted(map(_lock_key, organization_ids))
    own = "".join(f"SELECT pg_advisory_xact_lock({key});" for key in keys)
    return f"SELECT pg_advisory_xact_lock_shared({_lock_key('')});{own}"


async def _commit(connection: Connection) -> None:
    status = await connection.execute("COMMIT")
    if status != "COMMIT":
        raise RuntimeError(f"the server answered COMMIT with {status}")
