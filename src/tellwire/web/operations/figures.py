"""How it goes, as the database says: asked at most every few seconds, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from tellwire.model.inbound import Inbound
from tellwire.model.units import Micros, micros
from tellwire.stores.queries import status_figures
from tellwire.stores.queries.status_figures import Day
from tellwire.web.services import Services

_FRESH_MICROS = micros(5)


class Figures(Struct, frozen=True, kw_only=True):
    """How it goes, as of `at`.

    `oldest` and `parked`: by endpoint, when the oldest delivery was recorded that waits, or that is parked.
    `late`: when the first of the late retries and replays is or was due, 0 for none. `held`: items that wait, by
    outcome. `unsent`: messages that are still to be sent, by state; `send_due`: when the first of them is or was due, 0
    for none.
    """

    at: Micros
    day: Day
    undelivered: Mapping[str, int]
    oldest: Mapping[str, Micros]
    parked: Mapping[str, Micros]
    late: Micros
    held: Mapping[str, int]
    unsent: Mapping[str, int]
    send_due: Micros


class Waits:
    """The POSTs from Meta that wait for their commit; `most`: how many may."""

    def __init__(self) -> None:
        self.most = 0
        self._since: dict[int, float] = {}
        self._serial = 0

    def begin(self) -> int:
        """A POST begins to wait; what is returned ends it."""
        self._serial += 1
        self._since[self._serial] = asyncio.get_running_loop().time()
        return self._serial

    def end(self, serial: int) -> None:
        """It waits no more."""
        del self._since[serial]

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._since)

    @property
    def longest(self) -> float:
        """How many seconds the one that came first has waited."""
        first = next(iter(self._since.values()), None)
        return 0.0 if first is None else asyncio.get_running_loop().time() - first


class Meters:
    """What one app counts and shows."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._counters = services.counters
        self.waits = Waits()
        self._figures: Figures | None = None
        self._lock = asyncio.Lock()

    def post_answered(self, status: int) -> None:
        """A POST from Meta was answered."""
        self._counters.posts[status] += 1

    def post_applied(self, inbound: Inbound) -> None:
        """A POST from Meta was applied."""
        items = self._counters.items
        for item in inbound.items:
            items[item.outcome] += 1

    async def figures(self) -> Figures:
        """How it goes, at most some seconds old."""
        async with self._lock:
            now = self._services.clock.now()
            if self._figures is None or not 0 <= now - self._figures.at < _FRESH_MICROS:
                self._figures = await self._services.store.read(lambda connection: _figures(connection, now))
            return self._figures


def _figures(connection: Connection, now: Micros) -> Figures:
    return Figures(
        at=now,
        day=status_figures.day(connection, now),
        undelivered=status_figures.undelivered(connection),
        oldest=status_figures.oldest(connection, "live"),
        parked=status_figures.oldest(connection, "parked"),
        late=status_figures.late(connection),
        held=status_figures.held(connection),
        unsent=status_figures.unsent(connection),
        send_due=status_figures.send_due(connection),
    )
