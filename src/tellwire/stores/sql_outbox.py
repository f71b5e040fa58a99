"""The part of the outbox that is the same on every database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from tellwire.model.deliveries import Delivery, ReplayEdit, Work
from tellwire.model.registry import Registry
from tellwire.ports.clock import Clock
from tellwire.ports.storage import Result
from tellwire.stores.health_store import SqlHealthStore
from tellwire.stores.queries import deliveries, replays
from tellwire.stores.queries.delivery_results import record_and_notify
from tellwire.stores.query_runner import QueryRunner


class OutboxStore(QueryRunner, Protocol):
    """The part of a store that an outbox uses."""

    def on_committed(self, committed: Callable[[Sequence[Work]], None]) -> None: ...

    def on_changed(self, changed: Callable[[Registry], None]) -> None: ...

    def on_elsewhere(self, elsewhere: Callable[[Sequence[str]], None], released: Callable[[], None]) -> None: ...

    async def record(self, results: Sequence[Result]) -> Collection[str]:
        """Write results in the next commit; return the ids of those whose epoch is outdated."""
        ...


S = TypeVar("S", bound=OutboxStore)


class SqlOutbox(Generic[S]):
    """The part of `ports.Outbox` that is the same on every database, over an open store."""

    def __init__(self, store: S, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def registry(self) -> Registry:
        """See `ports.Outbox.registry`."""
        return self._store.registry()

    def subscribe(
        self,
        *,
        committed: Callable[[Sequence[Work]], None],
        changed: Callable[[Registry], None],
        elsewhere: Callable[[Sequence[str]], None],
        released: Callable[[], None],
    ) -> None:
        """See `ports.Outbox.subscribe`."""
        self._store.on_committed(committed)
        self._store.on_changed(changed)
        self._store.on_elsewhere(elsewhere, released)

    async def record(self, results: Iterable[Result]) -> Collection[str]:
        """See `ports.Outbox.record`."""
        return await record_and_notify(self._store, results, record=self._store.record)

    async def in_line(self, organization_id: str, delivery_ids: Collection[str]) -> Collection[str]:
        """See `ports.Outbox.in_line`."""
        return await self._store.read(lambda c: deliveries.in_line(c, organization_id, delivery_ids))

    async def replay_edit(self, delivery: Delivery) -> ReplayEdit | None:
        """See `ports.Outbox.replay_edit`."""
        return await self._store.read(lambda c: replays.replay_edit(c, delivery))

    async def disable(self, endpoint_id: str, reason: str) -> None:
        """See `ports.Outbox.disable`."""
        await SqlHealthStore(self._store).disable(endpoint_id, reason, self._clock.now())
