"""Read the installation's figures from the database, at most once in 5 s, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from tellwire.model.inbound import Inbound
from tellwire.model.units import Micros, micros
from tellwire.stores.queries import status_figures
from tellwire.web.commit_waits import CommitWaits
from tellwire.web.services import Services

_FRESH_MICROS = micros(5)


class Figures(Struct, frozen=True, kw_only=True):
    """The installation's figures, as of `at`.

    `oldest` and `parked`: by endpoint, when its oldest waiting or parked delivery was recorded. `late`: when the first
    of the late retries and replays is or was due, 0 for none. `held`: waiting items, by outcome. `unsent`: messages
    that are still to be sent, by state; `send_due`: when the first of them is or was due, 0 for none.
    """

    at: Micros
    undelivered: Mapping[str, int]
    oldest: Mapping[str, Micros]
    parked: Mapping[str, Micros]
    late: Micros
    held: Mapping[str, int]
    unsent: Mapping[str, int]
    send_due: Micros


class Meters:
    """The counts and figures of one app."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._counters = services.counters
        self.observed = services.watch.observed
        self.waits = CommitWaits()
        self._figures: Figures | None = None
        self._lock = asyncio.Lock()

    def post_answered(self, status: int) -> None:
        """Count a POST from Meta that was answered with this status."""
        self._counters.posts[status] += 1

    def post_applied(self, inbound: Inbound) -> None:
        """Count the items of a POST from Meta that was applied."""
        self.observed.accepted(inbound)
        items = self._counters.items
        for item in inbound.items:
            items[item.outcome] += 1

    async def figures(self) -> Figures:
        """Return the installation's figures, at most 5 s old."""
        async with self._lock:
            now = self._services.clock.now()
            if self._figures is None or not 0 <= now - self._figures.at < _FRESH_MICROS:
                self._figures = await self._services.store.read(lambda connection: _figures(connection, now))
            return self._figures


def _figures(connection: Connection, now: Micros) -> Figures:
    return Figures(
        at=now,
        undelivered=status_figures.undelivered(connection),
        oldest=status_figures.oldest(connection, "live"),
        parked=status_figures.oldest(connection, "parked"),
        late=status_figures.late(connection),
        held=status_figures.held(connection),
        unsent=status_figures.unsent(connection),
        send_due=status_figures.send_due(connection),
    )
