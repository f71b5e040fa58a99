"""Takes away what is older than it is to be kept, in strides so short that nobody waits for them.

Source: docs/reference/delivery.md, "Retention".

A round goes through everything once and holds no state: what is gone is not found again, so a
round that was cut off costs nothing, and one after months off is only longer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from tellwire.model.units import DAY, Micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.queues import Cutoffs, RetentionRows, RetentionScope

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

    @classmethod
    def of_days(cls, payloads: float, messages: float | None, *, window: Micros) -> RetentionPeriods:
        """Make them of days, as the settings have them."""
        return cls(
            payloads=int(payloads * DAY), messages=None if messages is None else int(messages * DAY), window=window
        )

    def cutoffs(self, now: Micros) -> Cutoffs:
        """What goes at this time: everything from before these."""
        messages = None if self.messages is None else now - max(self.messages, DEDUPE, self.window)
        return Cutoffs(
            payloads=now - self.payloads, messages=messages, changed=now - DEDUPE, answers=now - _ANSWERS, now=now
        )


class Retention:
    """Makes rounds over everything that is kept.

    Args:
        rows, clock, keeping: what it works on, when it is, how long things are kept.
        rest: waits some seconds, between strides.
        counters: told of what went.
    """

    def __init__(
        self,
        rows: RetentionRows,
        clock: Clock,
        keeping: RetentionPeriods,
        *,
        rest: Callable[[float], Awaitable[None]],
        counters: Counters,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._keeping = keeping
        self._rest = rest
        self._counters = counters
        self._size = _FIRST

    async def round(self) -> None:
        """Take away everything that is old enough now.

        Raises:
            Unavailable: the store cannot commit; the next round goes on.
        """
        cutoffs = self._keeping.cutoffs(self._clock.now())
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
                    after = found.last  # all of them are needed again, or somebody else took them
            elif found.after:
                after = found.after
            else:
                return
            await self._rest(_PAUSE_SECONDS)


def next_size(size: int, took: float) -> int:
    """How many rows the next stride may touch after one of `size` rows took so many seconds."""
    if took > STRIDE_SECONDS:
        return max(_LEAST, size // 2)
    return min(_MOST, size + size // 4) if took < STRIDE_SECONDS / 2 else size
