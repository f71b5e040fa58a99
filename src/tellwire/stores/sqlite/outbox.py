"""The outbox over SQLite: deliveries as rows, leases with an epoch, results in group commits.

The lock on the file makes this process the only owner, so its leases never expire, not even while the disk is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from tellwire.model.deliveries import Work
from tellwire.model.routing import PARTITIONS
from tellwire.model.units import Micros
from tellwire.ports.storage import Lease
from tellwire.stores.records import ledger_rows
from tellwire.stores.records.inserts import or_update
from tellwire.stores.schema.tables import DUE, LIVE
from tellwire.stores.sql_outbox import SqlOutbox
from tellwire.stores.sqlite.store import SqliteStore, raw

_FOREVER = 1 << 62


class SqliteOutbox(SqlOutbox[SqliteStore]):
    """`ports.Outbox` over an open store."""

    async def renew(self, owner: str) -> Lease:
        """See `ports.Outbox.renew`; writes only when there is something to take."""
        owned = await self._store.read(lambda c: _owned(raw(c), owner))
        if len(owned) < PARTITIONS:
            owned = await self._store.write(lambda c: _take(raw(c), owner))
        return Lease(owned, _FOREVER, PARTITIONS)

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        """See `ports.Outbox.release`."""
        every = range(PARTITIONS) if partitions is None else partitions
        query = (
            "UPDATE leases SET owner='', expires_at=0 WHERE owner=? AND partition IN (SELECT value FROM json_each(?))"
        )
        await self._store.write(lambda c: raw(c).execute(query, (owner, _json(every))).rowcount)

    async def waiting(self, partitions: Collection[int]) -> list[str]:
        """See `ports.Outbox.waiting`."""
        active = [e.id for e in self._store.registry().endpoints.values() if e.state == "active"]
        within, values = _within(partitions)
        query = (
            "SELECT k.value FROM json_each(?) k WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint_id = k.value"
            f" AND {LIVE}{within})"
        )
        return await self._store.read(
            lambda c: [row[0] for row in raw(c).execute(query, (_json(active), *values)).fetchall()]
        )

    async def backlog(self, endpoint_id: str, *, partitions: Collection[int], after: str, limit: int) -> list[Work]:
        """See `ports.Outbox.backlog`."""
        within, values = _within(partitions)
        where = f"d.endpoint_id = ? AND d.id > ? AND {LIVE}{within} ORDER BY d.id LIMIT ?"
        return await self._store.read(lambda c: _works(raw(c), where, (endpoint_id, after, *values, limit)))

    async def due(
        self, now: Micros, *, partitions: Collection[int], limit: int, without: Sequence[str] = ()
    ) -> list[Work]:
        """See `ports.Outbox.due`."""
        within, values = _within(partitions)
        where = (
            f"{DUE} AND d.due_at <= ?{within} AND d.endpoint_id NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY d.due_at LIMIT ?"
        )
        return await self._store.read(lambda c: _works(raw(c), where, (now, *values, _json(without), limit)))


def _owned(db: sqlite3.Connection, owner: str) -> dict[int, int]:
    return dict(db.execute("SELECT partition, epoch FROM leases WHERE owner = ?", (owner,)).fetchall())


def _take(db: sqlite3.Connection, owner: str) -> dict[int, int]:
    """Take the partitions that the owner does not have; an earlier owner has ended. Return epochs by partition."""
    owned = _owned(db, owner)
    epoch: int = db.execute("SELECT coalesce(max(epoch), 0) + 1 FROM leases").fetchone()[0]
    db.executemany(
        "INSERT INTO leases(partition,owner,epoch,expires_at) VALUES (?,?,?,?) "
        + or_update(("partition",), ("owner", "epoch", "expires_at")),
        [(p, owner, epoch, _FOREVER) for p in range(PARTITIONS) if p not in owned],
    )
    return _owned(db, owner)


def _json(values: Iterable[str] | Iterable[int]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _within(partitions: Collection[int]) -> tuple[str, tuple[str, ...]]:
    """Return an SQL condition and its values; both are empty when all partitions are meant, as nearly always."""
    if len(partitions) == PARTITIONS:
        return "", ()
    return " AND d.partition IN (SELECT value FROM json_each(?))", (_json(partitions),)


def _works(db: sqlite3.Connection, where: str, values: tuple[Any, ...]) -> list[Work]:
    columns = ",".join(f'd."{name}"' for name in ledger_rows.DELIVERY)
    snapshot = ",".join(f"e.{name}" for name in ledger_rows.EVENT)
    query = (
        f"SELECT {snapshot},{columns} FROM deliveries d "
        f"CROSS JOIN events e ON e.organization_id = d.organization_id AND e.id = d.event_id WHERE {where}"
    )
    width = len(ledger_rows.EVENT)
    return [
        Work(ledger_rows.delivery(row[width:]), ledger_rows.event(row[:width]))
        for row in db.execute(query, values).fetchall()
    ]
