"""The queries for held items that housekeeping needs."""

from __future__ import annotations

from collections.abc import Sequence

from tellwire.model.inbound import WaitingPost
from tellwire.model.units import Micros
from tellwire.stores.queries import held_items
from tellwire.stores.query_runner import Transactions


class SqlHeldItems:
    """`HeldItems` over any store."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    async def waited_long_enough(self, now: Micros, limit: int) -> Sequence[WaitingPost]:
        """Return stored POSTs with held items that have waited for long enough."""
        return await self._store.read(lambda c: held_items.waited_long_enough(c, now, limit))
