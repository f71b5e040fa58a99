"""The outbox over SQLite: deliveries as rows, leases with an epoch, results in group commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.model import Delivery, Edit, Micros, Registry, Work
from tellwire.ports import Clock, Result
from tellwire.routing import PARTITIONS
from tellwire.stores import cold_replays, cold_results, records, sqlite_hot
from tellwire.stores.sqlite import Record, SqliteStore, raw
from tellwire.stores.wellbeing import Wellbeing

_LEASE_MICROS = 30 * 1_000_000


class SqliteOutbox:
    """`ports.Outbox` over an open store."""

    def __init__(self, store: SqliteStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def registry(self) -> Registry:
        """See `ports.Outbox.registry`."""
        return self._store.registry()

    def subscribe(self, *, committed: Callable[[Sequence[Work]], None], changed: Callable[[Registry], None]) -> None:
        """See `ports.Outbox.subscribe`."""
        self._store.subscribe(committed=committed, changed=changed)

    async def take(self, owner: str) -> int:
        """See `ports.Outbox.take`."""

        def work(connection: Connection) -> int:
            db = raw(connection)
            epoch: int = db.execute("SELECT coalesce(max(epoch), 0) + 1 FROM leases").fetchone()[0]
            expires = self._clock.now() + _LEASE_MICROS
            db.executemany(
                "INSERT INTO leases(partition,owner,epoch,expires_at) VALUES (?,?,?,?) ON CONFLICT(partition)"
                " DO UPDATE SET owner=excluded.owner, epoch=excluded.epoch, expires_at=excluded.expires_at",
                [(p, owner, epoch, expires) for p in range(PARTITIONS)],
            )
            return epoch

        return await self._store.write(work)

    async def release(self, owner: str) -> None:
        """See `ports.Outbox.release`."""
        await self._store.write(
            lambda c: raw(c).execute("UPDATE leases SET owner='', expires_at=0 WHERE owner=?", (owner,)).rowcount
        )

    async def waiting(self) -> list[str]:
        """See `ports.Outbox.waiting`."""
        active = [e.id for e in self._store.registry().endpoints.values() if e.state == "active"]
        query = (
            "SELECT k.value FROM json_each(?) k WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint_id = k.value"
            f" AND {sqlite_hot.LIVE})"
        )
        return await self._store.read(
            lambda c: [row[0] for row in raw(c).execute(query, (msgspec.json.encode(active).decode(),)).fetchall()]
        )

    async def backlog(self, endpoint_id: str, *, after: str, limit: int) -> list[Work]:
        """See `ports.Outbox.backlog`."""
        where = f"d.endpoint_id = ? AND d.id > ? AND {sqlite_hot.LIVE} ORDER BY d.id LIMIT ?"
        return await self._store.read(lambda c: _works(raw(c), where, (endpoint_id, after, limit)))

    async def due(self, now: Micros, *, limit: int, without: Sequence[str] = ()) -> list[Work]:
        """See `ports.Outbox.due`."""
        where = (
            f"{sqlite_hot.DUE} AND d.due_at <= ? AND d.endpoint_id NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY d.due_at LIMIT ?"
        )
        left_out = msgspec.json.encode(list(without)).decode()
        return await self._store.read(lambda c: _works(raw(c), where, (now, left_out, limit)))

    async def record(self, epoch: int, results: Iterable[Result]) -> int:
        """See `ports.Outbox.record`."""
        results = list(results)
        ends = [r for r in results if cold_results.is_told(self._store.registry(), r)]
        written = await self._store.record(Record(epoch, [r for r in results if r not in ends] if ends else results))
        if ends:
            fenced = [replace(r, epoch=epoch) for r in ends]
            written += len(ends) - len(await cold_results.record_told(self._store, fenced))
        return written

    async def edit(self, delivery: Delivery) -> Edit | None:
        """See `ports.Outbox.edit`."""
        return await self._store.read(lambda c: cold_replays.edit(c, delivery))

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """See `ports.Outbox.disable`."""
        await Wellbeing(self._store).disable(endpoint_id, reason, self._clock.now())


def _works(db: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[Work]:
    columns = ",".join(f'd."{name}"' for name in records.DELIVERY)
    snapshot = ",".join(f"e.{name}" for name in records.EVENT)
    query = (
        f"SELECT {snapshot},{columns} FROM deliveries d "
        f"CROSS JOIN events e ON e.organization_id = d.organization_id AND e.id = d.event_id WHERE {where}"
    )
    width = len(records.EVENT)
    return [
        Work(records.delivery(row[width:]), records.event(row[:width])) for row in db.execute(query, values).fetchall()
    ]
