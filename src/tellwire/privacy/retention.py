"""Takes away what is older than it is to be kept, in strides so short that nobody waits for them.

Source: docs/reference/delivery.md, "Retention".

A round goes through everything once and holds no state: what is gone is not found again, so a
round that was cut off costs nothing, and one after months off is only longer.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from tellwire.model.units import Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.stores.queries import retention
from tellwire.stores.queries.retention import Cutoffs, ExpiredRows, RowKind

T = TypeVar("T")

DAY: Micros = 24 * 3600 * 1_000_000
DEDUPE: Micros = 8 * DAY
"""What tells a repeated POST from a new one is never younger when it goes: Meta repeats for up to 7 days."""
_ANSWERS: Micros = DAY

STRIDE_SECONDS = 0.01
"""How long a stride may keep the writer: an answer to Meta waits for one at most."""
_LEAST, _FIRST, _MOST = 16, 128, 2_000
_PAUSE_SECONDS = 0.05


class RetentionPeriods(Struct, frozen=True, kw_only=True):
    """How long things are kept: `payloads` are POSTs, events, deliveries and attempts; `messages` None: for ever.

    `window`: after how long an idle conversation closes; its last message tells, and stays for as long.
    """

    payloads: Micros
    messages: Micros | None = None
    window: Micros = 0

    def cutoffs(self, now: Micros) -> Cutoffs:
        """What goes at this time: everything from before these."""
        messages = None if self.messages is None else now - max(self.messages, DEDUPE, self.window)
        return Cutoffs(
            payloads=now - self.payloads, messages=messages, changed=now - DEDUPE, answers=now - _ANSWERS, now=now
        )


class Store(Protocol):
    """What retention needs of a store: cold queries in strides."""

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...


class Retention:
    """Makes rounds over a store.

    Args:
        store, clock, keeping: what it works on, when it is, how long things are kept.
        rest: waits some seconds, between strides.
        counters: told of what went.
        stopwatch: seconds of any start, to measure a stride by.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        keeping: RetentionPeriods,
        *,
        rest: Callable[[float], Awaitable[None]],
        counters: Counters,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keeping = keeping
        self._rest = rest
        self._counters = counters
        self._stopwatch = stopwatch
        self._size = _FIRST

    async def round(self) -> None:
        """Take away everything that is old enough now.

        Raises:
            Unavailable: the store cannot commit; the next round goes on.
        """
        cutoffs = self._keeping.cutoffs(self._clock.now())
        everyone = await self._store.read(retention.owners)
        for shelf in retention.SHELVES:
            for organization_id in ("",) if shelf.shared else everyone:
                await self._clear(shelf, organization_id, cutoffs)
        self._counters.removed_until = cutoffs.payloads
        self._counters.rounds += 1

    async def _clear(self, shelf: RowKind, organization_id: str, cutoffs: Cutoffs) -> None:
        after = ""
        while True:
            found = await self._find(shelf, organization_id, after, cutoffs)
            if found.keys:
                removed = await self._remove(shelf, organization_id, found.keys, cutoffs)
                if not any(removed.values()):
                    after = found.last  # all of them are needed again, or somebody else took them
            elif found.after:
                after = found.after
            else:
                return
            await self._rest(_PAUSE_SECONDS)

    async def _find(self, shelf: RowKind, organization_id: str, after: str, cutoffs: Cutoffs) -> ExpiredRows:
        return await self._store.read(lambda c: shelf.find(c, organization_id, after, cutoffs, self._size))

    async def _remove(
        self, shelf: RowKind, organization_id: str, keys: Sequence[Any], cutoffs: Cutoffs
    ) -> Mapping[str, int]:
        size = self._size

        def work(connection: Connection) -> tuple[Mapping[str, int], float]:
            started = self._stopwatch()
            removed = shelf.remove(connection, organization_id, keys, cutoffs, size)
            return removed, self._stopwatch() - started

        removed, took = await self._store.write(work)
        self._counters.removed.update(removed)
        self._counters.retention_batches.add(took)
        self._size = next_size(size, took)
        return removed


def next_size(size: int, took: float) -> int:
    """How many rows the next stride may touch after one of `size` rows took so many seconds."""
    if took > STRIDE_SECONDS:
        return max(_LEAST, size // 2)
    return min(_MOST, size + size // 4) if took < STRIDE_SECONDS / 2 else size
