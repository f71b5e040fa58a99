"""Removes what is older than it is to be kept, in batches so short that no request waits for one noticeably.

Source: docs/reference/delivery.md, "Retention".

A round goes through everything once and keeps no state: removed rows are not found again, so a round that was
interrupted costs nothing, and one after months without any only takes longer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from tellwire.model.units import DAY, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.queues import Cutoffs, RetentionRows, RetentionScope

DEDUPE: Micros = 8 * DAY
"""Rows by which a repeated POST is recognised are kept at least this long: Meta repeats for up to 7 days."""
_ANSWERS: Micros = DAY

BATCH_SECONDS = 0.01
"""How long a batch may occupy the writer: an answer to Meta waits for one batch at most."""
_LEAST, _FIRST, _MOST = 16, 128, 2_000
_PAUSE_SECONDS = 0.05


class RetentionPeriods(Struct, frozen=True, kw_only=True):
    """How long rows are kept. `payloads`: POSTs, events, deliveries and attempts; `messages`: None keeps them for ever.

    `window`: after how long an idle conversation closes; its last message shows when, and is kept as long.
    """

    payloads: Micros
    messages: Micros | None = None
    window: Micros = 0

    @classmethod
    def of_days(cls, payloads: float, messages: float | None, *, window: Micros) -> RetentionPeriods:
        """Make the periods from days, as the settings give them."""
        return cls(
            payloads=int(payloads * DAY), messages=None if messages is None else int(messages * DAY), window=window
        )

    def cutoffs(self, now: Micros) -> Cutoffs:
        """Return the times before which rows are removed at `now`."""
        messages = None if self.messages is None else now - max(self.messages, DEDUPE, self.window)
        return Cutoffs(
            payloads=now - self.payloads, messages=messages, changed=now - DEDUPE, answers=now - _ANSWERS, now=now
        )


class Retention:
    """Removes old rows of every kind, round by round.

    Args:
        rows, clock, periods: the rows to remove, the time, and how long rows are kept.
        rest: waits so many seconds, between batches.
        counters: count what was removed.
    """

    def __init__(
        self,
        rows: RetentionRows,
        clock: Clock,
        periods: RetentionPeriods,
        *,
        rest: Callable[[float], Awaitable[None]],
        counters: Counters,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._periods = periods
        self._rest = rest
        self._counters = counters
        self._size = _FIRST

    async def round(self) -> None:
        """Remove everything that is old enough now.

        Raises:
            Unavailable: the store cannot commit; the next round goes on.
        """
        cutoffs = self._periods.cutoffs(self._clock.now())
        for scope in await self._rows.scopes():
            await self._clear(scope, cutoffs)
        self._counters.removed_until = cutoffs.payloads
        self._counters.rounds += 1

    async def _clear(self, scope: RetentionScope, cutoffs: Cutoffs) -> None:
        after = ""
        while True:
            size = self._size
            found = await self._rows.find(scope, after, cutoffs, size)
            if found.keys:
                removed = await self._rows.remove(scope, found.keys, cutoffs, size)
                self._counters.removed.update(removed.by_table)
                self._counters.retention_batches.add(removed.seconds)
                self._size = next_size(size, removed.seconds)
                if not any(removed.by_table.values()):
                    after = found.last  # all of them are needed again, or another process removed them
            elif found.after:
                after = found.after
            else:
                return
            await self._rest(_PAUSE_SECONDS)


def next_size(size: int, took: float) -> int:
    """Return how many rows the next batch may touch after one of `size` rows took so many seconds."""
    if took > BATCH_SECONDS:
        return max(_LEAST, size // 2)
    return min(_MOST, size + size // 4) if took < BATCH_SECONDS / 2 else size
