"""Places that tasks wait for, shared among organizations by the rule of `model.shares`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tellwire.model.shares import FairShare


class FairSlots:
    """`limit` places. Who waits gets one in the order of asking within its organization; of several organizations the
    one that has the fewest goes first."""

    def __init__(self, limit: int) -> None:
        self._share = FairShare(limit)
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def place(self, organization_id: str) -> AsyncIterator[None]:
        """Hold a place, once there is one for the organization."""
        if organization_id not in self._waiting and self._share.admits(organization_id):
            self._share.take(organization_id)
        else:
            await self._wait(organization_id)
        try:
            yield
        finally:
            self._leave(organization_id)

    async def _wait(self, organization_id: str) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organization_id, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._leave(organization_id)
            raise

    def _leave(self, organization_id: str) -> None:
        self._share.give_back(organization_id)
        while able := [who for who in self._waiting if self._share.admits(who)]:
            self._grant(min(able, key=self._share.has))

    def _grant(self, organization_id: str) -> None:
        waiting = self._waiting[organization_id]
        granted = waiting.popleft()
        if not waiting:
            del self._waiting[organization_id]
        if not granted.cancelled():
            self._share.take(organization_id)
            granted.set_result(None)
