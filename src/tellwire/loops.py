"""The loop of background work that is done again and again: a pause between rounds, and no end because of an error;
and the places that the tasks of such work share.

Four loops differ on purpose. `sending.worker` ends between two rounds and not in the middle of one, and logs a failure
once; `leases` renews before it pauses, under a deadline; `delivery.reader` remembers whether a pause ended by itself;
`delivery.recorder` repeats one write until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

import structlog
from msgspec import Struct

from tellwire.errors import Unavailable
from tellwire.model.shares import FairShare

log = structlog.get_logger("tellwire")

T = TypeVar("T")


class After(Struct, frozen=True):
    """A result of a round: do the next one after so many seconds, if that is sooner than the usual pause."""

    seconds: float


Work = Callable[[], Awaitable[bool | After | None]]
"""A round. Returns True when there is more to do at once, `After` when there will be more then, else False or None."""

Pause = Callable[[asyncio.Event, float], Awaitable[None]]


async def woken_or_after(woken: asyncio.Event, seconds: float) -> None:
    """Return once the event is set or the seconds have passed; with 0 seconds, once other tasks have run."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


class Runnable(Protocol):
    """A `Loop`, or an object that has one: it runs from its start to its stop."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Loop:
    """Does rounds of work until it is stopped: at once while there is more to do, else after a pause or when it is
    woken.

    An error ends the round and never the loop: `Unavailable` is a warning, anything else is logged with its traceback.

    Args:
        name: of the asyncio task, for debugging.
        work: does one round.
        seconds: the usual pause, in seconds.
        failed: the log event of an unexpected error.
        unavailable: the log event of `Unavailable`.
        after_failure: the pause after an error, in seconds; the usual pause unless given.
        pause: waits until the event is set or the seconds have passed.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        seconds: float,
        failed: str,
        unavailable: str = "store_unavailable",
        after_failure: float | None = None,
        pause: Pause = woken_or_after,
    ) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._failed = failed
        self._unavailable = unavailable
        self._after_failure = seconds if after_failure is None else after_failure
        self._pause = pause
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Do the next round at once; a round under way is followed by another."""
        self._woken.set()

    def start(self) -> None:
        """Begin with a round, in the running event loop."""
        self._task = asyncio.create_task(self.run(), name=self._name)

    async def stop(self) -> None:
        """Cancel the loop, also in the middle of a round, and return once it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self) -> None:
        """Do rounds until cancelled."""
        while True:
            self._woken.clear()
            await self._pause(self._woken, await self._round())

    async def _round(self) -> float:
        try:
            result = await self._work()
        except Unavailable as error:
            log.warning(self._unavailable, detail=str(error))
            return self._after_failure
        except Exception:
            log.exception(self._failed)
            return self._after_failure
        if isinstance(result, After):
            return min(result.seconds, self._seconds)
        return 0.0 if result else self._seconds


def in_turn(*works: Callable[[], Awaitable[object]]) -> Work:
    """Return a round of several pieces of work, one after the other; an error of one ends the round."""

    async def round_() -> None:
        for work in works:
            await work()

    return round_


def only_when(condition: Callable[[], bool], work: Callable[[], Awaitable[object]]) -> Work:
    """Return a round that does nothing while the condition is false."""

    async def round_() -> None:
        if condition():
            await work()

    return round_


class FairSlots:
    """`limit` places that tasks wait for, shared by organization after the rule of `model.shares`.

    Who waits gets one in the order of asking within its organization; of several organizations the one that has the
    fewest goes first, and of those that have as few each in turn.
    """

    def __init__(self, limit: int) -> None:
        self._share = FairShare(limit)
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
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
        waiting = self._waiting.pop(organization_id)
        granted = waiting.popleft()
        if waiting:
            self._waiting[organization_id] = waiting  # behind the others that have as few
        if not granted.cancelled():
            self._share.take(organization_id)
            granted.set_result(None)


def in_a_thread_one_by_one() -> Callable[[Callable[[], T], str], Awaitable[T]]:
    """Return a function that does heavy work of an organization in a thread, never two pieces at once: the event loop
    gets half of the interpreter at least. Organizations that wait take turns."""
    alone = FairSlots(1)

    async def do(work: Callable[[], T], organization_id: str) -> T:
        async with alone.place(organization_id):
            return await asyncio.to_thread(work)

    return do
