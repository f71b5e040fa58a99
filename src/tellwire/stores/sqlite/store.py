"""The embedded store: one SQLite file in WAL mode with `synchronous=FULL`, one writer, and readers beside it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from tellwire.errors import AlreadyRunning
from tellwire.ids import IdMaker, micros_of
from tellwire.model.deliveries import Work
from tellwire.model.inbound import Inbound, WaitingPost
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
from tellwire.stores.queries import operational, write_probe
from tellwire.stores.records import inbound_rows, ledger_keys, registry_rows
from tellwire.stores.schema.sending import OPEN_SEND
from tellwire.stores.sqlite import ledger_load, ledger_write, sending
from tellwire.stores.sqlite.checkpoints import Checkpointer
from tellwire.stores.sqlite.writer import Committed, Writer

T = TypeVar("T")

_READERS = 4


class _Apply(Struct, frozen=True):
    keys: Keys
    decide: Callable[[Ledger], Any]
    size: int


class _Record(Struct, frozen=True):
    results: Sequence[Result]


class _Write(Struct, frozen=True):
    work: Callable[[Connection], Any]


def _size(job: _Apply | _Record | _Write) -> int:
    return job.size if isinstance(job, _Apply) else 1


def _whose(job: _Apply | _Record | _Write) -> str:
    return job.keys.whose if isinstance(job, _Apply) else type(job).__name__


class SqliteStore(Listeners):
    """`LedgerStore` and the runner of queries over one file; `SqliteOutbox` uses it.

    Args:
        path: the database file, migrated already.
        clock, vault: time, and the sealing of secrets.
        window: micros after which an idle conversation closes.
        names: per payload format, the names under which an event is subscribed to (see `Routes`).
    """

    def __init__(self, path: Path, *, clock: Clock, vault: Vault, window: Micros, names: Mapping[str, NamesOf]) -> None:
        super().__init__()
        self._path = path
        self.counters = Counters()
        self._clock = clock
        self.vault = vault
        self._window = window
        self._names = names
        self._registry = Registry(version=-1, accounts={}, endpoints={})
        self._written = self._registry  # the writer's thread's: at most one commit ahead of the event loop's
        self._routes = Routes(self._registry, names)
        self._ids = IdMaker()
        self._connection: Connection
        self._lock: int | None = None
        self._lenient = False

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self, *, serving: bool = True, lenient: bool = False) -> None:
        """Start the writer; a server also locks the file, a command line beside it (`serving=False`) does not.

        `lenient` leaves out accounts and endpoints whose secrets no master key opens.

        Raises:
            AlreadyRunning: another process serves this file.
        """
        self._lock = hold_lock(self._path) if serving else None
        self._lenient = lenient
        db = _connect(self._path)
        try:
            if serving:
                sending.make_key(db, self.vault)
            self._registry = self._written = ledger_load.registry(db, self.vault, lenient=self._lenient)
            self._routes = Routes(self._registry, self._names)
            self._ids = IdMaker(floor=_highest_id(db))
        finally:
            db.close()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="tellwire-reader")
        self._engine = create_engine(
            f"sqlite:///{self._path}",
            poolclass=QueuePool,
            pool_size=_READERS,
            connect_args={"check_same_thread": False},
        )
        event.listen(self._engine, "connect", _reader_pragmas)
        self._checkpointer = Checkpointer(lambda: _connect(self._path))
        self._checkpointer.start()
        self._writer = Writer(
            self._connect_writer,
            self._run_batch,
            self._between_commits,
            self._close_writer,
            asyncio.get_running_loop(),
            size=_size,
            whose=_whose,
            counters=self.counters,
        )
        self._writer.start()

    async def close(self) -> None:
        """Commit the waiting jobs and close the file."""
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._checkpointer.stop)
        self._readers.shutdown()
        self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)

    def registry(self) -> Registry:
        """Return the registry as of the last commit that changed it."""
        return self._registry

    def new_id(self) -> str:
        """Return an id for a write (inside a job only: ids rise in commit order)."""
        return self._ids.make(self._clock.now())

    @property
    def failing(self) -> str:
        """Why the last commit failed; "" when it did not."""
        return self._writer.failing

    # --- LedgerStore --------------------------------------------------------------------------------------------------

    def apply(self, keys: Keys, decide: Callable[[Ledger], T]) -> Coroutine[Any, Any, T]:
        """See `ports.storage.LedgerStore.apply`."""
        return self._writer.do(_Apply(keys, decide, keys.size))

    # --- queries ------------------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a read-only query in a reader thread."""

        def run() -> T:
            with self._engine.connect() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def record(self, results: Sequence[Result]) -> Collection[str]:
        """Write results in the next commit; return the ids of those left out, whose epoch is outdated."""
        return await self._writer.do(_Record(results))  # type: ignore[no-any-return]

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a write in the writer's next commit; return its result once durable."""
        return await self._writer.do(_Write(work))  # type: ignore[no-any-return]

    async def purge_erased(self) -> None:
        """Empty the write-ahead log, which may hold erased data; an active reader delays that a little."""
        self._checkpointer.purging = True
        for _ in range(2):  # the log is emptied between the two
            await self.write(lambda _: None)

    async def refresh(self) -> None:
        """Read what other processes changed of accounts and endpoints; while commits fail, try one."""
        await self.write(write_probe.write if self.failing else lambda _: None)

    async def idle_conversations(self, *, limit: int) -> list[ConversationKey]:
        """Return open conversations whose last row is at least the window ago."""
        now, window = self._clock.now(), self._window

        query = (
            f"SELECT c.organization_id, c.id, c.last_row_at, {ledger_keys.LAST_ROW} FROM conversations c"
            " WHERE c.status = 'open' AND c.check_at <= ?"
            f" AND NOT EXISTS (SELECT 1 FROM sends s WHERE s.conversation_id = c.id AND s.{OPEN_SEND})"
            " ORDER BY c.check_at LIMIT ?"
        )

        def move(connection: Connection) -> list[ConversationKey]:
            db = raw(connection)
            idle: list[ConversationKey] = []
            more = True
            while more and not idle:
                rows = db.execute(query, (now, limit)).fetchall()
                more = len(rows) == limit
                for *key, opened_at, last_message in rows:
                    check_at = max(opened_at, micros_of(last_message) if last_message else 0) + window
                    if check_at <= now:
                        idle.append(ConversationKey(key[0], key[1]))
                    else:
                        db.execute(
                            "UPDATE conversations SET check_at = ? WHERE organization_id = ? AND id = ?",
                            (check_at, *key),
                        )
            return idle

        return await self.write(move)

    async def unrouted(self, phone_number_id: str, *, after: str, limit: int) -> list[WaitingPost]:
        """Return stored POSTs with items that waited for an account, oldest first, each with those items' pointers."""
        query = (
            "SELECT h.inbound_id, json_group_array(h.pointer) FROM held_items h WHERE h.phone_number_id = ?"
            " AND h.wamid = '' AND h.outcome = 'unrouted' AND h.inbound_id > ? GROUP BY h.inbound_id ORDER BY 1 LIMIT ?"
        )

        def fetch(connection: Connection) -> list[WaitingPost]:
            db = raw(connection)
            found = db.execute(query, (phone_number_id, after, limit)).fetchall()
            return [WaitingPost(_inbound(db, row[0]), frozenset(msgspec.json.decode(row[1]))) for row in found]

        return await self.read(fetch)

    # --- in the writer's thread ---------------------------------------------------------------------------------------

    def _run_batch(self, db: sqlite3.Connection, jobs: Sequence[Any]) -> tuple[list[Any], Committed]:
        """Do one commit: other writes first, then decisions over one ledger, then results of attempts."""
        results: list[Any] = [None] * len(jobs)
        applies = [(i, job) for i, job in enumerate(jobs) if isinstance(job, _Apply)]
        records_ = [(i, job) for i, job in enumerate(jobs) if isinstance(job, _Record)]
        work: list[Work] = []
        happened = due_work = False
        registry = self._written
        for index, job in enumerate(jobs):
            if isinstance(job, _Write):
                results[index] = job.work(self._connection)
        notified = operational.take_notified(self._connection)
        if any(isinstance(job, _Write) for job in jobs):
            registry = self._fresh_registry(db, registry)
        if applies:
            ledger, registry = self._decide(db, applies, results, registry)
            work = ledger_write.write(db, ledger, self.vault, self._window)
            happened, due_work = bool(ledger.events), ledger.has_due_work
            if ledger.changes_registry:
                registry = ledger_load.registry(db, self.vault, lenient=self._lenient)
        if records_:
            refused = ledger_write.write_results(db, [result for _, job in records_ for result in job.results])
            for index, job in records_:
                results[index] = refused and [r.delivery.id for r in job.results if r.delivery.id in refused]

        def committed() -> Callable[[], None]:
            if registry is not self._written:
                self._written, self._routes = registry, Routes(registry, self._names)
            events = happened or notified is not None
            return lambda: self._notify(registry, work, notified or [], events=events, due_work=due_work)

        return results, committed

    def _notify(
        self, registry: Registry, work: list[Work], endpoint_ids: list[str], *, events: bool, due_work: bool
    ) -> None:
        """Call the listeners, on the event loop after a commit; `endpoint_ids`: of deliveries not made by a ledger."""
        if registry is not self._registry:
            self._registry = registry
            for changed in self._registry_listeners:
                changed(registry)
        if work:
            self._committed(work)
        if endpoint_ids:
            self._elsewhere(endpoint_ids)
        self._wake(events=events, due_work=due_work)

    def _decide(
        self, db: sqlite3.Connection, applies: list[tuple[int, _Apply]], results: list[Any], registry: Registry
    ) -> tuple[Ledger, Registry]:
        keys = Keys()
        for _, job in applies:
            keys.add(job.keys)
        routes = self._routes if registry is self._written else Routes(registry, self._names)
        now = self._clock.now()
        ledger = Ledger(now=now, new_id=lambda: self._ids.make(now), registry=registry, routes=routes)
        ledger_load.load(db, ledger, keys)
        done = decide_in_turn(ledger, [job.decide for _, job in applies])
        for (index, _), result in zip(applies, done, strict=True):
            results[index] = result
        return ledger, registry

    def _fresh_registry(self, db: sqlite3.Connection, known: Registry) -> Registry:
        version = db.execute(registry_rows.VERSION).fetchone()[0]
        return known if version == known.version else ledger_load.registry(db, self.vault, lenient=self._lenient)

    def _connect_writer(self) -> sqlite3.Connection:
        """Return the writer's connection, which SQLAlchemy shares for writes outside the ledger.

        Only the writer begins and ends transactions. SQLAlchemy rolls back when it first connects, which is here.
        """
        db = _connect(self._path)
        engine = create_engine("sqlite://", creator=lambda: db, poolclass=StaticPool, pool_reset_on_return=None)
        self._connection = engine.connect()
        return db

    def _between_commits(self, db: sqlite3.Connection) -> None:
        self._checkpointer.rows = db.total_changes
        if self._checkpointer.overdue or self._checkpointer.purging:
            self._checkpointer.finish(db)

    def _close_writer(self) -> None:
        self._connection.close()


