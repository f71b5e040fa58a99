"""Rows that have become old enough to go, as rounds of retention ask for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from tellwire.ports.queues import Cutoffs, ExpiredRows, RemovedRows, RetentionScope
from tellwire.stores.queries import retention
from tellwire.stores.query_runner import Transactions

_KINDS = {kind.name: kind for kind in retention.SHELVES}


class SqlRetention:
    """`RetentionRows` over a store. `stopwatch`: seconds of any start, to measure a removal by."""

    def __init__(self, store: Transactions, *, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._stopwatch = stopwatch

    async def scopes(self) -> Sequence[RetentionScope]:
        """Return what there is to go through, what hangs on other rows first."""
        everyone = await self._store.read(retention.owners)
        return [
            RetentionScope(kind.name, organization_id)
            for kind in retention.SHELVES
            for organization_id in (("",) if kind.shared else everyone)
        ]

    async def find(self, scope: RetentionScope, after: str, cutoffs: Cutoffs, limit: int) -> ExpiredRows:
        """Look at the next stretch of a scope."""
        find = _KINDS[scope.kind].find
        return await self._store.read(lambda c: find(c, scope.organization_id, after, cutoffs, limit))

    async def remove(self, scope: RetentionScope, keys: Sequence[Any], cutoffs: Cutoffs, limit: int) -> RemovedRows:
        """Remove what still is to go, and measure how long the writer was kept."""

        def work(connection: Connection) -> RemovedRows:
            started = self._stopwatch()
            removed = _KINDS[scope.kind].remove(connection, scope.organization_id, keys, cutoffs, limit)
            return RemovedRows(removed, self._stopwatch() - started)

        return await self._store.write(work)
