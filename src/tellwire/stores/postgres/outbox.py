"""The outbox over PostgreSQL: deliveries as rows, partitions leased by processes, results only in the current epoch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from tellwire.errors import Unavailable
from tellwire.model.deliveries import Work
from tellwire.model.routing import PARTITIONS
from tellwire.model.routing import partitions as partitions_of
from tellwire.model.units import Micros
from tellwire.ports.storage import Lease
from tellwire.stores.postgres.connections import Connection
from tellwire.stores.postgres.ledger_load import found
from tellwire.stores.postgres.store import PostgresStore
from tellwire.stores.records import ledger_rows
from tellwire.stores.records.inserts import or_update
from tellwire.stores.schema.tables import DUE, LIVE
from tellwire.stores.sql_outbox import SqlOutbox

LEASE_MICROS = 6 * 1_000_000

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_MAKE = "INSERT INTO leases SELECT p, '', 0, 0 FROM generate_series(0, $1 - 1) p ON CONFLICT DO NOTHING"
_LIVE = f"""
INSERT INTO dispatchers(owner, expires_at) VALUES ($1, {_NOW} + $2)
{or_update(("owner",), ("expires_at",))}
"""
_MEMBERS = f"""
WITH dead AS (DELETE FROM dispatchers WHERE expires_at < {_NOW})
SELECT count(*) FROM dispatchers WHERE expires_at >= {_NOW}
"""
_KEEP = f"""
WITH mine AS MATERIALIZED (SELECT partition FROM leases WHERE owner = $1 ORDER BY partition FOR UPDATE)
UPDATE leases l SET expires_at = {_NOW} + $2 FROM mine WHERE l.partition = mine.partition
RETURNING l.partition, l.epoch
"""
_TAKE = f"""
WITH free AS MATERIALIZED (
  SELECT partition FROM leases WHERE owner <> $1 AND expires_at <= {_NOW}
  ORDER BY partition LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE leases l SET owner = $1, epoch = l.epoch + 1, expires_at = {_NOW} + $2
FROM free WHERE l.partition = free.partition
RETURNING l.partition, l.epoch
"""
_GIVE = """
WITH mine AS MATERIALIZED (
  SELECT partition FROM leases WHERE owner = $1 AND ($2::integer[] IS NULL OR partition = ANY($2))
  ORDER BY partition FOR UPDATE)
UPDATE leases l SET owner = '', expires_at = 0 FROM mine WHERE l.partition = mine.partition
"""

_WIDTH = len(ledger_rows.EVENT)
_COLUMNS = ",".join([f"e.{name}" for name in ledger_rows.EVENT] + [f"d.{name}" for name in ledger_rows.DELIVERY])
_EVENT = found("events", "e", "organization_id = d.organization_id AND id = d.event_id")
_WORK = f"SELECT {_COLUMNS} FROM deliveries d {_EVENT} WHERE"
BACKLOG = f"{_WORK} d.endpoint_id = $1 AND d.id > $2 AND {LIVE} AND d.partition = ANY($3) ORDER BY d.id LIMIT $4"
_DUE = (
    f"{_WORK} {DUE} AND d.due_at <= $1 AND d.partition = ANY($2) AND d.endpoint_id <> ALL($3)"
    " ORDER BY d.due_at LIMIT $4"
)
WAITING = (
    "SELECT e FROM unnest($1::text[]) e CROSS JOIN LATERAL ("
    f"SELECT 1 FROM deliveries d WHERE d.endpoint_id = e AND {LIVE} AND d.partition = ANY($2) LIMIT 1) one"
)


class PostgresOutbox(SqlOutbox[PostgresStore]):
    """`ports.Outbox` over an open store."""

    async def renew(self, owner: str) -> Lease:
        """See `ports.Outbox.renew`. Leases expire by the database's clock; ours gives the latest time only."""
        until = self._clock.now() + LEASE_MICROS

        async def work(connection: Connection) -> Lease:
            await connection.execute(_LIVE, owner, LEASE_MICROS)
            share = -(-PARTITIONS // max(1, await connection.fetchval(_MEMBERS)))
            mine = dict(await connection.fetch(_KEEP, owner, LEASE_MICROS))
            if len(mine) < share:
                mine |= dict(await connection.fetch(_TAKE, owner, LEASE_MICROS, share - len(mine)))
            if not mine:
                await connection.execute(_MAKE, PARTITIONS)
            return Lease(mine, until, share)

        try:
            lease: Lease = await self._store.query(work)
            if not lease.partitions:  # the first call may only have made the rows
                lease = await self._store.query(work)
        except Unavailable as error:
            self._store.lease_error = str(error)
            raise
        self._store.lease_error = ""
        return lease

    async def release(self, owner: str, partitions: Collection[int] | None = None) -> None:
        """See `ports.Outbox.release`."""

        async def work(connection: Connection) -> None:
            await connection.execute(_GIVE, owner, None if partitions is None else list(partitions))
            if partitions is None:
                await connection.execute("DELETE FROM dispatchers WHERE owner = $1", owner)

        await self._store.query(work)
        self._store.announce_released()

    async def waiting(self, partitions: Collection[int]) -> list[str]:
        """See `ports.Outbox.waiting`."""
        mine = frozenset(partitions)
        active = [
            e.id
            for e in self._store.registry().endpoints.values()
            if e.state == "active" and not mine.isdisjoint(partitions_of(e.id))
        ]
        rows = await self._store.query(lambda c: c.fetch(WAITING, active, list(mine)))
        return [row[0] for row in rows]

    async def backlog(self, endpoint_id: str, *, partitions: Collection[int], after: str, limit: int) -> list[Work]:
        """See `ports.Outbox.backlog`."""
        values = (endpoint_id, after, list(partitions), limit)
        return _works(await self._store.query(lambda c: c.fetch(BACKLOG, *values)))

    async def due(
        self, now: Micros, *, partitions: Collection[int], limit: int, without: Sequence[str] = ()
    ) -> list[Work]:
        """See `ports.Outbox.due`."""
        return _works(await self._store.query(lambda c: c.fetch(_DUE, now, list(partitions), list(without), limit)))


def _works(rows: Sequence[Any]) -> list[Work]:
    return [Work(ledger_rows.delivery(tuple(row[_WIDTH:])), ledger_rows.event(tuple(row[:_WIDTH]))) for row in rows]