def raw(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection beneath SQLAlchemy's."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise TypeError("not an SQLite connection")
    return raw


def _inbound(db: sqlite3.Connection, identifier: str) -> Inbound:
    row = db.execute(f"SELECT {','.join(inbound_rows.INBOUND)} FROM inbound WHERE id=?", (identifier,)).fetchone()
    return inbound_rows.inbound(dict(zip(inbound_rows.INBOUND, row, strict=True)))


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=10000",
        "foreign_keys=ON",
        "cache_size=-65536",
        "wal_autocheckpoint=0",
        "secure_delete=ON",  # erased data is overwritten
    ):
        db.execute(f"PRAGMA {pragma}").fetchall()
    return db


def _reader_pragmas(db: Any, _record: Any) -> None:
    db.execute("PRAGMA query_only=ON")
    db.execute("PRAGMA busy_timeout=10000")


def _highest_id(db: sqlite3.Connection) -> str:
    """Return the highest id, read from the ends of indexes: keys begin with the organization, so each is queried."""
    highest: list[str] = [db.execute("SELECT coalesce(max(id), '') FROM inbound").fetchone()[0]]
    for table in ("events", "deliveries", "messages", "conversations", "contacts"):
        last = f"(SELECT max(id) FROM {table} WHERE organization_id = o.id)"
        highest += db.execute(f"SELECT coalesce(max({last}), '') FROM organizations o").fetchone()
    return max(highest)


def lock_path(path: Path) -> Path:
    """Return the lock file beside a database, which is there once a server has run on it."""
    return path.with_name(path.name + "-lock")


def hold_lock(path: Path) -> int:
    """Hold the lock file beside the database until the descriptor that is returned is closed.

    Raises:
        AlreadyRunning: another process holds it.
    """
    handle = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise AlreadyRunning(f"another process serves {path}; stop it, or give this one another DATABASE_URL") from None
    return handle
