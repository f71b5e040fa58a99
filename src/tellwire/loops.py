"""The loop of everything that is done again and again beside requests: a pause between rounds, and no end by an error.

Four loops are made otherwise, on purpose. `sending.worker` ends between two rounds and not in the middle of one, and
tells of a failure once; `leases` renews before it pauses, under a deadline; `delivery.reader` remembers whether a pause
ended by itself; `delivery.recorder` repeats one write until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from msgspec import Struct

from tellwire.errors import Unavailable

log = structlog.get_logger("tellwire")


class After(Struct, frozen=True):
    """What a round returns to be done again after so many seconds, if that is sooner than the usual pause."""

    seconds: float


Work = Callable[[], Awaitable[bool | After | None]]
"""A round. True: there is more to do at once; `After`: there will be then; False and None: after the usual pause."""

Pause = Callable[[asyncio.Event, float], Awaitable[None]]


async def woken_or_after(woken: asyncio.Event, seconds: float) -> None:
    """Return once the event is set or the seconds have passed; with none, once others had their turn."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


class Runs(Protocol):
    """What runs from its start to its stop: a `Loop`, or who has some."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Loop:
    """Does rounds of work until it is stopped: at once while there is more, else after a pause or when it is woken.

    An error ends the round and never the loop: `Unavailable` is a warning, anything else is logged with its traceback.

    Args:
        name: of the task, for who looks at what runs.
        work: does a round.
        seconds: the usual pause.
        failed: the log event of an unexpected error.
        unavailable: the log event of `Unavailable`.
        after_failure: seconds of the pause after an error, the usual pause unless given.
        pause: waits for the event or for seconds.
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
        """Do the next round at once; a round that is under way is followed by another."""
        self._woken.set()

    def start(self) -> None:
        """Begin with a round, in the running event loop."""
        self._task = asyncio.create_task(self.run(), name=self._name)

    async def stop(self) -> None:
        """Cancel the loop, a round that is under way included, and return once it has ended."""
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
            came = await self._work()
        except Unavailable as error:
            log.warning(self._unavailable, detail=str(error))
            return self._after_failure
        except Exception:
            log.exception(self._failed)
            return self._after_failure
        if isinstance(came, After):
            return min(came.seconds, self._seconds)
        return 0.0 if came else self._seconds


def in_turn(*works: Callable[[], Awaitable[object]]) -> Work:
    """Make one round of several pieces of work, one after the other; an error of one ends the round."""

    async def round_() -> None:
        for work in works:
            await work()

    return round_


def only_where(here: Callable[[], bool], work: Callable[[], Awaitable[object]]) -> Work:
    """Make rounds that do nothing unless this is the process for them."""

    async def round_() -> None:
        if here():
            await work()

    return round_
