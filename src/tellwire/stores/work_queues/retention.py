"""The queries for expired rows that retention needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from tellwire.ports.queues import Cutoffs, ExpiredRows, RemovedRows, RetentionScope
from tellwire.stores.queries import retention
from tellwire.stores.query_runner import Transactions

_KINDS = {kind.name: kind for kind in retention.ROW_KINDS}


class SqlRetention:
    """`RetentionRows` over any store. `stopwatch`: a clock in seconds that measures each removal."""

    def __init__(self, store: Transactions, *, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._stopwatch = stopwatch

    async def scopes(self) -> Sequence[RetentionScope]:
        """Return the scopes of a round, those of dependent rows first."""
        everyone = await self._store.read(retention.owners)
        return [
            RetentionScope(kind.name, organization_id)
            for kind in retention.ROW_KINDS
            for organization_id in (("",) if kind.shared else everyone)
        ]

    async def find(self, scope: RetentionScope, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
        """Find expired rows in the next range of a scope."""
        find = _KINDS[scope.kind].find
        return await self._store.read(lambda c: find(c, scope.organization_id, after, cutoffs, limit))

    async def remove(self, scope: RetentionScope, keys: Sequence[Any], cutoffs: Cutoffs, limit: int) -> RemovedRows:
        """Remove the rows that are still expired, and measure how long the writer was busy, in seconds."""

        def work(connection: Connection) -> RemovedRows:
            started = self._stopwatch()
            removed = _KINDS[scope.kind].remove(connection, scope.organization_id, keys, cutoffs, limit)
            return RemovedRows(removed, self._stopwatch() - started)

        return await self._store.write(work)
