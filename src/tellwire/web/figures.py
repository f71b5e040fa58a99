"""Metrics, and the counts of the status page: asked of the database at most every few seconds, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from sqlalchemy import Connection

from tellwire import __version__
from tellwire.model import DeliveryState, Inbound, Micros, Outcome
from tellwire.stores import cold_figures
from tellwire.stores.cold_figures import Day
from tellwire.web.services import Services

_FRESH_MICROS = 5 * 1_000_000
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nothing here reads

_STATUSES = (200, 400, 401, 408, 413, 500, 503)
_SHOWN = (
    DeliveryState.PENDING,
    DeliveryState.DELIVERING,
    DeliveryState.RETRYING,
    DeliveryState.PARKED,
    DeliveryState.FAILED,
)


class Figures(Struct, frozen=True, kw_only=True):
    """How it goes, as of `at`. `oldest` is, by endpoint, when the oldest delivery was created that still waits."""

    at: Micros
    day: Day
    undelivered: Mapping[str, int]
    oldest: Mapping[str, Micros]


class Meters:
    """The metrics of one app. No phone numbers, URLs or names as labels."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._figures: Figures | None = None
        self._lock = asyncio.Lock()
        self.registry = CollectorRegistry()
        posts = Counter("tellwire_inbound_posts", "POSTs from Meta", ("status",), registry=self.registry)
        items = Counter("tellwire_inbound_items", "Items of POSTs from Meta", ("outcome",), registry=self.registry)
        self._posts = {status: posts.labels(str(status)) for status in _STATUSES}
        self._items = {outcome: items.labels(outcome.value) for outcome in Outcome}
        self._commits = Counter("tellwire_commits", "Commits", registry=self.registry)
        self._commits_counted = 0
        self._deliveries = Gauge(
            "tellwire_deliveries",
            f"Deliveries by state; counting stops at {cold_figures.MOST}",
            ("state",),
            registry=self.registry,
        )
        self._endpoints = Gauge("tellwire_endpoints", "Webhook endpoints", ("state",), registry=self.registry)
        self._oldest = Gauge(
            "tellwire_oldest_delivery_seconds", "Age of the oldest delivery that still waits", registry=self.registry
        )
        Gauge("tellwire_info", "What runs", ("version",), registry=self.registry).labels(__version__).set(1)

    def post_answered(self, status: int) -> None:
        """A POST from Meta was answered."""
        self._posts[status].inc()

    def post_applied(self, inbound: Inbound) -> None:
        """A POST from Meta was applied."""
        for item in inbound.items:
            self._items[item.outcome].inc()

    async def figures(self) -> Figures:
        """How it goes, at most some seconds old."""
        async with self._lock:
            now = self._services.clock.now()
            if self._figures is None or not 0 <= now - self._figures.at < _FRESH_MICROS:
                active = [e.id for e in self._services.store.registry().endpoints.values() if e.state == "active"]

                def work(connection: Connection) -> Figures:
                    return Figures(
                        at=now,
                        day=cold_figures.day(connection, now),
                        undelivered=cold_figures.undelivered(connection),
                        oldest=cold_figures.oldest(connection, active),
                    )

                self._figures = await self._services.store.read(work)
            return self._figures

    async def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        figures = await self.figures()
        for state in _SHOWN:
            self._deliveries.labels(state.value).set(figures.undelivered.get(state.value, 0))
        endpoints = [e.state for e in self._services.store.registry().endpoints.values()]
        for word in ("active", "paused", "disabled"):
            self._endpoints.labels(word).set(endpoints.count(word))
        oldest = min(figures.oldest.values(), default=figures.at)
        self._oldest.set(max(0, figures.at - oldest) / 1_000_000)
        commits = self._services.store.commits
        self._commits.inc(commits - self._commits_counted)
        self._commits_counted = commits
        return generate_latest(self.registry)
