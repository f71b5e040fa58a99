"""The leases of this process: their renewal, the partitions it may send from, and the return of those above its share.

Source: docs/reference/delivery.md, "Partitions and leases".

A lease that is not renewed ends by this process's own clock. So a process that was frozen for longer than its lease
sends nothing before it has renewed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping

import structlog

from tellwire.errors import TellwireError
from tellwire.ports.clock import Clock
from tellwire.ports.storage import Lease, Outbox

log = structlog.get_logger("tellwire.leases")

RENEW_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
_RENEW_TIMEOUT_SECONDS = 5.0


class Leases:
    """The partitions that this process owns, and the loop that renews their leases.

    Args:
        outbox, clock: where leases are kept, and the time by which they end.
        under_way: how many of a partition's deliveries are in flight or wait for their result to be written.
        moved: called after every renewal and loss with the epoch of each partition that may be sent from.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        under_way: Callable[[int], int],
        moved: Callable[[Mapping[int, int]], None],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._users = [(under_way, moved)]
        self._owner = ""
        self._lease = Lease({}, 0, 0)
        self._leaving: frozenset[int] = frozenset()
        self._keeping: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._stopping = False
        self._failing = False
        self.moves = 0

    # --- life ---------------------------------------------------------------------------------------------------------

    def join(self, *, under_way: Callable[[int], int], moved: Callable[[Mapping[int, int]], None]) -> None:
        """Add another user of the same leases; the arguments are those of the constructor."""
        self._users.append((under_way, moved))

    async def start(self, owner: str) -> None:
        """Take free partitions, up to this process's share, and renew their leases from now on."""
        self._owner, self._stopping = owner, False
        await self._renew()
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self, timeout_seconds: float) -> None:
        """Stop renewing; what is in flight is finished under the leases as they are."""
        self._stopping = True
        self._woken.set()
        if self._keeping is not None:
            # A renewal that is under way must not take back what is released next.
            await asyncio.wait({self._keeping}, timeout=timeout_seconds)
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None

    async def release(self) -> None:
        """Give all partitions back; if that fails, the leases lapse by themselves."""
        with contextlib.suppress(TellwireError):
            await self._outbox.release(self._owner)
        self._take(Lease({}, 0, 0))

    def nudge(self) -> None:
        """Renew now: there may be something to take."""
        self._woken.set()

    # --- what is owned ------------------------------------------------------------------------------------------------

    @property
    def owned(self) -> Collection[int]:
        """The partitions that this process owns now, by its own clock."""
        return self._lease.partitions.keys() if self.live() else ()

    def live(self) -> bool:
        """Return whether anything may be sent now."""
        return self._clock.now() < self._lease.until

    def holds(self, partition: int, epoch: int) -> bool:
        """Return whether a partition is still owned under this epoch, now."""
        return self.live() and self._lease.partitions.get(partition) == epoch

    def lost(self, partition: int, epoch: int) -> None:
        """Give up a partition, because the store refused a result of this epoch: another process owns it now."""
        if self._lease.partitions.get(partition) == epoch:
            left = {p: e for p, e in self._lease.partitions.items() if p != partition}
            self._take(Lease(left, self._lease.until, self._lease.share))
            self.nudge()

    def finished(self) -> None:
        """Note that a delivery is no longer under way, so that a partition may be ready to be given back."""
        if any(self._idle(p) for p in self._leaving):
            self.nudge()

    # --- keeping ------------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        seconds = RENEW_SECONDS
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            self._woken.clear()
            if self._stopping:
                return
            try:
                async with asyncio.timeout(_RENEW_TIMEOUT_SECONDS):
                    await self._give_back()
                    await self._renew()
            except Exception as error:  # noqa: BLE001 - whatever it was, the leases lapse unless the next time goes well
                seconds = _PAUSE_SECONDS
                if not self._failing:
                    log.warning("leases_not_renewed", reason=str(error) or type(error).__name__)
                self._failing = True
            else:
                seconds = RENEW_SECONDS
                self._failing = False

    async def _renew(self) -> None:
        self._take(await self._outbox.renew(self._owner))

    async def _give_back(self) -> None:
        """Release the partitions that are to leave and have nothing under way."""
        ready = {p for p in self._leaving if self._idle(p)}
        if ready:
            left = {p: e for p, e in self._lease.partitions.items() if p not in ready}
            self._take(Lease(left, self._lease.until, self._lease.share))
            await self._outbox.release(self._owner, ready)

    def _take(self, lease: Lease) -> None:
        before, self._lease = self._lease.partitions, lease
        self._leaving = surplus(lease, self._leaving)
        if changes := before.items() ^ lease.partitions.items():
            self.moves += len({partition for partition, _ in changes})
            log.info("leases", owned=len(lease.partitions), share=lease.share, leaving=len(self._leaving))
        staying = {p: e for p, e in lease.partitions.items() if p not in self._leaving}
        for _, moved in self._users:
            moved(staying)
        self.finished()

    def _idle(self, partition: int) -> bool:
        return not any(under_way(partition) for under_way, _ in self._users)


def surplus(lease: Lease, leaving: Collection[int]) -> frozenset[int]:
    """Return the partitions to give back: first those chosen before, then any, also busy ones, to share the work."""
    over = len(lease.partitions) - lease.share
    if over <= 0:
        return frozenset()
    order = sorted(lease.partitions, key=lambda p: (p not in leaving, p))
    return frozenset(order[:over])
